//! Logs that were written from known requests give these requests back.

mod support;

use anyclaude_traces::formats::anyclaude::log::{LogParser, LogRequest, ParsedLog};
use anyclaude_traces::model::timing::{Confidence, Outcome, TtftSource};
use proptest::prelude::*;
use support::{EPOCH_MS, Fate, Form, Plan, Truth, write_log};

fn parse(text: &[u8], chunks: &[usize]) -> ParsedLog {
    let mut parser = LogParser::new();
    let mut rest = text;
    for size in chunks.iter().cycle() {
        let (chunk, after) = rest.split_at((*size).max(1).min(rest.len()));
        parser.feed(chunk);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    parser.finish()
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Completes),
        1 => Just(Fate::Fails),
        1 => Just(Fate::TimesOut),
        1 => Just(Fate::Vanishes),
        1 => Just(Fate::Leaves),
        3 => Just(Fate::NotStreamed),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let after = prop_oneof![2 => 0..4_i64, 5 => 4..3_000_i64, 2 => 3_000..90_000_i64];
    let busy = prop_oneof![6 => 0..40_i64, 1 => 40..9_000_i64];
    let think = prop_oneof![3 => 1..3_000_i64, 2 => 3_000..65_000_i64];
    let shape = (fate(), busy, think, 0..200_i64, 1..40_u64, any::<bool>());
    (after, 0..2_u8, 0..40_u64, 1..30_u64, shape).prop_map(|(after_ms, model, tools, messages, shape)| {
        let (fate, busy_ms, think_ms, gap_ms, deltas, usage) = shape;
        Plan { after_ms, model, tools, messages, fate, busy_ms, think_ms, gap_ms, deltas, usage }
    })
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    prop::collection::vec(plan(), 0..14)
}

fn chunks() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..20_usize, 20..2_000_usize, 2_000..70_000_usize], 1..8)
}

fn outcome(truth: &Truth) -> Outcome {
    match truth {
        Truth { timed_out: true, .. } => Outcome::TimedOut,
        Truth { failed: true, .. } => Outcome::Failed,
        Truth { total_ms: Some(_), .. } => Outcome::Completed,
        Truth { stream_start: None, .. } => Outcome::NotStreamed,
        _ => Outcome::Unfinished,
    }
}

/// Starts that stamps cannot tell apart.
fn twins(truths: &[Truth], truth: &Truth) -> bool {
    truths.iter().filter(|other| (other.start - truth.start).abs() <= 2).count() > 1
}

/// Whether it is a stream without `[Request Complete]`.
fn endless(truth: &Truth) -> bool {
    truth.stream_start.is_some() && truth.total_ms.is_none()
}

/// Whether some error or timeout can be this request's or another's: both have
/// no other end, and one of them did not end so.
fn undecided(truths: &[Truth], truth: &Truth) -> bool {
    endless(truth)
        && truths.iter().any(|truth| truth.failed || truth.timed_out)
        && truths.iter().filter(|other| endless(other)).count() > 1
}

fn overlaps(truths: &[Truth], truth: &Truth) -> bool {
    let streams = truths.iter().filter(|other| other.stream_start.is_some());
    // A stream that died without an end can be taken for alive for two minutes.
    let until = |other: &Truth| other.last + if other.total_ms.is_none() { 130_000 } else { 10 };
    streams.filter(|other| other.start <= until(truth) && until(other) >= truth.start).count() > 1
}

