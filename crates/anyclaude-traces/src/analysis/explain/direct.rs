//! Both models measured without the proxy, and what that says of the recorded
//! difference.

use super::figures::{Figures, percent};
use super::split::Split;

/// A model measured without the proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Direct {
    /// From sending to the first token.
    pub ttft_ms: f64,
    /// Tokens written in a second, where the server counted them.
    pub output_tokens_per_second: Option<f64>,
    /// Why these figures settle nothing; `None` where they may.
    pub doubt: Option<Doubt>,
}

/// Why a measurement without the proxy settles nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doubt {
    /// It is of this model, which is not the one that was recorded.
    OtherModel(String),
    /// The server may have had the prompt in its cache.
    MaybeCached,
}

/// The measurements of both sides, beside what was recorded of them.
pub(super) struct Measured<'a> {
    pub(super) left: (&'a Direct, &'a Figures),
    pub(super) right: (&'a Direct, &'a Figures),
}

impl Measured<'_> {
    /// What of the recorded difference the models show without the proxy as well;
    /// `None` where the figures do not settle it.
    pub(super) fn share(&self, split: &Split) -> Option<f64> {
        if self.is_doubtful() {
            return None;
        }
        let recorded = split.ttft + split.generation;
        let writing_ms = |(direct, recorded): (&Direct, &Figures)| {
            let speed = direct.output_tokens_per_second.filter(|speed| *speed > 0.0)?;
            Some(recorded.mean.as_ref()?.output_tokens? / speed * 1000.0)
        };
        let written = writing_ms(self.right)? - writing_ms(self.left)?;
        let direct = self.right.0.ttft_ms - self.left.0.ttft_ms + written;
        #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53 µs")]
        let share = direct * 1000.0 / recorded as f64;
        share.is_finite().then_some(share)
    }

    /// Whether these figures settle nothing.
    pub(super) fn is_doubtful(&self) -> bool {
        self.left.0.doubt.is_some() || self.right.0.doubt.is_some()
    }

    pub(super) fn sentence(&self, split: Option<&Split>) -> String {
        let others: Vec<String> = [self.left, self.right].into_iter().filter_map(of_another_model).collect();
        if !others.is_empty() {
            return format!("{}: times of one model say nothing of another.", others.join("; "));
        }
        let seconds = |direct: &Direct| format!("{:.1} s", direct.ttft_ms / 1000.0);
        let speed = |direct: &Direct| {
            let speed = direct.output_tokens_per_second;
            speed.map_or_else(|| "an unknown speed".to_owned(), |speed| format!("{speed:.1} tokens/s"))
        };
        let ((left, left_side), (right, right_side)) = (self.left, self.right);
        format!(
            "Sent straight to the server, {} takes {} to the first token and writes {}, {} {} and {}: {}.",
            left_side.name,
            seconds(left),
            speed(left),
            right_side.name,
            seconds(right),
            speed(right),
            self.conclusion(split),
        )
    }

    fn conclusion(&self, split: Option<&Split>) -> String {
        let cached = |(direct, side): (&Direct, &Figures)| {
            (direct.doubt == Some(Doubt::MaybeCached)).then(|| side.name.clone())
        };
        let cached: Vec<String> = [self.left, self.right].into_iter().filter_map(cached).collect();
        if !cached.is_empty() {
            return format!(
                "the prompt cache may have helped {}, so that this settles nothing",
                cached.join(" and ")
            );
        }
        split.and_then(|split| self.share(split)).map_or_else(
            || "how much of the difference that makes is unknown".to_owned(),
            |share| {
                format!(
                    "that accounts for {} of the recorded difference after the proxy's own work",
                    percent(share)
                )
            },
        )
    }
}

fn of_another_model((direct, side): (&Direct, &Figures)) -> Option<String> {
    match &direct.doubt {
        Some(Doubt::OtherModel(model)) => {
            Some(format!("The direct measurement for {} is of {model}", side.name))
        }
        _ => None,
    }
}
