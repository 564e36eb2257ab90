//! Pairs each `[Request Start]` with its trace.
//!
//! The proxy writes a trace 0 to 118 ms after its start, in the order of the starts
//! (334 measured requests), and both hold the number of tools, the number of messages
//! and the token limit. So starts and traces with equal counts and a usual gap are paired
//! first, the shortest gap first, and then put in the order of the starts. Traces get
//! lost (two in one millisecond overwrite each other), so a start may have none. What is
//! left is paired with the nearest that does not contradict it.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;

use super::{Start, is_joinable};
use crate::formats::anyclaude::log::{LogRequest, LogRun, MAX_CANDIDATES};
use crate::model::ProxyEdit;
use crate::model::request::Request;
use crate::model::time::Timestamp;
use crate::model::timing::Confidence;

/// The gap from a start to its trace that is allowed, in milliseconds; it is long on slow
/// disks and busy machines.
const GAP_MS: RangeInclusive<i64> = -5..=1000;
/// The usual gap from a start to its trace, in milliseconds.
const USUAL_GAP_MS: RangeInclusive<i64> = -5..=150;
/// Starts this close cannot be told apart by time.
const SAME_TIME_MS: i64 = 2;

/// Pairs every start with its trace, and sets how sure that is.
pub(super) fn pair(requests: &[&mut Request], starts: &mut [Start<'_>], runs: &[LogRun]) {
    pair_by_name(requests, starts);
    let mut pairing = Pairing::new(requests, starts, runs);
    for tier in Tier::ALL {
        pairing.take(tier);
    }
    pairing.put_in_order();
    pairing.unpair_contradictions();
    let ambiguous = pairing.ambiguous();
    let pairs = pairing.trace_of;
    for ((at, start), trace) in starts.iter_mut().enumerate().zip(pairs) {
        if start.log.saved_trace.is_some() && start.request.is_some() {
            continue;
        }
        start.request = trace;
        if trace.is_some() {
            let confidence =
                if ambiguous.get(at) == Some(&true) { Confidence::Ambiguous } else { Confidence::Likely };
            start.confidence = start.confidence.max(confidence);
        }
    }
}

/// Pairs the starts whose trace a capture of standard error names.
fn pair_by_name(requests: &[&mut Request], starts: &mut [Start<'_>]) {
    if starts.iter().all(|start| start.log.saved_trace.is_none()) {
        return;
    }
    let mut files: HashMap<String, usize> = HashMap::new();
    for (index, request) in requests.iter().enumerate().filter(|(_, request)| is_joinable(request)) {
        for path in request.paths.iter() {
            let name = path.as_ref().file_name().unwrap_or_default();
            files.insert(name.to_string_lossy().into_owned(), index);
        }
    }
    for start in starts {
        start.request = start.log.saved_trace.as_ref().and_then(|name| files.remove(name));
    }
}

/// Which pairs are made in one pass; the passes run in the order of [`Tier::ALL`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tier {
    /// Equal counts and a usual gap.
    EqualUsual,
    /// Equal counts and an allowed gap.
    Equal,
    /// A usual gap; counts may differ.
    Usual,
}

impl Tier {
    const ALL: [Self; 3] = [Self::EqualUsual, Self::Equal, Self::Usual];

    fn gap_ms(self) -> RangeInclusive<i64> {
        match self {
            Self::EqualUsual | Self::Usual => USUAL_GAP_MS,
            Self::Equal => GAP_MS,
        }
    }

    fn most_mismatches(self) -> u32 {
        match self {
            Self::EqualUsual | Self::Equal => 0,
            Self::Usual => u32::MAX,
        }
    }
}

struct Pairing<'a, 's> {
    requests: &'a [&'a mut Request],
    starts: &'a [Start<'s>],
    runs: &'a [LogRun],
    /// Traces by time, without those that are paired by name.
    traces: Vec<(Timestamp, usize)>,
    /// The index of each start's trace.
    trace_of: Vec<Option<usize>>,
    /// The index of each trace's start.
    start_of: Vec<Option<usize>>,
}

