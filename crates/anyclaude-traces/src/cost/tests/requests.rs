//! What requests and logs say, as the model takes it over, and what it sums up over them.

use super::*;
use crate::cost::case::sent_bytes;
use crate::cost::plausibility;
use crate::cost::{Estimates, breakdown, cases, fit, speeds, speeds_by_model};
use crate::model::request::{Join, Request};
use crate::model::time::Timestamp;
use crate::model::timing::{Confidence, Outcome};
use crate::model::{LogFacts, SpeedSource, Speeds};
use crate::recording::join::UnmatchedLogRequest;

fn moment(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_770_000_000_000 + ms).unwrap()
}

fn times(start_ms: i64) -> Timing {
    Timing {
        start: Some(moment(start_ms)),
        proxy_ms: 120.into(),
        ttft_ms: 10_000.into(),
        total_ms: 12_000.into(),
        events: 105.into(),
        event_bytes: (105 * 115 + 400).into(),
        prompt_tokens: 10_000.into(),
        output_tokens: 100.into(),
        cached_tokens: 7_000.into(),
        cached_source: Some(CachedSource::Reported),
        outcome: Some(Outcome::Completed),
        ..Timing::default()
    }
}

fn facts() -> LogFacts {
    LogFacts {
        stall_ms: 3.into(),
        text_chunks: 100.into(),
        reasoning_tokens: 30.into(),
        streamed_reasoning: Some(true),
        backend_ms: 12_500.into(),
        ..LogFacts::default()
    }
}

fn request(name: &str, start_ms: i64) -> Request {
    let mut request = Request::builder(name)
        .mode("lmstudio")
        .session("session")
        .thread("thread")
        .run("run")
        .model("qwen")
        .sizes(|sizes| {
            (sizes.system_bytes, sizes.tools_bytes) = (30_000.into(), 6_000.into());
            sizes.messages_bytes = 4_000.into();
        })
        .timing(|timing| *timing = times(start_ms))
        .build();
    request.stream = true;
    request.join =
        Some(Box::new(Join { log: "log".into(), gap_ms: Some(1), confidence: Confidence::Likely }));
    request.bookkeeping.log_facts = Some(Box::new(facts()));
    request
}

fn unmatched(start_ms: i64) -> UnmatchedLogRequest {
    UnmatchedLogRequest {
        start: Some(moment(start_ms)),
        run: Some("run".into()),
        log: None,
        endpoint: None,
        requested_model: None,
        model: Some("qwen".into()),
        model_source: None,
        tool_count: None,
        message_count: None,
        max_tokens: None,
        stream: Some(true),
        timing: Box::new(times(start_ms)),
        confidence: Confidence::Likely,
        log_facts: Some(Box::new(facts())),
        server_task: None,
        root: None,
    }
}

#[track_caller]
fn assert_has_all_times(case: &Case, start_ms: i64) {
    assert_eq!(case.start_ms, Some(1_770_000_000_000 + start_ms));
    assert_eq!(
        (case.proxy_ms.get(), case.ttft_ms.get(), case.total_ms.get()),
        (Some(120), Some(10_000), Some(12_000))
    );
    assert_eq!(
        (case.backend_ms.get(), case.stall_ms.get(), case.text_chunks.get()),
        (Some(12_500), Some(3), Some(100))
    );
    assert_eq!((case.events.get(), case.event_bytes.get()), (Some(105), Some(105 * 115 + 400)));
    assert_eq!((case.reasoning_tokens.get(), case.streamed_reasoning), (Some(30), Some(true)));
    assert_eq!(
        (case.reported_prompt_tokens.get(), case.reported_output_tokens.get()),
        (Some(10_000), Some(100))
    );
    assert_eq!(case.reported_cached_tokens, Some(7_000));
    assert!(case.is_certain);
}

#[test]
fn nothing_that_a_request_and_its_log_say_is_lost() {
    let case = Case::of_request(&request("a.json", 5), reused(90), 3).unwrap();
    assert_has_all_times(&case, 5);
    assert_eq!((case.source, case.request_index()), (CaseSource::Request(3), Some(3)));
    assert_eq!((case.origin.model.as_deref(), case.origin.run.as_deref()), (Some("qwen"), Some("run")));
    assert_eq!(
        (case.origin.backend.as_deref(), case.session.as_deref()),
        (Some("lmstudio"), Some("session"))
    );
    assert_eq!(case.thread.as_deref(), Some("thread"));
    assert_eq!((case.prompt_bytes.get(), case.reuse), (Some(40_000), reused(90)));
    let case = Case::of_log_request(&unmatched(5), 3);
    assert_has_all_times(&case, 5);
    assert_eq!((case.source, case.request_index()), (CaseSource::LogOnly(3), None));
    assert_eq!((case.origin.model.as_deref(), case.origin.run.as_deref()), (Some("qwen"), Some("run")));
}

