//! The words of findings: mechanism first, then the figures. Nothing here names a verb
//! or an option of a program that shows them.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::float;
use super::statement::{Advice, ErrorRemedy, Evidence, LoadReason, OverflowSign, Server};
use crate::analysis::prefix::{Cause, ElementName, ToolsDifference, Volatile};
use crate::model::time::Timestamp;

/// How many names of tools or servers a sentence lists.
const MOST_NAMES: usize = 5;
/// How many stalls a sentence lists.
const MOST_STALLS: usize = 3;

/// Milliseconds, as a sentence shows them.
struct Ms(u64);

impl Display for Ms {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = float(self.0) / 1000.0;
        match self.0 {
            ..1_000 => write!(f, "{} ms", self.0),
            1_000..59_950 => write!(f, "{seconds:.1} s"),
            _ => {
                let seconds = (self.0 + 500) / 1000;
                let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
                if hours == 0 {
                    write!(f, "{minutes} m {:02} s", seconds % 60)
                } else {
                    write!(f, "{hours} h {minutes:02} m")
                }
            }
        }
    }
}

/// A number of tokens that is a sum or a mean.
struct Tokens(u64);

impl Display for Tokens {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let count = float(self.0);
        match self.0 {
            ..10_000 => write!(f, "{} tokens", Whole(self.0)),
            10_000..999_950 => write!(f, "{:.1} k tokens", count / 1e3),
            _ => write!(f, "{:.1} M tokens", count / 1e6),
        }
    }
}

/// A whole number with its thousands parted.
struct Whole(u64);

impl Display for Whole {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A count with its noun.
struct Count(u64, &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", Whole(self.0), self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// `7 of 8 requests`, or `all 8 requests`, or `this request`.
struct Of(u64, u64);

impl Display for Of {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (1, ..=1) => f.write_str("this request"),
            (n, of) if n >= of => write!(f, "all {}", Count(n, "request")),
            (n, of) => write!(f, "{} of {}", Whole(n), Count(of, "request")),
        }
    }
}

/// The name of a model, which may be unknown.
struct Name<'a>(&'a Option<Arc<str>>);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("the model"))
    }
}

/// Names in a row, the last ones counted.
struct Names<'a, T>(&'a [T]);

impl<T: AsRef<str>> Display for Names<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = if self.0.len() > MOST_NAMES + 1 { MOST_NAMES } else { self.0.len() };
        for (at, name) in self.0.iter().take(shown).enumerate() {
            let joint = match at {
                0 => "",
                _ if at + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{joint}{}", name.as_ref())?;
        }
        match self.0.len() - shown {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// A share as a percentage.
struct Percent(u64, u64);

impl Display for Percent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", float(self.0) * 100.0 / float(self.1.max(1)))
    }
}

/// A time of day in UTC.
struct Clock(Timestamp);

