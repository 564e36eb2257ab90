//! The wait before every answer that does not depend on what there is to read: a tunnel, a
//! gateway, or something that a backend does for each request.
//!
//! The waits of one model in one process are fitted by a constant, a pace, and what the pace
//! grows by with the tokens that stand before (attention); none of the three is negative. A
//! constant is believed only where nothing else makes the waits, whichever request is left
//! out. What it is of cannot be told: its time is in no part.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Model;
use super::case::{Case, float, whole};
use super::load;
use crate::model::stats::median;

/// So many requests must tell of it.
const LEAST_REQUESTS: usize = 5;
/// A shorter one is not told from what each request costs anyway.
const LEAST_MS: f64 = 1_000.0;
/// So much of the median wait must it be.
const LEAST_SHARE: f64 = 0.4;
/// How far waits are from what is fitted, at most: root mean square of the relative error.
const MOST_ERROR: f64 = 0.15;
/// So many times as far are they from what is fitted without a constant, at least.
const CLEARLY_BETTER: f64 = 2.0;
/// Reading that takes less than this share of the constant is lost in its noise.
const DROWNED: f64 = 0.25;
/// What the server's own log leaves of the wait is a constant if it is this even.
const EVEN: f64 = 0.5;

/// The constant wait of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ConstantWait {
    pub(super) ms: u64,
    /// Its reading took so little beside it that it tells of no speed.
    pub(super) hides_reading: bool,
}

/// Requests of one model in one process: what stands between client and model is the same.
type Group = (Model, Option<Arc<str>>);

/// Finds the constant wait of each model in each process. `cases` are in the order of their
/// starts.
pub(super) fn find(cases: &mut [Case]) {
    let suspects = load::suspects(cases);
    let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate().filter(|(_, case)| case.ttft_ms.is_known()) {
        groups.entry((case.origin.model.clone(), case.origin.run.clone())).or_default().push(at);
    }
    for places in groups.into_values() {
        find_measured(cases, &places);
        if let Some(fit) = fitted(cases, &places, &suspects) {
            for at in places {
                if let Some(case) = cases.get_mut(at).filter(|case| !case.is_measured()) {
                    case.constant = fit.wait_of(case);
                }
            }
        }
    }
}

/// Of requests that had the backend for themselves, what their server's log leaves of the
/// wait is no queue where it is always about the same.
fn find_measured(cases: &mut [Case], places: &[usize]) {
    let is_alone =
        |case: &&Case| case.is_measured() && case.overlap.is_alone_until_first && case.load_ms == 0;
    let left: Vec<f64> = places
        .iter()
        .filter_map(|at| cases.get(*at).filter(is_alone))
        .map(|case| float(case.queue_ms))
        .collect();
    let Some(middle) = median(left.clone()).filter(|ms| *ms >= LEAST_MS) else { return };
    let is_even = left.iter().all(|ms| (ms - middle).abs() <= EVEN * middle);
    if left.len() < LEAST_REQUESTS || !is_even {
        return;
    }
    for at in places {
        let Some(case) = cases.get_mut(*at).filter(|case| case.is_measured() && case.load_ms == 0) else {
            continue;
        };
        // What is longer beside others is waiting for them.
        let most = if is_alone(&&*case) { case.queue_ms } else { whole(middle) };
        let ms = case.queue_ms.min(most);
        case.queue_ms -= ms;
        case.constant = ConstantWait { ms, hides_reading: false };
    }
}

/// By all requests; where these do not tell, by those that can have waited for no load.
fn fitted(cases: &[Case], places: &[usize], suspects: &BTreeSet<usize>) -> Option<Fit> {
    let waits = |is_in: &dyn Fn(&usize) -> bool| -> Vec<Wait> {
        let places = places.iter().filter(|at| is_in(at));
        places.filter_map(|at| Wait::of(cases.get(*at)?)).collect()
    };
    Fit::of(&waits(&|_| true)).or_else(|| Fit::of(&waits(&|at| !suspects.contains(at))))
}

/// A wait, and what was read in it.
#[derive(Debug, Clone, Copy)]
struct Wait {
    ms: f64,
    tokens: f64,
    /// The sum over the tokens that were read of those that stand before each.
    tokens_before: f64,
}

impl Wait {
    fn of(case: &Case) -> Option<Self> {
        let is_told = case.is_undisturbed() && !case.is_measured() && case.load_ms == 0;
        let tokens = float(case.read_tokens().filter(|tokens| is_told && *tokens > 0)?);
        let ms = float(case.wait_ms().filter(|ms| *ms > 0)?);
        let before = float(case.prompt_tokens.get()?) - tokens / 2.0;
        Some(Self { ms, tokens, tokens_before: tokens * before })
    }

    /// What it adds to each term of the fit, relative to how long it took.
    fn terms(self) -> Terms {
        [1.0 / self.ms, self.tokens / self.ms, self.tokens_before / self.ms]
    }
}

/// Of the constant, of the tokens, and of those before them.
const TERMS: usize = 3;
type Terms = [f64; TERMS];

/// Milliseconds: a constant, for each token, and for each token before each.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fit {
    ms: Terms,
}

