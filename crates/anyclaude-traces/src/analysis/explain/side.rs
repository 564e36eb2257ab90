//! One side of a comparison, as the result shows it and as sentences name it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::SideInput;
use crate::cost;
use crate::model::request::Request;
use crate::model::{Amount, ModelSpeeds, SideName, Speeds, TimeBreakdown};

/// One side: its requests, where their time went, and how fast its model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Side {
    /// How it was selected, and its model.
    #[serde(flatten)]
    pub name: SideName,
    /// Means over the requests that took part; `None` where none did.
    pub time: Option<TimeBreakdown>,
    /// The speeds of its model; `None` where it is unknown or there are several.
    pub speeds: Option<Speeds>,
    /// Its models, where several ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<SideModel>,
}

/// One of several models of a side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SideModel {
    /// The model, or the process whose model is not named.
    pub model: Option<Arc<str>>,
    /// How many requests of the side it answered.
    pub requests: u64,
    /// Where the time of those that took part went.
    pub time: Option<TimeBreakdown>,
    /// How fast it is.
    pub speeds: Option<Speeds>,
}

impl Side {
    /// The side of which `compared` took part, with the proxy's own time or without.
    pub(super) fn of(input: &SideInput<'_>, compared: &[&Request], with_proxy: bool) -> Self {
        let mut models: BTreeMap<Option<Arc<str>>, (u64, Vec<&Request>)> = BTreeMap::new();
        for request in &input.requests {
            models.entry(request.model_group()).or_default().0 += 1;
        }
        for &request in compared {
            models.entry(request.model_group()).or_default().1.push(request);
        }
        let speeds = |model: &Option<Arc<str>>| {
            let of_model = |one: &&ModelSpeeds| one.model == *model;
            input.speeds.iter().find(of_model).map(|found| found.speeds)
        };
        let time = |requests: &[&Request]| {
            if with_proxy {
                return cost::breakdown(requests.iter().copied());
            }
            let without: Vec<Request> = requests.iter().map(|request| without_proxy(request)).collect();
            cost::breakdown(&without)
        };
        let mut sides: Vec<SideModel> = models
            .iter()
            .map(|(model, (requests, compared))| SideModel {
                model: model.clone(),
                requests: *requests,
                time: time(compared),
                speeds: speeds(model),
            })
            .collect();
        let only = if let [only] = sides.as_slice() { only.speeds } else { None };
        if sides.len() < 2 {
            sides.clear();
        }
        Self {
            name: SideName::of(input.selector, &input.requests),
            time: time(compared),
            speeds: only,
            models: sides,
        }
    }

    /// The model, where only one ran.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.name.model.as_deref()
    }
}

/// The same request without the proxy's own time.
fn without_proxy(request: &Request) -> Request {
    let mut without = request.clone();
    if let Some(timing) = without.timing.as_deref_mut() {
        (timing.proxy_ms, timing.wall_ms) = (Amount::UNKNOWN, Amount::UNKNOWN);
    }
    without
}

/// What sentences call two sides: by the models that ran, where these tell them apart,
/// else as the user named them: of two paths by what differs.
#[must_use]
pub fn names(left: &Side, right: &Side) -> (String, String) {
    match (left.model(), right.model()) {
        (Some(left), Some(right)) if left != right => (left.to_owned(), right.to_owned()),
        _ => {
            let (left, right) = (&left.name.selector, &right.name.selector);
            what_differs(left, right).unwrap_or_else(|| (left.clone(), right.clone()))
        }
    }
}

/// Two paths without the folders that they begin and end with in common; `None` where
/// nothing would be left of one.
fn what_differs(left: &str, right: &str) -> Option<(String, String)> {
    let is_separator = |c: char| c == '/' || c == '\\';
    let names = |path: &str| -> Vec<String> {
        path.split(is_separator).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let (left, right) = (names(left), names(right));
    let begin = left.iter().zip(&right).take_while(|(left, right)| left == right).count();
    let (left, right) = (left.get(begin..)?, right.get(begin..)?);
    let end = left.iter().rev().zip(right.iter().rev()).take_while(|(left, right)| left == right).count();
    let rest = |names: &[String]| -> Option<String> {
        let rest = names.get(..names.len().checked_sub(end)?)?;
        (!rest.is_empty()).then(|| rest.join("/"))
    };
    Some((rest(left)?, rest(right)?))
}

#[cfg(test)]
mod tests {
    use super::what_differs;

    #[test]
    fn paths_are_named_by_what_differs() {
        let named = |left, right| what_differs(left, right);
        let pair = |left: &str, right: &str| Some((left.to_owned(), right.to_owned()));
        assert_eq!(named("/d/llama/a-big/.anyclaude", "/d/llama/b-big/.anyclaude"), pair("a-big", "b-big"));
        assert_eq!(named("a/.anyclaude/", "b/.anyclaude"), pair("a", "b"));
        assert_eq!(named("one/x/traces", "two/y/traces"), pair("one/x", "two/y"));
        assert_eq!(named("latest", "latest~1"), pair("latest", "latest~1"));
        assert_eq!(named("data", "data/traces"), None, "nothing would be left of the first");
    }
}
