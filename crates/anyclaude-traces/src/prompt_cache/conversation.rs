//! Which requests are turns of one conversation, as a cache sees it.
//!
//! A thread only grows, so that an edited, cut or compacted history begins another
//! thread. For a cache it is the same conversation, which lost by the change what it
//! reads again. So a thread that contains messages of an earlier one of its session
//! continues that one's conversation.

use std::sync::Arc;

use super::ids::{ElementId, ListId};
use super::observe::{ElementKind, Role};
use super::prompts::Prompts;
use super::recorded::PromptParts;
use super::tree::Node;
use crate::model::Identity;
use crate::model::intern::{FastMap, FastSet};
use crate::model::request::{Kind, Request};

/// A conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Conversation(u32);

/// Requests among which a conversation may run: one session, one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ConversationScope(u32);

/// The first message; of requests on the side, which are about the words of a
/// conversation, also the system prompt.
type Opening = (Identity, Option<ListId>);

/// Tells conversations apart, request by request in order of time.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    scopes: FastMap<(Option<Arc<str>>, Kind), ConversationScope>,
    threads: FastMap<(ConversationScope, Option<Arc<str>>), Conversation>,
    /// The newest with this system prompt, and the newest of all: what a summary
    /// continues.
    newest: FastMap<(ConversationScope, Option<ListId>), Conversation>,
    /// The conversation that opens with a message.
    openings: FastMap<(ConversationScope, Opening), Conversation>,
    /// The conversation that a distinctive element belongs to.
    distinctive: FastMap<(ConversationScope, ElementId), Conversation>,
    /// The histories whose distinctive elements are all noted.
    noted: FastSet<(ConversationScope, Node)>,
    count: u32,
}

impl Conversations {
    /// The conversation of the next request.
    pub(crate) fn of(&mut self, request: &Request, prompt: &PromptParts, prompts: &Prompts) -> Conversation {
        let next = ConversationScope(u32::try_from(self.scopes.len()).unwrap_or(u32::MAX));
        let scope = *self.scopes.entry((request.session.clone(), request.kind)).or_insert(next);
        let thread = (scope, request.thread.clone());
        let known = self.threads.get(&thread).copied();
        let is_aside = request.kind != Kind::Conversation;
        let opening = prompt.opening.map(|opening| (opening, is_aside.then_some(prompt.system)));
        let taken_up = || self.taken_up(scope, opening, prompt, prompts);
        let continued = || {
            let newest = |system| self.newest.get(&(scope, system)).copied();
            prompt.is_continuation.then(|| newest(Some(prompt.system)).or_else(|| newest(None)))?
        };
        let conversation = known.or_else(taken_up).or_else(continued).unwrap_or_else(|| {
            self.count += 1;
            Conversation(self.count)
        });
        self.threads.insert(thread, conversation);
        for system in [Some(prompt.system), None] {
            self.newest.insert((scope, system), conversation);
        }
        if let Some(opening) = opening {
            self.openings.insert((scope, opening), conversation);
        }
        self.note(scope, conversation, prompt, prompts);
        conversation
    }

    /// The conversation whose first message this history begins with too, or of
    /// which it holds an answer, a tool call or its result.
    fn taken_up(
        &self,
        scope: ConversationScope,
        opening: Option<Opening>,
        prompt: &PromptParts,
        prompts: &Prompts,
    ) -> Option<Conversation> {
        let opened = || self.openings.get(&(scope, opening?)).copied();
        let tree = &prompts.tree;
        let elements = tree.up(prompt.messages).map(|node| tree.element(node));
        let mut distinctive = elements.filter(|element| is_distinctive(prompts, *element));
        opened().or_else(|| distinctive.find_map(|element| self.distinctive.get(&(scope, element)).copied()))
    }

    /// Notes which conversation the distinctive elements of a history belong to.
    fn note(
        &mut self,
        scope: ConversationScope,
        conversation: Conversation,
        prompt: &PromptParts,
        prompts: &Prompts,
    ) {
        for node in prompts.tree.up(prompt.messages) {
            if !self.noted.insert((scope, node)) {
                break;
            }
            let element = prompts.tree.element(node);
            if is_distinctive(prompts, element) {
                self.distinctive.insert((scope, element), conversation);
            }
        }
    }
}

/// Whether an element belongs to one conversation: the model's words and tool
/// calls, while a reminder or `go on` may stand in any.
pub(crate) fn is_distinctive(prompts: &Prompts, element: ElementId) -> bool {
    prompts.role(element) == Role::Assistant || prompts.kind(element) == ElementKind::Call
}
