//! What llama.cpp's server says of its tasks: the text of a line behind its head.
//!
//! The same lines stand in the logs of llama-server, Ollama and LM Studio. Each `slot` line
//! names its slot and task; the counts follow from three of them:
//!
//! ```text
//! slot print_timing: id  0 | task 26 | prompt eval time =     733.03 ms /   209 tokens (…)
//! slot print_timing: id  0 | task 26 |        eval time =   10111.05 ms /    24 tokens (…)
//! slot      release: id  0 | task 26 | stop processing: n_tokens = 3201, truncated = 0
//! ```
//!
//! The slot holds the prompt and all generated tokens but the last, so that the prompt has
//! 3201 − 24 + 1 = 3178 tokens, of which 3178 − 209 = 2969 came from the cache.

mod load;

use std::collections::VecDeque;

use load::Loading;

use super::figures::{
    TaskLine, Took, after, after_decimal, bytes_of_mib, find, forget_figures, selection, settle_counts,
    slot_and_task, timing,
};
use super::functions::{FUNCTION_AT, TEXT_AT, may_hold_fact};
use super::words::Words;
use crate::formats::backend::types::{
    BackendLog, BackendMoment, BackendProcess, BackendTask, SlotSelection, TaskOutcome,
};
use crate::formats::scan;
use crate::model::ContextCut;

/// The most tasks that are open at once: more than any server has slots.
const MAX_OPEN: usize = 256;
/// The most waiting requests whose time is kept.
const MAX_WAITING: usize = 1_024;
/// The most slots for which it is kept how they were chosen.
const MAX_SELECTED: usize = 64;
/// How many bytes of an error are kept.
const MAX_ERROR_BYTES: usize = 500;

/// The beginning of the lines with a task's times.
const PRINT_TIMING: &[u8] = b"slot print_timing";

/// What was found in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineUse {
    /// It held a fact.
    Fact,
    /// A line of this server without a fact.
    Known,
    /// No line of this server, as far as can be told.
    Other,
    /// It should hold a fact and cannot be read.
    Unreadable,
}

/// The state of one server whose lines are read, or of several whose lines cannot be told
/// apart.
#[derive(Debug, Default, Clone)]
pub(crate) struct Engine {
    /// Several servers write here, each with slots and tasks of its own numbers.
    is_mixed: bool,
    /// Slots and tasks that two of them had at once: nothing tells whose the next figures are.
    mistakable: Vec<(u64, u64)>,
    process: Option<usize>,
    open: Vec<EngineTask>,
    /// Slots that were chosen for the task that is launched next in them.
    selected: Vec<(u64, SlotSelection)>,
    /// When the requests were received that no task was launched for yet.
    waiting: VecDeque<Option<BackendMoment>>,
    /// A waiting request went away, so that it is not known which of them are left.
    is_waiting_unknown: bool,
    /// The task whose timings follow on lines of their own.
    timed: Option<(u64, u64)>,
    loading: Option<Loading>,
    /// The model was loaded since the last task began, and no line says when.
    has_untimed_load: bool,
    last: Option<BackendMoment>,
}

#[derive(Debug, Default, Clone)]
struct EngineTask {
    task: BackendTask,
    is_cancelled: bool,
    /// How many tokens its slot held when it let go of the task.
    held: Option<u64>,
}

impl EngineTask {
    fn is(&self, slot: u64, task: u64) -> bool {
        self.task.slot == Some(slot) && self.task.task == Some(task)
    }

    /// What is known of it, once its slot has let go of it.
    fn end(self) -> BackendTask {
        let Self { mut task, is_cancelled, held } = self;
        task.outcome = match (&task.error, is_cancelled) {
            (Some(_), _) => TaskOutcome::Failed,
            (None, true) if task.output_tokens.is_none() => TaskOutcome::Cancelled,
            (None, _) => TaskOutcome::Completed,
        };
        held.into_iter().for_each(|held| settle_counts(&mut task, held));
        task
    }
}

impl Engine {
    /// For the log of several servers, one for each model.
    pub(crate) fn of_several() -> Self {
        Self { is_mixed: true, ..Self::default() }
    }

    /// Reads the text of one line, without its head, and adds what it tells to `log`.
    #[inline]
    pub(crate) fn line(&mut self, text: &[u8], at: Option<BackendMoment>, log: &mut BackendLog) -> LineUse {
        match text.first_chunk::<4>() {
            Some(b"slot") => self.slot_line(text, at, log),
            Some(b"srv ") => self.server_line(text, at, log),
            Some(b"main") => match text.strip_prefix(b"main: ".as_slice()) {
                Some(text) => self.load_line(text, at, log),
                None => LineUse::Other,
            },
            Some(b"prom" | b"    ") => self.timing_line(text, log),
            _ => LineUse::Other,
        }
    }

