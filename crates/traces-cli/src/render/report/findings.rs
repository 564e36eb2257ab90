//! What costs time, as cards: what it cost, what was found, and what to do, to be copied.

use anyclaude_traces::analysis::prefix::Cause;
use anyclaude_traces::analysis::report::Report;
use anyclaude_traces::findings::{CostBasis, Finding, FindingKind, Setting};
use maud::{Markup, html};
use serde_json::Value as Json;

use super::prose::prose;
use crate::render::findings::cost;
use crate::render::units;

pub(super) fn section(report: &Report) -> Markup {
    html! {
        @if !report.findings.is_empty() {
            section aria-labelledby="findings" {
                h2 id="findings" { "What costs time here, the dearest first" }
                div.cards { @for finding in &report.findings { (card(finding)) } }
            }
        }
    }
}

fn card(finding: &Finding) -> Markup {
    html! {
        article.card {
            h3 { (title(finding)) }
            p.cost {
                @if finding.cost_ms.is_some() { b { (cost(finding)) } " " (basis(finding.cost_basis)) }
                @else { "cost unknown" }
            }
            p.of {
                @if let Some(model) = &finding.model { (model) ", " }
                (units::count(finding.requests.len() as u64, "request"))
            }
            p { (prose(&finding.evidence.to_string())) }
            @if finding.advice.is_some() || finding.settings.is_some() {
                div.advice data-copy {
                    @if let Some(advice) = &finding.advice { p { (prose(&advice.to_string())) } }
                    @for setting in finding.settings.iter().flatten() {
                        p.file { (setting.file) }
                        pre tabindex="0" { (snippet(setting)) }
                    }
                }
            }
        }
    }
}

fn basis(basis: Option<CostBasis>) -> &'static str {
    match basis {
        Some(CostBasis::Measured) => "measured",
        Some(CostBasis::Fitted) => "by the speed of its model",
        _ => "estimated",
    }
}

/// A setting as it stands in its file: the members on the way to it are objects.
fn snippet(setting: &Setting) -> String {
    let value = serde_json::to_value(&setting.value).unwrap_or_default();
    let whole = setting
        .key
        .rsplit('.')
        .fold(value, |inner, member| Json::Object([(member.to_owned(), inner)].into_iter().collect()));
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

/// What a finding is about, in a few words.
fn title(finding: &Finding) -> &'static str {
    match finding.kind {
        FindingKind::CacheBroken => finding.cause.map_or("Something early in the prompt changed", changed),
        FindingKind::CacheUnused => "The prompt cache is not used",
        FindingKind::CompactionLoop => "Compacted again and again",
        FindingKind::ContextOverflow => "Prompts do not fit the context",
        FindingKind::ConstantWait => "The same wait before every answer",
        FindingKind::Counting => "Counting tokens by full generations",
        FindingKind::DebugLogging => "Debug logging slows the proxy",
        FindingKind::Evicted => "Other conversations took the cache",
        FindingKind::Failed => "Requests failed",
        FindingKind::GivenUp => "Given up before the answer",
        FindingKind::HistoryTruncated => "The proxy cut the history",
        FindingKind::ModelLoad => "Waiting for the model to load",
        FindingKind::ModelSwap => "Two models take turns",
        FindingKind::ProxySlow => "The proxy is slow",
        FindingKind::Queueing => "Waiting for other requests",
        FindingKind::Retried => "Sent again after a failure",
        FindingKind::Stalls => "Answers stand still",
        FindingKind::Thinking => "Most of the output is thinking",
        FindingKind::ToolsUnused => "Tools that nobody called",
        FindingKind::UsageImplausible => "Token counts that cannot be true",
        FindingKind::VolatileOpening => "Each conversation opens differently",
        _ => "Something else",
    }
}

/// What changed in a prompt.
fn changed(cause: Cause) -> &'static str {
    match cause {
        Cause::ModelSwapped => "Another model answered in between",
        Cause::BillingHeader => "The billing header changes",
        Cause::DateChanged => "The date changed",
        Cause::GitStatus => "The git status changed",
        Cause::ToolsChanged => "The tools changed",
        Cause::ToolOrder | Cause::SchemaOrder => "The tools came in another order",
        Cause::SystemMessageInserted => "A system message was put in",
        Cause::HistoryEdited => "The history was edited",
        Cause::ResultsCleared => "Old tool results were cleared",
        Cause::Compacted => "The history was compacted",
        Cause::SystemChanged => "The system prompt changed",
        _ => "Something early in the prompt changed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_they_stand_in_their_file() {
        let of = |key: &str, value: Json| {
            let setting = serde_json::json!({ "file": "f", "key": key, "value": value });
            let written = snippet(&serde_json::from_value(setting).unwrap());
            serde_json::from_str::<Json>(&written).unwrap()
        };
        assert_eq!(of("env.A", "0".into()), serde_json::json!({ "env": { "A": "0" } }));
        assert_eq!(of("b", false.into()), serde_json::json!({ "b": false }));
    }
}
