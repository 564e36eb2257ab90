//! The picture on a terminal, and its keys.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyclaude_traces::ask::answers;
use anyclaude_traces::follow::{Event, Follower};
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::{Request, Timestamp};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::style::Print;
use ratatui::crossterm::terminal::{Clear, ClearType};
use signal_hook::consts::SIGTERM;
use signal_hook::flag;

use super::keys::{Keys, Waited};
use super::{is_worth_a_bell, now, pause};
use crate::cli::{ColorChoice, WatchArgs};
use crate::exit::Status;
use crate::interrupt;
use crate::render::watch::{Choice, HELP, PictureInput, ended, page_rows};
use crate::render::{color, page, show};
use crate::select;

/// After how many looks the picture is drawn again although nothing happened: a second, or
/// less while a bar moves.
const IDLE_LOOKS: u32 = 10;
const RUNNING_LOOKS: u32 = 2;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Nothing,
    Redraw,
    End,
    Interrupt,
    Suspend,
    /// The terminal is gone.
    HangUp,
}

/// The exit codes of a program that was asked to end, and of one whose terminal is gone.
const TERMINATED: u8 = 143;
const HUNG_UP: u8 = 129;

/// Draws until somebody ends it, and leaves the terminal as it was.
pub(super) fn follow(follower: &mut Follower, args: &WatchArgs, place: &str) -> anyhow::Result<Status> {
    let signals = WatchSignals::new()?;
    let mut choice = Choice {
        is_plain: !color::is_shown(args.output.color, &io::stdout())
            && args.output.color != ColorChoice::Always,
        ..Choice::default()
    };
    on_terminal(|terminal| draw_on(terminal, follower, args, place, &mut choice, &signals))
}

/// Takes the terminal, and gives it back, also after a panic.
fn on_terminal(draw: impl FnOnce(&mut DefaultTerminal) -> anyhow::Result<Status>) -> anyhow::Result<Status> {
    let mut terminal = ratatui::try_init()?;
    let done = draw(&mut terminal);
    let restored = ratatui::try_restore();
    let done = done?;
    // Nothing is left to restore of a terminal that is gone.
    if done != Status::Command(HUNG_UP) {
        restored?;
    }
    Ok(done)
}

fn draw_on(
    terminal: &mut DefaultTerminal,
    follower: &mut Follower,
    args: &WatchArgs,
    place: &str,
    choice: &mut Choice,
    signals: &WatchSignals,
) -> anyhow::Result<Status> {
    let keys = Keys::new();
    let mut shown_at = now()?;
    let mut looks: u32 = 0;
    loop {
        let mut is_due = false;
        if !choice.is_paused {
            shown_at = now()?;
            is_due = look(follower, choice, args, shown_at)?;
        }
        let every = if follower.running().next().is_some() { RUNNING_LOOKS } else { IDLE_LOOKS };
        if is_due || looks.is_multiple_of(every) {
            let scene = PictureInput { follower, choice, now: shown_at, place };
            terminal.draw(|frame| scene.draw(frame))?;
        }
        looks = looks.wrapping_add(1);
        let act = next_act(&keys, follower, choice, args)?;
        if act == Act::HangUp {
            return Ok(Status::Command(HUNG_UP));
        }
        if let Some(end) = signals.end() {
            return Ok(end);
        }
        match act {
            Act::End => return Ok(Status::Done),
            Act::Interrupt => return Ok(Status::Interrupted),
            Act::Redraw => looks = 0,
            Act::Suspend => {
                suspend(terminal)?;
                looks = 0;
            }
            Act::Nothing | Act::HangUp => {}
        }
        if signals.stop.swap(false, Ordering::SeqCst) {
            suspend(terminal)?;
            looks = 0;
        }
    }
}

/// Looks what is new; returns whether anything is.
fn look(
    follower: &mut Follower,
    choice: &mut Choice,
    args: &WatchArgs,
    at: Timestamp,
) -> anyhow::Result<bool> {
    let events = follower.look(at);
    if args.bell && is_worth_a_bell(&events) {
        execute!(io::stdout(), Print('\u{7}'))?;
    }
    // The chosen row moves with its request as newer ones come above it.
    let came = events.iter().filter(|event| is_end(event)).count();
    if let Some(selected) = choice.selected.as_mut().filter(|selected| **selected > 0) {
        *selected += came;
    }
    Ok(!events.is_empty())
}

