//! `traces show`: one request, taken apart.

use std::io::Write;

use anyclaude_traces::analysis::content::Content;
use anyclaude_traces::analysis::show::show;
use anyclaude_traces::analysis::tool_cost::read_tool_costs;
use anyhow::Context as _;

use super::{check_limits, next_step, one};
use crate::cli::{Format, ShowArgs};
use crate::exit::Status;
use crate::render::{json, page, show as render};

pub(crate) fn run(args: &ShowArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::Json;
    let mut one = one::newest(&args.input, &args.filter, &args.output, "showing", one::Costs::Fitted)?;
    one.selection.count_all_tokens(one.reader.store());
    let price_list = read_tool_costs(&mut one.selection, one.reader.store());
    let request = one.selection.requests.pop().unwrap_or(one.request);
    let mut content = if args.text { Content::with_text() } else { Content::sizes() };
    one.reader
        .store()
        .read_one(request.path.as_ref(), &mut content)
        .context("the file changed while it was read")?;
    let limits = check_limits(std::slice::from_ref(&request), &args.limits.fail_over);
    let inputs = if one.selector.is_path() { std::slice::from_ref(&args.input) } else { &[] };
    let next = next_step(&args.filter, inputs, std::slice::from_ref(&request));
    let mut shown = show(request, content);
    shown.price_list = Some(price_list);
    match args.output.format {
        Json => json::document(out, &shown)?,
        _ => page::print(out, &render::page(&shown, &next), &args.output)?,
    }
    Ok(limits.and(one.status))
}
