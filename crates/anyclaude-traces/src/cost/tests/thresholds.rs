//! Where each rule begins to hold, one step to either side of it.

use super::*;
use crate::cost::rate::Sample;
use crate::cost::reasoning::Hidden;

/// Turns that need two milliseconds for a token.
fn slow_turns(n: usize, change: impl Fn(usize, &mut Case)) -> Vec<Case> {
    turns(n, |at, case| {
        (case.ttft_ms, case.total_ms) = (20_000.into(), 22_000.into());
        change(at, case);
    })
}

/// After each of these, so many milliseconds to the first token, and 2 s more.
fn answered_after(case: &mut Case, ttft: u64) {
    (case.ttft_ms, case.total_ms) = (ttft.into(), (ttft + 2_000).into());
}

fn loads(cases: &[Case]) -> Vec<u64> {
    cases.iter().map(|case| case.load_ms).collect()
}

#[test]
fn a_twentieth_of_the_prompt_is_worth_knowing() {
    let found = |percent| turns(1, |_, case| case.reuse = reused(percent))[0].cached;
    assert_eq!(found(4), Some(CachedTokens::Simulated(400)));
    assert_eq!(found(5), None, "nothing tells whether it was reused");
}

#[test]
fn one_who_comes_while_another_writes_disturbs_no_reading() {
    let found = turns(2, |at, case| {
        if at == 1 {
            case.start_ms = Some(11_000);
        }
    });
    assert!(found[0].overlap.is_alone_until_first && !found[0].overlap.is_alone_until_end);
    assert!(found[0].sample().reads && !found[0].sample().writes);
}

#[test]
fn a_usage_that_counts_no_reasoning_is_no_evidence_of_any() {
    let found = turns(2, |at, case| {
        case.reasoning_tokens = 0.into();
        if at == 1 {
            let continues = Some(Continued { from: 0, bytes_behind_answer: 400 });
            case.reuse = Some(SimulatedReuse { prompt_bytes: 40_000, reusable_bytes: 38_000, continues });
            case.reported_prompt_tokens = 11_000.into();
            answered_after(case, 900);
        }
    });
    assert_eq!(found[1].cached, Some(CachedTokens::Simulated(10_099)), "the answer is in the cache");
    let hidden = turns(1, |_, case| {
        (case.reasoning_tokens, case.reported_output_tokens) = (0.into(), 400.into());
    });
    assert_eq!(hidden[0].hidden.map(|hidden| hidden.tokens), Some(300), "nor evidence against it");
}

#[test]
fn whatever_disturbs_a_request_keeps_it_out_of_the_speeds() {
    let undisturbed = turns(1, |_, _| {})[0].clone();
    assert_eq!(undisturbed.read_sample(), Some(Sample { tokens: 10_000, ms: 10_000 }));
    assert_eq!(undisturbed.write_sample(), Some(Sample { tokens: 99, ms: 2_000 }));
    let disturbances: [fn(&mut Case); 7] = [
        |case| case.is_certain = false,
        |case| case.ttft_ms = Amount::UNKNOWN,
        |case| case.ttft_ms = 0.into(),
        |case| case.prompt_tokens = Amount::UNKNOWN,
        |case| case.hidden = Some(Hidden { tokens: 10, ms: 10 }),
        |case| case.is_buffered = true,
        |case| case.overlap.is_alone_until_first = false,
    ];
    for (at, disturb) in disturbances.into_iter().enumerate() {
        let mut case = undisturbed.clone();
        disturb(&mut case);
        assert!(!case.is_undisturbed() && case.read_sample().is_none(), "{at}");
    }
    let mut only_waited = undisturbed;
    only_waited.queue_ms = 10_000;
    assert_eq!(only_waited.read_sample(), None);
}

#[test]
fn what_loads_take_is_measured_by_requests_that_need_no_load() {
    let idle = 5 * 60 * 1_000;
    // The first of a process and one after a pause: the two between tell the pace.
    let found = turns(4, |at, case| match at {
        0 => answered_after(case, 50_000),
        3 => {
            case.start_ms = Some(132_000 + idle);
            answered_after(case, 40_000);
        }
        _ => {}
    });
    assert_eq!(loads(&found), [40_000, 0, 0, 30_000]);
    // Each after a pause: the others tell the pace of each.
    let found = turns(3, |at, case| {
        case.start_ms = Some(2 * idle * i64::try_from(at).unwrap());
        if at == 0 {
            answered_after(case, 40_000);
        }
    });
    assert_eq!(loads(&found), [30_000, 0, 0]);
}

