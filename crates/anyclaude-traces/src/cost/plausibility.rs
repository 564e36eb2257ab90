//! Which of the token counts that backends report can be true. The others are not believed: the
//! request takes part in nothing that tokens are needed for.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::case::{Case, float, sent_bytes, whole};
use super::{Estimate, Estimates};
use crate::model::SimulatedReuse;
use crate::model::request::Request;

/// A prompt has at least this many bytes for each token, …
const LEAST_BYTES_PER_TOKEN: f64 = 1.5;
/// … not counting as many tokens, which a chat template may add.
const TEMPLATE_TOKENS: f64 = 2_000.0;
/// A count is at most this many times as large or as small as the estimate.
const MOST_OFF: f64 = 3.0;
/// A count with as many bytes for a token is usual: it is within the factor above of the estimate
/// of any text, so that the estimate need not be made.
const USUAL_BYTES_PER_TOKEN: std::ops::RangeInclusive<f64> = 2.0..=9.0;
/// Counts that differ by at most this share are the same count.
const SAME_COUNT: f64 = 0.01;
/// A prompt that is at least this many times as large as another is of another size.
const OTHER_SIZE: f64 = 1.25;
/// An answer has at most this many output tokens for each streamed byte, …
const OUTPUT_TOKENS_PER_BYTE: u64 = 3;
/// … and at most as many on top.
const OUTPUT_TOKENS_BESIDES: u64 = 100;

/// Sets the counts that can be true. Output tokens are checked again, by
/// [`is_output_believed`], once hidden reasoning is known.
pub(super) fn judge(cases: &mut [Case]) {
    let repeated = repeated_counts(cases);
    for (case, is_repeated) in cases.iter_mut().zip(repeated) {
        let fits = |tokens: &u64| {
            case.prompt_bytes.get().is_none_or(|bytes| fits(*tokens, bytes))
                && case.estimated_tokens.is_none_or(|estimate| is_near(*tokens, estimate))
        };
        let reported = case.reported_prompt_tokens.get().filter(fits).filter(|_| !is_repeated);
        // A server's log counts what was really read, so that it needs no check.
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

/// Whether a prompt with this estimate can have so many tokens, those of a chat template
/// included.
fn is_near(tokens: u64, estimate: f64) -> bool {
    float(tokens) * MOST_OFF >= estimate && float(tokens) <= estimate * MOST_OFF + TEMPLATE_TOKENS
}

/// Estimates the tokens of the prompts whose counts are unusual: of the part that the backend
/// got. All other counts are known to be near to their estimate.
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
    let of_got_part = |((at, request), estimate): (&(usize, &Request), Option<f64>)| {
        let sent = sent_bytes(request)?.max(1);
        let share = got(*at).map_or(1.0, |bytes| (float(bytes) / float(sent)).min(1.0));
        Some((*at, estimate? * share))
    };
    unusual.iter().zip(estimated).filter_map(of_got_part).collect()
}

/// Whether so many output tokens can be true of an answer of which so many bytes were
/// streamed, with so many tokens of reasoning.
pub(super) fn is_output_believed(output: u64, streamed_bytes: u64, reasoning: u64) -> bool {
    let most = streamed_bytes.saturating_mul(OUTPUT_TOKENS_PER_BYTE);
    output <= most.saturating_add(reasoning).saturating_add(OUTPUT_TOKENS_BESIDES)
}

/// For each case, whether requests of three clearly different sizes have its count: then it is
/// no count, but a limit or made up.
fn repeated_counts(cases: &[Case]) -> Vec<bool> {
    let mut counts: Vec<ReportedCount> =
        cases.iter().enumerate().filter_map(|(at, case)| ReportedCount::of(case, at)).collect();
    counts.sort_unstable();
    let mut repeated = vec![false; cases.len()];
    // The counts are sorted, so that those that are the same as one are a window around it.
    let mut sizes = PromptSizes::default();
    let mut window = 0..0;
    for count in &counts {
        let reach = float(count.tokens) * SAME_COUNT;
        let is_below_end = |next: &&ReportedCount| float(next.tokens) <= float(count.tokens) + reach;
        while let Some(next) = counts.get(window.end).filter(is_below_end) {
            sizes.add(next.prompt_bytes);
            window.end += 1;
        }
        let is_below_start = |first: &&ReportedCount| float(first.tokens) < float(count.tokens) - reach;
        while let Some(first) = counts.get(window.start).filter(is_below_start) {
            sizes.remove(first.prompt_bytes);
            window.start += 1;
        }
        if let Some(is_repeated) = repeated.get_mut(count.at) {
            *is_repeated = sizes.has_three();
        }
    }
    repeated
}

/// A count as it was reported, ordered by its tokens.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ReportedCount {
    tokens: u64,
    prompt_bytes: u64,
    /// The index of the case.
    at: usize,
}

impl ReportedCount {
    fn of(case: &Case, at: usize) -> Option<Self> {
        let (tokens, prompt_bytes) = (case.reported_prompt_tokens.get()?, case.prompt_bytes.get()?);
        Some(Self { tokens, prompt_bytes, at })
    }
}

/// The sizes of some prompts, and how many have each.
#[derive(Default)]
struct PromptSizes(BTreeMap<u64, usize>);

impl PromptSizes {
    fn add(&mut self, bytes: u64) {
        *self.0.entry(bytes).or_default() += 1;
    }

    fn remove(&mut self, bytes: u64) {
        if let Some(n) = self.0.get_mut(&bytes) {
            *n -= 1;
            if *n == 0 {
                self.0.remove(&bytes);
            }
        }
    }

    /// Whether there are three sizes, each 25 % larger than the one before.
    fn has_three(&self) -> bool {
        let larger = |than: u64| {
            let least = whole((float(than) * OTHER_SIZE).ceil());
            self.0.range(least..).next().map(|(bytes, _)| *bytes)
        };
        let smallest = self.0.first_key_value().map(|(bytes, _)| *bytes);
        smallest.and_then(larger).and_then(larger).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::case::{CaseFacts, ClientFacts};

    /// A prompt that is reported to have so many tokens.
    fn counted(tokens: u64, bytes: u64, estimated_tokens: Option<f64>) -> Case {
        let case = CaseFacts {
            reported_prompt_tokens: tokens.into(),
            reported_output_tokens: 7.into(),
            ..CaseFacts::default()
        };
        let client = ClientFacts { prompt_bytes: bytes.into(), estimated_tokens, ..ClientFacts::default() };
        case.with_client_facts(client).into()
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
