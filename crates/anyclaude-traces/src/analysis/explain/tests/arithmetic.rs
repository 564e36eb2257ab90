//! Contributions add up, and are what they are said to be.

use proptest::prelude::*;

use super::*;

fn made() -> impl Strategy<Value = Made> {
    let reading = (1_u64..60_000, 0.0..1.0_f64, 0.0..1.0_f64);
    let times = (0_u64..9_000, 0_u64..30_000, 0_u64..9_000, 0_u64..90_000, 0_u64..60_000, 0_u64..30_000);
    (reading, times, 0_u64..2_000, 0..8_u8).prop_map(|(reading, times, output, unknown)| {
        let (prompt, cached, again) = reading;
        let (proxy, load, queue, read, write, stall) = times;
        let part = |whole: u64, share: f64| (whole as f64 * share) as u64;
        let cached = part(prompt, cached);
        Made {
            proxy_ms: (unknown != 1).then_some(proxy),
            prompt_tokens: (unknown != 2).then_some(prompt),
            load_ms: load,
            queue_ms: queue,
            ttft_ms: load + queue + read,
            cached_tokens: (unknown != 3).then_some(cached),
            again_tokens: part(prompt - cached, again),
            output_tokens: (unknown != 4).then_some(output),
            generation_ms: write + stall,
            stall_ms: (unknown != 5).then_some(stall),
            ..MADE
        }
    })
}

fn us(ms: Millis) -> i64 {
    ms.0
}

proptest! {
    // Each case draws many resamples.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is known and unknown: the parts are the difference, swapping the sides
    /// changes nothing but signs, and the intervals hold what they are of.
    #[test]
    fn contributions_add_up_and_turn_with_the_sides(
        left in prop::collection::vec(made(), 1..7),
        right in prop::collection::vec(made(), 1..7),
        asked in prop::sample::select(vec![Asked::TheSame, Asked::TheSamePlace, Asked::Otherwise]),
    ) {
        let (left, right) = (side("fast", &left), side("slow", &right));
        let found = compared_requests(&left, &right, asked);
        let delta = found.delta_ms.unwrap();
        let sum: i64 = found.contributions.iter().filter_map(|one| one.ms).map(us).sum();
        prop_assert_eq!(sum, us(delta));

        let swapped = compared_requests(&right, &left, asked);
        prop_assert_eq!(us(swapped.delta_ms.unwrap()), -us(delta));
        for (one, other) in found.contributions.iter().zip(&swapped.contributions) {
            prop_assert_eq!(one.ms.map(us), other.ms.map(|ms| -us(ms)));
            prop_assert_eq!(one.share, other.share);
            prop_assert_eq!(one.interval, other.interval.map(Interval::negated));
        }
        let Verdict { cause, scenario, confidence, proxy_is_bottleneck, .. } = &found.verdict;
        let turned = &swapped.verdict;
        prop_assert_eq!((cause, scenario), (&turned.cause, &turned.scenario));
        prop_assert_eq!((confidence, proxy_is_bottleneck), (&turned.confidence, &turned.proxy_is_bottleneck));

        let shares: f64 = found.contributions.iter().filter_map(|one| one.share).filter(|share| *share > 0.0).sum();
        if us(delta) != 0 {
            prop_assert!((shares - 1.0).abs() < 1e-9);
        }
        prop_assert_eq!(found.delta_interval.is_some(), found.n >= 3);
        for one in &found.contributions {
            prop_assert_eq!(one.interval.is_some(), found.n >= 3 && one.ms.is_some());
            if let Some((interval, ms)) = one.interval.zip(one.ms) {
                // Both are rounded.
                prop_assert!(us(interval.low) <= us(ms) + 10 && us(ms) <= us(interval.high) + 10, "{:?}", one);
            }
        }
    }

    /// Where everything is known the difference is that of the walls.
    #[test]
    fn the_difference_is_that_of_the_walls(
        pairs in prop::collection::vec((made(), made()), 1..7),
        asked in prop::sample::select(vec![Asked::TheSame, Asked::Otherwise]),
    ) {
        let known = |made: Made| Made { proxy_ms: Some(7), ..made };
        let (left, right): (Vec<Made>, Vec<Made>) =
            pairs.into_iter().map(|(left, right)| (known(left), known(right))).unzip();
        let found = compared(&left, &right, asked);
        let wall = |side: &[Made]| side.iter().map(|made| made.wall_ms() as f64).sum::<f64>() / side.len() as f64;
        prop_assert!((found.delta_ms.unwrap().as_f64() - (wall(&right) - wall(&left))).abs() < 0.001);
        prop_assert_eq!(found.n, left.len() as u64);
        prop_assert_eq!(found.left.time.unwrap().wall_ms, Some(wall(&left)));
    }
}

