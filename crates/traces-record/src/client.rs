//! Starts a client with its recording switched on, and waits for its end.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};
use tempfile::TempPath;

use crate::receipt::Exit;
use crate::variables::{Variables, is_claude};

/// The option by which Claude Code takes settings that win over all but an
/// administrator's.
const SETTINGS: &str = "--settings";
/// Where the system keeps arguments, one may be 128 KiB long on Linux, 32 KiB in all on
/// Windows.
const MAX_INLINE_BYTES: usize = 16 << 10;

/// A client that is about to be started.
#[derive(Debug)]
pub struct Client {
    command: Command,
    /// Settings that were merged with a file's, until the client has ended.
    settings_file: Option<TempPath>,
    /// Why the variables are in the environment only.
    note: Option<SettingsNote>,
}

/// Why Claude Code got the variables by its environment only, where other settings may win.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsNote {
    /// The command's own `--settings` could not be read, or is no JSON object.
    Unreadable {
        /// What the command names.
        given: String,
        /// Why it could not be used.
        reason: String,
    },
}

impl Client {
    /// Prepares a command: its environment and, where it is Claude Code, its settings. What
    /// the command's own `--settings` says is kept, but for these variables. Merged settings
    /// that came from a file stay in one, in `private`: arguments can be read by every user
    /// of the machine.
    ///
    /// # Errors
    ///
    /// The merged settings cannot be written.
    pub fn new(
        program: &OsStr,
        args: &[OsString],
        variables: &Variables,
        private: &Path,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.envs(variables.iter());
        for name in variables.removed() {
            command.env_remove(name);
        }
        let mut client = Self { command, settings_file: None, note: None };
        if is_claude(program) {
            let args = client.with_settings(args, variables, private)?;
            client.command.args(args);
        } else {
            client.command.args(args);
        }
        Ok(client)
    }

    /// Why the variables are in the environment only; `None` where they are in settings too,
    /// or the program is not Claude Code.
    #[must_use]
    pub fn note(&self) -> Option<&SettingsNote> {
        self.note.as_ref()
    }

    /// Where the program runs.
    pub fn current_dir(&mut self, folder: &Path) -> &mut Self {
        self.command.current_dir(folder);
        self
    }

    /// The arguments with our settings.
    fn with_settings(
        &mut self,
        args: &[OsString],
        variables: &Variables,
        private: &Path,
    ) -> io::Result<Vec<OsString>> {
        let mut args = args.to_vec();
        let Some(given) = GivenSettings::find(&args) else {
            args.splice(0..0, [SETTINGS.into(), variables.settings().to_string().into()]);
            return Ok(args);
        };
        let is_inline = given.value.to_str().is_some_and(|text| text.trim_start().starts_with('{'));
        match given.read(is_inline) {
            Ok(mut settings) => {
                merge(&mut settings, variables);
                let merged = Value::Object(settings).to_string();
                let value = if is_inline && merged.len() <= MAX_INLINE_BYTES {
                    merged.into()
                } else {
                    self.keep_in_file(&merged, private)?
                };
                given.replace(&mut args, value);
            }
            Err(reason) => {
                let given = given.value.to_string_lossy().into_owned();
                self.note = Some(SettingsNote::Unreadable { given, reason });
            }
        }
        Ok(args)
    }

    fn keep_in_file(&mut self, settings: &str, private: &Path) -> io::Result<OsString> {
        let mut file = tempfile::Builder::new().prefix(".settings-").suffix(".json").tempfile_in(private)?;
        file.write_all(settings.as_bytes())?;
        let path = file.into_temp_path();
        let name = path.as_os_str().to_owned();
        self.settings_file = Some(path);
        Ok(name)
    }

    /// Starts it, with this program's terminal, and waits until it ends. Ctrl-C and other
    /// signals end the client, not this program: those that a terminal sends reach it
    /// anyway, the others are handed on.
    ///
    /// # Errors
    ///
    /// It cannot be started, or signals not be handled.
    pub fn run(mut self) -> io::Result<Exit> {
        let signals = waiting::Signals::register()?;
        let child = self.command.spawn()?;
        let exit = waiting::wait(child, signals);
        if let Some(file) = self.settings_file {
            file.close()?;
        }
        exit
    }
}

