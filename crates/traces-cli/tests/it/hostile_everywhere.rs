//! Every verb in every format, on a recording in which every text that there is tries
//! to steer what shows it: in traces, logs, file names, arguments and servers' answers.
#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "what was tried is counted, to be quoted")]

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread;

use crate::common::hostile::{
    CONTROLS, FORGED, MARKUP, SEQUENCES, hostile, hostile_line, is_safe, is_safe_as,
};
use crate::common::server::{Answer, Received, Server, anthropic, models};
use crate::common::terminal::Terminal;
use crate::common::{self, FORMATS, Folder, program, run, trace};
use serde_json::{Value, json};

/// Where the text stands. Each begins with its own word there, which tells whether it
/// was printed at all.
const PLACES: [&str; 31] = [
    "Pmode",
    "Pendpoint",
    "Prequested",
    "Pseveral",
    "Psystem",
    "Ptype",
    "Ptool",
    "Pserver",
    "Pdescription",
    "Pschema",
    "Prole",
    "Pcontent",
    "Pblock",
    "Presult",
    "Psession",
    "Pdevice",
    "Pparameter",
    "Pvalue",
    "Pstop",
    "Preason",
    "Pmodel",
    "Pother",
    "Pdetected",
    "Pprovider",
    "Pbackend",
    "Plogged",
    "Pfile",
    "Pfolder",
    "Pbroken",
    "Pdebuglog",
    "Prequestlog",
];

/// What a server says.
const SERVED: [&str; 3] = ["Pserved", "Panswer", "Pstopped"];

/// Those that are never printed as text: what they are in is only measured.
const NEVER: [&str; 8] =
    ["Pdevice", "Pschema", "Presult", "Pprovider", "Pbackend", "Pseveral", "Ptype", "Prequestlog"];

/// A name for a file: with every attempt that fits into 255 bytes, and no slash.
fn name(word: &str, ending: &str) -> OsString {
    let mut name = format!(
        "{word} \n{FORGED}\u{1b}[31m\u{1b}]52;c;eA==\u{7}\u{9b}1m\u{202e}\u{200b}<script>'\"`$(id)|*_[x](y)"
    )
    .into_bytes();
    name.extend(b"\xff\x9b");
    name.extend(ending.as_bytes());
    OsStr::from_bytes(&name).to_owned()
}

/// The body of turn `turn` of a conversation.
fn body_of(turn: usize) -> Value {
    let mut messages = vec![json!({ "role": "user", "content": hostile("Pcontent") })];
    for _ in 0..turn {
        messages.push(json!({ "role": hostile("Prole"), "content": [{ "type": hostile("Pblock"), "text": hostile("Pcontent") }] }));
        messages.push(
            json!({ "role": "user", "content": [{ "type": "tool_result", "content": hostile("Presult") }] }),
        );
    }
    json!({
        "model": hostile("Prequested"), "max_tokens": 100, "stream": true,
        "system": [{ "type": "text", "text": hostile("Psystem") }, { "type": hostile("Ptype"), "text": hostile("Pseveral") }],
        "tools": [
            { "name": hostile("Ptool"), "description": hostile(&format!("Pdescription{turn}")), "input_schema": { hostile("Pschema"): 1 } },
            { "name": format!("mcp__{}__tool", hostile("Pserver")) },
        ],
        "messages": messages,
        "metadata": { "user_id": json!({ "session_id": hostile("Psession"), "device_id": hostile("Pdevice") }).to_string() },
        hostile("Pparameter"): "Pvalue \u{1b}]0;evil\u{7}\u{9b}1m\u{202e}<b>\n",
        "stop_sequences": [hostile("Pstop")],
    })
}

fn trace_of(at: &str, turn: usize) -> Value {
    let mut trace = trace(at, &body_of(turn));
    trace["mode"] = json!(hostile_line("Pmode"));
    trace["request"]["url"] = json!(format!("/v1/messages/{}", hostile("Pendpoint").replace(['?', '#'], "")));
    trace["response"] =
        json!({ "statusCode": 200, "body": { "stop_reason": hostile("Preason"), "content": [] } });
    trace
}

