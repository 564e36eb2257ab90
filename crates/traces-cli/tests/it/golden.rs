//! What every verb prints, in every format, on the recording in testdata.
//!
//! `cargo insta review` shows what changed and takes it over. Paths are recorded as
//! Unix writes them.
#![cfg(unix)]

use std::fs;

use crate::common::{Folder, HOME, program, repo, run, traces};

/// Compares a run with the snapshot of this name.
#[track_caller]
fn golden(name: &str, line: &str) {
    let ran = traces(line);
    let text = format!(
        "$ traces {line}\nexit code {}\n\n── stdout ──\n{}\n── stderr ──\n{}",
        ran.code, ran.stdout, ran.stderr
    );
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn summary() {
    golden("summary-table", &format!("summary --root {HOME}"));
    golden("summary-csv", &format!("summary --root {HOME} --format csv"));
    golden("summary-markdown", &format!("summary --root {HOME} --format markdown"));
    golden("summary-json", &format!("summary --root {HOME} --session 33333333 --format json"));
}

#[test]
fn summary_by_anything_else() {
    for by in ["session", "mode", "kind", "day"] {
        golden(&format!("summary-by-{by}"), &format!("summary {HOME} --by {by}"));
    }
    golden("summary-of-one", &format!("summary --root {HOME} --last 1"));
}

#[test]
fn list() {
    golden("list-table", &format!("list --root {HOME}"));
    for format in ["csv", "markdown", "json", "ndjson"] {
        let line = format!("list --root {HOME} --session 44444444 --format {format}");
        golden(&format!("list-{format}"), &line);
    }
}

#[test]
fn rows_that_are_chosen() {
    golden("list-top", &format!("list --root {HOME} --top 3"));
    golden(
        "list-columns",
        &format!("list --root {HOME} --sort tool_count --columns id,model,tool_count,ttft_ms --top 4"),
    );
    golden(
        "list-columns-csv",
        &format!("list --root {HOME} --sort id --columns id,ttft_ms --top 2 --format csv"),
    );
    golden("timing-top", &format!("timing --root {HOME} --run 02-30-40 --sort ttft_ms --top 2"));
    golden("timing-no-rows", &format!("timing --root {HOME} --run 02-30-40 --no-rows"));
    golden("prefix-top", &format!("prefix --root {HOME} --top 2 --columns +lost_bytes"));
}

#[test]
fn what_if() {
    let warm = "explain testdata/where-time-goes/warm";
    golden("what-if-table", &format!("{warm} --without-tool Grep --slots 2 --no-header"));
    golden("what-if-json", &format!("{warm} --without-tool Grep --slots 2 --format json"));
    golden("what-if-of-a-server", &format!("explain --root {HOME} --all --without-server github"));
    golden("what-if-of-no-such-tool", &format!("{warm} --without-tool Gerp"));
}

#[test]
fn show() {
    let image = format!("{HOME}/traces/lmstudio/2025-11-16T03-40-34-673Z.json");
    golden("show-table", &format!("show session:22222222 --root {HOME}"));
    golden("show-latest", &format!("show --root {HOME}"));
    golden("show-markdown", &format!("show {image} --format markdown"));
    golden("show-json", &format!("show {image} --format json"));
    golden("show-text-table", &format!("show {image} --text"));
    golden("show-text-json", &format!("show {image} --text --format json"));
}

#[test]
fn diff_of_two_requests() {
    let two = format!("diff latest~1 latest --root {HOME}");
    golden("diff-table", &two);
    for format in ["csv", "markdown", "json"] {
        golden(&format!("diff-{format}"), &format!("{two} --format {format}"));
    }
    golden("diff-text-table", &format!("{two} --text"));
    golden("diff-text-markdown", &format!("{two} --text --format markdown"));
    golden("diff-text-json", &format!("{two} --text --format json"));
}

#[test]
fn diff_of_groups() {
    golden("diff-of-the-last-two-models", &format!("diff --root {HOME}"));
    golden("diff-of-sessions", &format!("diff session:11111111 session:44444444 --root {HOME}"));
    golden("diff-of-one", &format!("diff latest~12 --root {HOME}"));
    golden("diff-of-a-model", &format!("diff model:nonesuch --root {HOME}"));
}

#[test]
fn timing() {
    let fast = format!("timing run:02-30-40 --root {HOME}");
    golden("timing-table", &fast);
    golden("timing-markdown", &format!("{fast} --format markdown"));
    for format in ["csv", "json", "ndjson"] {
        let line = format!("timing --root {HOME} --run 03-40 --format {format}");
        golden(&format!("timing-{format}"), &line);
    }
    golden("timing-of-troubles", &format!("timing --root {HOME} --run 03-50"));
    golden("timing-by-level", &format!("timing --root {HOME} --by level --kind conversation --all"));
    golden(
        "timing-with-a-capture",
        &format!("{fast} --log testdata/home/stderr/fast-2025-11-16.txt --last 2 --format ndjson"),
    );
    golden(
        "timing-without-stamps",
        &format!(
            "timing --root {HOME} --since 2025-10-26 --until 2025-10-26 --log testdata/home/stderr/october-2025-10-26.txt"
        ),
    );
}

#[test]
fn prefix() {
    let fast = format!("prefix run:02-30-40 --root {HOME}");
    golden("prefix-table", &fast);
    golden("prefix-markdown", &format!("{fast} --kind conversation --format markdown"));
    let billed = format!("prefix --root {HOME} --session 33333333");
    golden("prefix-text-table", &format!("{billed} --text"));
    for format in ["csv", "json", "ndjson"] {
        golden(&format!("prefix-{format}"), &format!("{billed} --format {format}"));
    }
    golden("prefix-edited", &format!("{billed} --as sorted,no-header --order tools-first"));
    golden("prefix-of-one-slot", &format!("{fast} --slots 1 --kind conversation"));
    golden("prefix-in-a-context", &format!("{fast} --kind conversation --context 4200"));
}

#[test]
fn two_levels_compared() {
    golden("diff-of-runs", &format!("diff run:03-20 run:03-30 --root {HOME}"));
    golden("diff-of-runs-json", &format!("diff run:03-20 run:03-30 --root {HOME} --format json"));
}

#[test]
fn explain() {
    let models = format!("explain model:gpt-oss model:qwen3-42b --root {HOME}");
    golden("explain-table", &models);
    for format in ["markdown", "json"] {
        golden(&format!("explain-{format}"), &format!("{models} --format {format}"));
    }
    golden("explain-swapped", &format!("explain model:qwen3-42b model:gpt-oss --root {HOME}"));
    golden("explain-of-the-last-two-models", &format!("explain --root {HOME}"));
    golden("explain-without-times", &format!("explain session:44444444 model:gpt-oss --root {HOME}"));
    golden("explain-of-one-model", &format!("explain --root {HOME} --model gpt-oss"));
}

#[test]
fn report() {
    let models = format!("report model:gpt-oss model:qwen3-42b --root {HOME}");
    golden("report-markdown", &format!("{models} --format markdown"));
    golden("report-json", &format!("report session:33333333 --root {HOME} --format json"));
    golden("report-without-verdict", &format!("report --root {HOME} --session 44444444 --format markdown"));
    golden("report-without-a-file", &models);
}

#[test]
fn the_page_of_a_report() {
    let folder = Folder::new();
    let page = folder.path().join("report.html");
    let line = format!("report model:gpt-oss model:qwen3-42b --root {HOME} -q -o");
    run(program(&repo()), &line, &[&page]).ends_with(0);
    let text = fs::read_to_string(page).unwrap();
    // One element a line, so that a change shows where it is.
    let text = text.replace('<', "\n<").replace("\n</", "</");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("report-html", text);
    });
}

#[test]
fn other_recorders() {
    let file = |name: &str| format!("testdata/recorders/{name}");
    golden("recorder-har-list", &format!("list {}", file("mitmproxy.har")));
    golden("recorder-har-show", &format!("show {}", file("mitmproxy.har")));
    golden("recorder-codex-show-json", &format!("show {} --format json", file("codex.jsonl")));
    golden("recorder-ccr-timing", &format!("timing {}", file("ccr.log")));
    golden("recorder-ccr-prefix", &format!("prefix {}", file("ccr.log")));
    golden("recorder-litellm-list-json", &format!("list {} --format json", file("litellm.jsonl")));
    golden("recorder-claude-trace-summary", &format!("summary {}", file("claude-trace.jsonl")));
}
