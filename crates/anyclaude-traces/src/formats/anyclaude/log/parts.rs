//! Finds the first part of each stream at level 1, where no line names the time to first token.
//!
//! A stream numbers its parts 1, 2, 3, …, so part n continues a stream that has reached
//! n − 1. Where several streams have, the kind of the part tells which of them it can
//! continue: a delta continues an open block, `start-step` comes second, `finish` after
//! `finish-step`. Where several streams still fit, they cannot be told apart from there
//! on, and the first parts of each stay possible for all of them. `Stream complete. Total
//! chunks: n` names the stream that ended by its number of parts, and the
//! `[Request Complete]` after it names the request.

use std::collections::HashMap;

use super::limits::MAX_STREAMS;
use super::message::{Block, PartKind};

/// Where a stream has more possible first parts than this, its first part is ambiguous.
const MAX_POSSIBLE: usize = 16;
/// A stream that has begun to answer and is silent for longer than this is taken for dead.
const SILENCE_MS: i64 = 120_000;
/// The last part of an answer precedes the end of its request by at most this.
const CLOSING_MS: i64 = 250;

/// Index of a first part.
pub(super) type FirstPart = u32;

/// The possible first parts of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Possible {
    parts: Vec<FirstPart>,
    /// There were more than [`MAX_POSSIBLE`].
    crowded: bool,
}

impl Possible {
    fn join(&mut self, other: &Self) {
        for part in &other.parts {
            if !self.parts.contains(part) {
                if self.parts.len() == MAX_POSSIBLE {
                    self.crowded = true;
                    return;
                }
                self.parts.push(*part);
            }
        }
        self.crowded |= other.crowded;
    }
}

/// How many parts carried pieces of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Deltas {
    pub(super) all: u64,
    pub(super) reasoning: u64,
}

impl Deltas {
    fn count(&mut self, kind: PartKind) {
        if let PartKind::Delta(block) = kind {
            self.all += 1;
            self.reasoning += u64::from(matches!(block, Block::Reasoning));
        }
    }
}

/// A stream that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EndedStream {
    pub(super) firsts: Possible,
    /// `None` where not all of its parts are certainly its own.
    pub(super) deltas: Option<Deltas>,
}

#[derive(Debug, Clone)]
struct Stream {
    last: u64,
    seen: i64,
    content: bool,
    firsts: Possible,
    deltas: Option<Deltas>,
    grammar: Grammar,
}

/// Which kinds of part can come next in a stream.
#[derive(Debug, Clone, Copy, Default)]
struct Grammar {
    /// The beginning of the stream was not seen, so any kind can follow.
    unknown: bool,
    /// The blocks that are open: text, reasoning, tool input.
    open: [bool; 3],
    /// `start-step` was seen since the stream or its last step began.
    in_step: bool,
    finished_step: bool,
}

impl Grammar {
    fn allows(self, kind: PartKind) -> bool {
        let follows = match kind {
            PartKind::Start => false,
            PartKind::StartStep => !self.in_step,
            // Several tools can be called at once.
            PartKind::BlockStart(Block::ToolInput) => self.in_step,
            PartKind::BlockStart(block) => self.in_step && !self.open[block as usize],
            PartKind::Delta(block) | PartKind::BlockEnd(block) => self.open[block as usize],
            PartKind::ToolCall | PartKind::FinishStep => self.in_step,
            PartKind::Finish => self.finished_step,
            PartKind::Other => true,
        };
        self.unknown || follows
    }

    fn follow(&mut self, kind: PartKind) {
        match kind {
            PartKind::StartStep => (self.in_step, self.finished_step) = (true, false),
            PartKind::BlockStart(block) => self.open[block as usize] = true,
            PartKind::BlockEnd(block) => self.open[block as usize] = false,
            PartKind::FinishStep => {
                (self.in_step, self.finished_step, self.open) = (false, true, [false; 3]);
            }
            PartKind::Start
            | PartKind::Delta(_)
            | PartKind::ToolCall
            | PartKind::Finish
            | PartKind::Other => {}
        }
    }
}

