//! Parses one message of the debug log.
//!
//! Most lines of a verbose log are of four kinds that repeat for every token. These are
//! recognised by their first bytes. Nothing is allocated, and text is decoded only where a
//! fact is read from it.

use super::edits::{self, LoggedEdit};
use crate::formats::scan;

/// The fact in one message. `Noise` is every message that no fact is read from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LoggedMessage<'a> {
    Noise,
    /// No fact but that the log has at least this debug level.
    NoiseOfLevel(u8),
    /// Its first words are known, and the rest cannot be read.
    Unreadable,
    Start {
        label: &'a str,
        at: i64,
    },
    /// JSON, possibly cut.
    Details(&'a [u8]),
    /// JSON, possibly cut.
    Overhead(&'a [u8]),
    /// The request is passed on to the backend's client.
    Calling,
    Streaming {
        label: &'a str,
    },
    /// A numbered part; [`part`] reads it where parts are counted.
    Part,
    /// `[NodeWritable] Chunk`; [`written`] reads it.
    Written,
    /// The raw `finish-step` chunk: JSON, possibly cut.
    FinishStep(&'a [u8]),
    PartsEnd {
        parts: u64,
    },
    KeepaliveSent {
        number: u64,
    },
    FirstToken {
        ms: i64,
    },
    UsageCaptured(LoggedUsage),
    UsageRecorded(LoggedUsage),
    /// The prompt tokens of the next usage line are the proxy's own guess.
    UsageEstimated,
    Complete(Complete<'a>),
    /// An answer is complete, streamed or not.
    Finished {
        reason: &'a str,
    },
    /// The total of a request, streamed or not.
    Latency {
        ms: i64,
    },
    /// The client's connection was closed, by whichever side.
    Closed,
    /// The proxy changed a request before it sent it.
    Edit(LoggedEdit),
    Detected {
        model: &'a str,
    },
    ContextLength {
        tokens: u64,
    },
    Timeout {
        label: &'a str,
        after_ms: u64,
    },
    /// Without a label where the line names no request.
    Failed {
        label: Option<&'a str>,
        /// The error's own words; JSON, possibly cut or continued on the next lines.
        words: &'a [u8],
    },
}

/// The kind of an AI-SDK stream part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartKind {
    /// `start`: the first of a stream, emitted before the backend answers.
    Start,
    /// `start-step`: the backend answers.
    StartStep,
    BlockStart(BlockKind),
    Delta(BlockKind),
    BlockEnd(BlockKind),
    ToolCall,
    FinishStep,
    Finish,
    /// `error`, and kinds that are not known.
    Other,
}

/// A block of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    Text,
    Reasoning,
    ToolInput,
}

impl PartKind {
    /// Whether it carries, or begins to carry, something of the answer.
    pub(super) fn is_content(self) -> bool {
        matches!(self, Self::BlockStart(_) | Self::Delta(_) | Self::ToolCall)
    }
}

/// Token counts of one answer; zeros as logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LoggedUsage {
    pub(super) prompt: u64,
    pub(super) output: u64,
    pub(super) cache_read: Option<u64>,
}

/// The facts in the backend's last chunk of an answer; zeros as logged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct FinishStep {
    pub(super) prompt: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) cached: Option<u64>,
    pub(super) reasoning: Option<u64>,
    /// The model that answered.
    pub(super) model: Option<Box<str>>,
}

/// `[NodeWritable] Chunk`: an event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenEvent {
    /// Its number in its stream, from 1.
    pub(super) event: u64,
    pub(super) bytes: u64,
    /// Bytes of its stream so far, its own included.
    pub(super) total: u64,
    /// It carries text or tool arguments.
    pub(super) is_delta: bool,
}

/// `[Request Complete]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Complete<'a> {
    pub(super) label: &'a str,
    pub(super) ms: i64,
    pub(super) events: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) tokens_per_second: Option<f64>,
}

