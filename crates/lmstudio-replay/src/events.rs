//! Reads the events of an answer, in either API.

use anyclaude_traces::formats::sse::SseEvent;
use serde_json::Value;

use crate::error::Error;
use crate::run::{Api, ServerTimings};
use crate::server_message::message_in;
use crate::surrogates::replace_lone_surrogates;

/// What an event adds to an answer.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// The piece of the answer that the event carries, if any.
    pub(crate) content: Option<DeltaContent>,
    pub(crate) usage: TokenUsage,
    pub(crate) stop_reason: Option<String>,
    pub(crate) server: Option<ServerTimings>,
    /// Whether it closes the stream.
    pub(crate) closes: bool,
    /// Whether it only keeps the connection alive.
    pub(crate) is_ping: bool,
}

/// A piece of an answer, never an empty one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DeltaContent {
    Reasoning,
    /// Text; empty where the piece is of a tool call's arguments.
    Answer(String),
}

/// Token counts as far as an event has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TokenUsage {
    /// The part of the prompt that no cache held (Anthropic).
    fresh: Option<u64>,
    /// The whole prompt (OpenAI).
    prompt: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    output: Option<u64>,
}

impl TokenUsage {
    /// Takes over the counts of a later event, but no 0: servers write it where they do
    /// not know a count.
    pub(crate) fn merge(&mut self, later: Self) {
        fn newer(known: &mut Option<u64>, later: Option<u64>) {
            *known = later.filter(|n| *n > 0).or(*known).or(later);
        }
        newer(&mut self.fresh, later.fresh);
        newer(&mut self.prompt, later.prompt);
        newer(&mut self.cache_read, later.cache_read);
        newer(&mut self.cache_written, later.cache_written);
        newer(&mut self.output, later.output);
    }

    /// Tokens of the whole prompt. Anthropic's count leaves out what was cached.
    pub(crate) fn prompt_tokens(&self) -> Option<u64> {
        let with_cached = || {
            let cached = [self.cache_read, self.cache_written].into_iter().flatten();
            cached.fold(self.fresh, |sum, n| sum?.checked_add(n))
        };
        self.prompt.or_else(with_cached).filter(|n| *n > 0)
    }

    pub(crate) fn cached_tokens(&self) -> Option<u64> {
        self.cache_read
    }

    pub(crate) fn output_tokens(&self) -> Option<u64> {
        self.output
    }

    fn anthropic(usage: &Value) -> Self {
        Self {
            fresh: number(usage, "input_tokens"),
            cache_read: number(usage, "cache_read_input_tokens"),
            cache_written: number(usage, "cache_creation_input_tokens"),
            output: number(usage, "output_tokens"),
            prompt: None,
        }
    }

    fn openai(usage: &Value) -> Self {
        Self {
            prompt: number(usage, "prompt_tokens"),
            cache_read: usage
                .get("prompt_tokens_details")
                .and_then(|details| number(details, "cached_tokens")),
            output: number(usage, "completion_tokens"),
            ..Self::default()
        }
    }
}

/// Reads one event of a stream.
pub(crate) fn read(api: Api, event: &SseEvent<'_>) -> Result<Delta, Error> {
    if event.data.trim() == "[DONE]" {
        return Ok(Delta { closes: true, ..Delta::default() });
    }
    let data: Value = serde_json::from_str(&replace_lone_surrogates(&event.data))
        .map_err(|_| Error::Garbage("the stream has an event that is no JSON".to_owned()))?;
    let is_error = event.name.as_deref() == Some("error") || data.get("type") == Some(&"error".into());
    if is_error || data.get("error").is_some_and(|error| !error.is_null()) {
        return Err(Error::Server(message_in(&data).unwrap_or_default().to_owned()));
    }
    let mut delta = match api {
        Api::Anthropic => anthropic(&data, event.name.as_deref()),
        Api::Openai => openai(&data),
    };
    delta.server = timings(&data);
    Ok(delta)
}

/// Reads an answer that came as one document although a stream was asked for.
pub(crate) fn read_document(api: Api, document: &Value) -> Option<Delta> {
    let usage = document.get("usage");
    let (usage, stop_reason) = match api {
        Api::Anthropic => {
            document.get("content")?.as_array()?;
            (usage.map(TokenUsage::anthropic), text(document, "stop_reason"))
        }
        Api::Openai => {
            let choice = document.get("choices")?.as_array()?.first();
            (usage.map(TokenUsage::openai), choice.and_then(|choice| text(choice, "finish_reason")))
        }
    };
    let server = timings(document);
    Some(Delta { usage: usage.unwrap_or_default(), stop_reason, server, closes: true, ..Delta::default() })
}

