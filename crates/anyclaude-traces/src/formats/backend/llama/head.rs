//! The head of a line: what stands before the server's own text.
//!
//! ```text
//! 0.07.167.439 I slot print_timing: …            minutes, seconds, milli-, microseconds since the start
//! [42027] 0.07.167.439 I slot print_timing: …    a router's, with the port of the server that it started
//! Sep 11 00:04:26 host ollama[1234]: slot …      the system's journal
//! 2026-09-11T00:04:26.123456789Z slot …          a container's log with stamps
//! llama-1  | slot …                              several containers' logs in one
//! 2026-09-11 00:04:26 slot …                     the window of a container
//! 2026-09-11T00:04:26.123456789Z stderr F slot …  Kubernetes: stream, and whether the line is full
//! ```

use memchr::{memchr, memmem};

use crate::formats::backend::types::BackendMoment;
use crate::formats::scan;
use crate::model::time::Timestamp;

/// Prefixes are looked for in this many bytes at the beginning of a line.
const PREFIX_BYTES: usize = 128;
/// At most this many prefixes are taken off one line.
const MAX_PREFIXES: usize = 4;

/// A line taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headed<'a> {
    /// The port in a router's prefix.
    pub(crate) port: Option<u64>,
    /// When it was written.
    pub(crate) at: Option<BackendMoment>,
    /// The instant in the prefix of a container or a journal, beside the server's own time.
    pub(crate) stamp: Option<Timestamp>,
    /// The day and time of the journal's prefix, which has no year: `Sep 11 00:04:26`.
    pub(crate) journal: Option<&'a [u8]>,
    /// Whether it has llama.cpp's own head, so that it is a line of this format.
    pub(crate) is_llama: bool,
    /// The text behind all that.
    pub(crate) text: &'a [u8],
}

/// Takes a line apart, which has no colours: see [`without_colours`].
#[inline]
pub(crate) fn headed(line: &[u8]) -> Headed<'_> {
    let mut found = Headed { port: None, at: None, stamp: None, journal: None, is_llama: false, text: line };
    for _ in 0..MAX_PREFIXES {
        if let Some((us, text)) = since_start(found.text) {
            found.at = Some(BackendMoment::SinceStart { us });
            (found.text, found.is_llama) = (text, true);
            return found;
        }
        match found.text.first() {
            Some(b's' | b'm' | b'p' | b' ') if is_llama_text(found.text) => return found,
            // `I slot …`: a head without a time.
            Some(b'I' | b'W' | b'E' | b'D') if found.text.get(1) == Some(&b' ') => {
                found.text = found.text.get(2..).unwrap_or_default();
                found.is_llama = true;
                return found;
            }
            _ => {}
        }
        if !strip_prefix(&mut found) {
            return found;
        }
    }
    found
}

fn is_llama_text(text: &[u8]) -> bool {
    [b"slot ".as_slice(), b"srv  ", b"main: ", b"prompt eval", b"     "]
        .iter()
        .any(|start| text.starts_with(start))
}

/// Microseconds in `0.07.167.439 I `, and the text behind it. Every line begins so.
#[inline]
pub(crate) fn since_start(line: &[u8]) -> Option<(u64, &[u8])> {
    TimedLine::of(line).map(|line| (line.us(), line.text))
}

/// A line that begins with a time, which most of those that are passed over are not asked for.
pub(super) struct TimedLine<'a> {
    minutes: u64,
    /// `.07.167.`, …
    beginning: FormDigits,
    /// … and `7.439 I `.
    end: FormDigits,
    pub(super) text: &'a [u8],
}

impl<'a> TimedLine<'a> {
    #[inline(always)]
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        const MOST_MINUTES: u64 = 99_999_999;
        const BEGINNING: Form = Form::of(*b".00.000.");
        const END: Form = Form::of(*b"0.000 @ ");
        let (minutes, rest) = minutes(line)?;
        let (head, text) = rest.split_first_chunk::<14>()?;
        let beginning = BEGINNING.digits(*head.first_chunk()?)?;
        let end = END.digits(*head.last_chunk()?)?;
        (minutes <= MOST_MINUTES).then_some(Self { minutes, beginning, end, text })
    }

    #[inline]
    pub(super) fn us(&self) -> u64 {
        let [_, s1, s2, _, m1, m2, ..] = self.beginning.0.to_le_bytes();
        let [m3, _, u1, u2, u3, ..] = self.end.0.to_le_bytes();
        let digits = [s1, s2, m1, m2, m3, u1, u2, u3];
        self.minutes * 60_000_000 + digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(*digit))
    }
}

