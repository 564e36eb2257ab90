//! The one model of time: cached tokens, the parts of a request's time, and the speeds
//! of each model. No other room divides tokens by milliseconds.
//!
//! [`fit`] looks at all requests of one recording at once, because each tells of the others:
//! it makes a `case::Case` of each, lets the steps below pass over all cases one after the
//! other (`fit_cases`), and writes what they found into each request's
//! [`Timing`](crate::model::timing::Timing). [`speeds`] and [`breakdown`] are sums over requests
//! that it has filled. Evidence outranks simulation, simulation outranks guess, and what nothing
//! tells is `None`.
//!
//! The steps, a file each, in the order in which they need each other:
//!
//! | step | finds |
//! |:--|:--|
//! | `plausibility` | which token counts can be true |
//! | `reasoning` | tokens that were generated before anything was streamed |
//! | `measured` | the parts of requests whose server logged them |
//! | `overlap` | which other requests were in the backend meanwhile |
//! | `measured::find_untimed_loads` | loads of which a log without times tells |
//! | `reasoning::find_buffered` | answers that were complete before their first piece was streamed |
//! | `reuse_seen` | whether each model's backend reuses prompts |
//! | `cached` | the tokens of each prompt that came from the cache |
//! | `read_whole` | requests whose time refutes the simulated cached tokens |
//! | `constant_wait` | a wait that comes before every answer, whatever is read |
//! | `queue` | waiting for other requests |
//! | `load` | waiting for the model to be loaded |
//! | `short_reads` | models whose samples are too short to tell a reading speed |
//! | `needed` | the tokens that even a perfect cache would have left to read |
//!
//! `case` holds what the steps work on and what makes a request a sample of a speed, `parts`
//! cuts a time up so that its parts add up, `rate` is the one division of tokens by time, and
//! `speeds` sums the samples of a model up.

mod breakdown;
mod cached;
mod case;
mod constant_wait;
mod load;
mod measured;
mod needed;
mod overlap;
mod parts;
mod plausibility;
mod queue;
mod rate;
mod read_whole;
mod reasoning;
mod reuse_seen;
mod short_reads;
mod speeds;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::Error;
use crate::model::request::Request;
use crate::model::sort::sort_by;
use crate::model::{CacheUse, SimulatedReuse};
use crate::prompt_cache::{CacheOptions, Fetch, Prompts, simulate_reuse};
use crate::recording::join::UnmatchedLogRequest;

pub use breakdown::breakdown;
pub(crate) use breakdown::{comparable, of_timings as breakdown_of_timings};
pub(crate) use queue::LEAST_QUEUE_MS;
pub use speeds::{speeds, speeds_by_model};

use case::Case;
use rate::Rate;

/// Estimates the tokens of these requests' prompts, as they were sent.
pub type Estimate<'a> = dyn FnMut(&[&Request]) -> Vec<Option<f64>> + 'a;

/// Estimated tokens of prompts, by the place of the request.
pub type Estimates = BTreeMap<usize, f64>;

/// The name by which requests are grouped to fit a speed.
type Model = Option<Arc<str>>;

/// Whether each model's backend is seen to reuse prompts.
type CacheUses = BTreeMap<Model, CacheUse>;

/// Lets all requests of one recording pass through a simulated prompt cache. Returns what that
/// held of each of them, for [`fit_simulated`], and what could not be read again.
///
/// `fetch` reads elements of prompts again, which [`simulate`](crate::prompt_cache::simulate) needs for few; what it
/// could not read counts as far as is known.
pub fn simulated_reuse<'a>(
    requests: &[&mut Request],
    prompts: &'a Prompts,
    options: CacheOptions,
    fetch: &'a mut Fetch<'a>,
) -> (Vec<SimulatedReuse>, Vec<Error>) {
    // Servers' logs seldom hold prompts, and without any there is nothing to simulate: to try
    // took a twentieth of the instructions of a log with 228,000 tasks.
    if prompts.is_empty() && requests.iter().all(|request| case::sent_bytes(request).is_none()) {
        return (Vec::new(), Vec::new());
    }
    let seen: Vec<&Request> = requests.iter().map(|request| &**request).collect();
    simulate_reuse(&seen, prompts, options, fetch)
}

/// Fills what [`fit`] fills, with what a simulated cache gave each of the requests.
///
/// `estimate` estimates the tokens of prompts, and is asked for those with an unusual count.
pub fn fit_simulated(
    requests: &mut [&mut Request],
    elsewhere: &mut [UnmatchedLogRequest],
    reuse: Vec<SimulatedReuse>,
    estimate: &mut Estimate<'_>,
) {
    let estimates = plausibility::estimates(requests, &reuse, estimate);
    let mut cases = cases(requests, elsewhere, &reuse, &estimates);
    drop((reuse, estimates));
    fit_cases(&mut cases);
    fill(requests, elsewhere, &cases);
}

