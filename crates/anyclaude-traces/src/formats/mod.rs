//! What others wrote: the shape of each kind of file is private to its folder.

pub mod anyclaude;
pub mod backend;
pub mod body;
pub(crate) mod claude_code;
#[cfg(fuzzing)]
pub mod fuzzing;
pub(crate) mod headers;
pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod pairs;
pub mod record;
pub mod records;
pub(crate) mod response;
pub(crate) mod scan;
pub(crate) mod sniff;
pub(crate) mod source;
pub mod sse;
