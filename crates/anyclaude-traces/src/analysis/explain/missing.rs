//! What is unknown of the compared requests, and keeps an answer from being surer, and how that is
//! said.

use std::fmt::{self, Display, Formatter};

use super::compare::{Sampled, requests};
use super::narrative::{may_have_a_proxy, overlapping};
use crate::model::request::{Request, Source};
use crate::model::timing::{CachedSource, Timing, TokenSource};

/// From this debug level on the chunks of answers are logged.
const LOGS_CHUNKS: u8 = 2;

/// What would have told what is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WouldTell {
    /// A recording of the requests.
    Recording,
    /// The log of the server that ran the model.
    ServerLog,
    /// The log of LM Studio, which was read, with the lines of its engine.
    VerboseLmStudio,
    /// Nothing: the server's own log does not tell it.
    Nothing,
}

impl WouldTell {
    /// What would have told what is `unknown` of some of these requests, which are timed already.
    pub(super) fn of<'r>(unknown: &[&Request], all: impl IntoIterator<Item = &'r Request>) -> Self {
        let has_server_log = |request: &Request| request.source.is_server() || request.server_join.is_some();
        if !unknown.iter().all(|request| has_server_log(request)) {
            return Self::ServerLog;
        }
        // Its engine writes a line about each, once it writes any.
        let is_verbose = |request: &Request| {
            let counted_by = request.timing.as_deref().and_then(|timing| timing.cached_source);
            counted_by == Some(CachedSource::ServerLog)
        };
        let is_of_lm_studio = |request: &&Request| request.source == Source::LmStudio;
        if unknown.iter().any(is_of_lm_studio) && !all.into_iter().any(is_verbose) {
            return Self::VerboseLmStudio;
        }
        Self::Nothing
    }

    /// The same where no request has times that can be compared.
    pub(super) fn of_untimed(requests: &[&Request]) -> Self {
        let are_servers = !requests.is_empty() && requests.iter().all(|request| request.source.is_server());
        if are_servers { Self::of(requests, requests.iter().copied()) } else { Self::Recording }
    }
}

/// What is unknown, and would make the answer better. `side` is what the side is called.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Missing {
    /// A sentence that was read back from JSON.
    Text(String),
    /// A side has no streamed, completed request whose log lines are certainly its own.
    Requests {
        /// The side.
        side: String,
        /// What would have told more.
        would_tell: WouldTell,
    },
    /// A side has few of them, and none answered a prompt that the other side has too.
    MoreRequests {
        /// The side.
        side: String,
        /// How many it has.
        completed: u64,
    },
    /// The proxy's own time is unknown of most, so that totals without it are compared.
    ProxyTime {
        /// Of how many pairs or requests it is known, …
        known: u64,
        /// … of so many.
        of: u64,
    },
    /// Token counts of the prompts are unknown, or cannot be true.
    PromptTokens {
        /// The side.
        side: String,
        /// Of how many requests, …
        unknown: u64,
        /// … of so many.
        of: u64,
        /// What would have told it.
        would_tell: WouldTell,
    },
    /// How many tokens came from the prompt cache is unknown.
    CachedTokens {
        /// The side.
        side: String,
        /// Of how many requests, …
        unknown: u64,
        /// … of so many.
        of: u64,
        /// What would have told it.
        would_tell: WouldTell,
    },
    /// Token counts of the answers are unknown.
    OutputTokens {
        /// The side.
        side: String,
        /// Of how many requests, …
        unknown: u64,
        /// … of so many.
        of: u64,
        /// What would have told it.
        would_tell: WouldTell,
    },
    /// The recorder does not note when an answer begins.
    FirstTokens {
        /// The side.
        side: String,
        /// Of how many requests, …
        unknown: u64,
        /// … of so many.
        of: u64,
        /// What would have told it.
        would_tell: WouldTell,
    },
    /// Answers were held back until they were whole.
    WholeAnswers {
        /// The side.
        side: String,
        /// How many, …
        untold: u64,
        /// … of so many.
        of: u64,
        /// What would have told it.
        would_tell: WouldTell,
    },
    /// Silences inside answers are unknown: below debug level 2 they are not logged.
    Stalls {
        /// The side.
        side: String,
    },
    /// The same, where the log has them, but not whose they are.
    UntoldStalls {
        /// The side.
        side: String,
    },
    /// Requests overlapped others: time before the proxy logged them is in no part.
    WaitBeforeTheProxy {
        /// The side.
        side: String,
        /// How many requests, …
        overlapping: u64,
        /// … of so many.
        of: u64,
    },
    /// No requests of both sides had the same prompt, or too few to stand for all.
    SamePrompts {
        /// How many pairs there are.
        pairs: u64,
    },
    /// Whether the difference is there without the proxy as well.
    DirectMeasurement,
}

