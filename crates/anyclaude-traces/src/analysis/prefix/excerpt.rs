//! What was and what is now, around the first difference.

/// How much is quoted before the difference and after it.
const BEFORE_BYTES: usize = 48;
const AFTER_BYTES: usize = 96;

/// The part of an element's JSON around a byte, marked with `…` where it is cut.
pub(super) fn around(text: &str, at: u64) -> String {
    let at = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
    let begin = boundary(text, at.saturating_sub(BEFORE_BYTES));
    let end = boundary(text, (at + AFTER_BYTES).min(text.len()));
    let head = if begin > 0 { "…" } else { "" };
    let tail = if end < text.len() { "…" } else { "" };
    format!("{head}{}{tail}", text.get(begin..end).unwrap_or_default())
}

/// The nearest place at or before this one that is between two characters.
pub(super) fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole() {
        let text = "é".repeat(200);
        for at in 0..=text.len() as u64 + 5 {
            let quoted = around(&text, at);
            assert!(quoted.trim_matches('…').chars().all(|c| c == 'é'), "{at}: {quoted}");
        }
        assert_eq!(around("short", 2), "short");
    }
    #[test]
    fn what_is_cut_is_marked_on_its_side() {
        let quoted = |len: usize, at| around(&"a".repeat(len), at);
        let a = |n: usize| "a".repeat(n);
        assert_eq!(quoted(300, 100), format!("…{}…", a(48 + 96)));
        assert_eq!(quoted(300, 48), format!("{}…", a(48 + 96)), "begins where the text does");
        assert_eq!(quoted(300, 204), format!("…{}", a(48 + 96)), "ends where the text does");
        assert_eq!(quoted(300, 1_000), format!("…{}", a(48)));
    }
}
