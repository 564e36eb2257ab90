//! An estimate of how many tokens a text is, without any vocabulary.
//!
//! Local models have vocabularies of their own, of several megabytes each; which
//! one a recorded model had is often unknown. But all of them cut text the same
//! way first: into words with the blank or mark before them, numbers, runs of
//! marks, and white space. So a text is walked once, in such runs; each run costs
//! what runs of its kind and length cost on average. The costs are fitted by
//! `fit/fit_tokens.py` to the counts of two vocabularies alike, o200k_base (GPT-4o,
//! gpt-oss) and Qwen3's (and Qwen2.5's), and are never negative.
//!
//! - Words of Latin letters are cut at humps (`fooBar`); the kind says their case
//!   and what is before them: a blank, one mark, a letter, a digit, or nothing that
//!   they could be one token with. Other scripts have one kind each.
//! - Runs of marks are as long as they have changes: `=====` is one long token.
//! - Escapes such as `\n` are one token in compact JSON: what is sent as JSON (tools,
//!   tool calls) is estimated on its compact JSON, what is text on the decoded text.
//! - The estimate knows no chat template and no model. Callers scale it by the usage that
//!   a backend reported.
//!
//! It errs by about 3 % on 2 kB of English, code, or JSON:
//!
#![doc = include_str!("../../fit/ERRORS.md")]

use std::ops::AddAssign;

use serde::Serialize;

mod calibration;
mod class;
mod count;
mod visitor;
mod weights;

pub(crate) use calibration::scaled;
pub use calibration::{Scales, reported_tokens, share};
pub(crate) use count::{CountedPrompts, count_tools_in};
pub use count::{count_tokens, count_tools, read_scales};
pub(crate) use visitor::MilliTokens;
pub use visitor::{PromptTokens, SectionTokens, TokenCache, TokenVisitor};

use class::{BYTES, Byte, PieceClass, RunClass};
use weights::{RUN_WEIGHTS, UNIT_WEIGHTS};

/// The kinds of runs.
const RUNS: usize = RunClass::Marks as usize + 1;
/// The classes of length of a run, and last its characters beyond [`LONG`].
const LENGTHS: usize = 13;
/// The kinds of single pieces.
const UNITS: usize = PieceClass::RepeatedSymbol as usize + 1;
/// From this length on runs are of one class, and each further character counts.
const LONG: usize = 16;
/// Blanks beyond this many cost another token.
const LONG_BLANKS: usize = 16;

/// The class of each length up to [`LONG`].
const LENGTH_CLASS: [usize; LONG + 1] = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 10, 10, 11];

/// The estimated tokens of one text: what a [`Counter`] of it alone says. See the
/// [module](self) for how far it is off.
///
/// ```
/// let tokens = anyclaude_traces::tokens::estimate("The quick brown fox jumps over the lazy dog.");
/// assert!((9.0..11.0).contains(&tokens));
/// ```
#[must_use]
pub fn estimate(text: &str) -> f64 {
    let mut counter = Counter::default();
    counter.add(text);
    counter.tokens()
}

/// Counts runs of characters, by kind and length, over any number of texts.
///
/// Equal texts count as often as they are added: a caller that wants each of them once has
/// to remember them. Serialised, it shows the counts in the order of the tables of
/// weights.
///
/// ```
/// use anyclaude_traces::tokens::Counter;
///
/// let mut counter = Counter::default();
/// counter.add("fn main() {}");
/// counter.add("日本語");
/// assert!(counter.tokens() > 5.0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counter {
    runs: [[u64; LENGTHS]; RUNS],
    units: Vec<u64>,
}

impl Default for Counter {
    fn default() -> Self {
        Self { runs: [[0; LENGTHS]; RUNS], units: vec![0; UNITS] }
    }
}

impl Counter {
    /// Adds one text. No token spans two texts.
    pub fn add(&mut self, text: &str) {
        let mut walk =
            TextWalk { text, bytes: text.as_bytes(), at: 0, before: TextBefore::Bare, counter: self };
        while walk.step() {}
    }

