//! `traces show`: one request, taken apart.

use std::io::Write;

use anyclaude_traces::content::Content;
use anyclaude_traces::scope::KindFilter;
use anyclaude_traces::show::show;
use anyclaude_traces::{Kind, Request};
use anyhow::{Context as _, bail};

use super::{check_format, check_limits, next_step, report_skipped};
use crate::cli::{Format, ShowArgs};
use crate::exit::Status;
use crate::render::{json, notes, page, show as render};
use crate::select::{Reader, Selector};

pub(crate) fn run(args: &ShowArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Json, Markdown, Table};
    check_format(&args.output, "show", &[Table, Json, Markdown])?;
    let selector = Selector::parse(&args.input)?;
    let reader = Reader::new(&args.filter, KindFilter::Only(Kind::Conversation))?;
    let Some(selection) = reader.select_each(&[&selector])?.pop() else { return Ok(Status::Unusable) };
    let skipped = report_skipped(&selection.skipped, &args.output);
    let request: Request = match selection.requests.as_slice() {
        [] => bail!("none of these files could be read as a trace"),
        [one] => one.clone(),
        [.., newest] => {
            if !args.output.quiet {
                notes::say(&format!(
                    "{} requests fit; showing the newest. `traces list` shows them all",
                    selection.requests.len()
                ));
            }
            newest.clone()
        }
    };
    let mut content = if args.text { Content::with_text() } else { Content::sizes() };
    reader
        .store()
        .reread(request.path.as_ref(), &mut content)
        .context("the file changed while it was read")?;
    let limits = check_limits(std::slice::from_ref(&request), &args.limits.fail_over);
    let shown = show(request, content);
    match args.output.format {
        Json => json::document(out, &shown)?,
        _ => {
            let inputs = if selector.is_path() { std::slice::from_ref(&args.input) } else { &[] };
            let next = next_step(&args.filter, inputs, &selection.requests);
            page::print(out, &render::page(&shown, &next), &args.output)?;
        }
    }
    Ok(limits.and(skipped))
}
