//! Works on items with several threads.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// In which order results are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadOrder {
    /// In the order of the items.
    OfItems,
    /// As they come.
    AsDone,
}

/// How many items may be handed out of which the result is not taken yet: it bounds the
/// results that wait for one that is slow.
const MAX_IN_FLIGHT: usize = 256;
/// How many items a thread takes at once, if there are so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// Many: handing out a small file alone takes as long as a good part of reading it.
    Small,
    /// One: what is found in a long log is taken before the next is read, and no thread reads
    /// sixteen while another has none.
    Long,
}

impl Batch {
    fn most_items(self) -> usize {
        match self {
            Self::Small => 16,
            Self::Long => 1,
        }
    }
}

/// Calls `work` for each item, on several threads with a worker each, and `take` with each
/// result and the number of its item, on this thread. Where the system allows no thread at
/// all, this one does the work; where it allows some, these do.
///
/// `feed` gives the items, one after the other. Work on the first of them begins while it
/// still looks for others.
///
/// # Panics
///
/// When `work` panics.
pub(super) fn for_each_parallel<I: Send, W, R: Send>(
    threads: usize,
    (order, batch): (ReadOrder, Batch),
    feed: impl FnOnce(&mut dyn FnMut(I)),
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, &I) -> R + Sync,
    mut take: impl FnMut(usize, R),
) {
    let (give_item, items) = sync_channel(MAX_IN_FLIGHT);
    let (give_results, results) = channel();
    let items = Mutex::new(items);
    thread::scope(|scope| {
        let mut pool = WorkPool {
            order,
            waiting_items: VecDeque::new(),
            give_item,
            given: 0,
            results,
            waiting_results: VecDeque::new(),
            taken: 0,
            is_broken: false,
            take: &mut take,
        };
        let (mut idle_threads, mut begun) = (threads.max(1), 0);
        let mut worker_here = None;
        let (items, worker, work) = (&items, &worker, &work);
        feed(&mut |item| {
            pool.waiting_items.push_back(item);
            if idle_threads > 0 {
                idle_threads -= 1;
                let give_results = ResultSender(give_results.clone());
                let thread = move || run(items, batch, worker(), work, &give_results);
                match thread::Builder::new().spawn_scoped(scope, thread) {
                    Ok(_) => begun += 1,
                    Err(_) => idle_threads = 0,
                }
            }
            if begun == 0 {
                return pool.work_here(worker_here.get_or_insert_with(worker), work);
            }
            pool.give_items();
            while pool.is_waiting() && pool.take_results(Receiver::try_recv) {}
        });
        drop(give_results);
        while pool.is_waiting() && pool.take_results(Receiver::recv) {
            pool.give_items();
        }
    });
}

/// What this thread knows of the items and their results.
struct WorkPool<'t, I, R, F> {
    order: ReadOrder,
    /// The items that are not handed out, …
    waiting_items: VecDeque<I>,
    give_item: SyncSender<(usize, I)>,
    /// … and how many are.
    given: usize,
    results: Receiver<Option<Vec<(usize, R)>>>,
    /// Results that came before those of earlier items, from the next that is to be taken on.
    waiting_results: VecDeque<Option<R>>,
    /// How many results were taken.
    taken: usize,
    /// Whether a thread has panicked: its results will never come.
    is_broken: bool,
    take: &'t mut F,
}

