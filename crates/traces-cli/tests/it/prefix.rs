//! `traces prefix`: what is shown of a simulation, and what it says to do.

use crate::common::{Folder, HOME, body_of_session, traces};
use serde_json::{Value, json};

/// A turn of a conversation whose header for billing is another each time.
fn turn(number: usize) -> Value {
    let mut body = body_of_session("How many herons?", "aaaaaaaa");
    body["system"] = json!([
        { "type": "text", "text": format!("x-anthropic-billing-header: cc_version=2; cch={number}f00d;") },
        { "type": "text", "text": "Count birds at dusk. ".repeat(40) },
    ]);
    let messages = body["messages"].as_array_mut().unwrap();
    for answer in 0..number {
        messages.push(json!({ "role": "assistant", "content": format!("I saw {answer}.") }));
        messages.push(json!({ "role": "user", "content": format!("And at pond {answer}?") }));
    }
    body
}

fn stamp(second: usize) -> String {
    format!("2025-11-16T10:00:{second:02}.000Z")
}

fn billed() -> Folder {
    let folder = Folder::new();
    for number in 0..4 {
        folder.trace(format!("in/{number}.json"), &stamp(number), &turn(number));
    }
    folder
}

fn cache_of(found: &Value) -> Value {
    json!([found["cache"]["slots"], found["cache"]["ram"]])
}

/// Rows without what the speeds of the requests in scope make of them.
fn without_times(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        row["expected_ttft_ms"].take();
        row.get_mut("break").and_then(|broke| broke.get_mut("lost_ms")).map(Value::take);
    }
    rows
}

fn sum(rows: &[Value], name: &str) -> u64 {
    rows.iter().map(|row| row[name].as_u64().unwrap()).sum()
}

#[test]
fn the_billing_header_is_named_priced_and_cured() {
    let folder = billed();
    let found = folder.traces("prefix in --format json").ends_with(0).json();
    let breaks: Vec<&Value> = found["requests"].as_array().unwrap().iter().map(|row| &row["break"]).collect();
    assert_eq!(breaks[0]["cause"], "first_request");
    for (number, broke) in breaks.iter().enumerate().skip(1) {
        assert_eq!((&broke["element"], &broke["cause"]), (&json!("system[0]"), &json!("billing_header")));
        // The folder's writer sorts members: `text` stands first.
        let common = r#"{"text":"x-anthropic-billing-header: cc_version=2; cch="#.len();
        assert_eq!(broke["common_bytes"], common, "{number}");
        // All that was sent before, but for the header itself.
        let before = &found["requests"][number - 1];
        let header = common + r#"0f00d;","type":"text"}"#.len();
        let lost = before["prompt_bytes"].as_u64().unwrap() - header as u64;
        assert_eq!(
            (&broke["lost_bytes"], &found["requests"][number]["lost_bytes"]),
            (&json!(lost), &json!(lost))
        );
    }
    let worst = &found["breakers"][0];
    assert_eq!((&worst["cause"], &worst["requests"]), (&json!("billing_header"), &json!(3)));
    assert_eq!((&found["view"], &cache_of(&found)), (&json!("sorted,text-only"), &json!([4, true])));
    let cured = folder.traces("prefix in --as sorted,no-header --format json").ends_with(0).json();
    assert!(cured["requests"].as_array().unwrap().iter().skip(1).all(|row| row["break"].is_null()));
    assert_eq!(cured["breakers"], json!([]));
    let table = folder.traces("prefix in").ends_with(0).stdout;
    for words in ["billing_header", "settings.json", "CLAUDE_CODE_ATTRIBUTION_HEADER"] {
        assert!(
            table.contains(words),
            "{words}
{table}"
        );
    }
    assert_eq!(table.matches("upper bound").count(), 1);
}

