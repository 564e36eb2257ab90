//! Who is compared with whom.

use super::*;

const SLOW: Made = Made { ttft_ms: 9_000, ..MADE };

#[test]
fn equal_bodies_come_before_equal_places() {
    let (left, right) = (side("fast", &[MADE; 2]), side("slow", &[SLOW; 2]));
    let mut prompts = prompts(&left, &right, Asked::TheSamePlace);
    // The last of the left asked the same as the first of the right, word for word.
    let same = Identity::of_parts([&b"same"[..]]);
    prompts.get_mut(&left[1].path).unwrap().body = same;
    prompts.get_mut(&right[0].path).unwrap().body = same;
    let found = explained(asked_of("left", &left), Some(asked_of("right", &right)), &prompts, None);
    assert_eq!((found.paired, found.n, left_out(&found, LeftOutReason::Unpaired)), (true, 1, 2));
    assert!(found.evidence[0].to_string().ends_with("[fast-001 / slow-000]"), "{}", found.evidence[0]);
}

#[test]
fn a_place_is_the_number_of_messages_and_what_the_user_said_first_and_last() {
    let (left, right) = (side("fast", &[MADE; 3]), side("slow", &[SLOW; 3]));
    let all = prompts(&left, &right, Asked::TheSamePlace);
    let n = |right: &[Request], prompts: &HashMap<TracePath, Prompt>| {
        let found = explained(asked_of("left", &left), Some(asked_of("right", right)), prompts, None);
        if found.paired { found.n } else { 0 }
    };
    assert_eq!(n(&right, &all), 3);
    let mut later = right.clone();
    later[2].sizes.message_count = later[2].sizes.message_count + 2.into();
    later[0].bookkeeping.turn += 7;
    later[1].bookkeeping.turn += 7;
    assert_eq!(n(&later, &all), 2, "a turn that failed moves nothing");
    let other = Some(Identity::of_parts([&b"other"[..]]));
    for change in [
        (|prompt, other| prompt.first_user_text = other) as fn(&mut Prompt, Option<Identity>),
        |prompt, other| prompt.last_user_text = other,
        |prompt, _| prompt.last_user_text = None,
    ] {
        let mut changed = all.clone();
        change(changed.get_mut(&right[0].path).unwrap(), other);
        assert_eq!(n(&right, &changed), 2);
    }
}

#[test]
fn each_request_has_one_partner_at_most() {
    let (left, right) = (side("fast", &[MADE; 2]), side("slow", &[SLOW; 3]));
    let mut prompts = prompts(&left, &right, Asked::Otherwise);
    let same = Identity::of_parts([&b"same"[..]]);
    prompts.values_mut().for_each(|prompt| prompt.body = same);
    let found = explained(asked_of("left", &left), Some(asked_of("right", &right)), &prompts, None);
    assert_eq!((found.n, left_out(&found, LeftOutReason::Unpaired)), (2, 1));
}

#[test]
fn what_cannot_be_compared_is_counted_with_its_reason() {
    let left = side("fast", &[MADE; 8]);
    let mut right = side("slow", &[SLOW; 8]);
    right[0].stream = false;
    right[1].timing.as_mut().unwrap().outcome = Some(Outcome::TimedOut);
    right[2].join.as_mut().unwrap().confidence = Confidence::Ambiguous;
    right[3].timing.as_mut().unwrap().total_ms = Amount::UNKNOWN;
    right[4].timing.as_mut().unwrap().outcome = None;
    right[5].timing = None;
    right[6].timing.as_mut().unwrap().outcome = Some(Outcome::NotStreamed);
    // A client's own recording has no log to join with.
    right[7].join = None;
    let found = compared_requests(&left, &right, Asked::TheSame);
    assert_eq!(found.n, 1);
    for (reason, n) in [
        (LeftOutReason::NotStreamed, 2),
        (LeftOutReason::NotCompleted, 2),
        (LeftOutReason::AmbiguousJoin, 1),
        (LeftOutReason::NoTotal, 1),
        (LeftOutReason::NoLog, 1),
        (LeftOutReason::Unpaired, 7),
    ] {
        assert_eq!(left_out(&found, reason), n, "{reason:?}");
    }
}

#[test]
fn cold_queued_and_overlapping_requests_take_part() {
    let left = side("fast", &[MADE; 4]);
    let mut right = side("slow", &[Made { load_ms: 7_000, ..SLOW }; 4]);
    for request in &mut right {
        request.bookkeeping.concurrency = Some(Concurrency { cold_start: true, overlapped: true });
    }
    for asked in [Asked::TheSame, Asked::Otherwise] {
        let found = compared_requests(&left, &right, asked);
        assert_eq!((found.n, cause(&found)), (4, Some(DelayCause::ModelLoad)));
        assert_eq!(left_out(&found, LeftOutReason::Unpaired), 0);
        let overlapping = Missing::WaitBeforeTheProxy { side: "slow".to_owned(), overlapping: 4, of: 4 };
        assert!(found.missing.contains(&overlapping));
    }
}

#[test]
fn a_first_prompt_in_common_does_not_stand_for_conversations_that_went_apart() {
    let common = |pairs: usize, n: usize| {
        // The first is read whole, the others but for what is new.
        let warm = |ttft_ms| Made { cached_tokens: Some(9_500), ttft_ms, ..MADE };
        let again = Made { ttft_ms: 2_100, again_tokens: 9_500, ..MADE };
        let made = |rest: Made| [vec![MADE], vec![rest; n - 1]].concat();
        let (left, right) = (side("fast", &made(warm(100))), side("slow", &made(again)));
        let mut prompts = prompts(&left, &right, Asked::Otherwise);
        for at in 0..pairs {
            let same = Identity::of_parts([&[at as u8][..]]);
            prompts.get_mut(&left[at].path).unwrap().body = same;
            prompts.get_mut(&right[at].path).unwrap().body = same;
        }
        explained(asked_of("left", &left), Some(asked_of("right", &right)), &prompts, None)
    };
    let found = common(1, 7);
    assert_eq!((found.paired, found.n, cause(&found)), (false, 7, Some(DelayCause::PromptCache)));
    assert!(found.missing.contains(&Missing::SamePrompts { pairs: 1 }));
    assert_eq!(left_out(&found, LeftOutReason::Unpaired), 0);
    // Three have an interval; two of four, and whatever there is of few, are as good as groups.
    let is_paired = |pairs, n| common(pairs, n).paired;
    assert_eq!(
        [is_paired(3, 20), is_paired(2, 5), is_paired(2, 4), is_paired(1, 2)],
        [true, false, true, true]
    );
}
