//! The rules, each on a few requests made by hand, and laws over many.

mod constant_wait;
mod laws;
mod recorded;
mod requests;
mod server_log;
mod thresholds;

use super::cached::CachedTokens;
use super::case::{Case, CaseFacts, CaseSource, ClientFacts, Origin};
use super::fit_cases;
use super::overlap::Overlap;
use crate::model::timing::{CachedSource, Timing};
use crate::model::{Amount, CacheUse, Continued, ServerTask, SimulatedReuse};

/// A turn of a conversation: 10,000 tokens, one token a millisecond, 100 tokens written
/// in 2 s, alone, nothing in the cache.
fn turn(at: usize, start_ms: i64) -> Case {
    let mut case = CaseFacts {
        source: CaseSource::Request(at),
        session: Some("session".into()),
        thread: Some("thread".into()),
        start_ms: Some(start_ms),
        proxy_ms: 120.into(),
        ttft_ms: 10_000.into(),
        total_ms: 12_000.into(),
        reported_prompt_tokens: 10_000.into(),
        reported_output_tokens: 100.into(),
        is_certain: true,
        ..CaseFacts::default()
    };
    *case.origin_mut() =
        Origin { model: Some("qwen".into()), run: Some("run".into()), backend: Some("lmstudio".into()) };
    let client = ClientFacts {
        stall_ms: 0.into(),
        events: 105.into(),
        event_bytes: (105 * 115 + 400).into(),
        text_chunks: 100.into(),
        prompt_bytes: 40_000.into(),
        reuse: reused(0),
        ..ClientFacts::default()
    };
    case.with_client_facts(client).into()
}

/// All cases are looked through some twenty times: of 215,000, 8 bytes are 1.7 MB.
#[test]
fn a_case_is_small() {
    assert!(size_of::<CaseFacts>() <= 248, "{}", size_of::<CaseFacts>());
}

/// So many percent of the prompt found.
fn reused(percent: u64) -> Option<SimulatedReuse> {
    Some(SimulatedReuse { prompt_bytes: 40_000, reusable_bytes: 400 * percent, continues: None })
}

fn fitted(mut cases: Vec<Case>) -> Vec<Case> {
    cases.sort_by(|a, b| a.order(None).cmp(&b.order(None)));
    fit_cases(&mut cases);
    cases
}

fn timing(case: &Case) -> Timing {
    let mut timing = Timing::default();
    case.fill(&mut timing);
    timing
}

/// So many turns, a minute apart, each of which the next change is made to.
fn turns(n: usize, change: impl Fn(usize, &mut Case)) -> Vec<Case> {
    let mut cases: Vec<Case> = (0..n).map(|at| turn(at, 60_000 * i64::try_from(at).unwrap())).collect();
    cases.iter_mut().enumerate().for_each(|(at, case)| change(at, case));
    fitted(cases)
}

#[test]
fn a_lonely_request_waits_for_its_proxy_its_reading_and_its_writing() {
    let found = timing(&turns(1, |_, _| {})[0]);
    assert_eq!(
        (found.load_ms.get(), found.queue_ms.get(), found.read_ms.get()),
        (Some(0), Some(0), Some(10_000))
    );
    assert_eq!(
        (found.write_ms.get(), found.stall_ms.get(), found.other_ms.get()),
        (Some(2_000), Some(0), Some(0))
    );
    assert_eq!((found.cached_tokens.get(), found.cached_source), (Some(0), Some(CachedSource::Simulated)));
    assert_eq!(
        (found.read_tokens.get(), found.needed_tokens.get(), found.again_tokens),
        (Some(10_000), Some(10_000), Some(0))
    );
}

#[test]
fn a_warm_request_that_takes_half_the_time_proves_reuse() {
    let warm = |ttft: u64| {
        turns(2, move |at, case| {
            if at == 1 {
                (case.reuse, case.ttft_ms, case.total_ms) = (reused(90), ttft.into(), (ttft + 2_000).into());
            }
        })
    };
    let found = warm(4_999);
    assert!(found.iter().all(|case| case.seen == CacheUse::Reuses));
    assert_eq!(found[1].cached, Some(CachedTokens::Simulated(9_000)));
    let found = warm(5_000);
    assert_eq!((found[1].seen, found[1].cached), (CacheUse::Unknown, None));
    assert_eq!(
        found[0].cached,
        Some(CachedTokens::Simulated(0)),
        "what is next to nothing is told all the same"
    );
}

