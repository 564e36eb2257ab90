//! Traces are untrusted text: nothing in them steers a terminal, a table, a
//! Markdown page or a spreadsheet, and JSON still holds every character.

use crate::common::hostile::{FORGED, hostile, is_safe};
use crate::common::{self, Folder, Ran, trace};
use serde_json::{Value, json};

/// A trace in which every text is hostile. The two of them differ everywhere.
fn hostile_trace(side: &str) -> Value {
    let text = |name: &str| hostile(&format!("{side} {name} "));
    let user = json!({ "session_id": text("session"), "device_id": text("device") }).to_string();
    let body = json!({
        "model": text("model"),
        "max_tokens": 100,
        "system": [{ "type": "text", "text": text("system") }, { "type": text("kind"), "text": text("more") }],
        "tools": [
            { "name": hostile("shared"), "description": text("description") },
            { "name": text("tool") },
            { "name": format!("mcp__{}__tool", hostile("server")), "description": text("description") },
        ],
        "messages": [
            { "role": text("role"), "content": text("content") },
            { "role": "user", "content": [{ "type": text("block"), "text": text("text") }] },
            { "role": "user", "content": [{ "type": "tool_result", "content": text("result") }] },
        ],
        "metadata": { "user_id": user },
        text("parameter"): text("value"),
        "stop_sequences": [text("stop")],
    });
    let mut trace = trace("2025-11-16T10:00:00.000Z", &body);
    trace["mode"] = json!(text("mode"));
    trace["request"]["url"] = json!(format!("/v1/messages/{}", text("url")));
    trace["response"] =
        json!({ "statusCode": 200, "headers": {}, "body": { "stop_reason": text("reason"), "content": [] } });
    trace
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("in/a.json", hostile_trace("left").to_string());
    folder.write("in/b.json", hostile_trace("right").to_string());
    let mut raw = hostile_trace("raw");
    raw["mode"] = json!("claude");
    // DEL and C1 stand in JSON as they are; the writer above leaves them so.
    assert!(raw.to_string().contains('\u{9b}'));
    folder.write("in/claude.json", raw.to_string());
    folder
}

/// Every command line that prints something from these traces.
fn lines() -> Vec<String> {
    let mut lines: Vec<String> = [
        "summary in",
        "list in",
        "list in --fail-over tool_count=0",
        "show in/a.json",
        "show in/claude.json",
        "diff in/a.json in/b.json",
        "diff in in",
        "show in/a.json --text",
        "diff in/a.json in/b.json --text",
        "list in --session nonesuch",
        "list in --model left",
        "list in --mode raw",
        "list in --mode nonesuch",
        "list in --label x=session:e",
        "diff in/a.json",
        "prefix in",
        "prefix in --text",
        "prefix in --slots 1 --as sorted,no-header --text",
        "explain in",
        "report in",
        "report in --include-text",
    ]
    .map(str::to_owned)
    .into();
    lines
        .extend(["session", "mode", "kind", "day", "level", "run"].map(|by| format!("summary in --by {by}")));
    lines
}

