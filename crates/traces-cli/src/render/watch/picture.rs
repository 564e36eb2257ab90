//! The picture of a recording that is being followed. It uses few of the terminal's own
//! colours, and nothing is told by colour alone: it is as readable on a light terminal as on
//! a dark one.

use anyclaude_traces::cost::breakdown;
use anyclaude_traces::follow::{Follower, PromptReading, Running};
use anyclaude_traces::model::{ModelSpeeds, TimeBreakdown};
use anyclaude_traces::{Request, Timestamp};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _};

use super::columns::RowColumns;
use super::pages::page_lines;
use super::words;
use crate::render::table::{cut, width_of};
use crate::render::{bars, findings, list, sanitize, times, units, wrap};

/// The most running requests that are shown.
const MOST_RUNNING: usize = 2;
/// On a terminal of fewer lines than this, requests are shown in place of findings.
const LEAST_FINDINGS_HEIGHT: usize = 18;
/// With less room than this for a bar, nothing stands beside it.
const ROOM_FOR_ENDS: usize = 30;
/// With less room than this for a bar, columns beside it are left out.
const LEAST_BAR: usize = 8;
/// On a terminal of fewer columns than this, a text may take more lines.
const NARROW: usize = 60;

/// What the user chose by keys.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Which of the last requests, 0 being the newest.
    pub(crate) selected: Option<usize>,
    /// The lines of a page that covers the picture, and the first that is shown.
    pub(crate) page: Option<(Vec<String>, usize)>,
    /// Whether the picture is paused.
    pub(crate) is_paused: bool,
    /// Whether colours may be used.
    pub(crate) is_plain: bool,
}

/// Everything that a picture is drawn of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PictureInput<'s> {
    pub(crate) follower: &'s Follower,
    pub(crate) choice: &'s Choice,
    pub(crate) now: Timestamp,
    /// Where it is recorded.
    pub(crate) place: &'s str,
}

/// What the keys do and the signs mean.
pub(crate) const HELP: &str = "\
q, Esc      end
↑ ↓, k j    choose one of the last requests, the newest first
Enter       what `traces show` says of it; again, q or Esc: back
p           pause: the picture stands still; what happens meanwhile is not lost
?           this page; ↑ ↓, Space, PgUp and PgDn move in a page

A request first waits (proxy, load, queue), then its prompt is read, then the answer is written. \
The bar of a running request fills up towards the time that its first token is expected at: the tokens \
that have to be read × the time that this model took for one. Where a server's log (--server-log) tells \
how much of the prompt is read, the bar shows that. `~` is an estimate, – is unknown. The proxy sends a \
keepalive for each 10 s of waiting.

The bars of the last requests are on one scale, that of the longest shown:
░ proxy  ╱ load  · queue  █ read  ▒ write  ╳ stall  ─ other";

