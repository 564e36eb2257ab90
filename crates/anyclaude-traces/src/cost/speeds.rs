//! The speeds of a model, over requests that [`fit`](super::fit) has filled.

use std::collections::BTreeMap;

use super::Model;
use super::rate::{Rate, Sample};
use crate::model::request::Request;
use crate::model::stats::median;
use crate::model::timing::Timing;
use crate::model::{CacheUse, ModelSpeeds, SpeedSource, Speeds};

/// The speeds over these requests, which one model answered; `None` where several did,
/// or none. Pass requests of all kinds: the first of a process holds most of the reading,
/// whatever it is for.
pub fn speeds<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Option<Speeds> {
    let mut models = by_model(requests).into_values();
    let of_one = models.next()?;
    models.next().is_none().then(|| of_model(&of_one))
}

/// The speeds of each model that answered one of these requests, by its name.
pub fn speeds_by_model<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Vec<ModelSpeeds> {
    let speeds =
        |(model, requests): (Model, Vec<&Request>)| ModelSpeeds { model, speeds: of_model(&requests) };
    by_model(requests).into_iter().map(speeds).collect()
}

/// The requests that have times, by model. A server's log may time requests without a date.
fn by_model<'a>(requests: impl IntoIterator<Item = &'a Request>) -> BTreeMap<Model, Vec<&'a Request>> {
    let mut models: BTreeMap<Model, Vec<&Request>> = BTreeMap::new();
    for request in requests {
        let sample = request.speed_sample();
        let is_dated = request.timing.as_ref().is_some_and(|timing| timing.start.is_some());
        if is_dated || sample.reads || sample.writes {
            models.entry(request.model_group()).or_default().push(request);
        }
    }
    models
}

fn of_model(requests: &[&Request]) -> Speeds {
    let reads: Vec<Sample> = requests.iter().filter_map(|request| read_sample(request)).collect();
    let read: Rate = reads.iter().copied().collect();
    let write: Rate = requests.iter().filter_map(|request| write_sample(request)).collect();
    let seen = requests.iter().map(|request| request.speed_sample().cache);
    Speeds {
        read_tokens_per_second: read.per_second(),
        write_tokens_per_second: write.per_second(),
        cache: seen.into_iter().find(|cache| *cache != CacheUse::Unknown).unwrap_or_default(),
        n_read: read.n,
        n_write: write.n,
        spread: read.ms_per_token().and_then(|all| spread(&reads, all)),
        source: (read.n > 0 || write.n > 0).then(|| source(requests)),
    }
}

/// Whose times these are: the server's, where its log has any of them.
fn source(requests: &[&Request]) -> SpeedSource {
    let samples = requests.iter().map(|request| request.speed_sample());
    let is_measured = samples.filter(|sample| sample.reads || sample.writes).any(|sample| sample.is_measured);
    if is_measured { SpeedSource::ServerLog } else { SpeedSource::Requests }
}

/// The median relative deviation of the samples' speeds from the speed over all of them.
fn spread(samples: &[Sample], ms_per_token: f64) -> Option<f64> {
    median(samples.iter().map(|sample| (ms_per_token / sample.ms_per_token() - 1.0).abs()).collect())
}

fn read_sample(request: &Request) -> Option<Sample> {
    let timing = request.timing.as_ref().filter(|_| request.speed_sample().reads)?;
    Some(Sample { tokens: timing.read_tokens.get()?, ms: timing.read_ms.get()? })
}

fn write_sample(request: &Request) -> Option<Sample> {
    let timing = request.timing.as_ref().filter(|_| request.speed_sample().writes)?;
    Some(Sample { tokens: timing.output_tokens.get()?.saturating_sub(1), ms: timing.write_ms.get()? })
}

impl Speeds {
    /// How many milliseconds the model takes to read so many tokens that no cache holds; `None`
    /// where its reading speed is unknown.
    #[must_use]
    pub fn reading_ms(&self, tokens: f64) -> Option<f64> {
        self.read_tokens_per_second.map(|speed| tokens * 1000.0 / speed)
    }

    /// How many milliseconds it takes to write so many; `None` where its writing speed is unknown.
    #[must_use]
    pub fn writing_ms(&self, tokens: f64) -> Option<f64> {
        self.write_tokens_per_second.map(|speed| tokens * 1000.0 / speed)
    }
}

impl Timing {
    /// How fast its prompt was read: tokens that were not in the cache, per second.
    #[must_use]
    pub fn read_tokens_per_second(&self) -> Option<f64> {
        Rate::from_iter([Sample { tokens: self.read_tokens.get()?, ms: self.read_ms.get()? }]).per_second()
    }

    /// How fast its answer was written: all tokens but the first, per second.
    #[must_use]
    pub fn write_tokens_per_second(&self) -> Option<f64> {
        Rate::from_iter([Sample {
            tokens: self.output_tokens.get()?.checked_sub(1)?,
            ms: self.write_ms.get()?,
        }])
        .per_second()
    }
}
