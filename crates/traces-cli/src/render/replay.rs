//! Renders the page of `traces replay`.

use lmstudio_replay::{Cache, ChunkGap, Comparison, Figures, Replay, Run, Verdict};

use super::page::Page;
use super::table::{Grid, number, text};
use super::units::{self, UNKNOWN};

pub(crate) fn page(replay: &Replay) -> Page {
    let mut page = Page::default();
    let verdict = verdict(replay);
    if let Some(headline) = verdict.map(str::to_owned).or_else(|| measured(replay)) {
        page.strong(headline + &failures(replay));
    }
    page.line(replay.path.clone().unwrap_or_default());
    page.line(facts(replay));
    if let Some(left_out) = left_out(replay) {
        page.line(left_out);
    }
    page.table(runs(replay));
    match measured_runs(replay) {
        2 => page.line("Medians are by nearest rank: of two figures, the smaller."),
        n if n > 0 && n % 2 == 0 => {
            page.line("Medians are by nearest rank: of the middle two figures, the smaller.");
        }
        _ => {}
    }
    if replay.cache == Cache::AsIs && replay.runs.len() > 1 {
        page.line(
            "From run 2 on the prompt cache may hold the prompt: --cold or --warm make runs comparable.",
        );
    }
    match &replay.comparison {
        Some(comparison) => {
            page.table(sides(replay, comparison));
            if verdict.is_none() {
                page.line(&comparison.headline);
            }
        }
        None => page.line("No log says how long this request took through the proxy."),
    }
    for (at, run) in replay.runs.iter().enumerate() {
        if let Some(text) = &run.text {
            page.block(format!("── answer of run {} ──\n{text}", at + 1));
        }
    }
    page
}

/// Where the time goes, if this replay decides it.
fn verdict(replay: &Replay) -> Option<&str> {
    let decided = replay.comparison.as_ref().filter(|found| found.verdict != Verdict::Undetermined);
    decided.map(|found| found.headline.as_str())
}

/// What was measured, in one sentence.
fn measured(replay: &Replay) -> Option<String> {
    let Figures { ttft_ms, total_ms, output_tokens_per_second, .. } = replay.median;
    let speed = output_tokens_per_second.map(|speed| format!("{} tokens/s", units::per_second(Some(speed))));
    let (verb, whole_ms) = match total_ms {
        Some(total_ms) => ("takes", total_ms),
        None => ("begins to answer after", ttft_ms?),
    };
    let to_first =
        total_ms.and(ttft_ms).map(|ttft| format!("{} to the first token", units::precise_ms(ttft)));
    let parts: Vec<String> = to_first.into_iter().chain(speed).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", then ")) };
    let has_figure = |run: &&Run| total_ms.map_or(run.figures.ttft_ms, |_| run.figures.total_ms).is_some();
    let of = match replay.runs.iter().filter(has_figure).count() {
        0 | 1 => String::new(),
        n => format!(" (median of {n} runs)"),
    };
    let whole = units::precise_ms(whole_ms);
    Some(format!("{} {verb} {whole} straight to the server{parts}{of}.", replay.model))
}

/// How many runs failed, as a further sentence.
fn failures(replay: &Replay) -> String {
    match (replay.runs.iter().filter(|run| run.error.is_some()).count(), replay.runs.len()) {
        (0, _) => String::new(),
        (_, 1) => " It failed before its end.".to_owned(),
        (failed, runs) => format!(" {failed} of {runs} runs failed."),
    }
}

/// Runs that have a part in the medians, where there are several.
fn measured_runs(replay: &Replay) -> usize {
    let is_measured = |run: &&Run| run.figures.ttft_ms.or(run.figures.total_ms).is_some();
    let n = replay.runs.iter().filter(is_measured).count();
    if n > 1 { n } else { 0 }
}

fn facts(replay: &Replay) -> String {
    let cache = match replay.cache {
        Cache::Cold => "cold: no prompt cache helped",
        Cache::Warm => "warm: the prompt cache held the prompt",
        Cache::AsIs => "prompt cache as it was",
    };
    let limit = units::count(replay.max_tokens, "token");
    format!("{}{} · {} · at most {limit} · {cache}", replay.url, replay.api.path(), replay.model)
}

fn left_out(replay: &Replay) -> Option<String> {
    let parts: Vec<String> = replay.left_out.iter().map(|left| format!("{} {}", left.n, left.what)).collect();
    (!parts.is_empty()).then(|| format!("Left out, as this API cannot express it: {}.", parts.join(", ")))
}