impl PictureInput<'_> {
    /// Draws it.
    pub(crate) fn draw(&self, frame: &mut Frame<'_>) {
        self.draw_on(frame.area(), frame.buffer_mut());
    }

    /// What there is now, as text of at most so many lines. Nobody can press a key.
    pub(crate) fn text(&self, width: u16, most: u16) -> String {
        let lines = self.lines(usize::from(width), usize::from(most), false);
        let area = Rect::new(0, 0, width, most);
        let mut buffer = Buffer::empty(area);
        Paragraph::new(lines).render(area, &mut buffer);
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        let mut rows: Vec<String> = (0..most).map(|y| row(y).trim_end().to_owned()).collect();
        // Where parts are missing, the blank lines around them meet.
        rows.dedup_by(|one, before| one.is_empty() && before.is_empty());
        format!("{}\n", rows.join("\n").trim_end())
    }

    fn draw_on(&self, area: Rect, buffer: &mut Buffer) {
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let lines = match &self.choice.page {
            Some((page, from)) => page_lines(page, *from, width, height),
            None => self.lines(width, height, true),
        };
        Paragraph::new(lines).render(area, buffer);
    }

    /// The picture; with the line of keys at the bottom of the terminal where there are any.
    fn lines(&self, width: usize, height: usize, has_keys: bool) -> Vec<Line<'static>> {
        let mut above = vec![self.head(width)];
        above.extend(self.running(width));
        let mut totals = self.totals(width);
        totals.extend(has_keys.then(|| self.foot(width)));
        let mut below = Vec::new();
        if height >= LEAST_FINDINGS_HEIGHT {
            // The lines that the last requests leave free, at least a quarter.
            let left = height.saturating_sub(above.len() + totals.len() + ended(self.follower).len() + 2);
            below.extend(self.findings(width, left.max(height / 4)));
        }
        below.extend(totals);
        let room = height.saturating_sub(above.len() + below.len());
        let last = self.last(width, room);
        let blanks = room.saturating_sub(last.len());
        let blank = std::iter::repeat_n(Line::default(), blanks);
        above.into_iter().chain(last).chain(blank).chain(below).take(height).collect()
    }

    fn head(&self, width: usize) -> Line<'static> {
        let situation = self.follower.situation();
        let newest = situation.requests.iter().rev().find(|request| request.model.is_some());
        let of_newest = |of: &&ModelSpeeds| newest.is_some_and(|one| one.model_group() == of.model);
        let paused = if self.choice.is_paused { "PAUSED  " } else { "" };
        let right = format!("{paused}{}", units::time_of_day(self.now));
        let room = width.saturating_sub(width_of(&right) + 2);
        let speeds = situation.speeds.iter().find(of_newest).and_then(|of| {
            let speeds = Some(&of.speeds);
            let (reads, writes) = (times::reading(speeds), times::writing(speeds));
            let model = of.model.as_deref().unwrap_or(units::UNKNOWN);
            let shorter = [
                format!("{model} reads {reads} tok/s, writes {writes}"),
                format!("reads {reads} tok/s, writes {writes}"),
                format!("reads {reads} tok/s"),
            ];
            shorter.into_iter().find(|text| width_of(&sanitize::line(text)) <= room)
        });
        let left = speeds.unwrap_or_else(|| format!("watching {}", self.place));
        let left = fitted(&left, room);
        self.line([(left, self.bold()), (right, self.dim())], width)
    }

    fn running(&self, width: usize) -> Vec<Line<'static>> {
        let running: Vec<Running<'_>> = self.follower.running().collect();
        let mut lines = vec![Line::default()];
        if running.is_empty() {
            let text = if self.follower.situation().requests.is_empty() {
                format!("Nothing is recorded yet below {}: `traces help recording` says how to.", self.place)
            } else {
                "No request is running.".to_owned()
            };
            lines.extend(wrapped(&text, width, most_lines(width)).into_iter().map(Line::from));
        }
        for one in running.iter().rev().take(MOST_RUNNING) {
            lines.extend(self.running_one(one, width));
        }
        if let Some(more) = running.len().checked_sub(MOST_RUNNING).filter(|more| *more > 0) {
            lines.push(Line::styled(format!("and {more} more running"), self.dim()));
        }
        lines.push(Line::default());
        lines
    }

    fn running_one(&self, running: &Running<'_>, width: usize) -> Vec<Line<'static>> {
        let Running { request, .. } = running;
        let elapsed_ms = running.since.map(|since| self.now.ms_since(since).max(0).unsigned_abs());
        let (state, style) = match running.ttft_ms {
            // Green, yellow and cyan are hard to read on a light terminal, blue on a dark one.
            None => ("WAITING", self.coloured(Color::Magenta)),
            Some(_) => ("WRITING", Style::default()),
        };
        let (model, kind) = (list::model(request), request.kind.name());
        let who = [
            format!("  {} {model} · {kind}", request.id),
            format!("  {model} · {kind}"),
            format!("  {model}"),
        ];
        let mut lines = vec![Line::from(vec![
            Span::styled(state, style.add_modifier(Modifier::BOLD)),
            Span::raw(first_fitting(&who, width.saturating_sub(state.len()))),
        ])];
        let elapsed = units::ms(elapsed_ms.map(|ms| ms / 100 * 100));
        match running.ttft_ms {
            Some(ttft_ms) => {
                let expected = running
                    .expected_ttft_ms
                    .map(|ms| format!(", expected ~{}", units::ms(Some(ms))))
                    .unwrap_or_default();
                let text = format!("{elapsed}; first token after {}{expected}", units::ms(Some(ttft_ms)));
                lines.extend(wrapped(&text, width, 2).into_iter().map(Line::from));
            }
            None => lines.extend(self.waiting(running, elapsed_ms, &elapsed, width)),
        }
        if let Some(row) = running.prefix {
            let expected = running.forecast.map(|forecast| forecast.read_tokens);
            let text = words::to_read(request, row, expected);
            lines.extend(wrapped(&text, width, most_lines(width)).into_iter().map(Line::from));
        }
        lines
    }

    /// The bar against the expected time.
    fn waiting(
        &self,
        running: &Running<'_>,
        elapsed_ms: Option<u64>,
        elapsed: &str,
        width: usize,
    ) -> Vec<Line<'static>> {
        let keepalives = match running.keepalives {
            0 => String::new(),
            n => format!("  {}", units::count(n, "keepalive")),
        };
        if let Some(reading) = &running.reading {
            let expected_ms = running.expected_ttft_ms.filter(|expected| elapsed_ms < Some(*expected));
            return vec![self.reading((reading, expected_ms), elapsed, &keepalives, width)];
        }
        let Some((expected_ms, elapsed_ms)) = running.expected_ttft_ms.zip(elapsed_ms) else {
            let why = "how long it will take is not known yet";
            let text = format!("{elapsed}; {why}{keepalives}");
            return wrapped(&text, width, most_lines(width)).into_iter().map(Line::from).collect();
        };
        let over = elapsed_ms.saturating_sub(expected_ms);
        let expected = units::ms(Some(expected_ms));
        let head = format!("{elapsed} of ~{expected}  ");
        let over_by = match over {
            0 => String::new(),
            ms => format!("  {} over", units::ms(Some(ms / 100 * 100))),
        };
        let colour = if over > 0 { Color::Red } else { Color::Cyan };
        let full = float(elapsed_ms.min(expected_ms)) / float(expected_ms).max(1.0);
        vec![self.bar(head, full, colour, [&over_by, &keepalives], width)]
    }

    /// The bar of what the server says it has read.
    fn reading(
        &self,
        (reading, expected_ms): (&PromptReading, Option<u64>),
        elapsed: &str,
        keepalives: &str,
        width: usize,
    ) -> Line<'static> {
        let head = format!("{elapsed}, {} read  ", units::percent(reading.share));
        let left = reading.left_ms.map(|ms| format!("  ~{} to go", units::ms(Some(ms / 100 * 100))));
        let left = left.or_else(|| Some(format!("  of ~{}", units::ms(Some(expected_ms?)))));
        self.bar(head, reading.share, Color::Green, [&left.unwrap_or_default(), keepalives], width)
    }

    /// A bar of which this share is full, between a text and two more, the later of which are
    /// left out where they leave no room for it.
    fn bar(&self, head: String, full: f64, colour: Color, tail: [&str; 2], width: usize) -> Line<'static> {
        let beside = |tail: &str| width.saturating_sub(width_of(&head) + width_of(tail));
        let tails = [tail.concat(), tail[0].to_owned(), String::new()];
        let tail = tails.into_iter().find(|tail| beside(tail) >= LEAST_BAR).unwrap_or_default();
        let room = beside(&tail).min(60);
        let full = bars::place(full, 1.0, room);
        Line::from(vec![
            Span::raw(head),
            Span::styled("█".repeat(full), self.coloured(colour)),
            Span::styled("░".repeat(room.saturating_sub(full)), self.dim()),
            Span::raw(tail),
        ])
    }

    /// The last requests, the newest first, on one scale.
    fn last(&self, width: usize, room: usize) -> Vec<Line<'static>> {
        let ended = ended(self.follower);
        let Some(rows) = room.checked_sub(1).filter(|rows| *rows > 0 && !ended.is_empty()) else {
            return Vec::new();
        };
        let first = self.choice.selected.map_or(0, |at| (at + 1).saturating_sub(rows));
        let shown: Vec<&&Request> = ended.iter().skip(first).take(rows).collect();
        let times: Vec<Option<TimeBreakdown>> = shown.iter().map(|one| breakdown([**one])).collect();
        let ends = shown.iter().zip(&times).filter_map(|(one, time)| Some(width_of(&end_of(one, time)?)));
        let columns = RowColumns::fitting(width, ends.max().unwrap_or(0).max(LEAST_BAR));
        let heading = columns.row("  ", "LAST", "MODEL", "WAIT");
        let room = width.saturating_sub(width_of(&heading));
        let bars = bars_with_ends(&shown, &times, room);
        let legend = bars::legend(&times.iter().flatten().collect::<Vec<_>>());
        let heading = heading + &fitted_legend(&legend, &bars, room);
        let mut lines = vec![Line::styled(fitted(heading.trim_end(), width), self.bold())];
        for (at, (request, bar)) in shown.iter().zip(&bars).enumerate() {
            let is_selected = self.choice.selected == Some(first + at);
            let stamp = request.timestamp.map_or_else(|| units::UNKNOWN.to_owned(), units::time_of_day);
            let timing = request.timing.as_deref();
            let wait = timing.and_then(|timing| timing.wall_ms.or(timing.total_ms).get());
            let mark = if is_selected { "▸ " } else { "  " };
            let text = columns.row(mark, &stamp, &list::model(request), &units::ms(wait));
            let style = if is_selected { self.bold() } else { Style::default() };
            let bar = if width_of(bar) <= room { bar.clone() } else { cut_end(bar, room) };
            lines.push(Line::styled(fitted(&format!("{text}{bar}"), width), style));
        }
        lines
    }

    fn totals(&self, width: usize) -> Vec<Line<'static>> {
        let situation = self.follower.situation();
        let totals = situation.totals();
        if totals.requests == 0 {
            return Vec::new();
        }
        let mut sums = format!(
            "{} in {}",
            units::count(totals.requests, "request"),
            units::count(totals.sessions, "session"),
        );
        if totals.timed > 0 {
            sums += &format!(": waited {}", units::ms(Some(totals.wall_ms)));
        }
        if totals.counted > 0 {
            let again = match totals.again_tokens {
                0 => String::new(),
                tokens => format!(", {} of them again", units::tokens(tokens)),
            };
            let (read, written) = (units::tokens(totals.read_tokens), units::tokens(totals.output_tokens));
            // A sum over some of them is none over all.
            sums += &match totals.counted < totals.timed {
                true => {
                    format!("; tokens of {} are known: {read} read{again}, {written} written", totals.counted)
                }
                false => format!(", {read} tokens read{again}, {written} written"),
            };
        }
        let context = situation.context().map(|(thread, window)| {
            let overflow = thread.overflow_turn.map(|turn| format!("; turn {turn} will not fit"));
            format!(
                "context: {} of {} tokens{}",
                units::tokens(thread.prompt_tokens),
                units::tokens(window),
                overflow.unwrap_or_default()
            )
        });
        let lines = [Some(sums), context].into_iter().flatten();
        let lines = lines.flat_map(|line| wrapped(&line, width, most_lines(width)));
        lines.map(|line| Line::styled(line, self.dim())).collect()
    }

    fn findings(&self, width: usize, room: usize) -> Vec<Line<'static>> {
        let found = &self.follower.situation().findings;
        if found.is_empty() {
            return Vec::new();
        }
        let mut texts: Vec<String> = Vec::new();
        // Under a blank line and the heading, and above a blank line.
        let room = room.saturating_sub(3).max(2);
        let mut shown = 0;
        for finding in found.iter().take(findings::DEAREST) {
            let text = format!("{}  {}", findings::cost(finding), finding.evidence);
            let most = room.saturating_sub(texts.len());
            let whole = wrapped(&text, width, usize::MAX);
            // The most costly finding is cut rather than left out.
            if whole.len() > most && shown > 0 {
                break;
            }
            texts.extend(if whole.len() > most { wrapped(&text, width, most) } else { whole });
            shown += 1;
        }
        let of = if shown < found.len() { format!(" ({shown} of {})", found.len()) } else { String::new() };
        let heading = format!("WHAT COSTS TIME, the dearest first{of}");
        let heading = if width_of(&heading) <= width { heading } else { format!("WHAT COSTS TIME{of}") };
        let mut lines = vec![Line::default(), Line::styled(heading, self.bold())];
        lines.extend(texts.into_iter().map(Line::from));
        lines.push(Line::default());
        lines
    }

    fn foot(&self, width: usize) -> Line<'static> {
        let keys = [
            "q end   ↑↓ choose   Enter show   p pause   ? help",
            "q end   ↑↓ choose   ? help",
            "q end   ? help",
        ];
        Line::styled(first_fitting(&keys, width), self.dim())
    }

    /// Two pieces, the second at the right end.
    fn line(&self, [left, right]: [(String, Style); 2], width: usize) -> Line<'static> {
        let gap = width.saturating_sub(width_of(&left.0) + width_of(&right.0));
        Line::from(vec![
            Span::styled(left.0, left.1),
            Span::raw(" ".repeat(gap)),
            Span::styled(right.0, right.1),
        ])
    }

    fn bold(&self) -> Style {
        Style::default().add_modifier(Modifier::BOLD)
    }

    fn dim(&self) -> Style {
        Style::default().add_modifier(Modifier::DIM)
    }

    fn coloured(&self, colour: Color) -> Style {
        if self.choice.is_plain { Style::default() } else { Style::default().fg(colour) }
    }
}