impl Display for Clock {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let stamp = self.0.to_string();
        write!(f, "{} UTC", stamp.get(11..19).unwrap_or(&stamp))
    }
}

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
                    Name(model),
                    Count(*requests, "request"),
                )?;
                match (truncated, edited) {
                    (0, 0) => f.write_str("."),
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
                    "{} waited {} in all until {} was loaded: ",
                    Count(loads, "request"),
                    Ms(*load_ms),
                    Name(model)
                )?;
                for (at, (reason, n)) in reasons.iter().enumerate() {
                    let joint = if at == 0 { "" } else { ", " };
                    let times = if loads > 1 { format!("{n} × ") } else { String::new() };
                    write!(f, "{joint}{times}{reason}")?;
                }
                and_again(f, *again_tokens)
            }
            Self::ModelSwap { model, others, loads, load_ms, again_tokens } => {
                write!(f, "{} to {} came right after ", Count(*loads, "request"), Name(model))?;
                write!(
                    f,
                    "{} had answered in the same backend, which holds one model at a time",
                    Names(others)
                )?;
                if *load_ms > 0 {
                    write!(f, "; they waited {} until the model was loaded again", Ms(*load_ms))?;
                }
                and_again(f, *again_tokens)
            }
            Self::Queueing { model, requests, of, queue_ms, most_at_once } => write!(
                f,
                "{} to {} waited for others to end before the backend began with them, {} in all; up to {} were \
                 there at a time.",
                Of(*requests, *of),
                Name(model),
                Ms(*queue_ms),
                Whole(*most_at_once),
            ),
            Self::ReadsAll { model, requests, of, tokens, tokens_per_second, each_ms } => {
                write!(
                    f,
                    "{} reads its whole prompt again on every turn: its backend reuses no prompt cache, although \
                     {} of {} repeat most of an earlier prompt, {} in all",
                    Name(model),
                    Whole(*requests),
                    Count(*of, "request"),
                    Tokens(*tokens),
                )?;
                if let (Some(speed), Some(each)) = (tokens_per_second, each_ms) {
                    write!(f, "; at {speed:.0} tokens/s that is {} each time", Ms(*each))?;
                }
                f.write_str(".")
            }
            Self::ReusesLittle { model, requests, cached_tokens, reusable_tokens } => write!(
                f,
                "The backend of {} took {} of {} from its cache by its own count, although their prompts repeat {} \
                 of earlier ones.",
                Name(model),
                Tokens(*cached_tokens),
                Count(*requests, "request"),
                Tokens(*reusable_tokens),
            ),
            Self::CacheBroken { cause, volatile, element, tools, requests, of, tokens, summary_ms } => {
                let changed = Changed { cause: *cause, volatile: *volatile, element, tools };
                write!(
                    f,
                    "In {} {changed}, so that the backend had to read {} again",
                    Of(*requests, *of),
                    Tokens(*tokens)
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
                    "{} to {} found that other conversations had taken the place of theirs in the prompt cache, \
                     so that {} had to be read again",
                    Count(*requests, "request"),
                    Name(model),
                    Tokens(*tokens),
                )?;
                match slots {
                    Some(slots) => write!(f, " (simulated with {}).", Count(*slots, "slot")),
                    None => f.write_str("."),
                }
            }
            Self::VolatileOpening { volatile, element, requests, tokens } => write!(
                f,
                "{} began with the same prompt as the one before but for {} in {element}, so that the {} \
                 behind it had to be read again.",
                Count(*requests, "new conversation"),
                Piece(*volatile),
                Tokens(*tokens),
            ),
            Self::HistoryTruncated { requests, removed_messages, limit_tokens, largest_tokens, tokens } => {
                write!(f, "The proxy dropped the oldest messages of {}", Count(*requests, "request"))?;
                if let Some(limit) = limit_tokens {
                    write!(f, " to stay under a limit of {} tokens", Whole(*limit))?;
                }
                if let Some(largest) = largest_tokens {
                    write!(f, " (the largest prompt had {} by its count)", Whole(*largest))?;
                }
                if let Some(removed) = removed_messages {
                    write!(f, ", {removed} of the last one")?;
                }
                if *tokens > 0 {
                    write!(
                        f,
                        "; so every history begins elsewhere, and {} that the backend had read before were read \
                         again",
                        Tokens(*tokens)
                    )?;
                }
                f.write_str(".")
            }
            Self::ContextOverflow { model, requests, of, sign, needed_tokens, context_tokens } => {
                match sign {
                    OverflowSign::Refused => {
                        write!(f, "The backend refused {} to {}", Of(*requests, *of), Name(model))?;
                    }
                    OverflowSign::StoppedGrowing => write!(
                        f,
                        "The backend of {} cut {}: its count of prompt tokens stays where it is while prompts \
                         grow",
                        Name(model),
                        Of(*requests, *of),
                    )?,
                }
                match (sign, needed_tokens, context_tokens) {
                    (OverflowSign::Refused, Some(needed), Some(fits)) => write!(
                        f,
                        ": {} tokens do not fit into the context of {} that it was loaded with.",
                        Whole(*needed),
                        Whole(*fits)
                    ),
                    (OverflowSign::Refused, None, Some(fits)) => {
                        write!(f, ": the prompt does not fit into its context of {} tokens.", Whole(*fits))
                    }
                    (OverflowSign::StoppedGrowing, _, Some(fits)) => {
                        write!(f, " (at {} tokens).", Whole(*fits))
                    }
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
                    "{} of {} take {} of the median prompt, and no conversation in {} called one",
                    Count(*tools, "tool"),
                    Servers(servers),
                    Tokens(*tokens),
                    Count(*sessions, "session"),
                )?;
                if let Some(ms) = cold_ms {
                    write!(f, ": {} of each cold read ({} here)", Ms(*ms), Whole(*cold_reads))?;
                    if *warm_reads > 0 {
                        write!(f, ", nothing where the cache holds them ({})", Whole(*warm_reads))?;
                    }
                }
                if *built_in > 0 {
                    write!(
                        f,
                        "; {} that nobody called take {} more",
                        Count(*built_in, "built-in tool"),
                        Tokens(*built_in_tokens)
                    )?;
                }
                f.write_str(".")
            }
            Self::Thinking { model, requests, thinking_tokens, output_tokens } => write!(
                f,
                "{} of what {} wrote in {} is thinking: {} of {}.",
                Percent(*thinking_tokens, *output_tokens),
                Name(model),
                Count(*requests, "answer"),
                Whole(*thinking_tokens),
                Tokens(*output_tokens),
            ),
            Self::Stalls { model, stalls, of, overlapped } => {
                let total = stalls.iter().map(|(ms, _)| ms).sum();
                let n = u64::try_from(stalls.len()).unwrap_or(u64::MAX);
                match n {
                    1 => write!(f, "An answer by {} stood still in the middle for ", Name(model))?,
                    n => write!(
                        f,
                        "{} of {} by {} stood still in the middle, {} in all: ",
                        Whole(n),
                        Count(*of, "answer"),
                        Name(model),
                        Ms(total)
                    )?,
                }
                for (at, (ms, start)) in stalls.iter().take(MOST_STALLS).enumerate() {
                    write!(f, "{}{}", if at == 0 { "" } else { ", " }, Ms(*ms))?;
                    start.map_or(Ok(()), |start| write!(f, " (request of {})", Clock(start)))?;
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
                write!(f, "{} to {} ended before the answer was there", Count(all, "request"), Name(model))?;
                match (by_client, by_time_limit) {
                    (_, 0) => f.write_str(": the client left")?,
                    (0, _) => f.write_str(": the proxy's time limit ended them")?,
                    (client, limit) => {
                        write!(f, ": the client left {client}, the proxy's time limit ended {limit}")?
                    }
                }
                longest_ms.map_or(Ok(()), |ms| write!(f, ", after {} at most", Ms(ms)))?;
                match sent_again {
                    0 => f.write_str("."),
                    n => write!(f, "; {n} were sent again, and the work began anew."),
                }
            }
            Self::Retried { model, tries, bodies, pause_ms } => {
                write!(
                    f,
                    "{} to {} brought no answer, and the client sent the same prompt again",
                    Count(*tries, "request"),
                    Name(model),
                )?;
                pause_ms.map_or(Ok(()), |ms| write!(f, " {} later (median)", Ms(ms)))?;
                if *bodies > 1 {
                    write!(f, ", for {} different prompts", Whole(*bodies))?;
                }
                f.write_str(".")
            }
            Self::Failed { model, requests, of, error } => {
                write!(f, "{} to {} failed", Of(*requests, *of), Name(model))?;
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
                    Name(model),
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
                    write!(f, "; what follows the summary had to be read anew, {}", Tokens(*tokens))?;
                    read_ms.map_or(Ok(()), |ms| write!(f, " in {}", Ms(ms)))?;
                }
                summary_ms.map_or(Ok(()), |ms| write!(f, "; writing the summaries took {}", Ms(ms)))?;
                f.write_str(".")
            }
            Self::UsageImplausible { model, requests, of, tokens, body_bytes } => {
                write!(
                    f,
                    "The backend of {} reported token counts that cannot be true for {} (such as {} tokens",
                    Name(model),
                    Of(*requests, *of),
                    Whole(*tokens),
                )?;
                body_bytes.map_or(Ok(()), |bytes| write!(f, " for {} kB", Whole(bytes.div_ceil(1000))))?;
                f.write_str("); they take part in no figure here.")
            }
        }
    }
}

