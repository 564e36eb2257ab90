//! What is asked for, as values.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::model::LogZone;
use crate::model::scope::KindFilter;
use crate::model::time::Timestamp;
use crate::read::{ReadStandardInput, Store};

/// Which requests are asked for. The default asks for everything of the roots, which are
/// to be named.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Filter {
    /// Folders that hold `traces/`, `logs/` and `request-logs/`.
    pub roots: Vec<PathBuf>,
    /// Whether it is an error that a root does not exist: it is where the user named it.
    pub roots_must_exist: bool,
    /// Whether all that was ever recorded is asked for, not only the day before the
    /// newest request.
    pub is_whole: bool,
    /// Requests of this kind; `None`: of the reader's default.
    pub kind: Option<KindFilter>,
    /// Requests of this proxy mode: its name, or a unique part.
    pub mode: Option<String>,
    /// Requests that this model answered: its name, or a unique part.
    pub model: Option<String>,
    /// Requests of this session: its id, or a unique part.
    pub session: Option<String>,
    /// Requests of this anyclaude process: its id, or a unique part.
    pub run: Option<String>,
    /// Requests at or after this moment.
    pub since: Option<Timestamp>,
    /// Requests at or before this moment.
    pub until: Option<Timestamp>,
    /// No more than the last so many, after all other filters.
    pub last: Option<usize>,
    /// Names of models, which win over every log.
    pub labels: Vec<Label>,
    /// Logs of the servers that ran the models, or folders of them.
    pub server_logs: Vec<PathBuf>,
    /// The home in which LM Studio's logs are looked for; `None`: nowhere.
    pub lm_studio_home: Option<PathBuf>,
    /// The zone of times in servers' logs that name none.
    pub log_zone: LogZone,
    /// Larger files are skipped.
    pub max_file_bytes: u64,
    /// What the path `-` stands for, where it is no file.
    pub standard_input: Option<ReadStandardInput>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            roots_must_exist: true,
            is_whole: false,
            kind: None,
            mode: None,
            model: None,
            session: None,
            run: None,
            since: None,
            until: None,
            last: None,
            labels: Vec::new(),
            server_logs: Vec::new(),
            lm_studio_home: None,
            log_zone: LogZone::default(),
            max_file_bytes: Store::MAX_FILE_BYTES,
            standard_input: None,
        }
    }
}

impl Filter {
    /// Takes the logs of servers out of these inputs, and reads them as such. Where nothing
    /// else is named, they are read alone.
    #[must_use]
    pub fn take_server_logs(&mut self, inputs: &[OsString]) -> Vec<OsString> {
        let is_log = |input: &&OsString| Store::is_server_log(Path::new(input));
        let (logs, others): (Vec<&OsString>, Vec<&OsString>) = inputs.iter().partition(is_log);
        if !logs.is_empty() && others.is_empty() && !self.roots_must_exist {
            self.roots.clear();
        }
        self.server_logs.extend(logs.into_iter().map(PathBuf::from));
        others.into_iter().cloned().collect()
    }
}

/// Names the model of some requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The model that ran.
    pub model: String,
    /// Which requests it answered, as a [`Selector`](super::Selector) is written.
    pub input: OsString,
}
