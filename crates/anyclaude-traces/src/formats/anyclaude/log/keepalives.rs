//! Assigns keepalives to streams. Their lines hold only a number, so this goes by time.
//!
//! Keepalive k of a stream is sent 10 s · k after the stream began, or later when the proxy
//! is busy, never earlier. So it belongs to a stream that has had k − 1, still waits, and
//! began at least 10 s · k before; of several, to the one that began last.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::limits::MAX_CANDIDATES;
use super::partial::PartialRequest;

/// Milliseconds between two keepalives.
pub(super) const INTERVAL_MS: i64 = 10_000;
/// A timer may fire this much early by the stamps, which are whole milliseconds
/// taken a little after the timer was set.
const EARLY_MS: i64 = 5;

/// When a line was logged. Of lines with the same stamp, the keepalives before it tell which
/// keepalives came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) at: i64,
    /// How many keepalives the log had before the line.
    pub(super) keepalives: u64,
}

impl Moment {
    fn is_before(self, later: Self) -> bool {
        self.keepalives < later.keepalives
    }
}

/// The streams that wait for their first token, by keepalives had and start.
#[derive(Debug, Default, Clone)]
pub(super) struct Keepalives {
    waiting: BTreeSet<(u64, i64, usize)>,
    /// How many keepalives were logged.
    logged: u64,
}

impl Keepalives {
    /// The moment of a line with this stamp, which is read now.
    pub(super) fn moment(&self, at: i64) -> Moment {
        Moment { at, keepalives: self.logged }
    }

    /// Stream `index` began, and waits for its first token.
    pub(super) fn wait(&mut self, index: usize, partial: &PartialRequest) {
        if let Some(start) = partial.stream_start {
            self.waiting.insert((partial.keepalives.len() as u64, start, index));
        }
    }

    /// Stream `index` waits no longer.
    pub(super) fn leave(&mut self, index: usize, partial: &PartialRequest) {
        if let Some(start) = partial.stream_start {
            self.waiting.remove(&(partial.keepalives.len() as u64, start, index));
        }
    }

    /// Keepalive `number` was sent; `false` when no stream can have sent it.
    pub(super) fn sent(&mut self, number: u64, at: i64, partials: &mut [PartialRequest]) -> bool {
        let moment = self.moment(at);
        self.logged += 1;
        self.assign(number, moment, partials)
    }

    fn assign(&mut self, number: u64, sent: Moment, partials: &mut [PartialRequest]) -> bool {
        let Some(before) = number.checked_sub(1) else { return false };
        let offset = i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(INTERVAL_MS);
        let latest = sent.at.saturating_sub(offset);
        let due = (before, i64::MIN, 0)..=(before, latest, usize::MAX);
        let early = (before, latest, usize::MAX)..=(before, latest.saturating_add(EARLY_MS), usize::MAX);
        let found = self.waiting.range(due).next_back().or_else(|| self.waiting.range(early).next());
        let Some(&(_, start, index)) = found else { return false };
        self.waiting.remove(&(before, start, index));
        self.waiting.insert((number, start, index));
        if let Some(partial) = partials.get_mut(index) {
            partial.keepalives.push(sent);
        }
        true
    }

    /// Corrects the keepalives of stream `index`, which waits no longer: by the log it had
    /// `count`. Where a waiting stream has as many, the two were mistaken for each other and
    /// are swapped. Else, keepalives beyond `count` are assigned anew to other streams.
    pub(super) fn confirm(&mut self, index: usize, count: u64, partials: &mut [PartialRequest]) {
        let Ok(keep) = usize::try_from(count) else { return };
        let Some(partial) = partials.get(index) else { return };
        let had = partial.keepalives.len();
        if had == keep {
            return;
        }
        // The other stream must have been due when the first of these keepalives was sent.
        let due = |first: &Moment| first.at.saturating_sub(INTERVAL_MS).saturating_add(EARLY_MS);
        let latest = partial.keepalives.first().map_or(i64::MAX, due);
        let same = (count, i64::MIN, 0)..=(count, latest, usize::MAX);
        // Of several, it is the one whose keepalives were sent nearest to when this one's were due.
        let began = partial.stream_start.unwrap_or(partial.start);
        let off = |&&(_, start, other): &&(u64, i64, usize)| {
            let first = partials.get(other).and_then(|other| other.keepalives.first());
            let off = first.map(|sent| sent.at.abs_diff(began.saturating_add(INTERVAL_MS)));
            (off, Reverse((start, other)))
        };
        if let Some(&(_, start, other)) = self.waiting.range(same).min_by_key(off) {
            self.waiting.remove(&(count, start, other));
            self.waiting.insert((had as u64, start, other));
            let lent = partials.get_mut(other).map(|partial| std::mem::take(&mut partial.keepalives));
            let own = partials
                .get_mut(index)
                .map(|partial| std::mem::replace(&mut partial.keepalives, lent.unwrap_or_default()));
            if let Some(partial) = partials.get_mut(other) {
                partial.keepalives = own.unwrap_or_default();
            }
        } else if had > keep {
            let extra = partials.get_mut(index).map(|partial| partial.keepalives.split_off(keep));
            for (number, sent) in (count + 1..).zip(extra.unwrap_or_default()) {
                self.assign(number, sent, partials);
            }
        } else if let Some(partial) = partials.get_mut(index) {
            // The count is certain, even though the lines were assigned to other streams.
            partial.keepalives_confirmed = Some(count);
        }
    }
}

