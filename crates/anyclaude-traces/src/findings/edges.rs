//! The rules, one step to either side of where they begin to hold.

use super::testing::{Made, check, check_with, find_with, refuted, refuted_with, speeds};
use super::*;
use crate::model::{CacheUse, ProxyEdit};

fn found(rule: &dyn Rule, made: &[Made]) -> Finding {
    found_with(rule, made, CacheUse::Reuses)
}

fn found_with(rule: &dyn Rule, made: &[Made], cache: CacheUse) -> Finding {
    match check_with(rule, made, |input| input.speeds = speeds(cache)) {
        RuleCheck::Found(mut found) => found.swap_remove(0),
        other => panic!("{other:?}"),
    }
}

/// A turn of 10,000 tokens of which 9,000 were read in 18 s.
fn turn() -> Made {
    Made::new().prompt(10_000).read(9_000, 18_000).times(0, 20_000)
}

#[test]
fn a_summary_costs_all_that_follows_it_and_any_other_break_what_was_lost() {
    let other = || turn().model("n");
    let one = found(&cache_broken::CacheBroken, &[turn(), turn().broke(Cause::Compacted, 600), other()]);
    let Evidence::CacheBroken(CacheBreaks { requests, of, tokens, summary_ms, .. }) = one.evidence else {
        panic!()
    };
    assert_eq!((requests, of, tokens, summary_ms), (1, 2, 9_000, Some(20_000)));
    assert_eq!(one.cost_ms, Some(18_000));
    let one = found(&cache_broken::CacheBroken, &[turn(), turn().broke(Cause::BillingHeader, 600), other()]);
    let Evidence::CacheBroken(CacheBreaks { requests, of, tokens, summary_ms, .. }) = one.evidence else {
        panic!()
    };
    assert_eq!((requests, of, tokens, summary_ms), (1, 2, 600, None));
    let keys: Vec<String> = one.settings.iter().flatten().map(|setting| setting.key.to_string()).collect();
    assert_eq!(keys, ["env.CLAUDE_CODE_ATTRIBUTION_HEADER"]);
}

/// 10,000 tokens of which so many percent are a repetition, none of it from the cache.
fn repeating(percent: u64) -> Made {
    Made::new().prompt(10_000).reusable(percent).cached(0, false).read(10_000, 20_000)
}

#[test]
fn what_a_backend_reads_again_is_shared_out_over_its_requests() {
    let made = [repeating(0), repeating(50), repeating(60), repeating(90)];
    let one = found_with(&cache_unused::CacheUnused, &made, CacheUse::ReadsAll);
    let Evidence::ReadsAll(ReadsAll { requests, of, tokens, reading, .. }) = one.evidence else { panic!() };
    assert_eq!((requests, of, tokens), (3, 4, 20_000));
    assert_eq!(reading, Some(RepeatedReading { tokens_per_second: 500.0, each_ms: 13_333 }));
}

#[test]
fn without_prompt_tokens_nothing_is_known_of_the_cache() {
    let unknown = || Made::new().reusable(90).cached(0, false);
    assert_eq!(
        check(&cache_unused::CacheUnused, &[unknown(), unknown(), unknown()]),
        RuleCheck::NotEnoughData
    );
    let none = || unknown().prompt(0);
    assert_eq!(check(&cache_unused::CacheUnused, &[none(), none(), none()]), RuleCheck::NotEnoughData);
}

#[test]
fn neither_a_simulation_nor_a_first_request_shows_that_a_backend_reuses() {
    let with = |other: Made| {
        let made = [repeating(50), repeating(60), repeating(90), other];
        refuted_with(&cache_unused::CacheUnused, &made, |input| input.speeds = speeds(CacheUse::ReadsAll))
    };
    assert!(!with(repeating(90).cached(9_000, false)));
    assert!(!with(repeating(0).cached(0, true)), "there was nothing that it could have reused");
    assert!(with(repeating(90).cached(4_500, true)));
}

/// A session of which a summary took the place every three turns.
fn looping() -> Vec<Made> {
    let mut made = Vec::new();
    for _ in 0..2 {
        made.extend([turn(), turn(), turn(), turn().broke(Cause::Compacted, 600)]);
    }
    made
}

#[test]
fn continuations_close_to_each_other_are_one_finding() {
    let one = found(&compaction_loop::CompactionLoop, &looping());
    let Evidence::CompactionLoop(RepeatedCompaction { continuations, within_turns, tokens, .. }) =
        one.evidence
    else {
        panic!()
    };
    assert_eq!((continuations, within_turns, tokens), (2, 4, Some(18_000)));
    let kinds: Vec<FindingKind> = find_with(&looping(), |input| input.speeds = speeds(CacheUse::Reuses))
        .iter()
        .map(|one| one.kind)
        .collect();
    assert_eq!(kinds, [FindingKind::CompactionLoop], "no other accounts for them");
}