/// The requests that have ended, the newest first.
pub(crate) fn ended(follower: &Follower) -> Vec<&Request> {
    let running: Vec<_> = follower.running().map(|running| &running.request.path).collect();
    let is_ended = |request: &&Request| !running.contains(&&request.path);
    follower.situation().requests.iter().rev().filter(is_ended).collect()
}

/// A text in lines of so many columns, at most `most` of them, without control characters.
pub(crate) fn wrapped(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines = wrap::lines(&sanitize::line(text), width, "", "  ");
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = cut_end(last, width);
        }
    }
    lines
}

/// The text with a sign that more of it follows.
fn cut_end(text: &str, width: usize) -> String {
    let mut kept = text.to_owned();
    while width_of(&kept) + 1 > width && kept.pop().is_some() {}
    kept + "…"
}

/// How a request ended, where that is shown: beside a bar, only what failed is.
fn end_of(request: &Request, time: &Option<TimeBreakdown>) -> Option<String> {
    let is_shown = |how: &String| how != "completed" && (time.is_none() || how != "not streamed");
    words::outcome(request).filter(is_shown)
}

/// Bars on one scale, each with how its request failed, which on a narrow terminal stands in
/// its place.
fn bars_with_ends(shown: &[&&Request], times: &[Option<TimeBreakdown>], room: usize) -> Vec<String> {
    let with_bars = shown.iter().zip(times).filter(|(_, time)| time.is_some());
    let widest = with_bars.filter_map(|(one, time)| Some(width_of(&end_of(one, time)?) + 2)).max();
    let beside = widest.filter(|_| room >= ROOM_FOR_ENDS).unwrap_or(0);
    let longest_ms = bars::longest_ms(times.iter().flatten());
    let bar = |time| bars::bar_of(time, longest_ms, room.saturating_sub(beside).min(60));
    let texts = shown.iter().zip(times).map(|(request, time)| match (time, end_of(request, time)) {
        (Some(time), Some(how)) if beside > 0 => format!("{}  {how}", bar(time)),
        (Some(time), None) => bar(time),
        (_, how) => how.unwrap_or_default(),
    });
    texts.collect()
}

