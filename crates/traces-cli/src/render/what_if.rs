//! The page of `traces explain` where something is to be different: what a turn would take.

use anyclaude_traces::analysis::what_if::{
    CacheState, Change, ColdRead, PredictedModel, PredictedTurns, WhatIf,
};
use anyclaude_traces::findings::Setting;
use anyclaude_traces::model::eligibility::LeftOut;
use anyclaude_traces::model::measure::{Unit, Value};

use super::page::Page;
use super::table::{Grid, number, text};
use super::units::{self, UNKNOWN};

/// How many removed tools are named.
const MOST_TOOLS: usize = 6;

/// `explain` is the command that shows where the measured time goes.
pub(crate) fn page(found: &WhatIf, explain: &str) -> Page {
    let mut page = Page::default();
    for model in &found.models {
        page.strong(headline(model, &found.change));
    }
    if found.models.is_empty() {
        page.strong("No turn has a known time and known tokens, so that nothing can be predicted.");
    }
    page.table(turns(found));
    for model in &found.models {
        if let Some(line) = model.cold_read.as_ref().and_then(|read| cold_read(model, read)) {
            page.line(line);
        }
    }
    if let Some(tools) = tools(found) {
        page.line(tools);
    }
    page.line(cache(found));
    page_left_out(&mut page, found);
    if !found.settings.is_empty() || !found.remedies.is_empty() {
        page.heading("What does it");
    }
    for setting in &found.settings {
        page.item("→", setting_line(setting));
    }
    for remedy in &found.remedies {
        page.item("→", remedy.to_string());
    }
    page.hint("Where the measured time goes:", explain);
    page
}

/// Says in one line how many requests took no part, and why.
fn page_left_out(page: &mut Page, found: &WhatIf) {
    let why = |one: &LeftOut| format!("{} ({})", one.n, super::explain::left_out(one.reason));
    let whys: Vec<String> = found.left_out.iter().map(why).collect();
    if !whys.is_empty() {
        page.line(format!("Requests without a prediction: {}.", whys.join(", ")));
    }
}

/// `FILE: KEY = VALUE`.
pub(crate) fn setting_line(setting: &Setting) -> String {
    // Blanks, where a line may be broken.
    let value = serde_json::to_string(&setting.value).unwrap_or_default().replace("\",\"", "\", \"");
    format!("{}: {} = {value}", setting.file, setting.key)
}

/// The answer in one sentence.
fn headline(model: &PredictedModel, change: &Change) -> String {
    let name = name(model);
    let Some(all) = model.turns.last() else { return format!("{name}: no turn can be predicted.") };
    let Some((predicted, saved)) = all.predicted_ms.zip(all.saved_ms) else {
        return format!("{name}: its reading speed is unknown, so that no time can be predicted.");
    };
    let (measured, predicted) = (ms(Some(all.measured_ms)), ms(Some(predicted)));
    let with = words(change);
    // Half of a percent is less than any of these figures is sure of.
    if saved.abs() < all.measured_ms * 0.005 {
        return format!("{name} would take as long {with}: {measured} a turn.");
    }
    format!("{name} would take {predicted} a turn {with}, instead of {measured}: {}.", change_of(all))
}

/// `without 9 tools and the billing header, with 4 cache slots`.
fn words(change: &Change) -> String {
    let mut without = Vec::new();
    let count = |names: &[String], noun: &str| match names {
        [one] => one.clone(),
        names => units::count(names.len() as u64, noun),
    };
    if !change.without_tools.is_empty() {
        without.push(count(&change.without_tools, "tool"));
    }
    if !change.without_servers.is_empty() {
        without.push(format!("the tools of {}", count(&change.without_servers, "MCP server")));
    }
    if change.no_header {
        without.push("the billing header".to_owned());
    }
    let slots = change.slots.map(|slots| format!("with {}", units::count(slots.get() as u64, "cache slot")));
    let without = (!without.is_empty()).then(|| format!("without {}", without.join(" and ")));
    without.into_iter().chain(slots).collect::<Vec<_>>().join(", ")
}