impl Display for Advice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::LowerDebugLevel { high, low, gain_ms } => write!(
                f,
                "Record at debug level {high} only while you measure: level {low} saves {} of each request.",
                Ms(*gain_ms)
            ),
            Self::KeepLoaded { idle_minutes: Some(minutes) } => write!(
                f,
                "Keep the model loaded: give it an idle time-to-live of more than {} in the backend's settings.",
                Count(*minutes, "minute")
            ),
            Self::KeepLoaded { idle_minutes: None } => {
                f.write_str("Load the model before the first message, and keep it loaded between sessions.")
            }
            Self::OneModel { main } => write!(
                f,
                "Let background requests go to {main} too (ANTHROPIC_DEFAULT_HAIKU_MODEL), or make room for both \
                 models, so that none has to be loaded again."
            ),
            Self::RoomForBoth => f.write_str(
                "Use one model for all requests, or make room for both (smaller quantisations or contexts), so \
                 that the backend keeps them loaded.",
            ),
            Self::FewerAtOnce { slots: Some((slots, gain)) } => write!(
                f,
                "Run fewer agents in parallel, or give the backend {}: by the simulation that saves {}.",
                Count(*slots, "slot"),
                Ms(*gain)
            ),
            Self::FewerAtOnce { slots: None } => f.write_str("Run fewer agents in parallel."),
            Self::OtherEngine => f.write_str(
                "Try another engine or build of the model, and its prompt cache settings: hybrid and \
                 sliding-window attention often cannot reuse a prompt.",
            ),
            Self::CacheSettings => f.write_str(
                "Look at the backend's prompt cache settings (number of slots, cache memory), or try another \
                 engine build.",
            ),
            Self::Mend { cause, volatile, tools, element, most_per_session } => {
                mend(f, *cause, *volatile, tools.as_ref(), element, *most_per_session)
            }
            Self::MoreSlots { slots } => write!(
                f,
                "Give the backend {} for this model: it is the smallest number with which the simulation evicts \
                 nothing.",
                Count(*slots, "parallel slot")
            ),
            Self::SlotsDoNotHelp { tried } => write!(
                f,
                "More slots do not help (simulated up to {tried}); run fewer conversations beside each other."
            ),
            Self::MovePiece { volatile, element } => write!(
                f,
                "Remove {} from {element}, or move it behind everything that stays the same.",
                Piece(*volatile)
            ),
            Self::LargerLimit { limit_tokens, context_tokens, needed_tokens } => {
                let both = limit_tokens.zip(*context_tokens).filter(|(limit, context)| context > limit);
                match (both, needed_tokens) {
                    (Some((limit, context)), _) => write!(
                        f,
                        "Tell the proxy that the model has a context of {} tokens (it cuts at {}), or compact \
                         earlier.",
                        Whole(context),
                        Whole(limit)
                    ),
                    (None, Some(needed)) => write!(
                        f,
                        "Give the model a context of more than {} tokens and let the proxy know of it, or compact \
                         the conversation earlier.",
                        Whole(*needed)
                    ),
                    (None, None) => f.write_str(
                        "Give the model a larger context and let the proxy know of it, or compact the conversation \
                         earlier.",
                    ),
                }
            }
            Self::LargerContext { tokens: Some(tokens) } => write!(
                f,
                "Load the model with a larger context: {} tokens would have been enough, answer included.",
                Whole(*tokens)
            ),
            Self::LargerContext { tokens: None } => f.write_str("Load the model with a larger context."),
            Self::TurnOffServers { servers } => write!(
                f,
                "Turn off the MCP servers that you do not need for this work: {}.",
                servers.join(", ")
            ),
            Self::LessThinking => {
                f.write_str("Turn thinking off for this model, or lower its budget, where the answers allow it.")
            }
            Self::LongerTimeout { ms } => write!(
                f,
                "Raise the client's time limit: API_TIMEOUT_MS={ms} is longer than any of these waits."
            ),
            Self::ByError(ErrorRemedy::StartBackend) => {
                f.write_str("Start the backend's server, and check the address that the proxy sends to.")
            }
            Self::ByError(ErrorRemedy::LoadModel) => f.write_str("Load the model in the backend first."),
            Self::ByError(ErrorRemedy::LessMemory) => f.write_str(
                "Load the model with a smaller context or a smaller quantisation: the backend ran out of memory.",
            ),
            Self::RoomBetweenCompactions { begins_with_tokens } => {
                f.write_str("Load the model with a larger context, or offer fewer tools")?;
                match begins_with_tokens {
                    Some(tokens) => write!(
                        f,
                        ": a continuation begins with {} already, which leaves no room for turns.",
                        Tokens(*tokens)
                    ),
                    None => f.write_str(", so that more turns fit between two compactions."),
                }
            }
        }
    }
}

