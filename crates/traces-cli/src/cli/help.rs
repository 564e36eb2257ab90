//! What `--help` says below the options. Lines fit 80 columns.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Arg, Command};

pub(super) const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// The end of `traces -h`.
pub(super) const FIRST_SCREEN: &str = "\
Options: `traces VERB -h`. Examples: `traces --help`.
Topics (`traces help TOPIC`): recording (nothing recorded yet? begin here),
selecting, options, measures, causes, findings, formats, json, exit-codes,
watch, replay, export, privacy.";

/// `traces -h`: one screen of verbs.
pub(super) fn first_screen(command: Command) -> Command {
    command.help_template("{about}\n\n{usage-heading} {usage}\n\nVerbs:\n{subcommands}{after-help}")
}

/// The end of `traces --help`.
pub(super) const FIRST_PAGE: &str = "\
Examples:
  traces                              what costs time, of the last 24 hours
  traces explain                      why the slower of two models is slower
  traces diff                         the two models used last, side by side
  traces timing                       where the time went, by model
  traces prefix                       what makes the model read its prompt again
  traces watch                        what is being read now, and for how long
  traces show latest                  where the bytes of the newest request are
  traces report -o report.html        all of it on one page, to send around
  traces list --all --format ndjson   every request, for jq
  traces export -o timeline.json      a timeline, for Perfetto

Topics (traces help TOPIC): recording, selecting, options, measures, causes,
findings, formats, json, exit-codes, watch, replay, export, privacy.
Nothing recorded yet? `traces help recording` says how to.";

/// A verb for `-h`, which is one screen: a line for each option of its own. What all verbs
/// share is named below them, and possible values stand in `--help`.
pub(super) fn short(verb: Command) -> Command {
    let is_shared = |arg: &Arg| arg.is_hide_long_help_set() || arg.get_id() == "format";
    let formats = verb.get_arguments().find(|arg| arg.get_id() == "format").map(|format| {
        let values = format.get_possible_values();
        values.iter().map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(", ")
    });
    let has_roots = verb.get_arguments().any(|arg| arg.get_id() == "roots");
    let name = verb.get_name().to_owned();
    let verb = verb.mut_args(|arg| {
        let is_hidden = is_shared(&arg) || arg.is_hide_short_help_set();
        let takes_values = arg.get_action().takes_values() && !arg.is_positional();
        let has_long_values = takes_values && arg.get_value_parser().possible_values().is_some();
        arg.hide_short_help(is_hidden)
            .hide_possible_values(takes_values)
            .hide_default_value(has_long_values)
            .help_heading(None::<&str>)
    });
    let mut end = String::new();
    if has_roots {
        end += "Which requests: --root <DIR>, --all, --kind <KIND>, --model <NAME>, --last <N>,\n\
                --since <TIME> and more: `traces help options`.\n";
    }
    if let Some(formats) = formats {
        end += &format!("Output: --format <FORMAT>: {formats}.\n");
    }
    if !has_roots {
        return verb;
    }
    verb.after_help(format!("{end}Examples: `traces {name} --help`."))
}

/// The end of `traces help --help`.
pub(super) const TOPICS: &str = "\
Topics:
  recording    three ways to have a recording
  selecting    which requests: INPUT, filters, names of models
  options      the options that all verbs share
  measures     what each number means
  causes       why a prompt is read again
  findings     what costs time, and how that is known
  formats      which files are read
  json         formats of the output, for programs
  exit-codes   what the exit code says
  watch        the picture, its keys, and events
  replay       measuring the server without the proxy
  export       files for Perfetto and other tools
  privacy      what is stored, and what is never printed";

/// The end of `traces completions --help`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  traces completions bash > ~/.local/share/bash-completion/completions/traces
  traces completions zsh > ~/.zfunc/_traces     with ~/.zfunc in fpath
  traces completions fish > ~/.config/fish/completions/traces.fish
  traces completions powershell >> $PROFILE
  traces completions elvish >> ~/.config/elvish/rc.elv";

/// The end of `traces man --help`.
pub(super) const MAN: &str = "\
Examples:
  traces man | man -l -
  traces man > ~/.local/share/man/man1/traces.1";

/// What holds for all verbs that read requests.
macro_rules! shared {
    () => {
        "\
Which requests: INPUT is a file, a folder, `latest`, `latest~N`, `model:NAME`,
`session:ID` or `run:ID`. `traces help selecting` says more, `traces help
options` lists the options that all verbs share.

Environment:
  TRACES_ROOT  where recordings are, unless --root says so
  NO_COLOR     if set and not empty, no colour, unless --color always says so
  TERM         `dumb` shows neither colour nor progress
  TZ           the time zone of tables, --since and --until; not on Windows"
    };
}

/// The end of a verb's `--help`: its own words, then what holds for all.
macro_rules! help {
    ($own:literal) => {
        concat!($own, "\n\n", shared!())
    };
}
pub(super) use {help, shared};

/// The end of the `--help` of all verbs that read requests.
pub(crate) const SHARED_HELP: &str = shared!();
