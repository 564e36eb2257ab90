//! Recognises lines that change every time, such as dates, where two texts differ first.

use super::excerpt::boundary;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What sort of line changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Volatile {
    /// A date or time.
    DateOrTime,
    /// What git says: branch, status, commits.
    GitStatus,
    /// A folder.
    WorkingDirectory,
    /// Digits that mean nothing: an id, a hash.
    RandomId,
}

impl Volatile {
    /// What it is, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::DateOrTime => "a date or time",
            Self::GitStatus => "git status",
            Self::WorkingDirectory => "a working directory",
            Self::RandomId => "a random id",
        }
    }
}

/// How far a line is looked at on either side.
const MOST_LINE_BYTES: usize = 400;

/// Recognises the line in which two texts differ first, behind `common_bytes`. The
/// texts are JSON: their lines end at `\n`, as written.
pub(super) fn recognise(now: &str, was: &str, common_bytes: u64) -> Option<Volatile> {
    let at = usize::try_from(common_bytes).ok()?;
    let [now, was] = [now, was].map(|text| DifferingLine::around(text, at));
    if now.is_in(dates) && was.is_in(dates) {
        return Some(Volatile::DateOrTime);
    }
    if now.speaks_of_git() || was.speaks_of_git() {
        return Some(Volatile::GitStatus);
    }
    if now.is_in(paths) && was.is_in(paths) && (now.speaks_of_folders() || was.speaks_of_folders()) {
        return Some(Volatile::WorkingDirectory);
    }
    (now.is_in(ids) && was.is_in(ids)).then_some(Volatile::RandomId)
}

/// The line of a text that holds the first difference.
struct DifferingLine<'a> {
    text: &'a str,
    /// What stands above it.
    before: &'a str,
    /// Where in the line the difference is.
    at: usize,
}

impl<'a> DifferingLine<'a> {
    fn around(text: &'a str, at: usize) -> Self {
        let at = boundary(text, at.min(text.len()));
        let from = boundary(text, at.saturating_sub(MOST_LINE_BYTES));
        let to = boundary(text, (at + MOST_LINE_BYTES).min(text.len()));
        let (head, tail) = (text.get(from..at).unwrap_or_default(), text.get(at..to).unwrap_or_default());
        let begin = head.rfind("\\n").map_or(from, |end| from + end + 2).min(at);
        let end = tail.find("\\n").map_or(to, |end| at + end);
        let above = boundary(text, begin.saturating_sub(MOST_LINE_BYTES));
        Self {
            text: text.get(begin..end).unwrap_or_default(),
            before: text.get(above..begin).unwrap_or_default(),
            at: at - begin,
        }
    }

    /// Whether the difference is inside, or at the end of, one of these.
    fn is_in(&self, spans: impl Fn(&str) -> Vec<Range<usize>>) -> bool {
        spans(self.text).iter().any(|span| span.start <= self.at && self.at <= span.end)
    }

    fn speaks_of_git(&self) -> bool {
        let line = self.text.trim_start();
        let is_status =
            ["M ", "A ", "D ", "R ", "?? ", "MM ", "AM "].iter().any(|mark| line.starts_with(mark));
        let has = |words: &[&str]| words.iter().any(|word| self.text.to_ascii_lowercase().contains(word));
        has(&["branch:", "git status", "git repo", "commits:"])
            || ((is_status || begins_with_hash(line)) && self.before.to_ascii_lowercase().contains("git"))
            || (is_status && self.before.contains("tatus:"))
    }

    fn speaks_of_folders(&self) -> bool {
        let line = self.text.to_ascii_lowercase();
        ["directory", "directories", "cwd", "folder"].iter().any(|word| line.contains(word))
    }
}

fn begins_with_hash(line: &str) -> bool {
    let word = line.split(' ').next().unwrap_or_default();
    word.len() >= 7 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The dates and times in a line.
fn dates(line: &str) -> Vec<Range<usize>> {
    let words = words(line, |c| c.is_ascii_alphanumeric());
    let word =
        |at: usize| words.get(at).and_then(|span: &Range<usize>| line.get(span.clone())).unwrap_or_default();
    let between = |at: usize| {
        let (end, next) = (words.get(at).map_or(0, |span| span.end), words.get(at + 1));
        next.and_then(|next| line.get(end..next.start)).unwrap_or_default()
    };
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let mut last = at;
        let mut parts = usize::from(is_part(word(at)));
        let mut is_named = is_name(word(at));
        while parts > 0 && is_joint(between(last)) && is_part(word(last + 1)) {
            last += 1;
            parts += 1;
            is_named |= is_name(word(last));
        }
        let joined = (at..last).any(|at| matches!(between(at), "-" | "/" | ":"));
        let is_stamp = word(at).len() >= 8 && is_clock(word(at));
        let is_alone = parts == 1 && (is_named || is_epoch(word(at)) || is_day(word(at)));
        if (parts > 1 && (is_named || joined)) || is_stamp || is_alone {
            let begin = words.get(at).map_or(0, |span| span.start);
            spans.push(begin..words.get(last).map_or(begin, |span| span.end));
        }
        at = last + 1;
    }
    spans
}

