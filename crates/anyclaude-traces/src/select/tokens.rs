//! The tokens of selected requests.

use super::selection::Selection;
use crate::error::Error;
use crate::model::request::Request;
use crate::read::Store;
use crate::tokens::{Scales, count_tokens, read_scales, share};

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
        let (scales, mut errors) = self.scales(store);
        let (counted, unreadable) = count_tokens(store, &self.requests);
        share(&mut self.requests, &counted, &scales);
        errors.extend(unreadable);
        self.skipped.extend(errors);
    }

    /// How each model's backend counts, by all that was read, whatever the filters
    /// show of it.
    fn scales(&self, store: &Store) -> (Scales, Vec<Error>) {
        read_scales(store, self.everything())
    }

    /// Everything that was read, in no order.
    pub fn everything(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().chain(&self.others).chain(&self.rest)
    }
}
