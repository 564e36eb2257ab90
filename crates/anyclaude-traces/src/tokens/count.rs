//! Reads prompts again to count their tokens.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{MilliTokens, PromptTokens, Scales, SectionTokens, TokenCache, TokenVisitor};
use crate::error::Error;
use crate::model::Identity;
use crate::model::intern::FastMap;
use crate::model::request::{Request, TracePath};
use crate::read::Store;

/// Counts the tokens of these requests' prompts, each distinct piece of text once.
/// Files that cannot be read (any more) are returned beside the rest.
///
/// ```
/// use anyclaude_traces::Store;
/// use anyclaude_traces::recording::RequestSet;
/// use anyclaude_traces::tokens::count_tokens;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # let trace = |n: u32| format!(
/// #     r#"{{"timestamp": "2025-11-16T03:20:0{n}.000Z", "request": {{"body": {{"system": "Be brief.",
/// #         "tools": [{{"name": "Bash"}}], "messages": [{{"role": "user", "content": "Hello {n}"}}]}}}}}}"#
/// # );
/// # std::fs::write(folder.join("a.json"), trace(1))?;
/// # std::fs::write(folder.join("b.json"), trace(2))?;
/// let requests = RequestSet::read(&Store::default(), [folder]).requests;
/// let (tokens, errors) = count_tokens(&Store::default(), &requests);
/// assert!(errors.is_empty() && tokens[&requests[0].path].total() > 0.0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn count_tokens<'a>(
    store: &Store,
    requests: impl IntoIterator<Item = &'a Request>,
) -> (HashMap<TracePath, SectionTokens>, Vec<Error>) {
    let memo = TokenCache::default();
    let (mut known, mut others) = (HashMap::new(), Vec::new());
    for request in requests {
        match store.counted().and_then(|counted| counted.of(&request.path)) {
            Some(tokens) => {
                known.insert(request.path.clone(), tokens);
            }
            None => others.push(request),
        }
    }
    let (mut counted, errors) = counted(store, others, || TokenVisitor::new(&memo), |found| found.sections());
    counted.extend(known);
    (counted, errors)
}

/// What was counted of prompts as their files were read first.
#[derive(Debug, Default)]
pub(crate) struct CountedPrompts {
    memo: TokenCache,
    counted: Mutex<FastMap<TracePath, SectionTokens>>,
}

impl CountedPrompts {
    /// The visitor of one prompt.
    pub(crate) fn visitor(&self) -> TokenVisitor<'_> {
        TokenVisitor::new(&self.memo)
    }

    /// Keeps what a visitor has counted of this record.
    pub(crate) fn add(&self, path: &TracePath, seen: TokenVisitor<'_>) {
        self.counted().insert(path.clone(), seen.finish().sections());
    }

    /// The tokens of a tool that any of these prompts offers.
    pub(crate) fn of_tool(&self, tool: Identity) -> Option<MilliTokens> {
        self.memo.of_tool(tool)
    }

    fn of(&self, path: &TracePath) -> Option<SectionTokens> {
        self.counted().get(path).copied()
    }

    fn counted(&self) -> MutexGuard<'_, FastMap<TracePath, SectionTokens>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scale of each model, by the requests whose tokens its backend counted. Reads their
/// files again; those that cannot be read any more are returned beside it.
pub fn read_scales<'a>(
    store: &Store,
    requests: impl IntoIterator<Item = &'a Request>,
) -> (Scales, Vec<Error>) {
    let chosen = Scales::calibration_requests(requests);
    let (counted, errors) = count_tokens(store, chosen.iter().copied());
    (Scales::of(chosen, &counted), errors)
}

/// Counts the tokens of these requests' tools alone, and notes which were called.
pub fn count_tools<'a>(
    store: &Store,
    requests: impl IntoIterator<Item = &'a Request>,
) -> (HashMap<TracePath, PromptTokens>, Vec<Error>) {
    let memo = TokenCache::default();
    counted(store, requests, || TokenVisitor::of_tools(&memo), |found| found)
}

/// The same of all records of these files; what each tool takes is then in `memo`.
pub(crate) fn count_tools_in<'p>(
    store: &Store,
    memo: &TokenCache,
    files: impl IntoIterator<Item = &'p TracePath>,
) -> (HashMap<TracePath, PromptTokens>, Vec<Error>) {
    counted_in(store, files, || TokenVisitor::of_tools(memo), |found| found)
}

