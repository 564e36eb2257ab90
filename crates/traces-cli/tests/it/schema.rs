//! The published JSON Schemas: made from the types, and true of what is printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{self, Folder, HOME, body, trace, traces};
use anyclaude_traces::Request;
use anyclaude_traces::analysis::diff::Diff;
use anyclaude_traces::analysis::explain::Explanation;
use anyclaude_traces::analysis::list::RequestList;
use anyclaude_traces::analysis::prefix::{PrefixReport, PrefixRequest};
use anyclaude_traces::analysis::report::Report;
use anyclaude_traces::analysis::show::RequestDetail;
use anyclaude_traces::analysis::summary::Summary;
use anyclaude_traces::analysis::timing::TimingReport;
use anyclaude_traces::follow::Event;
use anyclaude_traces::recording::join::UnmatchedLogRequest;
use anyclaude_traces::schema;
use anyclaude_traces::select::Row;
use jsonschema::Validator;
use lmstudio_replay::Replay;
use serde_json::{Value, json};

type TimingRow = Row<Request, UnmatchedLogRequest>;

/// Every schema, by the name of its file.
fn schemas() -> [(&'static str, Value); 13] {
    [
        ("diff", schema::of::<Diff>("traces diff --format json")),
        ("explain", schema::of::<Explanation>("traces explain --format json")),
        ("list", schema::of::<RequestList>("traces list --format json")),
        ("list-line", schema::of::<Request>("A line of traces list --format ndjson")),
        ("prefix", schema::of::<PrefixReport>("traces prefix --format json")),
        ("prefix-line", schema::of::<PrefixRequest>("A line of traces prefix --format ndjson")),
        ("replay", schema::of::<Replay>("traces replay --format json")),
        ("report", schema::of::<Report>("traces report --format json")),
        ("show", schema::of::<RequestDetail>("traces show --format json")),
        ("summary", schema::of::<Summary>("traces summary --format json")),
        ("timing", schema::of::<TimingReport>("traces timing --format json")),
        ("timing-line", schema::of::<TimingRow>("A line of traces timing --format ndjson")),
        ("watch-line", schema::of::<Event>("A line of traces watch --format ndjson")),
    ]
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(format!("{name}.json"))
}

/// The published schema, which here also refuses members that it does not know.
fn strict(name: &str) -> Validator {
    let mut schema = serde_json::from_str(&fs::read_to_string(file(name)).unwrap()).unwrap();
    close(&mut schema);
    jsonschema::draft202012::new(&schema).unwrap()
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("unevaluatedProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[track_caller]
fn is_as_published(validator: &Validator, document: &Value, what: &str) {
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {:.200}", error.instance_path(), error.to_string()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

#[test]
fn the_published_schemas_are_those_of_the_types() {
    let bless = std::env::var_os("SCHEMA_BLESS").is_some();
    let names = schemas().map(|(name, _)| format!("{name}.json"));
    for (name, schema) in schemas() {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if bless {
            fs::write(file(name), &text).unwrap();
        }
        let published = fs::read_to_string(file(name)).unwrap_or_default().replace("\r\n", "\n");
        assert!(published == text, "{name}: write it anew with SCHEMA_BLESS=1, and read the diff");
    }
    for entry in fs::read_dir(file("list").parent().unwrap()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "{name} is no schema of any output");
    }
}

/// Every member has words, every schema is one, and prose holds no links.
#[test]
fn the_schemas_explain_themselves() {
    for (name, schema) in schemas() {
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["required"][0], "schema_version", "{name}");
        each_member(&schema, &mut |member, schema| {
            let refers = schema.get("$ref").is_some();
            let is_stats = ["n", "min", "max"].contains(&member) || member.starts_with('p');
            let words = schema.get("description").and_then(Value::as_str);
            assert!(refers || is_stats || words.is_some(), "{name}: {member} has no description");
            assert!(words.is_none_or(|words| !words.contains("](")), "{name}: {member}: {words:?}");
        });
    }
}

fn each_member(schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                properties.iter().for_each(|(name, schema)| visit(name, schema));
            }
            members.values().for_each(|schema| each_member(schema, visit));
        }
        Value::Array(items) => items.iter().for_each(|schema| each_member(schema, visit)),
        _ => {}
    }
}

