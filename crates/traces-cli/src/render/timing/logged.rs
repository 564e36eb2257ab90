//! What logs tell of requests that are not recorded, and of their server.

use std::borrow::Cow;

use anyclaude_traces::Request;
use anyclaude_traces::analysis::timing::TimingReport;
use anyclaude_traces::formats::backend::BackendFormat;
use anyclaude_traces::model::timing::Confidence;
use anyclaude_traces::recording::join::{ServerLog, UnmatchedLogRequest};

use super::cut::cut_prompts;
use super::{Models, outcome_name};
use crate::render::columns::{Columns, Usual};
use crate::render::table::{Grid, number, text};
use crate::render::times;
use crate::render::units::{self, UNKNOWN};

/// The columns that requests of a debug log have anyway, by the names that recorded ones have.
const SHOWN_OF_PROXY: &[&str] =
    &["timing.start", "model", "timing.ttft_ms", "timing.total_ms", "timing.outcome"];

/// What the proxy's logs tell of that is none of the recorded requests.
pub(super) fn unmatched(report: &TimingReport, columns: &Columns, models: Models) -> Grid {
    let titles = vec![
        text("LOGGED WITHOUT TRACE", 0),
        models.column(2),
        number("TTFT", 1),
        number("TOTAL", 0),
        text("OUTCOME", 0),
    ];
    let cells = |unmatched: &UnmatchedLogRequest| {
        let timing = &unmatched.timing;
        [
            units::stamp(timing.start),
            unmatched.model.as_deref().unwrap_or(UNKNOWN).to_owned(),
            units::ms(timing.ttft_ms.get()),
            units::ms(timing.total_ms.get()),
            timing.outcome.map_or(UNKNOWN, outcome_name).to_owned(),
        ]
    };
    let rows = report.unmatched_log_requests.iter().filter(|unmatched| unmatched.log.is_none());
    columns.grid(rows, Usual { columns: titles, shown: SHOWN_OF_PROXY, cells, empty: &[] })
}

/// The same of what a server's log tells of.
const SHOWN_OF_SERVER: &[&str] = &[
    "timing.start",
    "model",
    "timing.wall_ms",
    "timing.total_ms",
    "timing.load_ms",
    "timing.queue_ms",
    "timing.read_ms",
    "timing.write_ms",
    "timing.prompt_tokens",
    "timing.cached_tokens",
    "timing.read_tokens",
    "timing.output_tokens",
    "timing.outcome",
];

/// What servers' logs tell of that is none of the recorded requests.
pub(super) fn tasks(report: &TimingReport, columns: &Columns, models: Models) -> Grid {
    let titles = vec![
        text("IN THE SERVER'S LOG", 0),
        models.column(4),
        number("WAIT", 1),
        number("LOAD", 1),
        number("QUEUE", 1),
        number("READ", 0),
        number("WRITE", 0),
        number("PROMPT", 0),
        number("CACHED", 0),
        number("READ TOKENS", 3),
        number("OUT", 0),
        number("READ TOK/S", 2),
        number("WRITE TOK/S", 2),
        text("OUTCOME", 5),
    ];
    let rows = report.unmatched_log_requests.iter().filter(|unmatched| unmatched.log.is_some());
    let empty = &[UNKNOWN, times::NOTHING];
    columns.grid(rows, Usual { columns: titles, shown: SHOWN_OF_SERVER, cells: cells_of_task, empty })
}

/// Cells without a figure of their own take no memory: a log may have very many tasks.
fn cells_of_task(task: &UnmatchedLogRequest) -> [Cow<'_, str>; 14] {
    let shown = |text: Option<String>| text.map_or(Cow::Borrowed(UNKNOWN), Cow::Owned);
    let ms = |ms: Option<u64>| shown(ms.map(|ms| units::ms(Some(ms))));
    let tokens = |tokens: Option<u64>| shown(tokens.map(units::tokens));
    let speed = |speed: Option<f64>| shown(speed.map(|speed| units::per_second(Some(speed))));
    let timing = &task.timing;
    let outcome = timing.outcome.map_or(UNKNOWN, outcome_name);
    let is_ambiguous = task.confidence == Confidence::Ambiguous;
    [
        shown(timing.start.map(|start| units::stamp(Some(start)))),
        Cow::Borrowed(task.model.as_deref().unwrap_or(UNKNOWN)),
        ms(timing.total_ms.get()),
        ms(timing.load_ms.get()),
        ms(timing.queue_ms.get()),
        ms(timing.read_ms.get()),
        ms(timing.write_ms.get()),
        tokens(timing.prompt_tokens.get()),
        tokens(timing.cached_tokens.get()),
        tokens(timing.read_tokens.get()),
        tokens(timing.output_tokens.get()),
        speed(timing.read_tokens_per_second()),
        speed(timing.write_tokens_per_second()),
        if is_ambiguous { Cow::Owned(format!("{outcome} (ambiguous)")) } else { Cow::Borrowed(outcome) },
    ]
}

