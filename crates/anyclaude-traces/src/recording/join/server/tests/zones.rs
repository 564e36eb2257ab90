//! Local times of a log in which clocks are changed.

use super::*;

const SUMMER_S: i64 = 7_200;
const WINTER_S: i64 = 3_600;

/// A zone in which clocks are set back one hour after noon in UTC: from 15:00 to 14:00.
fn set_back(seconds: i64) -> Option<AheadOfUtc> {
    let (first_s, last_s) = match seconds - NOON_MS / 1_000 {
        ..7_200 => (SUMMER_S, SUMMER_S),
        7_200..10_800 => (SUMMER_S, WINTER_S),
        10_800.. => (WINTER_S, WINTER_S),
    };
    Some(AheadOfUtc { first_s, last_s })
}

/// A moment after clocks were set back.
fn again(seconds: i64) -> Option<BackendMoment> {
    Some(BackendMoment::LocalSecond { seconds: NOON_MS / 1_000 + seconds, is_repeated: true })
}

/// How many requests of before, in and after the hour that comes twice are joined, the offset,
/// and when tasks of nobody began, in seconds after noon in UTC.
fn joined_across(zone: &LogZone) -> (u64, Option<i64>, Vec<Option<i64>>) {
    let starts = [(0, (100, 5)), (5_400_000, (200, 6)), (9_000_000, (300, 7))];
    let mut roots = [starts.map(|(start, counts)| request("a", start, Some(counts))).to_vec()];
    let tasks = vec![
        task(0, local(7_201), (100, 5)),
        task(0, local(9_100), (900, 9)),
        task(0, again(9_001), (200, 6)),
        task(0, again(9_100), (900, 9)),
        task(0, local(12_000), (900, 9)),
        task(0, local(12_601), (300, 7)),
    ];
    let (servers, unmatched) = joined_in(zone, &mut roots, &[log("server.log", tasks)]);
    let began = |found: &UnmatchedLogRequest| Some((found.start?.unix_ms() - NOON_MS) / 1_000);
    let mut began: Vec<_> = unmatched.iter().map(began).collect();
    began.sort_unstable();
    (servers[0].joined, servers[0].utc_offset_s, began)
}

#[test]
fn clocks_that_are_set_back_are_followed_in_a_zone_that_is_named() {
    let zone = LogZone::Place(Arc::new(set_back));
    assert_eq!(joined_across(&zone), (3, Some(WINTER_S), [1_900, 5_500, 8_400].map(Some).to_vec()));
    // In one that never changes it is another server's log, by its times in winter.
    assert_eq!(joined_across(&LogZone::Named(SUMMER_S)).0, 0);
}

#[test]
fn the_zone_of_the_machine_is_followed_where_the_joins_agree_with_it() {
    let here = LogZone::Machine(set_back);
    assert_eq!(joined_across(&here), (3, Some(WINTER_S), [1_900, 5_500, 8_400].map(Some).to_vec()));
    let elsewhere = LogZone::Machine(|_| Some(AheadOfUtc { first_s: 0, last_s: 0 }));
    let by_joins = [5_500, 5_500, 8_400].map(Some).to_vec();
    assert_eq!(joined_across(&elsewhere), (3, Some(WINTER_S), by_joins.clone()));
    assert_eq!(joined_across(&LogZone::Unknown), (3, Some(WINTER_S), by_joins));
}

/// Nobody is late by the hour that clocks skip.
#[test]
fn clocks_that_are_set_forward_are_followed_too() {
    // At noon in UTC, from 13:00 to 14:00.
    let zone = LogZone::Place(Arc::new(|seconds| {
        let ahead = if seconds < NOON_MS / 1_000 + 2 * 3_600 { WINTER_S } else { SUMMER_S };
        Some(AheadOfUtc { first_s: ahead, last_s: ahead })
    }));
    let tasks = vec![task(0, local(3_000), (100, 5)), task(0, local(7_500), (200, 6))];
    let (_, unmatched) = joined_in(&zone, &mut [], &[log("server.log", tasks)]);
    let began: Vec<_> = unmatched.iter().filter_map(|found| found.start).collect();
    assert_eq!(began.iter().map(|start| start.unix_ms() - NOON_MS).collect::<Vec<_>>(), [-600_000, 300_000]);
}

/// What a clock is wrong by is no part of its zone.
#[test]
fn a_clock_that_is_ahead_is_told_from_its_zone() {
    let found = |ends: [Option<BackendMoment>; 2]| {
        let mut roots = [vec![request("a", 400, Some((100, 5))), request("b", 5_700, Some((200, 6)))]];
        let [first, second] = ends;
        let tasks = vec![task(0, first, (100, 5)), task(0, second, (200, 6))];
        let (servers, _) = joined(&mut roots, &[log("server.log", tasks)]);
        (servers[0].joined, servers[0].utc_offset_s, servers[0].clock_offset_ms)
    };
    // The requests end 1.4 s and 6.7 s after noon.
    let west = -7 * 3_600;
    assert_eq!(found([local(west + 1 + 37), local(west + 6 + 37)]), (2, Some(west), Some(36_600)));
    assert_eq!(found([local(west + 1 - 37), local(west + 6 - 37)]), (2, Some(west), Some(-37_400)));
    let utc = |ms: i64| Timestamp::from_unix_ms(NOON_MS + ms).map(BackendMoment::Instant);
    assert_eq!(found([utc(1_390 + 37_000), utc(6_680 + 37_000)]), (2, None, Some(36_990)));
    assert_eq!(found([since_start(1_390), since_start(6_680)]), (2, None, None));
    // No zone is so far from a quarter of an hour: then nobody knows what is the zone's.
    assert_eq!(found([local(301), local(306)]), (2, Some(299), Some(0)));
}
