//! Logs of servers that are written by rule, in every form, and read back: what was written
//! is what is found, wherever the chunks end and wherever the file is cut.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;

use anyclaude_traces::formats::backend::{
    BackendLog, BackendMoment, BackendTask, LlamaServerParser, OllamaParser, SlotSelection, TaskOutcome,
};
use proptest::prelude::*;

/// How each line is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Bare,
    Timed,
    Coloured,
    Router,
    Journal,
    Json,
}

/// A task as the server worked on it.
#[derive(Debug, Clone)]
struct Task {
    cached: u64,
    read: u64,
    output: u64,
    read_us: u64,
    write_us: u64,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Completed,
    Cancelled,
    Open,
}

struct Writer {
    form: Form,
    us: u64,
    text: String,
}

impl Writer {
    fn line(&mut self, text: &str) {
        self.us += 1_250;
        let us = self.us;
        let head = format!(
            "{}.{:02}.{:03}.{:03}",
            us / 60_000_000,
            us / 1_000_000 % 60,
            us / 1_000 % 1_000,
            us % 1_000
        );
        let line = match self.form {
            Form::Bare => text.to_owned(),
            Form::Timed => format!("{head} I {text}"),
            Form::Coloured => format!("\u{1b}[34m{head}\u{1b}[0m \u{1b}[32mI \u{1b}[0m{text}"),
            Form::Router => format!("[42027] {head} I {text}"),
            Form::Journal => format!("Sep 11 00:04:26 host llama-server[77]: {head} I {text}"),
            Form::Json => {
                let text = serde_json::to_string(&format!("{text}\n")).unwrap();
                format!(r#"{{"type":"log","time":{us},"level":"info","msg":{text}}}"#)
            }
        };
        writeln!(self.text, "{line}").unwrap();
    }

    fn noise(&mut self) {
        for line in [
            "srv  update_slots: run slots completed",
            "que    start_loop: waiting for new tasks",
            "slot process_toke: id  0 | task 3 | n_decoded = 1, n_remaining = 7, next token:    72 'h'",
            "slot update_slots: id  0 | task 3 | slot decode token, n_ctx = 65536, n_tokens = 17",
            "slot launch_slot_: garbled",
            "You are a helpful assistant",
        ] {
            self.line(line);
        }
    }

    fn task(&mut self, slot: usize, number: usize, task: &Task) {
        let id = |function: &str| format!("slot {function:>12}: id {slot:2} | task {number} |");
        self.line(&format!("slot get_availabl: id {slot:2} | task -1 | selected slot by LRU, t_last = 7"));
        self.line(&format!("{} processing task, is_child = 0", id("launch_slot_")));
        self.noise();
        match task.end {
            End::Open => return,
            End::Cancelled => self.line(&format!("srv          stop: cancel task, id_task = {number}")),
            End::Completed => {
                let ms = |us: u64| format!("{}.{:02}", us / 1_000, us / 10 % 100);
                self.line(&format!(
                    "{} prompt eval time = {:>10} ms / {:5} tokens (    0.55 ms per token,  1832.68 tokens per second)",
                    id("print_timing"),
                    ms(task.read_us),
                    task.read
                ));
                self.line(&format!(
                    "{}        eval time = {:>10} ms / {:5} tokens (   60.60 ms per token,    16.50 tokens per second)",
                    id("print_timing"),
                    ms(task.write_us),
                    task.output
                ));
            }
        }
        let held = task.cached + task.read + task.output - 1;
        self.line(&format!("{} stop processing: n_tokens = {held}, truncated = 0", id("release")));
    }
}

fn write(form: Form, tasks: &[Task]) -> String {
    let mut writer = Writer { form, us: 0, text: String::new() };
    writer.line("srv          init: initializing ...");
    writer.line("srv          init: loading model");
    writer.line("srv    load_model: loading model '/models/tiny \"q\" 8b.gguf'");
    writer.line("srv    load_model: initializing, n_slots = 4, n_ctx_slot = 65536, kv_unified = 'false'");
    writer.line("srv    load_model: prompt cache is enabled, size limit: 8192 MiB");
    writer.line("srv          init: model loaded");
    for (number, task) in tasks.iter().enumerate() {
        writer.task(number % 4, number * 3, task);
    }
    writer.text
}

fn parse_in(text: &[u8], chunk: usize) -> BackendLog {
    let mut parser = LlamaServerParser::new();
    for part in text.chunks(chunk.max(1)) {
        parser.feed(part);
    }
    parser.finish()
}

fn parse(text: &[u8]) -> BackendLog {
    parse_in(text, text.len())
}

fn tasks() -> impl Strategy<Value = Vec<Task>> {
    let end = prop_oneof![4 => Just(End::Completed), 1 => Just(End::Cancelled), 1 => Just(End::Open)];
    let task = (0..90_000_u64, 1..90_000_u64, 1..9_000_u64, 0..9_000_000_u64, 0..9_000_000_u64, end);
    let task = task.prop_map(|(cached, read, output, read_us, write_us, end)| Task {
        cached,
        read,
        output,
        read_us,
        write_us,
        end,
    });
    prop::collection::vec(task, 0..12)
}

fn forms() -> impl Strategy<Value = Form> {
    prop::sample::select(vec![
        Form::Bare,
        Form::Timed,
        Form::Coloured,
        Form::Router,
        Form::Journal,
        Form::Json,
    ])
}

/// What was written of a task, as it is to be found.
fn check(found: &BackendTask, written: &Task) {
    match written.end {
        End::Completed => {
            let ms = |us: u64| Some(f64::from(u32::try_from(us / 10).unwrap()) / 100.0);
            assert_eq!(found.outcome, TaskOutcome::Completed);
            assert_eq!(found.prompt_tokens, Some(written.cached + written.read));
            assert_eq!(found.cached_tokens, Some(written.cached));
            assert_eq!((found.read_tokens, found.output_tokens), (Some(written.read), Some(written.output)));
            assert_eq!((found.read_ms, found.write_ms), (ms(written.read_us), ms(written.write_us)));
        }
        End::Cancelled => {
            assert_eq!(found.outcome, TaskOutcome::Cancelled);
            assert_eq!((found.prompt_tokens, found.output_tokens), (None, None));
        }
        End::Open => assert_eq!((found.outcome, found.ended), (TaskOutcome::Unfinished, None)),
    }
    assert_eq!(found.selection, Some(SlotSelection::LeastRecentlyUsed { was_used: Some(true) }));
}

proptest! {
    #[test]
    fn what_was_written_is_found(tasks in tasks(), form in forms()) {
        let log = parse(write(form, &tasks).as_bytes());
        prop_assert_eq!(log.unreadable_lines, 0);
        prop_assert_eq!(log.tasks.len(), tasks.len());
        for (number, written) in tasks.iter().enumerate() {
            let number = number as u64 * 3;
            let found = log.tasks.iter().find(|found| found.task == Some(number)).unwrap();
            check(found, written);
            let is_timed = !matches!(form, Form::Bare);
            prop_assert_eq!(matches!(found.started, Some(BackendMoment::SinceStart { .. })), is_timed);
        }
        let process = &log.processes[0];
        prop_assert_eq!((process.slots, process.context_tokens, process.ram_cache_bytes), (Some(4), Some(65_536), Some(8 << 30)));
        prop_assert_eq!(process.model.as_deref(), Some("tiny \"q\" 8b"));
        prop_assert_eq!(log.loads.len(), 1);
    }

    #[test]
    fn chunks_may_end_anywhere(tasks in tasks(), form in forms(), chunk in 1..700_usize, cut in any::<prop::sample::Index>()) {
        let text = write(form, &tasks);
        let text = &text.as_bytes()[..cut.index(text.len() + 1)];
        prop_assert_eq!(parse_in(text, chunk), parse(text));
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..600), chunk in 1..70_usize) {
        prop_assert_eq!(parse_in(&bytes, chunk), parse(&bytes));
        let mut ollama = OllamaParser::new();
        bytes.chunks(chunk).for_each(|part| ollama.feed(part));
        prop_assert_eq!(ollama.finish().bytes, bytes.len() as u64);
    }
}