/// Follows the numbered parts of all streams.
#[derive(Debug, Default, Clone)]
pub(super) struct Parts {
    streams: Vec<Stream>,
    firsts: Vec<i64>,
}

impl Parts {
    /// Takes note of part `number`, stamped `at`.
    pub(super) fn part(&mut self, number: u64, kind: PartKind, at: i64) {
        let chosen = if number == 1 { None } else { self.follow(number, kind, at) };
        let chosen = chosen.unwrap_or_else(|| {
            if self.streams.len() == MAX_STREAMS {
                let oldest = self.streams.iter().enumerate().min_by_key(|(_, stream)| stream.seen);
                if let Some((oldest, _)) = oldest {
                    self.streams.swap_remove(oldest);
                }
            }
            // A number above 1 means that the beginning of the stream was not seen.
            let content = number > 1 && !matches!(kind, PartKind::BlockStart(_));
            let grammar = Grammar { unknown: number > 1, ..Grammar::default() };
            let firsts = Possible::default();
            let deltas = (number == 1).then(Deltas::default);
            self.streams.push(Stream { last: number, seen: at, content, firsts, deltas, grammar });
            self.streams.len() - 1
        });
        let Some(stream) = self.streams.get_mut(chosen) else { return };
        stream.last = number;
        stream.seen = at;
        stream.grammar.follow(kind);
        if let Some(deltas) = &mut stream.deltas {
            deltas.count(kind);
        }
        if !stream.content && kind.is_content() {
            stream.content = true;
            if let Ok(first) = FirstPart::try_from(self.firsts.len()) {
                self.firsts.push(at);
                stream.firsts.join(&Possible { parts: vec![first], crowded: false });
            }
        }
    }

    /// The stream that part `number` continues.
    fn follow(&mut self, number: u64, kind: PartKind, at: i64) -> Option<usize> {
        if let [stream] = self.streams.as_slice()
            && stream.last + 1 == number
        {
            return Some(0);
        }
        let mut fitting = Vec::new();
        let mut index = 0;
        while let Some(stream) = self.streams.get(index) {
            if stream.content && at.saturating_sub(stream.seen) > SILENCE_MS {
                self.streams.swap_remove(index);
                continue;
            }
            if stream.last + 1 == number {
                fitting.push(index);
            }
            index += 1;
        }
        if fitting.len() > 1 {
            let allows =
                |index: &usize| self.streams.get(*index).is_some_and(|stream| stream.grammar.allows(kind));
            if fitting.iter().any(allows) {
                fitting.retain(allows);
            }
            self.entangle(&fitting);
        }
        fitting.first().copied()
    }

    /// Makes the first parts of each of these streams possible for all of them, as they
    /// cannot be told apart from here on.
    fn entangle(&mut self, same: &[usize]) {
        if same.len() < 2 {
            return;
        }
        let mut union = Possible::default();
        for stream in same.iter().filter_map(|index| self.streams.get(*index)) {
            union.join(&stream.firsts);
        }
        for index in same {
            if let Some(stream) = self.streams.get_mut(*index) {
                stream.firsts = union.clone();
                stream.deltas = None;
            }
        }
    }

    /// Removes the stream that ends after `parts` parts.
    pub(super) fn end(&mut self, parts: u64) -> EndedStream {
        let same: Vec<usize> = self
            .streams
            .iter()
            .enumerate()
            .filter(|(_, s)| s.last == parts)
            .map(|(index, _)| index)
            .collect();
        self.entangle(&same);
        match same.first() {
            Some(&index) => {
                let Stream { firsts, deltas, .. } = self.streams.swap_remove(index);
                EndedStream { firsts, deltas }
            }
            None => EndedStream::default(),
        }
    }
}

/// A streamed request whose first part is to be found.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// The request's index.
    pub(super) request: usize,
    /// When its stream began.
    pub(super) from: i64,
    /// When it ended.
    pub(super) to: i64,
    /// The first parts that are possible by the numbers of the parts.
    pub(super) possible: Possible,
    /// Output tokens and the proxy's tokens per second, rounded to a tenth. Their quotient is
    /// the time from the first part to the end.
    pub(super) pace: Option<(u64, f64)>,
}