#[test]
fn paces_are_even_whatever_they_are_and_however_long_the_prompts() {
    let found = slow_turns(4, |at, case| match at {
        0 => answered_after(case, 50_000),
        2 => {
            (case.reported_prompt_tokens, case.prompt_bytes) = (20_000.into(), 80_000.into());
            answered_after(case, 40_000);
        }
        _ => {}
    });
    assert_eq!(loads(&found), [30_000, 0, 0, 0]);
}

#[test]
fn a_load_takes_a_second_at_least() {
    let found = |ttft| {
        turns(3, move |at, case| {
            (case.reported_prompt_tokens, case.prompt_bytes) = (2_000.into(), 8_000.into());
            answered_after(case, if at == 0 { ttft } else { 2_000 });
        })[0]
            .load_ms
    };
    assert_eq!((found(2_999), found(3_000)), (0, 1_000));
}

#[test]
fn reading_is_taken_off_the_wait_at_its_own_pace() {
    let found = slow_turns(4, |at, case| {
        if at == 3 {
            case.start_ms = Some(122_000);
            answered_after(case, 35_000);
        }
    });
    assert_eq!(found[3].overlap.shared_until_ms, Some(20_000));
    assert_eq!((found[3].queue_ms, found[3].read_ms()), (15_000, Some(20_000)));
}

/// An answer of so many tokens in so many pieces and bytes.
fn hidden_in(output: u64, pieces: u64, bytes: u64) -> Option<u64> {
    let found = turns(1, |_, case| {
        (case.reported_output_tokens, case.text_chunks) = (output.into(), pieces.into());
        (case.events, case.event_bytes) = ((pieces + 5).into(), ((pieces + 5) * 115 + bytes).into());
    });
    found[0].hidden.map(|hidden| hidden.tokens)
}

#[test]
fn reasoning_is_hidden_only_where_all_of_it_points_there() {
    assert_eq!(hidden_in(153, 105, 400), None, "no more than 1.3 × events + 10");
    assert_eq!(hidden_in(154, 105, 400), Some(49));
    assert_eq!(hidden_in(400, 140, 1_400), None, "3.5 bytes for each token");
    assert_eq!(hidden_in(400, 140, 1_399), Some(260));
    assert_eq!(hidden_in(400, 100, 1_001), None, "more than 10 bytes in a piece");
    assert_eq!(hidden_in(400, 100, 1_000), Some(300));
}

#[test]
fn an_answer_is_too_fast_only_by_what_its_own_tokens_take() {
    let last = |change: fn(&mut Case)| {
        let found = turns(9, move |at, case| {
            if at == 8 {
                change(case);
            }
        });
        found[8].is_buffered
    };
    // 99 tokens behind the first take 2 s elsewhere: 5 × 400 ms.
    assert!(last(|case| case.total_ms = 10_399.into()));
    assert!(!last(|case| case.total_ms = 10_402.into()));
    let long = |case: &mut Case| {
        (case.reported_output_tokens, case.text_chunks) = (150.into(), 150.into());
        (case.events, case.event_bytes) = (155.into(), (155 * 115 + 600).into());
        case.total_ms = 10_499.into();
    };
    assert!(last(long));
    let shortly = |case: &mut Case| {
        (case.reported_output_tokens, case.text_chunks) = (150.into(), 150.into());
        (case.events, case.event_bytes) = (155.into(), (155 * 115 + 600).into());
        case.total_ms = 10_500.into();
    };
    assert!(!last(shortly), "half a second is long enough to tell");
}

#[test]
fn a_count_of_cached_tokens_shows_reuse_and_none_shows_nothing() {
    let seen = |counts: [u64; 2]| {
        turns(2, move |at, case| case.reported_cached_tokens = counts.get(at).copied().into())[1].seen
    };
    assert_eq!(seen([0, 0]), CacheUse::Unknown);
    assert_eq!(seen([1, 9_700]), CacheUse::Reuses);
}

#[test]
fn a_disturbed_request_proves_no_reuse() {
    let found = turns(2, |at, case| {
        if at == 1 {
            case.reuse = reused(90);
            case.is_certain = false;
            answered_after(case, 1_000);
        }
    });
    assert_eq!(found[1].seen, CacheUse::Unknown);
}