impl Fit {
    /// The fit of these waits, where a constant makes most of them.
    fn of(waits: &[Wait]) -> Option<Self> {
        if waits.len() < LEAST_REQUESTS {
            return None;
        }
        let sums: Sums = waits.iter().fold(Sums::default(), |sums, wait| sums.plus(*wait, 1.0));
        let (fit, error) = sums.fit(true)?;
        let least_ms = LEAST_MS.max(LEAST_SHARE * median(waits.iter().map(|wait| wait.ms).collect())?);
        let is_clear = error <= MOST_ERROR
            && sums.fit(false).is_none_or(|(_, without)| without >= CLEARLY_BETTER * error);
        let holds = |sums: Sums| sums.fit(true).is_some_and(|(fit, _)| fit.ms[0] >= least_ms);
        let is_of_all = || waits.iter().all(|wait| holds(sums.plus(*wait, -1.0)));
        (fit.ms[0] >= least_ms && is_clear && is_of_all()).then_some(fit)
    }

    /// How long reading takes by it.
    fn reading_ms(&self, case: &Case) -> Option<f64> {
        let tokens = float(case.read_tokens()?);
        let before = float(case.prompt_tokens.get()?) - tokens / 2.0;
        Some(tokens * (self.ms[1] + before * self.ms[2]))
    }

    fn wait_of(&self, case: &Case) -> ConstantWait {
        let reading_ms = self.reading_ms(case);
        ConstantWait {
            ms: whole(self.ms[0]).min(case.wait_ms().unwrap_or(0)),
            hides_reading: reading_ms.is_none_or(|ms| ms < DROWNED * self.ms[0]),
        }
    }
}

/// How far waits are from what so many tokens explain, with a constant beside them or without:
/// the root mean square of the relative error.
pub(super) fn error_of(waits: impl Iterator<Item = (f64, f64)>, with_constant: bool) -> Option<f64> {
    let wait = |(ms, tokens)| Wait { ms, tokens, tokens_before: 0.0 };
    let sums = waits.map(wait).fold(Sums::default(), |sums, wait| sums.plus(wait, 1.0));
    sums.fit(with_constant).map(|(_, error)| error)
}

/// The sums that a least-squares fit is made of: each wait counts by its relative error.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: f64,
    products: [Terms; TERMS],
    targets: Terms,
}

impl Sums {
    fn plus(mut self, wait: Wait, sign: f64) -> Self {
        let terms = wait.terms();
        self.n += sign;
        for ((row, target), term) in self.products.iter_mut().zip(&mut self.targets).zip(terms) {
            *target += sign * term;
            row.iter_mut().zip(terms).for_each(|(sum, other)| *sum += sign * term * other);
        }
        self
    }

    /// The best fit without a negative term, and its error: the best of those of some terms.
    fn fit(&self, with_constant: bool) -> Option<(Fit, f64)> {
        const OF_TERMS: [[bool; TERMS]; 7] = [
            [false, true, false],
            [false, false, true],
            [false, true, true],
            [true, false, false],
            [true, true, false],
            [true, false, true],
            [true, true, true],
        ];
        let used = OF_TERMS.into_iter().filter(|used| with_constant || !used[0]);
        let solved = used.filter_map(|used| self.solved(used)).filter(|ms| ms.iter().all(|ms| *ms >= 0.0));
        let with_error = solved.map(|ms| (Fit { ms }, self.error(ms)));
        with_error.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// The root mean square of the relative errors.
    fn error(&self, ms: Terms) -> f64 {
        let along = |row: &Terms| -> f64 { row.iter().zip(ms).map(|(sum, ms)| sum * ms).sum() };
        let square: f64 = self.products.iter().zip(ms).map(|(row, ms)| along(row) * ms).sum();
        ((self.n - 2.0 * along(&self.targets) + square).max(0.0) / self.n).sqrt()
    }

    /// The normal equations of these terms; the others are 0.
    fn solved(&self, used: [bool; TERMS]) -> Option<Terms> {
        // In its own unit each term is about 1, whatever tokens are beside milliseconds.
        let units: Terms = std::array::from_fn(|at| self.products[at][at].max(f64::MIN_POSITIVE).sqrt());
        let product = |at: usize, other: usize| {
            let is_used = used[at] && used[other];
            if is_used {
                self.products[at][other] / (units[at] * units[other])
            } else {
                f64::from(u8::from(at == other))
            }
        };
        let target = |at: usize| if used[at] { self.targets[at] / units[at] } else { 0.0 };
        let row =
            |at| std::array::from_fn(|other| if other < TERMS { product(at, other) } else { target(at) });
        let solution = eliminate(std::array::from_fn(row))?;
        Some(std::array::from_fn(|at| solution[at] / units[at]))
    }
}

/// Solves three equations; `None` where they do not tell the unknowns apart.
fn eliminate(mut rows: [[f64; TERMS + 1]; TERMS]) -> Option<Terms> {
    const LEAST_PIVOT: f64 = 1e-9;
    for at in 0..TERMS {
        let pivot = (at..TERMS).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()))?;
        rows.swap(at, pivot);
        let head = rows[at];
        if head[at].abs() < LEAST_PIVOT {
            return None;
        }
        for row in rows.iter_mut().enumerate().filter(|(other, _)| *other != at).map(|(_, row)| row) {
            let factor = row[at] / head[at];
            row.iter_mut().zip(head).for_each(|(value, above)| *value -= factor * above);
        }
    }
    Some([rows[0][TERMS] / rows[0][0], rows[1][TERMS] / rows[1][1], rows[2][TERMS] / rows[2][2]])
}
