//! What an argument means: the path of a file or folder, the name of something recorded, or
//! neither.

use std::ffi::OsStr;
use std::path::Path;

use super::error::{Result, SelectError};
use super::reader::Reader;
use super::selector::Selector;
use crate::read::paths;

impl Reader {
    /// Reads what a user wrote. What is no path may be the id of a request, or part of the
    /// name of a model, which is looked for among the requests once they are read.
    ///
    /// # Errors
    ///
    /// When it is none of what can be written, or no whole number stands after `latest~`.
    pub fn selector(&self, input: &OsStr) -> Result<Selector> {
        let has_roots = self.filter.roots.iter().any(|root| paths::is_folder(root));
        self.selector_among(input, has_roots || !self.filter.server_logs.is_empty())
    }

    /// The same, where it is known whether there are requests to look for a name among.
    pub(crate) fn selector_among(&self, input: &OsStr, has_requests: bool) -> Result<Selector> {
        let selector = Selector::parse(input)?;
        let Some(path) = selector.path() else { return Ok(selector) };
        let Some(word) = path.to_str().filter(|word| may_be_name(word)) else { return Ok(selector) };
        if self.store().is_standard_input(path) || !paths::is_missing(&self.found(path)) {
            return Ok(selector);
        }
        if let Ok(id) = word.parse() {
            return Ok(Selector::Id(id));
        }
        if has_requests {
            return Ok(Selector::Bare(word.to_owned()));
        }
        Err(SelectError::NotFound { path: path.to_owned(), models: Vec::new() })
    }
}

/// Whether this may name a model, and does not look like a file or a folder.
fn may_be_name(word: &str) -> bool {
    let is_file = Path::new(word).extension().is_some_and(|extension| extension == "json");
    !is_file && !word.is_empty() && !word.starts_with(['.', '~', '/', '\\']) && !word.ends_with(['/', '\\'])
}
