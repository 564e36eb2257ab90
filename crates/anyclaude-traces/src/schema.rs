//! JSON Schemas of the results, for whoever reads the JSON of `traces` with a
//! program of his own. Only with the feature `schema`.
//!
//! They are made from the types that are serialised, so that neither can change
//! without the other. What is written by hand here stands beside what is
//! serialised by hand.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json};

use crate::SCHEMA_VERSION;
use crate::analysis::content::ParameterValue;
use crate::analysis::explain::{CitedFact, Headline, Interval, KeyAnswer, Millis, Missing};
use crate::analysis::not_logged::NotLogged;
use crate::analysis::prefix::ElementName;
use crate::analysis::report::{Answer, Figure};
use crate::follow::{Began, Ended, Event, FirstToken, Found, Keepalive, Passed};
use crate::model::group::Group;
use crate::model::measure::{Measure, Value};
use crate::model::request::{Kind, Request, RequestId, TracePath};
use crate::model::scope::KindFilter;
use crate::model::stats::Stats;
use crate::model::time::Timestamp;
use crate::model::{Amount, Speeds, TimeBreakdown};
use crate::recording::join::UnmatchedLogRequest;
use crate::select::Row;

/// The schema (draft 2020-12) of a result as `traces` prints it, which is the
/// serialised `T` with [`SCHEMA_VERSION`] at its top.
///
/// Members that are always there are required, what may be unknown may be `null`,
/// and members that this version does not know are allowed, for a later one may
/// add some.
///
/// ```
/// use anyclaude_traces::schema;
/// use anyclaude_traces::analysis::summary::Summary;
///
/// let schema = schema::of::<Summary>("traces summary --format json");
/// assert_eq!(schema["properties"]["schema_version"]["const"], 1);
/// assert!(schema["properties"]["groups"]["description"].is_string());
/// ```
#[must_use]
pub fn of<T: JsonSchema>(title: &str) -> Json {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.with_transform(Plain).into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    let version = json_schema!({
        "description": "Rises when a member is renamed, goes, or changes its meaning; not when one is added.",
        "const": SCHEMA_VERSION,
    });
    let version = version.to_value();
    let is_choice = schema.get("oneOf").is_some();
    match schema.get_mut("oneOf") {
        Some(Json::Array(shapes)) => {
            let shapes = shapes.iter_mut().filter_map(Json::as_object_mut);
            shapes.for_each(|shape| carry_version(shape, &version));
        }
        _ => carry_version(schema.ensure_object(), &version),
    }
    if is_choice {
        schema.insert("required".to_owned(), vec!["schema_version"].into());
    }
    schema.to_value()
}

/// Adds the version to the members of an object.
fn carry_version(object: &mut Map<String, Json>, version: &Json) {
    if let Some(Json::Object(properties)) = object.get_mut("properties") {
        properties.insert("schema_version".to_owned(), version.clone());
    }
    if let Some(Json::Array(required)) = object.get_mut("required") {
        required.insert(0, "schema_version".into());
    }
}

/// An event: the object that it carries, with its name.
fn event(name: &str, mut object: Schema) -> Schema {
    let named = json_schema!({ "description": "What happened", "const": name });
    if let Some(Json::Object(properties)) = object.get_mut("properties") {
        properties.insert("event".to_owned(), named.to_value());
    }
    if let Some(Json::Array(required)) = object.get_mut("required") {
        required.insert(0, "event".into());
    }
    object
}

/// Makes plain words of what is written for rustdoc.
#[derive(Debug, Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Json::String(text)) = schema.get_mut("description") {
            *text = plain(text);
        }
        transform_subschemas(self, schema);
    }
}

/// The same text with links replaced by their words, JSON's name of what is unknown,
/// and no line breaks.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let (name, after) = link.split_once("`]").unwrap_or((link, ""));
        plain += &format!("{before}`{name}`");
        rest =
            after.strip_prefix('(').and_then(|target| target.split_once(')')).map_or(after, |(_, rest)| rest);
    }
    let plain = (plain + rest).replace("`None`", "`null`");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Says what a type looks like that is serialised by hand.
