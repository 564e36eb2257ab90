use super::*;

const START: PartKind = PartKind::BlockStart(BlockKind::Text);
const DELTA: PartKind = PartKind::Delta(BlockKind::Text);

fn claim(request: usize, from: i64, to: i64, possible: Possible, pace: Option<(u64, f64)>) -> Claim {
    Claim { request, from, to, possible, pace }
}

#[test]
fn one_stream_is_exact() {
    let mut parts = LoggedParts::default();
    parts.part(1, PartKind::Other, 10);
    parts.part(2, PartKind::Other, 500);
    parts.part(3, START, 501);
    parts.part(4, DELTA, 502);
    let ended = parts.end(4).firsts;
    assert_eq!(parts.settle(&[claim(0, 5, 600, ended, None)]), [(0, Settled::Exact(501))]);
    assert_eq!(parts.end(4), EndedStream::default());
}

#[test]
fn pieces_are_counted_of_streams_that_are_certainly_told_apart() {
    let mut parts = LoggedParts::default();
    let reasoning = BlockKind::Reasoning;
    let kinds = [PartKind::Start, PartKind::StartStep, PartKind::BlockStart(reasoning)];
    let kinds = kinds.into_iter().chain([PartKind::Delta(reasoning); 3]);
    let kinds =
        kinds.chain([PartKind::BlockEnd(reasoning), START, DELTA, PartKind::BlockEnd(BlockKind::Text)]);
    for (kind, number) in kinds.zip(1..) {
        parts.part(number, kind, 0);
    }
    assert_eq!(parts.end(10).deltas, Some(Deltas { all: 4, reasoning: 3 }));
    parts.part(7, DELTA, 0);
    assert_eq!(parts.end(7).deltas, None, "its beginning was not seen");
    // Two that stand at the same number.
    for (number, kind) in [(1, START), (1, START), (2, DELTA), (2, DELTA)] {
        parts.part(number, kind, 0);
    }
    assert_eq!([parts.end(2).deltas, parts.end(2).deltas], [None, None]);
}

#[test]
fn streams_that_never_meet_are_told_apart_by_their_ends() {
    let mut parts = LoggedParts::default();
    parts.part(1, PartKind::Other, 0);
    parts.part(1, PartKind::Other, 1);
    parts.part(2, START, 100);
    parts.part(3, DELTA, 110);
    parts.part(2, START, 200);
    parts.part(4, DELTA, 210);
    let (long, short) = (parts.end(4).firsts, parts.end(2).firsts);
    let claims = [claim(0, 0, 300, short, None), claim(1, 0, 300, long, None)];
    assert_eq!(parts.settle(&claims), [(0, Settled::Exact(200)), (1, Settled::Exact(100))]);
}

#[test]
fn what_follows_in_streams_that_met_is_not_taken_for_known() {
    use PartKind::{BlockEnd, Delta, Finish, FinishStep, Start, StartStep};
    let reasoning = BlockKind::Reasoning;
    let think = |at| [(1, Start, at), (2, StartStep, at), (3, PartKind::BlockStart(reasoning), at)];
    let mut parts = LoggedParts::default();
    let mut read = |these: &[(u64, PartKind, i64)]| {
        these.iter().for_each(|&(number, kind, at)| parts.part(number, kind, at));
    };
    // One dies in the middle of its reasoning.
    read(&think(3));
    read(&[(4, Delta(reasoning), 4), (5, Delta(reasoning), 5), (6, Delta(reasoning), 6)]);
    // The second reasons; the third is about to end, and nobody can tell which of them does.
    read(&think(100));
    read(&[(4, Delta(reasoning), 110), (5, Delta(reasoning), 120)]);
    read(&[(1, Start, 150), (2, StartStep, 190), (3, START, 200), (4, DELTA, 201)]);
    read(&[(5, BlockEnd(BlockKind::Text), 210), (6, FinishStep, 211), (7, Finish, 212)]);
    let third = parts.end(7).firsts;
    let mut read = |these: &[(u64, PartKind, i64)]| {
        these.iter().for_each(|&(number, kind, at)| parts.part(number, kind, at));
    };
    read(&[(6, Delta(reasoning), 300), (7, Delta(reasoning), 310), (8, BlockEnd(reasoning), 320)]);
    read(&[(9, FinishStep, 321), (10, Finish, 322)]);
    let second = parts.end(10).firsts;
    let claims = [claim(1, 50, 322, second, None), claim(2, 140, 212, third, None)];
    assert_eq!(parts.settle(&claims), [(1, Settled::Likely(100)), (2, Settled::Likely(200))]);
}

