//! Which token counts can be true.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::case::{Case, float, sent_bytes};
use super::{Estimate, Estimates};
use crate::model::SimulatedReuse;
use crate::model::request::Request;

/// No prompt has fewer bytes for a token than this, …
const LEAST_BYTES_PER_TOKEN: f64 = 1.5;
/// … but for what the chat template adds.
const TEMPLATE_TOKENS: f64 = 2_000.0;
/// No count is so many times as large or as small as the estimate.
const MOST_OFF: f64 = 3.0;
/// A count between these many bytes for a token is usual: of any text, the estimate is
/// near enough to it.
const USUAL_BYTES_PER_TOKEN: std::ops::RangeInclusive<f64> = 2.0..=9.0;
/// Counts this near to each other are the same count.
const SAME_COUNT: f64 = 0.01;
/// Prompts of which one is this many times as large as the other are not of one size.
const OTHER_SIZE: f64 = 1.25;
/// So many output tokens for a streamed byte there may be, …
const OUTPUT_TOKENS_PER_BYTE: u64 = 3;
/// … and so many besides.
const OUTPUT_TOKENS_BESIDES: u64 = 100;

/// Believes the counts that can be true. Output tokens are looked at again once it is
/// known who reasons: [`is_output_believed`].
pub(super) fn judge(cases: &mut [Case]) {
    let repeated = repeated_counts(cases);
    for (case, is_repeated) in cases.iter_mut().zip(repeated) {
        let fits = |tokens: &u64| {
            case.prompt_bytes.get().is_none_or(|bytes| fits(*tokens, bytes))
                && case.estimated_tokens.is_none_or(|estimate| is_near(*tokens, estimate))
        };
        let reported = case.reported_prompt_tokens.get().filter(fits).filter(|_| !is_repeated);
        // The server's log counts what it read.
        case.prompt_tokens =
            case.server.as_deref().and_then(|server| server.prompt_tokens.get()).or(reported).into();
        // A backend that makes up one count makes up the other.
        let is_made_up = case.reported_prompt_tokens.is_known() && case.prompt_tokens.get().is_none();
        case.output_tokens = case.reported_output_tokens.get().filter(|_| !is_made_up).into();
    }
}

/// Whether a prompt of so many bytes can have so many tokens.
fn fits(tokens: u64, prompt_bytes: u64) -> bool {
    float(tokens) <= float(prompt_bytes) / LEAST_BYTES_PER_TOKEN + TEMPLATE_TOKENS
}

/// Whether a prompt that is estimated at so many tokens can have so many, and those of a
/// chat template.
fn is_near(tokens: u64, estimate: f64) -> bool {
    float(tokens) * MOST_OFF >= estimate && float(tokens) <= estimate * MOST_OFF + TEMPLATE_TOKENS
}

/// Estimates the prompts whose counts are unusual, of what the backend got of them. Of
/// others it is known without that their counts are near to it.
pub(super) fn estimates(
    requests: &[impl Borrow<Request>],
    reuse: &[SimulatedReuse],
    estimate: &mut Estimate<'_>,
) -> Estimates {
    let got = |at: usize| reuse.get(at).map(|reuse| reuse.prompt_bytes).filter(|bytes| *bytes > 0);
    let is_unusual = |at: usize, request: &Request| {
        let tokens = request.timing.as_ref().and_then(|timing| timing.prompt_tokens.get());
        let Some(bytes) = got(at).or_else(|| sent_bytes(request)) else { return false };
        tokens
            .filter(|tokens| *tokens > 0 && fits(*tokens, bytes))
            .is_some_and(|tokens| !USUAL_BYTES_PER_TOKEN.contains(&(float(bytes) / float(tokens))))
    };
    let all = requests.iter().map(Borrow::borrow).enumerate();
    let unusual: Vec<(usize, &Request)> = all.filter(|(at, request)| is_unusual(*at, request)).collect();
    if unusual.is_empty() {
        return Estimates::new();
    }
    let estimated = estimate(&unusual.iter().map(|(_, request)| *request).collect::<Vec<_>>());
    let of_got = |((at, request), estimate): (&(usize, &Request), Option<f64>)| {
        let sent = sent_bytes(request)?.max(1);
        let share = got(*at).map_or(1.0, |bytes| (float(bytes) / float(sent)).min(1.0));
        Some((*at, estimate? * share))
    };
    unusual.iter().zip(estimated).filter_map(of_got).collect()
}

/// Whether so many output tokens can be true of an answer of which so many bytes were
/// streamed, with so many tokens of reasoning.
pub(super) fn is_output_believed(output: u64, streamed_bytes: u64, reasoning: u64) -> bool {
    let most = streamed_bytes.saturating_mul(OUTPUT_TOKENS_PER_BYTE);
    output <= most.saturating_add(reasoning).saturating_add(OUTPUT_TOKENS_BESIDES)
}

