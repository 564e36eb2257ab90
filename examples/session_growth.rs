//! How the prompt of each session grows, as CSV: one line per conversation
//! request, with what it adds to the request before it in its thread.
//!
//! A thread is one growing conversation. A subagent has a thread of its own, so
//! that its small prompts do not read as shrinking.
//!
//! ```text
//! cargo run -q -p traces-examples --example session_growth -- testdata/home/.anyclaude/traces
//! ```

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::io::{self, Write as _};

use anyclaude_traces::{Kind, Recording, RecordingBuilder, Request};

fn main() -> Result<(), Box<dyn Error>> {
    let recording = env::args_os().skip(1).fold(Recording::builder(), RecordingBuilder::root).open()?;
    for error in recording.skipped() {
        writeln!(io::stderr(), "skipped {error}")?;
    }
    let is_conversation = |request: &&Request| request.kind == Kind::Conversation;
    let mut requests: Vec<&Request> = recording.requests().iter().filter(is_conversation).collect();
    // They come in order of time; a stable sort keeps that within each session.
    requests.sort_by(|a, b| a.session.cmp(&b.session));

    let mut csv = csv::Writer::from_writer(io::stdout().lock());
    csv.write_record(["session", "thread", "timestamp", "message_count", "body_bytes", "added_bytes"])?;
    let mut newest_of_thread = HashMap::new();
    for request in requests {
        let body_bytes = request.sizes.body_bytes.get();
        let before = newest_of_thread.insert(&request.thread, body_bytes);
        csv.write_record([
            request.session.as_deref().unwrap_or_default(),
            request.thread.as_deref().unwrap_or_default(),
            &request.timestamp.map(|stamp| stamp.to_string()).unwrap_or_default(),
            &known(request.sizes.message_count.get()),
            &known(body_bytes),
            // The first of a thread adds to nothing: unknown is empty, never 0.
            &before.flatten().zip(body_bytes).map(added).unwrap_or_default(),
        ])?;
    }
    Ok(csv.flush()?)
}

fn known(size: Option<u64>) -> String {
    size.map(|size| size.to_string()).unwrap_or_default()
}

fn added((before, now): (u64, u64)) -> String {
    (i128::from(now) - i128::from(before)).to_string()
}
