//! Logs as other versions of the servers write them, by their own lines.

#![allow(clippy::unwrap_used, reason = "tests")]

use anyclaude_traces::formats::backend::{
    BackendLog, BackendMoment, BackendTask, LlamaServerParser, LmStudioParser, OllamaParser, TaskOutcome,
};

fn llama(text: &str) -> BackendLog {
    let mut parser = LlamaServerParser::new();
    parser.feed(text.as_bytes());
    parser.finish()
}

fn ollama(text: &str) -> BackendLog {
    let mut parser = OllamaParser::new();
    parser.feed(text.as_bytes());
    parser.finish()
}

fn lm_studio(text: &str) -> BackendLog {
    let mut parser = LmStudioParser::new();
    parser.feed(text.as_bytes());
    parser.finish()
}

/// Prompt, cached and output tokens.
fn counts(task: &BackendTask) -> [Option<u64>; 3] {
    [task.prompt_tokens, task.cached_tokens, task.output_tokens]
}

/// Two tasks of one slot, the times of which follow their release, as from September 2024 to
/// October 2025.
const RELEASED_FIRST: &str = "\
slot launch_slot_: id  0 | task 0 | processing task
slot update_slots: id  0 | task 0 | new prompt, n_ctx_slot = 32768, n_keep = 0, n_prompt_tokens = 1200
slot update_slots: id  0 | task 0 | kv cache rm [0, end)
slot update_slots: id  0 | task 0 | prompt done, n_past = 1200, n_tokens = 1200
slot      release: id  0 | task 0 | stop processing: n_past = 1234, truncated = 0
slot print_timing: id  0 | task 0 |\x20
prompt eval time =    6000.00 ms /  1200 tokens (    5.00 ms per token,   200.00 tokens per second)
       eval time =    3500.00 ms /    35 tokens (  100.00 ms per token,    10.00 tokens per second)
      total time =    9500.00 ms /  1235 tokens
srv  log_server_r: request: POST /v1/chat/completions 127.0.0.1 200
slot launch_slot_: id  0 | task 36 | processing task
slot      release: id  0 | task 36 | stop processing: n_past = 1319, truncated = 0
slot print_timing: id  0 | task 36 |\x20
prompt eval time =     330.00 ms /    66 tokens (    5.00 ms per token,   200.00 tokens per second)
       eval time =    2000.00 ms /    20 tokens (  100.00 ms per token,    10.00 tokens per second)
      total time =    2330.00 ms /    86 tokens
srv  update_slots: all slots are idle
";

#[test]
fn times_behind_the_release_are_those_of_its_task() {
    let log = llama(RELEASED_FIRST);
    assert_eq!(log.tasks.iter().map(|task| task.task).collect::<Vec<_>>(), [Some(0), Some(36)]);
    assert_eq!(
        log.tasks.iter().map(counts).collect::<Vec<_>>(),
        [[Some(1_200), Some(0), Some(35)], [Some(1_300), Some(1_234), Some(20)]]
    );
    assert_eq!((log.tasks[1].read_ms, log.tasks[1].write_ms), (Some(330.0), Some(2_000.0)));
    assert!(log.tasks.iter().all(|task| task.outcome == TaskOutcome::Completed));
}

#[test]
fn a_release_without_times_ends_its_task() {
    let ends = |last: &str| {
        let log = llama(&format!(
            "slot launch_slot_: id  0 | task 0 | processing task\n\
             slot      release: id  0 | task 0 | stop processing: n_past = 50, truncated = 0\n{last}"
        ));
        (log.tasks[0].task, log.tasks[0].outcome, counts(&log.tasks[0]))
    };
    let ended = (Some(0), TaskOutcome::Completed, [None; 3]);
    assert_eq!(ends(""), ended);
    assert_eq!(ends("srv  update_slots: all slots are idle\n"), ended);
    assert_eq!(ends("srv          stop: cancel task, id_task = 0\n"), ended, "the connection is closed late");
    assert_eq!(ends("slot launch_slot_: id  1 | task 1 | processing task\n"), ended);
    // The journal shows lines that begin with blanks as data.
    assert_eq!(ends("slot print_timing: id  0 | task 0 |\n[100B blob data]\n"), ended);
}

