//! Where the time of several requests went: the mean of each part.

use super::case::float;
use crate::model::TimeBreakdown;
use crate::model::eligibility::eligible;
use crate::model::request::Request;
use crate::model::timing::Timing;

/// The requests that are [`eligible`] and have parts of time, and whether the proxy's time is
/// one of them. Where it is known of at least half of the requests, only these are returned.
pub(crate) fn comparable<'a>(
    requests: impl IntoIterator<Item = &'a Request>,
) -> (Vec<(&'a Request, &'a Timing)>, bool) {
    let eligible = requests.into_iter().filter_map(|request| Some((request, eligible(request).ok()?)));
    prefer_proxy(eligible)
}

/// Those that have parts of time, and `true` where these have the proxy's time as well: the
/// ones without it are dropped if they are less than half.
fn prefer_proxy<'a, K: Copy>(timings: impl Iterator<Item = (K, &'a Timing)>) -> (Vec<(K, &'a Timing)>, bool) {
    let all: Vec<(K, &Timing)> = timings.filter(|(_, timing)| timing.other_ms.is_known()).collect();
    let with_proxy: Vec<_> = all.iter().copied().filter(|(_, timing)| timing.proxy_ms.is_known()).collect();
    if with_proxy.len() * 2 >= all.len() { (with_proxy, true) } else { (all, false) }
}

/// The mean parts of the requests that are [`eligible`], which [`fit`](super::fit) has
/// filled; `None` where there are none.
///
/// Where the proxy's time is known of at least half of them, the means are of those;
/// else they are of all, and the proxy's time is in none of them.
pub fn breakdown<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Option<TimeBreakdown> {
    of_timings(requests.into_iter().filter_map(|request| eligible(request).ok()))
}

/// The same of times that are known to be of completed requests.
pub(crate) fn of_timings<'a>(timings: impl IntoIterator<Item = &'a Timing>) -> Option<TimeBreakdown> {
    let (of, has_proxy) = prefer_proxy(timings.into_iter().map(|timing| ((), timing)));
    let of: Vec<&Timing> = of.into_iter().map(|(_, timing)| timing).collect();
    let n = of.len() as u64;
    // A part that is unknown of one request is 0 here: its time is in that request's `other_ms`.
    let mean = |part: fn(&Timing) -> Option<u64>| {
        let known: Vec<u64> = of.iter().filter_map(|timing| part(timing)).collect();
        (!known.is_empty()).then(|| known.iter().map(|ms| float(*ms)).sum::<f64>() / float(n))
    };
    (n > 0).then(|| TimeBreakdown {
        requests: n,
        proxy_ms: mean(|timing| timing.proxy_ms.get()).filter(|_| has_proxy),
        load_ms: mean(|timing| timing.load_ms.get()),
        queue_ms: mean(|timing| timing.queue_ms.get()),
        read_ms: mean(|timing| timing.read_ms.get()),
        write_ms: mean(|timing| timing.write_ms.get()),
        stall_ms: mean(|timing| timing.stall_ms.get()),
        other_ms: mean(|timing| timing.other_ms.get()),
        wall_ms: if has_proxy {
            mean(|timing| timing.wall_ms.get())
        } else {
            mean(|timing| timing.total_ms.get())
        },
    })
}
