//! Models whose samples of the reading speed are all of prompts too short to tell one.
//!
//! What each request costs anyway is most of the time of a short one. Where a much longer
//! prompt was read in a fraction of the time that the pace of the short ones predicts, that
//! pace is wrong. The longer request need not have been alone: sharing the backend can only
//! have made it slower.

use super::case::Case;
use super::rate::{Rate, Sample};
use super::{Model, by_model};

/// A prompt refutes the samples if it had at least this many times as many tokens to read as
/// any of them, …
const MUCH_LONGER: u64 = 5;
/// … and was read at least this many times as fast. A busy machine alone makes half of that.
const CLEARLY_FASTER: f64 = 5.0;

/// Marks all requests of such models, so that none of them is a sample.
pub(super) fn find(cases: &mut [Case]) {
    let refuted = by_model(cases, is_refuted);
    let is_of = |model: &Model| refuted.get(model).copied().unwrap_or(false);
    for case in cases.iter_mut().filter(|case| is_of(&case.origin.model)) {
        case.is_too_short_to_time = true;
    }
}

fn is_refuted(cases: &[&Case]) -> bool {
    let samples: Vec<Sample> = cases.iter().filter_map(|case| case.read_sample()).collect();
    let rate: Rate = samples.iter().copied().collect();
    let largest = samples.iter().map(|sample| sample.tokens).max().unwrap_or(0);
    let Some(usual) = rate.ms_per_token() else { return false };
    let longer = cases.iter().filter(|case| case.is_certain && !case.is_buffered);
    let mut longer =
        longer.filter_map(|case| Some(Sample { tokens: case.read_tokens()?, ms: case.read_ms()? }));
    longer.any(|one| {
        one.ms > 0
            && one.tokens >= largest.saturating_mul(MUCH_LONGER)
            && one.ms_per_token() * CLEARLY_FASTER <= usual
    })
}
