//! Claude Code's settings files: which of them sets a variable that a recording needs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::variables::{NO_PROXY, REMOVED, Variables};

/// Where Claude Code looks for settings.
#[derive(Debug, Clone)]
pub struct SettingsFiles {
    /// From the weakest to the strongest.
    files: Vec<SettingsFile>,
}

#[derive(Debug, Clone)]
struct SettingsFile {
    path: PathBuf,
    is_managed: bool,
}

/// A variable that a settings file sets otherwise than the recording needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Override {
    /// The file.
    pub path: PathBuf,
    /// The variable.
    pub name: String,
    /// Whether an administrator set it: nothing wins over that.
    pub is_managed: bool,
}

impl SettingsFiles {
    /// The files for a user's configuration folder (`~/.claude`) and the folder of a project.
    #[must_use]
    pub fn new(config: &Path, project: &Path) -> Self {
        let project = project.join(".claude");
        let own = [
            config.join("settings.json"),
            project.join("settings.json"),
            project.join("settings.local.json"),
        ];
        let own = own.into_iter().map(|path| SettingsFile { path, is_managed: false });
        let managed = managed_files().into_iter().map(|path| SettingsFile { path, is_managed: true });
        Self { files: own.chain(managed).collect() }
    }

    /// What they set otherwise than a recording needs it.
    #[must_use]
    pub fn overrides(&self, variables: &Variables) -> Vec<Override> {
        let mut found = Vec::new();
        for file in &self.files {
            let env = file.env();
            let is_other = |name: &&String| {
                let ours = variables.as_map().get(*name).map(String::as_str);
                let is_set = ours.is_some() || REMOVED.contains(&name.as_str());
                is_set && !NO_PROXY.contains(&name.as_str()) && ours != env.get(*name).and_then(Value::as_str)
            };
            found.extend(env.keys().filter(is_other).map(|name| Override {
                path: file.path.clone(),
                name: name.clone(),
                is_managed: file.is_managed,
            }));
        }
        found
    }

    /// What the strongest of them sets `NO_PROXY` to.
    #[must_use]
    pub fn no_proxy(&self) -> Option<String> {
        self.files.iter().rev().find_map(|file| {
            let env = file.env();
            NO_PROXY.iter().find_map(|name| env.get(*name)?.as_str().map(str::to_owned))
        })
    }
}

impl SettingsFile {
    /// The variables that it sets. A file that cannot be read sets none: Claude Code says so
    /// itself.
    fn env(&self) -> Map<String, Value> {
        let text = fs::read(&self.path).unwrap_or_default();
        match serde_json::from_slice(&text) {
            Ok(Value::Object(mut settings)) => match settings.remove("env") {
                Some(Value::Object(env)) => env,
                _ => Map::new(),
            },
            _ => Map::new(),
        }
    }
}

/// Where administrators set what nobody else can.
fn managed_files() -> Vec<PathBuf> {
    let folder = Path::new(if cfg!(target_os = "macos") {
        "/Library/Application Support/ClaudeCode"
    } else if cfg!(windows) {
        r"C:\Program Files\ClaudeCode"
    } else {
        "/etc/claude-code"
    });
    let more = fs::read_dir(folder.join("managed-settings.d"));
    let mut more: Vec<PathBuf> = more.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    more.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    more.sort();
    [folder.join("managed-settings.json")].into_iter().chain(more).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::folder::Folder;

    fn variables(folder: &Path, no_proxy: Option<&str>) -> Variables {
        let folder = Folder::create(&folder.join("recording")).unwrap();
        Variables::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 4318)), &folder, no_proxy, true)
    }

    #[test]
    fn settings_that_win_are_found() {
        let temp = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = temp.path().join(name);
            fs::write(&path, text).unwrap();
            SettingsFile { path, is_managed: name == "managed.json" }
        };
        let files = vec![
            write(
                "user.json",
                r#"{"env":{"OTEL_LOGS_EXPORTER":"otlp","NO_PROXY":"a","OTHER":"x","OTEL_SDK_DISABLED":"true"}}"#,
            ),
            write("broken.json", "{\"env\":{\"OTEL_LOGS_EXPORTER\":"),
            write("none.json", r#"{"env":[],"model":"m"}"#),
            SettingsFile { path: temp.path().join("nowhere.json"), is_managed: false },
            write("managed.json", r#"{"env":{"CLAUDE_CODE_ENABLE_TELEMETRY":0,"no_proxy":"b"}}"#),
        ];
        let settings = SettingsFiles { files };
        assert_eq!(settings.no_proxy().as_deref(), Some("b"));
        let found = settings.overrides(&variables(temp.path(), settings.no_proxy().as_deref()));
        let found: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.is_managed)).collect();
        assert_eq!(found, [("OTEL_SDK_DISABLED", false), ("CLAUDE_CODE_ENABLE_TELEMETRY", true)]);
    }

    #[test]
    fn projects_are_stronger_than_users_and_administrators_than_all() {
        let settings = SettingsFiles::new(Path::new("/home/me/.claude"), Path::new("/project"));
        let paths: Vec<_> = settings.files.iter().map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(paths[0], Path::new("/home/me/.claude").join("settings.json").to_str().unwrap());
        assert!(paths[2].ends_with("settings.local.json") && paths[3].ends_with("managed-settings.json"));
        assert_eq!(settings.files.iter().filter(|file| file.is_managed).count(), settings.files.len() - 3);
    }

    #[test]
    fn loopback_needs_no_proxy() {
        let temp = tempfile::tempdir().unwrap();
        for (at, (given, expected)) in [
            (None, "127.0.0.1,localhost"),
            (Some(" "), "127.0.0.1,localhost"),
            (Some("a,b"), "a,b,127.0.0.1,localhost"),
            (Some("*"), "*"),
        ]
        .into_iter()
        .enumerate()
        {
            let variables = variables(&temp.path().join(at.to_string()), given);
            for name in NO_PROXY {
                assert_eq!(variables.as_map()[name], expected);
            }
        }
    }
}
