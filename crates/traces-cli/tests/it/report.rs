//! The report as a file: what it holds, what it never holds, and how it is written.

use std::fmt::Write as _;
use std::fs;

use crate::common::{self, Folder, HOME, Ran, body, program, repo, run};
use serde_json::json;

const TWO: &str = "model:gpt-oss model:qwen3-42b";

/// Runs `traces report LINE` in a folder of its own, on the recording in testdata.
fn report(folder: &Folder, line: &str) -> Ran {
    let root = repo().join(HOME);
    run(program(folder.path()), &format!("report {line} --root"), &[root])
}

fn page(folder: &Folder, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

#[test]
fn the_page_tells_everything() {
    let folder = Folder::new();
    let ran = report(&folder, &format!("{TWO} -o page.html")).ends_with(0);
    assert_eq!(ran.stdout, "");
    ran.says(&["wrote page.html", "kB"]);
    let page = page(&folder, "page.html");
    for words in [
        "qwen3-42b-a3b-2507-thinking is slower because it reads prompts more slowly: 228 vs ",
        "Is anyclaude the bottleneck? No: 1\u{a0}% of the difference.",
        "Scenario A (model or server), confidence medium",
        "What costs time here",
        "its backend reuses no prompt cache",
        "The five points",
        "<code>traces replay latest</code>",
        "Where the time of a request goes",
        "What makes the difference",
        "When requests ran",
        "Growth of the prompt, and its reuse",
        "Session 22222222",
        "Time to first token by what had to be read",
        "Prefix reuse",
        "Tools and MCP servers by size",
        "MultiEdit",
        "github (2 tools)",
        "16 Nov 02:54:39",
        "What is unknown or left out",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn nothing_in_the_page_points_anywhere() {
    let folder = Folder::new();
    report(&folder, &format!("{TWO} -o page.html")).ends_with(0);
    let page = page(&folder, "page.html");
    for reference in ["http:", "https:", "//", " src=", " href=", "@import", "url(\"", "url('"] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(page.contains("default-src 'none'"));
    assert_eq!(page.matches("url(").count(), page.matches("url(#").count());
}

#[test]
fn each_chart_has_a_name_and_an_alternative() {
    let folder = Folder::new();
    report(&folder, "--all -o page.html").ends_with(0);
    let page = page(&folder, "page.html");
    let charts: Vec<&str> = page.split("role=\"img\" aria-labelledby=\"").skip(1).collect();
    assert!(charts.len() >= 5, "{}", charts.len());
    for chart in charts {
        let [title, description] = chart.split_once('"').unwrap().0.split(' ').collect::<Vec<_>>()[..] else {
            panic!("two names are given: {chart}");
        };
        for (tag, id) in [("title", title), ("desc", description)] {
            let element = format!("<{tag} id=\"{id}\">");
            assert_eq!(page.matches(&element).count(), 1, "{element}");
            assert!(!page.contains(&format!("{element}</")), "{element} is empty");
        }
    }
}

#[test]
fn a_page_without_two_models_says_so() {
    let folder = Folder::new();
    report(&folder, "--model gpt-oss -o page.html").ends_with(0);
    // No line of the headline begins with a per cent sign.
    let one = page(&folder, "page.html").replace('\u{a0}', " ");
    assert!(one.contains("openai/gpt-oss-20b takes 2.2 s a request: 54 % of it is prompt processing."));
    assert!(one.contains("Where the time of a request goes"));
    assert!(one.contains("Time to first token") && !one.contains("Scenario"));
    report(&folder, "session:44444444 -o claude.html").ends_with(0);
    let claude = page(&folder, "claude.html");
    assert!(claude.contains("mode claude logs nothing of it"));
}

/// The part of a page below the heading with this id.
fn part<'p>(page: &'p str, id: &str) -> &'p str {
    let (_, behind) = page.split_once(&format!("<section aria-labelledby=\"{id}\">")).expect(id);
    behind.split_once("</section>").unwrap().0
}

/// What stands between these marks, each time.
fn all_between<'p>(text: &'p str, before: &str, after: &str) -> Vec<&'p str> {
    text.split(before).skip(1).map(|rest| rest.split_once(after).unwrap().0).collect()
}

