//! `traces replay` against servers that answer rightly.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::common::server::{Answer, Received, Server, anthropic, delta, models, openai};
use crate::common::{Folder, HOME, Ran, body, program, repo, run, trace, traces};
use serde_json::{Value, json};

const STAMP: &str = "2025-11-16T10:00:00.000Z";

fn answer_in_anthropic(_: &Received, answer: &mut Answer) {
    answer.stream();
    answer.events(&anthropic(&["a", "b", "c"]));
}

fn only_openai(received: &Received, answer: &mut Answer) {
    if received.path == "/v1/chat/completions" {
        answer.stream();
        answer.write(openai(&["a", "b"]));
    } else {
        // LM Studio's way to say that there is no such path.
        answer.document("200 OK", r#"{"error":"Unexpected endpoint or method. (POST /v1/messages)"}"#);
    }
}

/// A folder with one trace, and a run on it against a server.
fn replay(server: &Server, more: &str) -> (Folder, Ran) {
    let folder = Folder::new();
    folder.trace("a.json", STAMP, &body("a question"));
    let ran = folder.traces(&format!("replay a.json --format json --url {} {more}", server.url));
    (folder, ran)
}

#[test]
fn what_is_sent_is_what_was_recorded() {
    let server = Server::new(answer_in_anthropic);
    let folder = Folder::new();
    let recorded = r#"{"model":"claude","tools":[{"z":1.50,"name":"A"}],"messages":[{"role":"user","content":"\ud83d!"}],
        "max_tokens":32000,"temperature":1}"#;
    let mut whole = trace(STAMP, &json!(null)).to_string();
    whole = whole
        .replace("null", recorded)
        .replace("\"headers\":{}", "\"headers\":{\"x-api-key\":\"sk-recorded\"}");
    folder.write("a.json", whole);
    let mut command = program(folder.path());
    // Were it asked, this proxy would refuse.
    command
        .env("http_proxy", "http://127.0.0.1:9")
        .env("ALL_PROXY", "http://127.0.0.1:9")
        .env("TOKEN", "sk-given");
    let line = format!("replay a.json --url {} --max-tokens 7 --token-env TOKEN", server.url);
    run(command, &line, &[] as &[&str]).ends_with(0);
    let received = server.received();
    let [one] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(one.path, "/v1/messages");
    let expected = r#"{"model":"fake","tools":[{"z":1.50,"name":"A"}],"messages":[{"role":"user","content":"\ufffd!"}],"max_tokens":7,"temperature":1,"stream":true}"#;
    assert_eq!(one.body, expected);
    assert!(one.head.contains("authorization: bearer sk-given"), "{}", one.head);
    assert!(!one.head.contains("sk-recorded"), "{}", one.head);
}

#[test]
fn both_apis_are_measured_alike() {
    for (answer, api, prompt, cached, out) in [
        (answer_in_anthropic as fn(&Received, &mut Answer), "anthropic", 100, json!(70), 3),
        (only_openai, "openai", 100, Value::Null, 2),
    ] {
        let server = Server::new(answer);
        let found = replay(&server, "").1.ends_with(0).json();
        assert_eq!(found["api"], api);
        assert_eq!(found["model"], "fake");
        assert_eq!(found["cache"], "as_is");
        let run = &found["runs"][0];
        assert_eq!(run["prompt_tokens"], prompt);
        assert_eq!(run["cached_tokens"], cached);
        assert_eq!(run["output_tokens"], out);
        assert_eq!(run["error"], Value::Null);
        assert!(run["total_ms"].as_f64() >= run["ttft_ms"].as_f64());
        assert_eq!(found["median"]["ttft_ms"], run["ttft_ms"]);
        let is_openai = api == "openai";
        assert_eq!(run["server"]["prompt_ms"], if is_openai { json!(12.5) } else { Value::Null });
        assert_eq!(run.get("text"), None, "the answer is printed only when asked for");
        let asked = server.received().into_iter().map(|received| received.path).collect::<Vec<_>>();
        assert_eq!(asked.len(), 1 + usize::from(is_openai), "{asked:?}");
    }
}

#[test]
fn an_api_that_is_named_is_used_without_a_question() {
    let server = Server::new(only_openai);
    let (_, ran) = replay(&server, "--api openai --model another --repeat 3");
    let found = ran.ends_with(0).json();
    assert_eq!(found["runs"].as_array().unwrap().len(), 3);
    let received = server.received();
    assert_eq!(received.len(), 3);
    let sent = received[0].json();
    assert_eq!(sent["model"], "another");
    assert_eq!(sent["stream_options"], json!({ "include_usage": true }));
    assert_eq!(sent["messages"][0], json!({ "role": "system", "content": "Answer in one word." }));
    assert_eq!(sent["tools"][0]["function"]["name"], "Bash");
    replay(&server, "--api anthropic")
        .1
        .ends_with(2)
        .says(&["no answer at /v1/messages", "Unexpected endpoint"]);
}

