//! Traces of every shape, most of them sound, some odd in any place.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::tree::{Blanks, Tree};

/// How a member may look: its name and its usual value.
type Known = (&'static str, BoxedStrategy<Tree>);

/// So many cases, unless `PROPTEST_CASES` says otherwise.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases, ..config },
    }
}

/// A trace and the white space to write it with.
pub(crate) fn written() -> impl Strategy<Value = String> {
    let bom = prop_oneof![9 => Just(""), 1 => Just("\u{feff}")];
    (bom, trace(), blanks()).prop_map(|(bom, trace, blanks)| bom.to_owned() + &trace.write(&blanks))
}

pub(crate) fn blanks() -> impl Strategy<Value = Blanks> {
    let blank = select(vec!["", "", "", " ", "\n", "\r\n\t ", "\n    "]);
    vec(blank, 0..12).prop_map(Blanks)
}

pub(crate) fn trace() -> BoxedStrategy<Tree> {
    let stamp = select(vec![
        "2025-11-16T02:30:45.123Z",
        "2025-11-16T02:30:45Z",
        "2025-11-16T02:30:45.123456+01:30",
        "2025-11-16",
        "",
    ]);
    let mode = select(vec!["lmstudio", "claude", "claude", "sideways"]);
    let always = vec![("request", request())];
    let known = vec![
        ("timestamp", stamp.prop_map(Tree::text).boxed()),
        ("mode", mode.prop_map(Tree::text).boxed()),
        ("response", response()),
        ("request", request()),
    ];
    object(always, known, 5)
}

fn request() -> BoxedStrategy<Tree> {
    let url = select(vec![
        "/v1/messages?beta=true",
        "/v1/messages/count_tokens",
        "http://localhost:1234/v1/messages?a=/b",
        "https://host",
        "/proxy/http://host/v1#part",
        "?",
        "",
    ]);
    let known = vec![("url", url.prop_map(Tree::text).boxed()), ("body", body()), ("headers", value())];
    object(vec![("body", body())], known, 3)
}

fn body() -> BoxedStrategy<Tree> {
    let always = vec![("messages", array(message(), 4))];
    let known = vec![
        ("system", content(system_block(), 3)),
        ("tools", array(tool(), 3)),
        ("messages", array(message(), 3)),
        ("model", string()),
        ("max_tokens", number()),
        ("stream", select(vec!["true", "false", "null"]).prop_map(Tree::leaf).boxed()),
        ("metadata", object(vec![("user_id", user_id())], vec![("user_id", user_id())], 1)),
        ("temperature", number()),
    ];
    prop_oneof![9 => object(always, known.clone(), 7), 1 => object(vec![], known, 3)].boxed()
}

fn user_id() -> BoxedStrategy<Tree> {
    let json = object(vec![], vec![("session_id", string()), ("account", value())], 3);
    let json = (json, blanks()).prop_map(|(json, blanks)| Tree::text(&json.write(&blanks)));
    let plain = select(vec![
        "9f2c",
        "user_9f_account_a-1_session_b-2",
        "user_9f_session_",
        "x_session_y_session_z",
        r#"{"session_id":"a_session_b""#,
        r#"["_session_c"]"#,
        r#" {"session_id":""} "#,
    ]);
    prop_oneof![json, plain.prop_map(Tree::text), string()].boxed()
}

fn message() -> BoxedStrategy<Tree> {
    let role = select(vec!["user", "assistant"]).prop_map(Tree::text).boxed();
    let content = content(block(), 3);
    let known = vec![("content", content.clone()), ("role", role.clone()), ("cache_control", value())];
    prop_oneof![
        4 => object(vec![("role", role), ("content", content)], vec![], 0),
        2 => object(vec![], known, 4),
    ]
    .boxed()
}

fn system_block() -> BoxedStrategy<Tree> {
    let kind = Just(Tree::text("text")).boxed();
    object(vec![("type", kind)], vec![("text", string()), ("cache_control", value())], 3)
}

