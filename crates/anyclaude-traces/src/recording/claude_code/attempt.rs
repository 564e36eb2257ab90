//! One attempt to get an answer from a model, as far as its pieces are found.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::formats::claude_code::Usage;
use crate::model::time::Timestamp;
use crate::model::timing::Confidence;

/// An attempt. Claude Code tries again after an error: each try is a request of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempt {
    /// The file of facts that tells of it, and its number there: what it goes by unless it
    /// has a body.
    pub(super) place: Option<(usize, u32)>,
    pub(super) started: Option<Timestamp>,
    pub(super) source: StartSource,
    pub(super) caller: Caller,
    /// The process of Claude Code within its session, counted from 1.
    pub(super) process: Option<u32>,
    /// The name of its body, without an ending.
    pub(super) id: Option<Arc<str>>,
    /// Its body, by place.
    pub(super) body: Option<usize>,
    /// Its answer, by place.
    pub(super) response: Option<usize>,
    /// The id of the message that answered it.
    pub(super) message: Option<Arc<str>>,
    pub(super) end: Option<AttemptEnd>,
    /// Its span, by place.
    pub(super) span: Option<usize>,
    /// The duration of its end counts an attempt before it too.
    pub(super) counts_refused: bool,
    pub(super) confidence: Option<Confidence>,
}

/// Where the start of an attempt comes from, the best first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum StartSource {
    /// The event with its body.
    Event,
    /// An event of its span.
    Span,
    /// The event of its end, less the duration.
    End,
    /// The time when its body was written to disk.
    Modified,
    #[default]
    Unknown,
}

/// Who sent it, and to which model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) session: Option<Arc<str>>,
    pub(super) query_source: Option<Arc<str>>,
    pub(super) model: Option<Arc<str>>,
    pub(super) agent: Option<Arc<str>>,
    pub(super) client_version: Option<Arc<str>>,
}

impl Caller {
    /// Whether two events may be of one request.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        let fits = |a: &Option<Arc<str>>, b: &Option<Arc<str>>| a.is_none() || b.is_none() || a == b;
        self.session == other.session
            && fits(&self.query_source, &other.query_source)
            && fits(&self.model, &other.model)
            && fits(&self.agent, &other.agent)
    }

    /// Adds what this one does not know.
    pub(super) fn learn(&mut self, other: &Self) {
        let members = [
            (&mut self.session, &other.session),
            (&mut self.query_source, &other.query_source),
            (&mut self.model, &other.model),
            (&mut self.agent, &other.agent),
            (&mut self.client_version, &other.client_version),
        ];
        for (known, other) in members {
            if known.is_none() {
                known.clone_from(other);
            }
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AttemptEnd {
    pub(super) at: Option<Timestamp>,
    pub(super) duration_ms: Option<u64>,
    pub(super) ttft_ms: Option<u64>,
    pub(super) usage: Usage,
    pub(super) has_failed: bool,
    pub(super) error: Option<String>,
    pub(super) status: Option<u64>,
}

/// How many candidates are looked at: more than ever were open at a time.
const MAX_CANDIDATES: usize = 64;

/// Things with a session and a time, to find those of a session near a time.
#[derive(Debug, Default)]
pub(super) struct ByTime {
    sessions: HashMap<Option<Arc<str>>, Vec<(Timestamp, usize)>>,
}

impl ByTime {
    pub(super) fn new<'a>(items: impl IntoIterator<Item = (&'a Option<Arc<str>>, Timestamp, usize)>) -> Self {
        let mut sessions: HashMap<Option<Arc<str>>, Vec<(Timestamp, usize)>> = HashMap::new();
        for (session, at, index) in items {
            sessions.entry(session.clone()).or_default().push((at, index));
        }
        for items in sessions.values_mut() {
            items.sort_unstable();
        }
        Self { sessions }
    }

    /// Those within this time, the newest first.
    pub(super) fn within(
        &self,
        session: &Option<Arc<str>>,
        range: RangeInclusive<Timestamp>,
    ) -> impl Iterator<Item = (Timestamp, usize)> {
        let items = self.sessions.get(session).map(Vec::as_slice).unwrap_or_default();
        let from = items.partition_point(|(at, _)| at < range.start());
        let to = items.partition_point(|(at, _)| at <= range.end());
        items.get(from..to).unwrap_or_default().iter().rev().take(MAX_CANDIDATES).copied()
    }
}

/// Pairs of two lists that may belong together, each with its cost: how far it is off.
#[derive(Debug)]
pub(super) struct Pairs<C>(Vec<(C, usize, usize)>);

impl<C> Default for Pairs<C> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C: Ord> Pairs<C> {
    pub(super) fn add(&mut self, cost: C, left: usize, right: usize) {
        self.0.push((cost, left, right));
    }

    /// Chooses pairs by rising cost, none with what another one has.
    pub(super) fn cheapest(mut self) -> Vec<(usize, usize)> {
        self.0.sort();
        let (mut lefts, mut rights) = (HashSet::new(), HashSet::new());
        let mut chosen = Vec::new();
        for (_, left, right) in self.0 {
            if lefts.contains(&left) || rights.contains(&right) {
                continue;
            }
            lefts.insert(left);
            rights.insert(right);
            chosen.push((left, right));
        }
        chosen
    }
}

/// A time with as much around it.
pub(super) fn around(at: Timestamp, ms: i64) -> RangeInclusive<Timestamp> {
    at.plus_ms(-ms)..=at.plus_ms(ms)
}

pub(super) fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