/// Takes the keepalives after `ended` from stream `index`, which was aborted then: they are
/// another's. Where another stream was given one in time that fits this stream, the two
/// are swapped; else they go to the one stream that should have had one by then.
pub(super) fn cut(index: usize, ended: Moment, partials: &mut [PartialRequest]) {
    let Some(partial) = partials.get_mut(index) else { return };
    let kept = partial.keepalives.iter().take_while(|sent| sent.is_before(ended)).count();
    let late = partial.keepalives.split_off(kept);
    let Some(start) = partial.stream_start else { return };
    let range =
        index.saturating_sub(MAX_CANDIDATES)..partials.len().min(index.saturating_add(MAX_CANDIDATES));
    let others = range.filter(|other| *other != index);
    let mut swapped = true;
    for (place, later) in (kept..).zip(late) {
        // Without a swap none is possible for those that are later still.
        let due = due(start, place);
        let mut lent = others.clone().filter(|_| swapped);
        let given = lent.find(|&other| {
            let Some(other) = partials.get(other) else { return false };
            let in_time =
                other.keepalives.get(place).is_some_and(|sent| due <= sent.at && sent.is_before(ended));
            in_time
                && other.keepalives.get(place + 1).is_none_or(|next| later.is_before(*next))
                && other.waited_at(later.at)
        });
        let sent = given.and_then(|other| partials.get_mut(other)?.keepalives.get_mut(place));
        let own = sent.map(|sent| std::mem::replace(sent, later));
        swapped = own.is_some();
        if let (Some(own), Some(partial)) = (own, partials.get_mut(index)) {
            partial.keepalives.push(own);
            continue;
        }
        let mut lacking = others
            .clone()
            .filter(|&other| partials.get(other).is_some_and(|other| lacks(other, place, later.at)));
        if let (Some(other), None) = (lacking.next(), lacking.next())
            && let Some(other) = partials.get_mut(other)
        {
            other.keepalives.push(later);
        }
    }
}

/// Where a stream whose end is not in the log has a keepalive that an aborted one can have sent,
/// or began with it and may have sent one of its own, the aborted one's number is not known.
pub(super) fn doubt(partials: &mut [PartialRequest]) {
    for index in 0..partials.len() {
        let Some(partial) = partials.get(index) else { return };
        let (None, Some(ended)) = (&partial.end, partial.ended_at()) else { continue };
        let Some(start) = partial.stream_start else { continue };
        let had = partial.keepalives.len();
        let due = due(start, had);
        let neighbours = partials.iter().skip(index.saturating_sub(MAX_CANDIDATES)).take(2 * MAX_CANDIDATES);
        let mut endless = neighbours.filter(|other| other.ended_at().is_none());
        let unsure = endless.any(|other| {
            let Some(other_start) = other.stream_start else { return false };
            let lent = other.keepalives.get(had).is_some_and(|sent| (due..=ended).contains(&sent.at));
            let began_together = start.abs_diff(other_start) <= EARLY_MS.unsigned_abs();
            lent || (began_together && other.keepalives.len() < had)
        });
        if let Some(partial) = partials.get_mut(index) {
            partial.keepalives_unsure |= unsure;
        }
    }
}

/// When the keepalive after `place` others can have been sent at the earliest.
fn due(stream_start: i64, place: usize) -> i64 {
    let number = i64::try_from(place).unwrap_or(i64::MAX).saturating_add(1);
    stream_start.saturating_add(number.saturating_mul(INTERVAL_MS)).saturating_sub(EARLY_MS)
}