    /// The tasks that are open, in the order of their launches.
    pub(crate) fn open(&self) -> impl Iterator<Item = &BackendTask> {
        self.open.iter().map(|open| &open.task)
    }

    /// Ends the file, or the process: what is open has no end.
    pub(crate) fn finish(&mut self, log: &mut BackendLog) {
        self.end_released(log);
        log.tasks.extend(self.open.drain(..).map(|open| open.task));
        *self = Self { is_mixed: self.is_mixed, ..Self::default() };
    }

    /// The process that works on what comes, with what is known of it.
    fn process<'l>(&mut self, log: &'l mut BackendLog) -> Option<&'l mut BackendProcess> {
        let at = self.process_index(log);
        log.processes.get_mut(at)
    }

    fn process_index(&mut self, log: &mut BackendLog) -> usize {
        *self.process.get_or_insert_with(|| {
            log.processes.push(BackendProcess::default());
            log.processes.len() - 1
        })
    }

    /// The process that its last line with a fact was of.
    pub(crate) fn known_process<'l>(&self, log: &'l mut BackendLog) -> Option<&'l mut BackendProcess> {
        log.processes.get_mut(self.process?)
    }

    /// A clock that counts from the start of the process and goes back is another process's.
    fn note(&mut self, at: Option<BackendMoment>, log: &mut BackendLog) {
        const JITTER_US: u64 = 1_000_000;
        if let (Some(BackendMoment::SinceStart { us: last }), Some(BackendMoment::SinceStart { us })) =
            (self.last, at)
            && us + JITTER_US < last
        {
            self.open.iter_mut().for_each(|open| open.task.progress = None);
            self.finish(log);
        }
        self.last = at.or(self.last);
    }

    /// What has no effect here, a search for words may pass over: a line that acts holds one.
    fn slot_line(&mut self, line: &[u8], at: Option<BackendMoment>, log: &mut BackendLog) -> LineUse {
        if !may_hold_fact(line) {
            return LineUse::Known;
        }
        let Some((slot, task, text)) = slot_and_task(line) else { return LineUse::Unreadable };
        let Some(slot) = slot else { return LineUse::Known };
        let Some(task) = task else { return self.free_slot_line(slot, text, at, log) };
        if text.is_empty() {
            if line.starts_with(PRINT_TIMING) {
                self.note(at, log);
                self.timed = Some((slot, task));
            }
            return LineUse::Known;
        }
        let said = match TaskLine::of(text) {
            TaskLine::Other => return LineUse::Known,
            TaskLine::Unreadable => return LineUse::Unreadable,
            said => said,
        };
        self.note(at, log);
        self.task_line(slot, task, said, at, log)
    }

    /// A line of a slot that has no task yet.
    fn free_slot_line(
        &mut self,
        slot: u64,
        text: &[u8],
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) -> LineUse {
        if let Some(how) = text.strip_prefix(b"selected slot by ") {
            let Some(selection) = selection(how) else { return LineUse::Known };
            self.note(at, log);
            self.selected.retain(|(of, _)| *of != slot);
            if self.selected.len() < MAX_SELECTED {
                self.selected.push((slot, selection));
            }
            return LineUse::Fact;
        }
        let context =
            text.strip_prefix(b"new slot, n_ctx = ").or_else(|| text.strip_prefix(b"new slot n_ctx_slot = "));
        if let Some(context) = context {
            let Some((tokens, _)) = scan::number(context) else { return LineUse::Unreadable };
            self.note(at, log);
            if let Some(process) = self.process(log) {
                process.context_tokens.get_or_insert(tokens);
                process.slots = process.slots.max(Some(slot + 1));
            }
            return LineUse::Fact;
        }
        LineUse::Known
    }

    fn task_line(
        &mut self,
        slot: u64,
        task: u64,
        said: TaskLine,
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) -> LineUse {
        match said {
            TaskLine::Launched { is_child } => self.launch(slot, task, is_child, at, log),
            TaskLine::Progress(progress) => {
                self.with_open(slot, task, |open| open.task.progress = Some(progress))
            }
            TaskLine::Read(read) => self.read(slot, task, read),
            TaskLine::Written(write) => self.write(slot, task, write, at, log),
            TaskLine::Released { held, is_truncated } => {
                self.release(slot, task, held, is_truncated, at, log)
            }
            TaskLine::Prompt { context, tokens } => {
                if let (Some(process), Some(context)) = (self.process(log), context) {
                    process.context_tokens = Some(context);
                }
                self.with_open(slot, task, |open| open.task.prompt_tokens = Some(tokens))
            }
            // Once for each batch; what was there before the first came from the cache.
            TaskLine::Cached(held) => self.with_open(slot, task, |open| {
                open.task.cached_tokens.get_or_insert(held);
            }),
            TaskLine::Other | TaskLine::Unreadable => LineUse::Known,
        }
    }

    fn launch(
        &mut self,
        slot: u64,
        task: u64,
        is_child: bool,
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) -> LineUse {
        self.end_released(log);
        self.end_load(None, log);
        if self.is_mixed {
            // What another server has in this slot goes on.
            if let Some(of_other) = self.open.iter().position(|open| open.is(slot, task)) {
                let mut of_other = self.open.remove(of_other).task;
                forget_figures(&mut of_other);
                log.tasks.push(of_other);
                if self.mistakable.len() < MAX_OPEN {
                    self.mistakable.push((slot, task));
                }
                return LineUse::Fact;
            }
        } else {
            // A slot works on one task: what it had before has lost its end.
            while let Some(lost) = self.open.iter().position(|open| open.task.slot == Some(slot)) {
                let lost = self.open.remove(lost).task;
                log.tasks.push(BackendTask { progress: None, ..lost });
            }
        }
        if self.open.len() >= MAX_OPEN {
            log.tasks.push(self.open.remove(0).task);
        }
        let follows_untimed_load = std::mem::take(&mut self.has_untimed_load);
        let process = self.process_index(log);
        let selected = self.selected.iter().position(|(of, _)| *of == slot);
        let received =
            if is_child || self.is_waiting_unknown { None } else { self.waiting.pop_front().flatten() };
        self.open.push(EngineTask {
            task: BackendTask {
                process,
                task: Some(task),
                slot: Some(slot),
                selection: selected.map(|at| self.selected.swap_remove(at).1),
                received,
                started: at,
                follows_untimed_load,
                model: log.processes.get(process).and_then(|process| process.model.clone()),
                ..BackendTask::default()
            },
            ..EngineTask::default()
        });
        LineUse::Fact
    }

    fn with_open(&mut self, slot: u64, task: u64, change: impl FnOnce(&mut EngineTask)) -> LineUse {
        match self.open.iter_mut().find(|open| open.is(slot, task)) {
            Some(open) => {
                change(open);
                LineUse::Fact
            }
            None => LineUse::Known,
        }
    }

    /// Timings of a task whose launch is not in the file count too.
    fn opened(&mut self, slot: u64, task: u64) -> Option<&mut EngineTask> {
        if !self.open.iter().any(|open| open.is(slot, task)) {
            if self.open.len() >= MAX_OPEN || self.mistakable.contains(&(slot, task)) {
                return None;
            }
            let task = BackendTask { task: Some(task), slot: Some(slot), ..BackendTask::default() };
            self.open.push(EngineTask { task, ..EngineTask::default() });
        }
        self.open.iter_mut().find(|open| open.is(slot, task))
    }

    fn read(&mut self, slot: u64, task: u64, Took { ms, tokens }: Took) -> LineUse {
        if let Some(open) = self.opened(slot, task) {
            (open.task.read_ms, open.task.read_tokens) = (Some(ms), Some(tokens));
            open.task.progress = None;
        }
        LineUse::Fact
    }

    fn write(
        &mut self,
        slot: u64,
        task: u64,
        Took { ms, tokens }: Took,
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) -> LineUse {
        if let Some(open) = self.opened(slot, task) {
            (open.task.write_ms, open.task.output_tokens) = (Some(ms), Some(tokens));
            open.task.ended = at;
            if open.held.is_some() {
                self.end_released(log);
            }
        }
        LineUse::Fact
    }

    fn release(
        &mut self,
        slot: u64,
        task: u64,
        held: u64,
        is_truncated: bool,
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) -> LineUse {
        let Some(open) = self.open.iter().position(|open| open.is(slot, task)) else { return LineUse::Known };
        let process = self.process_index(log);
        let Some(EngineTask { task, is_cancelled, held: held_at_end }) = self.open.get_mut(open) else {
            return LineUse::Known;
        };
        task.process = process;
        (task.truncated, task.progress) = (Some(is_truncated), None);
        if is_truncated {
            let context_tokens = log.processes.get(process).and_then(|process| process.context_tokens);
            let is_too_long = |prompt: &u64| context_tokens.is_some_and(|context| *prompt > context);
            let whole_prompt_tokens = task.prompt_tokens.filter(is_too_long);
            task.cut = Some(Box::new(ContextCut { context_tokens, whole_prompt_tokens }));
        }
        task.ended = task.ended.or(at);
        *held_at_end = Some(held);
        // Servers of 2024 and 2025 tell the times of a task behind its release.
        let may_be_told = task.read_ms.is_none() && task.output_tokens.is_none();
        if !may_be_told || *is_cancelled || task.error.is_some() {
            self.end_released(log);
        }
        LineUse::Fact
    }

    /// Ends the tasks that their slots let go of: nothing more is told of them.
    pub(crate) fn end_released(&mut self, log: &mut BackendLog) {
        let released = self.open.extract_if(.., |open| open.held.is_some());
        log.tasks.extend(released.map(EngineTask::end));
    }

    fn server_line(&mut self, line: &[u8], at: Option<BackendMoment>, log: &mut BackendLog) -> LineUse {
        if !may_hold_fact(line) {
            return LineUse::Known;
        }
        let (Some(function), Some(text)) = (line.get(FUNCTION_AT..TEXT_AT - 2), line.get(TEXT_AT..)) else {
            return LineUse::Unreadable;
        };
        let has_word = match function {
            b"update_slots" => text.starts_with(b"all slots are idle"),
            _ => Words::of_engine().are_in(line),
        };
        if !has_word {
            return LineUse::Known;
        }
        self.note(at, log);
        match function {
            b"        init" | b"  load_model" | b"llama_server" | b"        main" => {
                self.load_line(text, at, log)
            }
            b"      update" => {
                let Some(limit) =
                    text.strip_prefix(b" - cache state: ").map(|text| after_decimal(text, b"(limits: "))
                else {
                    return LineUse::Known;
                };
                let Some(mib) = limit else { return LineUse::Unreadable };
                if let Some(process) = self.process(log) {
                    // 0 is no limit: a server without this cache writes no such line.
                    process.ram_cache_bytes = bytes_of_mib(mib).filter(|bytes| *bytes > 0);
                }
                LineUse::Fact
            }
            b"server_strea" if text.starts_with(b"conv_id") => {
                if self.waiting.len() < MAX_WAITING {
                    self.waiting.push_back(at);
                }
                LineUse::Fact
            }
            b"        stop" | b"cancel_tasks" => {
                let Some(task) = text.strip_prefix(b"cancel task, id_task = ") else { return LineUse::Known };
                let Some((task, _)) = scan::number(task) else { return LineUse::Unreadable };
                self.cancel(task);
                LineUse::Fact
            }
            b"  send_error" => self.error_line(text),
            b"update_slots" => {
                self.end_released(log);
                self.waiting.clear();
                self.is_waiting_unknown = false;
                LineUse::Fact
            }
            _ => LineUse::Known,
        }
    }

    fn cancel(&mut self, task: u64) {
        let newest = self.open.iter().filter_map(|open| open.task.task).max();
        match self.open.iter_mut().find(|open| open.task.task == Some(task)) {
            Some(open) => open.is_cancelled = open.held.is_none(),
            // It waited for a slot: the line does not say which of the waiting requests it was.
            None if newest.is_some_and(|newest| newest < task) => {
                self.waiting.clear();
                self.is_waiting_unknown = true;
            }
            None => {}
        }
    }

    /// `task id = 101, error: request (18025 tokens) exceeds the available context size (8192 tokens)`
    fn error_line(&mut self, text: &[u8]) -> LineUse {
        let Some(task) = after(text, b"task id = ").or_else(|| after(text, b"id_task = ")) else {
            return LineUse::Known;
        };
        let Some(said) = find(text, b"error: ").and_then(|at| text.get(at + b"error: ".len()..)) else {
            return LineUse::Known;
        };
        let said = said.get(..MAX_ERROR_BYTES).unwrap_or(said);
        let Some(open) = self.open.iter_mut().find(|open| open.task.task == Some(task)) else {
            return LineUse::Known;
        };
        open.task.error = Some(String::from_utf8_lossy(said).trim_end().into());
        if let Some(tokens) = said.strip_prefix(b"request (").and_then(scan::number).map(|(tokens, _)| tokens)
        {
            open.task.prompt_tokens.get_or_insert(tokens);
        }
        LineUse::Fact
    }

    /// Older servers log the timings of a task on lines without its number.
    fn timing_line(&mut self, text: &[u8], log: &mut BackendLog) -> LineUse {
        let Some((slot, task)) = self.timed else { return LineUse::Other };
        match timing(text) {
            TaskLine::Read(read) => self.read(slot, task, read),
            TaskLine::Written(write) => {
                self.timed = None;
                self.write(slot, task, write, self.last, log)
            }
            TaskLine::Unreadable => LineUse::Unreadable,
            _ => LineUse::Other,
        }
    }
}
