//! Between the disk and the analyses: folders → requests, and back to the
//! content of a few of them.

pub mod assemble;
pub(crate) mod concurrency;
mod history;
pub mod join;
mod session;

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf, is_separator};
use std::sync::Arc;

use crate::analysis::content::{Content, Tool};
use crate::analysis::diff::Side;
use crate::analysis::explain::{Prompt, PromptVisitor};
use crate::error::Error;
use crate::formats::anyclaude::log::ParsedLog;
use crate::formats::body::{Element, ElementPath, Section, Visit};
use crate::model::intern::NameHashing;
use crate::model::request::{Request, TracePath};
use crate::model::time::Timestamp;
use crate::read::{LogFile, Order, Store, TraceFile};
use crate::recording::assemble::RequestBuilder;
use crate::recording::join::{Joined, join};
use crate::tokens::{PromptTokens, TokenCache, TokenVisitor};

/// All requests of some folders and files.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Recording {
    /// The requests, by time, then path.
    pub requests: Vec<Request>,
    /// What could not be used.
    pub skipped: Vec<Error>,
    /// What the logs tell, once [`join_logs`](Self::join_logs) has read them.
    pub joined: Joined,
}

impl Recording {
    /// Reads every trace at these paths.
    ///
    /// ```
    /// use anyclaude_traces::recording::Recording;
    ///
    /// let recording = Recording::read(&Default::default(), ["../../testdata/home/.anyclaude/traces"]);
    /// for request in &recording.requests {
    ///     assert!(request.sizes.body_bytes >= request.sizes.tools_bytes);
    /// }
    /// ```
    #[must_use]
    pub fn read<P: AsRef<Path>>(store: &Store, paths: impl IntoIterator<Item = P>) -> Self {
        let mut builder = RequestBuilder::default();
        let skipped = store.find_and_scan(Order::AsDone, paths, || (), |file, ()| builder.add(file));
        Self { requests: builder.requests(), skipped, joined: Joined::default() }
    }

    /// The same, with a visitor for the content of each file. `fold` takes what
    /// it saw, in the order of the files.
    #[must_use]
    pub fn read_with<P: AsRef<Path>, V: Visit + Send>(
        store: &Store,
        paths: impl IntoIterator<Item = P>,
        visitor: impl Fn() -> V + Sync,
        mut fold: impl FnMut(&TraceFile, V),
    ) -> Self {
        let mut builder = RequestBuilder::default();
        let skipped = store.find_and_scan(Order::OfItems, paths, visitor, |file, seen| {
            fold(&file, seen);
            builder.add(file);
        });
        Self { requests: builder.requests(), skipped, joined: Joined::default() }
    }

    /// Reads the logs beside the traces and gives the requests of this time the
    /// models and times that they tell. `roots` are folders whose logs are read
    /// even where none of their traces were; `captures` are further logs.
    ///
    /// Logs that cannot be read are added to what was skipped.
    ///
    /// ```
    /// use anyclaude_traces::Recording;
    /// use anyclaude_traces::Store;
    ///
    /// let store = Store::default();
    /// let mut recording = Recording::read(&store, ["../../testdata/home/.anyclaude/traces"]);
    /// let window = "2025-11-16T00:00:00Z".parse()?..="2025-11-17T00:00:00Z".parse()?;
    /// recording.join_logs(&store, &[], window, &[]);
    /// assert!(recording.requests.iter().any(|request| request.model.as_deref() == Some("openai/gpt-oss-20b")));
    /// # Ok::<(), anyclaude_traces::model::time::InvalidTimestamp>(())
    /// ```
    pub fn join_logs(
        &mut self,
        store: &Store,
        roots: &[PathBuf],
        window: RangeInclusive<Timestamp>,
        captures: &[LogFile<ParsedLog>],
    ) {
        let mut numbers = Roots::default();
        for root in roots {
            numbers.add(std::path::absolute(root).ok());
        }
        let mut by_number: BTreeMap<usize, Vec<&mut Request>> = BTreeMap::new();
        let in_time = |request: &&mut Request| request.timestamp.is_some_and(|stamp| window.contains(&stamp));
        for request in self.requests.iter_mut().filter(in_time) {
            by_number.entry(numbers.of(store, request.path.as_ref())).or_default().push(request);
        }
        if numbers.roots.is_empty() && !captures.is_empty() {
            numbers.add(None);
        }
        for (root, number) in numbers.roots {
            let mut requests = by_number.remove(&number).unwrap_or_default();
            let (logs, errors) = root.map(|root| store.logs(&root, window.clone())).unwrap_or_default();
            self.skipped.extend(errors);
            self.joined.extend(join(&mut requests, logs, captures.to_vec()));
        }
    }
}

/// Numbers the folders that hold `traces/`, by the folders of traces.
#[derive(Default)]
struct Roots {
    roots: BTreeMap<Option<PathBuf>, usize>,
    folders: HashMap<Vec<u8>, usize, NameHashing>,
}

impl Roots {
    fn add(&mut self, root: Option<PathBuf>) -> usize {
        let next = self.roots.len();
        *self.roots.entry(root).or_insert(next)
    }