/// Whether a stream had `place` keepalives, still waited at `at`, and was due for another.
fn lacks(partial: &PartialRequest, place: usize, at: i64) -> bool {
    let is_due = partial.stream_start.is_some_and(|start| due(start, place) <= at);
    // The log counts the keepalives of streams that had a first token.
    let uncounted = partial.first_token_ms.is_none() && partial.keepalives_confirmed.is_none();
    let waited = partial.ended_at().is_none_or(|end| end >= at);
    is_due && uncounted && waited && partial.keepalives.len() == place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partials(starts: &[i64]) -> (Keepalives, Vec<PartialRequest>) {
        let mut keepalives = Keepalives::default();
        let mut partials = Vec::new();
        for (index, start) in starts.iter().enumerate() {
            let mut partial = PartialRequest::new(0, *start);
            partial.stream_start = Some(*start);
            keepalives.wait(index, &partial);
            partials.push(partial);
        }
        (keepalives, partials)
    }

    fn sent_at(partials: &[PartialRequest]) -> Vec<Vec<i64>> {
        partials.iter().map(|partial| partial.keepalives.iter().map(|sent| sent.at).collect()).collect()
    }

    fn counts(partials: &[PartialRequest]) -> Vec<usize> {
        partials.iter().map(|partial| partial.keepalives.len()).collect()
    }

    #[test]
    fn they_belong_to_the_nearest_stream_that_is_due() {
        let (mut keepalives, mut partials) = partials(&[0, 4_000]);
        assert!(keepalives.sent(1, 10_000, &mut partials));
        assert!(keepalives.sent(1, 13_999, &mut partials));
        assert!(keepalives.sent(2, 20_005, &mut partials));
        assert_eq!(counts(&partials), [2, 1]);
        assert!(!keepalives.sent(4, 40_000, &mut partials), "no stream had three");
        assert!(!keepalives.sent(1, 10_000, &mut partials), "no stream is left that had none");
    }

    #[test]
    fn the_count_in_the_log_corrects_the_assignment() {
        let (mut keepalives, mut late) = partials(&[0, 3_000]);
        // Both were due while the proxy was busy, and the first one's fired first.
        keepalives.sent(1, 14_000, &mut late);
        assert_eq!(counts(&late), [0, 1]);
        keepalives.leave(1, &late[1]);
        keepalives.confirm(1, 0, &mut late);
        assert_eq!(counts(&late), [1, 0]);

        let (mut keepalives, mut taken) = partials(&[0, 3_000]);
        keepalives.sent(1, 14_000, &mut taken);
        keepalives.leave(0, &taken[0]);
        keepalives.confirm(0, 1, &mut taken);
        assert_eq!(counts(&taken), [1, 0]);
        keepalives.confirm(0, 7, &mut taken);
        assert_eq!((counts(&taken), taken[0].keepalives_confirmed), (vec![1, 0], Some(7)));
    }

    #[test]
    fn keepalives_after_the_end_belong_to_another_stream() {
        let (mut keepalives, mut partials) = partials(&[0, 3_924]);
        // The proxy was busy: the first one's came with the error, then the other's.
        let before = keepalives.moment(9_000);
        keepalives.sent(1, 13_924, &mut partials);
        let ended = keepalives.moment(13_924);
        keepalives.sent(1, 13_925, &mut partials);
        cut(0, ended, &mut partials);
        assert_eq!(sent_at(&partials), [[13_924], [13_925]]);
        // No other stream has one that fits this one, so it had none.
        cut(0, before, &mut partials);
        assert_eq!(sent_at(&partials), [vec![], vec![13_925]]);
    }

    #[test]
    fn a_stream_without_an_end_casts_doubt_on_one_that_was_aborted() {
        let (mut keepalives, mut partials) = partials(&[0, 0, 8_000]);
        keepalives.sent(1, 10_000, &mut partials);
        assert_eq!(counts(&partials), [0, 1, 0]);
        partials[0].aborted_at = Some(10_000);
        partials[2].aborted_at = Some(12_000);
        doubt(&mut partials);
        let unsure: Vec<bool> = partials.iter().map(|partial| partial.keepalives_unsure).collect();
        assert_eq!(unsure, [true, false, false], "only the first was due, too");
    }

    #[test]
    fn keepalives_after_the_end_go_to_the_stream_that_lacks_one() {
        let (mut keepalives, mut partials) = partials(&[0, 0, 3]);
        let failed = keepalives.moment(10_000);
        for at in [10_000, 10_003] {
            keepalives.sent(1, at, &mut partials);
        }
        assert_eq!(counts(&partials), [0, 1, 1]);
        keepalives.leave(0, &partials[0]);
        keepalives.confirm(0, 1, &mut partials);
        assert_eq!(sent_at(&partials), [vec![10_000], vec![], vec![10_003]], "the nearest in time");

        let (mut keepalives, mut partials) = super::tests::partials(&[0, 0]);
        keepalives.sent(1, 10_000, &mut partials);
        assert_eq!(counts(&partials), [0, 1]);
        cut(1, failed, &mut partials);
        assert_eq!(counts(&partials), [1, 0], "logged in the same millisecond, after the end");
    }
}
