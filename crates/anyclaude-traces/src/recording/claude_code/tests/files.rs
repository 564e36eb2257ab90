//! What the files of a recording tell beside its events, whole and damaged.

use super::*;

#[test]
fn without_events_the_index_ties_bodies_to_spans() {
    let mut recording = Recording::new();
    recording.body("a", 2, |_| ());
    recording.response("a", 160, [1_017, 0, 93]);
    recording.span(&[0], 158, 93, json!({"first_content_ms": 100, "input_tokens": 1_017}));
    let entry = json!({"timestamp": stamp(163), "session_id": SESSION, "query_source": "sdk",
        "request_file": "a.request.json", "response_file": "a.response.json"});
    recording.write("bodies/index.jsonl", &format!("{entry}\n"), 163);
    let [request] = &recording.requests()[..] else { panic!() };
    assert_eq!(name(request), "a.request.json");
    let timing = request.timing.as_deref().unwrap();
    assert_eq!(
        (timing.ttft_ms.get(), timing.total_ms.get(), timing.output_tokens.get()),
        (Some(100), Some(158), Some(93))
    );
}

#[test]
fn bodies_alone_have_the_times_of_their_files() {
    let recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.response("x", 700, [800, 0, 12]);
    recording.body("b", 2_000, |_| ());
    let requests = recording.requests();
    assert_eq!(requests[0].timestamp.unwrap().to_string(), stamp(0));
    assert_eq!(requests[0].timestamp_source, Some(TimestampSource::Mtime));
    let timing = requests[0].timing.as_deref().unwrap();
    assert_eq!((timing.total_ms.get(), timing.prompt_tokens.get()), (Some(700), Some(800)));
    assert_eq!(requests[1].timing, None, "nothing tells how it ended");
}

#[test]
fn times_of_copies_tell_nothing() {
    let recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.body("b", 1, |_| ());
    // Sooner than any backend answers.
    recording.response("x", 2, [800, 0, 400]);
    assert!(recording.requests().iter().all(|request| request.timing.is_none()));
    let entry = json!({"timestamp": stamp(500_000), "session_id": SESSION,
        "request_file": "a.request.json", "response_file": "x.response.json"});
    recording.write("bodies/index.jsonl", &entry.to_string(), 0);
    let requests = recording.requests();
    let indexed = requests.iter().find(|request| name(request) == "a.request.json").unwrap();
    assert_eq!(indexed.timestamp.unwrap().to_string(), stamp(500_000), "by the index");
    let timing = indexed.timing.as_deref().unwrap();
    assert_eq!((timing.total_ms.get(), timing.start, timing.output_tokens.get()), (None, None, Some(400)));
}

#[test]
fn bodies_in_events_are_read_unless_they_are_cut() {
    let mut recording = Recording::new();
    let body = r#"{"model":"m","messages":[],"tools":[{"name":"Read"}],"betas":["x"],"stream":true}"#;
    recording.event("api_request_body", 0, json!({"body": body, "body_length": "80"}));
    recording.end(100, 100, [900, 0, 5]);
    let cut = json!({"body": body.get(..40).unwrap(), "body_truncated": "true"});
    recording.event("api_request_body", 1_000, cut);
    recording.end(1_100, 100, [900, 0, 5]);
    let requests = recording.requests();
    let sizes = |at: usize| (requests[at].sizes.body_bytes.get(), requests[at].sizes.tool_count.get());
    assert_eq!(sizes(0), (Some(body.len() as u64 - 14), Some(1)));
    assert_eq!(sizes(1), (None, None));
    assert_ne!(requests[0].path, requests[1].path, "two records of one file");
}

