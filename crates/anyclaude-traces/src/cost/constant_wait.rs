//! The wait before every answer that does not depend on what there is to read: a tunnel, a
//! gateway, or something that a backend does for each request.
//!
//! The waits of one model in one process are fitted by three terms, none of them negative: a
//! constant, a time for each token that is read, and a time for each pair of a token that is
//! read and one that stands before it (attention). The constant is believed only where the fit
//! is good, clearly worse without it, and the same whichever request is left out ([`Fit::of`]).
//! Nothing tells what the constant is of, so that its time is in no part, but in `other_ms`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Model;
use super::case::{Case, float, whole};
use super::load;
use crate::model::stats::median;

/// A constant needs the waits of at least this many requests.
const LEAST_REQUESTS: usize = 5;
/// A shorter constant could be what each request costs anyway.
const LEAST_MS: f64 = 1_000.0;
/// It must be at least this share of the median wait.
const LEAST_SHARE: f64 = 0.4;
/// The error of the fit (the root mean square of the relative errors) is at most this, …
const MOST_ERROR: f64 = 0.15;
/// … and the error without a constant at least this many times as large.
const CLEARLY_BETTER: f64 = 2.0;
/// Reading that takes less than this share of the constant is lost in its noise, and is no
/// sample of the reading speed.
const DROWNED: f64 = 0.25;
/// What the server's own log leaves of each wait is a constant if none deviates from the median
/// by more than this share of it.
const EVEN: f64 = 0.5;

/// The constant wait before one request's first token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ConstantWait {
    pub(super) ms: u64,
    /// Reading took so little time beside it that the request is no sample of the speed.
    pub(super) hides_reading: bool,
}

/// A model and a process. Requests of one group have the same things between client and model,
/// and so the same constant.
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

/// The constant wait of requests that their server measured. What its log leaves of a wait was
/// taken for a queue; it is a constant where requests that were alone in the backend all have
/// about the same.
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
        // A request beside others may have waited for them as well: only the constant is taken.
        let most = if is_alone(&&*case) { case.queue_ms } else { whole(middle) };
        let ms = case.queue_ms.min(most);
        case.queue_ms -= ms;
        case.constant = ConstantWait { ms, hides_reading: false };
    }
}

/// The fit of the requests at these places; where all of them show no constant, of those that
/// are not suspected of a load.
fn fitted(cases: &[Case], places: &[usize], suspects: &BTreeSet<usize>) -> Option<Fit> {
    let waits = |is_in: &dyn Fn(&usize) -> bool| -> Vec<Wait> {
        let places = places.iter().filter(|at| is_in(at));
        places.filter_map(|at| Wait::of(cases.get(*at)?)).collect()
    };
    Fit::of(&waits(&|_| true)).or_else(|| Fit::of(&waits(&|at| !suspects.contains(at))))
}

/// One request's wait for its first token, and what was read in it.
#[derive(Debug, Clone, Copy)]
struct Wait {
    ms: f64,
    tokens: f64,
    /// The sum over the tokens that were read of those that stand before each.
    tokens_before: f64,
}

impl Wait {
    fn of(case: &Case) -> Option<Self> {
        let is_free = case.is_undisturbed() && !case.is_measured() && case.load_ms == 0;
        let tokens = float(case.read_tokens().filter(|tokens| is_free && *tokens > 0)?);
        let ms = float(case.wait_ms().filter(|ms| *ms > 0)?);
        let before = float(case.prompt_tokens.get()?) - tokens / 2.0;
        Some(Self { ms, tokens, tokens_before: tokens * before })
    }

    /// The factors of the fit's terms, divided by the wait: each wait counts by its relative
    /// error.
    fn terms(self) -> Terms {
        [1.0 / self.ms, self.tokens / self.ms, self.tokens_before / self.ms]
    }
}

/// The terms of a fit: the constant, the tokens that are read, and the tokens before them.
const TERMS: usize = 3;
/// A figure for each term.
type Terms = [f64; TERMS];

/// Whether a fit may use the constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConstantTerm {
    With,
    Without,
}

