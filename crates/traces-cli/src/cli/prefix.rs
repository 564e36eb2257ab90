//! The arguments of `traces prefix`.

use std::ffi::OsString;
use std::num::NonZeroU64;

use anyclaude_traces::prompt_cache::{CacheOptions, Order, View};
use clap::{Args, ValueEnum, ValueHint};

use super::help::{help, shared};
use super::shared::at_least_one;
use super::{CacheArgs, FilterArgs, Formats, LimitArgs, OutputArgs, OutputFormat, RowArgs, ShowRows};

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |arg| arg.value_parser(Formats(OutputFormat::ROWS))),
    after_long_help = help!("\
A backend that caches prompts reads again only what comes after the first
difference. A cache is simulated for each model, over requests of every kind,
whatever the filters show; the figures are an upper bound.

Examples:
  traces prefix                         the last 24 hours of activity
  traces prefix --kind conversation --text
  traces prefix --sort lost_bytes --top 5
  traces prefix --as sorted,no-header   what if the proxy changed prompts so
  traces prefix --context 32768         when the window will be full
  traces prefix --order tools-first     GLM, Kimi, Qwen3.5, Cohere
  traces prefix --slots 1 --format json | jq .totals.ratio")
)]
pub(crate) struct PrefixArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<OsString>,
    /// What the model's template puts first
    #[arg(long, value_name = "ORDER", default_value = "system-first")]
    pub(crate) order: OrderArg,
    /// What the backend got
    ///
    /// `sent` (what Claude Code sent), or edits joined by commas: `sorted` (tools by name), `no-header` (no billing header), `text-only` (no thinking, no images of
    /// user messages), `truncated` (histories cut as the log says); `auto`: what the logs tell
    #[arg(long = "as", value_name = "EDITS", default_value = "auto", value_parser = ViewArg::parse)]
    pub(crate) view: ViewArg,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    /// Tokens that the model's context holds
    ///
    /// Shows the headroom, and the turn that overflows.
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU64>)]
    pub(crate) context: Option<NonZeroU64>,
    /// Quote the changes: they may hold secrets
    ///
    /// The text at each first difference, before and after the change.
    #[arg(long)]
    pub(crate) text: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) show_rows: ShowRows,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderArg {
    /// The system prompt: Qwen2.5 and 3, Llama, gpt-oss, most others
    SystemFirst,
    /// The tools: GLM-4.6, Kimi, Qwen3.5, Cohere
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

/// What the backend is taken to have got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ViewArg {
    Auto,
    Is(View),
}

impl ViewArg {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let view: View = text.parse().map_err(|error| {
            format!("{error}; `auto` chooses by the logs, and edits are joined by commas")
        })?;
        Ok(Self::Is(view))
    }
}

impl PrefixArgs {
    /// How the cache is to be simulated.
    pub(crate) fn cache_options(&self) -> CacheOptions {
        let mut options = self.cache.options();
        options.order = self.order.into();
        options.view = match self.view {
            ViewArg::Auto => None,
            ViewArg::Is(view) => Some(view),
        };
        options
    }
}
