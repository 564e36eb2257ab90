//! What costs time, as a list on the page.

use anyclaude_traces::analysis::report::Report;
use maud::{Markup, html};

use super::prose::prose;
use crate::render::findings::cost;

pub(super) fn section(report: &Report) -> Markup {
    html! {
        @if !report.findings.is_empty() {
            section aria-labelledby="findings" {
                h2 id="findings" { "What costs time here, the dearest first" }
                ul {
                    @for finding in &report.findings {
                        li {
                            b { (cost(finding)) } " " (prose(&finding.evidence.to_string()))
                            @if let Some(advice) = &finding.advice { " → " (prose(&advice.to_string())) }
                        }
                    }
                }
            }
        }
    }
}
