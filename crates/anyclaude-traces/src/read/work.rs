//! Hands items to threads as these become free.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// In which order results are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
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
const MOST_AT_ONCE: usize = 32;
/// How many items are handed over at once by who finds them.
const FED_AT_ONCE: usize = 256;

/// Works on items with several threads, each with a worker of its own; `take` gets
/// each result with the number of its item, from one thread at a time.
///
/// `feed` gives the items, one after the other. Work on the first of them begins
/// while it still looks for others.
pub(super) fn each<I: Send, W, R: Send>(
    threads: usize,
    order: Order,
    feed: impl FnOnce(&mut dyn FnMut(I)),
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, &I) -> R + Sync,
    take: impl FnMut(usize, R) + Send,
) {
    let threads = threads.max(1);
    let state = State {
        items: VecDeque::new(),
        stage: Stage::Feeding,
        next: 0,
        due: 0,
        waiting: BTreeMap::new(),
        take,
    };
    let queue = Queue { threads, order, state: Mutex::new(state), moved: Condvar::new() };
    let run = || {
        let _guard = Guard(&queue);
        let (mut worker, mut done) = (worker(), Vec::with_capacity(MOST_AT_ONCE));
        let mut taken = Vec::with_capacity(MOST_AT_ONCE);
        while let Some(first) = queue.next(&mut taken, &mut done) {
            let numbered = (first..).zip(taken.drain(..));
            done.extend(numbered.map(|(index, item)| (index, work(&mut worker, &item))));
        }
    };
    thread::scope(|scope| {
        let _guard = Guard(&queue);
        let mut helpers = 0;
        let mut found = Vec::with_capacity(FED_AT_ONCE);
        let mut hand_over = |found: &mut Vec<I>| {
            // One item needs no help, and this thread will help too.
            let wanted = found.len().min(threads) - 1;
            queue.feed(found);
            (helpers..wanted).for_each(|_| drop(scope.spawn(run)));
            helpers = helpers.max(wanted);
        };
        feed(&mut |item| {
            if found.len() == FED_AT_ONCE {
                hand_over(&mut found);
            }
            found.push(item);
        });
        if !found.is_empty() {
            hand_over(&mut found);
        }
        queue.end(Stage::Fed);
        run();
    });
}

struct Queue<I, R, F> {
    threads: usize,
    order: Order,
    state: Mutex<State<I, R, F>>,
    /// Told whenever there are more items, or the result that is due becomes
    /// another one.
    moved: Condvar,
}

struct State<I, R, F> {
    /// The items that no thread has taken, …
    items: VecDeque<I>,
    stage: Stage,
    /// … and the number of the first of them.
    next: usize,
    /// The first item whose result was not taken.
    due: usize,
    waiting: BTreeMap<usize, R>,
    take: F,
}

/// What is still to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// More items.
    Feeding,
    /// None but those that are there.
    Fed,
    /// Nothing at all: a thread has panicked.
    Broken,
}

impl<I, R, F: FnMut(usize, R)> Queue<I, R, F> {
    fn lock(&self) -> MutexGuard<'_, State<I, R, F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn feed(&self, found: &mut Vec<I>) {
        self.lock().items.extend(found.drain(..));
        self.moved.notify_all();
    }

    fn end(&self, stage: Stage) {
        let mut state = self.lock();
        if state.stage != Stage::Broken {
            state.stage = stage;
        }
        self.moved.notify_all();
    }

    /// Takes results, and gives out the next items, the first of which has this
    /// number. None once there are no more.
    fn next(&self, taken: &mut Vec<I>, done: &mut Vec<(usize, R)>) -> Option<usize> {
        let mut state = self.lock();
        match self.order {
            Order::AsDone => done.drain(..).for_each(|(index, result)| (state.take)(index, result)),
            Order::OfItems => {
                state.waiting.extend(done.drain(..));
                if state.take_due() {
                    self.moved.notify_all();
                }
            }
        }
        while state.stage != Stage::Broken {
            let ahead = self.order == Order::OfItems && state.next >= state.due + AHEAD;
            let left = state.items.len();
            if left > 0 && !ahead {
                let count = (left / (8 * self.threads)).clamp(1, MOST_AT_ONCE);
                let first = state.next;
                taken.extend(state.items.drain(..count));
                state.next += count;
                return Some(first);
            }
            if left == 0 && state.stage == Stage::Fed {
                return None;
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }
}

impl<I, R, F: FnMut(usize, R)> State<I, R, F> {
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
struct Guard<'q, I, R, F: FnMut(usize, R)>(&'q Queue<I, R, F>);

impl<I, R, F: FnMut(usize, R)> Drop for Guard<'_, I, R, F> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end(Stage::Broken);
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
        let work = |_: &mut (), item: &&usize| {
            if **item == 0 {
                thread::sleep(Duration::from_millis(20));
            }
            **item
        };
        each(
            threads,
            order,
            |feed| items.iter().for_each(feed),
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
        let work = |_: &mut (), _: &&usize| {
            if thread::current().id() == caller {
                thread::sleep(Duration::from_millis(1));
            } else {
                panic!("on purpose");
            }
        };
        each(2, Order::OfItems, |feed| items.iter().for_each(feed), || (), work, |_, ()| ());
    }
}
