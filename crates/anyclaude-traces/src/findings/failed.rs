//! Requests failed.
//!
//! Condition: requests that the log says failed, but for those that `context_overflow` accounts
//! for. There is one finding for each model and each error, without regard to numbers in its
//! words. Cost: their time.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::{Entry, Model, Scene, finding, sum_whole};
use super::words::{ModelName, Of};
use super::{Advice, CostBasis, ErrorRemedy, Evidence, Finding, FindingKind, Rule, RuleCheck};

/// How many characters of an error are shown.
const MOST_CHARS: usize = 160;

pub(super) struct Failed;

impl Rule for Failed {
    fn kind(&self) -> FindingKind {
        FindingKind::Failed
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        if scene.entries.iter().all(|entry| entry.timing().is_none()) {
            return RuleCheck::NotEnoughData;
        }
        let mut errors: BTreeMap<(Model, Option<String>), Vec<&Entry<'_>>> = BTreeMap::new();
        for entry in scene.entries.iter().filter(|entry| entry.claim == Some(FindingKind::Failed)) {
            let error = entry.timing().and_then(|timing| timing.error.as_deref()).map(masked);
            errors.entry((entry.model.clone(), error)).or_default().push(entry);
        }
        let found: Vec<Finding> =
            errors.into_values().filter_map(|entries| build_finding(scene, &entries)).collect();
        RuleCheck::of(found)
    }
}

fn build_finding(scene: &Scene<'_>, entries: &[&Entry<'_>]) -> Option<Finding> {
    let first = entries.first()?;
    let error = first.timing().and_then(|timing| timing.error.as_deref());
    let of = scene.count_of_model(&first.model);
    let evidence = Evidence::Failed(FailedRequests {
        model: first.model.clone(),
        requests: entries.len() as u64,
        of: of as u64,
        error: error.map(shortened),
    });
    let cost = sum_whole(entries.iter().map(|entry| entry.timing()?.total_ms.get()));
    let mut found =
        finding(FindingKind::Failed, entries.iter().copied(), evidence).costing(cost, CostBasis::Measured);
    found.advice = error.and_then(remedy).map(Advice::ByError);
    Some(found)
}

/// An error with its digits masked, so that errors that differ only in numbers are equal.
fn masked(error: &str) -> String {
    error.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect()
}

/// The beginning of a long error.
fn shortened(error: &str) -> String {
    let mut chars = error.chars();
    let shown: String = chars.by_ref().take(MOST_CHARS).collect();
    if chars.next().is_some() { format!("{shown}…") } else { shown }
}

/// What helps against an error that says this.
fn remedy(error: &str) -> Option<ErrorRemedy> {
    let error = error.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if has(&["econnrefused", "connection refused", "enotfound"]) {
        Some(ErrorRemedy::StartBackend)
    } else if has(&["no models loaded", "no model loaded", "model not loaded", "model not found"]) {
        Some(ErrorRemedy::LoadModel)
    } else if has(&[
        "out of memory",
        "failed to allocate",
        "insufficient memory",
        "insufficient system resources",
    ]) {
        Some(ErrorRemedy::LessMemory)
    } else if has(&["model has crashed", "runner process has terminated"]) {
        Some(ErrorRemedy::SeeWhyItCrashed)
    } else if has(&["jinja", "chat template", "roles must alternate"]) {
        Some(ErrorRemedy::OtherTemplate)
    } else {
        None
    }
}

/// How many requests failed, and with which error.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FailedRequests {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many.
    pub requests: u64,
    /// How many there were.
    pub of: u64,
    /// The words of the error.
    pub error: Option<String>,
}

impl Display for FailedRequests {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} failed", Of(self.requests, self.of).leading(), ModelName(&self.model))?;
        match &self.error {
            Some(error) => write!(f, ": {}.", error.trim_end_matches('.')),
            None => f.write_str("; the log does not say why."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check};
    use super::*;

    #[test]
    fn failures_are_told_apart_by_their_words() {
        let made = [
            Made::new().failed("status 500 in 12 ms"),
            Made::new().failed("connect ECONNREFUSED 127.0.0.1:1234"),
            Made::new().failed("status 500 in 99 ms"),
            Made::new(),
        ];
        let RuleCheck::Found(found) = check(&Failed, &made) else { panic!() };
        let figures: Vec<_> =
            found.iter().map(|one| (one.requests.len(), one.cost_ms, one.advice.clone())).collect();
        let start = Some(Advice::ByError(ErrorRemedy::StartBackend));
        assert_eq!(figures, [(1, Some(350), start), (2, Some(700), None)]);
        assert_eq!(check(&Failed, &[Made::new()]), RuleCheck::Ok);
    }

    #[test]
    fn words_of_an_error_tell_what_helps() {
        let helps =
            |error| remedy(error).map(|remedy| Advice::ByError(remedy).to_string()).unwrap_or_default();
        let crashed = "The model has crashed without additional information. (Exit code: 6)";
        assert!(helps(crashed).contains("own log"));
        let template =
            "Error rendering prompt with jinja template: \"System message must be at the beginning.\"";
        assert!(helps(template).contains("chat template"));
        assert_eq!(helps("status 500"), "");
    }
}
