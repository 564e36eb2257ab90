//! What is missing, with the commands that get it: the library names no command.

use anyclaude_traces::analysis::explain::Missing;
use anyclaude_traces::analysis::report::WhyUnknown;

/// What is missing of a comparison, and what to do about it.
pub(crate) fn of_comparison(missing: &Missing) -> String {
    let todo = match missing {
        Missing::Requests { .. } => "record with `traces record`, or with `ANYCLAUDE_DEBUG=2 anyclaude`",
        Missing::Stalls { .. } => "record with `ANYCLAUDE_DEBUG=2 anyclaude`",
        Missing::MoreRequests { .. } => {
            "give both models the same task, or name two with more requests: `traces explain model:A model:B`"
        }
        // No debug level of the proxy tells more of them than the backend reports.
        Missing::PromptTokens { .. }
        | Missing::OutputTokens { .. }
        | Missing::CachedTokens { .. }
        | Missing::WholeAnswers { .. } => "name the server's own log with `--server-log FILE`",
        Missing::FirstTokens { .. } => {
            "name the server's own log with `--server-log FILE`, or record with `traces record`"
        }
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
