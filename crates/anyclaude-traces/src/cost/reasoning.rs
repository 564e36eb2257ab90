//! What was generated before anything was streamed, and answers whose reading and
//! writing cannot be told apart.

use std::collections::BTreeMap;

use super::case::{Case, LEAST_OUTPUT_TOKENS, LEAST_WRITE_MS, float, whole};
use super::plausibility::is_output_believed;
use super::rate::Rate;
use super::{Model, by_model};

/// More bytes for a token than this, and the tokens were streamed.
const MOST_BYTES_PER_TOKEN: f64 = 3.5;
/// More bytes in a piece than this, and it holds several tokens.
const MOST_BYTES_PER_PIECE: u64 = 10;
/// Hidden reasoning never takes more of the time to first token than this.
const MOST_OF_TTFT: f64 = 0.95;
/// So many times as long as it took must an answer take elsewhere, before it is said to
/// have been there already when it was streamed.
const TIMES_TOO_FAST: f64 = 5.0;

/// So many times as many tokens as their texts and calls have must a model's answers have,
/// where nothing else tells that it reasons unseen.
const TIMES_AS_MANY: f64 = 2.0;
/// What a template puts around a call of a tool, which no recording holds.
const TOKENS_AROUND_A_CALL: f64 = 20.0;

/// So many of its requests must tell how fast a model reads at most.
const LEAST_READERS: usize = 3;

/// Output tokens that were generated before anything was streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) tokens: u64,
    /// The time that this took, at the pace of what was streamed.
    pub(super) ms: u64,
}

/// Finds who reasoned before the first token that could be seen, and believes the
/// output counts that then can be true.
pub(super) fn find(cases: &mut [Case]) {
    let hides = by_model(cases, hides_reasoning);
    for case in cases {
        let tokens = match case.pieces() {
            Some(pieces) => hidden_tokens(case, pieces),
            None => unseen_tokens(case, hides.get(&case.origin.model) == Some(&true)),
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

/// How many output tokens were not streamed, where the pieces are counted and there is
/// evidence of any.
fn hidden_tokens(case: &Case, pieces: u64) -> Option<u64> {
    let output = case.output_tokens.get()?;
    let unseen = output.checked_sub(pieces).filter(|unseen| *unseen > 0)?;
    // The time to first token ends where reasoning is streamed.
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
/// generating the others fits into the times to first token: where an answer is only written
/// in tokens shorter than the prompt's, there is no time for them.
fn hides_reasoning(cases: &[&Case]) -> bool {
    let (mut output, mut seen, mut took, mut ttft) = (0.0, 0.0, 0.0, 0.0);
    for case in cases {
        let Some(visible) = visible_tokens(case) else { continue };
        let Some((all, generation)) = case.output_tokens.get().zip(case.generation_ms()) else { continue };
        let Some(waited) = case.ttft_ms.get() else { continue };
        output += float(all);
        seen += visible.max(1.0);
        took += (float(all) - visible).max(0.0) * float(generation) / visible.max(1.0);
        ttft += float(waited);
    }
    seen > 0.0 && output > TIMES_AS_MANY * seen && took <= ttft
}

/// How many output tokens were not streamed, where no pieces are counted: those that the usage
/// counts as reasoning, else those that the recorded answer has no text for.
fn unseen_tokens(case: &Case, hides: bool) -> Option<u64> {
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

/// The tokens of an answer's recorded texts and calls: as many bytes each as the prompt's have.
fn visible_tokens(case: &Case) -> Option<f64> {
    if !case.is_certain || case.is_measured() || case.streamed_reasoning == Some(true) {
        return None;
    }
    let bytes = float(case.answer_bytes.get().filter(|_| case.pieces().is_none())?);
    let prompt_bytes = float(case.prompt_bytes.get().filter(|bytes| *bytes > 0)?);
    let per_byte = float(case.prompt_tokens.get()?) / prompt_bytes;
    Some(bytes * per_byte + TOKENS_AROUND_A_CALL * float(case.answer_calls.get().unwrap_or(0)))
}

fn hidden(case: &Case, tokens: u64) -> Option<Hidden> {
    let (ttft, generation, output) = (case.ttft_ms.get()?, case.generation_ms()?, case.output_tokens.get()?);
    let visible = float(output.saturating_sub(tokens).max(1));
    let took = float(tokens) * float(generation.saturating_sub(case.stall_ms.get().unwrap_or(0))) / visible;
    Some(Hidden { tokens, ms: whole(took.min(MOST_OF_TTFT * float(ttft))) })
}

/// Finds the answers that were there already when their first piece was streamed.
pub(super) fn find_untold(cases: &mut [Case], writing: &BTreeMap<Model, Rate>) {
    let reading = by_model(cases, most_read_per_ms);
    for case in cases {
        let rate = writing.get(&case.origin.model).copied().unwrap_or_default();
        let most_per_ms = reading.get(&case.origin.model).copied().flatten();
        case.is_untold = is_untold(case, rate, most_per_ms).unwrap_or(false);
    }
}

/// More prompt tokens a millisecond than a model ever read, the cached ones included.
fn most_read_per_ms(cases: &[&Case]) -> Option<f64> {
    let per_ms = |case: &&Case| {
        let tokens = case.prompt_tokens.get().filter(|_| case.is_certain)?;
        Some(float(tokens) / float(case.ttft_ms.get()?.max(1)))
    };
    let known: Vec<f64> = cases.iter().filter_map(per_ms).collect();
    known.iter().copied().max_by(f64::total_cmp).filter(|_| known.len() >= LEAST_READERS)
}

fn is_untold(case: &Case, writing: Rate, most_read_per_ms: Option<f64>) -> Option<bool> {
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
