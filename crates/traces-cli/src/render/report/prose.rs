//! Sentences in HTML: what stands in backticks is code, and no line ends inside a figure.

use maud::{Markup, html};

use crate::render::wrap::keep_figures;

/// A sentence with its commands set apart.
pub(super) fn prose(sentence: &str) -> Markup {
    let parts: Vec<&str> = sentence.split('`').collect();
    // Unpaired backticks are text.
    let is_marked = parts.len() % 2 == 1;
    html! {
        @if is_marked {
            @for (at, part) in parts.iter().enumerate() {
                @if at % 2 == 1 { code { (part) } } @else { (keep_figures(part)) }
            }
        } @else { (keep_figures(sentence)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_set_apart_and_markup_is_none() {
        let written = |text: &str| prose(text).into_string();
        assert_eq!(written("see `traces <b>`, or not"), "see <code>traces &lt;b&gt;</code>, or not");
        assert_eq!(written("one ` only"), "one ` only");
        assert_eq!(written("13.8 kB by `x 1 s`"), "13.8\u{a0}kB by <code>x 1 s</code>");
    }
}