/// How many bytes of a message [`is_plain`] looks at.
pub(super) const PLAIN_LEN: usize = 21;

/// How many of these are the same in every message of one kind.
pub(super) const PLAIN_KNOWN_LEN: usize = 16;

/// Whether a message that begins so repeats for every token and holds no fact from level 2,
/// where other lines name the first token.
#[inline]
pub(super) fn is_plain(start: &[u8; PLAIN_LEN]) -> bool {
    let Some(words) = start.first_chunk::<PLAIN_KNOWN_LEN>() else { return false };
    match words {
        b"[NodeWritable] W" | b"[Keepalive] Clea" | b"[Stream Chunk] {" => true,
        b"[Stream Conversi" => start.ends_with(b"on] R"),
        _ => false,
    }
}

/// Reads the message after `[ANYCLAUDE DEBUG] `.
#[inline]
pub(super) fn read(message: &[u8]) -> LoggedMessage<'_> {
    let Some(first) = message.first_chunk::<2>() else { return LoggedMessage::Noise };
    match first {
        b"[N" if message.starts_with(b"[NodeWritable] Chunk") => LoggedMessage::Written,
        b"[N" => LoggedMessage::NoiseOfLevel(2),
        b"[K" => keepalive(message),
        b"[S" => stream(message),
        _ => rare(message),
    }
}

/// Reads `[NodeWritable] Chunk #2 of type: content_block_delta (118 bytes, total: 235 bytes)`.
#[inline]
pub(super) fn written(message: &[u8]) -> Option<WrittenEvent> {
    let (event, rest) = scan::number(message.strip_prefix(b"[NodeWritable] Chunk #")?)?;
    let kind = rest.strip_prefix(b" of type: ")?;
    let (kind, rest) = kind.split_at_checked(memchr::memchr(b' ', kind)?)?;
    let (bytes, rest) = scan::number(rest.strip_prefix(b" (")?)?;
    let (total, rest) = scan::number(rest.strip_prefix(b" bytes, total: ")?)?;
    let is_delta = kind == b"content_block_delta";
    (rest == b" bytes)").then_some(WrittenEvent { event, bytes, total, is_delta })
}

/// Whether this line announces the raw `finish-step` chunk on the next line.
#[inline]
pub(super) fn is_finish_step(message: &[u8]) -> bool {
    message.ends_with(b" of type: finish-step")
}

/// Whether the next event begins a block of reasoning.
#[inline]
pub(super) fn is_reasoning_start(message: &[u8]) -> bool {
    message.ends_with(b" of type: reasoning-start")
}

/// Reads the `finish-step` chunk: in one line that may be cut, or continued lines.
pub(super) fn finish_step(json: &[u8]) -> FinishStep {
    let text = |name| scan::member_text(json, name).and_then(|text| std::str::from_utf8(text).ok());
    FinishStep {
        prompt: scan::member_number(json, "inputTokens"),
        output: scan::member_number(json, "outputTokens"),
        cached: scan::member_number(json, "cachedInputTokens"),
        reasoning: scan::member_number(json, "reasoningTokens"),
        model: text("modelId").filter(|model| !model.is_empty()).map(Box::from),
    }
}

#[inline]
fn keepalive(message: &[u8]) -> LoggedMessage<'_> {
    if message.starts_with(b"[Keepalive] Cleared ") {
        return LoggedMessage::NoiseOfLevel(2);
    }
    if let Some(rest) = message.strip_prefix(b"[Keepalive] Sent keepalive #") {
        return match scan::number(rest) {
            Some((number, rest)) if number > 0 && rest.starts_with(b" (waiting for ") => {
                LoggedMessage::KeepaliveSent { number }
            }
            _ => LoggedMessage::Unreadable,
        };
    }
    LoggedMessage::Noise
}

/// Reads `[Keepalive] Cleared (stream started after 2 keepalives)`, of which
/// there is one for every event.
pub(super) fn keepalives_cleared(message: &[u8]) -> Option<u64> {
    let rest = message.strip_prefix(b"[Keepalive] Cleared (stream started after ")?;
    scan::number(rest).filter(|(_, rest)| *rest == b" keepalives)").map(|(sent, _)| sent)
}

