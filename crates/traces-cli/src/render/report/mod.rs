//! The report: one page of HTML with charts, or the guide's five points as Markdown.

mod bars;
mod chart;
mod document;
mod findings;
mod growth;
mod markdown;
mod points;
mod prefix;
mod prose;
mod reading;
mod requests;
mod unknown;
mod waterfall;

pub(crate) use document::html;
pub(crate) use markdown::page;
