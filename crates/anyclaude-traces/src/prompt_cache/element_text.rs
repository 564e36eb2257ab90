//! Reads one element of a request again.

use crate::error::Error;
use crate::formats::body::{Element, ElementPath, Section, Visit};
use crate::model::request::TracePath;
use crate::read::Store;

/// Reads one element of a request again: what it [says](crate::formats::body::Raw::canonical).
/// Empty where there is none.
///
/// # Errors
///
/// When the file cannot be read (any more).
pub fn element_text(store: &Store, path: &TracePath, place: ElementPath) -> Result<String, Error> {
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