#[test]
fn in_lm_studio_too_times_may_follow_the_release() {
    let engine = RELEASED_FIRST.replace("task 36", "task 40");
    let (first, _) = engine.split_at(engine.find("srv  log_server_r").unwrap());
    let log = lm_studio(&format!(
        "[2026-06-24 13:00:18][DEBUG] Received request: POST to /v1/messages with body [Sensitive]\n\
         [2026-06-24 13:00:18][INFO][small] Running chat completion on conversation with 2 messages.\n\
         [2026-06-24 13:00:18][DEBUG] {first}\
         [2026-06-24 13:00:28][INFO][small] Finished streaming response\n"
    ));
    assert_eq!(log.tasks.iter().map(counts).collect::<Vec<_>>(), [[Some(1_200), Some(0), Some(35)]]);
    assert_eq!((log.tasks[0].read_ms, log.tasks[0].outcome), (Some(6_000.0), TaskOutcome::Completed));
}

/// Without `--context-shift` an answer ends where the context does, and that is called truncated.
#[test]
fn the_prompt_of_an_answer_that_filled_the_context_is_known() {
    let prompt = |held: u64| {
        let log = llama(&format!(
            "0.00.000.001 I srv    load_model: initializing, n_slots = 1, n_ctx_slot = 8192, kv_unified = 'false'\n\
             4.01.000.000 I slot launch_slot_: id  0 | task 0 | processing task, is_child = 0\n\
             4.02.000.000 I slot print_timing: id  0 | task 0 | prompt eval time =     500.00 ms /   100 tokens (x)\n\
             4.02.000.000 I slot print_timing: id  0 | task 0 |        eval time =    9000.00 ms /   192 tokens (x)\n\
             4.02.000.000 I slot print_timing: id  0 | task 0 | draft acceptance = 0.65959 ( 5995 accepted /  9089 generated), mean len =  4.30\n\
             4.02.000.000 I slot      release: id  0 | task 0 | stop processing: n_tokens = {held}, truncated = 1\n"
        ));
        counts(&log.tasks[0])
    };
    assert_eq!(prompt(8_191), [Some(8_000), Some(7_900), Some(192)]);
    assert_eq!(prompt(4_406), [None, None, Some(192)], "after a shift nothing tells");
}

#[test]
fn a_load_ends_in_the_words_of_every_version() {
    for function in ["        init", "        main", "llama_server"] {
        let log = llama(&format!(
            "0.00.100.000 I srv  {function}: loading model\n\
             0.00.101.000 I srv    load_model: loading model '/models/a.gguf'\n\
             0.01.000.000 I srv    load_model: initializing slots, n_slots = 4\n\
             0.02.100.000 I srv  {function}: model loaded\n\
             0.03.000.000 I slot launch_slot_: id  0 | task 0 | processing task\n"
        ));
        let loads: Vec<_> = log.loads.iter().map(|load| (load.load_ms, load.model.as_deref())).collect();
        assert_eq!(loads, [(Some(2_000.0), Some("a"))], "{function}");
    }
}

/// With `--sleep-idle-seconds` the model is let go of, and loaded again for the next request.
#[test]
fn a_server_that_wakes_loads_its_model_again() {
    let wake = |minute: u64| {
        format!(
            "{minute}.10.000.100 I srv  handle_sleep: server is exiting sleeping state\n\
             {minute}.10.000.200 I srv    load_model: loading model '/models/a.gguf'\n\
             {minute}.11.800.200 I srv    load_model: initializing, n_slots = 1, n_ctx_slot = 16384, kv_unified = 'false'\n\
             {minute}.12.000.000 I slot launch_slot_: id  0 | task {minute} | processing task\n\
             {minute}.13.000.000 I slot      release: id  0 | task {minute} | stop processing: n_tokens = 9, truncated = 0\n"
        )
    };
    let log = llama(&(wake(12) + &wake(40)));
    assert_eq!(log.loads.iter().map(|load| load.load_ms).collect::<Vec<_>>(), [Some(1_800.0); 2]);
    assert_eq!((log.tasks.len(), log.processes.len()), (2, 1));
}

#[test]
fn a_memory_cache_without_limit_is_not_switched_off() {
    let limit = |line: &str| {
        llama(&format!("0.00.000.001 I srv          init: loading model\n0.00.000.002 I {line}\n")).processes
            [0]
        .ram_cache_bytes
    };
    let state = "srv        update:  - cache state: 9 prompts, 688.519 MiB (limits:";
    assert_eq!(limit(&format!("{state} 0.000 MiB, 65536 tokens, 65536 est)")), None);
    assert_eq!(limit(&format!("{state} 512.000 MiB, 65536 tokens, 65536 est)")), Some(512 << 20));
    assert_eq!(limit("srv    load_model: prompt cache is enabled, size limit: no limit"), None);
    assert_eq!(
        limit("srv    load_model: prompt cache is disabled - use `--cache-ram N` to enable it"),
        Some(0)
    );
}