#[test]
fn three_warm_requests_that_take_all_the_time_prove_that_nothing_is_reused() {
    let warm = |n, slowest| {
        turns(n, move |at, case| {
            if at > 0 {
                let ttft = if at == 1 { slowest } else { 8_000 };
                (case.reuse, case.ttft_ms, case.total_ms) = (reused(90), ttft.into(), (ttft + 2_000).into());
            }
        })
    };
    let found = warm(4, 8_000);
    assert_eq!((found[3].seen, found[3].cached), (CacheUse::ReadsAll, Some(CachedTokens::NothingReused)));
    assert_eq!(warm(3, 8_000)[2].seen, CacheUse::Unknown, "two are too few");
    assert_eq!(warm(4, 7_999)[3].seen, CacheUse::Unknown, "one took less");
}

#[test]
fn without_a_cold_request_the_steadier_speed_decides() {
    let ttft_of = |shares: [u64; 4], ttft: fn(u64) -> u64| {
        turns(4, move |at, case| {
            let percent = shares[at];
            (case.reuse, case.ttft_ms) = (reused(percent), (ttft(percent)).into());
            case.total_ms = case.ttft_ms.get().map(|ttft| ttft + 2_000).into();
        })[0]
            .seen
    };
    assert_eq!(ttft_of([30, 50, 70, 90], |percent| 100 * (100 - percent)), CacheUse::Reuses);
    assert_eq!(ttft_of([30, 50, 70, 90], |_| 10_000), CacheUse::ReadsAll);
    assert_eq!(ttft_of([50, 50, 50, 50], |_| 5_000), CacheUse::Unknown, "both are as steady");
}

#[test]
fn counts_of_the_backend_outrank_the_simulation() {
    let found = turns(2, |at, case| {
        case.reported_cached_tokens = (if at == 0 { 0 } else { 9_700 }).into();
        case.reuse = reused(50);
    });
    assert_eq!(found[0].cached, Some(CachedTokens::Reported(0)));
    assert_eq!(found[1].cached, Some(CachedTokens::Reported(9_700)));
    assert_eq!(found[1].seen, CacheUse::Reuses);
    assert_eq!(found[1].read_tokens(), Some(300));
    let more_than_there_are = turns(1, |_, case| case.reported_cached_tokens = 10_001.into());
    assert_ne!(more_than_there_are[0].cached.map(CachedTokens::source), Some(CachedSource::Reported));
}

#[test]
fn a_continued_prompt_finds_the_answer_too() {
    let continued = |reasons: bool, behind: u64| {
        turns(2, move |at, case| {
            if at == 0 {
                case.reasoning_tokens = reasons.then_some(40).into();
                return;
            }
            let continues = Some(Continued { from: 0, bytes_behind_answer: behind });
            case.reuse = Some(SimulatedReuse { prompt_bytes: 40_000, reusable_bytes: 38_000, continues });
            case.reported_prompt_tokens = 11_000.into();
            (case.ttft_ms, case.total_ms) = (900.into(), 2_900.into());
        })[1]
            .cached
    };
    assert_eq!(continued(false, 400), Some(CachedTokens::Simulated(10_099)));
    assert_eq!(continued(true, 400), Some(CachedTokens::Simulated(10_000)), "reasoning is not sent back");
    assert_eq!(
        continued(false, 20_000),
        Some(CachedTokens::Simulated(5_500)),
        "what follows cannot be there"
    );
}

#[test]
fn what_an_earlier_turn_had_is_read_again() {
    let found = turns(2, |at, case| {
        case.reported_cached_tokens = (if at == 0 { 1 } else { 2_000 }).into();
        case.reported_prompt_tokens = (if at == 0 { 10_000 } else { 11_000 }).into();
    });
    let found = timing(&found[1]);
    assert_eq!(
        (found.read_tokens.get(), found.needed_tokens.get(), found.again_tokens),
        (Some(9_000), Some(901), Some(8_099))
    );
}

#[test]
fn a_prompt_that_fits_needs_one_token_at_least() {
    let found = turns(2, |_, case| case.reported_cached_tokens = 9_999.into());
    let found = timing(&found[1]);
    assert_eq!((found.needed_tokens.get(), found.again_tokens), (Some(1), Some(0)));
}

