//! Whether a stream shows colour: one rule for tables, help and errors.

use std::io::IsTerminal;

use crate::cli::ColorChoice;

/// Whether the terminal has neither colours nor a cursor.
pub(crate) fn is_dumb_terminal() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether what goes to a stream has colour. An empty `NO_COLOR` is none:
/// <https://no-color.org>.
pub(crate) fn is_shown(choice: ColorChoice, stream: &impl IsTerminal) -> bool {
    let no_color = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => stream.is_terminal() && !no_color() && !is_dumb_terminal(),
    }
}