/// What a wait is made of, as fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fit {
    /// Milliseconds: the constant, those for each token, and those for each token before each.
    ms: Terms,
}

impl Fit {
    /// The fit of these waits, if its constant is to be believed.
    fn of(waits: &[Wait]) -> Option<Self> {
        if waits.len() < LEAST_REQUESTS {
            return None;
        }
        let sums: Sums = waits.iter().fold(Sums::default(), |sums, wait| sums.plus(*wait, 1.0));
        let (fit, error) = sums.fit(ConstantTerm::With)?;
        let least_ms = LEAST_MS.max(LEAST_SHARE * median(waits.iter().map(|wait| wait.ms).collect())?);
        let is_clear = error <= MOST_ERROR
            && sums.fit(ConstantTerm::Without).is_none_or(|(_, without)| without >= CLEARLY_BETTER * error);
        let holds = |sums: Sums| sums.fit(ConstantTerm::With).is_some_and(|(fit, _)| fit.ms[0] >= least_ms);
        let holds_without_any = || waits.iter().all(|wait| holds(sums.plus(*wait, -1.0)));
        (fit.ms[0] >= least_ms && is_clear && holds_without_any()).then_some(fit)
    }

    /// How many milliseconds of a request's wait are reading, by the fit.
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

/// How well one time for each token explains these waits, each of which is a pair of
/// milliseconds and tokens: the root mean square of the relative errors.
pub(super) fn error_of(waits: impl Iterator<Item = (f64, f64)>, constant: ConstantTerm) -> Option<f64> {
    let wait = |(ms, tokens)| Wait { ms, tokens, tokens_before: 0.0 };
    let sums = waits.map(wait).fold(Sums::default(), |sums, wait| sums.plus(wait, 1.0));
    sums.fit(constant).map(|(_, error)| error)
}

/// The sums that a least-squares fit is made of.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: f64,
    products: [Terms; TERMS],
    targets: Terms,
}

impl Sums {
    /// The sums with one wait more (`sign` 1) or less (`sign` -1).
    fn plus(mut self, wait: Wait, sign: f64) -> Self {
        let terms = wait.terms();
        self.n += sign;
        for ((row, target), term) in self.products.iter_mut().zip(&mut self.targets).zip(terms) {
            *target += sign * term;
            row.iter_mut().zip(terms).for_each(|(sum, other)| *sum += sign * term * other);
        }
        self
    }

    /// The best fit without a negative term, and its error. Each choice of terms is fitted, as
    /// the best fit of all three may need a negative one.
    fn fit(&self, constant: ConstantTerm) -> Option<(Fit, f64)> {
        const USED_TERMS: [[bool; TERMS]; 7] = [
            [false, true, false],
            [false, false, true],
            [false, true, true],
            [true, false, false],
            [true, true, false],
            [true, false, true],
            [true, true, true],
        ];
        let used = USED_TERMS.into_iter().filter(|used| constant == ConstantTerm::With || !used[0]);
        let solved = used.filter_map(|used| self.solved(used)).filter(|ms| ms.iter().all(|ms| *ms >= 0.0));
        let with_error = solved.map(|ms| (Fit { ms }, self.error(ms)));
        with_error.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// The root mean square of the relative errors of a fit with these terms.
    fn error(&self, ms: Terms) -> f64 {
        let along = |row: &Terms| -> f64 { row.iter().zip(ms).map(|(sum, ms)| sum * ms).sum() };
        let square: f64 = self.products.iter().zip(ms).map(|(row, ms)| along(row) * ms).sum();
        ((self.n - 2.0 * along(&self.targets) + square).max(0.0) / self.n).sqrt()
    }

    /// Solves the normal equations of the terms that are used; the others are 0.
    fn solved(&self, used: [bool; TERMS]) -> Option<Terms> {
        // Each term is scaled to about 1, as tokens are far larger numbers than milliseconds.
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

/// Solves three linear equations by Gauss-Jordan elimination; `None` where they have no single
/// solution.
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
