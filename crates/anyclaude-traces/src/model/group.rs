//! Groups of requests, and the distribution of their measures.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::model::measure::{Measure, Value};
use crate::model::request::Request;
use crate::model::stats::Stats;
use crate::model::time::Timestamp;
use crate::model::{Speeds, TimeBreakdown};

/// Counts over all requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Totals {
    /// Requests.
    pub requests: u64,
    /// Their trace files.
    pub files: u64,
    /// Files that could not be used, whether traces or logs.
    pub skipped: u64,
    /// Sessions.
    pub sessions: u64,
    /// anyclaude processes; known from logs only.
    pub runs: u64,
    /// The first request's timestamp.
    pub first: Option<Timestamp>,
    /// The last request's timestamp.
    pub last: Option<Timestamp>,
}

/// A group of requests with the same key.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Group {
    /// The key of the group, such as a model; `None` where that is unknown.
    pub name: Option<Arc<str>>,
    /// How many there are.
    pub requests: u64,
    /// Mean times per request, by where the time went; `None` without logs.
    pub time: Option<TimeBreakdown>,
    /// The speeds of the model that answered them, over its requests of every kind; `None`
    /// where several models answered.
    pub speeds: Option<Speeds>,
    /// The distribution of `wall_ms` without requests that failed, were given up or have no end:
    /// one that is refused at once is not waited for. `None` where none is known.
    pub answered_wall_ms: Option<Stats<Value>>,
    /// The distribution of each measure; `None` where no request's value is known.
    pub measures: Vec<(Measure, Option<Stats<Value>>)>,
}

impl Group {
    /// The measures that the groups of a summary have.
    pub const MEASURES: [Measure; 14] = [
        Measure::SystemChars,
        Measure::ToolCount,
        Measure::MessageCount,
        Measure::BodyBytes,
        Measure::ToolsBytes,
        Measure::MessagesBytes,
        Measure::ProxyMs,
        Measure::TtftMs,
        Measure::TotalMs,
        Measure::WallMs,
        Measure::ReportedTokensPerSecond,
        Measure::PromptTokens,
        Measure::OutputTokens,
        Measure::Keepalives,
    ];

    /// The distribution of one measure; `None` where it is unknown.
    #[must_use]
    pub fn stats(&self, measure: Measure) -> Option<&Stats<Value>> {
        self.measures.iter().find(|(known, _)| *known == measure).and_then(|(_, stats)| stats.as_ref())
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut group = serializer.serialize_map(Some(5 + self.measures.len()))?;
        group.serialize_entry("name", &self.name)?;
        group.serialize_entry("requests", &self.requests)?;
        group.serialize_entry("time", &self.time)?;
        group.serialize_entry("speeds", &self.speeds)?;
        group.serialize_entry("answered_wall_ms", &self.answered_wall_ms)?;
        for (measure, stats) in &self.measures {
            group.serialize_entry(measure.name(), stats)?;
        }
        group.end()
    }
}

/// Names the group of a request; `None` where that is unknown.
type GroupKey = dyn Fn(&Request) -> Option<Arc<str>> + Send + Sync;

/// What requests are grouped by, and in which order the groups come.
pub struct Grouping {
    pub(crate) key: Box<GroupKey>,
    pub(crate) order: GroupOrder,
    /// Whether the groups are models.
    is_by_model: bool,
}

impl fmt::Debug for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grouping").field("order", &self.order).finish_non_exhaustive()
    }
}

/// In which order groups come.
#[derive(Debug)]
pub(crate) enum GroupOrder {
    MostRequestsFirst,
    EarliestFirst,
    ByName,
}

impl Grouping {
    /// By the model that ran; most requests first.
    #[must_use]
    pub fn by_model() -> Self {
        Self { is_by_model: true, ..Self::by_name(Request::model_group) }
    }

    /// Whether each group is a model.
    pub(crate) fn is_by_model(&self) -> bool {
        self.is_by_model
    }

    /// By a name; the group with most requests comes first.
    ///
    /// ```
    /// use anyclaude_traces::Request;
    /// use anyclaude_traces::model::group::Grouping;
    /// use anyclaude_traces::model::measure::Measure;
    ///
    /// let of = |mode, bytes: u64| {
    ///     Request::builder("a.json").mode(mode).sizes(|sizes| sizes.body_bytes = bytes.into()).build()
    /// };
    /// let requests = [of("lmstudio", 900), of("lmstudio", 1100), of("claude", 700)];
    /// let all: Vec<&Request> = requests.iter().collect();
    /// let groups = Grouping::by_name(|request| request.mode.clone()).groups(&all, &[], &[Measure::BodyBytes]);
    /// assert_eq!(groups[0].name.as_deref(), Some("lmstudio"));
    /// assert!(groups[0].stats(Measure::BodyBytes).is_some_and(|bytes| bytes.min < bytes.max));
    /// ```
    #[must_use]
    pub fn by_name(key: impl Fn(&Request) -> Option<Arc<str>> + Send + Sync + 'static) -> Self {
        Self { key: Box::new(key), order: GroupOrder::MostRequestsFirst, is_by_model: false }
    }

    /// By something that changes over time, such as the session; the earliest group comes first.
    #[must_use]
    pub fn by_time(key: impl Fn(&Request) -> Option<Arc<str>> + Send + Sync + 'static) -> Self {
        Self { key: Box::new(key), order: GroupOrder::EarliestFirst, is_by_model: false }
    }

    /// By ranges whose names sort in their order; the group of unknown values comes last.
    #[must_use]
    pub fn by_step(key: impl Fn(&Request) -> Option<Arc<str>> + Send + Sync + 'static) -> Self {
        Self { key: Box::new(key), order: GroupOrder::ByName, is_by_model: false }
    }
}

pub(crate) fn totals(requests: &[&Request], skipped: usize) -> Totals {
    let distinct = |of: fn(&Request) -> Option<&Arc<str>>| {
        requests.iter().filter_map(|request| of(request)).collect::<HashSet<_>>().len() as u64
    };
    Totals {
        requests: requests.len() as u64,
        files: requests.iter().map(|request| request.paths.len() as u64).sum(),
        skipped: skipped as u64,
        sessions: distinct(|request| request.session.as_ref()),
        runs: distinct(|request| request.run.as_ref()),
        first: requests.iter().filter_map(|request| request.timestamp).min(),
        last: requests.iter().filter_map(|request| request.timestamp).max(),
    }
}

pub(crate) fn count_kinds<'a>(
    requests: impl IntoIterator<Item = &'a Request>,
) -> BTreeMap<Cow<'static, str>, u64> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry(Cow::Borrowed(request.kind.name())).or_default() += 1;
    }
    counts
}

/// Groups requests by a key, in the order of each group's first request.
pub(crate) fn group_by<'a>(
    requests: &[&'a Request],
    key: impl Fn(&Request) -> Option<Arc<str>>,
) -> Vec<(Option<Arc<str>>, Vec<&'a Request>)> {
    let mut places: HashMap<Option<Arc<str>>, usize> = HashMap::new();
    let mut parts: Vec<(Option<Arc<str>>, Vec<&Request>)> = Vec::new();
    for request in requests {
        let key = key(request);
        let place = *places.entry(key.clone()).or_insert_with(|| {
            parts.push((key, Vec::new()));
            parts.len() - 1
        });
        if let Some((_, members)) = parts.get_mut(place) {
            members.push(request);
        }
    }
    parts
}
