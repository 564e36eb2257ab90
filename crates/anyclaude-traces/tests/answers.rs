//! Every answer of an open recording, as JSON and back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Debug;

use anyclaude_traces::Recording;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The root of the corpus, as seen from this package's folder, where tests run.
const ROOT: &str = "../../testdata/home/.anyclaude";

/// What is read back from the JSON of an answer serialises to the same bytes.
fn comes_back<T: Serialize + DeserializeOwned + Debug>(answer: &T) {
    let json = serde_json::to_string(answer).unwrap();
    let back: T = serde_json::from_str(&json).unwrap();
    let again = serde_json::to_string(&back).unwrap();
    let differs = json.bytes().zip(again.bytes()).position(|(a, b)| a != b);
    let around =
        |text: &str, at: usize| text.get(at.saturating_sub(60)..(at + 60).min(text.len())).map(str::to_owned);
    assert_eq!(differs.map(|at| (around(&again, at), around(&json, at))), None);
    assert_eq!(again.len(), json.len());
}

#[test]
fn every_answer_is_read_back_from_its_json() {
    let recording = Recording::open(ROOT).unwrap();
    let list = recording.list().unwrap();
    assert_eq!(list.requests.len(), recording.requests().len());
    comes_back(&list);
    let summary = recording.summary().unwrap();
    assert_eq!(summary.findings, recording.findings().unwrap());
    comes_back(&summary);
    comes_back(&recording.timing().unwrap());
    comes_back(&recording.prefix().unwrap());
    comes_back(&recording.show("latest").unwrap());
    comes_back(&recording.diff("latest~1", "latest").unwrap());
    comes_back(&recording.explain("gpt-oss", "qwen3-30b").unwrap());
    comes_back(&recording.explain_models().unwrap());
    comes_back(&recording.report().unwrap());
}

#[test]
fn a_folder_of_traces_is_a_recording_too() {
    let whole = Recording::open(ROOT).unwrap();
    let traces = Recording::open(format!("{ROOT}/traces")).unwrap();
    assert_eq!(traces.requests().len(), whole.requests().len());
    assert!(Recording::open("there/is/no/such/folder").is_err());
}

#[test]
fn a_name_that_nobody_bears_is_an_error_that_lists_those_who_do() {
    let recording = Recording::open(ROOT).unwrap();
    let error = recording.explain("gpt-oss", "no-such-model").unwrap_err();
    assert!(error.to_string().contains("no-such-model"), "{error}");
}
