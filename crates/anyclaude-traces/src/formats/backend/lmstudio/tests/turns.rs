//! Requests that follow each other, or overlap: whose a line is.

use super::*;

/// A log of these lines: minutes and seconds after 13:00:00, and what follows them.
fn log(lines: &[(u32, &str)]) -> BackendLog {
    let line = |(at, text): &(u32, &str)| {
        format!("[2026-06-24 {:02}:{:02}:{:02}]{text}\n", 13 + at / 3600, at / 60 % 60, at % 60)
    };
    parse(lines.iter().map(line).collect::<String>())
}

/// The task of the request with so many messages.
fn of(log: &BackendLog, messages: u64) -> &BackendTask {
    log.tasks.iter().find(|task| task.message_count == Some(messages)).unwrap()
}

const ONE: &str = "[INFO][m] Running chat completion on conversation with 1 messages.";
const TWO: &str = "[INFO][m] Running chat completion on conversation with 2 messages.";
const FINISHED: &str = "[INFO][m] Finished streaming response";
const GONE: &str = "[INFO][LM STUDIO SERVER] Client disconnected. Stopping generation...";
const LAUNCHED: &str = "[DEBUG] slot launch_slot_: id  3 | task 7 | processing task, is_child = 0";
const TOLD: &str = "[DEBUG] slot print_timing: id  3 | task 7 | prompt eval time =    1900.00 ms /  1000 tokens (x)\n\
    slot print_timing: id  3 | task 7 |        eval time =    3000.00 ms /    31 tokens (x)\n\
    slot      release: id  3 | task 7 | stop processing: n_tokens = 1230, truncated = 0";

fn progress(percent: &str) -> String {
    format!("[INFO][m] Prompt processing progress: {percent}%")
}

#[test]
fn an_engines_task_is_not_of_a_request_whose_client_is_gone() {
    let log = log(&[(0, ONE), (5, GONE), (6, TWO), (7, LAUNCHED), (12, TOLD), (12, FINISHED)]);
    assert_eq!((of(&log, 1).task, of(&log, 1).outcome), (None, TaskOutcome::Cancelled));
    assert_eq!((of(&log, 2).task, of(&log, 2).outcome), (Some(7), TaskOutcome::Completed));
}

#[test]
fn progress_is_of_the_request_that_had_come_nearest_below() {
    let (half, some, more) = (progress("50.0"), progress("10.0"), progress("60.0"));
    let share = |log: &BackendLog, messages| of(log, messages).progress.map(|progress| progress.share);
    let found = log(&[(0, ONE), (1, &half), (2, TWO), (3, &some)]);
    assert_eq!((share(&found, 1), share(&found, 2)), (Some(0.5), Some(0.1)));
    let found = log(&[(0, ONE), (1, &half), (2, TWO), (3, &some), (4, &more)]);
    assert_eq!((share(&found, 1), share(&found, 2)), (Some(0.6), Some(0.1)));
    assert!(found.tasks.iter().all(|task| !task.is_ambiguous));
    // One that has ended reads no more.
    assert_eq!(share(&log(&[(0, ONE), (1, &half), (2, FINISHED)]), 1), None);
}

/// Two prompts of one model are read at once, the second of which began later and is shorter.
#[test]
fn the_ends_of_prompts_that_are_read_at_once_are_marked() {
    let steps = ["0.0", "25.0", "50.0", "75.0", "100.0"].map(progress);
    let [none, quarter, half, more, all] = steps.each_ref().map(String::as_str);
    for first in [&[none][..], &[none, quarter][..]] {
        let mut lines: Vec<(u32, &str)> = (0..).zip([ONE].into_iter().chain(first.iter().copied())).collect();
        lines.extend([(5, TWO), (5, none), (6, quarter), (7, half), (8, more), (9, all), (20, FINISHED)]);
        let found = log(&lines);
        assert!(found.tasks.iter().all(|task| task.is_ambiguous), "{:?}", found.tasks);
        let seen = |messages| of(&found, messages).seen_reading;
        assert_eq!((seen(1), seen(2)), (local("13:00:01"), local("13:00:05")));
    }
    // One that waits until the other is read is told apart.
    let found =
        log(&[(0, ONE), (1, none), (2, TWO), (3, half), (9, all), (10, FINISHED), (10, none), (12, all)]);
    assert_eq!(
        (of(&found, 1).seen_reading, of(&found, 2).seen_reading),
        (local("13:00:01"), local("13:00:10"))
    );
    assert!(found.tasks.iter().all(|task| !task.is_ambiguous));
}

