//! What one line of a message says.

use crate::formats::scan;

/// A message of the server, behind its head and tags.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LmStudioMessage<'l> {
    /// A request came in; the text that is left is the beginning of its body.
    Received { path: &'l [u8], body: &'l [u8] },
    /// The server handed it to a model.
    Running { messages: Option<u64> },
    /// It is answered as a stream.
    Streaming,
    /// It is answered in one piece.
    Accumulating,
    /// Its prompt is read.
    FirstToken,
    /// How much of its prompt is read, in percent.
    Progress(f64),
    /// A piece of a streamed answer.
    Packet(&'l [u8]),
    /// An answer in one piece, or what hides it.
    Prediction(&'l [u8]),
    /// A streamed answer has ended.
    Finished,
    /// The client has closed its connection.
    Disconnected,
    /// A model is loaded, as a request asked for it.
    Loading { model: &'l [u8] },
    /// The server began or ended: no request goes on.
    Restarted,
    /// Text that is not about one request, and goes on below until it is closed.
    Block,
    /// A line of an engine.
    Engine(EngineMessage<'l>),
    /// It should say something, and cannot be read.
    Unreadable,
    /// Anything else.
    Other,
}

/// A line of the engine that runs a model, but for those of llama.cpp's server.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum EngineMessage<'l> {
    /// MLX: tokens from the cache, and the others.
    CacheRestored { cached: u64, uncached: u64 },
    /// Tokens from the cache, and those of the whole prompt.
    CacheUsed { cached: u64, prompt: u64 },
    /// llama.cpp inside of LM Studio 0.3: tokens of the whole prompt.
    PromptTokens(u64),
    /// And those of it that are read.
    TokensToRead(u64),
    /// It begins to read a prompt.
    Begins,
    /// It has read it.
    HasRead,
    /// How long it read, and how many tokens.
    Read { ms: f64, tokens: u64 },
    /// How long it wrote, and how many tokens but the first.
    Written { ms: f64, runs: u64 },
    /// Splash: a request is done.
    Done(Done),
    /// Perhaps one of llama.cpp's server.
    Line(&'l [u8]),
}

/// `Done · input 12,474 · cached 0 · output 3,482 · TTFT 124.1s · 25.8 tok/s`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Done {
    pub(super) input: Option<u64>,
    pub(super) cached: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) ttft_ms: Option<f64>,
    pub(super) tokens_per_second: Option<f64>,
}

impl<'l> LmStudioMessage<'l> {
    /// Reads the first line of a message.
    pub(super) fn read(tag: Option<&'l [u8]>, text: &'l [u8]) -> Self {
        // Most lines are an engine's, and begin with a small letter or a digit.
        if !text.first().is_some_and(u8::is_ascii_uppercase) {
            return Self::continued(text);
        }
        if let Some(rest) = text.strip_prefix(b"Received ") {
            return received(rest);
        }
        if let Some(rest) = text.strip_prefix(b"Prompt processing progress: ") {
            let number = rest.strip_suffix(b"%").and_then(scan::decimal);
            return number.map_or(Self::Unreadable, Self::Progress);
        }
        if let Some(rest) = text.strip_prefix(b"Running chat completion") {
            let at = memchr::memmem::find(rest, b" with ").map(|at| at + b" with ".len());
            let messages = at.and_then(|at| scan::number(rest.get(at..)?));
            return Self::Running { messages: messages.map(|(messages, _)| messages) };
        }
        if let Some(packet) = text.strip_prefix(b"Generated packet: ") {
            return Self::Packet(packet.trim_ascii_start());
        }
        if let Some(answer) = text.strip_prefix(b"Generated prediction: ") {
            return Self::Prediction(answer.trim_ascii_start());
        }
        if tag == Some(b"JIT") && text.starts_with(b"Requested model (") {
            let model = text.strip_prefix(b"Requested model (").unwrap_or_default();
            let end = memchr::memmem::find(model, b") is not loaded");
            return end
                .and_then(|end| model.get(..end))
                .map_or(Self::Unreadable, |model| Self::Loading { model });
        }
        let plain = [
            (&b"Running completion"[..], Self::Running { messages: None }),
            (b"Streaming response", Self::Streaming),
            (b"Accumulating tokens", Self::Accumulating),
            (b"First token generated", Self::FirstToken),
            (b"Finished streaming response", Self::Finished),
            (b"Client disconnected", Self::Disconnected),
            (b"Server stopped", Self::Restarted),
            (b"Success! HTTP server listening", Self::Restarted),
        ];
        if let Some((_, message)) = plain.into_iter().find(|(words, _)| text.starts_with(words)) {
            return message;
        }
        if matches!(text.last(), Some(b'{' | b'[')) { Self::Block } else { Self::continued(text) }
    }

    /// Reads a line that goes on with a message. What people write cannot pass for a line
    /// of the server's own there.
    pub(super) fn continued(text: &'l [u8]) -> Self {
        engine(text).map_or(Self::Unreadable, Self::Engine)
    }
}

/// `request: POST to /v1/messages with body {`; LM Studio 0.2: `POST request to … with body: {`.
fn received<'l>(rest: &'l [u8]) -> LmStudioMessage<'l> {
    let post = rest.strip_prefix(b"request: POST to ").or_else(|| rest.strip_prefix(b"POST request to "));
    let Some(rest) = post else {
        return if matches!(rest.last(), Some(b'{' | b'[')) {
            LmStudioMessage::Block
        } else {
            LmStudioMessage::Other
        };
    };
    let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let (path, rest) = rest.split_at(end);
    let body = rest.trim_ascii_start();
    let body = body.strip_prefix(b"with body").unwrap_or_default();
    let body = body.strip_prefix(b":").unwrap_or(body).trim_ascii_start();
    let path = path.split(|byte| b"?#".contains(byte)).next().unwrap_or_default();
    if is_of_a_model(path) {
        LmStudioMessage::Received { path, body }
    } else if matches!(body.last(), Some(b'{' | b'[')) {
        LmStudioMessage::Block
    } else {
        LmStudioMessage::Other
    }
}

