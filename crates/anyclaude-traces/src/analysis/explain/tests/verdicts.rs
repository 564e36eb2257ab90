//! What is said of a difference, and how sure it is.

use super::*;

/// A right side that differs from [`MADE`] in one cause alone.
const CAUSES: [(Made, DelayCause, Scenario); 9] = [
    (Made { proxy_ms: Some(9_000), ..MADE }, DelayCause::Proxy, Scenario::B),
    (Made { load_ms: 7_000, ttft_ms: 9_000, ..MADE }, DelayCause::ModelLoad, Scenario::A),
    (Made { queue_ms: 7_000, ttft_ms: 9_000, ..MADE }, DelayCause::Queueing, Scenario::A),
    (Made { prompt_tokens: Some(45_000), ttft_ms: 9_000, ..MADE }, DelayCause::PromptSize, Scenario::C),
    (
        Made { prompt_tokens: Some(45_000), again_tokens: 35_000, ttft_ms: 9_000, ..MADE },
        DelayCause::PromptCache,
        Scenario::C,
    ),
    (Made { ttft_ms: 9_000, ..MADE }, DelayCause::PromptProcessingSpeed, Scenario::A),
    (Made { output_tokens: Some(300), generation_ms: 12_000, ..MADE }, DelayCause::OutputLength, Scenario::B),
    (Made { generation_ms: 12_000, ..MADE }, DelayCause::GenerationSpeed, Scenario::A),
    (Made { generation_ms: 12_000, stall_ms: Some(8_000), ..MADE }, DelayCause::Stalls, Scenario::A),
];

#[test]
fn each_cause_alone_leads_and_gives_its_scenario() {
    for (right, expected, scenario) in CAUSES {
        let found = compared(&[MADE; 5], &[right; 5], Asked::TheSamePlace);
        let said = headline(&found);
        assert_eq!((cause(&found), found.verdict.scenario), (Some(expected), scenario), "{said}");
        assert_eq!(found.verdict.confidence, Some(VerdictConfidence::High), "{said}");
        let share = found.contributions.iter().find(|one| one.cause == expected).unwrap().share;
        assert!((share.unwrap() - 1.0).abs() < 1e-9, "{said}: {share:?}");
        assert!(said.starts_with("slow is slower because "), "{said}");
        assert_eq!(found.verdict.proxy_is_bottleneck, Some(expected == DelayCause::Proxy), "{said}");
        let swapped = compared(&[right; 5], &[MADE; 5], Asked::TheSamePlace);
        assert_eq!((cause(&swapped), swapped.verdict.scenario), (Some(expected), scenario));
        assert!(headline(&swapped).starts_with("fast is slower because "));
    }
}

#[test]
fn the_headline_is_of_the_largest_contribution() {
    for (right, ..) in CAUSES {
        for (more, ..) in CAUSES {
            let Made { proxy_ms, load_ms, queue_ms, generation_ms, stall_ms, output_tokens, .. } = more;
            let right = Made { proxy_ms, generation_ms, stall_ms, output_tokens, ..right };
            let right =
                Made { load_ms, queue_ms, ttft_ms: right.ttft_ms.max(load_ms + queue_ms + 100), ..right };
            let found = compared(&[MADE; 5], &[right; 5], Asked::TheSamePlace);
            let largest = found.contributions.iter().max_by_key(|one| one.ms).unwrap();
            if let Some(cause) = cause(&found) {
                let cause_ms = ms_of(&found, cause).unwrap();
                assert_eq!(Some(cause_ms), largest.ms.map(Millis::as_f64));
                assert!(
                    matches!(found.verdict.headline, Headline::Slower { cause: said, .. } if said == cause)
                );
            }
        }
    }
}

#[test]
fn two_causes_of_one_size_are_mixed() {
    let right = Made { ttft_ms: 5_000, prompt_tokens: Some(25_000), generation_ms: 7_000, ..MADE };
    // 3 s of prompt size, 3 s of generation speed.
    let found = compared(&[MADE; 5], &[right; 5], Asked::TheSamePlace);
    assert_eq!(found.verdict.scenario, Scenario::Mixed, "{}", headline(&found));
}

