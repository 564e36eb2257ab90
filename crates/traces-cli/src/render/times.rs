//! Where time went, and how fast models are, as tables show it.

use anyclaude_traces::analysis::explain::Part;
use anyclaude_traces::model::group::Group;
use anyclaude_traces::model::{Speeds, TimeBreakdown};

use super::bars;
use super::table::{Column, Grid, number, part_bars, text};
use super::units::{self, UNKNOWN};

/// How long the longest bar is, beside the parts' times.
const WIDTH: usize = 15;
/// A speed of fewer requests than this is marked as rough, …
const FEW_REQUESTS: u64 = 3;
/// … and so is one from which half of its requests deviate by more than this fraction.
const WIDE_SPREAD: f64 = 0.5;

/// The parts of the mean request of each group, which add up to its wait. No rows where no
/// group has a time above zero: nothing but counts of requests would be left.
pub(crate) fn where_time_goes(groups: &[Group], name: impl Fn(&Group) -> String) -> Grid {
    let times: Vec<&TimeBreakdown> = groups.iter().filter_map(|group| group.time.as_ref()).collect();
    let longest_ms = bars::longest_ms(times.iter().copied());
    let mut grid = Grid::new([
        text("WHERE THE TIME GOES", 0),
        number("REQS", 9),
        signed("PROXY", Part::Proxy, 2),
        signed("LOAD", Part::Load, 3),
        signed("QUEUE", Part::Queue, 4),
        signed("READ", Part::Read, 0),
        signed("WRITE", Part::Write, 1),
        signed("STALL", Part::Stall, 6),
        signed("OTHER", Part::Other, 7),
        number("WAIT", 0),
        part_bars("", 5),
    ]);
    let takes_time = longest_ms > 0.0 || times.iter().any(|time| time.wall_ms.is_some_and(|ms| ms > 0.0));
    for group in groups.iter().filter(|_| takes_time) {
        let Some(time) = &group.time else { continue };
        let part = |part: fn(&TimeBreakdown) -> Option<f64>| {
            part(time).map_or_else(|| UNKNOWN.to_owned(), |ms| units::precise_ms(ms.round()))
        };
        grid.row([
            name(group),
            time.requests.to_string(),
            part(|time| time.proxy_ms),
            part(|time| time.load_ms),
            part(|time| time.queue_ms),
            part(|time| time.read_ms),
            part(|time| time.write_ms),
            part(|time| time.stall_ms),
            part(|time| time.other_ms),
            part(|time| time.wall_ms),
            bars::bar_of(time, longest_ms, WIDTH),
        ]);
    }
    grid.without_empty(&[UNKNOWN, NOTHING])
}

/// A column of times of a part, headed by its sign in the bars beside it.
fn signed(title: &str, part: Part, drop: u8) -> Column {
    number(format!("{} {title}", bars::sign(part)), drop)
}

/// A part that took no time.
pub(crate) const NOTHING: &str = "0 ms";

/// How fast a model reads.
pub(crate) fn reading(speeds: Option<&Speeds>) -> String {
    let is_rough = |speeds: &Speeds| {
        speeds.n_read < FEW_REQUESTS || speeds.spread.is_some_and(|spread| spread > WIDE_SPREAD)
    };
    speed(speeds, |speeds| speeds.read_tokens_per_second, is_rough)
}

/// How fast a model writes.
pub(crate) fn writing(speeds: Option<&Speeds>) -> String {
    speed(speeds, |speeds| speeds.write_tokens_per_second, |speeds| speeds.n_write < FEW_REQUESTS)
}

fn speed(
    speeds: Option<&Speeds>,
    of: fn(&Speeds) -> Option<f64>,
    is_rough: impl Fn(&Speeds) -> bool,
) -> String {
    let Some((speeds, speed)) = speeds.and_then(|speeds| Some((speeds, of(speeds)?))) else {
        return UNKNOWN.to_owned();
    };
    let about = if is_rough(speeds) { "~" } else { "" };
    format!("{about}{}", units::per_second(Some(speed)))
}
