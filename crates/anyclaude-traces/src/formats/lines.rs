//! Splits bytes that come in chunks of any size into lines.

use super::json::block::{BLOCK, equal};

/// Lines are cut to this many bytes unless their consumer wants more. Only lines with free
/// text (prompts, tool schemas) are longer, and what parsers read from others lies within
/// this.
pub(crate) const LINE_LIMIT: usize = 16 * 1024;

/// One line, without its line ending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogLine<'a> {
    /// The line's bytes, the first [`LINE_LIMIT`] of them, or as many as [`LineSink::limit`] says.
    pub(crate) bytes: &'a [u8],
    /// Bytes of the whole line, its line ending included.
    pub(crate) full_len: u64,
    /// Whether a line ending follows; the last line of a crash has none.
    pub(crate) ended: bool,
}

/// Where the lines of a text end, the last one only where it is ended. Most lines are short, so
/// that many a block of 64 bytes holds the end of one: to begin a search for each took an eighth
/// of the instructions of a log of `llama-server`.
pub(crate) fn line_ends(text: &[u8]) -> impl Iterator<Item = usize> {
    let (mut start, mut next, mut ends) = (0, 0, 0_u64);
    std::iter::from_fn(move || {
        while ends == 0 {
            if next >= text.len() {
                return None;
            }
            (start, ends) = (next, equal(text, next, b'\n'));
            next += BLOCK;
        }
        let end = start + ends.trailing_zeros() as usize;
        ends &= ends - 1;
        Some(end)
    })
}

/// A consumer of lines.
pub(crate) trait LineSink {
    /// Takes one line.
    fn line(&mut self, line: LogLine<'_>);

    /// The length of the whole lines at the start of `text` that hold nothing to read, or are
    /// read here. [`line`](Self::line) is not called for these. `text` starts at the beginning of
    /// a line.
    #[inline]
    fn skip(&mut self, _text: &[u8]) -> usize {
        0
    }

    /// How many bytes are kept of a line that begins like this: of one that is longer than
    /// [`LINE_LIMIT`], its first [`LINE_LIMIT`] bytes.
    fn limit(&self, _beginning: &[u8]) -> usize {
        LINE_LIMIT
    }
}

/// Splits chunks into lines. Keeps the unfinished line at the end of a chunk for the next
/// one, at most as much of it as [`LineSink::limit`] says.
#[derive(Debug, Default, Clone)]
pub(crate) struct LineSplitter {
    rest: Vec<u8>,
    rest_len: u64,
}

impl LineSplitter {
    /// Passes every line that ends in `chunk` to `lines`.
    #[inline]
    pub(crate) fn feed(&mut self, chunk: &[u8], lines: &mut impl LineSink) {
        let mut rest = chunk;
        if self.rest_len > 0 {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.keep(rest, lines);
                return;
            };
            self.keep(rest.get(..end).unwrap_or_default(), lines);
            let full_len = self.rest_len + 1;
            lines.line(LogLine { bytes: without_return(&self.rest), full_len, ended: true });
            self.rest.clear();
            self.rest_len = 0;
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        loop {
            rest = rest.get(lines.skip(rest)..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', rest) else { break };
            let line = rest.get(..end).unwrap_or_default();
            let bytes = without_return(limited(line, lines));
            lines.line(LogLine { bytes, full_len: end as u64 + 1, ended: true });
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        self.keep(rest, lines);
    }

    /// Passes on what follows the last line ending, if anything does.
    pub(crate) fn finish(self, lines: &mut impl LineSink) {
        if self.rest_len > 0 {
            lines.line(LogLine { bytes: without_return(&self.rest), full_len: self.rest_len, ended: false });
        }
    }

    fn keep(&mut self, bytes: &[u8], lines: &impl LineSink) {
        let beginning = LINE_LIMIT.saturating_sub(self.rest.len()).min(bytes.len());
        let (beginning, more) = bytes.split_at(beginning);
        self.rest.extend_from_slice(beginning);
        if !more.is_empty() {
            let limit = lines.limit(self.rest.get(..LINE_LIMIT).unwrap_or(&self.rest));
            let room = limit.saturating_sub(self.rest.len());
            self.rest.extend_from_slice(more.get(..room).unwrap_or(more));
        }
        self.rest_len += bytes.len() as u64;
    }
}

fn limited<'l>(line: &'l [u8], lines: &impl LineSink) -> &'l [u8] {
    match line.get(..LINE_LIMIT) {
        Some(beginning) if line.len() > LINE_LIMIT => {
            line.get(..lines.limit(beginning).max(LINE_LIMIT)).unwrap_or(line)
        }
        _ => line,
    }
}

/// A line without the carriage return of its ending.
#[inline]
pub(crate) fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct CollectedLines(Vec<(Vec<u8>, u64, bool)>);