/// 2,000 of 10,000 tokens in 1 s against 9,000 in 6 s, of which 4,000 were read again.
#[test]
fn reading_is_split_by_the_pooled_speed() {
    let left = Made { cached_tokens: Some(8_000), ttft_ms: 1_000, ..MADE };
    let right = Made { cached_tokens: Some(1_000), again_tokens: 4_000, ttft_ms: 6_000, ..MADE };
    for asked in [Asked::TheSamePlace, Asked::Otherwise] {
        let found = compared(&[left; 3], &[right; 3], asked);
        // 7,000 ms ÷ 11,000 tokens each.
        let each = 7_000.0 / 11_000.0;
        let close = |cause, expected: f64| {
            let found = ms_of(&found, cause).unwrap();
            assert!((found - expected).abs() < 0.001, "{cause}: {found}, not {expected}");
        };
        close(DelayCause::PromptSize, 3_000.0 * each);
        close(DelayCause::PromptCache, 4_000.0 * each);
        // (6,000 ÷ 9,000 − 1,000 ÷ 2,000) × 2 × 2,000 × 9,000 ÷ 11,000
        close(DelayCause::PromptProcessingSpeed, (2.0 / 3.0 - 0.5) * 36_000_000.0 / 11_000.0);
    }
}

#[test]
fn writing_is_split_by_the_pooled_speed() {
    let left = Made { output_tokens: Some(100), generation_ms: 2_000, ..MADE };
    let right = Made { output_tokens: Some(300), generation_ms: 12_000, ..MADE };
    let found = compared(&[left; 3], &[right; 3], Asked::TheSame);
    assert_eq!(ms_of(&found, DelayCause::OutputLength), Some(7_000.0));
    assert_eq!(ms_of(&found, DelayCause::GenerationSpeed), Some(3_000.0));
}

#[test]
fn who_wrote_nothing_borrows_the_speed() {
    let left = Made { output_tokens: Some(0), generation_ms: 30, ..MADE };
    let found = compared(&[left; 3], &[MADE; 3], Asked::TheSame);
    assert_eq!(ms_of(&found, DelayCause::OutputLength), Some(3_970.0));
    assert_eq!(ms_of(&found, DelayCause::GenerationSpeed), Some(0.0));
    let found = compared(&[left; 3], &[Made { generation_ms: 90, ..left }; 3], Asked::TheSame);
    assert_eq!(ms_of(&found, DelayCause::OutputLength), Some(0.0));
    assert_eq!(ms_of(&found, DelayCause::GenerationSpeed), Some(60.0));
}

#[test]
fn equal_prompts_are_of_one_size_whatever_the_tokenizer_says() {
    let right = Made { prompt_tokens: Some(13_000), ttft_ms: 9_000, ..MADE };
    let same = compared(&[MADE; 5], &[right; 5], Asked::TheSame);
    assert_eq!(ms(&same)[3..6], [Some(0.0), Some(0.0), Some(7_000.0)]);
    let other = compared(&[MADE; 5], &[right; 5], Asked::TheSamePlace);
    assert!(ms_of(&other, DelayCause::PromptSize).unwrap() > 0.0);
}

/// Where the log of the request before it is lost, all of a prompt seems new on that side.
#[test]
fn equal_prompts_are_as_new_on_one_side_as_on_the_other() {
    let left = Made { cached_tokens: Some(8_000), again_tokens: 0, ttft_ms: 1_000, ..MADE };
    let right = Made { again_tokens: 8_000, ttft_ms: 9_000, ..MADE };
    let lost = Made { cached_tokens: Some(0), again_tokens: 0, ttft_ms: 9_000, ..MADE };
    let told = compared(&[left; 5], &[right; 5], Asked::TheSame);
    assert_eq!(ms(&compared(&[left; 5], &[lost; 5], Asked::TheSame)), ms(&told));
    assert_eq!(ms_of(&told, DelayCause::PromptSize), Some(0.0));
    let place = compared(&[left; 5], &[lost; 5], Asked::TheSamePlace);
    assert!(ms_of(&place, DelayCause::PromptSize).unwrap() > 0.0);
}

/// Of a pair in which one side's cached tokens are unknown, reading is in `other`.
#[test]
fn unknown_cached_tokens_leave_reading_whole() {
    let right = Made { cached_tokens: None, ttft_ms: 3_000, generation_ms: 9_000, ..MADE };
    for asked in [Asked::TheSame, Asked::Otherwise] {
        let found = compared(&[MADE; 3], &[right; 3], asked);
        assert_eq!(ms(&found)[3..6], [None; 3]);
        assert_eq!(ms_of(&found, DelayCause::Other), Some(1_000.0));
        assert_eq!(ms_of(&found, DelayCause::GenerationSpeed), Some(5_000.0));
        assert!(found.contributions[3..6].iter().all(|one| one.share.is_none() && one.interval.is_none()));
        // One of two pairs that is known counts for its half.
        let known = Made { cached_tokens: Some(0), ..right };
        let found = compared(&[MADE; 4], &[right, known, right, known], asked);
        assert_eq!(ms_of(&found, DelayCause::PromptProcessingSpeed), Some(500.0));
        assert_eq!(ms_of(&found, DelayCause::Other), Some(500.0));
    }
}