    fn of(&mut self, store: &Store, path: &Path) -> usize {
        // Parting a path and hashing its parts takes several times as long.
        let bytes = path.as_os_str().as_encoded_bytes();
        let name = bytes.iter().rposition(|byte| is_separator(char::from(*byte)));
        let folder = bytes.get(..name.map_or(0, |at| at + 1)).unwrap_or_default();
        if let Some(number) = self.folders.get(folder) {
            return *number;
        }
        let number = self.add(store.root_of(path));
        self.folders.insert(folder.to_owned(), number);
        number
    }
}

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
) -> Result<Side<'a>, Error> {
    let content = || if text { Content::with_text() } else { Content::sizes() };
    let mut newest = content();
    let mut tools = Vec::new();
    if let Some(last) = requests.last() {
        store.read_one(last.path.as_ref(), &mut newest)?;
        tools.clone_from(&newest.tools);
    }
    for (path, names) in earlier_tools(&requests) {
        let mut earlier = content();
        store.read_one(path, &mut earlier)?;
        tools.extend(earlier.tools.into_iter().filter(|tool: &Tool| names.contains(&tool.name)));
    }
    Ok(Side { selector, requests, newest, tools })
}

/// Counts the tokens of these requests' prompts, each distinct piece of text once.
/// Files that cannot be read (any more) are returned beside the rest.
///
/// ```
/// use anyclaude_traces::recording::count_tokens;
///
/// # use anyclaude_traces::Kind;
/// # use anyclaude_traces::Recording;
/// # use anyclaude_traces::Request;
/// # use anyclaude_traces::Store;
/// # let recording = Recording::read(&Store::default(), ["../../testdata/home/.anyclaude/traces"]);
/// let (tokens, errors) = count_tokens(&Store::default(), &recording.requests);
/// assert!(errors.is_empty() && tokens[&recording.requests[0].path].total() > 0.0);
/// ```
pub fn count_tokens<'a>(
    store: &Store,
    requests: impl IntoIterator<Item = &'a Request>,
) -> (HashMap<TracePath, PromptTokens>, Vec<Error>) {
    let memo = TokenCache::default();
    counted(store, requests, || TokenVisitor::new(&memo))
}

/// Counts the tokens of these requests' tools alone, and notes which were called.
pub fn count_tools<'a>(
    store: &Store,
    requests: impl IntoIterator<Item = &'a Request>,
) -> (HashMap<TracePath, PromptTokens>, Vec<Error>) {
    let memo = TokenCache::default();
    counted(store, requests, || TokenVisitor::of_tools(&memo))
}

fn counted<'a, 'm>(
    store: &Store,
    requests: impl IntoIterator<Item = &'a Request>,
    visitor: impl Fn() -> TokenVisitor<'m> + Sync,
) -> (HashMap<TracePath, PromptTokens>, Vec<Error>) {
    let (sources, mut errors) = store.find(requests.into_iter().map(|request| request.path.as_ref()));
    let mut counted = HashMap::new();
    errors.extend(store.scan(&sources, visitor, |file, visitor| {
        counted.insert(TracePath(file.path), visitor.finish());
    }));
    (counted, errors)
}

/// Reads what the requests asked that have times to compare, for
/// [`explain`](crate::analysis::explain::explain). Files that cannot be read (any more) are
/// returned beside the rest.
pub fn read_prompts<'a>(
    store: &Store,
    requests: impl IntoIterator<Item = &'a Request>,
) -> (HashMap<TracePath, Prompt>, Vec<Error>) {
    let is_timed = |request: &&Request| {
        request.stream && request.timing.as_ref().is_some_and(|timing| timing.ttft_ms.is_some())
    };
    let timed: Vec<&Path> =
        requests.into_iter().filter(is_timed).map(|request| request.path.as_ref()).collect();
    let (sources, mut errors) = store.find(timed);
    let mut prompts = HashMap::new();
    errors.extend(store.scan(&sources, PromptVisitor::default, |file, visitor| {
        prompts.insert(TracePath(file.path), visitor.finish());
    }));
    (prompts, errors)
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

/// Reads one element of a request again: what it [says](crate::formats::body::Raw::canonical).
/// Empty where there is none.
///
/// # Errors
///
/// When the file cannot be read (any more).
pub fn element_text(store: &Store, path: &Path, place: ElementPath) -> Result<String, Error> {
    let mut wanted = WantedElement { place, text: String::new() };
    store.read_one(path, &mut wanted)?;
    Ok(wanted.text)
}

/// Keeps what one element says.
struct WantedElement {
    place: ElementPath,
    text: String,
}

impl Visit for WantedElement {
    fn element(&mut self, element: &Element<'_>) {
        if element.place == self.place {
            self.text = element.raw.canonical();
        }
    }

    fn restart(&mut self, section: Section) {
        let is_void = match (section, self.place) {
            (Section::Body, _)
            | (Section::System, ElementPath::System(_))
            | (Section::Tools, ElementPath::Tool(_)) => true,
            (Section::Messages, ElementPath::Block { .. }) => true,
            (Section::Message(index), ElementPath::Block { message, .. }) => index == message,
            _ => false,
        };
        if is_void {
            self.text.clear();
        }
    }
}
