use super::super::types::{BackendTask, TaskOutcome};
use super::*;
use crate::formats::body::{Element, ElementPath, Visit};

mod concurrent;
mod turns;

fn parse(text: impl AsRef<[u8]>) -> BackendLog {
    let mut parser = LmStudioParser::new();
    parser.feed(text.as_ref());
    parser.finish()
}

fn local(time: &str) -> Option<BackendMoment> {
    let time =
        chrono::NaiveDateTime::parse_from_str(&format!("2026-06-24 {time}"), "%Y-%m-%d %H:%M:%S").unwrap();
    Some(BackendMoment::LocalSecond { seconds: time.and_utc().timestamp(), is_repeated: false })
}

/// A file of one conversation: two answers as streams, one in one piece, and an error.
const FILE: &str = r#"[2026-06-24 13:00:00][INFO][LM STUDIO SERVER] Success! HTTP server listening on port 1234
[2026-06-24 13:00:05][DEBUG] Received request: GET to /v1/models
[2026-06-24 13:00:05][INFO] Returning {
  "data": [
    {
      "id": "small"
    }
  ]
}
[2026-06-24 13:00:10][DEBUG] Received request: POST to /v1/messages?beta=true with body {
  "model": "small",
  "max_tokens": 4096,
  "system": "Be brief.",
  "tools": [
    {
      "name": "Read"
    }
  ],
  "messages": [
    {
      "role": "user",
      "content": "What is in [2026-06-24 13:00:00][INFO] a.txt?"
    }
  ],
  "stream": true
}
[2026-06-24 13:00:10][INFO][JIT] Requested model (small) is not loaded. Loading "small" now...
[2026-06-24 13:00:18][INFO][small] Running chat completion on conversation with 2 messages.
[2026-06-24 13:00:18][INFO][small] Streaming response...
[2026-06-24 13:00:18][DEBUG] 0.02.100.000 I slot get_availabl: id  3 | task -1 | selected slot by LRU, t_last = -1
0.02.100.100 I slot launch_slot_: id  3 | task 0 | processing task, is_child = 0
[2026-06-24 13:00:18][INFO][small] Prompt processing progress: 0.0%
[2026-06-24 13:00:20][INFO][small] Prompt processing progress: 100.0%
[2026-06-24 13:00:23][DEBUG] 0.07.100.000 I slot print_timing: id  3 | task 0 | prompt eval time =    1900.00 ms /  1000 tokens (    1.90 ms per token,   526.32 tokens per second)
0.07.100.001 I slot print_timing: id  3 | task 0 |        eval time =    3000.00 ms /    31 tokens (  100.00 ms per token,    10.00 tokens per second)
0.07.100.002 I slot      release: id  3 | task 0 | stop processing: n_tokens = 1230, truncated = 0
[2026-06-24 13:00:23][INFO][small] Finished streaming response
[2026-06-24 13:00:23][INFO][LM STUDIO SERVER] Client disconnected. Stopping generation... (If the model is busy processing the prompt, it will finish first.)
[2026-06-24 13:00:30][DEBUG] Received request: POST to /v1/chat/completions with body [Sensitive]
[2026-06-24 13:00:30][INFO][small] Running chat completion on conversation with 4 messages.
[2026-06-24 13:00:31][INFO][small] Prompt processing progress: 100.0%
[2026-06-24 13:00:35][INFO][small] Generated prediction: {
  "choices": [],
  "usage": {
    "prompt_tokens": 1300,
    "completion_tokens": 41
  },
  "stats": {
    "tokens_per_second": 10.0,
    "time_to_first_token": 1.0,
    "generation_time": 5.0,
    "stop_reason": "eosFound"
  }
}
[2026-06-24 13:00:40][DEBUG] Received request: POST to /v1/messages with body {
  "model": "other",
  "messages": []
}
[2026-06-24 13:00:40][ERROR] [Server Error] {
  "error": {
    "message": "No models loaded.",
    "type": "invalid_request_error"
  }
}
"#;