/// What four requests without a cold one show: percent found, and time to first token.
fn seen_of(requests: [(u64, u64); 4]) -> CacheUse {
    let found = turns(4, move |at, case| {
        let (percent, ttft) = requests[at];
        case.reuse = reused(percent);
        answered_after(case, ttft);
    });
    found[0].seen
}

#[test]
fn speeds_are_compared_by_how_even_they_are_and_not_by_their_size() {
    // 10 ms for each new token, 4 % more or less; over whole prompts 14 %.
    let found = seen_of([(88, 12_480), (89, 10_560), (91, 9_360), (92, 7_680)]);
    assert_eq!(found, CacheUse::Reuses);
    // 5 s for each prompt, 4 % more or less.
    let found = seen_of([(88, 5_200), (89, 4_800), (91, 5_200), (92, 4_800)]);
    assert_eq!(found, CacheUse::ReadsAll);
}

#[test]
fn a_little_more_even_is_not_clearly_so() {
    // 7.7 % against 10.4 %, and 10.0 % against 7.5 %.
    let found = seen_of([(70, 27_000), (75, 26_250), (80, 22_000), (85, 13_500)]);
    assert_eq!(found, CacheUse::Unknown);
    let found = seen_of([(70, 5_500), (75, 4_750), (80, 4_500), (85, 5_250)]);
    assert_eq!(found, CacheUse::Unknown);
}

#[test]
fn a_source_is_refused_only_with_its_count() {
    use crate::model::timing::TokenSource;
    let sources = |change: fn(&mut Case)| {
        let usage = Some(TokenSource::Usage);
        let mut timing =
            Timing { prompt_tokens_source: usage, output_tokens_source: usage, ..Timing::default() };
        turns(1, |_, case| change(case))[0].fill(&mut timing);
        (timing.prompt_tokens_source, timing.output_tokens_source)
    };
    let (usage, refused) = (Some(TokenSource::Usage), Some(TokenSource::Implausible));
    assert_eq!(sources(|_| {}), (usage, usage));
    assert_eq!(sources(|case| case.reported_output_tokens = Amount::UNKNOWN), (usage, usage));
    let too_many = |case: &mut Case| {
        (case.reported_output_tokens, case.text_chunks) = (5_000.into(), 10.into());
    };
    assert_eq!(sources(too_many), (usage, refused));
    assert_eq!(sources(|case| case.reported_prompt_tokens = 90_000_000.into()), (refused, refused));
}

/// Turns of 10,000 tokens, of which a cache holds so many percent of the third, which waits
/// so long. The second proves that prompts are reused.
fn third(percent: u64, ttft_ms: u64, change: impl Fn(&mut Case)) -> Option<CachedTokens> {
    let found = turns(3, |at, case| match at {
        0 => {}
        1 => {
            case.reuse = reused(90);
            answered_after(case, 1_000);
        }
        _ => {
            case.reuse = reused(percent);
            answered_after(case, ttft_ms);
            change(case);
        }
    });
    found[2].cached
}

#[test]
fn a_warm_request_that_takes_as_long_as_its_whole_prompt_was_read_whole() {
    let cached = |percent, ttft_ms| third(percent, ttft_ms, |_| {});
    assert_eq!(cached(80, 8_000), Some(CachedTokens::NothingReused));
    assert_eq!(cached(80, 7_999), Some(CachedTokens::Simulated(8_000)));
    assert_eq!(cached(80, 12_500), Some(CachedTokens::NothingReused));
    assert_eq!(cached(80, 12_501), Some(CachedTokens::Simulated(8_000)), "something else took that time");
    assert_eq!(cached(40, 9_000), Some(CachedTokens::NothingReused), "6 s would have been enough");
    assert_eq!(cached(40, 8_999), Some(CachedTokens::Simulated(4_000)));
    assert_eq!(cached(39, 10_000), Some(CachedTokens::Simulated(3_900)), "much of it was to be read anyway");
}

/// What four warm turns show of their backend, of which a title comes first: so many tokens
/// in so many milliseconds.
fn seen_after_a_title(tokens: u64, ttft_ms: u64, warm_ms: u64) -> CacheUse {
    let found = turns(5, move |at, case| {
        case.reuse = reused(if at == 0 { 0 } else { 90 });
        answered_after(case, if at == 0 { ttft_ms } else { warm_ms });
        if at == 0 {
            (case.reported_prompt_tokens, case.prompt_bytes) = (tokens.into(), (4 * tokens).into());
            case.reuse =
                Some(SimulatedReuse { prompt_bytes: 4 * tokens, reusable_bytes: 0, continues: None });
        }
    });
    found[4].seen
}

