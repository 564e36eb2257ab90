//! Progress, on the last line of a terminal.
//!
//! Not with `indicatif`: it has no delay before it first draws, and Ctrl-C leaves its line
//! there, so that the thread below would remain.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyclaude_traces::read::Progress as ReadProgress;
use lmstudio_replay::{Progress, ProgressHandle};
use terminal_size::{Width, terminal_size_of};

use super::color::is_dumb_terminal;
use super::table::shorten;
use super::units;
use crate::interrupt;

const REDRAWN: Duration = Duration::from_millis(100);
/// Reading that takes less shows nothing.
const DELAY: Duration = Duration::from_millis(500);

/// Shows the progress of a request on standard error, if that is a terminal. Ctrl-C
/// stops the request, which clears the line.
pub(crate) fn while_replaying<T>(handle: &ProgressHandle, wanted: bool, work: impl FnOnce() -> T) -> T {
    if !can_be_shown(wanted) {
        return work();
    }
    shown(Duration::ZERO, || false, || replaying(&handle.progress()), work)
}

/// Shows the progress of reading on standard error, if that is a terminal and reading
/// takes long enough. Ctrl-C clears the line before it ends the program.
pub(crate) fn while_reading<T>(progress: &ReadProgress, wanted: bool, work: impl FnOnce() -> T) -> T {
    if !can_be_shown(wanted) {
        return work();
    }
    interrupt::without_interrupt(|| shown(DELAY, interrupt::is_pressed, || reading(progress), work))
}

fn can_be_shown(wanted: bool) -> bool {
    wanted && !is_dumb_terminal() && io::stderr().is_terminal()
}

fn shown<T>(
    delay: Duration,
    is_over: impl Fn() -> bool + Sync,
    line: impl Fn() -> String + Sync,
    work: impl FnOnce() -> T,
) -> T {
    let (done, begins) = (AtomicBool::new(false), Instant::now() + delay);
    thread::scope(|scope| {
        let draw_until_done = || {
            let mut drawn = false;
            while !done.load(Ordering::Relaxed) && !is_over() {
                let wait = begins.saturating_duration_since(Instant::now());
                if wait.is_zero() {
                    draw(&line());
                    drawn = true;
                }
                thread::park_timeout(if wait.is_zero() { REDRAWN } else { wait.min(REDRAWN) });
            }
            if drawn {
                draw("");
            }
            if is_over() {
                interrupt::end();
            }
        };
        // Where the system allows no thread more, there is no line.
        let drawing = thread::Builder::new().spawn_scoped(scope, draw_until_done);
        let result = work();
        done.store(true, Ordering::Relaxed);
        if let Ok(drawing) = drawing {
            drawing.thread().unpark();
        }
        result
    })
}

/// Overwrites the line. A failure is ignored: progress is no part of the result.
fn draw(text: &str) {
    let width = terminal_size_of(io::stderr()).map_or(80, |(Width(width), _)| usize::from(width));
    let text = shorten(text, width.saturating_sub(1));
    let _ = write!(io::stderr(), "\r\u{1b}[K{text}");
}

fn reading(progress: &ReadProgress) -> String {
    let (files, bytes) = (progress.files(), units::bytes(progress.bytes()));
    match progress.expected_files() {
        0 => "Looking for files".to_owned(),
        // Logs, and files that are read again, were not counted before.
        expected => format!("Reading: {files} of {}, {bytes}", units::count(expected.max(files), "file")),
    }
}

fn replaying(progress: &Progress) -> String {
    let run = match (progress.run, progress.runs) {
        (0, _) => "Warming up: ".to_owned(),
        (_, 0 | 1) => String::new(),
        (run, runs) => format!("Run {run} of {runs}: "),
    };
    match (progress.elapsed, progress.first) {
        (None, _) => format!("{run}connecting"),
        (Some(elapsed), None) => format!("{run}waiting for the first token, {}", units::elapsed(elapsed)),
        (Some(elapsed), Some(first)) => {
            let generating = elapsed.saturating_sub(first).as_secs_f64().max(0.001);
            #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            let speed = progress.deltas as f64 / generating;
            format!(
                "{run}first token after {}, {} deltas, ~{} tok/s, {}",
                units::elapsed(first),
                progress.deltas,
                units::per_second(Some(speed)),
                units::elapsed(elapsed)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_before_files_are_found() {
        assert_eq!(reading(&ReadProgress::default()), "Looking for files");
    }

    #[test]
    fn every_stage_has_its_words() {
        let seconds = Duration::from_secs;
        let mut progress = Progress::default();
        (progress.run, progress.runs) = (1, 1);
        assert_eq!(replaying(&progress), "connecting");
        (progress.run, progress.runs, progress.elapsed) = (2, 3, Some(seconds(4)));
        assert_eq!(replaying(&progress), "Run 2 of 3: waiting for the first token, 4.0 s");
        (progress.run, progress.first, progress.deltas) = (0, Some(seconds(2)), 20);
        assert_eq!(
            replaying(&progress),
            "Warming up: first token after 2.0 s, 20 deltas, ~10.0 tok/s, 4.0 s"
        );
    }
}