#[test]
fn the_answer_comes_first_in_large_figures() {
    let folder = Folder::new();
    report(&folder, &format!("{TWO} -o page.html")).ends_with(0);
    let page = page(&folder, "page.html");
    let figures = all_between(&page, "<span class=\"number\">", "</span>");
    assert_eq!(figures, ["8.1×", "2.3 s", "18.3 s"]);
    let places: Vec<usize> = [
        "class=\"number\"",
        "<h1>",
        "Is anyclaude the bottleneck?",
        "id=\"time\"",
        "id=\"difference\"",
        "id=\"findings\"",
    ]
    .into_iter()
    .map(|words| page.find(words).expect(words))
    .collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn causes_are_sorted_and_have_their_intervals() {
    let folder = Folder::new();
    report(&folder, &format!("{TWO} -o page.html")).ends_with(0);
    let page = page(&folder, "page.html");
    let difference = part(&page, "difference");
    let causes = all_between(difference, "<span class=\"label\">", "<");
    assert_eq!(causes.first(), Some(&"prompt processing speed"));
    let json = report(&folder, &format!("{TWO} --format json")).json();
    let ms = |cause: &str| {
        let all = json["explanation"]["contributions"].as_array().unwrap();
        let one = all.iter().find(|one| one["cause"] == cause.replace(' ', "_")).unwrap();
        one["ms"].as_f64().unwrap()
    };
    assert!(causes.is_sorted_by(|a, b| ms(a) >= ms(b)), "{causes:?}");
    assert_eq!(difference.matches("class=\"whisker\"").count(), 3 * causes.len());
    assert!(difference.contains("\u{a0}…\u{a0}"), "intervals are in words too");
}

#[test]
fn advice_and_settings_can_be_copied() {
    let folder = Folder::new();
    report(&folder, "--all -o page.html").ends_with(0);
    let page = page(&folder, "page.html");
    let advice = all_between(&page, "data-copy>", "</div>");
    assert!(!advice.is_empty(), "there is a finding");
    assert!(page.contains("&quot;CLAUDE_CODE_ATTRIBUTION_HEADER&quot;: &quot;0&quot;"), "{advice:?}");
}

#[test]
fn the_timeline_has_each_request_once() {
    let folder = Folder::new();
    let json = report(&folder, "--all --format json").ends_with(0).json();
    let timeline = &json["timeline"];
    let stretches = timeline["stretches"].as_array().unwrap();
    let lanes = stretches.iter().flat_map(|stretch| stretch["models"].as_array().unwrap());
    let ids: Vec<&str> = lanes
        .flat_map(|lanes| lanes["requests"].as_array().unwrap())
        .filter_map(|request| request["id"].as_str())
        .collect();
    let distinct: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len());
    for request in json["requests"].as_array().unwrap() {
        let is_drawn = ids.contains(&request["id"].as_str().unwrap());
        assert!(is_drawn || timeline["other_requests"].as_u64().unwrap() > 0, "{}", request["id"]);
    }
    report(&folder, "--all -o page.html").ends_with(0);
    let page = page(&folder, "page.html");
    assert_eq!(part(&page, "timeline").matches("<figure").count(), stretches.len());
}

#[test]
fn logs_alone_make_a_page() {
    let folder = Folder::new();
    recording(&folder, 6);
    fs::remove_dir_all(folder.path().join("traces")).unwrap();
    folder.traces("report --root . -o page.html").ends_with(0);
    let page = page(&folder, "page.html");
    for words in [
        "only logs were read",
        "a request to openai/gpt-oss-20b",
        "by the log of 3 requests",
        "When requests ran",
    ] {
        assert!(page.contains(words), "{words}");
    }
    for words in ["id=\"growth\"", "id=\"tools\"", "id=\"requests\"", "NaN", "inf"] {
        assert!(!page.contains(words), "{words}");
    }
}

