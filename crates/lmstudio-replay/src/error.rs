//! What can go wrong between this program and a server.

use std::time::Duration;

/// Why a replay, or one run of it, failed. Each message is a whole sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be used.
    #[error("{0}")]
    Address(String),
    /// The recorded body is not a JSON object.
    #[error("the recorded body is not a JSON object, so it cannot be sent")]
    NoBody,
    /// The token cannot stand in a header.
    #[error("the token has characters that no HTTP header may hold")]
    Token,
    /// The address belongs to another machine.
    #[error("{host} is {address}, another machine: a recorded prompt is sent to this one only")]
    NotLoopback {
        /// The name that was given.
        host: String,
        /// The address that it resolves to.
        address: String,
    },
    /// No connection could be made.
    #[error("no connection to {url}: {reason}. Is the server on? `lms server start` turns it on")]
    Unreachable {
        /// The server.
        url: String,
        /// The system's own words.
        reason: String,
    },
    /// No server has this name.
    #[error("no connection to {url}: {reason}")]
    UnknownHost {
        /// The server.
        url: String,
        /// The system's own words.
        reason: String,
    },
    /// It is unclear which model to ask.
    #[error("{0}")]
    Model(String),
    /// The server refused.
    #[error("the server answers {status}{}", after_colon(message))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server says; empty where it says nothing.
        message: String,
    },
    /// The server does not have this API.
    #[error("the server has no answer at {path}{}", after_colon(message))]
    NoSuchPath {
        /// The path of the API.
        path: &'static str,
        /// What the server says.
        message: String,
    },
    /// The server redirects, which is not followed.
    #[error("the server answers {status} and points to {to}: redirects are not followed")]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// The target.
        to: String,
    },
    /// The stream reports that the server failed.
    #[error("the server broke off{}", after_colon(.0))]
    Server(String),
    /// No event came for too long.
    #[error("no event of an answer came for {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The connection ended inside the answer.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The stream ended without the event that closes it.
    #[error("the stream ended before its closing event")]
    Unfinished,
    /// The stream goes on after every honest answer would have ended.
    #[error(
        "the answer does not end: {limit} for at most {max_tokens} output tokens; the server seems to \
         ignore `max_tokens`"
    )]
    Endless {
        /// What there was more of than is read.
        limit: AnswerLimit,
        /// The most tokens that the answer might have.
        max_tokens: u64,
    },
    /// A document is larger than is read.
    #[error("the server's answer is larger than {} MB", limit_bytes / 1_000_000)]
    TooLarge {
        /// The most that is read.
        limit_bytes: u64,
    },
    /// What came is not an answer of this API.
    #[error("{0}")]
    Garbage(String),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

/// What an endless answer had too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerLimit {
    /// More events than this.
    #[error("more than {0} events")]
    Events(u64),
    /// More bytes than this.
    #[error("more than {} MB", .0 / 1_000_000)]
    Bytes(u64),
}

impl Error {
    /// Whether the same request would fail in the same way again.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Broken(_) | Self::Unfinished | Self::Garbage(_) | Self::Server(_) => {
                false
            }
            Self::Refused { status, .. } => *status < 500,
            _ => true,
        }
    }
}

/// A server's message behind a sentence.
fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
