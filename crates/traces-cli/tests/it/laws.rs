//! What must hold for every recording, shown on generated ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::common::{self, Folder, HOME, members, program, repo, run, tool, traces};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A generated trace file.
#[derive(Debug, Clone)]
struct Made {
    seconds: u32,
    mode: &'static str,
    body: Value,
}

fn system() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        "[a-zé\n\"\u{1F600}]{0,30}".prop_map(Value::from),
        prop::collection::vec("[a-z<|]{0,20}", 0..3).prop_map(|texts| {
            texts.into_iter().map(|text| json!({ "type": "text", "text": text })).collect()
        }),
    ]
}

fn tools() -> impl Strategy<Value = Vec<Value>> {
    let name =
        prop::sample::select(vec!["Bash", "Read", "mcp__github__search", "mcp__github__read", "Ünïcode"]);
    let named = prop::collection::btree_map(name, "[a-z ]{0,40}", 0..5);
    named.prop_map(|tools| tools.iter().map(|(name, text)| tool(name, text)).collect())
}

fn messages() -> impl Strategy<Value = Vec<Value>> {
    let content = prop_oneof![
        "[a-z \\\\]{0,20}".prop_map(Value::from),
        prop::collection::vec("[a-z]{0,9}", 0..3).prop_map(|texts| {
            texts.into_iter().map(|text| json!({ "type": "text", "text": text })).collect()
        }),
    ];
    let message = content.prop_map(|content| json!({ "role": "user", "content": content }));
    prop::collection::vec(message, 1..4)
}

fn made() -> impl Strategy<Value = Made> {
    let max_tokens = prop::sample::select(vec![1_u32, 512, 32000]);
    let session = prop::option::of(0..3_u8);
    let parts = (system(), tools(), messages(), max_tokens, session);
    let mode = prop::sample::select(vec!["lmstudio", "claude", "local"]);
    (0..7_u32, mode, parts).prop_map(|(seconds, mode, (system, tools, messages, max_tokens, session))| {
        let mut body = json!({ "model": "claude-sonnet-4", "max_tokens": max_tokens, "messages": messages });
        if !system.is_null() {
            body["system"] = system;
        }
        if !tools.is_empty() {
            body["tools"] = tools.into();
        }
        if let Some(session) = session {
            let id = format!("0000000{session}-1111-4111-8111-111111111111");
            body["metadata"] = json!({ "user_id": json!({ "session_id": id }).to_string() });
        }
        Made { seconds, mode, body }
    })
}

fn several() -> impl Strategy<Value = Vec<Made>> {
    prop::collection::vec(made(), 1..8)
}

impl Made {
    fn json(&self) -> String {
        let mut trace = common::trace(&format!("2025-11-16T10:00:0{}.000Z", self.seconds), &self.body);
        trace["mode"] = json!(self.mode);
        serde_json::to_string_pretty(&trace).unwrap()
    }
}

/// Writes the traces in this order.
fn written<'m>(made: impl Iterator<Item = (usize, &'m Made)>) -> Folder {
    let folder = Folder::new();
    made.for_each(|(at, made)| folder.write(format!("in/{at}.json"), made.json()));
    folder
}

fn number(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_else(|| panic!("{name} of {object}"))
}

/// A member of every object, added up.
fn sum(objects: &Value, name: &str) -> u64 {
    objects.as_array().unwrap().iter().map(|object| number(object, name)).sum()
}

