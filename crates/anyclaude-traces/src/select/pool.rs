//! Requests that were read, joined and labelled, before anything was selected of them.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use super::error::SelectError;
use crate::error::Error;
use crate::model::request::Kind;
use crate::model::request::Request;
use crate::model::request::TracePath;
use crate::model::time::Timestamp;
use crate::recording::join::Joined;

/// What was read, before any scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    pub(crate) requests: Vec<Request>,
    /// What the filters keep out.
    pub(super) rest: Vec<Request>,
    pub(crate) skipped: Vec<Error>,
    pub(crate) joined: Joined,
    /// All of it comes from logs.
    pub(super) is_of_logs: bool,
    /// Where it was looked for.
    pub(super) places: Vec<PathBuf>,
    pub(crate) seen: usize,
    /// The kinds of all that was seen, and the newest of it, to say what there was.
    pub(super) kinds: BTreeMap<Kind, usize>,
    pub(super) newest: Option<Timestamp>,
}

/// That nothing could be read, where something was to be.
pub(super) fn nothing_read(skipped: &[Error]) -> Option<SelectError> {
    let first = skipped.first()?.to_string();
    Some(SelectError::NothingRead { first, more: skipped.len() - 1 })
}

impl Pool {
    /// Why nothing was selected: where nothing could be read, that comes before what was
    /// looked for.
    pub(super) fn why_nothing(&self, error: SelectError) -> SelectError {
        if self.requests.is_empty() { nothing_read(&self.skipped).unwrap_or(error) } else { error }
    }

    /// Counts what there is, to say so where nothing is left of it.
    pub(super) fn count(&mut self) {
        self.seen = self.requests.len();
        self.newest = newest(&self.requests);
        self.kinds.clear();
        for request in &self.requests {
            *self.kinds.entry(request.kind).or_default() += 1;
        }
    }

    /// Keeps those that fit, and the others apart.
    pub(super) fn retain(&mut self, fits: impl Fn(&Request) -> bool) {
        self.rest.extend(self.requests.extract_if(.., |request| !fits(request)));
    }

    /// Keeps those of a time, if any is asked for.
    pub(super) fn keep_within(&mut self, since: Option<Timestamp>, until: Option<Timestamp>) {
        if since.is_some() || until.is_some() {
            self.retain(|request| within(request, since, until));
        }
    }

    /// Keeps these, which are some of its own, and the others apart.
    pub(super) fn keep(&mut self, mut picked: Vec<Request>) {
        let paths: HashSet<&TracePath> = picked.iter().map(|request| &request.path).collect();
        let others = std::mem::take(&mut self.requests).into_iter();
        self.rest.extend(others.filter(|request| !paths.contains(&request.path)));
        each_once(&mut picked);
        self.requests = picked;
    }

    pub(super) fn add(&mut self, other: Self) {
        self.rest.extend(other.rest);
        self.places.extend(other.places);
        self.seen += other.seen;
        self.newest = self.newest.max(other.newest);
        for (kind, n) in other.kinds {
            *self.kinds.entry(kind).or_default() += n;
        }
        self.skipped.extend(other.skipped);
        self.joined.extend(other.joined);
        if self.requests.is_empty() {
            // Most often there was nothing before, and these are many: no copy.
            self.requests = other.requests;
        } else {
            self.requests.extend(other.requests);
            each_once(&mut self.requests);
        }
    }
}

/// Puts requests in order of time, each once.
fn each_once(requests: &mut Vec<Request>) {
    requests.sort_by(|a, b| a.order().cmp(&b.order()));
    // Comparing times first spares comparing most paths, part by part.
    requests.dedup_by(|a, b| a.timestamp == b.timestamp && a.path == b.path);
}

/// When the newest of these was recorded, which are in order of time: those whose
/// time is unknown come last.
pub(super) fn newest(requests: &[Request]) -> Option<Timestamp> {
    requests.iter().rev().find_map(|request| request.timestamp)
}

pub(crate) fn within(request: &Request, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    let after = since.is_none_or(|since| request.timestamp.is_some_and(|stamp| stamp >= since));
    let before = until.is_none_or(|until| request.timestamp.is_some_and(|stamp| stamp <= until));
    after && before
}
