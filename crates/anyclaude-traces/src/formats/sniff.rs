//! Which kind of file is it? By its content: by the names of the members of its first value.

use crate::error::{ParseError, SkipReason};
use crate::formats::anyclaude::trace::AnyclaudeTrace;
use crate::formats::claude_code::{self, RecordedBody};
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::scratch::Scratch;
use crate::formats::pairs::{
    ClaudeCodeRouter, ClaudeTap, ClaudeTapBundle, ClaudeTapFlat, ClaudeTrace, Har, Litellm,
};
use crate::formats::source::{Format, Input};

/// So much of a file is looked at: whatever its kind, it shows before its first long value.
const MOST_BYTES: usize = 1 << 18;
/// anyclaude's traces, of which there are most, and clients' bodies show it in so few, …
const HEAD_BYTES: usize = 1 << 8;
/// … and most others in so few.
const FIRST_BYTES: usize = 1 << 12;
/// So many lines are tried where a file begins in the middle of one.
const MOST_LINES: usize = 8;

/// The format of a file; `None` where it is not recognised.
///
/// # Errors
///
/// When the file is recognised and is none that is read.
pub(crate) fn sniff(
    input: &Input<'_>,
    scratch: &mut Scratch,
) -> Result<Option<&'static dyn Format>, ParseError> {
    let bytes = input.bytes;
    let refuse = |what| ParseError::new(SkipReason::NotATrace, bytes, 0, what);
    if let Some((_, what)) = BINARY.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(refuse(*what));
    }
    if is_anyclaudes(beginning(bytes, HEAD_BYTES), scratch).unwrap_or(false) {
        return Ok(Some(&AnyclaudeTrace));
    }
    if is_body(beginning(bytes, HEAD_BYTES), scratch).unwrap_or(false) {
        return Ok(Some(&RecordedBody));
    }
    let mut kind = kind_of(beginning(bytes, FIRST_BYTES), bytes.len() <= FIRST_BYTES, scratch);
    if kind.is_none() && bytes.len() > FIRST_BYTES {
        kind = kind_of(beginning(bytes, MOST_BYTES), true, scratch);
    }
    match kind {
        Some(FileKind::Read(format)) => Ok(Some(format)),
        Some(FileKind::Named(what)) => Err(refuse(what)),
        None => match NAMED.iter().find(|(is_it, _)| is_it(beginning(bytes, MOST_BYTES))) {
            Some((_, what)) => Err(refuse(what)),
            None => Ok(None),
        },
    }
}

/// Whether a file begins as anyclaude writes it: with time and mode, and then the request.
fn is_anyclaudes(text: &str, scratch: &mut Scratch) -> ParseResult<bool> {
    let mut cursor = Cursor::new(text, scratch);
    if cursor.shape()? != Shape::Object {
        return Ok(false);
    }
    let (mut walk, mut has_mode) = (Walk::default(), false);
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "timestamp" => {}
            "mode" => has_mode = true,
            "request" => return Ok(has_mode),
            _ => return Ok(false),
        }
        cursor.skip()?;
    }
    Ok(false)
}

/// Whether a file begins as clients write the body of a request: with the model, and then the
/// messages. What stands behind these was two fifths of the time of `list` over such bodies.
fn is_body(text: &str, scratch: &mut Scratch) -> ParseResult<bool> {
    let mut cursor = Cursor::new(text, scratch);
    if cursor.shape()? != Shape::Object {
        return Ok(false);
    }
    let mut walk = Walk::default();
    if cursor.next_member(&mut walk)?.is_none_or(|key| key != "model") {
        return Ok(false);
    }
    cursor.skip()?;
    let has_messages = cursor.next_member(&mut walk)?.is_some_and(|key| key == "messages");
    Ok(has_messages && cursor.shape()? == Shape::Array)
}

/// What the beginning of a file tells. Where more of it can be looked at, it is not `all`,
/// and only what cannot be otherwise counts.
fn kind_of(text: &str, is_all: bool, scratch: &mut Scratch) -> Option<FileKind> {
    if let Some(format) = claude_code::recognise(text.as_bytes(), scratch) {
        return Some(FileKind::Read(format));
    }
    let kind = look(text, is_all, scratch);
    if kind.is_some() || text.trim_start().starts_with(['{', '[']) {
        return kind;
    }
    text.lines().skip(1).take(MOST_LINES).find_map(|line| look(line, is_all, scratch))
}

