//! Servers' logs and requests, made by hand.

mod doubts;
mod told_twice;
mod zones;

use super::apply::timing;
use super::*;
use crate::formats::backend::{BackendLoad, BackendMoment, BackendProcess, BackendTask, TaskOutcome};
use crate::model::request::Source;
use crate::model::timing::{CachedSource, Confidence, TokenSource};
use crate::model::{AheadOfUtc, ContextCut};

/// Requests are recorded from here on.
const NOON_MS: i64 = 1_795_867_200_000;

/// A request that begins so many milliseconds after noon and takes 1 s.
fn request(name: &str, start_ms: i64, counts: Option<(u64, u64)>) -> Request {
    let start = Timestamp::from_unix_ms(NOON_MS + start_ms);
    Request::builder(format!("{name}.json"))
        .timing(|timing| {
            (timing.start, timing.ttft_ms, timing.total_ms) = (start, 600.into(), 1_000.into());
            timing.prompt_tokens = counts.map(|counts| counts.0).into();
            timing.output_tokens = counts.map(|counts| counts.1).into();
        })
        .build()
}

/// A task that ended at a moment, having worked for 0.9 s, of which 0.5 s for its prompt.
fn task(process: usize, ended: Option<BackendMoment>, (prompt, output): (u64, u64)) -> BackendTask {
    BackendTask {
        process,
        ended,
        started: match ended {
            Some(BackendMoment::SinceStart { us }) => Some(BackendMoment::SinceStart { us: us - 900_000 }),
            other => other,
        },
        prompt_tokens: Some(prompt),
        cached_tokens: Some(prompt - 7),
        read_tokens: Some(7),
        output_tokens: Some(output),
        read_ms: Some(500.0),
        write_ms: Some(400.0),
        outcome: TaskOutcome::Completed,
        ..BackendTask::default()
    }
}

fn since_start(ms: u64) -> Option<BackendMoment> {
    Some(BackendMoment::SinceStart { us: ms * 1_000 })
}

fn local(seconds: i64) -> Option<BackendMoment> {
    Some(BackendMoment::LocalSecond { seconds: NOON_MS / 1_000 + seconds, is_repeated: false })
}

fn log(name: &str, tasks: Vec<BackendTask>) -> LogFile<BackendLog> {
    let mut content = BackendLog::new(BackendFormat::LlamaServer);
    content.processes = vec![BackendProcess::default(); 3];
    content.tasks = tasks;
    LogFile { path: name.into(), content }
}

/// Joins the requests of each root with the logs.
fn joined(
    roots: &mut [Vec<Request>],
    logs: &[LogFile<BackendLog>],
) -> (Vec<ServerLog>, Vec<UnmatchedLogRequest>) {
    joined_in(&LogZone::Unknown, roots, logs)
}

/// The same where local times are of this zone.
fn joined_in(
    zone: &LogZone,
    roots: &mut [Vec<Request>],
    logs: &[LogFile<BackendLog>],
) -> (Vec<ServerLog>, Vec<UnmatchedLogRequest>) {
    let mut requests: Vec<Vec<&mut Request>> =
        roots.iter_mut().map(|root| root.iter_mut().collect()).collect();
    let mut of_roots: Vec<OfRoot<'_, '_>> = requests
        .iter_mut()
        .enumerate()
        .map(|(at, requests)| OfRoot { root: Some(format!("root-{at}").into()), requests })
        .collect();
    let (logs, unmatched) = join_server_logs(&mut of_roots, logs.into(), zone);
    (logs, unmatched.into_iter().map(|logged| logged.found).collect())
}

fn found(request: &Request) -> Option<(&str, Option<i64>, Confidence)> {
    let join = request.server_join.as_deref()?;
    Some((&*join.log, join.gap_ms, join.confidence))
}

#[test]
fn whoever_recorded_the_requests_finds_them_in_the_log_of_the_server() {
    let of = |source, mode: Option<&str>| -> Option<usize> {
        let named = ["a", "b"].into_iter().zip([(0, (100, 5)), (5_000, (200, 6))]);
        let mut root: Vec<Request> =
            named.map(|(name, (start, counts))| request(name, start, Some(counts))).collect();
        for request in &mut root {
            (request.source, request.mode) = (source, mode.map(Into::into));
        }
        let tasks = vec![task(0, since_start(4_000), (100, 5)), task(0, since_start(8_998), (200, 6))];
        let (servers, unmatched) = joined(&mut [root], &[log("server.log", tasks)]);
        (servers[0].joined as usize + unmatched.len() == 2).then_some(unmatched.len())
    };
    for source in [Source::Anyclaude, Source::ClaudeCode, Source::Har, Source::Litellm] {
        assert_eq!(of(source, None), Some(0), "{source:?}");
    }
    assert_eq!(of(Source::Anyclaude, Some("claude")), Some(2), "it goes to Anthropic");
}

