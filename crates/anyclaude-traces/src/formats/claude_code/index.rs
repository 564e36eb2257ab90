//! `index.jsonl` beside the bodies: which response answers which request (2.1.332 and newer).

use std::sync::Arc;

use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::model::time::Timestamp;

/// A line of the index: a request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// 4 to 14 ms after the end.
    pub(crate) at: Option<Timestamp>,
    pub(crate) session: Option<Arc<str>>,
    pub(crate) query_source: Option<Arc<str>>,
    pub(crate) message: Option<Arc<str>>,
    /// The names of the two files.
    pub(crate) request_file: Arc<str>,
    pub(crate) response_file: Arc<str>,
}

/// Reads a line; `None` where it names no pair of files.
///
/// # Errors
///
/// When it is not JSON.
pub(crate) fn read_entry(line: &str, scratch: &mut Scratch) -> ParseResult<Option<IndexEntry>> {
    let (mut at, mut session, mut query_source) = (None, None, None);
    let (mut message, mut request_file, mut response_file) = (None, None, None);
    let mut cursor = Cursor::new(line, scratch);
    cursor.members_or_skip(|cursor, key| {
        let place = match key {
            "timestamp" => {
                at = cursor.string_or_skip()?.and_then(|at| at.decode().parse().ok());
                return Ok(());
            }
            "session_id" => &mut session,
            "query_source" => &mut query_source,
            "message_id" => &mut message,
            "request_file" => &mut request_file,
            "response_file" => &mut response_file,
            _ => return cursor.skip(),
        };
        let name = cursor.string_or_skip()?.map(RawStr::decode);
        *place = name.filter(|name| !name.is_empty()).map(|name| cursor.name(&name));
        Ok(())
    })?;
    cursor.end()?;
    let (Some(request_file), Some(response_file)) = (request_file, response_file) else { return Ok(None) };
    Ok(Some(IndexEntry { at, session, query_source, message, request_file, response_file }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_pair_of_files() {
        let line = r#"{"timestamp":"2026-01-02T03:04:05.678Z","session_id":"s","query_source":"sdk",
            "model":"m","message_id":"msg","request_file":"a.request.json","response_file":"b.response.json"}"#;
        let entry = read_entry(line, &mut Scratch::default()).unwrap().unwrap();
        assert_eq!(entry.at.unwrap().to_string(), "2026-01-02T03:04:05.678Z");
        assert_eq!((&*entry.request_file, &*entry.response_file), ("a.request.json", "b.response.json"));
        assert_eq!((entry.session.as_deref(), entry.message.as_deref()), (Some("s"), Some("msg")));
        for none in [r#"{"request_file":"a"}"#, "[]", "null", r#"{"request_file":1,"response_file":""}"#] {
            assert_eq!(read_entry(none, &mut Scratch::default()).unwrap(), None, "{none}");
        }
        assert!(read_entry(r#"{"request_file":"a"#, &mut Scratch::default()).is_err());
    }
}