/// The debug log of a process that answers two turns at this hour, so fast.
fn log(hour: usize, model: &str, detected: &str, ttft_ms: u64) -> String {
    let label = format!("lmstudio/{}", hostile_line(model));
    let stamp = |second: usize, ms: u64| format!("2025-11-16T{hour:02}:00:{second:02}.{ms:03}Z");
    let line = |stamp: String, text: String| format!("[{stamp}] [ANYCLAUDE DEBUG] {text}\n");
    let rule = |c: &str| c.repeat(60);
    let mut log = format!(
        "{0}\nANYCLAUDE DEBUG SESSION - Level 2\nStarted: {1}\n{0}\n\n{2}\nSESSION CONFIGURATION\n{2}\nBackend Mode: {3}\nModel: {4}\nBackend URL: {5}\n{2}\n",
        rule("═"),
        stamp(0, 1),
        rule("─"),
        hostile_line("Pmode"),
        label,
        hostile_line("Pbackend")
    );
    if !detected.is_empty() {
        log += &line(stamp(0, 2), format!("[Backend Query] Detected model: {}", hostile_line(detected)));
    }
    for turn in 0..2 {
        let second = 10 + 15 * turn;
        log += &line(stamp(second, 0), format!("[Request Start] {label} at {}", stamp(second, 0)));
        log +=
            &line(stamp(second, 1), format!("[Streaming] Starting stream conversion and pipe for {label}"));
        log += &line(
            stamp(second + ttft_ms as usize / 1000, ttft_ms % 1000),
            format!("[Timing] First token received at {ttft_ms}ms"),
        );
        log += &line(
            stamp(second + 12, 0),
            format!("[Request Complete] {label}: 12000ms (288 chunks, 34757 bytes) | ⚡ 9.6 tok/s"),
        );
        log += &line(
            stamp(second + 12, 1),
            r#"[Cache Metrics] Recorded streaming response metrics {"hash":"2a","inputTokens":14644,"outputTokens":60,"cacheReadTokens":0}"#.into(),
        );
        log += &line(
            stamp(second + 12, 2),
            format!("[Timeout] Request to lmstudio/{} exceeded 600000ms", hostile_line("Plogged")),
        );
    }
    log
}

/// A recording that is hostile everywhere: two models that can be compared, a third one
/// that was only detected, a request that only the request log knows, and a broken file.
fn recording() -> Folder {
    let folder = Folder::new();
    let root = Path::new("root");
    let traces = root.join("traces").join(name("Pfolder", ""));
    for (hour, model, detected, ttft) in
        [(10, "Pmodel", "", 1000), (11, "Pother", "", 9000), (12, "current-model", "Pdetected", 3000)]
    {
        let text = log(hour, model, detected, ttft).replace(&hostile_line("current-model"), "current-model");
        let mut file = OsString::from(format!("debug-session-2025-11-16T{hour:02}-00-00 "));
        file.push(name("Pdebuglog", ".log"));
        folder.write(root.join("logs").join(file), text);
        for turn in 0..2 {
            let stamp = format!("2025-11-16T{hour:02}:00:{:02}.005Z", 10 + 15 * turn);
            let file = name(&format!("Pfile{hour}{turn}"), ".json");
            folder.write(traces.join(file), trace_of(&stamp, turn).to_string());
        }
    }
    let logged = json!({
        "timestamp": "2025-11-16T13:00:00.000Z", "systemSize": 31, "toolCount": 2, "messageCount": 3,
        "streaming": true, "provider": hostile_line("Pmode"), "model": hostile("Plogged"),
    });
    folder
        .write(root.join("request-logs").join(name("Prequestlog", ".jsonl")), format!("{logged}\nno line\n"));
    folder.write("root/traces/logged.json", trace_of("2025-11-16T13:00:00.005Z", 1).to_string());
    folder.write(root.join("traces").join(name("Pbroken", ".json")), "{");
    folder
}

