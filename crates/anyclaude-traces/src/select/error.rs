//! Why nothing could be selected. Values, so that a program can say it in its own words.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::selector::Field;
use crate::error::Error;
use crate::model::request::{Kind, RequestId};
use crate::model::scope::KindFilter;
use crate::model::time::Timestamp;

/// Why a selection failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// There is no file or folder of this name.
    #[error("{}: no such file or folder", path.display())]
    NotFound {
        /// What was named.
        path: PathBuf,
        /// The models that it does not name, where it may have meant one.
        models: Vec<Arc<str>>,
    },
    /// A root that was named does not exist.
    #[error("there is no folder {}", .0.display())]
    NoRoot(PathBuf),
    /// No root was named, so that there is nowhere to look.
    #[error("no folder to look in is known")]
    NoRoots,
    /// The roots hold no traces.
    #[error("nothing is recorded in {} yet", listed(places))]
    NothingRecorded {
        /// Where was looked.
        places: Vec<PathBuf>,
        /// The roots that were meant, it seems: the `.anyclaude` in a folder that was
        /// named, or the folder around its `traces`.
        near: Vec<PathBuf>,
        /// Folders with logs of LM Studio, which tell of requests too.
        server_logs: Vec<PathBuf>,
    },
    /// The folders that were named hold no recordings.
    #[error("{}: there are no recordings there", listed(.0))]
    NoTraces(Vec<PathBuf>),
    /// Nothing of what was found could be read.
    #[error("nothing could be read: {first}{}", if *more > 0 { format!(", and {more} more") } else { String::new() })]
    NothingRead {
        /// The first of it, and why.
        first: String,
        /// How many more there are.
        more: usize,
    },
    /// Requests were read, and the filters admit none of them.
    #[error("none of the {seen} requests passes the filters (kind {})", kind.name())]
    NothingLeft {
        /// How many requests were read.
        seen: usize,
        /// How many there are of each kind.
        kinds: BTreeMap<Kind, usize>,
        /// Which kinds were asked for.
        kind: KindFilter,
        /// When the newest was recorded.
        newest: Option<Timestamp>,
    },
    /// Logs without traces were read, and no request in them is of the time that is asked for.
    #[error("none of the {logged} requests in the logs is of that time")]
    NothingLogged {
        /// How many requests the logs have.
        logged: usize,
        /// When the first began, where any has a time.
        first: Option<Timestamp>,
        /// When the last began.
        last: Option<Timestamp>,
    },
    /// Nothing was recorded but servers' logs, and these hold no request: of a task they tell
    /// what it took, not what was asked.
    #[error("{}: no request lines are in these logs", few(.0))]
    NoRequestLines(Vec<PathBuf>),
    /// What stands after `latest~` is no whole number.
    #[error("`{0}`: write a whole number after `latest~`")]
    NotANumber(String),
    /// There are fewer requests than `latest~N` counts back.
    #[error("`{}`: there are {requests} requests (kind {})", latest(*back), kind.name())]
    TooFewRequests {
        /// How far before the newest.
        back: usize,
        /// How many there are.
        requests: usize,
        /// Of which kind.
        kind: KindFilter,
    },
    /// No request has such a name at all.
    #[error("no {} is known for any of {requests} requests", field.name())]
    NoNames {
        /// What was asked for.
        field: Field,
        /// How many requests were looked at.
        requests: usize,
    },
    /// No request has this id.
    #[error("no request has the id {0}")]
    NoSuchId(RequestId),
    /// None of the names has this part.
    #[error("no {} has `{part}` in its name", field.name())]
    NoSuchName {
        /// What was asked for.
        field: Field,
        /// The part of a name.
        part: String,
        /// The names that there are.
        names: Vec<Arc<str>>,
    },
    /// Several names have this part.
    #[error("`{part}` is part of several {}s", field.name())]
    Ambiguous {
        /// What was asked for.
        field: Field,
        /// The part of a name.
        part: String,
        /// The names that have it.
        names: Vec<Arc<str>>,
    },
    /// A filter names nothing that there is.
    #[error("filter by {}", field.name())]
    Filter {
        /// What is filtered by.
        field: Field,
        /// Why.
        source: Box<Self>,
    },
    /// A label names no request.
    #[error("label {model}: {}", .reason.as_deref().map_or_else(|| "it names no request".to_owned(), ToString::to_string))]
    Label {
        /// The model that it names.
        model: String,
        /// Which requests it is for.
        input: OsString,
        /// Why none was found; `None` where the input is right and selects nothing.
        reason: Option<Box<Self>>,
    },
    /// A side of a comparison holds no request that can be used.
    #[error("{}: {}", name.to_string_lossy(), reason.as_deref().unwrap_or("no request fits"))]
    EmptySide {
        /// How it was named.
        name: OsString,
        /// Why its first file was skipped, and which that is if it was not named.
        reason: Option<String>,
    },
    /// A group was named without something to compare it with.
    #[error("`{0}` is a group: name the other side too")]
    OneGroup(String),
    /// The model has no other one to be compared with.
    #[error("`{0}` is the only model that is known")]
    OnlyModel(String),
    /// The request has no predecessor to be compared with.
    #[error("{} is the first of its thread: name the other side too", .0.display())]
    FirstOfThread(PathBuf),
    /// Two models are compared, and fewer are known.
    #[error("two models are compared, and fewer are known here")]
    FewModels,
    /// No request is selected.
    #[error("no request is selected")]
    NoRequest,
    /// There is no request at all.
    #[error("there is no request to compare")]
    NothingToCompare,
    /// A path or log could not be read.
    #[error("{}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A log that was named could not be read.
    #[error(transparent)]
    Log(#[from] Error),
}

/// What selecting gives.
pub type Result<T> = std::result::Result<T, SelectError>;

fn latest(back: usize) -> String {
    if back == 0 { "latest".to_owned() } else { format!("latest~{back}") }
}

fn few(logs: &[PathBuf]) -> String {
    let first = logs.first().map_or_else(String::new, |log| log.display().to_string());
    match logs.len() {
        0 | 1 => first,
        n => format!("{first} and {} more", n - 1),
    }
}

fn listed(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}
