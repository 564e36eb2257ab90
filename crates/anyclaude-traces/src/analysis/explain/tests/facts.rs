//! The figures behind sentences, and what is said to be unknown.

use super::*;
use crate::model::request::{Run, Source};
use crate::model::timing::TokenSource;

fn facts(found: &Explanation) -> Vec<String> {
    found.evidence.iter().map(|one| one.fact.to_string()).collect()
}

fn figures(found: &Explanation) -> Option<(f64, f64)> {
    match &found.verdict.headline {
        Headline::Slower { figures, .. } => figures.map(|figures| (figures.slower, figures.faster)),
        other => panic!("{other}"),
    }
}

/// Whichever side comes first, the slower one's figure is the first.
#[test]
fn the_figures_of_a_cause_are_of_the_slower_side_first() {
    for (right, expected) in [
        (Made { proxy_ms: Some(9_000), ..MADE }, (9_000.0, 500.0)),
        (Made { load_ms: 7_000, ttft_ms: 9_000, ..MADE }, (7_000.0, 0.0)),
        (Made { queue_ms: 7_000, ttft_ms: 9_000, ..MADE }, (7_000.0, 0.0)),
        (Made { prompt_tokens: Some(45_000), ttft_ms: 9_000, ..MADE }, (45_000.0, 10_000.0)),
        (Made { prompt_tokens: Some(45_000), again_tokens: 35_000, ttft_ms: 9_000, ..MADE }, (35_000.0, 0.0)),
        (Made { output_tokens: Some(300), generation_ms: 12_000, ..MADE }, (300.0, 100.0)),
        (Made { generation_ms: 12_000, stall_ms: Some(8_000), ..MADE }, (8_000.0, 0.0)),
    ] {
        let found = compared(&[MADE; 5], &[right; 5], Asked::TheSamePlace);
        assert_eq!(figures(&found), Some(expected), "{}", headline(&found));
        let swapped = compared(&[right; 5], &[MADE; 5], Asked::TheSamePlace);
        assert_eq!(figures(&swapped), Some(expected), "{}", headline(&swapped));
    }
}

/// Another thread's prompt may have been in the cache too: then less is read than is new.
#[test]
fn tokens_read_again_are_never_below_none() {
    let right = Made { prompt_tokens: Some(45_000), again_tokens: 35_000, ttft_ms: 9_000, ..MADE };
    let mut left = side("fast", &[MADE; 5]);
    for request in &mut left {
        request.timing.as_mut().unwrap().needed_tokens = 10_400.into();
    }
    let found = compared_requests(&left, &side("slow", &[right; 5]), Asked::TheSamePlace);
    assert_eq!(figures(&found), Some((35_000.0, 0.0)));
}

#[test]
fn single_requests_are_counted_where_something_happened_to_them() {
    let stalled = Made { generation_ms: 24_000, stall_ms: Some(20_000), ..MADE };
    let found = compared(&[MADE; 5], &[MADE, stalled, stalled, stalled, stalled], Asked::TheSame);
    assert!(headline(&found).contains("(in 4 of 5 requests)"), "{}", headline(&found));
    // Each waited too little to be said to have waited for others.
    let waited = Made { queue_ms: 249, ttft_ms: 2_249 + 900, ..MADE };
    let found = compared(&[MADE; 5], &[waited; 5], Asked::TheSame);
    assert!(!facts(&found).iter().any(|fact| fact.contains("waiting for other requests")));
}

