//! Waiting for a key.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use ratatui::crossterm::event;

/// What ended the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    Input,
    Nothing,
    /// There is no terminal any more.
    HungUp,
}

/// The keys of a terminal, which may go away.
pub(super) struct Keys {
    /// Whether they come from standard input.
    are_from_stdin: bool,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { are_from_stdin: io::stdin().is_terminal() }
    }

    /// Waits until there is input to read, no longer than this.
    ///
    /// Whether the terminal is still there is checked first: crossterm would read from a
    /// closed one forever.
    pub(super) fn wait(&self, longest: Duration) -> io::Result<Waited> {
        let left = match self.is_hung_up_within(longest) {
            Some(true) => return Ok(Waited::HungUp),
            Some(false) => Duration::ZERO,
            None => longest,
        };
        Ok(if event::poll(left)? { Waited::Input } else { Waited::Nothing })
    }

    /// Waits for input or the end of the terminal; `None`, without a wait, where neither can
    /// be detected.
    #[cfg(target_os = "linux")]
    fn is_hung_up_within(&self, longest: Duration) -> Option<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        let stdin = io::stdin();
        let mut terminal = [PollFd::new(&stdin, PollFlags::IN)];
        let longest = Timespec::try_from(longest).ok().filter(|_| self.are_from_stdin)?;
        // A signal ends the wait: the terminal has a new size, or the program is to end.
        let came = poll(&mut terminal, Some(&longest)).unwrap_or(0);
        Some(came > 0 && terminal[0].revents().intersects(PollFlags::HUP | PollFlags::ERR))
    }

    /// On macOS `poll` does not work with terminals.
    #[cfg(not(target_os = "linux"))]
    fn is_hung_up_within(&self, _: Duration) -> Option<bool> {
        let _ = self.are_from_stdin;
        None
    }
}
