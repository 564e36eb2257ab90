//! What a recording lacks, as far as its receipt tells, and what may be the reason.

use crate::receipt::Receipt;
use crate::refusal::Refusal;
use crate::settings::Override;
use crate::variables::RAW_BODIES;

/// What a recording lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortcoming {
    /// Neither a body nor an event: the client was not told to record, sent no request, or
    /// is no Claude Code.
    Nothing,
    /// Bodies, but nothing that tells times and tokens.
    NoEvents,
    /// Events, but no bodies.
    NoBodies,
    /// Events, but no spans: times to the first token may be missing.
    NoSpans,
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
    /// What this recording lacks.
    #[must_use]
    pub fn shortcomings(&self) -> Vec<Shortcoming> {
        let has_bodies = self.bodies.requests > 0;
        let has_events = self.arrived.events > 0;
        let mut found = Vec::new();
        match (has_bodies, has_events) {
            (false, false) if self.arrived.spans == 0 => found.push(Shortcoming::Nothing),
            (true, false) => found.push(Shortcoming::NoEvents),
            (false, _) if self.arrived.requests + self.arrived.request_bodies > 0 => {
                found.push(Shortcoming::NoBodies);
            }
            _ => {}
        }
        if self.arrived.requests > 0 && self.arrived.spans == 0 {
            found.push(Shortcoming::NoSpans);
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

    /// What may be the reasons for what is missing, of which each tells what it
    /// [may explain](Reason::may_explain). `overrides` are settings that may be among them.
    #[must_use]
    pub fn reasons(&self, overrides: &[Override]) -> Vec<Reason> {
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

impl Reason {
    /// Whether this may be why that is missing.
    #[must_use]
    pub fn may_explain(&self, missing: &Shortcoming) -> bool {
        let of_events = matches!(missing, Shortcoming::NoEvents | Shortcoming::Nothing);
        let of_spans = matches!(missing, Shortcoming::NoSpans | Shortcoming::Nothing);
        let of_bodies = matches!(missing, Shortcoming::NoBodies | Shortcoming::Nothing);
        match self {
            Self::Override(found) => match found.name.as_str() {
                RAW_BODIES => of_bodies,
                // Only what says what is told, and where metrics go.
                name if name.starts_with("OTEL_LOG_") || name.contains("METRICS") => false,
                // Bodies are written beside events.
                name if name.contains("_LOGS_") => of_events || of_bodies,
                name if name.contains("TRAC") || name.contains("TELEMETRY_BETA") => of_spans,
                _ => of_events || of_spans || of_bodies,
            },
            Self::Protobuf => of_events || of_spans,
            Self::OtherProgram => of_events || of_spans || of_bodies,
        }
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
            Shortcoming::Nothing => "nothing",
            Shortcoming::NoEvents => "no events",
            Shortcoming::NoBodies => "no bodies",
            Shortcoming::NoSpans => "no spans",
            _ => "other",
        };
        receipt.shortcomings().iter().map(name).collect()
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
    #[test]
    fn a_reason_explains_what_it_can_have_kept_away() {
        let missing =
            [Shortcoming::Nothing, Shortcoming::NoEvents, Shortcoming::NoBodies, Shortcoming::NoSpans];
        let explains = |reason: &Reason| missing.each_ref().map(|missing| reason.may_explain(missing));
        let of_variable = |name: &str| {
            let found = Override { path: "settings.json".into(), name: name.to_owned(), is_managed: false };
            explains(&Reason::Override(found))
        };
        for (name, explained) in [
            ("OTEL_LOG_RAW_API_BODIES", [true, false, true, false]),
            ("OTEL_LOGS_EXPORTER", [true, true, true, false]),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", [true, true, true, false]),
            ("OTEL_TRACES_EXPORTER", [true, false, false, true]),
            ("BETA_TRACING_ENDPOINT", [true, false, false, true]),
            ("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA", [true, false, false, true]),
            ("CLAUDE_CODE_ENABLE_TELEMETRY", [true; 4]),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", [true; 4]),
            ("OTEL_SDK_DISABLED", [true; 4]),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", [false; 4]),
            ("OTEL_LOG_USER_PROMPTS", [false; 4]),
        ] {
            assert_eq!(of_variable(name), explained, "{name}");
        }
        assert_eq!(explains(&Reason::Protobuf), [true, true, false, true]);
        assert_eq!(explains(&Reason::OtherProgram), [true; 4]);
        assert!(!Reason::OtherProgram.may_explain(&Shortcoming::BodiesRemoved(1)));
    }
}