fn anthropic(data: &Value, name: Option<&str>) -> Delta {
    let kind = data.get("type").and_then(Value::as_str).or(name).unwrap_or_default();
    let mut delta = Delta::default();
    match kind {
        "message_start" => {
            let usage = data.get("message").and_then(|message| message.get("usage"));
            // Servers make up the number of output tokens in this event.
            delta.usage = TokenUsage { output: None, ..usage.map(TokenUsage::anthropic).unwrap_or_default() };
        }
        "content_block_delta" => delta.content = data.get("delta").and_then(anthropic_content),
        "message_delta" => {
            delta.usage = data.get("usage").map(TokenUsage::anthropic).unwrap_or_default();
            delta.stop_reason = data.get("delta").and_then(|delta| text(delta, "stop_reason"));
        }
        "message_stop" => delta.closes = true,
        "ping" => delta.is_ping = true,
        _ => {}
    }
    delta
}

fn anthropic_content(delta: &Value) -> Option<DeltaContent> {
    let full = |name| text(delta, name).filter(|text| !text.is_empty());
    match delta.get("type")?.as_str()? {
        "text_delta" => full("text").map(DeltaContent::Answer),
        "input_json_delta" => full("partial_json").map(|_| DeltaContent::Answer(String::new())),
        "thinking_delta" => full("thinking").map(|_| DeltaContent::Reasoning),
        _ => None,
    }
}

fn openai(data: &Value) -> Delta {
    let choice = data.get("choices").and_then(|choices| choices.get(0));
    let usage = data.get("usage").map(TokenUsage::openai).unwrap_or_default();
    Delta {
        content: choice.and_then(|choice| choice.get("delta")).and_then(openai_content),
        usage: TokenUsage {
            prompt: usage.prompt.or_else(|| number(data, "prompt_eval_count")),
            output: usage.output.or_else(|| number(data, "eval_count")),
            ..usage
        },
        stop_reason: choice.and_then(|choice| text(choice, "finish_reason")),
        ..Delta::default()
    }
}

fn openai_content(delta: &Value) -> Option<DeltaContent> {
    let full = |name| text(delta, name).filter(|text| !text.is_empty());
    if let Some(content) = full("content") {
        return Some(DeltaContent::Answer(content));
    }
    let calls = delta.get("tool_calls").and_then(Value::as_array);
    let has_arguments = |call: &Value| {
        let function = call.get("function").unwrap_or(call);
        text(function, "arguments").is_some_and(|arguments| !arguments.is_empty())
    };
    if calls.is_some_and(|calls| calls.iter().any(has_arguments)) {
        return Some(DeltaContent::Answer(String::new()));
    }
    full("reasoning_content").or_else(|| full("reasoning")).map(|_| DeltaContent::Reasoning)
}

/// The server's own figures: llama.cpp's (`timings`), LM Studio's (`stats`, seconds) or
/// Ollama's (nanoseconds).
fn timings(data: &Value) -> Option<ServerTimings> {
    let figure = |value: &Value, name, factor: f64| Some(value.get(name)?.as_f64()? * factor);
    if let Some(timings) = data.get("timings").filter(|timings| timings.is_object()) {
        return Some(ServerTimings {
            prompt_ms: figure(timings, "prompt_ms", 1.0),
            generation_ms: figure(timings, "predicted_ms", 1.0),
            tokens_per_second: figure(timings, "predicted_per_second", 1.0),
            ..ServerTimings::default()
        });
    }
    if let Some(stats) = data.get("stats").filter(|stats| stats.is_object()) {
        return Some(ServerTimings {
            ttft_ms: figure(stats, "time_to_first_token", 1e3),
            generation_ms: figure(stats, "generation_time", 1e3),
            tokens_per_second: figure(stats, "tokens_per_second", 1.0),
            ..ServerTimings::default()
        });
    }
    let generation_ms = figure(data, "eval_duration", 1e-6)?;
    let tokens = figure(data, "eval_count", 1.0);
    Some(ServerTimings {
        prompt_ms: figure(data, "prompt_eval_duration", 1e-6),
        generation_ms: Some(generation_ms),
        tokens_per_second: tokens.filter(|_| generation_ms > 0.0).map(|n| n * 1e3 / generation_ms),
        load_ms: figure(data, "load_duration", 1e-6),
        ..ServerTimings::default()
    })
}

fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name)?.as_u64()
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(api: Api, data: impl ToString) -> Result<Delta, Error> {
        read(api, &SseEvent::new(None, &data.to_string()))
    }

    fn deltas(api: Api, events: &[Value]) -> Vec<Delta> {
        events.iter().map(|data| parsed(api, data).unwrap()).collect()
    }

    fn merged(deltas: &[Delta]) -> TokenUsage {
        let mut usage = TokenUsage::default();
        deltas.iter().for_each(|delta| usage.merge(delta.usage));
        usage
    }

    #[test]
    fn anthropic_usage_comes_from_the_first_and_the_last_event() {
        let found = deltas(
            Api::Anthropic,
            &[
                json!({ "type": "message_start", "message": { "usage": { "input_tokens": 5, "cache_read_input_tokens": 20, "output_tokens": 1 } } }),
                json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "input_tokens": 0, "output_tokens": 7 } }),
                json!({ "type": "message_stop" }),
            ],
        );
        let usage = merged(&found);
        assert_eq!(
            (usage.prompt_tokens(), usage.cached_tokens(), usage.output_tokens()),
            (Some(25), Some(20), Some(7))
        );
        assert_eq!(merged(&found[..1]).output_tokens(), None, "the first event makes up the number");
        assert_eq!(found[1].stop_reason.as_deref(), Some("end_turn"));
        assert!(found[2].closes);
    }

    #[test]
    fn a_sum_that_overflows_is_unknown() {
        let usage = json!({ "input_tokens": u64::MAX, "cache_read_input_tokens": 1 });
        let start = json!({ "type": "message_start", "message": { "usage": usage } });
        assert_eq!(merged(&deltas(Api::Anthropic, &[start])).prompt_tokens(), None);
    }

    #[test]
    fn without_usage_there_are_no_counts() {
        let found =
            deltas(Api::Openai, &[json!({ "choices": [{ "delta": { "content": "a" } }], "usage": null })]);
        assert_eq!(merged(&found), TokenUsage::default());
        assert_eq!(merged(&found).prompt_tokens(), None);
    }

    #[test]
    fn only_deltas_that_carry_something_count() {
        let anthropic = |delta: Value| {
            let data = json!({ "type": "content_block_delta", "index": 0, "delta": delta });
            parsed(Api::Anthropic, data).unwrap().content
        };
        let answer = |text: &str| Some(DeltaContent::Answer(text.to_owned()));
        assert_eq!(anthropic(json!({ "type": "text_delta", "text": "a" })), answer("a"));
        assert_eq!(anthropic(json!({ "type": "text_delta", "text": "" })), None);
        assert_eq!(anthropic(json!({ "type": "input_json_delta", "partial_json": "{" })), answer(""));
        assert_eq!(
            anthropic(json!({ "type": "thinking_delta", "thinking": "hm" })),
            Some(DeltaContent::Reasoning)
        );
        assert_eq!(anthropic(json!({ "type": "signature_delta", "signature": "x" })), None);
        let openai =
            |delta: Value| parsed(Api::Openai, json!({ "choices": [{ "delta": delta }] })).unwrap().content;
        assert_eq!(openai(json!({ "role": "assistant", "content": null })), None);
        assert_eq!(openai(json!({ "content": "a", "reasoning_content": "" })), answer("a"));
        assert_eq!(openai(json!({ "reasoning_content": "hm" })), Some(DeltaContent::Reasoning));
        assert_eq!(openai(json!({ "reasoning": "hm" })), Some(DeltaContent::Reasoning));
        let call = |arguments: &str| json!({ "tool_calls": [{ "function": { "name": "a", "arguments": arguments } }] });
        assert_eq!(openai(call("")), None);
        assert_eq!(openai(call("{")), answer(""));
    }

    #[test]
    fn a_lone_surrogate_in_a_delta_is_no_fault() {
        let cut = r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#;
        let content = parsed(Api::Openai, cut).unwrap().content;
        assert_eq!(content, Some(DeltaContent::Answer("\u{fffd}".to_owned())));
    }

    #[test]
    fn errors_inside_a_stream_are_told_in_the_server_s_words() {
        for data in [
            json!({ "type": "error", "error": { "type": "overloaded", "message": "too much" } }),
            json!({ "error": { "message": "too much" } }),
            json!({ "error": "too much" }),
        ] {
            let error = parsed(Api::Openai, data).unwrap_err();
            assert_eq!(error.to_string(), "the server broke off: too much");
        }
        assert!(matches!(parsed(Api::Openai, "{oops"), Err(Error::Garbage(_))));
    }

    #[test]
    fn the_servers_own_figures_have_one_shape() {
        let found = |data: Value| parsed(Api::Openai, data).unwrap().server.unwrap();
        let llama = found(
            json!({ "timings": { "prompt_ms": 3.5, "predicted_ms": 7.0, "predicted_per_second": 9.0 } }),
        );
        assert_eq!((llama.prompt_ms, llama.generation_ms), (Some(3.5), Some(7.0)));
        let studio = found(json!({ "stats": { "time_to_first_token": 0.111, "tokens_per_second": 51.4 } }));
        assert_eq!((studio.ttft_ms, studio.tokens_per_second), (Some(111.0), Some(51.4)));
        let ollama = found(
            json!({ "eval_duration": 2_000_000_000_u64, "eval_count": 10, "load_duration": 5_000_000 }),
        );
        assert_eq!((ollama.generation_ms, ollama.tokens_per_second), (Some(2000.0), Some(5.0)));
        assert_eq!(ollama.load_ms, Some(5.0));
    }
}
