//! How long a model takes to read what is new: time to first token against the
//! tokens that had to be read.

use std::sync::Arc;

use serde::Serialize;

use super::UPPER_BOUND;
use super::row::float;
use crate::analysis::explain::tells_reading_time;
use crate::model::request::Request;

/// Fewer requests are no ground for a line.
const FEWEST: usize = 5;
/// Of more requests than this, some are taken at even distances: every pair of
/// them is looked at.
const MOST: usize = 400;

/// How a model's time to first token depends on what it has to read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReadingSpeed {
    /// The model.
    pub model: Option<Arc<str>>,
    /// From how many requests this is known: streamed, completed, certainly joined
    /// with their log, and, where there are enough of these, alone in the backend.
    pub n: u64,
    /// What the time follows.
    pub follows: Follows,
    /// The time for one token more (the median slope over all pairs).
    pub ms_per_token: f64,
    /// What is left of the time when nothing has to be read.
    pub base_ms: f64,
    /// How far half of the requests are from what this predicts, at most.
    pub median_error_ms: f64,
    /// Requests whose prefix was warm, but whose time was that of a cold one.
    pub cold_although_warm: u64,
}

/// What a model's time to first token follows most closely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Follows {
    /// The tokens that are new to a cache with the slots that were asked for.
    NewTokens,
    /// The tokens that are new to a cache with one slot.
    NewTokensOneSlot,
    /// All tokens of the prompt: nothing is reused.
    AllTokens,
}

/// What one request says about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) ttft_ms: f64,
    pub(super) tokens: f64,
    /// The shares of the prompt that are new: to the cache, to one slot.
    pub(super) new: f64,
    pub(super) new_one_slot: f64,
    /// Whether no other request was in the backend, and no model to be loaded.
    pub(super) undisturbed: bool,
}

impl Point {
    /// The request's time, where it is that of reading the prompt.
    pub(super) fn of(request: &Request, new: f64, new_one_slot: f64) -> Option<Self> {
        let timing = request.timing.as_ref().filter(|_| tells_reading_time(request))?;
        let (ttft_ms, tokens) = (timing.ttft_ms?, timing.prompt_tokens.filter(|tokens| *tokens > 0)?);
        let company = request.concurrency.unwrap_or_default();
        let undisturbed = !company.overlapped && !company.cold_start;
        Some(Self { ttft_ms: float(ttft_ms), tokens: float(tokens), new, new_one_slot, undisturbed })
    }

    fn read(&self, follows: Follows) -> f64 {
        match follows {
            Follows::NewTokens => self.tokens * self.new,
            Follows::NewTokensOneSlot => self.tokens * self.new_one_slot,
            Follows::AllTokens => self.tokens,
        }
    }
}

impl ReadingSpeed {
    /// The line that fits these requests of one model best.
    pub(super) fn of(model: Option<Arc<str>>, points: &[Point]) -> Option<Self> {
        // Those that others disturbed count only where there are not enough without.
        let undisturbed: Vec<Point> = points.iter().filter(|point| point.undisturbed).copied().collect();
        let used = if undisturbed.len() >= FEWEST { &undisturbed } else { points };
        let fit = |follows| {
            let line = Line::of(&thinned(used, follows)).filter(|line| line.slope > 0.0)?;
            Some((follows, line))
        };
        let simplest = fit(Follows::NewTokens);
        let most = simplest.as_ref().map_or(f64::INFINITY, |(_, line)| line.mean_error / 2.0);
        let others = [Follows::NewTokensOneSlot, Follows::AllTokens].into_iter().filter_map(fit);
        let better = others.filter(|(_, line)| line.mean_error < most);
        let better = better.min_by(|(_, a), (_, b)| a.mean_error.total_cmp(&b.mean_error));
        let (follows, line) = better.or(simplest)?;
        let mut speed = Self {
            model,
            n: used.len() as u64,
            follows,
            ms_per_token: line.slope,
            base_ms: line.base,
            median_error_ms: line.median_error,
            cold_although_warm: 0,
        };
        speed.cold_although_warm =
            points.iter().filter(|point| speed.is_cold_although_warm(point)).count() as u64;
        Some(speed)
    }

    /// The time that is to be expected.
    pub(super) fn expected_ms(&self, point: &Point) -> f64 {
        self.base_ms + self.ms_per_token * point.read(self.follows)
    }

    /// Whether at least half of the prompt was known to the cache, and the time is
    /// yet nearer to that of reading it all, by a second or more.
    pub(super) fn is_cold_although_warm(&self, point: &Point) -> bool {
        if self.follows == Follows::AllTokens {
            return false;
        }
        let expected = self.expected_ms(point);
        let cold = self.base_ms + self.ms_per_token * point.tokens;
        let is_warm = point.read(self.follows) <= point.tokens / 2.0;
        is_warm && point.ttft_ms > expected + ((cold - expected) / 2.0).max(1000.0)
    }
}

