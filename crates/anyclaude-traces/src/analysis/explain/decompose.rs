//! The difference of two requests, or of two groups of them, by cause.
//!
//! Reading is `s × (needed + again)` with the seconds per token `s`, writing
//! `w × output tokens`. With the speed of both sides pooled, the difference of each is
//! the sum of what more tokens cost and of what each token costs more: exactly, the same
//! whichever side comes first, and steady where one side reads 50 tokens and the other
//! 5,000. What is unknown on a side is null, and its time stands in `other`.

use super::cause::{DelayCause, PerCause};
use crate::model::stats::float;
use crate::model::timing::Timing;

/// What is known of one request, in milliseconds and tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RequestSample {
    pub(super) proxy: Option<f64>,
    pub(super) load: Option<f64>,
    pub(super) queue: Option<f64>,
    pub(super) stall: Option<f64>,
    /// What of `total` is in no part.
    other: f64,
    read_ms: Option<f64>,
    write_ms: Option<f64>,
    pub(super) prompt: Option<PromptCounts>,
    pub(super) output_tokens: Option<f64>,
    pub(super) total: f64,
}

/// The tokens of a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PromptCounts {
    pub(super) tokens: f64,
    /// What the backend had to read of them.
    pub(super) read: f64,
    /// What even a perfect cache leaves to read.
    pub(super) needed: f64,
}

impl RequestSample {
    /// What is known of a request that took `timing.total_ms`; `None` where that is not.
    pub(super) fn of(timing: &Timing) -> Option<Self> {
        let total = float(timing.total_ms.get()?);
        let [load, queue, read_ms, write_ms, stall] =
            [timing.load_ms, timing.queue_ms, timing.read_ms, timing.write_ms, timing.stall_ms]
                .map(|ms| ms.get().map(float));
        let known: f64 = [load, queue, read_ms, write_ms, stall].into_iter().flatten().sum();
        let prompt = timing.prompt_tokens.get().zip(timing.read_tokens.get()).map(|(tokens, read)| {
            PromptCounts {
                tokens: float(tokens.max(1)),
                // A prompt that the cache holds whole still has its last token read.
                read: float(read.max(1)),
                // Where no thread is known, all of a prompt is measured against what was read.
                needed: float(timing.needed_tokens.get().unwrap_or(tokens)),
            }
        });
        Some(Self {
            proxy: timing.proxy_ms.get().map(float),
            load,
            queue,
            stall,
            other: total - known,
            read_ms,
            write_ms,
            prompt,
            output_tokens: timing.believed_output_tokens().map(float),
            total,
        })
    }

    /// How long it took, with the proxy's own work or without.
    pub(super) fn wall(&self, with_proxy: bool) -> f64 {
        self.total + self.proxy.filter(|_| with_proxy).unwrap_or(0.0)
    }

    fn reading(&self) -> Option<ReadingTime> {
        Some(ReadingTime { ms: self.read_ms?, read: self.prompt?.read, needed: self.prompt?.needed })
    }

    fn writing(&self) -> Option<Writing> {
        Some(Writing { ms: self.write_ms?, tokens: self.output_tokens? })
    }
}

/// Time spent reading, and what was read in it.
#[derive(Debug, Clone, Copy)]
struct ReadingTime {
    ms: f64,
    read: f64,
    needed: f64,
}

/// Time spent writing, and what was written in it.
#[derive(Debug, Clone, Copy)]
struct Writing {
    ms: f64,
    tokens: f64,
}

/// What each cause adds to the right side, in milliseconds. They add up to the
/// difference: [`DelayCause::Other`] is always known.
pub(super) type Delays = PerCause<Option<f64>>;

pub(super) fn delta(delays: &Delays) -> f64 {
    delays.iter().filter_map(|(_, ms)| ms).sum()
}

