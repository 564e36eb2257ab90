//! Breaks of which the cause turns on one thing.

use std::sync::Arc;

use anyclaude_traces::analysis::prefix::{Break, Cause, Order, PrefixReport, ToolsDifference, Volatile};
use serde_json::{Value, json};

use crate::{Asked, Setup, reported, written};

/// A tool's name and description.
type Tool = (&'static str, &'static str);

const TOOLS: [Tool; 3] = [("Bash", "Runs it."), ("Glob", "Finds it."), ("Read", "Reads it.")];

fn in_four_slots() -> Setup {
    Setup::new(Order::SystemFirst, 4)
}

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
        let report = reported(&[was, now].map(|texts| asked(&TOOLS, &history(texts))), in_four_slots());
        let cause = report.requests[1].break_.as_ref().map(|broke| broke.cause);
        assert_eq!(cause, Some(expected), "{was:?} → {now:?}");
    }
}

/// What both histories begin with says nothing about what was dropped behind it.
#[test]
fn a_compaction_may_keep_the_beginning() {
    let was = history(&["u1", "a1", "u2", "a2", "u3", "a3", "u4"]);
    let now = history(&["u1", "a1", "u a summary", "a3", "u4"]);
    let report = reported(&[was, now].map(|messages| asked(&TOOLS, &messages)), in_four_slots());
    let broke = report.requests[1].break_.as_ref().unwrap();
    assert_eq!(
        (broke.cause, broke.element.to_string().as_str()),
        (Cause::Compacted, "messages[2].content[0]")
    );
}

/// What goes or is written anew is no summary: a reminder that stood there for a turn, an
/// answer that was put in other words, turns that were dropped.
#[test]
fn a_history_that_became_shorter_is_not_always_compacted() {
    let block = |text: &str| json!({ "type": "text", "text": text });
    let with_first = |blocks: &[&str]| {
        let mut messages = said(&["u1", "a1", "u2", "a2", "u3"]);
        messages[0]["content"] = blocks.iter().map(|text| block(text)).collect();
        messages
    };
    let two_pieces = |texts: &[&str]| {
        let mut messages = said(&["u1", "a1", "u2", "a2", "u3"]);
        messages[1]["content"] = texts.iter().map(|text| block(text)).collect();
        messages
    };
    let cases = [
        (with_first(&["a reminder", "u1"]), with_first(&["u1"])),
        (with_first(&["a reminder", "another", "u1"]), with_first(&["a third", "u1"])),
        (two_pieces(&["a1", "and more"]), two_pieces(&["a9"])),
        (said(&["u1", "a1", "u2", "a2", "u3"]), said(&["u1", "a2", "u3"])),
    ];
    for (was, now) in cases {
        let report = reported(
            &[&was, &now].map(|messages| in_session(1, "Answer.", messages.clone())),
            in_four_slots(),
        );
        let cause = report.requests[1].break_.as_ref().map(|broke| broke.cause);
        assert_eq!(cause, Some(Cause::HistoryEdited), "{was} → {now}");
    }
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
        let report = reported(&[asked(&TOOLS, &history), asked(now, &history)], in_four_slots());
        let broke = report.requests[1].break_.as_ref().unwrap();
        assert_eq!(broke.cause, if reordered { Cause::ToolOrder } else { Cause::ToolsChanged });
        let tools: &ToolsDifference = broke.tools.as_ref().unwrap();
        assert_eq!(tools.added, names(added), "{now:?}");
        assert_eq!(tools.removed, names(removed), "{now:?}");
        assert_eq!(tools.changed, names(changed), "{now:?}");
        assert_eq!(tools.reordered, reordered, "{now:?}");
    }
}

/// The last request's break.
fn last(report: &PrefixReport) -> &Break {
    report.requests.last().and_then(|request| request.break_.as_deref()).unwrap()
}

/// A request of a session, with a system prompt of one block.
fn in_session(session: u32, system: &str, messages: Value) -> Asked {
    let body = json!({
        "model": "m",
        "system": system,
        "tools": [{ "name": "Bash", "description": "Runs it. ".repeat(40) }],
        "messages": messages,
        "metadata": { "user_id": format!("user_a_account_b_session_{session:08}-1111-4111-8111-111111111111") },
    });
    Asked { body, total_ms: 0 }
}

fn said(texts: &[&str]) -> Value {
    let message = |(role, text): &(&str, &str)| json!({ "role": role, "content": text });
    history(texts).iter().map(message).collect()
}