/// The command lines of a verb, without a format.
fn lines(verb: &str, url: &str) -> Vec<String> {
    let more: &[&str] = match verb {
        "summary" => &["", "--by run", "--by mode", "--by session --fail-over tool_count=0"],
        "list" => &["", "--fail-over tool_count=0", "--kind probe"],
        "show" => &["--fail-over tool_count=0", "--text"],
        "diff" => &["", "latest~1 latest --text", "latest", "model:P model:Pother"],
        "timing" => &["", "--by run"],
        "prefix" => &["--text", "--slots 1 --as sorted,no-header", "--context 900 --fail-over tool_count=0"],
        "explain" => &["", "model:Pother model:Pdetected"],
        "report" => &["", "--include-text"],
        "export" => &["", "--kind conversation"],
        _ => {
            return vec![
                format!("replay latest --root root --url {url}"),
                format!("replay latest --root root --show-text --url {url}"),
            ];
        }
    };
    more.iter().map(|more| format!("{verb} {more} --root root")).collect()
}

fn hostile_server() -> Server {
    let list = |_: &Received, answer: &mut Answer| {
        answer.document("200 OK", &models(&[&hostile("Pserved")]).to_string())
    };
    Server::with_models(list, |_, answer| {
        let mut events = anthropic(&[&hostile("Panswer"), "b"]);
        events[3]["delta"]["stop_reason"] = json!(hostile("Pstopped"));
        answer.stream();
        answer.events(&events);
    })
}

/// Runs a verb in every format; returns which places were printed, once for each run.
fn verb_is_safe(folder: &Folder, url: &str, verb: &str, formats: &[&str]) -> Vec<BTreeSet<&'static str>> {
    let mut outputs = Vec::new();
    for line in lines(verb, url) {
        for format in formats {
            // The same with colours, where there are some.
            for color in ["", " --color always"].iter().take(if *format == "table" { 2 } else { 1 }) {
                let line = format!("{line} --format {format}{color}");
                let mut ran = folder.traces(&line);
                assert!([0, 1, 2, 3].contains(&ran.code), "{line}");
                if !color.is_empty() {
                    ran.stdout = without_colours(&line, &ran.stdout);
                }
                is_safe_as(format, &line, &ran);
                let is_printed = |place: &&str| ran.stdout.contains(*place) || ran.stderr.contains(*place);
                outputs.push(PLACES.into_iter().chain(SERVED).filter(is_printed).collect());
            }
        }
    }
    outputs
}

#[test]
fn nothing_steers_in_any_verb_and_format() {
    let (folder, server) = (recording(), hostile_server());
    let outputs: Vec<BTreeSet<&str>> = thread::scope(|scope| {
        let one = |(verb, formats)| {
            let (folder, url) = (&folder, &server.url);
            scope.spawn(move || verb_is_safe(folder, url, verb, formats))
        };
        let running: Vec<_> = FORMATS.map(one).into();
        running.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    for line in ["man", "completions bash", "completions fish", "completions zsh", "--help", "list --help"] {
        is_safe(line, &folder.traces(line).ends_with(0).stdout.replace('\t', ""), false);
    }
    let seen: BTreeSet<&str> = outputs.iter().flatten().copied().collect();
    let all = PLACES.into_iter().chain(SERVED);
    let unseen: Vec<&str> = all.filter(|place| !seen.contains(place) && !NEVER.contains(place)).collect();
    assert!(unseen.is_empty(), "never printed, so that nothing is said of them: {unseen:?}");
    let attempts = SEQUENCES.len() + CONTROLS.len() + MARKUP.len();
    let printed: usize = outputs.iter().map(BTreeSet::len).sum();
    println!(
        "{attempts} attempts in each of {} places, {} outputs, {printed} times that a place was printed in one",
        PLACES.len() + SERVED.len(),
        outputs.len(),
    );
}

/// The text less its colours; fails where any other sequence stands in it.
fn without_colours(line: &str, text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('m').unwrap_or_else(|| panic!("{line}: no colour: {part:.40?}"));
        assert!(code.chars().all(|c| c.is_ascii_digit() || c == ';'), "{line}: {code:.40?}");
        plain += rest;
    }
    plain
}

/// Tags and attributes of a page, as an HTML parser sees them: names of tags, and of
/// each its attributes.
fn markup(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // Style and script are ours, and no text of a recording is in them.
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let mut quoted = None;
        let end = after.find(|c: char| match quoted {
            Some(quote) if c == quote => {
                quoted = None;
                false
            }
            Some(_) => false,
            None if c == '"' || c == '\'' => {
                quoted = Some(c);
                false
            }
            None => c == '>',
        });
        let (tag, after) = after.split_at(end.expect("a tag ends"));
        let mut outside = String::new();
        for (at, part) in tag.split('"').enumerate() {
            if at % 2 == 0 {
                outside += part;
            }
        }
        let mut words = outside.split_whitespace();
        let name = words.next().unwrap_or_default().to_owned();
        found.extend(words.map(|word| format!("{name} {}", word.trim_end_matches('='))));
        rest = match name.as_str() {
            "style" | "script" => after.split_once(&format!("</{name}>")).expect("it is closed").1,
            _ => after,
        };
        found.insert(name);
    }
    found
}

