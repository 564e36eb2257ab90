//! The words of advice: what to do, in one sentence. Nothing here names a verb or an option
//! of a program that shows them.

use std::fmt::{self, Display, Formatter};

use super::input::ALL_TRIED_SLOTS;
use super::remedy::{Advice, ErrorRemedy};
use super::words::{Count, Ms, NameList, TokenCount, VolatilePiece, WholeNumber};
use crate::analysis::prefix::{Addition, Cause, ElementName, ToolsDifference, Volatile};

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
            Self::AskBackendItself => f.write_str(
                "Send a request straight to the backend, without what stands in between: if it waits as long, the \
                 wait is the backend's own.",
            ),
            Self::OtherEngine => f.write_str(
                "Try another engine or build of the model, and its prompt cache settings: hybrid and \
                 sliding-window attention often cannot reuse a prompt.",
            ),
            Self::CacheSettings => f.write_str(
                "Look at the backend's prompt cache settings (number of slots, cache memory), or try another \
                 engine build.",
            ),
            Self::AppendOnly(Addition::SystemMessage) => f.write_str(
                "Use a server and a chat template that leave system messages where they stand; where these say how \
                 many tokens are left, set \"totalTokensReminder\": \"off\" in Claude Code's settings.json.",
            ),
            Self::AppendOnly(Addition::UserText) => f.write_str(
                "Use a chat template, or a setting of it, that keeps the thinking of earlier turns, or turn thinking \
                 off.",
            ),
            Self::Mend { cause, volatile, tools, element, most_per_session } => {
                mend(f, *cause, *volatile, tools.as_ref(), element, *most_per_session)
            }
            Self::MoreSlots { slots } => write!(
                f,
                "Give the backend {} for this model: {} the simulation evicts nothing.",
                Count(*slots, "parallel slot"),
                if *slots <= ALL_TRIED_SLOTS {
                    "it is the smallest number with which"
                } else {
                    "with as many"
                },
            ),
            Self::SlotsDoNotHelp { tried } => write!(
                f,
                "More slots do not help (simulated up to {tried}); run fewer conversations beside each other."
            ),
            Self::MovePiece { volatile, element } => write!(
                f,
                "Remove {} from {element}, or move it behind everything that stays the same.",
                VolatilePiece(*volatile)
            ),
            Self::LargerLimit { limit_tokens, context_tokens, needed_tokens } => {
                larger_limit(f, limit_tokens.zip(*context_tokens), *needed_tokens)
            }
            Self::LargerContext { tokens, slots } => larger_context(f, *tokens, *slots),
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
            Self::ByError(remedy) => f.write_str(by_error(*remedy)),
            Self::RoomBetweenCompactions { begins_with_tokens } => {
                f.write_str("Load the model with a larger context, or offer fewer tools")?;
                match begins_with_tokens {
                    Some(tokens) => write!(
                        f,
                        ": a continuation begins with {} already, which leaves no room for turns.",
                        TokenCount(*tokens)
                    ),
                    None => f.write_str(", so that more turns fit between two compactions."),
                }
            }
        }
    }
}

/// A context that the proxy knows of. `limit_and_context` are where the proxy cuts, and what
/// the backend says that it has.
fn larger_limit(
    f: &mut Formatter<'_>,
    limit_and_context: Option<(u64, u64)>,
    needed_tokens: Option<u64>,
) -> fmt::Result {
    match (limit_and_context.filter(|(limit, context)| context > limit), needed_tokens) {
        (Some((limit, context)), _) => write!(
            f,
            "Tell the proxy that the model has a context of {} tokens (it cuts at {}), or compact earlier.",
            WholeNumber(context),
            WholeNumber(limit)
        ),
        (None, Some(needed)) => write!(
            f,
            "Give the model a context of more than {} tokens and let the proxy know of it, or compact the \
             conversation earlier.",
            WholeNumber(needed)
        ),
        (None, None) => f.write_str(
            "Give the model a larger context and let the proxy know of it, or compact the conversation earlier.",
        ),
    }
}

/// What a backend's words ask for.
fn by_error(remedy: ErrorRemedy) -> &'static str {
    match remedy {
        ErrorRemedy::StartBackend => {
            "Start the backend's server, and check the address that the proxy sends to."
        }
        ErrorRemedy::LoadModel => "Load the model in the backend first.",
        ErrorRemedy::LessMemory => {
            "Load the model with a smaller context or a smaller quantisation: the backend ran out of memory."
        }
        ErrorRemedy::SeeWhyItCrashed => {
            "Look into the backend's own log for why the model's process ended; where it ran out of memory, a \
             smaller context or quantisation helps."
        }
        ErrorRemedy::OtherTemplate => {
            "Give the model another chat template, or a newer server: this one refuses the conversation, as older \
             templates do where a system message does not come first."
        }
    }
}

/// A server's setting is the context of all its slots together.
fn larger_context(f: &mut Formatter<'_>, tokens: Option<u64>, slots: Option<u64>) -> fmt::Result {
    match tokens {
        Some(tokens) => write!(
            f,
            "Load the model with a larger context: {} tokens would have been enough, answer included.",
            WholeNumber(tokens)
        )?,
        None => f.write_str("Load the model with a larger context.")?,
    }
    let Some(slots) = slots else { return Ok(()) };
    write!(f, " The server divides its context among its {slots} slots: ")?;
    match tokens {
        Some(tokens) => {
            write!(f, "give it {} in all, or fewer slots.", WholeNumber(tokens.saturating_mul(slots)))
        }
        None => f.write_str("fewer of them have more of it each."),
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
            if servers.is_empty() && tools.is_some_and(|tools| tools.names().next().is_some()) {
                return f.write_str(
                    "The client itself offers other tools in one turn than in the next, as modes (to plan, to build) do: \
                     stay in one, or let all of them offer the same tools.",
                );
            }
            if servers.is_empty() {
                return f.write_str(
                    "Let all MCP servers connect before the first message, so that the tools stay the same.",
                );
            }
            write!(
                f,
                "Let the MCP {} {} connect before the first message, or turn off what comes and goes.",
                if servers.len() == 1 { "server" } else { "servers" },
                NameList(&servers)
            )
        }
        (Cause::ToolOrder, _) => f.write_str(
            "Use a proxy that sorts tools by name (anyclaude does since November 2025), or turn off the server that \
             lists them in another order each time.",
        ),
        (Cause::SchemaOrder, _) => f.write_str(
            "Update or turn off the MCP server that writes the members of its tools in another order each time.",
        ),
        (Cause::ResultsCleared, _) => f.write_str(
            "The client clears old tool results to save context, and the cache behind them is lost each time: \
             compact the conversation instead, which loses it once.",
        ),
        (Cause::HistoryEdited, _) => f.write_str(
            "Going back to an earlier message makes everything after it new; if nobody did, look for a hook or a \
             client that rewrites old messages.",
        ),
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
    let mut servers: Vec<&str> = tools.names().filter_map(crate::analysis::tools::server).collect();
    servers.sort_unstable();
    servers.dedup();
    servers
}
