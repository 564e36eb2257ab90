//! Parses the lines that log what the proxy changed in a request before it sent it.

use crate::formats::scan;
use crate::model::{LogFacts, ProxyEdit, Truncation};

/// At most this many edits are kept for one request.
const MAX_EDITS: usize = 32;

/// The fact in one such line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LoggedEdit {
    Change(ProxyEdit),
    /// `Context limit exceeded: 30123 tokens > 26214 limit`
    LimitExceeded {
        prompt_tokens: u64,
        limit_tokens: u64,
    },
    /// `Truncated 12 messages (kept 9)`
    Truncated {
        removed: u64,
        kept: u64,
    },
    /// `Tokens after truncation: 25410 / 26214`
    AfterTruncation {
        tokens: u64,
    },
}

impl LoggedEdit {
    /// Adds this edit to the facts of its request.
    pub(super) fn apply(self, facts: &mut LogFacts) {
        let known = facts.truncation.as_deref().copied().unwrap_or_default();
        let truncation = match self {
            Self::Change(edit) => {
                if facts.edits.len() < MAX_EDITS {
                    facts.edits.push(edit);
                }
                return;
            }
            Self::LimitExceeded { prompt_tokens, limit_tokens } => {
                Truncation { prompt_tokens: Some(prompt_tokens), limit_tokens: Some(limit_tokens), ..known }
            }
            Self::Truncated { removed, kept } => {
                Truncation { removed_messages: Some(removed), kept_messages: Some(kept), ..known }
            }
            Self::AfterTruncation { tokens } => Truncation { kept_tokens: Some(tokens), ..known },
        };
        facts.truncation = Some(Box::new(truncation));
    }
}

/// Reads a message with a tag, `[tag] rest`.
pub(super) fn tagged(tag: &[u8], rest: &[u8]) -> Option<LoggedEdit> {
    let edit = match tag {
        b"Tool Allowlist" => {
            let (before, rest) = figure(rest)?;
            let (after, _) = figure(rest.strip_prefix(" → ".as_bytes())?)?;
            ProxyEdit::ToolsFiltered { before, after }
        }
        b"Tool Context" => {
            ProxyEdit::ToolDescriptionsStubbed { tools: figure(rest.strip_prefix(b"Stubbed ")?)?.0 }
        }
        b"Safe Filter" => {
            let text = rest.strip_prefix(b"Applied ")?;
            let tokens = || {
                let at = memchr::memmem::find(text, b" | ")?;
                let (before, rest) = figure(text.get(at + b" | ".len()..)?)?;
                Some((before, figure(rest.strip_prefix(" → ".as_bytes())?)?.0))
            };
            let (tokens_before, tokens_after) = tokens().unzip();
            ProxyEdit::SystemPromptFiltered { tokens_before, tokens_after }
        }
        b"Think Suppression" if rest.starts_with(b"Appended ") => ProxyEdit::ThinkingSuppressed,
        b"Cache Control" => ProxyEdit::ToolsRestored { tools: figure(rest.strip_prefix(b"Restoring ")?)?.0 },
        b"WebSearch" => {
            ProxyEdit::SearchResultsInjected { results: figure(rest.strip_prefix(b"Injected ")?)?.0 }
        }
        b"Server Tools" => ProxyEdit::ServerTools,
        b"Cluster Routing" => {
            let text = std::str::from_utf8(rest.strip_prefix(b"Selected node ")?).ok()?;
            let node = text.split_once(" at ").map_or(text, |(node, _)| node);
            ProxyEdit::RoutedToNode { node: node.chars().take(100).collect() }
        }
        b"Context" => removed(rest)?,
        _ => return None,
    };
    Some(LoggedEdit::Change(edit))
}

