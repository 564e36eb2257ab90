//! 0 done; 1 a difference or an exceeded limit; 2 usage or nothing to read; 3
//! done, but some files were skipped. Where several fit: 2, then 1, then 3.

use crate::common::{self, FORMATS, Folder, HOME, Ran, body, tool, traces};
use serde_json::json;

/// What no parser takes for JSON.
const DAMAGED: &str = "{ \"request\": oops";

/// `a.json` and `b.json` differ, `c.json` equals `a.json`.
fn three() -> Folder {
    let folder = Folder::new();
    folder.trace("a.json", "2025-11-16T10:00:00.000Z", &body("a question"));
    folder.trace("b.json", "2025-11-16T10:00:01.000Z", &body("another question"));
    folder.trace("c.json", "2025-11-16T10:00:02.000Z", &body("a question"));
    folder
}

fn with_damage() -> Folder {
    let folder = three();
    folder.write("broken.json", DAMAGED);
    folder
}

fn only_damage() -> Folder {
    let folder = Folder::new();
    folder.write("broken.json", DAMAGED);
    folder
}

#[test]
fn done_is_0_and_silent() {
    let folder = three();
    for line in ["summary .", "list .", "show a.json", "diff a.json b.json", "man", "completions bash"] {
        let ran = folder.traces(line).ends_with(0);
        assert!(!ran.stdout.is_empty(), "{line}");
        assert_eq!(ran.stderr, "", "{line}");
    }
}

#[test]
fn a_difference_is_1_only_where_that_is_asked_for() {
    let folder = three();
    folder.traces("diff a.json b.json").ends_with(0);
    folder.traces("diff a.json b.json --exit-code").ends_with(1);
    folder.traces("diff a.json c.json --exit-code").ends_with(0);
    folder.traces("diff a.json a.json --exit-code").ends_with(0);
    for format in ["json", "csv", "markdown"] {
        folder.traces(&format!("diff b.json a.json --exit-code --format {format}")).ends_with(1);
    }
}

#[test]
fn every_part_of_the_prompt_makes_a_difference() {
    let folder = Folder::new();
    let changes = [
        ("system", json!("Answer in two words.")),
        ("tools", json!([tool("Bash", "Runs a command."), tool("Read", "Reads a page.")])),
        ("messages", json!([{ "role": "user", "content": "a Question" }])),
        ("temperature", json!(0.5)),
        ("model", json!("another")),
    ];
    folder.trace("a.json", "2025-11-16T10:00:00.000Z", &body("a question"));
    for (member, value) in changes {
        let mut changed = body("a question");
        changed[member] = value;
        folder.trace("b.json", "2025-11-16T10:00:00.000Z", &changed);
        let ran = folder.traces("diff a.json b.json --exit-code");
        assert_eq!(ran.code, 1, "{member}");
    }
}

#[test]
fn marks_for_caching_and_times_make_no_difference() {
    let folder = Folder::new();
    let mut marked = body("a question");
    marked["system"] = json!([{ "type": "text", "text": "Be brief." }]);
    folder.trace("a.json", "2025-11-16T10:00:00.000Z", &marked);
    marked["system"][0]["cache_control"] = json!({ "type": "ephemeral" });
    folder.trace("b.json", "2025-11-17T11:11:11.000Z", &marked);
    let found = folder.traces("diff a.json b.json --format json").ends_with(0).json();
    assert_eq!(found["system"]["equal"], true);
    assert_eq!(found["messages"], json!({ "common": 1, "left_only": 0, "right_only": 0 }));
}

#[test]
fn an_exceeded_limit_is_1_and_names_the_request() {
    let folder = three();
    for line in ["summary .", "list .", "show b.json", "list . --format json", "show b.json --format json"] {
        let ran = folder.traces(&format!("{line} --fail-over message_count=0")).ends_with(1);
        let ran = ran.says(&["message_count", "b.json", "1, over the limit of 0"]);
        assert!(!ran.stdout.is_empty(), "{line}");
        folder.traces(&format!("{line} --fail-over message_count=1")).ends_with(0);
    }
}

#[test]
fn limits_take_units_and_several_may_be_given() {
    let folder = three();
    folder.traces("list . --fail-over body_bytes=200kB --fail-over tool_count=40").ends_with(0);
    folder.traces("list . --fail-over body_bytes=0.2kB --fail-over tool_count=40").ends_with(1);
    folder.traces("list . --fail-over body_bytes=1MB --fail-over tool_count=1").ends_with(1);
    // What is unknown exceeds nothing.
    folder.traces("list . --fail-over ttft_ms=0").ends_with(0);
    folder.traces("list . --fail-over size=3").ends_with(2).says(&["body_bytes", "tool_count", "ttft_ms"]);
    folder.traces("list . --fail-over body_bytes=3s").ends_with(2).says(&["kB"]);
    folder.traces("list . --fail-over body_bytes").ends_with(2).says(&["MEASURE=VALUE"]);
}

