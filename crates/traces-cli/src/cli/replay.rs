//! The arguments of `traces replay`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum, ValueHint, value_parser};

use super::help::{help, shared};
use super::{FilterArgs, Formats, OutputArgs, OutputFormat};

#[derive(Debug, Args)]
#[command(
    // This verb alone asks a model, so --model is the one to ask.
    mut_arg("model", |model| model
        .help("Model to ask [default: the loaded one]")
        .long_help("The model to ask [default: the only one that is loaded]\n\nAs the server names it. \
                    The verdict needs the model that answered through the proxy.")
        .help_heading("The direct request")),
    mut_arg("format", |arg| arg.value_parser(Formats(OutputFormat::DOCUMENTS))),
    after_long_help = help!("\
Sends the recorded request without the proxy, measures the answer, and compares
that with what the log says of the request through the proxy. The prompt goes to
this machine only; neither it nor the answer is printed. Ctrl-C prints what was
measured so far.

Examples:
  traces replay                        the newest request, to LM Studio
  traces replay latest --cold          so that no prompt cache helps
  traces replay latest --warm --repeat 5
  traces replay model:gpt-oss --model openai/gpt-oss-20b --save fast.json
  traces replay latest --url http://127.0.0.1:8080 --api openai
  traces replay session:2222 --cold --format json | jq .median.ttft_ms")
)]
pub(crate) struct ReplayArgs {
    /// File, folder or selector; of several the newest
    #[arg(value_name = "INPUT", default_value = "latest", value_hint = ValueHint::AnyPath)]
    pub(crate) input: OsString,
    /// Write the result to a file too, as JSON
    ///
    /// For `traces explain --direct`. It must not exist yet, and only its owner may read it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) save: Option<PathBuf>,
    /// Overwrite that file
    #[arg(long, requires = "save")]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) direct: DirectArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How to send it.
#[derive(Debug, Args)]
#[command(next_help_heading = "The direct request")]
pub(crate) struct DirectArgs {
    /// The server's address
    ///
    /// Such as http://127.0.0.1:1234. Only loopback addresses are allowed, unless
    /// --allow-remote is given. No proxy of the environment is used, no redirect followed.
    #[arg(long, value_name = "URL", default_value = lmstudio_replay::DEFAULT_URL)]
    pub(crate) url: String,
    /// The API [default: what the server has]
    #[arg(long, value_name = "API")]
    pub(crate) api: Option<ApiArg>,
    /// The most tokens of the answer
    ///
    /// It replaces the recorded limit. More tokens measure the generation speed better, and take longer. A server that
    /// ignores the limit is cut off after 10,000 + 4 × N events, or 16 MB + 8 kB × N.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = value_parser!(u64).range(1..))]
    pub(crate) max_tokens: u64,
    /// How often to measure
    ///
    /// Up to 1000 times; of more than one the medians are shown too.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: u32,
    /// Begin with a new word: no cache helps
    ///
    /// Each prompt has one of its own, so that none is held by a prompt cache.
    #[arg(long, conflicts_with = "warm")]
    pub(crate) cold: bool,
    /// Send it once before, uncounted
    ///
    /// So that the prompt cache holds it.
    #[arg(long)]
    pub(crate) warm: bool,
    /// The longest silence
    ///
    /// The wait for the first event is one too. Comments and pings count as silence. What was measured before is kept. The whole
    /// answer is bounded by --max-tokens instead.
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = parse_seconds)]
    pub(crate) timeout: Duration,
    /// The longest time to connect
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "10",
        value_parser = parse_seconds,
        hide_short_help = true
    )]
    pub(crate) connect_timeout: Duration,
    /// The variable with the server's token
    ///
    /// One of the environment. It is sent as a bearer token; no credential that was recorded ever is.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) token_env: Option<String>,
    /// Print the answer: it may hold secrets
    #[arg(long)]
    pub(crate) show_text: bool,
    /// Send it to another machine
    ///
    /// The prompt then leaves this one: it may hold code and secrets.
    #[arg(long, hide_short_help = true)]
    pub(crate) allow_remote: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApiArg {
    /// POST /v1/messages, the body as recorded
    Anthropic,
    /// POST /v1/chat/completions, the body converted
    Openai,
}

/// Parses a number of seconds above 0.
fn parse_seconds(text: &str) -> anyhow::Result<Duration> {
    let seconds: f64 = text.parse().context("write a number of seconds, such as 600 or 2.5")?;
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero());
    duration.context("write a number of seconds above 0")
}