#[test]
fn a_page_has_the_markup_of_a_harmless_one() {
    let folder = recording();
    let write = |line: &str, file: &str| {
        let ran = folder.traces(&format!("report {line} --include-text -o {file}"));
        assert!([0, 3].contains(&ran.code), "{ran:?}");
        is_safe(line, &ran.stderr, false);
        fs::read_to_string(folder.path().join(file)).unwrap()
    };
    let home = common::repo().join(common::HOME);
    let harmless: BTreeSet<String> = [
        format!("--root {} model:gpt-oss model:qwen3-42b", home.display()),
        format!("--root {}", home.display()),
        format!("--root {} session:4444", home.display()),
    ]
    .iter()
    .enumerate()
    .flat_map(|(at, line)| markup(&write(line, &format!("harmless{at}.html"))))
    .collect();
    for (at, line) in ["", "model:Pmodel model:Pother", "model:Pother model:Pdetected", "--label <b>x=latest"]
        .into_iter()
        .enumerate()
    {
        let page = write(&format!("--root root {line}"), &format!("hostile{at}.html"));
        is_safe(line, &page.replace('\t', ""), true);
        let strange: Vec<String> = markup(&page).difference(&harmless).cloned().collect();
        assert!(strange.is_empty(), "{line}: {strange:?}");
        assert!(
            page.contains("Pcontent") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
            "{line}"
        );
        for known in &harmless {
            assert!(!known.contains(" on") && !known.contains("href") && !known.contains("src"), "{known}");
        }
    }
}

/// What a Markdown reader makes of a page, but for text: by name, without what our
/// pages are made of.
fn constructs(page: &str) -> BTreeSet<String> {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    let ours = |event: &Event<'_>| match event {
        Event::Text(_) | Event::Code(_) | Event::End(_) | Event::SoftBreak => true,
        Event::Start(tag) => matches!(
            tag,
            Tag::Paragraph
                | Tag::Heading { .. }
                | Tag::CodeBlock(_)
                | Tag::Table(_)
                | Tag::TableHead
                | Tag::TableRow
                | Tag::TableCell
        ),
        _ => false,
    };
    let found = Parser::new_ext(page, Options::all()).filter(|event| !ours(event));
    found.map(|event| format!("{event:.60?}")).collect()
}

