//! One quantity has one value, whatever verb prints it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::common::{HOME, traces};

/// Recordings of one or two models, with logs.
fn roots() -> Vec<String> {
    const CASES: [&str; 8] =
        ["given-up", "loading", "queued", "stalled", "swapped", "truncated", "warm", "warm-without-counts"];
    let cases = CASES.map(|case| format!("testdata/where-time-goes/{case}/.anyclaude"));
    [HOME.to_owned(), "testdata/served/.anyclaude".to_owned()].into_iter().chain(cases).collect()
}

fn asked(root: &str, verb: &str, more: &[&str]) -> Value {
    asked_of(&format!("--root {root}"), verb, more)
}

/// The same of what is named.
fn asked_of(input: &str, verb: &str, more: &[&str]) -> Value {
    let line = format!("{verb} {input} --format json {}", more.join(" "));
    let ran = traces(&line);
    assert!([0, 3].contains(&ran.code), "{line}: {}", ran.stderr);
    ran.json()
}

/// Quantities by their names, each with where it is printed and its value there.
type Quantities = BTreeMap<String, Vec<(String, f64)>>;

/// What an object is about, if that is found elsewhere too.
fn subject(value: &Value) -> Option<String> {
    let text = |member: &str| value.get(member).and_then(Value::as_str);
    let has = |member: &str| value.get(member).is_some();
    if let Some(path) = text("path") {
        return Some(format!("request {path}"));
    }
    if has("evidence") && has("advice") {
        let of = |member: &str| value.get(member).map(Value::to_string).unwrap_or_default();
        return Some(format!("finding {} {} {} {}", of("kind"), of("cause"), of("model"), of("requests")));
    }
    if has("n_read") {
        return text("model").map(|model| format!("speeds of {model}"));
    }
    if has("time") && has("speeds") {
        return text("name").or_else(|| text("model")).map(|model| format!("model {model}"));
    }
    None
}

/// Notes all numbers of a value, which goes by this name.
fn note(value: &Value, name: &str, place: &str, into: &mut Quantities) {
    let own = subject(value);
    let name = own.as_deref().unwrap_or(name);
    match value {
        Value::Number(number) => {
            let number = number.as_f64().expect("a number");
            into.entry(name.to_owned()).or_default().push((place.to_owned(), number));
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                note(item, &format!("{name}[{at}]"), &format!("{place}[{at}]"), into);
            }
        }
        Value::Object(members) => {
            for (member, value) in members {
                let model = name.strip_prefix("model ");
                let named = match (member.as_str(), model) {
                    // They stand beside the request's other members, or in a member of it.
                    ("timing", _) => name.to_owned(),
                    ("speeds", Some(model)) => format!("speeds of {model}"),
                    ("time", Some(model)) => format!("time of {model}, {} requests", value["requests"]),
                    ("prefix", None) if name.is_empty() => "prefix".to_owned(),
                    ("explanation", None) if name.is_empty() => "explain".to_owned(),
                    _ if name.is_empty() => member.clone(),
                    _ => format!("{name}.{member}"),
                };
                note(value, &named, &format!("{place}.{member}"), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The quantities that have several values.
fn contradictions(quantities: &Quantities) -> Vec<String> {
    let differs = |(_, values): &(&String, &Vec<(String, f64)>)| {
        values.windows(2).any(|pair| (pair[0].1 - pair[1].1).abs() > f64::EPSILON * pair[0].1.abs())
    };
    let shown = |(name, values): (&String, &Vec<(String, f64)>)| format!("{name}: {values:?}");
    quantities.iter().filter(differs).map(shown).collect()
}

#[test]
fn every_verb_prints_the_same_value_of_one_quantity() {
    for root in roots() {
        let mut quantities = Quantities::new();
        for verb in ["summary", "timing", "report", "list"] {
            note(&asked(&root, verb, &["--all"]), "", verb, &mut quantities);
        }
        let prefix = asked(&root, "prefix", &["--all", "--kind", "conversation"]);
        note(&prefix, "prefix", "prefix", &mut quantities);
        note(&asked(&root, "explain", &["--all"]), "explain", "explain", &mut quantities);
        assert_eq!(contradictions(&quantities), [""; 0], "{root}");
        let verbs = |values: &[(String, f64)]| -> BTreeSet<String> {
            values.iter().map(|(place, _)| place.split('.').next().unwrap_or_default().to_owned()).collect()
        };
        let shared = quantities.values().filter(|values| verbs(values).len() > 1).count();
        assert!(shared > 100, "{root}: only {shared} quantities are printed by several verbs");
    }
}

/// A file or folder is about some requests of a root, and their times are those that the
/// whole root tells.
#[test]
fn parts_of_a_root_have_the_times_of_the_whole() {
    for root in roots() {
        let mut quantities = Quantities::new();
        let whole = asked(&root, "timing", &["--all"]);
        let of_requests = |value: &Value| value["requests"].as_array().cloned().unwrap_or_default();
        let mut take = |requests: &[Value], place: &str| {
            for request in requests {
                let path = request["path"].as_str().expect("a path");
                let times = [("timing", &request["timing"]), ("join", &request["join"])];
                for (member, value) in times {
                    note(value, &format!("{path} {member}"), place, &mut quantities);
                }
            }
        };
        let requests = of_requests(&whole);
        take(&requests, "timing");
        take(&of_requests(&asked(&root, "list", &["--all"])), "list");
        let around = Path::new(&root).parent().and_then(Path::to_str).expect("UTF-8");
        for verb in ["list", "timing"] {
            take(&of_requests(&asked_of(around, verb, &["--all"])), "the folder around");
        }
        let folders: BTreeSet<&Path> =
            requests.iter().filter_map(|request| Path::new(request["path"].as_str()?).parent()).collect();
        for folder in folders {
            let folder = folder.to_str().expect("UTF-8");
            take(&of_requests(&asked(&root, "list", &[folder])), "list of the folder");
            take(&of_requests(&asked(&root, "timing", &[folder])), "timing of the folder");
        }
        for request in
            requests.iter().filter(|request| request["paths"].as_array().is_some_and(|all| all.len() == 1))
        {
            let path = request["path"].as_str().expect("a path");
            take(&[asked(&root, "show", &[path])], "show");
            take(&of_requests(&asked(&root, "timing", &[path])), "timing of the file");
        }
        assert_eq!(contradictions(&quantities), [""; 0], "{root}");
    }
}

#[test]
fn two_values_of_one_quantity_are_found() {
    let mut quantities = Quantities::new();
    let request = |ttft: u64| serde_json::json!({ "path": "a.json", "timing": { "ttft_ms": ttft } });
    note(&serde_json::json!({ "requests": [request(7)] }), "", "list", &mut quantities);
    assert_eq!(contradictions(&quantities), [""; 0]);
    note(&serde_json::json!({ "path": "a.json", "ttft_ms": 8 }), "prefix", "prefix", &mut quantities);
    assert_eq!(contradictions(&quantities).len(), 1);
}
