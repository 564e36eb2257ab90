//! What is unknown of the compared requests, and keeps an answer from being surer: values, whose
//! sentences are in `prose`.

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
    },
    /// How many tokens came from the prompt cache is unknown.
    CachedTokens {
        /// The side.
        side: String,
        /// Of how many requests, …
        unknown: u64,
        /// … of so many.
        of: u64,
    },
    /// Token counts of the answers are unknown.
    OutputTokens {
        /// The side.
        side: String,
        /// Of how many requests, …
        unknown: u64,
        /// … of so many.
        of: u64,
    },
    /// The recorder does not note when an answer begins.
    FirstTokens {
        /// The side.
        side: String,
        /// Of how many requests, …
        unknown: u64,
        /// … of so many.
        of: u64,
    },
    /// Answers were held back until they were whole.
    WholeAnswers {
        /// The side.
        side: String,
        /// How many, …
        untold: u64,
        /// … of so many.
        of: u64,
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