/// Milliseconds; with one decimal below 10.
fn ms(ms: Option<f64>) -> String {
    ms.map_or_else(|| UNKNOWN.to_owned(), units::precise_ms)
}

fn tokens(n: Option<u64>) -> String {
    n.map_or_else(|| UNKNOWN.to_owned(), |n| n.to_string())
}

fn runs(replay: &Replay) -> Grid {
    let mut grid = Grid::new([
        text("RUN", 0),
        number("TTFT", 0),
        number("TTFO", 3),
        number("TOTAL", 0),
        number("PROMPT", 1),
        number("CACHED", 1),
        number("OUT", 1),
        number("TOK/S", 0),
        number("GAP P50", 4),
        number("GAP P95", 4),
        number("GAP MAX", 4),
        text("STOPPED", 2),
    ]);
    for (at, run) in replay.runs.iter().enumerate() {
        let failed = run.error.as_ref().map(|_| "failed".to_owned());
        let stopped = failed.or_else(|| run.stop_reason.clone());
        grid.row(row((at + 1).to_string(), &run.figures, stopped));
    }
    if replay.runs.len() > 1 {
        grid.row(row("median".to_owned(), &replay.median, Some(String::new())));
    }
    grid.without_empty(&[UNKNOWN, ""])
}

fn row(name: String, figures: &Figures, stopped: Option<String>) -> [String; 12] {
    let gap = |figure: fn(ChunkGap) -> f64| ms(figures.chunk_gap_ms.map(figure));
    [
        name,
        ms(figures.ttft_ms),
        ms(figures.ttfo_ms),
        ms(figures.total_ms),
        tokens(figures.prompt_tokens),
        tokens(figures.cached_tokens),
        tokens(figures.output_tokens),
        units::per_second(figures.output_tokens_per_second),
        gap(|gap| gap.p50),
        gap(|gap| gap.p95),
        gap(|gap| gap.max),
        stopped.unwrap_or_else(|| UNKNOWN.to_owned()),
    ]
}

/// The proxy and the direct request, side by side.
fn sides(replay: &Replay, comparison: &Comparison) -> Grid {
    let mut grid = Grid::new([
        text("", 0),
        number("PROXY", 3),
        number("TTFT", 0),
        number("TOTAL", 0),
        number("OUT", 2),
        number("TOK/S", 1),
        number("SAME ANSWER", 0),
    ]);
    let (proxied, direct) = (&comparison.proxied, &replay.median);
    grid.row([
        "through the proxy".to_owned(),
        units::ms(proxied.proxy_ms),
        units::ms(proxied.ttft_ms),
        units::ms(proxied.total_ms),
        tokens(proxied.output_tokens),
        units::per_second(proxied.output_tokens_per_second),
        ms(comparison.proxied_ms),
    ]);
    grid.row([
        "direct".to_owned(),
        UNKNOWN.to_owned(),
        ms(direct.ttft_ms),
        ms(direct.total_ms),
        tokens(direct.output_tokens),
        units::per_second(direct.output_tokens_per_second),
        ms(comparison.direct_ms),
    ]);
    grid
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn replay(runs: &[Value], median: &Value) -> Replay {
        let whole = json!({
            "path": null, "url": "http://127.0.0.1:1", "api": "anthropic", "model": "m", "cache": "cold",
            "max_tokens": 1, "left_out": [], "runs": runs, "median": median, "interrupted": false,
            "comparison": null,
        });
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn one_sentence_has_what_was_measured() {
        let said = |runs: &[Value], median: &Value| {
            let replay = replay(runs, median);
            measured(&replay).map(|sentence| sentence + &failures(&replay))
        };
        let whole = json!({ "ttft_ms": 1200.0, "total_ms": 3400.0, "output_tokens_per_second": 24.5 });
        assert_eq!(
            said(std::slice::from_ref(&whole), &whole).as_deref(),
            Some("m takes 3.4 s straight to the server: 1.2 s to the first token, then 24.5 tokens/s.")
        );
        let first_only = json!({ "ttft_ms": 1200.0, "error": "it broke" });
        assert_eq!(
            said(std::slice::from_ref(&first_only), &first_only).as_deref(),
            Some("m begins to answer after 1.2 s straight to the server. It failed before its end.")
        );
        let two = [whole.clone(), first_only.clone(), json!({ "total_ms": 3500.0 })];
        assert_eq!(
            said(&two, &json!({ "total_ms": 3400.0 })).as_deref(),
            Some("m takes 3.4 s straight to the server (median of 2 runs). 1 of 3 runs failed.")
        );
        assert_eq!(said(&[json!({ "error": "it broke" })], &json!({})), None);
    }
}
