//! Where each rule of a comparison begins to hold, and what it counts.

use super::*;
use crate::model::timing::TokenSource;

const NO_PROXY: Made = Made { proxy_ms: None, ..MADE };
const SLOW: Made = Made { ttft_ms: 9_000, ..MADE };

#[test]
fn a_pair_without_the_proxys_time_of_one_side_is_left_out() {
    let no_proxy = Made { proxy_ms: None, ..SLOW };
    let right = [SLOW, SLOW, SLOW, SLOW, no_proxy, no_proxy, no_proxy];
    let found = compared(&[MADE; 7], &right, Asked::TheSame);
    assert_eq!((found.n, left_out(&found, LeftOutReason::NoProxyTime)), (4, 6));
    // One of three is less than half.
    let found = compared(&[MADE; 3], &[SLOW, no_proxy, no_proxy], Asked::TheSame);
    assert_eq!((found.n, left_out(&found, LeftOutReason::NoProxyTime)), (3, 0));
    assert_eq!(ms_of(&found, DelayCause::Proxy), None);
    assert!(found.missing.contains(&Missing::ProxyTime { known: 1, of: 3 }));
}

#[test]
fn a_request_of_a_group_without_the_proxys_time_is_left_out() {
    let right = [SLOW, SLOW, SLOW, Made { proxy_ms: None, ..SLOW }, Made { proxy_ms: None, ..SLOW }];
    let found = compared(&[MADE; 5], &right, Asked::Otherwise);
    assert_eq!((found.n, left_out(&found, LeftOutReason::NoProxyTime)), (3, 2));
    let found = compared(&[MADE, NO_PROXY, NO_PROXY], &[SLOW; 3], Asked::Otherwise);
    assert_eq!((found.n, ms_of(&found, DelayCause::Proxy)), (3, None), "one of three is less than half");
}

#[test]
fn a_lead_of_which_a_pair_knows_nothing_is_not_sure() {
    let slow = Made { generation_ms: 12_000, ..MADE };
    let unknown = Made { output_tokens: None, ..slow };
    let found = compared(&[MADE; 5], &[slow, slow, slow, slow, unknown], Asked::TheSame);
    assert_eq!(cause(&found), Some(DelayCause::GenerationSpeed));
    assert_eq!(found.verdict.confidence, Some(VerdictConfidence::Medium));
}

#[test]
fn output_tokens_that_cannot_be_true_take_part_in_nothing() {
    let mut right =
        side("slow", &[Made { generation_ms: 12_000, output_tokens: Some(9_000_000), ..MADE }; 5]);
    for request in &mut right {
        request.timing.as_mut().unwrap().output_tokens_source = Some(TokenSource::Implausible);
    }
    let found = compared_requests(&side("fast", &[MADE; 5]), &right, Asked::TheSame);
    assert_eq!(
        (ms_of(&found, DelayCause::OutputLength), ms_of(&found, DelayCause::GenerationSpeed)),
        (None, None)
    );
    assert_eq!(ms_of(&found, DelayCause::Other), Some(8_000.0));
    let unknown = Missing::OutputTokens {
        side: "slow".to_owned(),
        unknown: 5,
        of: 5,
        would_tell: WouldTell::ServerLog,
    };
    assert!(found.missing.contains(&unknown), "{:?}", found.missing);
}

#[test]
fn time_in_no_part_is_compared_too() {
    let more = |model: &str, unexplained: u64| {
        let mut requests = side(model, &[MADE; 5]);
        for request in &mut requests {
            let timing = request.timing.as_mut().unwrap();
            timing.total_ms = timing.total_ms.get().map(|ms| ms + unexplained).into();
        }
        requests
    };
    let found = compared_requests(&more("fast", 1_000), &more("slow", 3_000), Asked::TheSame);
    assert_eq!(
        (ms_of(&found, DelayCause::Other), found.delta_ms.unwrap().as_f64()),
        (Some(2_000.0), 2_000.0)
    );
}

#[test]
fn what_no_request_of_a_group_knows_is_unknown() {
    let unlogged = Made { stall_ms: None, ..MADE };
    let stalled = Made { generation_ms: 24_000, stall_ms: Some(20_000), ..MADE };
    let found = compared(&[unlogged; 3], &[stalled; 3], Asked::Otherwise);
    assert_eq!((ms_of(&found, DelayCause::Stalls), ms_of(&found, DelayCause::Other)), (None, Some(20_000.0)));
    assert_eq!(compare::mean_of(std::iter::empty()), None);
    assert_eq!(compare::mean_of([1.0, 3.0].into_iter()), Some(2.0));
}
