//! What the picture says of recordings that stand still.

use std::fs;
use std::path::Path;

use anyclaude_traces::prompt_cache::CacheOptions;
use anyclaude_traces::select::Filter;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::pages::page_rows;
use super::*;

fn follower(root: &Path, now: Timestamp) -> Follower {
    let mut filter = Filter::default();
    filter.roots = vec![root.to_owned()];
    let mut follower = Follower::new(filter, CacheOptions::default()).unwrap();
    follower.look(now);
    follower
}

/// What a terminal of this size shows.
fn drawn(follower: &Follower, choice: &Choice, now: Timestamp, (width, height): (u16, u16)) -> String {
    let scene = PictureInput { follower, choice, now, place: "here" };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| scene.draw(frame)).unwrap();
    terminal.backend().to_string()
}

const SIZES: [(u16, u16); 6] = [(80, 24), (120, 40), (50, 15), (20, 5), (1, 1), (300, 100)];

#[test]
fn a_finished_recording_fits_every_terminal() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/home/.anyclaude");
    // Long after its files were written: what has no end is not running any more.
    let now = "2099-01-01T00:00:00Z".parse().unwrap();
    let follower = follower(&root, now);
    for size in SIZES {
        let picture = drawn(&follower, &Choice::default(), now, size);
        if size.0 >= 50 {
            assert!(picture.contains("No request is running"), "{picture}");
            assert!(picture.contains("LAST") && picture.contains("q end"), "{picture}");
        }
        let choice = Choice { selected: Some(40), ..Choice::default() };
        let is_marked = drawn(&follower, &choice, now, size).contains('▸');
        assert!(is_marked || size.1 < 15, "the chosen one is in sight");
        let page = (HELP.lines().map(str::to_owned).collect(), 1);
        let choice = Choice { page: Some(page), ..Choice::default() };
        assert!(size.0 < 50 || drawn(&follower, &choice, now, size).contains("Esc back"));
    }
}

#[test]
fn how_a_request_failed_takes_no_figure_from_its_wait() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/home/.anyclaude");
    let now = "2099-01-01T00:00:00Z".parse().unwrap();
    let follower = follower(&root, now);
    let picture = drawn(&follower, &Choice::default(), now, (40, 50));
    assert!(picture.contains("   644 ms  not streamed"), "{picture}");
}

#[test]
fn on_a_narrow_terminal_columns_are_left_out_rather_than_words_cut() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/home/.anyclaude");
    let now = "2099-01-01T00:00:00Z".parse().unwrap();
    let follower = follower(&root, now);
    for width in 30..60 {
        let picture = drawn(&follower, &Choice::default(), now, (width, 90));
        let last = picture.lines().skip_while(|line| !line.contains("LAST"));
        let last: Vec<&str> = last.take_while(|line| !line.contains("\"     ")).collect();
        let (heading, rows) = last.split_first().unwrap();
        assert!(rows.len() >= 20 && rows.iter().any(|row| row.contains('█')), "{width}: {picture}");
        let has_models = heading.contains("MODEL");
        assert_eq!(rows.iter().any(|row| row.contains("qwen")), has_models, "{width}: {picture}");
        assert!(has_models || !rows.iter().any(|row| row.contains('…')), "{width}: {picture}");
        for whole in
            ["WAIT", "58 requests in 9 sessions", "written", "No request is running.", "q end", "? help"]
        {
            assert!(picture.contains(whole), "{whole} at {width}: {picture}");
        }
    }
    assert!(!drawn(&follower, &Choice::default(), now, (35, 90)).contains("MODEL"));
    assert!(drawn(&follower, &Choice::default(), now, (60, 90)).contains("MODEL"));
}

#[test]
fn a_running_request_is_measured_against_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let trace = |second: u32, text: &str| {
        format!(
            r#"{{"timestamp": "2025-11-16T08:{second:02}:00.000Z", "mode": "lmstudio", "request":
            {{"url": "/v1/messages", "body": {{"stream": true, "max_tokens": 32000, "tools": [{{"name": "Bash"}}],
            "messages": [{{"role": "user", "content": "{text}"}}]}}}}}}"#
        )
    };
    let traces = folder.path().join("traces/lmstudio");
    fs::create_dir_all(&traces).unwrap();
    fs::create_dir(folder.path().join("logs")).unwrap();
    let mut log = String::new();
    let mut line =
        |at: String, text: &str| log += &format!("[2025-11-16T08:{at}Z] [ANYCLAUDE DEBUG] {text}\n");
    for minute in 0..4_u32 {
        let text = format!("{minute} ").repeat(10_000);
        fs::write(traces.join(format!("2025-11-16T08-{minute:02}-00-000Z.json")), trace(minute, &text))
            .unwrap();
        let start = format!("[Request Start] lmstudio/qwen3 at 2025-11-16T08:{minute:02}:00.005Z");
        line(format!("{minute:02}:00.005"), &start);
        line(
            format!("{minute:02}:00.006"),
            "[Streaming] Starting stream conversion and pipe for lmstudio/qwen3",
        );
        line(format!("{minute:02}:10.010"), "[Keepalive] Sent keepalive #1 (waiting for LMStudio)");
        if minute < 3 {
            line(format!("{minute:02}:20.005"), "[Timing] First token received at 20000ms");
            let end = "[Request Complete] lmstudio/qwen3: 30000ms (90 chunks, 9000 bytes) | ⚡ 4.0 tok/s";
            line(format!("{minute:02}:30.005"), end);
            let usage = r#"[Cache Metrics] Recorded streaming response metrics {"inputTokens":10000,"outputTokens":40,"cacheReadTokens":0}"#;
            line(format!("{minute:02}:30.006"), usage);
        }
    }
    fs::write(folder.path().join("logs/debug-session-2025-11-16T08-00-00.log"), log).unwrap();
    let now = "2025-11-16T08:03:12.005Z".parse().unwrap();
    let follower = follower(folder.path(), now);
    for size in [(80, 24), (120, 40), (50, 15), (30, 20)] {
        let picture = drawn(&follower, &Choice::default(), now, size);
        for words in ["WAITING", "qwen3", "12.0 s of ~20.0 s  ██", "~10.0 k tokens to read"] {
            assert!(picture.contains(words), "{words}: {picture}");
        }
        // It follows from the time.
        assert!(picture.contains("1 keepalive") || size.0 < 50, "{picture}");
    }
}

#[test]
fn a_page_keeps_its_columns_and_cuts_no_word() {
    let help: Vec<String> = HELP.lines().map(str::to_owned).collect();
    let narrow = page_rows(&help, 50);
    assert!(narrow.iter().all(|row| width_of(row) <= 50), "{narrow:#?}");
    let at = narrow.iter().position(|row| row.starts_with("Enter")).unwrap();
    assert!(narrow[at + 1].starts_with("            "), "{narrow:#?}");
    let words = |rows: &[String]| rows.join(" ").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&narrow), words(&help));
    assert!(page_rows(&help, 80).len() < 24);
}

#[test]
fn a_legend_is_cut_between_its_entries() {
    let legend = "· queue  █ read  ▒ write  ─ other";
    let drawn = ["██▒▒─".to_owned(), "█  error".to_owned()];
    let fitted = |room| fitted_legend(legend, &drawn, room);
    assert_eq!(fitted(80), "█ read  ▒ write  ─ other");
    assert_eq!(fitted(22), "█ read ▒ write ─ other");
    assert_eq!(fitted(14), "█ read ▒ write");
    assert_eq!(fitted(13), "█ read");
    assert_eq!(fitted(3), "");
}
