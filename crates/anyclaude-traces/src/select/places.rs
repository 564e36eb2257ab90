//! Where what is asked for was recorded, and whether anything of it is left out.

use std::ffi::OsString;
use std::path::PathBuf;

use super::load::recorded_below;
use super::reader::Reader;
use crate::model::scope::KindFilter;

impl Reader {
    /// Whether these inputs leave out requests that were recorded in their
    /// [`places`](Self::places), whatever the time that is asked for.
    #[must_use]
    pub fn leaves_out(&self, inputs: &[OsString]) -> bool {
        let filter = &self.filter;
        let names = [&filter.mode, &filter.model, &filter.session, &filter.run];
        let is_place = |input: &OsString| self.place(input).is_some();
        names.into_iter().any(Option::is_some)
            || filter.last.is_some()
            || self.kind != KindFilter::All
            || !inputs.iter().all(is_place)
    }

    /// The files and folders in which these inputs are looked for, in order, each as the
    /// system names it.
    #[must_use]
    pub fn places(&self, inputs: &[OsString]) -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> = inputs.iter().filter_map(|input| self.place(input)).collect();
        if places.len() < inputs.len() || inputs.is_empty() {
            places.extend(self.filter.roots.iter().map(|root| recorded_below(root)));
        }
        places.extend(self.filter.server_logs.iter().cloned());
        for place in &mut places {
            // What does not exist yet has no other name.
            let named = place.canonicalize().or_else(|_| std::path::absolute(&*place));
            *place = named.unwrap_or_else(|_| std::mem::take(place));
        }
        places.sort();
        places.dedup();
        places
    }

    /// The file or folder that an input is. What is piped in is none: it is another one every
    /// time.
    fn place(&self, input: &OsString) -> Option<PathBuf> {
        let selector = self.selector(input).ok()?;
        let path = selector.path().filter(|path| !self.store.is_standard_input(path))?;
        Some(self.resolved(path))
    }
}
