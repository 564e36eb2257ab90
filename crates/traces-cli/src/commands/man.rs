//! `traces man`: one manual of `traces` and all its verbs, as man pages one after the
//! other. `clap_mangen` writes what clap knows; what `--help` says below the options
//! becomes sections of its own, as in it columns are lined up with blanks.

use std::io::Write;

use clap::builder::Resettable;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::{Cli, SHARED_HELP};
use crate::exit::Status;
use crate::render::topic;

/// What the pages say they are of.
const SOURCE: &str = concat!("traces ", env!("CARGO_PKG_VERSION"));

pub(crate) fn page(out: &mut impl Write) -> anyhow::Result<Status> {
    let mut command = Cli::command();
    command.build();
    let mut manual = Vec::new();
    let first_page = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    // Its last paragraph is a short form of the exit codes.
    let first_page = first_page.rsplit_once("\n\n").map_or("", |(before, _)| before);
    render(&mut manual, command.clone(), &format!("{first_page}\n\n{SHARED_HELP}"))?;
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let own = verb.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        let own = own.trim_end_matches(SHARED_HELP).trim_end();
        render(&mut manual, verb.clone(), own)?;
    }
    manual.extend(topic::manual(SOURCE));
    // What separates paragraphs in a man page is no blank line.
    let manual = String::from_utf8_lossy(&manual).replace("\n\n", "\n.sp\n");
    out.write_all(manual.replace("\n.br\n.sp\n.br\n", "\n.sp\n").as_bytes())?;
    Ok(Status::Done)
}

/// One page. `after` is what stands below the options in `--help`.
fn render(manual: &mut Vec<u8>, mut command: Command, after: &str) -> anyhow::Result<()> {
    let usage = command.render_usage().to_string();
    let long = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let (sections, prose): (Vec<&str>, Vec<&str>) =
        after.split("\n\n").partition(|block| heading(block).is_some());
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let command = command
        .override_usage(usage.trim_start_matches("Usage: ").to_owned())
        .long_about(format!("{long}\n\n{}", prose.join("\n\n")).trim_end().to_owned())
        .after_help(Resettable::Reset)
        .after_long_help(Resettable::Reset)
        .subcommand_help_heading("VERBS")
        // The manual leaves out the text of what one of the two helps hides.
        .mut_args(|arg| arg.hide_short_help(false).hide_long_help(false));
    // The program asks no clock. A date without quotes would be left out altogether.
    let man = Man::new(command).title(name).date("\"\"");
    man.source(SOURCE).render(manual)?;
    let mut more = Roff::new();
    sections.iter().for_each(|block| section(&mut more, block));
    Ok(more.to_writer(manual)?)
}

/// The heading of a block that has one: `Examples:` above lines that are indented.
fn heading(block: &str) -> Option<&str> {
    let (first, rest) = block.split_once('\n')?;
    first.strip_suffix(':').filter(|_| rest.starts_with(' '))
}

/// A block under its heading, its indented lines kept as they are.
fn section(page: &mut Roff, block: &str) {
    let name = match heading(block).unwrap_or_default() {
        "Exit codes" => "EXIT STATUS".to_owned(),
        heading => heading.split(',').next().unwrap_or(heading).to_uppercase(),
    };
    let (list, rest): (Vec<&str>, Vec<&str>) = block.lines().skip(1).partition(|line| line.starts_with(' '));
    page.control("SH", [name.as_str()]).control("nf", []);
    for line in list {
        page.text([roman(line.trim_start())]);
    }
    page.control("fi", []);
    if !rest.is_empty() {
        page.control("PP", []).text([roman(rest.join("\n"))]);
    }
}
