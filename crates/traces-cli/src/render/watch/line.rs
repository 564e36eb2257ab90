//! Events as lines of text.

use std::collections::HashMap;

use anyclaude_traces::follow::{Began, Ended, Event, FirstToken, Found, Keepalive, Passed};
use anyclaude_traces::model::measure::{Measure, Unit};
use anyclaude_traces::model::request::RequestId;

use super::words;
use crate::render::{findings, list, sanitize, units};

/// Makes lines of events. It keeps the expected time of each request, to print it beside
/// the real one.
#[derive(Debug, Default)]
pub(crate) struct EventLines {
    expected_ms: HashMap<RequestId, u64>,
}

impl EventLines {
    /// The line of an event, without control characters.
    pub(crate) fn of(&mut self, event: &Event) -> String {
        let (name, words) = match event {
            Event::Request(began) => ("request", self.began(began)),
            Event::Keepalive(Keepalive { id, n, waiting_ms, .. }) => {
                ("keepalive", format!("{id} number {n}, waiting for {}", units::ms(Some(*waiting_ms))))
            }
            Event::FirstToken(first_token) => ("first token", self.first_token(first_token)),
            Event::Completed(ended) => ("completed", self.ended(ended)),
            Event::Failed(ended) => ("failed", self.ended(ended)),
            Event::Finding(found) => ("finding", finding(found)),
            Event::Skipped(Passed { skipped, .. }) => {
                ("skipped", format!("{}: {}: {}", skipped.path, skipped.reason.name(), skipped.detail))
            }
            _ => return String::new(),
        };
        let line = format!("{}  {name:<11}  {words}", units::time_of_day(event.at()));
        sanitize::line(&line).into_owned()
    }

    fn began(&mut self, began: &Began) -> String {
        let Began { request, prefix, expected_read_tokens, expected_ttft_ms, .. } = began;
        if let Some(ms) = expected_ttft_ms {
            self.expected_ms.insert(request.id, *ms);
        }
        let mut words = format!(
            "{} {}, {}, {}",
            request.id,
            list::model(request),
            request.kind.name(),
            units::size(request.sizes.body_bytes, Unit::Bytes),
        );
        if let Some(row) = prefix {
            words += &format!(", {}", words::to_read(request, row, *expected_read_tokens));
        }
        if let Some(ms) = expected_ttft_ms {
            words += &format!("; first token in ~{}", units::ms(Some(*ms)));
        }
        words
    }

    fn first_token(&self, first_token: &FirstToken) -> String {
        let FirstToken { id, ttft_ms, .. } = first_token;
        let expected = self.expected_ms.get(id).map(|ms| format!(", expected ~{}", units::ms(Some(*ms))));
        format!("{id} after {}{}", units::ms(Some(*ttft_ms)), expected.unwrap_or_default())
    }

    fn ended(&mut self, ended: &Ended) -> String {
        let request = &ended.request;
        self.expected_ms.remove(&request.id);
        let figure = |measure: Measure| measure.of(request).map(|value| units::show(value, measure.unit()));
        let mut words = format!("{} {}", request.id, list::model(request));
        if let Some(how) = words::outcome(request).filter(|how| how != "completed") {
            words += &format!(", {how}");
        }
        if let Some(total) = figure(Measure::TotalMs) {
            words += &format!(" after {total}");
        }
        let parts = [
            ("first token", figure(Measure::TtftMs)),
            ("output tokens", figure(Measure::OutputTokens)),
            ("tok/s", figure(Measure::ReportedTokensPerSecond)),
        ];
        for (name, figure) in parts {
            if let Some(figure) = figure {
                words += &format!(", {name} {figure}");
            }
        }
        if let Some(error) = request.timing.as_ref().and_then(|timing| timing.error.as_deref()) {
            words += &format!(": {error}");
        }
        words
    }
}

fn finding(found: &Found) -> String {
    let finding = &found.finding;
    let advice = finding.advice.as_ref().map(|advice| format!(" → {advice}")).unwrap_or_default();
    format!("{}: {}{advice}", findings::cost(finding), finding.evidence)
}