fn block() -> BoxedStrategy<Tree> {
    let kind = select(vec!["text", "tool_use", "tool_result", "thinking"]).prop_map(Tree::text).boxed();
    let inner = object(vec![], vec![("text", string()), ("content", string())], 2);
    let known = vec![
        ("type", kind),
        ("text", string()),
        ("name", string()),
        ("thinking", string()),
        ("content", content(prop_oneof![inner.clone(), array(inner, 2)].boxed(), 2)),
        ("input", value()),
        ("cache_control", value()),
    ];
    object(vec![], known, 5)
}

fn tool() -> BoxedStrategy<Tree> {
    let known = vec![
        ("name", string()),
        ("description", string()),
        ("input_schema", value()),
        ("type", string()),
        ("cache_control", value()),
    ];
    object(vec![], known, 5)
}

fn response() -> BoxedStrategy<Tree> {
    let stream = stream().prop_map(|stream| Tree::text(&stream)).boxed();
    let body = prop_oneof![reply(), stream].boxed();
    object(vec![("body", body.clone())], vec![("statusCode", number()), ("body", body)], 2)
}

/// A message of the backend, whole or as events carry it.
fn reply() -> BoxedStrategy<Tree> {
    let known = vec![("input_tokens", number()), ("content", array(called(), 3)), ("usage", usage())];
    object(vec![("usage", usage()), ("stop_reason", string())], known, 2)
}

fn usage() -> BoxedStrategy<Tree> {
    let known = vec![
        ("input_tokens", number()),
        ("output_tokens", number()),
        ("cache_creation_input_tokens", number()),
        ("cache_read_input_tokens", number()),
    ];
    object(vec![("output_tokens", number())], known, 3)
}

fn called() -> BoxedStrategy<Tree> {
    let kind = select(vec!["text", "tool_use", "server_tool_use", "mcp_tool_use"]);
    object(vec![], vec![("type", kind.prop_map(Tree::text).boxed())], 2)
}

/// The text of a stream of events, some of them broken.
fn stream() -> impl Strategy<Value = String> {
    let kinds =
        vec!["message_start", "message_delta", "content_block_start", "content_block_delta", "error", "ping"];
    let kind = select(kinds).prop_map(Tree::text).boxed();
    let error =
        prop_oneof![string(), object(vec![("message", string())], vec![("type", string())], 1)].boxed();
    let known = vec![
        ("error", error.clone()),
        ("message", reply()),
        ("usage", usage()),
        ("delta", reply()),
        ("content_block", called()),
        ("content_block", called()),
        ("type", prop_oneof![kind.clone(), string()].boxed()),
    ];
    let event = prop_oneof![
        4 => object(vec![("type", kind)], known.clone(), 4),
        1 => object(vec![("error", error)], known, 1),
    ];
    let event = (event, blanks()).prop_map(|(event, blanks)| {
        let lines = event.write(&blanks).replace("\r\n", "\n").replace('\n', "\ndata:");
        format!("data: {lines}\n\n")
    });
    let other =
        select(vec!["event: x\n", ": note\n", "\n", "\r\r", "\r\n", "data: [DONE]\r\n\r\n", "data: {\n"]);
    let piece = prop_oneof![3 => event, 1 => other.prop_map(str::to_owned)];
    vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// An object with some members for sure and up to `most` of the known ones or
/// any others, in any order and as often as it happens.
fn object(always: Vec<Known>, known: Vec<Known>, most: usize) -> BoxedStrategy<Tree> {
    let always: Vec<_> = always.into_iter().map(member).collect();
    let any = (string_text(), value()).boxed();
    let known: Vec<_> = known.into_iter().map(member).collect();
    let extra = if known.is_empty() {
        any
    } else {
        prop_oneof![6 => proptest::strategy::Union::new(known), 1 => any].boxed()
    };
    let members = (always, vec(extra, 0..=most)).prop_map(|(always, extra)| [always, extra].concat());
    let object = members.prop_shuffle().prop_map(Tree::Object);
    prop_oneof![60 => object, 1 => value()].boxed()
}

/// The usual value or, at times, any; the name at times spelt with escapes.
fn member((name, usual): Known) -> BoxedStrategy<(String, Tree)> {
    let escapes = prop_oneof![8 => Just(0), 1 => any::<u32>(), 1 => Just(u32::MAX)];
    let key = escapes.prop_map(move |escapes| spelt(name, escapes));
    (key, prop_oneof![24 => usual, 1 => value()]).boxed()
}

/// The name in quotes, with escapes for the characters whose bits are set.
fn spelt(name: &str, escapes: u32) -> String {
    let spell = |(at, c): (usize, char)| match escapes >> (at % 32) & 1 {
        0 => c.to_string(),
        _ => format!("\\u{:04X}", u32::from(c)),
    };
    format!("\"{}\"", name.chars().enumerate().map(spell).collect::<String>())
}

/// A string or an array, as `system` and `content` may be.
fn content(item: BoxedStrategy<Tree>, most: usize) -> BoxedStrategy<Tree> {
    prop_oneof![1 => string(), 2 => array(item, most)].boxed()
}

fn array(item: BoxedStrategy<Tree>, most: usize) -> BoxedStrategy<Tree> {
    let item = prop_oneof![24 => item, 1 => value()];
    vec(item, 0..=most).prop_map(Tree::Array).boxed()
}

/// Any JSON.
fn value() -> BoxedStrategy<Tree> {
    let word = select(vec!["null", "true", "false", "{}", "[]"]).prop_map(Tree::leaf);
    let leaf = prop_oneof![8 => word, 4 => number(), 8 => string(), 1 => deep()];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let member = (string_text(), inner.clone());
        prop_oneof![vec(inner, 0..3).prop_map(Tree::Array), vec(member, 0..3).prop_map(Tree::Object),]
    })
    .boxed()
}