impl Display for LoadReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProcessStart => f.write_str("at the first request after the proxy started"),
            Self::Idle { minutes } => write!(f, "after {} of idleness", Count(*minutes, "minute")),
            Self::OtherModel => f.write_str("after another model had answered"),
            Self::Unknown => f.write_str("for a reason that no log tells"),
        }
    }
}

fn and_again(f: &mut Formatter<'_>, tokens: u64) -> fmt::Result {
    match tokens {
        0 => f.write_str("."),
        _ => write!(f, "; the prompt cache was gone, and {} had to be read again.", Tokens(tokens)),
    }
}

/// What changed, as the second half of a sentence.
struct Changed<'a> {
    cause: Cause,
    volatile: Option<Volatile>,
    element: &'a ElementName,
    tools: &'a Option<ToolsDifference>,
}

impl Display for Changed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let at = self.element;
        match self.cause {
            Cause::BillingHeader => write!(f, "the billing header in {at} changed"),
            Cause::DateChanged => write!(f, "the date in {at} changed"),
            Cause::GitStatus => write!(f, "the git status in {at} changed"),
            Cause::ToolsChanged => {
                write!(f, "the tools changed at {at}")?;
                self.tools.as_ref().map_or(Ok(()), |tools| difference(f, tools))
            }
            Cause::ToolOrder => write!(f, "the same tools came in another order from {at} on"),
            Cause::SchemaOrder => write!(f, "the members of {at} came in another order"),
            Cause::SystemMessageInserted => {
                write!(f, "a message of the role system came, moved or went at {at}")
            }
            Cause::HistoryEdited => write!(f, "earlier messages are others from {at} on"),
            Cause::ResultsCleared => {
                write!(f, "old tool results were replaced by placeholders (such as {at})")
            }
            Cause::Compacted => write!(f, "the history was replaced by its summary at {at}"),
            _ => match self.volatile {
                Some(volatile) => write!(f, "{} in {at} changed", volatile.words()),
                None => write!(f, "{at} of the prompt changed"),
            },
        }
    }
}