fn few() -> ProptestConfig {
    ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn sections_add_up_and_are_those_of_the_body(made in several()) {
        let folder = written(made.iter().enumerate());
        let requests = folder.traces("list in --format ndjson").ends_with(0).ndjson();
        prop_assert_eq!(requests.len(), made.len());
        for request in &requests {
            let sections = ["system_bytes", "tools_bytes", "messages_bytes", "other_bytes"];
            let sum: u64 = sections.iter().map(|name| number(request, name)).sum();
            prop_assert_eq!(sum, number(request, "body_bytes"));
            let at: usize = request["path"].as_str().unwrap()[3..4].parse().unwrap();
            let body = &made[at].body;
            let size = |value: &Value| if value.is_null() { 0 } else { value.to_string().len() as u64 };
            prop_assert_eq!(number(request, "body_bytes"), size(body));
            prop_assert_eq!(number(request, "system_bytes"), size(&body["system"]));
            prop_assert_eq!(number(request, "tools_bytes"), size(&body["tools"]));
            prop_assert_eq!(number(request, "messages_bytes"), size(&body["messages"]));
        }
    }

    #[test]
    fn what_show_takes_apart_adds_up(made in made()) {
        let folder = written(std::iter::once((0, &made)));
        let shown = folder.traces("show in/0.json --format json").ends_with(0).json();
        prop_assert_eq!(shown["tools"].as_array().unwrap().len() as u64, number(&shown, "tool_count"));
        let tools = number(&shown, "tool_count");
        // Brackets and commas stand around and between the elements.
        let around = |count: u64| if count == 0 { 0 } else { count + 1 };
        prop_assert_eq!(sum(&shown["tools"], "bytes") + around(tools), number(&shown, "tools_bytes"));
        let messages = number(&shown, "message_count");
        prop_assert_eq!(sum(&shown["messages"], "bytes") + around(messages), number(&shown, "messages_bytes"));
        prop_assert_eq!(sum(&shown["system"], "chars"), number(&shown, "system_chars"));
        let sizes: Vec<u64> = shown["tools"].as_array().unwrap().iter().map(|tool| number(tool, "bytes")).collect();
        prop_assert!(sizes.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn nothing_differs_from_itself(made in several()) {
        let folder = written(made.iter().enumerate());
        let groups = ["in/0.json in/0.json", "in in --kind all"];
        for sides in groups {
            let found = folder.traces(&format!("diff {sides} --exit-code --text --format json")).ends_with(0).json();
            prop_assert_eq!(&found["tools"]["added"], &json!([]));
            prop_assert_eq!(&found["tools"]["changed"], &json!([]));
            prop_assert_eq!(&found["parameters"], &json!([]));
            prop_assert_eq!(&found["text"], &json!({ "system": "", "tools": "" }));
            prop_assert!(found["measures"].as_array().unwrap().iter().all(|change| change["left"] == change["right"]));
        }
    }

    #[test]
    fn a_difference_seen_from_the_other_side_is_mirrored(left in made(), right in made()) {
        let folder = written([(0, &left), (1, &right)].into_iter());
        let there = folder.traces("diff in/0.json in/1.json --format json --exit-code");
        let back = folder.traces("diff in/1.json in/0.json --format json --exit-code");
        prop_assert_eq!(there.code, back.code);
        prop_assert_eq!(there.code == 0, left.body == right.body);
        prop_assert_eq!(mirrored(there.json()), ratios_left_out(back.json()));
    }

    #[test]
    fn a_summary_depends_on_no_order_of_files(made in several(), turn in 0..8_usize) {
        let forward = written(made.iter().enumerate());
        let backward = written(made.iter().enumerate().rev());
        let summary = |folder: &Folder, files: &[String]| {
            let ran = run(program(folder.path()), "summary --kind all --format json", files).ends_with(0);
            ran.stdout
        };
        let mut files: Vec<String> = (0..made.len()).map(|at| format!("in/{at}.json")).collect();
        let expected = summary(&forward, &files);
        prop_assert_eq!(&summary(&backward, &["in".to_owned()]), &expected);
        files.rotate_left(turn % made.len());
        prop_assert_eq!(&summary(&forward, &files), &expected);
        files.reverse();
        prop_assert_eq!(&summary(&backward, &files), &expected);
    }

    #[test]
    fn requests_are_listed_by_time_and_then_by_path(made in several(), turn in 0..8_usize) {
        let folder = written(made.iter().enumerate());
        folder.write("in/untimed.json", made[0].json().replace("2025-11-16T", "never"));
        let mut files: Vec<String> = (0..made.len()).map(|at| format!("in/{at}.json")).collect();
        files.push("in/untimed.json".to_owned());
        let turn = turn % files.len();
        files.rotate_right(turn);
        let listed = run(program(folder.path()), "list --format json", &files).ends_with(0).json();
        let key = |request: &Value| {
            let time = request["timestamp"].as_str().map(str::to_owned);
            (time.is_none(), time, PathBuf::from(request["path"].as_str().unwrap()))
        };
        let keys: Vec<_> = listed["requests"].as_array().unwrap().iter().map(key).collect();
        prop_assert_eq!(keys.len(), files.len());
        prop_assert!(keys.is_sorted());
        prop_assert!(keys.last().unwrap().0, "what has no time comes last");
    }

    #[test]
    fn totals_agree_with_the_list(made in several()) {
        let folder = written(made.iter().enumerate());
        totals_agree(|line| run(program(folder.path()), line, &["in"]).stdout);
    }
}

/// A comparison as it must look from the other side; ratios are left out.
fn mirrored(found: Value) -> Value {
    let mut found = ratios_left_out(found);
    swap(&mut found, "left", "right");
    for change in found["measures"].as_array_mut().unwrap() {
        swap(change, "left", "right");
        negate(change);
    }
    swap(&mut found["tools"], "added", "removed");
    for change in found["tools"]["changed"].as_array_mut().unwrap() {
        swap(change, "left", "right");
        negate(change);
    }
    swap(&mut found["system"], "left_chars", "right_chars");
    swap(&mut found["messages"], "left_only", "right_only");
    found["parameters"].as_array_mut().unwrap().iter_mut().for_each(|change| swap(change, "left", "right"));
    found
}

fn swap(object: &mut Value, a: &str, b: &str) {
    let left = object[a].take();
    let right = std::mem::replace(&mut object[b], left);
    object[a] = right;
}

fn negate(change: &mut Value) {
    if let Some(delta) = change["delta"].as_i64() {
        change["delta"] = json!(-delta);
    }
}

/// Checks each ratio against its sides, and takes it out.
fn ratios_left_out(mut found: Value) -> Value {
    for change in found["measures"].as_array_mut().unwrap() {
        let ratio = change.as_object_mut().unwrap().remove("ratio").expect("a ratio, if only null");
        let sides = change["left"].as_f64().zip(change["right"].as_f64());
        let expected = sides.filter(|(left, _)| *left != 0.0).map(|(left, right)| right / left);
        let error = ratio.as_f64().zip(expected).map(|(ratio, expected)| (ratio - expected).abs() / expected);
        assert!(error.is_none_or(|error| error < 1e-9 || expected == Some(0.0)), "{change}: {ratio}");
        assert_eq!(ratio.is_null(), expected.is_none(), "{change}: {ratio}");
        assert_eq!(change["delta"].as_f64(), sides.map(|(left, right)| right - left), "{change}");
    }
    found
}

/// Fails unless `summary` counts what `list` prints. `print` runs a line.
fn totals_agree(print: impl Fn(&str) -> String) {
    let listed: Value = serde_json::from_str(&print("list --kind all --format json")).unwrap();
    let requests = listed["requests"].as_array().unwrap();
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    requests.iter().for_each(|request| *kinds.entry(request["kind"].as_str().unwrap()).or_default() += 1);
    for (kind, &count) in &kinds {
        for by in ["model", "session", "mode", "kind", "day", "run", "level"] {
            let line = format!("summary --kind {kind} --by {by} --format json");
            let found: Value = serde_json::from_str(&print(&line)).unwrap();
            let totals = &found["totals"];
            assert_eq!(number(totals, "requests"), count, "{line}");
            assert_eq!(sum(&found["groups"], "requests"), count, "{line}");
            assert_eq!(sum(&found["sessions"], "requests"), count, "{line}");
            let others = found["other_kinds"].as_object().unwrap();
            let other: u64 = others.values().map(|n| n.as_u64().unwrap()).sum();
            assert_eq!((other + count) as usize, requests.len(), "{line}");
            assert!(others.iter().all(|(name, n)| kinds[name.as_str()] == *n), "{line}");
            let of_kind = || requests.iter().filter(|request| request["kind"] == *kind);
            let files: usize = of_kind().map(|request| request["paths"].as_array().unwrap().len()).sum();
            assert_eq!(number(totals, "files") as usize, files, "{line}");
            let sessions: BTreeSet<&str> =
                of_kind().filter_map(|request| request["session"].as_str()).collect();
            assert_eq!(number(totals, "sessions") as usize, sessions.len(), "{line}");
            let groups = found["groups"].as_array().unwrap();
            let most = |name: &str| groups.iter().map(|group| number(&group[name], "max")).max();
            assert_eq!(most("body_bytes"), of_kind().map(|request| number(request, "body_bytes")).max());
        }
    }
}

#[test]
fn totals_agree_with_the_list_at_home() {
    totals_agree(|line| traces(&format!("{line} {HOME}")).ends_with(0).stdout);
}

/// The members of an object, those of objects in it dotted.
fn flattened(prefix: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    for (name, member) in value.as_object().unwrap() {
        match member {
            Value::Object(_) => flattened(&format!("{prefix}{name}."), member, into),
            other => drop(into.insert(format!("{prefix}{name}"), other.clone())),
        }
    }
}

/// A value as CSV shows it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(";"),
        other => other.to_string(),
    }
}