#[test]
fn what_is_unknown_is_counted_by_side() {
    let no_prompt = Made { prompt_tokens: None, ..MADE };
    let no_cached = Made { cached_tokens: None, ..MADE };
    let no_output = Made { output_tokens: None, ..MADE };
    let left = side("fast", &[no_prompt, no_cached, no_cached, no_output, no_output, no_output, MADE]);
    let found = compared_requests(&left, &side("slow", &[MADE; 7]), Asked::TheSame);
    let of = |unknown| ("fast".to_owned(), unknown, 7);
    let (a, b, c) = (of(1), of(2), of(3));
    assert_eq!(
        found.missing,
        [
            Missing::PromptTokens { side: a.0, unknown: a.1, of: a.2, would_tell: WouldTell::ServerLog },
            Missing::CachedTokens { side: b.0, unknown: b.1, of: b.2, would_tell: WouldTell::ServerLog },
            Missing::OutputTokens { side: c.0, unknown: c.1, of: c.2, would_tell: WouldTell::ServerLog },
            Missing::DirectMeasurement,
        ]
    );
    // A count that cannot be true is none.
    let mut right = side("slow", &[MADE; 3]);
    right[0].timing.as_mut().unwrap().prompt_tokens_source = Some(TokenSource::Implausible);
    let found = compared_requests(&side("fast", &[MADE; 3]), &right, Asked::TheSame);
    assert!(found.missing.contains(&Missing::PromptTokens {
        side: "slow".to_owned(),
        unknown: 1,
        of: 3,
        would_tell: WouldTell::ServerLog
    }));
}

#[test]
fn nothing_is_missing_of_a_proxy_where_none_was_recorded() {
    let other = |name, made: Made| {
        let mut side = side(name, &[Made { proxy_ms: None, stall_ms: None, ..made }; 5]);
        side.iter_mut().for_each(|request| request.source = Source::Litellm);
        side
    };
    let (left, right) = (other("fast", MADE), other("slow", Made { ttft_ms: 9_000, ..MADE }));
    let found = compared_requests(&left, &right, Asked::TheSame);
    assert_eq!(found.missing, []);
    assert_eq!(found.verdict.key_answer.to_string(), "No proxy stood between client and server");
    // One that went through a proxy is enough for the question.
    let found =
        compared_requests(&left, &side("slow", &[Made { ttft_ms: 9_000, ..MADE }; 5]), Asked::TheSame);
    assert!(found.missing.contains(&Missing::DirectMeasurement));
}

/// A pair is a pair, however few there are.
#[test]
fn more_requests_are_asked_for_of_a_side_with_too_few_where_that_is_why_there_is_no_verdict() {
    let asked_for = |found: &Explanation| -> Vec<Missing> {
        let all = found.missing.iter();
        all.filter(|missing| matches!(missing, Missing::MoreRequests { .. })).cloned().collect()
    };
    let alike = compared(&[MADE; 2], &[MADE; 2], Asked::TheSame);
    assert_eq!((cause(&alike), asked_for(&alike)), (None, vec![]));
    let few = compared(&[MADE; 3], &[Made { ttft_ms: 9_000, ..MADE }; 2], Asked::Otherwise);
    assert_eq!(asked_for(&few), [Missing::MoreRequests { side: "slow".to_owned(), completed: 2 }]);
}

#[test]
fn silences_are_missing_where_a_log_of_anyclaude_could_have_told_of_them() {
    let missing = |source: Source, levels: [Option<u8>; 3], known: Option<u64>| {
        let unlogged = Made { stall_ms: None, ..MADE };
        let mut requests = side("m", &[unlogged, unlogged, Made { stall_ms: known, ..MADE }]);
        for (request, level) in requests.iter_mut().zip(levels) {
            request.source = source;
            request.bookkeeping.process = Some(Run::at_level("r".into(), level));
        }
        alone(&requests).missing
    };
    let ours = |levels| missing(Source::Anyclaude, levels, None);
    let not_logged = || [Missing::Stalls { side: "m".to_owned() }];
    assert_eq!(ours([Some(1); 3]), not_logged());
    assert_eq!(ours([None; 3]), not_logged());
    assert_eq!(ours([Some(2), Some(1), Some(2)]), not_logged(), "of one there is no log of chunks");
    assert_eq!(ours([Some(2); 3]), [Missing::UntoldStalls { side: "m".to_owned() }]);
    assert_eq!(missing(Source::Litellm, [Some(1); 3], None), []);
    assert_eq!(missing(Source::Anyclaude, [Some(1); 3], Some(0)), [], "of one they are known");
}

