//! What a request will take whose tokens nobody has counted yet.

use super::row::{Row, prompt_tokens, rounded};
use super::{CacheInput, Rows};
use crate::model::request::{Request, TracePath};
use crate::model::{CacheUse, ModelSpeeds};
use crate::prompt_cache::Simulation;

/// What is expected of a request that is still being read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forecast {
    /// The request.
    pub path: TracePath,
    /// The tokens of its prompt.
    pub prompt_tokens: u64,
    /// Of these, what has to be read.
    pub read_tokens: u64,
    /// How long that takes at the model's speed; `None` where that is unknown.
    pub ttft_ms: Option<u64>,
}

impl Rows {
    /// What is expected of those of these requests whose tokens are not counted: those of
    /// a byte are as many as in the model's other prompts.
    pub(crate) fn forecasts(
        &self,
        passing: &[CacheInput<'_>],
        simulation: &Simulation<'_>,
        speeds: &[ModelSpeeds],
    ) -> Vec<Forecast> {
        let rates = self.rates(passing, speeds);
        let open = |(at, (input, row)): (usize, (&CacheInput<'_>, Option<&Row>))| {
            let row = row.filter(|_| prompt_tokens(input.request).is_none())?;
            let continued = simulation.reuse.get(at).and_then(|reuse| reuse.continues);
            let unread = unread_bytes(input.request, row, speeds, continued.map(|of| of.bytes_behind_answer));
            let tokens = |bytes| rates.tokens(input.request, row, bytes);
            let read_tokens = tokens(unread)?;
            Some(Forecast {
                path: input.request.path.clone(),
                prompt_tokens: rounded(tokens(row.prompt_bytes)?)?,
                read_tokens: rounded(read_tokens)?,
                ttft_ms: rates.ms(input.request, Some(read_tokens)).and_then(rounded),
            })
        };
        passing.iter().zip(self.each()).enumerate().filter_map(open).collect()
    }
}

/// The bytes of a prompt that its backend has to read, as far as it is seen to reuse any.
fn unread_bytes(request: &Request, row: &Row, speeds: &[ModelSpeeds], behind_answer: Option<u64>) -> u64 {
    let model = request.model_group();
    let reads_all = speeds.iter().any(|of| of.model == model && of.speeds.cache == CacheUse::ReadsAll);
    if reads_all {
        return row.prompt_bytes;
    }
    let new = row.prompt_bytes - row.reusable_bytes;
    // The cache holds the answer too, which came back as a part of this prompt.
    behind_answer.map_or(new, |behind| new.min(behind))
}