#[test]
fn git_status_in_the_system_prompt_is_told_from_other_changes() {
    let system =
        |status: &str| format!("You are an agent.\ngitStatus: Current branch: main\n\nStatus:\n{status}\n");
    let cases = [
        (system("M a.rs"), system("M a.rs\nM b.rs"), Cause::GitStatus, Some(Volatile::GitStatus)),
        (
            "Today's date: 2025-11-16".into(),
            "Today's date: 2025-11-17".into(),
            Cause::DateChanged,
            Some(Volatile::DateOrTime),
        ),
        ("Be brief.".into(), "Be thorough.".into(), Cause::SystemChanged, None),
    ];
    for (was, now, cause, volatile) in cases {
        let asked = [in_session(1, &was, said(&["u1"])), in_session(1, &now, said(&["u1", "a1", "u2"]))];
        let report = reported(&asked, in_four_slots());
        assert_eq!((last(&report).cause, last(&report).volatile), (cause, volatile), "{was} → {now}");
        // The tool and the first message were there before.
        let lost = written(&asked[0].body["tools"][0]).len() + r#"{"type":"text","text":"u1"}"#.len();
        assert_eq!(report.requests[1].lost_bytes, lost as u64, "{was} → {now}");
    }
}

/// All behind the change is read again, whether it stands in another element or in the same text.
#[test]
fn the_end_of_a_text_that_changed_in_its_middle_is_lost() {
    let (rules, more) = ("Keep to the rules of this house. ".repeat(40), "Water the \"ferns\".\n".repeat(30));
    let system = |clock: &str| format!("{rules}It is {clock}.{more}");
    let asked = [
        in_session(1, &system("morning"), said(&["u1"])),
        in_session(1, &system("noon"), said(&["u1", "a1", "u2"])),
    ];
    let report = reported(&asked, in_four_slots());
    assert_eq!(last(&report).cause, Cause::SystemChanged);
    // As JSON writes it, without its quotes.
    let end = serde_json::to_string(&format!(".{more}")).unwrap().len() - 2;
    let elements = written(&asked[0].body["tools"][0]).len() + r#"{"type":"text","text":"u1"}"#.len();
    assert_eq!(report.requests[1].lost_bytes, (end + elements) as u64);
}

#[test]
fn a_conversation_that_begins_as_another_but_for_a_short_piece_has_a_volatile_opening() {
    let long = "Read the rules of this house. ".repeat(100);
    let opened = |session: u32, clock: &str, rest: &str| {
        let text = format!("uThe time is {clock}.\n{rest}");
        in_session(session, "Answer.", said(&[&text]))
    };
    let report = reported(&[opened(1, "10:01", &long), opened(2, "10:02", &long)], in_four_slots());
    assert_eq!(last(&report).cause, Cause::VolatileOpening);
    assert_eq!(last(&report).element.to_string(), "messages[0].content[0]");
    // All behind the clock's last digit.
    assert_eq!(report.requests[1].lost_bytes, 1 + r"\n".len() as u64 + long.len() as u64);
    // Short messages differ by a short piece, whatever they say.
    let report = reported(&[opened(1, "10:01", ""), opened(2, "10:02", "")], in_four_slots());
    assert_eq!(last(&report).cause, Cause::OtherConversation);
    // A short piece of the system prompt, and all behind it.
    let system = |id: &str| format!("Your name is {id}. {long}");
    let asked = [in_session(1, &system("Ann"), said(&["u1"])), in_session(2, &system("Bob"), said(&["u2"]))];
    let report = reported(&asked, in_four_slots());
    assert_eq!(
        (last(&report).cause, last(&report).element.to_string().as_str()),
        (Cause::VolatileOpening, "system[0]")
    );
    let behind = written(&asked[0].body["tools"][0]).len() + ". ".len() + long.len();
    assert_eq!(report.requests[1].lost_bytes, behind as u64);
}

fn with_results(results: &[&str]) -> Asked {
    let mut messages = vec![json!({ "role": "user", "content": "u1" })];
    for (number, text) in results.iter().enumerate() {
        let id = format!("toolu_{number}");
        let call = json!({ "type": "tool_use", "id": id, "name": "Bash", "input": {} });
        let result = json!({ "type": "tool_result", "tool_use_id": id, "content": text });
        messages.push(json!({ "role": "assistant", "content": [call] }));
        messages.push(json!({ "role": "user", "content": [result] }));
    }
    in_session(1, "Answer.", messages.into())
}