/// Waits for keys until it is time to look again. Keys that are already there are handled
/// before the next picture.
fn next_act(keys: &Keys, follower: &Follower, choice: &mut Choice, args: &WatchArgs) -> anyhow::Result<Act> {
    match keys.wait(pause(follower))? {
        Waited::HungUp => return Ok(Act::HangUp),
        Waited::Input => {}
        _ => return Ok(Act::Nothing),
    }
    let mut act = acted(&event::read()?, follower, choice, args);
    while matches!(act, Act::Nothing | Act::Redraw) && keys.wait(Duration::ZERO)? == Waited::Input {
        act = acted(&event::read()?, follower, choice, args);
    }
    Ok(act)
}

fn is_end(event: &Event) -> bool {
    matches!(event, Event::Completed(_) | Event::Failed(_))
}

/// Changes what is shown as a key says.
fn acted(input: &Input, follower: &Follower, choice: &mut Choice, args: &WatchArgs) -> Act {
    let Input::Key(key) = input else { return Act::Redraw };
    if key.kind == KeyEventKind::Release {
        return Act::Nothing;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => return Act::Interrupt,
        KeyCode::Char('z') if is_control => return Act::Suspend,
        KeyCode::Char('l') if is_control => return Act::Redraw,
        _ => {}
    }
    if choice.page.is_some() { on_page(key, choice) } else { on_picture(key, follower, choice, args) }
}

fn on_page(key: &KeyEvent, choice: &mut Choice) -> Act {
    let Some((lines, from)) = &mut choice.page else { return Act::Nothing };
    let (columns, rows) = ratatui::crossterm::terminal::size()
        .map_or((80, 24), |(columns, rows)| (usize::from(columns), usize::from(rows)));
    // Under the page stands what its keys do.
    let shown = rows.saturating_sub(1);
    let last = page_rows(lines, columns).len().saturating_sub(shown);
    let step = shown.saturating_sub(1).max(1);
    match key.code {
        KeyCode::Down | KeyCode::Char('j') => *from = (*from + 1).min(last),
        KeyCode::Up | KeyCode::Char('k') => *from = from.saturating_sub(1),
        KeyCode::PageDown | KeyCode::Char(' ') => *from = (*from + step).min(last),
        KeyCode::PageUp => *from = from.saturating_sub(step),
        KeyCode::Home | KeyCode::Char('g') => *from = 0,
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | '?') => choice.page = None,
        _ => return Act::Nothing,
    }
    Act::Redraw
}

fn on_picture(key: &KeyEvent, follower: &Follower, choice: &mut Choice, args: &WatchArgs) -> Act {
    let ended = ended(follower);
    let last = ended.len().checked_sub(1);
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return Act::End,
        KeyCode::Char('p') => choice.is_paused = !choice.is_paused,
        KeyCode::Char('?') => choice.page = Some((HELP.lines().map(str::to_owned).collect(), 0)),
        KeyCode::Down | KeyCode::Char('j') => {
            choice.selected = last.map(|last| choice.selected.map_or(0, |at| (at + 1).min(last)));
        }
        KeyCode::Up | KeyCode::Char('k') => {
            choice.selected = last.map(|last| choice.selected.map_or(0, |at| at.saturating_sub(1).min(last)));
        }
        KeyCode::Enter => {
            let newest = choice.selected.unwrap_or(0);
            let running = follower.running().last().map(|running| running.request);
            let request = match choice.selected {
                None => running.or(ended.first().copied()),
                Some(_) => ended.get(newest).copied(),
            };
            choice.page = request.map(|request| (shown(request, args), 0));
        }
        _ => return Act::Nothing,
    }
    Act::Redraw
}

/// What `traces show` says of a request.
fn shown(request: &Request, args: &WatchArgs) -> Vec<String> {
    let text = || -> anyhow::Result<String> {
        let reader = select::reader(&args.filter, KindFilter::All)?.with_costs(args.cache.options());
        let file: OsString = request.path.as_ref().into();
        let mut selection = reader.select_one(&reader.selector(&file)?)?;
        selection.keep_newest();
        let found = answers::show(&reader, &mut selection, false)?;
        let next = super::super::next_step_of(&args.filter, &[], std::slice::from_ref(&found.request), false);
        let columns = ratatui::crossterm::terminal::size().map_or(80, |(columns, _)| columns);
        let page = show::page(&found, &next, crate::render::ids::Ids(false), show::ShowDetail::ALL);
        Ok(page::text(&page, columns.into())?)
    };
    let text = text().unwrap_or_else(|error| format!("{error:#}"));
    text.lines().map(str::to_owned).collect()
}