impl<I, R, F: FnMut(usize, R)> WorkPool<'_, I, R, F> {
    /// Whether results are to come.
    fn is_waiting(&self) -> bool {
        self.given > self.taken && !self.is_broken
    }

    /// Hands out items; the channel has room for all that may be in flight.
    fn give_items(&mut self) {
        while self.given < self.taken + MAX_IN_FLIGHT
            && let Some(item) = self.waiting_items.pop_front()
        {
            // Without a receiver all threads have panicked, and nothing is to be done.
            if self.give_item.send((self.given, item)).is_err() {
                return;
            }
            self.given += 1;
        }
    }

    /// Works on what waits, for want of a thread.
    fn work_here<W>(&mut self, worker: &mut W, work: impl Fn(&mut W, &I) -> R) {
        while let Some(item) = self.waiting_items.pop_front() {
            let number = self.given;
            self.given += 1;
            self.take_results(|_| Ok::<_, ()>(Some(vec![(number, work(worker, &item))])));
        }
    }

    /// Takes what a thread has done; whether there was anything.
    fn take_results<E>(
        &mut self,
        receive: impl FnOnce(&Receiver<Option<Vec<(usize, R)>>>) -> Result<Option<Vec<(usize, R)>>, E>,
    ) -> bool {
        let Ok(results) = receive(&self.results) else { return false };
        let Some(results) = results else {
            self.is_broken = true;
            return false;
        };
        match self.order {
            ReadOrder::AsDone => {
                self.taken += results.len();
                results.into_iter().for_each(|(number, result)| (self.take)(number, result));
            }
            ReadOrder::OfItems => {
                for (number, result) in results {
                    let place = number - self.taken;
                    if place >= self.waiting_results.len() {
                        self.waiting_results.resize_with(place + 1, || None);
                    }
                    if let Some(waiting) = self.waiting_results.get_mut(place) {
                        *waiting = Some(result);
                    }
                }
                while let Some(result) = self.waiting_results.front_mut().and_then(Option::take) {
                    self.waiting_results.pop_front();
                    (self.take)(self.taken, result);
                    self.taken += 1;
                }
            }
        }
        true
    }
}

/// Sends the results of one thread, and `None` if it panics: others might go on for ever,
/// or wait for its results.
struct ResultSender<R>(Sender<Option<Vec<(usize, R)>>>);

impl<R> Drop for ResultSender<R> {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send(None);
        }
    }
}

/// Works on items until there will be no more.
fn run<I, W, R>(
    items: &Mutex<Receiver<(usize, I)>>,
    most: Batch,
    mut worker: W,
    work: &impl Fn(&mut W, &I) -> R,
    give_results: &ResultSender<R>,
) {
    let mut batch = Vec::with_capacity(most.most_items());
    loop {
        {
            let items = items.lock().unwrap_or_else(PoisonError::into_inner);
            // The sender is gone: all is done.
            let Ok(first) = items.recv() else { return };
            batch.push(first);
            batch.extend(items.try_iter().take(most.most_items() - 1));
        }
        let results = batch.drain(..).map(|(number, item)| (number, work(&mut worker, &item))).collect();
        if give_results.0.send(Some(results)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The numbers of the items as they are taken, where the first takes long.
    fn taken(threads: usize, order: (ReadOrder, Batch), items: usize) -> Vec<usize> {
        let items: Vec<usize> = (0..items).collect();
        let mut taken = Vec::new();
        let work = |_: &mut (), item: &&usize| {
            if **item == 0 {
                thread::sleep(Duration::from_millis(20));
            }
            **item
        };
        for_each_parallel(
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
            for items in [0, 1, 3, 100, 3 * MAX_IN_FLIGHT] {
                let all: Vec<usize> = (0..items).collect();
                for batch in [Batch::Small, Batch::Long] {
                    assert_eq!(taken(threads, (ReadOrder::OfItems, batch), items), all);
                    let mut as_done = taken(threads, (ReadOrder::AsDone, batch), items);
                    as_done.sort_unstable();
                    assert_eq!(as_done, all);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_ends_the_work_of_all() {
        let items: Vec<usize> = (0..5 * MAX_IN_FLIGHT).collect();
        let work = |_: &mut (), item: &&usize| {
            assert!(**item != 7, "on purpose");
            thread::sleep(Duration::from_micros(10));
        };
        let order = (ReadOrder::OfItems, Batch::Small);
        for_each_parallel(2, order, |feed| items.iter().for_each(feed), || (), work, |_, ()| ());
    }
}