    /// The estimated tokens of all texts added, a multiple of 0.001. They are summed
    /// as whole thousandths: the order of the texts never matters.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "thousandths of tokens stay far below 2^53")]
    pub fn tokens(&self) -> f64 {
        self.thousandths() as f64 / 1000.0
    }

    pub(crate) fn thousandths(&self) -> u64 {
        let runs = self.runs.as_flattened().iter().zip(RUN_WEIGHTS.as_flattened());
        let units = self.units.iter().zip(&UNIT_WEIGHTS);
        runs.chain(units).map(|(count, weight)| count * u64::from(*weight)).sum()
    }

    fn run(&mut self, run: RunClass, length: usize) {
        let row = &mut self.runs[run as usize];
        row[LENGTH_CLASS[length.min(LONG)]] += 1;
        row[LENGTHS - 1] += length.saturating_sub(LONG) as u64;
    }

    fn unit(&mut self, unit: PieceClass, count: usize) {
        self.units[unit as usize] += count as u64;
    }
}

impl AddAssign<&Counter> for Counter {
    fn add_assign(&mut self, other: &Counter) {
        let runs = self.runs.as_flattened_mut().iter_mut().zip(other.runs.as_flattened());
        for (own, others) in runs.chain(self.units.iter_mut().zip(&other.units)) {
            *own += others;
        }
    }
}

/// What stands directly before: tokens begin with the blank or mark before a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextBefore {
    /// Nothing that could be one token with what follows.
    Bare,
    Blank,
    /// One mark, itself after no blank and no mark.
    Lead,
    /// Several marks, or marks after a blank.
    Marks,
    Letter,
    Kana,
    Digit,
}

/// The position in one text while it is counted. It looks ahead only for the end of a run,
/// and never back.
struct TextWalk<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    before: TextBefore,
    counter: &'a mut Counter,
}