/// The minutes at the start of a line, as [`scan::number`] reads them, and what follows. To call
/// that for every line took a twelfth of the instructions of a log that tells of each token.
#[inline(always)]
fn minutes(line: &[u8]) -> Option<(u64, &[u8])> {
    let (minutes, digits) = match line.first_chunk()? {
        [a @ b'0'..=b'9', b'.', _, _] => (digit(*a), 1),
        [a @ b'0'..=b'9', b @ b'0'..=b'9', b'.', _] => (10 * digit(*a) + digit(*b), 2),
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'.'] => {
            (100 * digit(*a) + 10 * digit(*b) + digit(*c), 3)
        }
        _ => return scan::number(line),
    };
    Some((minutes, line.get(digits..)?))
}

fn digit(byte: u8) -> u64 {
    u64::from(byte - b'0')
}

/// Eight bytes that have a digit in the place of each `0`, a capital letter in that of `@`, and
/// else this text. All are looked at at once: one by one took a twentieth of the instructions of
/// a log.
struct Form {
    text: u64,
    /// What has to be added to the difference of each byte for it to be below 128 just yet.
    room: u64,
}

impl Form {
    const fn of(text: [u8; 8]) -> Self {
        let (mut room, mut at) = ([127; 8], 0);
        while at < room.len() {
            match text[at] {
                b'0' => room[at] -= 9,
                b'@' => room[at] -= 26,
                _ => {}
            }
            at += 1;
        }
        Self { text: u64::from_le_bytes(text), room: u64::from_le_bytes(room) }
    }

    /// What the digits of a text of this form stand for, each in its place.
    #[inline]
    fn digits(&self, text: [u8; 8]) -> Option<FormDigits> {
        const TOP: u64 = 0x8080_8080_8080_8080;
        let differences = u64::from_le_bytes(text) ^ self.text;
        let is_of_form = (differences.wrapping_add(self.room) | differences) & TOP == 0;
        is_of_form.then_some(FormDigits(differences))
    }
}

/// A text of a form: a digit's value in the place of each `0`.
struct FormDigits(u64);

/// Takes one prefix off the front; false where there is none.
fn strip_prefix(found: &mut Headed<'_>) -> bool {
    let text = found.text;
    let near = text.get(..PREFIX_BYTES).unwrap_or(text);
    if let Some(rest) = text.strip_prefix(b"[") {
        let Some((port, rest)) = scan::number(rest) else { return false };
        let Some(rest) = rest.strip_prefix(b"] ") else { return false };
        (found.port, found.text) = (Some(port), rest);
        return true;
    }
    if is_journal_stamp(near) {
        let Some(end) = memmem::find(near, b"]: ") else { return false };
        found.journal = text.get(..JOURNAL_STAMP_LEN);
        found.text = text.get(end + 3..).unwrap_or_default();
        return true;
    }
    if let Some(end) = memchr(b' ', near)
        && let Some(at) = text.get(..end).and_then(rfc3339)
    {
        (found.at, found.stamp) = (Some(BackendMoment::Instant(at)), Some(at));
        let rest = text.get(end + 1..).unwrap_or_default();
        if let Some(text) = behind_stream(rest) {
            found.text = text;
            return true;
        }
        // `journalctl -o short-iso` names the host and the process too.
        let process = memmem::find(rest.get(..PREFIX_BYTES).unwrap_or(rest), b"]: ");
        let is_process = |end: &usize| rest.get(..*end).is_some_and(|names| !names.contains(&b'|'));
        found.text = process.filter(is_process).and_then(|end| rest.get(end + 3..)).unwrap_or(rest);
        return true;
    }
    if let Some(text) = behind_local_stamp(text) {
        found.text = text;
        return true;
    }
    if let Some(bar) = memmem::find(near, b" | ")
        && let Some(name) = text.get(..bar)
        && !name.trim_ascii_end().contains(&b' ')
    {
        found.text = text.get(bar + 3..).unwrap_or_default();
        return true;
    }
    false
}

/// What follows `stderr F `, or `P` for a part of a line, as container runtimes of Kubernetes write.
fn behind_stream(text: &[u8]) -> Option<&[u8]> {
    let streams: [&[u8]; 2] = [b"stderr ", b"stdout "];
    let rest = streams.iter().find_map(|stream| text.strip_prefix(*stream))?;
    rest.strip_prefix(b"F ").or_else(|| rest.strip_prefix(b"P "))
}

/// What follows `2025-03-05 08:58:54 `, or the same with a fraction, as windows of containers
/// show it.
fn behind_local_stamp(text: &[u8]) -> Option<&[u8]> {
    let is_stamp = |stamp: &[u8; 19]| {
        let is_of_form = |(byte, form): (&u8, &u8)| byte == form || *form == b'0' && byte.is_ascii_digit();
        stamp.iter().zip(b"0000-00-00 00:00:00").all(is_of_form)
    };
    let (_, rest) = text.split_first_chunk().filter(|(stamp, _)| is_stamp(stamp))?;
    let fraction = rest.iter().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','));
    rest.get(fraction.count()..)?.strip_prefix(b" ")
}

const JOURNAL_STAMP_LEN: usize = "Sep 11 00:04:26".len();

