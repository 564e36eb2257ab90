//! The one model of time: cached tokens, the parts of a request's time, and the speeds
//! of each model. No other room divides tokens by milliseconds.

use crate::model::TimeBreakdown;
use crate::model::eligibility::eligible;
use crate::model::request::Request;

/// STAND-IN until the cost model lands.
#[allow(missing_docs, clippy::cast_precision_loss)]
pub fn breakdown<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Option<TimeBreakdown> {
    let timings: Vec<_> = requests.into_iter().filter_map(|request| eligible(request).ok()).collect();
    let n = timings.len() as f64;
    let mean = |of: fn(&crate::model::timing::Timing) -> Option<u64>| {
        Some(timings.iter().filter_map(|t| of(t)).map(|ms| ms as f64).sum::<f64>() / n)
    };
    (n > 0.0).then(|| TimeBreakdown {
        requests: timings.len() as u64,
        proxy_ms: mean(|t| t.proxy_ms),
        load_ms: mean(|t| t.load_ms),
        queue_ms: mean(|t| t.queue_ms),
        read_ms: mean(|t| t.read_ms),
        write_ms: mean(|t| t.write_ms),
        stall_ms: mean(|t| t.stall_ms),
        other_ms: mean(|t| t.other_ms),
        wall_ms: mean(|t| Some(t.proxy_ms.unwrap_or(0) + t.total_ms.unwrap_or(0))),
    })
}

/// STAND-IN until the cost model lands.
#[allow(missing_docs)]
pub fn speeds_by_model<'a>(_: impl IntoIterator<Item = &'a Request>) -> Vec<crate::model::ModelSpeeds> {
    Vec::new()
}
