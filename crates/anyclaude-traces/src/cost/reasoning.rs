//! Hidden reasoning, which was generated before anything was streamed, and buffered answers,
//! which were complete before their first piece was streamed.
//!
//! Both hide in the time to first token. Of hidden reasoning it is known how long it took, at the
//! pace of what was streamed, so that this moves from reading to writing. A buffered answer has
//! no such pace: neither its reading nor its writing is known.

use std::collections::BTreeMap;

use super::case::{Case, CaseFacts, LEAST_OUTPUT_TOKENS, LEAST_WRITE_MS, float, whole};
use super::plausibility::is_output_believed;
use super::rate::Rate;
use super::{Model, by_model};

/// With more streamed bytes for each output token than this, all tokens were streamed.
const MOST_BYTES_PER_TOKEN: f64 = 3.5;
/// With more bytes in each piece than this, a piece holds several tokens, so that pieces do not
/// count tokens.
const MOST_BYTES_PER_PIECE: u64 = 10;
/// Hidden reasoning takes at most this share of the time to first token.
const MOST_OF_TTFT: f64 = 0.95;
/// An answer is buffered if its model needs at least this many times as long to write as many
/// tokens in other requests.
const TIMES_TOO_FAST: f64 = 5.0;

/// Where no pieces are counted, a model hides reasoning if its answers have more than this many
/// times as many tokens as their recorded texts and tool calls.
const TIMES_AS_MANY: f64 = 2.0;
/// Tokens that a chat template puts around a tool call; no recording holds them.
const TOKENS_AROUND_A_CALL: f64 = 20.0;

/// A prompt with more bytes than this for each token holds more than text, as images.
const MOST_TEXT_BYTES_PER_TOKEN: f64 = 6.0;

/// The fastest that a model ever read is known from at least this many requests.
const LEAST_READERS: usize = 3;

/// Output tokens that were generated before anything was streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) tokens: u64,
    /// The time that this took, at the pace of what was streamed.
    pub(super) ms: u64,
}

/// Finds the hidden reasoning of all cases, and takes back the output counts that even with it
/// cannot be true.
pub(super) fn find(cases: &mut [Case]) {
    let hides = by_model(cases, hides_reasoning);
    for case in cases {
        let tokens = match case.pieces() {
            Some(pieces) => hidden_by_pieces(case, pieces),
            None => hidden_by_text(case, hides.get(&case.origin.model) == Some(&true)),
        };
        case.hidden = tokens.and_then(|tokens| hidden(case, tokens));
        let reasoning = case.hidden.map(|hidden| hidden.tokens).max(case.reasoning_tokens.get()).unwrap_or(0);
        let streamed = case.streamed_bytes();
        let is_logged = case.server.as_deref().is_some_and(|server| server.output_tokens.is_known());
        let is_believed = |output: &u64| {
            is_logged || streamed.is_none_or(|bytes| is_output_believed(*output, bytes, reasoning))
        };
        case.output_tokens = case.output_tokens.get().filter(is_believed).into();
    }
}

/// How many output tokens were not streamed, where a log counts the pieces that were; `None`
/// where there is no evidence of any.
fn hidden_by_pieces(case: &Case, pieces: u64) -> Option<u64> {
    let output = case.output_tokens.get()?;
    let unseen = output.checked_sub(pieces).filter(|unseen| *unseen > 0)?;
    // Where reasoning is streamed, its first token is the first token, and nothing is hidden.
    if case.streamed_reasoning == Some(true) {
        return None;
    }
    if let Some(counted) = case.reasoning_tokens.get().filter(|tokens| *tokens > 0) {
        return Some(counted.min(unseen));
    }
    let bytes = case.streamed_bytes()?;
    let is_too_little = float(bytes) < MOST_BYTES_PER_TOKEN * float(output);
    let chunks = case.text_chunks.get().unwrap_or(pieces).max(1);
    let is_a_token_a_piece = bytes <= chunks.saturating_mul(MOST_BYTES_PER_PIECE);
    (is_more_than_pieces(case, output) && is_too_little && is_a_token_a_piece).then_some(unseen)
}

/// Whether there are clearly more tokens than events: 1.3 × events + 10.
fn is_more_than_pieces(case: &Case, output: u64) -> bool {
    let events = case.events.get().unwrap_or(u64::MAX);
    output.saturating_mul(10) > events.saturating_mul(13).saturating_add(100)
}

/// Whether a model's answers have clearly more tokens than their recorded texts and calls, and
/// the times to first token are long enough to generate the others. If they are not, the
/// answers are only made of shorter tokens than the prompts that the estimate goes by.
fn hides_reasoning(cases: &[&Case]) -> bool {
    let (mut output_tokens, mut visible_sum, mut hidden_ms, mut ttft_ms) = (0.0, 0.0, 0.0, 0.0);
    for case in cases {
        let Some(visible) = visible_tokens(case) else { continue };
        let Some((output, generation)) = case.output_tokens.get().zip(case.generation_ms()) else { continue };
        let Some(ttft) = case.ttft_ms.get() else { continue };
        output_tokens += float(output);
        visible_sum += visible.max(1.0);
        hidden_ms += (float(output) - visible).max(0.0) * float(generation) / visible.max(1.0);
        ttft_ms += float(ttft);
    }
    visible_sum > 0.0 && output_tokens > TIMES_AS_MANY * visible_sum && hidden_ms <= ttft_ms
}

