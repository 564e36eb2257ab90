//! What a server says about an error, in any of the shapes that are in use.

use serde_json::Value;

/// The most of a server's message that is kept.
const MAX_CHARS: usize = 500;

/// The message in an error body: `{"error":{"message"}}`, `{"error":"…"}`,
/// `{"message"}`, or plain text. Empty where there is none.
pub(crate) fn message_in_body(body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let message = match &parsed {
        Some(value) => message_in(value).unwrap_or_default(),
        None => body.trim(),
    };
    let mut kept: String = message.chars().take(MAX_CHARS).collect();
    if kept.len() < message.len() {
        kept.push('…');
    }
    kept
}

/// The message of an error object.
pub(crate) fn message_in(value: &Value) -> Option<&str> {
    let error = value.get("error").unwrap_or(value);
    let message = error.get("message").or_else(|| error.get("error")).unwrap_or(error);
    message.as_str().or_else(|| value.get("message")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_found_in_every_shape() {
        for (body, expected) in [
            (r#"{"error":{"message":"no","type":"x"}}"#, "no"),
            (r#"{"type":"error","error":{"type":"x","message":"no"}}"#, "no"),
            (r#"{"error":"no"}"#, "no"),
            (r#"{"message":"no"}"#, "no"),
            ("\n no \n", "no"),
            (r#"{"detail":[]}"#, ""),
            ("", ""),
        ] {
            assert_eq!(message_in_body(body), expected, "{body}");
        }
        assert_eq!(message_in_body(&"é".repeat(600)).chars().count(), 501);
    }
}
