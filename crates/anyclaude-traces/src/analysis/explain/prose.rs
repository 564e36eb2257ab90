//! All sentences about a comparison, but for what is missing. No code parses them back.

use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};

use super::cause::{DelayCause, Part};
use super::direct::{Direct, Doubt};
use super::evidence::{CitedFact, Fact, FigureUnit, Figures, Headline, KeyAnswer, Occurrences, ShareOf};
use super::missing::Missing;
use crate::analysis::duration::Duration;
use crate::model::timing::CachedSource;
use crate::select::ALL_REQUESTS;

/// Serialised as their sentences.
macro_rules! serialize_as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
serialize_as_text!(CitedFact, Headline, KeyAnswer, Missing);

impl Display for DelayCause {
    /// What it is called in a table.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Proxy => "proxy",
            Self::ModelLoad => "model load",
            Self::Queueing => "queueing",
            Self::PromptSize => "prompt size",
            Self::PromptCache => "prompt cache",
            Self::PromptProcessingSpeed => "prompt processing speed",
            Self::OutputLength => "output length",
            Self::GenerationSpeed => "generation speed",
            Self::Stalls => "stalls",
            Self::Other => "other",
        })
    }
}

impl Display for Part {
    /// What it is called in a table.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Proxy => "proxy",
            Self::Load => "model load",
            Self::Queue => "queueing",
            Self::Read => "prompt processing",
            Self::Write => "generation",
            Self::Stall => "stalls",
            Self::Other => "other",
        })
    }
}

impl Display for Headline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Slower { slower, cause, figures, occurrences } => {
                write!(f, "{slower} is slower because ")?;
                reason(f, *cause, *figures, *occurrences)
            }
            Self::Alike { left, right, left_ms, right_ms } => write!(
                f,
                "{left} and {right} take about as long: {} and {} a request",
                duration(*left_ms),
                duration(*right_ms)
            ),
            Self::Uncertain { slower, delta_ms, interval } => {
                write!(f, "No verdict: {slower} takes {} longer in the mean", duration(*delta_ms))?;
                if let Some(interval) = interval {
                    let (low, high) = (interval.low.as_f64(), interval.high.as_f64());
                    write!(f, ", but single requests differ so much that it may be chance")?;
                    write!(f, " (95 %: {} to {})", signed(low), signed(high))?;
                }
                Ok(())
            }
            Self::Unexplained { slower, share, constant_ms: Some(ms) } => write!(
                f,
                "{slower} waits {} longer before every answer, whatever there is to read: {} of what it takes longer \
                 is neither reading nor writing",
                duration(*ms),
                percent(*share)
            ),
            Self::Unexplained { slower, share, constant_ms: None } => write!(
                f,
                "No verdict: {} of what {slower} takes longer is in no part that the recording tells apart",
                percent(*share)
            ),
            Self::TooFew { sides } => {
                let few = |(side, n): &(String, u64)| match n {
                    0 => format!("no completed request of {side}"),
                    1 => format!("only 1 completed request of {side}"),
                    n => format!("only {n} completed requests of {side}"),
                };
                let few: Vec<String> = sides.iter().map(few).collect();
                write!(f, "No verdict: {}", few.join(", "))
            }
            Self::NoTime { name, requests: 1 } => {
                write!(f, "No verdict: the completed request of {name} took 0 ms by its recording")
            }
            Self::NoTime { name, requests } => {
                write!(
                    f,
                    "No verdict: the {requests} completed requests of {name} took 0 ms by their recording"
                )
            }
            Self::OneSide { name, wall_ms, part, part_ms, writing } => {
                // What nobody named is no subject of a sentence.
                if name == ALL_REQUESTS {
                    write!(f, "A request takes {}: ", duration(*wall_ms))?;
                } else {
                    write!(f, "{name} takes {} a request: ", duration(*wall_ms))?;
                }
                mostly(f, *part, part_ms / wall_ms)?;
                writing.map_or(Ok(()), |writing| write!(f, ", {writing}"))
            }
            Self::Models { name, wall_ms, part, part_ms, writing, others } => {
                let name = name.as_deref().unwrap_or("A model without a name");
                let (wall, share) = (duration(*wall_ms), percent(part_ms / wall_ms));
                write!(f, "{name} takes {wall} a request, {share} of it ")?;
                f.write_str(if *part == Part::Other { "unknown" } else { what(*part) })?;
                writing.map_or(Ok(()), |writing| write!(f, ", {writing}"))?;
                beside(f, others)
            }
        }
    }
}

