//! Scales the estimate by the counts that backends reported, and shares tokens out over the
//! sections of a prompt.

use std::collections::HashMap;
use std::sync::Arc;

use super::visitor::{MilliTokens, SectionTokens};
use crate::model::request::{Request, TokenMethod, Tokens, TracePath};
use crate::model::timing::{Confidence, TokenSource};

/// How many requests of a model its scale is taken from: more change it little.
const MOST_TELLERS: usize = 16;

/// A larger scale is no tokenizer's: the reported count is of another prompt. The bound also
/// keeps sums from overflowing.
const MOST_SCALE: f64 = 100.0;

/// The ratio of a backend's count to the estimate, for each model.
#[derive(Debug, Clone, Default)]
pub struct Scales(HashMap<Option<Arc<str>>, (u64, MilliTokens)>);

impl Scales {
    /// The requests that scales are taken from: of each model, the newest ones whose tokens a
    /// backend counted. `requests` are in any order.
    #[must_use]
    pub fn calibration_requests<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Vec<&'a Request> {
        let mut counted: Vec<&Request> =
            requests.into_iter().filter(|request| reported_tokens(request).is_some()).collect();
        counted.sort_by(|a, b| b.order().cmp(&a.order()));
        let mut models: HashMap<Option<Arc<str>>, usize> = HashMap::new();
        counted.retain(|request| {
            let taken = models.entry(request.model_group()).or_default();
            *taken += 1;
            *taken <= MOST_TELLERS
        });
        counted
    }

    /// The scale of each model, by these requests as far as both counts are known.
    #[must_use]
    pub fn of<'a>(
        calibration_requests: impl IntoIterator<Item = &'a Request>,
        counted: &HashMap<TracePath, SectionTokens>,
    ) -> Self {
        let mut scales = Self::default();
        for request in calibration_requests {
            let Some((reported, found)) = reported_tokens(request).zip(counted.get(&request.path)) else {
                continue;
            };
            let (tokens, estimate) = scales.0.entry(request.model_group()).or_default();
            *tokens = tokens.saturating_add(reported);
            *estimate += found.thousandths();
        }
        scales
    }

    /// The scale of a model; 1 where no backend's count is known, or where the counts cannot
    /// be of these prompts.
    #[must_use]
    pub fn scale(&self, model: &Option<Arc<str>>) -> f64 {
        self.known(model).unwrap_or(1.0)
    }

    /// The scale of a model, where counts of it tell one.
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn known(&self, model: &Option<Arc<str>>) -> Option<f64> {
        let (tokens, estimate) = self.0.get(model).filter(|(_, estimate)| *estimate > 0)?;
        let scale = *tokens as f64 * 1000.0 / *estimate as f64;
        (scale <= MOST_SCALE).then_some(scale)
    }
}

/// The tokens of the prompt by the backend's own count: from the log, or in mode
/// `claude` from the recorded response, cached tokens included. `None` where the count cannot
/// be true.
#[must_use]
pub fn reported_tokens(request: &Request) -> Option<u64> {
    let is_certain = request.join.as_ref().is_some_and(|join| join.confidence != Confidence::Ambiguous);
    let logged = request.timing.as_ref().and_then(|timing| timing.believed_prompt_tokens());
    let answered = || {
        let response = request.response.as_ref()?;
        let cached = response
            .cache_creation_tokens
            .unwrap_or(0)
            .checked_add(response.cache_read_tokens.unwrap_or(0))?;
        response.input_tokens?.checked_add(cached)
    };
    // A recorder that keeps whole answers has the count that was refused in both places.
    let source = request.timing.as_ref().and_then(|timing| timing.prompt_tokens_source);
    let is_refused = source == Some(TokenSource::Implausible);
    let answered = || if is_refused { None } else { answered() };
    logged.filter(|_| is_certain).or_else(answered).filter(|tokens| *tokens > 0)
}