/// For each case, whether three requests of three sizes have its count: that is no
/// count but a limit, or made up.
fn repeated_counts(cases: &[Case]) -> Vec<bool> {
    let mut counts: Vec<(u64, u64, usize)> = cases
        .iter()
        .enumerate()
        .filter_map(|(at, case)| Some((case.reported_prompt_tokens.get()?, case.prompt_bytes.get()?, at)))
        .collect();
    counts.sort_unstable();
    let mut repeated = vec![false; cases.len()];
    // The sizes of those with the same count, as a window that slides over all counts.
    let mut sizes: BTreeMap<u64, usize> = BTreeMap::new();
    let (mut first, mut end) = (0, 0);
    for &(tokens, _, at) in &counts {
        let reach = float(tokens) * SAME_COUNT;
        while let Some((next, bytes, _)) =
            counts.get(end).filter(|next| float(next.0) <= float(tokens) + reach)
        {
            debug_assert!(*next >= tokens || end > 0);
            *sizes.entry(*bytes).or_default() += 1;
            end += 1;
        }
        while let Some((_, bytes, _)) =
            counts.get(first).filter(|first| float(first.0) < float(tokens) - reach)
        {
            if let Some(n) = sizes.get_mut(bytes) {
                *n -= 1;
                if *n == 0 {
                    sizes.remove(bytes);
                }
            }
            first += 1;
        }
        if let Some(is_repeated) = repeated.get_mut(at) {
            *is_repeated = has_three_sizes(&sizes);
        }
    }
    repeated
}

/// Whether there are three prompts, each 25 % larger than the one before.
fn has_three_sizes(sizes: &BTreeMap<u64, usize>) -> bool {
    let larger = |than: u64| {
        let least = (float(than) * OTHER_SIZE).ceil();
        sizes.range(super::case::whole(least)..).next().map(|(bytes, _)| *bytes)
    };
    let smallest = sizes.first_key_value().map(|(bytes, _)| *bytes);
    smallest.and_then(larger).and_then(larger).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::case::{CaseBeside, CaseFacts};

    /// A prompt that is reported to have so many tokens.
    fn counted(tokens: u64, bytes: u64, estimated_tokens: Option<f64>) -> Case {
        let case = CaseFacts {
            reported_prompt_tokens: tokens.into(),
            reported_output_tokens: 7.into(),
            ..CaseFacts::default()
        };
        let beside = CaseBeside { prompt_bytes: bytes.into(), estimated_tokens, ..CaseBeside::default() };
        case.with(beside).into()
    }

    fn believed(counts: &[(u64, u64)]) -> Vec<Option<u64>> {
        let case = |&(tokens, bytes): &(u64, u64)| counted(tokens, bytes, None);
        let mut cases: Vec<Case> = counts.iter().map(case).collect();
        judge(&mut cases);
        assert!(cases.iter().all(|case| case.output_tokens.is_known() == case.prompt_tokens.is_known()));
        cases.iter().map(|case| case.prompt_tokens.get()).collect()
    }

    #[test]
    fn more_tokens_than_bytes_are_not_believed() {
        assert_eq!(believed(&[(4_000, 3_000)]), [Some(4_000)]);
        assert_eq!(believed(&[(4_001, 3_000)]), [None]);
        assert_eq!(believed(&[(531_700_000, 30_000), (8_000, 30_000)]), [None, Some(8_000)]);
    }

    #[test]
    fn one_count_for_three_sizes_is_a_limit() {
        let counts = [(8_190, 40_000), (8_192, 50_000), (8_192, 62_500), (5_000, 22_000), (8_300, 41_000)];
        assert_eq!(believed(&counts), [None, None, None, Some(5_000), Some(8_300)]);
        // Text takes more bytes for a token than code, but not three times over.
        let counts = [(8_192, 40_000), (8_192, 50_000), (8_192, 60_000)];
        assert_eq!(believed(&counts), [Some(8_192); 3]);
    }

    #[test]
    fn a_count_is_believed_within_a_factor_of_the_estimate() {
        let believed = |tokens: u64| {
            let mut cases = [counted(tokens, 400_000, Some(90_000.0))];
            judge(&mut cases);
            cases[0].prompt_tokens.is_known()
        };
        assert!(believed(30_000) && !believed(29_999));
        assert!(!believed(275_000));
    }

    #[test]
    fn an_estimate_refuses_what_the_bytes_do_not() {
        let believed = |tokens: u64| {
            let mut cases = [counted(tokens, 2_000_000, Some(90_000.0))];
            judge(&mut cases);
            cases[0].prompt_tokens.is_known()
        };
        assert!(believed(272_000), "three times as many, and a template");
        assert!(!believed(272_001));
    }

    #[test]
    fn a_count_one_percent_below_is_the_same_count() {
        let counts = [(9_900, 40_000), (10_000, 50_000), (10_000, 62_500)];
        assert_eq!(believed(&counts)[1..], [None, None]);
        let counts = [(9_899, 40_000), (10_000, 50_000), (10_000, 62_500)];
        assert_eq!(believed(&counts), [Some(9_899), Some(10_000), Some(10_000)]);
    }

    #[test]
    fn output_is_believed_as_far_as_it_was_streamed() {
        assert!(is_output_believed(400, 100, 0));
        assert!(!is_output_believed(401, 100, 0));
        assert!(is_output_believed(1_400, 100, 1_000));
    }
}