/// Reads a message without a tag.
pub(super) fn untagged(message: &[u8]) -> Option<LoggedEdit> {
    if message.starts_with("⚠".as_bytes()) || message.starts_with(b"Context limit") {
        let mark = b"Context limit exceeded: ";
        let at = memchr::memmem::find(message, mark)?;
        let (prompt_tokens, rest) = figure(message.get(at + mark.len()..)?)?;
        let (limit_tokens, _) = figure(rest.strip_prefix(b" tokens > ")?)?;
        return Some(LoggedEdit::LimitExceeded { prompt_tokens, limit_tokens });
    }
    if let Some(rest) = message.strip_prefix(b"Truncated ") {
        let (removed, rest) = figure(rest)?;
        let (kept, _) = figure(rest.strip_prefix(b" messages (kept ")?)?;
        return Some(LoggedEdit::Truncated { removed, kept });
    }
    if let Some(rest) = message.strip_prefix(b"Tokens after truncation: ") {
        return Some(LoggedEdit::AfterTruncation { tokens: figure(rest)?.0 });
    }
    removed(message).map(LoggedEdit::Change)
}

/// `Removed 12 older messages …`
fn removed(text: &[u8]) -> Option<ProxyEdit> {
    let (messages, rest) = figure(text.strip_prefix(b"Removed ")?)?;
    rest.starts_with(b" older messages").then_some(ProxyEdit::MessagesRemoved { messages })
}

/// A whole number whose digits may be grouped by commas.
fn figure(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut value, mut rest) = scan::number(text)?;
    while let Some(after) = rest.strip_prefix(b",")
        && let Some((group, after)) = after.split_at_checked(3)
        && let Some((group, b"")) = scan::number(group)
    {
        value = value.checked_mul(1000)?.checked_add(group)?;
        rest = after;
    }
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<LoggedEdit> {
        let tag = line.strip_prefix('[').and_then(|line| line.split_once("] "));
        tag.map_or_else(|| untagged(line.as_bytes()), |(tag, rest)| tagged(tag.as_bytes(), rest.as_bytes()))
    }

    #[test]
    fn what_the_proxy_changed() {
        let edits = [
            (
                "[Tool Allowlist] 57 → 12 tools (45 filtered)",
                ProxyEdit::ToolsFiltered { before: 57, after: 12 },
            ),
            ("[Tool Context] Stubbed 9 tool descriptions", ProxyEdit::ToolDescriptionsStubbed { tools: 9 }),
            (
                "[Safe Filter] Applied tier moderate | 3,524 → 900 tokens",
                ProxyEdit::SystemPromptFiltered { tokens_before: Some(3524), tokens_after: Some(900) },
            ),
            ("[Think Suppression] Appended /no_think for model: qwen3", ProxyEdit::ThinkingSuppressed),
            ("[Cache Control] Restoring 17 cached tools", ProxyEdit::ToolsRestored { tools: 17 }),
            ("[WebSearch] Injected 5 search results", ProxyEdit::SearchResultsInjected { results: 5 }),
            ("[Server Tools] Removed web_search", ProxyEdit::ServerTools),
            (
                "[Cluster Routing] Selected node n1 at http://127.0.0.1:9",
                ProxyEdit::RoutedToNode { node: "n1".into() },
            ),
            ("[Context] Removed 4 older messages to fit", ProxyEdit::MessagesRemoved { messages: 4 }),
        ];
        for (line, edit) in edits {
            assert_eq!(read(line), Some(LoggedEdit::Change(edit)), "{line}");
        }
        for line in
            ["[Tool Allowlist] all", "[Context] Using LMStudio reported context: 5 tokens", "Truncated 5"]
        {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn a_cut_history() {
        let mut facts = LogFacts::default();
        for line in [
            "⚠️  Context limit exceeded: 30123 tokens > 26,214 limit",
            "Truncated 12 messages (kept 9)",
            "Tokens after truncation: 25410 / 26214",
        ] {
            read(line).unwrap().apply(&mut facts);
        }
        let expected = Truncation {
            prompt_tokens: Some(30_123),
            limit_tokens: Some(26_214),
            removed_messages: Some(12),
            kept_messages: Some(9),
            kept_tokens: Some(25_410),
        };
        assert_eq!(facts.truncation.as_deref(), Some(&expected));
    }
}