/// Command lines of every verb, with the name of the schema that their output obeys.
const RECORDED: [(&str, &str); 40] = [
    ("summary", "summary"),
    ("summary", "summary --all --kind all"),
    ("summary", "summary --all --by session"),
    ("summary", "summary --all --by level"),
    ("summary", "summary testdata/odd"),
    ("summary", "summary testdata/odd testdata/damaged"),
    ("list", "list"),
    ("list", "list --all"),
    ("list", "list testdata/odd testdata/damaged"),
    ("list", "list testdata/damaged"),
    ("list-line", "list --all --format ndjson"),
    ("list-line", "list testdata/odd --format ndjson"),
    ("show", "show"),
    ("show", "show latest~4 --text"),
    ("show", "show testdata/odd/other-types.json"),
    ("show", "show testdata/odd/lone-surrogates.json --text"),
    ("diff", "diff"),
    ("diff", "diff latest~1 latest --text"),
    ("diff", "diff run:2025-11-16T03-20 run:2025-11-16T03-30"),
    ("diff", "diff testdata/odd/elements.json testdata/odd/other-types.json --text"),
    ("timing", "timing"),
    ("timing", "timing --all --by run"),
    ("timing", "timing --log testdata/home/stderr/fast-2025-11-16.txt"),
    ("timing", "timing testdata/odd"),
    ("timing-line", "timing --all --format ndjson"),
    ("timing-line", "timing testdata/server-logs/llama-server.log --format ndjson"),
    ("timing-line", "timing testdata/server-logs/lm-studio-stream.ndjson --format ndjson"),
    ("watch-line", "watch --once --format ndjson"),
    ("watch-line", "watch --once --all --format ndjson"),
    ("prefix", "prefix --all"),
    ("prefix", "prefix --text --slots 1 --as sorted,no-header"),
    ("prefix", "prefix --context 4000 --order tools-first"),
    ("prefix", "prefix testdata/odd --text"),
    ("prefix-line", "prefix --all --text --format ndjson"),
    ("explain", "explain"),
    ("explain", "explain model:qwen3-42b model:gpt-oss"),
    ("explain", "explain session:44444444 session:11111111"),
    ("report", "report"),
    ("report", "report --all --include-text"),
    ("report", "report testdata/odd testdata/damaged"),
];

/// The documents that a command line prints: one, or one a line.
fn printed(line: &str) -> Vec<Value> {
    let format = if line.contains("--format") { "" } else { "--format json" };
    let ran = traces(&format!("{line} --root {HOME} {format}"));
    assert!(ran.code != 1 && !ran.stdout.is_empty(), "{line}: {}", ran.stderr);
    if format.is_empty() { ran.ndjson() } else { vec![ran.json()] }
}

#[test]
fn every_output_is_as_published() {
    let mut validators: BTreeMap<&str, Validator> = BTreeMap::new();
    for (name, line) in RECORDED {
        let validator = validators.entry(name).or_insert_with(|| strict(name));
        let documents = printed(line);
        assert!(!documents.is_empty(), "{line} prints nothing");
        for document in &documents {
            is_as_published(validator, document, line);
        }
    }
    let checked: Vec<&str> = validators.into_keys().collect();
    let all: Vec<&str> =
        schemas().into_iter().map(|(name, _)| name).filter(|name| *name != "replay").collect();
    assert_eq!(checked, all);
}

/// What hardly any trace has: strings where numbers belong, and the largest numbers.
#[test]
fn extreme_requests_are_as_published() {
    let folder = Folder::new();
    let mut extreme = body("a");
    extreme["max_tokens"] = json!(u64::MAX);
    extreme["metadata"] = json!({ "user_id": [1, { "deep": "x".repeat(500) }] });
    extreme["temperature"] = json!(1e300);
    extreme["tools"] = json!([{}, 3, { "name": 4 }, { "name": "mcp__a__b" }]);
    extreme["messages"] = json!([null, { "role": 1, "content": [7, { "type": null }] }]);
    folder.trace("a.json", "2025-11-16T10:00:00.000Z", &extreme);
    folder.trace("b.json", "no time", &body("b"));
    let mut answered = trace("2025-11-16T10:00:05.000Z", &body("c"));
    answered["mode"] = json!("claude");
    answered["response"] = json!({ "statusCode": 200, "body": { "usage": { "input_tokens": u64::MAX } } });
    folder.write("c.json", answered.to_string());
    for (name, line) in [
        ("list", "list ."),
        ("summary", "summary . --by mode"),
        ("show", "show a.json --text"),
        ("diff", "diff a.json b.json --text"),
        ("timing", "timing ."),
        ("prefix", "prefix . --text"),
        ("report", "report . --include-text"),
    ] {
        let ran = folder.traces(&format!("{line} --root . --format json")).ends_with(0);
        is_as_published(&strict(name), &ran.json(), line);
    }
}

