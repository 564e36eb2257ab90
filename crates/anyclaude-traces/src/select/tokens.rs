//! The tokens of selected requests.

use super::selection::Selection;
use crate::model::request::Request;
use crate::read::Store;
use crate::tokens::{Scales, count_tokens, share};

impl Selection {
    /// Counts the tokens of the requests where a backend told what any took: what
    /// could only be estimated is not worth the time of reading everything again.
    pub fn count_tokens(&mut self, store: &Store) {
        if !Scales::calibration_requests(self.everything()).is_empty() {
            self.count_all_tokens(store);
        }
    }

    /// Counts the tokens of the requests.
    pub fn count_all_tokens(&mut self, store: &Store) {
        // How each model's backend counts is told by all that was read, whatever the filters
        // show of it. In one pass: of a file that holds many requests, another reads all again.
        let tellers = Scales::calibration_requests(self.everything());
        let (counted, errors) = count_tokens(store, self.requests.iter().chain(tellers.iter().copied()));
        let scales = Scales::of(tellers, &counted);
        share(&mut self.requests, &counted, &scales);
        self.skipped.extend(errors);
    }

    /// Everything that was read, in no order.
    pub fn everything(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().chain(&self.others).chain(&self.rest)
    }
}
