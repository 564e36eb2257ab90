//! The recorded bodies, by the names that events and the index give them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::attempt::Caller;
use crate::formats::claude_code::{REQUEST_SUFFIX, recording_of};
use crate::model::time::Timestamp;
use crate::read::{TraceFile, plain_name};

/// A body, and what is known of it without its file's name.
#[derive(Debug, Clone)]
pub(super) struct FoundBody {
    /// The name of its file; `None` where it stands in an event.
    pub(super) name: Option<Arc<str>>,
    /// The file of facts and the number by which an event names it.
    pub(super) inline: Option<(usize, u32)>,
    /// When its file was written.
    pub(super) modified: Option<Timestamp>,
    pub(super) caller: Caller,
    pub(super) is_streamed: bool,
    /// The folder of its recording.
    pub(super) recording: PathBuf,
}

impl FoundBody {
    /// What is known of a record; `files` are the places of the files of facts.
    pub(super) fn of(file: &TraceFile, files: &HashMap<&Path, usize>) -> Self {
        let TraceFile { path, record } = file;
        let of_event = files.get(path.file());
        let name = plain_name(path.file());
        Self {
            name: of_event.is_none().then(|| name.into()),
            inline: of_event.map(|place| (*place, path.record())),
            modified: record.timestamp,
            caller: Caller {
                session: record.sender.session_id.clone(),
                model: record.requested_model.clone(),
                ..Caller::default()
            },
            is_streamed: record.stream,
            recording: recording_of(path.file()),
        }
    }
}

/// The bodies of a recording.
#[derive(Debug, Default)]
pub(super) struct FoundBodies<'b> {
    bodies: &'b [FoundBody],
    by_name: HashMap<&'b str, usize>,
    by_number: HashMap<(usize, u32), usize>,
}

impl<'b> FoundBodies<'b> {
    pub(super) fn new(bodies: &'b [FoundBody]) -> Self {
        let mut found = Self { bodies, ..Self::default() };
        for (place, body) in bodies.iter().enumerate() {
            if let Some(name) = &body.name {
                found.by_name.entry(name).or_insert(place);
            }
            if let Some(number) = body.inline {
                found.by_number.entry(number).or_insert(place);
            }
        }
        found
    }

    pub(super) fn get(&self, place: usize) -> Option<&'b FoundBody> {
        self.bodies.get(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &'b FoundBody)> {
        self.bodies.iter().enumerate()
    }

    /// The body in the file of this name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The body in this event.
    pub(super) fn inline(&self, file: usize, number: u32) -> Option<usize> {
        self.by_number.get(&(file, number)).copied()
    }

    /// What the name of its file is without its ending.
    pub(super) fn id(&self, place: usize) -> Option<Arc<str>> {
        let name = self.get(place)?.name.as_deref()?;
        name.strip_suffix(REQUEST_SUFFIX).map(Arc::from)
    }

    /// Whether it asks for a stream; `None` where it is not known.
    pub(super) fn is_streamed(&self, place: Option<usize>) -> Option<bool> {
        self.get(place?).map(|body| body.is_streamed)
    }
}
