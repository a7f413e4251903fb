//! What is in deploy/: that it parses, fits Kubernetes' schemas, asks for no more than the agent
//! needs, and that the programs run with the very flags, files and capabilities that it gives.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twintap_archive::Reader;
use twintap_tests::process::Start;
use twintap_tests::scenario::expect_success;
use twintap_tests::shop::Shop;
use twintap_tests::{Cgroup, Privileges, Process, Scenario, skip};

const LIMIT: Duration = Duration::from_secs(30);

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn documents(yaml: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml)?;
    Ok(all.into_iter().filter(|one| !one.is_null()).collect())
}

fn manifests() -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for name in ["namespace.yaml", "twintap.yaml"] {
        let path = deploy().join("manifests").join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        all.extend(documents(&text)?);
    }
    Ok(all)
}

fn find<'a>(manifests: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    let is_it = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
    let found = manifests.iter().find(is_it);
    found.with_context(|| format!("no {kind} {name}"))
}

/// The pod that a DaemonSet or StatefulSet makes, and its one container.
fn pod<'a>(manifests: &'a [Value], kind: &str, name: &str) -> Result<(&'a Value, &'a Value)> {
    let template = &find(manifests, kind, name)?["spec"]["template"];
    let containers = template["spec"]["containers"].as_array();
    let [container] = &containers.context("containers")?[..] else {
        anyhow::bail!("{name} has one container");
    };
    Ok((template, container))
}

fn words(list: &Value) -> Vec<String> {
    let words = list.as_array().into_iter().flatten();
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn agent_file(manifests: &[Value]) -> Result<String> {
    let file = &find(manifests, "ConfigMap", "twintap-agent")?["data"]["agent.yaml"];
    Ok(file.as_str().context("agent.yaml")?.to_owned())
}

#[test]
fn manifests_fit_the_schemas_of_kubernetes() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/kubernetes.json");
    let schemas: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let manifests = manifests()?;
    ensure!(manifests.len() == 9, "{} documents", manifests.len());
    for manifest in &manifests {
        let kind = manifest["kind"].as_str().context("a kind")?;
        let schema = schemas["kinds"].get(kind);
        let mut schema = schema
            .with_context(|| format!("no schema of {kind}"))?
            .clone();
        schema["$defs"] = schemas["$defs"].clone();
        let validator = jsonschema::validator_for(&schema)?;
        let errors: Vec<String> = validator
            .iter_errors(manifest)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        ensure!(errors.is_empty(), "{kind}: {errors:#?}");
        let mut wrong = manifest.clone();
        wrong["speck"] = json!({});
        ensure!(!validator.is_valid(&wrong), "the schema is not strict");
        let is_inside = kind == "Namespace" || manifest["metadata"]["namespace"] == "twintap";
        ensure!(is_inside, "{kind} has no namespace");
    }
    Ok(())
}