#[test]
fn waiting_for_another_is_what_reading_does_not_explain() {
    // The second comes 2 s after the first, and gets its first token 10 s after that.
    let queued = |ttft: u64| {
        turns(4, move |at, case| {
            if at == 3 {
                case.start_ms = Some(122_000);
                (case.ttft_ms, case.total_ms) = (ttft.into(), (ttft + 2_000).into());
            }
        })[3]
            .clone()
    };
    let found = queued(20_000);
    assert_eq!(found.overlap.shared_until_ms, Some(10_000));
    assert_eq!((found.queue_ms, found.read_ms()), (10_000, Some(10_000)));
    assert_eq!(queued(15_000).queue_ms, 5_000);
    assert_eq!(queued(10_000).queue_ms, 0, "reading explains all of it");
    let unknown = turns(2, |at, case| {
        if at == 1 {
            (case.start_ms, case.ttft_ms, case.total_ms) = (Some(2_000), 15_000.into(), 17_000.into());
        }
    });
    assert_eq!(unknown[1].queue_ms, 10_000, "no speed is known");
}

#[test]
fn a_load_is_what_the_wait_has_beyond_reading_all_of_the_prompt() {
    let loaded = |idle_ms: i64, ttft: u64| {
        turns(4, move |at, case| {
            if at == 3 {
                case.start_ms = Some(120_000 + 12_000 + idle_ms);
                (case.ttft_ms, case.total_ms) = (ttft.into(), (ttft + 2_000).into());
            }
        })[3]
            .load_ms
    };
    assert_eq!(loaded(300_000, 40_000), 30_000);
    assert_eq!(loaded(299_999, 40_000), 0, "not idle for long enough");
    assert_eq!(loaded(300_000, 12_499), 0, "less than a quarter more");
    assert_eq!(loaded(300_000, 12_500), 2_500);
}

#[test]
fn a_load_empties_the_cache_whatever_was_simulated() {
    let cases = turns(4, |at, case| {
        if at > 0 {
            case.reuse = reused(90);
            (case.ttft_ms, case.total_ms) = (1_000.into(), 3_000.into());
        }
        if at == 3 {
            case.start_ms = Some(120_000 + 3_000 + 300_000);
            (case.ttft_ms, case.total_ms) = (40_000.into(), 42_000.into());
        }
    });
    let found = timing(&cases[3]);
    assert_eq!((found.load_ms.get(), found.read_ms.get()), (Some(30_000), Some(10_000)));
    assert_eq!((found.cached_tokens.get(), found.cached_source), (Some(0), Some(CachedSource::Simulated)));
    assert_eq!((found.read_tokens.get(), timing(&cases[2]).cached_tokens.get()), (Some(10_000), Some(9_000)));
}

#[test]
fn a_load_needs_two_others_that_are_even() {
    let found = |second_ttft: u64| {
        turns(3, move |at, case| {
            if at == 0 {
                (case.ttft_ms, case.total_ms) = (50_000.into(), 52_000.into());
            }
            if at == 1 {
                (case.ttft_ms, case.total_ms) = (second_ttft.into(), (second_ttft + 2_000).into());
            }
        })[0]
            .load_ms
    };
    assert_eq!(found(10_000), 40_000);
    assert_eq!(found(15_000), 0, "the others are not even");
    assert_eq!(
        turns(2, |at, case| {
            if at == 0 {
                (case.ttft_ms, case.total_ms) = (50_000.into(), 52_000.into());
            }
        })[0]
            .load_ms,
        0,
        "one other is not enough"
    );
}

#[test]
fn another_model_in_between_may_have_unloaded_this_one() {
    let found = turns(5, |at, case| {
        if at == 3 {
            case.origin_mut().model = Some("gpt".into());
        }
        if at == 4 {
            (case.ttft_ms, case.total_ms) = (40_000.into(), 42_000.into());
        }
    });
    assert_eq!(found.iter().map(|case| case.load_ms).collect::<Vec<_>>(), [0, 0, 0, 0, 30_000]);
}

