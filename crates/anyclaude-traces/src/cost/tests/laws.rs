//! What holds for any requests.

use proptest::prelude::*;

use super::*;

type Who = (i64, u8, u8, u8);
type Three = (Option<u64>, Option<u64>, Option<u64>);
type Rest = (Option<u64>, u64, Option<usize>, bool);

/// Requests of two models and two processes that may overlap, fail, stall and lie.
fn any_cases() -> impl Strategy<Value = Vec<Case>> {
    let one = (
        (0..600_000i64, 0..3u8, 0..2u8, 0..3u8),
        (prop::option::of(0..60_000u64), prop::option::of(0..90_000u64), prop::option::of(0..20_000u64)),
        (prop::option::of(0..60_000u64), prop::option::of(0..3_000u64), prop::option::of(0..60_000u64)),
        (prop::option::of(0..400u64), 0..100u64, prop::option::of(0..4usize), any::<bool>()),
    );
    prop::collection::vec(one, 0..14).prop_map(|all| {
        let case = |(at, one): (usize, _)| {
            let (who, times, tokens, rest): (Who, Three, Three, Rest) = one;
            let ((start, model, run, thread), (ttft, total, stall), (prompt, output, cached)) =
                (who, times, tokens);
            let (events, percent, from, is_certain) = rest;
            let continues = from.map(|from| Continued { from, bytes_behind_answer: 400 });
            let reusable_bytes = 400 * percent;
            let client = ClientFacts {
                stall_ms: stall.into(),
                events: events.into(),
                text_chunks: Amount::UNKNOWN,
                reported_cached_tokens: cached.into(),
                reuse: Some(SimulatedReuse { prompt_bytes: 40_000, reusable_bytes, continues }),
                ..(**turn(at, start)).clone()
            };
            let mut case = CaseFacts {
                ttft_ms: ttft.filter(|ttft| total.is_some_and(|total| *ttft <= total)).into(),
                total_ms: total.into(),
                reported_prompt_tokens: prompt.into(),
                reported_output_tokens: output.into(),
                is_certain,
                ..(*turn(at, start)).clone()
            };
            case.origin_mut().model = Some(model.to_string().into());
            case.origin_mut().run = Some(run.to_string().into());
            case.thread = Some(thread.to_string().into());
            Case::from(case.with_client_facts(client))
        };
        all.into_iter().enumerate().map(case).collect()
    })
}

proptest! {
    #[test]
    fn parts_add_up_and_tokens_do_too(cases in any_cases()) {
        for case in fitted(cases) {
            let found = timing(&case);
            let parts = [found.load_ms, found.queue_ms, found.read_ms, found.write_ms, found.stall_ms, found.other_ms];
            let sum: u64 = parts.into_iter().filter_map(Amount::get).sum();
            match case.total_ms.get() {
                Some(total) => prop_assert_eq!(sum, total, "{:?}", found),
                None => prop_assert_eq!(parts, [Amount::UNKNOWN; 6]),
            }
            if let (Some(cached), Some(read)) = (found.cached_tokens.get(), found.read_tokens.get()) {
                prop_assert_eq!(Some(cached + read), case.prompt_tokens);
            }
            if let Some(needed) = found.needed_tokens.get() {
                prop_assert!(Some(needed) <= case.prompt_tokens.get());
            }
            prop_assert_eq!(found.cached_tokens.is_known(), found.cached_source.is_some());
        }
    }

    #[test]
    fn the_order_in_which_requests_come_changes_nothing(cases in any_cases(), by in 0..97usize) {
        let mut shuffled = cases.clone();
        shuffled.rotate_left(by % cases.len().max(1));
        if by % 2 == 1 {
            shuffled.reverse();
        }
        let found = |cases| fitted(cases).iter().map(|case| (case.source, timing(case))).collect::<Vec<_>>();
        let (one, other) = (found(cases), found(shuffled));
        prop_assert_eq!(one.len(), other.len());
        for (one, other) in one.iter().zip(&other) {
            prop_assert_eq!(one, other);
        }
    }

    /// Of requests that nothing disturbed, a machine that is so many times as slow takes
    /// so many times as long in every part.
    #[test]
    fn parts_grow_as_the_times_do(
        prompts in prop::collection::vec((300..20_000u64, 16..400u64), 3..9), times in 2..9u64,
    ) {
        let made = |times: u64| {
            let mut start = 0;
            let cases = prompts.iter().enumerate().map(|(at, &(prompt, output))| {
                let (ttft, total) = (prompt * times, (prompt + 30 * output) * times);
                let client = ClientFacts {
                    events: (output + 5).into(),
                    event_bytes: ((output + 5) * 115 + 4 * output).into(),
                    text_chunks: output.into(),
                    prompt_bytes: (4 * prompt).into(),
                    ..(**turn(at, start)).clone()
                };
                let case = CaseFacts {
                    ttft_ms: ttft.into(),
                    total_ms: total.into(),
                    reported_prompt_tokens: prompt.into(),
                    reported_output_tokens: output.into(),
                    ..(*turn(at, start)).clone()
                };
                start += i64::try_from(total).unwrap() + 50;
                Case::from(case.with_client_facts(client))
            });
            fitted(cases.collect()).iter().map(timing).collect::<Vec<_>>()
        };
        for (one, other) in made(1).iter().zip(made(times)) {
            prop_assert_eq!(one.read_ms.get().map(|ms| ms * times), other.read_ms);
            prop_assert_eq!(one.write_ms.get().map(|ms| ms * times), other.write_ms);
            prop_assert_eq!(one.read_tokens, other.read_tokens);
        }
    }
}