/// As many entries of a legend as there is room for, of the signs that are drawn.
fn fitted_legend(legend: &str, bars: &[String], room: usize) -> String {
    let is_drawn =
        |entry: &&str| entry.chars().next().is_some_and(|sign| bars.iter().any(|bar| bar.contains(sign)));
    let entries: Vec<&str> = legend.split("  ").filter(is_drawn).collect();
    let shorter = ["  ", " "].into_iter().map(|gap| entries.join(gap));
    let fewer = (0..entries.len()).rev().map(|count| entries.get(..count).unwrap_or_default().join(" "));
    shorter.chain(fewer).find(|text| width_of(text) <= room).unwrap_or_default()
}

/// How many lines a text may take.
fn most_lines(width: usize) -> usize {
    if width < NARROW { 6 } else { 2 }
}

/// The first of these that fits; the last is cut where none does.
fn first_fitting(texts: &[impl AsRef<str>], width: usize) -> String {
    let texts = || texts.iter().map(AsRef::as_ref);
    let fits = texts().find(|text| width_of(&sanitize::line(text)) <= width);
    fitted(fits.or(texts().last()).unwrap_or_default(), width)
}

fn fitted(text: &str, width: usize) -> String {
    cut(&sanitize::line(text), width).into_owned()
}

#[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53")]
fn float(ms: u64) -> f64 {
    ms as f64
}

#[cfg(test)]
mod tests;