/// A file that is cut loses its end, and nothing that stands before it: a task is found as
/// it was, or without an end.
#[test]
fn a_cut_at_any_byte_invents_nothing() {
    let task = |cached, read| Task {
        cached,
        read,
        output: 24,
        read_us: 733_030,
        write_us: 10_111_050,
        end: End::Completed,
    };
    for form in [Form::Bare, Form::Timed, Form::Coloured, Form::Router, Form::Journal, Form::Json] {
        let text = write(form, &[task(2_969, 209), task(0, 3_601)]);
        let whole = parse(text.as_bytes());
        for end in 0..text.len() {
            let cut = parse(&text.as_bytes()[..end]);
            assert!(cut.tasks.len() <= whole.tasks.len(), "{form:?} at {end}");
            for (found, whole) in cut.tasks.iter().zip(&whole.tasks) {
                let is_whole = found == whole;
                let has_no_end = found.outcome == TaskOutcome::Unfinished && found.prompt_tokens.is_none();
                assert!(is_whole || has_no_end, "{form:?} at {end}: {found:?}");
            }
            assert!(cut.unreadable_lines <= 1, "{form:?} at {end}");
        }
    }
}

/// Whatever else a server says at a high verbosity, what is found is the same.
#[test]
fn lines_without_a_fact_change_nothing() {
    let task =
        Task { cached: 70, read: 300, output: 9, read_us: 1_000, write_us: 9_000, end: End::Completed };
    let between = "\n0.00.000.001 D que    start_loop: waiting for new tasks\n\r\nsrv  update_slots: run\n{\"type\":\"log\"}\n\
        0.00.000.002 D slot update_slots: id  0 | task 0 | slot decode token\n";
    for form in [Form::Bare, Form::Timed, Form::Coloured, Form::Router, Form::Journal, Form::Json] {
        let text = write(form, &[task.clone(), task.clone()]);
        let (plain, mixed) = (parse(text.as_bytes()), text.replace('\n', between));
        for chunk in [1, 50, mixed.len()] {
            let found = parse_in(mixed.as_bytes(), chunk);
            assert_eq!((&found.tasks, &found.loads), (&plain.tasks, &plain.loads), "{form:?}");
            assert_eq!(found.lines, 6 * plain.lines, "{form:?} in chunks of {chunk}");
        }
    }
}

