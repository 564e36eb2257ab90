//! What findings say: the figures in their sentences, and one thing told from several.

use std::fmt::Display;

use super::*;
use crate::analysis::prefix::{ElementName, ToolsDifference, Volatile};
use crate::formats::body::ElementPath;
use crate::model::time::Timestamp;

#[track_caller]
fn says(what: &dyn Display, words: &[&str]) {
    let said = what.to_string();
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[track_caller]
fn is_silent(what: &dyn Display, words: &[&str]) {
    let said = what.to_string();
    for word in words {
        assert!(!said.contains(word), "`{word}` is in: {said}");
    }
}

fn m() -> Option<Arc<str>> {
    Some("qwen".into())
}

fn place() -> ElementName {
    ElementName(ElementPath::System(1))
}

#[test]
fn sentences_name_the_figures_of_slow_proxies_and_debug_levels() {
    let slow = |truncated, edited| {
        Evidence::ProxySlow(SlowProxy {
            model: m(),
            requests: 3,
            proxy_ms: 750,
            wall_ms: 3_000,
            truncated,
            edited,
        })
    };
    says(&slow(0, 0), &["750 ms", "25 %", "3.0 s", "qwen", "3 requests"]);
    is_silent(&slow(0, 0), &[" of them"]);
    says(&slow(0, 2), &["tools of 2 of them"]);
    says(&slow(1, 0), &["history of 1 of them"]);
    says(&slow(1, 2), &["history of 1 of them", "tools of 2."]);
}

#[test]
fn sentences_name_the_figures_of_loads_and_swaps() {
    let load = |reasons: &[(LoadReason, u64)], again_tokens| {
        Evidence::ModelLoad(ModelLoads {
            model: m(),
            reasons: reasons.to_vec(),
            load_ms: 9_000,
            again_tokens,
        })
    };
    let one = load(&[(LoadReason::OtherModel, 1)], 0);
    says(&one, &["1 request waited 9.0 s", "until qwen was loaded: after another model had answered."]);
    is_silent(&one, &["×", "read again"]);
    let idle = LoadReason::Idle { minutes: 39 };
    let several = load(&[(LoadReason::ProcessStart, 2), (idle, 1)], 12_000);
    says(&several, &["3 requests", ": 2 × at the first request after", ", 1 × after 39 minutes of idleness"]);
    says(&several, &["12.0 k tokens had to be read again."]);
    let swap = |load_ms, again_tokens| {
        Evidence::ModelSwap(ModelSwaps {
            model: m(),
            others: vec!["gpt".into()],
            loads: 2,
            load_ms,
            again_tokens,
        })
    };
    says(&swap(3_000, 0), &["2 requests to qwen", "gpt had answered", "waited 3.0 s"]);
    is_silent(&swap(0, 700), &["waited"]);
    says(&swap(0, 700), &["700 tokens had to be read again."]);
}

fn broken(cause: Cause, volatile: Option<Volatile>, tools: Option<ToolsDifference>) -> Evidence {
    Evidence::CacheBroken(CacheBreaks {
        change: PromptChange { cause, volatile, element: place(), tools },
        requests: 2,
        of: 8,
        tokens: 9_000,
        summary_ms: None,
    })
}

fn mended(cause: Cause, volatile: Option<Volatile>, tools: Option<ToolsDifference>, n: u64) -> Advice {
    Advice::Mend { cause, volatile, tools, element: place(), most_per_session: n }
}

#[test]
fn each_cause_of_a_broken_cache_is_named_and_mended_in_its_own_words() {
    let causes = [
        (Cause::BillingHeader, "billing header", "CLAUDE_CODE_ATTRIBUTION_HEADER=0"),
        (Cause::DateChanged, "the date", "once a day"),
        (Cause::GitStatus, "git status", "includeGitInstructions"),
        (Cause::ToolsChanged, "the tools changed", "MCP servers connect before"),
        (Cause::ToolOrder, "the same tools came in another order", "sorts tools by name"),
        (Cause::SchemaOrder, "members of", "members of its tools in another order"),
        (Cause::SystemMessageInserted, "of the role system", "fewer hooks"),
        (Cause::HistoryEdited, "earlier messages are others", "Going back to an earlier message"),
        (Cause::ResultsCleared, "old tool results", "clears old tool results"),
        (Cause::Compacted, "replaced by its summary", "fewer compactions"),
        (Cause::SystemChanged, "of the prompt changed", "Find what changes"),
    ];
    for (cause, changed, mend) in causes {
        says(&broken(cause, None, None), &["2 of 8 requests", changed, "9,000 tokens", " in all"]);
        says(&mended(cause, None, None, 1), &[mend]);
    }
    let volatile = Some(Volatile::RandomId);
    says(&broken(Cause::SystemChanged, volatile, None), &["a random id in "]);
    says(&mended(Cause::SystemChanged, volatile, None, 1), &["what writes a random id into"]);
    says(&mended(Cause::DateChanged, None, None, 2), &["2 times in one"]);
    says(&mended(Cause::Compacted, None, None, 3), &["compacted 3 times"]);
}

#[test]
fn tools_that_came_and_went_are_named_and_so_are_their_servers() {
    let tools = |added: &[&str], removed: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
        Some(ToolsDifference {
            added: names(added),
            removed: names(removed),
            changed: Vec::new(),
            reordered: false,
        })
    };
    let one = tools(&["mcp__maps__list", "mcp__maps__find"], &[]);
    says(&broken(Cause::ToolsChanged, None, one.clone()), &[" (added: mcp__maps__list and mcp__maps__find)"]);
    says(&mended(Cause::ToolsChanged, None, one, 1), &["the MCP server maps connect"]);
    let two = tools(&["mcp__maps__list"], &["mcp__mail__send", "Read"]);
    says(&broken(Cause::ToolsChanged, None, two.clone()), &["mcp__maps__list; removed: mcp__mail__send and"]);
    says(&mended(Cause::ToolsChanged, None, two, 1), &["the MCP servers mail and maps connect"]);
    is_silent(&broken(Cause::ToolsChanged, None, tools(&[], &[])), &["("]);
    let own = tools(&["Edit", "Bash"], &[]);
    says(&mended(Cause::ToolsChanged, None, own, 1), &["The client itself offers other tools"]);
}

