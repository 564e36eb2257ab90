//! What is missing, with the commands that get it: the library names no command.

use anyclaude_traces::analysis::explain::{Missing, WouldTell};
use anyclaude_traces::analysis::report::WhyUnknown;

/// What is missing of a comparison, and what to do about it.
pub(crate) fn of_comparison(missing: &Missing) -> String {
    let todo = match missing {
        Missing::Requests { would_tell: WouldTell::Recording, .. } => {
            "record with `traces record`, or with `ANYCLAUDE_DEBUG=2 anyclaude`"
        }
        Missing::Stalls { .. } => "record with `ANYCLAUDE_DEBUG=2 anyclaude`",
        Missing::MoreRequests { .. } => {
            "give both models the same task, or name two with more requests: `traces explain model:A model:B`"
        }
        // No debug level of the proxy tells more of them than the backend reports.
        Missing::FirstTokens { would_tell: WouldTell::ServerLog, .. } => {
            "name the server's own log with `--server-log FILE`, or record with `traces record`"
        }
        Missing::Requests { would_tell, .. }
        | Missing::PromptTokens { would_tell, .. }
        | Missing::OutputTokens { would_tell, .. }
        | Missing::CachedTokens { would_tell, .. }
        | Missing::FirstTokens { would_tell, .. }
        | Missing::WholeAnswers { would_tell, .. } => match would_tell {
            WouldTell::ServerLog => "name the server's own log with `--server-log FILE`",
            WouldTell::VerboseLmStudio => "switch verbose logging on in LM Studio's server settings",
            _ => return missing.to_string(),
        },
        Missing::DirectMeasurement => {
            "`traces replay FAST --cold --save fast.json` with that model loaded, the same with SLOW, then \
             `traces explain --direct fast.json slow.json`"
        }
        _ => return missing.to_string(),
    };
    format!("{missing} To find out, {todo}.")
}

/// The same in one line, where there is little room.
pub(crate) fn in_short(missing: &Missing) -> String {
    match missing {
        Missing::DirectMeasurement => {
            "what both take without the proxy (`traces help replay` says how).".to_owned()
        }
        Missing::MoreRequests { side, .. } => {
            format!(
                "more requests of {side}. Give both models the same task, or name two others: `traces explain \
                 model:A model:B`."
            )
        }
        Missing::WaitBeforeTheProxy { side, overlapping, of } => {
            format!("what {overlapping} of {of} requests of {side} waited before the proxy.")
        }
        _ => missing.to_string(),
    }
}

/// Why one of the guide's points is unknown, and what to do about it.
pub(crate) fn of_point(why: &WhyUnknown) -> String {
    match why {
        WhyUnknown::NoRequests => format!("{why}: `traces list` shows what there is"),
        WhyUnknown::NotMeasured | WhyUnknown::OtherModel(_) => format!("{why} with `traces replay latest`"),
        _ => why.to_string(),
    }
}