#[test]
fn what_a_request_on_the_side_evicts_is_named_with_its_price() {
    let folder = Folder::new();
    // Large enough to share less than a tenth with any other.
    let mut aside = body_of_session(&"Name this. ".repeat(40), "aaaaaaaa");
    aside["tools"] = json!([]);
    aside["system"] = json!("Give a title.");
    let mut first = turn(0);
    first["system"] = json!("Count birds. ".repeat(50));
    let mut second = turn(1);
    second["system"] = first["system"].clone();
    for (second_of, body) in [&first, &aside, &second].into_iter().enumerate() {
        folder.trace(format!("in/{second_of}.json"), &stamp(second_of), body);
    }
    let found = folder.traces("prefix in --format json").ends_with(0).json();
    assert_eq!(found["requests"][2]["break"], Value::Null);
    assert_eq!(found["evictions"], json!([]));
    let price = found["totals"]["reusable_bytes"].as_u64().unwrap()
        - found["totals_one_slot"]["reusable_bytes"].as_u64().unwrap();
    let evicted = &found["evictions_one_slot"][0];
    assert_eq!((&evicted["kind"], &evicted["requests"]), (&json!("background"), &json!(1)));
    assert_eq!(evicted["lost_bytes"], price);
    let alone = folder.traces("prefix in --slots 1 --cache-ram off --format json").ends_with(0).json();
    assert_eq!(alone["requests"][2]["break"]["cause"], "evicted");
    assert_eq!(alone["requests"][2]["break"]["evicted_by"], found["requests"][1]["path"]);
    assert_eq!(alone["totals"], alone["totals_one_slot"]);
    assert_eq!(alone["totals"], found["totals_one_slot"]);
    folder.traces("prefix in --fail-over tool_count=1").ends_with(1).says(&["tool_count", "0.json"]);
}

#[test]
fn filters_choose_rows_and_leave_the_simulation_alone() {
    let rows = |more: &str| {
        without_times(
            traces(&format!("prefix --root {HOME} --all --format ndjson {more}")).ends_with(0).ndjson(),
        )
    };
    let whole = rows("");
    let kept = |fits: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        whole.iter().filter(|row| fits(row)).cloned().collect()
    };
    assert_eq!(rows("--kind conversation"), kept(&|row| row["kind"] == "conversation"));
    assert_eq!(rows("--last 9"), whole[whole.len() - 9..]);
    assert_eq!(
        rows("session:11111111"),
        kept(&|row| row["session"].as_str().unwrap().starts_with("11111111"))
    );
    assert_eq!(rows("--model gpt-oss"), kept(&|row| row["model"] == "openai/gpt-oss-20b"));
}

#[test]
fn the_cache_is_filled_by_the_day_before_the_scope() {
    let rows = |since: &str| {
        without_times(traces(&format!("prefix --root {HOME} --since {since} --format ndjson")).ndjson())
    };
    let (day, part) = (rows("2025-11-16"), rows("2025-11-16T02:31:05Z"));
    assert!(part.len() < day.len());
    assert_eq!(part, day[day.len() - part.len()..]);
}

#[test]
fn totals_are_those_of_the_rows() {
    for more in
        ["", "--kind conversation", "--order tools-first --slots 1", "--as sorted,no-header --slots 2"]
    {
        let line = format!("prefix --root {HOME} {more}");
        let found = traces(&format!("{line} --format json")).ends_with(0).json();
        let rows = found["requests"].as_array().unwrap();
        for (totals, name) in [("totals", "reusable_bytes"), ("totals_one_slot", "reusable_bytes_one_slot")] {
            assert_eq!(found[totals]["prompt_bytes"], sum(rows, "prompt_bytes"), "{more}");
            assert_eq!(found[totals]["reusable_bytes"], sum(rows, name), "{more}");
        }
        let mut lines = traces(&format!("{line} --format ndjson")).ends_with(0).ndjson();
        lines.iter_mut().for_each(|line| {
            assert_eq!(line.as_object_mut().unwrap().remove("schema_version"), Some(json!(1)))
        });
        assert_eq!(&lines, rows);
        let (headings, csv) = traces(&format!("{line} --format csv")).ends_with(0).csv();
        assert!(headings.contains(&"break.cause".to_owned()));
        for (csv, row) in csv.iter().zip(rows) {
            assert_eq!(csv["prompt_bytes"], row["prompt_bytes"].to_string());
            assert_eq!(csv["break.cause"], row["break"]["cause"].as_str().unwrap_or_default());
        }
    }
}