#[test]
fn a_limit_does_not_look_at_requests_that_are_left_out() {
    let all = format!("summary --root {HOME} --fail-over tool_count=0");
    traces(&all).ends_with(1);
    traces(&format!("{all} --kind background")).ends_with(0);
    let one = traces(&format!("list --root {HOME} --last 3 --fail-over body_bytes=3kB")).ends_with(1);
    assert_eq!(one.stderr.lines().count(), 1, "{}", one.stderr);
}

#[test]
fn usage_is_2() {
    let lines = [
        "--nonsense",
        "list --format yaml",
        "list --kind nonsense",
        "list --last minus",
        "list --since yesterday",
        "list --until 2025-02-30",
        "list --max-file-size big",
        "list --label qwen3",
        "list --color blue",
        "summary --by colour",
        "summary --exit-code",
        "diff a b c",
        "diff --fail-over tool_count=1 a b",
        "show a b",
        "completions",
        "man page",
    ];
    for line in lines {
        let ran = traces(line).ends_with(2);
        assert_eq!(ran.stdout, "", "{line}");
        assert!(!ran.stderr.trim().is_empty(), "{line}");
    }
}

/// And nothing is read before.
#[test]
fn a_format_that_a_verb_lacks_is_2_and_names_those_it_has() {
    let all = ["table", "json", "ndjson", "csv", "markdown", "html", "chrome", "otlp", "parquet", "yaml"];
    for (verb, formats) in FORMATS {
        // A report is a page, and never a table.
        let there: &[&str] = match verb {
            "report" => &["html", "markdown", "json"],
            "export" => &["chrome", "otlp", "parquet"],
            _ => formats,
        };
        for format in all.iter().filter(|format| !there.contains(format)) {
            let ran = traces(&format!("{verb} --root no-such-folder --format {format}")).ends_with(2);
            let invalid = format!("invalid value '{format}' for '--format <FORMAT>'");
            ran.clone().says(&[&invalid, &format!("[possible values: {}]", there.join(", "))]);
            assert_eq!(ran.stdout, "", "{verb} {format}");
        }
    }
}

#[test]
fn a_missing_file_or_folder_is_2() {
    for verb in ["summary", "list", "show", "diff", "timing", "prefix"] {
        traces(&format!("{verb} no/such/file.json")).ends_with(2).says(&["no/such/file.json", "INPUT"]);
        traces(&format!("{verb} no/such/folder/")).ends_with(2).says(&["no/such/folder/"]);
    }
    traces("diff no/such/file.json no/other.json").ends_with(2).says(&["no/such/file.json"]);
    let folder = three();
    folder.traces("diff a.json missing.json --exit-code").ends_with(2).says(&["missing.json"]);
    folder.traces("list a.json missing.json").ends_with(2).says(&["missing.json"]);
}

#[test]
fn an_empty_folder_says_how_to_record_and_a_missing_root_that_it_is_missing() {
    let folder = Folder::new();
    folder.write("empty/traces/lmstudio/notes.txt", "no trace");
    for verb in
        ["", "summary", "list", "show", "diff", "timing", "prefix", "show latest", "diff model:a model:b"]
    {
        for root in ["--root nowhere", "--root empty", ""] {
            let ran = folder.traces(&format!("{verb} {root}")).ends_with(2);
            assert_eq!(ran.stdout, "");
            match root {
                "--root nowhere" => ran.says(&["there is no folder nowhere"]),
                _ => ran.says(&["ANYCLAUDE_DEBUG=2 anyclaude"]),
            };
        }
    }
}

#[test]
fn short_options_may_stand_before_the_verb() {
    let after = traces(&format!("list --last 2 -q --root {HOME}")).ends_with(0);
    assert_eq!(traces(&format!("-q list --last 2 --root {HOME}")).ends_with(0), after);
    assert_eq!(traces(&format!("-q --root {HOME} --last 2 list")).ends_with(0), after);
}

#[test]
fn numbers_that_must_be_above_0_say_so() {
    for option in ["--slots", "--context", "--top"] {
        for value in ["0", "-1", "1.5", "many"] {
            let ran = traces(&format!("prefix {option}={value} --root {HOME}")).ends_with(2);
            ran.says(&[option, "write a whole number from 1 on"]);
        }
    }
}

#[test]
fn a_bad_file_of_a_folder_that_is_a_side_is_named() {
    let folder = Folder::new();
    folder.write("side/list.json", "[1]");
    let ran = folder.traces("explain side").ends_with(2);
    ran.says(&["list.json: the file holds no JSON object"]);
}

#[test]
fn several_roots_are_read_as_one_and_a_missing_one_is_named() {
    let folder = Folder::new();
    for (root, second) in [("a", 0), ("b", 1)] {
        let name = format!("{root}/traces/lmstudio/{root}.json");
        folder.trace(name, &format!("2025-11-16T10:00:0{second}.000Z"), &body(root));
    }
    folder.write("empty/notes.txt", "no trace");
    let both = folder.traces("list --root a --root b --root empty --format ndjson").ends_with(0).ndjson();
    assert_eq!(both.len(), 2);
    let page = folder.traces("list --root a --root b").ends_with(0).stdout;
    let newest = both[1]["id"].as_str().unwrap();
    assert!(page.contains(&format!("show {newest} --root a --root b")), "{page}");
    folder.traces("show b.json --root a --root b").ends_with(0);
    folder.traces("list --root a --root nowhere").ends_with(2).says(&["there is no folder nowhere"]);
}

