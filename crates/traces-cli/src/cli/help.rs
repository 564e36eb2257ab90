//! What `--help` says below the options. Lines fit 80 columns.

use clap::builder::styling::{AnsiColor, Styles};

pub(super) const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// The end of `traces -h` and `traces --help`.
pub(super) const FIRST_PAGE: &str = "\
INPUT is a trace file, a folder (searched for *.json), `latest`, `latest~N`,
`model:NAME`, `session:ID` or `run:ID` (a unique part is enough). Without one,
the verbs look at the 24 hours before the newest request in ~/.anyclaude/traces.

Examples:
  traces                              what the last sitting looked like
  traces diff                         the two models used last, side by side
  traces diff latest~1 latest         what the newest request adds
  traces show latest                  where the bytes of the newest request are
  traces timing                       where the time went, by model
  traces prefix                       what makes the model read its prompt again
  traces explain                      why the slower of two models is slower
  traces report -o report.html        all of it on one page, to send around
  traces replay latest                is it the server or the proxy
  traces list --all --format ndjson   every request, for jq

Nothing recorded yet? `traces record` runs Claude Code and records it, without a
proxy; ANYCLAUDE_DEBUG=2 anyclaude records a session through anyclaude.
`traces VERB --help` explains every option of a verb, with more examples.

Exit codes: 0 done · 1 a difference (--exit-code) or a limit exceeded
(--fail-over) · 2 wrong usage, or nothing to read · 3 done, some files skipped
or runs of replay failed · 130 interrupted";

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
INPUT, and each side of a comparison, is one of:
  FILE            a trace file; its bare name is enough
  FOLDER          every *.json below it; a folder that holds traces/ is a root
  latest          the newest request of the conversation, or of --kind
  latest~N        the N-th before that
  model:NAME      the requests that a model answered; a unique part is enough
  session:ID      the requests of one session of Claude Code
  run:ID          the requests of one anyclaude process, named by its start
Without any INPUT it is the 24 hours before the newest request; --all, --since
and --until lift that.

Exit codes:
  0  done
  1  `diff --exit-code` found a difference, or --fail-over was exceeded
  2  wrong usage, or nothing could be read, matched or measured
  3  done, but some files were skipped, or some runs of replay failed
  130  interrupted

Environment:
  TRACES_ROOT  where anyclaude records, unless --root says so
  NO_COLOR     if set and not empty, no colour, unless --color always says so
  TERM         `dumb` shows neither colour nor progress
  TZ           the time zone of tables, --since and --until; not on Windows

Files:
  ~/.anyclaude/traces/MODE/TIME.json      one request each
  ~/.anyclaude/logs/debug-session-*.log   models, times and tokens
  ~/.anyclaude/request-logs/DAY.jsonl     models, and the proxy's own time"
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
