//! What the log tells of a request's prompt, and how views are weighed.

use serde_json::{Value, json};

use super::views::SORTS_TOOLS_SINCE_MS;
use super::*;
use crate::model::request::TracePath;
use crate::model::timing::{CachedSource, Timing};
use crate::model::{LogFacts, ProxyEdit, Truncation};

fn request(mode: &str, unix_ms: i64, set: impl FnOnce(&mut LogFacts)) -> Request {
    let timestamp = crate::model::time::Timestamp::from_unix_ms(unix_ms).unwrap();
    let mut request = Request::builder("a.json").mode(mode).timestamp(timestamp).build();
    request.sizes.message_count = 9.into();
    set(request.bookkeeping.log_facts.get_or_insert_default());
    request
}

fn truncated(kept_messages: Option<u64>, removed_messages: Option<u64>) -> impl FnOnce(&mut LogFacts) {
    move |facts| {
        let cut = Truncation { kept_messages, removed_messages, ..Truncation::default() };
        facts.truncation = Some(Box::new(cut));
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
    let mut one = request("lmstudio", 1_000, |facts| facts.backend_ms = 700.into());
    one.timing = Some(Box::new(Timing { total_ms: 400.into(), ..Timing::default() }));
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
    let mut one = request("lmstudio", 0, |facts| facts.reasoning_tokens = reasoning.into());
    one.timing = Some(Box::new(Timing {
        prompt_tokens: prompt.into(),
        output_tokens: 101.into(),
        cached_tokens: cached.into(),
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

/// Recorded requests, while their folder is there.
struct Recorded {
    _folder: tempfile::TempDir,
    store: crate::Store,
    prompts: Prompts,
    requests: Vec<Request>,
}

/// Writes these histories, one a request, and reads them.
fn recorded(histories: &[Value]) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    for (at, messages) in histories.iter().enumerate() {
        let body = json!({ "model": "m", "messages": messages });
        let trace = json!({ "mode": "lmstudio", "request": { "body": body } });
        std::fs::write(folder.path().join(format!("{at}.json")), trace.to_string()).unwrap();
    }
    let store = crate::Store::default();
    let mut prompts = Prompts::default();
    let add = |file: &_, seen| prompts.add(file, seen);
    let visitor = crate::prompt_cache::PrefixVisitor::default;
    let set = crate::recording::RequestSet::read_with(&store, [folder.path()], visitor, add);
    Recorded { _folder: folder, store, prompts, requests: set.requests }
}

impl Recorded {
    /// How long the first prompt is in this view.
    fn prompt_bytes(&self, view: &str) -> u64 {
        let options = CacheOptions { view: Some(view.parse().unwrap()), ..CacheOptions::default() };
        let mut texts = crate::prompt_cache::ElementTexts::new(&self.store);
        let mut fetch = |path: &_, place| texts.read(path, place);
        simulate(&[&self.requests[0]], &self.prompts, options, &mut fetch).0.reuse[0].prompt_bytes
    }
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// Of five messages the proxy kept the last three.
#[test]
fn a_cut_history_lacks_what_was_dropped() {
    let said = ["one", "two, two", "three", "four", "five"];
    let roles = ["user", "assistant"].into_iter().cycle();
    let message = |(role, text)| json!({ "role": role, "content": text });
    let mut recorded = recorded(&[roles.zip(said).map(message).collect()]);
    let mut prompt_bytes = |view: &str, facts: Option<LogFacts>| {
        recorded.requests[0].bookkeeping.log_facts = facts.map(Box::new);
        recorded.prompt_bytes(view)
    };
    let truncation = Truncation { kept_messages: Some(3), ..Truncation::default() };
    let cut = || Some(LogFacts { truncation: Some(Box::new(truncation)), ..LogFacts::default() });
    let whole = prompt_bytes("sent", cut());
    let bytes = |said: &[&str]| said.iter().map(|one| text(one).to_string().len() as u64).sum::<u64>();
    assert_eq!(whole, bytes(&said));
    assert_eq!(prompt_bytes("truncated", cut()), bytes(&said[2..]));
    assert_eq!(prompt_bytes("truncated", None), whole, "no log tells of a cut");
}

#[test]
fn images_of_the_user_and_thinking_are_no_text() {
    let image = json!({ "type": "image", "source": { "type": "base64", "data": "aGVyb24=" } });
    let thinking = json!({ "type": "thinking", "thinking": "A bird." });
    let blocks = [&text("What is it?"), &image, &thinking, &text("A heron."), &image];
    let recorded = recorded(&[json!([
        { "role": "user", "content": blocks[..2] },
        { "role": "assistant", "content": blocks[2..] },
    ])]);
    let bytes = |blocks: &[&Value]| blocks.iter().map(|block| block.to_string().len() as u64).sum::<u64>();
    assert_eq!(recorded.prompt_bytes("sent"), bytes(&blocks));
    assert_eq!(recorded.prompt_bytes("text-only"), bytes(&[blocks[0], blocks[3], blocks[4]]));
}

/// Both texts are longer than what is kept of them, and begin alike.
#[test]
fn files_that_cannot_be_read_again_are_returned_beside_what_is_known() {
    let long = "A heron stood in the water. ".repeat(10);
    let asked = |end| json!([{ "role": "user", "content": format!("{long}{end}") }]);
    let recorded = recorded(&[asked("One."), asked("Two.")]);
    let requests: Vec<&Request> = recorded.requests.iter().collect();
    let mut fetch = |path: &TracePath, _| Err(Error::new(path.file(), std::io::Error::other("it is gone")));
    let (reuse, errors) = simulate_reuse(&requests, &recorded.prompts, CacheOptions::default(), &mut fetch);
    let files: Vec<_> = errors.iter().map(|error| error.path().file_name().unwrap()).collect();
    assert_eq!(files, ["1.json", "0.json"]);
    let [first, second] = reuse[..] else { panic!("{reuse:?}") };
    assert_eq!((first.reusable_bytes, first.prompt_bytes), (0, second.prompt_bytes));
    assert!(0 < second.reusable_bytes && second.reusable_bytes < long.len() as u64, "{second:?}");
}
