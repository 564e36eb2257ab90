//! The tokens of selected requests, and the prices of their tools.

use anyclaude_traces::Error;
use anyclaude_traces::Request;
use anyclaude_traces::Store;
use anyclaude_traces::analysis::tool_cost::{ToolCosts, prices, telling};
use anyclaude_traces::tokens::{Scales, share};
use anyclaude_traces::tokens::{count_tokens, count_tools};

use super::Selection;

impl Selection {
    /// Counts the tokens of the requests where a backend told what any took: what
    /// could only be estimated is not worth the time of reading everything again.
    pub(crate) fn count_tokens(&mut self, store: &Store) {
        if !Scales::calibration_requests(self.everything()).is_empty() {
            self.count_all_tokens(store);
        }
    }

    /// Counts the tokens of the requests.
    pub(crate) fn count_all_tokens(&mut self, store: &Store) {
        let (scales, mut errors) = self.scales(store);
        let (counted, unreadable) = count_tokens(store, &self.requests);
        share(&mut self.requests, &counted, &scales);
        errors.extend(unreadable);
        self.skipped.extend(errors);
    }

    /// What the tools of the requests cost. `store` reads the few requests that tell.
    pub(crate) fn prices(&mut self, store: &Store) -> ToolCosts {
        let requests: Vec<&Request> = self.requests.iter().collect();
        let (scales, mut errors) = self.scales(store);
        let (counted, unreadable) = count_tools(store, telling(&requests));
        let prices = prices(&requests, &counted, &scales);
        errors.extend(unreadable);
        self.skipped.extend(errors);
        prices
    }

    /// How each model's backend counts, by all that was read, whatever the filters
    /// show of it.
    fn scales(&self, store: &Store) -> (Scales, Vec<Error>) {
        let calibration_requests = Scales::calibration_requests(self.everything());
        let (counted, errors) = count_tokens(store, calibration_requests.iter().copied());
        (Scales::of(calibration_requests, &counted), errors)
    }

    fn everything(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().chain(&self.others).chain(&self.rest)
    }
}
