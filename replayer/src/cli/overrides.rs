//! Flags that change what a run file says.

use std::str::FromStr;

use anyhow::Result;
use clap::ValueEnum;
use twintap_plan::{FilterProtocol, Pace};

use crate::fire::WireForm;
use crate::run::RunFile;
use crate::run::file::{FilterSettings, Rate, Repeats, Settings, Threads, Times};
use crate::run::shell::quoted;
use crate::run::values::{Instant, Span, Speed};

/// What the command line says of a run, in place of its file.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "In place of what the run file says")]
pub struct Overrides {
    /// How many times faster than recorded, from 0.1 to 100.
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    speed: Option<Speed>,
    /// Requests a second, in the mean, in place of a speed.
    #[arg(long, value_name = "N", value_parser = rate, conflicts_with = "speed")]
    rate: Option<Rate>,
    /// When requests are due: as recorded, at once, or a think time after answers.
    #[arg(long, value_enum)]
    pace: Option<PaceFlag>,
    /// How often each session is there.
    #[arg(long, value_name = "N", value_parser = times)]
    scale: Option<Times>,
    /// In which form requests of HTTP/1 go out: byte for byte, or what is irregular made
    /// regular.
    #[arg(long, value_enum)]
    wire: Option<WireFlag>,
    /// How often the whole is gone through: a number, or `forever`, until the run is stopped.
    #[arg(long = "loop", value_name = "N")]
    rounds: Option<Repeats>,
    /// Fires the first span, and does not judge it.
    #[arg(long, value_name = "SPAN")]
    warm_up: Option<Span>,
    /// Lets the rate rise for a span, linearly, from nothing.
    #[arg(long, value_name = "SPAN")]
    ramp: Option<Span>,
    /// The first instant of the recording that is fired, RFC 3339.
    #[arg(long, value_name = "INSTANT")]
    from: Option<Instant>,
    /// The first instant that is fired no longer, RFC 3339.
    #[arg(long, value_name = "INSTANT")]
    to: Option<Instant>,
    /// What is fired: `method=GET`, `path=/api`, `session=NAME` or
    /// `protocol=http1|http2|grpc|websocket|redis|postgres|mysql`. Several of one kind mean any of them,
    /// several kinds mean all of them.
    #[arg(long, value_name = "KIND=VALUE")]
    filter: Vec<FilterFlag>,
    /// Requests in flight at one twin at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: Option<u32>,
    /// Threads that fire: 1 for both twins, or 2, one for each.
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<Threads>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PaceFlag {
    Recorded,
    Asap,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WireFlag {
    Exact,
    Clean,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum FilterFlag {
    Method(String),
    Path(String),
    Session(String),
    Protocol(FilterProtocol),
}

impl Overrides {
    /// Changes the file.
    ///
    /// # Errors
    /// When it contradicts itself then.
    pub fn apply(&self, file: &mut RunFile) -> Result<()> {
        file.change(&self.load_text(), &self.other_text(), |settings| {
            self.change(settings);
        })
    }

    fn change(&self, settings: &mut Settings) {
        // Each says how fast the run is, and the command line has the last word.
        if self.speed.is_some() || self.rate.is_some() {
            settings.speed = self.speed;
            settings.rate = self.rate;
        }
        if let Some(pace) = self.pace {
            settings.pace = match pace {
                PaceFlag::Recorded => Pace::Recorded,
                PaceFlag::Asap => Pace::Asap,
                PaceFlag::Closed => Pace::Closed,
            };
        }
        let form = |wire| match wire {
            WireFlag::Exact => WireForm::Exact,
            WireFlag::Clean => WireForm::Clean,
        };
        set(&mut settings.wire, self.wire.map(form));
        set(&mut settings.scale, self.scale);
        set(&mut settings.rounds, self.rounds);
        set(&mut settings.warm_up, self.warm_up);
        set(&mut settings.ramp, self.ramp);
        if let Some(limit) = self.in_flight {
            settings.limits.in_flight = Some(limit as usize);
        }
        if self.threads.is_some() {
            settings.limits.threads = self.threads;
        }
        self.change_filter(&mut settings.filter);
    }

    fn change_filter(&self, filter: &mut FilterSettings) {
        let FilterSettings {
            methods,
            path_prefixes,
            sessions,
            protocols,
            ..
        } = self.filters();
        let replace = |own: &mut Vec<String>, given: Vec<String>| {
            if !given.is_empty() {
                *own = given;
            }
        };
        replace(&mut filter.methods, methods);
        replace(&mut filter.path_prefixes, path_prefixes);
        replace(&mut filter.sessions, sessions);
        if !protocols.is_empty() {
            filter.protocols = protocols;
        }
        filter.from = self.from.or(filter.from);
        filter.to = self.to.or(filter.to);
    }

    fn filters(&self) -> FilterSettings {
        let mut filters = FilterSettings::default();
        for flag in &self.filter {
            match flag.clone() {
                FilterFlag::Method(method) => filters.methods.push(method),
                FilterFlag::Path(path) => filters.path_prefixes.push(path),
                FilterFlag::Session(session) => filters.sessions.push(session),
                FilterFlag::Protocol(protocol) => filters.protocols.push(protocol),
            }
        }
        filters
    }

    /// The flags of load as they would be given again.
    fn load_text(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        let mut add = |flag: &str, value| words.extend(given(flag, value));
        add("speed", self.speed.map(|speed| speed.0.to_string()));
        add("rate", self.rate.map(|rate| rate.0.to_string()));
        let pace = self.pace.and_then(|pace| pace.to_possible_value());
        add("pace", pace.map(|pace| pace.get_name().to_owned()));
        add("scale", self.scale.map(|scale| scale.get().to_string()));
        add("loop", self.rounds.map(|rounds| rounds.to_string()));
        add("warm-up", self.warm_up.map(|span| span.to_string()));
        add("ramp", self.ramp.map(|span| span.to_string()));
        words.join(" ")
    }

    /// The others.
    fn other_text(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        let mut add = |flag: &str, value| words.extend(given(flag, value));
        let wire = self.wire.and_then(|wire| wire.to_possible_value());
        add("wire", wire.map(|wire| wire.get_name().to_owned()));
        add("from", self.from.map(|instant| instant.to_string()));
        add("to", self.to.map(|instant| instant.to_string()));
        for filter in &self.filter {
            add("filter", Some(filter.text()));
        }
        add("in-flight", self.in_flight.map(|limit| limit.to_string()));
        add(
            "threads",
            self.threads.map(|threads| threads.get().to_string()),
        );
        words.join(" ")
    }
}

/// A flag as it would be given again, where it was.
fn given(flag: &str, value: Option<String>) -> Option<String> {
    value.map(|value| format!("--{flag} {}", quoted(&value)))
}

fn set<T>(own: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *own = given;
    }
}

fn threads(text: &str) -> Result<Threads, String> {
    let threads: u64 = text
        .parse()
        .map_err(|_| format!("{text:?} is no number of threads"))?;
    threads.try_into()
}

fn speed(text: &str) -> Result<Speed, String> {
    number(text)?.try_into()
}

fn rate(text: &str) -> Result<Rate, String> {
    number(text)?.try_into()
}

fn times(text: &str) -> Result<Times, String> {
    let times: u64 = text
        .parse()
        .map_err(|_| format!("{text:?} is no number of times"))?;
    times.try_into()
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

/// The protocols that a filter knows.
const PROTOCOLS: [(&str, FilterProtocol); 7] = [
    ("http1", FilterProtocol::Http1),
    ("http2", FilterProtocol::Http2),
    ("grpc", FilterProtocol::Grpc),
    ("websocket", FilterProtocol::Websocket),
    ("redis", FilterProtocol::Redis),
    ("postgres", FilterProtocol::Postgres),
    ("mysql", FilterProtocol::Mysql),
];

impl FromStr for FilterFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<FilterFlag, String> {
        let (kind, value) = text.split_once('=').unwrap_or((text, ""));
        if value.is_empty() {
            return Err(format!(
                "{text:?} is no filter; write `method=GET`, `path=/api`, `session=NAME` or \
                 `protocol=grpc`"
            ));
        }
        let value = value.to_owned();
        match kind {
            "method" => Ok(FilterFlag::Method(value)),
            "path" => Ok(FilterFlag::Path(value)),
            "session" => Ok(FilterFlag::Session(value)),
            "protocol" => PROTOCOLS
                .iter()
                .find(|(name, _)| *name == value)
                .map(|(_, protocol)| FilterFlag::Protocol(*protocol))
                .ok_or_else(|| {
                    let names = PROTOCOLS.map(|(name, _)| name).join(", ");
                    format!("{value:?} is no protocol; they are {names}")
                }),
            _ => Err(format!(
                "{kind:?} is nothing to filter by; it must be method, path, session or protocol"
            )),
        }
    }
}

impl FilterFlag {
    fn text(&self) -> String {
        match self {
            FilterFlag::Method(method) => format!("method={method}"),
            FilterFlag::Path(path) => format!("path={path}"),
            FilterFlag::Session(session) => format!("session={session}"),
            FilterFlag::Protocol(protocol) => {
                let name = PROTOCOLS.iter().find(|(_, known)| known == protocol);
                format!("protocol={}", name.map_or("", |(name, _)| name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        overrides: Overrides,
    }

    fn parse(line: &str) -> Result<Overrides, clap::Error> {
        let words = std::iter::once("twintap").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.overrides)
    }

    fn file() -> RunFile {
        let text = "version: 1\nallow: []\nspeed: 2\nfilter: {methods: [PUT], path_prefixes: [/a]}\n\
            targets:\n  candidate: {address: 'a:1'}\n  baseline: {address: 'b:1'}\n";
        RunFile::for_daemon(text, Path::new("archive"), Path::new("out")).expect("a sound run file")
    }

    #[test]
    fn every_flag_changes_its_key_and_can_be_given_again() {
        let line = "--rate 5 --pace recorded --scale 3 --loop 2 --wire clean --warm-up 30s --ramp 1m \
            --from 2026-01-31T12:00:00Z --to 2026-01-31T13:00:00Z --filter method=GET \
            --filter method=HEAD --filter session=s-1 --filter protocol=grpc --in-flight 9 \
            --threads 1";
        let overrides = parse(line).expect("sound flags");
        let mut file = file();
        overrides.apply(&mut file).expect("no contradiction");
        let settings = &file.settings;
        assert_eq!((settings.speed, settings.rate), (None, Some(Rate(5.0))));
        assert_eq!(settings.scale.get(), 3);
        assert_eq!(settings.rounds.to_string(), "2");
        assert_eq!(settings.wire, WireForm::Clean);
        assert_eq!(settings.warm_up.0.as_secs(), 30);
        assert_eq!(settings.ramp.0.as_secs(), 60);
        assert_eq!(settings.limits.in_flight, Some(9));
        assert_eq!(settings.limits.threads.map(Threads::get), Some(1));
        let filter = &settings.filter;
        assert_eq!(filter.methods, ["GET", "HEAD"]);
        assert_eq!(filter.path_prefixes, ["/a"]);
        assert_eq!(filter.sessions, ["s-1"]);
        assert_eq!(filter.protocols, [FilterProtocol::Grpc]);
        assert!(filter.from < filter.to && filter.from.is_some());

        let texts = [overrides.load_text(), overrides.other_text()];
        let again = texts.join(" ");
        assert!(file.reproduce.ends_with(&again), "{}", file.reproduce);
        let given = parse(&again).expect("what was given");
        assert_eq!([given.load_text(), given.other_text()], texts);
        assert_eq!(given.warm_up, overrides.warm_up);
        assert_eq!(given.from, overrides.from);
    }

    #[test]
    fn without_flags_nothing_changes() {
        let mut file = file();
        let before = file.clone();
        Overrides::default()
            .apply(&mut file)
            .expect("no contradiction");
        assert_eq!(file, before);
    }

    #[track_caller]
    fn check_error(line: &str, expected: &str) {
        let error = parse(line).expect_err("wrong flags").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn wrong_flags_say_what_would_be_right() {
        check_error("--speed 0.05", "from 0.1 to 100");
        check_error("--speed 101", "from 0.1 to 100");
        check_error("--speed fast", "is no number");
        check_error("--rate 0", "above 0");
        check_error("--rate 5 --speed 2", "cannot be used with");
        check_error("--scale 0", "1 or more");
        check_error("--warm-up 30", "write `500ms`");
        check_error("--from yesterday", "2026-01-31T12:00:00Z");
        check_error("--filter GET", "write `method=GET`");
        check_error(
            "--filter verb=GET",
            "must be method, path, session or protocol",
        );
        check_error(
            "--filter protocol=spdy",
            "http1, http2, grpc, websocket, redis, postgres, mysql",
        );
        check_error("--in-flight 0", "1..");
        check_error("--pace slow", "recorded");
    }
}
