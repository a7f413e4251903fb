//! `twintap plan`.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Serialize;
use twintap_archive::Reader;
use twintap_plan::{
    CreatedKind, Identity, KeptReason, Plan, PlanOptions, PlanSummary, PlannedRequest, SkipReason,
    WaitReason,
};
use twintap_stream::ExchangeId;

use super::audit::AuditArgs;
use super::output::{self, text};
use crate::audit::Data;
use crate::run::{RunFile, bindings, plan_archive, plan_run};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap plan run.yaml | less\n  \
    twintap plan ./archive --session s-0123456789ab\n  \
    twintap plan run.yaml --format jsonl | jq -c 'select(.skip == \"unbound\") | [.request, .missing]'\n\n\
    What the words mean is in docs/bindings.md.")]
pub struct Args {
    /// A run file, or the directory of an archive.
    source: PathBuf,
    /// A bindings file, in place of the run file's.
    #[arg(long, value_name = "FILE")]
    bindings: Option<PathBuf>,
    /// Show these sessions alone, by name; may be given several times.
    #[arg(long, value_name = "NAME")]
    session: Vec<String>,
    /// Show so many requests at most.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    audit: AuditArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One object.
    Json,
    /// One object a line for each request.
    Jsonl,
}

/// One request; documented in docs/command-line.md.
#[derive(Serialize)]
struct Line<'a> {
    position: u32,
    session: &'a str,
    exchange: String,
    request: String,
    due_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    skip: Option<SkipReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'a str>,
    waits: Vec<WaitLine>,
    bindings: Vec<BindingLine<'a>>,
    kept: Vec<KeptLine<'a>>,
}

#[derive(Serialize)]
struct WaitLine {
    request: u32,
    reason: WaitReason,
}

#[derive(Serialize)]
struct BindingLine<'a> {
    leaf: &'a str,
    from_request: u32,
    from_leaf: &'a str,
    reason: &'static str,
}

#[derive(Serialize)]
struct KeptLine<'a> {
    leaf: &'a str,
    reason: KeptReason,
}

/// One session, with `--format json`.
#[derive(Serialize)]
struct SessionLine<'a> {
    id: &'a str,
    identity: Identity,
    client: String,
    began_before_capture: bool,
    /// What its client makes and the service takes once only.
    created: Vec<CreatedLine<'a>>,
    requests: Vec<Line<'a>>,
}

/// A value that a session creates, and where it stands.
#[derive(Serialize)]
struct CreatedLine<'a> {
    kind: CreatedKind,
    places: Vec<CreatedPlaceLine<'a>>,
}

#[derive(Serialize)]
struct CreatedPlaceLine<'a> {
    request: u32,
    leaf: &'a str,
}

/// All of `--format json`.
#[derive(Serialize)]
struct Whole<'a> {
    summary: PlanSummary,
    /// Values that are sent as recorded, by the reason.
    kept: BTreeMap<&'static str, u64>,
    sessions: Vec<SessionLine<'a>>,
}