#[test]
fn reasoning_that_was_not_streamed_is_writing() {
    // 100 tokens streamed in 2 s, 300 before.
    let found = turns(1, |_, case| case.reported_output_tokens = 400.into());
    let times = timing(&found[0]);
    assert_eq!((times.read_ms.get(), times.write_ms.get()), (Some(4_000), Some(8_000)));
    assert_eq!(found[0].sample().hidden_tokens, Some(300));
    assert!(!found[0].sample().reads && !found[0].sample().writes);
    let counted = turns(1, |_, case| {
        // Several tokens in every piece: without the usage's count it would not be known.
        (case.reported_output_tokens, case.reasoning_tokens) = (300.into(), 100.into());
        case.event_bytes = (105 * 115 + 1_400).into();
    });
    assert_eq!(counted[0].hidden.map(|hidden| (hidden.tokens, hidden.ms)), Some((100, 1_000)));
    let streamed = turns(1, |_, case| {
        (case.reported_output_tokens, case.reasoning_tokens) = (400.into(), 300.into());
        case.streamed_reasoning = Some(true);
    });
    assert_eq!(streamed[0].hidden, None);
    let chunky = turns(1, |_, case| {
        // Four tokens, 14 bytes, in every piece.
        (case.reported_output_tokens, case.event_bytes) = (400.into(), (105 * 115 + 1_400).into());
    });
    assert_eq!(chunky[0].hidden, None);
    let long = turns(1, |_, case| case.reported_output_tokens = 100_000.into());
    assert_eq!(timing(&long[0]).read_ms, Some(500), "at most 95 % of the time to first token");
}

#[test]
fn an_answer_in_one_piece_tells_reading_from_writing_no_more() {
    let found = turns(1, |_, case| {
        (case.events, case.text_chunks, case.total_ms) = (6.into(), 1.into(), 10_040.into());
        case.event_bytes = (6 * 115 + 400).into();
    });
    let times = timing(&found[0]);
    assert_eq!((times.read_ms.get(), times.write_ms.get(), times.other_ms.get()), (None, None, Some(10_040)));
    assert!(!found[0].sample().reads);
    let fast = turns(3, |at, case| {
        if at == 2 {
            case.total_ms = 10_390.into();
        }
    });
    assert!(fast[2].is_buffered, "100 tokens take 2 s, not 390 ms");
    let slower = turns(3, |at, case| {
        if at == 2 {
            case.total_ms = 10_410.into();
        }
    });
    assert!(!slower[2].is_buffered);
}

#[test]
fn a_stall_is_no_writing() {
    let found = turns(1, |_, case| (case.total_ms, case.stall_ms) = (76_000.into(), 64_000.into()));
    let times = timing(&found[0]);
    assert_eq!((times.write_ms.get(), times.stall_ms.get()), (Some(2_000), Some(64_000)));
}

#[test]
fn counts_that_cannot_be_true_take_part_in_nothing() {
    let found = turns(3, |at, case| {
        if at == 1 {
            (case.reported_prompt_tokens, case.reported_output_tokens) = (531_700_000.into(), 426_423.into());
        }
    });
    let times = timing(&found[1]);
    assert_eq!(
        (times.cached_tokens.get(), times.read_tokens.get(), times.needed_tokens.get()),
        (None, None, None)
    );
    assert_eq!(times.read_ms, Some(10_000), "its times are still times");
    assert!(!found[1].sample().reads && !found[1].sample().writes);
    assert_eq!(
        timing(&found[2]).needed_tokens,
        Some(1),
        "the turn before the one that is not believed counts"
    );
}

#[test]
fn a_request_without_an_end_has_no_parts() {
    let found = turns(1, |_, case| (case.total_ms, case.ttft_ms) = (Amount::UNKNOWN, Amount::UNKNOWN));
    let times = timing(&found[0]);
    assert_eq!((times.load_ms.get(), times.read_ms.get(), times.other_ms.get()), (None, None, None));
}

#[test]
fn a_failed_request_is_all_rest() {
    let found = turns(1, |_, case| {
        (case.ttft_ms, case.reported_prompt_tokens, case.is_certain) =
            (Amount::UNKNOWN, Amount::UNKNOWN, false);
    });
    let times = timing(&found[0]);
    assert_eq!((times.load_ms.get(), times.queue_ms.get(), times.read_ms.get()), (Some(0), Some(0), None));
    assert_eq!((times.write_ms.get(), times.other_ms.get()), (None, Some(12_000)));
}

#[test]
fn requests_of_another_backend_do_not_overlap() {
    let found = turns(2, |at, case| {
        if at == 1 {
            (case.start_ms, case.origin_mut().backend) = (Some(2_000), Some("openrouter".into()));
        }
    });
    let alone = Overlap {
        is_alone_until_first: true,
        is_alone_until_end: true,
        is_alone_at_first: true,
        shared_until_ms: Amount::UNKNOWN,
    };
    assert!(found.iter().all(|case| case.overlap == alone));
}
