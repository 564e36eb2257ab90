//! The columns of each table, with their meanings.

use std::borrow::Cow;
use std::sync::Arc;

use anyclaude_traces::Request;
use anyclaude_traces::analysis::prefix::{Break, PrefixRequest};
use anyclaude_traces::model::request::Tokens;
use anyclaude_traces::model::timing::Timing;
use anyclaude_traces::model::{Amount, Response, ServerJoin};

use super::table::{Cells, ColumnGroup, ParquetColumn};
use crate::words;

/// A tool of a partition.
#[derive(Debug)]
pub(super) struct ToolRow {
    pub(super) name: Option<Arc<str>>,
    pub(super) server: Option<String>,
    pub(super) bytes: u64,
    pub(super) tokens: Option<u64>,
    pub(super) requests: u64,
    pub(super) called: Option<bool>,
}

/// A request whose cache was broken.
#[derive(Debug, Clone, Copy)]
pub(super) struct BreakRow<'a> {
    pub(super) request: &'a Request,
    pub(super) row: &'a PrefixRequest,
    pub(super) broken: &'a Break,
}

fn text<T>(
    name: &'static str,
    of: for<'r> fn(&'r T) -> Option<Cow<'r, str>>,
    meaning: &'static str,
) -> ParquetColumn<T> {
    ParquetColumn { name, cells: Cells::Text(of), meaning }
}

fn whole<T>(name: &'static str, of: fn(&T) -> Option<i64>, meaning: &'static str) -> ParquetColumn<T> {
    ParquetColumn { name, cells: Cells::Whole(of), meaning }
}

fn real<T>(name: &'static str, of: fn(&T) -> Option<f64>, meaning: &'static str) -> ParquetColumn<T> {
    ParquetColumn { name, cells: Cells::Real(of), meaning }
}

fn truth<T>(name: &'static str, of: fn(&T) -> Option<bool>, meaning: &'static str) -> ParquetColumn<T> {
    ParquetColumn { name, cells: Cells::Truth(of), meaning }
}

fn time<T>(name: &'static str, of: fn(&T) -> Option<i64>, meaning: &'static str) -> ParquetColumn<T> {
    ParquetColumn { name, cells: Cells::Time(of), meaning }
}

fn name(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(Cow::Borrowed)
}

fn word<'r>(word: Option<impl serde::Serialize>) -> Option<Cow<'r, str>> {
    Some(words::name(word?)?.into())
}

/// Parquet's whole numbers have a sign; nothing that is real comes near their limit.
fn number(number: Option<u64>) -> Option<i64> {
    i64::try_from(number?).ok()
}

fn size(size: Amount) -> Option<i64> {
    number(size.get())
}

fn timing(request: &Request) -> Option<&Timing> {
    request.timing.as_deref()
}

fn tokens(request: &Request) -> Option<&Tokens> {
    request.tokens.as_deref()
}

fn server_join(request: &Request) -> Option<&ServerJoin> {
    request.server_join.as_deref()
}

fn response(request: &Request) -> Option<&Response> {
    request.response.as_deref()
}

type RequestRow<'a> = &'a Request;

/// One row for each request.
pub(super) fn requests<'a>() -> Vec<ColumnGroup<RequestRow<'a>>> {
    vec![
        ColumnGroup { group: None, columns: identity() },
        ColumnGroup { group: Some(("tokens", |r| tokens(r).is_some())), columns: token_columns() },
        ColumnGroup { group: Some(("timing", |r| timing(r).is_some())), columns: timing_columns() },
        ColumnGroup { group: Some(("join", |r| r.join.is_some())), columns: join_columns() },
        ColumnGroup {
            group: Some(("server_join", |r| server_join(r).is_some())),
            columns: server_join_columns(),
        },
        ColumnGroup { group: Some(("response", |r| response(r).is_some())), columns: response_columns() },
    ]
}

