//! Time to first token against the tokens that had to be read, with a line that a
//! few odd requests do not turn.

use serde::Serialize;

use super::Side;
use crate::model::eligibility::{LeftOut, timed};
use crate::model::request::{Request, TracePath};

/// Fewer requests than this make no line.
const LEAST_POINTS: usize = 6;
/// How often the slope is made better by what it leaves over.
const ROUNDS: usize = 10;

/// How long one model took to read its prompts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Reading {
    /// The model.
    pub model: String,
    /// The requests of which both numbers are known, in order of time.
    pub points: Vec<ReadingPoint>,
    /// The line through them; `None` where they are too few or all as long.
    pub line: Option<Line>,
    /// The requests that have no time which can be compared.
    pub left_out: Vec<LeftOut>,
}

/// A request as a point.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
/// median of what it leaves of all. Less than half of each part may be odd, as a
/// request with a cold start or a warm cache is, without moving the line far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Line {
    /// What a request takes before the first token is read.
    pub base_ms: f64,
    /// What each token adds.
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

    /// What the line says of so many tokens.
    #[must_use]
    pub fn at(&self, tokens: f64) -> f64 {
        self.base_ms + self.ms_per_token * tokens
    }

    /// How many tokens are read in a second; `None` where more tokens take no longer.
    #[must_use]
    pub fn tokens_per_second(&self) -> Option<f64> {
        (self.ms_per_token > 0.0).then(|| 1000.0 / self.ms_per_token)
    }
}

/// The middle value, or the mean of the middle two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (below, above) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(below.midpoint(*above))
}

pub(super) fn reading(side: &Side<'_>, read_tokens: &dyn Fn(&Request) -> Option<u64>) -> Reading {
    let (timed, left_out) = timed(&side.requests);
    let point = |request: &&Request| {
        let ttft_ms = request.timing.as_ref()?.ttft_ms?;
        Some(ReadingPoint { path: request.path.clone(), read_tokens: read_tokens(request)?, ttft_ms })
    };
    let points: Vec<ReadingPoint> = timed.iter().filter_map(point).collect();
    #[allow(clippy::cast_precision_loss, reason = "tokens and times stay far below 2^53")]
    let pairs: Vec<(f64, f64)> =
        points.iter().map(|point| (point.read_tokens as f64, point.ttft_ms as f64)).collect();
    Reading { model: side.name.clone(), line: Line::through(&pairs), points, left_out }
}