impl Headline {
    /// Why the slower side is slower, without its name; `None` where no cause is named.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let Self::Slower { cause, figures, occurrences, .. } = self else { return None };
        struct SlowerReason(DelayCause, Option<Figures>, Option<Occurrences>);
        impl Display for SlowerReason {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                reason(f, self.0, self.1, self.2)
            }
        }
        Some(SlowerReason(*cause, *figures, *occurrences).to_string())
    }
}

fn reason(
    f: &mut Formatter<'_>,
    cause: DelayCause,
    figures: Option<Figures>,
    occurrences: Option<Occurrences>,
) -> fmt::Result {
    f.write_str(match figures.map(|figures| figures.unit) {
        Some(FigureUnit::CachedShare) => "less of its prompts came from the prompt cache",
        _ => because(cause),
    })?;
    happened(f, occurrences)?;
    figures.map_or(Ok(()), |figures| write!(f, ": {figures}"))
}

/// A share that is printed as all of it.
const ALL_OF_IT: f64 = 0.995;

/// What most of the time is.
fn mostly(f: &mut Formatter<'_>, part: Part, share: f64) -> fmt::Result {
    match part {
        Part::Other if share >= ALL_OF_IT => f.write_str("the recording does not tell what it is spent on"),
        Part::Other => write!(f, "the recording does not tell what {} of it is", percent(share)),
        part => write!(f, "{} of it is {}", percent(share), what(part)),
    }
}

/// What the other models take.
fn beside(f: &mut Formatter<'_>, others: &[(Option<String>, f64)]) -> fmt::Result {
    match others {
        [] => Ok(()),
        [(name, wall_ms)] => {
            let name = name.as_deref().unwrap_or("another without a name");
            write!(f, "; {name} takes {}", duration(*wall_ms))
        }
        others => {
            let times = || others.iter().map(|(_, wall_ms)| *wall_ms);
            let (least, most) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
            write!(f, "; {} others take {} to {}", others.len(), duration(least), duration(most))
        }
    }
}

/// What the slower side does or has.
fn because(cause: DelayCause) -> &'static str {
    match cause {
        DelayCause::Proxy => "the proxy itself works longer before it sends",
        DelayCause::ModelLoad => "its model was loaded first",
        DelayCause::Queueing => "its requests waited for others in the backend",
        DelayCause::PromptSize => "it has more new tokens to read",
        DelayCause::PromptCache => "it reads earlier turns again",
        DelayCause::PromptProcessingSpeed => "it reads prompts more slowly",
        DelayCause::OutputLength => "its answers are longer",
        DelayCause::GenerationSpeed => "it generates more slowly",
        DelayCause::Stalls => "its answers stall",
        DelayCause::Other => "of time that the recording does not tell apart",
    }
}

/// What a part is spent on.
fn what(part: Part) -> &'static str {
    match part {
        Part::Proxy => "the proxy's own work",
        Part::Load => "loading the model",
        Part::Queue => "waiting for other requests in the backend",
        Part::Read => "prompt processing",
        Part::Write => "generation",
        Part::Stall => "silence inside answers",
        Part::Other => "time that the recording does not tell apart",
    }
}

/// What of the difference is a cause's.
fn noun(cause: DelayCause) -> &'static str {
    match cause {
        DelayCause::Proxy => what(Part::Proxy),
        DelayCause::ModelLoad => what(Part::Load),
        DelayCause::Queueing => what(Part::Queue),
        DelayCause::PromptSize => "new tokens to read",
        DelayCause::PromptCache => "tokens read again although an earlier turn had sent them",
        DelayCause::PromptProcessingSpeed => "the speed of prompt processing",
        DelayCause::OutputLength => "the length of the answers",
        DelayCause::GenerationSpeed => "the speed of generation",
        DelayCause::Stalls => what(Part::Stall),
        DelayCause::Other => what(Part::Other),
    }
}

fn happened(f: &mut Formatter<'_>, occurrences: Option<Occurrences>) -> fmt::Result {
    occurrences.map_or(Ok(()), |Occurrences { n, of }| write!(f, " (in {n} of {of} requests)"))
}