impl<'a, 's> Pairing<'a, 's> {
    fn new(requests: &'a [&'a mut Request], starts: &'a [Start<'s>], runs: &'a [LogRun]) -> Self {
        let mut start_of = vec![None; requests.len()];
        let mut trace_of = vec![None; starts.len()];
        for (at, start) in starts.iter().enumerate() {
            if let Some(place) = start.request.and_then(|trace| start_of.get_mut(trace)) {
                *place = Some(at);
                trace_of[at] = start.request;
            }
        }
        let is_free = |index: usize| start_of.get(index) == Some(&None);
        let timed = |(index, request): (usize, &&mut Request)| Some((request.timestamp?, index));
        let joinable =
            requests.iter().enumerate().filter(|(index, request)| is_joinable(request) && is_free(*index));
        let mut traces: Vec<(Timestamp, usize)> = joinable.filter_map(timed).collect();
        traces.sort_unstable();
        Self { requests, starts, runs, traces, trace_of, start_of }
    }

    /// The traces that follow this start within these milliseconds.
    fn traces_after(&self, start: usize, gap_ms: &RangeInclusive<i64>) -> impl Iterator<Item = (i64, usize)> {
        let at = self.starts.get(start).map(|start| start.log.start).filter(|_| !self.is_named(start));
        let from = at.map_or(self.traces.len(), |at| {
            self.traces.partition_point(|(stamp, _)| stamp.ms_since(at) < *gap_ms.start())
        });
        let end = *gap_ms.end();
        let after = self.traces.get(from..).unwrap_or_default().iter().take(MAX_CANDIDATES);
        after
            .map_while(move |(stamp, trace)| Some((stamp.ms_since(at?), *trace)))
            .take_while(move |(gap, _)| *gap <= end)
    }

    /// The starts that this trace follows within these milliseconds.
    fn starts_before(&self, trace: usize, gap_ms: &RangeInclusive<i64>) -> impl Iterator<Item = usize> {
        let stamp = self.requests.get(trace).and_then(|request| request.timestamp);
        let before = |at: Timestamp, ms: i64| stamp.is_some_and(|stamp| stamp.ms_since(at) > ms);
        let from = self.starts.partition_point(|start| before(start.log.start, *gap_ms.end()));
        let to = self.starts.partition_point(|start| before(start.log.start, *gap_ms.start() - 1));
        (from..to).rev().take(MAX_CANDIDATES).filter(|start| !self.is_named(*start))
    }

    fn is_named(&self, start: usize) -> bool {
        self.starts.get(start).is_some_and(|start| start.log.saved_trace.is_some() && start.request.is_some())
    }

    fn mismatches(&self, start: usize, trace: usize) -> Option<u32> {
        mismatches(self.requests.get(trace)?, self.starts.get(start)?, self.runs)
    }

    fn mismatches_of_pair(&self, start: usize) -> Option<u32> {
        self.mismatches(start, *self.trace_of.get(start)?.as_ref()?)
    }

    fn set(&mut self, start: usize, trace: usize) {
        if let (Some(of_start), Some(of_trace)) = (self.trace_of.get_mut(start), self.start_of.get_mut(trace))
        {
            *of_start = Some(trace);
            *of_trace = Some(start);
        }
    }

    /// Makes the pairs of this tier among what is still free: fewest mismatches first, then
    /// the shortest gap.
    fn take(&mut self, tier: Tier) {
        let mut edges: Vec<(u32, u64, usize, usize)> = Vec::new();
        for start in (0..self.starts.len()).filter(|start| self.trace_of.get(*start) == Some(&None)) {
            for (gap, trace) in self.traces_after(start, &tier.gap_ms()) {
                if self.start_of.get(trace) != Some(&None) {
                    continue;
                }
                match self.mismatches(start, trace) {
                    Some(mismatches) if mismatches <= tier.most_mismatches() => {
                        edges.push((mismatches, gap.unsigned_abs(), start, trace));
                    }
                    _ => {}
                }
            }
        }
        edges.sort_unstable();
        for (_, _, start, trace) in edges {
            if self.trace_of.get(start) == Some(&None) && self.start_of.get(trace) == Some(&None) {
                self.set(start, trace);
            }
        }
    }

    /// Swaps the traces of two starts where both assignments fit as well, so that the earlier
    /// start has the earlier trace.
    fn put_in_order(&mut self) {
        let stamp =
            |pairing: &Self, trace: usize| pairing.requests.get(trace).and_then(|request| request.timestamp);
        for start in 0..self.starts.len() {
            if self.is_named(start) {
                continue;
            }
            for later in (start + 1..self.starts.len()).take(MAX_CANDIDATES) {
                let (Some(&Some(trace)), Some(&Some(other))) =
                    (self.trace_of.get(start), self.trace_of.get(later))
                else {
                    if self.trace_of.get(start) == Some(&None) { break } else { continue }
                };
                if self.starts.get(later).map(|start| start.log.start)
                    > stamp(self, trace).map(|at| at.plus_ms(5))
                {
                    break;
                }
                let is_crossed = stamp(self, other) < stamp(self, trace) && !self.is_named(later);
                if is_crossed && self.may_swap(start, trace, later, other) {
                    self.set(start, other);
                    self.set(later, trace);
                }
            }
        }
    }

    fn may_swap(&self, start: usize, trace: usize, later: usize, other: usize) -> bool {
        let sum = |a: Option<u32>, b: Option<u32>| Some(a? + b?);
        let now = sum(self.mismatches(start, trace), self.mismatches(later, other));
        let then = sum(self.mismatches(start, other), self.mismatches(later, trace));
        // Both gaps stay within what is allowed: each is between the two that there were.
        then.is_some() && then <= now
    }

    fn gap_ms(&self, start: usize, trace: usize) -> Option<i64> {
        Some(self.requests.get(trace)?.timestamp?.ms_since(self.starts.get(start)?.log.start))
    }

    /// Undoes pairs with an unusual gap and different counts.
    fn unpair_contradictions(&mut self) {
        for start in 0..self.starts.len() {
            let Some(&Some(trace)) = self.trace_of.get(start) else { continue };
            if self.is_named(start) {
                continue;
            }
            let unusual = self.gap_ms(start, trace).is_none_or(|gap| !USUAL_GAP_MS.contains(&gap));
            if unusual && self.mismatches(start, trace) != Some(0) {
                self.trace_of[start] = None;
                self.start_of[trace] = None;
            }
        }
    }

    /// Marks pairs as ambiguous where another assignment fits as well: one in which another
    /// start or another trace is left over, or one that swaps two starts of the same time.
    fn ambiguous(&self) -> Vec<bool> {
        let mut ambiguous = vec![false; self.starts.len()];
        self.mark_from_free_starts(&mut ambiguous);
        self.mark_from_free_traces(&mut ambiguous);
        for (start, ambiguous) in ambiguous.iter_mut().enumerate() {
            let Some(&Some(trace)) = self.trace_of.get(start) else { continue };
            let own = self.mismatches(start, trace);
            let same_time = |other: usize| {
                let both = self.starts.get(other).zip(self.starts.get(start));
                both.is_some_and(|(a, b)| a.log.start.ms_since(b.log.start).abs() <= SAME_TIME_MS)
            };
            // With another limit the pair rests on time alone, so any start nearby contests it.
            let contradicted = own > Some(0) && self.has_other_limit(start);
            let rival = |other: usize| {
                let as_like =
                    || self.mismatches(other, trace).is_some_and(|mismatches| Some(mismatches) <= own);
                other != start && (contradicted || same_time(other) && as_like())
            };
            *ambiguous |= self.starts_before(trace, &USUAL_GAP_MS).any(rival);
        }
        ambiguous
    }

    /// Whether the two have different token limits, which the proxy never changes.
    fn has_other_limit(&self, start: usize) -> bool {
        let limits = || {
            let trace = self.requests.get(*self.trace_of.get(start)?.as_ref()?)?;
            Some((self.starts.get(start)?.log.max_tokens.get()?, trace.max_tokens?))
        };
        limits().is_some_and(|(log, trace)| log != trace)
    }

    /// Follows chains from each start without a trace: if it fits the trace of another start,
    /// that start may in truth have the trace of a third, and so on. All on the way are
    /// ambiguous.
    fn mark_from_free_starts(&self, ambiguous: &mut [bool]) {
        let mut seen = vec![false; self.starts.len()];
        let free = (0..self.starts.len()).filter(|start| self.trace_of.get(*start) == Some(&None));
        let mut queue: VecDeque<usize> = free.collect();
        while let Some(start) = queue.pop_front() {
            for (_, trace) in self.traces_after(start, &USUAL_GAP_MS) {
                let Some(&Some(owner)) = self.start_of.get(trace) else { continue };
                let fits =
                    self.mismatches(start, trace).is_some_and(|m| Some(m) <= self.mismatches_of_pair(owner));
                if fits && owner != start && seen.get(owner) == Some(&false) {
                    seen[owner] = true;
                    ambiguous[owner] = true;
                    queue.push_back(owner);
                }
            }
        }
    }

    /// Follows chains from each trace without a start: if it fits the start of another trace,
    /// that trace may in truth belong to a third start, and so on. All on the way are
    /// ambiguous.
    fn mark_from_free_traces(&self, ambiguous: &mut [bool]) {
        let mut seen = vec![false; self.starts.len()];
        let free = self.traces.iter().map(|(_, trace)| *trace);
        let mut queue: VecDeque<usize> =
            free.filter(|trace| self.start_of.get(*trace) == Some(&None)).collect();
        while let Some(trace) = queue.pop_front() {
            for start in self.starts_before(trace, &USUAL_GAP_MS) {
                let Some(&Some(own)) = self.trace_of.get(start) else { continue };
                let fits =
                    self.mismatches(start, trace).is_some_and(|m| Some(m) <= self.mismatches_of_pair(start));
                if fits && own != trace && seen.get(start) == Some(&false) {
                    seen[start] = true;
                    ambiguous[start] = true;
                    queue.push_back(own);
                }
            }
        }
    }
}

