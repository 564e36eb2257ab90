//! The stamps in a piece of a debug log.

use crate::model::time::Timestamp;

/// The stamps of the lines in a piece of a debug log, which may be cut anywhere. A line whose
/// beginning is cut off has none.
pub(crate) fn line_stamps(piece: &[u8]) -> impl Iterator<Item = Timestamp> {
    piece.split(|byte| *byte == b'\n').filter_map(|line| {
        let (stamp, rest) = line.strip_prefix(b"[")?.split_at_checked("2025-11-16T02:30:45.123Z".len())?;
        rest.strip_prefix(b"] [")?;
        std::str::from_utf8(stamp).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_begins_a_line_counts() {
        let piece = b"30:40.312Z] [ANYCLAUDE DEBUG] cut\n[2025-11-16T02:30:41.217Z] [ANYCLAUDE DEBUG] a\n\
                      quoted [2025-11-17T02:30:41.217Z] [ANYCLAUDE DEBUG] b\n[2025-11-18T02:30:41.217Z] c\n\
                      [2025-99-16T02:30:41.217Z] [ANYCLAUDE DEBUG] d\r\n[2025-11-16T02:30:42.000Z] [ANYCL";
        let stamps: Vec<String> = line_stamps(piece).map(|stamp| stamp.to_string()).collect();
        assert_eq!(stamps, ["2025-11-16T02:30:41.217Z", "2025-11-16T02:30:42.000Z"]);
    }
}