/// Gives each request that was counted its tokens by section: the backend's own
/// count, shared out by the estimate, or the estimate, scaled by what the backend
/// counted for other requests of this model. Texts that were masked are no words: without
/// counts of others like them, their tokens are unknown.
pub fn share(requests: &mut [Request], counted: &HashMap<TracePath, SectionTokens>, scales: &Scales) {
    for request in requests {
        let Some(found) = counted.get(&request.path) else { continue };
        let SectionTokens(sections) = *found;
        let shares = match reported_tokens(request) {
            Some(reported) => tokens(shared_out(reported, sections), TokenMethod::Reported),
            None if request.bookkeeping.is_masked && scales.known(&request.model_group()).is_none() => {
                continue;
            }
            None => {
                let scale = scales.scale(&request.model_group());
                tokens(sections.map(|section| scaled(section, scale)), TokenMethod::Estimate)
            }
        };
        request.tokens = Some(Box::new(shares));
    }
}

fn tokens([system, tools, messages]: [u64; 3], method: TokenMethod) -> Tokens {
    Tokens { system, tools, messages, total: system + tools + messages, method }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts stay far below 2^53, and `as` saturates"
)]
pub(crate) fn scaled(estimate: MilliTokens, scale: f64) -> u64 {
    (estimate as f64 * scale / 1000.0).round() as u64
}

/// Shares a total out in proportion, in whole tokens that add up to it: what
/// rounding down leaves goes to the largest remainders. Where every
/// proportion is 0, messages get all of it.
fn shared_out(total: u64, parts: [MilliTokens; 3]) -> [u64; 3] {
    let whole: u128 = parts.iter().map(|part| u128::from(*part)).sum();
    if whole == 0 {
        return [0, 0, total];
    }
    let exact = parts.map(|part| u128::from(total) * u128::from(part));
    let mut shares = exact.map(|share| u64::try_from(share / whole).unwrap_or(u64::MAX));
    let mut by_remainder = [0, 1, 2];
    by_remainder.sort_by_key(|&at: &usize| std::cmp::Reverse(exact.get(at).map(|share| share % whole)));
    let left = total.saturating_sub(shares.iter().sum());
    for at in by_remainder.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        if let Some(share) = shares.get_mut(at) {
            *share += 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Response;
    use crate::model::request::Join;
    use crate::model::timing::Timing;

    #[test]
    fn a_refused_count_is_refused_in_the_answer_too() {
        let mut request = Request::builder("a.json").build();
        request.response = Some(Box::new(Response { input_tokens: Some(81_000_000), ..Response::default() }));
        let mut timing = Timing { prompt_tokens: 81_000_000.into(), ..Timing::default() };
        request.timing = Some(Box::new(timing.clone()));
        assert_eq!(reported_tokens(&request), Some(81_000_000));
        timing.prompt_tokens_source = Some(TokenSource::Implausible);
        request.timing = Some(Box::new(timing));
        assert_eq!(reported_tokens(&request), None);
    }

    #[test]
    fn a_count_of_the_log_is_taken_where_it_is_certainly_the_requests() {
        let of = |confidence| {
            let mut request =
                Request::builder("a.json").timing(|timing| timing.prompt_tokens = 50.into()).build();
            let log = "a.log".into();
            request.join = Some(Box::new(Join { log, gap_ms: None, confidence }));
            reported_tokens(&request)
        };
        assert_eq!((of(Confidence::Likely), of(Confidence::Ambiguous)), (Some(50), None));
    }

    #[test]
    fn an_absurd_count_is_no_scale() {
        let scale = |tokens| Scales(HashMap::from([(None, (tokens, 2_000))])).scale(&None);
        assert!((scale(3) - 1.5).abs() < 1e-9);
        assert!((scale(u64::MAX) - 1.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_are_within_one_token(
            total in 0_u64..1_000_000,
            parts in prop::array::uniform3(0_u64..1_000_000_000),
        ) {
            let shares = shared_out(total, parts);
            prop_assert_eq!(shares.iter().sum::<u64>(), total);
            let whole: u64 = parts.iter().sum();
            if whole > 0 {
                for (share, part) in shares.iter().zip(parts) {
                    let exact = total as f64 * part as f64 / whole as f64;
                    prop_assert!((*share as f64 - exact).abs() <= 1.0);
                }
            }
        }
    }
}