#[test]
fn the_times_are_in_their_order() {
    let server = Server::new(|_, answer| {
        answer.stream();
        answer.events(&anthropic(&[])[..1]);
        answer.events(&[delta(json!({ "type": "thinking_delta", "thinking": "Hm." }))]);
        answer.events(&anthropic(&["a", "b", "c"])[1..]);
    });
    let run = replay(&server, "").1.ends_with(0).json()["runs"][0].take();
    let ms = |name: &str| run[name].as_f64().unwrap();
    assert!(
        0.0 < ms("ttft_ms") && ms("ttft_ms") <= ms("ttfo_ms") && ms("ttfo_ms") <= ms("total_ms"),
        "{run}"
    );
    assert!(run["chunk_gap_ms"]["max"].as_f64() >= run["chunk_gap_ms"]["p50"].as_f64(), "{run}");
}

#[test]
fn the_only_loaded_model_is_asked_and_several_are_named() {
    let with = |loaded: &'static [&'static str]| {
        let list = move |_: &Received, answer: &mut Answer| {
            answer.document("200 OK", &models(loaded).to_string());
        };
        let server = Server::with_models(list, answer_in_anthropic);
        (replay(&server, "").1, server)
    };
    let (ran, server) = with(&["one", "two"]);
    ran.ends_with(2).says(&["2 models are loaded", "one, two", "--model"]);
    assert!(server.received().is_empty(), "nothing is sent to a model that nobody chose");
    with(&[]).0.ends_with(2).says(&["no model", "lms get"]);
    with(&["one"]).0.ends_with(0);
}

#[test]
fn a_cold_prompt_begins_anew_each_time_and_a_warm_one_is_sent_before() {
    let server = Server::new(answer_in_anthropic);
    let found = replay(&server, "--cold --repeat 3").1.ends_with(0).json();
    assert_eq!(found["cache"], "cold");
    let mut begins: Vec<String> = server
        .received()
        .iter()
        .map(|received| received.json()["system"].as_str().unwrap()[..16].to_owned())
        .collect();
    begins.sort();
    begins.dedup();
    assert_eq!(begins.len(), 3);
    let server = Server::new(answer_in_anthropic);
    let found = replay(&server, "--warm --repeat 2").1.ends_with(0).json();
    assert_eq!((&found["cache"], found["runs"].as_array().unwrap().len()), (&json!("warm"), 2));
    let received = server.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|one| one.body == received[0].body));
    replay(&server, "--warm --cold").1.ends_with(2);
}

/// Runs on the recording in testdata.
fn verdict(input: &str, server: &Server, more: &str) -> Value {
    let line = format!("replay {input} --root {HOME} --format json --url {} {more}", server.url);
    traces(&line).ends_with(0).json()["comparison"].take()
}

#[test]
fn the_verdict_is_backend_or_proxy() {
    let fast = Server::new(answer_in_anthropic);
    // The newest of this session took 24 s through the proxy.
    let (session, model) = ("session:22222222", "--model qwen3-42b-a3b-2507-thinking");
    let found = verdict(session, &fast, &format!("--cold {model}"));
    assert_eq!(found["verdict"], "proxy", "{found}");
    assert!(found["proxied"]["ttft_ms"].as_u64() > Some(20_000), "{found}");
    assert_eq!(verdict(session, &fast, model)["verdict"], "undetermined", "a cache may have helped");
    assert_eq!(verdict(session, &fast, "--cold")["verdict"], "undetermined", "it is another model");
    let line = format!("replay {session} --root {HOME} --url {} --cold {model}", fast.url);
    let table = traces(&line).ends_with(0).stdout;
    for words in ["through the proxy", "direct", "TTFT", "TOK/S", "21.7 s", "Proxy: straight to the server"] {
        assert!(table.contains(words), "{words}\n{table}");
    }
    assert!(table.starts_with("Proxy: straight to the server it takes "), "{table}");
    assert_eq!(table.matches("Proxy: ").count(), 1, "{table}");
    // The newest of all took 1.0 s.
    let slow = Server::new(|_, answer| {
        sleep(Duration::from_millis(1100));
        answer_in_openai(answer);
    });
    let found = verdict("latest", &slow, "--api openai --cold --model gpt-oss-20b");
    assert_eq!(found["verdict"], "backend", "{found}");
}

fn answer_in_openai(answer: &mut Answer) {
    answer.stream();
    answer.write(openai(&["a", "b"]));
}

/// What a replay against this server prints.
fn table(server: &Server, more: &str) -> Ran {
    let folder = Folder::new();
    folder.trace("a.json", STAMP, &body("a question"));
    folder.traces(&format!("replay a.json --url {} {more}", server.url))
}