#[test]
fn each_process_has_a_clock_of_its_own() {
    let mut roots = [vec![
        request("a", 0, Some((100, 5))),
        request("b", 5_000, Some((200, 6))),
        request("c", 9_000, Some((300, 7))),
        request("d", 12_000, Some((400, 8))),
    ]];
    let logs = [log(
        "server.log",
        vec![
            task(0, since_start(4_000), (100, 5)),
            task(0, since_start(8_998), (200, 6)),
            task(1, since_start(2_000), (300, 7)),
            task(1, since_start(5_004), (400, 8)),
            task(1, since_start(9_000), (10, 1)),
        ],
    )];
    let (servers, unmatched) = joined(&mut roots, &logs);
    let exact = Confidence::Exact;
    let gaps: Vec<_> = roots[0].iter().map(found).collect();
    let of = |gap| Some(("server.log", Some(gap), exact));
    assert_eq!(gaps, [of(0), of(2), of(4), of(0)]);
    assert_eq!(
        servers[0].starts.iter().map(|start| start.unix_ms() - NOON_MS).collect::<Vec<_>>(),
        [-3_000, 7_996]
    );
    assert_eq!((servers[0].requests, servers[0].joined, servers[0].ambiguous), (5, 4, 0));
    assert_eq!(unmatched.len(), 1);
    assert_eq!(unmatched[0].start.map(|start| start.unix_ms() - NOON_MS), Some(7_996 + 8_100));
    let timing = roots[0][0].timing.as_deref().unwrap();
    assert_eq!((timing.cached_tokens.get(), timing.cached_source), (Some(93), Some(CachedSource::ServerLog)));
    assert_eq!(timing.prompt_tokens_source, Some(TokenSource::ServerLog));
}

#[test]
fn of_equal_counts_time_decides() {
    let counts = (10, 1);
    let mut roots = [vec![
        request("a", 0, Some(counts)),
        request("b", 4_000, Some((700, 9))),
        request("c", 8_000, Some(counts)),
        request("d", 20_000, Some(counts)),
    ]];
    // One of another client came before.
    let logs = [log(
        "server.log",
        vec![
            task(0, since_start(1_000), counts),
            task(0, since_start(51_000), counts),
            task(0, since_start(55_000), (700, 9)),
            task(0, since_start(59_000), counts),
            task(0, since_start(71_000), counts),
        ],
    )];
    let (servers, unmatched) = joined(&mut roots, &logs);
    assert_eq!((servers[0].joined, servers[0].ambiguous), (4, 0));
    assert_eq!(unmatched[0].start.map(|start| start.unix_ms() - NOON_MS), Some(-49_900));
    assert!(roots[0].iter().all(|request| found(request).is_some_and(|(_, gap, _)| gap == Some(0))));
}

#[test]
fn what_could_be_two_is_marked_and_not_used() {
    let counts = (10, 1);
    let mut roots = [vec![
        request("a", 0, Some((700, 9))),
        request("b", 4_000, Some(counts)),
        request("c", 4_050, Some(counts)),
    ]];
    let logs = [log(
        "server.log",
        vec![
            task(0, since_start(1_000), (700, 9)),
            task(0, since_start(5_000), counts),
            task(0, since_start(5_050), counts),
        ],
    )];
    let (servers, _) = joined(&mut roots, &logs);
    assert_eq!((servers[0].joined, servers[0].ambiguous), (3, 2));
    let doubtful = &roots[0][1];
    assert_eq!(found(doubtful).map(|(_, _, confidence)| confidence), Some(Confidence::Ambiguous));
    assert!(
        doubtful.server_task().is_none() && doubtful.timing.as_deref().unwrap().cached_tokens.get().is_none()
    );
    assert!(roots[0][0].server_task().is_some());
}

/// Two servers got the same prompts and wrote as many tokens, at another pace.
fn twins() -> ([Vec<Request>; 2], [LogFile<BackendLog>; 2]) {
    let requests = |pace: i64| {
        let request = |at: i64| request("a", at * pace, Some((100 + at.unsigned_abs(), 5)));
        (0..6).map(request).collect::<Vec<_>>()
    };
    let tasks = |name: &str, pace: u64| {
        let task = |at: u64| task(0, since_start(9_000 + at * pace), (100 + at, 5));
        log(name, (0..6).map(task).collect())
    };
    ([requests(2_000), requests(2_700)], [tasks("slow.log", 2_700), tasks("fast.log", 2_000)])
}