/// Every tag that a page of a harmless trace has is the whole of what may be in one.
#[test]
fn a_page_is_text_but_for_its_own_markup() {
    let folder = folder();
    let tags = |page: &str| -> std::collections::BTreeSet<String> {
        let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect();
        page.split('<').skip(1).map(name).collect()
    };
    folder.trace("harmless/a.json", "2025-11-16T10:00:00.000Z", &common::body("a question"));
    // Windows has no such names.
    let broken = if cfg!(windows) { "in/'&quot;&lt;.json" } else { "in/<script>alert(1)</script>.json" };
    folder.write(broken, "{");
    folder.traces("report harmless --include-text -o harmless.html").ends_with(0);
    let harmless = std::fs::read_to_string(folder.path().join("harmless.html")).unwrap();
    let line = "report in --include-text --label model<script>\u{202e}=in/a.json -o page.html";
    folder.traces(line).ends_with(3);
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    is_safe(line, &page.replace('\t', ""), true);
    let more = [
        "article",
        "/article",
        "/svg",
        "svg",
        "path",
        "line",
        "/path",
        "/line",
        "figure",
        "/figure",
        "/figcaption",
        "figcaption",
        "b",
        "/b",
        "h3",
        "/h3",
        "small",
        "/small",
        "rect",
        "/rect",
        "text",
        "/text",
        "title",
        "desc",
        "/desc",
    ];
    let known: Vec<String> = tags(&harmless).into_iter().chain(more.map(str::to_owned)).collect();
    let strange: Vec<String> = tags(&page).into_iter().filter(|tag| !known.contains(tag)).collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert_eq!(page.matches("<script").count(), 1, "the page has a script of its own and no other");
    assert_eq!(page.matches("</script").count(), 1);
    assert_eq!(page.matches("</style").count(), 1);
    for text in ["left tool ", "&lt;script&gt;alert(1)&lt;/script&gt;", "model&lt;script&gt;", "left system "]
    {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn tables_and_pages_hold_nothing_that_steers() {
    let folder = folder();
    for line in lines() {
        for format in ["table", "markdown"] {
            let ran: Ran = folder.traces(&format!("{line} --format {format}"));
            assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
            is_safe(&line, &ran.stdout, line.contains("--text"));
            is_safe(&line, &ran.stderr, false);
            assert!(!(ran.stdout.is_empty() && ran.stderr.is_empty()), "{line}");
        }
    }
}

#[test]
fn the_text_itself_is_still_there() {
    let folder = folder();
    let table = folder.traces("show in/a.json --text").ends_with(0).stdout;
    for word in ["left model ", "left tool ", "left system ", "left content ", "left role "] {
        assert!(table.contains(word), "{word}");
    }
    assert!(table.contains(FORGED), "the line breaks in it became something else");
}

#[test]
fn a_markdown_table_keeps_its_columns_and_shows_no_markup() {
    let folder = folder();
    for line in ["summary in", "list in", "show in/a.json", "diff in/a.json in/b.json"] {
        let page = folder.traces(&format!("{line} --format markdown")).ends_with(0).stdout;
        let mut columns = None;
        for row in page.lines() {
            let cells = row.replace("\\\\", "").replace("\\|", "").matches('|').count();
            let expected = if row.starts_with('|') { *columns.get_or_insert(cells) } else { cells };
            assert_eq!(cells, expected, "{line}: {row}");
            columns = columns.filter(|_| row.starts_with('|'));
            let plain = row.replace("\\<", "").replace("\\[", "").replace("\\*", "").replace("\\`", "");
            assert!(!plain.contains("<script") && !plain.contains("**b") && !plain.contains("[l]("), "{row}");
        }
    }
}

#[test]
fn a_markdown_code_block_ends_where_it_should() {
    let folder = folder();
    for line in ["show in/a.json --text", "diff in/a.json in/b.json --text"] {
        let page = folder.traces(&format!("{line} --format markdown")).ends_with(0).stdout;
        let mut fence: Option<String> = None;
        for row in page.lines() {
            let ticks: String = row.chars().take_while(|&c| c == '`').collect();
            match &fence {
                None if ticks.len() >= 3 => fence = Some(ticks),
                Some(open) if ticks.len() >= open.len() && row.trim_end() == ticks => fence = None,
                // The forged script stands inside of a block or escaped.
                None => assert!(!row.starts_with("<script"), "{line}: {row}"),
                Some(_) => {}
            }
        }
        assert_eq!(fence, None, "{line}: a block is left open");
    }
}

#[test]
fn csv_quotes_and_strips_control_characters() {
    let folder = folder();
    let requests = folder.traces("list in --format ndjson").ends_with(0).ndjson();
    let ran = folder.traces("list in --format csv").ends_with(0);
    assert!(!ran.stdout.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
    let (_, rows) = ran.csv();
    assert_eq!(rows.len(), 3);
    let is_safe = |c: char| c == '\n' || c == '\t' || !common::hostile::steers(c);
    let without_controls = |text: &str| -> String { text.chars().filter(|&c| is_safe(c)).collect() };
    for (row, request) in rows.iter().zip(&requests) {
        for name in ["mode", "requested_model", "endpoint", "path"] {
            let text = without_controls(request[name].as_str().unwrap());
            assert_eq!(row[name].trim_start_matches('\''), text.trim_start_matches('\''), "{name}");
        }
        let reason = request["response"]["stop_reason"].as_str().unwrap();
        assert_eq!(row["response.stop_reason"], without_controls(reason));
    }
    for line in ["summary in --format csv", "summary in --by mode --format csv", "diff in in --format csv"] {
        let ran = folder.traces(line).ends_with(0);
        assert!(!ran.stdout.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{line}");
        ran.csv();
    }
}

#[test]
fn json_escapes_every_control_character_and_loses_none() {
    let folder = folder();
    let lines = [
        "summary in --format json",
        "summary in --by mode --format json",
        "list in --format json",
        "list in --format ndjson",
        "show in/a.json --format json --text",
        "show in/claude.json --format json",
        "diff in/a.json in/b.json --format json --text",
    ];
    for line in lines {
        let ran = folder.traces(line).ends_with(0);
        let raw: Vec<char> = ran.stdout.chars().filter(|&c| c.is_control() && c != '\n').collect();
        assert!(raw.is_empty(), "{line}: {raw:?}");
        is_safe(line, &ran.stderr, false);
    }
    let shown = folder.traces("show in/a.json --format json --text").json();
    let text = |name: &str| json!(hostile(&format!("left {name} ")));
    assert_eq!(shown["requested_model"], text("model"));
    assert_eq!(shown["mode"], text("mode"));
    assert_eq!(shown["system"][0]["text"], text("system"));
    assert_eq!(shown["messages"][0]["role"], text("role"));
    assert_eq!(shown["messages"][0]["blocks"][0]["text"], text("content"));
    assert_eq!(shown["messages"][1]["blocks"][0]["type"], text("block"));
    assert_eq!(shown["response"]["stop_reason"], text("reason"));
    let names = common::members(&shown["tools"], "name");
    assert!(names.contains(&hostile("left tool ")), "{names:?}");
    let parameter = hostile("left parameter ");
    assert!(shown["parameters"].as_object().unwrap().contains_key(&parameter));
}

#[test]
fn the_users_own_arguments_are_sanitised_when_echoed() {
    let folder = folder();
    let evil = "x\u{1b}]52;c;eA==\u{7}\u{9b}31m\u{202e}y";
    let echoing: [&[&str]; 12] = [
        &["list", evil],
        &["show", &format!("session:{evil}"), "--root", "."],
        &["show", &format!("latest~{evil}")],
        &["list", "in", "--model", evil],
        &["list", "in", "--since", evil],
        &["list", "in", "--label", &format!("{evil}=session:zzz")],
        &["list", "in", "--fail-over", &format!("{evil}=1")],
        &["list", "in", "--fail-over", &format!("tool_count=1{evil}")],
        &["list", "--root", evil],
        &["list", "in", "--kind", evil],
        &["list", &format!("--{evil}")],
        &["diff", "in/a.json", "in/b.json", evil],
    ];
    for args in echoing {
        let ran = folder.traces_with("", args).ends_with(2);
        is_safe(&format!("{args:?}"), &ran.stderr, false);
        assert_eq!(ran.stdout, "");
    }
}
