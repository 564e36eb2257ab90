//! The recorded answers, by the names of their files or the events that hold them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::formats::claude_code::{EventKind, RecordedResponse};
use crate::model::time::Timestamp;
use crate::read::{FactsFile, plain_name};

/// A recorded answer.
#[derive(Debug, Clone)]
pub(super) struct RecordedAnswer<'f> {
    /// When its own file was written.
    pub(super) modified: Option<Timestamp>,
    pub(super) content: &'f RecordedResponse,
}

/// The answers of a recording.
#[derive(Debug, Default)]
pub(super) struct Responses<'f> {
    recorded: Vec<RecordedAnswer<'f>>,
    by_name: HashMap<Arc<str>, usize>,
    by_number: HashMap<(usize, u32), usize>,
}

impl<'f> Responses<'f> {
    pub(super) fn of(facts: &'f [FactsFile]) -> Self {
        let mut found = Self::default();
        for (file, facts) in facts.iter().enumerate() {
            if let Some(content) = &facts.facts.response {
                let name = plain_name(&facts.path);
                found.by_name.entry(name.into()).or_insert(found.recorded.len());
                let modified = facts.modified;
                found.recorded.push(RecordedAnswer { modified, content });
            }
            for event in &facts.facts.telemetry.events {
                if let EventKind::ResponseBody { inline: Some(content), .. } = &event.kind {
                    found.by_number.insert((file, event.record), found.recorded.len());
                    found.recorded.push(RecordedAnswer { modified: None, content });
                }
            }
        }
        found
    }

    pub(super) fn get(&self, place: usize) -> Option<&RecordedAnswer<'f>> {
        self.recorded.get(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &RecordedAnswer<'f>)> {
        self.recorded.iter().enumerate()
    }

    /// The answer in the file of this name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The answer in this event.
    pub(super) fn inline(&self, file: usize, number: u32) -> Option<usize> {
        self.by_number.get(&(file, number)).copied()
    }
}