#[test]
fn a_connection_that_closes_long_after_an_end_is_anothers() {
    let found = log(&[(0, ONE), (10, FINISHED), (11, TWO), (12, GONE)]);
    assert_eq!(of(&found, 2).outcome, TaskOutcome::Unfinished);
    let found = log(&[(0, ONE), (10, FINISHED), (11, TWO), (13, GONE)]);
    assert_eq!((of(&found, 2).outcome, of(&found, 2).ended), (TaskOutcome::Cancelled, local("13:00:13")));
    // The client of the first is gone already.
    let found = log(&[(0, ONE), (10, GONE), (11, TWO), (20, GONE)]);
    assert_eq!((of(&found, 1).ended, of(&found, 2).ended), (local("13:00:10"), local("13:00:20")));
}

#[test]
fn of_several_the_one_that_is_cancelled_lost_its_client() {
    const STOP: &str = "[DEBUG] srv          stop: cancel task, id_task = 7";
    let found = log(&[(0, ONE), (1, LAUNCHED), (2, TWO), (20, GONE), (22, STOP)]);
    assert_eq!((of(&found, 1).outcome, of(&found, 1).ended), (TaskOutcome::Cancelled, local("13:00:20")));
    assert_eq!(of(&found, 2).outcome, TaskOutcome::Unfinished);
}

#[test]
fn an_end_waits_for_what_the_engine_tells() {
    let found = log(&[(0, ONE), (0, LAUNCHED), (5, FINISHED), (5, TOLD)]);
    assert_eq!(found.tasks.len(), 1, "{:?}", found.tasks);
    assert_eq!((found.tasks[0].read_ms, found.tasks[0].ended), (Some(1900.0), local("13:00:05")));
}

#[test]
fn an_end_is_of_the_request_that_was_given_up() {
    let found = log(&[(0, ONE), (5, GONE), (6, TWO), (7, FINISHED)]);
    assert_eq!(
        (of(&found, 1).outcome, of(&found, 2).outcome),
        (TaskOutcome::Cancelled, TaskOutcome::Unfinished)
    );
    assert!(found.tasks.iter().all(|task| !task.is_ambiguous));
    // Where nothing tells them apart, both are marked.
    let found = log(&[(0, ONE), (6, TWO), (7, FINISHED)]);
    assert!(found.tasks.iter().all(|task| task.is_ambiguous));
}

#[test]
fn the_end_of_a_stream_ends_no_answer_in_one_piece() {
    let body = |stream: bool, messages: &str| {
        format!(
            "[DEBUG] Received request: POST to /v1/messages with body {{\n  \"model\": \"m\",\n  \"stream\": {stream},\n  \"messages\": [{messages}]\n}}"
        )
    };
    let (whole, stream) = (body(false, "{}"), body(true, "{}, {}"));
    let found = log(&[(0, &whole), (0, ONE), (1, &stream), (1, TWO), (7, FINISHED)]);
    assert_eq!(
        (of(&found, 1).outcome, of(&found, 2).outcome),
        (TaskOutcome::Unfinished, TaskOutcome::Completed)
    );
    assert!(found.tasks.iter().all(|task| !task.is_ambiguous));
}

#[test]
fn a_model_is_loaded_once_a_request_runs_that_asked_for_it() {
    let body = |model: &str| {
        format!("[DEBUG] Received request: POST to /v1/messages with body {{\n  \"model\": \"{model}\"\n}}")
    };
    let found = log(&[
        (0, &body("big")),
        (0, "[INFO][JIT] Requested model (big) is not loaded. Loading \"big\" now..."),
        (5, &body("small")),
        (5, "[INFO][small] Running chat completion on conversation with 1 messages."),
        (20, "[INFO][big] Running chat completion on conversation with 2 messages."),
    ]);
    assert_eq!(found.loads[0].load_ms, Some(20_000.0));
}

