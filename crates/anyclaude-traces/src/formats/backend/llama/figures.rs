//! The figures in the lines of llama.cpp's server.

use std::sync::Arc;

use super::functions::TEXT_AT;
use crate::formats::backend::types::{BackendMoment, BackendTask, ReadingProgress, SlotSelection};
use crate::formats::scan;

/// Where `mark` begins in a line: by its first sign that is no letter, as these are rare. To build
/// a searcher of `memmem` for it took a twelfth of what a log of short tasks takes.
#[inline]
pub(super) fn find(line: &[u8], mark: &[u8]) -> Option<usize> {
    let sign = mark.iter().position(|byte| matches!(byte, b'=' | b'_' | b'[' | b'(' | b':')).unwrap_or(0);
    let is_mark = |at: &usize| line.get(*at..).is_some_and(|text| text.starts_with(mark));
    memchr::memchr_iter(*mark.get(sign)?, line).filter_map(|at| at.checked_sub(sign)).find(is_mark)
}

/// The numbers in `slot print_timing: id  0 | task 26 | …`, where they are not −1, and the
/// text behind the bar and a blank.
#[inline]
pub(super) fn slot_and_task(line: &[u8]) -> Option<(Option<u64>, Option<u64>, &[u8])> {
    let rest = line.get(TEXT_AT - 2..)?.strip_prefix(b": id ")?;
    let (slot, rest) = scan::signed(rest.trim_ascii_start())?;
    let (task, rest) = scan::signed(rest.strip_prefix(b" | task ")?)?;
    let text = rest.strip_prefix(b" |")?;
    let text = if text.is_empty() { text } else { text.strip_prefix(b" ")? };
    Some((u64::try_from(slot).ok(), u64::try_from(task).ok(), text))
}

/// So many tokens in such a time.
#[derive(Clone, Copy)]
pub(super) struct Took {
    pub(super) ms: f64,
    pub(super) tokens: u64,
}

/// What a line says of the task in a slot, behind `slot …: id  0 | task 26 | `. Each but the last
/// two holds one of the words that are searched for.
pub(super) enum TaskLine {
    /// `processing task, is_child = 0`
    Launched {
        is_child: bool,
    },
    Progress(ReadingProgress),
    Read(Took),
    Written(Took),
    /// `stop processing: n_tokens = 3201, truncated = 0`
    Released {
        held: u64,
        is_truncated: bool,
    },
    /// `new prompt, n_ctx_slot = 65536, n_keep = 0, task.n_tokens = 3178`
    Prompt {
        context: Option<u64>,
        tokens: u64,
    },
    /// `cached n_tokens = 2969, memory_seq_rm [2969, end)`
    Cached(u64),
    Other,
    Unreadable,
}

impl TaskLine {
    pub(super) fn of(text: &[u8]) -> Self {
        let found = match text.first() {
            Some(b'p') if text.starts_with(b"processing task") => {
                Some(Self::Launched { is_child: find(text, b"is_child = 1").is_some() })
            }
            Some(b'p') if text.starts_with(b"prompt processing") => {
                return progress(text).map_or(Self::Other, Self::Progress);
            }
            Some(b'p' | b' ') => return timing(text),
            Some(b's') => match text.strip_prefix(b"stop processing: ") {
                Some(held) => released(held),
                None => return Self::Other,
            },
            Some(b'n') if text.starts_with(b"new prompt") => {
                let tokens = after(text, b"task.n_tokens = ").or_else(|| after(text, b"n_prompt_tokens = "));
                tokens.map(|tokens| Self::Prompt { context: after(text, b"n_ctx_slot = "), tokens })
            }
            Some(b'c' | b'n' | b'k') => {
                let held = after(text, b"memory_seq_rm [").or_else(|| after(text, b"kv cache rm ["));
                return held.map_or(Self::Other, Self::Cached);
            }
            _ => return Self::Other,
        };
        found.unwrap_or(Self::Unreadable)
    }
}

