//! What must hold of every export, shown on generated requests.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};

use anyclaude_traces::Request;
use anyclaude_traces::model::Amount;
use anyclaude_traces::model::time::Timestamp;
use proptest::prelude::*;
use serde_json::Value;

/// A request that is put together from these: its model, its beginning, the time before its
/// start, and the parts of its time.
type Made = (Option<String>, Option<i64>, Option<u64>, [Option<u64>; 7], bool);

fn made() -> impl Strategy<Value = Made> {
    let model = prop::option::of(prop_oneof!["[a-c]", "\\PC{0,6}", "[\u{0}-\u{1f}\"\\\\]{1,4}"]);
    let begin = prop::option::weighted(
        0.9,
        prop_oneof![
            8 => 1_763_260_000_000_i64..1_763_260_100_000,
            1 => -62_167_219_200_000_i64..253_402_300_799_999,
        ],
    );
    let length = || prop::option::of(prop_oneof![6 => 0_u64..20_000, 1 => 0_u64..u64::MAX / 16]);
    let parts = prop::array::uniform7(length());
    (model, begin, length(), parts, prop::bool::weighted(0.8))
}

fn request(at: usize, (model, begin, proxy_ms, parts, adds_up): &Made) -> Request {
    let mut draft = Request::builder(format!("{at:04}.json"));
    let stamp = begin.and_then(Timestamp::from_unix_ms);
    if let Some(stamp) = stamp {
        draft = draft.timestamp(stamp);
    }
    if let Some(model) = model {
        draft = draft.model(model);
    }
    let mut built = draft
        .timing(|timing| {
            timing.start = stamp;
            timing.proxy_ms = (*proxy_ms).into();
            [timing.load_ms, timing.queue_ms, timing.read_ms, timing.write_ms, timing.stall_ms] =
                [parts[0], parts[1], parts[2], parts[3], parts[4]].map(Amount::from);
            timing.other_ms = parts[5].into();
            let sum = parts[..6].iter().flatten().fold(0_u64, |sum, ms| sum.saturating_add(*ms));
            timing.total_ms = if *adds_up { sum.into() } else { parts[6].into() };
            timing.wall_ms = timing
                .proxy_ms
                .get()
                .and_then(|proxy| Some(proxy.saturating_add(timing.total_ms.get()?)))
                .into();
            timing.prompt_tokens = parts[6].into();
        })
        .build();
    built.id = format!("{at:010x}").parse().unwrap();
    built
}

fn number(event: &Value, name: &str) -> u64 {
    event[name].as_u64().unwrap_or_else(|| panic!("{name} is whole: {event}"))
}

proptest! {
    #[test]
    fn slices_nest_and_add_up(made in prop::collection::vec(made(), 0..30)) {
        let requests: Vec<Request> = made.iter().enumerate().map(|(at, made)| request(at, made)).collect();
        let mut out = Vec::new();
        let written = traces_export::chrome::write(&mut out, &requests, &[]).unwrap();
        prop_assert_eq!(written.requests + written.without_time, requests.len() as u64);
        let timeline: Value = serde_json::from_slice(&out).unwrap();
        let events = timeline["traceEvents"].as_array().unwrap();
        let is_named = |event: &Value| event["args"]["name"].as_str().is_some_and(|name| !name.is_empty());
        prop_assert!(events.iter().all(|event| event["ph"] != "M" || is_named(event)));
        let mut lanes: BTreeMap<(u64, u64), Vec<&Value>> = BTreeMap::new();
        for event in events.iter().filter(|event| event["ph"] == "X" || event["ph"] == "i") {
            lanes.entry((number(event, "pid"), number(event, "tid"))).or_default().push(event);
        }
        let mut seen = 0;
        for lane in lanes.values() {
            let (mut lane_ends, mut part_ends, mut sum) = (0, 0, 0);
            let mut whole: Option<&Request> = None;
            let check = |whole: Option<&Request>, sum: u64| {
                let adds_up = whole.is_none_or(|request| sum <= length(request) * 1000);
                prop_assert!(adds_up);
                if let Some(request) = whole.filter(|request| made[index(request)].4) {
                    prop_assert_eq!(sum, length(request) * 1000);
                }
                Ok(())
            };
            for event in lane {
                let from = number(event, "ts");
                let to = from + event["dur"].as_u64().unwrap_or(0);
                prop_assert!(to <= 1 << 53, "JavaScript cannot count so far");
                if event["cat"] == "request" {
                    check(whole, sum)?;
                    prop_assert!(from >= lane_ends, "requests of a lane overlap");
                    (lane_ends, part_ends, sum) = (to, from, 0);
                    let id = event["args"]["id"].as_str().unwrap();
                    whole = requests.iter().find(|request| request.id.to_string() == id);
                    prop_assert_eq!(whole.map(length).unwrap() * 1000, to - from);
                    seen += 1;
                } else {
                    prop_assert!(from == part_ends && to <= lane_ends, "a part leaves its request");
                    (part_ends, sum) = (to, sum + to - from);
                }
            }
            check(whole, sum)?;
        }
        prop_assert_eq!(seen, written.requests);
    }
}

proptest! {
    #[test]
    fn spans_nest_and_have_ids_of_their_own(made in prop::collection::vec(made(), 0..30)) {
        let requests: Vec<Request> = made.iter().enumerate().map(|(at, made)| request(at, made)).collect();
        let mut out = Vec::new();
        let written = traces_export::otlp::write(&mut out, &requests).unwrap();
        prop_assert_eq!(written.requests + written.without_time, requests.len() as u64);
        let lines: Vec<Value> =
            String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(lines.len() as u64, written.requests);
        let nanos = |span: &Value, name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
        let mut ids = BTreeSet::new();
        for line in &lines {
            let spans = line["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
            let whole = &spans[0];
            let (from, to) = (nanos(whole, "startTimeUnixNano"), nanos(whole, "endTimeUnixNano"));
            prop_assert!(from <= to && whole["parentSpanId"].is_null());
            let mut ends = from;
            for span in spans {
                prop_assert!(ids.insert(span["spanId"].as_str().unwrap()));
                prop_assert_eq!(&span["traceId"], &whole["traceId"]);
            }
            for part in &spans[1..] {
                prop_assert_eq!(&part["parentSpanId"], &whole["spanId"]);
                prop_assert_eq!(nanos(part, "startTimeUnixNano"), ends);
                ends = nanos(part, "endTimeUnixNano");
                prop_assert!(ends <= to);
            }
        }
    }
}

fn index(request: &Request) -> usize {
    usize::from_str_radix(&request.id.to_string(), 16).unwrap()
}

fn length(request: &Request) -> u64 {
    let timing = request.timing.as_ref().unwrap();
    timing.wall_ms.or(timing.total_ms).get().unwrap_or(0)
}
