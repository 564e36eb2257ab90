//! The five points of anyclaude's performance guide: for each model either figures, or why there
//! are none and how to get them.

use std::fmt;

use std::borrow::Cow;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use super::ReportSide;
use crate::analysis::explain::{Direct, Doubt};
use crate::analysis::not_logged::RECORD;
use crate::model::measure::{Measure, Unit, Value};
use crate::model::request::{Request, Source};
use crate::model::stats::Stats;
use crate::model::timing::Outcome;

/// What to do where nothing was measured without the proxy.
const MEASURE: &str = "load the model and send a recorded request straight to the server";

/// What the guide asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// How many keepalives were sent while waiting.
    Keepalives,
    /// How fast the model writes without the proxy.
    TokensPerSecondDirect,
    /// How fast it writes through anyclaude.
    TokensPerSecondThroughAnyclaude,
    /// How large the prompts are.
    PromptSizes,
    /// How many events and parts the answers had.
    ChunkCounts,
}

impl CheckKind {
    /// All of them, in the guide's order.
    pub const ALL: [Self; 5] = [
        Self::Keepalives,
        Self::TokensPerSecondDirect,
        Self::TokensPerSecondThroughAnyclaude,
        Self::PromptSizes,
        Self::ChunkCounts,
    ];

    fn measures(self) -> &'static [Measure] {
        match self {
            Self::Keepalives => &[Measure::Keepalives],
            Self::TokensPerSecondDirect => &[],
            Self::TokensPerSecondThroughAnyclaude => &[Measure::ReportedTokensPerSecond],
            Self::PromptSizes => &[
                Measure::BodyBytes,
                Measure::SystemChars,
                Measure::ToolCount,
                Measure::ToolsBytes,
                Measure::MessageCount,
                Measure::MessagesBytes,
                Measure::PromptTokens,
            ],
            Self::ChunkCounts => &[Measure::Events, Measure::Parts],
        }
    }
}

/// One of the five, with what is known of each model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Check {
    /// What it asks.
    pub topic: CheckKind,
    /// For each model, in the order in which they are compared.
    pub answers: Vec<Answer>,
}

/// What is known of one model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The model.
    pub model: String,
    /// How many requests it answered.
    pub requests: u64,
    /// The figures, or why there are none.
    pub finding: CheckResult,
}

/// Figures, or why there are none.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckResult {
    /// At least one of these is known.
    Known(Vec<Figure>),
    /// Why there are none, and how to find out.
    Unknown(WhyUnknown),
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (figures, unknown) = match &self.finding {
            CheckResult::Known(figures) => (Some(figures), None),
            CheckResult::Unknown(why) => (None, Some(why)),
        };
        let mut answer = serializer.serialize_struct("Answer", 4)?;
        answer.serialize_field("model", &self.model)?;
        answer.serialize_field("requests", &self.requests)?;
        answer.serialize_field("figures", &figures)?;
        answer.serialize_field("unknown", &unknown)?;
        answer.end()
    }
}

/// How a measure is spread over a model's requests.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Figure {
    /// The measure, or `output_tokens_per_second` of a replay.
    pub name: Cow<'static, str>,
    /// What it counts.
    #[serde(skip)]
    pub unit: Unit,
    /// `None` where no request's value is known.
    pub stats: Option<Stats<Value>>,
}

impl Figure {
    fn of(measure: Measure, requests: &[&Request]) -> Self {
        let stats = Stats::of(requests.iter().filter_map(|request| measure.of(request)));
        Self { name: measure.name().into(), unit: measure.unit(), stats }
    }
}

pub(super) fn points(sides: &[ReportSide<'_>]) -> Vec<Check> {
    let answer = |topic: CheckKind, side: &ReportSide<'_>| Answer {
        model: side.name.clone(),
        requests: side.requests.len() as u64,
        finding: finding(topic, side),
    };
    let point =
        |topic: CheckKind| Check { topic, answers: sides.iter().map(|side| answer(topic, side)).collect() };
    CheckKind::ALL.into_iter().map(point).collect()
}

