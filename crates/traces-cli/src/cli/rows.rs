//! Which rows a table shows, in what order, with which columns.

use std::num::NonZeroUsize;

use anyclaude_traces::select::{RowOrder, column, first_known};
use clap::Args;
use serde::Serialize;

use super::shared::at_least_one;

/// The rows of a table, or of its data.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct RowArgs {
    /// Sort by this, the largest first
    ///
    /// Text is sorted from A to Z, times from the earliest on, and what is unknown comes last. MEASURE is a name as in JSON or CSV, such
    /// as wall_ms, ttft_ms, body_bytes, cached_tokens or model; a wrong one lists them all.
    #[arg(long, value_name = "MEASURE")]
    pub(crate) sort: Option<String>,
    /// Show these columns, or +NAME: these too
    ///
    /// Names as in JSON or CSV, separated by commas.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// The first N rows; without --sort the slowest
    ///
    /// Where no times are known, the largest.
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>)]
    pub(crate) top: Option<NonZeroUsize>,
}

/// Whether there are rows of requests at all.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct ShowRows {
    /// Show the rows of requests [the default]
    #[arg(long, overrides_with = "no_rows", hide = true)]
    pub(crate) rows: bool,
    /// Leave out the rows of requests
    #[arg(long)]
    pub(crate) no_rows: bool,
}

impl RowArgs {
    /// The order that is asked for. Without a column to sort by, `--top` takes the first of
    /// `usual` of which anything is known.
    pub(crate) fn order<T: Serialize>(
        &self,
        rows: &[T],
        known: &[&str],
        usual: &[&str],
    ) -> anyhow::Result<RowOrder> {
        let mut order = RowOrder::default();
        order.top = self.top.map(NonZeroUsize::get);
        order.sort = match &self.sort {
            Some(name) => Some(find(name, known)?.to_owned()),
            None if self.top.is_some() => first_known(rows, usual).map(str::to_owned),
            None => None,
        };
        Ok(order)
    }
}

/// The column that a name means.
pub(crate) fn find<'c>(name: &str, known: &[&'c str]) -> anyhow::Result<&'c str> {
    Ok(column(name, known)?)
}
