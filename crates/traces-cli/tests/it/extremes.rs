//! Names of a million characters, and other text that takes far too long where time
//! grows with its square: a run that does is ended as one that hangs.

use crate::common::{FORMATS, Folder, body, body_of_session, tool};
use serde_json::{Value, json};

const MILLION: usize = 1_000_000;

/// A body in which everything that has a name has this one.
fn named(name: &str, session: &str) -> Value {
    let mut body = body_of_session("a question", session);
    body["model"] = json!(name);
    body["tools"] = json!([tool(name, "Runs."), tool(&format!("mcp__{name}__{name}"), "Reads.")]);
    body[name] = json!(name);
    body["messages"] = json!([
        { "role": name, "content": [{ "type": name, "text": "a" }] },
        { "role": "user", "content": [{ "type": "tool_use", "name": name }] },
    ]);
    body
}

/// Two requests in a folder, one of each side of a comparison.
fn folder(name: &str) -> Folder {
    let folder = Folder::new();
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &named(name, "1"));
    folder.trace("in/b.json", "2025-11-16T10:00:01.000Z", &named(&format!("{name}b"), "2"));
    folder
}

/// Runs every verb that needs no server, in each of these formats that it has.
fn run_all(folder: &Folder, wanted: &[&str]) {
    for (verb, formats) in FORMATS {
        let inputs = match verb {
            "diff" | "explain" => "in/a.json in/b.json",
            "replay" => continue,
            _ => "in",
        };
        for format in formats.iter().filter(|format| wanted.contains(format)) {
            let ran = folder.traces(&format!("{verb} {inputs} --format {format}"));
            assert!(
                [0, 2].contains(&ran.code) && !ran.stderr.contains("panicked"),
                "{verb} {format}: {:.500}",
                ran.stderr
            );
        }
    }
    folder.traces("report in -o page.html --force").ends_with(0);
}

#[test]
fn a_name_may_be_longer_than_a_width_can_be() {
    run_all(&folder(&"n".repeat(70_000)), &["table", "json", "ndjson", "csv", "markdown", "chrome", "otlp"]);
}

#[test]
fn a_name_may_have_a_million_characters() {
    run_all(&folder(&"n".repeat(MILLION)), &["table"]);
}

#[test]
fn a_name_may_be_of_signs_alone_that_markdown_knows() {
    run_all(&folder(&"_".repeat(MILLION)), &["markdown"]);
}

#[test]
fn a_long_name_is_printed_whole_and_widens_no_other_row() {
    let folder = Folder::new();
    let name = "n".repeat(100_000);
    let claude = |at: usize, model: &str| {
        let mut trace = crate::common::trace(&format!("2025-11-16T10:00:{at:02}.000Z"), &body("a"));
        trace["request"]["body"]["model"] = json!(model);
        trace["mode"] = json!("claude");
        folder.write(format!("in/{at}.json"), trace.to_string());
    };
    (0..40).for_each(|at| claude(at, "short"));
    claude(40, &name);
    let ran = folder.traces("list in").ends_with(0);
    assert!(ran.stdout.contains(&name));
    assert!(ran.stdout.len() < 2 * name.len(), "{}", ran.stdout.len());
}

#[test]
fn texts_with_nothing_in_common_are_compared() {
    let folder = Folder::new();
    let with = |lines: &str| {
        let mut body = body("a");
        body["system"] = json!(lines);
        body
    };
    let many: Vec<String> = (0..400_000).map(|at| format!("line {at}")).collect();
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &with("one line"));
    folder.trace("in/b.json", "2025-11-16T10:00:01.000Z", &with(&many.join("\n")));
    let ran = folder.traces("diff in/a.json in/b.json --text").ends_with(0);
    assert!(ran.stdout.contains("\n-one line\n") && ran.stdout.contains("\n+line 399999\n"));
}

#[test]
fn a_cell_of_a_spreadsheet_is_never_a_formula() {
    let folder = Folder::new();
    let formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1", " =1+1", "\u{202e}=1"];
    for (at, formula) in formulas.iter().enumerate() {
        let mut trace = crate::common::trace(&format!("2025-11-16T10:00:{at:02}.000Z"), &body("a"));
        trace["request"]["body"]["model"] = json!(formula);
        trace["mode"] = json!(formula);
        trace["request"]["url"] = json!(formula);
        trace["response"] = json!({ "statusCode": 200, "headers": {}, "body": { "stop_reason": formula } });
        folder.write(format!("in/{at}.json"), trace.to_string());
    }
    for line in ["list in", "timing in", "prefix in", "summary in", "summary in --by mode --kind all"] {
        let (_, rows) = folder.traces(&format!("{line} --format csv")).ends_with(0).csv();
        for (name, cell) in rows.iter().flatten() {
            let is_number = cell.parse::<f64>().is_ok() && !cell.starts_with('+');
            let is_formula = cell.trim_start().starts_with(['=', '+', '-', '@']);
            assert!(is_number || !is_formula, "{line}: {name}: {cell:?}");
        }
    }
    let (_, rows) = folder.traces("list in --format csv").csv();
    assert_eq!(rows[0]["mode"], "'=1+1");
}
