//! Both models measured without the proxy, and what that says of the recorded
//! difference.

use serde::{Deserialize, Serialize};

/// A model measured without the proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Direct {
    /// From sending to the first token.
    pub ttft_ms: f64,
    /// Tokens written in a second, where the server counted them.
    pub output_tokens_per_second: Option<f64>,
    /// Why these figures settle nothing; `None` where they may.
    pub doubt: Option<Doubt>,
}

/// Why a measurement without the proxy settles nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doubt {
    /// It is of this model, which is not the one that was recorded.
    OtherModel(String),
    /// The server may have had the prompt in its cache.
    MaybeCached,
}

/// From this share on the models themselves make the difference.
const BACKEND_SHARE: f64 = 0.5;

impl Direct {
    /// How long an answer of so many tokens takes without the proxy; `None` where that
    /// is unknown or doubtful.
    fn total_ms(&self, output_tokens: Option<f64>) -> Option<f64> {
        let speed = self.output_tokens_per_second.filter(|speed| *speed > 0.0)?;
        let total_ms = self.ttft_ms + output_tokens? / speed * 1000.0;
        self.doubt.is_none().then_some(total_ms)
    }
}

/// What of the recorded difference the models show without the proxy as well; `None`
/// where the figures do not tell. `output_tokens` are the means of what was recorded.
pub(super) fn share_of_difference(
    (left, right): (&Direct, &Direct),
    output_tokens: (Option<f64>, Option<f64>),
    delta_ms: f64,
) -> Option<f64> {
    let difference = right.total_ms(output_tokens.1)? - left.total_ms(output_tokens.0)?;
    let share = difference / delta_ms;
    share.is_finite().then_some(share)
}

/// Whether a difference of which the models show this share without the proxy is the
/// proxy's.
pub(super) fn proxy_is_bottleneck(share: f64) -> bool {
    share < BACKEND_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_answer_takes_its_wait_and_its_tokens() {
        let direct = |ttft_ms, speed| Direct { ttft_ms, output_tokens_per_second: Some(speed), doubt: None };
        // 1,000 + 100 ÷ 50 s against 2,000 + 300 ÷ 25 s: 11 s of 22 s.
        let share = |left: &Direct| {
            share_of_difference((left, &direct(2_000.0, 25.0)), (Some(100.0), Some(300.0)), 22_000.0)
        };
        assert_eq!(share(&direct(1_000.0, 50.0)), Some(0.5));
        assert_eq!(share(&direct(1_000.0, 0.0)), None, "a speed of 0 is none");
    }
}