/// What may stand between the parts of a date.
fn is_joint(text: &str) -> bool {
    matches!(text, "-" | "/" | ":" | "." | " " | ", " | " at " | "+")
}

fn is_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// `20251116T023045Z`, `16T02`, `123Z`: digits alone are none.
fn is_clock(word: &str) -> bool {
    let digits = word.strip_suffix('Z').unwrap_or(word);
    let has_zone = digits.len() < word.len();
    match digits.split_once('T') {
        Some((day, time)) => is_digits(day) && is_digits(time),
        None => has_zone && is_digits(digits),
    }
}

/// Seconds or milliseconds since 1970, of the years 2001 to 2033.
fn is_epoch(word: &str) -> bool {
    matches!(word.len(), 10 | 13) && is_digits(word) && word.starts_with('1')
}

/// `20251116`.
fn is_day(word: &str) -> bool {
    let is_between = |part: Option<&str>, from: &str, to: &str| {
        part.is_some_and(|part| is_digits(part) && from <= part && part <= to)
    };
    word.len() == 8
        && is_between(word.get(..4), "1970", "2099")
        && is_between(word.get(4..6), "01", "12")
        && is_between(word.get(6..), "01", "31")
}

fn is_part(word: &str) -> bool {
    let is_number = is_digits(word) && word.len() <= 4;
    let is_ordinal = ["st", "nd", "rd", "th"].iter().any(|end| word.strip_suffix(end).is_some_and(is_digits));
    let is_zone = ["AM", "PM", "UTC", "GMT", "CET", "CEST", "am", "pm"].contains(&word);
    is_number
        || is_ordinal
        || is_zone
        || is_name(word)
        || is_clock(word)
        || (is_digits(word) && matches!(word.len(), 6 | 8 | 9 | 10 | 13))
}

/// Whether it is the name of a month or a day of the week.
fn is_name(word: &str) -> bool {
    const NAMES: [&str; 19] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let lower = word.to_ascii_lowercase();
    let is_capital = word.starts_with(|c: char| c.is_ascii_uppercase());
    is_capital
        && NAMES
            .iter()
            .any(|name| *name == lower || (lower.len() == 3 && name.starts_with(&lower)) || lower == "sept")
}

/// The paths in a line.
fn paths(line: &str) -> Vec<Range<usize>> {
    let spans = words(line, |c| !c.is_whitespace() && !"\"'`<>,;()".contains(c));
    spans
        .into_iter()
        .filter(|span| {
            line.get(span.clone()).is_some_and(|word| word.contains(['/', '~']) || word.contains(":\\\\"))
        })
        .collect()
}

