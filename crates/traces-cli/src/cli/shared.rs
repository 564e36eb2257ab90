//! The arguments that several verbs have.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use anyclaude_traces::Kind;
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::prompt_cache::CacheOptions;
use anyhow::anyhow;
use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, ValueEnum, ValueHint};

use crate::parse::{LabelArg, Limit, parse_limit};
use crate::zone::{Zone, parse_zone};

/// Limits that no request may exceed.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Exit with 1 when a request exceeds this
    ///
    /// Such as body_bytes=200kB; repeatable. MEASURE is a name as in JSON: system_chars, system_bytes, tool_count, tools_bytes,
    /// message_count, messages_bytes, body_bytes, ttft_ms, total_ms and the like; a wrong
    /// one lists them all. VALUE may have a unit: kB, MB and GB (of 1000), KiB and MiB for
    /// sizes, s and m for times, k for thousands of anything else. Every request that
    /// exceeds it is named on the standard error stream.
    #[arg(long = "fail-over", value_name = "MEASURE=VALUE", value_parser = parse_limit)]
    pub(crate) fail_over: Vec<Limit>,
}

/// What both models took without the proxy.
#[derive(Debug, Args)]
pub(crate) struct MeasuredArgs {
    /// What `traces replay --save` measured
    ///
    /// Of both models, the fast one first. Only this tells a slow proxy from a slow server. Measure both models with
    /// `traces replay --cold --save FILE`, each with a request that it answered.
    #[arg(long, num_args = 2, value_names = ["FAST.json", "SLOW.json"], value_hint = ValueHint::FilePath)]
    pub(crate) direct: Vec<PathBuf>,
}

/// The cache that is simulated where the backend does not count what it reused.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// Slots of the cache [default: 4]
    ///
    /// How many prompts the backend's cache holds. LM Studio's default is 4.
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>)]
    pub(crate) slots: Option<NonZeroUsize>,
    /// Keep in memory what leaves a slot
    ///
    /// As llama.cpp's server and LM Studio do by default.
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    pub(crate) cache_ram: RamArg,
}

/// A whole number above 0.
pub(super) fn at_least_one<N: FromStr>(text: &str) -> anyhow::Result<N> {
    text.parse().map_err(|_| anyhow!("write a whole number from 1 on"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RamArg {
    /// What the reported counts of cached tokens agree with; else on, unless times prove one slot
    Auto,
    /// What leaves a slot is kept in main memory
    On,
    /// The slots are all the cache there is
    Off,
}

impl CacheArgs {
    /// How the cache is to be simulated.
    pub(crate) fn options(&self) -> CacheOptions {
        let mut options = CacheOptions::default();
        options.slots = self.slots.unwrap_or(options.slots);
        options.ram = match self.cache_ram {
            RamArg::Auto => None,
            RamArg::On => Some(true),
            RamArg::Off => Some(false),
        };
        options
    }
}

/// Which requests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which requests")]
pub(crate) struct FilterArgs {
    /// Where recordings are (repeatable) [default: ~/.anyclaude, and what `traces record` keeps]
    ///
    /// The folder that holds traces/, logs/ and request-logs/. A file or folder that is
    /// named elsewhere is joined with the logs beside its own traces/.
    #[arg(
        long = "root",
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        env = "TRACES_ROOT",
        hide_env_values = true,
        hide_long_help = true
    )]
    pub(crate) roots: Vec<PathBuf>,
    /// Everything recorded, not only the last 24 hours of activity
    ///
    /// Without this option, an INPUT or a time, only the 24 hours before the newest request
    /// count: mostly one session with both models.
    #[arg(long, hide_long_help = true)]
    pub(crate) all: bool,
    /// Requests of this kind
    ///
    /// By default, everything that compares or aggregates takes the conversation, as small
    /// background requests make medians meaningless; `list`, and the rows of `timing` and
    /// `prefix`, show all.
    #[arg(long, value_name = "KIND", hide_long_help = true)]
    pub(crate) kind: Option<KindArg>,
    /// Requests of this proxy mode (lmstudio, claude, …)
    #[arg(long, value_name = "MODE", hide_long_help = true, hide_short_help = true)]
    pub(crate) mode: Option<String>,
    /// Requests that this model answered
    ///
    /// A part of the name is enough if no other model has it. It is the model that ran, by
    /// the logs or --label, not the one that Claude Code asked for.
    #[arg(long, value_name = "NAME", hide_long_help = true)]
    pub(crate) model: Option<String>,
    /// Requests of this session
    ///
    /// The id that Claude Code gave it, or a unique part; `traces` lists them.
    #[arg(long, value_name = "ID", hide_long_help = true, hide_short_help = true)]
    pub(crate) session: Option<String>,
    /// Requests of this anyclaude process
    ///
    /// The time of its start in UTC, such as 2025-11-16T02-52, or a unique part; `traces
    /// timing` lists them.
    #[arg(long, value_name = "ID", hide_long_help = true, hide_short_help = true)]
    pub(crate) run: Option<String>,
    /// Requests at or after: 2025-11-16, 2025-11-16T02:30:00Z, 2h, 3d
    ///
    /// A day begins at local midnight. Without date it is how long ago: 90s, 45m, 2h, 3d, 1w.
    #[arg(long, value_name = "TIME", hide_long_help = true)]
    pub(crate) since: Option<String>,
    /// Requests at or before; a day counts whole
    ///
    /// Written as for --since.
    #[arg(long, value_name = "TIME", hide_long_help = true, hide_short_help = true)]
    pub(crate) until: Option<String>,
    /// The last N of them
    ///
    /// Taken after all other filters, by time.
    #[arg(long, value_name = "N", hide_long_help = true)]
    pub(crate) last: Option<usize>,
    /// Name the model of some requests, e.g. qwen3=session:1f0c (repeatable)
    ///
    /// For logs that only say `current-model`, or that are gone. INPUT is anything that may
    /// be an INPUT; the label wins over every log.
    #[arg(long = "label", value_name = "MODEL=INPUT", hide_long_help = true, hide_short_help = true)]
    pub(crate) labels: Vec<LabelArg>,
    /// Read what the server logged too: a log of LM Studio, llama-server or Ollama (repeatable)
    ///
    /// Its counts and times replace what is inferred. Of a folder, every log below it is read.
    /// LM Studio's logs below ~/.lmstudio are found by themselves. Without any recording, the
    /// log alone tells what each request took.
    #[arg(
        long = "server-log",
        value_name = "FILE|DIR",
        value_hint = ValueHint::AnyPath,
        hide_long_help = true,
        hide_short_help = true
    )]
    pub(crate) server_logs: Vec<PathBuf>,
    /// The time zone of servers' logs: UTC, +02:00, Europe/Berlin or local
    ///
    /// LM Studio writes local time without a zone. By default the requests show it, else it is
    /// that of this machine.
    #[arg(
        long = "tz",
        value_name = "ZONE",
        value_parser = parse_zone,
        allow_hyphen_values = true,
        hide_long_help = true,
        hide_short_help = true
    )]
    pub(crate) zone: Option<Zone>,
    /// Skip files larger than this many bytes
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = anyclaude_traces::Store::MAX_FILE_BYTES,
        hide_long_help = true,
        hide_short_help = true
    )]
    pub(crate) max_file_size: u64,
}

