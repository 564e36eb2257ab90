//! The head of a line: its time, its level, and who wrote it.

use chrono::NaiveDate;

/// The tag of lines that the server writes for itself: no model has this name.
const SERVER: &[u8] = b"LM STUDIO SERVER";
const LEVELS: [&[u8]; 4] = [b"DEBUG", b"INFO", b"WARN", b"ERROR"];

/// The beginning of a line that starts a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head<'l> {
    /// Seconds from 1970 to the time that the clock on the wall showed.
    pub(super) local_seconds: i64,
    pub(super) is_error: bool,
    /// What follows; empty where a window's copy has the text on the next line.
    pub(super) text: &'l [u8],
}

impl<'l> Head<'l> {
    /// Reads `[2026-06-24 13:09:41][INFO] text`, as the file has it, or
    /// `2026-06-24 13:09:41  [INFO] text`, as the window is copied. Milliseconds, which
    /// logs of 2024 have, are passed over. `None` where the line goes on with a message.
    pub(super) fn read(line: &'l [u8]) -> Option<Self> {
        let (bracketed, rest) = match line.split_first()? {
            (b'[', rest) => (true, rest),
            (b'1'..=b'2', _) => (false, line),
            _ => return None,
        };
        let (seconds, rest) = local_seconds(rest)?;
        let rest = match rest.strip_prefix(b".") {
            Some(rest) => rest.get(rest.iter().take_while(|byte| byte.is_ascii_digit()).count()..)?,
            None => rest,
        };
        let rest = if bracketed { rest.strip_prefix(b"]")? } else { rest };
        let (level, rest) = group(rest.trim_ascii_start())?;
        if !LEVELS.contains(&level) {
            return None;
        }
        Some(Self { local_seconds: seconds, is_error: level == b"ERROR", text: rest.trim_ascii_start() })
    }
}

/// What a message begins with: `[LM STUDIO SERVER] [model] text`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Tagged<'l> {
    /// The first tag that is neither the server's own nor a level: the model, in lines that
    /// are about a request.
    pub(super) tag: Option<&'l [u8]>,
    pub(super) text: &'l [u8],
}

impl<'l> Tagged<'l> {
    pub(super) fn read(text: &'l [u8]) -> Self {
        let (mut tag, mut rest) = (None, text.trim_ascii());
        while let Some((name, after)) = group(rest) {
            if tag.is_none() && name != SERVER && !LEVELS.contains(&name) && !name.is_empty() {
                tag = Some(name);
            }
            rest = after.trim_ascii_start();
        }
        let text = match (tag.is_some(), rest.strip_prefix(b": ")) {
            (true, Some(text)) => text.trim_ascii_start(),
            _ => rest,
        };
        Self { tag, text }
    }
}

/// `[name]` and what follows it.
fn group(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.strip_prefix(b"[")?;
    let end = memchr::memchr2(b']', b'\n', inside.get(..512).unwrap_or(inside))?;
    let (name, rest) = inside.split_at(end);
    Some((name, rest.strip_prefix(b"]")?))
}

/// Seconds from 1970 to a time on the clock on the wall, `2026-06-24 13:09:41`.
fn local_seconds(text: &[u8]) -> Option<(i64, &[u8])> {
    let (stamp, rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, separator)| stamp.get(at) != Some(&separator)) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = stamp.get(from..to)?.iter();
        digits
            .copied()
            .try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
    };
    let date = NaiveDate::from_ymd_opt(number(0, 4)?.cast_signed(), number(5, 7)?, number(8, 10)?)?;
    let time = date.and_hms_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?)?;
    Some((time.and_utc().timestamp(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: i64 = 1_782_306_581;

    fn head(line: &str) -> Option<(i64, bool, &str)> {
        let head = Head::read(line.as_bytes())?;
        Some((head.local_seconds, head.is_error, std::str::from_utf8(head.text).unwrap()))
    }

    #[test]
    fn all_forms_of_a_head_are_read() {
        let read = Some((SECONDS, false, "[m] text"));
        for line in [
            "[2026-06-24 13:09:41][INFO][m] text",
            "[2026-06-24 13:09:41][INFO] [m] text",
            "[2026-06-24 13:09:41.203] [INFO] [m] text",
            "2026-06-24 13:09:41  [INFO] [m] text",
        ] {
            assert_eq!(head(line), read, "{line}");
        }
        assert_eq!(head("2026-06-24 13:09:41 [ERROR]"), Some((SECONDS, true, "")));
    }

    #[test]
    fn what_is_no_head_goes_on_with_the_message() {
        for line in [
            "",
            "[",
            "  \"model\": 1",
            "[2026-06-24 13:09:41]",
            "[2026-06-24 13:09:41][HINT] text",
            "[2026-02-30 13:09:41][INFO] text",
            "[2026-06-24 13:09][INFO] text",
            "2026-06-24T13:09:41 [INFO] text",
            "1.22.855.899 I slot get_availabl: id  3",
        ] {
            assert_eq!(head(line), None, "{line}");
        }
    }

    #[test]
    fn the_first_tag_that_may_be_a_model_is_kept() {
        let read = |text: &'static str| {
            let tagged = Tagged::read(text.as_bytes());
            (
                tagged.tag.map(|tag| std::str::from_utf8(tag).unwrap()),
                std::str::from_utf8(tagged.text).unwrap(),
            )
        };
        assert_eq!(read(" [a/b] Streaming response..."), (Some("a/b"), "Streaming response..."));
        assert_eq!(read("[LM STUDIO SERVER] [a] Generated"), (Some("a"), "Generated"));
        assert_eq!(read("[coordinator][INFO]: Prompt cache"), (Some("coordinator"), "Prompt cache"));
        assert_eq!(read("[LM STUDIO SERVER] Running"), (None, "Running"));
        assert_eq!(read("[open"), (None, "[open"));
    }
}