impl TextWalk<'_> {
    fn class(&self, at: usize) -> Option<Byte> {
        self.bytes.get(at).map(|byte| BYTES[usize::from(*byte)])
    }

    /// The end of the bytes of one class from `at` on.
    fn end(&self, at: usize, class: Byte) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let length = rest.iter().position(|byte| BYTES[usize::from(*byte)] != class);
        at + length.unwrap_or(rest.len())
    }

    /// Counts one run; false at the end.
    fn step(&mut self) -> bool {
        self.single_blank();
        match self.class(self.at) {
            None => return false,
            Some(Byte::Lower | Byte::Upper) => self.word(),
            Some(Byte::Digit) => self.digits(),
            Some(Byte::Blank | Byte::Newline) => self.space(),
            Some(Byte::Punctuation) => self.marks(),
            Some(Byte::Control) => {
                self.counter.unit(PieceClass::Control, 1);
                self.at += 1;
                self.before = TextBefore::Bare;
            }
            Some(Byte::NonAscii) => self.non_ascii(),
        }
        true
    }

    /// Passes over the one space between words, the most frequent run by far.
    fn single_blank(&mut self) {
        let letter_follows = matches!(self.class(self.at + 1), Some(Byte::Lower | Byte::Upper));
        if letter_follows && self.bytes[self.at] == b' ' {
            self.at += 1;
            self.before = TextBefore::Blank;
        }
    }

    /// A word, or one hump of it: upper case letters, then lower case ones. Of
    /// several upper case letters before a lower case one, the last begins a hump.
    fn word(&mut self) {
        let begin = self.at;
        let mut upper = self.end(begin, Byte::Upper);
        let mut end = class::lower_end(self.bytes, upper);
        if end > upper && upper - begin > 1 {
            upper -= 1;
            end = upper;
        }
        if self.class(end) == Some(Byte::NonAscii) && self.accent(end).is_some() {
            return self.accented(begin, end);
        }
        self.counter.run(self.word_kind(upper - begin, end - begin), end - begin);
        self.at = end;
        self.before = TextBefore::Letter;
    }

    fn word_kind(&self, upper: usize, length: usize) -> RunClass {
        use TextBefore::{Bare, Blank, Digit, Kana, Lead, Letter, Marks};
        let capital = upper == 1 && length > 1;
        match self.before {
            Digit => RunClass::AfterDigit,
            Blank if upper == 0 => RunClass::LowerAfterBlank,
            Lead if upper == 0 => RunClass::LowerAfterMark,
            _ if upper == 0 => RunClass::LowerBare,
            Blank if capital => RunClass::CapitalAfterBlank,
            Lead if capital => RunClass::CapitalAfterMark,
            Letter if capital => RunClass::CapitalAfterLetter,
            Bare | Marks | Kana if capital => RunClass::CapitalBare,
            Blank => RunClass::UpperAfterBlank,
            _ => RunClass::UpperElsewhere,
        }
    }

    /// The accented Latin letter at `at`: its kind, and where it ends.
    fn accent(&self, at: usize) -> Option<(PieceClass, usize)> {
        let c = self.text.get(at..)?.chars().next()?;
        let unit = if c <= 'ÿ' { PieceClass::AccentLatin1 } else { PieceClass::AccentOther };
        (class::letter(c) == Some(RunClass::Accented)).then_some((unit, at + c.len_utf8()))
    }

    /// A word with accents, up to its end: humps in it are rare.
    fn accented(&mut self, begin: usize, first: usize) {
        let mut length = first - begin;
        let mut end = first;
        loop {
            match self.class(end) {
                Some(Byte::Lower | Byte::Upper) => end += 1,
                Some(Byte::NonAscii) => match self.accent(end) {
                    Some((unit, after)) => {
                        self.counter.unit(unit, 1);
                        end = after;
                    }
                    None => break,
                },
                _ => break,
            }
            length += 1;
        }
        self.counter.run(RunClass::Accented, length);
        self.at = end;
        self.before = TextBefore::Letter;
    }

    /// Some vocabularies have tokens of up to three digits, others of one.
    fn digits(&mut self) {
        let end = self.end(self.at, Byte::Digit);
        let length = end - self.at;
        self.counter.unit(PieceClass::Digit, length);
        self.counter.unit(PieceClass::DigitGroup, length.div_ceil(3));
        self.counter.unit(PieceClass::BlankBeforeDigit, usize::from(self.before == TextBefore::Blank));
        self.at = end;
        self.before = TextBefore::Digit;
    }

    /// Blanks and newlines. What stands before the last newline goes with it; of
    /// the blanks after it, the last one goes with what follows.
    fn space(&mut self) {
        let mut newlines = 0;
        let mut inner_blanks = 0;
        let mut end = self.at;
        loop {
            let blanks = self.end(end, Byte::Blank);
            if self.class(blanks) != Some(Byte::Newline) {
                break;
            }
            inner_blanks += blanks - end;
            // A carriage return and its line feed are one.
            newlines +=
                usize::from(self.bytes[blanks] == b'\n' || self.bytes.get(blanks + 1) != Some(&b'\n'));
            end = blanks + 1;
        }
        if newlines > 0 {
            let first = if self.before == TextBefore::Marks {
                PieceClass::NewlineAfterMark
            } else {
                PieceClass::NewlineElsewhere
            };
            self.counter.unit(first, 1);
            self.counter.unit(PieceClass::BlankLine, usize::from(newlines > 1));
            self.counter.unit(PieceClass::FurtherNewline, newlines.saturating_sub(2));
            self.counter.unit(PieceClass::BlanksBeforeNewline, usize::from(inner_blanks > 0));
            self.counter.unit(PieceClass::BlanksLong, inner_blanks / LONG_BLANKS);
            self.before = TextBefore::Bare;
        }
        self.blanks(end);
    }

    fn blanks(&mut self, begin: usize) {
        let end = self.end(begin, Byte::Blank);
        self.at = end;
        if end == begin {
            return;
        }
        let joins = !matches!(self.class(end), None | Some(Byte::Control));
        let left = end - begin - usize::from(joins);
        self.counter.unit(PieceClass::Blanks, usize::from(left > 0));
        self.counter.unit(PieceClass::BlanksLong, left / LONG_BLANKS);
        let tab = joins && self.bytes[end - 1] == b'\t';
        self.counter.unit(PieceClass::TabBeforeLetter, usize::from(tab));
        self.before = if tab { TextBefore::Bare } else { TextBefore::Blank };
    }

    /// ASCII punctuation.
    fn marks(&mut self) {
        let begin = self.at;
        let mut end = begin;
        let mut changes = 0;
        let mut json = true;
        while self.class(end) == Some(Byte::Punctuation) {
            let mark = self.bytes[end];
            if mark == b'\\' && self.escape(end).is_some() {
                break;
            }
            changes += usize::from(end == begin || self.bytes[end - 1] != mark);
            json &= matches!(mark, b'"' | b'{' | b'}' | b'[' | b']' | b':' | b',' | b'\\');
            end += 1;
        }
        let leads = end - begin == 1
            && !matches!(self.before, TextBefore::Blank | TextBefore::Marks | TextBefore::Lead)
            && matches!(self.class(end), Some(Byte::Lower | Byte::Upper));
        if leads {
            self.counter.unit(class::lead(self.bytes[begin]), 1);
            self.before = TextBefore::Lead;
        } else if end > begin {
            self.counter.run(if json { RunClass::JsonMarks } else { RunClass::Marks }, changes);
            self.counter.unit(PieceClass::RepeatedMark, end - begin - changes);
            self.before = TextBefore::Marks;
        }
        self.at = end;
        if let Some((unit, after)) = self.escape(end) {
            self.counter.unit(unit, 1);
            self.at = after;
            self.before = TextBefore::Bare;
        }
    }

    /// The escape of JSON and of most languages at `at` whose letter would else
    /// be taken for the begin of a word: its kind, and where it ends.
    fn escape(&self, at: usize) -> Option<(PieceClass, usize)> {
        if self.bytes.get(at) != Some(&b'\\') {
            return None;
        }
        match self.bytes.get(at + 1)? {
            b'n' | b'r' | b't' => Some((PieceClass::EscapedNewline, at + 2)),
            b'u' => {
                let code = self.bytes.get(at + 2..at + 6)?;
                code.iter().all(u8::is_ascii_hexdigit).then_some((PieceClass::EscapedCode, at + 6))
            }
            _ => None,
        }
    }

    fn non_ascii(&mut self) {
        let Some(c) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) else {
            // Not reached: `at` is always at the begin of a character.
            self.at = self.bytes.len();
            return;
        };
        match class::letter(c) {
            Some(RunClass::Accented) => self.accented(self.at, self.at),
            Some(run) => self.letters(run),
            None => self.symbols(c),
        }
    }

    /// A run of letters of one script other than Latin.
    fn letters(&mut self, script: RunClass) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut length = 0;
        let mut bytes = 0;
        for c in rest.chars().take_while(|c| !c.is_ascii() && class::letter(*c) == Some(script)) {
            length += 1;
            bytes += c.len_utf8();
        }
        let after_kana = script == RunClass::Han && self.before == TextBefore::Kana;
        self.counter.run(if after_kana { RunClass::HanAfterKana } else { script }, length);
        self.at += bytes;
        let kana = matches!(script, RunClass::Hiragana | RunClass::Katakana);
        self.before = if kana { TextBefore::Kana } else { TextBefore::Letter };
    }

    /// One character that is neither letter nor ASCII, and its repetitions.
    fn symbols(&mut self, c: char) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.chars().take_while(|other| *other == c).count();
        self.counter.unit(class::symbol(c), 1);
        self.counter.unit(PieceClass::RepeatedSymbol, count - 1);
        self.at += count * c.len_utf8();
        self.before = TextBefore::Bare;
    }
}