/// How many of the counts differ that both trace and log hold, with the proxy's logged edits
/// undone. `None` where they cannot be the same request.
fn mismatches(request: &Request, start: &Start<'_>, runs: &[LogRun]) -> Option<u32> {
    let log_mode = runs.get(start.run).and_then(|run| run.mode.as_deref());
    let other_mode = match (request.mode.as_deref(), log_mode) {
        (Some(trace), Some(log)) => !log.eq_ignore_ascii_case(trace),
        _ => false,
    };
    let log = start.log;
    if other_mode || log.streamed.is_some_and(|streamed| streamed != request.stream) {
        return None;
    }
    let differs =
        |log: Option<u64>, trace: Option<u64>| u32::from(log.is_some() && trace.is_some() && log != trace);
    Some(
        differs(sent_tool_count(log), request.sizes.tool_count.get())
            + differs(sent_message_count(log), request.sizes.message_count.get())
            + differs(log.max_tokens.get(), request.max_tokens),
    )
}

/// The number of tools that Claude Code sent: that of the log, with the proxy's logged edits
/// undone. `None` where they cannot be undone.
pub(super) fn sent_tool_count(log: &LogRequest) -> Option<u64> {
    for edit in &log.facts.edits {
        match edit {
            ProxyEdit::ToolsFiltered { before, .. } => return Some(*before),
            ProxyEdit::ToolsRestored { .. } => return Some(0),
            ProxyEdit::ServerTools | ProxyEdit::SearchResultsInjected { .. } => return None,
            _ => {}
        }
    }
    log.tool_count.get()
}

/// The number of messages that Claude Code sent, likewise.
pub(super) fn sent_message_count(log: &LogRequest) -> Option<u64> {
    match (&log.facts.truncation, log.facts.messages_removed()) {
        (Some(cut), _) => Some(cut.removed_messages?.saturating_add(cut.kept_messages?)),
        (None, Some(removed)) => log.message_count.get().map(|kept| kept.saturating_add(removed)),
        (None, None) => log.message_count.get(),
    }
}
