//! What a recording lacks, as far as its receipt tells, and what may be the reason.

use crate::receipt::Receipt;
use crate::refusal::Refusal;
use crate::settings::Override;

/// What a recording lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortcoming {
    /// Neither a body nor an event: the client was not told to record, sent no request, or
    /// is no Claude Code.
    Nothing(Vec<Reason>),
    /// Bodies, but nothing that tells times and tokens.
    NoEvents(Vec<Reason>),
    /// Events, but no bodies.
    NoBodies(Vec<Reason>),
    /// Events, but no spans: times to the first token may be missing.
    NoSpans(Vec<Reason>),
    /// Posts were refused.
    Refused(Refusal, u64),
    /// Posts could not be written.
    Lost(u64, String),
    /// Bodies were removed instead of being replaced, as they are no JSON.
    BodiesRemoved(u64),
}

/// What may be the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Settings set this variable otherwise.
    Override(Override),
    /// The client sends protobuf.
    Protobuf,
    /// The program is not Claude Code by its name: what it starts has the variables in its
    /// environment only.
    OtherProgram,
}

impl Receipt {
    /// What this recording lacks. `overrides` are the settings that may be the reason.
    #[must_use]
    pub fn shortcomings(&self, overrides: &[Override]) -> Vec<Shortcoming> {
        let has_bodies = self.bodies.requests > 0;
        let has_events = self.arrived.events > 0;
        let reasons = || self.reasons(overrides);
        let mut found = Vec::new();
        match (has_bodies, has_events) {
            (false, false) if self.arrived.spans == 0 => found.push(Shortcoming::Nothing(reasons())),
            (true, false) => found.push(Shortcoming::NoEvents(reasons())),
            (false, _) if self.arrived.requests + self.arrived.request_bodies > 0 => {
                found.push(Shortcoming::NoBodies(reasons()));
            }
            _ => {}
        }
        if self.arrived.requests > 0 && self.arrived.spans == 0 {
            found.push(Shortcoming::NoSpans(reasons()));
        }
        found.extend(self.refused.iter().map(|(refusal, times)| Shortcoming::Refused(*refusal, *times)));
        if self.lost > 0 {
            let because = self.lost_because.clone().unwrap_or_default();
            found.push(Shortcoming::Lost(self.lost, because));
        }
        if self.bodies_removed > 0 {
            found.push(Shortcoming::BodiesRemoved(self.bodies_removed));
        }
        found
    }

    fn reasons(&self, overrides: &[Override]) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = overrides.iter().cloned().map(Reason::Override).collect();
        if self.refused.contains_key(&Refusal::NotJson) {
            reasons.push(Reason::Protobuf);
        }
        let is_other = |command: &String| !crate::variables::is_claude(command.as_ref());
        if self.command.as_ref().is_some_and(is_other) {
            reasons.push(Reason::OtherProgram);
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use anyclaude_traces::Timestamp;

    use super::*;
    use crate::folder::Bodies;
    use crate::otlp::Arrived;

    /// What a recording with so many bodies, requests and spans lacks.
    fn lacks(bodies: u64, requests: u64, spans: u64) -> Vec<&'static str> {
        let receipt = Receipt {
            schema_version: 1,
            recording: "claude_code",
            recorder: String::new(),
            started: Timestamp::UNIX_EPOCH,
            ended: None,
            port: 0,
            command: Some("claude".to_owned()),
            exit: None,
            variables: Default::default(),
            no_bodies: false,
            bodies: Bodies { requests: bodies, ..Bodies::default() },
            bodies_removed: 0,
            arrived: Arrived { events: requests, requests, spans, ..Arrived::default() },
            posts: Vec::new(),
            posts_not_listed: 0,
            refused: Default::default(),
            lost: 0,
            lost_because: None,
        };
        let name = |shortcoming: &Shortcoming| match shortcoming {
            Shortcoming::Nothing(_) => "nothing",
            Shortcoming::NoEvents(_) => "no events",
            Shortcoming::NoBodies(_) => "no bodies",
            Shortcoming::NoSpans(_) => "no spans",
            _ => "other",
        };
        receipt.shortcomings(&[]).iter().map(name).collect()
    }

    #[test]
    fn what_is_there_is_not_missed() {
        assert_eq!(lacks(2, 2, 3), [] as [&str; 0]);
        assert_eq!(lacks(0, 0, 0), ["nothing"]);
        assert_eq!(lacks(2, 0, 0), ["no events"]);
        assert_eq!(lacks(2, 0, 3), ["no events"]);
        assert_eq!(lacks(0, 2, 3), ["no bodies"]);
        assert_eq!(lacks(0, 2, 0), ["no bodies", "no spans"]);
        assert_eq!(lacks(2, 2, 0), ["no spans"]);
    }
}