#[test]
fn the_first_sentence_is_what_was_measured() {
    let server = Server::new(answer_in_anthropic);
    let first_line = |table: &str| table.lines().next().unwrap().to_owned();
    let found = table(&server, "").ends_with(0).stdout;
    let sentence = first_line(&found);
    // Where all of it arrives at once, no speed is known.
    assert!(sentence.starts_with("fake takes ") && sentence.ends_with('.'), "{sentence}");
    assert!(sentence.contains(" straight to the server: "), "{sentence}");
    assert!(sentence.contains(" to the first token"), "{sentence}");
    assert!(!found.contains("edian"), "{found}");
    for (repeat, which) in [
        (2, Some("of two figures, the smaller")),
        (3, None),
        (4, Some("of the middle two figures, the smaller")),
    ] {
        let found = table(&server, &format!("--repeat {repeat}")).ends_with(0).stdout;
        assert!(first_line(&found).ends_with(&format!(" (median of {repeat} runs).")), "{found}");
        let said = found.lines().find(|line| line.starts_with("Medians are by nearest rank"));
        assert_eq!(said.is_some(), which.is_some(), "{found}");
        assert!(said.zip(which).is_none_or(|(said, which)| said.contains(which)), "{found}");
    }
    let json = table(&server, "--repeat 2 --format json").ends_with(0).json();
    let totals = [&json["runs"][0]["total_ms"], &json["runs"][1]["total_ms"]].map(|ms| ms.as_f64().unwrap());
    assert_eq!(json["median"]["total_ms"].as_f64(), Some(totals[0].min(totals[1])));
}

#[test]
fn the_first_sentence_says_which_runs_failed() {
    let breaks_off = |answer: &mut Answer| {
        answer.stream();
        answer.events(&anthropic(&["a", "b"])[..3]);
    };
    let broken = Server::new(move |_, answer| breaks_off(answer));
    let found = table(&broken, "").ends_with(3).stdout;
    let sentence = found.lines().next().unwrap();
    assert!(sentence.starts_with("fake begins to answer after "), "{sentence}");
    assert!(sentence.ends_with(". It failed before its end."), "{sentence}");

    let runs = AtomicUsize::new(0);
    let second_breaks = Server::new(move |received, answer| match runs.fetch_add(1, Ordering::Relaxed) {
        1 => breaks_off(answer),
        _ => answer_in_anthropic(received, answer),
    });
    let found = table(&second_breaks, "--repeat 3").ends_with(3).stdout;
    let sentence = found.lines().next().unwrap();
    assert!(sentence.ends_with(" (median of 2 runs). 1 of 3 runs failed."), "{sentence}");

    let refuses = Server::new(|_, answer| answer.document("500 Oops", r#"{"error":"no memory"}"#));
    let ran = table(&refuses, "--repeat 2").ends_with(2).says(&["run 1: ", "run 2: ", "no memory"]);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.starts_with("traces: nothing was measured: all 2 runs failed\n"), "{}", ran.stderr);
    let ran = table(&refuses, "").ends_with(2);
    assert!(!ran.stderr.contains("nothing was measured"), "one error says it: {}", ran.stderr);
}

#[test]
fn what_was_measured_can_be_saved_and_read_back() {
    let server = Server::new(answer_in_anthropic);
    let (folder, ran) = replay(&server, "--save out.json");
    let printed = ran.ends_with(0).stdout;
    let path = folder.path().join("out.json");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), printed);
    let back: lmstudio_replay::Replay = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        serde_json::to_value(&back).unwrap()["runs"],
        serde_json::from_str::<Value>(&printed).unwrap()["runs"]
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = format!("replay a.json --url {} --save out.json", server.url);
    let before = server.received().len();
    folder.traces(&again).ends_with(2).says(&["out.json", "--force"]);
    assert_eq!(server.received().len(), before, "nothing is measured that cannot be saved");
    folder.traces(&format!("{again} --force --max-tokens 7")).ends_with(0);
    assert!(std::fs::read_to_string(&path).unwrap().contains("\"max_tokens\": 7,"));
    folder
        .traces(&format!("replay a.json --url {} --save no/out.json", server.url))
        .ends_with(2)
        .says(&["no folder"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left behind");
}

#[test]
fn the_answer_is_printed_only_when_asked_for_and_cannot_steer_the_terminal() {
    let server = Server::new(|_, answer| {
        answer.stream();
        answer.events(&anthropic(&["a secret", "\u{1b}]52;c;eA==\u{7}\u{202e}"]));
    });
    let folder = Folder::new();
    folder.trace("a.json", STAMP, &body("a question"));
    let line = format!("replay a.json --url {}", server.url);
    for format in ["table", "json", "markdown"] {
        let silent = folder.traces(&format!("{line} --format {format}")).ends_with(0).stdout;
        assert!(!silent.contains("secret") && !silent.contains("question"), "{silent}");
        let shown = folder.traces(&format!("{line} --format {format} --show-text")).ends_with(0).stdout;
        assert!(shown.contains("a secret") && !shown.contains('\u{1b}'), "{shown}");
    }
}

#[test]
fn an_input_of_several_requests_means_the_newest() {
    let server = Server::new(answer_in_anthropic);
    let folder = Folder::new();
    folder.trace("in/a.json", STAMP, &body("old"));
    folder.trace("in/b.json", "2025-11-16T10:00:05.000Z", &body("new"));
    folder
        .traces(&format!("replay in --url {}", server.url))
        .ends_with(0)
        .says(&["2 requests fit; sending the newest"]);
    assert!(server.received()[0].body.contains("\"new\""));
    assert!(repo().join(HOME).exists());
}