#[test]
fn cleared_results_are_told_from_edits() {
    let report = reported(
        &[with_results(&["long", "two"]), with_results(&["cleared", "two", "three"])],
        in_four_slots(),
    );
    assert_eq!(last(&report).cause, Cause::ResultsCleared);
    assert_eq!(last(&report).element.to_string(), "messages[2].content[0]");
    // The second call and its result.
    let body = &with_results(&["long", "two"]).body;
    let lost: usize = [3, 4].map(|at| written(&body["messages"][at]["content"][0]).len()).iter().sum();
    assert_eq!(report.requests[1].lost_bytes, lost as u64);
    // Something else differs too.
    let mut edited = with_results(&["cleared", "two", "three"]);
    edited.body["messages"][3]["content"][0]["input"] = json!({ "a": 1 });
    let report = reported(&[with_results(&["long", "two"]), edited], in_four_slots());
    assert_eq!(last(&report).cause, Cause::HistoryEdited);
}

#[test]
fn a_summary_continues_the_conversation_of_its_session() {
    let summary = "This session is being continued from a previous conversation that ran out of context. …";
    let continued = |session: u32| {
        let messages = json!([{ "role": "user", "content": summary }]);
        in_session(session, "Answer.", messages)
    };
    let earlier = in_session(1, "Answer.", said(&["u1", "a1", "u2"]));
    let report = reported(&[earlier.clone(), continued(1)], in_four_slots());
    assert_eq!(last(&report).cause, Cause::Compacted);
    let report = reported(&[earlier, continued(2)], in_four_slots());
    assert_eq!(last(&report).cause, Cause::OtherConversation);
}

#[test]
fn a_model_that_answered_in_between_is_named_where_there_is_room_for_one() {
    let turn = |model: &str, texts: &[&str]| {
        let mut asked = in_session(1, &"Answer in one word. ".repeat(20), said(texts));
        asked.body["model"] = json!(model);
        asked
    };
    let mut other = in_session(2, "Name the topic.", said(&["u1"]));
    other.body["model"] = json!("n");
    let asked = [turn("m", &["u1"]), other, turn("m", &["u1", "a1", "u2"])];
    let local = Setup { local: true, ram: true, ..in_four_slots() };
    let report = reported(&asked, local);
    assert_eq!((last(&report).cause, report.requests[2].reusable_bytes), (Cause::ModelSwapped, 0));
    assert_eq!(last(&report).lost_bytes, report.requests[0].prompt_bytes);
    assert!(reported(&asked, in_four_slots()).requests[2].break_.is_none());
    // The conversation itself goes on with another model.
    let asked = [turn("m", &["u1"]), turn("n", &["u1", "a1", "u2"])];
    assert_eq!(last(&reported(&asked, local)).cause, Cause::ModelSwapped);
}

#[test]
fn a_result_is_cleared_only_by_one_of_the_same_call() {
    let mut other = with_results(&["cleared", "two"]);
    other.body["messages"][2]["content"][0]["tool_use_id"] = json!("toolu_9");
    let report = reported(&[with_results(&["long", "two"]), other], in_four_slots());
    assert_eq!(last(&report).cause, Cause::HistoryEdited);
    // Dates are looked for in texts, and not in what tools returned.
    let dated = |day: &str| with_results(&[&format!("It is {day}."), "two"]);
    let report = reported(&[dated("2025-11-16"), dated("2025-11-17")], in_four_slots());
    assert_eq!((last(&report).cause, last(&report).volatile), (Cause::ResultsCleared, None));
}

#[test]
fn a_volatile_opening_is_a_small_part_of_what_is_equal() {
    let clock = |session, clock: &str| {
        let text = format!("uThe time is {clock}.\n{}", "Read the rules of this house. ".repeat(100));
        in_session(session, "Answer.", said(&[&text]))
    };
    let report = reported(&[clock(1, "10:01"), clock(2, "10:02")], in_four_slots());
    assert_eq!(last(&report).volatile, Some(Volatile::DateOrTime));
    let named = |session, system: &str| in_session(session, system, said(&["u1"]));
    let report = reported(
        &[named(1, &("Ann ".repeat(20) + ". End")), named(2, &("Bob-".repeat(20) + ". End"))],
        in_four_slots(),
    );
    assert_eq!(last(&report).cause, Cause::OtherConversation, "little of the prompt is equal");
    // The JSON around a text is equal in all of them, and no part of what they say.
    let report = reported(&[named(1, "Name each bird."), named(2, "List some ports")], in_four_slots());
    assert_eq!(last(&report).cause, Cause::OtherConversation, "nothing of the prompt is equal");
    let blocks = |session, id: &str| {
        let rules = "Answer in one word, whatever is asked.";
        let mut asked = named(session, "");
        asked.body["system"] = json!([{ "type": "text", "text": id }, { "type": "text", "text": rules }]);
        asked
    };
    let report = reported(&[blocks(1, "9f86d081884c"), blocks(2, "3c59dc048e88")], in_four_slots());
    assert_eq!(last(&report).cause, Cause::VolatileOpening, "a small block of the system prompt");
}

