//! The words of evidence: mechanism first, then the figures. Nothing here names a verb
//! or an option of a program that shows them.

use std::fmt::{self, Display, Formatter};

use super::clauses::{ChangeClause, ServerList};
use super::constant_wait::is_loading;
use super::statement::{Evidence, LoadReason, OverflowSign};
use super::words::{
    Count, ModelName, Ms, NameList, Of, Percent, TimeOfDay, TokenCount, VolatilePiece, WholeNumber, by_number,
};
use crate::analysis::prefix::Addition;

/// How many stalls a sentence lists.
const MOST_STALLS: usize = 3;

impl Display for Evidence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::ProxySlow { model, requests, proxy_ms, wall_ms, truncated, edited } => {
                write!(
                    f,
                    "The proxy works {} on a request before it sends it on, {} of the {} that a request to {} \
                     takes (medians of {})",
                    Ms(*proxy_ms),
                    Percent(*proxy_ms, *wall_ms),
                    Ms(*wall_ms),
                    ModelName(model),
                    Count(*requests, "request"),
                )?;
                match (truncated, edited) {
                    (0, 0) => f.write_str("; no line of its log says at what."),
                    (0, edited) => write!(f, "; it rewrote the system prompt or tools of {edited} of them."),
                    (cut, 0) => write!(f, "; it counted tokens and cut the history of {cut} of them."),
                    (cut, edited) => write!(
                        f,
                        "; it cut the history of {cut} of them and rewrote the system prompt or tools of {edited}."
                    ),
                }
            }
            Self::DebugLogging { low, high, pairs, delta_ms, requests } => write!(
                f,
                "The same prompt takes {} longer at debug level {high} than at level {low} (median of {}); {} ran \
                 at level {high}.",
                Ms(*delta_ms),
                Count(*pairs, "pair"),
                Count(*requests, "request"),
            ),
            Self::ModelLoad { model, reasons, load_ms, again_tokens } => {
                let loads: u64 = reasons.iter().map(|(_, n)| n).sum();
                write!(
                    f,
                    "{} waited {}{} until {} was loaded: ",
                    Count(loads, "request"),
                    Ms(*load_ms),
                    by_number(loads, "", " in all"),
                    ModelName(model)
                )?;
                for (at, (reason, n)) in reasons.iter().enumerate() {
                    let joint = if at == 0 { "" } else { ", " };
                    let times = if loads > 1 { format!("{n} × ") } else { String::new() };
                    write!(f, "{joint}{times}{reason}")?;
                }
                and_again(f, *again_tokens)
            }
            Self::ModelSwap { model, others, loads, load_ms, again_tokens } => {
                write!(f, "{} to {} came right after ", Count(*loads, "request"), ModelName(model))?;
                write!(
                    f,
                    "{} had answered in the same backend, which holds one model at a time",
                    NameList(others)
                )?;
                if *load_ms > 0 {
                    let who = by_number(*loads, "it", "they");
                    write!(f, "; {who} waited {} until the model was loaded again", Ms(*load_ms))?;
                }
                and_again(f, *again_tokens)
            }
            Self::Queueing { model, requests, of, queue_ms, most_at_once } => {
                write!(
                    f,
                    "{} to {} waited for others to end before the backend began with {}, {}{}",
                    Of(*requests, *of).leading(),
                    ModelName(model),
                    by_number(*requests, "it", "them"),
                    Ms(*queue_ms),
                    by_number(*requests, "", " in all"),
                )?;
                if *most_at_once > 1 {
                    write!(f, "; up to {} were there at a time", WholeNumber(*most_at_once))?;
                }
                f.write_str(".")
            }
            Self::ConstantWait { model, requests, of, each_ms, after_others } => {
                let some =
                    if requests < of { format!("{} of ", WholeNumber(*requests)) } else { String::new() };
                let (answers, name) = (Count(*of, "answer"), ModelName(model));
                write!(
                    f,
                    "Before {some}{answers} by {name} {} pass, whatever there is to read: ",
                    Ms(*each_ms)
                )?;
                if is_loading(*after_others, *requests) {
                    let n = WholeNumber(*after_others);
                    write!(
                        f,
                        "{n} of them came right after another model had answered in the same backend, "
                    )?;
                    f.write_str("so that loading the model again is the likely reason.")
                } else {
                    f.write_str("a tunnel, a gateway, or something that the backend does for each request.")
                }
            }
            Self::ReadsAll { model, requests, of, tokens, tokens_per_second, each_ms } => {
                write!(
                    f,
                    "{} reads its whole prompt again on every turn: its backend reuses no prompt cache, although \
                     {} {} most of an earlier prompt, {}{}",
                    ModelName(model).leading(),
                    Of(*requests, *of),
                    by_number(*requests, "repeats", "repeat"),
                    TokenCount(*tokens),
                    by_number(*requests, "", " in all"),
                )?;
                if let (Some(speed), Some(each)) = (tokens_per_second, each_ms) {
                    write!(f, "; at {speed:.0} tokens/s that is {} each time", Ms(*each))?;
                }
                f.write_str(".")
            }
            Self::ReadsWhole { model, requests, of, tokens, each_ms, idle_minutes } => {
                write!(
                    f,
                    "{} to {} took as long as reading all of {} takes, although the backend had read {} of {} before",
                    Of(*requests, *of),
                    ModelName(model),
                    by_number(*requests, "its prompt", "their prompts"),
                    TokenCount(*tokens),
                    by_number(*requests, "it", "them"),
                )?;
                if let Some(each) = each_ms {
                    write!(f, ": {} more each time", Ms(*each))?;
                }
                if let Some(minutes) = idle_minutes {
                    write!(f, ", each after {} or more without a request", Count(*minutes, "minute"))?;
                }
                f.write_str(".")
            }
            Self::ReusesLittle { model, requests, cached_tokens, reusable_tokens, idle_minutes, adds } => {
                write!(
                    f,
                    "The backend of {} took {} of {} from its cache by its own count, although {} {} of earlier ones",
                    ModelName(model),
                    TokenCount(*cached_tokens),
                    Count(*requests, "request"),
                    by_number(*requests, "its prompt repeats", "their prompts repeat"),
                    TokenCount(*reusable_tokens),
                )?;
                if let Some(minutes) = idle_minutes {
                    write!(f, "; each came after {} or more without a request", Count(*minutes, "minute"))?;
                }
                f.write_str(match adds {
                    Some(Addition::SystemMessage) => {
                        "; each of them adds a message of the role system, which some servers move to the front of \
                         the prompt."
                    }
                    Some(Addition::UserText) => {
                        "; they are those in which the user writes again, at which some chat templates drop the \
                         thinking of earlier turns."
                    }
                    None => ".",
                })
            }
            Self::CacheBroken { cause, volatile, element, tools, requests, of, tokens, summary_ms } => {
                let changed = ChangeClause { cause: *cause, volatile: *volatile, element, tools };
                write!(
                    f,
                    "In {} {changed}, so that the backend had to read {} again",
                    Of(*requests, *of),
                    TokenCount(*tokens)
                )?;
                f.write_str(if *requests == 1 { "" } else { " in all" })?;
                match summary_ms {
                    Some(ms) => write!(f, "; writing the summary before that took {}.", Ms(*ms)),
                    None => f.write_str("."),
                }
            }
            Self::Evicted { model, requests, tokens, slots } => {
                write!(
                    f,
                    "{} to {} found that other conversations had taken the place of {} in the prompt cache, so that \
                     {} had to be read again",
                    Count(*requests, "request"),
                    ModelName(model),
                    by_number(*requests, "its own", "theirs"),
                    TokenCount(*tokens),
                )?;
                match slots {
                    Some(slots) => write!(f, " (simulated with {}).", Count(*slots, "slot")),
                    None => f.write_str("."),
                }
            }
            Self::EvictedByOneSlot { model, requests, tokens } => write!(
                f,
                "The backend of {} may hold one conversation at a time instead: with one slot and no cache in main \
                 memory, others take its place before {} that {} an earlier prompt, and as much is read again, {}. \
                 Times alone do not tell which it is.",
                ModelName(model),
                Count(*requests, "request"),
                by_number(*requests, "repeats", "repeat"),
                TokenCount(*tokens),
            ),
            Self::VolatileOpening { volatile, element, requests, tokens } => write!(
                f,
                "{} began with the same prompt as the one before but for {} in {element}, so that the {} \
                 behind it had to be read again.",
                Count(*requests, "new conversation"),
                VolatilePiece(*volatile),
                TokenCount(*tokens),
            ),
            Self::HistoryTruncated { requests, removed_messages, limit_tokens, largest_tokens, tokens } => {
                write!(f, "The proxy dropped the oldest messages of {}", Count(*requests, "request"))?;
                if let Some(limit) = limit_tokens {
                    write!(f, " to stay under a limit of {} tokens", WholeNumber(*limit))?;
                }
                if let Some(largest) = largest_tokens {
                    write!(f, " (the largest prompt had {} by its count)", WholeNumber(*largest))?;
                }
                if let Some(removed) = removed_messages {
                    write!(f, ", {removed}{}", by_number(*requests, "", " of the last one"))?;
                }
                if *tokens > 0 {
                    write!(
                        f,
                        "; so {} begins elsewhere, and {} that the backend had read before had to be read again",
                        by_number(*requests, "its history", "every history"),
                        TokenCount(*tokens)
                    )?;
                }
                f.write_str(".")
            }
            Self::ContextOverflow { model, requests, of, sign, needed_tokens, context_tokens } => {
                match sign {
                    OverflowSign::Refused => {
                        write!(f, "The backend refused {} to {}", Of(*requests, *of), ModelName(model))?;
                    }
                    OverflowSign::Dropped if needed_tokens.is_some() => write!(
                        f,
                        "The server of {} cut the prompts of {}, and told nobody but its log",
                        ModelName(model),
                        Of(*requests, *of),
                    )?,
                    OverflowSign::Dropped => write!(
                        f,
                        "The context of {} was full in {}, so that its server dropped a part of the prompt or of \
                         the answer, and told nobody but its log",
                        ModelName(model),
                        Of(*requests, *of),
                    )?,
                    OverflowSign::StoppedGrowing => write!(
                        f,
                        "The backend of {} cut {}: its count of prompt tokens stays where it is while prompts \
                         grow",
                        ModelName(model),
                        Of(*requests, *of),
                    )?,
                }
                match (sign, needed_tokens, context_tokens) {
                    (OverflowSign::Refused, Some(needed), Some(fits)) => write!(
                        f,
                        ": {} tokens do not fit into the context of {} that it was loaded with.",
                        WholeNumber(*needed),
                        WholeNumber(*fits)
                    ),
                    (OverflowSign::Refused, None, Some(fits)) => {
                        write!(
                            f,
                            ": the prompt does not fit into its context of {} tokens.",
                            WholeNumber(*fits)
                        )
                    }
                    (OverflowSign::Dropped, Some(needed), Some(fits)) => write!(
                        f,
                        ": {} tokens do not fit into its context of {}.",
                        WholeNumber(*needed),
                        WholeNumber(*fits)
                    ),
                    (OverflowSign::Dropped | OverflowSign::StoppedGrowing, _, Some(fits)) => {
                        write!(f, " (at {} tokens).", WholeNumber(*fits))
                    }
                    (OverflowSign::Dropped, _, None) => f.write_str("."),
                    _ => f.write_str(": the prompt does not fit into its context."),
                }
            }
            Self::ToolsUnused {
                servers,
                tools,
                tokens,
                built_in,
                built_in_tokens,
                sessions,
                cold_ms,
                cold_reads,
                warm_reads,
            } => {
                write!(
                    f,
                    "{} of {} {} {} of the median prompt, and no conversation in {} called {}",
                    Count(*tools, "tool"),
                    ServerList(servers),
                    by_number(*tools, "takes", "take"),
                    TokenCount(*tokens),
                    Count(*sessions, "session"),
                    by_number(*tools, "it", "one"),
                )?;
                if let Some(ms) = cold_ms {
                    write!(f, ": {} of each cold read ({} here)", Ms(*ms), WholeNumber(*cold_reads))?;
                    if *warm_reads > 0 {
                        write!(f, ", nothing where the cache holds them ({})", WholeNumber(*warm_reads))?;
                    }
                }
                if *built_in > 0 {
                    write!(
                        f,
                        "; {} that nobody called {} {} more",
                        Count(*built_in, "built-in tool"),
                        by_number(*built_in, "takes", "take"),
                        TokenCount(*built_in_tokens)
                    )?;
                }
                f.write_str(".")
            }
            Self::Thinking { model, requests, thinking_tokens, output_tokens } => write!(
                f,
                "{} of what {} wrote in {} is thinking: {} of {}.",
                Percent(*thinking_tokens, *output_tokens),
                ModelName(model),
                Count(*requests, "answer"),
                WholeNumber(*thinking_tokens),
                TokenCount(*output_tokens),
            ),
            Self::Stalls { model, stalls, of, overlapped } => {
                let total = stalls.iter().map(|(ms, _)| ms).sum();
                let n = stalls.len() as u64;
                match n {
                    1 => write!(f, "An answer by {} stood still in the middle for ", ModelName(model))?,
                    n => write!(
                        f,
                        "{} of {} by {} stood still in the middle, {} in all: ",
                        WholeNumber(n),
                        Count(*of, "answer"),
                        ModelName(model),
                        Ms(total)
                    )?,
                }
                for (at, (ms, start)) in stalls.iter().take(MOST_STALLS).enumerate() {
                    write!(f, "{}{}", if at == 0 { "" } else { ", " }, Ms(*ms))?;
                    start.map_or(Ok(()), |start| write!(f, " (request of {})", TimeOfDay(start)))?;
                }
                if stalls.len() > MOST_STALLS {
                    write!(f, " and {} more", stalls.len() - MOST_STALLS)?;
                }
                match overlapped {
                    0 if n == 1 => f.write_str("; no other recorded request ran beside it."),
                    0 => f.write_str("; no other recorded request ran beside them."),
                    _ if n == 1 => f.write_str("; it shared the backend with another request."),
                    shared => write!(f, "; {shared} of them shared the backend with another request."),
                }
            }
            Self::GivenUp { model, by_client, by_time_limit, sent_again, longest_ms } => {
                let all = by_client + by_time_limit;
                write!(
                    f,
                    "{} to {} ended before the answer was there",
                    Count(all, "request"),
                    ModelName(model)
                )?;
                match (by_client, by_time_limit) {
                    (_, 0) => f.write_str(": the client left")?,
                    (0, limit) => {
                        write!(f, ": the proxy's time limit ended {}", by_number(*limit, "it", "them"))?
                    }
                    (client, limit) => {
                        write!(f, ": the client left {client}, the proxy's time limit ended {limit}")?
                    }
                }
                longest_ms
                    .map_or(Ok(()), |ms| write!(f, ", after {}{}", Ms(ms), by_number(all, "", " at most")))?;
                match sent_again {
                    0 => f.write_str("."),
                    1 if all == 1 => f.write_str("; it was sent again, and the work began anew."),
                    1 => f.write_str("; 1 was sent again, and the work began anew."),
                    n => write!(f, "; {n} were sent again, and the work began anew."),
                }
            }
            Self::Retried { model, tries, bodies, pause_ms, longest_ms } => {
                write!(f, "{} to {} brought no answer", Count(*tries, "request"), ModelName(model))?;
                let at_most = by_number(*tries, "", " at most");
                longest_ms.map_or(Ok(()), |ms| write!(f, " in {}{at_most}", Ms(ms)))?;
                f.write_str(", and the client sent the same prompt again")?;
                pause_ms.map_or(Ok(()), |ms| {
                    write!(f, " {} later{}", Ms(ms), by_number(*tries, "", " (median)"))
                })?;
                if *bodies > 1 {
                    write!(f, ", for {} different prompts", WholeNumber(*bodies))?;
                }
                f.write_str(".")
            }
            Self::Failed { model, requests, of, error } => {
                write!(f, "{} to {} failed", Of(*requests, *of).leading(), ModelName(model))?;
                match error {
                    Some(error) => write!(f, ": {}.", error.trim_end_matches('.')),
                    None => f.write_str("; the log does not say why."),
                }
            }
            Self::Counting { model, requests, median_ms } => {
                write!(
                    f,
                    "{} that only asked how many tokens a prompt has made {} read the prompt and write an answer",
                    Count(*requests, "request"),
                    ModelName(model),
                )?;
                match requests {
                    1 => write!(f, ", which took {}.", Ms(*median_ms)),
                    _ => write!(f, ", which took {} each (median).", Ms(*median_ms)),
                }
            }
            Self::CompactionLoop { continuations, within_turns, tokens, read_ms, summary_ms } => {
                write!(
                    f,
                    "A conversation was replaced by its summary {}, each time within {} of the last",
                    Count(*continuations, "time"),
                    Count(*within_turns, "turn"),
                )?;
                if let Some(tokens) = tokens {
                    write!(f, "; what follows the summary had to be read anew, {}", TokenCount(*tokens))?;
                    read_ms.map_or(Ok(()), |ms| write!(f, " in {}", Ms(ms)))?;
                }
                summary_ms.map_or(Ok(()), |ms| write!(f, "; writing the summaries took {}", Ms(ms)))?;
                f.write_str(".")
            }
            Self::UsageImplausible { model, requests, of, tokens, body_bytes } => {
                write!(
                    f,
                    "The backend of {} reported token counts that cannot be true for {} (such as {} tokens",
                    ModelName(model),
                    Of(*requests, *of),
                    WholeNumber(*tokens),
                )?;
                body_bytes
                    .map_or(Ok(()), |bytes| write!(f, " for {} kB", WholeNumber(bytes.div_ceil(1000))))?;
                f.write_str("); they take part in no figure here.")
            }
        }
    }
}

impl Display for LoadReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProcessStart => f.write_str("at the first request after the proxy started"),
            Self::FirstRecorded => f.write_str("at the first request of the recording"),
            Self::Idle { minutes } => write!(f, "after {} of idleness", Count(*minutes, "minute")),
            Self::OtherModel => f.write_str("after another model had answered"),
            Self::Failure => f.write_str("after a request had failed"),
            Self::Unknown => f.write_str("for a reason that no log tells"),
        }
    }
}

fn and_again(f: &mut Formatter<'_>, tokens: u64) -> fmt::Result {
    match tokens {
        0 => f.write_str("."),
        _ => write!(f, "; the prompt cache was gone, and {} had to be read again.", TokenCount(tokens)),
    }
}