#[test]
fn sentences_name_the_figures_of_openings_cut_histories_and_contexts() {
    let opening = |volatile| {
        Evidence::VolatileOpening(VolatileOpenings { volatile, element: place(), requests: 1, tokens: 800 })
    };
    says(&opening(None), &["1 new conversation began", "the short piece that changes", "800 tokens"]);
    says(&opening(Some(Volatile::DateOrTime)), &["a date or time"]);
    let cut = |tokens| {
        Evidence::HistoryTruncated(TruncatedHistories {
            requests: 2,
            removed_messages: Some(4),
            limit_tokens: Some(26_214),
            largest_tokens: Some(27_000),
            tokens,
        })
    };
    says(&cut(0), &["2 requests", "26,214 tokens", "27,000 by its count", ", 4 of the last one."]);
    is_silent(&cut(0), &["read again"]);
    says(&cut(700), &["700 tokens that the backend"]);
    let overflow =
        |sign| Evidence::ContextOverflow(ContextOverflows { model: m(), requests: 1, of: 1, sign });
    let refused =
        |needed_tokens, context_tokens| overflow(OverflowSign::Refused { needed_tokens, context_tokens });
    let full = |context_tokens| overflow(OverflowSign::Full { context_tokens });
    let cut = OverflowSign::Cut { needed_tokens: 22_714, context_tokens: Some(4_096) };
    let stopped = OverflowSign::StoppedGrowing { needed_tokens: 9_100, context_tokens: 8_192 };
    says(
        &refused(Some(9_100), Some(8_192)),
        &["refused this request to qwen: 9,100 tokens do not fit into the context of 8,192"],
    );
    says(&refused(None, Some(8_192)), &["its context of 8,192 tokens."]);
    says(&refused(None, None), &[": the prompt does not fit into its context."]);
    says(&overflow(stopped), &["(at 8,192 tokens)."]);
    says(&overflow(cut), &["told nobody but its log: 22,714 tokens do not fit into its context of 4,096."]);
    says(&full(Some(8_192)), &["was full", "its log (at 8,192 tokens)."]);
    says(&full(None), &["its log."]);
    let limit = |context_tokens| Advice::LargerLimit {
        limit_tokens: Some(26_214),
        context_tokens,
        needed_tokens: Some(27_000),
    };
    says(&limit(Some(32_768)), &["context of 32,768 tokens (it cuts at 26,214)"]);
    says(&limit(Some(26_214)), &["more than 27,000 tokens"]);
    says(&limit(None), &["more than 27,000 tokens"]);
}

