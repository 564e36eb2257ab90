//! Tokens through the binary: they add up to what backends reported, do not depend on
//! which requests are shown, and price the tools.

use std::collections::HashMap;

use crate::common::{self, Folder, HOME, body, trace, traces};
use serde_json::{Value, json};

fn requests(line: &str) -> Vec<Value> {
    let printed = traces(&format!("list --root {HOME} --all --format ndjson {line}")).ends_with(0).stdout;
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_backends_own_count_is_shared_out_to_the_last_token() {
    let (mut reported, mut estimated) = (0, 0);
    for request in requests("") {
        let tokens = &request["tokens"];
        let section = |name: &str| tokens[name].as_u64().unwrap();
        assert_eq!(section("total"), section("system") + section("tools") + section("messages"), "{request}");
        let response = &request["response"];
        let counts = ["input_tokens", "cache_creation_tokens", "cache_read_tokens"];
        let answered = response["input_tokens"]
            .as_u64()
            .map(|_| counts.iter().filter_map(|name| response[*name].as_u64()).sum::<u64>());
        let logged = request["timing"]["prompt_tokens"].as_u64();
        match logged.or(answered) {
            Some(count) => {
                assert_eq!((tokens["method"].as_str(), section("total")), (Some("reported"), count));
                reported += 1;
            }
            None => {
                assert_eq!(tokens["method"], "estimate", "{request}");
                estimated += 1;
            }
        }
        for (name, bytes) in [("system", "system_chars"), ("tools", "tool_count")] {
            assert_eq!(section(name) == 0, request[bytes] == 0, "{name} of {request}");
        }
    }
    assert!(reported > 20 && estimated > 5, "{reported} {estimated}");
}

/// A reply that tells as many tokens as a number holds makes no estimate of others
/// that overflows.
#[test]
fn an_absurd_count_of_one_request_harms_no_other() {
    let folder = Folder::new();
    for (at, response) in [("00", json!({ "usage": { "input_tokens": u64::MAX } })), ("05", Value::Null)] {
        let mut trace = trace(&format!("2025-11-16T10:{at}:00.000Z"), &body("a question"));
        trace["mode"] = "claude".into();
        trace["response"] = json!({ "statusCode": 200, "body": response });
        folder.write(format!("{at}.json"), trace.to_string());
    }
    let listed = folder.traces("list . --format json").ends_with(0).json();
    assert_eq!(listed["requests"][0]["tokens"]["total"], u64::MAX);
    assert!(listed["requests"][1]["tokens"]["total"].as_u64().unwrap() < 1000, "{listed}");
    for verb in ["summary", "prefix", "show", "report --format markdown"] {
        folder.traces(&format!("{verb} .")).ends_with(0);
    }
}

#[test]
fn tokens_do_not_depend_on_what_else_is_shown() {
    let by_path = |requests: Vec<Value>| -> HashMap<String, Value> {
        requests
            .into_iter()
            .map(|one| (one["path"].as_str().unwrap().to_owned(), one["tokens"].clone()))
            .collect()
    };
    let all = by_path(requests(""));
    for line in ["--kind probe", "--kind background --last 3", "--mode claude", "--session 33333333"] {
        for (path, tokens) in by_path(requests(line)) {
            assert_eq!(tokens, all[&path], "{line}: {path}");
        }
    }
}

#[test]
fn without_any_backends_count_list_leaves_tokens_unknown_and_show_estimates() {
    let folder = common::Folder::new();
    folder.trace("traces/a.json", "2025-11-16T10:00:00.000Z", &common::body("hello there"));
    let listed = folder.traces("list --root . --format ndjson").ends_with(0).json();
    assert_eq!(listed["tokens"], Value::Null);
    let shown = folder.traces("show --root . --format json").ends_with(0).json();
    assert_eq!(shown["tokens"]["method"], "estimate");
    assert!(shown["tokens"]["messages"].as_u64().unwrap() > 0);
    let prefix = folder.traces("prefix --root . --context 1 --format json").ends_with(0).json();
    let thread = &prefix["context"]["threads"][0];
    assert!(thread["headroom_tokens"].as_i64().unwrap() < 0);
    assert_eq!(thread["overflow_turn"], 1);
}

#[test]
fn prices_add_up_and_name_what_was_never_called() {
    let summary = traces(&format!("summary --root {HOME} --format json")).ends_with(0).json();
    let list = &summary["price_list"];
    let tools = list["tools"].as_array().unwrap();
    let sum = |of: &dyn Fn(&&Value) -> bool| -> u64 {
        tools.iter().filter(of).map(|tool| tool["tokens"].as_u64().unwrap()).sum()
    };
    assert_eq!(list["tokens"], sum(&|_| true));
    assert_eq!(list["uncalled_tokens"], sum(&|tool| tool["called"] == false));
    assert!(tools.is_sorted_by(|a, b| a["tokens"].as_u64() >= b["tokens"].as_u64()));
    let called: Vec<&str> =
        list["called_tools"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(called.contains(&"Bash") && !called.contains(&"NotebookEdit"), "{called:?}");
    assert_eq!(list["uncalled_servers"], serde_json::json!(["notes", "weather"]));
    assert_eq!(list["model"], "qwen3-42b-a3b-2507-thinking");
}