#[inline]
fn stream(message: &[u8]) -> LoggedMessage<'_> {
    if let Some(rest) = message.strip_prefix(b"[Stream Conversion] ") {
        if rest.starts_with(b"Raw") {
            let json = || rest.get(memchr::memchr(b'{', rest.get(..32).unwrap_or(rest))?..);
            return json().map_or(LoggedMessage::Noise, LoggedMessage::FinishStep);
        }
        if rest.starts_with(b"Received chunk ") {
            return LoggedMessage::Part;
        }
        if let Some(rest) = rest.strip_prefix(b"Stream complete. Total chunks: ") {
            return match scan::number(rest) {
                Some((parts, b"")) => LoggedMessage::PartsEnd { parts },
                _ => LoggedMessage::Unreadable,
            };
        }
        return LoggedMessage::Noise;
    }
    if message.starts_with(b"[Stream Chunk] ") {
        return LoggedMessage::NoiseOfLevel(2);
    }
    if let Some(rest) = message.strip_prefix(b"[Streaming] Starting stream conversion and pipe for ") {
        return match label(rest) {
            Some(label) => LoggedMessage::Streaming { label },
            None => LoggedMessage::Unreadable,
        };
    }
    if let Some(words) = message.strip_prefix(b"[Stream Error] Source stream error:") {
        return LoggedMessage::Failed { label: None, words };
    }
    LoggedMessage::Noise
}

/// Reads `[Stream Conversion] Received chunk 2 of type: start-step`.
#[inline]
pub(super) fn part(message: &[u8]) -> Option<(u64, PartKind)> {
    let (number, rest) = scan::number(message.strip_prefix(b"[Stream Conversion] Received chunk ")?)?;
    let kind = match rest.strip_prefix(b" of type: ")? {
        b"start" => PartKind::Start,
        b"start-step" => PartKind::StartStep,
        b"text-start" => PartKind::BlockStart(BlockKind::Text),
        b"reasoning-start" => PartKind::BlockStart(BlockKind::Reasoning),
        b"tool-input-start" => PartKind::BlockStart(BlockKind::ToolInput),
        b"text-delta" => PartKind::Delta(BlockKind::Text),
        b"reasoning-delta" => PartKind::Delta(BlockKind::Reasoning),
        b"tool-input-delta" => PartKind::Delta(BlockKind::ToolInput),
        b"text-end" => PartKind::BlockEnd(BlockKind::Text),
        b"reasoning-end" => PartKind::BlockEnd(BlockKind::Reasoning),
        b"tool-input-end" => PartKind::BlockEnd(BlockKind::ToolInput),
        b"tool-call" => PartKind::ToolCall,
        b"finish-step" => PartKind::FinishStep,
        b"finish" => PartKind::Finish,
        b"" => return None,
        _ => PartKind::Other,
    };
    (number > 0).then_some((number, kind))
}

/// Whether this message ends in a name or number without a delimiter: where the line is cut
/// off, that may be only half of the name or number.
pub(super) fn ends_open(message: &[u8]) -> bool {
    let starts: [&[u8]; 3] = [
        b"[Backend Query] Detected model: ",
        b"[Streaming] Starting stream conversion and pipe for ",
        b"[Stream Conversion] Stream complete. Total chunks: ",
    ];
    starts.iter().any(|start| message.starts_with(start))
}