/// Whether requests to this path ask a model to write.
fn is_of_a_model(path: &[u8]) -> bool {
    const ENDS: [&[u8]; 5] =
        [b"/completions", b"/messages", b"/responses", b"/api/v1/chat", b"/count_tokens"];
    ENDS.iter().any(|end| path.ends_with(end))
}

/// `None` where it should say something, and cannot be read.
fn engine(text: &[u8]) -> Option<EngineMessage<'_>> {
    use EngineMessage::{Begins, CacheRestored, CacheUsed, Done, HasRead, Line, PromptTokens, TokensToRead};
    let number = |text: &[u8]| scan::number(text).map(|(number, _)| number);
    Some(match text.first() {
        Some(b'P') => {
            if let Some(rest) = text.strip_prefix(b"Prompt cache restore: ") {
                let member = |name: &[u8]| number(after(rest, name)?);
                CacheRestored { cached: member(b"cached_tokens=")?, uncached: member(b"uncached_tokens=")? }
            } else if let Some(rest) = text.strip_prefix(b"Prompt cache: using ") {
                let (cached, rest) = scan::number(rest)?;
                CacheUsed { cached, prompt: number(rest.strip_prefix(b"/")?)? }
            } else if let Some(rest) = text.strip_prefix(b"Prompt tokens to decode: ") {
                TokensToRead(number(rest)?)
            } else {
                Line(text)
            }
        }
        Some(b'C') => match text.strip_prefix(b"Cache reuse summary: ") {
            Some(rest) => {
                let (cached, rest) = scan::number(rest)?;
                CacheUsed { cached, prompt: number(rest.strip_prefix(b"/")?)? }
            }
            None => Line(text),
        },
        Some(b'T') => match text.strip_prefix(b"Total prompt tokens: ") {
            Some(rest) => PromptTokens(number(rest)?),
            None => Line(text),
        },
        Some(b'B') if text.starts_with(b"BeginProcessingPrompt") => Begins,
        Some(b'F') if text.starts_with(b"FinishedProcessingPrompt") => HasRead,
        Some(b'D') if text.starts_with("Done · ".as_bytes()) => Done(done(text)?),
        Some(b'0'..=b'9') => match text.get(9..) {
            Some(rest) if rest.starts_with("Done · ".as_bytes()) => Done(done(rest)?),
            _ => Line(text),
        },
        Some(b'l') => match text.strip_prefix(b"llama_perf_context_print:") {
            Some(rest) => perf(rest.trim_ascii_start())?,
            None => Line(text),
        },
        _ => Line(text),
    })
}

/// `prompt eval time = 3200.72 ms / 617 tokens` and `eval time = 44789.87 ms / 865 runs`.
fn perf(text: &[u8]) -> Option<EngineMessage<'_>> {
    let (is_read, rest) = match (text.strip_prefix(b"prompt eval time ="), text.strip_prefix(b"eval time ="))
    {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Some(EngineMessage::Line(text)),
    };
    let rest = rest.trim_ascii_start();
    let end = memchr::memchr(b' ', rest)?;
    let ms = scan::decimal(rest.get(..end)?)?;
    let rest = rest.get(end..)?.strip_prefix(b" ms /")?.trim_ascii_start();
    let (count, _) = scan::number(rest)?;
    Some(if is_read {
        EngineMessage::Read { ms, tokens: count }
    } else {
        EngineMessage::Written { ms, runs: count }
    })
}

