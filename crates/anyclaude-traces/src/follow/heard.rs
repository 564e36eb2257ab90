//! When a request last showed a sign of life: by the times of its files, and by their content.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::progress::{Followed, Told, last_sign};
use crate::model::request::{Request, TracePath};
use crate::model::time::Timestamp;

/// When files were last written to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard<'f> {
    pub(super) files: &'f HashMap<PathBuf, Timestamp>,
    pub(super) first_look: Option<Timestamp>,
    pub(super) now: Timestamp,
}

impl Heard<'_> {
    /// What the files tell of a request.
    pub(super) fn of<'r>(&self, request: &'r Request, told: &Told, last_signs: &LastSigns) -> Followed<'r> {
        let log = request.join.as_ref().map(|join| Path::new(&*join.log));
        let files = request.paths.iter().map(TracePath::file).chain(log);
        let heard = files.filter_map(|file| self.files.get(file)).copied().max();
        // The times of files are coarser than the clock: what is written right after the
        // first look may have a time before it.
        let is_of_first_look = told.is_of_first_look().unwrap_or(self.first_look == Some(self.now));
        let is_news = heard > self.first_look || !is_of_first_look;
        let written = self.files.get(request.path.file()).copied().filter(|_| !is_news);
        let recorder_heard = recorder(request).and_then(|recorder| last_signs.0.get(recorder)).copied();
        Followed { request, prefix: None, forecast: None, heard, written, recorder_heard }
    }
}

/// When each recording process last recorded anything of any request, by its own clock.
#[derive(Debug, Default)]
pub(super) struct LastSigns(HashMap<Arc<str>, Timestamp>);

impl LastSigns {
    pub(super) fn of(requests: &[Request]) -> Self {
        let mut last_signs = HashMap::new();
        for request in requests {
            if let Some((recorder, at)) = recorder(request).zip(last_sign(request)) {
                let last = last_signs.entry(recorder.clone()).or_insert(at);
                *last = at.max(*last);
            }
        }
        Self(last_signs)
    }
}

/// The process that recorded a request; its session where no process is known.
fn recorder(request: &Request) -> Option<&Arc<str>> {
    request.run.as_ref().or(request.session.as_ref())
}