#[test]
fn one_continuation_is_a_broken_cache() {
    let found = find_with(&looping()[..5], |input| input.speeds = speeds(CacheUse::Reuses));
    assert_eq!(found.iter().map(|one| one.kind).collect::<Vec<_>>(), [FindingKind::CacheBroken]);
}

#[test]
fn only_mode_claude_shows_by_a_missing_answer_that_there_was_none() {
    let tries = |made: fn(Made) -> Made| {
        let made = [made(Made::new().at(0).body(1)), Made::new().at(20_000).body(1)];
        check(&retried::Retried, &made)
    };
    assert!(matches!(tries(Made::claude), RuleCheck::Found(_)));
    assert_eq!(tries(Made::without_times), RuleCheck::Ok);
}

/// A thread of prompts with these counts and sizes.
fn thread(prompts: &[(u64, u64)]) -> Vec<Made> {
    prompts.iter().map(|&(tokens, bytes)| Made::new().prompt(tokens).body_bytes(bytes)).collect()
}

#[test]
fn counts_stop_growing_only_while_prompts_grow_by_a_tenth() {
    let made = |last| thread(&[(5_000, 20_000), (8_192, 32_000), (8_192, 33_000), (8_192, last)]);
    assert_eq!(check(&context_overflow::ContextOverflow, &made(35_000)), RuleCheck::Ok);
    let one = found(&context_overflow::ContextOverflow, &made(40_000));
    let Evidence::ContextOverflow(ContextOverflows { sign, .. }) = one.evidence else { panic!() };
    assert_eq!(sign, OverflowSign::StoppedGrowing { needed_tokens: 10_240, context_tokens: 8_192 });
    assert_eq!(one.advice, Some(Advice::LargerContext { tokens: Some(16_384), slots: None }));
}

#[test]
fn counts_that_never_followed_the_sizes_are_no_counts() {
    let made = |first| thread(&[(first, 20_000), (8_000, 32_000), (8_000, 36_000), (8_000, 40_000)]);
    assert_eq!(check(&context_overflow::ContextOverflow, &made(7_600)), RuleCheck::Ok);
    assert!(matches!(check(&context_overflow::ContextOverflow, &made(7_599)), RuleCheck::Found(_)));
}

#[test]
fn counts_of_requests_that_failed_show_no_limit() {
    let mut made = thread(&[(5_000, 20_000), (8_192, 32_000), (8_192, 36_000), (8_192, 40_000)]);
    made.iter_mut().skip(1).for_each(|one| *one = one.clone().failed("out of memory"));
    assert_eq!(check(&context_overflow::ContextOverflow, &made), RuleCheck::Ok);
}

#[test]
fn a_context_that_is_enough_leaves_room_for_an_answer() {
    let refused = Made::new().failed("n_keep: 14000 >= n_ctx: 8192");
    let one = found(&context_overflow::ContextOverflow, &[refused]);
    assert_eq!(one.advice, Some(Advice::LargerContext { tokens: Some(32_768), slots: None }));
}

#[test]
fn an_answer_without_output_is_a_count() {
    let count = || Made::new().counting().times(0, 8_000);
    assert!(!refuted(&counting::Counting, &[count()]));
    assert!(refuted(&counting::Counting, &[count().answered(8_000)]));
}

/// The same prompt at two debug levels, by the proxy's time and the answer's.
fn levels(body: usize, low: (u64, u64, u64), high: (u64, u64, u64)) -> [Made; 2] {
    [(1, low), (3, high)].map(|(level, (proxy_ms, events, generation_ms))| {
        Made::new().body(body).level(level).times(proxy_ms, 9_000).answer(events, generation_ms)
    })
}

fn pairs(of: impl Fn(usize) -> [Made; 2], n: usize) -> Vec<Made> {
    (0..n).flat_map(of).collect()
}

#[test]
fn levels_are_compared_by_the_proxys_time_and_that_for_each_event() {
    let mut made = pairs(|body| levels(body, (100, 100, 2_000), (400, 100, 2_100)), 3);
    made.push(Made::new().body(9).level(1));
    let one = found(&debug_logging::DebugLogging, &made);
    assert_eq!((one.requests.len(), one.cost_ms), (3, Some(1_200)), "those at the higher level");
}