/// Context Lens's archive of a session.
const LHAR: &str = "an archive of Context Lens (LHAR), which keeps no whole bodies and is not read: record the \
                    requests themselves, for example with claude-tap or as HAR";
/// What LLM Interceptor captures.
const INTERCEPTED: &str = "a capture of LLM Interceptor, which is not read: record with mitmproxy itself and save \
                           as HAR (`hardump`)";
/// What Claude Code Router writes since it has a database.
const ROUTER_ROWS: &str = "requests of a Claude Code Router newer than 2.0, which cuts their bodies and is not \
                           read: record the client itself, or with claude-tap";
/// A body in the shape of Google's API.
const GOOGLE: &str = "a request to Google's API (`contents`), which is not read; Anthropic's Messages and OpenAI's \
                      Chat Completions and Responses are";

/// Files that are no text.
const BINARY: [(&[u8], &str); 2] = [
    (
        b"SQLite format 3\0",
        "a SQLite database, which is not read: where it is claude-tap's, export the session as `compact`; \
         where it is Claude Code Router's, record the client itself",
    ),
    (b"PAR1", "a Parquet file, which is not read"),
];

/// Whether a text is of one sort of file.
type IsOne = fn(&str) -> bool;

/// Spans of applications.
pub(crate) const OPEN_INFERENCE: &str =
    "spans of OpenInference, which are not read: record the requests themselves, for example as HAR";

/// Files that are known by something other than the members of their first value.
const NAMED: [(IsOne, &str); 2] = [
    (|text| text.contains("openinference.span.kind") || text.contains("\"openinference\""), OPEN_INFERENCE),
    (is_flow, "flows of mitmproxy, which are not read: save them as HAR (`hardump`)"),
];

/// A flow of mitmproxy begins with its length, and that of its first member's name, each with
/// a colon behind. A time, as logs begin with, has digits there.
fn is_flow(text: &str) -> bool {
    let name = after_length(text).and_then(after_length);
    name.is_some_and(|name| name.starts_with(|first: char| first.is_ascii_lowercase()))
}

fn after_length(text: &str) -> Option<&str> {
    let (digits, rest) = text.split_once(':')?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
}