#[test]
fn markdown_has_no_markup_of_theirs() {
    let (folder, server) = (recording(), hostile_server());
    for (verb, formats) in FORMATS.into_iter().filter(|(_, formats)| formats.contains(&"markdown")) {
        assert!(!formats.is_empty());
        for line in lines(verb, &server.url) {
            let page = folder.traces(&format!("{line} --format markdown")).stdout;
            let found = constructs(&page);
            assert!(found.is_empty(), "{line}: {found:?}");
            // GitHub makes links of bare addresses; inside of code it does not.
            for row in page.lines().filter(|row| !row.contains('`') && !line.contains("text")) {
                let bare = row.replace("\\:", "").replace("\\.", "");
                assert!(!bare.contains("://") && !bare.contains("www."), "{line}: {row:.300}");
            }
            let headings = page.lines().filter(|row| row.starts_with('#') && !line.contains("text"));
            headings.for_each(|row| assert!(row.starts_with("## "), "{line}: {row:.100}"));
        }
    }
}

/// Names are data in a table, and stay as they are; those of its folders steer nothing.
#[cfg(feature = "parquet")]
#[test]
fn folders_of_tables_steer_nothing() {
    let folder = recording();
    let ran = folder.traces("export --root root --format parquet -o tables").ends_with(3);
    is_safe("export", &ran.stderr, false);
    let mut below = vec![folder.path().join("tables")];
    let mut names = 0;
    while let Some(path) = below.pop() {
        for entry in path.read_dir().into_iter().flatten().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            is_safe("export", &name, false);
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.%=".contains(c);
            assert!(name.chars().filter(char::is_ascii).all(is_plain), "{name:?}");
            names += usize::from(name.starts_with("model=Pmodel"));
            below.push(entry.path());
        }
    }
    assert!(names > 0);
}

/// Everything that a server can say, and how a replay tells it.
#[test]
fn nothing_that_a_server_says_steers() {
    let folder = Folder::new();
    folder.trace("root/traces/a.json", "2025-11-16T10:00:00.000Z", &common::body("a"));
    let words = hostile("Psaid");
    let document =
        |status: &'static str, body: String| Server::new(move |_, answer| answer.document(status, &body));
    let raw = |text: String| Server::new(move |_, answer: &mut Answer| answer.write(text.as_bytes()));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let line = hostile_line("Psaid").replace(['\r', '\n', '\0'], "");
    let servers = [
        (
            "json error",
            document("400 Bad Request", json!({ "error": { "message": words, "type": words } }).to_string()),
        ),
        ("string error", document("500 Oops", json!({ "error": words }).to_string())),
        ("plain error", document("503 Oops", words.clone())),
        ("error with 200", document("200 OK", json!({ "error": words }).to_string())),
        ("no such path", document("404 Not Found", words.clone())),
        ("plain answer", document("200 OK", words.clone())),
        (
            "error event",
            raw(format!(
                "{head}event: error\ndata: {}\n\n",
                json!({ "type": "error", "error": { "message": words } })
            )),
        ),
        ("garbage event", raw(format!("{head}data: {line}\n\n"))),
        ("garbage type", raw(format!("{head}data: {}\n\n", json!({ "type": words, "delta": words })))),
        (
            "redirect",
            raw(format!("HTTP/1.1 302 Found\r\nlocation: http://x/{line}\r\ncontent-length: 0\r\n\r\n")),
        ),
        ("garbage head", raw(format!("{line}\r\n\r\n"))),
        ("reason", raw(format!("HTTP/1.1 500 {line}\r\ncontent-length: 0\r\n\r\n"))),
    ];
    let listing = |body: Value| {
        let models = move |_: &Received, answer: &mut Answer| answer.document("200 OK", &body.to_string());
        Server::with_models(models, |_, answer| answer.document("500 Oops", ""))
    };
    let names = json!({ "data": [{ "id": hostile("Psaid1") }, { "id": hostile("Psaid2") }] });
    let none = json!({ "models": [{ "type": "llm", "key": hostile("Psaid"), "loaded_instances": [] }] });
    let lists = [
        ("several models", listing(names)),
        ("none loaded", listing(none)),
        ("two loaded", listing(models(&[&words, "x"]))),
    ];
    let (mut outputs, mut said) = (0, BTreeSet::new());
    for (what, server) in servers.iter().chain(&lists) {
        for more in [
            "--api anthropic",
            "--api openai",
            "",
            "--repeat 2 --show-text",
            "--format json",
            "--format markdown",
        ] {
            let line = format!("replay latest --root root --url {} {more}", server.url);
            let ran = folder.traces(&line);
            is_safe_as(more.trim_start_matches("--format "), &format!("{what}: {line}"), &ran);
            assert!(ran.code == 2 || ran.code == 3, "{what}: {ran:?}");
            outputs += 1;
            if ran.stderr.contains("Psaid") {
                said.insert(*what);
            }
        }
    }
    assert!(said.len() >= 8, "{said:?}");
    println!("{outputs} outputs of replay, {} ways to answer", servers.len() + lists.len());
}

