//! `traces show`: one request, taken apart.

use std::io::Write;

use anyclaude_traces::ask::answers;
use anyhow::Context as _;

use super::{check_limits, next_step, one, report_skipped};
use crate::cli::{OutputFormat, ShowArgs};
use crate::exit::Status;
use crate::render::ids::Ids;
use crate::render::{json, page, show as render};

pub(crate) fn run(args: &ShowArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use OutputFormat::Json;
    let mut one = one::newest(&args.input, &args.filter, &args.output, "showing", one::Costs::Fitted)?;
    let known = one.selection.skipped.len();
    let found = answers::show(&one.reader, &mut one.selection, args.text)
        .context("the file changed while it was read")?;
    let status = report_skipped(one.selection.skipped_list().get(known..).unwrap_or_default(), &args.output);
    let request = std::slice::from_ref(&found.request);
    let limits = check_limits(request, &args.limits.fail_over);
    let inputs = if one.is_path { std::slice::from_ref(&args.input) } else { &[] };
    let next = next_step(&one.reader, &args.filter, inputs, request);
    match args.output.format {
        Json => json::document(out, &found)?,
        _ => {
            // Text that was asked for is shown, however long it is.
            let levels = render::ShowDetail::levels().take(if args.text { 1 } else { usize::MAX });
            let pages = levels.map(|detail| render::page(&found, &next, Ids(args.output.ids), detail));
            page::print_first_fitting(out, pages, page::Room::Terminal, &args.output)?;
        }
    }
    Ok(limits.and(one.status).and(status))
}
