//! The other files of a recording that Claude Code made of itself.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::formats::claude_code::recording_of;

/// The files that may tell of a body: events and spans of its recording, answers and the
/// index beside it, and transcripts. Sorted; there may be none.
pub(crate) fn files_beside(body: &Path) -> Vec<PathBuf> {
    let recording = recording_of(body);
    let folder = body.parent().unwrap_or(Path::new(""));
    let mut files = below(&recording.join("transcripts"), |name| ends_with(name, ".jsonl"));
    files.extend(below(folder, |name| name == "index.jsonl" || ends_with(name, ".response.json")));
    files.extend(["logs.jsonl", "traces.jsonl"].map(|name| recording.join(name)));
    // An answer that broke off may leave an empty file, which tells nothing.
    files.retain(|file| fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0));
    files.sort();
    files.dedup();
    files
}

fn below(folder: &Path, wanted: impl Fn(&OsStr) -> bool) -> Vec<PathBuf> {
    // A recording need not have such a folder.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| wanted(&entry.file_name())).map(|entry| entry.path()).collect()
}

fn ends_with(name: &OsStr, ending: &str) -> bool {
    name.as_encoded_bytes().ends_with(ending.as_bytes())
}
