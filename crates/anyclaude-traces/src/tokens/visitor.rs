//! Counts the tokens of a prompt while the parser passes over it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::Counter;
use crate::formats::body::{Element, ElementPath, Message, Section, Visit};
use crate::model::Identity;
use crate::model::intern::FastMap;

/// Tokens in thousandths, so that sums are exact and do not depend on an order.
pub(crate) type MilliTokens = u64;

/// How many locks the shared counts are spread over, so that threads rarely wait.
const SHARDS: usize = 16;

/// The counts of all pieces of text that were seen: every distinct one is counted
/// once, as each request of a conversation repeats the one before.
#[derive(Debug, Default)]
pub struct TokenCache {
    shards: [Mutex<FastMap<(Identity, CountedAs), MilliTokens>>; SHARDS],
}

/// What of an element counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CountedAs {
    /// The compact JSON that it is.
    Json,
    /// Its decoded text.
    Text,
    Nothing,
}

impl CountedAs {
    fn of(element: &Element<'_>) -> Self {
        match element.place {
            ElementPath::Tool(_) => Self::Json,
            ElementPath::Block { .. } if element.is_call() => Self::Json,
            ElementPath::Block { .. } if element.kind.as_deref() == Some("image") => Self::Nothing,
            ElementPath::System(_) | ElementPath::Block { .. } => Self::Text,
        }
    }

    fn count(self, element: &Element<'_>) -> MilliTokens {
        let mut counter = Counter::default();
        match self {
            Self::Json => counter.add(&element.raw.content()),
            Self::Text => element.raw.texts().iter().for_each(|text| counter.add(text)),
            Self::Nothing => {}
        }
        counter.thousandths()
    }
}

impl TokenCache {
    fn count_once(&self, element: &Element<'_>) -> MilliTokens {
        let counted_as = CountedAs::of(element);
        let piece = (element.raw.identity(), counted_as);
        let count = || counted_as.count(element);
        let Some(shard) = self.shards.get(piece.0.shard(SHARDS)) else { return count() };
        let lock = || shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&piece) {
            return *known;
        }
        // Counted without the lock, so that other threads need not wait; two of them may
        // count the same text.
        let counted = count();
        lock().insert(piece, counted);
        counted
    }

    /// The tokens of a tool, once it was counted.
    pub(crate) fn of_tool(&self, tool: Identity) -> Option<MilliTokens> {
        let shard = self.shards.get(tool.shard(SHARDS))?.lock().unwrap_or_else(PoisonError::into_inner);
        shard.get(&(tool, CountedAs::Json)).copied()
    }
}

/// The estimated tokens of one prompt, not scaled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PromptTokens {
    pub(crate) system: MilliTokens,
    pub(crate) tools: Vec<(Option<Arc<str>>, MilliTokens)>,
    pub(crate) messages: MilliTokens,
    /// The tools that the conversation has called so far, by name.
    pub called: BTreeSet<Arc<str>>,
}

impl PromptTokens {
    /// The totals of its sections.
    #[must_use]
    pub fn sections(&self) -> SectionTokens {
        SectionTokens([self.system, self.tools.iter().map(|(_, tokens)| tokens).sum(), self.messages])
    }
}

/// The estimated tokens of a prompt's system, tools and messages, not scaled: what can be
/// kept of every prompt of a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SectionTokens(pub(crate) [MilliTokens; 3]);

impl SectionTokens {
    /// The total, in thousandths of tokens.
    pub(crate) fn thousandths(self) -> MilliTokens {
        self.0.iter().sum()
    }

    /// The total, in tokens.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn total(self) -> f64 {
        self.thousandths() as f64 / 1000.0
    }
}

/// The visitor that counts [`PromptTokens`].
///
/// Tools and tool calls count as the compact JSON that they are, everything else as
/// its decoded text. Images count nothing: what a model makes of them is no text.
#[derive(Debug)]
pub struct TokenVisitor<'m> {
    memo: &'m TokenCache,
    /// Whether only tools are counted.
    tools_only: bool,
    found: PromptTokens,
    /// The tokens of the message that is being read.
    message: MilliTokens,
    message_calls: Vec<Arc<str>>,
}

impl<'m> TokenVisitor<'m> {
    /// A visitor of one prompt.
    #[must_use]
    pub fn new(memo: &'m TokenCache) -> Self {
        Self {
            memo,
            tools_only: false,
            found: PromptTokens::default(),
            message: 0,
            message_calls: Vec::new(),
        }
    }