#[test]
fn pairs_show_nothing_where_most_of_them_are_as_fast() {
    let as_fast = |body| {
        let slower = if body < 3 { 300 } else { 0 };
        levels(body, (0, 100, 2_000), (0, 100, 2_000 + slower))
    };
    assert_eq!(check(&debug_logging::DebugLogging, &pairs(as_fast, 5)), RuleCheck::Ok, "3 of 5");
    let a_little = |body| levels(body, (0, 3, 10), (0, 2, 7));
    assert_eq!(check(&debug_logging::DebugLogging, &pairs(a_little, 3)), RuleCheck::Ok, "a third of 1 ms");
}

#[test]
fn one_level_and_answers_without_events_are_no_pairs() {
    let one_level: Vec<Made> =
        (0..3).map(|body| Made::new().body(body).level(1).answer(100, 2_000)).collect();
    assert_eq!(check(&debug_logging::DebugLogging, &one_level), RuleCheck::NotEnoughData);
    let no_events = |body| levels(body, (0, 0, 2_000), (0, 0, 2_300));
    assert_eq!(check(&debug_logging::DebugLogging, &pairs(no_events, 3)), RuleCheck::NotEnoughData);
}

#[test]
fn a_lower_level_is_advised_to_who_runs_at_the_higher() {
    let advice = |level| {
        let mut made = pairs(|body| levels(body, (0, 100, 2_000), (300, 100, 2_000)), 3);
        made.iter_mut().for_each(|one| *one = one.clone().model("n"));
        made.extend((10..13).map(|body| Made::new().body(body).times(750, 2_250).level(level)));
        match check(&proxy_slow::ProxySlow, &made) {
            RuleCheck::Found(found) => found[0].advice.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(advice(3), Some(Advice::LowerDebugLevel { high: 3, low: 1, gain_ms: 300 }));
    assert_eq!(advice(1), None);
}

#[test]
fn what_the_proxy_did_is_counted() {
    let slow = || Made::new().times(750, 2_250);
    let removed = ProxyEdit::MessagesRemoved { messages: 4 };
    let filtered = || slow().edited(ProxyEdit::ToolsFiltered { before: 9, after: 6 });
    let made = [filtered(), filtered(), slow().edited(removed)];
    let one = found(&proxy_slow::ProxySlow, &made);
    let Evidence::ProxySlow(SlowProxy { truncated, edited, .. }) = one.evidence else { panic!() };
    assert_eq!((truncated, edited), (1, 2));
    assert!(!refuted(&proxy_slow::ProxySlow, &made), "the means say a quarter too");
    let background = || slow().background();
    assert_eq!(
        check(&proxy_slow::ProxySlow, &[background(), background(), background()]),
        RuleCheck::NotEnoughData
    );
}

#[test]
fn messages_that_the_proxy_removed_are_a_cut_history() {
    let one = found(
        &history_truncated::HistoryTruncated,
        &[Made::new().edited(ProxyEdit::MessagesRemoved { messages: 4 })],
    );
    let Evidence::HistoryTruncated(TruncatedHistories { requests, removed_messages, .. }) = one.evidence
    else {
        panic!()
    };
    assert_eq!((requests, removed_messages), (1, Some(4)));
}

#[test]
fn an_eviction_that_lost_nothing_is_none() {
    let evicted = |lost| turn().broke(Cause::Evicted, lost).evicted_by(0);
    assert_eq!(check(&evicted::Evicted, &[turn(), evicted(0)]), RuleCheck::Ok);
    let found = find_with(&[turn(), evicted(5_000)], |input| input.speeds = speeds(CacheUse::Reuses));
    assert_eq!(
        found.iter().map(|one| (one.kind, one.cost_ms)).collect::<Vec<_>>(),
        [(FindingKind::Evicted, Some(10_000))]
    );
}

#[test]
fn failures_are_counted_among_the_requests_of_their_model() {
    let words = "x".repeat(161);
    let made = [Made::new(), Made::new().failed(&words), Made::new().model("n"), Made::new().model("n")];
    let one = found(&failed::Failed, &made[..3]);
    let Evidence::Failed(FailedRequests { requests, of, error, .. }) = one.evidence else { panic!() };
    assert_eq!((requests, of, error), (1, 2, Some(format!("{}…", "x".repeat(160)))));
    let one = found(&failed::Failed, &[Made::new().failed(&words[1..])]);
    let Evidence::Failed(FailedRequests { error, .. }) = one.evidence else { panic!() };
    assert_eq!(error, Some("x".repeat(160)), "not longer than what is shown");
}

#[test]
fn who_left_is_told_from_what_ended_it() {
    use crate::model::timing::Outcome;
    let made = [
        Made::new().outcome(Outcome::Disconnected, 1_000),
        Made::new().outcome(Outcome::TimedOut, 2_000),
        Made::new().outcome(Outcome::TimedOut, 3_000),
    ];
    let one = found(&given_up::GivenUp, &made);
    let Evidence::GivenUp(GivenUpRequests { by_client, by_time_limit, longest_ms, .. }) = one.evidence else {
        panic!()
    };
    assert_eq!((by_client, by_time_limit, longest_ms), (1, 2, Some(3_000)));
}

#[test]
fn loads_are_named_by_what_came_before_them() {
    let minute = 60_000;
    // Each takes a second.
    let made = [
        Made::new().at(0).load(500),
        Made::new().at(31_000).load(500),
        Made::new().at(61_000).load(500).first_of_process(),
        Made::new().at(62_000 + minute).load(500).again(700),
        Made::new().at(63_000 + 2 * minute).load(500).again(800),
    ];
    let one = found(&model_load::ModelLoad, &made);
    let Evidence::ModelLoad(ModelLoads { reasons, load_ms, again_tokens, .. }) = one.evidence else {
        panic!()
    };
    let idle = LoadReason::Idle { minutes: 1 };
    assert_eq!(reasons, [(LoadReason::ProcessStart, 2), (LoadReason::Unknown, 1), (idle, 2)]);
    assert_eq!((load_ms, again_tokens), (2_500, 1_500));
}

#[test]
fn a_swap_lost_enough_and_was_read_again() {
    let turns = |cause: Cause, lost: u64, read_ms: u64| {
        let lost =
            |at: i64| Made::new().at(at * 10_000).prompt(9_000).read(9_000, read_ms).broke(cause, lost);
        let other = |at: i64| Made::new().at(at * 10_000).model("b").load(0);
        check_with(&model_swap::ModelSwap, &[other(0), lost(1), other(2), lost(3)], |input| {
            input.speeds = speeds(CacheUse::Unknown);
        })
    };
    assert!(matches!(turns(Cause::ModelSwapped, 8_000, 8_000), RuleCheck::Found(_)), "half of 16 s");
    assert!(matches!(turns(Cause::ModelSwapped, 500, 18_000), RuleCheck::Found(_)));
    assert_eq!(turns(Cause::ModelSwapped, 499, 18_000), RuleCheck::Ok);
    assert_eq!(turns(Cause::GitStatus, 8_000, 18_000), RuleCheck::Ok);
}

#[test]
fn who_ends_when_another_begins_is_not_there_with_it() {
    let made = [
        Made::new().at(0).times(0, 2_000),
        Made::new().at(1_000).times(0, 2_000),
        Made::new().at(2_000).times(0, 2_000).queue(500),
    ];
    let one = found(&queueing::Queueing, &made);
    let Evidence::Queueing(QueuedRequests { most_at_once, .. }) = one.evidence else { panic!() };
    assert_eq!(most_at_once, 2);
    let together = || Made::new().at(0).times(0, 2_000).queue(500);
    let one = found(&queueing::Queueing, &[together(), together(), together()]);
    let Evidence::Queueing(QueuedRequests { most_at_once, .. }) = one.evidence else { panic!() };
    assert_eq!(most_at_once, 3);
}

#[test]
fn what_follows_a_summary_is_known_without_a_count_of_cached_tokens() {
    let turn = |percent| Made::new().prompt(10_000).reusable(percent).times(0, 20_000);
    let summary = || turn(60).broke(Cause::Compacted, 600);
    let one = found(&compaction_loop::CompactionLoop, &[turn(0), summary(), turn(0), summary()]);
    let Evidence::CompactionLoop(RepeatedCompaction { tokens, .. }) = one.evidence else { panic!() };
    assert_eq!(tokens, Some(8_000));
}

#[test]
fn what_costs_more_than_it_took_is_not_said() {
    let found = |total_ms| {
        let made = [turn(), turn().broke(Cause::GitStatus, 5_000).times(0, total_ms)];
        find_with(&made, |input| input.speeds = speeds(CacheUse::Reuses)).len()
    };
    assert_eq!((found(9_999), found(10_000)), (0, 1));
}

#[test]
fn the_request_before_is_one_that_the_same_backend_answered() {
    let reason = |before: Made| {
        let (first, load) = (Made::new().at(0), Made::new().at(70_000).load(500));
        let one = found(&model_load::ModelLoad, &[first, before.at(10_000), load]);
        let Evidence::ModelLoad(ModelLoads { reasons, .. }) = one.evidence else { panic!() };
        reasons[0].0
    };
    let idle = LoadReason::Idle { minutes: 1 };
    assert_eq!(reason(Made::new().without_model()), idle, "nothing was answered");
    assert_eq!(reason(Made::new().model("b").without_times().level(2)), idle, "another backend's, maybe");
    assert_eq!(reason(Made::new().model("b").without_times()), LoadReason::OtherModel);
    assert_eq!(reason(Made::new().model("b").level(2)), LoadReason::OtherModel);
}

#[test]
fn answers_without_thinking_or_without_output_say_nothing_of_thinking() {
    let answer = |output, thinking| Made::new().output(output, 20_000).thinking(thinking);
    let none = || answer(1_000, 0);
    assert_eq!(check(&thinking::Thinking, &[none(), none(), none()]), RuleCheck::NotEnoughData);
    let half = || answer(1_000, 500);
    let one = found(&thinking::Thinking, &[half(), half(), half(), answer(0, 5)]);
    let Evidence::Thinking(ThinkingShare { requests, thinking_tokens, output_tokens, .. }) = one.evidence
    else {
        panic!()
    };
    assert_eq!((requests, thinking_tokens, output_tokens), (3, 1_500, 3_000));
    assert_eq!(one.cost_ms, Some(30_000));
    assert!(!refuted(&thinking::Thinking, &[half(), half(), half()]));
    let in_no_time = || Made::new().output(1_000, 0).thinking(900);
    assert!(refuted(&thinking::Thinking, &[in_no_time(), in_no_time(), in_no_time()]));
}

#[test]
fn tools_are_counted_of_the_requests_that_carry_them() {
    let costs = super::testing::costs(&[("mcp__maps__list", 1_000, false), ("Read", 400, true)]);
    let carrier = || turn().cached(1_000, false).tools(&["mcp__maps__list", "Read"]);
    let mut made = vec![carrier(), carrier(), carrier()];
    made.extend((0..5).map(|_| turn().cached(1_000, false).tools(&["Read"])));
    let found = check_with(&tools_unused::ToolsUnused, &made, |input| {
        input.tool_costs = Some(&costs);
        input.speeds = speeds(CacheUse::Reuses);
    });
    let RuleCheck::Found(found) = found else { panic!("{found:?}") };
    assert_eq!(found[0].requests.len(), 3);
}

#[test]
fn tools_cost_what_was_read_of_them() {
    let mut costs = super::testing::costs(&[
        ("mcp__maps__list", 600, false),
        ("mcp__maps__find", 400, false),
        ("Read", 300, false),
        ("Write", 100, false),
    ]);
    let names = ["mcp__maps__list", "mcp__maps__find", "Read", "Write"];
    // System a quarter, tools half of the prompt: 40 % from the cache leave 70 % of these.
    let made = [turn().cached(4_000, false).tools(&names)];
    let check = |costs: &crate::analysis::tool_cost::ToolCosts| {
        let found = check_with(&tools_unused::ToolsUnused, &made, |input| {
            input.tool_costs = Some(costs);
            input.speeds = speeds(CacheUse::Reuses);
        });
        let refuted = refuted_with(&tools_unused::ToolsUnused, &made, |input| input.tool_costs = Some(costs));
        let RuleCheck::Found(mut found) = found else { panic!("{found:?}") };
        (found.swap_remove(0), refuted)
    };
    let (one, is_refuted) = check(&costs);
    assert_eq!((one.cost_ms, is_refuted), (Some(1_400), false));
    let Evidence::ToolsUnused(UnusedTools { servers, tools, built_in, built_in_tokens, .. }) = one.evidence
    else {
        panic!()
    };
    assert_eq!((servers.len(), servers[0].tools, servers[0].tokens), (1, 2, 1_000));
    assert_eq!((tools, built_in, built_in_tokens), (2, 2, 400));
    costs.called_tools.push("mcp__mail__send".into());
    assert!(!check(&costs).1, "of another server");
    costs.called_tools.push("mcp__maps__show".into());
    assert!(check(&costs).1);
}

#[test]
fn an_opening_that_changes_is_said_of_a_backend_that_reuses() {
    let made = [turn().broke(Cause::VolatileOpening, 5_000)];
    let found = find_with(&made, |input| input.speeds = speeds(CacheUse::Reuses));
    assert_eq!(found.iter().map(|one| one.kind).collect::<Vec<_>>(), [FindingKind::VolatileOpening]);
}
