//! Reports of requests whose figures are known.

use proptest::prelude::*;

use super::*;
use crate::analysis::explain::Doubt;
use crate::analysis::explain::tests::{MADE, Made, request, side};
use crate::analysis::timing::timing;
use crate::model::Amount;
use crate::model::group::Grouping;
use crate::model::measure::Value;
use crate::model::request::Kind;
use crate::model::scope::KindFilter;
use crate::model::stats::Stats;
use crate::recording::join::Joined;

/// The report of these requests as one side.
fn reported(requests: &[Request], direct: Option<Direct>) -> Report {
    let kind = KindFilter::Only(Kind::Conversation);
    let scope = Scope::new(None, None, kind, requests.len() as u64);
    let joined = Joined::default();
    let side = ReportSide { name: "a model".to_owned(), requests: requests.iter().collect(), direct };
    report(ReportInput {
        timing: timing(scope, requests.to_vec(), &[], joined, Vec::new(), kind, &Grouping::by_model()),
        others: &[],
        compared: ComparedSides::of(&[side], &[]),
        findings: Vec::new(),
        explanation: None,
        prefix: None,
        texts: Vec::new(),
    })
}

fn why(report: &Report, topic: CheckKind) -> String {
    let point = report.points.iter().find(|point| point.topic == topic).unwrap();
    match &point.answers[0].finding {
        CheckResult::Known(figures) => panic!("{topic:?} is known: {figures:?}"),
        CheckResult::Unknown(why) => why.to_string(),
    }
}

fn medians(report: &Report, topic: CheckKind) -> Vec<(&str, Option<f64>)> {
    let point = report.points.iter().find(|point| point.topic == topic).unwrap();
    match &point.answers[0].finding {
        CheckResult::Known(figures) => figures
            .iter()
            .map(|figure| (figure.name.as_ref(), figure.stats.map(|stats: Stats<Value>| stats.p50.as_f64())))
            .collect(),
        CheckResult::Unknown(why) => panic!("{topic:?} is unknown: {why}"),
    }
}

#[test]
fn each_point_has_figures_where_they_are_known() {
    let mut requests = side("m", &[Made { ttft_ms: 31_000, ..MADE }; 3]);
    requests[2].timing.as_mut().unwrap().reported_tokens_per_second = Some(12.5);
    let direct = Direct { ttft_ms: 900.0, output_tokens_per_second: Some(30.0), doubt: None };
    let report = reported(&requests, Some(direct));
    assert_eq!(medians(&report, CheckKind::Keepalives), [("keepalives", Some(3.0))]);
    assert_eq!(
        medians(&report, CheckKind::TokensPerSecondDirect),
        [("output_tokens_per_second", Some(30.0))]
    );
    assert_eq!(
        medians(&report, CheckKind::TokensPerSecondThroughAnyclaude),
        [("reported_tokens_per_second", Some(12.5))]
    );
    assert_eq!(medians(&report, CheckKind::PromptSizes)[0], ("body_bytes", Some(1000.0)));
    assert_eq!(medians(&report, CheckKind::ChunkCounts), [("events", Some(100.0)), ("parts", None)]);
    assert!(report.headline.starts_with("No verdict: "));
}

#[test]
fn each_point_says_why_it_is_unknown_and_how_to_find_out() {
    let requests = side("m", &[MADE; 3]);
    let report = reported(&requests, None);
    assert!(why(&report, CheckKind::TokensPerSecondDirect).contains("not measured"));
    assert!(why(&report, CheckKind::TokensPerSecondThroughAnyclaude).contains("no token counts"));
    let silent = Direct { ttft_ms: 900.0, output_tokens_per_second: None, doubt: None };
    let report = reported(&requests, Some(silent));
    assert!(why(&report, CheckKind::TokensPerSecondDirect).contains("no token counts"));
    let of = |doubt| Direct { ttft_ms: 900.0, output_tokens_per_second: Some(30.0), doubt: Some(doubt) };
    let other = reported(&requests, Some(of(Doubt::OtherModel("another".to_owned()))));
    assert!(why(&other, CheckKind::TokensPerSecondDirect).contains("the replay is of another"));
    let cached = reported(&requests, Some(of(Doubt::MaybeCached)));
    let speed = [("output_tokens_per_second", Some(30.0))];
    assert_eq!(medians(&cached, CheckKind::TokensPerSecondDirect), speed, "a cache does not write");

    let changed = |change: fn(&mut Request)| {
        let mut requests = side("m", &[MADE; 3]);
        requests.iter_mut().for_each(change);
        reported(&requests, None)
    };
    let level_1 = changed(|request| request.timing.as_mut().unwrap().keepalives = Amount::UNKNOWN);
    assert!(
        why(&level_1, CheckKind::Keepalives).contains("level 1 logs none: record with ANYCLAUDE_DEBUG=2")
    );
    let unlogged = changed(|request| (request.timing, request.join) = (None, None));
    for topic in [CheckKind::Keepalives, CheckKind::TokensPerSecondThroughAnyclaude, CheckKind::ChunkCounts] {
        assert!(why(&unlogged, topic).contains("no log tells of these requests"), "{topic:?}");
    }
    let claude = changed(|request| {
        (request.timing, request.join) = (None, None);
        request.mode = Some("claude".into());
    });
    assert!(why(&claude, CheckKind::Keepalives).contains("mode claude"));
    let unfinished = changed(|request| request.timing = None);
    assert!(why(&unfinished, CheckKind::ChunkCounts).contains("no streamed request has an end"));
    let none = reported(&[], None);
    for topic in CheckKind::ALL {
        assert!(why(&none, topic).contains("no requests"), "{topic:?}");
    }
}