#[test]
fn sentences_name_the_figures_of_unused_tools_and_thinking() {
    let server = |name: &str, tokens| Server { name: name.into(), tools: 2, tokens };
    let unused = |servers: Vec<Server>, warm_reads, built_in| {
        Evidence::ToolsUnused(UnusedTools {
            servers,
            tools: 2,
            tokens: 1_200,
            built_in,
            built_in_tokens: 300,
            sessions: 2,
            reading: Some(ToolReading { cold_ms: 2_400, cold_reads: 1, warm_reads }),
        })
    };
    let one = unused(vec![server("maps", 1_200)], 0, 0);
    says(
        &one,
        &["2 tools of the MCP server maps take 1,200 tokens", "2 sessions", "2.4 s of each", "(1 here)"],
    );
    is_silent(&one, &["the cache holds them", "built-in"]);
    let two = unused(vec![server("maps", 1_000), server("mail", 200)], 3, 1);
    says(&two, &["2 MCP servers (maps 1,000 and mail 200)", "holds them (3)"]);
    says(&two, &["1 built-in tool that nobody called takes 300 tokens more."]);
    let thinking = Evidence::Thinking(ThinkingShare {
        model: m(),
        requests: 3,
        thinking_tokens: 600,
        output_tokens: 1_000,
    });
    says(&thinking, &["60 % of what qwen wrote in 3 answers", "600 of 1,000 tokens"]);
}

#[test]
fn sentences_name_the_figures_of_stalls_and_given_up_requests() {
    let start = Timestamp::from_unix_ms(1_770_000_000_000);
    let clock = start.unwrap().to_string()[11..19].to_owned();
    let stalls = |n: usize, overlapped| {
        Evidence::Stalls(StalledAnswers {
            model: m(),
            stalls: vec![Stall { ms: 64_000, start }; n],
            of: 9,
            overlapped,
        })
    };
    says(&stalls(1, 0), &["An answer by qwen", "1 m 04 s", &clock, "ran beside it."]);
    says(&stalls(1, 1), &["; it shared the backend"]);
    says(&stalls(2, 0), &["2 of 9 answers", "2 m 08 s", "ran beside them."]);
    is_silent(&stalls(3, 0), &[" more"]);
    says(&stalls(5, 2), &[" and 2 more", "; 2 of them shared"]);
    let given_up = |by_client, by_time_limit, sent_again| {
        Evidence::GivenUp(GivenUpRequests {
            model: m(),
            by_client,
            by_time_limit,
            sent_again,
            longest_ms: Some(300_000),
        })
    };
    says(&given_up(2, 0, 0), &["2 requests to qwen", ": the client left, after 5 m 00 s at most."]);
    says(&given_up(0, 2, 0), &["2 requests", "time limit ended them"]);
    says(&given_up(1, 2, 2), &["3 requests", "the client left 1", "ended 2", "; 2 were sent again"]);
}

#[test]
fn sentences_name_the_figures_of_retries_failures_and_token_counts() {
    let retried = |bodies| {
        Evidence::Retried(RetriedRequests {
            model: m(),
            tries: 3,
            bodies,
            pause_ms: Some(20_000),
            longest_ms: None,
        })
    };
    says(&retried(2), &["3 requests to qwen", "20.0 s later", "for 2 different prompts."]);
    is_silent(&retried(1), &["different prompts"]);
    let counting = |requests| Evidence::Counting(CountingRequests { model: m(), requests, median_ms: 8_000 });
    says(&counting(1), &["1 request that", "which took 8.0 s."]);
    says(&counting(2), &["2 requests that", "8.0 s each (median)."]);
    let failed = |model| {
        Evidence::Failed(FailedRequests { model, requests: 1, of: 2, error: Some("No memory.".into()) })
    };
    says(&failed(m()), &["1 of 2 requests to qwen failed: No memory."]);
    says(&failed(None), &["to the model failed"]);
}

