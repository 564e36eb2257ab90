//! Reads the prompts of the compared requests.

use std::collections::HashMap;
use std::path::Path;

use super::prompt::{Prompt, PromptVisitor};
use crate::error::Error;
use crate::model::eligibility::eligible;
use crate::model::request::{Request, TracePath};
use crate::read::Store;

/// Reads the prompts of the requests that can take part, for
/// [`explain`](crate::analysis::explain::explain). Files that cannot be read (any more) are
/// returned beside the rest.
pub fn read_prompts<'a>(
    store: &Store,
    requests: impl IntoIterator<Item = &'a Request>,
) -> (HashMap<TracePath, Prompt>, Vec<Error>) {
    let takes_part = |request: &&Request| eligible(request).is_ok() && !request.is_task_only();
    let timed: Vec<&Path> =
        requests.into_iter().filter(takes_part).map(|request| request.path.as_ref()).collect();
    let (sources, mut errors) = store.find(timed);
    let mut prompts = HashMap::new();
    errors.extend(store.scan(&sources, PromptVisitor::default, |file, visitor| {
        prompts.insert(file.path, visitor.finish());
    }));
    (prompts, errors)
}
