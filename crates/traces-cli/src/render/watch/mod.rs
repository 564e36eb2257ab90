//! What `traces watch` shows: a line for each event, or a picture.

mod line;
mod picture;
mod words;

pub(crate) use line::EventLines;
pub(crate) use picture::{Choice, HELP, PictureInput, ended, page_rows};