#[test]
fn ollama_names_what_it_starts_in_each_version() {
    for (runner, engine) in [
        ("llama runner", ""),
        ("mlx runner", ""),
        (
            "llama-server",
            "srv  llama_server: loading model\n\
             srv    load_model: loading model '/blobs/sha256-a'\n\
             srv  llama_server: model loaded\n",
        ),
    ] {
        let log = ollama(&format!(
            "{engine}time=2026-08-19T08:08:36.523-05:00 level=INFO source=a.go:1 msg=\"{runner} started in 28.08 seconds\"\n"
        ));
        assert_eq!(
            log.loads.iter().map(|load| load.load_ms).collect::<Vec<_>>(),
            [Some(28_080.0)],
            "{runner}"
        );
    }
}

#[test]
fn ollamas_times_with_a_zone_tell_that_of_the_others() {
    let ahead = |stamps: &[&str]| {
        let line = |stamp: &&str| {
            format!("time={stamp} level=INFO source=a.go:1 msg=\"llama runner started in 1 seconds\"\n")
        };
        ollama(&stamps.iter().map(line).collect::<String>()).ahead_of_utc_s
    };
    assert_eq!(ahead(&["2026-08-19T08:08:36.523-05:00", "2026-08-20T08:08:36.523-05:00"]), Some(-5 * 3_600));
    assert_eq!(ahead(&["2026-08-19T08:08:36.523Z"]), Some(0));
    let set_back = ["2026-10-25T02:59:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+02:00"];
    assert_eq!(ahead(&set_back), None);
    assert_eq!(ahead(&["2026-08-19"]), None);
}

/// It cuts to what leaves half of the context to an answer; what it calls the limit is that.
#[test]
fn the_context_that_ollama_cut_a_prompt_for_is_its_engines() {
    let log = |limit: u64, prompt: u64| {
        ollama(&format!(
            "srv    load_model: initializing, n_slots = 1, n_ctx_slot = 8192, kv_unified = 'false'\n\
             time=2026-09-11T00:00:00Z level=WARN source=x msg=\"truncating input prompt\" limit={limit} prompt={prompt} keep=4 new={limit}\n\
             slot launch_slot_: id  0 | task 0 | processing task\n\
             slot print_timing: id  0 | task 0 | prompt eval time =    1000.50 ms /   300 tokens (x)\n\
             slot print_timing: id  0 | task 0 |        eval time =    2000.00 ms /     1 tokens (x)\n\
             slot      release: id  0 | task 0 | stop processing: n_tokens = {limit}, truncated = 0\n"
        ))
    };
    let context = |limit, prompt| log(limit, prompt).tasks[0].cut.as_ref().unwrap().context_tokens;
    assert_eq!(context(4_098, 22_414), Some(8_192));
    assert_eq!(context(4_098, 5_000), Some(4_098), "what was cut did not fit");
    assert_eq!(context(16_384, 22_414), Some(16_384));
    assert_eq!(log(4_098, 22_414).truncations[0].limit, Some(4_098), "as it says");
}

#[test]
fn a_context_that_was_full_is_known_of_lm_studios_requests() {
    let log = lm_studio(
        "[2026-06-24 13:00:18][DEBUG] Received request: POST to /v1/messages with body [Sensitive]\n\
         [2026-06-24 13:00:18][INFO][small] Running chat completion on conversation with 2 messages.\n\
         [2026-06-24 13:00:18][DEBUG] slot launch_slot_: id  3 | task 0 | processing task, is_child = 0\n\
         slot update_slots: id  3 | task 0 | new prompt, n_ctx_slot = 4096, n_keep = 9, task.n_tokens = 4000\n\
         slot print_timing: id  3 | task 0 | prompt eval time =    1900.00 ms /  4000 tokens (x)\n\
         slot print_timing: id  3 | task 0 |        eval time =    3000.00 ms /    96 tokens (x)\n\
         slot      release: id  3 | task 0 | stop processing: n_tokens = 4095, truncated = 1\n\
         [2026-06-24 13:00:28][INFO][small] Finished streaming response\n",
    );
    let task = &log.tasks[0];
    assert_eq!(task.cut.as_ref().and_then(|cut| cut.context_tokens), Some(4_096));
    assert!(matches!(task.ended, Some(BackendMoment::LocalSecond { .. })));
}
