//! Short prompts that tell nothing of how fast a model reads.
//!
//! What each request costs anyway is most of the time of a short one. Where a much longer
//! prompt was read in a fraction of what the pace of the short ones would take, they tell no
//! speed: whoever shared the backend with it can only have made that slower.

use super::case::Case;
use super::rate::{Rate, Sample};
use super::{Model, by_model};

/// So many times as many tokens as any of them must a longer prompt have had to read, …
const MUCH_LONGER: u64 = 5;
/// … and so many times as fast must that have been: a busy machine alone makes half of that.
const CLEARLY_FASTER: f64 = 5.0;

/// Marks the requests whose reading tells no speed.
pub(super) fn find(cases: &mut [Case]) {
    let refuted = by_model(cases, is_refuted);
    let is_of = |model: &Model| refuted.get(model).copied().unwrap_or(false);
    for case in cases.iter_mut().filter(|case| is_of(&case.origin.model)) {
        case.tells_no_reading = true;
    }
}

fn is_refuted(cases: &[&Case]) -> bool {
    let samples: Vec<Sample> = cases.iter().filter_map(|case| case.read_sample()).collect();
    let rate: Rate = samples.iter().copied().collect();
    let largest = samples.iter().map(|sample| sample.tokens).max().unwrap_or(0);
    let Some(usual) = rate.ms_per_token() else { return false };
    let longer = cases.iter().filter(|case| case.is_certain && !case.is_untold);
    let mut longer =
        longer.filter_map(|case| Some(Sample { tokens: case.read_tokens()?, ms: case.read_ms()? }));
    longer.any(|one| {
        one.ms > 0
            && one.tokens >= largest.saturating_mul(MUCH_LONGER)
            && one.ms_per_token() * CLEARLY_FASTER <= usual
    })
}