#[test]
fn a_short_prompt_tells_nothing_of_how_long_a_long_one_takes() {
    // 5,000 tokens in half a second: all 10,000 would be read in a second, and each took as long.
    assert_eq!(seen_after_a_title(5_000, 500, 1_000), CacheUse::ReadsAll);
    assert_eq!(seen_after_a_title(4_999, 500, 1_000), CacheUse::Unknown);
    // 5,000 in 5 s: all 10,000 would take ten.
    assert_eq!(seen_after_a_title(5_000, 5_000, 4_000), CacheUse::Reuses);
    assert_eq!(seen_after_a_title(4_999, 5_000, 4_000), CacheUse::Unknown);
}

#[test]
fn a_first_request_that_waited_for_a_load_does_not_prove_reuse() {
    // Prompts grow by a tenth each turn, of which the new part is more or less.
    let found = |of_whole: bool| {
        turns(7, move |at, case| {
            let prompt = 10_000 + 1_000 * u64::try_from(at).unwrap();
            let new = [100, 9, 2, 7, 4, 8, 3][at];
            case.reuse = reused(100 - new);
            (case.reported_prompt_tokens, case.prompt_bytes) = (prompt.into(), (4 * prompt).into());
            let read = if of_whole { prompt } else { prompt * new / 100 };
            answered_after(case, read + if at == 0 { 30_000 } else { 0 });
        })
    };
    let all = found(true);
    assert_eq!(all[1].seen, CacheUse::ReadsAll);
    assert_eq!((all[0].load_ms, all[0].read_ms()), (30_000, Some(10_000)));
    assert_eq!(found(false)[1].seen, CacheUse::Reuses);
}

/// Prompts of 20,000 tokens and more, so many of which are new, that took so long.
fn growing(first_ms: u64, ttft_ms: fn(u64, u64) -> u64) -> Vec<Case> {
    turns(7, move |at, case| {
        let prompt = 20_000 + 1_000 * u64::try_from(at).unwrap();
        let new = [1_000, 2_000, 1_200, 3_000, 1_500, 2_500, 4_000][at];
        let held = if at == 0 { 0 } else { prompt - new };
        let reuse = SimulatedReuse { prompt_bytes: 4 * prompt, reusable_bytes: 4 * held, continues: None };
        (case.reported_prompt_tokens, case.prompt_bytes) = (prompt.into(), (4 * prompt).into());
        case.reuse = Some(reuse);
        answered_after(case, if at == 0 { first_ms } else { ttft_ms(prompt, new) });
    })
}

#[test]
fn a_first_prompt_that_was_in_the_cache_before_the_recording_proves_nothing() {
    // All but 1,000 of its 20,000 tokens were there: others took as long as it, or longer.
    let found = growing(1_000, |_, new| new);
    assert_eq!((found[0].seen, found[0].cached), (CacheUse::Reuses, None));
    assert_eq!((found[0].read_ms(), found[1].read_tokens()), (Some(1_000), Some(2_000)));
    let found = growing(1_000, |prompt, _| prompt / 20);
    assert_eq!((found[0].seen, found[1].cached), (CacheUse::ReadsAll, Some(CachedTokens::NothingReused)));
    // A third of the time that it takes at the speed of the fastest is possible, and no less.
    let cold = |ms| growing(ms, |_, new| new)[0].cached;
    assert_eq!((cold(6_666), cold(6_667)), (None, Some(CachedTokens::Simulated(0))));
}

#[test]
fn a_long_prompt_that_was_read_faster_beside_others_refutes_the_speed_of_short_ones() {
    // Two of 2,000 tokens in a second each, and 10,000 while another was there.
    let samples = |tokens: u64, ttft_ms: u64| {
        let found = turns(4, move |at, case| {
            if at < 2 {
                (case.reported_prompt_tokens, case.prompt_bytes) = (2_000.into(), 8_000.into());
                answered_after(case, 1_000);
            } else {
                (case.reported_prompt_tokens, case.prompt_bytes) = (tokens.into(), (4 * tokens).into());
                answered_after(case, ttft_ms);
                case.start_ms = Some(120_000 + i64::try_from(at).unwrap());
            }
            case.reuse = Some(SimulatedReuse { prompt_bytes: 8_000, reusable_bytes: 0, continues: None });
        });
        found.iter().filter(|case| case.read_sample().is_some()).count()
    };
    assert_eq!(samples(10_000, 1_000), 0);
    assert_eq!(samples(10_000, 1_001), 2);
    assert_eq!(samples(9_999, 990), 2, "less than five times as long");
}