#[test]
fn a_replay_is_as_published() {
    let validator = strict("replay");
    let server = common::server::Server::new(|_, answer| {
        answer.stream();
        answer.events(&common::server::anthropic(&["a", "b"]));
    });
    let line = format!("replay --root {HOME} --url {} --format json", server.url);
    let measured = traces(&format!("{line} --repeat 2 --show-text --label m=latest")).ends_with(0).json();
    is_as_published(&validator, &measured, "replay");
    refuses_mutants(&validator, &measured, "replay");
    let broken = common::server::Server::new(|_, answer| {
        answer.stream();
        answer.events(&common::server::anthropic(&["a", "b"])[..3]);
    });
    let ran = traces(&format!("replay --root {HOME} --url {} --format json", broken.url));
    assert!(ran.json()["runs"][0]["error"].is_string(), "{ran:?}");
    is_as_published(&validator, &ran.json(), "a broken replay");
}

/// Members that may be missing: text is there where asked for, the rest where there is any.
const OPTIONAL: [&str; 6] = ["text", "texts", "was", "now", "runs", "server"];

#[test]
fn a_mutated_document_is_refused() {
    for (name, line) in [
        ("summary", "summary session:2222 --kind all"),
        ("list", "list session:2222 testdata/damaged/empty-nothing.json"),
        ("list-line", "list session:2222 --format ndjson"),
        ("show", "show latest --text"),
        ("diff", "diff run:2025-11-16T03-20 run:2025-11-16T03-30 --text"),
        ("timing", "timing session:2222"),
        ("prefix", "prefix session:3333 --text --context 4000"),
        ("prefix-line", "prefix session:3333 --text --format ndjson"),
        ("explain", "explain"),
        ("report", "report session:3333 session:4444 --include-text"),
    ] {
        refuses_mutants(&strict(name), printed(line).last().unwrap(), line);
    }
}

/// Changes one thing after the other: the type of a value, or a member's presence.
#[track_caller]
fn refuses_mutants(validator: &Validator, document: &Value, what: &str) {
    let mut paths = Vec::new();
    places(document, String::new(), &mut paths);
    assert!(paths.len() > 10, "{what}: {paths:?}");
    for path in paths {
        let mut mutant = document.clone();
        *mutant.pointer_mut(&path).unwrap() = json!([[true]]);
        assert!(!validator.is_valid(&mutant), "{what}: {path} may be of any type");
        let (parent, member) = path.rsplit_once('/').unwrap();
        let mut mutant = document.clone();
        let Value::Object(members) = mutant.pointer_mut(parent).unwrap() else { continue };
        members.remove(member).unwrap();
        // A group has the measures that its verb gives it.
        let in_group = parent.rsplit_once('/').is_some_and(|(list, _)| list.ends_with("/groups"));
        let is_spread = in_group && !["name", "requests"].contains(&member);
        let may_miss = OPTIONAL.contains(&member) || is_spread || parent.ends_with("/other_kinds");
        assert!(may_miss || !validator.is_valid(&mutant), "{what}: {path} may be missing");
        let Value::Object(members) = mutant.pointer_mut(parent).unwrap() else { continue };
        members.insert("surplus".to_owned(), json!([[true]]));
        assert!(!validator.is_valid(&mutant), "{what}: {parent} may have a surplus member");
    }
}

/// The pointers of all values, of arrays only those in the last item.
fn places(value: &Value, at: String, paths: &mut Vec<String>) {
    match value {
        // Parameters are whatever the request has.
        Value::Object(_) if at.ends_with("/parameters") => {}
        Value::Object(members) => {
            for (name, member) in members {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                paths.push(at.clone());
                places(member, at, paths);
            }
        }
        Value::Array(items) => {
            let Some(last) = items.len().checked_sub(1) else { return };
            paths.push(format!("{at}/{last}"));
            places(&items[last], format!("{at}/{last}"), paths);
        }
        _ => {}
    }
}