/// What a file turned out to be.
enum FileKind {
    Read(&'static dyn Format),
    /// Recognised, and not read; what it is and what to do.
    Named(&'static str),
}

/// The beginning of a file, as far as it is text.
fn beginning(bytes: &[u8], most_bytes: usize) -> &str {
    let bytes = bytes.get(..most_bytes).unwrap_or(bytes);
    let text = simdutf8::compat::from_utf8(bytes).unwrap_or_else(|fault| {
        let valid = bytes.get(..fault.valid_up_to()).unwrap_or_default();
        std::str::from_utf8(valid).unwrap_or_default()
    });
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What the first value of a text tells. Its end may be cut off.
fn look(text: &str, is_all: bool, scratch: &mut Scratch) -> Option<FileKind> {
    let mut cursor = Cursor::new(text, scratch);
    let mut seen = SniffedRecords::default();
    let looked = match cursor.shape() {
        Ok(Shape::Object) => seen.members(&mut cursor),
        Ok(Shape::Array) => seen.first_item(&mut cursor),
        _ => return None,
    };
    match looked {
        Ok(kind) => kind.or_else(|| seen.in_all()),
        Err(_) if is_all => seen.in_all(),
        Err(_) => None,
    }
}

/// The members that tell several kinds of files apart only together.
#[derive(Default)]
struct SniffedRecords {
    request: bool,
    request_id: bool,
    level: bool,
    time: bool,
    /// A list of messages, in a shape that is read.
    messages: bool,
    /// Another member of a body in such a shape.
    body: bool,
    /// A list of messages in the shape of Google's API.
    contents: bool,
    /// Its `type` is one of LHAR's.
    archived: bool,
    /// Its `type` is one of LLM Interceptor's.
    intercepted: bool,
}

impl SniffedRecords {
    /// Looks at the members until one tells.
    fn members(&mut self, cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<FileKind>> {
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            let kind = match key.as_ref() {
                "log" if cursor.shape()? == Shape::Object => FileKind::Read(&Har),
                "mode" => FileKind::Read(&AnyclaudeTrace),
                "__claude_tap_compact_trace__" => FileKind::Read(&ClaudeTapBundle),
                "lhar" if cursor.shape()? == Shape::Object => FileKind::Named(LHAR),
                "trace_id" if self.archived => FileKind::Named(LHAR),
                "_session_id" | "_meta_type" => FileKind::Named(INTERCEPTED),
                "request_id" | "url" if self.intercepted => FileKind::Named(INTERCEPTED),
                name if is_of_router_row(name) => FileKind::Named(ROUTER_ROWS),
                "turn" | "duration_ms" | "transport" | "upstream_base_url" | "capture" => {
                    FileKind::Read(&ClaudeTap)
                }
                "logged_at" => FileKind::Read(&ClaudeTrace),
                "litellm_call_id" | "call_type" | "model_parameters" => FileKind::Read(&Litellm),
                "pid" if self.level && self.time => FileKind::Read(&ClaudeCodeRouter),
                "request" if cursor.shape()? == Shape::Object => {
                    self.request = true;
                    let place = cursor.place();
                    match cursor.at(place, look_at_request)? {
                        Some(kind) => kind,
                        None => {
                            cursor.skip()?;
                            continue;
                        }
                    }
                }
                "type" => match cursor.string_or_skip()?.map(|kind| kind.inner) {
                    Some("session_meta") => FileKind::Named(
                        "a session of Codex (rollout), which holds no requests: record it with a proxy such \
                         as claude-tap or mitmproxy",
                    ),
                    Some("session" | "entry") => {
                        self.archived = true;
                        continue;
                    }
                    Some("request" | "response" | "response_chunk" | "response_meta") => {
                        self.intercepted = true;
                        continue;
                    }
                    _ => continue,
                },
                name => {
                    self.request_id |= name == "request_id";
                    self.level |= name == "level";
                    self.time |= name == "time";
                    // Elsewhere these name counts.
                    let is_content = matches!(cursor.shape()?, Shape::Array | Shape::String);
                    self.messages |= is_content && matches!(name, "messages" | "input");
                    self.body |= is_content && matches!(name, "system" | "tools" | "instructions");
                    self.contents |= name == "contents" && cursor.shape()? == Shape::Array;
                    cursor.skip()?;
                    continue;
                }
            };
            return Ok(Some(kind));
        }
        Ok(self.in_all())
    }

    /// What the members tell together.
    fn in_all(&self) -> Option<FileKind> {
        match () {
            () if self.request && self.request_id => Some(FileKind::Read(&ClaudeTap)),
            () if self.request => Some(FileKind::Read(&AnyclaudeTrace)),
            () if self.contents && !self.messages => Some(FileKind::Named(GOOGLE)),
            () if self.messages || self.body => Some(FileKind::Read(&RecordedBody)),
            () => None,
        }
    }

    /// Looks at the first item of an array: claude-tap exports one that is not read.
    fn first_item(&mut self, cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<FileKind>> {
        let mut walk = Walk::default();
        if !cursor.next_item(&mut walk)? || cursor.shape()? != Shape::Object {
            return Ok(None);
        }
        let (mut turn, mut duration) = (false, false);
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            if is_of_router_row(key.as_ref()) {
                return Ok(Some(FileKind::Named(ROUTER_ROWS)));
            }
            turn |= key == "turn";
            duration |= key == "duration_ms";
            if turn && duration {
                return Ok(Some(FileKind::Read(&ClaudeTapFlat)));
            }
            cursor.skip()?;
        }
        Ok(None)
    }
}

/// Whether a row of Claude Code Router's database has this member, by its own name or by that
/// in the interface.
fn is_of_router_row(name: &str) -> bool {
    matches!(name, "request_body_text" | "response_body_text" | "routeHopCount" | "route_hop_count")
}

/// What a record's `request` tells before its body.
fn look_at_request(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<FileKind>> {
    let mut walk = Walk::default();
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "timestamp" if cursor.shape()? == Shape::Scalar => return Ok(Some(FileKind::Read(&ClaudeTrace))),
            "path" => return Ok(Some(FileKind::Read(&ClaudeTap))),
            "body" => return Ok(None),
            _ => cursor.skip()?,
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format that a text is taken for, by its name in the code; else why it is not read.
    fn kind(text: &str) -> String {
        match sniff(&Input { bytes: text.as_bytes() }, &mut Scratch::default()) {
            Ok(format) => format.map_or_else(|| "unknown".to_owned(), |format| format!("{format:?}")),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn files_are_known_by_their_members() {
        for (text, expected) in [
            (
                r#"{"timestamp":"t","mode":"lmstudio","request":{"method":"POST","url":"/v1/messages","body":{}}}"#,
                "AnyclaudeTrace",
            ),
            (r#"{"request":{"body":{"model":"m"}}}"#, "AnyclaudeTrace"),
            ("\u{feff}{\"log\":{\"version\":\"1.2\",\"entries\":[", "Har"),
            (r#"{"timestamp":"t","request_id":"r","request":{}}"#, "ClaudeTap"),
            (r#"{"timestamp":"t","request":{"method":"POST","path":"/v1/messages","body":{}}}"#, "ClaudeTap"),
            (r#"{"__claude_tap_compact_trace__":{},"records":[]}"#, "ClaudeTapBundle"),
            (r#"[{"turn":1,"timestamp":"t","duration_ms":1}]"#, "ClaudeTapFlat"),
            (r#"{"request":{"timestamp":1.5,"method":"POST","body":{}},"response":null}"#, "ClaudeTrace"),
            (r#"{"request":{"method":"POST","body":{}},"response":null,"logged_at":"t"}"#, "ClaudeTrace"),
            (r#"{"level":30,"time":1,"pid":2,"hostname":"h","msg":"x"}"#, "ClaudeCodeRouter"),
            ("of a line\n{\"level\":30,\"time\":1,\"pid\":2}\n", "ClaudeCodeRouter"),
            (r#"{"id":"x","litellm_call_id":"y","messages":[]}"#, "Litellm"),
            (r#"{"model":"m","messages":[]}"#, "RecordedBody"),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"#, "RecordedBody"),
            (r#"{"model":"m","messages":2,"tools":24}"#, "unknown"),
            (r#"{"model":"m","input":"x"#, "RecordedBody"),
            (r#"{"other":1}"#, "unknown"),
            (r#"{"timestamp":"t","path":"/v1/messages","messages":2,"tools":24}"#, "unknown"),
            (r#"{"messages":2,"tools":24,"system":3}"#, "unknown"),
            ("", "unknown"),
            ("[]", "unknown"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
        assert!(kind("SQLite format 3\0").contains("`compact`"));
        assert!(kind("8123:9:websocket;0:~").contains("mitmproxy"));
        assert_eq!(kind("08:47:12 a line of a log\n"), "unknown");
        for (text, name) in [
            (r#"{"attributes":{"openinference.span.kind":"LLM"}}"#, "OpenInference"),
            (r#"{"name":"a","attributes":{"openinference":{"span":{"kind":"LLM"}}}}"#, "OpenInference"),
            (r#"{"lhar":{"version":"0.1.0","sessions":[],"entries":[]}}"#, "LHAR"),
            ("{\"type\":\"session\",\"trace_id\":\"t\"}\n{\"type\":\"entry\"}\n", "LHAR"),
            (r#"{"_session_id":"s","type":"request","id":"r","body":{"messages":[]}}"#, "LLM Interceptor"),
            (r#"{"_meta_type":"session_start","session_id":"s"}"#, "LLM Interceptor"),
            (r#"{"type":"request","id":"r","method":"POST","url":"u","body":{}}"#, "LLM Interceptor"),
            (r#"{"type":"response_chunk","request_id":"r","chunk_index":0}"#, "LLM Interceptor"),
            (r#"[{"id":1,"request_id":"r","request_body_text":"{}"}]"#, "Claude Code Router"),
            ("{\"id\":1,\"request_id\":\"r\",\"response_body_text\":\"\"}\n", "Claude Code Router"),
            (r#"{"contents":[{"role":"user","parts":[]}],"tools":[]}"#, "`contents`"),
        ] {
            assert!(kind(text).contains(name), "{text}: {}", kind(text));
        }
        // Only together do these tell.
        assert_eq!(kind(r#"{"type":"session","id":"x"}"#), "unknown");
        assert_eq!(kind(r#"{"id":"x","request_id":"y"}"#), "unknown");
        assert_eq!(kind(r#"{"model":"m","contents":[],"messages":[]}"#), "RecordedBody");
        assert!(kind(r#"{"timestamp":"t","type":"session_meta","payload":{}}"#).contains("Codex"));
    }
}