fn identity<'a>() -> Vec<ParquetColumn<RequestRow<'a>>> {
    vec![
        text("id", |r| Some(r.id.to_string().into()), "short, and stable for the same file"),
        text("path", |r| Some(r.path.file().to_string_lossy()), "the file on the machine that recorded it"),
        text("source", |r| name(Some(r.source.name())), "what recorded it"),
        text(
            "api",
            |r| name(r.api.map(anyclaude_traces::model::request::Api::name)),
            "the API it was sent in",
        ),
        time("timestamp", |r| Some(r.timestamp?.unix_ms()), "when it was recorded, UTC"),
        text("timestamp_source", |r| word(r.timestamp_source), "mtime where only the file's time is known"),
        text("mode", |r| name(r.mode.as_deref()), "the proxy's mode"),
        text("kind", |r| name(Some(r.kind.name())), "conversation, background, probe or count_tokens"),
        text("session", |r| name(r.session.as_deref()), "the session"),
        text("thread", |r| name(r.thread.as_deref()), "the chain of growing histories within it"),
        text("run", |r| name(r.run.as_deref()), "the anyclaude process"),
        text("endpoint", |r| name(r.caller.endpoint.as_deref()), "the URL's path without its query"),
        text("client_version", |r| name(r.caller.client_version.as_deref()), "the client's version"),
        text("agent", |r| name(r.caller.agent.as_deref()), "the subagent that sent it"),
        text("parent_agent", |r| name(r.caller.parent_agent.as_deref()), "the agent that started that one"),
        text("requested_model", |r| name(r.caller.requested_model.as_deref()), "the model asked for"),
        text("model_source", |r| word(r.model_source), "where the name of the model that ran comes from"),
        whole("system_chars", |r| size(r.sizes.system_chars), "characters of the system text"),
        whole("system_text_bytes", |r| size(r.sizes.system_text_bytes), "the same in bytes of UTF-8"),
        whole("system_blocks", |r| size(r.sizes.system_blocks), "blocks of the system prompt"),
        whole("system_bytes", |r| size(r.sizes.system_bytes), "compact JSON of the system prompt"),
        whole("tool_count", |r| size(r.sizes.tool_count), "tools"),
        whole("tools_bytes", |r| size(r.sizes.tools_bytes), "compact JSON of the tools"),
        whole("message_count", |r| size(r.sizes.message_count), "messages"),
        whole("messages_bytes", |r| size(r.sizes.messages_bytes), "compact JSON of the messages"),
        whole("other_bytes", |r| size(r.sizes.other_bytes), "the rest of the body"),
        whole("body_bytes", |r| size(r.sizes.body_bytes), "compact JSON of the body"),
        whole("file_bytes", |r| size(r.sizes.file_bytes), "the file's size on disk"),
        truth("body_redacted", |r| Some(r.body_redacted), "the recorder replaced parts of the body"),
        whole("max_tokens", |r| number(r.max_tokens), "the most tokens that the answer may have"),
        truth("stream", |r| Some(r.stream), "whether the answer was to be streamed"),
    ]
}

fn token_columns<'a>() -> Vec<ParquetColumn<RequestRow<'a>>> {
    vec![
        whole("system", |r| number(Some(tokens(r)?.system)), "tokens of the system prompt"),
        whole("tools", |r| number(Some(tokens(r)?.tools)), "tokens of the tools"),
        whole("messages", |r| number(Some(tokens(r)?.messages)), "tokens of the messages"),
        whole("total", |r| number(Some(tokens(r)?.total)), "tokens of all of it"),
        text("method", |r| word(tokens(r).map(|tokens| tokens.method)), "reported, or estimate"),
    ]
}

fn timing_columns<'a>() -> Vec<ParquetColumn<RequestRow<'a>>> {
    vec![
        time("start", |r| Some(timing(r)?.start?.unix_ms()), "when the proxy began to send, UTC"),
        whole("proxy_ms", |r| number(timing(r)?.proxy_ms.get()), "the proxy's own work before that"),
        whole("ttft_ms", |r| number(timing(r)?.ttft_ms.get()), "time to first token"),
        text("ttft_source", |r| word(timing(r)?.ttft_source), "which line tells it"),
        whole("generation_ms", |r| number(timing(r)?.generation_ms.get()), "total_ms - ttft_ms"),
        whole("total_ms", |r| number(timing(r)?.total_ms.get()), "from start to the end"),
        whole("wall_ms", |r| number(timing(r)?.wall_ms.get()), "proxy_ms + total_ms"),
        whole("keepalives", |r| number(timing(r)?.keepalives.get()), "one each 10 s of waiting"),
        whole("events", |r| number(timing(r)?.events.get()), "events that the proxy sent; not tokens"),
        whole("event_bytes", |r| number(timing(r)?.event_bytes.get()), "their size in UTF-16 units"),
        whole("parts", |r| number(timing(r)?.parts.get()), "parts that the proxy received; not tokens"),
        whole("prompt_tokens", |r| number(timing(r)?.prompt_tokens.get()), "tokens of the prompt"),
        text(
            "prompt_tokens_source",
            |r| word(timing(r)?.prompt_tokens_source),
            "who counted, or implausible",
        ),
        whole("output_tokens", |r| number(timing(r)?.output_tokens.get()), "tokens of the answer"),
        text(
            "output_tokens_source",
            |r| word(timing(r)?.output_tokens_source),
            "who counted, or implausible",
        ),
        real(
            "reported_tokens_per_second",
            |r| timing(r)?.reported_tokens_per_second,
            "the speed that the proxy logged",
        ),
        real(
            "prefill_tokens_per_second",
            |r| timing(r)?.prefill_tokens_per_second,
            "prompt_tokens / ttft_ms: apparent",
        ),
        text("outcome", |r| word(timing(r)?.outcome), "how it ended"),
        whole("load_ms", |r| number(timing(r)?.load_ms.get()), "loading the model"),
        whole("queue_ms", |r| number(timing(r)?.queue_ms.get()), "waiting for other requests"),
        whole("read_ms", |r| number(timing(r)?.read_ms.get()), "reading the prompt"),
        whole("write_ms", |r| number(timing(r)?.write_ms.get()), "writing the answer"),
        whole("stall_ms", |r| number(timing(r)?.stall_ms.get()), "silences inside the answer"),
        whole("other_ms", |r| number(timing(r)?.other_ms.get()), "the rest of wall_ms"),
        whole("cached_tokens", |r| number(timing(r)?.cached_tokens.get()), "tokens that came from the cache"),
        text("cached_source", |r| word(timing(r)?.cached_source), "server_log, reported, simulated or none"),
        whole("read_tokens", |r| number(timing(r)?.read_tokens.get()), "prompt_tokens - cached_tokens"),
        whole(
            "needed_tokens",
            |r| number(timing(r)?.needed_tokens.get()),
            "what a perfect cache would have left to read",
        ),
        whole("again_tokens", |r| timing(r)?.again_tokens, "read_tokens - needed_tokens"),
        whole("uncertainty_ms", |r| number(timing(r)?.uncertainty_ms.get()), "how coarse the stamps are"),
    ]
}

