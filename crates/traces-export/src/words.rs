//! Names of enumerations, as in JSON.

use serde::Serialize;

/// The name that a word of an enumeration has in JSON.
pub(crate) fn name(word: impl Serialize) -> Option<String> {
    match serde_json::to_value(word).ok()? {
        serde_json::Value::String(name) => Some(name),
        _ => None,
    }
}