#[test]
fn small_differences_are_none() {
    // Below half a second, and below a tenth of the faster side's 6.5 s.
    for (more, differs) in [(499, false), (649, false), (650, true)] {
        let right = Made { ttft_ms: MADE.ttft_ms + more, ..MADE };
        let found = compared(&[MADE; 5], &[right; 5], Asked::TheSame);
        assert_eq!(cause(&found).is_some(), differs, "{more}: {}", headline(&found));
    }
    let quick = Made { proxy_ms: Some(0), ttft_ms: 100, generation_ms: 100, ..MADE };
    for (more, differs) in [(499, false), (500, true)] {
        let right = Made { ttft_ms: 100 + more, ..quick };
        let found = compared(&[quick; 5], &[right; 5], Asked::TheSame);
        assert_eq!(cause(&found).is_some(), differs, "{more}");
    }
    // Next to nothing has no bottleneck, though the proxy is all of it.
    let found = compared(&[MADE; 5], &[Made { proxy_ms: Some(600), ..MADE }; 5], Asked::TheSame);
    assert_eq!(found.verdict.proxy_is_bottleneck, None);
    assert!(headline(&found).contains("take about as long"), "{}", headline(&found));
}

#[test]
fn too_few_requests_have_no_verdict() {
    let slow = Made { ttft_ms: 9_000, ..MADE };
    let found = compared(&[MADE; 5], &[slow; 2], Asked::Otherwise);
    assert_eq!((cause(&found), found.verdict.scenario), (None, Scenario::Undetermined));
    assert_eq!(headline(&found), "No verdict: only 2 completed requests of slow");
    assert!(found.missing.contains(&Missing::MoreRequests { side: "slow".to_owned(), completed: 2 }));
    assert_eq!((found.delta_ms.unwrap().as_f64(), found.delta_interval), (7_000.0, None));
    assert!(cause(&compared(&[MADE; 5], &[slow; 3], Asked::Otherwise)).is_some());
    // A pair is a pair.
    let found = compared(&[MADE; 1], &[slow; 1], Asked::TheSame);
    let cause = cause(&found);
    assert_eq!(
        (cause, found.verdict.confidence),
        (Some(DelayCause::PromptProcessingSpeed), Some(VerdictConfidence::Low))
    );
    let found = compared(&[], &[MADE; 5], Asked::TheSame);
    assert_eq!(headline(&found), "No verdict: no completed request of left");
    assert_eq!((ms(&found), found.delta_ms, found.n), (vec![None; 10], None, 0));
    assert_eq!(found.left.time, None);
}

/// A share of 40 % that is in no part.
#[test]
fn what_is_mostly_unexplained_has_no_verdict() {
    for (unexplained, said) in [(3_900, true), (4_000, false)] {
        let right = Made { ttft_ms: 2_000 + 10_000 - unexplained, ..MADE };
        let mut right = side("slow", &[right; 5]);
        for request in &mut right {
            let timing = request.timing.as_mut().unwrap();
            timing.total_ms = timing.total_ms.get().map(|ms| ms + unexplained).into();
        }
        let found = compared_requests(&side("fast", &[MADE; 5]), &right, Asked::TheSame);
        assert_eq!(found.delta_ms.unwrap().as_f64(), 10_000.0);
        assert_eq!(cause(&found).is_some(), said, "{}", headline(&found));
        assert_eq!(found.verdict.proxy_is_bottleneck, said.then_some(false));
    }
}

