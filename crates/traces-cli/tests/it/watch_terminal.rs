//! `traces watch` on a terminal: its keys, its size, and what it leaves behind.
#![cfg(unix)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::common::terminal::pty;
use crate::common::{HANGS, HOME, program, repo};

/// A watching program on a terminal of 80 × 24, and what that shows.
struct Watching {
    child: Child,
    slave: OwnedFd,
    typing: File,
    bytes: Receiver<Vec<u8>>,
    screen: Screen,
    /// The terminal's settings before.
    settings: String,
}

impl Watching {
    fn start() -> Self {
        let pty = pty(80);
        let settings = stty(&pty.slave, &["-g"]);
        let mut command = program(&repo());
        command.args(["watch", "--root", HOME, "--all"]).env("TERM", "xterm-256color");
        command.stdin(pty.slave.try_clone().unwrap()).stdout(pty.slave.try_clone().unwrap());
        let child = command.spawn().unwrap();
        drop(command);
        let typing = File::from(pty.master);
        let mut shown = typing.try_clone().unwrap();
        let (sender, bytes) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = shown.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut watching =
            Self { child, slave: pty.slave, typing, bytes, screen: Screen::default(), settings };
        watching.wait_for("the picture", |screen| screen.has("q end"));
        assert_ne!(stty(&watching.slave, &["-g"]), watching.settings, "it reads single keys");
        watching
    }

    fn press(&mut self, keys: &str) {
        self.typing.write_all(keys.as_bytes()).unwrap();
    }

