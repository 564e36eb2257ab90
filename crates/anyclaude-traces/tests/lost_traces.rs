//! Where traces were lost, no join is wrong unless it says that it is ambiguous.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::fs;
use std::path::Path;

use anyclaude_traces::model::timing::Confidence;
use anyclaude_traces::recording::RequestSet;
use anyclaude_traces::{Store, Timestamp};
use proptest::prelude::*;
use support::{Fate, Form, Plan, Truth, write_log};

/// Requests that come in bursts, as those of subagents do.
fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let after = prop_oneof![2 => 3..40_i64, 3 => 40..900_i64, 3 => 900..20_000_i64];
    let plan =
        (after, 0..3_u64, 1..4_u64, 1..900_i64).prop_map(|(after_ms, tools, messages, think_ms)| Plan {
            after_ms,
            model: 0,
            tools,
            messages,
            fate: Fate::Completes,
            busy_ms: 0,
            think_ms,
            gap_ms: 1,
            deltas: 3,
            usage: true,
        });
    prop::collection::vec(plan, 1..40)
}

fn stamp(ms: i64) -> String {
    Timestamp::from_unix_ms(ms).map_or_else(String::new, |stamp| stamp.to_string())
}

fn write_trace(folder: &Path, index: usize, at: i64, plan: &Plan) {
    let list = |item: &str, n: u64| vec![item; usize::try_from(n).unwrap_or(0)].join(",");
    let (tools, messages) =
        (list("{\"name\":\"t\"}", plan.tools), list("{\"role\":\"user\",\"content\":\"x\"}", plan.messages));
    let body = format!(
        "{{\"model\":\"c\",\"max_tokens\":512,\"stream\":true,\"tools\":[{tools}],\"messages\":[{messages}]}}"
    );
    let text =
        format!("{{\"timestamp\":\"{}\",\"mode\":\"lmstudio\",\"request\":{{\"body\":{body}}}}}", stamp(at));
    fs::write(folder.join(format!("{index}.json")), text).unwrap();
}

/// The traces of these requests, written 0 to 118 ms after their starts and in their
/// order, without those that were lost. Returns when each that is left was written.
fn write_traces(
    root: &Path,
    plans: &[Plan],
    truths: &[Truth],
    lost: &[bool],
    gaps: &[i64],
) -> Vec<Option<i64>> {
    let folder = root.join("traces/lmstudio");
    fs::create_dir_all(&folder).unwrap();
    let mut last = 0;
    let all = plans.iter().zip(truths).zip(lost.iter().cycle().zip(gaps.iter().cycle()));
    all.enumerate()
        .map(|(index, ((plan, truth), (lost, gap)))| {
            last = (truth.start + gap).max(last + 1);
            (!lost).then(|| write_trace(&folder, index, last, plan));
            (!lost).then_some(last)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_lost_trace_shifts_no_other(
        plans in plans(),
        lost in prop::collection::vec(prop::bool::weighted(0.33), 40),
        gaps in prop::collection::vec(prop_oneof![4 => 1..25_i64, 1 => 25..118_i64], 40),
    ) {
        let root = tempfile::tempdir().unwrap();
        let (log, truths) = write_log(Form::Stamped(2), &plans, &[]);
        fs::create_dir(root.path().join("logs")).unwrap();
        fs::write(root.path().join("logs/debug-session-2025-11-16T02-30-45.log"), log).unwrap();
        let written = write_traces(root.path(), &plans, &truths, &lost, &gaps);

        let store = Store::default();
        let mut recording = RequestSet::read(&store, [root.path().join("traces")]);
        let always = "2000-01-01T00:00:00Z".parse().unwrap()..="2100-01-01T00:00:00Z".parse().unwrap();
        recording.join_logs(&store, &[root.path().to_owned()], always, &[]);
        let mut joined = 0;
        for request in &recording.requests {
            let at = request.timestamp.map(Timestamp::unix_ms);
            let truth = truths.iter().zip(&written).find(|(_, written)| **written == at).map(|(truth, _)| truth);
            let start = request.timing.as_ref().and_then(|timing| timing.start).map(Timestamp::unix_ms);
            let Some(join) = request.join.as_ref() else { continue };
            if join.confidence != Confidence::Ambiguous {
                prop_assert_eq!(start, truth.map(|truth| truth.start), "{:?}", request.timestamp);
            }
            joined += 1;
        }
        prop_assert_eq!(joined, written.iter().flatten().count(), "every trace has a start");
    }
}