#[test]
fn what_may_be_chance_has_no_verdict_unless_single_requests_explain_it() {
    let slow = Made { ttft_ms: 22_000, ..MADE };
    let fast = Made { ttft_ms: 1_500, ..MADE };
    let found = compared(&[MADE; 8], &[slow, fast, fast, fast, fast, fast, fast, fast], Asked::TheSame);
    assert!(found.delta_interval.unwrap().includes_zero());
    assert_eq!((cause(&found), found.verdict.confidence), (None, None), "{}", headline(&found));
    // The same time as a load is no chance: it happened.
    let load = Made { load_ms: 20_000, ..slow };
    let found = compared(&[MADE; 8], &[load, MADE, MADE, MADE, MADE, MADE, MADE, MADE], Asked::TheSame);
    assert!(found.delta_interval.unwrap().includes_zero());
    let low = Some(VerdictConfidence::Low);
    assert_eq!((cause(&found), found.verdict.confidence), (Some(DelayCause::ModelLoad), low));
    assert!(headline(&found).contains("in 1 of 8 requests"), "{}", headline(&found));
    // It must explain four fifths.
    let half = Made { load_ms: 12_000, ..slow };
    let found = compared(&[MADE; 8], &[half, MADE, MADE, MADE, MADE, MADE, MADE, MADE], Asked::TheSame);
    assert_eq!(cause(&found), None, "{}", headline(&found));
}

#[test]
fn confidence_grows_with_pairs_lead_and_evidence() {
    use VerdictConfidence::{High, Low, Medium};
    let slow = Made { ttft_ms: 9_000, ..MADE };
    let confidence = |left: &[Made], right: &[Made], asked| compared(left, right, asked).verdict.confidence;
    for (n, expected) in [(1, Low), (2, Low), (3, Medium), (4, Medium), (5, High)] {
        let found = confidence(&vec![MADE; n], &vec![slow; n], Asked::TheSame);
        assert_eq!(found, Some(expected), "{n} pairs");
    }
    for (n, expected) in [(9, Low), (10, Medium)] {
        let found = confidence(&vec![MADE; n], &vec![slow; n], Asked::Otherwise);
        assert_eq!(found, Some(expected), "groups of {n}");
    }
    // Reading speed leads by 20, by 19 and by 9 points.
    for (ttft_ms, generation_ms, expected) in
        [(8_000, 8_000, High), (7_950, 8_050, Medium), (7_450, 8_550, Low)]
    {
        let right = Made { ttft_ms, generation_ms, ..MADE };
        assert_eq!(confidence(&[MADE; 5], &[right; 5], Asked::TheSame), Some(expected), "{ttft_ms}");
    }
    // A simulated cache alone is never evidence enough, …
    let simulated = |made: Made| Made { cached_source: CachedSource::Simulated, ..made };
    let (fast, guessed) = (simulated(MADE), simulated(slow));
    assert_eq!(confidence(&[fast; 5], &[guessed; 5], Asked::TheSame), Some(Medium));
    assert_eq!(confidence(&[MADE; 5], &[guessed; 5], Asked::TheSame), Some(High));
    // … nor is what one pair does not know; what it knows of another cause is enough.
    let with_unknown = |made: Made| [made, made, made, made, Made { cached_tokens: None, ..made }];
    assert_eq!(confidence(&[MADE; 5], &with_unknown(slow), Asked::TheSame), Some(Medium));
    let writes = Made { generation_ms: 11_000, ..MADE };
    assert_eq!(confidence(&[MADE; 5], &with_unknown(writes), Asked::TheSame), Some(High));
    let unknown = |made: Made| Made { cached_tokens: None, ..made };
    assert_eq!(confidence(&[unknown(MADE); 5], &[unknown(writes); 5], Asked::TheSame), Some(High));
}

