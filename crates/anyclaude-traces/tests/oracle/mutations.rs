//! Traces with bytes changed at random: both refuse them for the same reason,
//! or both say the same of them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::generate;
use crate::seen::agreed;

/// One change of a file.
#[derive(Debug, Clone)]
enum Change {
    Nudge(Index),
    Flip(Index, u8),
    Replace(Index, u8),
    Insert(Index, u8),
    Delete(Index, usize),
    Cut(Index),
    Repeat(Index, Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Nudge(at) => nudge(&mut bytes[at.index(length)]),
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Replace(at, byte) => bytes[at.index(length)] = *byte,
            Self::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Self::Delete(at, count) => {
                let at = at.index(length);
                bytes.drain(at..length.min(at + count));
            }
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// Letters and digits become others, so that JSON most often stays JSON.
fn nudge(byte: &mut u8) {
    match *byte {
        b'a'..=b'y' | b'A'..=b'Y' | b'0'..=b'8' => *byte += 1,
        b'z' | b'Z' | b'9' => *byte -= 1,
        b'\n' | b'\t' | b'\r' => *byte = b' ',
        _ => {}
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let telling = select(b"{}[]:,\"\\/u0123e.+-tfn \n\t\x00\x0c\x1f\x7f\x80\xbf\xc3\xed\xf0\xff".as_slice());
    prop_oneof![
        5 => at().prop_map(Change::Nudge),
        2 => (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        3 => (at(), telling.clone()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        3 => (at(), telling).prop_map(|(at, byte)| Change::Insert(at, byte)),
        3 => (at(), 1..4_usize).prop_map(|(at, count)| Change::Delete(at, count)),
        1 => at().prop_map(Change::Cut),
        1 => (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

/// A trace with up to three changes.
pub(crate) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    (generate::written(), vec(change(), 1..4)).prop_map(|(trace, changes)| {
        let mut bytes = trace.into_bytes();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    })
}

proptest! {
    #![proptest_config(generate::cases(700))]

    #[test]
    fn a_damaged_trace_is_refused_for_the_reason_that_the_oracle_names(
        bytes in damaged(),
    ) {
        let _ = agreed(&bytes)?;
    }

    #[test]
    fn any_bytes_at_all_are_judged_alike(bytes in vec(any::<u8>(), 0..40)) {
        let _ = agreed(&bytes)?;
    }

    #[test]
    fn any_tokens_at_all_are_judged_alike(
        tokens in vec(select(TOKENS.as_slice()), 0..24),
    ) {
        let _ = agreed(tokens.concat().as_bytes())?;
    }
}

const TOKENS: [&str; 36] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    " ",
    "\n",
    "\u{feff}",
    "\"request\":",
    "\"body\":",
    "\"model\":",
    "\"system\"",
    "{\"request\":{\"body\":{\"system\":",
    "}}}",
    "\"a\"",
    "\\u",
    "\\ud83d",
    "00",
    "0",
    "-",
    "1.5",
    "e",
    "E+",
    ".",
    "true",
    "tru",
    "false",
    "null",
    "nul",
    "é",
    "\u{c}",
    "\u{1f}",
    "\u{a0}",
];