impl Display for Figures {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let show = |figure, is_rough| match self.unit {
            FigureUnit::Ms => duration(figure),
            FigureUnit::Tokens => tokens(figure),
            FigureUnit::TokensPerSecond if is_rough => format!("about {}", speed(figure)),
            FigureUnit::TokensPerSecond => speed(figure),
            FigureUnit::CachedShare => percent(figure),
        };
        let [slower_is_rough, faster_is_rough] = self.are_rough;
        let unit = match self.unit {
            FigureUnit::Ms => " a request",
            FigureUnit::Tokens => " tokens a request",
            FigureUnit::TokensPerSecond => " tokens/s",
            FigureUnit::CachedShare => " of the tokens",
        };
        let (slower, faster) = (show(self.slower, slower_is_rough), show(self.faster, faster_is_rough));
        write!(f, "{slower} vs {faster}{unit}")
    }
}

impl Display for KeyAnswer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.text {
            return f.write_str(text);
        }
        if !self.has_proxy {
            return f.write_str("No proxy stood between client and server");
        }
        f.write_str("Is anyclaude the bottleneck? ")?;
        f.write_str(match self.is_bottleneck {
            Some(true) => "Yes",
            Some(false) => "No",
            None => "That cannot be told",
        })?;
        if let Some(share) = self.share_without_proxy {
            return write!(f, ": without it {} of the difference is there as well", percent(share));
        }
        let whole = match self.share_of {
            ShareOf::Difference => "the difference",
            ShareOf::Wait => "the wait",
        };
        match self.share {
            Some(share) if share < 0.0 && self.is_bottleneck.is_none() => Ok(()),
            Some(share) if share < 0.0 => write!(f, ": it takes less time on the slower side"),
            Some(share) => write!(f, ": {} of {whole}", percent(share)),
            None if self.share_of == ShareOf::Wait => write!(f, ": its own time is unknown"),
            None => Ok(()),
        }
    }
}

impl Display for CitedFact {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.fact, f)?;
        self.requests.as_ref().map_or(Ok(()), |requests| write!(f, " [{requests}]"))
    }
}

impl Display for Fact {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Writing { side, change } => write!(f, "{side} {change}"),
            Self::Times { slower, faster, slower_ms, faster_ms, with_proxy } => {
                let (slow, fast) = (duration(*slower_ms), duration(*faster_ms));
                write!(f, "{slower} takes {slow} a request in the mean, {faster} {fast}")?;
                if !with_proxy {
                    write!(f, ", both without the proxy's own work")?;
                }
                write!(f, ".")
            }
            Self::Contribution { cause, ms, delta_ms, share, figures, occurrences } => {
                let is_more_than_all = ms > delta_ms;
                let ms = duration(*ms);
                let noun = match figures.map(|figures| figures.unit) {
                    Some(FigureUnit::CachedShare) => "how much of the prompts came from the prompt cache",
                    _ => noun(*cause),
                };
                if *share < 0.0 {
                    write!(f, "Against that, {noun} saves {ms}")?;
                } else {
                    let (delta, share) = (duration(*delta_ms), percent(*share));
                    if is_more_than_all {
                        write!(f, "{ms} is {noun} ({share} of what adds to the {delta})")?;
                    } else {
                        write!(f, "{ms} of {delta} ({share}) is {noun}")?;
                    }
                }
                happened(f, *occurrences)?;
                figures.map_or(Ok(()), |figures| write!(f, ": {figures}"))?;
                write!(f, ".")
            }
            Self::Cached { side, share, source, evictions } => {
                write!(f, "{} of the prompt tokens of {side} came from the prompt cache", percent(*share))?;
                f.write_str(match source {
                    CachedSource::ServerLog => ", by the server's log",
                    CachedSource::Reported => ", as the backend reported",
                    CachedSource::Simulated => ", as far as a simulated cache tells",
                    CachedSource::None => ": its backend is seen to reuse nothing",
                })?;
                if let Some(Occurrences { n, of }) = evictions {
                    write!(f, "; {n} of {of} requests took a slot from another prompt")?;
                }
                f.write_str(".")
            }
            Self::UnevenReading { side, n, least, middle, most } => {
                let [least, middle, most] = [least, middle, most].map(|figure| speed(*figure));
                write!(
                    f,
                    "{n} prompts of {side} were read at {least} to {most} tokens/s, half of them at {middle} or \
                     more: what single ones waited for besides, a log of the server tells."
                )
            }
            Self::SharedWriting { side, n, of, alone } => {
                let alone = speed(*alone);
                write!(
                    f,
                    "{n} of {of} answers of {side} were written beside others, which share its speed: one alone is \
                     written at {alone} tokens/s."
                )
            }
            Self::Work { side, read, written } => {
                if side == ALL_REQUESTS {
                    f.write_str("A request reads")?;
                } else {
                    write!(f, "A request to {side} reads")?;
                }
                write!(f, " {} tokens and writes {} in the mean.", tokens(*read), tokens(*written))
            }
            Self::ConstantWait { side, ms } => write!(
                f,
                "Before the answers of {side} {} pass in the mean, whatever there is to read.",
                duration(*ms)
            ),
            Self::Shared { side, requests: Occurrences { n, of }, ms, alone_ms } => write!(
                f,
                "{n} of {of} requests to {side} shared the backend with others or waited for them: reading took {} each, \
                 alone {}.",
                duration(*ms),
                duration(*alone_ms)
            ),
            Self::Keepalives { side, most } => {
                let s = if *most == 1 { "" } else { "s" };
                write!(f, "The longest wait of {side} took {most} keepalive{s}, one each 10 s.")
            }
            Self::Direct { left, left_direct, right, right_direct, share } => {
                direct(f, [(left, left_direct), (right, right_direct)], *share)
            }
            Self::Part { part, ms, wall_ms, tokens: n, tokens_per_second, is_rough, occurrences } => {
                let (time, wall, share) = (duration(*ms), duration(*wall_ms), percent(ms / wall_ms));
                write!(f, "{time} of {wall} ({share}) is {}", what(*part))?;
                happened(f, *occurrences)?;
                let n = n.map(|n| format!("{} tokens a request", tokens(n)));
                let about = if *is_rough { "about " } else { "" };
                let speed = tokens_per_second.map(|figure| format!("{about}{} tokens/s", speed(figure)));
                let figures: Vec<String> = n.into_iter().chain(speed).collect();
                if !figures.is_empty() {
                    write!(f, ": {}", figures.join(", "))?;
                }
                write!(f, ".")
            }
        }
    }
}

