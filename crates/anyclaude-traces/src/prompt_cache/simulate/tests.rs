//! What the log tells of a request's prompt, and how views are weighed.

use super::*;
use crate::model::timing::{CachedSource, Timing};
use crate::model::{LogFacts, Truncation};

fn request(mode: &str, unix_ms: i64, set: impl FnOnce(&mut LogFacts)) -> Request {
    let timestamp = crate::model::time::Timestamp::from_unix_ms(unix_ms).unwrap();
    let mut request = Request::builder("a.json").mode(mode).timestamp(timestamp).build();
    request.sizes.message_count = 9.into();
    set(request.bookkeeping.log_facts.get_or_insert_default());
    request
}

fn truncated(kept_messages: Option<u64>, removed_messages: Option<u64>) -> impl FnOnce(&mut LogFacts) {
    move |facts| {
        facts.truncation = Some(Truncation { kept_messages, removed_messages, ..Truncation::default() });
    }
}

fn removed(messages: u64) -> impl FnOnce(&mut LogFacts) {
    let other = ProxyEdit::ThinkingSuppressed;
    move |facts| facts.edits = vec![other, ProxyEdit::MessagesRemoved { messages }]
}

#[test]
fn a_cut_history_begins_with_what_was_kept() {
    let first = |request: &Request| first_message(request);
    assert_eq!(first(&request("lmstudio", 0, truncated(Some(2), Some(3)))), 7, "all but those kept");
    assert_eq!(first(&request("lmstudio", 0, truncated(None, Some(3)))), 3);
    assert_eq!(first(&request("lmstudio", 0, truncated(Some(10), None))), 0, "more than there are");
    assert_eq!(first(&request("lmstudio", 0, removed(4))), 4);
    assert_eq!(first(&request("lmstudio", 0, |_| ())), 0);
}

#[test]
fn views_differ_in_what_the_mode_the_day_and_the_log_do_not_settle() {
    let day = SORTS_TOOLS_SINCE_MS;
    let views = |request: &Request, has_evidence| -> Vec<String> {
        let views = super::views(&[request], has_evidence);
        views.iter().map(|view| view.of(request).to_string()).collect()
    };
    let plain = request("lmstudio", day, |_| ());
    assert_eq!(views(&plain, false), ["sorted,text-only"]);
    assert_eq!(
        views(&plain, true),
        ["sorted,text-only", "sorted,no-header,text-only", "no-header,text-only", "text-only"]
    );
    let cut = request("local", day - 1, removed(4));
    assert_eq!(views(&cut, false), ["no-header,text-only,truncated"]);
    assert!(views(&cut, true).contains(&"sorted,text-only,truncated".to_owned()));
    // What was sent to Anthropic was not cut, whatever a log says.
    let sent = request("claude", day, removed(4));
    assert_eq!(super::views(&[&sent, &plain], false), super::views(&[&plain], false));
    assert_eq!(views(&sent, false), ["sent"]);
}

#[test]
fn a_request_is_there_as_long_as_the_log_says_else_to_its_end() {
    let mut one = request("lmstudio", 1_000, |facts| facts.backend_ms = Some(700));
    one.timing = Some(Box::new(Timing { total_ms: Some(400), ..Timing::default() }));
    assert_eq!((start(&one), end(&one)), (1_000, 1_700));
    one.bookkeeping.log_facts = None;
    assert_eq!(end(&one), 1_400);
    let later = crate::model::time::Timestamp::from_unix_ms(1_050);
    one.timing.as_mut().unwrap().start = later;
    assert_eq!((start(&one), end(&one)), (1_050, 1_450), "it began after it was recorded");
    one.timing = None;
    assert_eq!((start(&one), end(&one)), (1_000, 1_000));
}

fn counted(prompt: u64, cached: Option<u64>, reasoning: Option<u64>) -> Request {
    let mut one = request("lmstudio", 0, |facts| facts.reasoning_tokens = reasoning);
    one.timing = Some(Box::new(Timing {
        prompt_tokens: Some(prompt),
        output_tokens: Some(101),
        cached_tokens: cached,
        cached_source: cached.map(|_| CachedSource::Reported),
        ..Timing::default()
    }));
    one
}

#[test]
fn an_answer_that_began_with_reasoning_is_not_kept() {
    let kept = |reasoning| {
        let one = counted(1_000, Some(1), reasoning);
        ReportedCounts::of(&[&one]).counted[0].unwrap().answer.kept_tokens
    };
    assert_eq!([kept(None), kept(Some(0)), kept(Some(1))], [100, 100, 0]);
}

#[test]
fn errors_are_shares_of_each_prompt() {
    let (small, large) = (counted(100, Some(50), None), counted(1_000, Some(0), None));
    let (unknown, empty) = (counted(1_000, None, None), counted(0, Some(0), None));
    let evidence = ReportedCounts::of(&[&small, &empty, &large, &unknown]);
    assert!(evidence.is_any() && evidence.last == 2);
    let reuse = |reusable_bytes| SimulatedReuse { prompt_bytes: 4_000, reusable_bytes, continues: None };
    // 50 of 100 and 250 of 1,000 tokens.
    let error = evidence.error(&[reuse(0), reuse(0), reuse(1_000), reuse(4_000)]);
    assert!((error - 0.75).abs() < 1e-12, "{error}");
    assert!(!ReportedCounts::of(&[&unknown]).is_any());
}

/// Of five messages the proxy kept the last three.
#[test]
fn a_cut_history_lacks_what_was_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let message = |role: &str, text: &str| format!(r#"{{"role":"{role}","content":"{text}"}}"#);
    let said = ["one", "two, two", "three", "four", "five"];
    let roles = ["user", "assistant"].into_iter().cycle();
    let messages: Vec<String> = roles.zip(said).map(|(role, text)| message(role, text)).collect();
    let trace = format!(
        r#"{{"mode":"lmstudio","request":{{"body":{{"model":"m","messages":[{}]}}}}}}"#,
        messages.join(",")
    );
    std::fs::write(folder.path().join("a.json"), trace).unwrap();
    let store = crate::Store::default();
    let mut prompts = Prompts::default();
    let add = |file: &_, seen| prompts.add(file, seen);
    let visitor = crate::prompt_cache::PrefixVisitor::default;
    let mut set = crate::recording::RequestSet::read_with(&store, [folder.path()], visitor, add);
    let mut prompt_bytes = |view: &str, facts: Option<LogFacts>| {
        set.requests[0].bookkeeping.log_facts = facts.map(Box::new);
        let options = CacheOptions { view: Some(view.parse().unwrap()), ..CacheOptions::default() };
        let mut texts = crate::prompt_cache::ElementTexts::new(&store);
        let mut fetch = |path: &_, place| texts.read(path, place);
        crate::prompt_cache::simulate(&[&set.requests[0]], &prompts, options, &mut fetch).reuse[0]
            .prompt_bytes
    };
    let truncation = Truncation { kept_messages: Some(3), ..Truncation::default() };
    let cut = || Some(LogFacts { truncation: Some(truncation), ..LogFacts::default() });
    let whole = prompt_bytes("sent", cut());
    let block = |text: &str| format!(r#"{{"type":"text","text":"{text}"}}"#).len() as u64;
    assert_eq!(whole, said.iter().map(|text| block(text)).sum::<u64>());
    assert_eq!(prompt_bytes("truncated", cut()), said[2..].iter().map(|text| block(text)).sum::<u64>());
    assert_eq!(prompt_bytes("truncated", None), whole, "no log tells of a cut");
}
