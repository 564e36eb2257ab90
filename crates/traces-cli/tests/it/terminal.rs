//! What a person sees in a terminal.
#![cfg(unix)]

use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::common::terminal::Terminal;
use crate::common::{self, Folder, HANGS, HOME, body, program, repo, run, traces, width};
use serde_json::json;

/// What a run prints on a terminal of so many columns, and its exit code. Both
/// streams go there.
fn on_terminal(columns: u16, args: &[&str], environment: &[(&str, &str)]) -> (String, i32) {
    ended(start(columns, args, environment))
}

fn start(columns: u16, args: &[&str], environment: &[(&str, &str)]) -> Terminal {
    let mut command = program(&repo());
    command.args(args).env("TERM", "xterm-256color").envs(environment.iter().copied());
    Terminal::start(command, columns)
}

fn ended(terminal: Terminal) -> (String, i32) {
    let (text, mut child) = terminal.end();
    (text, child.wait().unwrap().code().expect("no signal ends it"))
}

/// The same for a line whose progress is of no interest: on a busy machine reading
/// takes long enough to show some.
fn result_on_terminal(columns: u16, line: &str, environment: &[(&str, &str)]) -> (String, i32) {
    on_terminal(columns, &words(&format!("{line} --no-progress")), environment)
}

/// The same, where the terminal is high enough for anything.
fn on_high_terminal(columns: u16, line: &str) -> String {
    let mut command = program(&repo());
    command.args(words(line)).arg("--no-progress").env("TERM", "xterm-256color");
    ended(Terminal::start_high(command, columns)).0
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The text without colours; fails where anything else steers the terminal.
fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain += before;
        let (code, tail) = after.split_once('m').expect("a colour");
        assert!(code.chars().all(|c| c.is_ascii_digit() || c == ';'), "{code:?}");
        rest = tail;
    }
    plain + rest
}

/// The lines without blanks at their ends.
fn rows(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).collect()
}

/// Every verb that prints tables.
fn lines() -> Vec<String> {
    let verbs = [
        "summary",
        "summary --by session --all",
        "timing",
        "timing --by run --all",
        "prefix",
        "prefix --all --text",
        "list --all",
        "show",
        "show session:22222222",
        "diff",
        "diff latest~1 latest",
        "diff session:11111111 session:44444444",
        "explain",
        "explain session:11111111 session:44444444",
        "--label a-model-with-quite-a-long-name-that-somebody-typed-in-one-go-2507=session:22222222",
    ];
    verbs.map(|verb| format!("{verb} --root {HOME}")).into()
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for line in lines() {
        for columns in [40, 60, 80, 120, 200] {
            let (text, code) = result_on_terminal(columns, &line, &[]);
            assert_eq!(code, 0, "{line}");
            for row in without_colours(&text).lines() {
                // A command to type or a list to paste is never cut, so that it can be copied;
                // notes are no tables.
                let is_to_copy = ["  traces ", ":  [\"", ":  \"disabledMcpjsonServers\""];
                let is_free = is_to_copy.iter().any(|mark| row.contains(mark)) || row.starts_with("traces: ");
                assert!(width(row) <= usize::from(columns) || is_free, "{line} at {columns}: {row}");
            }
        }
    }
}

#[test]
fn help_fits_80_columns() {
    let verbs = ["summary", "list", "show", "diff", "timing", "prefix", "explain", "report", "replay"];
    for verb in verbs.into_iter().chain(["completions", "man"]) {
        for flag in ["-h", "--help"] {
            let (text, code) = on_terminal(80, &[verb, flag], &[]);
            assert_eq!(code, 0, "{text}");
            for row in without_colours(&text).lines() {
                assert!(width(row) <= 80, "{verb} {flag}: {row}");
            }
        }
    }
}

