//! The time to first token: which of the reported times is one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A request whose time to first token may be the time to `message_start`, which some
/// backends send before they read the prompt.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstTokenTime {
    /// The recording and the model: what they have in common tells what is usual.
    pub(super) group: (PathBuf, Option<Arc<str>>),
    pub(super) ttft_ms: Option<u64>,
    /// The time is that of the first content, and not of `message_start`.
    pub(super) is_certain: bool,
    /// Tokens that had to be read; all of the prompt where no cached ones are reported.
    pub(super) read_tokens: Option<u64>,
    /// Whether some of the prompt may have been cached unreported.
    pub(super) may_be_cached: bool,
    pub(super) total_ms: Option<u64>,
}

/// Fewer tokens than this are read in a time that tells nothing of others.
const LEAST_READ_TOKENS: u64 = 200;
/// Less than this of what others need for as many tokens is not reading, …
const LEAST_OF_OTHERS: f64 = 0.1;
/// … and with no others, less than this of the whole time.
const LEAST_OF_TOTAL: f64 = 0.05;
/// Two are enough, unless a recording is made to need more.
const MAX_ROUNDS: usize = 8;

/// Removes the times that can only be those of `message_start`.
pub(super) fn drop_message_starts(requests: &mut [FirstTokenTime]) {
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (place, request) in requests.iter().enumerate() {
        groups.entry(request.group.clone()).or_default().push(place);
    }
    for places in groups.into_values() {
        // What was dropped is no measure for the others.
        for _ in 0..MAX_ROUNDS {
            let short = too_short(requests, &places);
            if short.is_empty() {
                break;
            }
            for place in short {
                if let Some(request) = requests.get_mut(place) {
                    request.ttft_ms = None;
                }
            }
        }
    }
}

/// Those that have less than they need.
fn too_short(requests: &[FirstTokenTime], places: &[usize]) -> Vec<usize> {
    let rates = ReadRates::of(places.iter().filter_map(|place| requests.get(*place)));
    let is_short = |place: &&usize| {
        let request = requests.get(**place).filter(|request| !request.is_certain);
        request.and_then(|request| request.is_too_short(&rates)).unwrap_or(false)
    };
    places.iter().filter(is_short).copied().collect()
}

/// Milliseconds per token read of the requests that tell, in order.
struct ReadRates(Vec<f64>);

impl ReadRates {
    fn of<'r>(requests: impl Iterator<Item = &'r FirstTokenTime>) -> Self {
        let mut rates: Vec<f64> = requests.filter_map(FirstTokenTime::rate).collect();
        rates.sort_by(f64::total_cmp);
        Self(rates)
    }

    /// What the others need for a token: the median, or the least of them. `own` is not
    /// another's.
    fn of_others(&self, own: Option<f64>, least: bool) -> Option<f64> {
        let own = own.and_then(|own| self.0.binary_search_by(|rate| rate.total_cmp(&own)).ok());
        let others = self.0.len() - usize::from(own.is_some());
        // The ⌈n/2⌉-th, as every median here.
        let wanted = if least { 0 } else { others.saturating_sub(1) / 2 };
        let is_behind_own = own.is_some_and(|own| own <= wanted);
        self.0.get(wanted + usize::from(is_behind_own)).copied()
    }
}

impl FirstTokenTime {
    /// Milliseconds per token, where enough were read.
    fn rate(&self) -> Option<f64> {
        let tokens = self.read_tokens.filter(|tokens| *tokens >= LEAST_READ_TOKENS)?;
        Some(float(self.ttft_ms?) / float(tokens))
    }

    /// Whether it has less than the least that it needs.
    fn is_too_short(&self, rates: &ReadRates) -> Option<bool> {
        let ttft = float(self.ttft_ms?);
        let others = self
            .read_tokens
            .and_then(|tokens| Some(float(tokens) * rates.of_others(self.rate(), self.may_be_cached)?));
        let least = match others {
            Some(others) => LEAST_OF_OTHERS * others,
            None => LEAST_OF_TOTAL * float(self.total_ms?),
        };
        Some(ttft < least)
    }
}

#[allow(clippy::cast_precision_loss, reason = "tokens and times stay far below 2^53")]
fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(ttft_ms: u64, read_tokens: u64, total_ms: u64) -> FirstTokenTime {
        FirstTokenTime {
            ttft_ms: Some(ttft_ms),
            read_tokens: Some(read_tokens).filter(|tokens| *tokens > 0),
            total_ms: Some(total_ms),
            ..FirstTokenTime::default()
        }
    }

    fn kept(requests: &[FirstTokenTime]) -> Vec<Option<u64>> {
        let mut requests = requests.to_vec();
        drop_message_starts(&mut requests);
        requests.into_iter().map(|request| request.ttft_ms).collect()
    }

    #[test]
    fn a_short_time_is_true_where_little_is_read() {
        let cold_and_warm = [request(24_520, 22_656, 24_664), request(186, 55, 195), request(57, 3, 10_000)];
        assert_eq!(kept(&cold_and_warm), [Some(24_520), Some(186), Some(57)]);
    }

    #[test]
    fn a_tenth_of_what_others_need_is_no_reading() {
        let cold = request(1_330, 2_439, 3_560);
        assert_eq!(kept(&[cold.clone(), request(20, 2_463, 2_502)]), [Some(1_330), None]);
        // A time of the first content is never doubted.
        let certain = FirstTokenTime { is_certain: true, ..request(20, 2_463, 2_502) };
        assert_eq!(kept(&[cold, certain]), [Some(1_330), Some(20)]);
    }

    #[test]
    fn alone_it_is_measured_by_the_whole_time() {
        assert_eq!(kept(&[request(13, 0, 1_891)]), [None]);
        assert_eq!(kept(&[request(95, 1_002, 120)]), [Some(95)]);
        let all_early = [request(13, 24_630, 18_910), request(20, 500, 1_500)];
        assert_eq!(kept(&all_early), [None, None], "the first beside the second, that by itself");
    }

    #[test]
    fn a_warm_prompt_is_believed_where_no_cache_is_reported() {
        let unreported = |ttft_ms| FirstTokenTime { may_be_cached: true, ..request(ttft_ms, 2_600, 900) };
        assert_eq!(
            kept(&[unreported(58), unreported(57), unreported(1_330)]),
            [Some(58), Some(57), Some(1_330)]
        );
    }

    #[test]
    fn models_and_recordings_do_not_measure_each_other() {
        let slow = request(1_330, 2_439, 3_560);
        let fast = FirstTokenTime { group: (PathBuf::new(), Some("fast".into())), ..request(20, 2_439, 30) };
        assert_eq!(kept(&[slow, fast]), [Some(1_330), Some(20)]);
    }
}
