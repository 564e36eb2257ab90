//! What a prompt cache could reuse of all prompts, and what broke that.

use anyclaude_traces::analysis::prefix::UPPER_BOUND;
use anyclaude_traces::analysis::report::Report;
use maud::{Markup, html};

use super::document::table;
use super::prose::prose;
use crate::render::prefix::{advice, breakers};
use crate::render::units;
use crate::render::wrap::keep_figures;

pub(super) fn section(report: &Report) -> Markup {
    let Some(prefix) = report.prefix.as_ref().filter(|prefix| !prefix.requests.is_empty()) else {
        return html! {};
    };
    html! {
        section aria-labelledby="prefix" {
            h2 id="prefix" { "Prefix reuse" }
            @let (totals, one_slot) = (&prefix.totals, &prefix.totals_one_slot);
            p.lead {
                "Of " (keep_figures(&units::bytes(totals.prompt_bytes))) " of prompts in "
                (units::count(prefix.requests.len() as u64, "request")) " a prompt cache of "
                (units::count(prefix.slots, "slot")) " could have reused "
                b { (units::share(totals.reusable_bytes, totals.prompt_bytes)) } ", one of 1 slot "
                (keep_figures(&units::share(one_slot.reusable_bytes, one_slot.prompt_bytes))) ". " (UPPER_BOUND) "."
            }
            @if prefix.breakers.is_empty() { p { "Nothing broke a prefix." } }
            @else {
                (table("What broke prefixes, the costliest first", &breakers(&prefix.breakers), false))
                ul { @for breaker in prefix.breakers.iter().filter(|breaker| breaker.lost_bytes > 0) {
                    @if let Some(advice) = advice(breaker) {
                        li { code { (breaker.cause.name()) } ": " (prose(&advice)) }
                    }
                } }
            }
        }
    }
}
