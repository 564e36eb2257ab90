//! The requests that an answer is about, and what was read besides.

use super::pool::within;
use crate::analysis::prefix::CacheInput;
use crate::error::{Error, Skipped};
use crate::model::request::Request;
use crate::model::scope::Scope;
use crate::recording::join::Joined;

/// How far before the scope a cache may have been filled: a day.
pub(super) const WARM_UP_MS: i64 = 24 * 60 * 60 * 1000;

/// The requests that a verb is about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Selection {
    /// Those of the chosen kind, in order of time.
    pub requests: Vec<Request>,
    /// Those of other kinds in the same time.
    pub others: Vec<Request>,
    /// All others that were read.
    pub rest: Vec<Request>,
    /// Which requests it is about.
    pub scope: Scope,
    /// Whether the scope is the day before the newest request (the last sitting), as nothing else
    /// was asked for.
    pub is_sitting: bool,
    /// Whether a finding may be about the others alone: beside conversations, but for those
    /// of which a number was asked for.
    pub are_others_meant: bool,
    /// The files that could not be used.
    pub skipped: Vec<Error>,
    /// What the logs tell beside the requests.
    pub joined: Joined,
}

impl Selection {
    /// The files that could not be used, as results carry them.
    #[must_use]
    pub fn skipped_list(&self) -> Vec<Skipped> {
        self.skipped.iter().map(Skipped::from).collect()
    }

    /// Keeps the newest request; the others are still there to tell how its backend counts.
    pub fn keep_newest(&mut self) {
        let newest = self.requests.pop();
        self.rest.append(&mut self.requests);
        self.requests.extend(newest);
    }

    /// Requests of every kind, in order of time.
    #[must_use]
    pub fn of_all_kinds(&self) -> Vec<&Request> {
        let mut all: Vec<&Request> = self.requests.iter().chain(&self.others).collect();
        all.sort_by(|a, b| a.order().cmp(&b.order()));
        all
    }

    /// The same as [`passing`](Self::passing), with all that a finding may be about shown.
    #[must_use]
    pub fn passing_of_all_kinds(&self) -> Vec<CacheInput<'_>> {
        let shown = self.others_meant().iter().map(|request| CacheInput { request, reported: true });
        in_order(self.passed().chain(shown))
    }

    /// Those of other kinds that a finding may be about.
    pub(super) fn others_meant(&self) -> &[Request] {
        if self.are_others_meant { &self.others } else { &[] }
    }

    /// Everything that passed through a cache from a day before the scope on,
    /// whatever the other filters show of it.
    #[must_use]
    pub fn passing(&self) -> Vec<CacheInput<'_>> {
        in_order(self.passed())
    }

    fn passed(&self) -> impl Iterator<Item = CacheInput<'_>> {
        let from = self.scope.from.map(|from| from.plus_ms(-WARM_UP_MS));
        let hidden = self.others.iter().chain(&self.rest);
        let hidden = hidden.filter(move |request| within(request, from, self.scope.to));
        let shown = self.requests.iter().map(|request| CacheInput { request, reported: true });
        shown.chain(hidden.map(|request| CacheInput { request, reported: false }))
    }
}

/// All of them in the order of time, each once; one that is shown is shown.
pub(super) fn in_order<'a>(passing: impl Iterator<Item = CacheInput<'a>>) -> Vec<CacheInput<'a>> {
    let mut all: Vec<CacheInput<'_>> = passing.collect();
    all.sort_by(|a, b| a.request.order().cmp(&b.request.order()).then(b.reported.cmp(&a.reported)));
    // Comparing times first spares comparing most paths.
    all.dedup_by(|a, b| a.request.timestamp == b.request.timestamp && a.request.path == b.request.path);
    all
}
