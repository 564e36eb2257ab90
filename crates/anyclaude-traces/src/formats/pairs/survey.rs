//! What a file turned out to hold.

use super::exchange::{Exchange, RecordSubject};
use crate::error::{ParseError, SkipReason};
use crate::formats::source::{Input, RecordNumber, RecordSink};
use crate::model::request::Source;

/// Hands the records of one file on, and says what is wrong with a file that has none.
pub(super) struct Survey<'a, 's> {
    source: Source,
    input: &'a Input<'a>,
    pub(super) sink: &'s mut dyn RecordSink,
    requests: u64,
    skipped: u64,
    google: u64,
    sockets: u64,
}

impl<'a, 's> Survey<'a, 's> {
    pub(super) fn new(source: Source, input: &'a Input<'a>, sink: &'s mut dyn RecordSink) -> Self {
        Self { source, input, sink, requests: 0, skipped: 0, google: 0, sockets: 0 }
    }

    /// Takes a record, if it is a request to a model.
    pub(super) fn add(&mut self, number: RecordNumber, exchange: Exchange) {
        match exchange.subject() {
            RecordSubject::Google => {
                self.google += 1;
                self.sink.abandon(number);
            }
            RecordSubject::Socket => {
                self.sockets += 1;
                self.sink.abandon(number);
            }
            RecordSubject::Other => self.sink.abandon(number),
            RecordSubject::Model => {
                if let Ok(record) = exchange.into_record(self.source, self.input.len()) {
                    self.requests += 1;
                    self.sink.finish(number, record);
                } else {
                    self.sink.abandon(number);
                }
            }
        }
    }

    /// Takes a record whose body is put together of parts: its sizes hold for these alone.
    pub(super) fn add_parts(&mut self, number: RecordNumber, record: crate::formats::record::TraceRecord) {
        self.requests += 1;
        self.sink.finish(number, record);
    }

    /// A record that cannot be read.
    pub(super) fn skip(&mut self, error: ParseError) {
        self.skipped += 1;
        self.sink.skip(error);
    }

    /// The size of the file.
    pub(super) fn file_bytes(&self) -> usize {
        self.input.len()
    }

    /// Fails where the file held no request to a model, and none that could not be read;
    /// `what` is the kind of file. What it held besides and is not read is skipped by name.
    pub(super) fn finish(self, what: &str) -> Result<(), ParseError> {
        let refuse = |why: String| ParseError::new(SkipReason::NotATrace, self.input.bytes, 0, why);
        let unread = self.unread();
        if self.requests > 0 {
            unread.into_iter().for_each(|unread| self.sink.skip(refuse(unread)));
            return Ok(());
        }
        if self.skipped > 0 {
            return Ok(());
        }
        let why = match unread.as_slice() {
            [] => "without a request to a model (POST to …/messages, …/chat/completions or …/responses)"
                .to_owned(),
            unread => format!("with nothing but {}", unread.join("; and ")),
        };
        Err(refuse(format!("{what} {why}")))
    }

    /// What was recognised and is not read, in words.
    fn unread(&self) -> Vec<String> {
        let google = (self.google > 0).then(|| {
            format!(
                "{} to Google's API (`contents`), of which none is read: Anthropic's Messages and OpenAI's Chat \
                 Completions and Responses are",
                counted(self.google, "request")
            )
        });
        let sockets = (self.sockets > 0).then(|| {
            format!(
                "messages over {}, of which none is read: have the client speak HTTP, or record it with claude-tap",
                counted(self.sockets, "WebSocket")
            )
        });
        google.into_iter().chain(sockets).collect()
    }
}

/// `1 request`, `2 requests`.
fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
