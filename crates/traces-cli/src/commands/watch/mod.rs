//! `traces watch`: follows a recording while it is written.

mod keys;
mod lines;
mod screen;

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyclaude_traces::Timestamp;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::follow::{Event, FirstToken, Follower};
use anyhow::{Context as _, anyhow};
use terminal_size::{Height, Width, terminal_size};

use crate::cli::{FilterArgs, OutputFormat, WatchArgs};
use crate::exit::Status;
use crate::render::color;
use crate::render::watch::{Choice, PictureInput};
use crate::select;

/// The time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same, where lines are expected that belong to what was just seen.
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// The bell rings only after a wait of at least this.
const LONG_WAIT_MS: u64 = 10_000;

pub(crate) fn run(args: &WatchArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    let mut filter = select::filter(&args.filter)?;
    if args.filter.roots.is_empty() {
        // The first recording may begin after this.
        let recorded = select::recordings_folder();
        let recorded = recorded.as_deref().and_then(Path::parent).map(Path::to_owned);
        filter.roots.extend(recorded);
        filter.roots.dedup();
    }
    let mut follower = Follower::new(filter, args.cache.options())?;
    let is_terminal = io::stdout().is_terminal() && !color::is_dumb_terminal();
    let is_picture = args.output.format == OutputFormat::Table && !args.plain;
    let place = place(&args.filter);
    if is_picture && args.once {
        let skipped = skipped(&follower.look(now()?));
        let status = super::report_skipped(&skipped, &args.output);
        if follower.situation().requests.is_empty() {
            return Err(nothing_seen(&skipped, args, &place));
        }
        let size = terminal_size().filter(|_| is_terminal);
        let (Width(width), Height(height)) = size.unwrap_or((Width(80), Height(24)));
        let choice = Choice::default();
        let scene = PictureInput { follower: &follower, choice: &choice, now: now()?, place: &place };
        write!(out, "{}", scene.text(width, height.saturating_sub(1)))?;
        out.flush()?;
        return Ok(status);
    }
    if is_picture && is_terminal {
        return screen::follow(&mut follower, args, &place);
    }
    lines::follow(&mut follower, args, &place, out)
}

/// Why a look that is the only one shows nothing.
fn nothing_seen(skipped: &[Skipped], args: &WatchArgs, place: &str) -> anyhow::Error {
    if !super::filters(&args.filter).is_empty() {
        anyhow!("no request below {place} passes the filters: `traces list` says which there are")
    } else if skipped.is_empty() {
        anyhow!("nothing is recorded yet below {place}: `traces help recording` says how to")
    } else {
        super::nothing_read(&args.filter, &[])
    }
}

/// How long to wait before the next look.
fn pause(follower: &Follower) -> Duration {
    if follower.is_due() { LOOK_AGAIN } else { LOOK_EVERY }
}

/// The roots that are followed, as text.
fn place(filter: &FilterArgs) -> String {
    let text = |folder: &Path| folder.display().to_string();
    let mut roots: Vec<String> = filter.roots.iter().map(|root| text(root)).collect();
    if roots.is_empty() {
        roots.push("~/.anyclaude".to_owned());
        roots.extend(select::recordings_folder().filter(|folder| folder.is_dir()).as_deref().map(text));
    }
    roots.join(" and ")
}

/// The time.
fn now() -> anyhow::Result<Timestamp> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let stamp = i64::try_from(since_1970.as_millis()).ok().and_then(Timestamp::from_unix_ms);
    stamp.context("this machine's clock is out of range: set it")
}

/// The files that these say were skipped.
fn skipped(events: &[Event]) -> Vec<Skipped> {
    let skipped = |event: &Event| match event {
        Event::Skipped(passed) => Some(passed.skipped.clone()),
        _ => None,
    };
    events.iter().filter_map(skipped).collect()
}

/// Whether one of these is worth the bell.
fn is_worth_a_bell(events: &[Event]) -> bool {
    let is_late = |event: &Event| matches!(event, Event::FirstToken(FirstToken { ttft_ms, .. }) if *ttft_ms >= LONG_WAIT_MS);
    events.iter().any(is_late)
}
