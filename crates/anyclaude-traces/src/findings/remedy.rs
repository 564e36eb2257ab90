//! What to do, as values. `advice` has the words.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::analysis::prefix::{Addition, Breaker, Cause, ElementName, ToolsDifference, Volatile};

/// What to do. Serialised as one sentence.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Advice {
    /// A sentence that was read back from JSON.
    Text(String),
    /// Record at a lower debug level.
    LowerDebugLevel {
        /// The level that is slow.
        high: u8,
        /// The level that was seen to be faster.
        low: u8,
        /// What that saves of each request.
        gain_ms: u64,
    },
    /// Load the model before it is needed, or keep it.
    KeepLoaded {
        /// The longest idleness before a load, in minutes; `None` where none was idle.
        idle_minutes: Option<u64>,
    },
    /// One model for background requests too.
    OneModel {
        /// The model of the conversations.
        main: Arc<str>,
    },
    /// Room for both models.
    RoomForBoth,
    /// Fewer requests at a time.
    FewerAtOnce {
        /// How many slots would do as well, and what they save, where that is known.
        slots: Option<(u64, u64)>,
    },
    /// Ask the backend without what stands in between.
    AskBackendItself,
    /// Another engine or build.
    OtherEngine,
    /// Look after the cache's settings.
    CacheSettings,
    /// Leave what prompts append as it is, where it stands.
    AppendOnly(Addition),
    /// Advice by what broke the cache.
    Mend {
        /// What broke it.
        cause: Cause,
        /// What sort of line changed.
        volatile: Option<Volatile>,
        /// How the tools differ.
        tools: Option<ToolsDifference>,
        /// Where.
        element: ElementName,
        /// How often it happened in one session, at most.
        most_per_session: u64,
    },
    /// More slots.
    MoreSlots {
        /// The smallest number with which nothing is evicted.
        slots: u64,
    },
    /// No number of slots that was simulated helps.
    SlotsDoNotHelp {
        /// The largest number that was simulated.
        tried: u64,
    },
    /// Move the volatile piece behind what stays the same.
    MovePiece {
        /// What sort of piece it is.
        volatile: Option<Volatile>,
        /// Where it stands.
        element: ElementName,
    },
    /// A larger context, one that the proxy knows of, or compacting earlier.
    LargerLimit {
        /// The limit that the proxy believes in.
        limit_tokens: Option<u64>,
        /// The context that the backend says it has.
        context_tokens: Option<u64>,
        /// The largest prompt.
        needed_tokens: Option<u64>,
    },
    /// Load the model with a larger context.
    LargerContext {
        /// A size that would have been enough.
        tokens: Option<u64>,
        /// Among how many slots the server divides its context, where its log says so.
        slots: Option<u64>,
    },
    /// Turn off servers.
    TurnOffServers {
        /// Their names, the largest first.
        servers: Vec<String>,
    },
    /// Less thinking.
    LessThinking,
    /// A longer time limit of the client.
    LongerTimeout {
        /// A limit that is longer than any wait so far.
        ms: u64,
    },
    /// What the backend's words ask for.
    ByError(ErrorRemedy),
    /// A larger context or fewer tools, so that a conversation fits between two
    /// compactions.
    RoomBetweenCompactions {
        /// What a continuation begins with.
        begins_with_tokens: Option<u64>,
    },
}

impl Advice {
    /// What to do about a break of the prompt cache, here and where breaks are listed;
    /// `None` where it is the lack of slots, which a number of slots has to be found for, or
    /// a new prompt.
    #[must_use]
    pub fn on_break(breaker: &Breaker) -> Option<Self> {
        let &Breaker { cause, volatile, element, most_per_session, .. } = breaker;
        match cause {
            Cause::ModelSwapped => Some(Self::RoomForBoth),
            Cause::VolatileOpening => Some(Self::MovePiece { volatile, element }),
            Cause::Evicted => None,
            _ if cause.is_new_prompt() => None,
            _ if is_expected(cause, volatile, most_per_session) => None,
            _ => {
                Some(Self::Mend { cause, volatile, tools: breaker.tools.clone(), element, most_per_session })
            }
        }
    }
}

/// Whether a break is what has to be: a history that is compacted once, another folder.
pub(super) fn is_expected(cause: Cause, volatile: Option<Volatile>, most_per_session: u64) -> bool {
    match cause {
        Cause::Compacted => most_per_session <= 1,
        Cause::SystemChanged => volatile == Some(Volatile::WorkingDirectory),
        _ => false,
    }
}

/// What helps against an error, by its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorRemedy {
    /// Nothing listens there.
    StartBackend,
    /// No model is loaded.
    LoadModel,
    /// The backend ran out of memory.
    LessMemory,
    /// The process that ran the model ended.
    SeeWhyItCrashed,
    /// The model's chat template refuses the messages.
    OtherTemplate,
}

/// A setting to paste.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Setting {
    /// The file that holds it.
    pub file: Cow<'static, str>,
    /// Its name there; the members on the way to it are parted by dots.
    pub key: Cow<'static, str>,
    /// What it should be.
    pub value: SettingValue,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
#[non_exhaustive]
pub enum SettingValue {
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(String),
    /// A list of names.
    Names(Vec<Arc<str>>),
    /// A list of MCP servers, as `deniedMcpServers` takes them.
    Servers(Vec<NamedServer>),
}

/// An MCP server, as Claude Code's settings name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct NamedServer {
    /// Its name.
    #[serde(rename = "serverName")]
    pub name: String,
}

impl NamedServer {
    /// The server of this name.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}

impl Setting {
    /// One in Claude Code's own settings.
    pub(crate) fn of_claude_code(key: &'static str, value: SettingValue) -> Self {
        Self { file: "~/.claude/settings.json".into(), key: key.into(), value }
    }
}

impl Serialize for Advice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "schema")]
mod schemas {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::Advice;

    impl JsonSchema for Advice {
        fn schema_name() -> Cow<'static, str> {
            "FindingAdvice".into()
        }

        fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
            json_schema!({ "description": "What to do, in one sentence", "type": "string" })
        }
    }
}
