//! Finds the first part of each stream at level 1, where no line names the time to first token.
//!
//! A stream numbers its parts 1, 2, 3, …, so part n continues a stream that has reached
//! n − 1. Where several streams have, the kind of the part tells which of them it can
//! continue: a delta continues an open block, `start-step` comes second, `finish` after
//! `finish-step`. Where several streams still fit, they cannot be told apart from there
//! on, and the first parts of each stay possible for all of them. `Stream complete. Total
//! chunks: n` names the stream that ended by its number of parts, and the
//! `[Request Complete]` after it names the request.

mod claims;

use super::limits::MAX_STREAMS;
use super::message::{BlockKind, PartKind};
pub(super) use claims::{Claim, Settled};

/// Where a stream has more possible first parts than this, its first part is ambiguous.
const MAX_POSSIBLE: usize = 16;
/// A stream that has begun to answer and is silent for longer than this is taken for dead.
const SILENCE_MS: i64 = 120_000;

/// Index of a first part.
pub(super) type FirstPartIndex = u32;

/// The possible first parts of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Possible {
    parts: Vec<FirstPartIndex>,
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
            self.reasoning += u64::from(matches!(block, BlockKind::Reasoning));
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
struct CountedStream {
    last: u64,
    seen: i64,
    content: bool,
    firsts: Possible,
    deltas: Option<Deltas>,
    grammar: Grammar,
}

/// Which kinds of part can come next in a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Grammar {
    /// The beginning of the stream was not seen, or some of its parts may be another's, so
    /// any kind can follow.
    unknown: bool,
    /// The blocks that are open: text, reasoning, tool input.
    open: [bool; 3],
    /// `start-step` was seen since the stream or its last step began.
    in_step: bool,
    finished_step: bool,
    /// `finish` was seen, which is the last part of a stream.
    finished: bool,
}

impl Grammar {
    fn may_end(self) -> bool {
        self.unknown || self.finished
    }

    fn allows(self, kind: PartKind) -> bool {
        let follows = match kind {
            PartKind::Start => false,
            PartKind::StartStep => !self.in_step,
            // Several tools can be called at once.
            PartKind::BlockStart(BlockKind::ToolInput) => self.in_step,
            PartKind::BlockStart(block) => self.in_step && !self.open[block as usize],
            PartKind::Delta(block) | PartKind::BlockEnd(block) => self.open[block as usize],
            PartKind::ToolCall | PartKind::FinishStep => self.in_step,
            PartKind::Finish => self.finished_step,
            PartKind::Other => true,
        };
        self.unknown || (follows && !self.finished)
    }

    fn follow(&mut self, kind: PartKind) {
        match kind {
            PartKind::StartStep => (self.in_step, self.finished_step) = (true, false),
            PartKind::BlockStart(block) => self.open[block as usize] = true,
            PartKind::BlockEnd(block) => self.open[block as usize] = false,
            PartKind::FinishStep => {
                (self.in_step, self.finished_step, self.open) = (false, true, [false; 3]);
            }
            PartKind::Finish => self.finished = true,
            PartKind::Start | PartKind::Delta(_) | PartKind::ToolCall | PartKind::Other => {}
        }
    }
}

/// Follows the numbered parts of all streams.
#[derive(Debug, Default, Clone)]
pub(super) struct LoggedParts {
    streams: Vec<CountedStream>,
    firsts: Vec<i64>,
}

impl LoggedParts {
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
            self.streams.push(CountedStream { last: number, seen: at, content, firsts, deltas, grammar });
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
            if let Ok(first) = FirstPartIndex::try_from(self.firsts.len()) {
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
    /// cannot be told apart from here on: nor can what comes next in each.
    fn entangle(&mut self, same: &[usize]) {
        if same.len() < 2 {
            return;
        }
        let mut union = Possible::default();
        let mut grammars = Vec::new();
        for stream in same.iter().filter_map(|index| self.streams.get(*index)) {
            union.join(&stream.firsts);
            grammars.push(stream.grammar);
        }
        let are_alike = grammars.windows(2).all(|pair| pair[0] == pair[1]);
        for index in same {
            if let Some(stream) = self.streams.get_mut(*index) {
                stream.firsts = union.clone();
                stream.deltas = None;
                stream.grammar.unknown |= !are_alike;
            }
        }
    }

    /// Removes the stream that ends after `parts` parts.
    pub(super) fn end(&mut self, parts: u64) -> EndedStream {
        let mut same: Vec<usize> = self
            .streams
            .iter()
            .enumerate()
            .filter(|(_, s)| s.last == parts)
            .map(|(index, _)| index)
            .collect();
        let may_end = |index: &usize| self.streams.get(*index).is_some_and(|s| s.grammar.may_end());
        if same.iter().any(may_end) {
            same.retain(may_end);
        }
        self.entangle(&same);
        match same.first() {
            Some(&index) => {
                let CountedStream { firsts, deltas, .. } = self.streams.swap_remove(index);
                EndedStream { firsts, deltas }
            }
            None => EndedStream::default(),
        }
    }
}

#[cfg(test)]
mod tests;