    /// A visitor that counts the tools alone, and notes which were called.
    #[must_use]
    pub fn of_tools(memo: &'m TokenCache) -> Self {
        Self { tools_only: true, ..Self::new(memo) }
    }

    /// What was seen.
    #[must_use]
    pub fn finish(self) -> PromptTokens {
        self.found
    }
}

impl Visit for TokenVisitor<'_> {
    /// What a tool or a system block is, most requests have in common with the one before, so
    /// that the parser need not find it out again.
    fn wants_identities(&self) -> bool {
        true
    }

    fn element(&mut self, element: &Element<'_>) {
        if self.tools_only && !matches!(element.place, ElementPath::Tool(_)) {
            self.note_call(element);
            return;
        }
        let tokens = self.memo.count_once(element);
        match element.place {
            ElementPath::System(_) => self.found.system += tokens,
            ElementPath::Tool(_) => self.found.tools.push((element.name.as_deref().map(Arc::from), tokens)),
            ElementPath::Block { .. } => {
                self.message += tokens;
                self.note_call(element);
            }
        }
    }

    fn message(&mut self, _: &Message<'_>) {
        self.found.messages += std::mem::take(&mut self.message);
        self.found.called.extend(self.message_calls.drain(..));
    }

    fn restart(&mut self, section: Section) {
        match section {
            Section::Body => *self = Self { tools_only: self.tools_only, ..Self::new(self.memo) },
            Section::System => self.found.system = 0,
            Section::Tools => self.found.tools.clear(),
            Section::Messages => {
                self.found.messages = 0;
                self.found.called.clear();
            }
            Section::Message(_) => {}
        }
        if matches!(section, Section::Messages | Section::Message(_)) {
            self.message = 0;
            self.message_calls.clear();
        }
    }
}

impl TokenVisitor<'_> {
    fn note_call(&mut self, element: &Element<'_>) {
        self.message_calls.extend(element.called_tool().map(Arc::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::anyclaude::trace::parse;
    use crate::tokens::estimate;

    fn read(memo: &TokenCache, body: &str) -> PromptTokens {
        let mut visitor = TokenVisitor::new(memo);
        let trace = format!("{{\"request\":{{\"body\":{body}}}}}");
        parse(trace.as_bytes(), &mut visitor).unwrap();
        visitor.finish()
    }

    fn thousandths(text: &str) -> MilliTokens {
        (estimate(text) * 1000.0).round() as MilliTokens
    }

    #[test]
    fn sections_are_counted_by_what_a_model_reads() {
        let tool = r#"{"name":"Read","description":"Reads a file."}"#;
        let call = r#"{"type":"tool_use","id":"t1","name":"Read","input":{"path":"a/b"}}"#;
        let body = format!(
            r#"{{"system":[{{"type":"text","text":"Be \"brief\"."}}],"tools":[{tool}],"messages":[
                {{"role":"user","content":"Read a/b"}},
                {{"role":"assistant","content":[{call}]}},
                {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t1","content":[
                    {{"type":"text","text":"forty-two"}},
                    {{"type":"image","source":{{"data":"AAAAAAAAAAAA"}}}}]}}]}}]}}"#
        );
        let found = read(&TokenCache::default(), &body);
        assert_eq!(found.system, thousandths("Be \"brief\"."));
        assert_eq!(found.tools, [(Some("Read".into()), thousandths(tool))]);
        assert_eq!(found.messages, thousandths("Read a/b") + thousandths(call) + thousandths("forty-two"));
        assert_eq!(found.called.iter().map(|name| &**name).collect::<Vec<_>>(), ["Read"]);
    }

    #[test]
    fn what_was_counted_is_remembered_and_repeated_members_count_once() {
        let memo = TokenCache::default();
        let once = read(&memo, r#"{"messages":[{"role":"user","content":"hello there"}]}"#);
        assert_eq!(read(&memo, r#"{"messages":[{"role":"user","content":"hello there"}]}"#), once);
        let twice = read(
            &memo,
            r#"{"messages":[{"content":[{"type":"tool_use","name":"X"}]}],
                "messages":[{"role":"user","content":"gone","content":"hello there"}]}"#,
        );
        assert_eq!(twice, once);
    }
}
