//! Writes what the steps found into the timing that all other rooms read.

use super::{CaseFacts, signed};
use crate::cost::cached::CachedTokens;
use crate::model::timing::{Timing, TokenSource};
use crate::model::{Amount, ServerTask};

impl CaseFacts {
    /// Writes the parts of time and the tokens into the timing that all other rooms read.
    pub(in crate::cost) fn fill(&self, timing: &mut Timing) {
        self.fill_sources(timing);
        self.fill_parts(timing);
        // A server's log alone does not tell when its client saw the first token.
        if let Some(server) = self.server.as_deref().filter(|_| !self.ttft_ms.is_known()) {
            self.fill_measured_parts(timing, server);
        }
        self.fill_tokens(timing);
    }

    /// Marks the counts that are not believed.
    fn fill_sources(&self, timing: &mut Timing) {
        let refuse = |source: &mut Option<TokenSource>, reported: Amount, believed: Amount| {
            if reported.is_known() && !believed.is_known() {
                *source = Some(TokenSource::Implausible);
            }
        };
        refuse(&mut timing.prompt_tokens_source, self.reported_prompt_tokens, self.prompt_tokens);
        refuse(&mut timing.output_tokens_source, self.reported_output_tokens, self.output_tokens);
        if !self.prompt_tokens.is_known() {
            timing.prefill_tokens_per_second = None;
        }
    }

    fn fill_parts(&self, timing: &mut Timing) {
        let parts = self.parts();
        // Without a start no log tells of it, so that loads and queues are unknown, not 0.
        let is_logged = self.start_ms.is_some();
        timing.load_ms = parts.map(|parts| parts.load_ms()).filter(|_| is_logged).into();
        timing.queue_ms = parts.map(|parts| parts.queue_ms()).filter(|_| is_logged).into();
        timing.read_ms = parts.and_then(|parts| parts.read_ms()).into();
        timing.write_ms = parts.and_then(|parts| parts.write_ms()).into();
        timing.stall_ms = parts.and_then(|parts| parts.stall_ms()).into();
        timing.other_ms = parts.map(|parts| parts.other_ms()).into();
    }

    /// The parts that the server measured, where no time to first token is known.
    fn fill_measured_parts(&self, timing: &mut Timing, server: &ServerTask) {
        (timing.read_ms, timing.write_ms) = (server.read_ms, server.write_ms);
        timing.queue_ms = server.queue_ms;
        let known = [server.read_ms, server.write_ms, server.queue_ms, self.proxy_ms]
            .into_iter()
            .filter_map(Amount::get);
        let whole = self.total_ms.get().map(|total| total.saturating_add(self.proxy_ms.get().unwrap_or(0)));
        timing.other_ms = whole.map(|whole| known.fold(whole, u64::saturating_sub)).into();
    }

    fn fill_tokens(&self, timing: &mut Timing) {
        timing.cached_tokens = self.cached.map(CachedTokens::tokens).into();
        timing.cached_source = self.cached.map(CachedTokens::source);
        timing.read_tokens = self.read_tokens().into();
        timing.needed_tokens = self.needed_tokens;
        timing.again_tokens = self
            .read_tokens()
            .zip(self.needed_tokens.get())
            .map(|(read, needed)| signed(read).saturating_sub(signed(needed)));
    }
}
