//! The log of a server, whichever wrote it.

use super::llama::LlamaServerParser;
use super::llama::head::{headed, without_colours};
use super::lmstudio::{BodySink, LmStudioParser, NoBodies, is_own_line};
use super::ollama::OllamaParser;
use super::types::{BackendFormat, BackendLog};
use super::wrapped::Unwrapper;

/// How much of a log is read to tell which server wrote it: an excerpt of Ollama's log may
/// begin with lines of the server that it started.
const SNIFFED_BYTES: usize = 1 << 16;

/// Reads the log of any of the servers in chunks of any size. Its first lines tell which of
/// them wrote it.
///
/// ```
/// use anyclaude_traces::formats::backend::{BackendFormat, BackendParser};
///
/// let mut parser = BackendParser::new();
/// parser.feed(b"slot launch_slot_: id  0 | task 7 | processing task\n");
/// assert_eq!(parser.finish().map(|log| log.format), Some(BackendFormat::LlamaServer));
///
/// let mut parser = BackendParser::new();
/// parser.feed(b"Dear diary\n");
/// assert_eq!(parser.finish(), None);
/// ```
#[derive(Debug, Default, Clone)]
pub struct BackendParser {
    state: FormatParser,
    /// Bytes and lines before the first that is of a server's log.
    passed: (u64, u64),
    unwrapper: Unwrapper,
}

#[derive(Debug, Clone)]
enum FormatParser {
    /// The beginning of the file.
    Unknown(Vec<u8>),
    LmStudio(Box<LmStudioParser>),
    LlamaServer(Box<LlamaServerParser>),
    Ollama(Box<OllamaParser>),
}

impl Default for FormatParser {
    fn default() -> Self {
        Self::Unknown(Vec::new())
    }
}

impl BackendParser {
    /// A parser at the beginning of a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes of the file.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.feed_to(chunk, &mut NoBodies::default());
    }

    /// The same; bodies of requests go to `bodies`.
    pub(crate) fn feed_to(&mut self, chunk: &[u8], bodies: &mut dyn BodySink) {
        self.with_unwrapper(|parser, unwrapper| {
            unwrapper.feed(chunk, &mut |text| parser.feed_text(text, bodies));
        });
    }

    fn with_unwrapper(&mut self, feed: impl FnOnce(&mut Self, &mut Unwrapper)) {
        let mut unwrapper = std::mem::take(&mut self.unwrapper);
        feed(self, &mut unwrapper);
        self.unwrapper = unwrapper;
    }

    /// Ends what is around the log of a file.
    fn finish_unwrapping(&mut self, bodies: &mut dyn BodySink) {
        self.with_unwrapper(|parser, unwrapper| {
            unwrapper.finish(&mut |text| parser.feed_text(text, bodies));
        });
    }

    fn feed_text(&mut self, chunk: &[u8], bodies: &mut dyn BodySink) {
        match &mut self.state {
            FormatParser::LmStudio(parser) => parser.feed_to(chunk, bodies),
            FormatParser::LlamaServer(parser) => parser.feed(chunk),
            FormatParser::Ollama(parser) => parser.feed(chunk),
            FormatParser::Unknown(beginning) => {
                beginning.extend_from_slice(chunk);
                if beginning.len() < SNIFFED_BYTES {
                    return;
                }
                if format(beginning).is_some() {
                    self.choose(bodies);
                } else {
                    // Text before the log: notes of whoever copied it.
                    let lines = memchr::memrchr(b'\n', beginning).map_or(beginning.len(), |end| end + 1);
                    self.passed.0 += lines as u64;
                    self.passed.1 += memchr::memchr_iter(b'\n', beginning).count() as u64;
                    beginning.drain(..lines);
                }
            }
        }
    }

    /// Ends the file and returns what it holds; `None` where it is no server's log.
    #[must_use]
    pub fn finish(self) -> Option<BackendLog> {
        self.finish_to(&mut NoBodies::default())
    }

    /// The same; bodies of requests go to `bodies`.
    pub(crate) fn finish_to(mut self, bodies: &mut dyn BodySink) -> Option<BackendLog> {
        self.finish_unwrapping(bodies);
        self.choose(bodies);
        let mut log = match self.state {
            FormatParser::Unknown(_) => return None,
            FormatParser::LmStudio(parser) => parser.finish_to(bodies),
            FormatParser::LlamaServer(parser) => parser.finish(),
            FormatParser::Ollama(parser) => parser.finish(),
        };
        log.bytes = self.unwrapper.bytes_of_file(log.bytes + self.passed.0);
        log.lines += self.passed.1;
        (log.known_lines > 0).then_some(log)
    }

    /// Goes on with the file that the server wrote next; false where it is none that does so.
    pub(crate) fn next_file(&mut self, bodies: &mut dyn BodySink) -> bool {
        self.finish_unwrapping(bodies);
        self.choose(bodies);
        let FormatParser::LmStudio(parser) = &mut self.state else { return false };
        parser.next_file(bodies);
        true
    }

    /// Ends the last of several files: what each of them holds; `None` where that is no log of
    /// a server.
    pub(crate) fn finish_files(mut self, bodies: &mut dyn BodySink) -> Vec<Option<BackendLog>> {
        self.finish_unwrapping(bodies);
        self.choose(bodies);
        let mut logs = match self.state {
            FormatParser::LmStudio(parser) => parser.finish_files(bodies),
            _ => return vec![self.finish_to(bodies)],
        };
        if let Some(first) = logs.first_mut() {
            first.bytes = self.unwrapper.bytes_of_file(first.bytes + self.passed.0);
            first.lines += self.passed.1;
        }
        logs.into_iter().map(|log| Some(log).filter(|log| log.known_lines > 0)).collect()
    }

    fn choose(&mut self, bodies: &mut dyn BodySink) {
        let FormatParser::Unknown(beginning) = &mut self.state else { return };
        let beginning = std::mem::take(beginning);
        self.state = match format(&beginning) {
            Some(BackendFormat::LmStudio) => FormatParser::LmStudio(Box::default()),
            Some(BackendFormat::Ollama) => FormatParser::Ollama(Box::default()),
            _ => FormatParser::LlamaServer(Box::default()),
        };
        self.feed_text(&beginning, bodies);
    }
}

/// Which server wrote a log that begins like this.
fn format(beginning: &[u8]) -> Option<BackendFormat> {
    let mut scratch = Vec::new();
    let mut found = None;
    for line in beginning.split(|byte| *byte == b'\n') {
        if is_own_line(line) {
            return Some(BackendFormat::LmStudio);
        }
        let headed = headed(without_colours(line, &mut scratch));
        let is_own = |text: &[u8]| {
            text.starts_with(b"[GIN")
                || text.starts_with(b"time=") && memchr::memmem::find(text, b" level=").is_some()
        };
        if is_own(headed.text) {
            return Some(BackendFormat::Ollama);
        }
        if headed.is_llama || headed.text.starts_with(b"slot ") || headed.text.starts_with(b"srv  ") {
            found = Some(BackendFormat::LlamaServer);
        }
    }
    found
}