#[test]
fn csv_of_requests_has_the_names_and_values_of_json() {
    let requests = traces(&format!("list {HOME} --format ndjson")).ends_with(0).ndjson();
    let (headings, rows) = traces(&format!("list {HOME} --format csv")).ends_with(0).csv();
    assert_eq!(rows.len(), requests.len());
    let mut names = BTreeSet::new();
    for (row, request) in rows.iter().zip(&requests) {
        let mut members = BTreeMap::new();
        flattened("", request, &mut members);
        assert_eq!(members.remove("schema_version"), Some(json!(1)));
        for (name, value) in &members {
            // Where nothing is known the whole object is null.
            let nested = headings.iter().any(|heading| heading.starts_with(&format!("{name}.")));
            assert!(if nested { value.is_null() } else { row[name] == cell(value) }, "{name}: {value}");
            names.extend((!nested).then(|| name.clone()));
        }
    }
    let objects = ["tokens.", "server_join."];
    let seen =
        |heading: &String| names.contains(heading) || objects.iter().any(|name| heading.starts_with(name));
    let unseen: Vec<&String> = headings.iter().filter(|heading| !seen(heading)).collect();
    assert!(unseen.is_empty(), "headings that JSON does not have: {unseen:?}");
    assert_eq!(headings.iter().collect::<BTreeSet<_>>().len(), headings.len(), "a heading comes twice");
}