fn direct(f: &mut Formatter<'_>, sides: [(&String, &Direct); 2], share: Option<f64>) -> fmt::Result {
    let other = |(side, direct): &(&String, &Direct)| match &direct.doubt {
        Some(Doubt::OtherModel(model)) => Some(format!("The direct measurement for {side} is of {model}")),
        _ => None,
    };
    let others: Vec<String> = sides.iter().filter_map(other).collect();
    if !others.is_empty() {
        return write!(f, "{}: times of one model say nothing of another.", others.join("; "));
    }
    let speed_of = |direct: &Direct| {
        let figure = direct.output_tokens_per_second;
        figure.map_or_else(|| "an unknown speed".to_owned(), |figure| format!("{} tokens/s", speed(figure)))
    };
    let [(left, left_direct), (right, right_direct)] = sides;
    write!(
        f,
        "Sent straight to the server, {left} takes {} to the first token and writes {}, {right} {} and {}: ",
        duration(left_direct.ttft_ms),
        speed_of(left_direct),
        duration(right_direct.ttft_ms),
        speed_of(right_direct),
    )?;
    let cached = |(side, direct): &(&String, &Direct)| {
        (direct.doubt == Some(Doubt::MaybeCached)).then(|| (*side).clone())
    };
    let cached: Vec<String> = sides.iter().filter_map(cached).collect();
    if !cached.is_empty() {
        let sides = cached.join(" and ");
        return write!(f, "the prompt cache may have helped {sides}, so that this settles nothing.");
    }
    match share {
        Some(share) => write!(f, "that accounts for {} of the recorded difference.", percent(share)),
        None => write!(f, "how much of the recorded difference that makes is unknown."),
    }
}

pub(super) fn tokens(count: f64) -> String {
    if count.abs() < 9_999.5 { format!("{count:.0}") } else { format!("{:.1} k", count / 1000.0) }
}

pub(super) fn speed(per_second: f64) -> String {
    let decimals = usize::from(per_second < 99.95);
    format!("{per_second:.decimals$}")
}

fn duration(ms: f64) -> String {
    Duration(ms).to_string()
}

fn signed(ms: f64) -> String {
    let sign = if ms < 0.0 { "−" } else { "+" };
    format!("{sign}{}", duration(ms.abs()))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
