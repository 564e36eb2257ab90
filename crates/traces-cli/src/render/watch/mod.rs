//! What `traces watch` shows: a line for each event, or a picture.

mod line;
mod picture;
mod words;

pub(crate) use line::Lines;
pub(crate) use picture::{Choice, HELP, Scene, ended, page_rows};