/// What to keep in mind, and what the times say of the backend.
pub(super) fn notes(reading: &[ReadingSpeed]) -> Vec<String> {
    let mut notes = vec![format!("{UPPER_BOUND}.")];
    let name = |speed: &ReadingSpeed| speed.model.as_deref().unwrap_or("the unknown model").to_owned();
    for speed in reading.iter().filter(|speed| speed.cold_although_warm > 0) {
        let requests = match speed.cold_although_warm {
            1 => "1 request".to_owned(),
            n => format!("{n} requests"),
        };
        notes.push(format!(
            "{}: {requests} with a warm prefix took as long as if nothing were cached. That is the backend's \
             doing: a restart, a model reload, or a cache that was dropped.",
            name(speed)
        ));
    }
    notes
}

/// A line by Theil and Sen, whom a quarter of outliers does not move.
struct Line {
    slope: f64,
    base: f64,
    median_error: f64,
    /// Of all but the worst fifth (a restart, a queue). By this lines are compared.
    mean_error: f64,
}

impl Line {
    fn of(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < FEWEST {
            return None;
        }
        let pairs =
            points.iter().enumerate().flat_map(|(at, a)| points.iter().skip(at + 1).map(move |b| (a, b)));
        let slopes = pairs.filter(|(a, b)| a.0 != b.0).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0));
        let slope = median(slopes.collect())?;
        let base = median(points.iter().map(|(x, y)| y - slope * x).collect())?;
        let mut errors: Vec<f64> = points.iter().map(|(x, y)| (y - slope * x - base).abs()).collect();
        errors.sort_by(f64::total_cmp);
        let usual = errors.get(..errors.len() * 4 / 5).unwrap_or(&errors);
        let mean_error = usual.iter().sum::<f64>() / float(usual.len() as u64);
        Some(Self { slope, base, median_error: median(errors)?, mean_error })
    }
}

fn thinned(points: &[Point], follows: Follows) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MOST).max(1);
    points.iter().step_by(step).map(|point| (point.read(follows), point.ttft_ms)).collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of 10,000 tokens each, of which these shares are new.
    fn points(shares: &[f64], ttft: impl Fn(usize, f64) -> f64) -> Vec<Point> {
        let point = |(at, new): (usize, &f64)| Point {
            ttft_ms: ttft(at, *new),
            tokens: 10_000.0 + 10.0 * at as f64,
            new: *new,
            new_one_slot: if at % 2 == 0 { 1.0 } else { *new },
            undisturbed: true,
        };
        shares.iter().enumerate().map(point).collect()
    }

    const SHARES: [f64; 8] = [1.0, 0.1, 0.02, 0.3, 0.05, 0.01, 0.6, 0.04];

    #[test]
    fn a_line_is_found_among_outliers() {
        let line = |at: usize, new: f64| 250.0 + 2.0 * (10_000.0 + 10.0 * at as f64) * new;
        let with_outlier = points(&SHARES, |at, new| if at == 2 { 20_300.0 } else { line(at, new) });
        let speed = ReadingSpeed::of(None, &with_outlier).unwrap();
        assert_eq!(speed.follows, Follows::NewTokens);
        assert!((speed.ms_per_token - 2.0).abs() < 1e-9, "{speed:?}");
        assert!((speed.base_ms - 250.0).abs() < 1e-6);
        assert_eq!(speed.cold_although_warm, 1);
        assert!(speed.is_cold_although_warm(&with_outlier[2]));
        assert!(!speed.is_cold_although_warm(&with_outlier[0]));
        let notes = notes(&[speed]);
        assert!(
            notes[1].contains("1 request with a warm prefix") && notes[1].contains("the backend's doing")
        );
    }

    #[test]
    fn a_backend_that_reuses_nothing_or_has_one_slot_is_known_by_its_times() {
        let all = points(&SHARES, |at, _| 250.0 + 2.0 * (10_000.0 + 10.0 * at as f64));
        let speed = ReadingSpeed::of(None, &all).unwrap();
        assert_eq!((speed.follows, speed.cold_although_warm), (Follows::AllTokens, 0));
        let one = points(&SHARES, |at, new| {
            2.0 * (10_000.0 + 10.0 * at as f64) * if at % 2 == 0 { 1.0 } else { new }
        });
        assert_eq!(ReadingSpeed::of(None, &one).unwrap().follows, Follows::NewTokensOneSlot);
    }

    #[test]
    fn four_requests_or_one_size_give_no_line() {
        assert_eq!(ReadingSpeed::of(None, &points(&SHARES[..4], |_, new| new)), None);
        let mut same = points(&[0.5; 9], |_, _| 700.0);
        same.iter_mut().for_each(|point| point.tokens = 10.0);
        same.iter_mut().for_each(|point| point.new_one_slot = 0.5);
        assert_eq!(ReadingSpeed::of(None, &same), None);
    }
}