/// Whether a text begins like `Sep 11 00:04:26 `.
fn is_journal_stamp(text: &[u8]) -> bool {
    let Some(stamp) = text.first_chunk::<16>() else { return false };
    let [a, b, c, b' ', _, _, b' ', _, _, b':', _, _, b':', _, _, b' '] = stamp else { return false };
    a.is_ascii_uppercase() && b.is_ascii_lowercase() && c.is_ascii_lowercase()
}

/// An instant such as `2026-09-11T00:04:26.123456789Z` or `2026-09-11T00:04:26+0200`.
pub(crate) fn rfc3339(text: &[u8]) -> Option<Timestamp> {
    if text.get(4) != Some(&b'-') || text.get(10) != Some(&b'T') {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let with_colon = || {
        let (stamp, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
        format!("{stamp}:{minutes}").parse().ok()
    };
    text.parse().ok().or_else(with_colon)
}

/// A line without the escape sequences that colour it. `scratch` is memory for it.
#[inline]
pub(crate) fn without_colours<'a>(line: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    const ESCAPE: u8 = 0x1B;
    // Lines are coloured from their beginning on, if at all.
    let near = line.get(..PREFIX_BYTES).unwrap_or(line);
    if since_start(line).is_some() || memchr(ESCAPE, near).is_none() {
        return line;
    }
    scratch.clear();
    let mut rest = line;
    while let Some(at) = memchr(ESCAPE, rest) {
        scratch.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(sequence) = rest.strip_prefix(b"[") {
            let end = sequence.iter().position(|byte| byte.is_ascii_alphabetic()).unwrap_or(sequence.len());
            rest = sequence.get(end + 1..).unwrap_or_default();
        }
    }
    scratch.extend_from_slice(rest);
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> (Option<u64>, Option<BackendMoment>, String) {
        let mut scratch = Vec::new();
        let found = headed(without_colours(line.as_bytes(), &mut scratch));
        (found.port, found.at, String::from_utf8(found.text.to_vec()).unwrap())
    }

    #[test]
    fn whatever_stands_before_it_the_text_is_the_same() {
        let us = Some(BackendMoment::SinceStart { us: 16 * 60_000_000 + 15_202_152 });
        let at = |text: &str| Some(BackendMoment::Instant(text.parse().unwrap()));
        for (prefix, port, moment) in [
            ("", None, None),
            ("I ", None, None),
            ("16.15.202.152 I ", None, us),
            ("[42027] ", Some(42_027), None),
            ("[42027] 16.15.202.152 I ", Some(42_027), us),
            ("Sep 11 00:04:26 host ollama[123]: ", None, None),
            ("Sep  1 00:04:26 ollama[]: ", None, None),
            ("Sep 11 00:04:26 host llama-server[1]: 16.15.202.152 I ", None, us),
            ("2026-09-11T00:04:26.123456789Z ", None, at("2026-09-11T00:04:26.123Z")),
            ("2026-09-11T00:04:26.123456789Z stderr F ", None, at("2026-09-11T00:04:26.123Z")),
            ("2026-09-11T02:04:26.1+02:00 stdout P [80] ", Some(80), at("2026-09-11T00:04:26.100Z")),
            ("2026-09-11T00:04:26Z stderr F 16.15.202.152 I ", None, us),
            ("2026-09-11T02:04:26+0200 host llama[1]: ", None, at("2026-09-11T00:04:26Z")),
            ("2026-09-11 00:04:26 ", None, None),
            ("2026-09-11 00:04:26.123 16.15.202.152 I ", None, us),
            ("llama-1  | [8080] 16.15.202.152 I ", Some(8_080), us),
            ("\u{1b}[34m16.15.202.152\u{1b}[0m \u{1b}[32mI \u{1b}[0m", None, us),
        ] {
            for body in
                ["slot      release: id  3 | task 7 | stop processing", "srv          init: model loaded"]
            {
                assert_eq!(text(&format!("{prefix}{body}")), (port, moment, body.to_owned()), "{prefix}");
            }
        }
    }

    #[test]
    fn other_text_keeps_its_beginning() {
        for line in [
            "",
            "[",
            "[4",
            "[43] ",
            "0.1",
            "0.00.000.000",
            "ready",
            "You are | a",
            "[GIN] 2026/09/11 - 00:04:26",
        ] {
            let (_, at, found) = text(line);
            assert!(at.is_none() && line.ends_with(&found), "{line}: {found}");
        }
        for line in [
            "x.00.000.000 I a",
            "0.0:.000.000 I a",
            "0.00.00/.000 I a",
            "0.00.000.~10 I a",
            "0.00.000.000 i a",
        ] {
            assert_eq!(since_start(line.as_bytes()), None, "{line}");
        }
        assert_eq!(since_start(b"12345678.59.999.999 D a").map(|(us, _)| us), Some(740_740_739_999_999));
    }
}
