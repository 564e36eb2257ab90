//! What an argument means: a path, a name, or neither.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Result, SelectError};
use super::reader::{Reader, all_time};
use super::selector::{Field, Selector};
use crate::read::paths;
use crate::recording::RequestSet;

impl Reader {
    /// Reads what a user wrote. What is no path may be the id of a request, or the whole
    /// name of a model.
    ///
    /// # Errors
    ///
    /// When it is none of what can be written, or no whole number stands after `latest~`.
    pub fn selector(&self, input: &OsStr) -> Result<Selector> {
        let selector = Selector::parse(input)?;
        let Some(path) = selector.path() else { return Ok(selector) };
        let Some(word) = path.to_str().filter(|word| may_be_name(word)) else { return Ok(selector) };
        if self.store().is_standard_input(path) || !paths::is_missing(&self.found(path)) {
            return Ok(selector);
        }
        if let Ok(id) = word.parse() {
            return Ok(Selector::Id(id));
        }
        let models = self.models();
        if models.iter().any(|model| model.as_ref() == word) {
            return Ok(Selector::Named(Field::Model, word.to_owned()));
        }
        Err(SelectError::NotFound { path: path.to_owned(), models })
    }

    /// The models of all that is recorded below the roots.
    fn models(&self) -> Vec<Arc<str>> {
        let roots = &self.filter.roots;
        let traces = roots.iter().map(|root| root.join("traces"));
        let existing: Vec<PathBuf> = traces.filter(|traces| paths::is_folder(traces)).collect();
        let mut recording = if existing.is_empty() {
            RequestSet::default()
        } else {
            RequestSet::read(self.store(), &existing)
        };
        if let Some(window) = all_time() {
            recording.join_logs(self.store(), roots, window, &[]);
        }
        let labels = self.filter.labels.iter().map(|label| label.model.as_str().into());
        let known = recording.requests.into_iter().filter_map(|request| request.model);
        let mut models: Vec<Arc<str>> = known.chain(labels).collect();
        models.sort();
        models.dedup();
        models
    }
}

/// Whether this may name a model, and does not look like a file or a folder.
fn may_be_name(word: &str) -> bool {
    let is_file = Path::new(word).extension().is_some_and(|extension| extension == "json");
    !is_file && !word.is_empty() && !word.starts_with(['.', '~', '/', '\\']) && !word.ends_with(['/', '\\'])
}