/// Which tools came, went or changed.
fn difference(f: &mut Formatter<'_>, tools: &ToolsDifference) -> fmt::Result {
    let lists = [("added", &tools.added), ("removed", &tools.removed), ("changed", &tools.changed)];
    let mut joint = " (";
    for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
        write!(f, "{joint}{what}: {}", Names(names))?;
        joint = "; ";
    }
    if joint == "; " { f.write_str(")") } else { Ok(()) }
}

/// A volatile piece.
struct Piece(Option<Volatile>);

impl Display for Piece {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("the short piece that changes", Volatile::words))
    }
}

/// Servers with what their tools take, the largest first.
struct Servers<'a>(&'a [Server]);

impl Display for Servers<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let [server] = self.0 {
            return write!(f, "the MCP server {}", server.name);
        }
        let n = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        let server = |server: &Server| format!("{} {}", server.name, Whole(server.tokens));
        let names: Vec<String> = self.0.iter().map(server).collect();
        write!(f, "{} ({})", Count(n, "MCP server"), Names(&names))
    }
}

/// What to do about a broken cache.
fn mend(
    f: &mut Formatter<'_>,
    cause: Cause,
    volatile: Option<Volatile>,
    tools: Option<&ToolsDifference>,
    element: &ElementName,
    most_per_session: u64,
) -> fmt::Result {
    match (cause, volatile) {
        (Cause::BillingHeader, _) => f.write_str(
            "Set CLAUDE_CODE_ATTRIBUTION_HEADER=0 in the env of Claude Code's settings.json, or use Claude Code \
             2.1.181 or newer, whose header no longer changes.",
        ),
        (Cause::DateChanged, _) if most_per_session <= 1 => f.write_str(
            "The date changes once a day, at midnight: start a new session on a new day, or accept one slow turn.",
        ),
        (Cause::DateChanged, _) => write!(
            f,
            "A date or time changes within a session ({most_per_session} times in one): find what writes it into \
             {element} (CLAUDE.md, an output style, a hook), and remove it or move it to the end."
        ),
        (Cause::GitStatus, _) => f.write_str(
            "Set \"includeGitInstructions\": false in Claude Code's settings.json (or \
             CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS=1), so that edits no longer change the system prompt.",
        ),
        (Cause::ToolsChanged, _) => {
            let servers = tools.map(servers_of).unwrap_or_default();
            if servers.is_empty() {
                return f.write_str(
                    "Let all MCP servers connect before the first message, so that the tools stay the same.",
                );
            }
            write!(
                f,
                "Let the MCP {} {} connect before the first message, or turn off what comes and goes.",
                if servers.len() == 1 { "server" } else { "servers" },
                Names(&servers)
            )
        }
        (Cause::ToolOrder | Cause::SchemaOrder, _) => f.write_str(
            "Use a proxy that sorts tools by name (anyclaude does since November 2025), or turn off the server that \
             lists them in another order each time.",
        ),
        (Cause::ResultsCleared, _) => f.write_str(
            "The client clears old tool results to save context, and the cache behind them is lost each time: \
             compact the conversation instead, which loses it once.",
        ),
        (Cause::HistoryEdited, _) => f.write_str(
            "Going back to an earlier message makes everything after it new; if nobody did, look for a hook or a \
             client that rewrites old messages.",
        ),
        (Cause::Compacted, _) if most_per_session <= 1 => {
            f.write_str("A compaction is read once, and the prompts after it are shorter: this is expected.")
        }
        (Cause::Compacted, _) => write!(
            f,
            "One session was compacted {most_per_session} times: a larger context or fewer tools mean fewer \
             compactions."
        ),
        (Cause::SystemMessageInserted, _) => f.write_str(
            "Reminders that hooks or the client insert as system messages move through the history: fewer hooks \
             mean fewer of them.",
        ),
        (_, Some(volatile)) => write!(
            f,
            "Find what writes {} into {element} (CLAUDE.md, a hook, an MCP server), and remove it or move it to the \
             end.",
            volatile.words()
        ),
        _ => write!(f, "Find what changes {element}, and keep it the same within a session."),
    }
}

