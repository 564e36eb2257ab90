//! What the backend is taken to have got, and what other slots would lose.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyclaude_traces::analysis::prefix::{CacheInput, ElementTexts, PrefixInput, View, prefix};
use anyclaude_traces::findings::FindingsInput;
use anyclaude_traces::model::scope::{KindFilter, Scope};
use anyclaude_traces::model::timing::{CachedSource, Outcome, Timing};
use anyclaude_traces::prompt_cache::{CacheOptions, Simulation, simulate};
use anyclaude_traces::{Request, Timestamp};
use serde_json::json;

use crate::{Asked, recorded};

/// Prompt tokens, and those of them that the backend reports as cached.
type Counts = Option<(u64, u64)>;

/// A request of a model whose first message opens a conversation, so long that two of
/// them have little in common (a cache takes the slot that has most); `header` is the
/// billing header's count.
fn asked(model: &str, opening: &str, turns: usize, header: u32) -> Asked {
    let messages: Vec<_> = (0..turns)
        .map(|at| {
            let role = if at % 2 == 0 { "user" } else { "assistant" };
            json!({ "role": role, "content": format!("{opening} {at} {}", opening.repeat(4000)) })
        })
        .collect();
    let body = json!({
        "model": model,
        "system": [
            { "type": "text", "text": format!("x-anthropic-billing-header: cc_version=2; cch={header:05x};") },
            { "type": "text", "text": "Answer in one word." },
        ],
        "messages": messages,
        "metadata": { "user_id": format!("user_a_account_b_session_{opening}1111111-1111-4111-8111-111111111111") },
    });
    Asked { body, total_ms: 0 }
}

