//! The counts of tokens in an answer, in whichever API's words.

use super::reply::member;
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};

/// Counts of tokens. Prompt tokens from a cache are never in `input`: Anthropic does not
/// count them there, `OpenAI` does, and they are taken off.
#[derive(Debug, Default)]
pub(super) struct ResponseUsage {
    pub(super) input: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) cache_creation: Option<u64>,
    pub(super) cache_read: Option<u64>,
    pub(super) reasoning: Option<u64>,
}

impl ResponseUsage {
    /// Passes a value of any shape.
    pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> ParseResult<Self> {
        let mut usage = Self::default();
        if cursor.shape()? != Shape::Object {
            cursor.skip()?;
            return Ok(usage);
        }
        // The whole prompt; tokens of it from a cache, where the input includes them.
        let (mut prompt, mut cached) = (None, None);
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            match key.as_ref() {
                "prompt_tokens_details" | "input_tokens_details" => {
                    cached = member(cursor, "cached_tokens", Cursor::u64_or_skip)?.or(cached);
                    continue;
                }
                "completion_tokens_details" | "output_tokens_details" => {
                    usage.reasoning = member(cursor, "reasoning_tokens", Cursor::u64_or_skip)?;
                    continue;
                }
                _ => {}
            }
            let tokens = cursor.u64_or_skip()?;
            match key.as_ref() {
                "input_tokens" => usage.input = tokens,
                "prompt_tokens" => prompt = tokens,
                "output_tokens" | "completion_tokens" => usage.output = tokens,
                "cache_creation_input_tokens" => usage.cache_creation = tokens,
                "cache_read_input_tokens" => usage.cache_read = tokens,
                _ => {}
            }
        }
        usage.take_off_cached(prompt, cached);
        Ok(usage)
    }

    fn take_off_cached(&mut self, prompt: Option<u64>, cached: Option<u64>) {
        let whole = prompt.or(self.input.filter(|_| cached.is_some()));
        let cached = cached.or(self.cache_read);
        if let Some(whole) = whole {
            // More than all of it cannot have come from the cache.
            let cached = cached.filter(|cached| *cached <= whole);
            self.input = Some(whole.saturating_sub(cached.unwrap_or(0)));
            self.cache_read = cached;
        }
    }
}