/// Reads every message that does not repeat for every token.
fn rare(message: &[u8]) -> LoggedMessage<'_> {
    let Some((tag, rest)) = tag(message) else { return unlabelled(message) };
    match tag {
        b"Request Start" => start(rest).unwrap_or(LoggedMessage::Unreadable),
        b"Request Complete" => complete(rest).map_or(LoggedMessage::Unreadable, LoggedMessage::Complete),
        b"Request Details" => json_of(rest).map_or(LoggedMessage::Noise, LoggedMessage::Details),
        b"Prompt Overhead" => json_of(rest).map_or(LoggedMessage::Noise, LoggedMessage::Overhead),
        b"Timing" => match rest.strip_prefix(b"First token received at ").map(scan::signed) {
            None => LoggedMessage::Noise,
            Some(Some((ms, b"ms"))) => LoggedMessage::FirstToken { ms },
            Some(_) => LoggedMessage::Unreadable,
        },
        b"streamText" if rest.starts_with(b"About to call ") => LoggedMessage::Calling,
        b"streamText onFinish" => {
            let reason = rest.strip_prefix(b"Called, stop reason: ").map(std::str::from_utf8);
            reason
                .and_then(Result::ok)
                .map_or(LoggedMessage::Noise, |reason| LoggedMessage::Finished { reason })
        }
        b"Circuit Breaker" => match rest.strip_prefix(b"Recorded latency: ").map(scan::signed) {
            Some(Some((ms, b"ms"))) => LoggedMessage::Latency { ms },
            _ => LoggedMessage::Noise,
        },
        b"Client Disconnect" => LoggedMessage::Closed,
        b"Cache Metrics" => cache_metrics(rest),
        b"Token Estimation" => LoggedMessage::UsageEstimated,
        b"Timeout" => timeout(rest).unwrap_or(LoggedMessage::Unreadable),
        b"Write Error" => match rest.strip_prefix(b"Writable stream error:") {
            Some(words) => LoggedMessage::Failed { label: None, words },
            None => LoggedMessage::Noise,
        },
        b"Backend Query" => backend_query(rest),
        b"Context" => context(rest),
        b"Full Request Body to Provider" | b"Request Logging" | b"Cleanup" => LoggedMessage::NoiseOfLevel(2),
        b"Tools" | b"Tool Schema" => LoggedMessage::NoiseOfLevel(3),
        _ => edits::tagged(tag, rest).map_or(LoggedMessage::Noise, LoggedMessage::Edit),
    }
}

/// `[tag] rest`.
fn tag(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = message.strip_prefix(b"[")?;
    let end = memchr::memchr(b']', inner.get(..40).unwrap_or(inner))?;
    let rest = inner.get(end + 1..)?;
    Some((inner.get(..end)?, rest.strip_prefix(b" ").unwrap_or(rest)))
}

fn unlabelled(message: &[u8]) -> LoggedMessage<'_> {
    let starts: [&[u8]; 4] = [
        b"Error for ",
        b"Connection error for ",
        b"Error in stream processing for ",
        b"Error consuming stream for ",
    ];
    for start in starts {
        if let Some(rest) = message.strip_prefix(start) {
            // The label ends at the first `: ` (or at a `:` that ends the line).
            let end = memchr::memmem::find(rest, b": ").or_else(|| rest.len().checked_sub(1));
            let name = end.and_then(|end| rest.get(..end)).and_then(label);
            let words = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
            return name.map_or(LoggedMessage::Unreadable, |name| LoggedMessage::Failed {
                label: Some(name),
                words,
            });
        }
    }
    edits::untagged(message).map_or(LoggedMessage::Noise, LoggedMessage::Edit)
}

/// `provider/model`; the model may hold further slashes.
fn label(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let (provider, model) = text.split_once('/')?;
    (!provider.is_empty() && !model.is_empty()).then_some(text)
}

/// The JSON after a label.
fn json_of(rest: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(rest, b" {\"")?;
    rest.get(at + 1..)
}

fn start(rest: &[u8]) -> Option<LoggedMessage<'_>> {
    let rest = rest.trim_ascii_end();
    let (rest, stamp) = rest.split_at_checked(rest.len().checked_sub(scan::STAMP_LEN)?)?;
    let at = scan::stamp(stamp)?;
    Some(LoggedMessage::Start { label: label(rest.strip_suffix(b" at ")?)?, at })
}

