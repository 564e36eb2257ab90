//! One request's time, cut into parts that add up.

/// What was logged and what was found of the time of a request that has an end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub(super) proxy_ms: Option<u64>,
    /// Time to first token, not after the end.
    pub(super) ttft_ms: Option<u64>,
    pub(super) total_ms: u64,
    pub(super) stall_ms: Option<u64>,
    /// Of the time to first token: a wait that comes before every answer. It is in no part.
    pub(super) constant_ms: u64,
    /// Of the time to first token: loading the model.
    pub(super) load_ms: u64,
    /// Of the time to first token: waiting for other requests.
    pub(super) queue_ms: u64,
    /// Of the time to first token: generating what was not streamed. It counts as writing.
    pub(super) hidden_ms: u64,
}

/// The parts of one request's time, in whole milliseconds.
///
/// All of them, with [`other_ms`](Self::other_ms), add up to `whole_ms`, as that is what the
/// others leave of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeParts {
    whole_ms: u64,
    proxy_ms: Option<u64>,
    load_ms: u64,
    queue_ms: u64,
    read_ms: Option<u64>,
    write_ms: Option<u64>,
    stall_ms: Option<u64>,
}

impl TimeParts {
    /// Cuts the time up. What is found of the time to first token is taken from it one after
    /// the other, so that together they never exceed it, and reading is what they leave. Stalls
    /// are taken from the time behind it, and writing is what they leave.
    pub(super) fn split(times: Times) -> Self {
        let Times { proxy_ms, ttft_ms, total_ms, stall_ms, .. } = times;
        let mut wait = Remainder(ttft_ms.unwrap_or(0).min(total_ms));
        let mut generation = Remainder(total_ms - wait.0);
        wait.take(times.constant_ms);
        let (load_ms, queue_ms) = (wait.take(times.load_ms), wait.take(times.queue_ms));
        let hidden_ms = wait.take(times.hidden_ms);
        let stall_ms = stall_ms.filter(|_| ttft_ms.is_some()).map(|ms| generation.take(ms));
        Self {
            whole_ms: proxy_ms.unwrap_or(0).saturating_add(total_ms),
            proxy_ms,
            load_ms,
            queue_ms,
            read_ms: ttft_ms.map(|_| wait.0),
            write_ms: ttft_ms.map(|_| generation.0 + hidden_ms),
            stall_ms,
        }
    }

    /// The same where nothing tells reading from writing: the time of both is in `other_ms`.
    pub(super) fn without_read_and_write(self) -> Self {
        Self { read_ms: None, write_ms: None, ..self }
    }

    pub(super) fn load_ms(&self) -> u64 {
        self.load_ms
    }

    pub(super) fn queue_ms(&self) -> u64 {
        self.queue_ms
    }

    pub(super) fn read_ms(&self) -> Option<u64> {
        self.read_ms
    }

    pub(super) fn write_ms(&self) -> Option<u64> {
        self.write_ms
    }

    pub(super) fn stall_ms(&self) -> Option<u64> {
        self.stall_ms
    }

    /// What the other parts leave.
    pub(super) fn other_ms(&self) -> u64 {
        let known = [self.proxy_ms, self.read_ms, self.write_ms, self.stall_ms];
        let known = known.into_iter().flatten().chain([self.load_ms, self.queue_ms]);
        known.fold(self.whole_ms, u64::saturating_sub)
    }
}

/// Time of which parts are taken.
struct Remainder(u64);

impl Remainder {
    /// So much of it, or all that is left.
    fn take(&mut self, ms: u64) -> u64 {
        let taken = ms.min(self.0);
        self.0 -= taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(parts: &TimeParts) -> u64 {
        parts.proxy_ms.unwrap_or(0)
            + parts.load_ms
            + parts.queue_ms
            + parts.read_ms.unwrap_or(0)
            + parts.write_ms.unwrap_or(0)
            + parts.stall_ms.unwrap_or(0)
            + parts.other_ms()
    }

    #[test]
    fn time_is_cut_where_the_evidence_says() {
        let times = Times {
            proxy_ms: Some(120),
            ttft_ms: Some(9_000),
            total_ms: 20_000,
            stall_ms: Some(4_000),
            constant_ms: 0,
            load_ms: 3_000,
            queue_ms: 1_000,
            hidden_ms: 2_000,
        };
        let parts = TimeParts::split(times);
        assert_eq!((parts.load_ms(), parts.queue_ms(), parts.read_ms()), (3_000, 1_000, Some(3_000)));
        assert_eq!((parts.write_ms(), parts.stall_ms(), parts.other_ms()), (Some(9_000), Some(4_000), 0));
        assert_eq!(parts.whole_ms, 20_120);
        let after_a_constant = TimeParts::split(Times { constant_ms: 2_500, ..times });
        assert_eq!((after_a_constant.read_ms(), after_a_constant.other_ms()), (Some(500), 2_500));
        let untold = parts.without_read_and_write();
        assert_eq!((untold.read_ms(), untold.write_ms(), untold.other_ms()), (None, None, 12_000));
    }

    #[test]
    fn without_a_first_token_all_is_the_rest() {
        let times = Times { total_ms: 600_000, stall_ms: Some(20_000), ..Times::default() };
        let parts = TimeParts::split(times);
        assert_eq!((parts.read_ms(), parts.write_ms(), parts.stall_ms()), (None, None, None));
        assert_eq!(parts.other_ms(), 600_000);
    }

    proptest! {
        #[test]
        fn parts_add_up(
            proxy_ms in proptest::option::of(0u64..1 << 40),
            ttft_ms in proptest::option::of(0u64..1 << 40),
            total_ms in 0u64..1 << 40,
            stall_ms in proptest::option::of(0u64..1 << 40),
            constant_ms in 0u64..1 << 40,
            load_ms in 0u64..1 << 40,
            queue_ms in 0u64..1 << 40,
            hidden_ms in 0u64..1 << 40,
            is_buffered: bool,
        ) {
            let ttft_ms = ttft_ms.filter(|ttft| *ttft <= total_ms);
            let times =
                Times { proxy_ms, ttft_ms, total_ms, stall_ms, constant_ms, load_ms, queue_ms, hidden_ms };
            let parts = TimeParts::split(times);
            let parts = if is_buffered { parts.without_read_and_write() } else { parts };
            prop_assert_eq!(sum(&parts), proxy_ms.unwrap_or(0) + total_ms);
        }
    }
}
