//! The command line: types only.

mod replay;
mod report;

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use anyclaude_traces::Kind;
use anyclaude_traces::prefix::{Order, View};
use anyclaude_traces::scope::KindFilter;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub(crate) use replay::{ApiArg, Direct, ReplayArgs};
pub(crate) use report::ReportArgs;

use crate::duration::{Label, Limit, parse_limit};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER: &str = "\
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

Exit codes: 0 done · 1 a difference (--exit-code) or a limit exceeded
(--fail-over) · 2 wrong usage, or nothing to read · 3 done, some files skipped
or runs of replay failed · 130 interrupted";

/// Tells why one local model is slower than another, from what anyclaude recorded
#[derive(Debug, Parser)]
#[command(
    name = "traces",
    version,
    styles = STYLES,
    override_usage = "traces [VERB] [INPUT]... [OPTIONS]",
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    after_help = AFTER,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// What a session looked like: groups, biggest tools, growth [the default]
    Summary(SummaryArgs),
    /// One row per request
    List(ListArgs),
    /// One request, taken apart: sections, system blocks, tools, messages
    Show(ShowArgs),
    /// What differs between two requests or two groups
    Diff(DiffArgs),
    /// Times from the logs: first token, keepalives, events, tokens per second
    Timing(TimingArgs),
    /// What a prompt cache could reuse of each request, and what broke it
    Prefix(PrefixArgs),
    /// Where the slower of two models lost its time, with evidence
    Explain(ExplainArgs),
    /// A page to send around: verdict, charts and every request, as HTML or Markdown
    Report(ReportArgs),
    /// Send a recorded request straight to LM Studio, and measure the answer
    Replay(ReplayArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  traces summary                       the last sitting, by model
  traces summary --by session --all    everything, by session
  traces summary --fail-over body_bytes=200kB --fail-over tool_count=40")]
pub(crate) struct SummaryArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<OsString>,
    /// What to group by
    #[arg(long, value_name = "WHAT", default_value = "model")]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  traces list --kind conversation
  traces list --all --format ndjson | jq 'select(.tool_count > 40) | .path'
  traces list --since 2h --format csv > requests.csv")]
pub(crate) struct ListArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<OsString>,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  traces show                          the newest request of the conversation
  traces show latest~3
  traces show 2025-11-16T02-30-45-123Z.json --text")]
pub(crate) struct ShowArgs {
    /// File, folder or selector; of several requests the newest
    #[arg(value_name = "INPUT", default_value = "latest")]
    pub(crate) input: OsString,
    /// Print the prompt's text too: it may hold secrets
    #[arg(long)]
    pub(crate) text: bool,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
With no side: the two models used last, the older one left. With one: a request
against its predecessor in the thread, or a model against the other model. Of a
group (a folder, model:, session:, run:) the figures are medians.

Examples:
  traces diff latest~1 latest
  traces diff model:gpt-oss model:qwen3
  traces diff before.json after.json --text
  traces diff monday/ friday/ --exit-code")]
pub(crate) struct DiffArgs {
    /// File, folder or selector
    #[arg(value_name = "LEFT")]
    pub(crate) left: Option<OsString>,
    /// File, folder or selector
    #[arg(value_name = "RIGHT")]
    pub(crate) right: Option<OsString>,
    /// Show how the system text and the tool descriptions differ: they may hold secrets
    #[arg(long)]
    pub(crate) text: bool,
    /// Exit with 1 when the prompts differ
    #[arg(long)]
    pub(crate) exit_code: bool,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Rows are requests of every kind; groups are of the conversation, unless --kind
says otherwise. Times come from ~/.anyclaude/logs and request-logs; record them
with ANYCLAUDE_DEBUG=2 anyclaude.

Examples:
  traces timing                        the last sitting, by model
  traces timing --by level --all       what debug logging costs
  traces timing model:qwen3 --format csv
  traces timing --log stderr.txt       also what was captured of standard error")]
pub(crate) struct TimingArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<OsString>,
    /// A log elsewhere, or a capture of anyclaude's standard error (repeatable)
    #[arg(long = "log", value_name = "FILE")]
    pub(crate) logs: Vec<PathBuf>,
    /// What to group by
    #[arg(long, value_name = "WHAT", default_value = "model")]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Without arguments, the two models used last are compared, the faster one left.
Requests that answered the same prompt are compared in pairs, else groups by
their means: give both models the same task. --format markdown adds all advice
and all that is missing to the screenful.

Whether the proxy or the server is slow, only a measurement without the proxy can
tell: replay a request of each model with --cold, and name both files.

Examples:
  traces explain
  traces explain model:gpt-oss model:qwen3-42b
  traces explain run:2025-11-16T02-30 run:2025-11-16T02-52 --format json
  traces explain --direct fast.json slow.json")]
pub(crate) struct ExplainArgs {
    /// The fast side: file, folder or selector
    #[arg(value_name = "FAST")]
    pub(crate) fast: Option<OsString>,
    /// The slow side: file, folder or selector
    #[arg(value_name = "SLOW")]
    pub(crate) slow: Option<OsString>,
    #[command(flatten)]
    pub(crate) measured: Measured,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
A backend that caches prompts reads again only what comes after the first
difference. A cache is simulated for each model, over requests of every kind,
whatever the filters show; the figures are an upper bound.

Examples:
  traces prefix                        the last sitting
  traces prefix --kind conversation --text
  traces prefix --as proxied           what if the proxy stripped and sorted
  traces prefix --context 32768        when the window will be full
  traces prefix --order tools-first    GLM, Kimi, Qwen3.5, Cohere
  traces prefix --slots 1 --format json | jq .totals.ratio")]
pub(crate) struct PrefixArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<OsString>,
    /// What the model's chat template puts first
    #[arg(long, value_name = "ORDER", default_value = "system-first")]
    pub(crate) order: OrderArg,
    /// The request as Claude Code sent it, or without its billing header and with sorted tools
    #[arg(long = "as", value_name = "WHOSE", default_value = "sent")]
    pub(crate) view: ViewArg,
    /// How many prompts the backend's cache holds; LM Studio's default is 4
    #[arg(long, value_name = "N", default_value = "4")]
    pub(crate) slots: NonZeroUsize,
    /// How many tokens the model's context holds: shows headroom, and the turn that overflows
    #[arg(long, value_name = "N")]
    pub(crate) context: Option<NonZeroU64>,
    /// Quote what was and what is at the first difference: it may hold secrets
    #[arg(long)]
    pub(crate) text: bool,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// What both models took without the proxy.
#[derive(Debug, Args)]
pub(crate) struct Measured {
    /// What `traces replay --save` measured of both models, the fast one first
    #[arg(long, num_args = 2, value_names = ["FAST.json", "SLOW.json"])]
    pub(crate) direct: Vec<PathBuf>,
}

/// Limits that no request may exceed.
#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// Exit with 1 when a request exceeds this, e.g. body_bytes=200kB (repeatable)
    #[arg(long = "fail-over", value_name = "MEASURE=VALUE", value_parser = parse_limit)]
    pub(crate) fail_over: Vec<Limit>,
}

/// Which requests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which requests")]
pub(crate) struct Filter {
    /// Where anyclaude records [default: ~/.anyclaude]
    #[arg(long, value_name = "DIR", env = "TRACES_ROOT", hide_env_values = true)]
    pub(crate) root: Option<PathBuf>,
    /// All that was ever recorded, not the last sitting only
    #[arg(long)]
    pub(crate) all: bool,
    /// Requests of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<KindArg>,
    /// Requests of this proxy mode (lmstudio, claude, …)
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<String>,
    /// Requests that this model answered
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Requests of this session
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Requests of this anyclaude process
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Requests at or after: 2025-11-16, 2025-11-16T02:30:00Z, 2h, 3d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Requests at or before; a day counts whole
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// The last N of them
    #[arg(long, value_name = "N")]
    pub(crate) last: Option<usize>,
    /// Name the model of some requests, e.g. qwen3=session:1f0c (repeatable)
    #[arg(long = "label", value_name = "MODEL=INPUT")]
    pub(crate) labels: Vec<Label>,
    /// Skip files larger than this many bytes
    #[arg(long, value_name = "BYTES", default_value_t = anyclaude_traces::Store::MAX_FILE_BYTES)]
    pub(crate) max_file_size: u64,
}

/// How to print.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
    /// Say nothing about skipped files and choices made
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Show no progress
    #[arg(long)]
    pub(crate) no_progress: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Ndjson,
    Csv,
    Markdown,
    /// Of a report only.
    #[value(skip)]
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    Model,
    Run,
    Session,
    Mode,
    Kind,
    Level,
    Day,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderArg {
    SystemFirst,
    ToolsFirst,
}

impl From<OrderArg> for Order {
    fn from(order: OrderArg) -> Self {
        match order {
            OrderArg::SystemFirst => Self::SystemFirst,
            OrderArg::ToolsFirst => Self::ToolsFirst,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ViewArg {
    Sent,
    Proxied,
}

impl From<ViewArg> for View {
    fn from(view: ViewArg) -> Self {
        match view {
            ViewArg::Sent => Self::Sent,
            ViewArg::Proxied => Self::Proxied,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum KindArg {
    Conversation,
    Background,
    Probe,
    CountTokens,
    All,
}

impl From<KindArg> for KindFilter {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Conversation => Self::Only(Kind::Conversation),
            KindArg::Background => Self::Only(Kind::Background),
            KindArg::Probe => Self::Only(Kind::Probe),
            KindArg::CountTokens => Self::Only(Kind::CountTokens),
            KindArg::All => Self::All,
        }
    }
}

/// Puts the verb where clap looks for it: options may stand before it, and
/// without any verb it is `summary`.
pub(crate) fn verb_first(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.collect();
    let mut command = Cli::command();
    command.build();
    let asks_for_help = |arg: &OsString| ["-h", "--help", "-V", "--version"].iter().any(|help| arg == help);
    if args.get(1).is_some_and(asks_for_help) {
        return args;
    }
    let verb = verb_index(&args, &command).map(|index| args.remove(index));
    let at = args.len().min(1);
    args.insert(at, verb.unwrap_or_else(|| "summary".into()));
    args
}

/// Where the verb stands, if only options stand before it.
fn verb_index(args: &[OsString], command: &clap::Command) -> Option<usize> {
    let values = |flag: &str| {
        let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
        let takes_values = arguments
            .filter(|known| known.get_long() == flag.strip_prefix("--") && known.get_action().takes_values());
        takes_values.filter_map(clap::Arg::get_num_args).map(|range| range.min_values()).max().unwrap_or(0)
    };
    let mut index = 1;
    loop {
        let arg = args.get(index)?.to_str()?;
        match arg {
            "--" => return None,
            _ if arg.starts_with('-') => {
                index += 1 + if arg.contains('=') { 0 } else { values(arg) };
            }
            _ => return command.find_subcommand(arg).map(|_| index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(line: &str) -> String {
        let args = verb_first(line.split(' ').map(OsString::from));
        args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_verb_is_found_behind_options() {
        assert_eq!(first("traces"), "traces summary");
        assert_eq!(first("traces --all"), "traces summary --all");
        assert_eq!(first("traces folder --all"), "traces summary folder --all");
        assert_eq!(first("traces list --all"), "traces list --all");
        assert_eq!(first("traces --root list list -q"), "traces list --root list -q");
        assert_eq!(first("traces --root=x --quiet diff a b"), "traces diff --root=x --quiet a b");
        assert_eq!(first("traces --direct list diff explain"), "traces explain --direct list diff");
        assert_eq!(first("traces -- list"), "traces summary -- list");
        assert_eq!(first("traces --version"), "traces --version");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