#[test]
fn a_narrow_terminal_loses_columns_and_a_wide_one_none() {
    let line = format!("list --root {HOME}");
    let heading = |columns| {
        let (text, _) = result_on_terminal(columns, &line, &[]);
        without_colours(&text).lines().find(|row| row.contains("TIME")).unwrap().to_owned()
    };
    let piped = traces(&line).stdout;
    let whole: Vec<&str> = piped.lines().find(|row| row.contains("TIME")).unwrap().split("  ").collect();
    let names: Vec<&str> = whole.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    for name in &names {
        assert!(heading(200).contains(name), "{name}");
    }
    let narrow = heading(60);
    assert!(narrow.contains("TIME") && narrow.contains("BODY") && !narrow.contains("FILE"), "{narrow}");
}

/// Of two models, a row that does not say whose it is says little.
#[test]
fn rows_of_several_models_name_them_in_a_narrow_terminal() {
    let folder = Folder::new();
    let log = std::fs::read_to_string(repo().join("testdata/server-logs/llama-server.log")).unwrap();
    folder.write("a.log", &log);
    folder.write("b.log", log.replace("fern-1b", "a-larger-fern-of-a-long-name-30b"));
    let [a, b] = ["a.log", "b.log"].map(|name| folder.path().join(name).display().to_string());
    let headings = |line: &str| {
        let (text, _) = result_on_terminal(80, line, &[]);
        let plain = without_colours(&text);
        let of_rows = |row: &&str| row.contains(" WRITE") && !row.contains("WHERE");
        plain.lines().filter(of_rows).map(str::to_owned).collect::<Vec<_>>()
    };
    for line in [format!("timing {a} {b}"), format!("timing --all --root {HOME}")] {
        let headings = headings(&line);
        assert!(headings.iter().all(|row| row.contains("MODEL")) && !headings.is_empty(), "{headings:?}");
    }
    let one = headings(&format!("timing {b}"));
    assert!(one.iter().all(|row| row.contains("WAIT") && !row.contains("MODEL")), "{one:?}");
}

#[test]
fn when_piped_nothing_is_cut_and_nothing_is_coloured() {
    let folder = Folder::new();
    let long = "a-very-long-name-of-a-tool-".repeat(12);
    let mut request = body("a question");
    request["tools"] = json!([common::tool(&long, "Does much.")]);
    request["metadata"] = json!({ "user_id": "5f".repeat(32) });
    folder.trace("a.json", "2025-11-16T10:00:00.000Z", &request);
    let label = format!("--label {long}=a.json");
    for line in ["summary .", "list .", "show a.json", "diff a.json a.json"] {
        let ran = folder.traces(&format!("{line} {label}")).ends_with(0);
        assert!(ran.stdout.contains(&long), "{line}: {}", ran.stdout);
        assert!(!ran.stdout.contains('\u{1b}') && !ran.stdout.contains('…'), "{line}");
    }
    for line in lines() {
        let wide = without_colours(&on_high_terminal(500, &line));
        let piped = traces(&line);
        assert_eq!(rows(&wide), rows(&(piped.stderr + &piped.stdout)), "{line}");
    }
}

#[test]
fn what_a_low_terminal_leaves_out_is_named() {
    for line in ["summary", "show", "diff", "explain"] {
        let line = format!("{line} --root {HOME}");
        let low = without_colours(&result_on_terminal(120, &line, &[]).0);
        let high = without_colours(&on_high_terminal(120, &line));
        assert_eq!(low.lines().next(), high.lines().next(), "{line}");
        assert!(low.lines().count() <= high.lines().count(), "{line}");
        let is_less = low.lines().count() < high.lines().count();
        assert!(!is_less || low.contains(" | less") || line.starts_with("explain"), "{line}: {low}");
    }
    let low = result_on_terminal(120, &format!("explain --root {HOME}"), &[]).0;
    assert!(low.lines().count() <= 24, "{low}");
}

type Environment<'a> = &'a [(&'a str, &'a str)];

