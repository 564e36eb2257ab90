//! The model of requests that nothing answered, in files that tell the model by the answer.
//!
//! What was asked for is no model that ran: a server may answer with the one that it has loaded,
//! whatever its name. But where one model answered all others of the file that asked for the
//! same, it would have answered these too. Without a model, their failures were counted apart
//! from the requests of the model that failed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::model::request::{ModelSource, Request, Source};

/// Names the model of requests that were not answered.
pub(super) fn name_models(requests: &mut [Request]) {
    if !requests.iter().any(is_unnamed) {
        return;
    }
    let mut answered: HashMap<(&Path, &str), Option<&Arc<str>>> = HashMap::new();
    for request in requests.iter().filter(|request| is_of_pairs(request)) {
        if let Some((asked, model)) = asked(request).zip(request.model.as_ref()) {
            let known = answered.entry((request.path.file(), asked)).or_insert(Some(model));
            if *known != Some(model) {
                *known = None;
            }
        }
    }
    let of_unnamed = |request: &Request| -> Option<Arc<str>> {
        let asked = asked(request).filter(|_| is_unnamed(request))?;
        answered.get(&(request.path.file(), asked)).copied().flatten().cloned()
    };
    let models: Vec<Option<Arc<str>>> = requests.iter().map(of_unnamed).collect();
    for (request, model) in requests.iter_mut().zip(models) {
        if model.is_some() {
            (request.model, request.model_source) = (model, Some(ModelSource::Response));
        }
    }
}

fn asked(request: &Request) -> Option<&str> {
    request.caller.requested_model.as_deref()
}

fn is_unnamed(request: &Request) -> bool {
    request.model.is_none() && is_of_pairs(request) && asked(request).is_some()
}

/// Whether its file holds requests with their answers, and the model stands in these.
fn is_of_pairs(request: &Request) -> bool {
    matches!(
        request.source,
        Source::Har | Source::ClaudeTap | Source::ClaudeTrace | Source::ClaudeCodeRouter | Source::Litellm
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found for requests of a file, by what each asked for and which model answered.
    fn found(asked_and_answered: &[(&str, Option<&str>)]) -> Vec<Option<String>> {
        let request = |(asked, answered): &(&str, Option<&str>)| {
            let mut request = Request::builder("a.har").source(Source::Har).build();
            Arc::make_mut(&mut request.caller).requested_model = Some(Arc::from(*asked));
            request.model = answered.map(Arc::from);
            request
        };
        let mut requests: Vec<Request> = asked_and_answered.iter().map(request).collect();
        name_models(&mut requests);
        requests.into_iter().map(|request| request.model.map(|model| model.to_string())).collect()
    }

    #[test]
    fn who_answered_the_others_is_named() {
        let found = found(&[("claude", Some("qwen")), ("claude", None), ("haiku", None)]);
        assert_eq!(found, [Some("qwen".to_owned()), Some("qwen".to_owned()), None]);
    }

    #[test]
    fn of_two_models_none_is_named() {
        let found = found(&[("claude", Some("qwen")), ("claude", None), ("claude", Some("gemma"))]);
        assert_eq!(found[1], None);
    }
}
