//! Text of prompts, for those who ask for it.

use serde::{Deserialize, Serialize};

use crate::analysis::content::Content;
use crate::model::request::{Request, TracePath};

/// How many characters of a text are kept.
const MOST_CHARS: usize = 20_000;

/// What one request said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PromptText {
    /// The model that it was sent to.
    pub model: String,
    /// Its trace.
    pub path: TracePath,
    /// The text of its system prompt.
    pub system: Text,
    /// The text of the last message of the user that has any.
    pub last_user: Option<Text>,
}

/// A text, or its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Text {
    /// The first 20,000 characters.
    pub text: String,
    /// How many more there are.
    pub more_chars: u64,
}

impl PromptText {
    /// The text of a request, whose content was read with its text.
    #[must_use]
    pub fn of(model: &str, request: &Request, content: &Content) -> Self {
        let is_user = |role: &Option<String>| role.as_deref() == Some("user");
        let users = content.messages.iter().rev().filter(|message| is_user(&message.role));
        let texts = users.map(|message| {
            let texts = message.blocks.iter().filter(|block| block.kind.as_deref() == Some("text"));
            texts.filter_map(|block| block.text.as_deref()).collect::<Vec<_>>().join("\n")
        });
        Self {
            model: model.to_owned(),
            path: request.path.clone(),
            system: Text::beginning(&content.system_lines().unwrap_or_default()),
            last_user: texts.into_iter().find(|text| !text.is_empty()).map(|text| Text::beginning(&text)),
        }
    }
}

impl Text {
    fn beginning(text: &str) -> Self {
        let mut chars = text.chars();
        let beginning = chars.by_ref().take(MOST_CHARS).collect();
        Self { text: beginning, more_chars: chars.count() as u64 }
    }
}
