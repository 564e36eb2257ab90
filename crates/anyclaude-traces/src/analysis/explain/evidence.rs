//! The headline of an answer and the facts that it rests on, as values. Their sentences are in
//! `prose`.

use super::cause::{DelayCause, Part};
use super::direct::Direct;
use super::millis::Interval;
use super::writing::{WritingChange, WritingRate};
use crate::model::timing::CachedSource;

/// A fact, and the requests that it is of. Serialised as one text, with the requests in
/// brackets behind the sentence.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CitedFact {
    /// The fact.
    pub fact: Fact,
    /// The names of the trace files, without their ending: the first pair or the
    /// first of each side, and how many more there are.
    pub requests: Option<String>,
}

/// One figure of both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// Of the slower side.
    pub slower: f64,
    /// Of the faster side.
    pub faster: f64,
    /// What they are counted in.
    pub unit: FigureUnit,
    /// Whether each comes from few requests, or from some that differ much: of the slower
    /// side, then of the faster.
    pub are_rough: [bool; 2],
}

/// What figures are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureUnit {
    /// Milliseconds a request.
    Ms,
    /// Tokens a request.
    Tokens,
    /// Tokens in a second.
    TokensPerSecond,
    /// Which share of the prompt tokens came from the prompt cache.
    CachedShare,
}

/// In how many requests of a side something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occurrences {
    /// In so many …
    pub n: u64,
    /// … of so many.
    pub of: u64,
}

/// The answer in one sentence: it names the largest contribution and nothing else.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Headline {
    /// A sentence that was read back from JSON.
    Text(String),
    /// One side is slower, above all for this cause.
    Slower {
        /// The slower side.
        slower: String,
        /// The largest contribution.
        cause: DelayCause,
        /// The figures behind it, where they are known.
        figures: Option<Figures>,
        /// In how many requests it happened, where it comes from single ones.
        occurrences: Option<Occurrences>,
    },
    /// Both take about as long.
    Alike {
        /// The left side.
        left: String,
        /// The right side.
        right: String,
        /// What the left one takes.
        left_ms: f64,
        /// What the right one takes.
        right_ms: f64,
    },
    /// Requests differ so much among themselves that the difference may be chance.
    Uncertain {
        /// The side that is slower in the mean.
        slower: String,
        /// By so much.
        delta_ms: f64,
        /// Of the right side less the left one.
        interval: Option<Interval>,
    },
    /// Most of the difference cannot be told apart.
    Unexplained {
        /// The slower side.
        slower: String,
        /// The share of the difference that is in no part.
        share: f64,
        /// How much longer it waits before every answer, whatever there is to read, where
        /// that is most of it.
        constant_ms: Option<f64>,
    },
    /// A side has too few completed requests.
    TooFew {
        /// The sides, and how many they have.
        sides: Vec<(String, u64)>,
    },
    /// One side alone, whose requests took no time at all by what was recorded of them.
    NoTime {
        /// The side.
        name: String,
        /// How many completed requests it has.
        requests: u64,
    },
    /// One side alone: the largest part of its time.
    OneSide {
        /// The side.
        name: String,
        /// What a request takes in the mean.
        wall_ms: f64,
        /// The largest part.
        part: Part,
        /// How much of it that is.
        part_ms: f64,
        /// What is written in that time, where it is writing.
        writing: Option<WritingRate>,
    },
    /// Several models beside each other: the one that most of the time was spent on.
    Models {
        /// That model; `None` where it is unknown.
        name: Option<String>,
        /// What a request to it takes in the mean.
        wall_ms: f64,
        /// The largest part.
        part: Part,
        /// How much of it that is.
        part_ms: f64,
        /// What is written in that time, where it is writing.
        writing: Option<WritingRate>,
        /// The other models, and what a request to each takes in the mean.
        others: Vec<(Option<String>, f64)>,
    },
}

/// What a share is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareOf {
    /// The difference of two sides.
    Difference,
    /// The time of one side.
    Wait,
}

/// The guide's key question, whether anyclaude is the bottleneck, and its answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct KeyAnswer {
    /// Whether a proxy was recorded at all; else there is no such question.
    pub has_proxy: bool,
    /// Whether it is; `None` where that cannot be told.
    pub is_bottleneck: Option<bool>,
    /// The share of the proxy's own work, as a fraction.
    pub share: Option<f64>,
    /// What that is a share of.
    pub share_of: ShareOf,
    /// What of the difference is there without the proxy as well, where measurements
    /// without it decide.
    pub share_without_proxy: Option<f64>,
    /// The sentence, where it was read back from JSON: then nothing else is known.
    pub text: Option<String>,
}

