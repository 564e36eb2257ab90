//! What `traces watch` shows: a line for each event, or a picture.

mod columns;
mod line;
mod pages;
mod picture;
mod words;

pub(crate) use line::EventLines;
pub(crate) use pages::page_rows;
pub(crate) use picture::{Choice, HELP, PictureInput, ended};
