//! Programs that run in a terminal, which here is a pseudo-terminal.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{OpenptyResult, Winsize, openpty};

/// A terminal of so many columns and 24 rows.
pub(crate) fn pty(columns: u16) -> OpenptyResult {
    sized_pty(columns, 24)
}

fn sized_pty(columns: u16, rows: u16) -> OpenptyResult {
    let pty = openpty(&Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }, None).unwrap();
    // The program of another test would keep it open.
    for side in [pty.master.as_fd(), pty.slave.as_fd()] {
        fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
    }
    pty
}

/// A running program, and what its terminal has shown so far.
pub(crate) struct Terminal {
    child: Child,
    master: File,
    bytes: Vec<u8>,
}

impl Terminal {
    /// Starts a program of which both streams go to a terminal.
    pub(crate) fn start(command: Command, columns: u16) -> Self {
        Self::start_with(command, pty(columns), None)
    }

    /// The same, in a terminal that is high enough for anything.
    pub(crate) fn start_high(command: Command, columns: u16) -> Self {
        Self::start_with(command, sized_pty(columns, 1_000), None)
    }

    /// Starts a program of which only standard error goes to a terminal.
    pub(crate) fn start_with_stdout(command: Command, columns: u16, stdout: Stdio) -> Self {
        Self::start_with(command, pty(columns), Some(stdout))
    }

    fn start_with(mut command: Command, pty: OpenptyResult, stdout: Option<Stdio>) -> Self {
        let stdout = stdout.unwrap_or_else(|| pty.slave.try_clone().unwrap().into());
        command.stdin(Stdio::null()).stdout(stdout).stderr(pty.slave);
        // The terminal ends when nobody holds its other side any more: the command goes here.
        Self { child: command.spawn().unwrap(), master: pty.master.into(), bytes: Vec::new() }
    }

    /// Waits until the terminal has shown these words; whether it ever does.
    pub(crate) fn shows(&mut self, words: &str) -> bool {
        while !String::from_utf8_lossy(&self.bytes).contains(words) {
            if !self.read() {
                return false;
            }
        }
        true
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        interrupt(&self.child);
    }

    /// Waits for the end; what was shown in all, and the program.
    pub(crate) fn end(mut self) -> (String, Child) {
        while self.read() {}
        (String::from_utf8(self.bytes).unwrap().replace("\r\n", "\n"), self.child)
    }

    /// Waits until more is shown; nothing at the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let count = self.master.read(&mut buffer).unwrap_or(0);
        self.bytes.extend_from_slice(&buffer[..count]);
        count > 0
    }
}

/// What Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}
