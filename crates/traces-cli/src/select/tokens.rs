//! The tokens of selected requests, and the prices of their tools.

use std::collections::HashMap;

use anyclaude_traces::prices::{PriceList, prices, telling};
use anyclaude_traces::recording::count_tokens;
use anyclaude_traces::request::TracePath;
use anyclaude_traces::tokens::{PromptTokens, Scales, share};
use anyclaude_traces::{Error, Request, Store};

use super::Selection;

/// Prompts that were counted, how each model's backend counts, and the files that
/// could not be read (any more).
type Counted = (HashMap<TracePath, PromptTokens>, Scales, Vec<Error>);

impl Selection {
    /// Counts the tokens of the requests where a backend told what any took: what
    /// could only be estimated is not worth the time of reading everything again.
    pub(crate) fn count_tokens(&mut self, store: &Store) {
        if !Scales::tellers(self.everything()).is_empty() {
            self.count_all_tokens(store);
        }
    }

    /// Counts the tokens of the requests.
    pub(crate) fn count_all_tokens(&mut self, store: &Store) {
        let (counted, scales, errors) = self.counted(store, &self.requests);
        share(&mut self.requests, &counted, &scales);
        self.skipped.extend(errors);
    }

    /// What the tools of the requests cost. `store` reads the few requests that tell.
    pub(crate) fn prices(&mut self, store: &Store) -> PriceList {
        let requests: Vec<&Request> = self.requests.iter().collect();
        let (counted, scales, errors) = self.counted(store, telling(&requests));
        let prices = prices(&requests, &counted, &scales);
        self.skipped.extend(errors);
        prices
    }

    /// Counts these requests, and those that tell how each model's backend counts,
    /// whatever the filters show of them.
    fn counted<'a>(&'a self, store: &Store, requests: impl IntoIterator<Item = &'a Request>) -> Counted {
        let tellers = Scales::tellers(self.everything());
        let (counted, errors) = count_tokens(store, requests.into_iter().chain(tellers.iter().copied()));
        let scales = Scales::of(tellers, &counted);
        (counted, scales, errors)
    }

    fn everything(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().chain(&self.others).chain(&self.rest)
    }
}
