//! `traces man`: one manual, of `traces` and of every verb, in the language of man
//! pages.

use std::fmt::Write as _;
use std::io::Write;

use clap::{Arg, Command, CommandFactory as _};

use crate::cli::{Cli, SHARED_HELP};
use crate::exit::Status;

pub(crate) fn page(out: &mut impl Write) -> anyhow::Result<Status> {
    let mut command = Cli::command();
    command.build();
    let mut manual = String::new();
    let first_page = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // Its last paragraph is the exit codes once more, in short.
    let first_page = first_page.rsplit_once("\n\n").map_or("", |(before, _)| before);
    let usage = command.render_usage().to_string();
    render(&mut manual, &command, &usage, &format!("{first_page}\n\n{SHARED_HELP}"));
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let own = verb.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        let own = own.trim_end_matches(SHARED_HELP).trim_end();
        let mut named = verb.clone().name(format!("traces-{}", verb.get_name()));
        let usage = named.render_usage().to_string();
        render(&mut manual, &named, &usage, own);
    }
    out.write_all(manual.as_bytes())?;
    Ok(Status::Done)
}

/// One page. `after` is what stands below the options in `--help`.
fn render(page: &mut String, command: &Command, usage: &str, after: &str) {
    let name = command.get_name();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(page, ".TH {} 1 \"\" \"traces {}\"", roff(name), env!("CARGO_PKG_VERSION"));
    let _ = writeln!(page, ".SH NAME\n{} \\- {}", roff(name), roff(&about));
    let _ = writeln!(page, ".SH SYNOPSIS\n{}", roff(usage.trim_start_matches("Usage: ")));
    let long = command.get_long_about().map_or(about, ToString::to_string);
    let blocks = after.split("\n\n");
    let (prose, sections): (Vec<&str>, Vec<&str>) = blocks.partition(|block| heading(block).is_none());
    let _ = writeln!(page, ".SH DESCRIPTION");
    paragraphs(page, &format!("{long}\n\n{}", prose.join("\n\n")));
    options(page, command);
    let verbs: Vec<&Command> = command.get_subcommands().collect();
    if !verbs.is_empty() {
        let _ = writeln!(page, ".SH VERBS");
    }
    for verb in verbs {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, ".TP\n\\fB{}\\fR\n{}", roff(verb.get_name()), roff(&about));
    }
    sections.iter().for_each(|block| section(page, block));
}

/// Paragraphs of prose, each a line.
fn paragraphs(page: &mut String, text: &str) {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
    let lines: Vec<String> = paragraphs.map(roff).collect();
    if !lines.is_empty() {
        let _ = writeln!(page, "{}", lines.join("\n.PP\n"));
    }
}

/// The heading of a block that has one: `Examples:` above lines that are indented.
fn heading(block: &str) -> Option<&str> {
    let (first, rest) = block.split_once('\n')?;
    first.strip_suffix(':').filter(|_| rest.starts_with(' '))
}

/// A block under its heading, its indented lines kept as they are.
fn section(page: &mut String, block: &str) {
    let heading = heading(block).unwrap_or_default();
    let name =
        if heading == "Exit codes" { "Exit status" } else { heading.split(',').next().unwrap_or(heading) };
    let _ = writeln!(page, ".SH {}", roff(&name.to_uppercase()));
    let (list, rest): (Vec<&str>, Vec<&str>) = block.lines().skip(1).partition(|line| line.starts_with(' '));
    let _ = writeln!(page, ".nf");
    list.iter().for_each(|line| {
        let _ = writeln!(page, "{}", roff(line.trim_start()));
    });
    let _ = writeln!(page, ".fi");
    if !rest.is_empty() {
        let _ = writeln!(page, ".PP\n{}", roff(&rest.join("\n")));
    }
}

/// The options and arguments, under their headings.
fn options(page: &mut String, command: &Command) {
    let mut headings: Vec<Option<&str>> = Vec::new();
    let arguments: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
    for argument in &arguments {
        if !headings.contains(&argument.get_help_heading()) {
            headings.push(argument.get_help_heading());
        }
    }
    headings.sort_by_key(Option::is_some);
    for heading in headings {
        let _ = writeln!(page, ".SH {}", roff(&heading.unwrap_or("Options").to_uppercase()));
        let under = |argument: &&&Arg| argument.get_help_heading() == heading;
        arguments.iter().filter(under).for_each(|argument| option(page, argument));
    }
}

fn option(page: &mut String, argument: &Arg) {
    let value: Vec<&str> =
        argument.get_value_names().unwrap_or_default().iter().map(clap::builder::Str::as_str).collect();
    let value = if argument.is_positional() || argument.get_action().takes_values() {
        format!("\\fI{}\\fR", roff(&value.join(" ")))
    } else {
        String::new()
    };
    let short = argument.get_short().map(|short| format!("\\fB\\-{short}\\fR"));
    let long = argument.get_long().map(|long| format!("\\fB\\-\\-{}\\fR", roff(long)));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let _ = writeln!(page, ".TP\n{}", [names.join(", "), value].join(" ").trim());
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut notes = help.split("\n\n").map(roff).collect::<Vec<_>>();
    let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy());
    let default = defaults.collect::<Vec<_>>().join(" ");
    if !default.is_empty() && argument.get_action().takes_values() {
        notes.push(format!("Default: {}", roff(&default)));
    }
    let variable = argument.get_env().map(|variable| variable.to_string_lossy());
    notes.extend(variable.map(|variable| format!("Environment: {}", roff(&variable))));
    let _ = writeln!(page, "{}", notes.join("\n.IP\n"));
    values(page, argument);
}

/// The values that an option takes, where these are few.
fn values(page: &mut String, argument: &Arg) {
    if !argument.get_action().takes_values() {
        return;
    }
    let values = argument.get_possible_values();
    if values.is_empty() {
        return;
    }
    let _ = writeln!(page, ".RS");
    for value in values {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, ".TP\n\\fB{}\\fR\n{}", roff(value.get_name()), roff(&help));
    }
    let _ = writeln!(page, ".RE");
}

/// Text as it must be written to be read as text.
fn roff(text: &str) -> String {
    let escaped = text.trim_end().replace('\\', "\\e").replace('-', "\\-").replace('\n', " ");
    let is_control = escaped.starts_with(['.', '\'']);
    if is_control { format!("\\&{escaped}") } else { escaped }
}
