//! The folders that the environment names.

use std::env;
use std::path::PathBuf;

use traces_record::{Error, SettingsFiles};

use super::explain_beside;
use crate::render::{notes, record as render};

pub(super) struct Folders {
    /// Of all recordings.
    pub(super) recordings: PathBuf,
    /// Of Claude Code's settings.
    pub(super) config: PathBuf,
    /// Where the command runs.
    pub(super) project: PathBuf,
}

impl Folders {
    pub(super) fn of_environment() -> anyhow::Result<Self> {
        let config = env::var_os("CLAUDE_CONFIG_DIR").filter(|folder| !folder.is_empty());
        let config = config.map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".claude")));
        Ok(Self {
            recordings: crate::select::recordings_folder().ok_or(Error::NoHome)?,
            config: config.ok_or(Error::NoHome)?,
            project: env::current_dir()?,
        })
    }

    /// Says what recordings hold, the first time that one is made.
    pub(super) fn warn_once(&self) {
        // Where it cannot be written it is said again the next time.
        if explain_beside(&self.recordings).unwrap_or(true) {
            notes::warn(render::PRIVACY);
        }
    }

    /// What a client has of `NO_PROXY`.
    pub(super) fn no_proxy(&self, settings: &SettingsFiles) -> Option<String> {
        let of_environment = || {
            ["NO_PROXY", "no_proxy"]
                .into_iter()
                .find_map(|name| env::var(name).ok().filter(|set| !set.is_empty()))
        };
        settings.no_proxy().or_else(of_environment)
    }
}