#[test]
fn no_prompt_text_is_printed_unless_asked_for() {
    let folder = Folder::new();
    for (number, secret) in ["sesame-one", "sesame-two"].into_iter().enumerate() {
        let mut body = turn(0);
        body["system"] = json!([{ "type": "text", "text": format!("The word is {secret}. Count birds.") }]);
        folder.trace(format!("in/{number}.json"), &stamp(number), &body);
    }
    for format in ["table", "json", "ndjson", "csv", "markdown"] {
        let line = format!("prefix in --format {format}");
        assert!(!folder.traces(&line).ends_with(0).stdout.contains("sesame"), "{format}");
        let asked = folder.traces(&format!("{line} --text")).ends_with(0).stdout;
        assert!(asked.contains("sesame-one") && asked.contains("sesame-two"), "{format}\n{asked}");
    }
}

/// Tools of one name, whose members stand in this order.
fn with_tools(tools: &[&str]) -> String {
    let tools: Vec<String> = tools.iter().map(|members| format!(r#"{{"name":"Count",{members}}}"#)).collect();
    let tools = tools.join(",");
    let messages = r#"[{"role":"user","content":"Count birds."}]"#;
    format!(
        r#"{{"timestamp":"2025-12-01T10:00:00.000Z","mode":"lmstudio","request":{{"url":"/v1/messages","body":{{"model":"m","tools":[{tools}],"messages":{messages}}}}}}}"#
    )
}

#[test]
fn members_of_a_tool_in_another_order_are_told_from_a_change() {
    let schema = r#""input_schema":{"type":"object","properties":{}}"#;
    let turned = r#""input_schema":{"properties":{},"type":"object"}"#;
    let other = r#""input_schema":{"properties":{"a":{}},"type":"object"}"#;
    let other_turned = r#""input_schema":{"type":"object","properties":{"a":{}}}"#;
    for (was, now, cause) in [
        (vec![schema], vec![turned], "schema_order"),
        (vec![schema], vec![other], "tools_changed"),
        // Of two definitions under one name, each goes with its own.
        (vec![schema, other], vec![other_turned, turned], "schema_order"),
        (vec![schema, other], vec![turned, turned], "tools_changed"),
    ] {
        let folder = Folder::new();
        for (name, tools) in [("0", &was), ("1", &now)] {
            let text = with_tools(tools).replace("10:00:00", &format!("10:00:0{name}"));
            folder.write(format!("in/{name}.json"), text);
        }
        let found = folder.traces("prefix in --format json").ends_with(0).json();
        assert_eq!(found["requests"][1]["break"]["cause"], cause, "{was:?} {now:?}");
    }
}

#[test]
fn thinking_never_reaches_a_local_model_and_places_are_those_that_were_sent() {
    let said = |number: usize, thought: &str, mode: &str| {
        let mut body = turn(0);
        body["messages"] = json!([
            { "role": "user", "content": "Count birds." },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": thought, "signature": "s" },
                { "type": "text", "text": format!("I saw {number}.") },
            ] },
            { "role": "user", "content": "Go on." },
        ]);
        json!({ "timestamp": stamp(number), "mode": mode, "request": { "url": "/v1/messages", "body": body } })
    };
    for (mode, view, place) in [
        ("lmstudio", "sorted,text-only", "messages[1].content[1]"),
        ("claude", "sent", "messages[1].content[0]"),
    ] {
        let folder = Folder::new();
        for (number, thought) in ["hm", "well"].into_iter().enumerate() {
            folder.write(format!("in/{number}.json"), said(number, thought, mode).to_string());
        }
        let found = folder.traces("prefix in --format json").ends_with(0).json();
        assert_eq!(
            (&found["view"], &found["requests"][1]["break"]["element"]),
            (&json!(view), &json!(place))
        );
        let sent = folder.traces("prefix in --as sent --format json").ends_with(0).json();
        assert_eq!(sent["requests"][1]["break"]["element"], "messages[1].content[0]", "{mode}");
    }
}

#[test]
fn edits_that_do_not_exist_are_refused_with_those_that_do() {
    let folder = billed();
    folder.traces("prefix in --as proxied").ends_with(2).says(&["proxied", "sorted, no-header, text-only"]);
    folder.traces("prefix in --cache-ram maybe").ends_with(2).says(&["maybe", "auto", "off"]);
}