macro_rules! schema_of {
    ($($type:ty as $name:literal, $inline:literal: |$generator:ident| $schema:expr;)*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                $inline
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

schema_of! {
    Timestamp as "Timestamp", false: |_generator| json_schema!({
        "description": "RFC 3339 in UTC, with milliseconds",
        "type": "string",
        "format": "date-time",
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
    });
    TracePath as "TracePath", false: |_generator| json_schema!({
        "description": "The path of a file, with U+FFFD for what is not UTF-8",
        "type": "string",
    });
    Event as "Event", false: |generator| {
        let shapes = [
            event("request", Began::json_schema(generator)),
            event("keepalive", Keepalive::json_schema(generator)),
            event("first_token", FirstToken::json_schema(generator)),
            event("completed", Ended::json_schema(generator)),
            event("failed", Ended::json_schema(generator)),
            event("finding", Found::json_schema(generator)),
            event("skipped", Passed::json_schema(generator)),
        ];
        json_schema!({
            "description": "Something that happened in a recording that goes on",
            "oneOf": shapes,
        })
    };
    Row<Request, UnmatchedLogRequest> as "TimingRow", false: |generator| {
        let shapes = [Request::json_schema(generator), UnmatchedLogRequest::json_schema(generator)];
        json_schema!({
            "description": "A request that was recorded, or one that only a log has",
            "oneOf": shapes,
        })
    };
    RequestId as "RequestId", false: |_generator| json_schema!({
        "description": "A short name, the same whenever the same file is read",
        "type": "string",
        "pattern": "^[0-9a-f]{10}$",
    });
    Amount as "Amount", true: |_generator| json_schema!({
        "type": ["integer", "null"],
        "format": "uint64",
        "minimum": 0,
    });
    Value as "Value", true: |_generator| json_schema!({ "type": "number" });
    Millis as "Millis", false: |_generator| json_schema!({
        "description": "Milliseconds, with up to three decimals",
        "type": "number",
    });
    Measure as "Measure", false: |_generator| json_schema!({
        "description": "The name of a measure, with its unit",
        "enum": Measure::ALL.iter().map(|measure| measure.name()).collect::<Vec<_>>(),
    });
    KindFilter as "KindFilter", false: |_generator| json_schema!({
        "description": "One kind of request, or all",
        "enum": Kind::ALL.iter().map(|kind| kind.name()).chain(["all"]).collect::<Vec<_>>(),
    });
    ElementName as "ElementName", false: |_generator| json_schema!({
        "description": "The place of an element in the prompt: `system[0]`, `tools[12]`, `messages[3].content[1]`",
        "type": "string",
        "pattern": r"^(system\[\d+\]|tools\[\d+\]|messages\[\d+\]\.content\[\d+\])$",
    });
    CitedFact as "Evidence", false: |_generator| json_schema!({
        "description": "A sentence with figures, with the requests that they are of in brackets behind it",
        "type": "string",
    });
    Headline as "Headline", false: |_generator| json_schema!({
        "description": "A sentence that names the largest cause, or why there is no verdict",
        "type": "string",
    });
    KeyAnswer as "KeyAnswer", false: |_generator| json_schema!({
        "description": "A sentence: is anyclaude the bottleneck?",
        "type": "string",
    });
    Missing as "Missing", false: |_generator| json_schema!({
        "description": "A sentence on what is unknown",
        "type": "string",
    });
    NotLogged as "NotLogged", false: |_generator| json_schema!({
        "description": "A sentence on what was not logged, and how to have it logged",
        "type": "string",
    });
    Interval as "Interval", false: |_generator| json_schema!({
        "description": "A confidence interval of 95 % in milliseconds: `[low, high]`",
        "type": "array",
        "items": { "type": "number" },
        "minItems": 2,
        "maxItems": 2,
    });
    ParameterValue as "ParameterValue", true: |_generator| json_schema!({
        "description": "The value; of one with more than 200 bytes of compact JSON, `{\"bytes\": N}`",
    });
    Group as "Group", false: |generator| {
        let name = json_schema!({ "description": "What they have in common", "type": ["string", "null"] });
        let requests = described(generator.subschema_for::<u64>(), "How many there are");
        let time = generator.subschema_for::<Option<TimeBreakdown>>();
        let time = described(time, "Where their time went, in the mean; null where no log tells");
        let speeds = generator.subschema_for::<Option<Speeds>>();
        let speeds = described(speeds, "The speeds of the model that answered them; null where several did");
        let answered = generator.subschema_for::<Option<Stats<Value>>>();
        let answered = described(answered, "How `wall_ms` is spread without requests that failed, were given up or have no end");
        let members = [
            ("name", name),
            ("requests", requests),
            ("time", time),
            ("speeds", speeds),
            ("answered_wall_ms", answered),
        ];
        let mut group = object(members, "Requests that have something in common");
        if let Some(Json::Object(properties)) = group.get_mut("properties") {
            for measure in Measure::ALL {
                let spread = generator.subschema_for::<Option<Stats<Value>>>();
                let spread = described(spread, "How this measure is spread; null where no request's value is known");
                properties.insert(measure.name().to_owned(), spread.to_value());
            }
        }
        group
    };
    Answer as "Answer", false: |generator| {
        let model = json_schema!({ "description": "The model", "type": "string" });
        let requests = described(generator.subschema_for::<u64>(), "How many requests it answered");
        let figures = described(generator.subschema_for::<Option<Vec<Figure>>>(), "At least one of these is known");
        let unknown = json_schema!({
            "description": "Why there are no figures, and how to find out",
            "type": ["string", "null"],
        });
        let members = [("model", model), ("requests", requests), ("figures", figures), ("unknown", unknown)];
        object(members, "What is known of one model")
    };
}

/// An object with these members, all of which are always there.
fn object<const N: usize>(members: [(&str, Schema); N], description: &str) -> Schema {
    let names = members.each_ref().map(|(name, _)| Json::from(*name));
    let properties: Map<String, Json> =
        members.into_iter().map(|(name, schema)| (name.to_owned(), schema.to_value())).collect();
    json_schema!({
        "description": description,
        "type": "object",
        "properties": properties,
        "required": Json::Array(names.into()),
    })
}

/// The same schema in other words.
fn described(mut schema: Schema, description: &str) -> Schema {
    schema.insert("description".to_owned(), description.into());
    schema
}

/// The parameters of a body, which are serialised as an object.
pub(crate) fn parameters(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": generator.subschema_for::<ParameterValue>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_become_words() {
        assert_eq!(plain("a [`b`](Self::b) c\n[`d`], `e` [f], `None`"), "a `b` c `d`, `e` [f], `null`");
    }
}
