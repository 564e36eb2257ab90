//! What is left open where a clock, a count or a time does not tell.

use super::super::apply::{Around, facts, timing};
use super::*;

#[test]
fn a_task_that_fits_two_requests_is_neithers() {
    let mut roots =
        [vec![request("a", 0, Some((100, 5))), request("b", 5_000, None), request("c", 5_050, None)]];
    let tasks = vec![task(0, since_start(4_000), (100, 5)), task(0, since_start(8_990), (640, 6))];
    let (servers, unmatched) = joined(&mut roots, &[log("server.log", tasks)]);
    assert_eq!((servers[0].joined, unmatched.len()), (1, 1));
}

#[test]
fn a_request_with_other_counts_is_not_known_by_its_time() {
    let counts = Some((300, 7));
    let mut roots = [vec![request("a", 0, Some((100, 5))), request("b", 5_000, counts)]];
    let tasks = vec![task(0, since_start(4_000), (100, 5)), task(0, since_start(8_990), (640, 6))];
    let (servers, _) = joined(&mut roots, &[log("server.log", tasks)]);
    assert_eq!(servers[0].joined, 1);
}

#[test]
fn a_task_without_times_that_took_longer_is_another() {
    let mut roots = [vec![request("a", 0, Some((100, 5))), request("b", 5_000, Some((100, 5)))]];
    let slow = BackendTask { read_ms: Some(1_500.0), ..task(0, None, (100, 5)) };
    let (servers, _) = joined(&mut roots, &[log("bare.log", vec![slow, task(0, None, (100, 5))])]);
    assert_eq!(servers[0].joined, 1);
    assert_eq!(found(&roots[0][0]), None);
}

#[test]
fn a_clock_in_utc_is_off_by_minutes_and_no_more() {
    let joins = |minutes: i64| {
        let mut roots = [vec![request("a", 0, Some((100, 5))), request("b", 5_000, Some((200, 6)))]];
        let ended = |ms: i64| {
            let ms = NOON_MS + ms + minutes * 60_000;
            Timestamp::from_unix_ms(ms).map(BackendMoment::Instant)
        };
        let tasks = vec![task(0, ended(1_000), (100, 5)), task(0, ended(6_000), (200, 6))];
        joined(&mut roots, &[log("server.log", tasks)]).0[0].joined
    };
    assert_eq!((joins(10), joins(11)), (2, 0));
}

#[test]
fn a_local_clock_that_is_set_wrong_is_no_zone() {
    let zone = |behind_s: i64| {
        let mut roots = [vec![request("a", 0, Some((100, 5))), request("b", 5_000, Some((200, 6)))]];
        let tasks = vec![task(0, local(behind_s + 1), (100, 5)), task(0, local(behind_s + 6), (200, 6))];
        joined(&mut roots, &[log("server.log", tasks)]).0[0].utc_offset_s
    };
    assert_eq!(zone(2 * 3_600 + 3), Some(7_200));
    assert_eq!(zone(2 * 3_600 + 400), Some(7_600), "seven minutes wrong");
}

/// Seconds are cut off: ends seem to be up to a second further apart.
#[test]
fn ends_by_a_local_clock_agree_within_a_second_more() {
    let counts = [(100, 5), (200, 6), (300, 7), (400, 8)];
    let starts = [0, 5_600, 10_200, 15_800].into_iter().zip(counts);
    let mut roots = [starts.map(|(start, counts)| request("a", start, Some(counts))).collect::<Vec<_>>()];
    // Three of another client, nearer to each other.
    let ends = [1, 6, 10, 15, 101, 106, 111].into_iter().zip(counts.into_iter().cycle());
    let tasks = ends.map(|(end, counts)| task(0, local(end), counts)).collect();
    let (servers, _) = joined(&mut roots, &[log("server.log", tasks)]);
    assert_eq!((servers[0].joined, servers[0].utc_offset_s), (4, Some(0)));
    let gaps: Vec<_> = roots[0].iter().map(|request| found(request).and_then(|found| found.1)).collect();
    assert_eq!(gaps, [-600, 0, 600, 1_200].map(Some));
}

#[test]
fn a_load_without_times_may_have_been_in_any_wait() {
    let mut roots = [vec![request("a", 0, Some((100, 5))), request("b", 5_000, Some((200, 6)))]];
    let tasks = vec![task(0, since_start(4_000), (100, 5)), task(0, since_start(9_000), (200, 6))];
    let mut server = log("server.log", tasks);
    server.content.loads = vec![BackendLoad { load_ms: Some(500.0), ..BackendLoad::default() }];
    joined(&mut roots, &[server]);
    assert!(roots[0].iter().all(|request| request.server_task().unwrap().load_ms.get().is_none()));
}

#[test]
fn a_model_that_clients_name_differently_keeps_the_servers_name() {
    let unmatched = |second: &str| {
        let mut roots = [vec![request("a", 0, Some((100, 5))), request("b", 5_000, Some((200, 6)))]];
        (roots[0][0].model, roots[0][1].model) = (Some("lab/a".into()), Some(second.into()));
        let of =
            |end, counts| BackendTask { model: Some("a-q4".into()), ..task(0, since_start(end), counts) };
        let tasks = vec![of(4_000, (100, 5)), of(9_000, (200, 6)), of(20_000, (300, 7))];
        let (_, unmatched) = joined(&mut roots, &[log("server.log", tasks)]);
        unmatched[0].model.as_deref().map(str::to_owned)
    };
    assert_eq!(unmatched("lab/a").as_deref(), Some("lab/a"));
    assert_eq!(unmatched("lab/b").as_deref(), Some("a-q4"));
}

#[test]
fn whole_seconds_show_no_wait() {
    let times = |received, started, ended| {
        let task = BackendTask { received, started, ..task(0, ended, (100, 5)) };
        let timing = timing(&task);
        (timing.ttft_ms.get(), facts(&task, Around::default()).queue_ms.get(), timing.uncertainty_ms.get())
    };
    // A second between the stamps, and 0.9 s of work: they may be as far apart as that.
    assert_eq!(times(local(0), local(0), local(1)), (Some(500), None, Some(1_000)));
    assert_eq!(times(local(0), local(1), local(3)), (Some(2_600), None, Some(1_000)));
    let exact = times(since_start(0), since_start(100), since_start(1_000));
    assert_eq!(exact, (Some(600), Some(100), None));
}

#[test]
fn the_clients_count_of_the_answer_stands() {
    let mut request = request("a", 0, Some((100, 5)));
    super::super::apply::apply(&mut request, &task(0, since_start(4_000), (100, 9)), Around::default());
    assert_eq!(request.timing.unwrap().output_tokens, Some(5));
}