#[test]
fn each_log_goes_to_the_root_that_it_fits() {
    let (mut roots, logs) = twins();
    let (servers, unmatched) = joined(&mut roots, &logs);
    assert!(unmatched.is_empty() && servers.iter().all(|log| log.joined == 6));
    assert!(roots[0].iter().all(|request| found(request).is_some_and(|(log, ..)| log == "fast.log")));
    assert!(roots[1].iter().all(|request| found(request).is_some_and(|(log, ..)| log == "slow.log")));
}

#[test]
fn the_log_of_another_server_is_not_joined() {
    let ([requests, _], [slow, _]) = twins();
    let mut roots = [requests];
    let (servers, unmatched) = joined(&mut roots, &[slow]);
    assert_eq!((servers[0].joined, unmatched.len()), (0, 6));
    assert!(unmatched.iter().all(|one| one.start.is_none()), "no clock is known");
    assert!(roots[0].iter().all(|request| request.server_join.is_none()));
}

#[test]
fn a_task_that_took_longer_than_the_request_is_another() {
    let mut roots = [vec![request("a", 0, Some((100, 5)))]];
    let slow = BackendTask { read_ms: Some(1_500.0), ..task(0, since_start(1_000), (100, 5)) };
    let (servers, _) = joined(&mut roots, &[log("server.log", vec![slow])]);
    assert_eq!(servers[0].joined, 0);
}

#[test]
fn the_zone_of_local_times_follows_from_the_joins() {
    // Two hours ahead of UTC; seconds are cut off.
    let mut roots = [vec![request("a", 400, Some((100, 5))), request("b", 5_700, Some((200, 6)))]];
    let ahead = 2 * 3_600;
    let logs = [log(
        "server.log",
        vec![
            task(0, local(ahead + 1), (100, 5)),
            task(0, local(ahead + 6), (200, 6)),
            task(0, local(ahead + 60), (300, 6)),
        ],
    )];
    let (servers, unmatched) = joined(&mut roots, &logs);
    assert_eq!((servers[0].joined, servers[0].utc_offset_s), (2, Some(7_200)));
    assert_eq!(unmatched[0].start.map(|start| start.unix_ms() - NOON_MS), Some(60_000));
    assert_eq!(unmatched[0].timing.uncertainty_ms, Some(1_000));
}

#[test]
fn tasks_without_times_are_taken_in_their_order() {
    let mut roots = [vec![request("a", 0, Some((100, 5))), request("b", 5_000, Some((100, 5)))]];
    let (servers, _) =
        joined(&mut roots, &[log("bare.log", vec![task(0, None, (100, 5)), task(0, None, (100, 5))])]);
    assert_eq!((servers[0].joined, servers[0].ambiguous), (2, 0));
    assert_eq!(found(&roots[0][1]), Some(("bare.log", None, Confidence::Likely)));
    let mut roots = [vec![request("a", 0, Some((100, 5))), request("b", 5_000, Some((100, 5)))]];
    let (servers, _) = joined(&mut roots, &[log("bare.log", vec![task(0, None, (100, 5))])]);
    assert_eq!((servers[0].joined, servers[0].ambiguous), (1, 1), "one is missing, and nothing tells which");
}

#[test]
fn a_request_without_counts_is_known_by_its_time() {
    let mut roots = [vec![request("a", 0, Some((100, 5))), request("b", 5_000, None)]];
    let logs = [log(
        "server.log",
        vec![task(0, since_start(4_000), (100, 5)), task(0, since_start(8_990), (640, 6))],
    )];
    let (servers, unmatched) = joined(&mut roots, &logs);
    assert_eq!((servers[0].joined, unmatched.len()), (2, 0));
    let timing = roots[0][1].timing.as_deref().unwrap();
    assert_eq!((timing.prompt_tokens.get(), timing.output_tokens.get()), (Some(640), Some(6)));
}

