//! The random traces reach what they are meant to reach.

use anyclaude_traces::error::SkipReason;
use anyclaude_traces::formats::body::Section;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::seen::{Event, Verdict, agreed};
use crate::{generate, mutations};

/// What becomes of so many random files, the same ones in every run.
fn verdicts(count: usize, files: impl Strategy<Value = Vec<u8>>) -> Vec<Verdict> {
    let mut runner = TestRunner::deterministic();
    let files = (0..count).map(|_| files.new_tree(&mut runner).unwrap().current());
    files.map(|bytes| agreed(&bytes).unwrap()).collect()
}

/// A kind of file: its name, how many in a hundred are of it at least, and which.
type Kind<'a> = (&'a str, usize, &'a dyn Fn(&Verdict) -> bool);

/// Fails where a kind of file is too rare.
fn assert_shares(verdicts: &[Verdict], kinds: &[Kind<'_>]) {
    for (name, least, is) in kinds {
        let share = 100 * verdicts.iter().filter(|verdict| is(verdict)).count() / verdicts.len();
        assert!(share >= *least, "{share} % {name}, not {least}");
    }
}

/// Whether it is a trace with this size above a limit.
fn larger(name: &str, limit: u64) -> impl Fn(&Verdict) -> bool {
    move |verdict| verdict.as_ref().is_ok_and(|seen| seen.record.sizes[name].as_u64() > Some(limit))
}

fn responds(name: &str) -> impl Fn(&Verdict) -> bool {
    move |verdict| {
        verdict.as_ref().is_ok_and(|seen| seen.record.response.get(name).is_some_and(|v| !v.is_null()))
    }
}

fn shows(is: impl Fn(&Event) -> bool) -> impl Fn(&Verdict) -> bool {
    move |verdict| verdict.as_ref().is_ok_and(|seen| seen.events.iter().any(&is))
}

fn refused(reason: SkipReason) -> impl Fn(&Verdict) -> bool {
    move |verdict| verdict.as_ref().err() == Some(&reason)
}

#[test]
fn random_traces_hold_every_kind_of_thing() {
    let verdicts = verdicts(300, generate::written().prop_map(String::into_bytes));
    let repeats = shows(|event| matches!(event, Event::Restart(Section::Message(_))));
    let cuts = shows(|event| matches!(event, Event::Element { value, .. } if value.compact != value.content));
    let session = |verdict: &Verdict| verdict.as_ref().is_ok_and(|seen| seen.record.session_id.is_some());
    let kinds: [Kind<'_>; 11] = [
        ("are traces", 70, &Result::is_ok),
        ("have tools", 8, &larger("tool_count", 0)),
        ("have several messages", 15, &larger("message_count", 1)),
        ("have several system blocks", 5, &larger("system_blocks", 1)),
        ("have a system text", 10, &larger("system_chars", 0)),
        ("name a session", 3, &session),
        ("have a response", 10, &responds("tool_calls")),
        ("have a stop reason", 3, &responds("stop_reason")),
        ("have a token count", 3, &responds("output_tokens")),
        ("repeat a message's content", 2, &repeats),
        ("have a cache_control to cut", 5, &cuts),
    ];
    assert_shares(&verdicts, &kinds);
}

#[test]
fn damaged_traces_meet_every_fate() {
    let verdicts = verdicts(300, mutations::damaged());
    let kinds: [Kind<'_>; 4] = [
        ("are sound in spite of it", 10, &Result::is_ok),
        ("are truncated", 5, &refused(SkipReason::Truncated)),
        ("are no JSON", 20, &refused(SkipReason::InvalidJson)),
        ("are no UTF-8", 3, &refused(SkipReason::InvalidUtf8)),
    ];
    assert_shares(&verdicts, &kinds);
}
