//! Two computations at once.

use std::panic::resume_unwind;
use std::thread;

/// What both give. `first` runs on a thread of its own, where the system has one.
///
/// # Panics
///
/// When one of them does.
pub(crate) fn both<A: Send, B>(first: impl Fn() -> A + Sync, second: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, &first) {
        Ok(running) => {
            let second = second();
            (running.join().unwrap_or_else(|panic| resume_unwind(panic)), second)
        }
        Err(_) => (first(), second()),
    })
}

/// So many requests take longer to look through than a thread takes to begin.
pub(crate) const WORTH_A_THREAD: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_done() {
        let words = ["one".to_owned(), "two".to_owned()];
        assert_eq!(both(|| words.len(), || words.concat()), (2, "onetwo".to_owned()));
    }

    #[test]
    #[should_panic(expected = "on purpose")]
    fn a_panic_of_the_first_is_one_of_both() {
        both(|| panic!("on purpose"), || ());
    }
}