fn turns(found: &WhatIf) -> Grid {
    let mut grid = Grid::new([
        text("MODEL", 4),
        text("TURNS", 0),
        number("N", 1),
        number("MEASURED", 0),
        number("PREDICTED", 0),
        number("CHANGE", 0),
        number("PROMPT", 3),
        number("PREDICTED", 3),
        number("READ", 2),
        number("PREDICTED", 2),
    ]);
    for model in &found.models {
        for (at, turns) in model.turns.iter().enumerate() {
            grid.row([
                if at == 0 { name(model) } else { String::new() },
                state(turns.state).to_owned(),
                turns.requests.to_string(),
                ms(Some(turns.measured_ms)),
                ms(turns.predicted_ms),
                change_of(turns),
                tokens(turns.prompt_tokens),
                tokens(turns.predicted_prompt_tokens),
                tokens(turns.read_tokens),
                tokens(turns.predicted_read_tokens),
            ]);
        }
    }
    grid
}

fn state(state: CacheState) -> &'static str {
    match state {
        CacheState::Cold => "cold",
        CacheState::Partly => "partly cached",
        CacheState::Warm => "warm",
        _ => "all",
    }
}

/// What the change adds to a turn.
fn change_of(turns: &PredictedTurns) -> String {
    turns.saved_ms.map_or_else(|| UNKNOWN.to_owned(), |saved| units::delta(Value::Rate(-saved), Unit::Ms))
}

fn cold_read(model: &PredictedModel, read: &ColdRead) -> Option<String> {
    let (ms, predicted_ms) = (read.ms?, read.predicted_ms?);
    if read.prompt_tokens == read.predicted_prompt_tokens {
        return None;
    }
    Some(format!(
        "Without any cache {} reads its newest prompt, {} tokens, in {}; then {} in {}.",
        name(model),
        units::tokens(read.prompt_tokens),
        units::ms(Some(ms)),
        units::tokens(read.predicted_prompt_tokens),
        units::ms(Some(predicted_ms)),
    ))
}

/// Which tools are left out, the costliest first, and which of them were called.
fn tools(found: &WhatIf) -> Option<String> {
    let tools = &found.removed_tools;
    let sum: u64 = tools.iter().map(|tool| tool.tokens).sum();
    let named: Vec<&str> = tools.iter().take(MOST_TOOLS).map(|tool| tool.name.as_ref()).collect();
    let more = tools.len().saturating_sub(MOST_TOOLS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let called: Vec<&str> = tools.iter().filter(|tool| tool.called).map(|tool| tool.name.as_ref()).collect();
    let called = match called.as_slice() {
        [] => " No conversation called any of them.".to_owned(),
        called => format!(" Called in these conversations: {}.", called.join(", ")),
    };
    (!tools.is_empty()).then(|| {
        format!(
            "Without: {} of {} tokens: {}{more}.{called}",
            units::count(tools.len() as u64, "tool"),
            units::estimate(sum),
            named.join(", ")
        )
    })
}

/// What the prediction rests on.
fn cache(found: &WhatIf) -> String {
    let cache = |cache: anyclaude_traces::prompt_cache::SimulatedCache| {
        let ram = if cache.ram { " and main memory" } else { "" };
        format!("{}{ram}", units::count(cache.slots, "slot"))
    };
    let (recorded, changed) = (cache(found.recorded_cache), cache(found.changed_cache));
    let caches = if recorded == changed { recorded } else { format!("{recorded}, then {changed}") };
    format!("By the model's reading speed and a simulated cache ({caches}); all else as it was measured.")
}

fn name(model: &PredictedModel) -> String {
    model.model.as_deref().unwrap_or("the model").to_owned()
}

fn ms(ms: Option<f64>) -> String {
    units::maybe(ms.map(Value::Rate), Unit::Ms)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and tokens are few"
)]
fn tokens(tokens: f64) -> String {
    units::tokens(tokens.round() as u64)
}
