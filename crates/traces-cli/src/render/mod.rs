//! Prints results, for people and for programs: the only place for tables, colour, widths,
//! units and sanitising.

mod bars;
pub(crate) mod color;
pub(crate) mod columns;
pub(crate) mod csv;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod findings;
pub(crate) mod ids;
pub(crate) mod json;
pub(crate) mod list;
pub(crate) mod missing;
pub(crate) mod notes;
pub(crate) mod page;
pub(crate) mod prefix;
pub(crate) mod progress;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod sanitize;
pub(crate) mod select_error;
pub(crate) mod show;
pub(crate) mod summary;
pub(crate) mod table;
mod times;
pub(crate) mod timing;
pub(crate) mod tools;
pub(crate) mod topic;
pub(crate) mod units;
pub(crate) mod watch;
pub(crate) mod what_if;
mod wrap;
