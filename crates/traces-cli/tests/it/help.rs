//! Help that helps: every flag is in it, its examples work, and it fits a page.

use std::fs;
use std::path::Path;

use crate::common::server::{Answer, Received, Server, anthropic, openai};
use crate::common::{ALL_VERBS, Folder, HOME, repo, traces, width};

/// The flags of every verb, which a topic explains.
const SHARED: [&str; 16] = [
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
    "--color <WHEN>",
    "--quiet",
    "--ids",
    "--no-progress",
];

/// The verbs and the flags that only some have.
const VERBS: [(&str, &[&str]); 10] = [
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
    (
        "timing",
        &[
            "[INPUT]...",
            "--by <WHAT>",
            "--log <FILE>",
            "--sort <MEASURE>",
            "--columns <NAME,...>",
            "--top <N>",
            "--no-rows",
        ],
    ),
    (
        "prefix",
        &[
            "[INPUT]...",
            "--order <ORDER>",
            "--as <EDITS>",
            "--slots <N>",
            "--context <N>",
            "--text",
            "--fail-over <MEASURE=VALUE>",
        ],
    ),
    (
        "list",
        &[
            "[INPUT]...",
            "--sort <MEASURE>",
            "--columns <NAME,...>",
            "--top <N>",
            "--fail-over <MEASURE=VALUE>",
        ],
    ),
    ("show", &["[INPUT]", "--text", "--fail-over <MEASURE=VALUE>"]),
    (
        "explain",
        &[
            "[FAST]",
            "[SLOW]",
            "--slots <N>",
            "--without-tool <NAME>...",
            "--without-server <NAME>...",
            "--no-header",
        ],
    ),
    ("diff", &["[LEFT]", "[RIGHT]", "--text", "--exit-code"]),
    ("report", &["[INPUT]...", "-o, --output <FILE>", "--force", "--include-text", "html"]),
    ("export", &["[INPUT]...", "-o, --output <FILE>", "--force", "--append", "chrome", "otlp", "parquet"]),
];

/// Both helps of a verb.
fn helps(verb: &str) -> [String; 2] {
    ["-h", "--help"].map(|flag| {
        let ran = traces(&format!("{verb} {flag}")).ends_with(0);
        assert_eq!(ran.stderr, "");
        ran.stdout
    })
}

#[test]
fn every_flag_is_explained() {
    for (verb, own) in VERBS {
        for help in helps(verb) {
            let is_short = help.contains(&format!("traces {verb} --help"));
            let own = own.iter().filter(|flag| !is_short || !RARE.contains(flag));
            let formats: &[&str] = if verb == "export" { &[] } else { &["json", "markdown"] };
            for flag in own.chain(&["--format <FORMAT>", "--help"]).chain(formats) {
                assert!(help.contains(flag), "{verb}: {flag}\n{help}");
            }
        }
        let [short, long] = helps(verb);
        assert!(short.contains("--root <DIR>") && short.contains("--kind <KIND>"), "{verb}: {short}");
        assert!(long.contains("traces help\noptions") && !long.contains("--max-file-size"), "{verb}: {long}");
    }
    let options = traces("help options").ends_with(0).stdout;
    for flag in SHARED.iter().chain(&["TRACES_ROOT", "~/.anyclaude", "count_tokens"]) {
        assert!(options.contains(flag), "{flag}\n{options}");
    }
}

/// The flags of a verb that only its long help explains.
const RARE: [&str; 3] = ["--connect-timeout <SECONDS>", "--token-env <NAME>", "--allow-remote"];

/// A verb's short help is a screen.
#[test]
fn short_help_fits_a_screen() {
    for (verb, _) in VERBS {
        let lines = helps(verb)[0].lines().count();
        assert!(lines <= 24, "{verb}: {lines} lines");
    }
}

#[test]
fn below_the_heading_of_rows_are_only_the_options_of_rows() {
    for verb in ["list", "timing", "prefix"] {
        let [_, long] = helps(verb);
        let below = long.split_once("\nRows:\n").unwrap().1.split("\nOutput:\n").next().unwrap();
        let lines = below.lines().map(str::trim_start).filter(|line| line.starts_with("--"));
        let options: Vec<&str> = lines.filter_map(|line| line.split(' ').next()).collect();
        let rows = ["--sort", "--columns", "--top", "--no-rows"];
        assert!(options.iter().all(|option| rows.contains(option)), "{verb}: {options:?}");
        assert!(options.len() >= 3, "{verb}: {options:?}");
    }
}

