//! The measures of a request, by the names that JSON, tables and the command line use.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::model::request::Request;

/// A figure: a whole number, or a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A count, size or duration.
    Whole(i64),
    /// A quotient.
    Rate(f64),
}

impl Value {
    /// The figure as a floating point number.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "sizes and times stay far below 2^53")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Rate(rate) => rate,
        }
    }

    /// `self − other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Self::Whole(a.saturating_sub(b)),
            _ => Self::Rate(self.as_f64() - other.as_f64()),
        }
    }

    /// `self ÷ other`; `None` where `other` is 0.
    #[must_use]
    pub fn over(self, other: Self) -> Option<f64> {
        let quotient = self.as_f64() / other.as_f64();
        quotient.is_finite().then_some(quotient)
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(b)),
            _ => self.as_f64().partial_cmp(&other.as_f64()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(whole) => serializer.serialize_i64(*whole),
            Self::Rate(rate) => serializer.serialize_f64(*rate),
        }
    }
}

/// What a measure counts, which decides how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Unicode scalar values.
    Chars,
    /// Milliseconds.
    Ms,
    /// A number of things, such as messages.
    Count,
    /// Tokens.
    Tokens,
    /// Tokens per second.
    PerSecond,
}

/// Which part of a request a measure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// The prompt that was sent.
    Prompt,
    /// The file that it was recorded in.
    File,
    /// Facts from the logs: times, and counts of the answer.
    Log,
}

macro_rules! measures {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $unit:ident, $about:ident, $of:expr;)+) => {
        /// A measure of a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Measure { $($(#[doc = $doc])+ $variant,)+ }

        impl Measure {
            /// All measures, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name in JSON, in tables and on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it counts.
            #[must_use]
            pub fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit),+ }
            }

            /// Which part of a request it measures.
            #[must_use]
            pub fn subject(self) -> Subject {
                match self { $(Self::$variant => Subject::$about),+ }
            }

            /// Its value for a request; `None` where that is unknown.
            #[must_use]
            pub fn of(self, request: &Request) -> Option<Value> {
                match self { $(Self::$variant => { let of: fn(&Request) -> Option<Value> = $of; of(request) }),+ }
            }
        }
    };
}

fn whole(value: u64) -> Option<Value> {
    i64::try_from(value).ok().map(Value::Whole)
}

macro_rules! size {
    ($field:ident) => {
        |request| request.sizes.$field.get().and_then(whole)
    };
}

macro_rules! time {
    ($field:ident) => {
        |request| request.timing.as_ref()?.$field.get().and_then(whole)
    };
}

measures! {
    /// Characters of the system text.
    SystemChars = "system_chars", Chars, Prompt, size!(system_chars);
    /// The system text in UTF-8.
    SystemTextBytes = "system_text_bytes", Bytes, Prompt, size!(system_text_bytes);
    /// Blocks of the system prompt.
    SystemBlocks = "system_blocks", Count, Prompt, size!(system_blocks);
    /// Compact JSON of the system prompt.
    SystemBytes = "system_bytes", Bytes, Prompt, size!(system_bytes);
    /// Number of tools.
    ToolCount = "tool_count", Count, Prompt, size!(tool_count);
    /// Compact JSON of the tools.
    ToolsBytes = "tools_bytes", Bytes, Prompt, size!(tools_bytes);
    /// Number of messages.
    MessageCount = "message_count", Count, Prompt, size!(message_count);
    /// Compact JSON of the messages.
    MessagesBytes = "messages_bytes", Bytes, Prompt, size!(messages_bytes);
    /// The rest of the body.
    OtherBytes = "other_bytes", Bytes, Prompt, size!(other_bytes);
    /// Compact JSON of the body.
    BodyBytes = "body_bytes", Bytes, Prompt, size!(body_bytes);
    /// The trace file.
    FileBytes = "file_bytes", Bytes, File, size!(file_bytes);
    /// The proxy's own work before it sends.
    ProxyMs = "proxy_ms", Ms, Log, time!(proxy_ms);
    /// Time to first token.
    TtftMs = "ttft_ms", Ms, Log, time!(ttft_ms);
    /// From the first token to the end.
    GenerationMs = "generation_ms", Ms, Log, time!(generation_ms);
    /// From sending to the end.
    TotalMs = "total_ms", Ms, Log, time!(total_ms);
    /// Proxy and total.
    WallMs = "wall_ms", Ms, Log, time!(wall_ms);
    /// Keepalives while waiting.
    Keepalives = "keepalives", Count, Log, time!(keepalives);
    /// Anthropic events sent.
    Events = "events", Count, Log, time!(events);
    /// Their size in UTF-16 units.
    EventBytes = "event_bytes", Bytes, Log, time!(event_bytes);
    /// Parts received.
    Parts = "parts", Count, Log, time!(parts);
    /// Tokens of the prompt.
    PromptTokens = "prompt_tokens", Tokens, Log, |request| request.timing.as_ref()?.believed_prompt_tokens().and_then(whole);
    /// Tokens of the answer.
    OutputTokens = "output_tokens", Tokens, Log, |request| request.timing.as_ref()?.believed_output_tokens().and_then(whole);
    /// The proxy's logged speed.
    ReportedTokensPerSecond = "reported_tokens_per_second", PerSecond, Log,
        |request| request.timing.as_ref()?.believed_tokens_per_second().map(Value::Rate);
    /// Prompt tokens over time to first token.
    PrefillTokensPerSecond = "prefill_tokens_per_second", PerSecond, Log,
        |request| request.timing.as_ref()?.prefill_tokens_per_second.map(Value::Rate);
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no measure of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no measure of that name; the measures are {}", names())]
pub struct UnknownMeasure;

fn names() -> String {
    Measure::ALL.iter().map(|measure| measure.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Measure {
    type Err = UnknownMeasure;

    fn from_str(name: &str) -> Result<Self, UnknownMeasure> {
        Self::ALL.iter().copied().find(|measure| measure.name() == name).ok_or(UnknownMeasure)
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