/// Restores the terminal, stops the process, and takes the terminal again once the shell
/// continues it.
#[cfg(unix)]
fn suspend(terminal: &mut DefaultTerminal) -> anyhow::Result<()> {
    // Otherwise it is shown again when the terminal is dropped.
    terminal.show_cursor()?;
    ratatui::try_restore()?;
    signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
    *terminal = ratatui::try_init()?;
    // Ratatui's own way asks where the cursor is, and fails where nobody answers.
    execute!(io::stdout(), Clear(ClearType::All))?;
    Ok(())
}

#[cfg(not(unix))]
fn suspend(_: &mut DefaultTerminal) -> anyhow::Result<()> {
    Ok(())
}

/// Flags that signals set.
struct WatchSignals {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
    hang_up: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl WatchSignals {
    fn new() -> io::Result<Self> {
        let (terminate, hang_up, stop) = (Arc::default(), Arc::default(), Arc::default());
        flag::register(SIGTERM, Arc::clone(&terminate))?;
        #[cfg(unix)]
        {
            flag::register(signal_hook::consts::SIGHUP, Arc::clone(&hang_up))?;
            flag::register(signal_hook::consts::SIGTSTP, Arc::clone(&stop))?;
        }
        Ok(Self { interrupt: interrupt::stops()?, terminate, hang_up, stop })
    }

    /// How a signal asks the program to end, if one does.
    fn end(&self) -> Option<Status> {
        let is_sent = |signal: &AtomicBool| signal.load(Ordering::SeqCst);
        if is_sent(&self.terminate) {
            return Some(Status::Command(TERMINATED));
        }
        if is_sent(&self.interrupt) {
            return Some(Status::Interrupted);
        }
        is_sent(&self.hang_up).then_some(Status::Command(HUNG_UP))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::env;
    use std::fs::File;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use nix::pty::openpty;

    use super::*;

    /// Says to the test below that it is the one in the terminal.
    const IN_TERMINAL: &str = "TEST_PANICS_IN_TERMINAL";

    /// It starts itself in a terminal, where it panics while it draws.
    #[test]
    fn a_panic_leaves_the_terminal_as_it_was() {
        if env::var_os(IN_TERMINAL).is_some() {
            drop(on_terminal(|terminal| {
                terminal.draw(|_| panic!("as a fault in the picture would"))?;
                Ok(Status::Done)
            }));
            return;
        }
        let pty = openpty(None, None).unwrap();
        let settings = || {
            let terminal = pty.slave.try_clone().unwrap();
            let asked = Command::new("stty").arg("-g").stdin(terminal).output().unwrap();
            assert!(asked.status.success());
            asked.stdout
        };
        let before = settings();
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "commands::watch::screen::tests::a_panic_leaves_the_terminal_as_it_was"]);
        command.env(IN_TERMINAL, "1").env("TERM", "xterm-256color").stderr(Stdio::null());
        command.stdin(pty.slave.try_clone().unwrap()).stdout(pty.slave.try_clone().unwrap());
        let status = command.status().unwrap();
        drop(command);
        assert_eq!(status.code(), Some(101), "it panics");
        assert_eq!(settings(), before);
        drop(pty.slave);
        let mut shown = Vec::new();
        // Once nobody holds the other side, Linux ends it by an error.
        let _ = File::from(pty.master).read_to_end(&mut shown);
        let shown = String::from_utf8_lossy(&shown);
        let place = |of: &str| shown.rfind(of).unwrap_or_else(|| panic!("{of:?} is not in {shown:?}"));
        assert!(place("\u{1b}[?1049h") < place("\u{1b}[?1049l"), "the other screen is left: {shown:?}");
        let is_hidden = shown.rfind("\u{1b}[?25l").is_some_and(|hidden| hidden > place("\u{1b}[?25h"));
        assert!(!is_hidden, "{shown:?}");
    }
}