/// A program for files that writes down what it was given, as the only one there is.
#[cfg(all(unix, not(target_os = "macos")))]
fn with_opener(folder: &Folder) -> std::process::Command {
    use std::os::unix::fs::PermissionsExt as _;

    let opener = folder.path().join("bin/xdg-open");
    folder.write("bin/xdg-open", "#!/bin/sh\nfor word in \"$@\"; do echo \"[$word]\" >> opened; done\n");
    fs::set_permissions(opener, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = program(folder.path());
    command.env("PATH", folder.path().join("bin")).env("DISPLAY", ":0");
    command
}

#[cfg(all(unix, not(target_os = "macos")))]
#[test]
fn the_page_is_opened_by_its_whole_path_as_one_word() {
    let folder = Folder::new();
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    let hostile = "$(touch pwned) & '.html";
    let command = with_opener(&folder);
    run(command, "report in --open -o", &[hostile]).ends_with(0).says(&["wrote $(touch pwned)"]);
    let opened = folder.path().join("opened");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !fs::read_to_string(&opened).is_ok_and(|text| text.ends_with("]\n")) {
        assert!(std::time::Instant::now() < deadline, "nothing was opened");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let whole = folder.path().join(hostile);
    assert_eq!(fs::read_to_string(&opened).unwrap(), format!("[{}]\n", whole.display()));
    assert!(!folder.path().join("pwned").exists());
}

#[cfg(all(unix, not(target_os = "macos")))]
#[test]
fn without_a_desktop_the_page_is_written_and_the_error_names_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    let without = || {
        let mut command = program(folder.path());
        ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].iter().for_each(|name| {
            command.env_remove(name);
        });
        command.env("TMPDIR", folder.path());
        command
    };
    let ran = run(without(), "report in --open -o page.html", &[] as &[&str]).ends_with(2);
    ran.says(&["wrote page.html", "page.html: there is no desktop here", "open it in a browser"]);
    assert!(page(&folder, "page.html").starts_with("<!DOCTYPE html>"));
    // Without a name it is a new temporary file, which stays there for its owner alone.
    run(without(), "report in --open", &[] as &[&str]).ends_with(2).says(&[
        "wrote ",
        "traces-report-",
        ".html",
    ]);
    let made = names(&folder).into_iter().find(|name| name.starts_with("traces-report-")).unwrap();
    let mode = fs::metadata(folder.path().join(&made)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    // What cannot be opened is said before any work is done.
    run(without(), "report in --open --format json", &[] as &[&str]).ends_with(2).says(&["--format"]);
    run(without(), "report in --open -o -", &[] as &[&str]).ends_with(2).says(&["-o -"]);
}

#[test]
fn without_any_time_or_tool_there_is_still_a_page() {
    let folder = Folder::new();
    let mut bare = body("a question");
    bare["tools"] = json!([]);
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &bare);
    folder.traces("report in -o page.html --kind all").ends_with(0);
    let page = page(&folder, "page.html");
    for words in ["No request carries tools.", "No session has more than one request.", "No request has both"]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(page.contains("No file was skipped."));
}

#[test]
fn skipped_files_are_named() {
    let folder = Folder::new();
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    folder.write("in/broken.json", "{\"timestamp\":");
    folder.traces("report in -o page.html").ends_with(3).says(&["broken.json", "wrote page.html"]);
    let page = page(&folder, "page.html").replace('\\', "/");
    assert!(page.contains("in/broken.json: truncated, "));
    folder.traces("report in/broken.json -o other.html").ends_with(2);
    assert!(!folder.path().join("other.html").exists());
}

#[test]
fn html_needs_a_file_and_markdown_and_json_may_have_one() {
    let folder = Folder::new();
    report(&folder, "").ends_with(2).says(&["traces report -o report.html", "--format markdown"]);
    report(&folder, "--format csv").ends_with(2).says(&["html, markdown, json"]);
    report(&folder, "--force").ends_with(2).says(&["--output"]);
    for format in ["markdown", "json"] {
        let printed = report(&folder, &format!("--format {format}")).ends_with(0);
        let written = report(&folder, &format!("--format {format} -o {format}.txt")).ends_with(0);
        assert_eq!((written.stdout.as_str(), page(&folder, &format!("{format}.txt"))), ("", printed.stdout));
    }
    let quiet = report(&folder, "-q -o quiet.html").ends_with(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn a_dash_is_the_standard_output() {
    let folder = Folder::new();
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    let page = folder.traces("report in -o -").ends_with(0).stdout;
    assert!(page.starts_with("<!DOCTYPE html>"), "{page:.100}");
    assert_eq!(folder.traces("report in --format json -o -").ends_with(0).json()["schema_version"], 1);
    assert!(!folder.path().join("-").exists());
    folder.traces("replay in --save -").ends_with(2).says(&["`-` is the standard output"]);
}

#[test]
fn a_file_that_exists_is_kept_unless_forced() {
    let folder = Folder::new();
    folder.write("mine.html", "mine");
    report(&folder, "-o mine.html").ends_with(2).says(&["mine.html already exists", "--force"]);
    assert_eq!(page(&folder, "mine.html"), "mine");
    report(&folder, "-o mine.html --force").ends_with(0);
    assert!(page(&folder, "mine.html").starts_with("<!DOCTYPE html>"));
    fs::create_dir(folder.path().join("folder")).unwrap();
    report(&folder, "-o folder --force").ends_with(2).says(&["folder", "not a regular file"]);
    report(&folder, "-o no/such/page.html").ends_with(2).says(&["page.html", "there is no folder"]);
    assert_eq!(names(&folder), ["folder", "mine.html"], "nothing else is left");
}

/// What a folder holds, by name.
fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let folder = Folder::new();
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    report(&folder, "-o new.html").ends_with(0);
    assert_eq!(mode("new.html"), 0o600);
    folder.write("old.html", "old");
    fs::set_permissions(folder.path().join("old.html"), fs::Permissions::from_mode(0o644)).unwrap();
    report(&folder, "-o old.html --force").ends_with(0);
    assert_eq!(mode("old.html"), 0o600);
    // A link is a file that exists, whatever it leads to.
    symlink("nowhere", folder.path().join("link.html")).unwrap();
    report(&folder, "-o link.html").ends_with(2).says(&["already exists"]);
    report(&folder, "-o /dev/null --force").ends_with(2).says(&["not a regular file"]);
}

#[test]
fn text_of_prompts_is_in_it_only_when_asked_for() {
    let folder = Folder::new();
    let question = "A question nobody else asks <b>&amp;</b>";
    let mut asked = body(question);
    asked["system"] = json!("A system prompt of \u{202e}ours.");
    asked["tools"][0]["description"] = json!("Describes itself.");
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &asked);
    for format in ["html", "markdown", "json"] {
        folder.traces(&format!("report in --format {format} -o {format}")).ends_with(0);
        let page = page(&folder, format);
        for text in ["A question nobody", "A system prompt", "Describes itself"] {
            assert!(!page.contains(text), "{format}: {text}");
        }
    }
    folder.traces("report in --include-text -o text.html").ends_with(0);
    let page = page(&folder, "text.html");
    assert!(page.contains("A question nobody else asks &lt;b&gt;&amp;amp;&lt;/b&gt;"));
    assert!(page.contains("A system prompt of ours."));
    assert!(!page.contains("Describes itself"));
}