#[test]
fn colour_is_as_asked_for() {
    let line = format!("list --root {HOME} --last 2");
    // What says when, and whether a terminal and a pipe then show colour.
    let cases: [(&str, Environment<'_>, bool, bool); 15] = [
        ("", &[], true, false),
        ("--color auto", &[], true, false),
        ("--color always", &[], true, true),
        ("--color never", &[], false, false),
        ("", &[("NO_COLOR", "1")], false, false),
        // An empty one is none.
        ("", &[("NO_COLOR", "")], true, false),
        ("--color auto", &[("NO_COLOR", "1")], false, false),
        ("--color always", &[("NO_COLOR", "1")], true, true),
        ("--color never", &[("NO_COLOR", "")], false, false),
        ("", &[("TERM", "dumb")], false, false),
        ("--color always", &[("TERM", "dumb")], true, true),
        ("--color auto", &[("TERM", "dumb"), ("NO_COLOR", "")], false, false),
        // What other programs go by.
        ("", &[("TERM", "dumb"), ("CI", "true")], false, false),
        ("", &[("CLICOLOR", "0")], true, false),
        ("", &[("CLICOLOR_FORCE", "1")], true, false),
    ];
    for (choice, environment, on_terminal, when_piped) in cases {
        let line = format!("{line} {choice}");
        let shown = result_on_terminal(100, &line, environment).0;
        assert_eq!(shown.contains('\u{1b}'), on_terminal, "{choice} {environment:?} on a terminal");
        let mut command = program(&repo());
        command.envs(environment.iter().copied());
        let piped = run(command, &line, &[] as &[&str]).stdout;
        assert_eq!(piped.contains('\u{1b}'), when_piped, "{choice} {environment:?} piped");
        // Help and complaints about arguments are asked for before any choice is read.
        for words in ["--help", "list --last many"].iter().filter(|_| choice.is_empty()) {
            let shown = result_on_terminal(100, words, environment).0;
            assert_eq!(shown.contains('\u{1b}'), on_terminal, "{words} {environment:?} on a terminal");
            let mut command = program(&repo());
            command.envs(environment.iter().copied());
            let piped = run(command, words, &[] as &[&str]);
            assert!(!(piped.stdout + &piped.stderr).contains('\u{1b}'), "{words} {environment:?} piped");
        }
    }
    let markdown = traces(&format!("{line} --color always --format markdown")).stdout;
    assert!(!markdown.contains('\u{1b}'), "only tables have colour");
}

#[test]
fn coloured_tables_line_up_like_plain_ones() {
    for line in lines() {
        let plain = traces(&format!("{line} --color never")).stdout;
        let coloured = traces(&format!("{line} --color always")).stdout;
        assert_eq!(rows(&without_colours(&coloured)), rows(&plain), "{line}");
    }
}

#[test]
fn arguments_do_not_steer_the_terminal() {
    let evil = "x\u{1b}]52;c;eA==\u{7}\u{9b}31m\u{202e}y";
    let echoing: [&[&str]; 5] = [
        &["list", evil],
        &["list", "--model", evil, "--root", HOME],
        &["list", "--format", evil],
        &["list", "--fail-over", evil],
        &["show", "a", "b", evil],
    ];
    for args in echoing {
        let (text, code) = on_terminal(80, &[args, &["--no-progress"]].concat(), &[]);
        assert_eq!(code, 2, "{args:?}");
        let plain = without_colours(&text);
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!plain.contains(steers), "{args:?}: {plain:?}");
    }
}