#[test]
fn a_lead_whose_interval_holds_0_is_not_sure() {
    // The difference is certain, but which of the two makes it is not.
    let reads = Made { ttft_ms: 12_000, ..MADE };
    let writes = Made { generation_ms: 10_000, ..MADE };
    let right = [reads, writes, writes, writes, writes];
    let found = compared(&[MADE; 5], &right, Asked::TheSame);
    assert_eq!(cause(&found), Some(DelayCause::GenerationSpeed));
    assert_eq!(found.verdict.confidence, Some(VerdictConfidence::High));
    let right = [reads, Made { ttft_ms: 40_000, ..MADE }, writes, writes, writes];
    let found = compared(&[MADE; 5], &right, Asked::TheSame);
    assert_eq!(cause(&found), Some(DelayCause::PromptProcessingSpeed));
    let lead = found.contributions.iter().find(|one| one.cause == DelayCause::PromptProcessingSpeed).unwrap();
    assert!(lead.interval.unwrap().includes_zero());
    assert_eq!(found.verdict.confidence, Some(VerdictConfidence::Medium));
}

#[test]
fn the_proxy_is_the_bottleneck_by_its_share() {
    // The proxy's own 24 %, 25 %, 49 % as the largest, and 40 % against 60 %.
    for (proxy_ms, ttft_ms, generation_ms, expected) in [
        (2_400, 9_600, 4_000, Some(false)),
        (2_500, 9_500, 4_000, None),
        (4_900, 4_650, 6_450, Some(true)),
        (4_000, 8_000, 4_000, None),
    ] {
        let right = Made { proxy_ms: Some(500 + proxy_ms), ttft_ms, generation_ms, ..MADE };
        let found = compared(&[MADE; 5], &[right; 5], Asked::TheSame);
        assert_eq!(found.verdict.proxy_is_bottleneck, expected, "{}", found.verdict.key_answer);
    }
}

fn direct(ttft_ms: f64, doubt: Option<Doubt>) -> Direct {
    Direct { ttft_ms, output_tokens_per_second: Some(25.0), doubt }
}

/// What is found where the slow side reads for 7 s longer through the proxy.
fn measured(fast: Direct, slow: Direct) -> Explanation {
    let (left, right) = (side("fast", &[MADE; 5]), side("slow", &[Made { ttft_ms: 9_000, ..MADE }; 5]));
    let prompts = prompts(&left, &right, Asked::TheSame);
    explained(asked_of("left", &left), Some(asked_of("right", &right)), &prompts, Some((fast, slow)))
}

#[test]
fn measurements_without_the_proxy_answer_the_key_question() {
    let found = measured(direct(2_000.0, None), direct(9_000.0, None));
    assert!(
        found.evidence.last().unwrap().to_string().contains("accounts for 100 %"),
        "{:?}",
        found.evidence
    );
    assert!(!found.missing.contains(&Missing::DirectMeasurement));
    // Half of the difference without the proxy is the least that clears it; whatever they
    // say, the headline is of the largest contribution.
    for (slow, is_bottleneck) in [(9_000.0, false), (5_500.0, false), (5_499.0, true), (2_100.0, true)] {
        let found = measured(direct(2_000.0, None), direct(slow, None));
        assert_eq!(found.verdict.proxy_is_bottleneck, Some(is_bottleneck), "{slow}");
        assert_eq!(cause(&found), Some(DelayCause::PromptProcessingSpeed), "{slow}");
    }
}

#[test]
fn a_doubtful_measurement_settles_nothing() {
    let other = || Some(Doubt::OtherModel("another".to_owned()));
    let cached = || Some(Doubt::MaybeCached);
    for (fast, slow, words) in [
        (other(), None, "measurement for fast is of another"),
        (None, other(), "measurement for slow is of another"),
        (cached(), other(), "measurement for slow is of another"),
        (cached(), None, "may have helped fast, so that this settles nothing"),
        (cached(), cached(), "may have helped fast and slow, so that this settles nothing"),
    ] {
        let found = measured(direct(2_000.0, fast), direct(2_100.0, slow));
        assert_eq!(found.verdict.proxy_is_bottleneck, Some(false), "{words}");
        let evidence = found.evidence.last().unwrap().to_string();
        assert!(evidence.contains(words) && !evidence.contains('%'), "{evidence}");
        assert!(found.missing.contains(&Missing::DirectMeasurement));
    }
}

