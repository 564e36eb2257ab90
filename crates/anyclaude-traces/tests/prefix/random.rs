//! Requests without rhyme or reason: the simulator must agree with the naive one.

use anyclaude_traces::analysis::prefix::View;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Asked, ORDERS, Setup, found, naive, reported};

/// Short texts, and long ones that begin alike for longer than is kept of them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["a", "ab", "ac", "é", "日本", "\"q\"\n", ""]).prop_map(str::to_owned),
        (0..4_usize, 0..3_usize).prop_map(|(same, end)| format!(
            "{}{}{end}",
            "long ".repeat(40),
            "x".repeat(60 * same)
        )),
        (0..3_u32).prop_map(|n| format!("x-anthropic-billing-header: cch={n:05x};")),
    ]
}

fn block() -> impl Strategy<Value = Value> {
    let marked = (any::<bool>(), text()).prop_map(|(marked, text)| {
        let mut block = json!({ "type": "text", "text": text });
        if marked {
            block["cache_control"] = json!({ "type": "ephemeral" });
        }
        block
    });
    prop_oneof![
        4 => marked,
        1 => (0..3_u32).prop_map(|n| json!({ "type": "thinking", "thinking": format!("hm {n}"), "signature": "s" })),
        1 => (0..3_u32).prop_map(|n| json!({ "type": "image", "source": { "data": format!("{n}") } })),
        1 => (0..3_u32).prop_map(|n| json!({ "type": "tool_use", "id": format!("t{n}"), "name": "Read", "input": {} })),
    ]
}

fn texts() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        prop::collection::vec(block(), 0..4).prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn tool() -> impl Strategy<Value = Value> {
    let description =
        prop::sample::select(vec!["d".to_owned(), "e".to_owned(), "d".repeat(300), "d".repeat(301)]);
    (prop::sample::select(vec!["Bash", "read", "mcp_a"]), description)
        .prop_map(|(name, description)| json!({ "name": name, "description": description }))
}

fn message() -> impl Strategy<Value = Value> {
    (prop::sample::select(vec!["user", "assistant", "system"]), texts())
        .prop_map(|(role, content)| json!({ "role": role, "content": content }))
}

fn asked() -> impl Strategy<Value = Asked> {
    let body = (
        prop::sample::select(vec!["m", "m", "m", "n"]),
        texts(),
        prop::collection::vec(tool(), 0..4),
        prop::collection::vec(message(), 0..5),
        prop::sample::select(vec![0, 400, 1000, 2500, 7000]),
    );
    body.prop_map(|(model, system, tools, messages, total_ms)| Asked {
        body: json!({ "model": model, "system": system, "tools": tools, "messages": messages }),
        total_ms,
    })
}

/// Requests of which many go on where others end.
fn all_asked() -> impl Strategy<Value = Vec<Asked>> {
    let step = (any::<prop::sample::Index>(), asked(), 0..6_u8, prop::collection::vec(message(), 0..3));
    prop::collection::vec(step, 1..14).prop_map(|steps| {
        let mut all: Vec<Asked> = Vec::new();
        for (of, fresh, how, more) in steps {
            let mut next = if all.is_empty() || how == 0 { fresh.clone() } else { of.get(&all).clone() };
            match how {
                1 => next.body["system"] = fresh.body["system"].clone(),
                2 => next.body["tools"] = fresh.body["tools"].clone(),
                3 => next.body["messages"] = fresh.body["messages"].clone(),
                _ => {}
            }
            if let Some(messages) = next.body["messages"].as_array_mut() {
                messages.extend(more);
            }
            all.push(next);
        }
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_simulator_equals_a_naive_one(asked in all_asked(), local in any::<bool>()) {
        for (order, edits) in ORDERS.into_iter().zip(["sent", "sorted,no-header,text-only"]).chain([(ORDERS[0], "text-only")]) {
            let view: View = edits.parse().unwrap();
            let setup = |slots, ram| Setup { order, view, slots, ram, local };
            let one_slot = naive::simulated(&asked, setup(1, false));
            for (slots, ram) in [(1, false), (2, false), (4, false), (1, true), (3, true)] {
                let report = reported(&asked, setup(slots, ram));
                naive::check(&asked, setup(slots, ram), found(&report));
                let sum = |of: fn(&crate::Expected) -> u64| one_slot.iter().map(of).sum::<u64>();
                prop_assert_eq!(report.totals_one_slot.prompt_bytes, sum(|one| one.prompt_bytes));
                prop_assert_eq!(report.totals_one_slot.reusable_bytes, sum(|one| one.reusable_bytes));
                prop_assert!(report.requests.iter().all(|one| one.reusable_bytes <= one.prompt_bytes));
            }
        }
    }
}