fn crossed() -> (LoggedParts, Possible, Possible) {
    let mut parts = LoggedParts::default();
    parts.part(1, START, 100);
    parts.part(1, START, 5_000);
    parts.part(2, DELTA, 5_010);
    parts.part(2, DELTA, 5_020);
    parts.part(3, DELTA, 5_030);
    let (one, other) = (parts.end(3).firsts, parts.end(2).firsts);
    (parts, one, other)
}

#[test]
fn streams_that_met_are_told_apart_by_their_pace() {
    let (parts, one, other) = crossed();
    // 60 tokens at 10 a second ended at 6,150: the first part came at about 100.
    let claims = [claim(7, 0, 6_150, one.clone(), Some((60, 10.0))), claim(8, 0, 6_000, other.clone(), None)];
    assert_eq!(parts.settle(&claims), [(7, Settled::Likely(100)), (8, Settled::Likely(5_000))]);
    let claims = [claim(7, 0, 6_100, one.clone(), None), claim(8, 0, 6_000, other.clone(), None)];
    assert_eq!(parts.settle(&claims), [(7, Settled::Ambiguous), (8, Settled::Ambiguous)]);
    // What came before a request was sent is not its own.
    let claims = [claim(7, 0, 6_100, one, None), claim(8, 4_000, 6_000, other, None)];
    assert_eq!(parts.settle(&claims), [(7, Settled::Likely(100)), (8, Settled::Likely(5_000))]);
}

#[test]
fn streams_that_met_are_told_apart_by_the_order_of_their_kinds() {
    let mut parts = LoggedParts::default();
    for at in [0, 10] {
        parts.part(1, PartKind::Start, at);
        parts.part(2, PartKind::StartStep, at + 1);
    }
    let tool = BlockKind::ToolInput;
    parts.part(3, START, 100);
    parts.part(4, DELTA, 101);
    parts.part(3, PartKind::BlockStart(tool), 16_000);
    // Both stand at 4 after this: only one of them can go on with text.
    parts.part(4, PartKind::Delta(tool), 16_001);
    parts.part(5, DELTA, 16_002);
    parts.part(5, PartKind::Delta(tool), 16_003);
    parts.part(6, DELTA, 16_004);
    let (text, tool) = (parts.end(6).firsts, parts.end(5).firsts);
    let claims = [claim(0, 0, 17_000, text, None), claim(1, 0, 17_000, tool, None)];
    assert_eq!(parts.settle(&claims), [(0, Settled::Exact(100)), (1, Settled::Exact(16_000))]);
}

#[test]
fn one_first_part_for_two_requests_is_nobodys() {
    let mut parts = LoggedParts::default();
    parts.part(1, START, 100);
    let ended = parts.end(1).firsts;
    let claims = [claim(0, 0, 200, ended.clone(), None), claim(1, 0, 200, ended, None)];
    assert_eq!(parts.settle(&claims), [(0, Settled::Ambiguous), (1, Settled::Ambiguous)]);
}

