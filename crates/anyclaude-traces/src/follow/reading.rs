//! How much of each prompt a server has read, by the lines of its log.
//!
//! No line of a log names a request of a client, and the counts by which a task is
//! recognised later are not known before its end. So time decides: a task that a server
//! began after a request was sent is that request, unless there are more tasks than
//! requests. Then nothing is said.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::progress::Look;
use crate::formats::backend::{BackendFormat, BackendLog, BackendTask, ReadingProgress, TaskOutcome};
use crate::model::request::{Request, TracePath};
use crate::model::stats::{float, whole};
use crate::model::time::Timestamp;

/// A request may be seen this long after the server has begun with it.
const SEEN_LATE_MS: i64 = 1_000;

/// How much of a prompt a server has read, by its own log.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PromptReading {
    /// The share of the prompt that is read or came from the cache, 0 to 1.
    pub share: f64,
    /// The same in tokens.
    pub tokens: Option<u64>,
    /// How long the rest will take at the pace so far; `None` until the log has told of two
    /// shares.
    pub left_ms: Option<u64>,
}

/// What a log says of prompts that are being read.
#[derive(Debug, Default)]
pub(super) struct Readings {
    of_logs: HashMap<Arc<Path>, Vec<OpenTask>>,
}

/// A task without an end.
#[derive(Debug, Clone)]
struct OpenTask {
    name: TaskName,
    format: BackendFormat,
    model: Option<Arc<str>>,
    seen: Timestamp,
    was_there: bool,
    /// The first share that was told, and the last, each with when that was seen.
    first: Option<(Timestamp, f64)>,
    last: Option<(Timestamp, ReadingProgress)>,
}

/// Process, slot, task, and request line.
type TaskName = (usize, Option<u64>, Option<u64>, Option<u32>);

/// A request that waits for its first token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting<'f> {
    pub(super) request: &'f Request,
    /// When it was seen to begin.
    pub(super) since: Timestamp,
}

impl Readings {
    /// Moves the progress of its tasks out of a log, so that the rest of the log changes only
    /// where a task begins or ends.
    pub(super) fn take(&mut self, path: &Arc<Path>, log: &mut BackendLog, look: Look) {
        let before = self.of_logs.remove(path).unwrap_or_default();
        let mut open = Vec::new();
        for task in &mut log.tasks {
            let progress = task.progress.take();
            if is_being_read(task) {
                let name = (task.process, task.slot, task.task, task.request);
                let known = before.iter().find(|known| known.name == name).cloned();
                let mut known = known.unwrap_or_else(|| OpenTask {
                    name,
                    format: log.format,
                    model: task.model.clone(),
                    seen: look.now,
                    was_there: look.number == 0,
                    first: None,
                    last: None,
                });
                if let Some(progress) = progress {
                    known.first.get_or_insert((look.now, progress.share));
                    if known.last.is_none_or(|(_, last)| last != progress) {
                        known.last = Some((look.now, progress));
                    }
                }
                open.push(known);
            }
        }
        if !open.is_empty() {
            self.of_logs.insert(path.clone(), open);
        }
    }

    /// Whether no log has any.
    pub(super) fn are_none(&self) -> bool {
        self.of_logs.is_empty()
    }

    /// How far each of these is, which are in order of time. `heard` tells when a log was
    /// last written to.
    pub(super) fn of(
        &self,
        waiting: &[Waiting<'_>],
        heard: impl Fn(&Path) -> Option<Timestamp>,
        now: Timestamp,
    ) -> HashMap<TracePath, PromptReading> {
        let mut found = HashMap::new();
        let mut others = Vec::new();
        for one in waiting {
            match self.task_of(&one.request.path) {
                Some(task) => {
                    found.extend(task.reading(now).map(|reading| (one.request.path.clone(), reading)));
                }
                None => others.push(*one),
            }
        }
        let Some(first) = others.first() else { return found };
        let from = first.since.plus_ms(-SEEN_LATE_MS);
        let is_of_now = |path: &Path, task: &OpenTask| match task.was_there {
            // What is left of a server that was killed is in its log as well.
            true => task.last.is_some() && heard(path).is_some_and(|heard| heard >= from),
            false => task.seen >= from,
        };
        let mut open: Vec<&OpenTask> = Vec::new();
        for (path, tasks) in &self.of_logs {
            open.extend(tasks.iter().filter(|task| is_of_now(path, task)));
        }
        open.sort_by_key(|task| (task.seen, task.name));
        let is_queue = others.iter().all(|one| one.request.model == first.request.model);
        let is_known = open.len() == others.len() || is_queue && open.len() < others.len();
        let pairs = || others.iter().zip(&open);
        if is_known && pairs().all(|(one, task)| task.may_be(one)) {
            let told = pairs().filter_map(|(one, task)| Some((one.request.path.clone(), task.reading(now)?)));
            found.extend(told);
        }
        found
    }

    /// The task of a request that is known from this log alone.
    fn task_of(&self, path: &TracePath) -> Option<&OpenTask> {
        let tasks = self.of_logs.get(path.file())?;
        tasks.iter().find(|task| task.name.3 == Some(path.record()))
    }
}

impl OpenTask {
    fn may_be(&self, one: &Waiting<'_>) -> bool {
        // Other servers name the model by its file.
        let is_same = || match (&self.model, &one.request.model) {
            (Some(runs), Some(asked)) => runs == asked,
            _ => true,
        };
        let began = self.was_there || self.seen >= one.since.plus_ms(-SEEN_LATE_MS);
        began && (self.format != BackendFormat::LmStudio || is_same())
    }