/// Our variables in settings: whatever they say else of these is lost.
fn merge(settings: &mut Map<String, Value>, variables: &Variables) {
    let ours = variables.as_json();
    match settings.get_mut("env") {
        Some(Value::Object(env)) => env.extend(ours),
        _ => drop(settings.insert("env".to_owned(), Value::Object(ours))),
    }
}

/// The `--settings` of a command: the last one, as Claude Code takes it.
struct GivenSettings {
    /// Which argument holds it.
    at: usize,
    /// Whether it is `--settings=VALUE`.
    is_joined: bool,
    value: OsString,
}

impl GivenSettings {
    fn find(args: &[OsString]) -> Option<Self> {
        let options = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
        let options = args.get(..options)?;
        options.iter().enumerate().rev().find_map(|(at, arg)| {
            if arg == SETTINGS {
                let value = options.get(at + 1)?.clone();
                return Some(Self { at: at + 1, is_joined: false, value });
            }
            let value = arg.to_str()?.strip_prefix(SETTINGS)?.strip_prefix('=')?;
            Some(Self { at, is_joined: true, value: value.into() })
        })
    }

    fn read(&self, is_inline: bool) -> Result<Map<String, Value>, String> {
        let text = if is_inline {
            self.value.to_string_lossy().into_owned()
        } else {
            std::fs::read_to_string(&self.value).map_err(|error| error.to_string())?
        };
        match serde_json::from_str(&text) {
            Ok(Value::Object(settings)) => Ok(settings),
            Ok(_) => Err("it is no JSON object".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn replace(&self, args: &mut [OsString], value: OsString) {
        let Some(arg) = args.get_mut(self.at) else { return };
        *arg = value;
        if self.is_joined {
            let mut joined = OsString::from(format!("{SETTINGS}="));
            joined.push(&*arg);
            *arg = joined;
        }
    }
}

#[cfg(unix)]
mod waiting {
    use std::fs::File;
    use std::io;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, ExitStatus};

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
    use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

    use super::Exit;

    /// The signals that are noticed while a client runs.
    pub(super) struct Signals(signal_hook::iterator::Signals);

    impl Signals {
        pub(super) fn register() -> io::Result<Self> {
            signal_hook::iterator::Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM]).map(Self)
        }
    }

    /// Waits for the client's end, and hands signals on.
    pub(super) fn wait(mut child: Child, mut signals: Signals) -> io::Result<Exit> {
        let pid = Pid::from_child(&child);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(exit(status));
            }
            for signal in signals.0.wait() {
                match signal {
                    SIGCHLD => follow_stop(pid)?,
                    SIGTERM => hand_on(pid, Signal::TERM),
                    // The terminal sends these to all programs in its foreground.
                    _ if is_in_foreground() => {}
                    SIGINT => hand_on(pid, Signal::INT),
                    SIGQUIT => hand_on(pid, Signal::QUIT),
                    _ => hand_on(pid, Signal::HUP),
                }
            }
        }
    }

    /// The client has not been waited for, so that the number is still its own.
    fn hand_on(pid: Pid, signal: Signal) {
        // It may have ended just now.
        let _ = rustix::process::kill_process(pid, signal);
    }

    /// Stops this program where the client has stopped itself (Ctrl-Z): the shell waits for
    /// this one, and continues both.
    fn follow_stop(client: Pid) -> io::Result<()> {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        match rustix::process::waitid(WaitId::Pid(client), options) {
            Ok(Some(_)) => Ok(rustix::process::kill_process(rustix::process::getpid(), Signal::STOP)?),
            Ok(None) | Err(rustix::io::Errno::CHILD) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a terminal's Ctrl-C reaches this program, and the client with it.
    fn is_in_foreground() -> bool {
        let group = File::open("/dev/tty").ok().and_then(|tty| rustix::termios::tcgetpgrp(tty).ok());
        group.is_some_and(|group| group == rustix::process::getpgrp())
    }

    fn exit(status: ExitStatus) -> Exit {
        match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Code(1),
        }
    }
}

#[cfg(not(unix))]
mod waiting {
    use std::io;
    use std::process::Child;

    use super::Exit;

    /// Ctrl-C goes to all programs of a console: the client ends by itself.
    pub(super) struct Signals;

    impl Signals {
        #[allow(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
        pub(super) fn register() -> io::Result<Self> {
            Ok(Self)
        }
    }

    pub(super) fn wait(mut child: Child, _: Signals) -> io::Result<Exit> {
        Ok(Exit::Code(child.wait()?.code().unwrap_or(1)))
    }
}