fn complete(rest: &[u8]) -> Option<Complete<'_>> {
    let at = memchr::memmem::rfind(rest, b": ")?;
    let label = label(rest.get(..at)?)?;
    let (ms, rest) = scan::signed(rest.get(at + 2..)?)?;
    let rest = rest.strip_prefix(b"ms")?;
    let mut complete = Complete { label, ms, events: None, bytes: None, tokens_per_second: None };
    let rest = rest.trim_ascii();
    if rest.is_empty() {
        return Some(complete);
    }
    let (events, rest) = scan::number(rest.strip_prefix(b"(")?)?;
    let (bytes, rest) = scan::number(rest.strip_prefix(b" chunks, ")?)?;
    let rest = rest.strip_prefix(b" bytes)")?;
    complete.events = Some(events);
    complete.bytes = Some(bytes);
    if let Some(rest) = rest.strip_suffix(b" tok/s") {
        let at = memchr::memrchr(b' ', rest)?;
        complete.tokens_per_second = scan::decimal(rest.get(at + 1..)?);
        return Some(complete);
    }
    rest.is_empty().then_some(complete)
}

fn cache_metrics(rest: &[u8]) -> LoggedMessage<'_> {
    if let Some(json) = rest.strip_prefix(b"Recorded streaming response metrics ") {
        let usage = usage(json, ["inputTokens", "outputTokens", "cacheReadTokens"]);
        return usage.map_or(LoggedMessage::Unreadable, LoggedMessage::UsageRecorded);
    }
    if let Some(json) = rest.strip_prefix(b"Captured usage from message_delta: ") {
        let usage = usage(json, ["input_tokens", "output_tokens", "cache_read_input_tokens"]);
        return usage.map_or(LoggedMessage::Unreadable, LoggedMessage::UsageCaptured);
    }
    LoggedMessage::Noise
}

fn usage(json: &[u8], [prompt, output, cache_read]: [&str; 3]) -> Option<LoggedUsage> {
    Some(LoggedUsage {
        prompt: scan::member_number(json, prompt)?,
        output: scan::member_number(json, output)?,
        cache_read: scan::member_number(json, cache_read),
    })
}

fn timeout(rest: &[u8]) -> Option<LoggedMessage<'_>> {
    let rest = rest.strip_prefix(b"Request to ")?;
    let at = memchr::memmem::rfind(rest, b" exceeded ")?;
    let (amount, unit) = scan::number(rest.get(at + b" exceeded ".len()..)?)?;
    let after_ms = match unit {
        b"ms" => amount,
        b" seconds" => amount.checked_mul(1000)?,
        _ => return None,
    };
    Some(LoggedMessage::Timeout { label: label(rest.get(..at)?)?, after_ms })
}

fn backend_query(rest: &[u8]) -> LoggedMessage<'_> {
    if let Some(name) = rest.strip_prefix(b"Detected model: ") {
        let name = std::str::from_utf8(name).map(str::trim_ascii);
        return match name {
            Ok(model) if !model.is_empty() => LoggedMessage::Detected { model },
            _ => LoggedMessage::Unreadable,
        };
    }
    context(rest)
}

/// `… context length: 131072 tokens`, `Using LMStudio reported context: 131072 tokens`.
fn context(rest: &[u8]) -> LoggedMessage<'_> {
    let marks: [&[u8]; 2] = [b"context length: ", b" reported context: "];
    let tokens = marks.iter().find_map(|mark| {
        let at = memchr::memmem::find(rest, mark)?;
        scan::number(rest.get(at + mark.len()..)?).filter(|(_, unit)| *unit == b" tokens")
    });
    match tokens {
        Some((tokens, _)) if tokens > 0 => LoggedMessage::ContextLength { tokens },
        _ => edits::tagged(b"Context", rest).map_or(LoggedMessage::Noise, LoggedMessage::Edit),
    }
}

#[cfg(test)]
mod tests;
