//! Breaks of which the cause turns on one thing.

use std::sync::Arc;

use anyclaude_traces::analysis::prefix::{Cause, ToolsDifference};
use anyclaude_traces::prompt_cache::Order;
use serde_json::{Value, json};

use crate::{Asked, Setup, reported};

/// A tool's name and description.
type Tool = (&'static str, &'static str);

const TOOLS: [Tool; 3] = [("Bash", "Runs it."), ("Glob", "Finds it."), ("Read", "Reads it.")];

fn asked(tools: &[Tool], messages: &[(&str, &str)]) -> Asked {
    let tool = |(name, description): &Tool| json!({ "name": name, "description": description });
    let message = |(role, text): &(&str, &str)| json!({ "role": role, "content": text });
    let body = json!({
        "model": "m",
        "system": "Answer in one word.",
        "tools": tools.iter().map(tool).collect::<Vec<Value>>(),
        "messages": messages.iter().map(message).collect::<Vec<Value>>(),
        "metadata": { "user_id": "user_a_account_b_session_11111111-1111-4111-8111-111111111111" },
    });
    Asked { body, total_ms: 0 }
}

/// Messages by their first letters: of the user, the assistant or the system.
fn history<'a>(texts: &[&'a str]) -> Vec<(&'static str, &'a str)> {
    let role = |text: &str| match text.as_bytes()[0] {
        b'u' => "user",
        b'a' => "assistant",
        _ => "system",
    };
    texts.iter().map(|text| (role(text), *text)).collect()
}

#[test]
fn what_stands_behind_it_tells_a_system_message_from_an_edit() {
    let cases: [(&[&str], &[&str], Cause); 6] = [
        // The same follows, …
        (&["u1", "a1", "u2"], &["u1", "s", "a1", "u2"], Cause::SystemMessageInserted),
        (&["u1", "s", "a1", "u2"], &["u1", "a1", "u2"], Cause::SystemMessageInserted),
        // … nothing follows now, or nothing did before: nothing speaks against it.
        (&["u1", "a1", "u2"], &["u1", "s"], Cause::SystemMessageInserted),
        (&["u1", "s"], &["u1", "a1", "u2"], Cause::SystemMessageInserted),
        // Something else follows.
        (&["u1", "a1", "u2"], &["u1", "s", "a9", "u2"], Cause::HistoryEdited),
        // No system message comes or goes.
        (&["u1", "a1", "u2"], &["u1", "a9"], Cause::HistoryEdited),
    ];
    for (was, now, expected) in cases {
        let report = reported(
            &[was, now].map(|texts| asked(&TOOLS, &history(texts))),
            Setup::new(Order::SystemFirst, 4),
        );
        let cause = report.requests[1].break_.as_ref().map(|broke| broke.cause);
        assert_eq!(cause, Some(expected), "{was:?} → {now:?}");
    }
}

/// What both histories begin with says nothing about what was dropped behind it.
#[test]
fn a_compaction_may_keep_the_beginning() {
    let was = history(&["u1", "a1", "u2", "a2", "u3", "a3", "u4"]);
    let now = history(&["u1", "a1", "u a summary", "a3", "u4"]);
    let report =
        reported(&[was, now].map(|messages| asked(&TOOLS, &messages)), Setup::new(Order::SystemFirst, 4));
    let broke = report.requests[1].break_.as_ref().unwrap();
    assert_eq!(
        (broke.cause, broke.element.to_string().as_str()),
        (Cause::Compacted, "messages[2].content[0]")
    );
}

#[test]
fn every_difference_of_the_tools_is_named() {
    let [bash, glob, read] = TOOLS;
    let edit = ("Edit", "Changes it.");
    let changed = ("Glob", "Finds all of it.");
    let names = |name: &str| (!name.is_empty()).then(|| name.into()).into_iter().collect::<Vec<Arc<str>>>();
    // Added, removed, changed, reordered.
    let cases: [(&[Tool], [&str; 3], bool); 5] = [
        (&[bash, edit, glob, read], ["Edit", "", ""], false),
        (&[bash, read], ["", "Glob", ""], false),
        (&[bash, changed, read], ["", "", "Glob"], false),
        (&[edit, changed, read], ["Edit", "Bash", "Glob"], false),
        (&[read, glob, bash], ["", "", ""], true),
    ];
    for (now, [added, removed, changed], reordered) in cases {
        let history = history(&["u1"]);
        let report =
            reported(&[asked(&TOOLS, &history), asked(now, &history)], Setup::new(Order::SystemFirst, 4));
        let broke = report.requests[1].break_.as_ref().unwrap();
        assert_eq!(broke.cause, Cause::ToolsChanged);
        let tools: &ToolsDifference = broke.tools.as_ref().unwrap();
        assert_eq!(tools.added, names(added), "{now:?}");
        assert_eq!(tools.removed, names(removed), "{now:?}");
        assert_eq!(tools.changed, names(changed), "{now:?}");
        assert_eq!(tools.reordered, reordered, "{now:?}");
    }
}
