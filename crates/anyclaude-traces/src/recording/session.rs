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
use crate::recording::assemble::{SessionClues, UnassignedRequest};
use crate::recording::history::{HistoryId, HistoryTree};

/// A pause that ends a session whose id is unknown, in milliseconds.
const PAUSE_MS: i64 = 30 * 60 * 1000;

/// Assigns a session and a thread to every request. `requests` are in order of time.
pub(crate) fn assign(requests: &mut [UnassignedRequest], histories: &HistoryTree, keys: &SessionKeys) {
    let threads = Threads { counts: vec![0; histories.len()], ..Threads::default() };
    let mut assigner =
        SessionAssigner { threads, named: vec![0; keys.sessions.len()], ..SessionAssigner::default() };
    for unassigned in requests {
        assigner.assign(unassigned, histories, keys);
    }
}

/// Mode and user. Requests with the same ones may share a derived session.
type SenderKey = (Option<Arc<str>>, Option<Identity>);

/// Which requests may belong to one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionKey {
    /// Those whose traces name the same session, by its number in [`SessionKeys`].
    Session(u32),
    /// Those whose traces name no session, but have the same mode and user.
    Sender(u32),
}

/// Numbers the sessions that traces name, and the senders of the others.
#[derive(Debug, Default)]
pub(crate) struct SessionKeys {
    sessions: Interner<str>,
    senders: Interner<SenderKey>,
}

impl SessionKeys {
    /// The key of a request. Replaces the session's name by its interned copy.
    pub(crate) fn of(&mut self, sender: &mut Sender, mode: Option<&Arc<str>>) -> SessionKey {
        match &mut sender.session_id {
            Some(session) => SessionKey::Session(self.sessions.unify(session)),
            None => {
                let sender = (mode.cloned(), sender.user);
                SessionKey::Sender(self.senders.number(&sender, || Arc::new(sender.clone())))
            }
        }
    }

    fn sender(&self, key: SessionKey) -> Option<&SenderKey> {
        match key {
            SessionKey::Session(_) => None,
            SessionKey::Sender(number) => self.senders.get(number).map(Arc::as_ref),
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
    /// Its derived session; `None` where the trace names one.
    derived: Option<Arc<str>>,
    name: Arc<str>,
    /// Its newest history.
    history: HistoryId,
    /// The number of its requests.
    length: u32,
}

/// All threads, and which of them can be continued.
#[derive(Default)]
struct Threads {
    all: Vec<Thread>,
    /// The threads that can be continued, by scope and newest history.
    tips: HashTable<usize>,
    /// For each history, how many entries of `tips` have it. Most have none, and reading a
    /// count is faster than a lookup that fails.
    counts: Vec<u32>,
}

impl Threads {
    /// Removes the thread with this newest history from `tips`, and returns it.
    fn take(&mut self, scope: ThreadScope, history: HistoryId) -> Option<usize> {
        let count = self.counts.get_mut(history.index()).filter(|count| **count > 0)?;
        let is_it = |thread: &usize| {
            self.all.get(*thread).is_some_and(|thread| thread.scope == scope && thread.history == history)
        };
        let (thread, _) = self.tips.find_entry(tip_hash(scope, history), is_it).ok()?.remove();
        *count -= 1;
        Some(thread)
    }

    /// Makes `history` the newest history of a thread, which is new or was taken, so that it
    /// can be continued from there.
    fn put(&mut self, thread: usize, history: HistoryId) -> Option<&mut Thread> {
        let grown = self.all.get_mut(thread)?;
        grown.history = history;
        // Empty histories are never continued. Indexing them would fill one hot bucket.
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

/// Mixes all bits into the lower ones, which pick the bucket: many sessions may begin with
/// the same message.
fn tip_hash(scope: ThreadScope, history: HistoryId) -> u64 {
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let (number, is_sender) = match scope.key {
        SessionKey::Session(number) => (number, 0),
        SessionKey::Sender(number) => (number, 1),
    };
    let agent = u64::from(scope.agent.map_or(0, |agent| agent.wrapping_add(1)));
    let scope = agent << 35 ^ (u64::from(number) << 3 | is_sender << 2 | scope.kind as u64);
    let hash = (scope.wrapping_mul(SPREAD).rotate_left(32) ^ history.index() as u64).wrapping_mul(SPREAD);
    hash ^ hash >> 32
}

#[derive(Default)]
struct SessionAssigner {
    threads: Threads,
    /// The number of threads of each session that a trace names.
    named: Vec<u32>,
    /// The number of threads of each derived session.
    derived: HashMap<Option<Arc<str>>, u32, NameHashing>,
    /// The derived session that each sender used last.
    active: HashMap<SenderKey, ActiveSession, NameHashing>,
}

struct ActiveSession {
    session: Arc<str>,
    /// The time of its last request.
    last: Timestamp,
}

impl SessionAssigner {
    fn assign(&mut self, unassigned: &mut UnassignedRequest, histories: &HistoryTree, keys: &SessionKeys) {
        let UnassignedRequest { request, place: SessionClues { history, key, agent }, .. } = unassigned;
        let scope = ThreadScope { key: *key, agent: *agent, kind: request.kind };
        let continued = histories.prefixes(*history).find_map(|prefix| self.threads.take(scope, prefix));
        let thread = continued.and_then(|thread| self.threads.all.get(thread));
        let derived = match (keys.sender(*key), request.timestamp) {
            (Some(sender), Some(now)) => {
                let grown = thread.filter(|thread| thread.history != *history);
                let conversation = grown.filter(|_| request.kind == Kind::Conversation);
                let continued = conversation.and_then(|thread| thread.derived.clone());
                Some(self.derived_session(sender, now, continued))
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
            request.bookkeeping.turn = thread.length;
            thread.length = thread.length.saturating_add(1);
        }
    }

    /// The derived session of a sender's request at `now`: that of the thread which the
    /// request continues, else the sender's last one unless the pause was too long, else a
    /// new one.
    fn derived_session(
        &mut self,
        sender: &SenderKey,
        now: Timestamp,
        continued: Option<Arc<str>>,
    ) -> Arc<str> {
        let present = self
            .active
            .get(sender)
            .filter(|session| now.ms_since(session.last) <= PAUSE_MS)
            .map(|session| session.session.clone());
        let session = continued.or(present).unwrap_or_else(|| derived_name(sender, now));
        self.active.insert(sender.clone(), ActiveSession { session: session.clone(), last: now });
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
            SessionKey::Sender(_) => Some(self.derived.entry(derived.clone()).or_default()),
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
    let sender = Identity::of_parts([mode.as_deref().unwrap_or_default().as_bytes(), &user]);
    let time: String = first.to_string().chars().filter(|c| !matches!(c, '-' | ':' | '.')).collect();
    format!("derived-{time}-{:06x}", sender.hash() & 0xFF_FFFF).into()
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
        assert_ne!(first, again, "an equal message may belong to another session");
        let [first, again] = sessions([(0, 1), (30, 1)]);
        assert_eq!(first, again, "a pause of half an hour does not end a session");
    }
}
