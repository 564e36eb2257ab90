//! Time to first token against the tokens that had to be read, with a line that a few
//! outliers do not move.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ReportSide;
use crate::cost;
use crate::model::Speeds;
use crate::model::request::{Request, TracePath};
use crate::model::stats::median;

/// Fewer requests than this make no line.
const LEAST_POINTS: usize = 6;
/// How many times the slope is refined by the slope of its residuals.
const ROUNDS: usize = 10;

/// How long one model took to read its prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Reading {
    /// The model.
    pub model: String,
    /// Its speeds; `None` where several models answered, or nothing tells.
    pub speeds: Option<Speeds>,
    /// The requests that its reading speed comes from, of every kind.
    pub points: Vec<ReadingPoint>,
    /// The line through them; `None` where they are too few or all as long.
    pub line: Option<Line>,
    /// How many requests there are besides, whose time to first token is not that of
    /// reading alone, or who read next to nothing.
    pub others: u64,
}

/// A request as a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReadingPoint {
    /// The request's trace.
    pub path: TracePath,
    /// How many tokens of the prompt the model had to read.
    pub read_tokens: u64,
    /// Time to first token.
    pub ttft_ms: u64,
}

/// A line through points: `ttft_ms = base_ms + read_tokens × ms_per_token`.
///
/// Tukey's resistant line: the points are cut into three by their tokens; the slope
/// is the one that leaves the outer two parts the same median, the base is the
/// median of what it leaves of all. Fewer than half of each part may be
/// outliers, such as requests with a cold start, without moving the line far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Line {
    /// What a request takes before the first token is read.
    pub base_ms: f64,
    /// What each token adds, in milliseconds.
    pub ms_per_token: f64,
}

impl Line {
    /// The line through these points of tokens and milliseconds.
    #[must_use]
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < LEAST_POINTS {
            return None;
        }
        let mut points = points.to_vec();
        points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let third = points.len() / 3;
        let (left, right) = (points.get(..third)?, points.get(points.len() - third..)?);
        let tokens = |part: &[(f64, f64)]| median(part.iter().map(|point| point.0).collect());
        let reach = tokens(right)? - tokens(left)?;
        let mut ms_per_token = 0.0;
        let rest =
            |part: &[(f64, f64)], slope: f64| median(part.iter().map(|(x, y)| y - slope * x).collect());
        for _ in 0..ROUNDS {
            ms_per_token += (rest(right, ms_per_token)? - rest(left, ms_per_token)?) / reach;
        }
        let base_ms = rest(&points, ms_per_token)?;
        (ms_per_token.is_finite() && base_ms.is_finite()).then_some(Self { base_ms, ms_per_token })
    }

    /// The time that the line gives for so many tokens.
    #[must_use]
    pub fn at(&self, tokens: f64) -> f64 {
        self.base_ms + self.ms_per_token * tokens
    }
}

/// How long it took to read the prompts of one side, and of those of the `others` that its
/// model answered.
pub(super) fn reading(side: &ReportSide<'_>, others: &[Request]) -> Reading {
    let models: BTreeSet<_> = side.requests.iter().map(|request| request.model_group()).collect();
    let others = others.iter().filter(|request| models.contains(&request.model_group()));
    let requests: Vec<&Request> = side.requests.iter().copied().chain(others).collect();
    let point = |request: &&Request| {
        let timing = request.timing.as_ref().filter(|_| request.speed_sample().reads)?;
        let (read_tokens, ttft_ms) = (timing.read_tokens.get()?, timing.ttft_ms.get()?);
        Some(ReadingPoint { path: request.path.clone(), read_tokens, ttft_ms })
    };
    let points: Vec<ReadingPoint> = requests.iter().filter_map(point).collect();
    #[allow(clippy::cast_precision_loss, reason = "tokens and times stay far below 2^53")]
    let pairs: Vec<(f64, f64)> =
        points.iter().map(|point| (point.read_tokens as f64, point.ttft_ms as f64)).collect();
    Reading {
        model: side.name.clone(),
        line: Line::through(&pairs),
        others: (requests.len() - points.len()) as u64,
        speeds: cost::speeds(requests),
        points,
    }
}