#[test]
fn what_broke_prefixes_is_listed_without_what_was_new() {
    let system = |day: &str| format!("Today's date: {day}");
    let asked = [
        in_session(1, &system("2025-11-16"), said(&["u1"])),
        in_session(1, &system("2025-11-17"), said(&["u1", "a1", "u2"])),
    ];
    let report = reported(&asked, in_four_slots());
    let listed: Vec<_> = report.breakers.iter().map(|one| (one.cause, one.requests)).collect();
    assert_eq!(listed, [(Cause::DateChanged, 1)]);
}

#[test]
fn a_breaker_tells_how_often_it_struck_one_session_at_most() {
    let dated = |session, day: u32, texts: &[&str]| {
        in_session(session, &format!("Today's date: 2025-11-{day}"), said(texts))
    };
    let asked = [
        dated(1, 11, &["u1"]),
        dated(2, 21, &["u9"]),
        dated(1, 12, &["u1", "a1", "u2"]),
        dated(1, 13, &["u1", "a1", "u2", "a2", "u3"]),
        dated(2, 22, &["u9", "a9", "u8"]),
    ];
    let report = reported(&asked, in_four_slots());
    let dates = report.breakers.iter().find(|one| one.cause == Cause::DateChanged).unwrap();
    assert_eq!((dates.requests, dates.most_per_session), (3, 2));
}

/// A request of a session, with a system prompt of these blocks.
fn with_system(session: u32, blocks: &[&str]) -> Asked {
    let mut asked = in_session(session, "", said(&["u1"]));
    asked.body["system"] = blocks.iter().map(|text| json!({ "type": "text", "text": text })).collect();
    asked
}

#[test]
fn a_volatile_opening_differs_in_one_block_of_the_system_prompt() {
    let rules = "Answer in one word, whatever is asked.";
    let cause = |was: &[&str], now: &[&str]| {
        last(&reported(&[with_system(1, was), with_system(2, now)], in_four_slots())).cause
    };
    let was = ["Ann", rules, "Paris"];
    assert_eq!(cause(&was, &["Bob", rules, "Paris"]), Cause::VolatileOpening);
    assert_eq!(cause(&was, &["Bob", rules, "Rome"]), Cause::OtherConversation, "two at once");
    assert_eq!(cause(&was, &["Bob", rules]), Cause::OtherConversation, "one is another, and one is gone");
}

#[test]
fn a_volatile_opening_stands_before_any_answer() {
    let cause = |before: &[&str]| {
        let opened = |session, clock: &str| {
            let text = format!("uThe time is {clock}.\n{}", "Read the rules of this house. ".repeat(100));
            in_session(session, "Answer.", said(&[before, &[&text]].concat()))
        };
        last(&reported(&[opened(1, "10:01"), opened(2, "10:02")], in_four_slots())).cause
    };
    assert_eq!(cause(&["u1"]), Cause::VolatileOpening);
    assert_eq!(cause(&["u1", "a1"]), Cause::OtherConversation);
}

/// Its first message is another each time.
#[test]
fn an_answer_or_a_call_alone_takes_up_a_conversation_and_the_users_words_do_not() {
    let is_taken_up = |was: &Asked, now: Value| {
        let report = reported(&[was.clone(), in_session(1, "Answer.", now)], in_four_slots());
        last(&report).cause != Cause::OtherConversation
    };
    let was = in_session(1, "Answer.", said(&["u1", "a1", "u2"]));
    assert!(is_taken_up(&was, said(&["u9", "a1", "u8"])));
    assert!(!is_taken_up(&was, said(&["u9", "a9", "u2"])));
    let was = with_results(&["long"]);
    let result = was.body["messages"][2].clone();
    assert!(is_taken_up(&was, json!([{ "role": "user", "content": "u9" }, result])));
}

#[test]
fn a_place_in_the_system_prompt_counts_a_header_that_was_dropped() {
    let header = "x-anthropic-billing-header: cc_version=2; cch=00001;";
    let place = |now: &[&str]| {
        let asked = [&[header, "Be brief.", "Say Paris."][..], now].map(|blocks| with_system(1, blocks));
        let setup = Setup { view: "no-header".parse().unwrap(), ..in_four_slots() };
        last(&reported(&asked, setup)).element.to_string()
    };
    assert_eq!(place(&[header, "Be brief.", "Say Rome."]), "system[2]");
    assert_eq!(place(&[header, "Be brief."]), "system[2]", "behind the last that is left");
}
