//! One line for each event.

use std::io::Write;
use std::thread;

use anyclaude_traces::follow::Follower;

use super::{is_worth_a_bell, nothing_seen, now, pause, skipped};
use crate::cli::{OutputFormat, WatchArgs};
use crate::exit::Status;
use crate::render::json;
use crate::render::watch::EventLines;

/// Prints what happens until somebody ends it.
pub(super) fn follow(
    follower: &mut Follower,
    args: &WatchArgs,
    place: &str,
    out: &mut impl Write,
) -> anyhow::Result<Status> {
    let is_json = args.output.format == OutputFormat::Ndjson;
    let mut lines = EventLines::default();
    loop {
        let events = follower.look(now()?);
        for event in &events {
            if is_json {
                json::lines(out, std::slice::from_ref(event))?;
            } else {
                writeln!(out, "{}", lines.of(event))?;
            }
        }
        if args.bell && !is_json && is_worth_a_bell(&events) {
            write!(out, "\u{7}")?;
        }
        if !events.is_empty() {
            out.flush()?;
        }
        if args.once {
            let skipped = skipped(&events);
            if follower.situation().requests.is_empty() {
                return Err(nothing_seen(&skipped, args, place));
            }
            return Ok(if skipped.is_empty() { Status::Done } else { Status::Skipped });
        }
        thread::sleep(pause(follower));
    }
}