/// Reads these requests again, and keeps of each what is `kept`.
fn counted<'a, 'm, T>(
    store: &Store,
    requests: impl IntoIterator<Item = &'a Request>,
    visitor: impl Fn() -> TokenVisitor<'m> + Sync,
    kept: impl Fn(PromptTokens) -> T,
) -> (HashMap<TracePath, T>, Vec<Error>) {
    let has_body = |request: &&Request| !request.is_task_only();
    let requests = requests.into_iter().filter(has_body);
    counted_in(store, requests.map(|request| &request.path), visitor, kept)
}

fn counted_in<'p, 'm, T>(
    store: &Store,
    paths: impl IntoIterator<Item = &'p TracePath>,
    visitor: impl Fn() -> TokenVisitor<'m> + Sync,
    kept: impl Fn(PromptTokens) -> T,
) -> (HashMap<TracePath, T>, Vec<Error>) {
    let mut counted = HashMap::new();
    let errors = store.scan_again(paths, visitor, |file, visitor| {
        counted.insert(file.path, kept(visitor.finish()));
    });
    (counted, errors)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::{fs, io};

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::recording::RequestSet;

    /// The tokens of all requests at this path, by their record; what is there is removed
    /// before they are asked for.
    fn counted(store: &Store, folder: &std::path::Path) -> (Vec<(u32, f64)>, usize) {
        let requests = RequestSet::read(store, [folder]).requests;
        fs::read_dir(folder).unwrap().for_each(|file| fs::remove_file(file.unwrap().path()).unwrap());
        let (counted, errors) = count_tokens(store, &requests);
        let mut counted: Vec<_> =
            counted.iter().map(|(path, tokens)| (path.record(), tokens.total())).collect();
        counted.sort_by_key(|(record, _)| *record);
        (counted, errors.len())
    }

    /// A line of claude-tap's, and the same request as anyclaude's trace.
    fn written(turn: u32) -> (String, String) {
        let words = "one more word ".repeat(turn as usize);
        let body = format!(r#"{{"system":"Be brief.","messages":[{{"role":"user","content":"{words}"}}]}}"#);
        let line = format!(
            r#"{{"timestamp":"2026-03-01T11:00:00Z","request_id":"r{turn}","turn":{turn},"duration_ms":9,"#
        ) + &format!(
            r#""request":{{"method":"POST","path":"/v1/messages","headers":{{}},"body":{body}}},"response":{{"status":200}}}}"#
        ) + "\n";
        let trace = format!(
            r#"{{"timestamp":"2026-03-01T11:00:00.000Z","mode":"lmstudio","request":{{"method":"POST","url":"/v1/messages","body":{body}}}}}"#
        );
        (line, trace)
    }

    #[test]
    fn what_is_dear_to_read_is_read_once() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let lines: String = (1..4).map(|turn| written(turn).0).collect();
        // Whether it is read once where it is not compressed.
        for (name, text, is_read_once) in [("t.jsonl", lines, true), ("t.json", written(1).1, false)] {
            let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes);
            write(name, text.as_bytes())?;
            let requests = RequestSet::read(&Store::default(), [folder.path()]).requests;
            let (tokens, _) = count_tokens(&Store::default(), &requests);
            let mut tokens: Vec<_> =
                tokens.iter().map(|(path, tokens)| (path.record(), tokens.total())).collect();
            tokens.sort_by_key(|(record, _)| *record);
            assert!(tokens.len() == text.lines().count() && tokens.iter().all(|(_, tokens)| *tokens > 0.0));
            let unread = (Vec::new(), 1);

            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(text.as_bytes())?;
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            let zstd = ruzstd::encoding::compress_to_vec(text.as_bytes(), level);
            for (ending, bytes, is_read_once) in [
                ("", text.clone().into_bytes(), is_read_once),
                (".gz", gzip.finish()?, true),
                (".zst", zstd, true),
            ] {
                fs::remove_file(folder.path().join(name)).ok();
                let name = format!("{name}{ending}");
                write(&name, &bytes)?;
                let found = counted(&Store::default().with_counting(), folder.path());
                assert_eq!(found, if is_read_once { (tokens.clone(), 0) } else { unread.clone() }, "{name}");
                write(&name, &bytes)?;
                assert_eq!(counted(&Store::default(), folder.path()), unread, "{name}, not asked for");
            }
        }
        Ok(())
    }
}
