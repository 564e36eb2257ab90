//! Reads back what is serialised by hand, so that the JSON of every answer becomes the
//! same answer again. What is derived stands beside its type.
//!
//! Sentences come back as sentences: the facts behind them are not in the JSON.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::analysis::content::ParameterValue;
use crate::analysis::explain::{CitedFact, Fact, Headline, KeyAnswer, Missing};
use crate::analysis::not_logged::NotLogged;
use crate::analysis::prefix::ElementName;
use crate::analysis::report::{Answer, CheckResult, Figure, WhyUnknown};
use crate::analysis::show::ShownParameter;
use crate::findings;
use crate::formats::body::ElementPath;
use crate::model::group::Group;
use crate::model::measure::{Measure, Unit, Value};
use crate::model::request::{Kind, ModelSource, RequestId, TracePath};
use crate::model::scope::KindFilter;
use crate::model::stats::Stats;
use crate::model::time::Timestamp;
use crate::model::timing::{Confidence, Timing};
use crate::model::{Speeds, TimeBreakdown};
use crate::prompt_cache::View;
use crate::recording::join::UnmatchedLogRequest;

/// Reads types back from the text that they are written as.
macro_rules! from_text {
    ($($type:ty: |$text:ident| $parsed:expr;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let $text = Cow::<str>::deserialize(deserializer)?;
                $parsed
            }
        }
    )*};
}

from_text! {
    Timestamp: |text| text.parse().map_err(Error::custom);
    Measure: |text| text.parse().map_err(Error::custom);
    View: |text| text.parse().map_err(Error::custom);
    ElementName: |text| text.parse().map_err(Error::custom);
    TracePath: |text| Ok(Self::new(std::path::Path::new(text.as_ref())));
    RequestId: |text| text.parse().map_err(Error::custom);
    KindFilter: |text| {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == text).map(Self::Only);
        kind.or((text == "all").then_some(Self::All)).ok_or_else(|| Error::custom("no kind of request"))
    };
    Headline: |text| Ok(Self::Text(text.into_owned()));
    KeyAnswer: |text| Ok(Self::of_text(text.into_owned()));
    Missing: |text| Ok(Self::Text(text.into_owned()));
    NotLogged: |text| Ok(Self::Text(text.into_owned()));
    WhyUnknown: |text| Ok(Self::Text(text.into_owned()));
    CitedFact: |text| Ok(Self { fact: Fact::Text(text.into_owned()), requests: None });
    findings::Evidence: |text| Ok(Self::Text(text.into_owned()));
    findings::Advice: |text| Ok(Self::Text(text.into_owned()));
}

impl FromStr for ElementName {
    type Err = UnknownElement;

    fn from_str(text: &str) -> Result<Self, UnknownElement> {
        let number = |text: &str| text.strip_suffix(']')?.parse().ok();
        let path = if let Some(rest) = text.strip_prefix("system[") {
            number(rest).map(ElementPath::System)
        } else if let Some(rest) = text.strip_prefix("tools[") {
            number(rest).map(ElementPath::Tool)
        } else {
            text.strip_prefix("messages[").and_then(|rest| rest.split_once("].content[")).and_then(
                |(message, block)| {
                    Some(ElementPath::Block { message: message.parse().ok()?, block: number(block)? })
                },
            )
        };
        path.map(Self).ok_or(UnknownElement)
    }
}

/// The text names no element of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `system[N]`, `tools[N]` or `messages[N].content[N]`")]
pub struct UnknownElement;

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Number {
            Whole(i64),
            Rate(f64),
        }
        Ok(match Number::deserialize(deserializer)? {
            Number::Whole(whole) => Self::Whole(whole),
            Number::Rate(rate) => Self::Rate(rate),
        })
    }
}

/// A group's measures stand beside its other members.
impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Group;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a group of requests")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Group, A::Error> {
                let (mut name, mut requests) = (None, None);
                let (mut time, mut speeds): (Option<TimeBreakdown>, Option<Speeds>) = (None, None);
                let mut answered_wall_ms: Option<Stats<Value>> = None;
                let mut measures = Vec::new();
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    match key.as_ref() {
                        "name" => name = map.next_value()?,
                        "requests" => requests = Some(map.next_value()?),
                        "time" => time = map.next_value()?,
                        "speeds" => speeds = map.next_value()?,
                        "answered_wall_ms" => answered_wall_ms = map.next_value()?,
                        other => match other.parse::<Measure>() {
                            Ok(measure) => {
                                measures.push((measure, map.next_value::<Option<Stats<Value>>>()?));
                            }
                            Err(_) => drop(map.next_value::<IgnoredAny>()?),
                        },
                    }
                }
                let requests = requests.ok_or_else(|| Error::missing_field("requests"))?;
                Ok(Group { name, requests, time, speeds, answered_wall_ms, measures })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            model: String,
            requests: u64,
            figures: Option<Vec<Figure>>,
            unknown: Option<WhyUnknown>,
        }
        let Members { model, requests, figures, unknown } = Members::deserialize(deserializer)?;
        let finding = match (figures, unknown) {
            (Some(figures), _) => CheckResult::Known(figures),
            (None, Some(why)) => CheckResult::Unknown(why),
            (None, None) => return Err(Error::missing_field("figures")),
        };
        Ok(Self { model, requests, finding })
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            name: String,
            stats: Option<Stats<Value>>,
        }
        let Members { name, stats } = Members::deserialize(deserializer)?;
        // A name that is no measure is the one of a replay.
        let unit = name.parse::<Measure>().map_or(Unit::PerSecond, Measure::unit);
        Ok(Self { name: name.into(), unit, stats })
    }
}

/// Its start stands among the times.
impl<'de> Deserialize<'de> for UnmatchedLogRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            run: Option<Arc<str>>,
            log: Option<Arc<str>>,
            endpoint: Option<Arc<str>>,
            requested_model: Option<Arc<str>>,
            model: Option<Arc<str>>,
            model_source: Option<ModelSource>,
            tool_count: Option<u64>,
            message_count: Option<u64>,
            max_tokens: Option<u64>,
            stream: Option<bool>,
            #[serde(flatten)]
            timing: Box<Timing>,
            confidence: Confidence,
        }
        let Members {
            run,
            log,
            endpoint,
            requested_model,
            model,
            model_source,
            tool_count,
            message_count,
            max_tokens,
            stream,
            timing,
            confidence,
        } = Members::deserialize(deserializer)?;
        Ok(Self {
            start: timing.start,
            run,
            log,
            endpoint,
            requested_model,
            model,
            model_source,
            tool_count,
            message_count,
            max_tokens,
            stream,
            timing,
            confidence,
            log_facts: None,
            server_task: None,
            root: None,
        })
    }
}

impl<'de> Deserialize<'de> for ParameterValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Large {
            bytes: u64,
        }
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match serde_json::from_str(json.get()) {
            Ok(Large { bytes }) => Self::Large { bytes },
            Err(_) => Self::Json(json),
        })
    }
}

/// Parameters are written as the members of an object.
pub(crate) fn parameters<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ShownParameter>, D::Error> {
    struct ByName;
    impl<'de> Visitor<'de> for ByName {
        type Value = Vec<ShownParameter>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the other members of a body, by name")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut parameters = Vec::new();
            while let Some((name, value)) = map.next_entry()? {
                parameters.push(ShownParameter { name, value });
            }
            Ok(parameters)
        }
    }
    deserializer.deserialize_map(ByName)
}
