//! Whose prompt it is that a line tells the progress of.

use super::Requests;
use crate::formats::backend::lmstudio::open::LmStudioRequest;
use crate::formats::backend::{BackendLog, BackendMoment, BackendTask};

impl Requests {
    /// How much of a prompt is read, in percent. A request of which the file has no other
    /// beginning is known from here on; `launched` is the engine's task that no request has.
    pub(in crate::formats::backend::lmstudio) fn progress(
        &mut self,
        tag: Option<&[u8]>,
        percent: f64,
        at: Option<BackendMoment>,
        launched: Option<(u64, u64)>,
        log: &mut BackendLog,
    ) {
        // It never goes back; of several requests that it may be of, the nearest below it is taken.
        // Where no engine tells them apart, one that begins with 0 is not one that is there already.
        let reads = |open: &LmStudioRequest| {
            let fits = open.may_be(tag) && open.task.first_token.is_none();
            let is_told = open.engine.is_some();
            let nearness = match open.progress {
                None if percent <= 0.0 && !is_told => 3,
                None => 0,
                Some(before) if before < percent || before <= percent && is_told => 2 + tenths(before),
                Some(before) if before <= percent => 1,
                Some(_) => return None,
            };
            fits.then(|| 2 * nearness + u32::from(open.runs))
        };
        if !self.open.iter().any(|open| !open.is_over && open.may_be(tag)) {
            let model = tag.map(|tag| self.name(tag));
            let task = BackendTask { model, ..BackendTask::default() };
            self.push(
                LmStudioRequest { task, runs: true, engine: launched, ..LmStudioRequest::default() },
                at,
                log,
            );
        }
        if percent >= 100.0 {
            self.doubt_those_read_at_once(tag);
        }
        let Some(open) = self.due(reads) else { return };
        (open.progress, open.last) = (Some(percent), at);
        open.task.seen_reading = open.task.seen_reading.or(at);
        if percent <= 0.0 {
            open.task.started = open.task.started.or(at);
        }
        if percent >= 100.0 {
            open.task.first_token = at;
        }
    }

    /// Where the end of a prompt may be that of several that are being read, and no engine tells
    /// which, all of them are marked.
    fn doubt_those_read_at_once(&mut self, tag: Option<&[u8]>) {
        let is_one = |open: &&mut LmStudioRequest| {
            let is_read = open.progress.is_some() && open.task.first_token.is_none();
            is_read && !open.is_over && open.may_be(tag) && open.engine.is_none()
        };
        let mut ones: Vec<&mut LmStudioRequest> = self.open.iter_mut().filter(is_one).collect();
        if ones.len() > 1 {
            ones.iter_mut().for_each(|one| one.task.is_ambiguous = true);
        }
    }
}

/// Percent in tenths, as they are logged.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within 0 to 1000")]
fn tenths(percent: f64) -> u32 {
    (percent.clamp(0.0, 100.0) * 10.0) as u32
}
