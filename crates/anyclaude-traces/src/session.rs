//! Requests → sessions and threads.
//!
//! A session is the one that the trace names. Where it names none (older Claude
//! Code), requests of one mode and user belong together while they follow each
//! other within half an hour; a conversation that goes on after a longer pause
//! stays in its session.
//!
//! A thread is one chain of growing histories: a request continues the thread
//! whose newest history it begins with. A subagent, an edited history or a
//! compacted one begins a thread of its own.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::gather::Draft;
use crate::request::Kind;
use crate::time::Timestamp;
use crate::trace::{Identity, NameHashing};

/// A pause that ends a session whose id is unknown, in milliseconds.
const PAUSE_MS: i64 = 30 * 60 * 1000;

/// A history's place in a [`HistoryTree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct HistoryId(u32);

/// All histories, each message once: a history is a node, and what it begins
/// with are the nodes above it. A session that repeats its conversation in every
/// request so costs no more than its last request.
#[derive(Debug)]
pub(crate) struct HistoryTree {
    parents: Vec<HistoryId>,
    children: HashMap<(HistoryId, Identity), HistoryId, BuildHasherDefault<Folded>>,
}

/// For identities, which are hashes already, and for numbers of our own: their
/// parts need only be put together.
#[derive(Debug, Default)]
struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        // Arrays of numbers arrive as bytes.
        for part in bytes.chunks(8) {
            let mut eight = [0; 8];
            eight.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            self.write_u64(u64::from_le_bytes(eight));
        }
    }

    fn write_u32(&mut self, part: u32) {
        self.write_u64(u64::from(part));
    }

    fn write_usize(&mut self, part: usize) {
        self.write_u64(part as u64);
    }

    fn write_u64(&mut self, part: u64) {
        self.0 = (self.0.rotate_left(5) ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Default for HistoryTree {
    fn default() -> Self {
        Self { parents: vec![Self::ROOT], children: HashMap::default() }
    }
}

impl HistoryTree {
    /// The history without messages.
    const ROOT: HistoryId = HistoryId(0);

    pub(crate) fn insert(&mut self, messages: &[Identity]) -> HistoryId {
        messages.iter().fold(Self::ROOT, |parent, message| {
            let next = HistoryId(u32::try_from(self.parents.len()).unwrap_or(u32::MAX));
            *self.children.entry((parent, *message)).or_insert_with(|| {
                self.parents.push(parent);
                next
            })
        })
    }

    /// The history itself and everything that it begins with, longest first,
    /// down to its first message.
    fn prefixes(&self, history: HistoryId) -> impl Iterator<Item = HistoryId> {
        let up = |at: &HistoryId| self.parents.get(at.0 as usize).copied();
        std::iter::successors(Some(history), up).take_while(|at| *at != Self::ROOT)
    }
}

/// Names the session and thread of every request. `drafts` are in order of time.
pub(crate) fn assign(drafts: &mut [Draft], histories: &HistoryTree) {
    let mut book = Book::default();
    for draft in drafts {
        book.enter(draft, histories);
    }
}

/// Requests that may share a derived session: one mode, one user.
type Party = (Option<Arc<str>>, Option<Identity>);

/// Requests among which a thread may run: one named session or one party, one kind.
type Circle = (Option<Arc<str>>, Option<Party>, Kind);

#[derive(Default)]
struct Book {
    circles: HashMap<Circle, usize, NameHashing>,
    /// The thread whose newest history this is, by circle.
    tips: HashMap<(usize, HistoryId), Thread, BuildHasherDefault<Folded>>,
    /// The derived session that each party is in, and when it was last seen.
    sittings: HashMap<Party, Sitting, NameHashing>,
    threads: HashMap<Option<Arc<str>>, u32, NameHashing>,
}

struct Thread {
    session: Option<Arc<str>>,
    name: Arc<str>,
    history: HistoryId,
    /// How many requests it has.
    length: u32,
}

struct Sitting {
    session: Arc<str>,
    last: Timestamp,
}

impl Book {
    fn enter(&mut self, draft: &mut Draft, histories: &HistoryTree) {
        let named = draft.sender.session_id.clone();
        let party = (draft.request.mode.clone(), draft.sender.user);
        let circle = self.circle((named.clone(), named.is_none().then(|| party.clone()), draft.request.kind));
        let continued =
            histories.prefixes(draft.history).find_map(|prefix| self.tips.remove(&(circle, prefix)));
        let session = match (named, draft.request.timestamp) {
            (Some(named), _) => Some(named),
            (None, Some(now)) => {
                let grown = continued.as_ref().filter(|thread| thread.history != draft.history);
                let conversation = grown.filter(|_| draft.request.kind == Kind::Conversation);
                Some(self.sit(party, now, conversation.and_then(|thread| thread.session.clone())))
            }
            (None, None) => continued.as_ref().and_then(|thread| thread.session.clone()),
        };
        let thread = continued.filter(|thread| thread.session == session);
        let (name, turn) =
            thread.map_or_else(|| (self.new_thread(&session), 0), |thread| (thread.name, thread.length));
        let tip = Thread {
            session: session.clone(),
            name: name.clone(),
            history: draft.history,
            length: turn.saturating_add(1),
        };
        self.tips.insert((circle, draft.history), tip);
        draft.request.session = session;
        draft.request.thread = Some(name);
        draft.request.turn = turn;
    }

    fn circle(&mut self, circle: Circle) -> usize {
        let next = self.circles.len();
        *self.circles.entry(circle).or_insert(next)
    }

    /// The derived session of a party at a time: the one that a conversation
    /// continues, else the present one, else a new one.
    fn sit(&mut self, party: Party, now: Timestamp, continued: Option<Arc<str>>) -> Arc<str> {
        let present = self
            .sittings
            .get(&party)
            .filter(|sitting| now.ms_since(sitting.last) <= PAUSE_MS)
            .map(|sitting| sitting.session.clone());
        let session = continued.or(present).unwrap_or_else(|| derived_name(&party, now));
        self.sittings.insert(party, Sitting { session: session.clone(), last: now });
        session
    }

    fn new_thread(&mut self, session: &Option<Arc<str>>) -> Arc<str> {
        let number = self.threads.entry(session.clone()).or_default();
        *number += 1;
        format!("{}#{number}", session.as_deref().unwrap_or("unknown")).into()
    }
}

/// `derived-<time of its first request>-<six hexadecimal digits of mode and user>`.
fn derived_name((mode, user): &Party, first: Timestamp) -> Arc<str> {
    let user = user.map(|user| user.hash().to_le_bytes()).unwrap_or_default();
    let party = Identity::of_parts([mode.as_deref().unwrap_or_default().as_bytes(), &user]);
    let time: String = first.to_string().chars().filter(|c| !matches!(c, '-' | ':' | '.')).collect();
    format!("derived-{time}-{:06x}", party.hash() & 0xFF_FFFF).into()
}