fn done(text: &[u8]) -> Option<Done> {
    let text = std::str::from_utf8(text).ok()?;
    let mut done = Done::default();
    for part in text.split(" · ").skip(1) {
        let part = part.trim();
        let grouped = |text: &str| text.replace(',', "").parse().ok();
        if let Some(n) = part.strip_prefix("input ") {
            done.input = Some(grouped(n)?);
        } else if let Some(n) = part.strip_prefix("cached ") {
            done.cached = Some(grouped(n)?);
        } else if let Some(n) = part.strip_prefix("output ") {
            done.output = Some(grouped(n)?);
        } else if let Some(seconds) = part.strip_prefix("TTFT ") {
            let (number, unit_ms) = match (seconds.strip_suffix("ms"), seconds.strip_suffix('s')) {
                (Some(ms), _) => (ms, 1.0),
                (_, Some(seconds)) => (seconds, 1_000.0),
                _ => return None,
            };
            done.ttft_ms = Some(decimal(number)? * unit_ms);
        } else if let Some(speed) = part.strip_suffix(" tok/s") {
            done.tokens_per_second = Some(decimal(speed)?);
        }
    }
    Some(done)
}

fn decimal(text: &str) -> Option<f64> {
    scan::decimal(text.replace(',', "").as_bytes())
}

fn after<'l>(text: &'l [u8], words: &[u8]) -> Option<&'l [u8]> {
    // `uncached_tokens=` ends in `cached_tokens=`.
    let mut from = 0;
    loop {
        let at = from + memchr::memmem::find(text.get(from..)?, words)?;
        if at == 0 || text.get(at - 1) == Some(&b' ') {
            return text.get(at + words.len()..);
        }
        from = at + words.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LmStudioMessage<'_> {
        LmStudioMessage::read(None, text.as_bytes())
    }

    #[test]
    fn requests_to_models_are_told_from_others() {
        let received = |path: &'static str, body: &'static str| LmStudioMessage::Received {
            path: path.as_bytes(),
            body: body.as_bytes(),
        };
        assert_eq!(read("Received request: POST to /v1/messages with body {"), received("/v1/messages", "{"));
        assert_eq!(
            read("Received request: POST to /v1/messages?beta=true with body  {"),
            received("/v1/messages", "{")
        );
        assert_eq!(
            read("Received request: POST to /v1/chat/completions with body [Sensitive]"),
            received("/v1/chat/completions", "[Sensitive]")
        );
        assert_eq!(
            read("Received POST request to /v1/chat/completions with body: {"),
            received("/v1/chat/completions", "{")
        );
        assert_eq!(read("Received request: GET to /v1/models"), LmStudioMessage::Other);
        assert_eq!(read("Received request: POST to /v1/embeddings with body {"), LmStudioMessage::Block);
        assert_eq!(read("Returning {"), LmStudioMessage::Block);
    }

    #[test]
    fn progress_is_in_percent() {
        assert_eq!(read("Prompt processing progress: 42.5%"), LmStudioMessage::Progress(42.5));
        assert_eq!(read("Prompt processing progress: 100%"), LmStudioMessage::Progress(100.0));
        for garbled in [
            "Prompt processing progress: x%",
            "Prompt processing progress: 42",
            "Prompt processing progress: NaN%",
        ] {
            assert_eq!(read(garbled), LmStudioMessage::Unreadable, "{garbled}");
        }
    }

    #[test]
    fn engines_say_what_came_from_the_cache() {
        let engine = |text| match read(text) {
            LmStudioMessage::Engine(message) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            engine("Prompt cache restore: cached_tokens=17408 uncached_tokens=24 lifetime_efficiency=62.41%"),
            EngineMessage::CacheRestored { cached: 17_408, uncached: 24 }
        );
        assert_eq!(
            engine("Prompt cache: using 5048/5059 tokens from cache"),
            EngineMessage::CacheUsed { cached: 5_048, prompt: 5_059 }
        );
        assert_eq!(
            engine("Cache reuse summary: 60/433 of prompt (13.8568%), 60 prefix, 0 non-prefix"),
            EngineMessage::CacheUsed { cached: 60, prompt: 433 }
        );
        assert_eq!(engine("Prompt tokens to decode: 373"), EngineMessage::TokensToRead(373));
        assert_eq!(
            engine(
                "llama_perf_context_print: prompt eval time =    1135.53 ms /   373 tokens (    3.04 ms per token"
            ),
            EngineMessage::Read { ms: 1_135.53, tokens: 373 }
        );
        assert_eq!(
            engine(
                "llama_perf_context_print:        eval time =   29868.35 ms /   130 runs   (  229.76 ms per token"
            ),
            EngineMessage::Written { ms: 29_868.35, runs: 130 }
        );
        let done = Done {
            input: Some(12_474),
            cached: Some(0),
            output: Some(3_482),
            ttft_ms: Some(124_100.0),
            tokens_per_second: Some(25.8),
        };
        let text = "Done · input 12,474 · cached 0 · output 3,482 · TTFT 124.1s · 25.8 tok/s";
        assert_eq!(engine(text), EngineMessage::Done(done.clone()));
        assert_eq!(engine(format!("00:54:42 {text}").leak()), EngineMessage::Done(done));
    }

    #[test]
    fn what_says_too_little_is_unreadable() {
        for cut in [
            "Prompt cache restore: cached_tokens=17",
            "Prompt cache: using 5",
            "Done · input x",
            "Total prompt tokens: ",
        ] {
            assert_eq!(read(cut), LmStudioMessage::Unreadable, "{cut}");
        }
    }
}
