//! Files for other tools: what is in them, what never is, and how they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::common::{Folder, HOME, Ran, body, program, repo, run, trace, traces};
use serde_json::{Value, json};

/// The members of `timing` that are slices, by their names.
const PARTS: [&str; 7] = ["proxy", "load", "queue", "read", "write", "stall", "other"];

/// Runs `traces export LINE` in a folder of its own, on the recording in testdata.
pub(crate) fn export(folder: &Folder, line: &str) -> Ran {
    let root = repo().join(HOME);
    run(program(folder.path()), &format!("export {line} --root"), &[root])
}

/// The events of a timeline.
fn events(timeline: &Value) -> &Vec<Value> {
    timeline["traceEvents"].as_array().expect("events")
}

fn of_phase<'a>(timeline: &'a Value, phase: &str) -> Vec<&'a Value> {
    events(timeline).iter().filter(|event| event["ph"] == phase).collect()
}

/// Every request that `list` has a total time of is a slice as long, and its parts are
/// those of `timing`.
#[test]
fn slices_are_the_times_of_list() {
    let timeline = traces(&format!("export --root {HOME} --all")).ends_with(0).json();
    let listed = traces(&format!("list --root {HOME} --all --format ndjson")).ends_with(0).ndjson();
    let slices = of_phase(&timeline, "X");
    let mut checked = 0;
    for request in &listed {
        let timing = &request["timing"];
        let whole = timing["wall_ms"].as_u64().or(timing["total_ms"].as_u64());
        let of_this = |slice: &&&Value| slice["args"]["id"] == request["id"];
        let slice = slices.iter().find(of_this);
        assert_eq!(slice.is_some(), whole.is_some(), "{request}");
        let (Some(slice), Some(whole)) = (slice, whole) else { continue };
        assert_eq!(slice["dur"], whole * 1000, "{request}");
        let (from, to) = (slice["ts"].as_u64().unwrap(), slice["ts"].as_u64().unwrap() + whole * 1000);
        let inside = |event: &&&Value| {
            let at = event["ts"].as_u64().unwrap();
            event["cat"] == "part" && same_lane(event, slice) && at >= from && at < to
        };
        let mut parts: BTreeMap<&str, u64> = BTreeMap::new();
        for part in slices.iter().filter(inside) {
            *parts.entry(part["name"].as_str().unwrap()).or_default() += part["dur"].as_u64().unwrap() / 1000;
        }
        for name in PARTS {
            let expected = timing[format!("{name}_ms")].as_u64().unwrap_or(0);
            assert_eq!(parts.get(name).copied().unwrap_or(0), expected, "{name} of {request}");
        }
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
    let instants = of_phase(&timeline, "i");
    assert_eq!(
        instants.iter().filter(|event| event["cat"] == "request").count() + checked,
        listed.iter().filter(|request| !request["timestamp"].is_null()).count(),
    );
}

fn same_lane(a: &Value, b: &Value) -> bool {
    a["pid"] == b["pid"] && a["tid"] == b["tid"]
}

/// What does not lie in another slice of its lane is a request, and no two of these overlap.
#[test]
fn slices_nest() {
    let timeline = traces(&format!("export --root {HOME} --all")).ends_with(0).json();
    let mut lanes: BTreeMap<_, Vec<(u64, u64, &str)>> = BTreeMap::new();
    for slice in of_phase(&timeline, "X") {
        let number = |name: &str| slice[name].as_u64().unwrap_or_else(|| panic!("{name} is whole: {slice}"));
        let lane = lanes.entry((number("pid"), number("tid"))).or_default();
        lane.push((number("ts"), number("ts") + number("dur"), slice["cat"].as_str().unwrap()));
    }
    assert!(lanes.len() > 2);
    for lane in lanes.values() {
        let mut request = (0, 0);
        let mut part_ends = 0;
        for &(from, to, category) in lane {
            if category == "request" {
                assert!(from >= request.1, "{from} {request:?}");
                (request, part_ends) = ((from, to), from);
            } else {
                assert!(from == part_ends && to <= request.1, "{from}–{to} in {request:?}");
                part_ends = to;
            }
        }
    }
}

#[test]
fn models_are_processes_and_findings_instants() {
    let timeline = traces(&format!("export --root {HOME} --all")).ends_with(0).json();
    let names = |kind: &str| -> BTreeSet<String> {
        let named = of_phase(&timeline, "M").into_iter().filter(|event| event["name"] == kind);
        named.map(|event| event["args"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let models = names("process_name");
    assert!(models.contains("openai/gpt-oss-20b") && models.contains("unknown model"), "{models:?}");
    assert!(names("thread_name").contains("requests 1"));
    let counters: BTreeSet<&str> =
        of_phase(&timeline, "C").into_iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(counters, BTreeSet::from(["cache", "context"]));
    let summary = traces(&format!("summary --root {HOME} --all --format json")).ends_with(0).json();
    let mut found: Vec<(String, Option<String>)> = of_phase(&timeline, "i")
        .into_iter()
        .filter(|event| event["cat"] == "finding")
        .map(|event| (text(&event["name"]), event["args"]["evidence"].as_str().map(str::to_owned)))
        .collect();
    let mut expected: Vec<(String, Option<String>)> = summary["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| !finding["requests"].as_array().unwrap().is_empty())
        .map(|finding| {
            // It quotes an error, in which the SDK repeats the whole request.
            let quotes = finding["kind"] == "failed";
            (text(&finding["kind"]), (!quotes).then(|| text(&finding["evidence"])))
        })
        .collect();
    found.sort();
    expected.sort();
    assert!(!found.is_empty());
    assert_eq!(found, expected);
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn a_timeline_looks_like_this() {
    let folder = Folder::new();
    export(&folder, "session:33333333 -o timeline.json").ends_with(0);
    let timeline = fs::read_to_string(folder.path().join("timeline.json")).unwrap();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("export-chrome", timeline);
    });
}

#[test]
fn spans_look_like_this() {
    let folder = Folder::new();
    export(&folder, "session:33333333 --format otlp -o spans.jsonl").ends_with(0);
    let lines = fs::read_to_string(folder.path().join("spans.jsonl")).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("export-otlp", serde_json::to_string_pretty(&first).unwrap());
    });
}

/// All spans of a recording's lines.
fn spans(ran: &Ran) -> Vec<Value> {
    let of_line =
        |line: Value| line["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
    ran.ndjson().into_iter().flat_map(of_line).collect()
}

/// What an attribute of a span says.
fn attribute(span: &Value, name: &str) -> Option<Value> {
    let found = span["attributes"].as_array()?.iter().find(|attribute| attribute["key"] == name)?;
    found["value"].as_object()?.values().next().cloned()
}

/// Ids are the same wherever the recording lies, and whatever else is read or said of it.
#[test]
fn ids_of_spans_are_unique_and_stable() {
    let folder = Folder::new();
    let ids = |line: &str| -> BTreeMap<String, Vec<String>> {
        let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for span in spans(&export(&folder, &format!("{line} --format otlp")).ends_with(0)) {
            ids.entry(text(&span["traceId"])).or_default().push(text(&span["spanId"]));
        }
        ids
    };
    let all = ids("--all");
    let each: BTreeSet<&String> = all.values().flatten().collect();
    assert_eq!(each.len(), all.values().flatten().count());
    assert!(all.len() > 50, "{}", all.len());
    let labelled = ids("--all --label other=session:33333333");
    assert_eq!(labelled, all);
    let one = ids("session:33333333");
    assert_eq!(one.len(), 2);
    assert!(one.iter().all(|(id, spans)| all[id] == *spans));
}

/// What nobody counted is no usage: it is below `traces.`, with its source.
#[test]
fn only_counted_tokens_are_usage() {
    let simulated = traces(&format!("export session:33333333 --root {HOME} --format otlp"));
    let span = spans(&simulated.ends_with(0)).swap_remove(0);
    let of = |name| attribute(&span, name);
    assert_eq!(of("gen_ai.usage.input_tokens"), Some(json!("1479")));
    assert_eq!(of("gen_ai.usage.cache_read.input_tokens"), None);
    assert_eq!(of("traces.timing.cached_source"), Some(json!("simulated")));
    assert_eq!(of("gen_ai.response.time_to_first_chunk"), Some(json!(1.886)));
    assert_eq!((span["kind"].as_u64(), &span["name"]), (Some(3), &json!("chat claude-sonnet-4-20250514")));
    let all = spans(&traces(&format!("export --all --root {HOME} --format otlp")).ends_with(0));
    let counted = |span: &&Value| attribute(span, "gen_ai.usage.cache_read.input_tokens").is_some();
    assert!(all.iter().filter(counted).count() > 0);
    let failed: Vec<&Value> = all.iter().filter(|span| span["status"]["code"] == 2).collect();
    assert!(!failed.is_empty());
    assert!(failed.iter().all(|span| attribute(span, "error.type").is_some()));
}

/// A span of a request whose end is unknown ends where it begins, and says so.
#[test]
fn an_unknown_end_is_marked() {
    let all = spans(&traces(&format!("export --all --root {HOME} --format otlp")).ends_with(0));
    let listed = traces(&format!("list --all --root {HOME} --format ndjson")).ends_with(0).ndjson();
    let mut unknown = 0;
    for span in all.iter().filter(|span| span["parentSpanId"].is_null()) {
        let request = listed.iter().find(|one| Some(&one["id"]) == attribute(span, "traces.id").as_ref());
        let timing = &request.unwrap()["timing"];
        let is_unknown = timing["wall_ms"].is_null() && timing["total_ms"].is_null();
        assert_eq!(attribute(span, "traces.end_unknown"), is_unknown.then_some(Value::Bool(true)), "{span}");
        unknown += usize::from(is_unknown);
    }
    assert!(unknown > 5, "{unknown}");
}

/// The help names every attribute of the conventions that a span may have.
#[test]
fn the_help_lists_the_attributes() {
    let help = traces("help export").ends_with(0).stdout;
    let all = spans(&traces(&format!("export --all --root {HOME} --format otlp")).ends_with(0));
    let all = all.iter().filter_map(|span| span["attributes"].as_array()).flatten();
    let names: BTreeSet<String> = all.map(|attribute| text(&attribute["key"])).collect();
    let ours = |name: &&String| name.starts_with("traces.") && *name != "traces.end_unknown";
    let missing: Vec<&String> =
        names.iter().filter(|name| !ours(name) && !help.contains(name.as_str())).collect();
    assert!(names.len() > 20 && missing.is_empty(), "{missing:?}");
}

#[test]
fn a_request_without_a_time_is_left_out_and_counted() {
    let folder = Folder::new();
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    folder.write("in/b.json", json!({ "request": { "body": body("b") } }).to_string());
    let ran = folder.traces("export in").ends_with(0).says(&["left out 1 request without a time"]);
    assert_eq!(of_phase(&ran.json(), "i").len(), 1);
    assert_eq!(folder.traces("export in -q").ends_with(0).stderr, "");
    fs::remove_file(folder.path().join("in/a.json")).unwrap();
    for format in ["chrome", "otlp"] {
        let ran = folder.traces(&format!("export in --format {format} -o out")).ends_with(2);
        let ran = ran.says(&["no time is known of 1 request", "`--format parquet`"]);
        assert!(!ran.stderr.contains("--server-log") && !folder.path().join("out").exists());
    }
}

/// A server's log without dates tells only how long each task took.
#[test]
fn tasks_without_any_time_are_no_timeline() {
    let log = "testdata/server-logs/llama-server.log";
    let ran = traces(&format!("export {log}")).ends_with(2).says(&["no time is known of 3", "--server-log"]);
    assert_eq!(ran.stdout, "");
}

/// As `report -o`.
#[test]
fn a_file_that_exists_is_kept_unless_forced() {
    let folder = Folder::new();
    folder.write("mine.json", "mine");
    export(&folder, "-o mine.json").ends_with(2).says(&["mine.json already exists", "--force"]);
    assert_eq!(fs::read_to_string(folder.path().join("mine.json")).unwrap(), "mine");
    let ran = export(&folder, "-o mine.json --force").ends_with(0);
    ran.says(&["wrote mine.json", "requests", "kB", "--all"]);
    assert!(fs::read_to_string(folder.path().join("mine.json")).unwrap().starts_with("{\"displayTimeUnit\""));
    export(&folder, "-o no/such/file.json").ends_with(2).says(&["there is no folder"]);
    for name in ["new/", "new/."] {
        let ran = export(&folder, &format!("-o {name}")).ends_with(2);
        ran.says(&["new", "names a folder", "name a file in one"]);
    }
    assert!(!folder.path().join("new").exists());
    export(&folder, "--force").ends_with(2).says(&["--output"]);
    export(&folder, "session:nonesuch -o new.json").ends_with(2);
    assert!(!folder.path().join("new.json").exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    export(&folder, "-o new.json").ends_with(0);
    assert_eq!(fs::metadata(folder.path().join("new.json")).unwrap().permissions().mode() & 0o777, 0o600);
}

/// A recording in which every text that is private has a word of its own.
fn private() -> Folder {
    let folder = Folder::new();
    for (at, turn) in ["2025-11-16T10:00:00.000Z", "2025-11-16T10:01:00.000Z"].into_iter().enumerate() {
        let mut asked = body("Pquestion");
        asked["system"] = json!("Psystem");
        asked["tools"][0]["description"] = json!("Pdescription");
        asked["metadata"]["note"] = json!("Pmetadata");
        asked["messages"].as_array_mut().unwrap().extend([
            json!({ "role": "assistant", "content": [{ "type": "text", "text": "Panswer" }] }),
            json!({ "role": "user", "content": format!("Pagain{at}") }),
        ]);
        let trace = json!({
            "timestamp": turn, "mode": "claude",
            "request": {
                "method": "POST", "url": "/v1/messages?key=Pquery",
                "headers": { "authorization": "Bearer Pkey", "x-api-key": "Pkey", "cookie": "Pcookie" },
                "body": asked,
            },
            "response": {
                "statusCode": 429, "headers": { "set-cookie": "Pcookie" },
                "body": { "error": { "message": "Perror" }, "content": [{ "type": "text", "text": "Preply" }] },
            },
        });
        folder.write(format!("in/{at}.json"), trace.to_string());
    }
    folder
}

#[test]
fn no_text_of_prompts_and_no_key_is_in_any_export() {
    let folder = private();
    let errors = traces(&format!("list --root {HOME} --all --format ndjson")).ends_with(0).stdout;
    assert!(errors.contains("requestBodyValues"), "an error repeats its request");
    assert!(folder.traces("show in --text").ends_with(0).stdout.contains("Pquestion"));
    for format in ["chrome", "otlp"] {
        let printed = traces(&format!("export --root {HOME} --all --format {format}")).ends_with(0).stdout;
        assert!(!printed.contains("requestBodyValues"), "{format}");
        let printed = folder.traces(&format!("export in --format {format}")).ends_with(0).stdout;
        assert!(printed.contains("claude-sonnet-4-20250514"), "{printed}");
        for word in [
            "Pquestion",
            "Psystem",
            "Pdescription",
            "Pmetadata",
            "Panswer",
            "Pagain",
            "Pquery",
            "Pkey",
            "Pcookie",
            "Perror",
            "Preply",
            "Bearer",
            "authorization",
        ] {
            assert!(!printed.contains(word), "{format}: {word}\n{printed}");
        }
    }
}

/// The names of models that are hard to put into a path, and their folders.
pub(crate) fn hard_names() -> Vec<(String, String)> {
    let long = "long/".repeat(200);
    let folder_of_long = "long%2F".repeat(28) + "long";
    [
        ("a/b", "a%2Fb"),
        ("../../up", "..%2F..%2Fup"),
        ("..", ".."),
        ("a=b", "a%3Db"),
        ("100%", "100%25"),
        ("a%2Fb", "a%252Fb"),
        (" ", "%20"),
        ("", "__HIVE_DEFAULT_PARTITION__"),
        ("línea\n日本", "línea%0A日本"),
        ("\u{1b}[31m\u{202e}", "%1B%5B31m%E2%80%AE"),
        ("nul\0\u{9b}1m", "nul%00%C2%9B1m"),
        ("<b>", "%3Cb%3E"),
        ("C:\\nul*?\"|", "C%3A%5Cnul%2A%3F%22%7C"),
        (&format!("{long}1"), &folder_of_long),
        (&format!("{long}2"), &folder_of_long),
    ]
    .map(|(name, folder)| (name.to_owned(), folder.to_owned()))
    .into()
}

/// A folder `in` with a request of each of these models.
pub(crate) fn recording_of<'a>(models: impl IntoIterator<Item = &'a str>) -> Folder {
    let folder = Folder::new();
    for (at, model) in models.into_iter().enumerate() {
        let mut body = body(&format!("question {at}"));
        body["model"] = json!(model);
        let stamp = format!("2025-11-16T10:00:{at:02}.000Z");
        let mut trace = trace(&stamp, &body);
        trace["mode"] = json!("claude");
        folder.write(format!("in/{at}.json"), trace.to_string());
    }
    folder
}

/// Names are data: they come out of a timeline and of spans as they went in, and nothing in
/// the file itself steers a terminal.
#[test]
fn any_name_of_a_model_is_in_timelines_and_spans() {
    let mut names: BTreeSet<String> = hard_names().into_iter().map(|(name, _)| name).collect();
    names.insert("very long ".repeat(100_000));
    names.insert("\"},{\"ph\":\"X\"\u{2028}".to_owned());
    let folder = recording_of(names.iter().map(String::as_str));
    let unsafe_in = |ran: &Ran| ran.stdout.chars().find(|&c| c.is_control() && c != '\n');

    let ran = folder.traces("export in --format otlp").ends_with(0);
    assert_eq!(unsafe_in(&ran), None);
    for name in ["gen_ai.request.model", "gen_ai.response.model"] {
        let found: BTreeSet<String> =
            spans(&ran).iter().filter_map(|span| Some(text(&attribute(span, name)?))).collect();
        assert!(found == names, "{name}: {:.1000}", format!("{found:?}"));
    }

    let ran = folder.traces("export in").ends_with(0);
    assert_eq!(unsafe_in(&ran), None);
    let timeline = ran.json();
    let processes = of_phase(&timeline, "M").into_iter().filter(|event| event["name"] == "process_name");
    let found: BTreeSet<String> = processes.map(|event| text(&event["args"]["name"])).collect();
    // Perfetto takes an empty name for an error.
    names.remove("");
    names.insert("unknown model".to_owned());
    assert!(found == names, "{:.1000}", format!("{found:?}"));
}

#[cfg(not(feature = "parquet"))]
#[test]
fn without_tables_it_says_how_to_get_them() {
    let folder = Folder::new();
    let ran = export(&folder, "--format parquet -o tables").ends_with(2);
    ran.says(&["built without Parquet", "cargo install traces-cli"]);
    assert!(!folder.path().join("tables").exists());
}
