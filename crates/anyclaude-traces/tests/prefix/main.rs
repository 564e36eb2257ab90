//! `prefix` against a naive simulator, and against sessions built by rule.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod causes;
mod choice;
mod naive;
mod random;
mod sessions;

use std::num::NonZeroUsize;
use std::path::Path;

use anyclaude_traces::Request;
use anyclaude_traces::Store;
use anyclaude_traces::Timestamp;
use anyclaude_traces::analysis::prefix::ElementTexts;
use anyclaude_traces::analysis::prefix::{
    CacheInput, Cause, Order, PrefixInput, PrefixReport, PrefixVisitor, Prompts, View, prefix,
};
use anyclaude_traces::model::scope::{KindFilter, Scope};
use anyclaude_traces::model::timing::Timing;
use anyclaude_traces::prompt_cache::{CacheOptions, simulate};
use anyclaude_traces::recording::RequestSet;
use serde_json::{Value, json};

/// A request as a test builds it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) body: Value,
    /// How long it occupies the backend; a second lies between two starts.
    pub(crate) total_ms: u64,
}

impl Asked {
    pub(crate) fn start_ms(at: usize) -> i64 {
        1_763_260_245_000 + 1000 * at as i64
    }
}

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) order: Order,
    pub(crate) view: View,
    pub(crate) slots: usize,
    pub(crate) ram: bool,
    /// Whether the backend has room for one model only.
    pub(crate) local: bool,
}

impl Setup {
    pub(crate) fn new(order: Order, slots: usize) -> Self {
        Self { order, view: View::sent(), slots, ram: false, local: false }
    }

    fn options(self) -> CacheOptions {
        let mut options = CacheOptions::default();
        (options.order, options.view, options.ram) = (self.order, Some(self.view), Some(self.ram));
        options.slots = NonZeroUsize::new(self.slots).unwrap();
        options
    }
}

/// A recording that was read, while its folder is there.
pub(crate) struct Recorded {
    _folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) prompts: Prompts,
    pub(crate) recording: RequestSet,
}

/// Writes these requests, a second apart, and reads them.
pub(crate) fn recorded(asked: &[Asked]) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    for (at, one) in asked.iter().enumerate() {
        let stamp = Timestamp::from_unix_ms(Asked::start_ms(at)).unwrap();
        // In this mode the model that was asked for is the one that runs.
        let trace = json!({
            "timestamp": stamp.to_string(),
            "mode": "claude",
            "request": { "url": "/v1/messages", "body": one.body },
        });
        std::fs::write(folder.path().join(format!("{at:04}.json")), written(&trace)).unwrap();
    }
    let store = Store::default();
    let mut prompts = Prompts::default();
    let add = |file: &_, seen| prompts.add(file, seen);
    let recording = RequestSet::read_with(&store, [folder.path()], PrefixVisitor::default, add);
    assert!(recording.skipped.is_empty(), "{:?}", recording.skipped);
    Recorded { _folder: folder, store, prompts, recording }
}

/// Writes these requests, a second apart, and reports on them.
pub(crate) fn reported(asked: &[Asked], setup: Setup) -> PrefixReport {
    let Recorded { _folder, store, prompts, mut recording } = recorded(asked);
    for (request, one) in recording.requests.iter_mut().zip(asked) {
        let mut timing = Timing::default();
        (timing.start, timing.total_ms) = (request.timestamp, one.total_ms.into());
        request.timing = Some(Box::new(timing));
        request.mode = Some(if setup.local { "lmstudio" } else { "claude" }.into());
    }
    let requests: Vec<&Request> = recording.requests.iter().collect();
    let inputs: Vec<CacheInput<'_>> =
        recording.requests.iter().map(|request| CacheInput { request, reported: true }).collect();
    let scope = Scope::new(None, None, KindFilter::All, inputs.len() as u64);
    let mut texts = ElementTexts::new(&store);
    let mut fetch = |path: &_, place| texts.read(path, place);
    let (simulation, steps) = simulate(&requests, &prompts, setup.options(), &mut fetch);
    let report = prefix(PrefixInput::new(scope, &inputs), &simulation, steps);
    assert_eq!(report.skipped, []);
    assert_eq!(report.requests.len(), asked.len());
    report
}

/// Compact JSON with the members in a client's order: `type` and `name` first.
pub(crate) fn written(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| (*name != "type", *name != "name"));
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{}:{}", json!(name), written(value))).collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// Which request a path is of.
pub(crate) fn number(path: &Path) -> usize {
    path.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

pub(crate) const ORDERS: [Order; 2] = [Order::SystemFirst, Order::ToolsFirst];

/// What a request is expected to get.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expected {
    pub(crate) prompt_bytes: u64,
    pub(crate) reusable_bytes: u64,
    pub(crate) reused_from: Option<usize>,
    pub(crate) broke: Option<(String, u64)>,
}

/// The same of a report.
pub(crate) fn found(report: &PrefixReport) -> Vec<Expected> {
    let found = report.requests.iter().map(|request| Expected {
        prompt_bytes: request.prompt_bytes,
        reusable_bytes: request.reusable_bytes,
        reused_from: request.reused_from.as_ref().map(|path| number(path.as_ref())),
        broke: request.break_.as_ref().map(|broke| (broke.element.to_string(), broke.common_bytes)),
    });
    found.collect()
}

pub(crate) fn causes(report: &PrefixReport) -> Vec<Option<Cause>> {
    report.requests.iter().map(|request| request.break_.as_ref().map(|broke| broke.cause)).collect()
}
