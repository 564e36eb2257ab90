//! How fast logs are read. By hand, because it takes seconds and a release build:
//!
//! ```text
//! cargo test --release -p anyclaude-traces --test log_throughput -- --ignored --nocapture
//! ```
//!
//! It leaves the logs in the folder that it prints, to compare with other programs.

mod support;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use anyclaude_traces::formats::anyclaude::log::{LogParser, ParsedLog};
use support::{Fate, Form, Plan, write_log};

/// A sitting: conversation turns and background requests that overlap.
fn sitting(requests: usize, deltas: u64) -> Vec<Plan> {
    let plan = |index: usize| Plan {
        after_ms: if index.is_multiple_of(3) { 40 } else { 9_000 },
        model: 0,
        tools: if index.is_multiple_of(3) { 0 } else { 17 },
        messages: index as u64 % 60,
        fate: if index % 5 == 4 { Fate::NotStreamed } else { Fate::Completes },
        busy_ms: 12,
        think_ms: 1_700 + (index as i64 * 7_919) % 25_000,
        gap_ms: 16,
        deltas: deltas + index as u64 % 90,
        usage: true,
    };
    (0..requests).map(plan).collect()
}

fn read(path: &Path) -> io::Result<(ParsedLog, Duration)> {
    let begun = Instant::now();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut parser = LogParser::new();
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        parser.feed(&buffer[..count]);
    }
    Ok((parser.finish(), begun.elapsed()))
}

#[test]
#[ignore = "measures; run by hand with --release"]
fn throughput() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (level, megabytes) in [(2, 500), (1, 300), (3, 300)] {
        let (text, truths) = write_log(Form::Stamped(level), &sitting(60, 300), &[]);
        let path = folder.join(format!("throughput-level{level}.log"));
        let times = (megabytes * 1_000_000 / text.len()).max(1);
        std::fs::write(&path, text.repeat(times)).unwrap();
        let best = (0..5).map(|_| read(&path).unwrap()).min_by_key(|(_, time)| *time).unwrap();
        let (log, time) = best;
        let requests: usize = log.runs.iter().map(|run| run.requests.len()).sum();
        assert_eq!(requests, truths.len() * times);
        println!(
            "level {level}: {} bytes, {} lines, {requests} requests in {time:?}: {:.0} MB/s, {}",
            log.bytes,
            log.lines,
            log.bytes as f64 / 1e6 / time.as_secs_f64(),
            path.display()
        );
    }
}

#[test]
#[ignore = "measures; run by hand with --release"]
fn many_requests_take_linear_time() {
    for fate in [Fate::Completes, Fate::Vanishes, Fate::Fails, Fate::NotStreamed] {
        for form in [Form::Stamped(1), Form::Stamped(2), Form::Bare(2)] {
            for after_ms in [0, 20] {
                let mut times = Vec::new();
                for requests in [25_000, 100_000] {
                    let mut plans = sitting(requests, 0);
                    for plan in &mut plans {
                        plan.fate = fate;
                        plan.after_ms = after_ms;
                        plan.busy_ms = 0;
                        plan.deltas = 1;
                    }
                    let (text, _) = write_log(form, &plans, &[]);
                    let begun = Instant::now();
                    let mut parser = LogParser::new();
                    parser.feed(text.as_bytes());
                    let log = parser.finish();
                    times.push(begun.elapsed().as_secs_f64());
                    assert_eq!(log.runs[0].requests.len(), requests);
                }
                let ratio = times[1] / times[0];
                println!("{form:?} {fate:?} every {after_ms} ms: {times:.3?} s, ratio {ratio:.1}");
                assert!(ratio < 12.0, "four times the requests took {ratio} times as long");
            }
        }
    }
}
