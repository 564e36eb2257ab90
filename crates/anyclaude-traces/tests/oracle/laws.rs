//! What holds of every trace, whatever it says.

use anyclaude_traces::error::SkipReason;
use anyclaude_traces::formats::body::{ElementPath, Section};
use anyclaude_traces::model::Identity;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use crate::generate;
use crate::json::{Json, Member};
use crate::seen::{Event, Record, Seen, Verdict, agreed};

/// A trace with something in every place, small enough to damage at every byte.
const SMALL: &str = r#"{"timestamp":"2025-11-16T02:30:45.123Z", "mode":"claude",
 "request":{"url":"/v1/messages?b","body":{"model":"m\u00e9","max_tokens":512,"stream":true,
  "system":[{"type":"text","text":"Be \ud83d\ude00 brief","cache_control":{"a":[]}}],
  "tools":[{"name":"Read","input_schema":{"x":-1.5e3}}],
  "messages":[{"role":"user","content":"héllo"},{"content":[{"type":"text","text":"\ud83d"}]}]}},
 "response":{"statusCode":200,"body":{"usage":{"output_tokens":3},"content":[{"type":"tool_use"}]}}}"#;

fn assert_adds_up(seen: &Seen<Identity>) {
    let bytes = |name: &str| seen.record.sizes[name].as_u64().unwrap();
    let parts = ["system_bytes", "tools_bytes", "messages_bytes", "other_bytes"].map(bytes);
    assert_eq!(parts.iter().sum::<u64>(), bytes("body_bytes"));
    assert!(bytes("body_bytes") <= bytes("file_bytes"));
}

proptest! {
    #![proptest_config(generate::cases(700))]

    #[test]
    fn the_parser_says_what_the_definitions_say(trace in generate::written()) {
        if let Ok(seen) = agreed(trace.as_bytes())? {
            assert_adds_up(&seen);
        }
    }
}

proptest! {
    #![proptest_config(generate::cases(200))]

    #[test]
    fn white_space_changes_nothing_but_the_file_size(
        trace in generate::trace(),
        blanks in generate::blanks(),
    ) {
        let seen = agreed(trace.write(&blanks).as_bytes())?.map(without_white_space);
        let minified = agreed(trace.minified().as_bytes())?.map(without_white_space);
        prop_assert_eq!(seen.map(comparable), minified.map(comparable));
    }

    #[test]
    fn honouring_restarts_leaves_what_the_last_members_say(trace in generate::trace()) {
        let repeated = agreed(trace.minified().as_bytes())?;
        let single = agreed(last_only(Json(&trace.minified()), "").as_bytes())?;
        let events = |seen: Verdict| seen.map(|seen| settled(seen.events));
        prop_assert_eq!(events(repeated), events(single));
    }

    #[test]
    fn a_trace_cut_anywhere_is_truncated(trace in generate::written(), cuts in vec(any::<Index>(), 20)) {
        let written = trace.trim_end();
        if agreed(written.as_bytes())?.is_ok() {
            check_cuts(written, cuts.iter().map(|cut| cut.index(written.len())))?;
        }
    }
}

fn comparable(seen: Seen<Identity>) -> (Record, Vec<Event>, Vec<Identity>) {
    (seen.record, seen.events, seen.identities)
}

fn without_white_space(mut seen: Seen<Identity>) -> Seen<Identity> {
    seen.record.sizes["file_bytes"] = Value::Null;
    for event in &mut seen.events {
        if let Event::Element { value, .. } | Event::Message { value, .. } | Event::Parameter { value, .. } =
            event
        {
            value.written.clone_from(&value.compact);
        }
    }
    seen
}

/// The events that a visitor keeps who drops what a restart declares void.
fn settled(events: Vec<Event>) -> Vec<Event> {
    let mut kept: Vec<Event> = Vec::new();
    for event in events {
        kept.retain(|earlier| !is_void(earlier, &event));
        if !matches!(event, Event::Restart(_)) {
            kept.push(event);
        }
    }
    kept
}

fn is_void(earlier: &Event, later: &Event) -> bool {
    let place = match earlier {
        Event::Element { place, .. } => Some(*place),
        _ => None,
    };
    match later {
        Event::Restart(Section::Body) => true,
        Event::Restart(Section::System) => matches!(place, Some(ElementPath::System(_))),
        Event::Restart(Section::Tools) => matches!(place, Some(ElementPath::Tool(_))),
        Event::Restart(Section::Messages) => {
            matches!(place, Some(ElementPath::Block { .. })) || matches!(earlier, Event::Message { .. })
        }
        Event::Restart(Section::Message(index)) => {
            matches!(place, Some(ElementPath::Block { message, .. }) if message == *index)
        }
        Event::Parameter { name, .. } => matches!(earlier, Event::Parameter { name: n, .. } if n == name),
        _ => false,
    }
}

/// The trace without the members that a later one replaces, as far down as the
/// bytes of a replaced member are shown to nobody.
fn last_only(value: Json<'_>, path: &str) -> String {
    if path == "/request/body/messages"
        && let Some(messages) = value.items()
    {
        let messages: Vec<String> = messages.into_iter().map(|m| last_only(m, "/message")).collect();
        return format!("[{}]", messages.join(","));
    }
    let walked = ["", "/request", "/request/body"].contains(&path);
    if !walked || value.members().is_none() {
        return value.0.to_owned();
    }
    let write = |m: Member<'_>| format!("{}:{}", m.key.0, last_only(m.value, &format!("{path}/{}", m.name)));
    let members: Vec<String> = value.last_members().into_iter().map(write).collect();
    format!("{{{}}}", members.join(","))
}

fn check_cuts(written: &str, cuts: impl IntoIterator<Item = usize>) -> Result<(), TestCaseError> {
    for cut in cuts {
        let bytes = &written.as_bytes()[..cut];
        let blank = matches!(bytes.trim_ascii(), b"" | b"\xef\xbb\xbf");
        let reason = if blank { SkipReason::Empty } else { SkipReason::Truncated };
        prop_assert_eq!(agreed(bytes)?.err(), Some(reason), "cut at byte {}", cut);
    }
    Ok(())
}

#[test]
fn a_small_trace_cut_anywhere_is_truncated() {
    assert_adds_up(&agreed(SMALL.as_bytes()).unwrap().unwrap());
    check_cuts(SMALL, 0..SMALL.len()).unwrap();
}

#[test]
fn a_flipped_bit_anywhere_is_judged_alike() {
    for (at, bit) in (0..SMALL.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bytes = SMALL.as_bytes().to_vec();
        bytes[at] ^= 1 << bit;
        if let Ok(seen) = agreed(&bytes).unwrap() {
            assert_adds_up(&seen);
        }
    }
}

#[test]
fn a_byte_less_anywhere_is_judged_alike() {
    for at in 0..SMALL.len() {
        let mut bytes = SMALL.as_bytes().to_vec();
        bytes.remove(at);
        let _ = agreed(&bytes).unwrap();
    }
}