/// How many output tokens were not streamed, where no pieces are counted: those that the usage
/// counts as reasoning, else, of a model that `hides` reasoning, those that the recorded answer
/// has no text for.
fn hidden_by_text(case: &Case, hides: bool) -> Option<u64> {
    let output = case.output_tokens.get()?;
    if case.streamed_reasoning == Some(true) {
        return None;
    }
    if let Some(counted) = case.reasoning_tokens.get().filter(|tokens| *tokens > 0) {
        return Some(counted.min(output.saturating_sub(1)));
    }
    let visible = visible_tokens(case).filter(|_| hides)?;
    let is_more = float(output) > 1.3 * visible + 10.0;
    is_more.then(|| output.saturating_sub(whole(visible.max(1.0))))
}

/// The tokens that an answer is known to have shown, if nothing else tells of hidden reasoning.
fn visible_tokens(case: &Case) -> Option<f64> {
    if !case.is_certain || case.is_measured() || case.streamed_reasoning == Some(true) {
        return None;
    }
    answer_tokens(case).filter(|_| case.pieces().is_none())
}

/// The estimated tokens of an answer's recorded texts and calls, if its tokens have as many
/// bytes as those of its prompt; `None` if that holds images.
pub(super) fn answer_tokens(case: &CaseFacts) -> Option<f64> {
    let bytes = float(case.answer_bytes.get()?);
    let prompt_bytes = float(case.prompt_bytes.get().filter(|bytes| *bytes > 0)?);
    let prompt_tokens = float(case.prompt_tokens.get()?);
    let calls = float(case.answer_calls.get().unwrap_or(0));
    (prompt_bytes <= MOST_TEXT_BYTES_PER_TOKEN * prompt_tokens)
        .then(|| bytes * prompt_tokens / prompt_bytes + TOKENS_AROUND_A_CALL * calls)
}

/// So many hidden tokens, and the time that they took at the pace of the others.
fn hidden(case: &Case, tokens: u64) -> Option<Hidden> {
    let (ttft, generation, output) = (case.ttft_ms.get()?, case.generation_ms()?, case.output_tokens.get()?);
    let visible = float(output.saturating_sub(tokens).max(1));
    let took = float(tokens) * float(generation.saturating_sub(case.stall_ms.get().unwrap_or(0))) / visible;
    Some(Hidden { tokens, ms: whole(took.min(MOST_OF_TTFT * float(ttft))) })
}

/// Finds the answers that were complete before their first piece was streamed.
pub(super) fn find_buffered(cases: &mut [Case], writing: &BTreeMap<Model, Rate>) {
    let reading = by_model(cases, most_read_per_ms);
    for case in cases {
        let rate = writing.get(&case.origin.model).copied().unwrap_or_default();
        let most_per_ms = reading.get(&case.origin.model).copied().flatten();
        case.is_buffered = is_buffered(case, rate, most_per_ms).unwrap_or(false);
    }
}

/// The most prompt tokens in a millisecond that a model ever seemed to read, cached ones
/// included: an upper bound of its reading speed.
fn most_read_per_ms(cases: &[&Case]) -> Option<f64> {
    let per_ms = |case: &&Case| {
        let tokens = case.prompt_tokens.get().filter(|_| case.is_certain)?;
        Some(float(tokens) / float(case.ttft_ms.get()?.max(1)))
    };
    let known: Vec<f64> = cases.iter().filter_map(per_ms).collect();
    known.iter().copied().max_by(f64::total_cmp).filter(|_| known.len() >= LEAST_READERS)
}

/// Whether an answer came in one piece, or much faster than its model writes.
fn is_buffered(case: &Case, writing: Rate, most_read_per_ms: Option<f64>) -> Option<bool> {
    if case.is_measured() {
        return None;
    }
    let generation = case.generation_ms()?;
    let output = case.output_tokens.get().filter(|tokens| *tokens >= LEAST_OUTPUT_TOKENS)?;
    if case.text_chunks.or(case.pieces().into()).get().is_some_and(|pieces| pieces <= 1) {
        return Some(true);
    }
    let took = float(generation.max(1));
    let streamed = output.saturating_sub(case.hidden.map_or(0, |hidden| hidden.tokens)).saturating_sub(1);
    let is_too_fast = match writing.ms_per_token() {
        Some(usual) => usual * float(streamed) >= TIMES_TOO_FAST * took,
        // No model writes faster than it reads.
        None => float(streamed) > most_read_per_ms? * took,
    };
    Some(generation < LEAST_WRITE_MS && is_too_fast)
}
