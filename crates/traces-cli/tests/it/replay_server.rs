//! `traces replay` against a real server: llama.cpp's, with a model of random
//! weights. `.ci/llama/end_to_end.py` runs one and names it in `TRACES_TEST_SERVER`;
//! without that these tests have nothing to talk to and pass.
#![allow(clippy::print_stderr, reason = "what was measured is said")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

use crate::common::{self, Folder};
use serde_json::{Value, json};

/// The server has one slot, and so does this.
static SERVER: Mutex<()> = Mutex::new(());

/// Calls the test with the server's address, if there is a server.
fn with_server(test: impl FnOnce(&str)) {
    let _alone = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    match std::env::var("TRACES_TEST_SERVER") {
        Ok(address) => test(&address),
        Err(_) => eprintln!("skipped: TRACES_TEST_SERVER names no server; see .ci/llama/end_to_end.py"),
    }
}

/// A turn with everything that a conversion must carry over.
fn recorded(question: &str) -> Value {
    json!({
        "model": "claude-sonnet-4-20250514",
        "max_tokens": 32000,
        "temperature": 1,
        "system": [
            { "type": "text", "text": "You answer questions about plants." },
            { "type": "text", "text": "Be brief.", "cache_control": { "type": "ephemeral" } },
        ],
        "tools": [common::tool("Water", "Waters a plant."), common::tool("Look", "Looks at a plant.")],
        "messages": [{ "role": "user", "content": question }],
    })
}

/// The same as a server takes it at `/v1/chat/completions`, written by hand.
fn in_openai(question: &str) -> Value {
    let tool = |name: &str, description: &str| {
        let parameters = json!({ "type": "object" });
        json!({ "type": "function", "function": { "name": name, "description": description, "parameters": parameters } })
    };
    json!({
        "model": "any",
        "max_tokens": 4,
        "tools": [tool("Water", "Waters a plant."), tool("Look", "Looks at a plant.")],
        "messages": [
            { "role": "system", "content": "You answer questions about plants.\nBe brief." },
            { "role": "user", "content": question },
        ],
    })
}

/// What the server answers without a stream: an independent way to its counts.
fn ask(address: &str, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let host = address.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, document) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The runs of a replay of this body.
fn runs(address: &str, body: &Value, more: &str) -> Vec<Value> {
    let folder = Folder::new();
    folder.trace("a.json", "2025-11-16T10:00:00.000Z", body);
    let line = format!("replay a.json --url {address} --max-tokens 16 --format json {more}");
    folder.traces(&line).ends_with(0).json()["runs"].as_array().unwrap().clone()
}

fn tokens(run: &Value, name: &str) -> u64 {
    run[name].as_u64().unwrap_or_else(|| panic!("{name}: {run}"))
}

#[test]
fn token_counts_are_the_server_s_own() {
    with_server(|address| {
        let question = "How often does a fern want water?";
        let mut whole = recorded(question);
        whole["max_tokens"] = json!(4);
        let usage = ask(address, "/v1/messages", &whole)["usage"].take();
        let expected =
            tokens(&usage, "input_tokens") + usage["cache_read_input_tokens"].as_u64().unwrap_or(0);
        let run = &runs(address, &recorded(question), "--api anthropic")[0];
        assert_eq!(tokens(run, "prompt_tokens"), expected);
        assert_eq!((tokens(run, "output_tokens"), &run["stop_reason"]), (16, &json!("max_tokens")));

        let usage = ask(address, "/v1/chat/completions", &in_openai(question))["usage"].take();
        let run = &runs(address, &recorded(question), "--api openai")[0];
        assert_eq!(tokens(run, "prompt_tokens"), tokens(&usage, "prompt_tokens"));
        assert_eq!((tokens(run, "output_tokens"), &run["stop_reason"]), (16, &json!("length")));
    });
}

#[test]
fn a_second_request_finds_the_cache_and_a_cold_one_does_not() {
    with_server(|address| {
        for api in ["anthropic", "openai"] {
            let body = recorded(&format!("Which plants like shade, asked in {api}?"));
            let again = runs(address, &body, &format!("--api {api} --repeat 2"));
            let prompt = tokens(&again[1], "prompt_tokens");
            // The last token is always computed anew.
            assert_eq!(tokens(&again[1], "cached_tokens"), prompt - 1, "{api}");
            let warm = runs(address, &body, &format!("--api {api} --warm"));
            assert_eq!(tokens(&warm[0], "cached_tokens"), prompt - 1, "{api}");
            for run in runs(address, &body, &format!("--api {api} --cold --repeat 3")) {
                // What the chat template puts before the prompt, and a lucky digit or two.
                assert!(tokens(&run, "cached_tokens") <= 16, "{api}: {run}");
                assert!(tokens(&run, "prompt_tokens") > prompt, "{api}: {run}");
            }
        }
    });
}

#[test]
fn every_time_is_there_and_in_order() {
    with_server(|address| {
        let run = runs(address, &recorded("Do cacti grow in the shade?"), "--api openai --cold")[0].clone();
        let ms = |name: &str| run[name].as_f64().unwrap_or_else(|| panic!("{name}: {run}"));
        assert!(ms("ttft_ms") > 0.0 && ms("ttft_ms") <= ms("ttfo_ms") && ms("ttfo_ms") < ms("total_ms"));
        assert!(ms("output_tokens_per_second") > 0.0);
        let server = &run["server"];
        assert!(server["prompt_ms"].is_f64() && server["generation_ms"].is_f64(), "{run}");
    });
}

#[test]
fn without_a_name_api_and_model_are_found() {
    with_server(|address| {
        let folder = Folder::new();
        folder.trace("a.json", "2025-11-16T10:00:00.000Z", &recorded("Hello?"));
        let found = folder
            .traces(&format!("replay a.json --url {address} --max-tokens 2 --format json"))
            .ends_with(0)
            .json();
        assert_eq!((&found["api"], &found["model"]), (&json!("anthropic"), &json!("tiny-random")));
        let gone = folder
            .traces(&format!("replay a.json --url {address}/nowhere --model m --api openai"))
            .ends_with(2);
        gone.says(&["no answer at /v1/chat/completions: File Not Found"]);
    });
}
