//! Two computations at once, or one on both halves of what it is about.

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

/// So many elements take longer than a thread takes to begin.
pub(crate) const WORTH_A_THREAD: usize = 10_000;

/// What `of` makes of elements, which is also given the place of the first of them: of many, half
/// on each of two threads, put together in their order.
///
/// # Panics
///
/// When one of them does.
pub(crate) fn in_halves<T: Sync, R: Send>(all: &[T], of: impl Fn(usize, &[T]) -> Vec<R> + Sync) -> Vec<R> {
    if all.len() < WORTH_A_THREAD {
        return of(0, all);
    }
    let (front, back) = all.split_at(all.len() / 2);
    let (back, mut made) = both(|| of(front.len(), back), || of(0, front));
    made.extend(back);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_in_order() {
        for length in [0, 1, WORTH_A_THREAD - 1, WORTH_A_THREAD, WORTH_A_THREAD + 1] {
            let all: Vec<usize> = (0..length).collect();
            let made = in_halves(&all, |first, half| {
                half.iter().enumerate().map(|(at, number)| (first + at, *number)).collect()
            });
            assert_eq!(made, all.iter().map(|number| (*number, *number)).collect::<Vec<_>>());
        }
    }

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