pub fn run(args: &Args) -> Result<()> {
    let (reader, plan) = plan_of(args)?;
    let shown = Shown::new(args, &plan)?;
    let requests = requests_of(&reader, &plan, &shown)?;
    let view = View {
        plan: &plan,
        shown: &shown,
        requests: &requests,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Text => view.text(&mut |line| output::line(&mut out, line))?,
        Format::Json => {
            output::line(&mut out, &serde_json::to_string_pretty(&view.whole())?)?;
        }
        Format::Jsonl => {
            for position in shown.positions() {
                let line = serde_json::to_string(&view.line(position))?;
                if !output::line(&mut out, &line)? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

impl Args {
    fn reveal(&self, archive: &Path) -> Result<()> {
        self.audit.trail(archive).reveal(archive, Data::Plan)
    }
}

fn plan_of(args: &Args) -> Result<(Reader, Plan)> {
    if !args.source.is_dir() {
        let mut file = RunFile::read(&args.source)?;
        if args.bindings.is_some() {
            file.bindings.clone_from(&args.bindings);
        }
        let planned = plan_run(&file)?;
        args.reveal(&file.archive)?;
        return Ok(planned);
    }
    let reader = Reader::open(&args.source)
        .with_context(|| format!("opening the archive {}", args.source.display()))?;
    args.reveal(&args.source)?;
    let options = PlanOptions {
        bindings: match &args.bindings {
            Some(file) => bindings::read(file)?,
            None => Vec::new(),
        },
        explain: true,
        ..PlanOptions::default()
    };
    let plan = plan_archive(&reader, options);
    Ok((reader, plan))
}

/// Which requests are shown: in sessions, each in its order.
struct Shown {
    /// Positions of sessions, and of requests in them.
    sessions: Vec<(u32, Vec<u32>)>,
}

impl Shown {
    fn new(args: &Args, plan: &Plan) -> Result<Shown> {
        for name in &args.session {
            if !plan.sessions.iter().any(|session| session.id == *name) {
                bail!("there is no session {name}; `twintap sessions` lists them");
            }
        }
        let mut left = args.limit.unwrap_or(usize::MAX);
        let mut sessions = Vec::new();
        for (index, session) in (0..).zip(&plan.sessions) {
            let is_asked_for = args.session.is_empty() || args.session.contains(&session.id);
            if !is_asked_for || left == 0 {
                continue;
            }
            let requests: Vec<u32> = session.requests.iter().copied().take(left).collect();
            left -= requests.len();
            sessions.push((index, requests));
        }
        Ok(Shown { sessions })
    }

    fn positions(&self) -> impl Iterator<Item = u32> {
        self.sessions
            .iter()
            .flat_map(|(_, requests)| requests.iter().copied())
    }
}

/// Method and target of each request that is shown.
fn requests_of(reader: &Reader, plan: &Plan, shown: &Shown) -> Result<HashMap<u32, String>> {
    let mut wanted: HashMap<&ExchangeId, u32> = shown
        .positions()
        .map(|position| (&plan.requests[position as usize].exchange, position))
        .collect();
    let mut requests = HashMap::new();
    for stored in reader.exchanges().flatten() {
        if wanted.is_empty() {
            break;
        }
        if let Some(position) = wanted.remove(stored.id()) {
            let head = stored.exchange().request.head.as_ref();
            let words = head.map_or_else(
                || "a request that was not seen".to_owned(),
                |head| format!("{} {}", text(&head.method), text(&head.target)),
            );
            requests.insert(position, words);
        }
    }
    Ok(requests)
}

struct View<'a> {
    plan: &'a Plan,
    shown: &'a Shown,
    requests: &'a HashMap<u32, String>,
}

impl<'a> View<'a> {
    fn line(&self, position: u32) -> Line<'a> {
        let plan: &'a Plan = self.plan;
        let request: &'a PlannedRequest = &plan.requests[position as usize];
        let waits = request.waits.iter().map(|wait| WaitLine {
            request: wait.request,
            reason: wait.reason,
        });
        let bindings = request.bindings.iter().map(|binding| BindingLine {
            leaf: &binding.path,
            from_request: binding.producer,
            from_leaf: &binding.producer_path,
            reason: binding.reason.word(),
        });
        let within = request.within.iter().map(|value| BindingLine {
            leaf: &value.path,
            from_request: position,
            from_leaf: &value.producer_path,
            reason: "same_conversation",
        });
        let kept = request.kept.iter().map(|kept| KeptLine {
            leaf: &kept.path,
            reason: kept.reason,
        });
        Line {
            position,
            session: &plan.sessions[request.session as usize].id,
            exchange: request.exchange.to_string(),
            request: self.requests.get(&position).cloned().unwrap_or_default(),
            due_us: request.due_ns / 1000,
            skip: request.skip,
            missing: request.missing.as_deref(),
            waits: waits.collect(),
            bindings: bindings.chain(within).collect(),
            kept: kept.collect(),
        }
    }

    fn whole(&self) -> Whole<'a> {
        let sessions = self.shown.sessions.iter().map(|(index, requests)| {
            let session = &self.plan.sessions[*index as usize];
            SessionLine {
                id: &session.id,
                identity: session.identity,
                client: session.client.to_string(),
                began_before_capture: session.began_before_capture,
                created: self.created(*index).collect(),
                requests: requests
                    .iter()
                    .map(|&position| self.line(position))
                    .collect(),
            }
        });
        Whole {
            summary: self.plan.summary(),
            kept: kept_by_reason(self.plan),
            sessions: sessions.collect(),
        }
    }

    fn created(&self, session: u32) -> impl Iterator<Item = CreatedLine<'a>> + use<'a> {
        let plan: &'a Plan = self.plan;
        let of_session = plan
            .created
            .iter()
            .filter(move |created| created.session == session);
        of_session.map(|created| CreatedLine {
            kind: created.kind,
            places: created
                .places
                .iter()
                .map(|place| CreatedPlaceLine {
                    request: place.request,
                    leaf: &place.path,
                })
                .collect(),
        })
    }

    /// Hands lines to `put` until it says that nobody reads them.
    fn text(&self, put: &mut impl FnMut(&str) -> io::Result<bool>) -> io::Result<()> {
        for (index, requests) in &self.shown.sessions {
            let session = &self.plan.sessions[*index as usize];
            let began = match session.began_before_capture {
                true => ", began before the capture",
                false => "",
            };
            let head = format!(
                "session {} by {}, client {}, {} requests{began}",
                session.id,
                named(&session.identity),
                session.client,
                session.requests.len(),
            );
            if !put(&head)? {
                return Ok(());
            }
            for created in self.created(*index) {
                let places = created.places.iter();
                let places: Vec<String> = places
                    .map(|place| format!("{} {}", place.request, place.leaf))
                    .collect();
                let kind = match created.kind {
                    CreatedKind::Identity => "an identity",
                    CreatedKind::IdempotencyKey => "an idempotency key",
                };
                if !put(&format!("  creates {kind}: {}", places.join(", ")))? {
                    return Ok(());
                }
            }
            for &position in requests {
                for line in self.text_of(position) {
                    if !put(&line)? {
                        return Ok(());
                    }
                }
            }
        }
        for line in self.figures() {
            if !put(&line)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn text_of(&self, position: u32) -> Vec<String> {
        let line = self.line(position);
        let skip = match (line.skip, line.missing) {
            (Some(reason), Some(leaf)) => format!("  ({}: {leaf})", word(reason)),
            (Some(reason), None) => format!("  ({})", word(reason)),
            (None, _) => String::new(),
        };
        let due_ms = line.due_us as f64 / 1000.0;
        let request = output::cell(line.request.as_bytes(), 120);
        let mut lines = vec![format!("  {position} +{due_ms:.3}ms {request}{skip}")];
        lines.extend(line.waits.iter().map(|wait| {
            let reason = named(&wait.reason);
            format!("      waits for {} ({reason})", wait.request)
        }));
        lines.extend(line.bindings.iter().map(|bound| {
            format!(
                "      {} <- {} {} ({})",
                bound.leaf, bound.from_request, bound.from_leaf, bound.reason
            )
        }));
        let kept = line.kept.iter();
        lines.extend(kept.map(|kept| format!("      {} kept ({})", kept.leaf, kept.reason.word())));
        lines
    }

    fn figures(&self) -> Vec<String> {
        let summary = self.plan.summary();
        let mut lines = vec![format!(
            "{} requests in {} sessions, {} fired, {} values bound ({} across sessions)",
            summary.planned,
            self.plan.sessions.len(),
            summary.fired,
            summary.bindings,
            summary.cross_session_bindings,
        )];
        for (reason, count) in &summary.skipped {
            lines.push(format!("  {count} skipped as {}", word(*reason)));
        }
        for (leaf, count) in &summary.missing {
            lines.push(format!("    {count} for lack of {leaf}"));
        }
        for (reason, count) in kept_by_reason(self.plan) {
            lines.push(format!("  {count} values kept: {reason}"));
        }
        lines
    }
}

/// The word that JSON has for it.
fn named(word: &impl Serialize) -> String {
    let word = serde_json::to_value(word).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

fn word(reason: SkipReason) -> &'static str {
    crate::fire::outcome::skip_word(reason)
}

fn kept_by_reason(plan: &Plan) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for kept in plan.requests.iter().flat_map(|request| &request.kept) {
        *counts.entry(kept.reason.word()).or_default() += 1;
    }
    counts
}
