//! The words for a request that is being watched.

use anyclaude_traces::Request;
use anyclaude_traces::analysis::prefix::{Break, PrefixRequest};

use crate::render::{prefix, units};

/// How much of a prompt has to be read, and why so much. `expected` is the number of tokens
/// where nobody has counted them yet.
pub(super) fn to_read(request: &Request, row: &PrefixRequest, expected: Option<u64>) -> String {
    let whole = request.timing.as_ref().and_then(|timing| timing.believed_prompt_tokens());
    let new_bytes = row.prompt_bytes.saturating_sub(row.reusable_bytes);
    let what = match (row.new_tokens.get().zip(whole), expected) {
        (Some((new, whole)), _) => {
            format!("{} of {} tokens to read", units::tokens(new), units::tokens(whole))
        }
        (None, Some(expected)) => format!("{} tokens to read", units::estimate(expected)),
        (None, None) => format!("{} of {} to read", units::bytes(new_bytes), units::bytes(row.prompt_bytes)),
    };
    match &row.break_ {
        None => format!("{what}, appended to what the cache holds"),
        Some(broken) => {
            let again = match (broken.lost_tokens, broken.lost_bytes) {
                (_, 0) => String::new(),
                (Some(tokens), _) => format!(", {} tokens of it again", units::estimate(tokens)),
                (None, bytes) => format!(", {} of it again", units::bytes(bytes)),
            };
            format!("{what}: {}{again}", why(broken))
        }
    }
}

/// Why a prompt is not the previous one with something appended.
fn why(broken: &Break) -> String {
    prefix::cause(broken).replacen(broken.cause.name(), &broken.cause.name().replace('_', " "), 1)
}

/// How a request ended, by its name in JSON.
pub(super) fn outcome(request: &Request) -> Option<String> {
    let outcome = request.timing.as_ref()?.outcome?;
    serde_json::to_value(outcome).ok()?.as_str().map(|name| name.replace('_', " "))
}