#[test]
fn the_parts_of_one_side_tell_in_how_many_requests_they_happened() {
    let loaded = Made { load_ms: 6_000, ttft_ms: 8_000, ..MADE };
    let stalled = Made { generation_ms: 10_000, stall_ms: Some(6_000), ..MADE };
    let found = alone(&side("m", &[MADE, loaded, loaded, stalled]));
    let happened: Vec<_> = found
        .evidence
        .iter()
        .filter_map(|one| match &one.fact {
            Fact::Part { part, occurrences: Some(in_some), .. } => Some((*part, in_some.n, in_some.of)),
            _ => None,
        })
        .collect();
    assert_eq!(happened, [(Part::Load, 2, 4), (Part::Stall, 1, 4)]);
}

#[test]
fn waits_tell_their_keepalives() {
    let waits = |ttft_ms| Made { ttft_ms, ..MADE };
    let found = compared(&[MADE; 3], &[waits(12_000), waits(25_000), waits(14_000)], Asked::TheSame);
    let told: Vec<String> = facts(&found).into_iter().filter(|fact| fact.contains("keepalive")).collect();
    assert_eq!(told, ["The longest wait of slow took 2 keepalives, one each 10 s."]);
}

/// One side of model `m`, which reads and writes so many tokens per second.
fn alone_at(requests: &[Request], read: f64, write: f64) -> Explanation {
    let speeds = Speeds {
        read_tokens_per_second: Some(read),
        write_tokens_per_second: Some(write),
        cache: CacheUse::Unknown,
        n_read: 3,
        n_write: 3,
        spread: Some(0.0),
        source: None,
    };
    let speeds = vec![ModelSpeeds { model: Some("m".into()), speeds }];
    explained(SideInput { speeds, ..asked_of("m", requests) }, None, &HashMap::new(), None)
}

#[test]
fn the_parts_of_one_side_tell_their_tokens_and_speeds() {
    let requests = side("m", &[Made { ttft_ms: 12_000, prompt_tokens: Some(20_000), ..MADE }; 3]);
    let found = alone_at(&requests, 1_667.0, 25.04);
    assert_eq!(headline(&found), "m takes 16.5 s a request: 73 % of it is prompt processing");
    let said: Vec<String> = found.evidence.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "12.0 s of 16.5 s (73 %) is prompt processing: 20.0 k tokens a request, 1667 tokens/s. \
             [m-000 and 2 more]",
            "4.0 s of 16.5 s (24 %) is generation: 100 tokens a request, 25.0 tokens/s. [m-000 and 2 more]",
            "0 % of the prompt tokens of m came from the prompt cache, as the backend reported. \
             [m-000 and 2 more]",
        ]
    );
}

#[test]
fn reading_beside_other_requests_is_said_with_what_it_takes_alone() {
    let told = |ttft_ms, n_overlapped: usize| {
        let mut requests = side("m", &[Made { ttft_ms, ..MADE }; 3]);
        for request in requests.iter_mut().take(n_overlapped) {
            request.bookkeeping.concurrency =
                Some(Concurrency { overlapped: true, ..Concurrency::default() });
        }
        let found = alone_at(&requests, 2_000.0, 25.0);
        facts(&found).into_iter().find(|fact| fact.contains("shared the backend"))
    };
    assert_eq!(
        told(7_500, 2).unwrap(),
        "2 of 3 requests to m shared the backend with others or waited for them: reading took 7.5 s each, alone \
         5.0 s."
    );
    assert_eq!(told(7_499, 2), None, "half as long again is no accident");
    assert_eq!(told(7_500, 0), None);
}