#[test]
fn what_began_at_once_is_in_the_order_of_its_paths_however_it_comes() {
    let names = |order: [&str; 3]| {
        let mut requests = order.map(|name| request(name, 5));
        let requests = requests.each_mut();
        let unmatched = [unmatched(5), unmatched(4)];
        let cases = cases(&requests, &unmatched, &[], &Estimates::new());
        let name = |case: &Case| Some(requests.get(case.request_index()?)?.path.as_ref().to_owned());
        cases.iter().map(name).collect::<Vec<_>>()
    };
    let sorted = [None, None, Some("a.json".into()), Some("b.json".into()), Some("c.json".into())];
    for order in
        [["a.json", "b.json", "c.json"], ["c.json", "a.json", "b.json"], ["b.json", "c.json", "a.json"]]
    {
        assert_eq!(names(order), sorted, "{order:?}");
    }
}

#[test]
fn the_prompt_is_what_the_backend_got_else_what_was_sent() {
    let bytes = |reuse| Case::of_request(&request("a.json", 0), reuse, 0).unwrap().prompt_bytes;
    let got = |prompt_bytes| Some(SimulatedReuse { prompt_bytes, reusable_bytes: 0, continues: None });
    assert_eq!(bytes(got(39_000)), Some(39_000));
    assert_eq!((bytes(None).get(), bytes(got(0)).get()), (Some(40_000), Some(40_000)));
    assert_eq!(sent_bytes(&request("a.json", 0)), Some(40_000));
}

#[test]
fn only_what_was_streamed_completed_and_joined_without_doubt_is_certain() {
    let changes: [fn(&mut Request); 5] = [
        |request| request.stream = false,
        |request| request.join = None,
        |request| request.join.as_mut().unwrap().confidence = Confidence::Ambiguous,
        |request| request.timing.as_mut().unwrap().outcome = Some(Outcome::Failed),
        |request| request.timing.as_mut().unwrap().outcome = None,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut request = request("a.json", 0);
        change(&mut request);
        assert!(!Case::of_request(&request, None, 0).unwrap().is_certain, "{at}");
    }
    let changes: [fn(&mut UnmatchedLogRequest); 4] = [
        |one| one.stream = Some(false),
        |one| one.stream = None,
        |one| one.confidence = Confidence::Ambiguous,
        |one| one.timing.outcome = Some(Outcome::Failed),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut unmatched = unmatched(0);
        change(&mut unmatched);
        assert!(!Case::of_log_request(&unmatched, 0).is_certain, "{at}");
    }
}

#[test]
fn counts_and_times_that_tell_nothing_are_unknown() {
    let case = |change: fn(&mut Timing)| {
        let mut request = request("a.json", 0);
        change(request.timing.as_mut().unwrap());
        Case::of_request(&request, None, 0).unwrap()
    };
    assert_eq!(case(|timing| timing.prompt_tokens = 0.into()).reported_prompt_tokens, None);
    assert_eq!(case(|timing| timing.ttft_ms = 12_000.into()).ttft_ms, Some(12_000));
    assert_eq!(case(|timing| timing.ttft_ms = 12_001.into()).ttft_ms, None, "after the end");
    assert_eq!(case(|timing| timing.total_ms = Amount::UNKNOWN).ttft_ms, None);
    // What an earlier run of the model filled is no evidence for the next.
    let simulated = |timing: &mut Timing| timing.cached_source = Some(CachedSource::Simulated);
    assert_eq!(case(simulated).reported_cached_tokens, None);
}

#[test]
fn an_estimate_is_that_of_the_request_at_its_place() {
    let (mut one, mut other) = (request("a.json", 0), request("b.json", 60_000));
    // 10,000 tokens are more than three times 2,000, and a template.
    let estimates = Estimates::from([(1, 2_000.0)]);
    fit(&mut [&mut one, &mut other], &mut [], &[], &estimates);
    let read = |request: &Request| request.timing.as_ref().unwrap().read_tokens;
    assert_eq!((read(&one).get(), read(&other).get()), (Some(3_000), None));
}

#[test]
fn what_only_the_log_knows_of_occupies_the_backend_of_its_process() {
    let alone = |run: &str| {
        let mut request = request("a.json", 0);
        request.bookkeeping.log_facts = None;
        let mut other = unmatched(2_000);
        other.run = Some(run.into());
        let mut elsewhere = [other];
        fit(&mut [&mut request], &mut elsewhere, &[], &Estimates::new());
        assert!(elsewhere[0].timing.read_ms.is_known(), "its own parts are filled too");
        request.bookkeeping.speed_sample.reads
    };
    assert!(!alone("run"));
    assert!(alone("another run"), "nothing tells which backend that one has");
}