impl Claim {
    /// Whether a first part at this time agrees with the pace.
    fn expects(&self, first: i64) -> bool {
        let Some((tokens, per_second)) = self.pace else { return false };
        let duration = |per_second: f64| tokens as f64 * 1000.0 / per_second;
        let before_end = self.to.saturating_sub(first) as f64;
        let shortest = duration(per_second + 0.05) - 2.0;
        let longest = duration((per_second - 0.05).max(0.01)) + 2.0 + CLOSING_MS as f64;
        (shortest..=longest).contains(&before_end)
    }
}

/// The first part that a claim is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// No first part was seen.
    None,
    /// Only this one was possible.
    Exact(i64),
    /// Only this one was left, or only this one agrees with the pace.
    Likely(i64),
    /// Several are possible.
    Ambiguous,
}

impl Parts {
    /// Settles all claims together, as a first part belongs to one request only.
    pub(super) fn settle(&self, claims: &[Claim]) -> Vec<(usize, Settled)> {
        let stamp_of = |part: FirstPart| self.firsts.get(part as usize).copied();
        let mut left: Vec<Vec<FirstPart>> = claims
            .iter()
            .map(|claim| {
                let fits = |part: &&FirstPart| {
                    stamp_of(**part).is_some_and(|first| (claim.from..=claim.to).contains(&first))
                };
                claim.possible.parts.iter().filter(fits).copied().collect()
            })
            .collect();
        let mut wanted: HashMap<FirstPart, Vec<usize>> = HashMap::new();
        for (index, parts) in left.iter().enumerate() {
            for part in parts {
                wanted.entry(*part).or_default().push(index);
            }
        }
        let mut settled: Vec<Option<Settled>> = vec![None; claims.len()];
        let mut single: Vec<usize> = Vec::new();
        for (index, (claim, parts)) in claims.iter().zip(&left).enumerate() {
            match parts.len() {
                _ if claim.possible.crowded => settled[index] = Some(Settled::Ambiguous),
                0 => settled[index] = Some(Settled::None),
                1 => single.push(index),
                _ => {}
            }
        }
        for by_pace in [false, true] {
            if by_pace {
                single.extend((0..claims.len()).filter(|&index| settled[index].is_none()));
            }
            while let Some(index) = single.pop() {
                if settled[index].is_some() {
                    continue;
                }
                let fits = |part: &&FirstPart| stamp_of(**part).is_some_and(|at| claims[index].expects(at));
                let mut parts = left[index].clone();
                if by_pace && parts.len() > 1 {
                    parts = left[index].iter().filter(fits).copied().collect();
                }
                let [part] = parts.as_slice() else {
                    if parts.is_empty() && left[index].is_empty() {
                        settled[index] = Some(Settled::Ambiguous);
                    }
                    continue;
                };
                // Where this is the only one left for several requests, all are ambiguous.
                let rivals = wanted.get(part).map(Vec::as_slice).unwrap_or_default();
                let contested =
                    |other: &usize| *other != index && settled[*other].is_none() && left[*other] == [*part];
                let contesting: Vec<usize> =
                    rivals.iter().copied().filter(|other| contested(other)).collect();
                if !contesting.is_empty() {
                    settled[index] = Some(Settled::Ambiguous);
                    contesting.iter().for_each(|&other| settled[other] = Some(Settled::Ambiguous));
                    continue;
                }
                let first = stamp_of(*part).unwrap_or_default();
                settled[index] = Some(if claims[index].possible.parts.len() == 1 {
                    Settled::Exact(first)
                } else if claims[index].pace.is_some() && !claims[index].expects(first) {
                    Settled::Ambiguous
                } else {
                    Settled::Likely(first)
                });
                for other in rivals {
                    left[*other].retain(|candidate| candidate != part);
                    if left[*other].len() == 1 {
                        single.push(*other);
                    }
                }
            }
        }
        let doubtful = |settled: Option<Settled>| settled.unwrap_or(Settled::Ambiguous);
        claims.iter().zip(settled).map(|(claim, settled)| (claim.request, doubtful(settled))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: PartKind = PartKind::BlockStart(Block::Text);
    const DELTA: PartKind = PartKind::Delta(Block::Text);

    fn claim(request: usize, from: i64, to: i64, possible: Possible, pace: Option<(u64, f64)>) -> Claim {
        Claim { request, from, to, possible, pace }
    }

    #[test]
    fn one_stream_is_exact() {
        let mut parts = Parts::default();
        parts.part(1, PartKind::Other, 10);
        parts.part(2, PartKind::Other, 500);
        parts.part(3, START, 501);
        parts.part(4, DELTA, 502);
        let ended = parts.end(4).firsts;
        assert_eq!(parts.settle(&[claim(0, 5, 600, ended, None)]), [(0, Settled::Exact(501))]);
        assert_eq!(parts.end(4), EndedStream::default());
    }

    #[test]
    fn pieces_are_counted_of_streams_that_are_certainly_told_apart() {
        let mut parts = Parts::default();
        let reasoning = Block::Reasoning;
        let kinds = [PartKind::Start, PartKind::StartStep, PartKind::BlockStart(reasoning)];
        let kinds = kinds.into_iter().chain([PartKind::Delta(reasoning); 3]);
        let kinds =
            kinds.chain([PartKind::BlockEnd(reasoning), START, DELTA, PartKind::BlockEnd(Block::Text)]);
        for (kind, number) in kinds.zip(1..) {
            parts.part(number, kind, 0);
        }
        assert_eq!(parts.end(10).deltas, Some(Deltas { all: 4, reasoning: 3 }));
        parts.part(7, DELTA, 0);
        assert_eq!(parts.end(7).deltas, None, "its beginning was not seen");
        // Two that stand at the same number.
        for (number, kind) in [(1, START), (1, START), (2, DELTA), (2, DELTA)] {
            parts.part(number, kind, 0);
        }
        assert_eq!([parts.end(2).deltas, parts.end(2).deltas], [None, None]);
    }

    #[test]
    fn streams_that_never_meet_are_told_apart_by_their_ends() {
        let mut parts = Parts::default();
        parts.part(1, PartKind::Other, 0);
        parts.part(1, PartKind::Other, 1);
        parts.part(2, START, 100);
        parts.part(3, DELTA, 110);
        parts.part(2, START, 200);
        parts.part(4, DELTA, 210);
        let (long, short) = (parts.end(4).firsts, parts.end(2).firsts);
        let claims = [claim(0, 0, 300, short, None), claim(1, 0, 300, long, None)];
        assert_eq!(parts.settle(&claims), [(0, Settled::Exact(200)), (1, Settled::Exact(100))]);
    }

    fn crossed() -> (Parts, Possible, Possible) {
        let mut parts = Parts::default();
        parts.part(1, START, 100);
        parts.part(1, START, 5_000);
        parts.part(2, DELTA, 5_010);
        parts.part(2, DELTA, 5_020);
        parts.part(3, DELTA, 5_030);
        let (one, other) = (parts.end(3).firsts, parts.end(2).firsts);
        (parts, one, other)
    }

    #[test]
    fn streams_that_met_are_told_apart_by_their_pace() {
        let (parts, one, other) = crossed();
        // 60 tokens at 10 a second ended at 6,150: the first part came at about 100.
        let claims =
            [claim(7, 0, 6_150, one.clone(), Some((60, 10.0))), claim(8, 0, 6_000, other.clone(), None)];
        assert_eq!(parts.settle(&claims), [(7, Settled::Likely(100)), (8, Settled::Likely(5_000))]);
        let claims = [claim(7, 0, 6_100, one.clone(), None), claim(8, 0, 6_000, other.clone(), None)];
        assert_eq!(parts.settle(&claims), [(7, Settled::Ambiguous), (8, Settled::Ambiguous)]);
        // What came before a request was sent is not its own.
        let claims = [claim(7, 0, 6_100, one, None), claim(8, 4_000, 6_000, other, None)];
        assert_eq!(parts.settle(&claims), [(7, Settled::Likely(100)), (8, Settled::Likely(5_000))]);
    }

    #[test]
    fn streams_that_met_are_told_apart_by_the_order_of_their_kinds() {
        let mut parts = Parts::default();
        for at in [0, 10] {
            parts.part(1, PartKind::Start, at);
            parts.part(2, PartKind::StartStep, at + 1);
        }
        let tool = Block::ToolInput;
        parts.part(3, START, 100);
        parts.part(4, DELTA, 101);
        parts.part(3, PartKind::BlockStart(tool), 16_000);
        // Both stand at 4 after this: only one of them can go on with text.
        parts.part(4, PartKind::Delta(tool), 16_001);
        parts.part(5, DELTA, 16_002);
        parts.part(5, PartKind::Delta(tool), 16_003);
        parts.part(6, DELTA, 16_004);
        let (text, tool) = (parts.end(6).firsts, parts.end(5).firsts);
        let claims = [claim(0, 0, 17_000, text, None), claim(1, 0, 17_000, tool, None)];
        assert_eq!(parts.settle(&claims), [(0, Settled::Exact(100)), (1, Settled::Exact(16_000))]);
    }

    #[test]
    fn one_first_part_for_two_requests_is_nobodys() {
        let mut parts = Parts::default();
        parts.part(1, START, 100);
        let ended = parts.end(1).firsts;
        let claims = [claim(0, 0, 200, ended.clone(), None), claim(1, 0, 200, ended, None)];
        assert_eq!(parts.settle(&claims), [(0, Settled::Ambiguous), (1, Settled::Ambiguous)]);
    }

    #[test]
    fn a_dead_stream_is_forgotten() {
        let mut parts = Parts::default();
        parts.part(1, START, 0);
        parts.part(1, START, SILENCE_MS + 1);
        parts.part(2, DELTA, SILENCE_MS + 2);
        let ended = parts.end(2).firsts;
        let claims = [claim(0, 0, SILENCE_MS + 9, ended, None)];
        assert_eq!(parts.settle(&claims), [(0, Settled::Exact(SILENCE_MS + 1))]);
    }

    #[test]
    fn many_streams_stay_bounded() {
        let mut parts = Parts::default();
        for round in 0..1_000 {
            parts.part(1, START, round);
        }
        assert_eq!(parts.streams.len(), MAX_STREAMS);
        parts.part(2, DELTA, 1_000);
        assert!(parts.end(2).firsts.crowded);
    }

    /// A first part may come after any time: the prompt may be long.
    #[test]
    fn who_has_not_begun_to_answer_is_waited_for() {
        let mut parts = Parts::default();
        parts.part(1, PartKind::Other, 0);
        parts.part(2, PartKind::Other, 1);
        parts.part(1, START, SILENCE_MS);
        parts.part(3, DELTA, SILENCE_MS + 20);
        let ended = parts.end(3).firsts;
        let claims = [claim(0, 0, SILENCE_MS + 30, ended, None)];
        assert_eq!(parts.settle(&claims), [(0, Settled::Exact(SILENCE_MS + 20))]);
    }

    #[test]
    fn an_answer_may_pause_for_just_so_long() {
        let mut parts = Parts::default();
        // Another stream, further on.
        parts.part(1, START, 0);
        parts.part(2, DELTA, 1);
        parts.part(1, START, 5);
        parts.part(2, DELTA, 5 + SILENCE_MS);
        let ended = parts.end(2).firsts;
        let claims = [claim(0, 0, SILENCE_MS + 9, ended, None)];
        assert_eq!(parts.settle(&claims), [(0, Settled::Exact(5))]);
    }

    #[test]
    fn a_request_without_a_part_has_no_first_one() {
        let mut parts = Parts::default();
        parts.part(1, START, 100);
        let ended = parts.end(1).firsts;
        // The other's stream had ended when it came.
        let claims = [claim(0, 0, 90, ended, None), claim(1, 0, 200, Possible::default(), None)];
        assert_eq!(parts.settle(&claims), [(0, Settled::None), (1, Settled::None)]);
    }
}
