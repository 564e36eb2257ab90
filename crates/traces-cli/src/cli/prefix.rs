//! The arguments of `traces prefix`.

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::str::FromStr;

use anyclaude_traces::analysis::prefix::{Order, View};
use anyhow::anyhow;
use clap::{Args, ValueEnum, ValueHint};

use super::help::{help, shared};
use super::{Filter, Format, Formats, Limits, Output};

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |arg| arg.value_parser(Formats(Format::ROWS))),
    after_long_help = help!("\
A backend that caches prompts reads again only what comes after the first
difference. A cache is simulated for each model, over requests of every kind,
whatever the filters show; the figures are an upper bound.

Examples:
  traces prefix                        the last sitting
  traces prefix --kind conversation --text
  traces prefix --as proxied           what if the proxy stripped and sorted
  traces prefix --context 32768        when the window will be full
  traces prefix --order tools-first    GLM, Kimi, Qwen3.5, Cohere
  traces prefix --slots 1 --format json | jq .totals.ratio")
)]
pub(crate) struct PrefixArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<OsString>,
    /// What the model's chat template puts first
    #[arg(long, value_name = "ORDER", default_value = "system-first")]
    pub(crate) order: OrderArg,
    /// The request as Claude Code sent it, or without its billing header and with sorted tools
    #[arg(long = "as", value_name = "WHOSE", default_value = "sent")]
    pub(crate) view: ViewArg,
    /// How many prompts the backend's cache holds; LM Studio's default is 4
    #[arg(long, value_name = "N", default_value = "4", value_parser = at_least_one::<NonZeroUsize>)]
    pub(crate) slots: NonZeroUsize,
    /// How many tokens the model's context holds: shows headroom, and the turn that overflows
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU64>)]
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

/// A whole number above 0.
fn at_least_one<N: FromStr>(text: &str) -> anyhow::Result<N> {
    text.parse().map_err(|_| anyhow!("write a whole number from 1 on"))
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ViewArg {
    /// As Claude Code sent it
    Sent,
    /// As a proxy may pass it on: no billing header, tools sorted by name
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
