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
use std::sync::Arc;

use hashbrown::HashTable;

use crate::formats::record::Sender;
use crate::model::Identity;
use crate::model::intern::{Interner, NameHashing};
use crate::model::request::Kind;
use crate::model::time::Timestamp;
use crate::recording::assemble::{Place, UnassignedRequest};
use crate::recording::history::{HistoryId, HistoryTree};

/// A pause that ends a session whose id is unknown, in milliseconds.
const PAUSE_MS: i64 = 30 * 60 * 1000;

/// Names the session and thread of every request. `unassigned` are in order of time.
pub(crate) fn assign(unassigned: &mut [UnassignedRequest], histories: &HistoryTree, keys: &SessionKeys) {
    let threads = Threads { counts: vec![0; histories.len()], ..Threads::default() };
    let mut assigner =
        SessionAssigner { threads, named: vec![0; keys.sessions.len()], ..SessionAssigner::default() };
    for entry in unassigned {
        assigner.assign(entry, histories, keys);
    }
}

/// Requests that may share a derived session: one mode, one user.
type SenderKey = (Option<Arc<str>>, Option<Identity>);

/// Whose requests they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionKey {
    /// The session that the trace names.
    Session(u32),
    /// Where it names none.
    SenderKey(u32),
}

/// All keys, numbered.
#[derive(Debug, Default)]
pub(crate) struct SessionKeys {
    sessions: Interner<str>,
    senders: Interner<SenderKey>,
}

impl SessionKeys {
    /// Who sent a request; the session's name is kept once.
    pub(crate) fn of(&mut self, sender: &mut Sender, mode: Option<&Arc<str>>) -> SessionKey {
        match &mut sender.session_id {
            Some(session) => SessionKey::Session(self.sessions.unify(session)),
            None => SessionKey::SenderKey(self.senders.unify(&mut Arc::new((mode.cloned(), sender.user)))),
        }
    }

    fn sender_key(&self, key: SessionKey) -> Option<&SenderKey> {
        match key {
            SessionKey::Session(_) => None,
            SessionKey::SenderKey(number) => self.senders.get(number).map(Arc::as_ref),
        }
    }
}

/// Requests that one thread may contain: same session key, agent and kind.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ThreadScope {
    key: SessionKey,
    agent: Option<u32>,
    kind: Kind,
}

struct Thread {
    scope: ThreadScope,
    /// Its session, where the trace names none.
    derived: Option<Arc<str>>,
    name: Arc<str>,
    /// Its newest history.
    history: HistoryId,
    /// How many requests it has.
    length: u32,
}

/// All threads.
#[derive(Default)]
struct Threads {
    all: Vec<Thread>,
    /// Those that may go on, by scope and newest history.
    tips: HashTable<usize>,
    /// How many of these have each history. Most have none, which is found out faster
    /// here.
    counts: Vec<u32>,
}

impl Threads {
    /// Takes out the thread whose newest history this is.
    fn take(&mut self, scope: ThreadScope, history: HistoryId) -> Option<usize> {
        let count = self.counts.get_mut(history.index()).filter(|count| **count > 0)?;
        let is_it = |thread: &usize| {
            self.all.get(*thread).is_some_and(|thread| thread.scope == scope && thread.history == history)
        };
        let (thread, _) = self.tips.find_entry(tip_hash(scope, history), is_it).ok()?.remove();
        *count -= 1;
        Some(thread)
    }

    /// Lets a thread, which was taken out or is new, go on from this history.
    fn put(&mut self, thread: usize, history: HistoryId) -> Option<&mut Thread> {
        let grown = self.all.get_mut(thread)?;
        grown.history = history;
        // Nothing goes on from no messages, and any number of threads may have none:
        // in one place of a table they would stand in each other's way.
        if history != HistoryTree::ROOT {
            *self.counts.get_mut(history.index())? += 1;
            let hash = tip_hash(grown.scope, history);
            let all = &self.all;
            let rehash = |thread: &usize| all.get(*thread).map_or(0, |tip| tip_hash(tip.scope, tip.history));
            self.tips.insert_unique(hash, thread, rehash);
        }
        self.all.get_mut(thread)
    }
}

/// A table looks at the lower bits, so that all of it must reach these: many sessions
/// may begin with the same word.
fn tip_hash(scope: ThreadScope, history: HistoryId) -> u64 {
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let (number, is_sender) = match scope.key {
        SessionKey::Session(number) => (number, 0),
        SessionKey::SenderKey(number) => (number, 1),
    };
    let agent = u64::from(scope.agent.map_or(0, |agent| agent.wrapping_add(1)));
    let scope = agent << 35 ^ (u64::from(number) << 3 | is_sender << 2 | scope.kind as u64);
    let hash = (scope.wrapping_mul(SPREAD).rotate_left(32) ^ history.index() as u64).wrapping_mul(SPREAD);
    hash ^ hash >> 32
}

#[derive(Default)]
struct SessionAssigner {
    threads: Threads,
    /// How many threads each session has that a trace names, …
    named: Vec<u32>,
    /// … and each other one.
    derived: HashMap<Option<Arc<str>>, u32, NameHashing>,
    /// The derived session that each sender_key is in, and when it was last seen.
    active: HashMap<SenderKey, ActiveSession, NameHashing>,
}

struct ActiveSession {
    session: Arc<str>,
    last: Timestamp,
}

