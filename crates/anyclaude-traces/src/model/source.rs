//! What wrote a recording, and in which API the request was sent.

use serde::{Deserialize, Serialize};

/// The program, or the kind of file, that a request was recorded in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// A trace of anyclaude.
    #[default]
    Anyclaude,
    /// Claude Code's own recording: raw bodies, OTLP events and spans.
    ClaudeCode,
    /// HTTP Archive 1.2, as mitmproxy, browsers and Charles write it.
    Har,
    /// claude-tap: JSON Lines or its compact bundle.
    ClaudeTap,
    /// claude-trace: request–response pairs as JSON Lines.
    ClaudeTrace,
    /// The log of claude-code-router.
    ClaudeCodeRouter,
    /// `LiteLLM`'s standard logging payload.
    Litellm,
    /// LM Studio's log of its server.
    LmStudio,
    /// The log of llama.cpp's `llama-server`, which has no bodies.
    LlamaServer,
    /// The log of Ollama, which has no bodies.
    Ollama,
    /// The body of a request alone.
    Body,
}

impl Source {
    /// Whether it is the log of a server that ran models.
    #[must_use]
    pub fn is_server(self) -> bool {
        matches!(self, Self::LmStudio | Self::LlamaServer | Self::Ollama)
    }

    /// The source's name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anyclaude => "anyclaude",
            Self::ClaudeCode => "claude_code",
            Self::Har => "har",
            Self::ClaudeTap => "claude_tap",
            Self::ClaudeTrace => "claude_trace",
            Self::ClaudeCodeRouter => "claude_code_router",
            Self::Litellm => "litellm",
            Self::LmStudio => "lm_studio",
            Self::LlamaServer => "llama_server",
            Self::Ollama => "ollama",
            Self::Body => "body",
        }
    }
}

/// The API whose shape a request's body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Api {
    /// Anthropic's Messages, `/v1/messages`.
    Anthropic,
    /// `OpenAI`'s Chat Completions, `/v1/chat/completions`.
    OpenaiChat,
    /// `OpenAI`'s Responses, `/v1/responses`.
    OpenaiResponses,
}

impl Api {
    /// The API's name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
        }
    }
}

/// Where a request's time comes from, where the recording does not name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TimestampSource {
    /// When the file was last written: copying it may have changed that.
    Mtime,
}