/// How to print.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: OutputFormat,
    /// When to use colour
    ///
    /// Only tables have any.
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_long_help = true, hide_short_help = true)]
    pub(crate) color: ColorChoice,
    /// Print no warnings about skipped files and choices made
    ///
    /// Errors are still printed, and the exit code stays the same.
    #[arg(long, short, hide_long_help = true, hide_short_help = true)]
    pub(crate) quiet: bool,
    /// Show the ids of accounts and sessions whole
    ///
    /// Tables name a session by the first eight digits of its id, which are enough as an
    /// INPUT, and leave out whose account it is. JSON and CSV hold all of it.
    #[arg(long, hide_long_help = true, hide_short_help = true)]
    pub(crate) ids: bool,
    /// Show no progress
    ///
    /// Progress shows where reading takes longer than half a second and the standard error
    /// stream is a terminal.
    #[arg(long, hide_long_help = true, hide_short_help = true)]
    pub(crate) no_progress: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people; fits the terminal, and is whole when piped
    Table,
    /// One document; schema_version tells its shape
    Json,
    /// One JSON object a line, for each request or event
    Ndjson,
    /// Names as in JSON, nested ones with a dot
    Csv,
    /// Tables to paste
    Markdown,
    /// One page that loads nothing from elsewhere
    Html,
    /// A timeline: Chrome trace JSON, for Perfetto and chrome://tracing
    Chrome,
    /// Spans: OTLP/JSON lines, for OpenTelemetry's collector and what is behind it
    Otlp,
    /// Tables, for DuckDB, Spark and pandas: a folder for each day and model
    Parquet,
}

impl OutputFormat {
    /// Of verbs that show rows of requests.
    pub(super) const ROWS: &[Self] = &[Self::Table, Self::Json, Self::Ndjson, Self::Csv, Self::Markdown];
    /// Of verbs that show one thing.
    pub(super) const DOCUMENTS: &[Self] = &[Self::Table, Self::Json, Self::Markdown];
    /// Of verbs that compare measures.
    pub(super) const FIGURES: &[Self] = &[Self::Table, Self::Json, Self::Csv, Self::Markdown];
    /// Of files for other tools.
    pub(super) const EXPORTS: &[Self] = &[Self::Chrome, Self::Otlp, Self::Parquet];
}

/// Parses a format that a verb has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Formats(pub(super) &'static [OutputFormat]);

impl TypedValueParser for Formats {
    type Value = OutputFormat;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<OutputFormat, clap::Error> {
        let parsed = EnumValueParser::<OutputFormat>::new().parse_ref(command, arg, value);
        match parsed {
            Ok(format) if self.0.contains(&format) => Ok(format),
            _ => {
                let names = self.possible_values().into_iter().flatten();
                let parser = clap::builder::PossibleValuesParser::new(names);
                let refused = parser.parse_ref(command, arg, value).err();
                Err(refused.unwrap_or_else(|| clap::Error::new(ErrorKind::InvalidValue)))
            }
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().filter_map(OutputFormat::to_possible_value)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    Auto,
    /// Also where it is piped, and whatever NO_COLOR says
    Always,
    /// Not at all
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The model that ran
    Model,
    /// The anyclaude process
    Run,
    /// The session of Claude Code
    Session,
    /// The proxy's mode
    Mode,
    /// The kind of request; --kind all shows all of them
    Kind,
    /// The debug level (ANYCLAUDE_DEBUG)
    Level,
    /// The local day
    Day,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum KindArg {
    /// The turns that you wait for
    Conversation,
    /// Titles, topics and the like: no tools
    Background,
    /// Tests whether the backend answers: max_tokens is 1
    Probe,
    /// Questions for the size of a prompt
    CountTokens,
    /// Every kind
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
