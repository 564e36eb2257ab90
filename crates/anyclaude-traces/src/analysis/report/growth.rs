//! How the prompt of a session grew, section by section.

use std::cmp::Reverse;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::analysis::prefix::{Cause, PrefixReport, PrefixRequest};
use crate::model::Amount;
use crate::model::group::group_by;
use crate::model::intern::FastMap;
use crate::model::request::{Request, TracePath};
use crate::model::time::Timestamp;

/// How many sessions are shown.
const MOST_SESSIONS: usize = 4;
/// How many of a session's prompts are shown.
const MOST_PROMPTS: usize = 400;

/// The sessions with most requests, each with two or more, and how many others there
/// are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Growth {
    /// In order of time.
    pub sessions: Vec<SessionSections>,
    /// How many sessions are left out.
    pub other_sessions: u64,
}

/// The prompts of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SessionSections {
    /// The session; `None` for requests of which no session is known.
    pub id: Option<Arc<str>>,
    /// How many requests it has.
    pub requests: u64,
    /// Its first request's timestamp.
    pub first: Option<Timestamp>,
    /// Its last request's timestamp.
    pub last: Option<Timestamp>,
    /// Its recorded prompts in order of time; of a long session the first, the last, and the
    /// largest of each few between them.
    pub prompts: Vec<PromptSections>,
    /// What a prompt cache could have reused of all its prompts; `None` where that was not
    /// worked out.
    #[serde(default)]
    pub reuse: Option<SessionReuse>,
}

/// What a simulated prompt cache could have reused in one session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SessionReuse {
    /// The bytes of the elements of all prompts.
    pub prompt_bytes: u64,
    /// Of these, what the cache still held.
    pub reusable_bytes: u64,
    /// What was read again although an earlier turn had it.
    pub lost_bytes: u64,
    /// How many prompts lost something.
    pub broken: u64,
}

/// What a simulated prompt cache could have reused of one prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PromptReuse {
    /// The bytes of its elements.
    pub prompt_bytes: u64,
    /// Of these, what the cache still held.
    pub reusable_bytes: u64,
    /// What is read again although an earlier turn had it.
    pub lost_bytes: u64,
    /// Why; `None` where nothing is read again.
    pub cause: Option<Cause>,
}

/// A prompt by section. The four add up to `body_bytes`, where all are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PromptSections {
    /// Which request of the session it is, counted from 1.
    pub request: u64,
    /// Compact JSON of the system prompt.
    pub system_bytes: Amount,
    /// Compact JSON of the tools.
    pub tools_bytes: Amount,
    /// Compact JSON of the messages.
    pub messages_bytes: Amount,
    /// The rest of the body.
    pub other_bytes: Amount,
    /// What of it could have been reused; `None` where that was not worked out.
    #[serde(default)]
    pub reuse: Option<PromptReuse>,
}

impl PromptSections {
    fn of(at: usize, request: &Request, reuse: Option<&PrefixRequest>) -> Self {
        let sizes = &request.sizes;
        Self {
            request: at as u64 + 1,
            system_bytes: sizes.system_bytes,
            tools_bytes: sizes.tools_bytes,
            messages_bytes: sizes.messages_bytes,
            other_bytes: sizes.other_bytes,
            reuse: reuse.map(PromptReuse::of),
        }
    }

    /// The whole prompt.
    #[must_use]
    pub fn body_bytes(&self) -> Amount {
        self.system_bytes + self.tools_bytes + self.messages_bytes + self.other_bytes
    }

    /// As much of the prompt as was recorded.
    #[must_use]
    pub fn recorded_bytes(&self) -> u64 {
        let parts = [self.system_bytes, self.tools_bytes, self.messages_bytes, self.other_bytes];
        parts.into_iter().filter_map(Amount::get).sum()
    }
}

impl PromptReuse {
    fn of(row: &PrefixRequest) -> Self {
        let cause = row.break_.as_ref().map(|broken| broken.cause).filter(|_| row.lost_bytes > 0);
        Self {
            prompt_bytes: row.prompt_bytes,
            reusable_bytes: row.reusable_bytes,
            lost_bytes: row.lost_bytes,
            cause,
        }
    }
}

/// How the prompts of the largest sessions grew. `requests` are in order of time.
pub(super) fn growth(requests: &[&Request], prefix: Option<&PrefixReport>) -> Growth {
    let mut sessions: Vec<_> =
        group_by(requests, |request| request.session.clone()).into_iter().enumerate().collect();
    sessions.sort_by_key(|(place, (_, members))| (Reverse(members.len()), *place));
    let all = sessions.len();
    sessions.truncate(MOST_SESSIONS);
    sessions.retain(|(_, (_, members))| members.len() > 1);
    let other_sessions = (all - sessions.len()) as u64;
    sessions.sort_by_key(|(place, _)| *place);
    let sessions = sessions.into_iter().map(|(_, (id, members))| sections(id, &members, prefix)).collect();
    Growth { sessions, other_sessions }
}

fn sections(id: Option<Arc<str>>, members: &[&Request], prefix: Option<&PrefixReport>) -> SessionSections {
    let rows = prefix.into_iter().flat_map(|prefix| &prefix.requests).filter(|row| row.session == id);
    let rows: FastMap<&TracePath, &PrefixRequest> = rows.map(|row| (&row.path, row)).collect();
    let row = |request: &Request| rows.get(&request.path).copied();
    let recorded = members.iter().enumerate().filter(|(_, request)| request.sizes.prompt_bytes().is_known());
    let prompts: Vec<PromptSections> =
        recorded.map(|(at, request)| PromptSections::of(at, request, row(request))).collect();
    SessionSections {
        id,
        requests: members.len() as u64,
        first: members.iter().find_map(|request| request.timestamp),
        last: members.iter().rev().find_map(|request| request.timestamp),
        reuse: session_reuse(members.iter().filter_map(|request| row(request))),
        prompts: thinned(&prompts),
    }
}

/// What all prompts of a session could reuse together.
fn session_reuse<'p>(rows: impl Iterator<Item = &'p PrefixRequest>) -> Option<SessionReuse> {
    rows.fold(None, |sum, row| {
        let sum: SessionReuse = sum.unwrap_or_default();
        Some(SessionReuse {
            prompt_bytes: sum.prompt_bytes + row.prompt_bytes,
            reusable_bytes: sum.reusable_bytes + row.reusable_bytes,
            lost_bytes: sum.lost_bytes + row.lost_bytes,
            broken: sum.broken + u64::from(row.lost_bytes > 0),
        })
    })
}

/// At most so many prompts: the first, the last, and between them the largest of each
/// few that follow one another.
fn thinned(prompts: &[PromptSections]) -> Vec<PromptSections> {
    let [first, between @ .., last] = prompts else { return prompts.to_vec() };
    let few = between.len().div_ceil(MOST_PROMPTS - 2).max(1);
    let largest = |few: &[PromptSections]| few.iter().max_by_key(|prompt| prompt.recorded_bytes()).copied();
    [*first].into_iter().chain(between.chunks(few).filter_map(largest)).chain([*last]).collect()
}