#[test]
fn unknown_answers_leave_generation_whole() {
    let right = Made { output_tokens: None, generation_ms: 5_000, ttft_ms: 9_000, ..MADE };
    let found = compared(&[MADE; 5], &[right; 5], Asked::TheSame);
    assert_eq!(ms(&found)[6..8], [None, None]);
    assert_eq!(ms_of(&found, DelayCause::Other), Some(1_000.0));
    assert_eq!(found.delta_ms.unwrap().as_f64(), 8_000.0);
}

/// Read and write cannot be told apart: both are null, and their time is in `other`.
#[test]
fn an_answer_in_one_piece_is_other_time() {
    let mut right = side("slow", &[Made { ttft_ms: 9_000, ..MADE }; 3]);
    for request in &mut right {
        let timing = request.timing.as_mut().unwrap();
        (timing.read_ms, timing.write_ms, timing.other_ms) =
            (Amount::UNKNOWN, Amount::UNKNOWN, 13_000.into());
    }
    let found = compared_requests(&side("fast", &[MADE; 3]), &right, Asked::TheSame);
    assert_eq!(ms(&found)[3..8], [None; 5]);
    assert_eq!(ms_of(&found, DelayCause::Other), Some(7_000.0));
    assert_eq!(found.verdict.scenario, Scenario::Undetermined);
}

#[test]
fn stalls_that_were_not_logged_are_unknown() {
    let left = Made { stall_ms: None, ..MADE };
    let right = Made { generation_ms: 24_000, stall_ms: Some(20_000), ..MADE };
    let found = compared(&[left; 3], &[right; 3], Asked::TheSame);
    assert_eq!((ms_of(&found, DelayCause::Stalls), ms_of(&found, DelayCause::Other)), (None, Some(20_000.0)));
    assert!(found.missing.contains(&Missing::Stalls { side: "fast".to_owned() }));
}

/// The totals are compared where the proxy's own time is known of fewer than half.
#[test]
fn the_proxys_time_of_few_pairs_is_no_mean() {
    let (fast, slow) = (Made { proxy_ms: None, ..MADE }, Made { proxy_ms: None, ttft_ms: 2_400, ..MADE });
    let known = Made { proxy_ms: Some(0), ..fast };
    let slowly_known = Made { proxy_ms: Some(20_000), ..slow };
    let found =
        compared(&[known, fast, fast, fast, fast], &[slowly_known, slow, slow, slow, slow], Asked::TheSame);
    assert_eq!((ms_of(&found, DelayCause::Proxy), found.delta_ms.unwrap().as_f64()), (None, 400.0));
    assert_eq!((found.verdict.proxy_share, found.n), (None, 5));
    assert!(found.missing.contains(&Missing::ProxyTime { known: 1, of: 5 }));
    // Of half of them it is, and the others take no part.
    let found =
        compared(&[known, known, fast, fast], &[slowly_known, slowly_known, slow, slow], Asked::TheSame);
    assert_eq!((ms_of(&found, DelayCause::Proxy), found.n), (Some(20_000.0), 2));
    assert_eq!(left_out(&found, LeftOutReason::NoProxyTime), 4);
    let found = compared(&[known, fast, fast], &[slowly_known, slowly_known, slow], Asked::Otherwise);
    assert_eq!((ms_of(&found, DelayCause::Proxy), found.n), (None, 3));
}

/// The figures of many random pairs, worked out by other means.
#[test]
fn resampling_is_the_same_in_every_run() {
    let right: Vec<Made> = (1..=8).map(|n| Made { ttft_ms: 2_000 + 900 * n, ..MADE }).collect();
    let found = compared(&[MADE; 8], &right, Asked::TheSame);
    let interval = found.delta_interval.unwrap();
    assert_eq!(found.delta_ms.unwrap().as_f64(), 4_050.0);
    // The mean of 8 draws from 900, 1,800 … 7,200: 4,050 ± 1.96 × 2,062 ÷ √8.
    assert!((interval.low.as_f64() - 2_621.0).abs() < 150.0, "{interval:?}");
    assert!((interval.high.as_f64() - 5_479.0).abs() < 150.0, "{interval:?}");
    assert_eq!(compared(&[MADE; 8], &right, Asked::TheSame).delta_interval, Some(interval));
}