/// What is unknown of the requests of one side.
pub(super) fn missing_of(name: &str, side: &[Sampled<'_>]) -> Vec<Missing> {
    let of = side.len() as u64;
    let which = |is: &dyn Fn(&Timing) -> bool| -> Vec<&Request> {
        let requests = side.iter().map(|one| one.request);
        requests.filter(|request| request.timing.as_deref().is_some_and(is)).collect()
    };
    let mut missing = Vec::new();
    let mut miss = |unknown: Vec<&Request>, missing_of: fn(String, u64, u64, WouldTell) -> Missing| {
        if !unknown.is_empty() {
            let would_tell = WouldTell::of(&unknown, side.iter().map(|one| one.request));
            missing.push(missing_of(name.to_owned(), unknown.len() as u64, of, would_tell));
        }
    };
    miss(which(&|timing| !has_prompt_tokens(timing)), |side, unknown, of, would_tell| {
        Missing::PromptTokens { side, unknown, of, would_tell }
    });
    let is_cache_unknown =
        |timing: &Timing| has_prompt_tokens(timing) && timing.cached_tokens.get().is_none();
    miss(which(&is_cache_unknown), |side, unknown, of, would_tell| Missing::CachedTokens {
        side,
        unknown,
        of,
        would_tell,
    });
    miss(which(&|timing| timing.believed_output_tokens().is_none()), |side, unknown, of, would_tell| {
        Missing::OutputTokens { side, unknown, of, would_tell }
    });
    let is_untold = |timing: &Timing| timing.total_ms.is_known() && !timing.read_ms.is_known();
    if side.iter().all(|one| one.request.source != Source::Anyclaude) {
        miss(
            which(&|timing| is_untold(timing) && !timing.ttft_ms.is_known()),
            |side, unknown, of, would_tell| Missing::FirstTokens { side, unknown, of, would_tell },
        );
    }
    miss(which(&|timing| is_untold(timing) && timing.ttft_ms.is_known()), |side, untold, of, would_tell| {
        Missing::WholeAnswers { side, untold, of, would_tell }
    });
    // Where no log of anyclaude could tell, there is nothing to be done about it.
    let may_be_logged = side.iter().any(|one| one.request.source == Source::Anyclaude);
    if may_be_logged && which(&|timing| timing.stall_ms.get().is_none()).len() == side.len() {
        let has_chunks = |one: &Sampled<'_>| one.request.process()?.level.map(|level| level >= LOGS_CHUNKS);
        let is_logged = side.iter().all(|one| has_chunks(one) == Some(true));
        let side = name.to_owned();
        missing.push(if is_logged { Missing::UntoldStalls { side } } else { Missing::Stalls { side } });
    }
    let overlapping = overlapping(side);
    if overlapping > 0 && may_have_a_proxy(&requests(side)) {
        missing.push(Missing::WaitBeforeTheProxy { side: name.to_owned(), overlapping, of });
    }
    missing
}

fn has_prompt_tokens(timing: &Timing) -> bool {
    timing.prompt_tokens.is_known() && timing.prompt_tokens_source != Some(TokenSource::Implausible)
}

impl Display for Missing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Requests { side, .. } => {
                write!(f, "No streamed, completed request of {side} has times that are certainly its own.")
            }
            Self::MoreRequests { side, completed: 1 } => write!(
                f,
                "Only 1 completed request of {side}, and no prompt that both sides answered: no verdict."
            ),
            Self::MoreRequests { side, completed } => write!(
                f,
                "Only {completed} completed requests of {side}, and no prompt that both sides answered: no verdict."
            ),
            Self::ProxyTime { known, of } => write!(
                f,
                "The proxy's own time is known of {known} of {of}, so that times without it are compared: it \
                 is in the request logs of anyclaude."
            ),
            Self::PromptTokens { side, unknown, of, .. } => write!(
                f,
                "The backend told no believable number of prompt tokens for {unknown} of {of} requests of {side}: \
                 what reading their prompts took is not split."
            ),
            Self::CachedTokens { side, unknown, of, .. } => write!(
                f,
                "How many tokens came from the prompt cache is unknown for {unknown} of {of} requests of {side}: \
                 what reading their prompts took is not split."
            ),
            Self::OutputTokens { side, unknown, of, .. } => write!(
                f,
                "The backend told no number of output tokens for {unknown} of {of} requests of {side}: what \
                 their generation took is not split."
            ),
            Self::Stalls { side } => write!(
                f,
                "Silences inside the answers of {side} are unknown, and part of its generation: they are \
                 logged from debug level 2 on."
            ),
            Self::UntoldStalls { side } => write!(
                f,
                "Silences inside the answers of {side} are unknown, and part of its generation: the log does \
                 not tell which of its chunks are theirs."
            ),
            Self::WaitBeforeTheProxy { side, overlapping, of } => write!(
                f,
                "{overlapping} of {of} requests of {side} overlapped others: what they waited before the proxy \
                 logged them is in no part."
            ),
            Self::FirstTokens { side, unknown, of, .. } => write!(
                f,
                "When the answers of {side} began was not recorded ({unknown} of {of}): reading and generation \
                 are not told apart."
            ),
            Self::WholeAnswers { side, untold, of, .. } => write!(
                f,
                "{untold} of {of} answers of {side} came all at once: reading and generation are not told apart."
            ),
            Self::SamePrompts { pairs: 0 } => write!(
                f,
                "No requests of both sides had the same prompt, so that groups are compared: give both the \
                 same task."
            ),
            Self::SamePrompts { pairs } => write!(
                f,
                "Only {pairs} of the prompts {} the same on both sides, so that groups are compared: give \
                 both the same task.",
                if *pairs == 1 { "was" } else { "were" }
            ),
            Self::DirectMeasurement => {
                write!(f, "Whether the difference is there without the proxy was not measured.")
            }
        }
    }
}