#[test]
fn csv_of_groups_and_measures_has_the_values_of_json() {
    for (line, rows_at) in [
        (format!("summary {HOME} --by mode"), "groups"),
        (format!("diff {HOME}/traces/claude {HOME}"), "measures"),
    ] {
        let json = traces(&format!("{line} --format json")).ends_with(0).json();
        let (_, rows) = traces(&format!("{line} --format csv")).ends_with(0).csv();
        let objects = json[rows_at].as_array().unwrap();
        assert_eq!(rows.len(), objects.len());
        for (row, object) in rows.iter().zip(objects) {
            let mut members = BTreeMap::new();
            flattened("", object, &mut members);
            members.retain(|name, value| row.contains_key(name) || !value.is_null());
            for (name, value) in members {
                assert_eq!(row[&name], cell(&value), "{name}");
            }
        }
    }
}

#[test]
fn list_in_json_and_in_ndjson_are_the_same_requests() {
    let lines = traces(&format!("list {HOME} --format ndjson")).ndjson();
    let mut document = traces(&format!("list {HOME} --format json")).json();
    assert_eq!(document["skipped"], json!([]));
    assert_eq!(members(&document["requests"], "path").len(), lines.len());
    for (line, request) in lines.iter().zip(document["requests"].as_array_mut().unwrap()) {
        request["schema_version"] = json!(1);
        assert_eq!(line, request);
    }
}

#[test]
fn a_run_prints_the_same_every_time() {
    for line in ["summary --all", "list --all", "list --all --format ndjson", "show --text", "diff"] {
        let line = format!("{line} --root {HOME}");
        let first = traces(&line);
        assert!((0..3).all(|_| traces(&line) == first), "{line}");
    }
}

#[test]
fn the_repository_is_where_the_tests_think() {
    assert!(repo().join(HOME).is_dir());
}