#[test]
fn pods_have_no_more_rights_than_they_need() -> Result<()> {
    let manifests = manifests()?;
    for (kind, name, added) in [
        (
            "DaemonSet",
            "twintap-agent",
            &["BPF", "PERFMON", "NET_ADMIN"][..],
        ),
        ("StatefulSet", "twintap", &[]),
    ] {
        let (template, container) = pod(&manifests, kind, name)?;
        let spec = &template["spec"];
        let rights = &container["securityContext"];
        ensure!(
            words(&rights["capabilities"]["drop"]) == ["ALL"],
            "{rights}"
        );
        ensure!(words(&rights["capabilities"]["add"]) == added, "{rights}");
        ensure!(
            rights["privileged"] == false
                && rights["allowPrivilegeEscalation"] == false
                && rights["readOnlyRootFilesystem"] == true,
            "{rights}"
        );
        ensure!(spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault");
        ensure!(spec["automountServiceAccountToken"] == false);
        for host in ["hostNetwork", "hostPID", "hostIPC"] {
            ensure!(spec[host].is_null(), "{name} has {host}");
        }
        for volume in spec["volumes"].as_array().context("volumes")? {
            let path = &volume["hostPath"]["path"];
            ensure!(path.is_null() || path == "/sys/fs/cgroup", "{volume}");
        }
        for mount in container["volumeMounts"].as_array().context("mounts")? {
            ensure!(
                mount["readOnly"] == true || mount["name"] == "data",
                "{mount}"
            );
        }
        // Policies and the Service name pods by labels: they must be those of the pods.
        let labels = &template["metadata"]["labels"];
        let policy = find(&manifests, "NetworkPolicy", name)?;
        ensure!(&policy["spec"]["podSelector"]["matchLabels"] == labels);
        ensure!(words(&policy["spec"]["policyTypes"]) == ["Ingress", "Egress"]);
        find(&manifests, "ServiceAccount", name)?;
        ensure!(spec["serviceAccountName"] == name);
    }
    let (template, _) = pod(&manifests, "StatefulSet", "twintap")?;
    ensure!(template["spec"]["securityContext"]["runAsNonRoot"] == true);
    let service = find(&manifests, "Service", "twintap")?;
    ensure!(service["spec"]["selector"] == template["metadata"]["labels"]);
    Ok(())
}

#[test]
fn every_flag_and_key_exists() -> Result<()> {
    let (_directory, scenario) = Scenario::temporary("default")?;
    let help = |program: &str, args: &[&str]| -> Result<BTreeSet<String>> {
        let output = Command::new(scenario.binaries().path(program)?)
            .args(args)
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let flags = text.split(|letter: char| letter.is_whitespace() || letter == ',');
        let flags = flags.filter(|word| word.starts_with("--"));
        Ok(flags.map(str::to_owned).collect())
    };
    let manifests = manifests()?;
    let (_, daemon) = pod(&manifests, "StatefulSet", "twintap")?;
    let (_, agent) = pod(&manifests, "DaemonSet", "twintap-agent")?;
    let known = help("twintap", &["serve", "--help"])?;
    for flag in words(&daemon["args"])
        .iter()
        .filter(|word| word.starts_with("--"))
    {
        ensure!(known.contains(flag), "twintap serve has no {flag}");
    }
    let known = help("twintap-agent", &["--help"])?;
    for flag in words(&agent["args"])
        .iter()
        .filter(|word| word.starts_with("--"))
    {
        ensure!(known.contains(flag), "twintap-agent has no {flag}");
    }
    let file: Value = serde_saphyr::from_str(&agent_file(&manifests)?)?;
    for key in file.as_object().context("keys")?.keys() {
        let flag = format!("--{}", key.replace('_', "-"));
        ensure!(known.contains(&flag), "the agent's file has no {key}");
    }
    Ok(())
}

#[test]
fn the_manifests_are_what_the_chart_renders() -> Result<()> {
    let chart = deploy().join("helm/twintap");
    let rendered = Command::new("helm")
        .args(["template", "twintap", "--namespace", "twintap"])
        .arg(&chart)
        .output();
    let Ok(rendered) = rendered else {
        skip("the_manifests_are_what_the_chart_renders", "needs helm");
        return Ok(());
    };
    ensure!(
        rendered.status.success(),
        "{}",
        String::from_utf8_lossy(&rendered.stderr)
    );
    let plain = fs::read_to_string(deploy().join("manifests/twintap.yaml"))?;
    let sorted = |yaml: &str| -> Result<Vec<String>> {
        let mut all: Vec<String> = documents(yaml)?.iter().map(Value::to_string).collect();
        all.sort();
        Ok(all)
    };
    ensure!(sorted(&String::from_utf8(rendered.stdout)?)? == sorted(&plain)?);
    Ok(())
}

/// The metrics that the dashboard asks for.
fn dashboard_metrics() -> Result<BTreeSet<String>> {
    let path = deploy().join("grafana/twintap.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array());
    let mut names = BTreeSet::new();
    for target in targets.flatten() {
        let query = target["expr"].as_str().context("a query")?;
        let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let own = words.filter(|word| word.starts_with("twintap_"));
        names.extend(own.map(str::to_owned));
    }
    ensure!(names.len() > 20, "{names:?}");
    Ok(names)
}

#[test]
fn every_metric_of_the_dashboard_is_documented() -> Result<()> {
    let docs = deploy().join("../docs");
    let agent = fs::read_to_string(docs.join("agent.md"))?;
    let daemon = fs::read_to_string(docs.join("operating.md"))?;
    for name in dashboard_metrics()? {
        let (page, short) = match name.strip_prefix("twintap_agent_") {
            Some(short) => (&agent, short),
            None => (&daemon, name.trim_start_matches("twintap_")),
        };
        let is_told = page.contains(&format!("`{short}`")) || page.contains(&format!("`{short}{{"));
        ensure!(is_told, "no page has {name}");
    }
    Ok(())
}

/// What is served at `/metrics`.
fn scrape(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// A program as a container of the manifests runs it: `user` with these capabilities and no others.
fn contained(
    scenario: &Scenario,
    program: &str,
    user: &str,
    capabilities: &[String],
    args: &[String],
) -> Result<Process> {
    let bounds: String = capabilities
        .iter()
        .map(|name| format!(",+{}", name.to_lowercase()))
        .collect();
    let mut all: Vec<String> = ["--reuid", user, "--regid", user, "--clear-groups"]
        .map(str::to_owned)
        .to_vec();
    all.push("--no-new-privs".to_owned());
    all.push("--inh-caps=-all".to_owned());
    all.push(format!("--bounding-set=-all{bounds}"));
    all.push(scenario.binaries().path(program)?.display().to_string());
    all.extend_from_slice(args);
    let log = scenario.logs().join(program);
    fs::create_dir_all(&log)?;
    Start::new(PathBuf::from("setpriv"), all, &log).spawn()
}

#[test]
fn the_programs_run_as_the_manifests_say() -> Result<()> {
    let name = "the_programs_run_as_the_manifests_say";
    let no_setpriv = Command::new("setpriv").arg("--version").output().is_err();
    let missing = Privileges::of_this_process().missing();
    if let Some(missing) = missing.or(no_setpriv.then_some("setpriv")) {
        skip(name, &format!("live capture needs {missing}"));
        return Ok(());
    }
    let (directory, scenario) = Scenario::temporary("default")?;
    let root = directory.path();
    let (tls, data) = (root.join("tls"), root.join("data"));
    fs::create_dir(&data)?;
    let path = |path: &Path| path.display().to_string();
    let (code, output) =
        scenario.twintap(&["certs", "--out", &path(&tls), "--daemon", "localhost"])?;
    ensure!(code == 0, "{output}");

    let manifests = manifests()?;
    let (template, daemon) = pod(&manifests, "StatefulSet", "twintap")?;
    let user = template["spec"]["securityContext"]["runAsUser"].to_string();
    let id = user.parse()?;
    chown(root, Some(id), Some(id))?;
    chown(&data, Some(id), Some(id))?;
    for file in fs::read_dir(&tls)? {
        chown(file?.path(), Some(id), Some(id))?;
    }
    // Only what a cluster gives is put in: addresses, and where the volumes are.
    let here = |word: String| {
        word.replace("0.0.0.0:7310", "127.0.0.1:0")
            .replace("0.0.0.0:7312", "127.0.0.1:0")
            .replace("/etc/twintap/tls", &path(&tls))
            .replace("/var/lib/twintap", &path(&data))
    };
    let args: Vec<String> = words(&daemon["args"]).into_iter().map(here).collect();
    let mut daemon = contained(&scenario, "twintap", &user, &[], &args)?;
    let address: SocketAddr = daemon.wait_for_line("listening on ", LIMIT)?.parse()?;

    // The agent does not say where it serves, so that the port is chosen here.
    let agent_metrics = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let cgroup = Cgroup::new("shop")?;
    let shop = Shop::start(scenario.binaries(), &scenario.logs(), Some(&cgroup), &[])?;
    let file = agent_file(&manifests)?
        .replace(
            "twintap.twintap.svc:7310",
            &format!("localhost:{}", address.port()),
        )
        .replace("kubepods.slice", &path(cgroup.path()))
        .replace("[8080]", &format!("[{}]", shop.address.port()))
        .replace("0.0.0.0:7311", &agent_metrics.to_string())
        .replace("/etc/twintap/tls", &path(&tls));
    fs::write(root.join("agent.yaml"), file)?;
    // The Secret's files are the agent's own, and it has no right to read others'.
    for file in ["agent.pem", "agent.key", "ca.pem"] {
        chown(tls.join(file), Some(0), Some(0))?;
    }
    let (_, agent) = pod(&manifests, "DaemonSet", "twintap-agent")?;
    let rights = &agent["securityContext"];
    let args: Vec<String> = words(&agent["args"])
        .into_iter()
        .map(|word| match word.as_str() {
            "/etc/twintap/config/agent.yaml" => path(&root.join("agent.yaml")),
            _ => word.replace("$(NODE_NAME)", "node-1"),
        })
        .collect();
    fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let capabilities = words(&rights["capabilities"]["add"]);
    let user = rights["runAsUser"].to_string();
    let mut agent = contained(&scenario, "twintap-agent", &user, &capabilities, &args)?;
    agent.wait_for_line("capturing", LIMIT)?;

    let mut stream = TcpStream::connect(shop.address)?;
    stream
        .write_all(b"GET /products?page=1 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new())?;
    let deadline = Instant::now() + LIMIT;
    while !fs::read_to_string(agent.log())?.contains("connected to the daemon") {
        ensure!(Instant::now() < deadline, "the agent does not connect");
        std::thread::sleep(Duration::from_millis(50));
    }
    // The dashboard's metrics are there; of drops there are none until something is dropped.
    let log = fs::read_to_string(daemon.log())?;
    let told = log.lines().find(|line| line.contains("serving metrics"));
    let told: Value = serde_json::from_str(told.context("no address")?)?;
    let daemon_metrics = told["fields"]["address"].as_str().context("an address")?;
    let metrics = scrape(agent_metrics)? + &scrape(daemon_metrics.parse()?)?;
    for name in dashboard_metrics()? {
        let family = format!("# TYPE {} ", name.trim_end_matches("_total"));
        let comes_late = name.contains("_discarded_") || name.contains("kernel_dropped");
        ensure!(
            comes_late || metrics.contains(&family),
            "no {name}: {metrics}"
        );
    }
    expect_success("the agent", &mut agent)?;
    expect_success("the daemon", &mut daemon)?;
    let reader = Reader::open(data.join("archive"))?;
    ensure!(reader.exchanges().count() == 1, "the exchange was stored");
    Ok(())
}