impl KeyAnswer {
    pub(crate) fn of_text(text: String) -> Self {
        let (is_bottleneck, share, share_without_proxy) = (None, None, None);
        let (text, share_of) = (Some(text), ShareOf::Difference);
        Self { has_proxy: true, is_bottleneck, share, share_of, share_without_proxy, text }
    }
}

/// What an answer rests on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Fact {
    /// A sentence that was read back from JSON.
    Text(String),
    /// How the speed of writing changes meanwhile.
    Writing {
        /// The side, whose requests one model answered.
        side: String,
        /// How it changes.
        change: WritingChange,
    },
    /// What both sides take in the mean.
    Times {
        /// The slower side.
        slower: String,
        /// The faster side.
        faster: String,
        /// What the slower one takes.
        slower_ms: f64,
        /// What the faster one takes.
        faster_ms: f64,
        /// Whether the proxy's own work, where there is any, is part of it.
        with_proxy: bool,
    },
    /// What one cause adds to the difference, or takes off it where `share` is negative.
    Contribution {
        /// The cause.
        cause: DelayCause,
        /// How much, without a sign.
        ms: f64,
        /// The difference, without a sign.
        delta_ms: f64,
        /// Its share of everything that has the difference's sign.
        share: f64,
        /// The figures behind it, where they are known.
        figures: Option<Figures>,
        /// In how many requests of the slower side it happened, where it comes from
        /// single ones.
        occurrences: Option<Occurrences>,
    },
    /// How much of a side's prompts came from the prompt cache.
    Cached {
        /// The side.
        side: String,
        /// The share of its prompt tokens.
        share: f64,
        /// What the counts rest on, the weakest of it.
        source: CachedSource,
        /// In how many requests another prompt gave way in the slot, where little came from there.
        evictions: Option<Occurrences>,
    },
    /// The prompts of a side were read at so different speeds that the speed of all is of none.
    UnevenReading {
        /// The side.
        side: String,
        /// How many prompts.
        n: u64,
        /// Tokens per second of the slowest.
        least: f64,
        /// Half of them were read as fast, or faster.
        middle: f64,
        /// Of the fastest.
        most: f64,
    },
    /// Most answers of the slower side were written beside others, which slows them down.
    SharedWriting {
        /// The side.
        side: String,
        /// So many answers …
        n: u64,
        /// … of so many.
        of: u64,
        /// Tokens per second of the answers that had the backend for themselves.
        alone: f64,
    },
    /// How much the requests of a side read and write in the mean, where the recording does not
    /// tell how long either takes.
    Work {
        /// The side.
        side: String,
        /// Prompt tokens that no cache held.
        read: f64,
        /// Output tokens.
        written: f64,
    },
    /// What passes before every answer of a side, whatever there is to read.
    ConstantWait {
        /// The side.
        side: String,
        /// How much of a request that is, in the mean.
        ms: f64,
    },
    /// Requests that were in the backend together with others, which share its speed or wait.
    Shared {
        /// The side, whose requests one model answered.
        side: String,
        /// How many requests.
        requests: Occurrences,
        /// What reading took each of them, in the mean.
        ms: f64,
        /// What it would have taken, at the speed of those that were alone.
        alone_ms: f64,
    },
    /// The most keepalives that were sent during one wait.
    Keepalives {
        /// The side.
        side: String,
        /// How many.
        most: u64,
    },
    /// What both models take without the proxy.
    Direct {
        /// The left side.
        left: String,
        /// What its model takes.
        left_direct: Direct,
        /// The right side.
        right: String,
        /// What its model takes.
        right_direct: Direct,
        /// The share of the recorded difference that is there without the proxy.
        share: Option<f64>,
    },
    /// A part of the time of one side alone.
    Part {
        /// The part.
        part: Part,
        /// Its mean.
        ms: f64,
        /// What a request takes in the mean.
        wall_ms: f64,
        /// Tokens that were read or written in it, in the mean.
        tokens: Option<f64>,
        /// Tokens in a second, in the cost model's words.
        tokens_per_second: Option<f64>,
        /// Whether that comes from few requests, or from some that differ much.
        is_rough: bool,
        /// In how many requests it happened, where it comes from single ones.
        occurrences: Option<Occurrences>,
    },
}