#[test]
fn only_counts_that_are_unusual_are_held_against_an_estimate() {
    let with = |tokens: u64| {
        let mut request = request("a.json", 0);
        request.timing.as_mut().unwrap().prompt_tokens = tokens.into();
        request
    };
    // 40,000 bytes: 4 a token, 40 a token (twice), no count, more than can be.
    let requests = [10_000, 1_000, 1_000, 0, 90_000].map(with);
    let requests: Vec<&Request> = requests.iter().collect();
    let got = |prompt_bytes| SimulatedReuse { prompt_bytes, reusable_bytes: 0, continues: None };
    let mut asked = Vec::new();
    let mut estimate = |requests: &[&Request]| {
        asked.extend(requests.iter().map(|request| request.timing.as_ref().unwrap().prompt_tokens));
        vec![Some(12_000.0); requests.len()]
    };
    let reuse = [0, 0, 20_000, 0, 0].map(got);
    let found = plausibility::estimates(&requests, &reuse, &mut estimate);
    assert_eq!(found, Estimates::from([(1, 12_000.0), (2, 6_000.0)]), "of half the prompt half of it");
    assert_eq!(asked, [Some(1_000), Some(1_000)]);
}

/// A request that tells how fast its model reads and writes.
fn sampled(model: &str, read_ms: u64, cache: CacheUse) -> Request {
    let mut request = request("a.json", 0);
    request.model = Some(model.into());
    let timing = request.timing.as_mut().unwrap();
    (timing.read_tokens, timing.read_ms, timing.write_ms) = (1_000.into(), read_ms.into(), 1_980.into());
    let sample = &mut request.bookkeeping.speed_sample;
    (sample.reads, sample.writes, sample.cache) = (true, true, cache);
    request
}

#[test]
fn speeds_are_sums_of_tokens_over_sums_of_time() {
    let mut only_writes = sampled("qwen", 1, CacheUse::Unknown);
    only_writes.bookkeeping.speed_sample.reads = false;
    let requests = [
        sampled("qwen", 2_000, CacheUse::Unknown),
        sampled("qwen", 2_000, CacheUse::Reuses),
        sampled("qwen", 4_000, CacheUse::Reuses),
        only_writes,
    ];
    let found = speeds(&requests).unwrap();
    let expected = Speeds {
        read_tokens_per_second: Some(375.0),
        write_tokens_per_second: Some(50.0),
        cache: CacheUse::Reuses,
        n_read: 3,
        n_write: 4,
        // 500/s twice and 250/s, against 375/s.
        spread: found.spread,
        source: Some(SpeedSource::Requests),
    };
    assert_eq!(found, expected);
    assert!((found.spread.unwrap() - 1.0 / 3.0).abs() < 1e-9, "{:?}", found.spread);
    assert_eq!((found.reading_ms(750.0), found.writing_ms(25.0)), (Some(2_000.0), Some(500.0)));
}

#[test]
fn speeds_have_a_source_where_anything_tells_of_them() {
    let of = |reads: bool, writes: bool| {
        let mut request = sampled("qwen", 1_000, CacheUse::Unknown);
        (request.bookkeeping.speed_sample.reads, request.bookkeeping.speed_sample.writes) = (reads, writes);
        let found = speeds([&request]).unwrap();
        (found.n_read, found.n_write, found.source)
    };
    assert_eq!(of(true, false), (1, 0, Some(SpeedSource::Requests)));
    assert_eq!(of(false, true), (0, 1, Some(SpeedSource::Requests)));
    assert_eq!(of(false, false), (0, 0, None));
}

#[test]
fn speeds_of_two_models_are_two_speeds() {
    let requests = [sampled("qwen", 1_000, CacheUse::Reuses), sampled("gpt", 500, CacheUse::ReadsAll)];
    assert_eq!(speeds(&requests), None);
    let found: Vec<_> = speeds_by_model(&requests)
        .into_iter()
        .map(|one| (one.model.unwrap().to_string(), one.speeds.read_tokens_per_second, one.speeds.cache))
        .collect();
    let expected = [
        ("gpt".to_owned(), Some(2_000.0), CacheUse::ReadsAll),
        ("qwen".to_owned(), Some(1_000.0), CacheUse::Reuses),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_proxys_time_is_in_the_means_where_half_of_them_have_it() {
    let made = |proxy_ms: Option<u64>| {
        let mut request = request("a.json", 0);
        let timing = request.timing.as_mut().unwrap();
        (timing.proxy_ms, timing.other_ms, timing.load_ms) = (proxy_ms.into(), 0.into(), 300.into());
        timing.wall_ms = proxy_ms.map(|ms| ms + 12_000).into();
        request
    };
    let found = breakdown(&[made(Some(100)), made(None), made(None)]).unwrap();
    assert_eq!((found.requests, found.proxy_ms, found.wall_ms), (3, None, Some(12_000.0)));
    assert_eq!(found.load_ms, Some(300.0));
    let found = breakdown(&[made(Some(100)), made(None)]).unwrap();
    assert_eq!((found.requests, found.proxy_ms, found.wall_ms), (1, Some(100.0), Some(12_100.0)));
}
