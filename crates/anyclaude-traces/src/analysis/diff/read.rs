//! Reads what the comparison of two requests must know of each of them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::analysis::content::{Content, Tool};
use crate::analysis::diff::DiffSide;
use crate::error::Error;
use crate::model::request::{Request, TracePath};
use crate::read::Store;

/// Reads what [`diff`](crate::analysis::diff::diff) must know of one side. `requests` are
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
) -> Result<DiffSide<'a>, Error> {
    let content = || if text { Content::with_text() } else { Content::sizes() };
    let mut newest = content();
    let is_recorded = match requests.last() {
        Some(last) => store.read_body(last, &mut newest)?,
        None => false,
    };
    let mut tools = newest.tools.clone();
    for (path, names) in earlier_tools(&requests) {
        let mut earlier = content();
        store.read_one(path, &mut earlier)?;
        tools.extend(earlier.tools.into_iter().filter(|tool: &Tool| names.contains(&tool.name)));
    }
    let has_tools = requests.iter().any(|request| request.has_body());
    Ok(DiffSide {
        selector,
        requests,
        newest: is_recorded.then_some(newest),
        tools: has_tools.then_some(tools),
    })
}

/// The tools that the newest request does not carry, each with the newest file
/// that defines it.
fn earlier_tools<'a>(requests: &[&'a Request]) -> Vec<(&'a TracePath, Vec<Option<Arc<str>>>)> {
    let mut seen: HashMap<Option<Arc<str>>, usize> = HashMap::new();
    let mut files: Vec<(&TracePath, Vec<Option<Arc<str>>>)> = Vec::new();
    for (age, request) in requests.iter().rev().enumerate() {
        let mut names = Vec::new();
        for tool in request.tools() {
            if *seen.entry(tool.name.clone()).or_insert(age) == age {
                names.push(tool.name.clone());
            }
        }
        if age > 0 && !names.is_empty() {
            files.push((&request.path, names));
        }
    }
    files
}
