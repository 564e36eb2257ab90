//! How long something took, as sentences show it.

use std::fmt::{self, Display, Formatter};

/// Milliseconds as `950 ms`, `16.4 s`, `2 m 13 s` or `1 h 05 m`.
pub(crate) struct Duration(pub(crate) f64);

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        if ms < 0.0 {
            return write!(f, "−{}", Self(-ms));
        }
        if ms < 999.5 {
            return write!(f, "{ms:.0} ms");
        }
        if ms < 59_950.0 {
            return write!(f, "{:.1} s", ms / 1000.0);
        }
        let seconds = (ms / 1000.0).round();
        let (hours, minutes) = ((seconds / 3600.0).trunc(), (seconds % 3600.0 / 60.0).trunc());
        if hours == 0.0 {
            return write!(f, "{minutes:.0} m {:02.0} s", seconds % 60.0);
        }
        write!(f, "{hours:.0} h {minutes:02.0} m")
    }
}

#[cfg(test)]
mod tests {
    use super::Duration;

    #[test]
    fn durations_read_like_clocks() {
        for (ms, text) in [
            (0.0, "0 ms"),
            (999.4, "999 ms"),
            (999.5, "1.0 s"),
            (59_949.0, "59.9 s"),
            (59_950.0, "1 m 00 s"),
            (72_500.0, "1 m 13 s"),
            (3_599_499.0, "59 m 59 s"),
            (3_599_500.0, "1 h 00 m"),
        ] {
            assert_eq!(Duration(ms).to_string(), text);
        }
    }
}
