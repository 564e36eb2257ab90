//! Reads elements of requests again.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::error::Error;
use crate::formats::body::{Element, ElementPath, Section, Visit};
use crate::model::Identity;
use crate::model::request::TracePath;
use crate::read::{Store, VisitRecords};

/// How many bytes of texts a window keeps; few in tests, so that it moves.
const MOST_WINDOW_BYTES: u64 = if cfg!(test) { 1_000 } else { 64 << 20 };

/// No shorter text is kept: what is known of every element is at least as long.
const KNOWN_BYTES: u64 = 160;

/// Reads elements of requests again. Of a file that is asked for twice in a row, it keeps what
/// many of its records say, so that a file of many records is not read once for each.
///
/// ```
/// use anyclaude_traces::Store;
/// use anyclaude_traces::prompt_cache::ElementTexts;
///
/// let store = Store::default();
/// let mut texts = ElementTexts::new(&store);
/// let mut fetch = |path: &_, place| texts.read(path, place);
/// # let _: &mut anyclaude_traces::prompt_cache::Fetch<'_> = &mut fetch;
/// ```
#[derive(Debug)]
pub struct ElementTexts<'s> {
    store: &'s Store,
    last: PathBuf,
    window: Option<(PathBuf, Window)>,
}

impl<'s> ElementTexts<'s> {
    /// Reads by this store.
    #[must_use]
    pub fn new(store: &'s Store) -> Self {
        Self { store, last: PathBuf::new(), window: None }
    }

    /// What an element [says](crate::formats::body::Raw::canonical). Empty where there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read (any more).
    pub fn read(&mut self, path: &TracePath, place: ElementPath) -> Result<String, Error> {
        if self.last == path.file() {
            self.move_window(path)?;
        } else {
            self.last = path.file().to_owned();
        }
        let kept = self.window.as_ref().filter(|(file, _)| file == path.file());
        match kept.and_then(|(_, window)| window.texts.get(&(path.record(), place))) {
            Some(text) => Ok(text.clone()),
            None => element_text(self.store, path, place),
        }
    }

    /// Has the window begin at the file's first record, or at this one where it ends before.
    /// It moves forward only: questions that go to and fro would have it move each time.
    fn move_window(&mut self, path: &TracePath) -> Result<(), Error> {
        let first = match &self.window {
            Some((file, window)) if file == path.file() => match window.full_at {
                Some(end) if end <= path.record() => path.record(),
                _ => return Ok(()),
            },
            _ => 0,
        };
        let mut window = Window { first, ..Window::default() };
        self.store.read_on(&TracePath::of_record(path.file(), first), &mut window)?;
        self.window = Some((path.file().to_owned(), window));
        Ok(())
    }
}

/// What the records of a file say from one of them on: each long text where it comes first.
#[derive(Debug, Default)]
struct Window {
    first: u32,
    record: u32,
    /// The first record of which not all was kept.
    full_at: Option<u32>,
    seen: HashSet<Identity>,
    texts: HashMap<(u32, ElementPath), String>,
    bytes: u64,
}

impl VisitRecords for Window {
    fn record(&mut self, number: u32) {
        self.record = number;
    }
}

impl Visit for Window {
    fn element(&mut self, element: &Element<'_>) {
        let (key, bytes) = ((self.record, element.place), element.raw.canonical_len());
        // A body that comes again has something else here.
        self.texts.remove(&key);
        if self.full_at.is_some() || bytes <= KNOWN_BYTES || !self.seen.insert(element.raw.identity()) {
            return;
        }
        self.bytes += bytes;
        if self.bytes > MOST_WINDOW_BYTES {
            // What the first record says beyond that is read by itself.
            self.full_at = Some(self.record.max(self.first + 1));
            return;
        }
        self.texts.insert(key, element.raw.canonical());
    }

    fn wants_identities(&self) -> bool {
        true
    }
}

/// Reads one element of a request again: what it [says](crate::formats::body::Raw::canonical).
/// Empty where there is none.
///
/// # Errors
///
/// When the file cannot be read (any more).
fn element_text(store: &Store, path: &TracePath, place: ElementPath) -> Result<String, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(record: u32) -> String {
        format!("{} Today is day {record}.", "Be brief. ".repeat(30))
    }

    #[test]
    fn whatever_is_asked_for_in_whichever_order_it_is_what_the_record_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let lines = (0..9).map(|record| {
            let system = prompt(record);
            // Most of the last three say what was said before.
            let again = prompt(record % 6);
            format!(
                r#"{{"timestamp":"2026-03-01T11:00:0{record}Z","duration_ms":1,"turn":1,"request_id":"r","request":{{"method":"POST","path":"/v1/messages","headers":{{}},"body":{{"system":"{system}","messages":[{{"role":"user","content":"{again}"}}]}}}},"response":{{"status":200}}}}"#
            )
        });
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
        let store = Store::default();
        let mut texts = ElementTexts::new(&store);
        let mut said = |record, place| texts.read(&TracePath::of_record(&*path, record), place).unwrap();
        let block = |text: String| format!(r#"{{"type":"text","text":"{text}"}}"#);
        for record in (0..9).chain((0..9).rev()).chain([0, 8, 4, 4, 1]) {
            assert_eq!(said(record, ElementPath::System(0)), block(prompt(record)));
            let message = ElementPath::Block { message: 0, block: 0 };
            assert_eq!(said(record, message), block(prompt(record % 6)));
            assert_eq!(said(record, ElementPath::Tool(3)), "");
        }
        let moved = texts.window.map(|(_, window)| (window.first, window.full_at.is_some()));
        assert!(moved.is_some_and(|(first, _)| first > 0), "the window moved: {moved:?}");
    }
}