#[test]
fn what_came_from_the_cache_is_told_once_of_each() {
    let restored = |cached: u64, uncached: u64| {
        format!(
            "[DEBUG] [coordinator][INFO]: Prompt cache restore: cached_tokens={cached} uncached_tokens={uncached} x"
        )
    };
    let found = log(&[(0, ONE), (1, &restored(256, 101)), (2, TWO), (3, &restored(10, 90))]);
    let cached = |messages| (of(&found, messages).cached_tokens, of(&found, messages).prompt_tokens);
    assert_eq!((cached(1), cached(2)), ((Some(256), Some(357)), (Some(10), Some(100))));
    // Nothing is known to be read before the first token, and all of it after.
    assert_eq!(of(&found, 1).read_tokens, None);
    let found = log(&[(0, ONE), (1, &restored(256, 101)), (2, &progress("100.0"))]);
    assert_eq!(of(&found, 1).read_tokens, Some(101));
}

#[test]
fn a_request_that_is_silent_for_hours_has_lost_its_end() {
    let hours = 6 * 3600;
    let found = log(&[(0, ONE), (hours + 1, TWO), (hours + 2, FINISHED)]);
    assert_eq!(
        (of(&found, 1).outcome, of(&found, 2).outcome),
        (TaskOutcome::Unfinished, TaskOutcome::Completed)
    );
    assert!(found.tasks.iter().all(|task| !task.is_ambiguous));
    let found = log(&[(0, ONE), (hours, TWO), (hours + 2, FINISHED)]);
    assert!(found.tasks.iter().all(|task| task.is_ambiguous), "either may have ended");
}

#[test]
fn the_clients_counts_stand_and_the_engines_cache() {
    const PACKET: &str = r#"[INFO][m] Generated packet: {"id":"a","choices":[],"usage":{"prompt_tokens":1234,"completion_tokens":30,"prompt_tokens_details":{"cached_tokens":150}}}"#;
    let found = log(&[(0, ONE), (0, LAUNCHED), (5, PACKET), (5, TOLD), (5, FINISHED)]);
    let task = of(&found, 1);
    assert_eq!(
        (task.counts(), task.cached_tokens, task.read_tokens),
        (Some((1234, 30)), Some(200), Some(1000))
    );
}

#[test]
fn more_than_the_prompt_did_not_come_from_the_cache() {
    const PACKET: &str = r#"[INFO][m] Generated packet: {"id":"a","choices":[],"usage":{"prompt_tokens":300,"completion_tokens":30}}"#;
    const RESTORED: &str = "[DEBUG] Prompt cache restore: cached_tokens=500 uncached_tokens=1 x";
    let found = log(&[(0, ONE), (1, RESTORED), (5, PACKET), (5, FINISHED)]);
    assert_eq!((of(&found, 1).prompt_tokens, of(&found, 1).cached_tokens), (Some(300), None));
    // Splash counts what came from the cache into the input, even where that is all of it.
    const DONE: &str =
        "[DEBUG] 13:00:09 Done · input 1,024 · cached 1,024 · output 8 · TTFT 1.8s · 64.2 tok/s";
    let found = log(&[(0, ONE), (9, DONE), (9, FINISHED)]);
    assert_eq!((of(&found, 1).prompt_tokens, of(&found, 1).cached_tokens), (Some(1024), Some(1024)));
}

#[test]
fn an_error_of_somebody_else_ends_no_request() {
    let found = log(&[(0, ONE), (1, "[ERROR][other] The index is not there."), (7, FINISHED)]);
    assert_eq!((of(&found, 1).outcome, of(&found, 1).error.as_deref()), (TaskOutcome::Completed, None));
    // Nor one that no model has yet.
    const BODY: &str = "[DEBUG] Received request: POST to /v1/messages with body {\n  \"model\": \"m\",\n  \"messages\": [{}]\n}";
    let found = log(&[(0, BODY), (1, "[ERROR][other] The index is not there.")]);
    assert_eq!((of(&found, 1).outcome, of(&found, 1).error.as_deref()), (TaskOutcome::Unfinished, None));
    let found = log(&[(0, ONE), (1, "[ERROR][m] The model has crashed."), (7, FINISHED)]);
    assert_eq!(of(&found, 1).error.as_deref(), Some("The model has crashed."));
}

#[test]
fn an_answer_that_is_too_long_to_be_kept_is_not_read() {
    let answer = format!("[INFO][m] Generated prediction: {{\n  \"text\": \"{}\"\n}}", "x".repeat(5 << 20));
    let found = log(&[(0, ONE), (7, &answer)]);
    assert_eq!((of(&found, 1).outcome, found.unreadable_lines), (TaskOutcome::Completed, 1));
}
