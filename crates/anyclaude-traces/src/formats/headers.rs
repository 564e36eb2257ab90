//! The request's headers → who sent it.

use std::sync::Arc;

use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::text::RawStr;
use crate::formats::record::Sender;

/// What Claude Code's `user-agent` begins with; its version follows.
const CLIENT: &str = "claude-cli/";

/// Reads the object of a request's headers. Recorders redact some of them and keep these.
pub(crate) fn read(cursor: &mut Cursor<'_, '_>) -> ParseResult<Sender> {
    let mut sender = Sender::default();
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        return Ok(sender);
    }
    let mut walk = Walk::default();
    while let Some(key) = cursor.next_member(&mut walk)? {
        if let Some(value) = cursor.string_or_skip()?.map(RawStr::decode) {
            note(&mut sender, &key, &value);
        }
    }
    Ok(sender)
}

/// Takes what one header says of the sender.
pub(crate) fn note(sender: &mut Sender, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let place = match name.to_ascii_lowercase().as_str() {
        "x-claude-code-session-id" => &mut sender.session_id,
        "x-claude-code-agent-id" => &mut sender.agent,
        "x-claude-code-parent-agent-id" => &mut sender.parent_agent,
        "user-agent" => {
            sender.client_version = client_version(value).map(Arc::from);
            return;
        }
        // Codex and OpenCode.
        "session_id" | "session-id" | "x-session-id" if sender.session_id.is_none() => &mut sender.session_id,
        _ => return,
    };
    *place = Some(value.into());
}

/// `2.1.116` from `claude-cli/2.1.116 (external, cli)`.
fn client_version(user_agent: &str) -> Option<&str> {
    let version = user_agent.strip_prefix(CLIENT)?.split_ascii_whitespace().next()?;
    version.starts_with(|first: char| first.is_ascii_digit()).then_some(version)
}

#[cfg(test)]
mod tests {
    use crate::formats::anyclaude::trace::parse;

    #[test]
    fn headers_name_client_session_and_agents() {
        let trace = |headers: &str, metadata: &str| {
            let text =
                format!(r#"{{"request": {{"headers": {headers}, "body": {{"model": "m"{metadata}}}}}}}"#);
            parse(text.as_bytes(), &mut ()).unwrap().sender
        };
        let metadata = r#", "metadata": {"user_id": "user_1_account__session_from-metadata"}"#;
        let headers = r#"{"User-Agent": "claude-cli/2.1.139 (external, cli)", "x-claude-code-session-id": "s",
            "x-claude-code-agent-id": "a", "x-claude-code-parent-agent-id": "p", "authorization": ["x"]}"#;
        let sender = trace(headers, metadata);
        assert_eq!(sender.client_version.as_deref(), Some("2.1.139"));
        assert_eq!(sender.session_id.as_deref(), Some("s"), "the header wins");
        assert_eq!((sender.agent.as_deref(), sender.parent_agent.as_deref()), (Some("a"), Some("p")));
        assert!(sender.user.is_some());
        let sender = trace(r#"{"user-agent": "curl/8.0", "x-claude-code-session-id": ""}"#, metadata);
        assert_eq!((sender.client_version, sender.session_id.as_deref()), (None, Some("from-metadata")));
        let sender = trace(r#"{"session-id": "s", "X-Claude-Code-Session-Id": ""}"#, metadata);
        assert_eq!(sender.session_id.as_deref(), Some("s"), "an empty header says nothing");
        assert_eq!(trace("null", "").session_id, None);
    }
}