fn same(request: &LogRequest, truth: &Truth, truths: &[Truth], level: u8) -> Result<(), TestCaseError> {
    let unsigned = |ms: Option<i64>| ms.and_then(|ms| u64::try_from(ms).ok());
    if request.outcome == Outcome::Disconnected {
        // Where only one can have left, it is right.
        prop_assert_eq!(request.total_ms, unsigned(truth.left_ms));
    } else {
        prop_assert_eq!(request.outcome, outcome(truth));
    }
    if request.outcome == Outcome::NotStreamed {
        prop_assert!(request.total_ms.get().is_none() || request.total_ms == unsigned(truth.answered_ms));
    } else if request.outcome != Outcome::Disconnected {
        prop_assert_eq!(request.total_ms, unsigned(truth.total_ms));
    }
    let completed = truth.total_ms.is_some();
    prop_assert_eq!(request.events, completed.then_some(truth.events));
    prop_assert_eq!(request.event_bytes, completed.then_some(truth.bytes));
    prop_assert_eq!(request.prompt_tokens, truth.usage.filter(|_| completed).map(|usage| usage.0));
    if truth.usage.is_some() && completed {
        prop_assert_eq!(request.output_tokens, truth.usage.map(|usage| usage.1));
    }
    if level >= 2 {
        prop_assert_eq!(request.ttft_ms, unsigned(truth.ttft_ms));
        let ended = completed || truth.failed || truth.timed_out || request.outcome == Outcome::Disconnected;
        let counted = truth.stream_start.is_some() && ended;
        // A stream without an end in the log may have sent the keepalives of one that was aborted.
        let beside_endless = truths.iter().filter(|other| endless(other)).count() > 1;
        let shared = (request.confidence == Confidence::Likely || beside_endless) && !completed;
        if !shared || request.keepalives.is_known() {
            prop_assert_eq!(request.keepalives, counted.then_some(truth.keepalives));
        }
    } else {
        prop_assert_eq!(request.keepalives, None);
    }
    Ok(())
}

/// What holds for every request of a stamped log.
fn check_stamped(log: &ParsedLog, truths: &[Truth], level: u8) -> Result<(), TestCaseError> {
    prop_assert_eq!(log.unreadable_lines, 0);
    prop_assert_eq!(log.runs.len(), 1);
    let run = &log.runs[0];
    prop_assert_eq!(run.level, Some(level));
    prop_assert_eq!(run.started.map(|at| at.unix_ms()), Some(EPOCH_MS));
    prop_assert_eq!(run.configured_model.as_deref(), Some("lab/m0"));
    prop_assert_eq!(run.log_bytes, log.bytes);
    prop_assert_eq!(run.requests.len(), truths.len());
    for (request, truth) in run.requests.iter().zip(truths) {
        prop_assert_eq!(request.start.unix_ms(), truth.start);
        prop_assert_eq!(&*request.model, &*truth.model);
        if request.confidence == Confidence::Ambiguous {
            prop_assert!(twins(truths, truth) || undecided(truths, truth), "{request:?}\n{truth:?}");
            continue;
        }
        same(request, truth, truths, level)?;
        let alone = !overlaps(truths, truth);
        prop_assert_eq!(request.parts, truth.total_ms.map(|_| truth.parts));
        if level == 1 && truth.total_ms.is_some() {
            if request.ttft_ms.get().is_none() {
                prop_assert!(request.ttft_ambiguous && !alone, "{request:?}\n{truth:?}");
            } else {
                prop_assert_eq!(request.ttft_source, Some(TtftSource::FirstPart));
                prop_assert_eq!(request.ttft_ms.get().map(|ms| ms as i64), truth.ttft_ms);
            }
        }
    }
    Ok(())
}