impl SessionAssigner {
    fn assign(&mut self, entry: &mut UnassignedRequest, histories: &HistoryTree, keys: &SessionKeys) {
        let UnassignedRequest { request, place: Place { history, key, agent }, .. } = entry;
        let scope = ThreadScope { key: *key, agent: *agent, kind: request.kind };
        let continued = histories.prefixes(*history).find_map(|prefix| self.threads.take(scope, prefix));
        let thread = continued.and_then(|thread| self.threads.all.get(thread));
        let derived = match (keys.sender_key(*key), request.timestamp) {
            (Some(sender_key), Some(now)) => {
                let grown = thread.filter(|thread| thread.history != *history);
                let conversation = grown.filter(|_| request.kind == Kind::Conversation);
                let continued = conversation.and_then(|thread| thread.derived.clone());
                Some(self.derived_session(sender_key, now, continued))
            }
            (Some(_), None) => thread.and_then(|thread| thread.derived.clone()),
            (None, _) => None,
        };
        if request.session.is_none() {
            request.session.clone_from(&derived);
        }
        let is_same =
            |thread: &usize| self.threads.all.get(*thread).is_some_and(|thread| thread.derived == derived);
        let thread = match continued.filter(is_same) {
            Some(thread) => thread,
            None => self.new_thread(scope, *history, request.session.as_deref(), derived),
        };
        if let Some(thread) = self.threads.put(thread, *history) {
            request.thread = Some(thread.name.clone());
            request.turn = thread.length;
            thread.length = thread.length.saturating_add(1);
        }
    }

    /// The derived session of a sender_key at a time: the one that a conversation
    /// continues, else the present one, else a new one.
    fn derived_session(
        &mut self,
        sender_key: &SenderKey,
        now: Timestamp,
        continued: Option<Arc<str>>,
    ) -> Arc<str> {
        let present = self
            .active
            .get(sender_key)
            .filter(|session| now.ms_since(session.last) <= PAUSE_MS)
            .map(|session| session.session.clone());
        let session = continued.or(present).unwrap_or_else(|| derived_name(sender_key, now));
        self.active.insert(sender_key.clone(), ActiveSession { session: session.clone(), last: now });
        session
    }

    fn new_thread(
        &mut self,
        scope: ThreadScope,
        history: HistoryId,
        session: Option<&str>,
        derived: Option<Arc<str>>,
    ) -> usize {
        let number = match scope.key {
            SessionKey::Session(session) => self.named.get_mut(session as usize),
            SessionKey::SenderKey(_) => Some(self.derived.entry(derived.clone()).or_default()),
        };
        let number = number.map_or(0, |number| {
            *number += 1;
            *number
        });
        let name = [session.unwrap_or("unknown"), "#", &number.to_string()].concat().into();
        self.threads.all.push(Thread { scope, derived, name, history, length: 0 });
        self.threads.all.len() - 1
    }
}

/// `derived-<time of its first request>-<six hexadecimal digits of mode and user>`.
fn derived_name((mode, user): &SenderKey, first: Timestamp) -> Arc<str> {
    let user = user.map(|user| user.hash().to_le_bytes()).unwrap_or_default();
    let sender_key = Identity::of_parts([mode.as_deref().unwrap_or_default().as_bytes(), &user]);
    let time: String = first.to_string().chars().filter(|c| !matches!(c, '-' | ':' | '.')).collect();
    format!("derived-{time}-{:06x}", sender_key.hash() & 0xFF_FFFF).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_go_on_from_their_newest_history_and_never_from_none() {
        let scope = ThreadScope { key: SessionKey::Session(0), agent: None, kind: Kind::Conversation };
        let mut histories = HistoryTree::default();
        let history = histories.insert(&[Identity::of_hash(1)]);
        let mut threads = Threads { counts: vec![0; histories.len()], ..Threads::default() };
        for (number, newest) in [history, HistoryTree::ROOT, HistoryTree::ROOT].into_iter().enumerate() {
            let name = Arc::from("name");
            threads.all.push(Thread { scope, derived: None, name, history: newest, length: 0 });
            threads.put(number, newest).unwrap();
        }
        assert_eq!(threads.tips.len(), 1);
        assert_eq!(threads.take(ThreadScope { kind: Kind::Background, ..scope }, history), None);
        assert_eq!(threads.take(scope, history), Some(0));
        assert_eq!(threads.take(scope, history), None, "it was taken out");
    }

    /// The session of each request of one conversation, where no trace names one: so many
    /// minutes after the first, with so many messages.
    fn sessions(requests: [(i64, usize); 2]) -> [Arc<str>; 2] {
        let folder = tempfile::tempdir().unwrap();
        for (minutes, count) in requests {
            let stamp = Timestamp::from_unix_ms(1_763_260_245_000 + minutes * 60_000).unwrap();
            let message = |at| format!(r#"{{"role":"{}","content":"{at}"}}"#, ["user", "assistant"][at % 2]);
            let messages: Vec<String> = (0..count).map(message).collect();
            let (tools, messages) = (r#"[{"name":"Bash"}]"#, messages.join(","));
            let body = format!(r#"{{"system":"Be brief.","tools":{tools},"messages":[{messages}]}}"#);
            let trace = format!(r#"{{"timestamp":"{stamp}","mode":"lmstudio","request":{{"body":{body}}}}}"#);
            std::fs::write(folder.path().join(format!("{minutes:04}.json")), trace).unwrap();
        }
        let recording = crate::recording::RequestSet::read(&crate::Store::default(), [folder.path()]);
        let sessions: Vec<Arc<str>> =
            recording.requests.iter().map(|request| request.session.clone().unwrap()).collect();
        sessions.try_into().unwrap()
    }

    #[test]
    fn only_a_conversation_that_grows_outlives_a_pause() {
        let [first, grown] = sessions([(0, 1), (31, 3)]);
        assert_eq!(first, grown);
        let [first, again] = sessions([(0, 1), (31, 1)]);
        assert_ne!(first, again, "the same words may be said in another session");
        let [first, again] = sessions([(0, 1), (30, 1)]);
        assert_eq!(first, again, "half an hour is no pause");
    }
}