#[test]
fn a_file_gives_its_requests() {
    let log = parse(FILE);
    assert_eq!((log.tasks.len(), log.unreadable_lines), (3, 0));
    assert_eq!(log.known_lines, 19);
    let [first, second, third] = log.tasks.as_slice() else { panic!("{:?}", log.tasks) };

    assert_eq!(first.endpoint.as_deref(), Some("/v1/messages"));
    assert_eq!((first.body, first.request), (Some(LoggedBody::Whole), Some(0)));
    assert_eq!((first.tool_count, first.message_count, first.max_tokens), (Some(1), Some(1), Some(4096)));
    assert_eq!((first.received, first.started), (local("13:00:10"), local("13:00:18")));
    assert_eq!((first.first_token, first.ended), (local("13:00:20"), local("13:00:23")));
    assert_eq!(first.counts(), Some((1200, 31)));
    assert_eq!((first.cached_tokens, first.read_tokens), (Some(200), Some(1000)));
    assert_eq!((first.read_ms, first.write_ms), (Some(1900.0), Some(3000.0)));
    assert_eq!((first.outcome, first.stream), (TaskOutcome::Completed, Some(true)));

    assert_eq!((second.body, second.requested_model.as_deref()), (Some(LoggedBody::Hidden), None));
    assert_eq!((second.model.as_deref(), second.message_count), (Some("small"), Some(4)));
    assert_eq!((second.counts(), second.stream), (Some((1300, 41)), None));
    assert_eq!(
        (second.ttft_ms, second.total_ms, second.write_ms),
        (Some(1000.0), Some(5000.0), Some(4000.0))
    );
    assert_eq!(second.stop_reason.as_deref(), Some("eosFound"));

    assert_eq!((third.outcome, third.error.as_deref()), (TaskOutcome::Failed, Some("No models loaded.")));
    let load = &log.loads[0];
    assert_eq!((load.model.as_deref(), load.load_ms), (Some("small"), Some(8000.0)));
}

/// The same in the two other forms.
fn as_window(file: &str) -> String {
    let line = |line: &str| match Head::read(line.as_bytes()) {
        Some(head) => {
            let text = std::str::from_utf8(head.text).unwrap();
            let (head, _) = line.split_at(line.len() - text.len());
            let (stamp, level) = head.split_once(']').unwrap();
            format!("{} {:>7}\n {}\n", &stamp[1..], level.trim(), text)
        }
        None => format!("{line}\n"),
    };
    file.lines().map(line).collect()
}

fn as_stream(file: &str) -> String {
    let mut messages: Vec<String> = Vec::new();
    for line in file.lines() {
        match messages.last_mut() {
            Some(message) if Head::read(line.as_bytes()).is_none() => *message += &format!("\n{line}"),
            _ => messages.push(line.to_owned()),
        }
    }
    let event = |message: &String| {
        let Some(Head { local_seconds: seconds, .. }) = Head::read(message.as_bytes()) else {
            panic!("{message}")
        };
        let data = serde_json::json!({"type": "server.log", "content": message, "level": "info"});
        format!("{{\"timestamp\":{},\"data\":{data}}}\n", seconds * 1000)
    };
    messages.iter().map(event).collect()
}

/// What does not depend on the form.
fn without_times(mut log: BackendLog) -> BackendLog {
    (log.bytes, log.lines, log.known_lines) = (0, 0, 0);
    for task in &mut log.tasks {
        (task.received, task.started, task.first_token, task.ended) = (None, None, None, None);
        task.seen_reading = None;
    }
    for load in &mut log.loads {
        (load.started, load.ended) = (None, None);
    }
    log
}

#[test]
fn all_three_forms_say_the_same() {
    let file = parse(FILE);
    let window = parse(as_window(FILE));
    assert_eq!((&window.tasks, &window.loads), (&file.tasks, &file.loads));
    let stream = parse(as_stream(FILE));
    assert_eq!(stream.tasks[0].ended, Some(BackendMoment::Instant("2026-06-24T13:00:23Z".parse().unwrap())));
    assert_eq!(without_times(stream), without_times(file));
}

#[test]
fn every_chunking_gives_the_same() {
    for text in [FILE.to_owned(), as_window(FILE), as_stream(FILE)] {
        let whole = parse(&text);
        for size in [1, 2, 3, 7, 64, 1000] {
            let mut parser = LmStudioParser::new();
            text.as_bytes().chunks(size).for_each(|chunk| parser.feed(chunk));
            assert_eq!(parser.finish(), whole, "chunks of {size}");
        }
    }
}

#[test]
fn a_file_that_ends_anywhere_keeps_what_it_has() {
    for text in [FILE.to_owned(), as_window(FILE), as_stream(FILE)] {
        let whole = parse(&text);
        for end in 0..text.len() {
            let cut = parse(&text.as_bytes()[..end]);
            assert!(cut.tasks.len() <= whole.tasks.len(), "{end}");
            for (task, full) in cut.tasks.iter().zip(&whole.tasks) {
                let same = |a: Option<u64>, b: Option<u64>| a.is_none() || a == b;
                assert!(same(task.prompt_tokens, full.prompt_tokens), "{end}: {task:?}");
                assert!(same(task.output_tokens, full.output_tokens), "{end}: {task:?}");
                assert!(task.body.is_none() || task.body == full.body || task.body == Some(LoggedBody::Cut));
            }
        }
    }
}

