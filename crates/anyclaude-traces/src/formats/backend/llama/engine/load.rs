//! A server's lines of its start and of loading a model.

use std::sync::Arc;

use super::{Engine, LineUse};
use crate::formats::backend::llama::figures::{after, find, model_name, precise_ms};
use crate::formats::backend::types::{BackendLoad, BackendLog, BackendMoment};
use crate::formats::scan;

/// A load that has begun.
#[derive(Debug, Default, Clone)]
pub(super) struct Loading {
    place: usize,
    /// When the server last said of itself what it does once it has the model.
    has_model: Option<BackendMoment>,
}

impl Engine {
    /// Lines of loading, and what the server says of itself then.
    pub(super) fn load_line(
        &mut self,
        text: &[u8],
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) -> LineUse {
        if text == b"initializing ..." {
            // The first line of a process.
            if self.process.is_some() && !self.is_mixed {
                self.finish(log);
            }
            return LineUse::Known;
        }
        if let Some(model) = text.strip_prefix(b"loading model") {
            self.begin_load(model_name(model), at, log);
            return LineUse::Fact;
        }
        if text.starts_with(b"model loaded") {
            self.end_load(at, log);
            return LineUse::Fact;
        }
        if let Some(limit) = text.strip_prefix(b"prompt cache is enabled, size limit: ") {
            let mib = scan::number(limit).map(|(mib, _)| mib);
            if let Some(process) = self.process(log) {
                process.ram_cache_bytes = mib.and_then(|mib| mib.checked_mul(1 << 20));
            }
            return LineUse::Fact;
        }
        if text.starts_with(b"prompt cache is disabled") {
            if let Some(process) = self.process(log) {
                process.ram_cache_bytes = Some(0);
            }
            return LineUse::Fact;
        }
        if text.starts_with(b"initializing") && find(text, b"n_slots = ").is_some() {
            if let Some(loading) = &mut self.loading {
                loading.has_model = at;
            }
            let (slots, context) = (after(text, b"n_slots = "), after(text, b"n_ctx_slot = "));
            // Slots that share one memory for what they hold may each fill all of it.
            const UNIFIED: &[u8] = b"kv_unified = ";
            let unified = find(text, UNIFIED).and_then(|at| text.get(at + UNIFIED.len()..));
            if let Some(process) = self.process(log) {
                process.is_context_divided = unified.map(|said| said.starts_with(b"'false'"));
                process.slots = slots.or(process.slots);
                process.context_tokens = context.or(process.context_tokens);
            }
            return LineUse::Fact;
        }
        LineUse::Known
    }

    /// `loading model` is logged twice for each load; the first is its beginning.
    fn begin_load(&mut self, model: Option<Arc<str>>, at: Option<BackendMoment>, log: &mut BackendLog) {
        let process = self.process_index(log);
        let Loading { place, .. } = *self.loading.get_or_insert_with(|| {
            log.loads.push(BackendLoad { process, started: at, ..BackendLoad::default() });
            Loading { place: log.loads.len() - 1, has_model: None }
        });
        if model.is_some() {
            if let Some(load) = log.loads.get_mut(place) {
                load.model.clone_from(&model);
            }
            if let Some(process) = log.processes.get_mut(process) {
                process.model = model;
            }
        }
    }

    /// The model is loaded: a server that slept says so only of its first load, and has it when
    /// it works on a task.
    pub(super) fn end_load(&mut self, at: Option<BackendMoment>, log: &mut BackendLog) {
        let Some(Loading { place, has_model }) = self.loading.take() else { return };
        let Some(load) = log.loads.get_mut(place) else { return };
        load.ended = at.or(has_model);
        load.load_ms = load.ended.zip(load.started).and_then(|(end, start)| precise_ms(end, start));
        self.has_untimed_load = load.started.is_none() && load.ended.is_none();
    }

    /// The place of the load that goes on.
    pub(crate) fn open_load(&self) -> Option<usize> {
        self.loading.as_ref().map(|loading| loading.place)
    }
}