#[test]
fn a_title_that_ended_soon_leaves_the_first_turn_to_tell() {
    let seen = |title_ms: u64| {
        let mut cases: Vec<Case> =
            (0..4).map(|at| turn(at, 60_000 * i64::try_from(at).unwrap() + 10)).collect();
        for case in &mut cases[1..] {
            case.reuse = reused(90);
            answered_after(case, 1_000);
        }
        let mut title = turn(4, 0);
        (title.ttft_ms, title.total_ms) = (20.into(), title_ms.into());
        (title.reported_prompt_tokens, title.prompt_bytes) = (500.into(), 2_000.into());
        cases.push(title);
        fitted(cases)[3].seen
    };
    assert_eq!(seen(1_010), CacheUse::Reuses);
    assert_ne!(seen(1_011), CacheUse::ReadsAll);
}

#[test]
fn a_request_that_took_a_third_of_what_was_left_to_read_found_more_in_the_cache() {
    let last = |percent, ttft_ms, n: usize| {
        let found = turns(n, move |at, case| {
            case.reuse = reused(if at == 0 {
                0
            } else if at + 1 == n {
                percent
            } else {
                90
            });
            answered_after(
                case,
                if at == 0 {
                    10_000
                } else if at + 1 == n {
                    ttft_ms
                } else {
                    1_000
                },
            );
        });
        found[n - 1].cached
    };
    assert_eq!(last(30, 2_333, 6), None, "7,000 tokens were left");
    assert_eq!(last(30, 2_334, 6), Some(CachedTokens::Simulated(3_000)));
    assert_eq!(last(30, 2_333, 3), Some(CachedTokens::Simulated(3_000)), "too few tell how fast it reads");
    assert_eq!(last(90, 300, 6), Some(CachedTokens::Simulated(9_000)), "less than a second is not worth it");
}

#[test]
fn a_second_at_least_must_tell_that_a_prompt_was_read_whole() {
    let small = |tokens: u64, ttft_ms| {
        third(90, ttft_ms, |case| {
            (case.reported_prompt_tokens, case.prompt_bytes) = (tokens.into(), (4 * tokens).into());
        })
    };
    // Of 1,200 tokens 120 are to be read.
    assert_eq!(small(1_200, 1_120), Some(CachedTokens::NothingReused));
    assert_eq!(small(1_200, 1_119), Some(CachedTokens::Simulated(1_080)));
}

#[test]
fn what_else_may_have_taken_the_time_leaves_the_simulated_count() {
    let simulated = Some(CachedTokens::Simulated(9_000));
    assert_eq!(third(90, 10_000, |case| case.is_certain = false), simulated);
    // The second, which began a minute before, is still writing when its first token comes, …
    let overlapped = |total_ms: u64| {
        let found = turns(3, |at, case| match at {
            0 => {}
            1 => {
                case.reuse = reused(90);
                (case.ttft_ms, case.total_ms) = (1_000.into(), total_ms.into());
            }
            _ => {
                case.reuse = reused(90);
                answered_after(case, 12_000);
            }
        });
        found[2].cached
    };
    assert_eq!(overlapped(75_000), simulated);
    // … or ended so early that the rest of the wait is that of the whole prompt.
    assert_eq!(overlapped(62_000), Some(CachedTokens::NothingReused));
    assert_eq!(overlapped(65_000), simulated);
}

#[test]
fn answers_faster_than_any_prompt_was_read_had_been_there_before() {
    // 10,000 prompt tokens in 10 s, and 100 written tokens behind them.
    let untold = |n, generation_ms: u64| {
        let found = turns(n, move |_, case| case.total_ms = (10_000 + generation_ms).into());
        found.iter().map(|case| case.is_buffered).collect::<Vec<_>>()
    };
    assert_eq!(untold(3, 98), [true; 3]);
    assert_eq!(untold(3, 99), [false; 3], "as fast as reading");
    assert_eq!(untold(2, 98), [false; 2], "two are too few");
    // One that found its prompt in the cache tells that it may read faster.
    let found = turns(3, |at, case| {
        case.ttft_ms = (if at == 1 { 1_000 } else { 10_000 }).into();
        case.total_ms = case.ttft_ms.get().map(|ttft| ttft + 50).into();
    });
    assert!(found.iter().all(|case| !case.is_buffered));
}
