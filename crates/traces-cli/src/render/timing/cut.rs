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