/// The difference of two requests. Where their bodies are `equal`, the prompts of both
/// have the mean of both counts: a tokenizer makes no prompt larger.
pub(super) fn of_pair(left: &RequestSample, right: &RequestSample, equal: bool, with_proxy: bool) -> Delays {
    let mut parts = OpenDelays::new(right.other - left.other);
    if with_proxy {
        parts.plain(DelayCause::Proxy, left.proxy, right.proxy);
    }
    parts.plain(DelayCause::ModelLoad, left.load, right.load);
    parts.plain(DelayCause::Queueing, left.queue, right.queue);
    parts.plain(DelayCause::Stalls, left.stall, right.stall);
    let read_ms = right.read_ms.unwrap_or(0.0) - left.read_ms.unwrap_or(0.0);
    let mut readings = left.reading().zip(right.reading());
    if let (true, Some((a, b)), Some((left, right))) = (equal, &mut readings, left.prompt.zip(right.prompt)) {
        let mean = left.tokens.midpoint(right.tokens);
        for (reading, tokens) in [(&mut *a, left.tokens), (&mut *b, right.tokens)] {
            reading.read *= mean / tokens;
            reading.needed *= mean / tokens;
        }
        // What is new in a prompt is the same on both sides: one that needs more has lost
        // sight of the request before it.
        let needed = a.needed.min(b.needed);
        (a.needed, b.needed) = (needed, needed);
    }
    parts.reading(read_ms, readings, 1.0);
    let write_ms = right.write_ms.unwrap_or(0.0) - left.write_ms.unwrap_or(0.0);
    parts.writing(write_ms, left.writing().zip(right.writing()), 1.0);
    parts.finish()
}

/// The sums of a group of requests.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    n: f64,
    proxy: KnownSum,
    load: KnownSum,
    queue: KnownSum,
    stall: KnownSum,
    other: f64,
    read_ms: f64,
    write_ms: f64,
    /// Of those requests alone whose tokens are known.
    reading: [f64; 4],
    writing: [f64; 3],
}

/// The sum of what is known, and of how many requests that is.
#[derive(Debug, Clone, Copy, Default)]
struct KnownSum {
    n: f64,
    sum: f64,
}

impl KnownSum {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.n += 1.0;
            self.sum += value;
        }
    }

    fn add_sum(&mut self, other: Self) {
        self.n += other.n;
        self.sum += other.sum;
    }

    /// The mean over a group of so many; `None` where no request's value is known.
    fn mean(self, n: f64) -> Option<f64> {
        (self.n > 0.0).then(|| self.sum / n)
    }
}

impl Sums {
    pub(super) fn add(&mut self, sample: &RequestSample) {
        self.n += 1.0;
        self.proxy.add(sample.proxy);
        self.load.add(sample.load);
        self.queue.add(sample.queue);
        self.stall.add(sample.stall);
        self.other += sample.other;
        self.read_ms += sample.read_ms.unwrap_or(0.0);
        self.write_ms += sample.write_ms.unwrap_or(0.0);
        if let Some(ReadingTime { ms, read, needed }) = sample.reading() {
            add(&mut self.reading, [1.0, ms, read, needed]);
        }
        if let Some(Writing { ms, tokens }) = sample.writing() {
            add(&mut self.writing, [1.0, ms, tokens]);
        }
    }

    /// Adds another group.
    pub(super) fn add_sums(&mut self, other: &Self) {
        self.n += other.n;
        self.proxy.add_sum(other.proxy);
        self.load.add_sum(other.load);
        self.queue.add_sum(other.queue);
        self.stall.add_sum(other.stall);
        self.other += other.other;
        self.read_ms += other.read_ms;
        self.write_ms += other.write_ms;
        add(&mut self.reading, other.reading);
        add(&mut self.writing, other.writing);
    }

    fn mean_reading(&self) -> Option<ReadingTime> {
        let [n, ms, read, needed] = self.reading;
        (n > 0.0).then(|| ReadingTime { ms: ms / n, read: read / n, needed: needed / n })
    }