fn finding(topic: CheckKind, side: &ReportSide<'_>) -> CheckResult {
    let mut figures: Vec<Figure> =
        topic.measures().iter().map(|&measure| Figure::of(measure, &side.requests)).collect();
    if topic == CheckKind::TokensPerSecondDirect {
        let direct = side.direct.as_ref().filter(|direct| other_model(direct).is_none());
        let speed = direct.and_then(|direct| direct.output_tokens_per_second);
        let stats = Stats::of(speed.map(Value::Rate));
        figures.push(Figure { name: "output_tokens_per_second".into(), unit: Unit::PerSecond, stats });
    }
    // A server's own log tells a speed that went through nothing.
    let is_asked_of_proxy = topic == CheckKind::TokensPerSecondThroughAnyclaude && !has_proxy(side);
    if !is_asked_of_proxy && figures.iter().any(|figure| figure.stats.is_some()) {
        return CheckResult::Known(figures);
    }
    CheckResult::Unknown(why_unknown(topic, side))
}

/// Whether any of the requests went through anyclaude.
fn has_proxy(side: &ReportSide<'_>) -> bool {
    side.requests.iter().any(|request| request.source == Source::Anyclaude)
}

/// The model that was measured, where it is not the one that was recorded.
fn other_model(direct: &Direct) -> Option<&str> {
    match &direct.doubt {
        Some(Doubt::OtherModel(model)) => Some(model),
        _ => None,
    }
}

/// Why nothing is known. Serialised as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyUnknown {
    /// A sentence that was read back from JSON.
    Text(String),
    /// There are no requests.
    NoRequests,
    /// Nothing was sent straight to the server.
    NotMeasured,
    /// Nothing could be sent there: the body of no request is known.
    NoBody,
    /// What was sent there was answered by another model.
    OtherModel(String),
    /// The backend counted no tokens.
    NoTokenCounts,
    /// The requests went to Anthropic.
    ClaudeMode,
    /// No proxy stood between client and server.
    NoProxy,
    /// There is no log of the requests.
    NoLog,
    /// Debug level 1 does not log it.
    FirstLevel,
    /// No streamed request has an end.
    NoEnd,
}

fn why_unknown(topic: CheckKind, side: &ReportSide<'_>) -> WhyUnknown {
    let all = |is: fn(&Request) -> bool| side.requests.iter().all(|request| is(request));
    let is_completed = |request: &Request| {
        request.timing.as_ref().is_some_and(|timing| timing.outcome == Some(Outcome::Completed))
    };
    match topic {
        CheckKind::PromptSizes => WhyUnknown::NoRequests,
        _ if side.requests.is_empty() => WhyUnknown::NoRequests,
        CheckKind::TokensPerSecondDirect => match &side.direct {
            Some(direct) => other_model(direct)
                .map_or(WhyUnknown::NoTokenCounts, |model| WhyUnknown::OtherModel(model.to_owned())),
            None if all(|request| !request.has_body()) => WhyUnknown::NoBody,
            None => WhyUnknown::NotMeasured,
        },
        _ if all(|request| request.mode.as_deref() == Some("claude")) => WhyUnknown::ClaudeMode,
        _ if !has_proxy(side) => WhyUnknown::NoProxy,
        _ if all(|request| request.join.is_none()) => WhyUnknown::NoLog,
        _ if !side.requests.iter().any(|request| is_completed(request)) => WhyUnknown::NoEnd,
        CheckKind::Keepalives => WhyUnknown::FirstLevel,
        CheckKind::TokensPerSecondThroughAnyclaude => WhyUnknown::NoTokenCounts,
        CheckKind::ChunkCounts => WhyUnknown::NoEnd,
    }
}

impl fmt::Display for WhyUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::NoRequests => f.write_str("there are no requests"),
            Self::NotMeasured => write!(f, "not measured: {MEASURE}"),
            Self::NoBody => f.write_str("not measured: no body is known that could be sent again"),
            Self::OtherModel(model) => write!(f, "the replay is of {model}: {MEASURE}"),
            Self::NoTokenCounts => {
                write!(f, "the backend told no token counts: turn usage on in its server, or {RECORD}")
            }
            Self::ClaudeMode => f.write_str("mode claude logs nothing of it, as no local model runs"),
            Self::NoProxy => f.write_str("no proxy stood between client and server"),
            Self::NoLog => write!(f, "no log tells of these requests: {RECORD}"),
            Self::FirstLevel => write!(f, "debug level 1 logs none: {RECORD}"),
            Self::NoEnd => {
                write!(f, "no streamed request has an end in the log: let some finish, and {RECORD}")
            }
        }
    }
}

impl Serialize for WhyUnknown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