#[test]
fn a_body_that_is_named_is_joined_with_what_its_recording_tells() {
    let mut recording = Recording::new();
    for (id, at) in [("a", 0), ("b", 1_000)] {
        recording.body(id, at, |_| ());
        recording.begin(id, at);
        recording.end(at + 500, 500, [900, 0, 5]);
        recording.answer(id, at + 501);
        recording.response(id, at + 502, [900, 0, 5]);
    }
    recording.read();
    let folder = recording.folder.path();
    let body = RequestSet::read(&Store::default(), [folder.join("bodies/b.request.json")]);
    let [request] = &body.requests[..] else { panic!("others are not asked for: {:?}", body.requests) };
    assert_eq!((name(request).as_str(), request.timestamp_source), ("b.request.json", None));
    assert_eq!(request.timing.as_deref().unwrap().total_ms, Some(500));
    assert_eq!(request.model.as_deref(), Some("answering-llm"));
    let bodies = RequestSet::read(&Store::default(), [folder.join("bodies")]);
    assert_eq!(bodies.requests.len(), 2);
    let logs = RequestSet::read(&Store::default(), [folder.join("logs.jsonl")]);
    assert!(logs.requests.iter().all(|request| request.sizes.body_bytes.get().is_none()));
    assert_eq!(logs.requests.len(), 2);
}

#[test]
fn thinking_that_was_not_recorded_is_marked() {
    let recording = Recording::new();
    recording.body("a", 0, |body| {
        let thinking = json!({"type": "thinking", "thinking": "<REDACTED>", "signature": ""});
        body["messages"] = json!([{"role": "assistant", "content": [thinking]}]);
    });
    recording.body("b", 1, |body| {
        body["messages"] = json!([{"role": "user", "content": [{"type": "text", "text": "<REDACTED>"}]}]);
    });
    let redacted: Vec<bool> = recording.requests().iter().map(|request| request.body_redacted).collect();
    assert_eq!(redacted, [true, false]);
}

#[test]
fn transcripts_name_subagents() {
    let mut recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.begin("a", 0);
    recording.end(400, 400, [700, 0, 8]);
    recording.answer("a", 401);
    recording.response("a", 402, [700, 0, 8]);
    fs::create_dir(recording.folder.path().join("transcripts")).unwrap();
    let line = |message: &str| {
        json!({"type": "assistant", "sessionId": SESSION, "agentId": "a1b2", "isSidechain": true,
            "timestamp": stamp(400), "message": {"id": message, "usage": {"output_tokens": 8}}})
        .to_string()
    };
    recording.write("transcripts/agent-a1b2.jsonl", &(line("msg-a") + "\n" + &line("msg-other") + "\n"), 0);
    let [request] = &recording.requests()[..] else { panic!() };
    assert_eq!(request.caller.agent.as_deref(), Some("a1b2"));
}

/// No event tells that it failed, nor why.
#[test]
fn a_transcript_tells_why_a_try_failed_and_when() {
    let mut recording = Recording::new();
    for (id, at) in [("a", 0), ("b", 600), ("c", 1_300)] {
        recording.body(id, at, |_| ());
        recording.begin(id, at);
    }
    recording.end(5_000, 3_690, [90, 0, 3]);
    fs::create_dir(recording.folder.path().join("transcripts")).unwrap();
    let failed = |at: u64, words: &str| {
        json!({
            "type": "system", "subtype": "api_error", "sessionId": SESSION, "timestamp": stamp(at),
            "error": {"message": "503 {}", "formatted": words, "status": 503}, "retryAttempt": 1,
        })
        .to_string()
    };
    let other = failed(100, "of another session").replace(SESSION, "22222222-2222-4333-8444-555555555555");
    let lines = [failed(620, "503 Busy"), failed(25, "503 Loading model"), other].join("\n");
    recording.write("transcripts/s.jsonl", &lines, 0);
    let set = recording.read();
    let found: Vec<_> = set
        .requests
        .iter()
        .map(|request| {
            let timing = request.timing.as_deref().unwrap();
            (name(request), timing.outcome, timing.total_ms.get(), timing.error.clone())
        })
        .collect();
    let failed = |id: &str, ms, words: &str| {
        (format!("{id}.request.json"), Some(Outcome::Failed), Some(ms), Some(words.to_owned()))
    };
    assert_eq!(found[0], failed("a", 25, "503 Loading model"));
    assert_eq!(found[1], failed("b", 20, "503 Busy"));
    assert_eq!(found[2], ("c.request.json".to_owned(), Some(Outcome::Completed), Some(3_690), None));
    let status = set.requests[0].response.as_deref().and_then(|response| response.status);
    assert_eq!(status, Some(503));
}

