//! The command line: types only.

mod default_verb;
mod export;
mod help;
mod prefix;
mod record;
mod replay;
mod report;
mod rows;
mod shared;
mod watch;
mod what_if;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueHint};

pub(crate) use default_verb::verb_first;
pub(crate) use export::ExportArgs;
pub(crate) use help::SHARED_HELP;
use help::{help, shared};
pub(crate) use prefix::PrefixArgs;
pub(crate) use record::RecordArgs;
pub(crate) use replay::{ApiArg, DirectArgs, ReplayArgs};
pub(crate) use report::ReportArgs;
pub(crate) use rows::{RowArgs, ShowRows, find as find_column};
use shared::Formats;
pub(crate) use shared::{
    By, CacheArgs, ColorChoice, FilterArgs, LimitArgs, MeasuredArgs, OutputArgs, OutputFormat,
};
pub(crate) use watch::WatchArgs;
pub(crate) use what_if::WhatIfArgs;

/// Tells why your local model is slow, from recordings of Claude Code, anyclaude or a server's log
#[derive(Debug, Parser)]
#[command(
    name = "traces",
    version,
    styles = help::STYLES,
    override_usage = "traces [VERB] [INPUT]... [OPTIONS]",
    disable_help_subcommand = true,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    after_help = help::FIRST_SCREEN,
    after_long_help = help::FIRST_PAGE,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Reads the arguments, the verb first.
