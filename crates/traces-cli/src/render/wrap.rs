//! Text in lines: broken between words, but neither at a hyphen, as names have them, nor
//! between a figure and its unit.

use std::borrow::Cow;

/// Stands for a blank at which no line ends.
const KEPT_BLANK: char = '\u{a0}';
/// What may stand behind a figure.
const UNITS: &[&str] =
    &["B", "kB", "MB", "GB", "TB", "c", "kc", "Mc", "k", "M", "G", "ms", "s", "m", "h", "%"];

/// The text in lines of at most `width` columns; the first begins with `first`, the others
/// with `rest`. A word that is wider than a line is broken.
pub(crate) fn lines(text: &str, width: usize, first: &str, rest: &str) -> Vec<String> {
    let options = textwrap::Options::new(width.max(1))
        .initial_indent(first)
        .subsequent_indent(rest)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let kept = keep_figures(text);
    let lines = textwrap::wrap(&kept, options);
    lines.iter().map(|line| restore_blanks(line).into_owned()).collect()
}

/// The text with the blanks inside of figures (`13.8 kB`, `1 m 57 s`) such that no line is
/// broken there; [`restore_blanks`] undoes it.
pub(crate) fn keep_figures(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let (mut before, mut is_in_figure) = ("", false);
    for (at, word) in text.split(' ').enumerate() {
        let ends_in_digit = |word: &str| word.ends_with(|c: char| c.is_ascii_digit());
        let is_unit =
            ends_in_digit(before) && UNITS.contains(&word.trim_end_matches([',', ';', '.', ':', ')']));
        // The seconds behind minutes, the minutes behind hours.
        let goes_on = is_in_figure && matches!(before, "m" | "h") && ends_in_digit(word);
        is_in_figure = is_unit || goes_on;
        if at > 0 {
            kept.push(if is_in_figure { KEPT_BLANK } else { ' ' });
        }
        kept.push_str(word);
        before = word;
    }
    kept
}

/// A line of what [`keep_figures`] made, with its blanks.
pub(crate) fn restore_blanks(line: &str) -> Cow<'_, str> {
    if line.contains(KEPT_BLANK) { Cow::Owned(line.replace(KEPT_BLANK, " ")) } else { Cow::Borrowed(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_names_stay_whole() {
        let text = "it reads 13.8 kB by openai/gpt-oss-20b in 1 m 57 s, all of it.";
        for width in 18..70 {
            for line in lines(text, width, "", "  ") {
                let line = line.trim();
                assert!(!line.ends_with("13.8") && !line.ends_with("-") && !line.ends_with('m'), "{line}");
                assert!(!line.starts_with("57") && !line.starts_with("s,"), "{width}: {line}");
            }
        }
        assert_eq!(lines(text, 24, "", "").join(" "), text);
    }

    #[test]
    fn what_is_no_figure_may_be_broken() {
        assert_eq!(lines("part 1 mine", 7, "", ""), ["part 1", "mine"]);
        assert_eq!(lines("am 5 pm s", 4, "", ""), ["am 5", "pm s"]);
        assert_eq!(lines("abcdefgh", 4, "", ""), ["abcd", "efgh"]);
    }
}
