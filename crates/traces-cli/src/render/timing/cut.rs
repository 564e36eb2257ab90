//! What a server dropped of prompts and answers without a word to the client.

use anyclaude_traces::recording::join::ServerTruncation;

use crate::render::units::{self, UNKNOWN};

/// The prompts that a server cut, and those whose answers filled its context, in a clause each.
pub(super) fn cut_prompts(cuts: &[ServerTruncation]) -> impl Iterator<Item = String> {
    let (cut, filled): (Vec<_>, Vec<_>) = cuts.iter().partition(|cut| cut.prompt_tokens.is_some());
    [of_prompts(&cut), of_contexts(&filled)].into_iter().flatten()
}

fn of_prompts(cuts: &[&ServerTruncation]) -> Option<String> {
    let prompts = match cuts.len() {
        0 => return None,
        1 => "a prompt".to_owned(),
        n => format!("{n} prompts"),
    };
    let (whole, limit) = (range(cuts, |cut| cut.prompt_tokens), range(cuts, |cut| cut.limit));
    Some(format!("{prompts} of {whole} tokens cut to the {limit} that fit, without a word to the client"))
}

fn of_contexts(cuts: &[&ServerTruncation]) -> Option<String> {
    if cuts.is_empty() {
        return None;
    }
    let requests = units::count(cuts.len() as u64, "request");
    let context = match cuts.iter().find_map(|cut| cut.limit) {
        Some(_) => format!("the context of {} tokens", range(cuts, |cut| cut.limit)),
        None => "the context".to_owned(),
    };
    Some(format!("{requests} that filled {context}, a part dropped without a word to the client"))
}

/// The least and the most of what is known.
fn range(cuts: &[&ServerTruncation], of: fn(&ServerTruncation) -> Option<u64>) -> String {
    let known = || cuts.iter().filter_map(|cut| of(cut));
    match (known().min(), known().max()) {
        (Some(least), Some(most)) if least < most => {
            format!("{} to {}", units::tokens(least), units::tokens(most))
        }
        (Some(least), _) => units::tokens(least),
        _ => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(cuts: &[(Option<u64>, Option<u64>)]) -> Vec<String> {
        let cut = |(limit, prompt): &(Option<u64>, Option<u64>)| {
            serde_json::from_value(json!({"limit": limit, "prompt_tokens": prompt, "at": null})).unwrap()
        };
        cut_prompts(&cuts.iter().map(cut).collect::<Vec<ServerTruncation>>()).collect()
    }

    #[test]
    fn a_context_that_was_full_is_told_apart_from_a_prompt_that_was_too_long() {
        assert!(said(&[]).is_empty());
        assert_eq!(
            said(&[(Some(8_192), None), (Some(8_192), Some(9_500)), (Some(8_192), None)]),
            [
                "a prompt of 9.5 k tokens cut to the 8.2 k that fit, without a word to the client",
                "2 requests that filled the context of 8.2 k tokens, a part dropped without a word to the client",
            ]
        );
        assert_eq!(
            said(&[(None, None)]),
            ["1 request that filled the context, a part dropped without a word to the client"]
        );
    }
}
