use super::*;

fn parse(text: &str) -> BackendLog {
    let mut parser = OllamaParser::new();
    parser.feed(text.as_bytes());
    parser.finish()
}

#[test]
fn durations_are_read_in_every_unit() {
    for (text, ms) in [
        ("4m54s", Some(294_000.0)),
        ("1h2m3s", Some(3_723_000.0)),
        ("1.5s", Some(1_500.0)),
        ("523.25ms", Some(523.25)),
        ("38.5µs", Some(0.0385)),
        ("", None),
        ("4x", None),
        ("s", None),
    ] {
        assert_eq!(duration_ms(text), ms, "{text}");
    }
}

#[test]
fn the_http_line_ends_the_task_before_it() {
    let log = parse(
        "Sep 11 00:00:01 host ollama[9]: time=2026-09-11T00:00:01.250+02:00 level=INFO source=server.go:1 msg=\"llama runner started in 2.25 seconds\"\n\
         Sep 11 00:00:02 host ollama[9]: slot launch_slot_: id  0 | task 0 | processing task\n\
         Sep 11 00:00:05 host ollama[9]: slot print_timing: id  0 | task 0 | \n\
         Sep 11 00:00:05 host ollama[9]: prompt eval time =    1000.50 ms /   300 tokens (    3.33 ms per token,   299.85 tokens per second)\n\
         Sep 11 00:00:05 host ollama[9]:        eval time =    2000.00 ms /    11 tokens (  181.82 ms per token,     5.50 tokens per second)\n\
         Sep 11 00:00:05 host ollama[9]: slot      release: id  0 | task 0 | stop processing: n_past = 310, truncated = 0\n\
         Sep 11 00:00:05 host ollama[9]: [GIN] 2026/09/11 - 00:00:05 | 200 |  5.123456s |       127.0.0.1 | POST     \"/v1/messages?beta=true\"\n\
         Sep 11 00:00:06 host ollama[9]: [GIN] 2026/09/11 - 00:00:06 | 200 |  1.2ms |       127.0.0.1 | GET      \"/api/tags\"\n",
    );
    assert_eq!((log.tasks.len(), log.unreadable_lines, log.known_lines), (1, 0, 8));
    let task = &log.tasks[0];
    assert_eq!((task.prompt_tokens, task.cached_tokens, task.output_tokens), (Some(300), Some(0), Some(11)));
    assert_eq!((task.read_ms, task.write_ms, task.total_ms), (Some(1_000.5), Some(2_000.0), Some(5_123.456)));
    assert_eq!((task.endpoint.as_deref(), task.outcome), (Some("/v1/messages"), TaskOutcome::Completed));
    let (started, ended) = (task.started.unwrap(), task.ended.unwrap());
    assert_eq!((ended.ms_since(started), ended.uncertainty_ms()), (Some(3_000), 1_000));
    assert_eq!(log.loads[0].load_ms, Some(2_250.0));
}

#[test]
fn the_journals_year_changes_with_any_line_of_its_own() {
    let log = parse(
        "Dec 31 23:59:58 host ollama[9]: time=2025-12-31T23:59:58.000Z level=INFO source=x msg=\"a\"\n\
         Dec 31 23:59:59 host ollama[9]: time=2025-12-31T23:59:59.000Z level=INFO source=x msg=\"b\"\n\
         Jan  1 00:00:00 host ollama[9]: time=2026-01-01T00:00:00.000Z level=INFO source=x msg=\"c\"\n\
         Jan  1 00:00:02 host ollama[9]: slot launch_slot_: id  0 | task 0 | processing task\n\
         Jan  1 00:00:05 host ollama[9]: slot      release: id  0 | task 0 | stop processing: n_past = 310, truncated = 0\n\
         Jan  1 00:00:05 host ollama[9]: [GIN] 2026/01/01 - 00:00:05 | 200 |  5s |       127.0.0.1 | POST     \"/api/chat\"\n",
    );
    let task = &log.tasks[0];
    assert_eq!(task.ended.unwrap().ms_since(task.started.unwrap()), Some(3_000));
}

#[test]
fn the_mlx_runner_tells_what_its_cache_held() {
    let log = parse(
        "time=2026-08-19T19:37:11.287+02:00 level=INFO source=prefix_cache.go:124 msg=\"cache hit\" total=38086 matched=36620 cached=32767 left=5319\n\
         [GIN] 2026/08/19 - 19:40:01 | 499 |  2m50s |  127.0.0.1 | POST     \"/api/chat\"\n\
         time=2026-08-19T19:41:11.287+02:00 level=INFO source=prefix_cache.go:124 msg=\"cache miss\" total=24\n",
    );
    let task = &log.tasks[0];
    assert_eq!(
        (task.prompt_tokens, task.cached_tokens, task.read_tokens),
        (Some(38_086), Some(32_767), Some(5_319))
    );
    assert_eq!((task.outcome, log.unreadable_lines, log.tasks.len()), (TaskOutcome::Cancelled, 1, 1));
}

#[test]
fn the_task_of_a_prompt_that_was_cut_tells_it() {
    let cut = "time=2026-09-11T00:00:00Z level=WARN source=x msg=\"truncating input prompt\" limit=4096 prompt=22714 keep=4 new=4095\n";
    let task = |id: u64, prompt: u64| {
        format!(
            "slot launch_slot_: id  0 | task {id} | processing task\n\
             slot print_timing: id  0 | task {id} | prompt eval time =    1000.50 ms /   300 tokens (x)\n\
             slot print_timing: id  0 | task {id} |        eval time =    2000.00 ms /     1 tokens (x)\n\
             slot      release: id  0 | task {id} | stop processing: n_tokens = {prompt}, truncated = 0\n"
        )
    };
    let whole = |log: &BackendLog| -> Vec<Option<u64>> {
        log.tasks.iter().map(|task| task.cut.as_ref()?.whole_prompt_tokens).collect()
    };
    // One that had begun before ends first.
    let log = parse(&format!("{cut}{}{}{}", task(0, 900), task(1, 4_095), task(2, 4_095)));
    assert_eq!(whole(&log), [None, Some(22_714), None]);
    assert_eq!(log.tasks[1].cut.as_ref().unwrap().context_tokens, Some(4_096));
    // Older runners say nothing but that.
    let log = parse(&format!("{cut}[GIN] 2026/09/11 - 00:00:26 | 200 | 4s | ::1 | POST \"/api/chat\"\n"));
    assert_eq!(whole(&log), [Some(22_714)]);
}

#[test]
fn requests_of_older_runners_have_their_times_alone() {
    let log = parse(
        "[GIN] 2026/09/11 - 00:04:26 | 200 |         4m54s |       127.0.0.1 | POST     \"/api/chat\"\n[GIN-debug] x\n[GIN] 2026/09\n",
    );
    assert_eq!((log.tasks[0].total_ms, log.tasks[0].prompt_tokens), (Some(294_000.0), None));
    assert_eq!((log.tasks.len(), log.unreadable_lines), (1, 1));
}
