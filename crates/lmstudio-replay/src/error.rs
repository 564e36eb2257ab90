//! What can go wrong between us and a server.

use std::time::Duration;

/// Why a replay, or one run of it, failed. Each is a whole sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The address is none that we can talk to.
    #[error("{0}")]
    Address(String),
    /// The recorded body is no JSON object.
    #[error("the recorded body is no JSON object, so that it cannot be sent")]
    NoBody,
    /// The token cannot stand in a header.
    #[error("the token has characters that no HTTP header may hold")]
    Token,
    /// The address is another machine's.
    #[error("{host} is {address}, another machine: a recorded prompt is sent to this one only")]
    NotLoopback {
        /// The name that was given.
        host: String,
        /// What it means.
        address: String,
    },
    /// Nobody answers at the address.
    #[error("no connection to {url}: {reason}. Is the server on? `lms server start` turns it on")]
    Unreachable {
        /// The server.
        url: String,
        /// The system's own words.
        reason: String,
    },
    /// The model to ask is not clear.
    #[error("{0}")]
    Model(String),
    /// The server refused, in its own words.
    #[error("the server answers {status}{}", quoted(words))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server says; empty where it says nothing.
        words: String,
    },
    /// The server has no such path.
    #[error("the server has no answer at {path}{}", quoted(words))]
    NoSuchPath {
        /// The path of the API.
        path: &'static str,
        /// What the server says.
        words: String,
    },
    /// The server sends us elsewhere, where we do not go.
    #[error("the server answers {status} and points to {to}: redirects are not followed")]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// Where it points.
        to: String,
    },
    /// The stream says that the server failed.
    #[error("the server broke off{}", quoted(.0))]
    Server(String),
    /// No event came for too long.
    #[error("no event of an answer came for {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// The connection ended inside the answer.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The stream ended, but not with the event that ends it.
    #[error("the stream ended before its closing event")]
    Unfinished,
    /// What came is no answer of this API.
    #[error("{0}")]
    Garbage(String),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// Whether the same request would fail in the same way again.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Broken(_) | Self::Unfinished | Self::Garbage(_) | Self::Server(_) => {
                false
            }
            Self::Refused { status, .. } => *status < 500,
            _ => true,
        }
    }
}

/// A server's words behind a sentence.
fn quoted(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}