    fn mean_writing(&self) -> Option<Writing> {
        let [n, ms, tokens] = self.writing;
        (n > 0.0).then(|| Writing { ms: ms / n, tokens: tokens / n })
    }
}

fn add<const N: usize>(sums: &mut [f64; N], values: [f64; N]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// The difference of the means of two groups. Where the tokens of some requests are
/// unknown, the others stand for their own share of the group, and the rest is in
/// `other`.
pub(super) fn of_groups(left: &Sums, right: &Sums, with_proxy: bool) -> Delays {
    let (n, m) = (left.n, right.n);
    let mut parts = OpenDelays::new(right.other / m - left.other / n);
    if with_proxy {
        parts.plain(DelayCause::Proxy, left.proxy.mean(n), right.proxy.mean(m));
    }
    parts.plain(DelayCause::ModelLoad, left.load.mean(n), right.load.mean(m));
    parts.plain(DelayCause::Queueing, left.queue.mean(n), right.queue.mean(m));
    parts.plain(DelayCause::Stalls, left.stall.mean(n), right.stall.mean(m));
    let known = |left: f64, right: f64| (left / n).min(right / m);
    parts.reading(
        right.read_ms / m - left.read_ms / n,
        left.mean_reading().zip(right.mean_reading()),
        known(left.reading[0], right.reading[0]),
    );
    parts.writing(
        right.write_ms / m - left.write_ms / n,
        left.mean_writing().zip(right.mean_writing()),
        known(left.writing[0], right.writing[0]),
    );
    parts.finish()
}

/// Delays that are being put together.
struct OpenDelays {
    delays: Delays,
    other: f64,
}

impl OpenDelays {
    fn new(other: f64) -> Self {
        Self { delays: Delays::default(), other }
    }

    fn set(&mut self, cause: DelayCause, ms: f64) {
        *self.delays.get_mut(cause) = Some(ms);
    }

    /// A part that is one number on each side.
    fn plain(&mut self, cause: DelayCause, left: Option<f64>, right: Option<f64>) {
        match (left, right) {
            (Some(left), Some(right)) => self.set(cause, right - left),
            _ => self.other += right.unwrap_or(0.0) - left.unwrap_or(0.0),
        }
    }

    /// `difference` of the reading times, of which `known` is what these two stand for.
    fn reading(&mut self, difference: f64, readings: Option<(ReadingTime, ReadingTime)>, known: f64) {
        let Some((a, b)) = readings else {
            self.other += difference;
            return;
        };
        let ms_per_token = (a.ms + b.ms) / (a.read + b.read);
        let size = (b.needed - a.needed) * ms_per_token;
        let cache = ((b.read - b.needed) - (a.read - a.needed)) * ms_per_token;
        self.set(DelayCause::PromptSize, size * known);
        self.set(DelayCause::PromptCache, cache * known);
        self.set(DelayCause::PromptProcessingSpeed, (b.ms - a.ms - size - cache) * known);
        self.other += difference - (b.ms - a.ms) * known;
    }

    /// The same of writing. A side that wrote nothing borrows the other's speed.
    fn writing(&mut self, difference: f64, writings: Option<(Writing, Writing)>, known: f64) {
        let Some((a, b)) = writings else {
            self.other += difference;
            return;
        };
        let written = b.ms - a.ms;
        let length = match (a.tokens > 0.0, b.tokens > 0.0) {
            (true, true) => (b.tokens - a.tokens) * (a.ms + b.ms) / (a.tokens + b.tokens),
            (false, false) => 0.0,
            _ => written,
        };
        self.set(DelayCause::OutputLength, length * known);
        self.set(DelayCause::GenerationSpeed, (written - length) * known);
        self.other += difference - written * known;
    }

    fn finish(mut self) -> Delays {
        let other = self.other;
        self.set(DelayCause::Other, other);
        self.delays
    }
}