/// Deeper than any stack of fixed size would like.
fn deep() -> BoxedStrategy<Tree> {
    let brackets = select(vec![("[", "]"), ("{\"content\":", "}"), (" [ {\"a\" : ", " } ] ")]);
    let deep = |(depth, (open, close)): (usize, (&str, &str))| {
        Tree::Leaf(open.repeat(depth).trim_start().to_owned() + "1" + close.repeat(depth).trim_end())
    };
    (1..300_usize, brackets).prop_map(deep).boxed()
}

fn number() -> BoxedStrategy<Tree> {
    let odd = select(vec![
        "0",
        "-0",
        "1",
        "512",
        "1.0",
        "1e3",
        "1E+999",
        "-2.5e-7",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890",
        "null",
    ]);
    prop_oneof![odd.prop_map(Tree::leaf), any::<u32>().prop_map(|n| Tree::Leaf(n.to_string()))].boxed()
}

fn string() -> BoxedStrategy<Tree> {
    string_text().prop_map(Tree::Leaf).boxed()
}

/// A string with its quotes; short ones come up again and again.
fn string_text() -> BoxedStrategy<String> {
    let common = select(vec!["", "hi", "ok", "cache_control", "text"]).prop_map(str::to_owned);
    let odd = vec(string_piece(), 0..6).prop_map(|pieces| pieces.concat());
    prop_oneof![common, odd].prop_map(|inner| format!("\"{inner}\"")).boxed()
}

fn string_piece() -> BoxedStrategy<String> {
    let plain = select(vec![
        "é",
        "日本",
        "😀",
        "\u{2028}",
        "\u{7f}",
        "\u{feff}",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "  ",
        "/",
        "'",
        "a longer stretch of plain text, past any block of thirty-two bytes",
    ]);
    let escape = select(vec![
        r"\n",
        r"\t",
        r"\r",
        r"\b",
        r"\f",
        r"\/",
        r"\\",
        r#"\""#,
        r"\u0000",
        r"\u00e9",
        r"\u0041",
        r"\\u12",
        r"\ud83d\ude00",
        r"\uD83D\uDE00",
        r"\ud83d",
        r"\ude00",
        r"\uDBFF\uDFFF",
        r"\ud83d\u0041",
        r"\uffff",
    ]);
    let letters = "[a-z ]{1,5}";
    prop_oneof![plain.prop_map(str::to_owned), escape.prop_map(str::to_owned), letters].boxed()
}