    impl LineSink for CollectedLines {
        fn limit(&self, beginning: &[u8]) -> usize {
            if beginning.starts_with(b"whole") { LINE_LIMIT + 7 } else { LINE_LIMIT }
        }

        fn line(&mut self, line: LogLine<'_>) {
            self.0.push((line.bytes.to_vec(), line.full_len, line.ended));
        }
    }

    fn split(text: &[u8], chunk: usize) -> Vec<(Vec<u8>, u64, bool)> {
        let mut lines = CollectedLines::default();
        let mut splitter = LineSplitter::default();
        for part in text.chunks(chunk) {
            splitter.feed(part, &mut lines);
        }
        splitter.finish(&mut lines);
        lines.0
    }

    #[test]
    fn every_chunking_gives_the_same_lines() {
        let mut text = b"one\r\n\ntwo\n".to_vec();
        text.extend(vec![b'x'; LINE_LIMIT + 5]);
        text.extend(b"\nlast");
        let whole = split(&text, text.len());
        assert_eq!(whole[0], (b"one".to_vec(), 5, true));
        assert_eq!(whole[1], (b"".to_vec(), 1, true));
        assert_eq!(whole[3].0.len(), LINE_LIMIT);
        assert_eq!(whole[3].1, LINE_LIMIT as u64 + 6);
        assert_eq!(whole[4], (b"last".to_vec(), 4, false));
        assert_eq!(whole.iter().map(|line| line.1).sum::<u64>(), text.len() as u64);
        for chunk in [1, 2, 3, 7, 4096, LINE_LIMIT, LINE_LIMIT + 1] {
            assert_eq!(split(&text, chunk), whole, "chunks of {chunk}");
        }
    }

    #[test]
    fn a_consumer_may_want_more_of_a_line() {
        let mut text = b"whole".to_vec();
        text.extend(vec![b'x'; LINE_LIMIT + 20]);
        text.extend(b"\nlast");
        for chunk in [1, 2, 7, LINE_LIMIT - 1, LINE_LIMIT, LINE_LIMIT + 1, LINE_LIMIT + 6, text.len()] {
            let lines = split(&text, chunk);
            assert_eq!(lines[0].0, text[..LINE_LIMIT + 7], "chunks of {chunk}");
            assert_eq!((lines[0].1, lines.len()), (LINE_LIMIT as u64 + 26, 2));
        }
    }

    #[test]
    fn lines_end_where_a_search_finds_it() {
        let mut text = Vec::new();
        for length in [0, 1, 2, 61, 62, 63, 64, 65, 127, 128, 300, 0, 0, 5] {
            text.extend(vec![b'x'; length]);
            text.push(b'\n');
            let more = [&text[..], &b"not ended"[..]].concat();
            for text in [&text, &more] {
                let expected: Vec<usize> = memchr::memchr_iter(b'\n', text).collect();
                assert_eq!(line_ends(text).collect::<Vec<_>>(), expected);
            }
        }
        assert_eq!(line_ends(b"").next(), None);
    }

    #[test]
    fn an_empty_text_has_no_line() {
        assert!(split(b"", 1).is_empty());
        assert_eq!(split(b"\n", 1), [(Vec::new(), 1, true)]);
    }
}