#[test]
fn advice_names_its_figures() {
    says(&Advice::ByError(ErrorRemedy::LoadModel), &["Load the model"]);
    says(&Advice::KeepLoaded { idle_minutes: Some(39) }, &["more than 39 minutes"]);
    says(&Advice::RoomBetweenCompactions { begins_with_tokens: Some(9_000) }, &["begins with 9,000 tokens"]);
    says(&Advice::FewerAtOnce { slots: Some((3, 6_000)) }, &["3 slots", "saves 6.0 s"]);
}

#[test]
fn sentences_name_the_figures_of_requests_that_were_read_whole() {
    let said = |requests, each_ms, idle_minutes| {
        Evidence::ReadsWhole(ReadsWhole {
            model: m(),
            requests,
            of: 16,
            tokens: 54_000,
            each_ms,
            idle_minutes,
        })
    };
    says(
        &said(3, Some(36_000), Some(14)),
        &[
            "3 of 16 requests to qwen took as long as reading all of their prompts takes",
            "the backend had read 54.0 k tokens of them before: 36.0 s more each time",
            ", each after 14 minutes or more without a request.",
        ],
    );
    is_silent(&said(3, None, None), &["each"]);
}

/// One of something reads as well as several, with a model's name and without.
#[test]
fn sentences_agree_with_their_numbers() {
    let evidence = |model: Option<&str>, n: u64| {
        let model = model.map(Arc::from);
        [
            Evidence::Queueing(QueuedRequests {
                model: model.clone(),
                requests: n,
                of: n,
                queue_ms: 900,
                most_at_once: 2,
            }),
            Evidence::Failed(FailedRequests { model: model.clone(), requests: n, of: n, error: None }),
            Evidence::GivenUp(GivenUpRequests {
                model: model.clone(),
                by_client: 0,
                by_time_limit: n,
                sent_again: n,
                longest_ms: Some(900),
            }),
            Evidence::Retried(RetriedRequests {
                model: model.clone(),
                tries: n,
                bodies: 1,
                pause_ms: Some(900),
                longest_ms: None,
            }),
            Evidence::Evicted(Evictions { model, requests: n, tokens: n, slots: None }),
        ]
        .map(|evidence| evidence.to_string())
    };
    assert_eq!(
        evidence(None, 1),
        [
            "This request to the model waited for others to end before the backend began with it, 900 ms; up \
             to 2 were there at a time.",
            "This request to the model failed; the log does not say why.",
            "1 request to the model ended before the answer was there: the proxy's time limit ended it, after \
             900 ms; it was sent again, and the work began anew.",
            "1 request to the model brought no answer, and the client sent the same prompt again 900 ms later.",
            "1 request to the model found that other conversations had taken the place of its own in the \
             prompt cache, so that 1 token had to be read again.",
        ]
    );
    assert_eq!(
        evidence(Some("m"), 2),
        [
            "All 2 requests to m waited for others to end before the backend began with them, 900 ms in all; \
             up to 2 were there at a time.",
            "All 2 requests to m failed; the log does not say why.",
            "2 requests to m ended before the answer was there: the proxy's time limit ended them, after 900 \
             ms at most; 2 were sent again, and the work began anew.",
            "2 requests to m brought no answer, and the client sent the same prompt again 900 ms later \
             (median).",
            "2 requests to m found that other conversations had taken the place of theirs in the prompt \
             cache, so that 2 tokens had to be read again.",
        ]
    );
    let reads_all = |model: Option<Arc<str>>| {
        let (requests, of, tokens) = (3, 3, 9_000);
        Evidence::ReadsAll(ReadsAll { model, requests, of, tokens, reading: None })
    };
    assert!(reads_all(None).to_string().starts_with("The model reads its whole prompt"));
    assert!(reads_all(Some("m".into())).to_string().contains("although all 3 requests repeat most"));
}
