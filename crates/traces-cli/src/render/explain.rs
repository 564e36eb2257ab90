//! The page of `traces explain`: headline, bars, evidence and advice on one screen.

use anyclaude_traces::analysis::explain::{Cause, Contribution, Explanation, VerdictConfidence};
use anyclaude_traces::model::measure::{Unit, Value};

use super::page::Page;
use super::table::{Grid, number, text};
use super::units;

/// How long the longest bar is.
const BAR_WIDTH: u64 = 24;

/// With `on_one_screen`, only the first piece of advice is shown, and what is missing only
/// where the confidence is low.
pub(crate) fn page(found: &Explanation, on_one_screen: bool) -> Page {
    let mut page = Page::default();
    page.line(format!("{}.", found.verdict.headline.trim_end_matches('.')));
    page.line(basis(found));
    page.table(bars(found));
    for evidence in &found.evidence {
        page.line(evidence.sentence.as_str());
    }
    let is_sure = found.verdict.confidence.is_some_and(|confidence| confidence > VerdictConfidence::Low);
    for (label, sentences, most) in
        [("Advice", &found.advice, 1), ("Missing", &found.missing, usize::from(!is_sure))]
    {
        let shown = if on_one_screen { most } else { sentences.len() };
        for sentence in sentences.iter().take(shown) {
            page.line(format!("{label}: {sentence}"));
        }
    }
    page
}

/// Scenario, how sure it is, and what was compared.
pub(crate) fn basis(found: &Explanation) -> String {
    let what = if found.paired {
        units::count(found.n, "pair") + " with the same prompt"
    } else {
        format!("groups of {} and {} requests", found.left.requests, found.right.requests)
    };
    let sure = found.verdict.confidence.map(|confidence| match confidence {
        VerdictConfidence::High => ", confidence high",
        VerdictConfidence::Medium => ", confidence medium",
        _ => ", confidence low",
    });
    let left_out: u64 = found.left_out.iter().map(|left_out| left_out.n).sum();
    let left_out = match left_out {
        0 => String::new(),
        n => format!(" · {n} left out"),
    };
    format!("Scenario {}{} · {what}{left_out}", found.verdict.scenario, sure.unwrap_or_default())
}

fn bars(found: &Explanation) -> Grid {
    let title = if found.delta_ms.is_some_and(|delta| delta.as_f64() < 0.0) {
        "LEFT LOSES TO"
    } else {
        "RIGHT LOSES TO"
    };
    let mut grid = Grid::new([text(title, 0), number("TIME", 0), number("SHARE", 1), text("", 0)]);
    let most =
        found.contributions.iter().filter_map(|one| one.ms).map(|ms| ms.as_f64().abs()).fold(0.0, f64::max);
    for contribution in &found.contributions {
        grid.row([
            name(contribution.cause).to_owned(),
            contribution.ms.map_or_else(
                || units::UNKNOWN.to_owned(),
                |ms| units::delta(Value::Rate(ms.as_f64()), Unit::Ms),
            ),
            contribution.share.map_or_else(|| units::UNKNOWN.to_owned(), units::percent),
            bar(contribution, most),
        ]);
    }
    if let Some(delta) = found.delta_ms {
        let blank = String::new;
        grid.row([
            "together".to_owned(),
            units::delta(Value::Rate(delta.as_f64()), Unit::Ms),
            blank(),
            blank(),
        ]);
    }
    grid
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and bars are of sizes"
)]
fn bar(contribution: &Contribution, most: f64) -> String {
    let size = contribution.ms.map_or(0.0, |ms| ms.as_f64().abs());
    units::bar((size * 1000.0) as u64, (most * 1000.0) as u64, BAR_WIDTH)
}

/// What a cause is called.
pub(crate) fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::Proxy => "proxy",
        Cause::PromptSize => "prompt size",
        Cause::PromptProcessingSpeed => "prompt processing speed",
        Cause::OutputLength => "output length",
        Cause::GenerationSpeed => "generation speed",
        _ => "prefix cache",
    }
}
