//! What the engine's lines do to the requests of a log, and the log's end.

use super::LmStudioState;
use super::block::{LmStudioBlock, LmStudioBlockKind};
use crate::formats::backend::llama::LineUse;
use crate::formats::backend::llama::head::since_start;
use crate::formats::backend::types::{BackendLog, BackendMoment, BackendProcess, LoggedBody};
use crate::formats::scan;

impl LmStudioState {
    /// A line that llama.cpp's server may have written, with or without its own head.
    pub(super) fn engine_line(&mut self, line: &[u8]) {
        let text = since_start(line).map_or(line, |(_, text)| text);
        let ended = self.log.tasks.len();
        match self.engine.line(text, self.at, &mut self.log) {
            LineUse::Fact => {}
            LineUse::Unreadable => {
                self.log.unreadable_lines += 1;
                return;
            }
            LineUse::Known | LineUse::Other => return,
        }
        self.tie(ended);
        // What was launched last stands last; what was launched before the file begins has no
        // start.
        let newest = self.engine.open().last().filter(|task| task.started.is_some());
        let newest = newest.and_then(|task| task.slot.zip(task.task));
        if newest != self.newest
            && let Some(launched) = newest
        {
            self.untied = (!self.requests.launched(launched, self.at)).then_some(launched);
        }
        self.newest = newest;
        const CANCEL: &[u8] = b"cancel task, id_task = ";
        if text.starts_with(b"srv ")
            && let Some(at) = memchr::memmem::find(text, CANCEL)
            && let Some((task, _)) = text.get(at + CANCEL.len()..).and_then(scan::number)
        {
            self.requests.cancelled(task, self.at);
        }
    }

    /// Ties the engine's tasks from this place on to their requests.
    fn tie(&mut self, ended: usize) {
        for mut work in self.log.tasks.split_off(ended) {
            work.file = self.requests.file;
            if work.slot.zip(work.task) == self.untied {
                self.untied = None;
            }
            self.requests.worked_on(work, &mut self.log);
        }
    }

    /// No request goes on.
    pub(super) fn end_server(&mut self) {
        let ended = self.log.tasks.len();
        self.engine.finish(&mut self.log);
        self.tie(ended);
        self.requests.finish(&mut self.log);
        (self.newest, self.untied) = (None, None);
    }

    /// The file ends, and what is open goes on in the next.
    pub(super) fn next_file(&mut self) {
        if self.cut_body() {
            // No request's body is looked for in two files. What is left of it is no line of
            // the server's own.
            self.block = Some(LmStudioBlock::begin(LmStudioBlockKind::Other, b"{", &mut self.memory));
        }
        self.ends.push(self.log.end([self.requests.open_load(), self.engine.open_load()]));
        self.requests.file += 1;
        self.received = 0;
    }

    /// Whether the file ends inside of a body.
    fn cut_body(&mut self) -> bool {
        let Some(block) = self.block.take_if(|block| block.kind == LmStudioBlockKind::Body) else {
            return false;
        };
        self.log.unreadable_lines += 1;
        let json = block.text().unwrap_or_default();
        if let Some(task) = self.requests.of_line(self.received.saturating_sub(1)) {
            task.requested_model =
                scan::member_text(json, "model").map(|model| String::from_utf8_lossy(model).into());
            task.body = Some(LoggedBody::Cut);
        }
        true
    }

    pub(super) fn finish(mut self) -> BackendLog {
        self.cut_body();
        self.end_server();
        let mut log = self.log;
        if log.processes.is_empty() {
            log.processes.push(BackendProcess::default());
        }
        log.tasks.sort_by_key(|task| (task.ended.is_none(), task.ended.map(BackendMoment::clock_ms)));
        log
    }
}