#[test]
fn a_body_is_shown_when_it_is_whole() {
    #[derive(Default)]
    struct Names(Vec<String>);
    impl Visit for Names {
        fn element(&mut self, element: &Element<'_>) {
            if matches!(element.place, ElementPath::Tool(_)) {
                self.0.push(element.name.as_deref().unwrap_or_default().to_owned());
            }
        }
    }
    #[derive(Default)]
    struct Seen(Names, Vec<(u32, u64)>);
    impl BodySink for Seen {
        fn visitor(&mut self, _: u32) -> &mut dyn Visit {
            &mut self.0
        }
        fn body(&mut self, request: u32, body: Body) {
            self.1.push((request, body.sizes.body_bytes.get().unwrap()));
        }
    }
    for text in [FILE.to_owned(), as_window(FILE), as_stream(FILE)] {
        let (mut parser, mut seen) = (LmStudioParser::new(), Seen::default());
        text.as_bytes().chunks(50).for_each(|chunk| parser.feed_to(chunk, &mut seen));
        let _ = parser.finish_to(&mut seen);
        assert_eq!(seen.0.0, ["Read"]);
        assert_eq!(seen.1, [(0, 183), (2, 31)]);
    }
}

fn task(lines: &str) -> BackendTask {
    let log = parse(lines);
    assert_eq!(log.tasks.len(), 1, "{:?}", log.tasks);
    log.tasks.into_iter().next().unwrap()
}

#[test]
fn cut_strings_leave_counts_and_no_sizes() {
    let found = task(
        "2026-06-24 13:00:00 [DEBUG]\n Received request: POST to /v1/messages with body  {\n  \"model\": \"m\",\n  \"messages\": [\n    {\n      \"role\": \"user\",\n      \"content\": \"It begins like this... <Truncated in logs> ...and ends so.\"\n    }\n  ]\n}\n",
    );
    assert_eq!((found.body, found.message_count), (Some(LoggedBody::Cut), Some(1)));
    // Whatever was cut out of it.
    let text = "[2026-06-24 13:00:00][INFO] Received request: POST to /v1/messages with body {\"model\":\"m\",\"system\":\"It begins... <Truncated in logs> ...and ends\",\n";
    let log = parse(text);
    assert_eq!((log.tasks[0].body, log.unreadable_lines), (Some(LoggedBody::Cut), 0));
    assert_eq!((found.requested_model.as_deref(), found.outcome), (Some("m"), TaskOutcome::Unfinished));
}

#[test]
fn a_body_that_is_no_json_still_names_its_model() {
    let text = "[2026-06-24 13:00:00][INFO] Received request: POST to /v1/chat/completions with body {\"model\":\"m\",\"tools\":[{\"a\":{}],\"stream\":true}\n";
    let found = task(text);
    assert_eq!((found.body, found.requested_model.as_deref()), (Some(LoggedBody::NotJson), Some("m")));
    assert_eq!((found.stream, found.message_count), (Some(true), None));
    assert_eq!(parse(text).unreadable_lines, 1);
}