/// A probe, which is not streamed, beside two requests of the same millisecond: the first token
/// of one of these was given to the other, and what was left is none of the probe's.
#[test]
fn a_first_token_that_twins_share_is_not_a_probes() {
    let plan = |busy_ms, model, fate| Plan {
        after_ms: 0,
        model,
        tools: 0,
        messages: 1,
        fate,
        busy_ms,
        think_ms: 1,
        gap_ms: 0,
        deltas: 1,
        usage: false,
    };
    let plans = [
        plan(4_943, 0, Fate::Completes),
        plan(0, 0, Fate::NotStreamed),
        plan(0, 0, Fate::Completes),
        plan(0, 1, Fate::Completes),
    ];
    let (text, truths) = write_log(Form::Stamped(2), &plans, &[]);
    let log = parse(text.as_bytes(), &[usize::MAX]);
    check_stamped(&log, &truths, 2).unwrap();
    let outcomes = log.runs[0].requests.iter().map(|request| request.outcome);
    assert!(outcomes.eq(truths.iter().map(outcome)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn stamped_logs_give_their_requests_back(plans in plans(), level in 1..=3_u8, chunks in chunks()) {
        let (text, truths) = write_log(Form::Stamped(level), &plans, &[]);
        let log = parse(text.as_bytes(), &chunks);
        check_stamped(&log, &truths, level)?;
        prop_assert_eq!(log, parse(text.as_bytes(), &[usize::MAX]));
    }

    #[test]
    fn bare_logs_are_right_where_they_are_sure(plans in plans(), level in 1..=2_u8, chunks in chunks()) {
        let (text, truths) = write_log(Form::Bare(level), &plans, &[]);
        let log = parse(text.as_bytes(), &chunks);
        let requests = log.runs.first().map(|run| run.requests.as_slice()).unwrap_or_default();
        prop_assert_eq!(requests.len(), truths.len());
        for (request, truth) in requests.iter().zip(&truths) {
            prop_assert_eq!(request.start.unix_ms(), truth.start);
            prop_assert_eq!(request.ttft_ms, None);
            if request.confidence == Confidence::Exact {
                prop_assert_eq!(request.total_ms.get().map(|ms| ms as i64), truth.total_ms, "{:?}", truth);
                if let Some(count) = request.keepalives.get() {
                    prop_assert_eq!(count, truth.keepalives);
                }
            }
        }
    }

    #[test]
    fn bare_logs_are_sure_of_requests_that_do_not_overlap(plans in plans(), chunks in chunks()) {
        let mut plans = plans;
        for plan in &mut plans {
            plan.fate = Fate::Completes;
            plan.after_ms = 150_000;
        }
        let (text, truths) = write_log(Form::Bare(2), &plans, &[]);
        let log = parse(text.as_bytes(), &chunks);
        let requests = log.runs.first().map(|run| run.requests.as_slice()).unwrap_or_default();
        for (request, truth) in requests.iter().zip(&truths) {
            prop_assert_eq!(request.confidence, Confidence::Exact);
            prop_assert_eq!(request.outcome, Outcome::Completed);
            prop_assert_eq!(request.total_ms.get().map(|ms| ms as i64), truth.total_ms);
            prop_assert_eq!(request.keepalives, Some(truth.keepalives));
        }
    }

    #[test]
    fn a_clock_that_is_set_changes_no_pairing(
        plans in plans(),
        level in 1..=3_u8,
        steps in prop::collection::vec((0..200_000_i64, -7_200_000..7_200_000_i64), 1..4),
    ) {
        let (text, truths) = write_log(Form::Stamped(level), &plans, &steps);
        let log = parse(text.as_bytes(), &[4096]);
        prop_assert_eq!(log.unreadable_lines, 0);
        let requests = &log.runs[0].requests;
        prop_assert_eq!(requests.len(), truths.len());
        for (request, truth) in requests.iter().zip(&truths) {
            prop_assert_eq!(request.start.unix_ms(), truth.start);
            if request.confidence != Confidence::Ambiguous && truth.total_ms.is_some() {
                let logged = truth.total_ms.and_then(|ms| u64::try_from(ms).ok());
                prop_assert_eq!(request.total_ms, logged);
                prop_assert_eq!(request.events, Some(truth.events));
            }
        }
    }

    #[test]
    fn damaged_logs_never_panic(
        plans in plans(),
        form in prop_oneof![(1..=3_u8).prop_map(Form::Stamped), (1..=2_u8).prop_map(Form::Bare)],
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..400_usize, any::<Vec<u8>>()), 0..12),
        chunks in chunks(),
    ) {
        let mut text = write_log(form, &plans, &[]).0.into_bytes();
        for (place, remove, insert) in cuts {
            let from = place.index(text.len() + 1);
            let to = (from + remove).min(text.len());
            text.splice(from..to, insert);
        }
        let log = parse(&text, &chunks);
        prop_assert_eq!(log.bytes, text.len() as u64);
        prop_assert!(log.runs.iter().map(|run| run.log_bytes).sum::<u64>() <= log.bytes);
        prop_assert_eq!(log, parse(&text, &[usize::MAX]));
    }

    #[test]
    fn any_bytes_never_panic(bytes in any::<Vec<u8>>(), chunks in chunks()) {
        let log = parse(&bytes, &chunks);
        prop_assert_eq!(log.bytes, bytes.len() as u64);
        prop_assert_eq!(log.is_empty(), bytes.is_empty());
    }
}