#[test]
fn timing_without_logs_shows_no_table() {
    let folder = Folder::new();
    folder.trace("a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    let page = folder.traces("timing a.json").ends_with(0).stdout;
    assert!(!page.contains("KIND") && page.contains("Missing: 1 request without any log"), "{page}");
}

#[test]
fn a_folder_without_traces_is_2() {
    let folder = Folder::new();
    folder.write("empty/notes.txt", "no trace");
    for verb in ["summary", "list", "show", "prefix"] {
        folder.traces(&format!("{verb} empty")).ends_with(2).says(&["traces"]);
    }
}

#[test]
fn skipped_files_are_3() {
    let folder = with_damage();
    for line in ["summary .", "list .", "list . --format ndjson", "show .", "diff . b.json", "prefix ."] {
        let ran = folder.traces(line).ends_with(3).says(&["skipped 1 file", "broken.json", "invalid_json"]);
        assert!(!ran.stdout.is_empty(), "{line}");
        let quiet = folder.traces(&format!("{line} --quiet")).ends_with(3);
        assert_eq!((quiet.stderr, quiet.stdout), (String::new(), ran.stdout), "{line}");
    }
}

#[test]
fn an_exceeded_limit_or_a_difference_comes_before_skipped_files() {
    let folder = with_damage();
    for line in ["summary .", "list .", "show .", "prefix ."] {
        folder.traces(&format!("{line} --fail-over tool_count=1")).ends_with(1).says(&["skipped"]);
    }
    folder.traces("diff . b.json --exit-code").ends_with(1).says(&["skipped"]);
}

#[test]
fn nothing_readable_comes_before_everything() {
    let folder = only_damage();
    folder.trace("good/a.json", "2025-11-16T10:00:00.000Z", &body("a question"));
    for format in ["table", "json", "csv", "markdown"] {
        let only = |line: &str| {
            folder.traces(&format!("{line} --format {format}")).ends_with(2).says(&["broken.json"]);
        };
        only("summary broken.json --fail-over tool_count=0");
        only("list broken.json --fail-over tool_count=0");
        only("prefix broken.json --fail-over tool_count=0");
        only("diff broken.json good/a.json --exit-code");
        only("diff good/a.json broken.json --exit-code");
    }
    folder.traces("show broken.json --fail-over tool_count=0").ends_with(2).says(&["invalid_json"]);
}

#[test]
fn json_names_what_was_skipped_even_where_nothing_is_left() {
    let folder = only_damage();
    for verb in ["summary", "list", "prefix"] {
        let found = folder.traces(&format!("{verb} . --format json")).ends_with(2).json();
        assert_eq!(found["skipped"][0]["reason"], "invalid_json", "{verb}");
        assert_eq!(found["schema_version"], 1, "{verb}");
    }
}

#[test]
fn without_a_verb_it_is_summary() {
    let summary = traces(&format!("summary --root {HOME}"));
    assert_eq!(traces(&format!("--root {HOME}")), summary);
    assert_eq!(traces(&format!("{HOME} --by day")), traces(&format!("summary {HOME} --by day")));
    let folder = Folder::new();
    folder.trace("list", "2025-11-16T10:00:00.000Z", &body("a question"));
    // A file that is called like a verb is reached with its folder.
    assert_eq!(folder.traces("./list"), folder.traces("summary ./list").ends_with(0));
}

#[test]
fn options_may_stand_before_the_verb() {
    let same = |before: &str, after: &str| {
        let after: Ran = traces(after).ends_with(0);
        assert_eq!(traces(before), after, "{before}");
    };
    same(&format!("--root {HOME} list --last 2"), &format!("list --last 2 --root {HOME}"));
    same(&format!("--quiet --root={HOME} show"), &format!("show --quiet --root {HOME}"));
    same(
        &format!("--format json --root {HOME} diff latest~1 latest"),
        &format!("diff latest~1 latest --root {HOME} --format json"),
    );
}

#[test]
fn the_root_may_come_from_the_environment() {
    let named = traces(&format!("list --root {HOME} --last 3 --format json"));
    let mut command = common::program(&common::repo());
    command.env("TRACES_ROOT", HOME);
    assert_eq!(common::run(command, "list --last 3 --format json", &[] as &[&str]), named);
    let mut command = common::program(&common::repo());
    command.env("TRACES_ROOT", "no/such/root");
    assert_eq!(
        common::run(command, &format!("list --root {HOME} --last 3 --format json"), &[] as &[&str]),
        named
    );
    // Without either it is .anyclaude in the home folder.
    let mut command = common::program(&common::repo());
    let home = common::repo().join("testdata/home");
    command.env("HOME", &home).env("USERPROFILE", home);
    assert_eq!(common::run(command, "list --format csv", &[] as &[&str]).csv().1.len(), 58);
}