#[test]
fn servers_of_0_3_name_no_model() {
    let found = task(
        "[2026-06-24 13:00:00][DEBUG] Received request: POST to /v1/chat/completions with body {\n  \"model\": \"m\",\n  \"messages\": [\n  ],\n  \"stream\": true\n}\n\
         [2026-06-24 13:00:00][INFO][LM STUDIO SERVER] Running chat completion on conversation with 1 messages.\n\
         [2026-06-24 13:00:00][INFO][LM STUDIO SERVER] Streaming response...\n\
         [2026-06-24 13:00:00][DEBUG] Looking for non-prefix contiguous prompt sequences\nCache reuse summary: 60/433 of prompt (13.8568%), 60 prefix, 0 non-prefix\nTotal prompt tokens: 433\nPrompt tokens to decode: 373\nBeginProcessingPrompt\n\
         [2026-06-24 13:00:02][DEBUG] FinishedProcessingPrompt. Progress: 100\n\
         [2026-06-24 13:00:02][INFO][LM STUDIO SERVER] First token generated. Continuing to stream response..\n\
         [2026-06-24 13:00:32][DEBUG] Target model llama_perf stats:\nllama_perf_context_print:        load time =    4356.80 ms\nllama_perf_context_print: prompt eval time =    1135.53 ms /   373 tokens (    3.04 ms per token,   328.48 tokens per second)\nllama_perf_context_print:        eval time =   29868.35 ms /   130 runs   (  229.76 ms per token,     4.35 tokens per second)\n\
         [2026-06-24 13:00:32][INFO] Finished streaming response\n\
         [2026-06-24 13:00:32][INFO][LM STUDIO SERVER] Client disconnected. Stopping generation...\n",
    );
    assert_eq!((found.model.as_deref(), found.requested_model.as_deref()), (Some("m"), Some("m")));
    assert_eq!(
        (found.prompt_tokens, found.cached_tokens, found.read_tokens),
        (Some(433), Some(60), Some(373))
    );
    assert_eq!(
        (found.output_tokens, found.read_ms, found.write_ms),
        (Some(131), Some(1135.53), Some(29868.35))
    );
    assert_eq!((found.first_token, found.ended), (local("13:00:02"), local("13:00:32")));
    assert_eq!(found.outcome, TaskOutcome::Completed);
    assert!(!found.is_ambiguous);
}

#[test]
fn mlx_says_what_came_from_its_cache() {
    let found = task(
        "[2026-06-24 13:00:00][INFO][m] Running chat completion on conversation with 2 messages.\n\
         [2026-06-24 13:00:00][DEBUG] [coordinator][INFO]: Prompt cache restore: cached_tokens=256 uncached_tokens=101 lifetime_efficiency=66.83%\n\
         [2026-06-24 13:00:01][INFO][m] Prompt processing progress: 100.0%\n\
         [2026-06-24 13:00:09][INFO][m] Finished streaming response\n",
    );
    assert_eq!(
        (found.prompt_tokens, found.cached_tokens, found.read_tokens),
        (Some(357), Some(256), Some(101))
    );
    assert_eq!((found.received, found.request), (local("13:00:00"), None));
}

#[test]
fn splash_sums_up() {
    let found = task(
        "[2026-06-24 13:00:00][INFO][m] Running chat completion on conversation with 2 messages.\n\
         [2026-06-24 13:00:01][INFO][m] Prompt processing progress: 100.0%\n\
         [2026-06-24 13:00:09][DEBUG] 13:00:09 Done · input 1,536 · cached 1,024 · output 812 · TTFT 1.8s · 64.2 tok/s\n\
         [2026-06-24 13:00:09][INFO][m] Finished streaming response\n",
    );
    assert_eq!(
        (found.prompt_tokens, found.cached_tokens, found.read_tokens),
        (Some(1536), Some(1024), Some(512))
    );
    assert_eq!(
        (found.output_tokens, found.ttft_ms, found.tokens_per_second),
        (Some(812), Some(1800.0), Some(64.2))
    );
}

#[test]
fn a_client_that_goes_away_ends_its_request() {
    let found = task(
        "[2026-06-24 13:00:00][INFO][m] Running chat completion on conversation with 1 messages.\n\
         [2026-06-24 13:00:05][DEBUG] Prompt cache: using 10/100 tokens from cache\n\
         [2026-06-24 13:00:05][INFO][m] Prompt processing progress: 18.9%\n\
         [2026-06-24 13:01:00][INFO][LM STUDIO SERVER] Client disconnected. Stopping generation...\n\
         [2026-06-24 13:01:04][INFO][m] Prompt processing progress: 30.0%\n\
         [2026-06-24 13:01:04][INFO][m] Finished streaming response\n",
    );
    assert_eq!((found.outcome, found.ended), (TaskOutcome::Cancelled, local("13:01:00")));
    assert_eq!((found.first_token, found.read_tokens), (None, None));
}

#[test]
fn predictions_without_lines_of_the_server_are_tasks() {
    let found = task(concat!(
        r#"{"timestamp":1000,"data":{"type":"llm.prediction.input","input":"x","modelIdentifier":"m"}}"#,
        "\n",
        r#"{"timestamp":1100,"data":{"type":"llm.prediction.output","output":"y","stats":{"stopReason":"eosFound","tokensPerSecond":50.0,"timeToFirstTokenSec":0.05,"totalTimeSec":0.09,"promptTokensCount":13,"predictedTokensCount":3},"modelIdentifier":"m"}}"#,
        "\n",
    ));
    assert_eq!((found.counts(), found.model.as_deref()), (Some((13, 3)), Some("m")));
    assert_eq!((found.ttft_ms, found.total_ms), (Some(50.0), Some(90.0)));
    assert_eq!(found.ended.unwrap().ms_since(found.received.unwrap()), Some(100));
}