    fn reading(&self, now: Timestamp) -> Option<PromptReading> {
        let (at, ReadingProgress { share, tokens }) = self.last?;
        let pace = self.first.and_then(|(first_at, first)| {
            let ms = u64::try_from(at.ms_since(first_at)).ok().filter(|ms| *ms > 0)?;
            Some((share - first) / float(ms)).filter(|pace| *pace > 0.0)
        });
        let left_ms = pace.map(|pace| {
            let since_told = u64::try_from(now.ms_since(at)).unwrap_or(0);
            whole((1.0 - share) / pace).saturating_sub(since_told)
        });
        Some(PromptReading { share, tokens, left_ms })
    }
}

fn is_being_read(task: &BackendTask) -> bool {
    task.outcome == TaskOutcome::Unfinished
        && task.ended.is_none()
        && task.first_token.is_none()
        && task.read_ms.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::backend::BackendParser;

    fn at(second: i64) -> Timestamp {
        "2026-01-02T03:00:00Z".parse::<Timestamp>().unwrap().plus_ms(second * 1_000)
    }

    fn log(text: &str) -> BackendLog {
        let mut parser = BackendParser::new();
        parser.feed(text.as_bytes());
        parser.finish().unwrap()
    }

    /// What is said of these requests, sent at these seconds, while a log grows line by line,
    /// a second each.
    fn said(sent: &[i64], lines: &[&str]) -> Vec<Option<PromptReading>> {
        let path: Arc<Path> = Path::new("server.log").into();
        let mut readings = Readings::default();
        let mut text = String::new();
        for (second, line) in (0..).zip(lines) {
            text += &format!("0.{second:02}.000.000 I slot {line}\n");
            let look = Look { number: 1, now: at(second) };
            readings.take(&path, &mut log(&text), look);
        }
        let requests: Vec<Request> =
            (0..sent.len()).map(|place| Request::builder(format!("{place}.json")).build()).collect();
        let waiting: Vec<Waiting<'_>> = requests
            .iter()
            .zip(sent)
            .map(|(request, second)| Waiting { request, since: at(*second) })
            .collect();
        let now = at(i64::try_from(lines.len()).unwrap());
        let found = readings.of(&waiting, |_| None, now);
        requests.iter().map(|request| found.get(&request.path).copied()).collect()
    }

    const LAUNCH: &str = "launch_slot_: id  0 | task 7 | processing task, is_child = 0";
    const HALF: &str = "print_timing: id  0 | task 7 | prompt processing, n_tokens =   4096, progress = 0.50, t =   6.57 s / 623.06 tokens per second";
    const MORE: &str = "update_slots: id  0 | task 7 | prompt processing progress, n_past = 6144, n_tokens = 2048, progress = 0.750000";
    const READ: &str =
        "print_timing: id  0 | task 7 | prompt eval time =     733.03 ms /   209 tokens (1 ms per token)";

    #[test]
    fn what_began_after_a_request_is_that_request() {
        assert_eq!(said(&[0], &[LAUNCH]), [None]);
        let half = PromptReading { share: 0.5, tokens: Some(4_096), left_ms: None };
        assert_eq!(said(&[0], &[LAUNCH, HALF]), [Some(half)]);
        let more = PromptReading { share: 0.75, tokens: Some(6_144), left_ms: Some(0) };
        assert_eq!(said(&[0], &[LAUNCH, HALF, MORE]), [Some(more)]);
        assert_eq!(said(&[0], &[LAUNCH, HALF, MORE, READ]), [None], "it is read");
        assert_eq!(said(&[30], &[LAUNCH, HALF]), [None], "it was read before that was sent");
    }

    #[test]
    fn one_slot_works_on_the_first_and_nobody_knows_of_strangers() {
        let other = LAUNCH.replace("id  0 | task 7", "id  1 | task 8");
        assert!(matches!(said(&[0, 0], &[LAUNCH, HALF])[..], [Some(_), None]));
        assert_eq!(said(&[0], &[LAUNCH, &other, HALF]), [None], "two are read, and one was sent");
        assert!(matches!(said(&[0, 0], &[LAUNCH, &other, HALF])[..], [Some(_), None]));
    }

    #[test]
    fn lm_studio_tells_percents() {
        let path: Arc<Path> = Path::new("a.log").into();
        let text = "[2026-06-24 13:00:00][INFO][m] Running chat completion on conversation with 1 messages.\n\
            [2026-06-24 13:00:02][INFO][m] Prompt processing progress: 42.0%\n";
        let mut readings = Readings::default();
        readings.take(&path, &mut log(text), Look { number: 1, now: at(0) });
        let request = Request::builder("a.json").model("m").build();
        let other = Request::builder("b.json").model("n").build();
        let of = |request: &Request| {
            let waiting = [Waiting { request, since: at(0) }];
            readings.of(&waiting, |_| None, at(1)).get(&request.path).map(|reading| reading.share)
        };
        assert_eq!((of(&request), of(&other)), (Some(0.42), None));
    }
}
