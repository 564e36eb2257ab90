use super::*;
use crate::formats::anyclaude::log::partial::LoggedEnd;

fn whole(start: i64) -> PartialRequest {
    PartialRequest { sent: true, ..PartialRequest::new(0, start) }
}

fn stream(start: i64, end: Option<i64>) -> PartialRequest {
    let end = end.map(|end| LoggedEnd { ms: end - start, ..LoggedEnd::default() });
    PartialRequest { stream_start: Some(start + 1), end, ..whole(start) }
}

/// The requests, once these lines are assigned to them.
fn settled(
    mut partials: Vec<PartialRequest>,
    steps: &[i64],
    finishes: &[(i64, &str)],
    closes: &[i64],
) -> Vec<PartialRequest> {
    let mut ends = Ends::default();
    steps.iter().for_each(|at| ends.finish_step(Some(*at)));
    finishes.iter().for_each(|(at, reason)| ends.finished(*at, reason));
    // The log is in order of time.
    for partial in &mut partials {
        let ended = partial.ended_at();
        if let (Some(end), Some(at)) = (&mut partial.end, ended) {
            end.number = at.unsigned_abs();
        }
    }
    for &at in closes {
        ends.closed(Close { logged: Moment { at, keepalives: 0 }, completions: at.unsigned_abs() + 1 });
    }
    ends.settle(&mut partials);
    partials
}

#[test]
fn each_finish_step_is_of_one_stream() {
    let requests = vec![whole(100), stream(0, Some(1_000)), stream(0, Some(1_010))];
    let found = settled(requests, &[500, 900], &[(499, "tools"), (620, "stop"), (899, "length")], &[]);
    assert_eq!(found[0].whole_reply_at, Some(620), "no step follows it");
    let reasons = [1, 2].map(|at: usize| found[at].facts.finish_reason.as_deref());
    assert_eq!(reasons, [Some("length"), Some("tools")]);
}

#[test]
fn a_line_that_may_be_a_streams_ends_no_reply_in_one_piece() {
    let at = |first| {
        let finishes = [(first, "stop"), (899, "stop")];
        settled(vec![whole(100), stream(0, Some(1_000))], &[900], &finishes, &[])[0].whole_reply_at
    };
    assert_eq!((at(648), at(649)), (Some(648), None));
    // A stream without an end never ends with a line like that.
    let found = settled(vec![stream(0, None)], &[], &[(500, "stop")], &[]);
    assert_eq!((found[0].whole_reply_at, found[0].ended_by), (None, None));
}

#[test]
fn a_connection_closes_soon_after_the_end_of_its_request() {
    let gave_up = |close, end| {
        let found = settled(vec![stream(0, Some(end)), stream(500, None)], &[], &[], &[close]);
        (found[0].disconnected, found[1].disconnected)
    };
    assert_eq!(gave_up(11_000, 1_000), (None, None), "it is the first one's");
    assert_eq!(gave_up(11_001, 1_000), (None, Some(11_001)));
    // Before the end of the only one that is open it is nobody's that is known.
    let early = settled(vec![stream(0, Some(5_000))], &[], &[], &[1_000]);
    assert_eq!(early[0].disconnected, None);
}