#[test]
fn the_first_page_leads_on() {
    for help in helps("") {
        for verb in ALL_VERBS {
            assert!(help.contains(&format!("\n  {verb} ")), "{verb}");
        }
        for word in ["Examples:", "Topics", "recording", "exit-codes"] {
            assert!(help.contains(word), "{word}");
        }
    }
    assert!(helps("completions")[0].contains("bash"));
    assert!(helps("man")[0].replace(".exe", "").contains("Usage: traces man"));
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
    let error = traces("help causses").ends_with(2).stderr;
    assert!(error.contains("Did you mean `traces help causes`?") && error.contains("privacy"), "{error}");
}

/// The home of somebody who recorded what is in testdata, and has the files that the
/// examples of `--help` name.
fn home(server: &Server) -> Folder {
    let folder = Folder::new();
    let recorded = repo().join(HOME);
    copy(&recorded, &folder.path().join(".anyclaude"));
    let newest = fs::read(recorded.join("traces/lmstudio/2025-11-16T04-20-08-385Z.json")).unwrap();
    let older = fs::read(recorded.join("traces/lmstudio/2025-11-16T02-52-31-269Z.json")).unwrap();
    for (name, trace) in [("before", &older), ("after", &newest), ("monday/a", &older), ("friday/a", &newest)]
    {
        folder.write(format!("{name}.json"), trace);
    }
    folder.write("stderr.txt", fs::read(repo().join("testdata/home/stderr/fast-2025-11-16.txt")).unwrap());
    for file in ["fast.json", "slow.json"] {
        folder.traces(&format!("replay --cold --save {file} --url {}", server.url)).ends_with(0);
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn answer(received: &Received, answer: &mut Answer) {
    answer.stream();
    if received.path == "/v1/messages" {
        answer.events(&anthropic(&["a", "b"]));
    } else {
        answer.write(openai(&["a", "b"]));
    }
}

#[test]
fn the_examples_of_the_long_help_work() {
    let server = Server::new(answer);
    let folder = home(&server);
    for verb in [""].into_iter().chain(ALL_VERBS) {
        let [_, long] = helps(verb);
        let examples: Vec<&str> = long
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .filter(|line| line.starts_with("traces"))
            .collect();
        let few = if ["completions", "man"].contains(&verb) { 2 } else { 4 };
        assert!(examples.len() >= few, "{verb} shows few examples: {examples:?}");
        // Those of `record` would start a client: see record.rs.
        for example in examples.into_iter().filter(|example| !example.starts_with("traces record")) {
            // What follows two spaces explains; what follows a pipe is another program.
            let command = example.split("   ").next().unwrap().split(['|', '>']).next().unwrap();
            let line = command.trim().trim_start_matches("traces").trim_start();
            let line = line.replace("--url http://127.0.0.1:8080", "");
            let sends =
                if line.starts_with("replay") { format!("--url {}", server.url) } else { String::new() };
            // It would go on.
            let once = if line.starts_with("watch") && !line.contains("--once") { "--once" } else { "" };
            let ran = folder.traces(&format!("{line} {sends} {once}"));
            let may_be = match () {
                () if line.contains("--exit-code") || line.contains("--fail-over") => [0, 1],
                // So long ago by the clock of whoever runs this.
                () if line.contains("--since 2h") => [0, 2],
                () if line.contains("--save fast.json") => [2, 2],
                () if line.contains("--format parquet") && cfg!(not(feature = "parquet")) => [2, 2],
                () => [0, 0],
            };
            assert!(may_be.contains(&ran.code), "{example}\n{}", ran.stderr);
            assert!(
                !ran.stdout.is_empty() || ran.code == 2 || line.contains("-o "),
                "{example} prints nothing"
            );
            for file in ["report.html", "timeline.json", "spans.jsonl"] {
                let _ = fs::remove_file(folder.path().join(file));
            }
        }
    }
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