fn join_columns<'a>() -> Vec<ParquetColumn<RequestRow<'a>>> {
    vec![
        text("log", |r| name(r.join.as_ref().map(|join| &*join.log)), "the log's file"),
        whole("gap_ms", |r| r.join.as_ref()?.gap_ms, "from the log's start to the timestamp"),
        text(
            "confidence",
            |r| word(r.join.as_ref().map(|join| join.confidence)),
            "exact, likely or ambiguous",
        ),
    ]
}

fn server_join_columns<'a>() -> Vec<ParquetColumn<RequestRow<'a>>> {
    vec![
        text("log", |r| name(server_join(r).map(|join| &*join.log)), "the server's log"),
        whole("gap_ms", |r| server_join(r)?.gap_ms, "how much later the client saw its end"),
        text(
            "confidence",
            |r| word(server_join(r).map(|join| join.confidence)),
            "exact, likely or ambiguous",
        ),
    ]
}

fn response_columns<'a>() -> Vec<ParquetColumn<RequestRow<'a>>> {
    vec![
        whole("status", |r| number(response(r)?.status), "the HTTP status"),
        whole(
            "input_tokens",
            |r| number(response(r)?.input_tokens),
            "tokens of the prompt that no cache held",
        ),
        whole("output_tokens", |r| number(response(r)?.output_tokens), "tokens of the answer"),
        whole(
            "cache_creation_tokens",
            |r| number(response(r)?.cache_creation_tokens),
            "tokens written to a cache",
        ),
        whole(
            "cache_read_tokens",
            |r| number(response(r)?.cache_read_tokens),
            "tokens that came from a cache",
        ),
        text("stop_reason", |r| name(response(r)?.stop_reason.as_deref()), "why the answer ended"),
        whole("tool_calls", |r| number(response(r)?.tool_calls), "tools that the answer calls"),
    ]
}

/// One row for each tool that conversations of a day and model carried.
pub(super) fn tools() -> Vec<ColumnGroup<ToolRow>> {
    let columns = vec![
        text("name", |tool: &ToolRow| name(tool.name.as_deref()), "the tool"),
        text("server", |tool| name(tool.server.as_deref()), "its MCP server"),
        whole("bytes", |tool| number(Some(tool.bytes)), "compact JSON of its newest definition"),
        whole("tokens", |tool| number(tool.tokens), "estimated tokens of it"),
        whole("requests", |tool| number(Some(tool.requests)), "requests that carry it"),
        truth("called", |tool| tool.called, "whether a conversation called it"),
    ];
    vec![ColumnGroup { group: None, columns }]
}

/// One row for each request where something broke the prompt cache.
pub(super) fn breaks<'a>() -> Vec<ColumnGroup<BreakRow<'a>>> {
    let columns = vec![
        text("id", |b: &BreakRow<'a>| Some(b.request.id.to_string().into()), "the request"),
        time("timestamp", |b| Some(b.request.timestamp?.unix_ms()), "when it was recorded, UTC"),
        text(
            "kind",
            |b| name(Some(b.request.kind.name())),
            "conversation, background, probe or count_tokens",
        ),
        text("session", |b| name(b.request.session.as_deref()), "the session"),
        text("thread", |b| name(b.request.thread.as_deref()), "the chain of growing histories within it"),
        text("cause", |b| word(Some(b.broken.cause)), "what happened"),
        text("element", |b| word(Some(b.broken.element)), "the first element that differs"),
        text("volatile", |b| word(b.broken.volatile), "what sort of line changed"),
        whole("common_bytes", |b| number(Some(b.broken.common_bytes)), "the bytes shared inside the element"),
        whole("lost_bytes", |b| number(Some(b.broken.lost_bytes)), "what is read again because of it"),
        whole("lost_tokens", |b| number(b.broken.lost_tokens), "the same in tokens"),
        whole("lost_ms", |b| number(b.broken.lost_ms), "the time that this took"),
        whole("prompt_bytes", |b| number(Some(b.row.prompt_bytes)), "the bytes of the prompt's elements"),
        whole(
            "reusable_bytes",
            |b| number(Some(b.row.reusable_bytes)),
            "of these, what the cache still held",
        ),
    ];
    vec![ColumnGroup { group: None, columns }]
}
