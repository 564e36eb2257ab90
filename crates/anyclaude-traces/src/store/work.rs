//! Hands items to threads as these become free.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// In which order results are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// In the order of the items. A thread that is this far ahead of the result
    /// that is due waits, so that few results are kept.
    OfItems,
    /// As they come: a large item keeps no other waiting.
    AsDone,
}

/// How far work may run ahead of the result that is due.
const AHEAD: usize = 1024;
/// How many items a thread takes at once while there are plenty: small files
/// would else be read in less time than it takes to hand them out.
const MOST_AT_ONCE: usize = 16;

/// Works on items with several threads, each with a worker of its own; `take` gets
/// each result with the number of its item, from one thread at a time.
pub(super) fn each<I: Sync, W, R: Send>(
    threads: usize,
    order: Order,
    items: &[I],
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, &I) -> R + Sync,
    take: impl FnMut(usize, R) + Send,
) {
    let queue = Queue {
        threads: threads.clamp(1, items.len().max(1)),
        order,
        length: items.len(),
        state: Mutex::new(State { next: 0, due: 0, waiting: BTreeMap::new(), take }),
        moved: Condvar::new(),
    };
    let run = || {
        let _guard = Guard(&queue);
        let (mut worker, mut done) = (worker(), Vec::with_capacity(MOST_AT_ONCE));
        while let Some((first, count)) = queue.next(&mut done) {
            let taken = items.iter().enumerate().skip(first).take(count);
            done.extend(taken.map(|(index, item)| (index, work(&mut worker, item))));
        }
    };
    thread::scope(|scope| {
        for _ in 1..queue.threads {
            scope.spawn(run);
        }
        run();
    });
}

struct Queue<R, F> {
    threads: usize,
    order: Order,
    length: usize,
    state: Mutex<State<R, F>>,
    /// Told whenever the result that is due becomes another one.
    moved: Condvar,
}

struct State<R, F> {
    /// The first item that no thread has taken.
    next: usize,
    /// The first item whose result was not taken.
    due: usize,
    waiting: BTreeMap<usize, R>,
    take: F,
}

impl<R, F: FnMut(usize, R)> Queue<R, F> {
    fn lock(&self) -> MutexGuard<'_, State<R, F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes results, and gives out the next items: the first one's number, and
    /// how many.
    fn next(&self, done: &mut Vec<(usize, R)>) -> Option<(usize, usize)> {
        let mut state = self.lock();
        match self.order {
            Order::AsDone => done.drain(..).for_each(|(index, result)| (state.take)(index, result)),
            Order::OfItems => {
                state.waiting.extend(done.drain(..));
                if state.take_due() {
                    self.moved.notify_all();
                }
                while state.next < self.length && state.next >= state.due + AHEAD {
                    state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        let left = self.length.checked_sub(state.next).filter(|left| *left > 0)?;
        let count = (left / (8 * self.threads)).clamp(1, MOST_AT_ONCE);
        state.next += count;
        Some((state.next - count, count))
    }
}

impl<R, F: FnMut(usize, R)> State<R, F> {
    /// Whether anything was due.
    fn take_due(&mut self) -> bool {
        let before = self.due;
        while let Some(result) = self.waiting.remove(&self.due) {
            (self.take)(self.due, result);
            self.due += 1;
        }
        self.due > before
    }
}

/// Ends the work of all threads when one panics, so that none waits for it.
struct Guard<'q, R, F: FnMut(usize, R)>(&'q Queue<R, F>);

impl<R, F: FnMut(usize, R)> Drop for Guard<'_, R, F> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().next = self.0.length;
            self.0.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The numbers of the items as they are taken, where the first takes long.
    fn taken(threads: usize, order: Order, items: usize) -> Vec<usize> {
        let items: Vec<usize> = (0..items).collect();
        let mut taken = Vec::new();
        let work = |_: &mut (), item: &usize| {
            if *item == 0 {
                thread::sleep(Duration::from_millis(20));
            }
            *item
        };
        each(
            threads,
            order,
            &items,
            || (),
            work,
            |index, item| {
                assert_eq!(index, item);
                taken.push(item);
            },
        );
        taken
    }

    #[test]
    fn every_result_is_taken_once_and_in_order() {
        for threads in [0, 1, 2, 5] {
            for items in [0, 1, 3, 100, 3 * AHEAD] {
                let all: Vec<usize> = (0..items).collect();
                assert_eq!(taken(threads, Order::OfItems, items), all);
                let mut as_done = taken(threads, Order::AsDone, items);
                as_done.sort_unstable();
                assert_eq!(as_done, all);
            }
        }
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_ends_the_work_of_all() {
        let items: Vec<usize> = (0..5 * AHEAD).collect();
        let caller = thread::current().id();
        let work = |_: &mut (), _: &usize| {
            if thread::current().id() == caller {
                thread::sleep(Duration::from_millis(1));
            } else {
                panic!("on purpose");
            }
        };
        each(2, Order::OfItems, &items, || (), work, |_, ()| ());
    }
}