#[test]
fn each_process_has_its_own_clock() {
    let task = Task { cached: 0, read: 300, output: 9, read_us: 1_000, write_us: 9_000, end: End::Open };
    let text = write(Form::Timed, std::slice::from_ref(&task));
    let later = text.replace("0.00.", "0.59.");
    let log = parse(format!("{later}{text}").as_bytes());
    assert_eq!((log.processes.len(), log.loads.len(), log.tasks.len()), (2, 2, 2));
    assert_eq!(log.tasks.iter().map(|task| task.process).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(log.loads[0].load_ms, Some(5.0));
}

#[test]
fn older_servers_log_timings_on_lines_of_their_own() {
    let log = parse(
        b"main: loading model\n\
          srv    load_model: loading model 'C:\\models\\a.gguf'\n\
          main: model loaded\n\
          slot get_availabl: id  0 | task -1 | selected slot by lcp similarity, lcp_len = 10, similarity = 0.834\n\
          slot launch_slot_: id  0 | task 0 | processing task\n\
          slot update_slots: id  0 | task 0 | new prompt, n_ctx_slot = 4096, n_keep = 0, n_prompt_tokens = 14\n\
          slot update_slots: id  0 | task 0 | kv cache rm [4, end)\n\
          slot update_slots: id  0 | task 0 | prompt processing progress, n_past = 14, n_tokens = 10, progress = 0.714286\n\
          slot update_slots: id  0 | task 0 | kv cache rm [9, end)\n\
          slot print_timing: id  0 | task 0 | \n\
          prompt eval time =     100.31 ms /    10 tokens (   10.03 ms per token,    99.69 tokens per second)\n\
          \x20      eval time =    1000.00 ms /    50 tokens (   20.00 ms per token,    50.00 tokens per second)\n\
          \x20     total time =    1100.31 ms /    60 tokens\n\
          slot      release: id  0 | task 0 | stop processing: n_past = 63, truncated = 0\n",
    );
    let task = &log.tasks[0];
    assert_eq!((task.prompt_tokens, task.cached_tokens, task.output_tokens), (Some(14), Some(4), Some(50)));
    assert_eq!(task.selection, Some(SlotSelection::Similarity { similarity: 0.834, kept: None }));
    assert_eq!((log.loads.len(), log.loads[0].load_ms, log.unreadable_lines), (1, None, 0));
    assert_eq!(task.model.as_deref(), Some("a"));
}

#[test]
fn a_request_beyond_the_context_is_an_error_with_its_size() {
    let log = parse(
        b"0.02.697.273 I slot launch_slot_: id  0 | task 101 | processing task, is_child = 0\n\
          0.02.697.325 E srv    send_error: task id = 101, error: request (18025 tokens) exceeds the available context size (8192 tokens), try increasing it\n\
          0.02.697.350 I slot      release: id  0 | task 101 | stop processing: n_tokens = 420, truncated = 0\n\
          0.02.697.399 W srv          stop: cancel task, id_task = 101\n",
    );
    let task = &log.tasks[0];
    assert_eq!(
        (task.outcome, task.prompt_tokens, task.cached_tokens),
        (TaskOutcome::Failed, Some(18_025), None)
    );
    assert!(task.error.as_deref().is_some_and(|error| error.ends_with("try increasing it")));
}

#[test]
fn a_full_context_is_told_with_its_size() {
    let log = |prompt: u64| {
        let text = format!(
            "slot launch_slot_: id  0 | task 1 | processing task, is_child = 0\n\
             slot update_slots: id  0 | task 1 | new prompt, n_ctx_slot = 4096, n_keep = 0, task.n_tokens = {prompt}\n\
             slot      release: id  0 | task 1 | stop processing: n_tokens = 4095, truncated = 1\n"
        );
        parse(text.as_bytes())
    };
    let cut = |prompt: u64| *log(prompt).tasks[0].cut.clone().unwrap();
    // The answer filled the context, or the prompt was too long for it.
    assert_eq!((cut(4_000).context_tokens, cut(4_000).whole_prompt_tokens), (Some(4_096), None));
    assert_eq!(cut(9_000).whole_prompt_tokens, Some(9_000));
}

#[test]
fn the_wait_for_a_slot_is_known_at_verbosity_4() {
    let received = |text: &[u8]| {
        let log = parse(text);
        log.tasks.iter().map(|task| task.started?.ms_since(task.received?)).collect::<Vec<_>>()
    };
    let text = b"0.01.000.000 I srv  server_strea: conv_id= (empty=1)\n\
        0.01.005.000 I slot launch_slot_: id  0 | task 0 | processing task, is_child = 0\n\
        0.01.100.000 I srv  server_strea: conv_id= (empty=1)\n\
        0.01.200.000 I srv  server_strea: conv_id= (empty=1)\n\
        0.03.000.000 I slot launch_slot_: id  0 | task 1 | processing task, is_child = 0\n\
        0.05.000.000 I slot launch_slot_: id  0 | task 2 | processing task, is_child = 0\n";
    assert_eq!(received(text), [Some(5), Some(1_900), Some(3_800)]);
    // Which of the two went away is not said.
    let mut cancelled = text.to_vec();
    let at = text.windows(12).position(|window| window == b"0.03.000.000").unwrap();
    cancelled.splice(at..at, *b"0.02.500.000 W srv          stop: cancel task, id_task = 1\n");
    assert_eq!(received(&cancelled), [Some(5), None, None]);
}
