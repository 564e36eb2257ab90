//! One sentence on what matters most, where the requests support one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::analysis::explain::{ExplainInput, Explanation, explain};
use crate::model::measure::{Measure, Value};
use crate::model::request::Request;
use crate::model::scope::Scope;
use crate::model::stats::Stats;

/// A model needs so many requests to be compared with another.
const LEAST_REQUESTS: u64 = 5;
/// A part that makes up less than this does not dominate.
const LEAST_SHARE: f64 = 0.5;

/// What makes the slowest of these models slower than the fastest; where that does
/// not show, how much of the newest prompt is tools; `None` where even these are few.
///
/// Requests are compared as groups, since their content is not at hand here:
/// [`explain`] compares them in pairs.
pub(crate) fn insight(scope: Scope, requests: &[&Request]) -> Option<String> {
    slowest_against_fastest(scope, requests).or_else(|| tools_of_the_newest(requests))
}

fn slowest_against_fastest(scope: Scope, requests: &[&Request]) -> Option<String> {
    let mut models: BTreeMap<&Arc<str>, Vec<&Request>> = BTreeMap::new();
    for &request in requests {
        if let Some(model) = &request.model {
            models.entry(model).or_default().push(request);
        }
    }
    let mut by_time: Vec<(Value, &Arc<str>)> = models
        .iter()
        .filter_map(|(&model, requests)| {
            let stats = Stats::of(requests.iter().filter_map(|request| Measure::TotalMs.of(request)))?;
            (stats.n >= LEAST_REQUESTS).then_some((stats.p50, model))
        })
        .collect();
    by_time.sort_by(|a, b| a.0.as_f64().total_cmp(&b.0.as_f64()).then_with(|| a.1.cmp(b.1)));
    let (fastest, slowest) = (by_time.first()?.1, by_time.last()?.1);
    let of = |model: &Arc<str>| models.get(model).cloned().unwrap_or_default();
    let found = explain(&ExplainInput {
        scope,
        left_selector: fastest,
        left: of(fastest),
        right_selector: slowest,
        right: of(slowest),
        prompts: &HashMap::new(),
        reuse: &HashMap::new(),
        direct: None,
    });
    dominating(&found)
}

/// The headline, where enough requests say that one part is at least half of it.
fn dominating(found: &Explanation) -> Option<String> {
    let cause = found.verdict.cause?;
    let contribution = found.contributions.iter().find(|one| one.cause == cause)?;
    let share = contribution.share.filter(|share| *share >= LEAST_SHARE)?;
    let seconds = found.delta_ms?.as_f64().abs() / 1000.0;
    let headline = found.verdict.headline.trim_end_matches('.');
    (found.n >= LEAST_REQUESTS).then(|| {
        format!("{headline}. That is {:.0} % of the difference, {seconds:.1} s a request.", share * 100.0)
    })
}

fn tools_of_the_newest(requests: &[&Request]) -> Option<String> {
    let newest = requests.last()?;
    #[allow(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
    let share = |bytes: u64| {
        let share = bytes as f64 / newest.sizes.body_bytes as f64;
        Some(share).filter(|share| share.is_finite())
    };
    let all = share(newest.sizes.tools_bytes).filter(|share| *share >= LEAST_SHARE)?;
    let largest = newest.tools.iter().max_by_key(|tool| tool.bytes)?;
    let name = largest.name.as_deref().unwrap_or("an unnamed one");
    let alone = share(largest.bytes)? * 100.0;
    Some(format!("Tools are {:.0} % of the newest prompt; {name} alone is {alone:.0} %.", all * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::explain::tests::{MADE, Made, side};
    use crate::model::ToolSize;
    use crate::model::scope::KindFilter;

    fn said(models: &[Vec<Request>]) -> Option<String> {
        let requests: Vec<&Request> = models.iter().flatten().collect();
        insight(Scope::new(None, None, KindFilter::All, requests.len() as u64), &requests)
    }

    const SLOW: Made = Made { ttft_ms: 32_000, ..MADE };

    #[test]
    fn the_slowest_model_is_held_against_the_fastest() {
        let between = Made { ttft_ms: 5_000, ..MADE };
        let said =
            said(&[side("slow", &[SLOW; 6]), side("between", &[between; 6]), side("fast", &[MADE; 6])]);
        assert_eq!(
            said.as_deref(),
            Some(
                "slow is slower because prompts are read more slowly: 312 vs 5000 tokens/s. That is 100 % of \
                 the difference, 30.0 s a request."
            )
        );
    }

    #[test]
    fn too_few_requests_or_no_part_that_dominates_say_nothing() {
        assert_eq!(said(&[side("slow", &[SLOW; 4]), side("fast", &[MADE; 6])]), None);
        assert_eq!(said(&[side("one", &[MADE; 6]), side("other", &[MADE; 6])]), None);
        // A third each: reading, writing, and the proxy.
        let mixed = Made { proxy_ms: Some(10_500), ttft_ms: 12_000, generation_ms: 14_000, ..MADE };
        assert_eq!(said(&[side("slow", &[mixed; 6]), side("fast", &[MADE; 6])]), None);
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn else_the_tools_count_if_they_are_half_of_the_newest_prompt() {
        let with_tools = |tools_bytes: u64| {
            let mut requests = side("m", &[MADE; 2]);
            requests[1].sizes.tools_bytes = tools_bytes;
            let tool = |name: &str, bytes| ToolSize { name: Some(name.into()), bytes };
            requests[1].tools = [tool("Read", 100), tool("Bash", 300)].into();
            said(&[requests])
        };
        let said = with_tools(500);
        assert_eq!(said.as_deref(), Some("Tools are 50 % of the newest prompt; Bash alone is 30 %."));
        assert_eq!(with_tools(499), None);
    }
}
