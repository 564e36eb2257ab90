//! What is happening, on a terminal's last line while it happens.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lmstudio_replay::{Progress, Watch};
use terminal_size::{Width, terminal_size_of};

use super::table::shorten;

const REDRAWN: Duration = Duration::from_millis(100);

/// Does something while showing how far it is, if standard error is a terminal.
pub(crate) fn shown<T>(watch: &Watch, wanted: bool, work: impl FnOnce() -> T) -> T {
    if !wanted || !io::stderr().is_terminal() {
        return work();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let drawing = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                draw(&line(&watch.progress()));
                thread::park_timeout(REDRAWN);
            }
            draw("");
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        drawing.thread().unpark();
        result
    })
}

/// Writes over the line. A terminal that cannot be written to shows no progress.
fn draw(text: &str) {
    let width = terminal_size_of(io::stderr()).map_or(80, |(Width(width), _)| usize::from(width));
    let text = shorten(text, width.saturating_sub(1));
    let _ = write!(io::stderr(), "\r\u{1b}[K{text}");
}

fn line(progress: &Progress) -> String {
    let run = match (progress.run, progress.runs) {
        (0, _) => "Warming up: ".to_owned(),
        (_, 0 | 1) => String::new(),
        (run, runs) => format!("Run {run} of {runs}: "),
    };
    let seconds = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
    match (progress.elapsed, progress.first) {
        (None, _) => format!("{run}connecting"),
        (Some(elapsed), None) => format!("{run}waiting for the first token, {}", seconds(elapsed)),
        (Some(elapsed), Some(first)) => {
            let generating = elapsed.saturating_sub(first).as_secs_f64().max(0.001);
            #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            let speed = progress.deltas as f64 / generating;
            format!(
                "{run}first token after {}, {} deltas, ~{speed:.0} tok/s, {}",
                seconds(first),
                progress.deltas,
                seconds(elapsed)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_words() {
        let seconds = Duration::from_secs;
        let mut progress = Progress { run: 1, runs: 1, elapsed: None, first: None, deltas: 0 };
        assert_eq!(line(&progress), "connecting");
        progress = Progress { run: 2, runs: 3, elapsed: Some(seconds(4)), ..progress };
        assert_eq!(line(&progress), "Run 2 of 3: waiting for the first token, 4.0 s");
        progress = Progress { run: 0, first: Some(seconds(2)), deltas: 20, ..progress };
        assert_eq!(line(&progress), "Warming up: first token after 2.0 s, 20 deltas, ~10 tok/s, 4.0 s");
    }
}