#[test]
fn hostile_text_is_no_line_of_the_server() {
    let found = task(
        "[2026-06-24 13:00:00][DEBUG] Received request: POST to /v1/messages with body {\n  \"model\": \"m\",\n  \"messages\": [\n    {\n      \"role\": \"user\",\n      \"content\": \"\\n[2026-06-24 13:00:00][INFO] Finished streaming response\\n}\\n\"\n    }\n  ]\n}\n\
         [2026-06-24 13:00:00][INFO][m] Running chat completion on conversation with 1 messages.\n\
         [2026-06-24 13:00:04][WARN] Somebody wrote:\n[m] Finished streaming response\nReceived request: POST to /v1/messages with body {\n",
    );
    assert_eq!((found.outcome, found.body), (TaskOutcome::Unfinished, Some(LoggedBody::Whole)));
}

#[test]
fn any_bytes_are_read() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let pieces: Vec<&[u8]> = FILE
        .as_bytes()
        .chunks(13)
        .chain([&b"\n"[..], b"\xFF\xFE", b"{\"timestamp\":1", b"}\n", b"{\n"])
        .collect();
    for _ in 0..60 {
        let mut text = Vec::new();
        for _ in 0..60 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            text.extend_from_slice(pieces[usize::try_from(random % pieces.len() as u64).unwrap()]);
        }
        let whole = parse(&text);
        let mut parser = LmStudioParser::new();
        text.chunks(5).for_each(|chunk| parser.feed(chunk));
        assert_eq!(parser.finish(), whole);
    }
}

#[test]
fn a_line_without_end_takes_little_memory() {
    let mut parser = LmStudioParser::new();
    parser.feed(b"[2026-06-24 13:00:00][INFO] ");
    for _ in 0..1000 {
        parser.feed(&[b'x'; 4096]);
    }
    assert!(parser.finish().tasks.is_empty());
}

/// Wherever the server goes on with another file, each request is in the one with its
/// beginning, with all that both tell of it.
#[test]
fn a_request_may_begin_in_one_file_and_end_in_the_next() {
    let facts = |task: &BackendTask| {
        let moments = (task.received, task.started, task.first_token, task.ended);
        let figures = (task.counts(), task.cached_tokens, task.read_ms, task.write_ms, task.total_ms);
        (moments, figures, task.outcome, task.error.clone())
    };
    let whole = parse(FILE);
    let ends = memchr::memchr_iter(b'\n', FILE.as_bytes()).map(|end| end + 1);
    let (mut rotated, mut cut) = (0, 0);
    for end in ends {
        let (before, after) = FILE.split_at(end);
        let (mut parser, bodies) = (LmStudioParser::new(), &mut NoBodies::default());
        parser.feed(before.as_bytes());
        parser.next_file(bodies);
        parser.feed(after.as_bytes());
        let logs = parser.finish_files(bodies);
        let [first, second] = logs.as_slice() else { panic!("{logs:?}") };
        let found: Vec<_> = first.tasks.iter().chain(&second.tasks).map(facts).collect();
        assert_eq!(found, whole.tasks.iter().map(facts).collect::<Vec<_>>(), "{before}");
        assert_eq!((first.bytes, second.bytes), (before.len() as u64, after.len() as u64));
        assert_eq!(first.lines + second.lines, whole.lines);
        assert_eq!(first.loads.len() + second.loads.len(), 1);
        let numbers = |log: &BackendLog| log.tasks.iter().filter_map(|task| task.request).collect::<Vec<_>>();
        let all: Vec<u32> = (0..3).collect();
        assert_eq!(numbers(first), all[..first.tasks.len()]);
        assert_eq!(numbers(second), all[..second.tasks.len()]);
        let last = first.tasks.last().and_then(|task| task.ended).map(BackendMoment::clock_ms);
        let end_of_file = before.rfind("\n[").map_or(before, |at| &before[at + 1..]);
        let at = Head::read(end_of_file.as_bytes()).unwrap().local_seconds * 1_000;
        rotated += usize::from(last.is_some_and(|last| last > at));
        let is_cut = |task: &&BackendTask| task.body == Some(LoggedBody::Cut);
        cut += first.tasks.iter().filter(is_cut).count();
    }
    assert!(rotated > 15 && cut > 10, "{rotated} {cut}");
}
