//! Between the disk and the analyses: folders → requests, and back to the
//! content of a few of them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::content::{Content, Tool};
use crate::diff::Side;
use crate::error::Error;
use crate::join::Gathering;
use crate::request::Request;
use crate::store::{Source, Store};

/// All requests of some folders and files.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Recording {
    /// The requests, by time, then path.
    pub requests: Vec<Request>,
    /// What could not be used.
    pub skipped: Vec<Error>,
}

impl Recording {
    /// Reads every trace at these paths.
    ///
    /// ```no_run
    /// use anyclaude_traces::recording::Recording;
    ///
    /// let recording = Recording::read(&Default::default(), [".anyclaude/traces"]);
    /// for request in &recording.requests {
    ///     assert!(request.sizes.body_bytes >= request.sizes.tools_bytes);
    /// }
    /// ```
    #[must_use]
    pub fn read<P: AsRef<Path>>(store: &Store, paths: impl IntoIterator<Item = P>) -> Self {
        let (sources, errors) = store.find(paths);
        let mut recording = Self::read_sources(store, &sources);
        recording.skipped.splice(..0, errors);
        recording
    }

    /// Reads every trace among these sources.
    #[must_use]
    pub fn read_sources(store: &Store, sources: &[Source]) -> Self {
        let mut gathering = Gathering::default();
        let skipped = store.scan(sources, || (), |file, ()| gathering.add(file));
        Self { requests: gathering.requests(), skipped }
    }
}

/// Reads what [`diff`](crate::diff::diff) must know of one side. `requests` are
/// in order of time.
///
/// # Errors
///
/// When a file that is needed cannot be read (any more).
pub fn read_side<'a>(
    store: &Store,
    selector: String,
    requests: Vec<&'a Request>,
    text: bool,
) -> Result<Side<'a>, Error> {
    let content = || if text { Content::with_text() } else { Content::sizes() };
    let mut newest = content();
    let mut tools = Vec::new();
    if let Some(last) = requests.last() {
        store.reread(last.path.as_ref(), &mut newest)?;
        tools.clone_from(&newest.tools);
    }
    for (path, names) in earlier_tools(&requests) {
        let mut earlier = content();
        store.reread(path, &mut earlier)?;
        tools.extend(earlier.tools.into_iter().filter(|tool: &Tool| names.contains(&tool.name)));
    }
    Ok(Side { selector, requests, newest, tools })
}

/// The tools that the newest request does not carry, each with the newest file
/// that defines it.
fn earlier_tools<'a>(requests: &[&'a Request]) -> Vec<(&'a Path, Vec<Option<Arc<str>>>)> {
    let mut seen: HashMap<Option<Arc<str>>, usize> = HashMap::new();
    let mut files: Vec<(&Path, Vec<Option<Arc<str>>>)> = Vec::new();
    for (age, request) in requests.iter().rev().enumerate() {
        let mut names = Vec::new();
        for tool in request.tools.iter() {
            if *seen.entry(tool.name.clone()).or_insert(age) == age {
                names.push(tool.name.clone());
            }
        }
        if age > 0 && !names.is_empty() {
            files.push((request.path.as_ref(), names));
        }
    }
    files
}
