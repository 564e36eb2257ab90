//! JSON objects whose members keep their order and their bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::Serialize;
use serde_json::value::RawValue;

/// An object's members in order, each value as it was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrderedObject<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> OrderedObject<'a> {
    /// Parses an object; `None` where the JSON is none.
    pub(crate) fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// A member's value; of several with this name the last, as in JavaScript. `None` for
    /// null.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rfind(|(known, _)| known == name)?;
        Some(value.as_ref()).filter(|value| *value != "null")
    }

    /// A member's value, if it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        text(self.get(name)?)
    }

    /// The items of a member; none where it is no array.
    pub(crate) fn items(&self, name: &str) -> Vec<&str> {
        self.get(name).map(items).unwrap_or_default()
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// Sets a member, in its place or at the end, and drops others of its name.
    pub(crate) fn set(&mut self, name: &'a str, json: impl Into<Cow<'a, str>>) {
        let json = json.into();
        let at = self.0.iter().position(|(known, _)| known == name);
        match at.and_then(|at| self.0.get_mut(at)) {
            Some((_, value)) => *value = json,
            None => self.0.push((name.into(), json)),
        }
        let mut seen = false;
        self.0.retain(|(known, _)| known != name || !std::mem::replace(&mut seen, true));
    }

    /// The object as JSON.
    pub(crate) fn json(&self) -> String {
        let members: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{}:{value}", json(name.as_ref()))).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// A value as JSON. Strings and numbers, which this crate passes, always have one.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// Decodes a JSON string; `None` where the value is none.
pub(crate) fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// The items of a JSON array; none where it is something else.
pub(crate) fn items(json: &str) -> Vec<&str> {
    let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
    items.into_iter().map(RawValue::get).collect()
}

impl<'de: 'a, 'a> Deserialize<'de> for OrderedObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = OrderedObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((Cow::Owned(name), Cow::Borrowed(value.get())));
                }
                Ok(OrderedObject(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_were_written() {
        let json = r#"{"b":1e400,"a":{"z":1.0,"y":[]},"b":2E1}"#;
        let mut members = OrderedObject::parse(json).unwrap();
        assert_eq!(members.json(), json);
        assert_eq!(members.get("b"), Some("2E1"));
        members.set("b", "3");
        members.set("c", "\"new\"");
        assert_eq!(members.json(), r#"{"b":3,"a":{"z":1.0,"y":[]},"c":"new"}"#);
        assert!(OrderedObject::parse("[]").is_none());
    }
}
