//! What is known of a recording beside what it holds: `receipt.json`.

use std::collections::BTreeMap;

use anyclaude_traces::Timestamp;
use serde::{Deserialize, Serialize};

use crate::folder::Bodies;
use crate::otlp::{Arrived, Signal};
use crate::refusal::Refusal;

/// What is known of a recording.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The version of this shape: 1.
    pub schema_version: u32,
    /// Whose recording it is: `claude_code`.
    pub recording: &'static str,
    /// This program and its version.
    pub recorder: String,
    /// When the receiver was ready.
    pub started: Timestamp,
    /// When the recording was complete; `None` while it is not, or where it was cut off.
    pub ended: Option<Timestamp>,
    /// The receiver's port on 127.0.0.1.
    pub port: u16,
    /// The program that was run, without its arguments, which may be private; `None` where
    /// the client was started by hand.
    pub command: Option<String>,
    /// How that ended.
    pub exit: Option<Exit>,
    /// The variables that the client was given.
    pub variables: BTreeMap<String, String>,
    /// Whether bodies were replaced by their sizes and hashes.
    pub no_bodies: bool,
    /// The bodies that the client wrote.
    pub bodies: Bodies,
    /// Bodies that were removed instead of being replaced by their sizes: they are no JSON.
    pub bodies_removed: u64,
    /// Events and spans.
    pub arrived: Arrived,
    /// What was posted, in the order of arrival: at most 100,000.
    pub posts: Vec<Posted>,
    /// Further posts, which are not listed.
    pub posts_not_listed: u64,
    /// What was refused, and how often.
    pub refused: BTreeMap<Refusal, u64>,
    /// Posts that could not be written.
    pub lost: u64,
    /// Why the first of these could not be.
    pub lost_because: Option<String>,
}

/// One request to the receiver.
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct Posted {
    /// When it was complete.
    pub at: Timestamp,
    /// What it reported.
    pub signal: Signal,
    /// Its size, decompressed.
    pub bytes: u64,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// The code that a shell reports: 128 + N for signal N.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}