#[test]
fn an_answer_is_written_with_figures_or_a_reason() {
    let report = reported(&side("m", &[MADE; 1]), None);
    let json = serde_json::to_value(&report.points).unwrap();
    assert_eq!(json[0]["topic"], "keepalives");
    assert_eq!(json[0]["answers"][0]["figures"][0]["stats"]["max"], 0);
    assert_eq!(json[0]["answers"][0]["unknown"], serde_json::Value::Null);
    assert_eq!(json[1]["answers"][0]["figures"], serde_json::Value::Null);
    assert!(json[1]["answers"][0]["unknown"].as_str().unwrap().starts_with("not measured"));
}

/// Sessions of so many requests, one after the other.
fn sessions(lengths: &[usize]) -> Vec<Request> {
    let mut requests = Vec::new();
    for (session, &length) in lengths.iter().enumerate() {
        for at in 0..length {
            let mut one = request("m", requests.len(), MADE);
            one.session = Some(format!("session {session}").into());
            one.sizes.system_bytes = 100.into();
            one.sizes.tools_bytes = 200.into();
            one.sizes.messages_bytes = ((at as u64 * 7919) % 1000).into();
            one.sizes.other_bytes = 10.into();
            requests.push(one);
        }
    }
    requests
}

#[test]
fn the_sessions_with_most_requests_are_shown_in_order_of_time() {
    let report = reported(&sessions(&[2, 9, 1, 5, 2, 3]), None);
    let ids: Vec<&str> = report.growth.sessions.iter().filter_map(|one| one.id.as_deref()).collect();
    assert_eq!(ids, ["session 0", "session 1", "session 3", "session 5"]);
    assert_eq!(report.growth.other_sessions, 2);
    assert_eq!(report.totals.sessions, 6);
    let growth = reported(&sessions(&[1, 3, 1]), None).growth;
    assert_eq!((growth.sessions.len(), growth.other_sessions), (1, 2), "one request is no growth");
}

#[test]
fn a_long_session_is_thinned_to_its_largest_prompts() {
    let requests = sessions(&[1000]);
    let growth = reported(&requests, None).growth;
    let prompts = &growth.sessions[0].prompts;
    assert!(prompts.len() <= 400 && prompts.len() > 200, "{}", prompts.len());
    assert_eq!((prompts[0].request, prompts.last().unwrap().request), (1, 1000));
    for (at, few) in requests[1..999].chunks(3).enumerate() {
        let at = at + 1;
        let largest = few.iter().map(|one| one.sizes.messages_bytes.get().unwrap()).max().unwrap();
        assert_eq!(prompts[at].messages_bytes, largest);
        let shown = &requests[prompts[at].request as usize - 1];
        assert_eq!(shown.sizes.messages_bytes, largest);
    }
}

#[test]
fn points_are_the_requests_that_the_reading_speed_comes_from() {
    let mut requests = side("m", &[MADE; 8]);
    for request in &mut requests[3..] {
        request.bookkeeping.speed_sample.reads = true;
        let stamp = request.timestamp;
        let timing = request.timing.as_mut().unwrap();
        timing.start = stamp;
        (timing.read_tokens, timing.read_ms) = (1_000.into(), timing.ttft_ms);
    }
    requests[2].timing = None;
    let reading = reported(&requests, None).reading.remove(0);
    assert_eq!((reading.points.len(), reading.others), (5, 3));
    assert_eq!(reading.line, None, "five points are too few");
    assert_eq!(reading.speeds.map(|speeds| speeds.n_read), Some(5));
}

fn exact(base_ms: f64, ms_per_token: f64, tokens: &[u32]) -> Vec<(f64, f64)> {
    tokens.iter().map(|&tokens| f64::from(tokens)).map(|x| (x, base_ms + ms_per_token * x)).collect()
}

#[test]
fn no_line_without_spread() {
    assert_eq!(Line::through(&exact(1.0, 1.0, &[7; 20])), None);
    assert_eq!(Line::through(&exact(1.0, 1.0, &[1, 2, 3, 4, 5])), None);
    let flat = Line::through(&exact(50.0, 0.0, &[1, 2, 3, 4, 5, 6])).unwrap();
    assert_eq!((flat.base_ms, flat.ms_per_token), (50.0, 0.0));
}

#[test]
fn a_cold_start_and_a_few_warm_caches_do_not_turn_the_line() {
    let tokens: Vec<u32> = (1..=30).map(|step| step * 1000).collect();
    let mut points = exact(400.0, 4.0, &tokens);
    points[0].1 = 90_000.0;
    points[14].1 = 0.0;
    points[25].1 = 0.0;
    points[29].1 = 0.0;
    let line = Line::through(&points).unwrap();
    assert!((line.ms_per_token - 4.0).abs() < 0.4, "{line:?}");
    assert!((line.at(15_500.0) - 62_400.0).abs() < 3_000.0, "{line:?}");
}

proptest! {
    #[test]
    fn points_on_a_line_give_that_line(
        base_ms in 0.0..5000.0f64,
        ms_per_token in 0.01..50.0f64,
        tokens in prop::collection::btree_set(1u32..100_000, 6..60),
    ) {
        let tokens: Vec<u32> = tokens.into_iter().collect();
        let line = Line::through(&exact(base_ms, ms_per_token, &tokens)).unwrap();
        prop_assert!((line.ms_per_token - ms_per_token).abs() < 1e-6 * ms_per_token);
        prop_assert!((line.at(0.0) - base_ms).abs() < 1e-3 * (1.0 + ms_per_token));
    }
}