/// The MCP servers of the tools that came, went or changed.
fn servers_of(tools: &ToolsDifference) -> Vec<&str> {
    let all = tools.added.iter().chain(&tools.removed).chain(&tools.changed);
    let mut servers: Vec<&str> = all.filter_map(|name| crate::analysis::tools::server(name)).collect();
    servers.sort_unstable();
    servers.dedup();
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_like_words() {
        for (ms, text) in [(950, "950 ms"), (10_600, "10.6 s"), (59_960, "1 m 00 s"), (3_900_000, "1 h 05 m")]
        {
            assert_eq!(Ms(ms).to_string(), text);
        }
        for (tokens, text) in
            [(9_999, "9,999 tokens"), (12_410, "12.4 k tokens"), (1_250_000, "1.2 M tokens")]
        {
            assert_eq!(Tokens(tokens).to_string(), text);
        }
        assert_eq!(Whole(81_000_000).to_string(), "81,000,000");
        assert_eq!(Of(8, 8).to_string(), "all 8 requests");
        assert_eq!(Of(1, 8).to_string(), "1 of 8 requests");
        assert_eq!(Of(1, 1).to_string(), "this request");
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        assert_eq!(Names(&["a", "b", "c"]).to_string(), "a, b and c");
        assert_eq!(Names(&["a", "b", "c", "d", "e", "f"]).to_string(), "a, b, c, d, e and f");
        assert_eq!(Names(&["a", "b", "c", "d", "e", "f", "g"]).to_string(), "a, b, c, d, e and 2 more");
    }
}