fn simulated<T>(
    asked: &[Asked],
    mode: &str,
    counts: &[Counts],
    options: CacheOptions,
    look: impl FnOnce(&mut Simulation<'_>) -> T,
) -> T {
    let mut recorded = recorded(asked);
    for (at, request) in recorded.recording.requests.iter_mut().enumerate() {
        let mut timing = Timing::default();
        (timing.start, timing.total_ms) = (request.timestamp, 0.into());
        if let Some((prompt, cached)) = counts.get(at).copied().flatten() {
            (timing.prompt_tokens, timing.cached_tokens) = (prompt.into(), cached.into());
            timing.cached_source = Some(CachedSource::Reported);
        }
        request.timing = Some(Box::new(timing));
        request.mode = Some(mode.into());
    }
    let requests: Vec<&Request> = recorded.recording.requests.iter().collect();
    let mut texts = ElementTexts::new(&recorded.store);
    let mut fetch = |path: &_, place| texts.read(path, place);
    let (mut simulation, _) = simulate(&requests, &recorded.prompts, options, &mut fetch);
    look(&mut simulation)
}

fn slots(slots: usize) -> CacheOptions {
    let mut options = CacheOptions::default();
    options.slots = NonZeroUsize::new(slots).unwrap();
    options
}

/// What is taken for what the backend got, where nothing was counted.
fn supposed(mode: &str, unix_ms: i64) -> View {
    let mut recorded = recorded(&[asked("m", "a", 1, 1)]);
    let request = &mut recorded.recording.requests[0];
    (request.mode, request.timestamp) = (Some(mode.into()), Timestamp::from_unix_ms(unix_ms));
    let mut texts = ElementTexts::new(&recorded.store);
    let mut fetch = |path: &_, place| texts.read(path, place);
    simulate(&[&recorded.recording.requests[0]], &recorded.prompts, slots(4), &mut fetch).0.view
}

#[test]
fn without_counts_the_mode_and_the_day_tell_what_the_backend_got() {
    // 2025-11-16, 00:00 UTC.
    let day = 1_763_251_200_000;
    assert_eq!(supposed("claude", day).to_string(), "sent");
    assert_eq!(supposed("lmstudio", day).to_string(), "sorted,text-only");
    assert_eq!(supposed("lmstudio", day - 1).to_string(), "text-only");
    assert_eq!(supposed("local", day).to_string(), "sorted,no-header,text-only");
}

/// Each request has another header: what was cached tells whether it was passed on.
#[test]
fn counts_tell_whether_the_header_was_dropped() {
    let asked = [1, 3].map(|turns| asked("m", "a", turns, turns as u32));
    let view = |counts: &[Counts]| simulated(&asked, "lmstudio", counts, slots(4), |found| found.view);
    let (kept, dropped) = ("sorted,text-only", "sorted,no-header,text-only");
    assert_eq!(view(&[None, None]).to_string(), kept);
    assert_eq!(view(&[Some((300, 0)), Some((900, 0))]).to_string(), kept);
    // The first of equals: without tools, sorting them makes no difference.
    assert_eq!(view(&[Some((300, 0)), Some((900, 300))]).to_string(), dropped);
    assert_eq!(view(&[None, Some((900, 300))]).to_string(), dropped);
    // A count of nothing says nothing.
    assert_eq!(view(&[Some((0, 0)), Some((900, 300))]).to_string(), dropped);
}

/// Two conversations take turns in one slot.
#[test]
fn counts_tell_whether_main_memory_keeps_prompts() {
    let asked = [("a", 1), ("b", 1), ("a", 3)].map(|(opening, turns)| asked("m", opening, turns, 1));
    let ram = |counts: &[Counts]| {
        let mut options = slots(1);
        options.view = Some(View::sent());
        simulated(&asked, "lmstudio", counts, options, |found| found.cache.ram)
    };
    assert!(ram(&[None, None, None]), "where nothing was counted");
    assert!(ram(&[Some((300, 0)), Some((300, 6)), Some((900, 300))]));
    assert!(!ram(&[Some((300, 0)), Some((300, 6)), Some((900, 6))]));
    // The first of equals: of the first two requests both would give the same.
    assert!(ram(&[Some((300, 0)), Some((300, 6)), None]));
}

/// Two conversations take turns. Where each was read whole after the other, and quickly
/// after itself, the backend holds one; where nothing is quick, it may reuse nothing.
#[test]
fn without_counts_times_may_prove_one_slot() {
    let of = [("a", 11), ("a", 13), ("b", 11), ("a", 15), ("b", 13), ("b", 15), ("a", 17)];
    let asked = of.map(|(opening, turns)| asked("m", opening, turns, 1));
    let found = |ms: [u64; 7], options: CacheOptions| {
        let mut recorded = recorded(&asked);
        for ((request, ms), (_, turns)) in recorded.recording.requests.iter_mut().zip(ms).zip(of) {
            let mut timing = Timing::default();
            (timing.start, timing.total_ms, timing.ttft_ms) = (request.timestamp, 0.into(), ms.into());
            timing.prompt_tokens = (1_000 * turns as u64).into();
            timing.outcome = Some(Outcome::Completed);
            (request.timing, request.stream) = (Some(Box::new(timing)), true);
        }
        let requests: Vec<&Request> = recorded.recording.requests.iter().collect();
        let mut texts = ElementTexts::new(&recorded.store);
        let mut fetch = |path: &_, place| texts.read(path, place);
        let (found, _) = simulate(&requests, &recorded.prompts, options, &mut fetch);
        (found.cache.slots, found.cache.ram, found.reuse[3].reusable_bytes * 2 < found.reuse[3].prompt_bytes)
    };
    let mut options = CacheOptions::default();
    options.view = Some(View::sent());
    let one_slot = [11_000, 2_000, 11_000, 15_000, 13_000, 2_000, 17_000];
    assert_eq!(found(one_slot, options), (1, false, true));
    let (four_slots, quick, two_only) =
        ((4, true, false), 2_000, [11_000, 2_000, 11_000, 15_000, 13_000, 2_000, 9_000]);
    assert_eq!(found([11_000, quick, 11_000, quick, quick, quick, quick], options), four_slots);
    assert_eq!(found([11_000, 13_000, 11_000, 15_000, 13_000, 15_000, 17_000], options), four_slots);
    assert_eq!(found(two_only, options), four_slots);
    assert_eq!(found([11_000, quick, 11_000, 15_000, 13_000, quick, quick], options), four_slots);
    options.ram = Some(true);
    assert_eq!(found(one_slot, options), four_slots);
    (options.ram, options.slots) = (None, NonZeroUsize::new(3).unwrap());
    assert_eq!(found(one_slot, options), (3, true, false));
}

/// Two conversations take turns. Where the backend counts nothing after the other one, and
/// all after the same one, it holds one prompt.
#[test]
fn counts_may_prove_one_slot() {
    let of = [("a", 11), ("a", 13), ("b", 11), ("a", 15), ("b", 13), ("b", 15), ("a", 17)];
    let asked = of.map(|(opening, turns)| asked("m", opening, turns, 1));
    let found = |cached: [u64; 7], options: CacheOptions| {
        let counts: Vec<Counts> =
            of.iter().zip(cached).map(|((_, turns), cached)| Some((1_000 * *turns as u64, cached))).collect();
        simulated(&asked, "lmstudio", &counts, options, |found| (found.cache.slots, found.cache.ram))
    };
    let mut options = CacheOptions::default();
    options.view = Some(View::sent());
    let one_slot = [0, 11_000, 0, 0, 0, 13_000, 0];
    assert_eq!(found(one_slot, options), (1, false));
    assert_eq!(found([0, 11_000, 0, 13_000, 11_000, 13_000, 15_000], options), (4, true));
    let two_only = [0, 11_000, 0, 0, 0, 13_000, 15_000];
    assert_eq!(found(two_only, options), (4, true));
    options.ram = Some(true);
    assert_eq!(found(one_slot, options), (4, true));
    (options.ram, options.slots) = (None, NonZeroUsize::new(3).unwrap());
    assert_eq!(found(one_slot, options).0, 3);
}

#[test]
fn what_other_slots_would_lose_is_what_they_give_less() {
    let of = [("m", "a", 1), ("n", "c", 1), ("m", "b", 1), ("m", "a", 3)];
    let asked = of.map(|(model, opening, turns)| asked(model, opening, turns, 1));
    let mut options = slots(2);
    (options.view, options.ram) = (Some(View::sent()), Some(false));
    let mut reusable = |slots| {
        options.slots = NonZeroUsize::new(slots).unwrap();
        simulated(&asked, "claude", &[], options, |found| found.reuse[3].reusable_bytes)
    };
    let [two, one] = [2, 1].map(&mut reusable);
    assert!(two > one, "{two} {one}");
    let outcomes = |slots| {
        let slots = NonZeroUsize::new(slots).unwrap();
        let found = simulated(&asked, "claude", &[], options, |found| found.with_slots(slots));
        found.into_iter().map(|one| (one.model, one.evicted, one.lost_bytes)).collect::<Vec<_>>()
    };
    let model = |name: &str| Some(Arc::from(name));
    assert_eq!(outcomes(2), [(model("m"), vec![], 0), (model("n"), vec![], 0)]);
    assert_eq!(outcomes(1), [(model("m"), vec![3], two - one), (model("n"), vec![], 0)]);
}

/// A model that was swapped out would be so with any number of slots.
#[test]
fn swaps_are_no_matter_of_slots() {
    let of = [("m", "a", 1), ("n", "c", 1), ("m", "a", 3)];
    let asked = of.map(|(model, opening, turns)| asked(model, opening, turns, 1));
    let mut options = slots(1);
    (options.view, options.ram) = (Some(View::sent()), Some(false));
    let found = simulated(&asked, "lmstudio", &[], options, |found| {
        (found.reuse[2].reusable_bytes, found.with_slots(NonZeroUsize::MIN))
    });
    assert_eq!(found.0, 0);
    assert!(found.1.iter().all(|one| one.evicted.is_empty() && one.lost_bytes == 0), "{:?}", found.1);
}

/// Four conversations in two slots, of which the first goes on: more slots are tried until
/// none is evicted.
#[test]
fn more_slots_are_tried_until_they_are_enough() {
    let of = [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("a", 3)];
    let asked = of.map(|(opening, turns)| asked("m", opening, turns, 1));
    let tried = |in_slots: usize| {
        let recorded = recorded(&asked);
        let requests: Vec<&Request> = recorded.recording.requests.iter().collect();
        let inputs: Vec<CacheInput<'_>> =
            requests.iter().map(|request| CacheInput { request, reported: true }).collect();
        let mut options = slots(in_slots);
        (options.view, options.ram) = (Some(View::sent()), Some(false));
        let mut texts = ElementTexts::new(&recorded.store);
        let mut fetch = |path: &_, place| texts.read(path, place);
        let (simulation, steps) = simulate(&requests, &recorded.prompts, options, &mut fetch);
        let scope = Scope::new(None, None, KindFilter::All, inputs.len() as u64);
        let report = prefix(PrefixInput::new(scope, &inputs), &simulation, steps);
        let input = FindingsInput::new(requests, Vec::new(), &recorded.prompts, &report, &simulation, None);
        input.slots.into_iter().map(|one| (one.model, one.slots, one.evicted_requests)).collect::<Vec<_>>()
    };
    let model = || Some(Arc::from("m"));
    assert_eq!(tried(2), [(model(), 3, 1), (model(), 4, 0)]);
    assert_eq!(tried(3), [(model(), 4, 0)]);
    assert_eq!(tried(4), [], "nothing was evicted");
}
