//! Logs of Ollama as a service and a container keep them: with a stamp before each line. It tells
//! of each request when it came to its end, and how long it took: whatever stands before its lines
//! tells nothing else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use anyclaude_traces::Recording;
use proptest::prelude::*;
use serde_json::Value as Json;

/// What stands before each line.
#[derive(Debug, Clone, Copy)]
enum Prefix {
    None,
    Journal,
    JournalWithoutProcess,
    JournalIso,
    Container,
    ContainerStamps,
    ContainerAndStamps,
    Kubernetes,
    Window,
}

const PREFIXES: [Prefix; 8] = [
    Prefix::Journal,
    Prefix::JournalWithoutProcess,
    Prefix::JournalIso,
    Prefix::Container,
    Prefix::ContainerStamps,
    Prefix::ContainerAndStamps,
    Prefix::Kubernetes,
    Prefix::Window,
];

/// A request, in milliseconds.
#[derive(Debug, Clone)]
struct Plan {
    /// From the end of the request before to its beginning.
    after: u64,
    /// Its model was loaded first for so long, and whether Ollama says so itself.
    load: Option<(u64, bool)>,
    queue: u64,
    read: u64,
    write: u64,
    is_given_up: bool,
}

struct Writer {
    prefix: Prefix,
    /// Since midnight.
    ms: u64,
    text: String,
}

impl Writer {
    fn clock(&self) -> String {
        let seconds = self.ms / 1_000;
        format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }

    fn line(&mut self, line: &str) {
        let (clock, ms) = (self.clock(), self.ms % 1_000);
        let head = match self.prefix {
            Prefix::None => String::new(),
            Prefix::Journal => format!("Sep 11 {clock} box ollama[991]: "),
            Prefix::JournalWithoutProcess => format!("Sep 11 {clock} ollama[]: "),
            Prefix::JournalIso => format!("2026-09-11T{clock}+0200 box ollama[991]: "),
            Prefix::Container => "ollama-1  | ".to_owned(),
            Prefix::ContainerStamps => format!("2026-09-11T{clock}.{ms:03}456789+02:00 "),
            Prefix::ContainerAndStamps => format!("ollama-1  | 2026-09-11T{clock}.{ms:03}456789+02:00 "),
            Prefix::Kubernetes => format!("2026-09-11T{clock}.{ms:03}456789+02:00 stderr F "),
            Prefix::Window => format!("2026-09-11 {clock} "),
        };
        writeln!(self.text, "{head}{line}").unwrap();
    }

    fn own_line(&mut self, message: &str) {
        let stamp = format!("2026-09-11T{}.{:03}+02:00", self.clock(), self.ms % 1_000);
        self.line(&format!("time={stamp} level=INFO source=server.go:431 msg=\"{message}\""));
    }

    fn request(&mut self, number: usize, plan: &Plan) {
        self.ms += plan.after;
        let came = self.ms;
        if let Some((took, is_told)) = plan.load {
            self.own_line("starting runner");
            self.line("srv    load_model: loading model '/blobs/sha256-aaaa'");
            self.ms += took;
            self.line(
                "srv    load_model: initializing, n_slots = 1, n_ctx_slot = 4096, kv_unified = 'false'",
            );
            self.line("srv          init: model loaded");
            if is_told {
                let (whole, part) = (took / 1_000, took % 1_000 / 10);
                self.own_line(&format!("llama runner started in {whole}.{part:02} seconds"));
            }
        }
        self.ms += plan.queue;
        let task = number * 100;
        self.line("slot get_availabl: id  0 | task -1 | selected slot by LRU, t_last = -1");
        self.line(&format!("slot launch_slot_: id  0 | task {task} | processing task, is_child = 0"));
        self.ms += plan.read + plan.write;
        if plan.is_given_up {
            self.line(&format!("srv          stop: cancel task, id_task = {task}"));
        } else {
            let line = |what, ms, n| {
                format!("slot print_timing: id  0 | task {task} | {what} time = {ms}.00 ms / {n} tokens (x)")
            };
            self.line(&line("prompt eval", plan.read, 1_000));
            self.line(&line("       eval", plan.write, 100));
        }
        self.line(&format!(
            "slot      release: id  0 | task {task} | stop processing: n_tokens = 1099, truncated = 0"
        ));
        let (took, status) = (self.ms - came, if plan.is_given_up { 499 } else { 200 });
        let clock = self.clock();
        self.line(&format!(
            "[GIN] 2026/09/11 - {clock} | {status} | {}.{:03}s | 127.0.0.1 | POST     \"/v1/messages\"",
            took / 1_000,
            took % 1_000
        ));
    }
}

fn written(prefix: Prefix, plans: &[Plan]) -> String {
    let mut writer = Writer { prefix, ms: 3_600_000, text: String::new() };
    writer.own_line("Listening on 127.0.0.1:11434 (version 0.13.0)");
    for (number, plan) in plans.iter().enumerate() {
        writer.request(number, plan);
    }
    writer.text
}

/// All that is said of the times in a log.
fn told(text: &str) -> Json {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ollama.log");
    std::fs::write(&log, text).unwrap();
    let recording = Recording::builder().server_log(&log).open().unwrap();
    let mut told = serde_json::to_value(recording.timing().unwrap()).unwrap();
    let folder = folder.path().to_string_lossy().into_owned();
    hide(&mut told, &folder);
    told
}

/// Leaves out the name of a folder that each log has of its own.
fn hide(json: &mut Json, folder: &str) {
    match json {
        Json::String(text) => *text = text.replace(folder, ""),
        Json::Array(items) => items.iter_mut().for_each(|item| hide(item, folder)),
        Json::Object(members) => members.values_mut().for_each(|member| hide(member, folder)),
        _ => {}
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let load = prop::option::weighted(0.4, (10_u64..12_000, any::<bool>()));
    let times = (0_u64..9_000, 0_u64..3_000, 1_u64..9_000, 1_u64..9_000);
    (times, load, prop::bool::weighted(0.2)).prop_map(|((after, queue, read, write), load, is_given_up)| {
        Plan { after, load, queue, read, write, is_given_up }
    })
}

#[test]
fn a_request_that_waited_for_its_model_waited_for_it_behind_any_stamp() {
    let plan = Plan {
        after: 0,
        load: Some((8_000, true)),
        queue: 107,
        read: 6_000,
        write: 5_000,
        is_given_up: false,
    };
    for prefix in [Prefix::None].into_iter().chain(PREFIXES) {
        let told = told(&written(prefix, std::slice::from_ref(&plan)));
        let task = &told["unmatched_log_requests"][0];
        assert_eq!(task["start"], "2026-09-10T22:59:59.893Z", "{prefix:?}");
        assert_eq!((&task["load_ms"], &task["queue_ms"]), (&8_000.into(), &107.into()), "{prefix:?}");
        assert_eq!(told["server_logs"][0]["loads"].as_array().unwrap().len(), 1, "{prefix:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stamp_before_each_line_changes_no_part_of_any_request(plans in prop::collection::vec(plan(), 1..6)) {
        let bare = told(&written(Prefix::None, &plans));
        for prefix in PREFIXES {
            prop_assert_eq!(&told(&written(prefix, &plans)), &bare, "{:?}", prefix);
        }
    }
}