    #[track_caller]
    fn wait_for(&mut self, what: &str, is_shown: impl Fn(&Screen) -> bool) {
        let begun = Instant::now();
        while !is_shown(&self.screen) {
            let left = HANGS.saturating_sub(begun.elapsed());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.screen.take(&bytes),
                Err(_) => panic!("{what} is not shown:\n{}", self.screen.text()),
            }
        }
    }

    /// Waits until it has stopped, as a shell does that started it.
    #[track_caller]
    fn wait_until_stopped(&self) {
        let begun = Instant::now();
        let id = Pid::from_raw(self.child.id().try_into().unwrap());
        while !matches!(
            waitpid(id, Some(WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::Stopped(..))
        ) {
            assert!(begun.elapsed() < HANGS, "it does not stop");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Fails unless the terminal is as it was before.
    #[track_caller]
    fn check_left_as_it_was(&mut self) {
        self.wait_for("the other screen", |screen| !screen.is_other && !screen.hides_cursor);
        assert_eq!(stty(&self.slave, &["-g"]), self.settings);
    }

    /// Waits for its end, and checks what it leaves.
    #[track_caller]
    fn ended(mut self) -> ExitStatus {
        let begun = Instant::now();
        let ended = loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                break ended;
            }
            assert!(begun.elapsed() < HANGS, "it does not end");
            thread::sleep(Duration::from_millis(20));
        };
        self.check_left_as_it_was();
        ended
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn stty(terminal: &OwnedFd, arguments: &[&str]) -> String {
    let output = Command::new("stty").args(arguments).stdin(terminal.try_clone().unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a terminal shows: text where it was put, as far as this program steers one.
struct Screen {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// What came of a sequence or a character that is not complete.
    rest: Vec<u8>,
    is_other: bool,
    hides_cursor: bool,
}

impl Default for Screen {
    fn default() -> Self {
        let cells = vec![vec![' '; 200]; 60];
        Self { cells, row: 0, column: 0, rest: Vec::new(), is_other: false, hides_cursor: false }
    }
}

impl Screen {
    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let text = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.to_owned(),
            Err(fault) => String::from_utf8(self.rest[..fault.valid_up_to()].to_vec()).unwrap(),
        };
        let mut left = text.as_str();
        while let Some(next) = left.chars().next() {
            let after = &left[next.len_utf8()..];
            if next != '\u{1b}' {
                self.put(next);
                left = after;
                continue;
            }
            let Some(after) = after.strip_prefix('[') else {
                if after.is_empty() {
                    break;
                }
                left = &after[1..];
                continue;
            };
            let Some(end) = after.find(|c: char| c.is_ascii_alphabetic()) else { break };
            self.steer(&after[..end], &after[end..=end]);
            left = &after[end + 1..];
        }
        let done = text.len() - left.len();
        self.rest.drain(..done);
    }

    fn put(&mut self, character: char) {
        match character {
            '\r' => self.column = 0,
            '\n' => self.row += 1,
            _ => {
                let cell = self.cells.get_mut(self.row).and_then(|row| row.get_mut(self.column));
                *cell.expect("inside of the screen") = character;
                self.column += 1;
            }
        }
    }

    fn steer(&mut self, numbers: &str, command: &str) {
        match (numbers, command) {
            (_, "H") => {
                let mut places = numbers.split(';').map(|number| number.parse().unwrap_or(1_usize) - 1);
                (self.row, self.column) = (places.next().unwrap_or(0), places.next().unwrap_or(0));
            }
            (_, "J") => self.cells.iter_mut().for_each(|row| row.fill(' ')),
            ("?1049", "h") => self.is_other = true,
            ("?1049", "l") => self.is_other = false,
            ("?25", "l") => self.hides_cursor = true,
            ("?25", "h") => self.hides_cursor = false,
            _ => {}
        }
    }

    fn rows(&self) -> Vec<String> {
        self.cells.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect()
    }

    fn text(&self) -> String {
        self.rows().join("\n")
    }

    fn has(&self, words: &str) -> bool {
        self.rows().iter().any(|row| row.contains(words))
    }

    /// The row of the request that is chosen.
    fn chosen(&self) -> Option<usize> {
        self.rows().iter().position(|row| row.starts_with('▸'))
    }
}

/// Its window was closed, and no signal told so: it was started from another session.
#[test]
#[cfg(target_os = "linux")]
fn it_ends_when_its_terminal_is_gone() {
    let pty = pty(80);
    let mut command = program(&repo());
    command.args(["watch", "--root", HOME, "--all"]).env("TERM", "xterm-256color");
    command.stdin(pty.slave.try_clone().unwrap()).stdout(pty.slave);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut master = File::from(pty.master);
    let mut screen = Screen::default();
    while !screen.has("q end") {
        let mut buffer = [0; 4096];
        let count = master.read(&mut buffer).unwrap();
        screen.take(&buffer[..count]);
    }
    drop(master);
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > HANGS {
            drop(child.kill());
            panic!("it goes on without a terminal");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn every_key_does_what_help_says() {
    let mut watching = Watching::start();
    watching.press("j");
    watching.wait_for("a choice", |screen| screen.chosen().is_some());
    let first = watching.screen.chosen().unwrap();
    watching.press("\u{1b}[B");
    watching.wait_for("the next one", |screen| screen.chosen() == Some(first + 1));
    watching.press("k");
    watching.wait_for("the first again", |screen| screen.chosen() == Some(first));
    watching.press("j\u{1b}[A");
    watching.press("\r");
    watching.wait_for("what show says", |screen| screen.has("Esc back") && screen.chosen().is_none());
    watching.press("j");
    watching.wait_for("one line further", |screen| screen.has("Esc back"));
    watching.press("\r");
    watching.wait_for("the picture again", |screen| screen.chosen() == Some(first));
    watching.press("?");
    watching.wait_for("help", |screen| screen.has("what `traces show` says of it"));
    watching.press("q");
    watching.wait_for("the picture behind help", |screen| screen.has("q end"));
    watching.press("p");
    watching.wait_for("that it pauses", |screen| screen.has("PAUSED"));
    watching.press("p");
    watching.wait_for("that it goes on", |screen| !screen.has("PAUSED"));
    for (rows, columns) in [("40", "120"), ("15", "50"), ("15", "30")] {
        stty(&watching.slave, &["rows", rows, "cols", columns]);
        watching.signal("WINCH");
        let last = rows.parse::<usize>().unwrap() - 1;
        watching.wait_for("the size of the terminal", |screen| screen.rows()[last].starts_with("q end"));
    }
    watching.press("q");
    assert_eq!(watching.ended().code(), Some(0));
}

#[test]
fn however_it_ends_the_terminal_is_left_as_it_was() {
    for (key, signal, code) in
        [("\u{1b}", "", 0), ("\u{3}", "", 130), ("", "INT", 130), ("", "TERM", 143), ("", "HUP", 129)]
    {
        let mut watching = Watching::start();
        watching.press(key);
        if !signal.is_empty() {
            watching.signal(signal);
        }
        assert_eq!(watching.ended().code(), Some(code), "{key:?} {signal}");
    }
}

/// By its key, or by the signal: the terminal is the shell's until it goes on.
#[test]
fn suspended_it_gives_the_terminal_back_and_draws_again_when_it_goes_on() {
    for (key, signal) in [("\u{1a}", ""), ("", "TSTP")] {
        let mut watching = Watching::start();
        for _ in 0..2 {
            watching.press(key);
            if !signal.is_empty() {
                watching.signal(signal);
            }
            watching.wait_until_stopped();
            watching.check_left_as_it_was();
            watching.screen = Screen::default();
            watching.signal("CONT");
            watching.wait_for("the picture again", |screen| screen.is_other && screen.has("q end"));
            assert_ne!(stty(&watching.slave, &["-g"]), watching.settings);
        }
        watching.press("q");
        assert_eq!(watching.ended().code(), Some(0));
    }
}
