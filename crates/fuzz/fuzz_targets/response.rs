//! A reply of mode `claude`, which stands in its trace as one string of server-sent
//! events: read as the oracle reads it, however the string is written and its lines end.
#![no_main]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a fuzz target fails by panicking, and takes what it needs of the oracle"
)]

use anyclaude_traces::formats::anyclaude::trace::Parser;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Value, json};

#[path = "../../anyclaude-traces/tests/oracle/definition.rs"]
mod definition;
#[path = "../../anyclaude-traces/tests/oracle/json.rs"]
mod json;
#[path = "../../anyclaude-traces/tests/oracle/response.rs"]
mod response;
#[path = "../../anyclaude-traces/tests/oracle/seen.rs"]
mod seen;

/// What stands in answers of OpenAI's APIs alone, which the oracle does not know; and how
/// their letters could be escaped.
const OTHER_APIS: [&str; 9] = [
    "choices",
    "response",
    "output\"",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "_details",
    "_call",
    "\\u00",
];

fuzz_target!(|stream: &[u8]| -> Corpus {
    let Ok(stream) = std::str::from_utf8(stream) else { return Corpus::Reject };
    if OTHER_APIS.iter().any(|words| stream.contains(words)) {
        return Corpus::Reject;
    }
    let trace = trace_of(&json!(stream).to_string());
    let found = seen::agreed(trace.as_bytes()).unwrap().unwrap().record.response;
    let escaped: String = stream.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    assert_eq!(found, parsed(&format!("\"{escaped}\"")), "every character escaped");
    if !stream.contains('\r') {
        for end in ["\r\n", "\r"] {
            assert_eq!(
                found,
                parsed(&json!(stream.replace('\n', end)).to_string()),
                "lines that end in {end:?}"
            );
        }
    }
    assert_eq!(
        found,
        parsed(&json!(format!("{stream}\n\n: keepalive\n\n")).to_string()),
        "a comment behind it"
    );
    Corpus::Keep
});

/// A trace with this body of its response.
fn trace_of(body: &str) -> String {
    format!(
        r#"{{"mode":"claude","request":{{"body":{{"model":"m"}}}},"response":{{"statusCode":200,"body":{body}}}}}"#
    )
}

/// What the parser alone says of such a response.
fn parsed(body: &str) -> Value {
    json!(Parser::default().parse(trace_of(body).as_bytes(), &mut ()).unwrap().response)
}
