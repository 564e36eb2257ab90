//! The texts of elements: the kept beginnings, and the rest where it is needed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ids::ElementId;
use super::prompts::Prompts;
use crate::error::Error;
use crate::formats::body::ElementPath;
use crate::model::intern::FastMap;
use crate::model::request::TracePath;

/// Reads an element again, of which only the beginning was kept.
pub type Fetch<'a> = dyn FnMut(&TracePath, ElementPath) -> Result<String, Error> + Send + 'a;

/// How many bytes of fetched text are kept for the next question.
const MOST_FETCHED_BYTES: usize = 16 << 20;

/// What was fetched. It belongs to the prompts, not to one simulation: following a recording
/// would otherwise read finished files again at each look.
#[derive(Debug, Default)]
pub(super) struct FetchedTexts {
    texts: FastMap<ElementId, Arc<str>>,
    bytes: usize,
    /// The common bytes of elements that had to be fetched.
    pairs: FastMap<(ElementId, ElementId), u64>,
}

impl FetchedTexts {
    fn keep(&mut self, element: ElementId, text: Arc<str>) {
        if self.bytes + text.len() > MOST_FETCHED_BYTES {
            self.texts.clear();
            self.bytes = 0;
        }
        self.bytes += text.len();
        self.texts.insert(element, text);
    }
}

/// The texts that simulated caches need, which may run on several threads.
pub(super) struct Texts<'a> {
    prompts: &'a Prompts,
    files: Mutex<FilesOfTexts<'a>>,
}

/// What reads texts again.
struct FilesOfTexts<'a> {
    fetch: &'a mut Fetch<'a>,
    /// What was kept of elements that cannot be read again.
    unreadable: FastMap<ElementId, Arc<str>>,
    errors: Vec<Error>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(prompts: &'a Prompts, fetch: &'a mut Fetch<'a>) -> Self {
        let files = FilesOfTexts { fetch, unreadable: FastMap::default(), errors: Vec::new() };
        Self { prompts, files: Mutex::new(files) }
    }

    fn files(&self) -> MutexGuard<'_, FilesOfTexts<'a>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files that could not be read again.
    pub(super) fn errors(&self) -> Vec<Error> {
        self.files().errors.clone()
    }

    /// Puts the errors of threads, which came in any order, in the order of the files.
    pub(super) fn sort_errors(&self) {
        self.files().errors.sort_by(|a, b| a.path().cmp(b.path()));
    }

    /// The common leading bytes of two elements.
    pub(super) fn common(&self, left: ElementId, right: ElementId) -> u64 {
        let (a, b) = (self.prompts.head(left), self.prompts.head(right));
        let kept = common_bytes(a, b);
        let is_decided =
            kept < a.len().min(b.len()) || self.is_whole(left, kept) || self.is_whole(right, kept);
        if is_decided {
            return kept as u64;
        }
        let pair = (left.min(right), left.max(right));
        let known = self.prompts.fetched().pairs.get(&pair).copied();
        if let Some(known) = known {
            return known;
        }
        let (a, b) = (self.get(left), self.get(right));
        let common = common_bytes(a.as_bytes(), b.as_bytes()) as u64;
        if ![left, right].iter().any(|one| self.files().unreadable.contains_key(one)) {
            self.prompts.fetched().pairs.insert(pair, common);
        }
        common
    }

    fn is_whole(&self, element: ElementId, kept: usize) -> bool {
        self.prompts.known(element).is_none_or(|known| known.bytes <= kept as u64)
    }

    /// The whole of an element; what was kept of it where it cannot be read again.
    pub(super) fn get(&self, element: ElementId) -> Arc<str> {
        let head = self.prompts.head(element);
        if !head.is_empty() && self.is_whole(element, head.len()) {
            return String::from_utf8_lossy(head).into();
        }
        // Another thread that needs this text waits here, instead of reading it too.
        let files = &mut *self.files();
        let known = self.prompts.fetched().texts.get(&element).cloned();
        if let Some(text) = known.or_else(|| files.unreadable.get(&element).cloned()) {
            return text;
        }
        let text: Arc<str> = match files.read_again(self.prompts, element) {
            Ok(text) => text.into(),
            Err(error) => {
                files.errors.extend(error);
                let text: Arc<str> = String::from_utf8_lossy(head).into();
                files.unreadable.insert(element, text.clone());
                return text;
            }
        };
        self.prompts.fetched().keep(element, text.clone());
        text
    }
}

impl FilesOfTexts<'_> {
    fn read_again(&mut self, prompts: &Prompts, element: ElementId) -> Result<String, Option<Error>> {
        let (path, place) = prompts.source(element).ok_or(None)?;
        let text = (self.fetch)(path, place)?;
        let is_same = prompts.known(element).is_some_and(|known| known.bytes == text.len() as u64);
        let changed = || std::io::Error::other("the file changed while it was read");
        if is_same { Ok(text) } else { Err(Some(Error::new(path.file(), changed()))) }
    }
}

fn common_bytes(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
