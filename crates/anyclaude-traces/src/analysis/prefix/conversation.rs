//! Which requests are turns of one conversation, for a cache.
//!
//! A thread only grows: a history that was edited, cut short or compacted begins
//! another. For a cache it is the same conversation still, and what it reads
//! again was lost by the change. So a thread that takes up messages of an earlier
//! one of its session goes on with that conversation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::elements::{ElementId, ElementKind, ListId, Prompt, Prompts, Role};
use super::tree::Node;
use crate::model::Identity;
use crate::model::request::{Kind, Request};

/// A conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Conversation(u32);

/// Requests among which a conversation may run: one session, one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Circle(u32);

/// The first message; of requests on the side, which are about the words of a
/// conversation, also the system prompt.
type Opening = (Identity, Option<ListId>);

/// Tells conversations apart, request by request in order of time.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    circles: HashMap<(Option<Arc<str>>, Kind), Circle>,
    threads: HashMap<(Circle, Option<Arc<str>>), Conversation>,
    /// Who opened with this message, and who said this that no other would say.
    openings: HashMap<(Circle, Opening), Conversation>,
    said: HashMap<(Circle, ElementId), Conversation>,
    /// The histories of which all that was said is noted.
    noted: HashSet<(Circle, Node)>,
    count: u32,
}

impl Conversations {
    pub(super) fn of(&mut self, request: &Request, prompt: &Prompt, prompts: &Prompts) -> Conversation {
        let next = Circle(u32::try_from(self.circles.len()).unwrap_or(u32::MAX));
        let circle = *self.circles.entry((request.session.clone(), request.kind)).or_insert(next);
        let thread = (circle, request.thread.clone());
        let known = self.threads.get(&thread).copied();
        let is_aside = request.kind != Kind::Conversation;
        let opening = prompt.opening.map(|opening| (opening, is_aside.then_some(prompt.system)));
        let taken_up = || self.taken_up(circle, opening, prompt, prompts);
        let conversation = known.or_else(taken_up).unwrap_or_else(|| {
            self.count += 1;
            Conversation(self.count)
        });
        self.threads.insert(thread, conversation);
        if let Some(opening) = opening {
            self.openings.insert((circle, opening), conversation);
        }
        self.note(circle, conversation, prompt, prompts);
        conversation
    }

    /// The conversation whose first message this history begins with too, or of
    /// which it holds an answer, a tool call or its result.
    fn taken_up(
        &self,
        circle: Circle,
        opening: Option<Opening>,
        prompt: &Prompt,
        prompts: &Prompts,
    ) -> Option<Conversation> {
        let opened = || self.openings.get(&(circle, opening?)).copied();
        let tree = &prompts.tree;
        let said = tree.up(prompt.messages).map(|node| tree.element(node));
        let mut telling = said.filter(|element| is_distinctive(prompts, *element));
        opened().or_else(|| telling.find_map(|element| self.said.get(&(circle, element)).copied()))
    }

    fn note(&mut self, circle: Circle, conversation: Conversation, prompt: &Prompt, prompts: &Prompts) {
        for node in prompts.tree.up(prompt.messages) {
            if !self.noted.insert((circle, node)) {
                break;
            }
            let element = prompts.tree.element(node);
            if is_distinctive(prompts, element) {
                self.said.insert((circle, element), conversation);
            }
        }
    }
}

/// Whether an element belongs to one conversation: the model's words and tool
/// calls, while a reminder or `go on` may stand in any.
pub(super) fn is_distinctive(prompts: &Prompts, element: ElementId) -> bool {
    prompts.role(element) == Role::Assistant || prompts.kind(element) == ElementKind::Call
}
