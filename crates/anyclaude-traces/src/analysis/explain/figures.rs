//! The figures of a side, as sentences show them.

use super::eligible::Candidate;
use super::split::{Sample, Us};

/// One side, in the figures that sentences need.
pub(super) struct Figures {
    pub(super) name: String,
    pub(super) mean: Option<Sample>,
    pub(super) keepalives: Option<u64>,
    pub(super) reuse: Option<f64>,
}

impl Figures {
    pub(super) fn of(name: String, side: &[Candidate<'_>], reuse: Option<f64>) -> Self {
        let keepalives = |one: &Candidate<'_>| one.request.timing.as_ref()?.keepalives;
        let most = side.iter().map(keepalives).reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b)));
        let mean = Sample::mean(side.iter().map(|one| one.sample()));
        Self { name, mean, keepalives: most.flatten(), reuse }
    }
}

pub(super) fn proxy(side: &Figures) -> Option<String> {
    side.mean.as_ref()?.proxy.map(duration)
}

pub(super) fn total(side: &Figures) -> Option<String> {
    Some(duration(side.mean.as_ref()?.total()))
}

pub(super) fn wall(side: &Figures) -> Option<String> {
    let mean = side.mean.as_ref()?;
    Some(duration(mean.total() + mean.proxy?))
}

pub(super) fn prompt_tokens(side: &Figures) -> Option<String> {
    side.mean.as_ref()?.prompt_tokens.map(tokens)
}

pub(super) fn output_tokens(side: &Figures) -> Option<String> {
    side.mean.as_ref()?.output_tokens.map(tokens)
}

pub(super) fn reading_speed(side: &Figures) -> Option<String> {
    let mean = side.mean.as_ref()?;
    speed(mean.prompt_tokens?, mean.ttft)
}

pub(super) fn writing_speed(side: &Figures) -> Option<String> {
    let mean = side.mean.as_ref()?;
    speed(mean.output_tokens?, mean.generation)
}

pub(super) fn tokens(count: f64) -> String {
    if count < 9_999.5 { format!("{count:.0} tokens") } else { format!("{:.1} k tokens", count / 1000.0) }
}

pub(super) fn speed(tokens: f64, time: Us) -> Option<String> {
    #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53 µs")]
    let per_second = tokens * 1e6 / time as f64;
    let decimals = usize::from(per_second < 99.95);
    per_second.is_finite().then(|| format!("{per_second:.decimals$} tokens/s"))
}

pub(super) fn duration(time: Us) -> String {
    #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53 µs")]
    let ms = time as f64 / 1000.0;
    if ms.abs() < 999.5 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

pub(super) fn signed(time: Us) -> String {
    let sign = if time < 0 { "−" } else { "+" };
    format!("{sign}{}", duration(time.abs()))
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