#[test]
fn a_difference_that_may_be_chance_is_said_with_its_interval() {
    let far = |ttft_ms| Made { ttft_ms, ..MADE };
    let right = [far(30_000), far(300), far(300), far(300), far(300)];
    let found = compared(&[MADE; 5], &right, Asked::TheSame);
    let said = headline(&found);
    assert!(
        said.starts_with("No verdict: slow takes 4.2 s longer in the mean, but single requests"),
        "{said}"
    );
    assert!(said.contains("(95 %: −1.7 s to +"), "{said}");
}

#[test]
fn causes_and_parts_have_names_for_tables() {
    assert_eq!(format!("{:>12}|", DelayCause::PromptCache), "prompt cache|");
    assert_eq!(format!("{:<8}|", Part::Queue), "queueing|");
    let letters = [Scenario::A, Scenario::B, Scenario::C, Scenario::Mixed, Scenario::Undetermined];
    assert_eq!(letters.map(|scenario| scenario.to_string()), ["A", "B", "C", "mixed", "undetermined"]);
}

/// Where the tokens of one request in four are unknown, the others stand for three quarters
/// of the group, and the rest of its time is in `other`.
#[test]
fn requests_of_a_group_stand_for_their_own_share() {
    let unknown =
        Made { cached_tokens: None, output_tokens: None, ttft_ms: 6_000, generation_ms: 8_000, ..MADE };
    let right = Made { ttft_ms: 9_000, output_tokens: Some(300), generation_ms: 12_000, ..MADE };
    let found = compared(&[MADE, MADE, MADE, unknown], &[right; 3], Asked::Otherwise);
    let close = |cause, expected: f64| {
        let found = ms_of(&found, cause).unwrap();
        assert!((found - expected).abs() < 0.01, "{cause}: {found}, not {expected}");
    };
    close(DelayCause::PromptProcessingSpeed, 0.75 * 7_000.0);
    // 200 tokens more, at 16 s for 400 tokens.
    close(DelayCause::OutputLength, 0.75 * 8_000.0);
    close(DelayCause::GenerationSpeed, 0.0);
    close(DelayCause::Other, 1_750.0);
    close(DelayCause::Proxy, 0.0);
    assert_eq!(found.delta_ms.unwrap().as_f64(), 13_000.0);
}

/// Recorders that note no first token, and clients that get answers whole.
#[test]
fn who_does_not_tell_reading_from_generation_says_why_and_how_much_was_done() {
    let untold = |name, has_first_token: bool| {
        let mut side = side(name, &[Made { proxy_ms: None, stall_ms: None, ..MADE }; 5]);
        for request in &mut side {
            request.source = Source::Litellm;
            let timing = request.timing.as_mut().unwrap();
            (timing.read_ms, timing.write_ms) = (Amount::UNKNOWN, Amount::UNKNOWN);
            timing.other_ms = timing.total_ms;
            if !has_first_token {
                timing.ttft_ms = Amount::UNKNOWN;
            }
        }
        side
    };
    let found = alone(&untold("m", false));
    assert_eq!(
        found.missing,
        [Missing::FirstTokens { side: "m".to_owned(), unknown: 5, of: 5, would_tell: WouldTell::ServerLog }]
    );
    assert_eq!(headline(&found), "m takes 6.0 s a request: the recording does not tell what it is spent on");
    let said = "A request to m reads 10.0 k tokens and writes 100 in the mean.";
    assert!(facts(&found).iter().any(|fact| fact.starts_with(said)), "{:?}", facts(&found));
    let found = alone(&untold("m", true));
    assert_eq!(
        found.missing,
        [Missing::WholeAnswers { side: "m".to_owned(), untold: 5, of: 5, would_tell: WouldTell::ServerLog }]
    );
    // What is told needs no such word.
    assert!(!facts(&alone(&side("m", &[MADE; 5]))).iter().any(|fact| fact.contains(" reads ")));
}
