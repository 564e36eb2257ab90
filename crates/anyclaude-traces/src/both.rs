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

/// So many elements take longer to look through than a thread takes to begin.
pub(crate) const WORTH_A_THREAD: usize = 10_000;

/// What `of` makes of elements: of many, half on each of two threads, put together in their order.
///
/// # Panics
///
/// When one of them does.
pub(crate) fn in_halves<T: Sync, R: Send>(all: &[T], of: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    if all.len() < WORTH_A_THREAD {
        return of(all);
    }
    let (front, back) = all.split_at(all.len() / 2);
    let (back, mut made) = both(|| of(back), || of(front));
    made.extend(back);
    made
}

/// What both give, on one thread where that is not worth another.
pub(crate) fn both_of_many<A: Send, B>(
    is_many: bool,
    first: impl Fn() -> A + Sync,
    second: impl FnOnce() -> B,
) -> (A, B) {
    if is_many { both(first, second) } else { (first(), second()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_in_order() {
        for length in [0, 1, WORTH_A_THREAD - 1, WORTH_A_THREAD, WORTH_A_THREAD + 1] {
            let all: Vec<usize> = (0..length).collect();
            assert_eq!(in_halves(&all, <[usize]>::to_vec), all);
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
