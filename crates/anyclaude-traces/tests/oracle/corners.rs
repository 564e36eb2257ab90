//! Single traces with the answer beside them: they hold the oracle itself to
//! what the definitions mean.

use anyclaude_traces::formats::body::{ElementPath, Section};
use anyclaude_traces::model::Identity;
use serde_json::json;

use crate::seen::{Event, Seen, Verdict, agreed};

fn verdict(text: &str) -> Verdict {
    agreed(text.as_bytes()).unwrap()
}

fn seen(text: &str) -> Seen<Identity> {
    verdict(text).unwrap()
}

fn with_body(body: &str) -> Seen<Identity> {
    seen(&format!(r#"{{"request":{{"body":{body}}}}}"#))
}

/// What stands in the elements, `cache_control` left out.
fn contents(body: &str) -> Vec<String> {
    let content = |event| match event {
        Event::Element { value, .. } => Some(value.content),
        _ => None,
    };
    with_body(body).events.into_iter().filter_map(content).collect()
}

#[test]
fn reasons() {
    for (text, reason) in [
        ("", "empty"),
        (" \r\n\t", "empty"),
        ("\u{feff}\n", "empty"),
        ("\u{feff}\u{feff}", "invalid_json"),
        ("\u{c}", "invalid_json"),
        ("\0\0", "invalid_json"),
        ("{", "truncated"),
        ("{\"a\":tru", "truncated"),
        ("{\"a\":trx", "invalid_json"),
        ("{\"a\":-", "truncated"),
        ("[1.", "truncated"),
        ("[1e+", "truncated"),
        ("[01", "invalid_json"),
        ("[\"\\", "truncated"),
        ("[\"\\u1", "truncated"),
        ("[\"\\ug", "invalid_json"),
        ("[\"\\\\ug", "truncated"),
        ("[\"\u{1f}", "invalid_json"),
        ("[1}", "invalid_json"),
        ("{} {}", "invalid_json"),
        ("[]", "not_a_trace"),
        ("1e999", "not_a_trace"),
        (r#"{"request":{"body":[]}}"#, "not_a_trace"),
        (r#"{"request":{"body":{"model":null}}}"#, "not_a_trace"),
        (r#"{"request":{"body":{"model":1,"model":null}}}"#, "not_a_trace"),
        (r#"{"request":{"body":{"model":1}},"request":null}"#, "not_a_trace"),
    ] {
        assert_eq!(verdict(text).unwrap_err().name(), reason, "{text:?}");
    }
}

#[test]
fn reasons_of_what_is_not_utf_8() {
    for (bytes, reason) in [
        (b"[\"\xc3".as_slice(), "truncated"),
        (b"\xef\xbb", "truncated"),
        (b"]\xc3", "invalid_json"),
        (b"[\"\xc3\"]", "invalid_utf8"),
        (b"]\xff", "invalid_utf8"),
        (b"[\"\xed\xa0\x80\"]", "invalid_utf8"),
    ] {
        assert_eq!(agreed(bytes).unwrap().unwrap_err().name(), reason, "{bytes:?}");
    }
}

#[test]
fn sizes_are_of_compact_json_and_chars_of_decoded_text() {
    let body = r#"{ "system" : [ {"text":"a \ud83d\ude00"}, {"text":"\ud83d"}, "no", {"text":1} ],
        "tools": {"a": [1, 2]}, "messages": [ {} , [] ], "max_tokens": 1e3 }"#;
    let sizes = json!({
        "system_chars": 4, "system_text_bytes": 9, "system_blocks": 4, "system_bytes": 61,
        "tool_count": 0, "tools_bytes": 11, "message_count": 2, "messages_bytes": 7,
        "other_bytes": 49, "body_bytes": 128, "file_bytes": body.len() + 21,
    });
    let record = with_body(body).record;
    assert_eq!(record.sizes, sizes);
    assert_eq!(record.max_tokens, None);
}

#[test]
fn the_last_of_equal_members_wins_however_it_is_spelt() {
    let record = seen(
        r#"{"mode":"a","request":{"body":{"model":"no","tools":[1]}},"mode":"\u0062",
        "request":{"url":"/x","body":7,"body":{"system":"long","max_tokens":3,"\u0073ystem":"","max_tokens":"4"}}}"#,
    )
    .record;
    assert_eq!((record.mode.as_deref(), record.endpoint.as_deref()), (Some("b"), Some("/x")));
    assert_eq!((record.requested_model, record.max_tokens, record.tools), (None, None, vec![]));
    assert_eq!((&record.sizes["system_blocks"], &record.sizes["system_bytes"]), (&json!(0), &json!(2)));
}

#[test]
fn events_come_in_the_order_of_the_file() {
    let events = with_body(
        r#"{"messages":[{"content":"a","content":[{"type":"b"}]}],"stream":true,"system":"s","tools":[{"name":"t"}]}"#,
    )
    .events;
    let told = |event: &Event| match event {
        Event::Restart(section) => format!("{section:?}"),
        Event::Element { place, kind, name, text, value } => {
            format!("{place:?} {kind:?} {name:?} {text:?} {}", value.compact)
        }
        Event::Message { index, role, .. } => format!("message {index} {role:?}"),
        Event::Parameter { name, value } => format!("{name}={}", value.compact),
    };
    let block = ElementPath::Block { message: 0, block: 0 };
    let expected = [
        "Body".to_owned(),
        "Body".to_owned(),
        "Messages".to_owned(),
        format!(r#"{block:?} Some("text") None Some("a") "a""#),
        format!("{:?}", Section::Message(0)),
        format!(r#"{block:?} Some("b") None None {{"type":"b"}}"#),
        "message 0 None".to_owned(),
        "stream=true".to_owned(),
        "System".to_owned(),
        r#"System(0) Some("text") None Some("s") "s""#.to_owned(),
        "Tools".to_owned(),
        r#"Tool(0) None Some("t") None {"name":"t"}"#.to_owned(),
    ];
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), expected);
}

#[test]
fn cache_control_is_left_out_with_its_comma() {
    for (block, content) in [
        (r#"{ "cache_control" : {} }"#, "{}"),
        (r#"{ "cache_control" : {} , "a" : 1 }"#, r#"{"a":1}"#),
        (r#"{ "a" : 1 , "cache_control" : {} }"#, r#"{"a":1}"#),
        (r#"{"cache_control":1, "cache\u005fcontrol":2 ,"a":1}"#, r#"{"a":1}"#),
        (r#"{"a":1,"cache_control":1 , "cache_control":2, "b":[ ]}"#, r#"{"a":1,"b":[]}"#),
        (r#"{"cache_control":1,"a":{"cache_control":3},"cache_control":2}"#, r#"{"a":{"cache_control":3}}"#),
    ] {
        assert_eq!(contents(&format!(r#"{{"tools":[{block}]}}"#)), [content], "{block}");
    }
}

#[test]
fn a_string_is_the_same_message_as_one_text_block() {
    let same = r#"{"messages":[{"role":"user","content":"a\n"},
        {"content":[{"type":"text","text":"a\n","cache_control":{}}],"x":1,"role":"user"}]}"#;
    let different = r#"{"messages":[{"role":"user","content":"a\n"},{"content":"a\n","role":"system"}]}"#;
    let equal = |body| {
        let seen = with_body(body);
        seen.identities[0] == seen.identities[1]
    };
    assert!(equal(same));
    assert!(!equal(different));
}

#[test]
fn a_path_is_what_the_server_is_asked_for() {
    for (url, path) in [
        ("/v1/messages?beta=true", "/v1/messages"),
        ("http://host:1/v1#x", "/v1"),
        ("https://host?q", "/"),
        ("/proxy/http://host/v1", "/proxy/http://host/v1"),
    ] {
        let record = seen(&format!(r#"{{"request":{{"url":"{url}","body":{{"model":1}}}}}}"#)).record;
        assert_eq!(record.endpoint.as_deref(), Some(path), "{url}");
    }
}

#[test]
fn a_session_is_named_in_three_ways_or_not_at_all() {
    for (user_id, session) in [
        (r#""user_1_account_2_session_3""#, Some("3")),
        (r#""{\"session_id\":\"a_session_b\"}""#, Some("a_session_b")),
        (r#""{\"session_id\":1,\"x\":\"_session_b\"}""#, None),
        (r#""{\"session_id\":\"a\"""#, None),
        (r#""9f2c""#, None),
        (r#""x_session_""#, None),
        ("7", None),
    ] {
        let body = format!(r#"{{"model":1,"metadata":{{"user_id":{user_id}}}}}"#);
        assert_eq!(with_body(&body).record.session_id.as_deref(), session, "{user_id}");
    }
}

#[test]
fn a_header_names_the_session_before_the_body() {
    for (headers, session) in [
        (r#"{"X-Claude-Code-Session-Id":"a","session-id":"b"}"#, Some("a")),
        (r#"{"session-id":"b","x-session-id":"c","x-claude-code-session-id":"a"}"#, Some("a")),
        (r#"{"x-session-id":"","session_id":"b","session-id":"c"}"#, Some("b")),
        (r#"{"session-id":"b","x-claude-code-session-id":""}"#, Some("b")),
        (r#"{"session-id":["b"]}"#, Some("3")),
        ("null", Some("3")),
    ] {
        let body = r#"{"model":1,"metadata":{"user_id":"user_1_account_2_session_3"}}"#;
        let record = seen(&format!(r#"{{"request":{{"headers":{headers},"body":{body}}}}}"#)).record;
        assert_eq!(record.session_id.as_deref(), session, "{headers}");
    }
}

/// The response whose body is this JSON.
fn response(body: &str) -> serde_json::Value {
    let trace =
        format!(r#"{{"response":{{"statusCode":200,"body":{body}}},"request":{{"body":{{"model":1}}}}}}"#);
    seen(&trace).record.response
}

#[test]
fn a_reply_is_an_object_or_a_stream() {
    let events = [
        r#"event: x"#,
        r#"data: {"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1},"input_tokens":9}}"#,
        "",
        r#"data: {"type":"content_block_start","#,
        r#"data:  "content_block":{"type":"server_tool_use"}}"#,
        "",
        "data: {\"type\":",
        "",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}"#,
    ];
    let object = r#"{"usage":{"input_tokens":5,"output_tokens":7},"stop_reason":"tool_use",
        "content":[{"type":"tool_use"},{"type":"text"}]}"#;
    let expected = json!({
        "status": 200, "input_tokens": 5, "output_tokens": 7, "cache_creation_tokens": null,
        "cache_read_tokens": null, "stop_reason": "tool_use", "tool_calls": 1,
    });
    assert_eq!(response(object), expected);
    for eol in ["\n", "\r\n", "\r"] {
        assert_eq!(response(&serde_json::to_string(&events.join(eol)).unwrap()), expected, "{eol:?}");
    }
    let counted = response(r#"{"input_tokens":12}"#);
    assert_eq!((&counted["input_tokens"], &counted["tool_calls"]), (&json!(12), &json!(0)));
    let start = r#""data: {\"type\":\"message_start\",\"message\":{\"input_tokens\":12}}\n\n""#;
    assert_eq!(response(start)["input_tokens"], json!(null));
}

#[test]
fn no_place_is_too_deep() {
    for (open, close) in [("[", "]"), ("{\"content\":", "}"), ("[{\"a\" : ", " } ]")] {
        let deep = open.repeat(2_000) + "1" + &close.repeat(2_000);
        for body in [
            format!(r#"{{"model":{deep}}}"#),
            format!(r#"{{"system":{deep},"tools":[{deep}],"metadata":{deep}}}"#),
            format!(r#"{{"messages":[{deep},{{"role":{deep},"content":{deep}}}]}}"#),
            format!(r#"{{"messages":[{{"content":[{{"type":{deep},"content":{deep}}}]}}]}}"#),
        ] {
            with_body(&body);
        }
        response(&deep);
    }
}