#[test]
fn a_load_counts_as_far_as_a_request_waited_for_it() {
    let mut roots = [vec![request("a", 0, Some((100, 5))), request("b", 5_000, Some((200, 6)))]];
    let mut server =
        log("server.log", vec![task(0, since_start(4_000), (100, 5)), task(0, since_start(9_000), (200, 6))]);
    // From 0.4 s before the first request to 0.1 s after its start.
    server.content.loads = vec![BackendLoad {
        started: since_start(2_600),
        ended: since_start(3_100),
        load_ms: Some(500.0),
        ..BackendLoad::default()
    }];
    joined(&mut roots, &[server]);
    let loads: Vec<_> =
        roots[0].iter().map(|request| request.server_task().and_then(|task| task.load_ms.get())).collect();
    assert_eq!(loads, [Some(100), Some(0)]);
}

#[test]
fn the_log_of_another_server_whose_client_sent_the_same_is_taken_for_no_requests() {
    let mut roots = [vec![
        request("a", 0, Some((100, 5))),
        request("b", 5_000, Some((200, 6))),
        request("c", 9_000, Some((300, 7))),
        request("d", 12_000, Some((400, 8))),
    ]];
    // Two counts are the same, at other times.
    let other =
        log("other.log", vec![task(0, since_start(4_000), (100, 5)), task(0, since_start(20_000), (200, 6))]);
    joined(&mut roots, std::slice::from_ref(&other));
    assert!(roots[0].iter().all(|request| found(request).is_none()));
    // A single one fits any clock: no figures are taken of it.
    let single = log("single.log", vec![task(0, since_start(4_000), (100, 5))]);
    joined(&mut roots, &[single]);
    assert_eq!(found(&roots[0][0]).map(|found| found.2), Some(Confidence::Ambiguous));
    assert_eq!(roots[0][0].timing.as_deref().unwrap().cached_source, None);
    // But of a recording of one request.
    let mut roots = [vec![request("a", 0, Some((100, 5)))]];
    joined(&mut roots, &[other]);
    assert_eq!(found(&roots[0][0]).map(|found| found.2), Some(Confidence::Exact));
}

/// Ollama tells how long a request took, and its engine how long it worked on it.
#[test]
fn what_a_server_took_longer_than_its_engine_is_a_wait() {
    let timed = |total_ms| {
        let ended = local(30);
        let timing =
            timing(&BackendTask { started: None, total_ms: Some(total_ms), ..task(0, ended, (100, 5)) });
        [timing.ttft_ms.get(), timing.generation_ms.get(), timing.total_ms.get()]
    };
    assert_eq!(timed(28_900.0), [Some(28_500), Some(400), Some(28_900)]);
    assert_eq!(timed(930.0), [Some(500), Some(430), Some(930)], "the server answers a little later");
    assert_eq!(timed(600.0)[0], Some(500), "whole seconds are rounded down");
}

/// What a log says of its own zone outranks the zone of the machine that reads it.
#[test]
fn the_zone_that_a_log_names_is_that_of_its_other_times() {
    let start = |zone: LogZone, own| {
        let mut log = log("server.log", vec![task(0, local(30), (100, 5))]);
        log.content.ahead_of_utc_s = own;
        let (_, unmatched) = joined_in(&zone, &mut [], &[log]);
        Some(unmatched[0].start?.unix_ms() - NOON_MS)
    };
    let here = || LogZone::Machine(|_| Some(AheadOfUtc { first_s: 3_600, last_s: 3_600 }));
    assert_eq!(start(here(), None), Some(30_000 - 3_600_000));
    assert_eq!(start(here(), Some(-18_000)), Some(30_000 + 18_000_000));
    assert_eq!(start(LogZone::Named(0), Some(-18_000)), Some(30_000), "the user knows better");
}

#[test]
fn what_an_engine_dropped_is_a_truncation_of_its_log() {
    let cut = |whole_prompt_tokens| {
        let cut = ContextCut { context_tokens: Some(8_192), whole_prompt_tokens };
        BackendTask { cut: Some(Box::new(cut)), ..task(0, since_start(4_000), (100, 5)) }
    };
    let mut file =
        log("server.log", vec![cut(None), task(0, since_start(5_000), (100, 6)), cut(Some(9_000))]);
    let truncations = |file: &LogFile<BackendLog>| -> Vec<_> {
        let (servers, _) = joined(&mut [], std::slice::from_ref(file));
        servers[0].truncations.iter().map(|cut| (cut.limit, cut.prompt_tokens)).collect()
    };
    assert_eq!(truncations(&file), [(Some(8_192), None), (Some(8_192), Some(9_000))]);
    // What Ollama says itself that it cut counts once.
    file.content.format = BackendFormat::Ollama;
    assert_eq!(truncations(&file), [(Some(8_192), None)]);
}