/// What a server's log tells besides its requests.
pub(super) fn server_log(log: &ServerLog, report: &TimingReport) -> String {
    let format = match log.format {
        BackendFormat::LmStudio => "LM Studio",
        BackendFormat::LlamaServer => "llama-server",
        BackendFormat::Ollama => "Ollama",
        _ => "a server",
    };
    let mut said = match &log.repeats {
        Some(repeats) if log.requests == 0 => {
            let requests = units::count(repeats.requests, "request");
            return format!(
                "{} ({format}): {requests} that {} has too, with finer times.",
                log.log, repeats.log
            );
        }
        Some(repeats) => vec![
            units::count(log.requests, "request"),
            format!("{} more that {} has too, with finer times", repeats.requests, repeats.log),
        ],
        None => vec![units::count(log.requests, "request")],
    };
    if log.joined > 0 {
        said.push(format!("{} found in the recording", log.joined));
    }
    if log.ambiguous > 0 {
        said.push(format!("{} that could be others", log.ambiguous));
    }
    if !log.loads.is_empty() {
        let took: Vec<String> =
            log.loads.iter().filter_map(|load| load.load_ms).map(|ms| units::ms(Some(ms))).collect();
        let took = if took.is_empty() { String::new() } else { format!(" ({})", took.join(", ")) };
        said.push(format!("{}{took}", units::count(log.loads.len() as u64, "load")));
    }
    if log.evictions > 0 {
        said.push(format!("{} that took the slot of another prompt", log.evictions));
    }
    said.extend(cut_prompts(&log.truncations));
    if log.unreadable_lines > 0 {
        said.push(units::count(log.unreadable_lines, "unreadable line"));
    }
    let clock = clock(log, report).unwrap_or_default();
    format!("{} ({format}): {}.{clock}", log.log, said.join(", "))
}

/// A clock that is less far from another is set as well as clocks are, and read as exactly as
/// stamps of whole seconds allow.
const SAME_CLOCK_MS: u64 = 3_000;

/// Which zone the times of a log are of, where that is not the machine's own, and how wrong its
/// clock is.
fn clock(log: &ServerLog, report: &TimingReport) -> Option<String> {
    let zone = log.utc_offset_s.filter(|ahead_s| !is_of_this_machine(*ahead_s, log, report));
    let zone = zone.map(|ahead_s| format!("times are those of {}", units::zone(ahead_s)));
    let wrong = log.clock_offset_ms.filter(|ms| ms.unsigned_abs() > SAME_CLOCK_MS);
    let wrong = wrong.map(|ms| {
        let whole_seconds = ms.unsigned_abs().saturating_add(500) / 1_000 * 1_000;
        let how = if ms > 0 { "ahead of" } else { "behind" };
        format!("clock is {} {how} that of the recording", units::ms(Some(whole_seconds)))
    });
    let said: Vec<String> = zone.into_iter().chain(wrong).collect();
    (!said.is_empty()).then(|| format!(" Its {}.", said.join(", and its ")))
}

/// Whether local time on this machine was as far ahead of UTC when any of the log's requests came.
fn is_of_this_machine(ahead_s: i64, log: &ServerLog, report: &TimingReport) -> bool {
    let is_joined = |request: &&Request| request.server_join.as_ref().is_some_and(|join| join.log == log.log);
    let joined = report.requests.iter().filter(is_joined).filter_map(|request| request.timestamp);
    let mut stamps = joined.chain(report.scope.from).chain(report.scope.to);
    stamps.any(|stamp| units::ahead_of_utc_s(stamp) == ahead_s)
}