#[test]
fn a_short_wait_is_not_called_waiting_for_others() {
    let made = |queue_ms| Made { queue_ms, ttft_ms: queue_ms, generation_ms: 0, proxy_ms: Some(0), ..MADE };
    let told = |requests: &[Made]| {
        let found = alone(&side("m", requests));
        let facts: Vec<String> = found.evidence.iter().map(ToString::to_string).collect();
        facts.into_iter().find(|fact| fact.contains("waiting for other requests"))
    };
    assert_eq!(told(&[made(249); 3]), None);
    let fact = told(&[made(249), made(250), made(251)]).unwrap();
    assert!(fact.contains("(in 2 of 3 requests)"), "{fact}");
}

#[test]
fn one_side_alone_is_broken_down() {
    let parts = [
        (Made { proxy_ms: Some(9_000), ..MADE }, Part::Proxy, Some(true)),
        (Made { load_ms: 7_000, ttft_ms: 9_000, ..MADE }, Part::Load, Some(false)),
        (Made { queue_ms: 7_000, ttft_ms: 9_000, ..MADE }, Part::Queue, Some(false)),
        (Made { ttft_ms: 9_000, ..MADE }, Part::Read, Some(false)),
        (MADE, Part::Write, Some(false)),
        (Made { generation_ms: 12_000, stall_ms: Some(8_000), ..MADE }, Part::Stall, Some(false)),
        (Made { proxy_ms: Some(3_000), ..MADE }, Part::Write, None),
    ];
    for (made, part, is_bottleneck) in parts {
        let found = alone(&side("m", &[made; 2]));
        assert_eq!(found.verdict.cause, Some(MainCause::Time(part)), "{}", headline(&found));
        assert_eq!(found.verdict.proxy_is_bottleneck, is_bottleneck, "{part}");
        assert!(found.right.is_none() && found.contributions.is_empty() && found.delta_ms.is_none());
        let time = found.left.time.unwrap();
        let sum: f64 = Part::ALL.into_iter().filter_map(|part| part.of(&time)).sum();
        assert_eq!(Some(sum), time.wall_ms);
    }
    let found = alone(&[]);
    assert_eq!((found.verdict.cause, found.verdict.proxy_is_bottleneck), (None, None));
    assert_eq!(headline(&found), "No verdict: no completed request of the side");
}

/// A recording in whole seconds gives a short request no time at all.
#[test]
fn requests_without_any_time_are_requests_all_the_same() {
    let made = Made { proxy_ms: None, ttft_ms: 0, generation_ms: 0, ..MADE };
    let found = alone(&side("m", &[made]));
    assert_eq!(headline(&found), "No verdict: the completed request of m took 0 ms by its recording");
    assert_eq!((found.verdict.cause, found.n), (None, 1));
    let found = alone(&side("m", &[made; 2]));
    assert_eq!(headline(&found), "No verdict: the 2 completed requests of m took 0 ms by their recording");
}

/// What is new in a prompt is read once: with the first of a conversation.
#[test]
fn a_larger_prompt_is_no_chance_although_one_request_alone_reads_it() {
    let cold = |prompt: u64| Made { prompt_tokens: Some(prompt), ttft_ms: prompt / 5, ..MADE };
    let warm = Made { cached_tokens: Some(9_500), ttft_ms: 100, ..MADE };
    let made = |first: Made| [vec![first], vec![warm; 6]].concat();
    let found = compared(&made(cold(10_000)), &made(cold(40_000)), Asked::Otherwise);
    assert_eq!(cause(&found), Some(DelayCause::PromptSize), "{}", headline(&found));
    assert_eq!(found.verdict.confidence, Some(VerdictConfidence::Low));
    let simulated = |made: Vec<Made>| {
        let of = |made: Made| Made { cached_source: CachedSource::Simulated, ..made };
        made.into_iter().map(of).collect::<Vec<_>>()
    };
    let found = compared(&simulated(made(cold(10_000))), &simulated(made(cold(40_000))), Asked::Otherwise);
    assert_eq!(cause(&found), None, "nobody counted what was read");
}
