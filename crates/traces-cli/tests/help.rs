//! Help that helps: every flag is in it, its examples work, and it fits a page.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod common;

use common::{Folder, body, traces, width};

/// The flags of every verb that reads requests.
const READS: [&str; 12] = [
    "--root <DIR>",
    "--all",
    "--kind <KIND>",
    "--mode <MODE>",
    "--model <NAME>",
    "--session <ID>",
    "--run <ID>",
    "--since <TIME>",
    "--until <TIME>",
    "--last <N>",
    "--label <MODEL=INPUT>",
    "--max-file-size <BYTES>",
];

/// The flags of every verb that prints tables.
const PRINTS: [&str; 5] = ["--format <FORMAT>", "--color <WHEN>", "--quiet", "--no-progress", "--help"];

/// The verbs and the flags that only some have.
const VERBS: [(&str, &[&str]); 9] = [
    (
        "replay",
        &[
            "[INPUT]",
            "--url <URL>",
            "--api <API>",
            "--max-tokens <N>",
            "--repeat <N>",
            "--cold",
            "--warm",
            "--timeout <SECONDS>",
            "--connect-timeout <SECONDS>",
            "--token-env <NAME>",
            "--save <FILE>",
            "--force",
            "--show-text",
            "--allow-remote",
            "[default: http://127.0.0.1:1234]",
        ],
    ),
    ("summary", &["[INPUT]...", "--by <WHAT>", "--fail-over <MEASURE=VALUE>"]),
    ("timing", &["[INPUT]...", "--by <WHAT>", "--log <FILE>"]),
    (
        "prefix",
        &[
            "[INPUT]...",
            "--order <ORDER>",
            "--as <WHOSE>",
            "--slots <N>",
            "--context <N>",
            "--text",
            "--fail-over <MEASURE=VALUE>",
        ],
    ),
    ("list", &["[INPUT]...", "--fail-over <MEASURE=VALUE>"]),
    ("show", &["[INPUT]", "--text", "--fail-over <MEASURE=VALUE>"]),
    ("explain", &["[FAST]", "[SLOW]"]),
    ("diff", &["[LEFT]", "[RIGHT]", "--text", "--exit-code"]),
    ("report", &["[INPUT]...", "-o, --output <FILE>", "--force", "--include-text", "html"]),
];

/// Both helps of a verb.
fn helps(verb: &str) -> [String; 2] {
    ["-h", "--help"].map(|flag| {
        let ran = traces(&format!("{verb} {flag}")).ends_with(0);
        assert_eq!(ran.stderr, "");
        ran.stdout
    })
}

/// Every verb.
const ALL_VERBS: [&str; 11] = [
    "summary",
    "list",
    "show",
    "diff",
    "timing",
    "prefix",
    "explain",
    "report",
    "replay",
    "completions",
    "man",
];

#[test]
fn every_flag_is_explained() {
    for (verb, own) in VERBS {
        for help in helps(verb) {
            for flag in own.iter().chain(&READS).chain(&PRINTS) {
                assert!(help.contains(flag), "{verb}: {flag}\n{help}");
            }
            for word in ["TRACES_ROOT", "~/.anyclaude", "count_tokens", "json", "markdown"] {
                assert!(help.contains(word), "{verb}: {word}");
            }
        }
    }
}

#[test]
fn the_first_page_leads_on() {
    for help in helps("") {
        for verb in ALL_VERBS {
            assert!(help.contains(&format!("\n  {verb} ")), "{verb}");
        }
        for word in ["latest~N", "model:NAME", "session:ID", "run:ID", "Examples:", "Exit codes:"] {
            assert!(help.contains(word), "{word}");
        }
    }
    assert!(helps("completions")[0].contains("bash"));
    assert!(helps("man")[0].contains("Usage: traces man"));
    let version = traces("--version").ends_with(0).stdout;
    assert_eq!(version.trim(), format!("traces {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(traces("-V").stdout, version);
}

#[test]
fn help_is_found_in_every_way() {
    let [_, long] = helps("diff");
    assert_eq!(traces("help diff").ends_with(0).stdout, long);
    assert_eq!(traces("--quiet diff --help").ends_with(0).stdout, long);
    assert_eq!(traces("help").ends_with(0).stdout, traces("--help").stdout);
}

#[test]
fn the_long_help_has_examples_that_the_program_understands() {
    let folder = Folder::new();
    folder.trace("traces/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    for verb in [""].into_iter().chain(VERBS.map(|(verb, _)| verb)) {
        let [_, long] = helps(verb);
        let examples: Vec<&str> = long
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .filter(|line| line.starts_with("traces"))
            .collect();
        assert!(!examples.is_empty(), "{verb} shows no example");
        for example in examples {
            // What follows two spaces explains; what follows a pipe is another program.
            let command = example.split("   ").next().unwrap().split(['|', '>']).next().unwrap();
            let line = command.trim().trim_start_matches("traces").trim_start();
            let ran = folder.traces(&format!("--root . {}", to_nobody(line)));
            assert!(!ran.stderr.contains("Usage:"), "{example}\n{}", ran.stderr);
        }
    }
}

/// The same command with a server that is never there, as the reader's may well be.
fn to_nobody(line: &str) -> String {
    let nobody = "--url http://127.0.0.1:9";
    let line = line.replace("--url http://127.0.0.1:8080", nobody);
    let sends = line.starts_with("replay") && !line.contains(nobody);
    if sends { format!("{line} {nobody}") } else { line }
}

#[test]
fn no_line_is_wider_than_100_columns() {
    for verb in [""].into_iter().chain(ALL_VERBS) {
        for help in helps(verb) {
            for line in help.lines() {
                assert!(width(line) <= 100, "{verb}: {line}");
            }
        }
    }
}
