//! The other files of a recording that Claude Code made of itself.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::without_compression;
use crate::formats::claude_code::recording_of;

/// The files that may tell of a body: events and spans of its recording, answers and the
/// index beside it, and transcripts. Sorted; there may be none.
pub(crate) fn files_beside(body: &Path) -> Vec<PathBuf> {
    let recording = recording_of(body);
    let folder = body.parent().unwrap_or(Path::new(""));
    let mut files = below(&recording.join("transcripts"), |name| name.ends_with(b".jsonl"));
    files.extend(below(folder, |name| name == b"index.jsonl" || name.ends_with(b".response.json")));
    files.extend(below(&recording, |name| name == b"logs.jsonl" || name == b"traces.jsonl"));
    // An answer that broke off may leave an empty file, which tells nothing.
    files.retain(|file| fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0));
    files.sort();
    files.dedup();
    files
}

/// The files whose names, without the ending of compressed ones, are wanted.
fn below(folder: &Path, wanted: impl Fn(&[u8]) -> bool) -> Vec<PathBuf> {
    // A recording need not have such a folder.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_wanted = |name: &OsStr| wanted(without_compression(name.as_encoded_bytes()));
    entries.filter(|entry| is_wanted(&entry.file_name())).map(|entry| entry.path()).collect()
}