/// Arguments wherever one may stand.
#[test]
fn no_argument_steers() {
    let folder = Folder::new();
    folder.trace("root/traces/a.json", "2025-11-16T10:00:00.000Z", &common::body("a"));
    let evil = hostile("Pargument").replace('\0', "");
    let with = |before: &str| OsString::from(format!("{before}{evil}"));
    let flags = [
        "--root",
        "--kind",
        "--mode",
        "--model",
        "--session",
        "--run",
        "--since",
        "--until",
        "--last",
        "--label",
        "--max-file-size",
        "--format",
        "--color",
        "--by",
        "--fail-over",
        "--log",
        "--order",
        "--as",
        "--slots",
        "--context",
        "--output",
        "--direct",
        "--url",
        "--api",
        "--max-tokens",
        "--repeat",
        "--timeout",
        "--connect-timeout",
        "--token-env",
        "--save",
        "--nonesuch",
    ];
    let mut outputs = 0;
    for (verb, _) in FORMATS {
        let mut cases: Vec<Vec<OsString>> =
            flags.iter().map(|flag| vec![(*flag).into(), evil.clone().into()]).collect();
        cases.extend(flags.iter().map(|flag| vec![with(&format!("{flag}="))]));
        cases.extend([vec![evil.clone().into()], vec![with("--")], vec![with("-")]]);
        cases.extend(["session:", "model:", "run:", "latest~"].map(|start| vec![with(start)]));
        cases.extend(
            ["x=", "=", "x=session:", "tool_count="].map(|start| vec!["--label".into(), with(start)]),
        );
        cases.extend(["", "tool_count=", "x="].map(|start| vec!["--fail-over".into(), with(start)]));
        cases.push(vec!["--label".into(), OsString::from(format!("{evil}=latest"))]);
        cases.push(vec!["--direct".into(), evil.clone().into(), evil.clone().into()]);
        for mut args in cases {
            args.push("--quiet".into());
            let mut command = program(folder.path());
            command.env("TRACES_ROOT", "root");
            let ran = run(command, verb, &args);
            let line = format!("{verb} {:.30?}", args[0]);
            is_safe(&line, &ran.stderr, false);
            is_safe(&line, &ran.stdout, false);
            outputs += 1;
        }
        let mut command = program(folder.path());
        command.env("TRACES_ROOT", &evil);
        is_safe(verb, &run(command, verb, &[] as &[&str]).ends_with(2).stderr, false);
    }
    println!("{outputs} outputs of hostile arguments");
}

/// What reaches a real terminal, both streams and progress: colours, and the one
/// sequence that clears the line of progress.
#[test]
fn a_terminal_gets_nothing_but_colours() {
    let (folder, server) = (recording(), hostile_server());
    let mut outputs = 0;
    for (verb, _) in FORMATS.into_iter().filter(|(verb, _)| *verb != "report") {
        for line in lines(verb, &server.url) {
            let mut command = program(folder.path());
            command.args(line.split_whitespace()).env("TERM", "xterm-256color");
            let (text, mut child) = Terminal::start(command, 100).end();
            child.wait().unwrap();
            let text = text.replace("\r\u{1b}[K", "");
            // It turns a tab of a prompt into blanks.
            is_safe(&line, &without_colours(&line, &text), line.contains("text"));
            outputs += 1;
        }
    }
    println!("{outputs} outputs on a terminal");
}
