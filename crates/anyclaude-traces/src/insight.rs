//! One sentence on what matters most, where the requests support one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::explain::{Explanation, Question, explain};
use crate::measure::{Measure, Value};
use crate::request::Request;
use crate::scope::Scope;
use crate::stats::Stats;

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
    let found = explain(&Question {
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
    (found.n >= LEAST_REQUESTS)
        .then(|| format!("{headline}. That is {:.0} % of {seconds:.1} s a request.", share * 100.0))
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