fn released(text: &[u8]) -> Option<TaskLine> {
    let held = text.strip_prefix(b"n_tokens = ").or_else(|| text.strip_prefix(b"n_past = "))?;
    let (held, rest) = scan::number(held)?;
    let is_truncated = after(rest.strip_prefix(b",")?, b"truncated = ")? != 0;
    Some(TaskLine::Released { held, is_truncated })
}

/// `prompt eval time =     733.03 ms /   209 tokens (…)`, or the same of `eval time`.
#[inline]
pub(super) fn timing(text: &[u8]) -> TaskLine {
    let text = text.trim_ascii_start();
    let (values, line): (_, fn(Took) -> TaskLine) =
        if let Some(values) = text.strip_prefix(b"prompt eval time =") {
            (values, TaskLine::Read)
        } else if let Some(values) = text.strip_prefix(b"eval time =") {
            (values, TaskLine::Written)
        } else {
            return TaskLine::Other;
        };
    Took::of(values).map_or(TaskLine::Unreadable, line)
}

/// `prompt processing, n_tokens =   4096, progress = 0.54, t =   6.57 s / 623.06 tokens per
/// second`; older servers count `n_past` and call the last batch `n_tokens`.
fn progress(text: &[u8]) -> Option<ReadingProgress> {
    let (share, tokens) = match counted_progress(text) {
        Some((share, tokens)) => (share, Some(tokens)),
        None => {
            let tokens = after(text, b"n_past = ").or_else(|| after(text, b"n_tokens = "));
            (after_decimal(text, b"progress = ")?, tokens)
        }
    };
    (0.0..=1.0).contains(&share).then_some(ReadingProgress { share, tokens })
}

/// The two figures where they stand as servers write them today: to look for them took a
/// fourteenth of the instructions of a log of short tasks.
fn counted_progress(text: &[u8]) -> Option<(f64, u64)> {
    let (tokens, rest) =
        scan::number(text.strip_prefix(b"prompt processing, n_tokens = ")?.trim_ascii_start())?;
    let (share, rest) = decimal(rest.strip_prefix(b", progress = ")?)?;
    find(rest, b"n_past = ").is_none().then_some((share, tokens))
}

impl Took {
    #[inline]
    fn of(values: &[u8]) -> Option<Self> {
        let (ms, rest) = decimal(values.trim_ascii_start())?;
        let (tokens, rest) = scan::number(rest.strip_prefix(b" ms /")?.trim_ascii_start())?;
        // Older servers count `runs`.
        (rest.starts_with(b" tokens") || rest.starts_with(b" runs")).then_some(Self { ms, tokens })
    }
}

/// The decimal number at the start of `text`, as `printf` writes it, and what follows it.
#[inline]
pub(crate) fn decimal(text: &[u8]) -> Option<(f64, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let (number, rest) = text.split_at_checked(length)?;
    Some((scan::decimal(number)?, rest))
}

/// The whole number behind the first `mark` in `text`.
#[inline]
pub(crate) fn after(text: &[u8], mark: &[u8]) -> Option<u64> {
    let at = find(text, mark)? + mark.len();
    scan::number(text.get(at..)?.trim_ascii_start()).map(|(number, _)| number)
}

#[inline]
pub(super) fn after_decimal(text: &[u8], mark: &[u8]) -> Option<f64> {
    let at = find(text, mark)? + mark.len();
    decimal(text.get(at..)?).map(|(number, _)| number)
}

/// `LRU, t_last = -1` or `LCP similarity, f_sim_best = 0.934 (> 0.100 thold), f_keep = 0.992`.
pub(super) fn selection(how: &[u8]) -> Option<SlotSelection> {
    if how.starts_with(b"LRU") {
        let last = find(how, b"t_last = ").and_then(|at| scan::signed(how.get(at + b"t_last = ".len()..)?));
        return Some(SlotSelection::LeastRecentlyUsed { was_used: last.map(|(last, _)| last >= 0) });
    }
    if !how.starts_with(b"LCP") && !how.starts_with(b"lcp") {
        return None;
    }
    let similarity = after_decimal(how, b"sim_best = ").or_else(|| after_decimal(how, b"similarity = "))?;
    Some(SlotSelection::Similarity { similarity, kept: after_decimal(how, b"f_keep = ") })
}

