//! Reads the files of `traces replay --save`, for the verbs that compare two models.

use std::path::{Path, PathBuf};

use anyclaude_traces::analysis::explain::Direct;
use anyclaude_traces::read::read_file;
use anyhow::{Context as _, anyhow};
use lmstudio_replay::Replay;

/// How to get such a file.
const MEASURE: &str = "Measure with `traces replay INPUT --cold --save";

/// The measurements of the models of the left and the right side; `None` where no files are
/// given.
pub(super) fn measured(
    files: &[PathBuf],
    [left, right]: [Option<&str>; 2],
) -> anyhow::Result<Option<(Direct, Direct)>> {
    match files {
        [fast, slow] => Ok(Some((measurement(fast, left)?, measurement(slow, right)?))),
        _ => Ok(None),
    }
}

fn measurement(file: &Path, model: Option<&str>) -> anyhow::Result<Direct> {
    let replay = read(file)?;
    replay.direct(model).ok_or_else(|| {
        let failed = replay.runs.iter().find_map(|run| run.error.as_deref());
        let why = failed.map_or_else(String::new, |error| format!(" ({})", error.trim_end_matches('.')));
        anyhow!(
            "{}: this replay measured no time to first token{why}. {MEASURE} {0} --force`",
            file.display()
        )
    })
}

fn read(file: &Path) -> anyhow::Result<Replay> {
    let document = read_file(file).map_err(|error| anyhow!("{error}. {MEASURE} FILE`"))?;
    serde_json::from_slice(&document).with_context(|| {
        format!("{}: not what `traces replay --save` writes. {MEASURE} FILE`", file.display())
    })
}