pub(crate) fn parse(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let mut command = Cli::command();
    if args.iter().any(|arg| arg == "-h") {
        command = help::first_screen(command.mut_subcommands(help::short));
    }
    Cli::from_arg_matches(&command.try_get_matches_from(args)?)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// What a session looked like, and where its time went [the default]
    ///
    /// Answers what the last 24 hours of activity looked like: requests in groups with the medians of
    /// their sizes and times, the tools that cost most, MCP servers that nobody called, how
    /// the prompt of each session grew, and one sentence on what matters most.
    Summary(SummaryArgs),
    /// One row per request
    ///
    /// Answers what was sent, when, to which model, how large it was and how long it took:
    /// one row for each request of every kind, in order of time.
    List(ListArgs),
    /// One request, taken apart: sections, tools, messages
    ///
    /// Answers where the bytes of one request are: its sections, the blocks of the system
    /// prompt, its tools and messages by size, its parameters, and what its tools cost.
    Show(ShowArgs),
    /// What differs between two requests or two groups
    ///
    /// Answers what one model got that the other did not: sizes and times side by side, tools
    /// that were added, removed or changed, the system prompt, messages and parameters.
    Diff(DiffArgs),
    /// Times from the logs: first token, events, tokens per second
    ///
    /// Answers where the time went, by model and for each request: the proxy's own work, time
    /// to first token, generation, keepalives, events, tokens per second. Times are in
    /// milliseconds (ms), seconds (s) and minutes (m).
    Timing(TimingArgs),
    /// What a prompt cache could reuse, and what broke it
    ///
    /// Answers why the model reads its prompt again: it simulates a prompt cache over the
    /// recorded requests, and names what broke each prefix, what that cost and what to do.
    Prefix(PrefixArgs),
    /// Where the slower of two models lost its time, with evidence
    ///
    /// Answers whether anyclaude is the bottleneck, and why the slower of two models is slower:
    /// the difference, taken apart into ten contributions that add up to it, each with its
    /// confidence interval, and how sure the answer is. Of one model it says where its time
    /// goes.
    Explain(ExplainArgs),
    /// A page to send around: verdict, charts, every request
    ///
    /// Answers all of it on one page: the verdict with its evidence, the five points of
    /// anyclaude's performance guide, charts of growth and speed, tools by size, and every
    /// request.
    Report(ReportArgs),
    /// The same answers while it happens
    ///
    /// Answers whether the model is still reading, how long that will take, and why it takes
    /// that long this time: follows a recording while it is written.
    Watch(WatchArgs),
    /// Run Claude Code and record it: no proxy needed
    ///
    /// Records a session of Claude Code with any server, without a proxy: sizes, times to the
    /// first token, tokens and cached tokens of every request. Prints what `traces` prints of
    /// it.
    Record(RecordArgs),
    /// Send a recorded request straight to LM Studio, and measure
    ///
    /// Answers whether the server is slow by itself or through the proxy: the recorded request
    /// is sent without the proxy, and its time to first token and tokens per second are
    /// measured as it streams.
    Replay(ReplayArgs),
    /// Requests for other tools: a timeline, OpenTelemetry, Parquet
    ///
    /// Writes the requests for tools that people have: a timeline for Perfetto and
    /// chrome://tracing, spans for OpenTelemetry, or tables for DuckDB, Spark and pandas. No
    /// text of prompts, no header and no key is in them.
    Export(ExportArgs),
    /// Explain a topic or a verb
    #[command(after_help = help::TOPICS)]
    Help(HelpArgs),
    /// Print a completion script for a shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page
    ///
    /// Prints one manual for traces and all its verbs, in the language of man pages.
    #[command(after_long_help = help::MAN)]
    Man,
}

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |arg| arg.value_parser(Formats(OutputFormat::FIGURES))),
    after_long_help = help!("\
Examples:
  traces summary                       the last 24 hours of activity, by model
  traces summary --by session --all    everything, by session
  traces summary --by level --kind all
  traces --label qwen3=run:2025-11-16T03-40
  traces summary --fail-over body_bytes=200kB --fail-over tool_count=40
  traces summary --format json | jq '.largest_tools[0]'")
)]
pub(crate) struct SummaryArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<OsString>,
    /// What to group by
    #[arg(long, value_name = "WHAT", default_value = "model")]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |arg| arg.value_parser(Formats(OutputFormat::ROWS))),
    after_long_help = help!("\
Examples:
  traces list                          the last 24 hours of activity, every kind
  traces list --kind conversation --last 5
  traces list session:1111 model:qwen3-42b
  traces list --all --format ndjson | jq 'select(.tool_count > 40) | .path'
  traces list --since 2h --format csv > requests.csv
  traces list --top 5                  the slowest five
  traces list --sort body_bytes --columns +session,cached_tokens
  traces list --kind conversation --fail-over ttft_ms=30s")
)]
pub(crate) struct ListArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<OsString>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |arg| arg.value_parser(Formats(OutputFormat::DOCUMENTS))),
    after_long_help = help!("\
Examples:
  traces show                          the newest request of the conversation
  traces show latest~3
  traces show session:1111             the newest request of a session
  traces show 2025-11-16T02-52-31-269Z.json --text
  traces show --format json | jq '.tools[:3]'")
)]
pub(crate) struct ShowArgs {
    /// File, folder or selector; of several requests the newest
    #[arg(value_name = "INPUT", default_value = "latest", value_hint = ValueHint::AnyPath)]
    pub(crate) input: OsString,
    /// Print the prompt's text too: it may hold secrets
    ///
    /// The system prompt, the descriptions of tools, and the text of messages.
    #[arg(long)]
    pub(crate) text: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |arg| arg.value_parser(Formats(OutputFormat::FIGURES))),
    after_long_help = help!("\
With no side: the two models used last, the older one left. With one: a request
against its predecessor in the thread, or a model against the other model. Of a
group (a folder, model:, session:, run:) the figures are medians.

Examples:
  traces diff                          the two models used last
  traces diff 2025-11-16T02-52-31-269Z.json      against the one before it
  traces diff latest~1 latest --text
  traces diff model:gpt-oss model:qwen3-42b
  traces diff before.json after.json --text
  traces diff monday/ friday/ --exit-code
  traces diff run:2025-11-16T03-20 run:2025-11-16T03-30")
)]
pub(crate) struct DiffArgs {
    /// File, folder or selector
    #[arg(value_name = "LEFT", value_hint = ValueHint::AnyPath)]
    pub(crate) left: Option<OsString>,
    /// File, folder or selector
    #[arg(value_name = "RIGHT", value_hint = ValueHint::AnyPath)]
    pub(crate) right: Option<OsString>,
    /// Show how system text and tools' descriptions differ
    ///
    /// They may hold secrets. As unified diffs; of groups, those of their newest requests.
    #[arg(long)]
    pub(crate) text: bool,
    /// Exit with 1 when the prompts differ
    ///
    /// Times and the size of files do not count.
    #[arg(long)]
    pub(crate) exit_code: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |arg| arg.value_parser(Formats(OutputFormat::ROWS))),
    after_long_help = help!("\
Rows are requests of every kind; groups are of the conversation, unless --kind
says otherwise. Times come from anyclaude's logs (ANYCLAUDE_DEBUG=2), recordings
of Claude Code and other recorders, and servers' logs: `traces help recording`.

Examples:
  traces timing                        the last 24 hours of activity, by model
  traces timing --by level --all       what debug logging costs
  traces timing model:qwen3-42b --format csv
  traces timing --format json | jq '.groups[] | {name, ttft_ms}'
  traces timing --sort read_ms --top 5
  traces timing --no-rows              the medians alone
  traces timing --log stderr.txt       also what was captured of standard error")
)]
pub(crate) struct TimingArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<OsString>,
    /// A log elsewhere, or captured standard error
    ///
    /// Repeatable. It is read in addition to those below the root. A capture names the trace of each request.
    #[arg(long = "log", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) logs: Vec<PathBuf>,
    /// What to group by
    #[arg(long, value_name = "WHAT", default_value = "model")]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) show_rows: ShowRows,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |arg| arg.value_parser(Formats(OutputFormat::DOCUMENTS))),
    after_long_help = help!("\
Without arguments, the two models used last are compared, the faster one left.
Requests with the same prompt are compared in pairs, others as groups by their
means: give both models the same task. With one argument, or where one model is
known, it says where the time goes. It prints one screen; --format markdown has
all evidence, and all that is missing.

Whether a difference is there without anyclaude as well, only a measurement can
tell: replay a request of each model with --cold, and name both files.

Examples:
  traces explain                       the two models used last
  traces explain model:gpt-oss model:qwen3-42b
  traces explain session:1111 session:2222
  traces explain run:2025-11-16T02-30 run:2025-11-16T02-52 --format json
  traces explain latest                where the time of the last request went
  traces explain --format markdown     with all evidence
  traces explain --direct fast.json slow.json
  traces explain --without-server github --slots 8   what a turn would take")
)]
pub(crate) struct ExplainArgs {
    /// The fast side: file, folder or selector; alone, the one to look at
    #[arg(value_name = "FAST", value_hint = ValueHint::AnyPath)]
    pub(crate) fast: Option<OsString>,
    /// The slow side: file, folder or selector
    #[arg(value_name = "SLOW", value_hint = ValueHint::AnyPath)]
    pub(crate) slow: Option<OsString>,
    #[command(flatten)]
    pub(crate) measured: MeasuredArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) what_if: WhatIfArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// What to explain; without it, everything in short
    #[arg(value_name = "TOPIC|VERB")]
    pub(crate) subject: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_the_options_fits_80_columns() {
        // Lines that are wider would be broken once more, in odd places.
        fn check(command: &clap::Command) {
            let ends = [command.get_after_help(), command.get_after_long_help()];
            for line in
                ends.into_iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join("\n").lines()
            {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
        Cli::command().get_subcommands().cloned().map(help::short).for_each(|verb| check(&verb));
    }
}