/// The name of the file in ` '/models/big.gguf'`, without its ending.
pub(super) fn model_name(quoted: &[u8]) -> Option<Arc<str>> {
    let path = quoted.trim_ascii().strip_prefix(b"'")?.strip_suffix(b"'")?;
    let name = path.rsplit(|byte| matches!(byte, b'/' | b'\\')).next()?;
    let name = name.strip_suffix(b".gguf").unwrap_or(name);
    (!name.is_empty()).then(|| String::from_utf8_lossy(name).into())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
pub(super) fn bytes_of_mib(mib: f64) -> Option<u64> {
    (mib.is_finite() && (0.0..1e12).contains(&mib)).then(|| (mib * f64::from(1 << 20)) as u64)
}

/// Milliseconds between two moments, as exactly as their clock tells.
#[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53")]
pub(super) fn precise_ms(end: BackendMoment, start: BackendMoment) -> Option<f64> {
    match (end, start) {
        (BackendMoment::SinceStart { us: end }, BackendMoment::SinceStart { us: start }) => {
            end.checked_sub(start).map(|us| us as f64 / 1_000.0)
        }
        // Whole seconds are not milliseconds.
        _ if end.uncertainty_ms() > 0 => None,
        _ => end.ms_since(start).filter(|ms| *ms >= 0).map(|ms| ms as f64),
    }
}

/// Leaves no figure of a task that may be another's.
pub(super) fn forget_figures(task: &mut BackendTask) {
    (task.prompt_tokens, task.cached_tokens, task.read_tokens, task.output_tokens) = (None, None, None, None);
    (task.read_ms, task.write_ms) = (None, None);
}

/// The counts that follow from what the slot held at the end.
pub(super) fn settle_counts(task: &mut BackendTask, held: u64) {
    // Where an answer ended as the context was full, nothing was dropped before.
    let is_full = task.cut.as_deref().is_some_and(|cut| cut.context_tokens == held.checked_add(1));
    let from_held = task
        .output_tokens
        .filter(|_| task.truncated != Some(true) || is_full)
        .and_then(|output| held.checked_add(1)?.checked_sub(output));
    task.prompt_tokens = task.prompt_tokens.or(from_held);
    let from_read =
        task.prompt_tokens.zip(task.read_tokens).and_then(|(prompt, read)| prompt.checked_sub(read));
    task.cached_tokens = from_read.or(task.cached_tokens);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_where_it_begins_first() {
        for (line, mark) in [
            ("a = 1, n_past = 2, n_past = 3", "n_past = "),
            ("n_n_past = ", "n_past = "),
            ("=x= progress = 0.5", "progress = "),
            ("kv cache rm [0, end), kv cache rm [1", "kv cache rm ["),
            ("_tokens = 1 n_tokens = 2", "n_tokens = "),
            ("no mark", "n_past = "),
            ("error: x", "error: "),
            ("plain", "ai"),
        ] {
            assert_eq!(find(line.as_bytes(), mark.as_bytes()), line.find(mark), "{line}");
        }
    }

    #[test]
    fn progress_is_the_same_wherever_its_figures_stand() {
        let found = |text: &str| progress(text.as_bytes()).map(|found| (found.share, found.tokens));
        for (text, expected) in [
            ("n_tokens =   4096, progress = 0.54, t =   6.57 s", Some((0.54, Some(4_096)))),
            ("n_tokens = 512, n_past = 2048, progress = 0.5", Some((0.5, Some(2_048)))),
            ("n_tokens = 512, progress = 0.5, n_past = 2048", Some((0.5, Some(2_048)))),
            ("progress, n_tokens = 7, batch.n_tokens = 9, progress = 1.000000", Some((1.0, Some(7)))),
            ("n_tokens = 512, progress = 1.5", None),
            ("n_tokens = 512, progress = .", None),
            ("n_tokens = 512", None),
            ("progress = 0.25", Some((0.25, None))),
        ] {
            for before in ["prompt processing, ", "prompt processing "] {
                assert_eq!(found(&format!("{before}{text}")), expected, "{before}{text}");
            }
        }
    }
}
