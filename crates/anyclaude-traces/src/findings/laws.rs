//! What holds of the findings about any requests.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::testing::{Made, costs, find_with, speeds};
use super::{Finding, FindingKind};
use crate::analysis::prefix::Cause;
use crate::model::CacheUse;
use crate::model::timing::Outcome;

/// The causes that the simulated cache tells.
const CAUSES: [Cause; 8] = [
    Cause::OtherConversation,
    Cause::VolatileOpening,
    Cause::Evicted,
    Cause::ModelSwapped,
    Cause::GitStatus,
    Cause::ToolsChanged,
    Cause::ResultsCleared,
    Cause::Compacted,
];

fn made() -> impl Strategy<Value = Made> {
    let parts = (0..4u64, 0..20_000u64, 0..30_000u64, 0..9_000u64, 0..9_000u64, 0..9_000u64);
    let breaks = (0..CAUSES.len() + 4, 0..20_000u64, 0..5usize, any::<bool>());
    let ends = (0..8u8, 0..4usize, 0..3u8, any::<bool>(), 0..101u64);
    (parts, breaks, ends).prop_map(
        |(parts, (cause, lost, other, cut), (end, body, model, overlapped, share))| {
            let (proxy, read_tokens, read, load, queue, stall) = parts;
            let total = read + load + queue + stall;
            let made = Made::new()
                .model(["m", "n", "o"][usize::from(model)])
                .body(body)
                .prompt(read_tokens + 1_000)
                .cached(1_000, overlapped && cut)
                .reusable(share)
                .read(read_tokens, read)
                .load(load)
                .queue(queue)
                .stall(stall)
                .tools(&["mcp__maps__list", "Read"])
                .times(proxy * 1_000, total);
            let made = if overlapped { made.overlapped() } else { made };
            let made = CAUSES.get(cause).map_or(made.clone(), |cause| made.clone().broke(*cause, lost));
            let made = if cut { made.truncated(4, 8_192) } else { made.evicted_by(other) };
            match end {
                0 => made.failed("n_ctx: 8192, n_keep: 9000"),
                1 => made.failed("connect ECONNREFUSED"),
                2 => made.outcome(Outcome::Disconnected, total),
                3 => made.outcome(Outcome::TimedOut, total),
                4 => made.implausible(81_000_000),
                5 => made.counting(),
                _ => made,
            }
        },
    )
}

fn found(made: &[Made], cache: CacheUse) -> Vec<Finding> {
    let costs = costs(&[("mcp__maps__list", 3_000, false), ("Read", 400, true)]);
    find_with(made, |input| {
        input.speeds = speeds(cache);
        input.tool_costs = Some(&costs);
    })
}

proptest! {
    #[test]
    fn the_dearest_comes_first_and_the_order_is_defined(made in prop::collection::vec(made(), 0..24)) {
        let once = found(&made, CacheUse::Reuses);
        prop_assert_eq!(&once, &found(&made, CacheUse::Reuses));
        prop_assert!(once.windows(2).all(|pair| pair[0].cost_ms >= pair[1].cost_ms));
        let keys: HashSet<String> =
            once.iter().map(|one| format!("{:?} {:?} {:?} {}", one.kind, one.cause, one.model, one.evidence)).collect();
        prop_assert_eq!(keys.len(), once.len());
    }

    #[test]
    fn a_cost_has_a_basis_and_requests_and_a_sentence_ends(made in prop::collection::vec(made(), 0..24)) {
        for one in found(&made, CacheUse::Reuses) {
            prop_assert_eq!(one.cost_ms.is_some(), one.cost_basis.is_some());
            prop_assert!(!one.requests.is_empty());
            prop_assert_eq!(one.cause.is_some(), one.kind == FindingKind::CacheBroken);
            let advice = one.advice.as_ref().map(ToString::to_string);
            for sentence in advice.into_iter().chain([one.evidence.to_string()]) {
                prop_assert!(sentence.ends_with('.') && !sentence.ends_with(".."), "{}", sentence);
                prop_assert!(!sentence.contains("--") && !sentence.contains("traces "), "{}", sentence);
            }
        }
    }

    #[test]
    fn the_time_of_a_request_without_an_answer_is_claimed_once(made in prop::collection::vec(made(), 0..24)) {
        let kinds = [FindingKind::GivenUp, FindingKind::Failed, FindingKind::Retried];
        let mut claimed: BTreeMap<String, u64> = BTreeMap::new();
        for one in found(&made, CacheUse::Reuses).iter().filter(|one| kinds.contains(&one.kind)) {
            // Who only sent again what another finding accounts for costs nothing here.
            if one.cost_ms.is_some() {
                for path in &one.requests {
                    *claimed.entry(path.file().display().to_string()).or_default() += 1;
                }
            }
        }
        prop_assert!(claimed.values().all(|n| *n == 1), "{:?}", claimed);
    }

    #[test]
    fn a_backend_that_reuses_nothing_lost_nothing_by_a_changed_prompt(made in prop::collection::vec(made(), 0..24)) {
        let kinds = [FindingKind::CacheBroken, FindingKind::Evicted, FindingKind::VolatileOpening];
        let of_m = found(&made, CacheUse::ReadsAll).into_iter().filter(|one| one.model.as_deref() == Some("m"));
        prop_assert!(of_m.clone().all(|one| !kinds.contains(&one.kind)));
        prop_assert!(of_m.clone().all(|one| one.kind != FindingKind::HistoryTruncated || one.cost_ms.is_none()));
    }
}