#[test]
fn a_replay_shows_how_far_it_is_and_leaves_nothing_of_it() {
    // The server goes on when this has seen what it waits for.
    let (seen, next) = channel();
    let next = Mutex::new(next);
    let server = common::server::Server::new(move |_, answer| {
        let wait = || next.lock().unwrap().recv().unwrap_or_default();
        let events = common::server::anthropic(&["a", "b"]);
        wait();
        answer.stream();
        answer.events(&events[..2]);
        wait();
        answer.events(&events[2..]);
    });
    let line = format!("replay --root {HOME} --timeout {} --url {}", HANGS.as_secs(), server.url);
    let mut terminal = start(80, &words(&line), &[]);
    for words in ["waiting for the first token, ", " tok/s, "] {
        assert!(terminal.shows(words), "{words}: {:?}", terminal.end().0);
        seen.send(()).unwrap();
    }
    let (text, code) = ended(terminal);
    assert_eq!(code, 0, "{text}");
    let (progress, page) = text.rsplit_once("\r\u{1b}[K").unwrap();
    for words in ["waiting for the first token, ", "first token after ", "~", "tok/s"] {
        assert!(progress.contains(words), "{words}: {progress:?}");
    }
    for row in without_colours(page).lines() {
        assert!(width(row) <= 80, "{row}");
    }
    let server = common::server::Server::new(|_, answer| {
        answer.stream();
        answer.events(&common::server::anthropic(&["a"]));
    });
    let line = format!("replay --root {HOME} --url {}", server.url);
    for quiet in ["--quiet", "--no-progress"] {
        let (text, _) = on_terminal(80, &words(&format!("{line} {quiet}")), &[]);
        assert!(!text.contains('\r') && text.contains("TTFT"), "{quiet}: {text:?}");
    }
}

#[test]
fn a_replay_fits_the_terminal() {
    let server = common::server::Server::new(|_, answer| {
        answer.stream();
        answer.events(&common::server::anthropic(&["a", "b"]));
    });
    let line = format!("replay --repeat 2 --root {HOME} --url {}", server.url);
    for columns in [40, 80, 120, 200] {
        let (text, code) = result_on_terminal(columns, &line, &[]);
        assert_eq!(code, 0, "{text}");
        for row in without_colours(&text).lines() {
            assert!(width(row) <= usize::from(columns), "at {columns}: {row}");
        }
    }
}

#[test]
fn reading_shows_how_far_it_is_and_leaves_nothing_of_it() {
    // One large trace under as many names as it takes until there is time to show something.
    let large = Folder::new();
    large.trace("0.json", "2025-11-16T10:00:00.000Z", &body(&"many words, ".repeat(500_000)));
    let folder = large.path().to_str().unwrap();
    let mut names = 1;
    let text = loop {
        for name in names..2 * names {
            std::fs::hard_link(large.path().join("0.json"), large.path().join(format!("{name}.json")))
                .unwrap();
        }
        names *= 2;
        let (text, code) = on_terminal(60, &["list", folder, "--last", "1"], &[]);
        assert_eq!(code, 0, "{text}");
        if text.contains("Reading: ") && text.contains(" MB\r") {
            break text;
        }
        assert!(names < 10_000, "nothing shows how far it is: {text:?}");
    };
    let (progress, page) = text.rsplit_once("\r\u{1b}[K").expect("some progress");
    for drawn in progress.split("\r\u{1b}[K") {
        assert!(width(drawn) < 60 && !drawn.contains('\n'), "{drawn:?}");
    }
    assert!(without_colours(page).contains(" request"), "{page:?}");
    for (more, environment) in
        [("--no-progress", ("A", "")), ("--quiet", ("A", "")), ("--all", ("TERM", "dumb"))]
    {
        let (text, _) = on_terminal(60, &["list", folder, "--last", "1", more], &[environment]);
        assert!(!text.contains('\r') && !text.contains("Reading"), "{more} {environment:?}: {text:?}");
    }
}

#[test]
fn a_name_of_many_marks_is_cut() {
    let folder = Folder::new();
    let mut body = body("a");
    body["tools"] =
        json!([common::tool(&format!("{}{}", "name".repeat(50), "\u{301}".repeat(400_000)), "Runs.")]);
    body["model"] = json!("e\u{301}".repeat(200_000));
    folder.trace("a.json", "2025-11-16T10:00:00.000Z", &body);
    for verb in ["show", "list", "summary"] {
        let line = format!("{verb} {}", folder.path().join("a.json").display());
        let (text, code) = result_on_terminal(80, &line, &[]);
        assert_eq!(code, 0, "{verb}");
        for row in without_colours(&text).lines() {
            assert!(width(row) <= 80 || row.contains("  traces "), "{verb}: {}", width(row));
        }
    }
}
