//! Every answer of an open recording, as JSON and back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Debug;

use anyclaude_traces::Recording;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

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
fn a_servers_log_is_a_recording_too() {
    let log = "../../testdata/server-logs/llama-server.log";
    let recording = Recording::builder().server_log(log).open().unwrap();
    assert_eq!(recording.requests().len(), 3);
    let summary = recording.summary().unwrap();
    let reads = summary.groups[0].speeds.unwrap().read_tokens_per_second.unwrap();
    assert!((reads - 1000.0).abs() < 50.0, "{reads}");
    assert!(Recording::builder().server_log("there/is/no/such.log").open().is_err());
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

/// Figures by whose they are and what they are called, with the answers that give them.
#[derive(Default)]
struct Figures(BTreeMap<(String, String), Vec<(f64, &'static str)>>);

impl Figures {
    fn add(&mut self, answer: &'static str, whose: &str, members: &Json) {
        for (name, figure) in members.as_object().into_iter().flatten() {
            if let Some(figure) = figure.as_f64() {
                self.0.entry((whose.to_owned(), name.clone())).or_default().push((figure, answer));
            }
        }
    }

    /// Walks through an answer: requests by their path, speeds by their model.
    fn collect(&mut self, answer: &'static str, value: &Json) {
        if let Some(path) = value["path"].as_str().filter(|_| value["prompt_bytes"].is_u64()) {
            self.add(answer, path, value);
        }
        if let Some(path) = value["path"].as_str() {
            self.add(answer, path, &value["timing"]);
        }
        let name = value["model"].as_str().or(value["name"].as_str());
        if let Some(name) = name.filter(|_| value["speeds"].is_object()) {
            self.add(answer, name, &value["speeds"]);
        }
        if let Some(model) = name.filter(|_| value["n_read"].is_u64()) {
            self.add(answer, model, value);
        }
        match value {
            Json::Array(items) => items.iter().for_each(|item| self.collect(answer, item)),
            Json::Object(members) => members.values().for_each(|member| self.collect(answer, member)),
            _ => {}
        }
    }
}

#[test]
fn no_two_answers_give_one_figure_two_values() {
    let recording = Recording::open(ROOT).unwrap();
    let answers = [
        ("list", serde_json::to_value(recording.list().unwrap())),
        ("summary", serde_json::to_value(recording.summary().unwrap())),
        ("timing", serde_json::to_value(recording.timing().unwrap())),
        ("prefix", serde_json::to_value(recording.prefix().unwrap())),
        ("show", serde_json::to_value(recording.show("latest").unwrap())),
        ("explain", serde_json::to_value(recording.explain_models().unwrap())),
        ("report", serde_json::to_value(recording.report().unwrap())),
    ];
    let mut figures = Figures::default();
    for (name, answer) in answers {
        figures.collect(name, &answer.unwrap());
    }
    let told_twice = figures.0.values().filter(|told| told.len() > 1).count();
    assert!(told_twice > 500, "{told_twice} figures are told more than once");
    let differing: Vec<_> =
        figures.0.iter().filter(|(_, told)| told.iter().any(|(figure, _)| *figure != told[0].0)).collect();
    assert!(
        differing.is_empty(),
        "{} differ: {:#?}",
        differing.len(),
        differing.iter().take(5).collect::<Vec<_>>()
    );
}