#[test]
fn compressed_files_are_joined_as_the_others() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;
    let mut recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.response("a", 5_000, [90, 10, 3]);
    recording.begin("a", 0);
    recording.end(5_000, 4_990, [90, 10, 3]);
    recording.answer("a", 5_001);
    let facts = |set: &RequestSet| {
        let [request] = &set.requests[..] else { panic!("{:?}", set.requests) };
        (request.timing.clone(), request.response.clone(), request.model.clone(), request.source)
    };
    let plain = facts(&recording.read());
    for name in ["bodies/a.request.json", "bodies/a.response.json", "logs.jsonl"] {
        let path = recording.folder.path().join(name);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&fs::read(&path).unwrap()).unwrap();
        fs::write(format!("{}.gz", path.display()), encoder.finish().unwrap()).unwrap();
        fs::remove_file(path).unwrap();
    }
    let folder = recording.folder.path();
    assert_eq!(facts(&RequestSet::read(&Store::default(), [folder])), plain);
    // A body that is named is joined with what stands beside it.
    let body = folder.join("bodies/a.request.json.gz");
    assert_eq!(facts(&RequestSet::read(&Store::default(), [body])), plain);
}

#[test]
fn damage_costs_no_more_than_its_line() {
    let mut recording = Recording::new();
    recording.begin("a", 0);
    recording.end(400, 400, [700, 0, 8]);
    recording.read();
    let path = recording.folder.path().join("logs.jsonl");
    let whole = fs::read(&path).unwrap();
    let second = memchr::memchr(b'\n', &whole).unwrap() + 1;
    for cut in (second..whole.len()).step_by(5) {
        fs::write(&path, &whole[..cut]).unwrap();
        let set = RequestSet::read(&Store::default(), [&path]);
        assert_eq!(set.requests.len(), 1, "cut at {cut}");
        let reasons: Vec<SkipReason> = set.skipped.iter().map(crate::Error::reason).collect();
        assert!(reasons.iter().all(|reason| *reason == SkipReason::Truncated), "cut at {cut}: {reasons:?}");
    }
    let mut damaged = whole.clone();
    damaged.splice(second..second, *b"{\"resourceLogs\": [}\n\xFF\xFE\n\n");
    fs::write(&path, damaged).unwrap();
    let set = RequestSet::read(&Store::default(), [&path]);
    assert_eq!((set.requests.len(), set.skipped.len(), set.joined.unreadable_lines), (1, 0, 2));
}

#[test]
fn an_answer_that_was_never_written_is_no_fault() {
    let recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.write("bodies/a.response.json", "", 100);
    let set = RequestSet::read(&Store::default(), [recording.folder.path()]);
    assert_eq!((set.requests.len(), set.skipped.len()), (1, 0), "{:?}", set.skipped);
    let set = RequestSet::read(&Store::default(), [recording.folder.path().join("bodies/a.request.json")]);
    assert_eq!((set.requests.len(), set.skipped.len()), (1, 0), "{:?}", set.skipped);
    let named = RequestSet::read(&Store::default(), [recording.folder.path().join("bodies/a.response.json")]);
    assert_eq!(
        named.skipped.iter().map(crate::error::Error::reason).collect::<Vec<_>>(),
        [SkipReason::Empty]
    );
}

#[test]
fn a_file_without_requests_is_refused_when_named() {
    let recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.response("a", 100, [700, 0, 8]);
    recording.write("metrics.jsonl", "{\"resourceMetrics\":[]}\n", 0);
    recording.write("receipt.json", "{\"schema_version\":1,\"recording\":\"claude_code\"}", 0);
    let folder = RequestSet::read(&Store::default(), [recording.folder.path()]);
    assert!(folder.skipped.is_empty(), "passed over in a folder: {:?}", folder.skipped);
    for name in ["metrics.jsonl", "receipt.json", "bodies/a.response.json"] {
        let set = RequestSet::read(&Store::default(), [recording.folder.path().join(name)]);
        let [error] = &set.skipped[..] else { panic!("{name}: {:?}", set.skipped) };
        assert_eq!((error.reason(), set.requests.len()), (SkipReason::NotATrace, 0), "{name}");
    }
}