/// The words in a line that look drawn by lot: hexadecimal, UUIDs, or a mixture of
/// letters and digits.
fn ids(line: &str) -> Vec<Range<usize>> {
    let spans = words(line, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let is_id = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
        word.len() >= 6 && digits >= 2 && (letters >= 2 || word.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    spans.into_iter().filter(|span| line.get(span.clone()).is_some_and(is_id)).collect()
}

/// The stretches of a line that are made of such characters.
fn words(line: &str, is_of_word: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for (at, c) in line.char_indices().filter(|(_, c)| is_of_word(*c)) {
        match spans.last_mut() {
            Some(span) if span.end == at => span.end = at + c.len_utf8(),
            _ => spans.push(at..at + c.len_utf8()),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(now: &str, was: &str) -> Option<Volatile> {
        let common = now.bytes().zip(was.bytes()).take_while(|(a, b)| a == b).count();
        recognise(now, was, common as u64)
    }

    #[test]
    fn dates_and_times_are_recognised() {
        for (now, was) in [
            ("Today's date: 2025-11-17", "Today's date: 2025-11-16"),
            (r"a\nToday is 1 December 2025.\nb", r"a\nToday is 30 November 2025.\nb"),
            ("Sunday, November 16, 2025 at 9:59 AM", "Sunday, November 16, 2025 at 10:00 AM"),
            ("Sun Nov 16 2025", "Mon Nov 17 2025"),
            ("at 2025-11-16T02:30:45.123Z", "at 2025-11-16T02:30:46.001Z"),
            ("20251116T023045Z", "20251116T023146Z"),
            ("now=1763260245123 ok", "now=1763260245999 ok"),
            ("16.11.2025, 02:30", "16.11.2025, 02:31"),
        ] {
            assert_eq!(recognised(now, was), Some(Volatile::DateOrTime), "{now}");
        }
    }

    #[test]
    fn other_volatile_lines_are_recognised() {
        let git = Some(Volatile::GitStatus);
        assert_eq!(recognised("Current branch: main", "Current branch: fix"), git);
        assert_eq!(recognised(r"Git status:\n M src/a.rs", r"Git status:\n M src/b.rs"), git);
        assert_eq!(recognised(r"git log:\n1a2b3c4d fix", r"git log:\n9a2b3c4d fix"), git);
        let folder = Some(Volatile::WorkingDirectory);
        assert_eq!(recognised("Working directory: /home/ada/a", "Working directory: /home/ada/b"), folder);
        let id = Some(Volatile::RandomId);
        assert_eq!(recognised("session 9f86d081", "session 3c59dc04"), id);
        assert_eq!(recognised("id req_011CAbc77x!", "id req_011CAbc92y!"), id);
    }

    #[test]
    fn plain_words_and_numbers_are_not() {
        for (now, was) in [
            ("Answer in one word.", "Answer in two words."),
            ("Use at most 5 tools.", "Use at most 6 tools."),
            ("You may edit.", "You must not."),
            ("See /usr/share/a", "See /usr/share/b"),
            ("", "x"),
            ("日本語", "日本人"),
        ] {
            assert_eq!(recognised(now, was), None, "{now}");
        }
    }
    #[test]
    fn only_the_line_of_the_difference_counts() {
        assert_eq!(recognised(r"2025-11-16\nplain one", r"2025-11-16\nplain two"), None);
        assert_eq!(recognised(r"plain one\n2025-11-16", r"plain two\n2025-11-16"), None);
        assert_eq!(recognised(r"one 2025-11-16", r"two 2025-11-16"), None, "the date is the same");
        // A difference at the end of a date is one of the date.
        assert_eq!(recognised("at 10:0", "at 10:01"), Some(Volatile::DateOrTime));
        let long = "x".repeat(900);
        let line = |day: &str| format!("{long} {day} {long}");
        assert_eq!(recognised(&line("2025-11-16"), &line("2025-11-17")), Some(Volatile::DateOrTime));
    }

    #[test]
    fn dates_are_told_from_other_numbers() {
        let date = Some(Volatile::DateOrTime);
        for (now, was, expected) in [
            ("version 1.2", "version 1.3", None),
            ("take 5 6 of them", "take 5 7 of them", None),
            ("2025/11/16", "2025/11/17", date),
            ("on Monday", "on Friday", date),
            ("on Sept 3", "on Sept 4", date),
            ("on the 3rd March", "on the 4th March", date),
            ("March 3, 10 PM", "March 3, 10 AM", date),
            ("we march 3", "we march 4", None),
            ("epoch 1763260245", "epoch 1763260246", date),
            ("day 20251116", "day 20251117", date),
            ("day 20251131", "day 20251132", Some(Volatile::RandomId)),
            ("order 83920174", "order 83920175", Some(Volatile::RandomId)),
            ("order 839201745", "order 839201746", Some(Volatile::RandomId)),
            ("order 8392017450", "order 8392017451", Some(Volatile::RandomId)),
            ("order 83920174501234", "order 83920174501235", Some(Volatile::RandomId)),
            ("number 12345", "number 12346", None),
            ("at 16T0203", "at 16T0204", None),
            ("at 16T020304", "at 16T020305", date),
            ("at 12345678Z", "at 12345679Z", date),
        ] {
            assert_eq!(recognised(now, was), expected, "{now}");
        }
    }

    #[test]
    fn git_folders_and_ids_are_told_from_what_looks_like_them() {
        let (git, id) = (Some(Volatile::GitStatus), Some(Volatile::RandomId));
        for (now, was, expected) in [
            (r"Status:\nM a.rs", r"Status:\nM b.rs", git),
            (r"Notes:\nM a.rs", r"Notes:\nM b.rs", None),
            (r"git log:\n1a2b3c4 fix", r"git log:\n9a2b3c4 fix", git),
            (r"git log:\n1a2b3c fix", r"git log:\n9a2b3c fix", id),
            (r"a log:\n1a2b3c4 fix", r"a log:\n9a2b3c4 fix", id),
            (r"git log:\nfixed it", r"git log:\nbroke it", None),
            ("cwd: ~/a", "cwd: ~/b", Some(Volatile::WorkingDirectory)),
            ("cwd a", "cwd b", None),
            ("in /a/x, a folder", "in /a/y, a tree", Some(Volatile::WorkingDirectory)),
            ("key a1b2", "key a1b3", None),
            ("key abcde1x", "key abcde2x", None),
            ("key abc12x", "key abc13x", id),
            ("key 12345g", "key 12346g", None),
            ("key 12345a", "key 12346a", id),
        ] {
            assert_eq!(recognised(now, was), expected, "{now}");
        }
    }
}