/// A recording of so many requests: traces, and the logs of the two processes that
/// served them with one model each.
fn recording(folder: &Folder, count: usize) {
    let stamp = |ms: usize| {
        let (s, m) = (ms / 1000 % 60, ms / 60_000 % 60);
        format!("2025-11-16T{:02}:{m:02}:{s:02}.{:03}Z", 4 + ms / 3_600_000, ms % 1000)
    };
    let models = ["openai/gpt-oss-20b", "qwen3-42b-a3b-2507-thinking"];
    let mut logs = models.map(|model| {
        format!(
            "ANYCLAUDE DEBUG SESSION - Level 2\nStarted: {}\nBackend Mode: lmstudio\nModel: {model}\n\n",
            stamp(0)
        )
    });
    let mut request_log = String::new();
    for at in 0..count {
        let start = 5_000 + at * 20_000;
        // No prompt begins as another does, so that all of each is read.
        let text = format!("{at} {}", "word ".repeat(200 + at * 37 % 900));
        let (of, ttft, tokens) = (at % 2, 1_000 + at % 1_000, 60 + text.len() / 4);
        let mut body = common::body_of_session(&text, &format!("{}", 1 + at / 500));
        body["stream"] = json!(true);
        let name = stamp(start + 5);
        folder.trace(format!("traces/lmstudio/{}.json", name.replace([':', '.'], "-")), &name, &body);
        let line = json!({
            "timestamp": stamp(start - 100), "systemSize": 19, "toolCount": 2, "messageCount": 1,
            "streaming": true, "provider": "lmstudio", "model": models[of],
        });
        let _ = writeln!(request_log, "{line}");
        let log = &mut logs[of];
        let mut say = |ms: usize, message: String| {
            let _ = writeln!(log, "[{}] [ANYCLAUDE DEBUG] {message}", stamp(ms));
        };
        let model = models[of];
        say(start, format!("[Request Start] lmstudio/{model} at {}", stamp(start)));
        say(start + ttft, format!("[Timing] First token received at {ttft}ms"));
        let total = ttft + 4_000 + at % 700;
        say(start + total, "[Stream Conversion] Stream complete. Total chunks: 60".to_owned());
        say(
            start + total,
            format!("[Request Complete] lmstudio/{model}: {total}ms (58 chunks, 3475 bytes) | ⚡ 12.5 tok/s"),
        );
        let usage = json!({ "inputTokens": tokens, "outputTokens": 50, "cacheReadTokens": 0 });
        say(start + total, format!("[Cache Metrics] Recorded streaming response metrics {usage}"));
    }
    for (at, log) in logs.iter().enumerate() {
        folder.write(format!("logs/debug-session-2025-11-16T04-00-0{at}.log"), log);
    }
    folder.write("request-logs/2025-11-16.jsonl", request_log);
}

#[test]
fn two_thousand_requests_fit_below_500_kb() {
    let folder = Folder::new();
    recording(&folder, 2_000);
    folder.traces("report --root . -o page.html").ends_with(0);
    let page = page(&folder, "page.html");
    assert_eq!(page.matches("<tr><th scope=\"row\">16 Nov ").count(), 2_000);
    assert!(page.contains("2000 requests, in order of time"));
    assert!(page.contains("1000 requests, "), "both models have a line");
    assert!(page.len() < 500_000, "{} bytes", page.len());
}
