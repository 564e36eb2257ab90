//! A line of OTLP/JSON, as a receiver writes it: one export of log records or spans.

use std::sync::Arc;

use super::attribute::{self, read_number};
use super::event::ClaudeCodeEvent;
use super::span::{Interaction, ModelSpan, TelemetrySpan};
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::model::time::Timestamp;

/// Numbers what may become a request of its own, and reads the records that stand in events.
pub(crate) trait Records {
    /// The next number.
    fn begin(&mut self) -> u32;
    /// Reads a whole body as the one of this number; whether it is a request to a model.
    fn read(&mut self, number: u32, body: &str) -> bool;
}

/// What Claude Code told in one or more exports.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Telemetry {
    pub(crate) events: Vec<ClaudeCodeEvent>,
    pub(crate) spans: Vec<ModelSpan>,
    pub(crate) interactions: Vec<Interaction>,
}

/// What a line holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Export {
    /// Log records or spans.
    Told,
    /// Metrics, which say nothing of single requests.
    Metrics,
    /// Something else.
    Foreign,
}

/// Reads one line, and adds what it tells.
///
/// # Errors
///
/// When it is not JSON; then nothing of it was added.
pub(crate) fn read_export(
    line: &str,
    scratch: &mut Scratch,
    records: &mut dyn Records,
    telemetry: &mut Telemetry,
) -> ParseResult<Export> {
    let lengths = (telemetry.events.len(), telemetry.spans.len(), telemetry.interactions.len());
    let read = read_members(&mut Cursor::new(line, scratch), records, telemetry);
    if read.is_err() {
        telemetry.events.truncate(lengths.0);
        telemetry.spans.truncate(lengths.1);
        telemetry.interactions.truncate(lengths.2);
    }
    read
}

fn read_members(
    cursor: &mut Cursor<'_, '_>,
    records: &mut dyn Records,
    telemetry: &mut Telemetry,
) -> ParseResult<Export> {
    let mut export = Export::Foreign;
    cursor.members_or_skip(|cursor, key| {
        match key {
            "resourceLogs" => {
                export = Export::Told;
                cursor.items_or_skip(|cursor| read_logs(cursor, records, telemetry))?;
            }
            "resourceSpans" => {
                export = Export::Told;
                cursor.items_or_skip(|cursor| read_spans(cursor, records, telemetry))?;
            }
            "resourceMetrics" => {
                export = Export::Metrics;
                cursor.skip()?;
            }
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    cursor.end()?;
    Ok(export)
}

fn read_logs(
    cursor: &mut Cursor<'_, '_>,
    records: &mut dyn Records,
    telemetry: &mut Telemetry,
) -> ParseResult<()> {
    let (first, mut version) = (telemetry.events.len(), None);
    cursor.members_or_skip(|cursor, key| match key {
        "resource" => read_version(cursor, &mut version),
        "scopeLogs" => cursor.items_or_skip(|cursor| {
            read_list(cursor, "logRecords", |cursor| {
                telemetry.events.extend(ClaudeCodeEvent::read(cursor, records)?);
                Ok(())
            })
        }),
        _ => cursor.skip(),
    })?;
    // The resource may stand behind its records.
    for event in telemetry.events.iter_mut().skip(first) {
        event.client_version.clone_from(&version);
    }
    Ok(())
}

fn read_spans(
    cursor: &mut Cursor<'_, '_>,
    records: &mut dyn Records,
    telemetry: &mut Telemetry,
) -> ParseResult<()> {
    let (first, mut version) = (telemetry.spans.len(), None);
    cursor.members_or_skip(|cursor, key| match key {
        "resource" => read_version(cursor, &mut version),
        "scopeSpans" => cursor.items_or_skip(|cursor| {
            read_list(cursor, "spans", |cursor| {
                match TelemetrySpan::read(cursor, records)? {
                    Some(TelemetrySpan::Model(span)) => telemetry.spans.push(*span),
                    Some(TelemetrySpan::Interaction(interaction)) => telemetry.interactions.push(interaction),
                    Some(TelemetrySpan::Other) | None => {}
                }
                Ok(())
            })
        }),
        _ => cursor.skip(),
    })?;
    for span in telemetry.spans.iter_mut().skip(first) {
        span.client_version.clone_from(&version);
    }
    Ok(())
}

/// Calls `item` for each item of the list of this name in an object.
fn read_list<'a, 's>(
    cursor: &mut Cursor<'a, 's>,
    name: &str,
    mut item: impl FnMut(&mut Cursor<'a, 's>) -> ParseResult<()>,
) -> ParseResult<()> {
    cursor.members_or_skip(
        |cursor, key| if key == name { cursor.items_or_skip(&mut item) } else { cursor.skip() },
    )
}

/// Reads a resource for the version of the program that it describes.
fn read_version(cursor: &mut Cursor<'_, '_>, version: &mut Option<Arc<str>>) -> ParseResult<()> {
    cursor.members_or_skip(|cursor, key| match key {
        "attributes" => attribute::read(cursor, |cursor, key, value| {
            if key == "service.version" {
                *version = value.name(cursor);
            }
        }),
        _ => cursor.skip(),
    })
}

/// Reads a time in nanoseconds since 1970. 0 is no time.
pub(super) fn unix_nanos(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<Timestamp>> {
    let nanos = read_number(cursor)?.whole().filter(|nanos| *nanos > 0);
    Ok(nanos.and_then(|nanos| i64::try_from(nanos / 1_000_000).ok()).and_then(Timestamp::from_unix_ms))
}