#[test]
fn a_dead_stream_is_forgotten() {
    let mut parts = LoggedParts::default();
    parts.part(1, START, 0);
    parts.part(1, START, SILENCE_MS + 1);
    parts.part(2, DELTA, SILENCE_MS + 2);
    let ended = parts.end(2).firsts;
    let claims = [claim(0, 0, SILENCE_MS + 9, ended, None)];
    assert_eq!(parts.settle(&claims), [(0, Settled::Exact(SILENCE_MS + 1))]);
}

#[test]
fn many_streams_stay_bounded() {
    let mut parts = LoggedParts::default();
    for round in 0..1_000 {
        parts.part(1, START, round);
    }
    assert_eq!(parts.streams.len(), MAX_STREAMS);
    parts.part(2, DELTA, 1_000);
    assert!(parts.end(2).firsts.crowded);
}

/// A first part may come after any time: the prompt may be long.
#[test]
fn who_has_not_begun_to_answer_is_waited_for() {
    let mut parts = LoggedParts::default();
    parts.part(1, PartKind::Other, 0);
    parts.part(2, PartKind::Other, 1);
    parts.part(1, START, SILENCE_MS);
    parts.part(3, DELTA, SILENCE_MS + 20);
    let ended = parts.end(3).firsts;
    let claims = [claim(0, 0, SILENCE_MS + 30, ended, None)];
    assert_eq!(parts.settle(&claims), [(0, Settled::Exact(SILENCE_MS + 20))]);
}

#[test]
fn an_answer_may_pause_for_just_so_long() {
    let mut parts = LoggedParts::default();
    // Another stream, further on.
    parts.part(1, START, 0);
    parts.part(2, DELTA, 1);
    parts.part(1, START, 5);
    parts.part(2, DELTA, 5 + SILENCE_MS);
    let ended = parts.end(2).firsts;
    let claims = [claim(0, 0, SILENCE_MS + 9, ended, None)];
    assert_eq!(parts.settle(&claims), [(0, Settled::Exact(5))]);
}

#[test]
fn a_request_without_a_part_has_no_first_one() {
    let mut parts = LoggedParts::default();
    parts.part(1, START, 100);
    let ended = parts.end(1).firsts;
    // The first had ended when the part came that was counted for it.
    let claims = [claim(0, 0, 90, ended, None), claim(1, 0, 200, Possible::default(), None)];
    assert_eq!(parts.settle(&claims), [(0, Settled::Ambiguous), (1, Settled::None)]);
}

#[test]
fn a_stream_in_the_middle_of_a_block_has_not_ended() {
    let mut parts = LoggedParts::default();
    let (text, delta) = (PartKind::BlockStart(BlockKind::Text), PartKind::Delta(BlockKind::Text));
    let begun = [PartKind::Start, PartKind::StartStep, text, delta];
    let whole = [PartKind::Start, PartKind::StartStep, PartKind::FinishStep, PartKind::Finish];
    for (kinds, from) in [(begun, 0), (whole, 10)] {
        for (number, kind) in kinds.into_iter().enumerate() {
            parts.part(number as u64 + 1, kind, from + number as i64);
        }
    }
    assert_eq!(parts.end(4).firsts, Possible::default());
    let claims = [claim(0, 0, 20, parts.end(4).firsts, None)];
    assert_eq!(parts.settle(&claims), [(0, Settled::Exact(2))]);
}

#[test]
fn a_stream_whose_beginning_was_not_seen_may_end_anywhere() {
    let mut parts = LoggedParts::default();
    parts.part(5, DELTA, 0);
    for (kind, number) in [PartKind::Start, PartKind::StartStep, START, DELTA, DELTA].into_iter().zip(1..) {
        parts.part(number, kind, 0);
    }
    // The other one has not finished.
    assert_eq!(parts.end(5).deltas, None);
    for (kind, number) in
        [PartKind::BlockEnd(BlockKind::Text), PartKind::FinishStep, PartKind::Finish].into_iter().zip(6..)
    {
        parts.part(number, kind, 0);
    }
    assert_eq!(parts.end(8).deltas, Some(Deltas { all: 2, reasoning: 0 }));
}
