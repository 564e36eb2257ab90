//! The report: one page of HTML with charts, or the guide's five points as Markdown.

mod bars;
mod chart;
mod difference;
mod document;
mod findings;
mod growth;
mod markdown;
mod parts;
mod points;
mod prefix;
mod prose;
mod reading;
mod requests;
mod timeline;
mod unknown;
mod verdict;

pub(crate) use document::html;
pub(crate) use markdown::page;
