//! The words that stand in every line with a fact.
//!
//! At a high verbosity a hundred lines without a fact stand between two with one. Where lines do
//! not begin with a time, behind which [`functions`](super::functions) tells at once, a search for
//! all the words at once passes over those without taking any line apart.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind, packed};

/// What [`Engine`](super::Engine) reads holds one of these, whatever stands before it.
///
/// The search looks for the first four bytes of each, and every line with a word is taken apart.
/// With `processing task` and `new prompt`, whose beginnings stand in every second line of a
/// verbose log, and `launch_slot_`, it took 1.4 times as long and found 3.4 times as many lines.
const ENGINE: [&str; 19] = [
    "print_timing",
    "eval time",
    "prompt processing",
    "| processing task",
    "stop processing",
    "selected slot by",
    "new slot",
    "| new prompt",
    "memory_seq_rm",
    "kv cache rm",
    "initializing",
    "loading model",
    "model loaded",
    "prompt cache is",
    "cache state",
    "server_strea",
    "cancel task",
    "send_error",
    "all slots are idle",
];

static OF_ENGINE: LazyLock<Words> = LazyLock::new(|| Words::new(&[]));

/// Lines without a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WordlessLines {
    pub(crate) bytes: usize,
    pub(crate) lines: u64,
    /// The line behind them holds a word, and is not searched again: that would take a
    /// twentieth of the time of a log most of whose lines are read.
    pub(crate) then_word: bool,
}

/// Words of which one stands in each line that is read.
#[derive(Debug, Clone)]
pub(crate) enum Words {
    /// What a processor can do at once.
    Packed(packed::Searcher),
    /// Where it cannot.
    Automaton(AhoCorasick),
    /// They could not be built: every line is read.
    Unknown,
}

impl Words {
    /// The engine's words and these.
    pub(crate) fn new(others: &[&str]) -> Self {
        let words = || ENGINE.iter().chain(others);
        // The automaton searches so too, and goes through each word that is found once more.
        let mut packed = packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder();
        if let Some(packed) = packed.extend(words()).build() {
            return Self::Packed(packed);
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(words());
        automaton.map_or(Self::Unknown, Self::Automaton)
    }

    /// Where the first of them begins.
    #[inline]
    fn find(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Packed(words) => words.find(text).map(|found| found.start()),
            Self::Automaton(words) => words.find(text).map(|found| found.start()),
            Self::Unknown => Some(0),
        }
    }

    /// The words that [`Engine`](super::Engine) needs.
    pub(crate) fn of_engine() -> &'static Self {
        &OF_ENGINE
    }

    /// Whether a line holds one.
    #[inline]
    pub(crate) fn are_in(&self, line: &[u8]) -> bool {
        self.find(line).is_some()
    }

    /// The whole lines at the start of `text` that hold none.
    #[inline]
    pub(crate) fn lines_without(&self, text: &[u8]) -> WordlessLines {
        let found = self.find(text);
        let before = found.map_or(text, |found| text.get(..found).unwrap_or_default());
        let end = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
        let lines = memchr::memchr_iter(b'\n', before.get(..end).unwrap_or_default()).count() as u64;
        WordlessLines { bytes: end, lines, then_word: found.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_before_a_word_are_passed() {
        let words = Words::of_engine();
        for (text, bytes, lines, then_word) in [
            (&b"a\nb\r\n\nslot print_timing: x\nc\n"[..], 6, 3, true),
            (b"slot print_timing: x\na\n", 0, 0, true),
            (b"a\n\nb", 3, 2, false),
            (b"a", 0, 0, false),
        ] {
            assert_eq!(words.lines_without(text), WordlessLines { bytes, lines, then_word });
        }
        assert!(words.are_in(b"[1] all slots are idle") && !words.are_in(b"print timing"));
    }

    #[test]
    fn the_words_are_searched_for_at_once() {
        assert!(!matches!(Words::new(&["[GIN"]), Words::Unknown));
    }
}
