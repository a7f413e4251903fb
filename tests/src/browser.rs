//! A headless browser, to look at pages as people do: Chromium, spoken to over the pipe of
//! its debugging protocol (Chrome DevTools Protocol).

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// What the programs are called.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// How long the browser may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// The descriptors that it takes orders at, and answers at.
const ORDERS: i32 = 3;
const ANSWERS: i32 = 4;

/// A running browser with one page; killed on drop.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    orders: PipeWriter,
    answers: mpsc::Receiver<Value>,
    last_id: u64,
    session: Option<String>,
    /// What happened, and nobody asked about yet.
    events: Vec<Value>,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Pixels from side to side.
    pub width: u32,
    /// Whether the reader wants it dark.
    pub is_dark: bool,
    /// Whether it is for paper.
    pub is_print: bool,
}

/// What a page did while it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// Whatever it asked for beside itself.
    pub requests: Vec<String>,
    /// Errors and warnings of its own.
    pub complaints: Vec<String>,
}

impl Browser {
    /// The program, where one is installed.
    pub fn find() -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        let places = std::env::split_paths(&path);
        places
            .flat_map(|directory| NAMES.map(|name| directory.join(name)))
            .find(|program| program.is_file())
    }

    /// Starts `program` with what it stores in `profile`.
    pub fn start(program: &Path, profile: &Path) -> Result<Browser> {
        let (read_orders, orders) = pipe()?;
        let (answers, write_answers) = pipe()?;
        let mut user_data = OsString::from("--user-data-dir=");
        user_data.push(profile);
        let mut command = Command::new(program);
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-extensions", "--disable-background-networking"])
            .args(["--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(user_data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        hand_over(&mut command, read_orders.into(), write_answers.into());
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        // The child has its own; else the end of the pipe would never be seen.
        drop(command);
        let mut browser = Browser {
            child,
            orders,
            answers: listen(answers),
            last_id: 0,
            session: None,
            events: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let attached = browser.call(
            "Target.attachToTarget",
            json!({"targetId": target["targetId"], "flatten": true}),
        )?;
        let session = attached["sessionId"].as_str().context("a session")?;
        browser.session = Some(session.to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Opens a file, and says what it did until it was loaded.
    pub fn open(&mut self, file: &Path, view: View) -> Result<Visit> {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({
                "width": view.width, "height": 900, "deviceScaleFactor": 1,
                "mobile": view.width < 600,
            }),
        )?;
        let scheme = if view.is_dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({
                "media": if view.is_print { "print" } else { "" },
                "features": [{"name": "prefers-color-scheme", "value": scheme}],
            }),
        )?;
        self.events.clear();
        let url = format!("file://{}", file.canonicalize()?.display());
        let navigated = self.call("Page.navigate", json!({"url": url}))?;
        if let Some(error) = navigated["errorText"].as_str() {
            bail!("opening {url}: {error}");
        }
        while !self
            .events
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            let event = self.next()?;
            self.events.push(event);
        }
        // What scripts and styles began by then is under way.
        self.evaluate("new Promise(done => setTimeout(done, 100))")?;
        Ok(self.visit(&url))
    }

    /// The value of an expression in the page, waited for where it is a promise.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let result = self.call(
            "Runtime.evaluate",
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true}),
        )?;
        if let Some(failure) = result.get("exceptionDetails") {
            bail!("{expression}: {failure}");
        }
        Ok(result["result"]["value"].clone())
    }

    /// A picture of the whole page (PNG), written to a file.
    pub fn picture(&mut self, file: &Path) -> Result<()> {
        let taken = self.call(
            "Page.captureScreenshot",
            json!({"format": "png", "captureBeyondViewport": true}),
        )?;
        let text = taken["data"].as_str().context("a picture")?;
        let bytes = BASE64_STANDARD
            .decode(text)
            .context("a picture in Base64")?;
        File::create(file)
            .and_then(|mut file| file.write_all(&bytes))
            .with_context(|| file.display().to_string())
    }

    fn visit(&mut self, own: &str) -> Visit {
        let mut visit = Visit::default();
        for event in self.events.drain(..) {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str().unwrap_or("?");
                    if url != own {
                        visit.requests.push(url.to_owned());
                    }
                }
                "Runtime.exceptionThrown" | "Log.entryAdded" => {
                    visit.complaints.push(params.to_string());
                }
                "Runtime.consoleAPICalled" if params["type"] != "log" => {
                    visit.complaints.push(params.to_string());
                }
                _ => {}
            }
        }
        visit
    }

    fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.last_id += 1;
        let mut order = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = &self.session {
            order["sessionId"] = Value::from(session.as_str());
        }
        let mut bytes = order.to_string().into_bytes();
        bytes.push(0);
        self.orders
            .write_all(&bytes)
            .context("ordering the browser")?;
        loop {
            let mut answer = self.next()?;
            if answer["id"] == self.last_id {
                if let Some(error) = answer.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(answer["result"].take());
            }
            self.events.push(answer);
        }
    }

    fn next(&mut self) -> Result<Value> {
        let answer = self.answers.recv_timeout(PATIENCE);
        answer.map_err(|error| anyhow!("the browser does not answer: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives the child two descriptors under their numbers, and lets it end with its owner.
fn hand_over(command: &mut Command, orders: OwnedFd, answers: OwnedFd) {
    // SAFETY: the closure calls only async-signal-safe functions (prctl, fcntl, dup2) and
    // does not allocate.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // Out of the way first, as either may have the other's number.
            let apart = [orders.as_raw_fd(), answers.as_raw_fd()]
                .map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, ANSWERS + 1));
            for (from, to) in apart.into_iter().zip([ORDERS, ANSWERS]) {
                if from < 0 || libc::dup2(from, to) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

/// Each message ends with a zero.
fn listen(answers: PipeReader) -> mpsc::Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let messages = BufReader::new(answers).split(0);
        for message in messages.map_while(Result::ok) {
            let Ok(value) = serde_json::from_slice(&message) else {
                return;
            };
            if sender.send(value).is_err() {
                return;
            }
        }
    });
    receiver
}