/// Fills the parts of time and the tokens of all requests of one recording.
///
/// `requests` are those of every kind, in any order; `elsewhere` are requests that only
/// the log knows, which occupy the backend too; `reuse` is what a simulated cache gave
/// each of `requests`, at the same place (nothing is known of those beyond its end);
/// `estimates` are estimated tokens of some prompts, by the place of the request. What
/// is filled depends on nothing but these four, so that it can be filled again.
pub fn fit(
    requests: &mut [&mut Request],
    elsewhere: &mut [UnmatchedLogRequest],
    reuse: &[SimulatedReuse],
    estimates: &Estimates,
) {
    let mut cases = cases(requests, elsewhere, reuse, estimates);
    fit_cases(&mut cases);
    fill(requests, elsewhere, &cases);
}

/// A case for each request that anything was logged of, in the order of their starts.
fn cases(
    requests: &[&mut Request],
    elsewhere: &[UnmatchedLogRequest],
    reuse: &[SimulatedReuse],
    estimates: &Estimates,
) -> Vec<Case> {
    let mut origin = Arc::default();
    let of_requests = requests.iter().enumerate().filter_map(|(at, request)| {
        let mut case = Case::of_request(request, reuse.get(at).copied(), at)?.sharing_origin(&mut origin);
        if let Some(tokens) = estimates.get(&at) {
            case.estimated_tokens = Some(*tokens);
        }
        Some(case)
    });
    let mut cases: Vec<Case> = Vec::with_capacity(requests.len() + elsewhere.len());
    cases.extend(of_requests);
    let mut backends: HashMap<Option<Arc<str>>, Option<Arc<str>>> = HashMap::new();
    if !elsewhere.is_empty() {
        backends.extend(of_one_origin(&cases).map(|cases| {
            let origin = cases.first().map(|case| &*case.origin).cloned().unwrap_or_default();
            (origin.run, origin.backend)
        }));
    }
    let of_log = elsewhere.iter().enumerate().map(|(at, unmatched)| {
        let mut case = Case::of_log_request(unmatched, at);
        case.origin_mut().backend = backends.get(&case.origin.run).cloned().flatten();
        case.sharing_origin(&mut origin)
    });
    cases.extend(of_log);
    // The order must not depend on that of `requests`, not even where starts are equal.
    let path = |case: &Case| case.request_index().and_then(|at| Some(&requests.get(at)?.path));
    sort_by(&mut cases, |a, b| a.order(path(a)).cmp(&b.order(path(b))));
    cases
}

/// Writes what the steps found back into the requests.
fn fill(requests: &mut [&mut Request], elsewhere: &mut [UnmatchedLogRequest], cases: &[Case]) {
    for case in cases {
        match case.source {
            case::CaseSource::Request(at) => {
                if let Some(request) = requests.get_mut(at) {
                    request.bookkeeping.speed_sample = case.sample();
                    if let Some(timing) = request.timing.as_deref_mut() {
                        case.fill(timing);
                    }
                }
            }
            case::CaseSource::LogOnly(at) => {
                if let Some(unmatched) = elsewhere.get_mut(at) {
                    case.fill(&mut unmatched.timing);
                }
            }
        }
    }
}

/// The steps, in the order in which they need each other.
fn fit_cases(cases: &mut [Case]) {
    plausibility::judge(cases);
    reasoning::find(cases);
    measured::find(cases);
    overlap::find(cases);
    measured::find_untimed_loads(cases);
    reasoning::find_buffered(cases, &writing_rates(cases));
    let seen = by_model(cases, reuse_seen::judge);
    cached::fill(cases, &seen);
    read_whole::find(cases);
    constant_wait::find(cases);
    queue::find(cases, &reading_rates(cases));
    load::find(cases);
    cached::forget_loaded(cases);
    short_reads::find(cases);
    needed::fill(cases);
}

/// Runs of cases that follow each other and share one origin; most often a single run.
fn of_one_origin(cases: &[Case]) -> impl Iterator<Item = &[Case]> {
    cases.chunk_by(|a, b| Arc::ptr_eq(&a.origin, &b.origin))
}

/// What `of` finds of the cases of each model.
fn by_model<T>(cases: &[Case], of: impl Fn(&[&Case]) -> T) -> BTreeMap<Model, T> {
    let mut models: BTreeMap<&Model, Vec<&Case>> = BTreeMap::new();
    for cases in of_one_origin(cases) {
        if let Some(first) = cases.first() {
            models.entry(&first.origin.model).or_default().extend(cases);
        }
    }
    models.into_iter().map(|(model, cases)| (model.clone(), of(&cases))).collect()
}

fn reading_rates(cases: &[Case]) -> BTreeMap<Model, Rate> {
    by_model(cases, |cases| cases.iter().filter_map(|case| case.read_sample()).collect())
}

fn writing_rates(cases: &[Case]) -> BTreeMap<Model, Rate> {
    by_model(cases, |cases| cases.iter().filter_map(|case| case.write_sample()).collect())
}
