//! `traces help`: a topic, a verb, or the first page.

use std::io::{IsTerminal, Write};

use anyhow::bail;
use clap::{Command, CommandFactory as _};

use crate::cli::{Cli, ColorChoice, HelpArgs};
use crate::exit::Status;
use crate::render::{color, sanitize, topic};

/// The topic that is made of the options that all verbs share.
const OPTIONS: &str = "options";

pub(crate) fn run(args: &HelpArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    let mut cli = Cli::command();
    cli.build();
    let Some(subject) = args.subject.as_deref() else {
        print(&cli.render_long_help(), out)?;
        return Ok(Status::Done);
    };
    if subject == OPTIONS {
        print(&shared_options(&cli).render_long_help(), out)?;
    } else if let Some(topic) = topic::find(subject) {
        topic::print(out, topic)?;
    } else if let Some(verb) = cli.find_subcommand_mut(subject) {
        print(&verb.render_long_help(), out)?;
    } else {
        bail!(unknown(subject, &cli));
    }
    Ok(Status::Done)
}

fn print(text: &clap::builder::StyledStr, out: &mut impl Write) -> std::io::Result<()> {
    if color::is_shown(ColorChoice::Auto, &std::io::stdout()) && std::io::stdout().is_terminal() {
        write!(out, "{}", text.ansi())
    } else {
        write!(out, "{text}")
    }
}

/// A command that has only the options that `list` hides from its own help: those of all
/// verbs.
fn shared_options(cli: &Command) -> Command {
    let list = cli.find_subcommand("list");
    let shared = list.into_iter().flat_map(Command::get_arguments).filter(|arg| arg.is_hide_long_help_set());
    let shared = shared.cloned().map(|arg| arg.hide_long_help(false));
    let about = "The options that all verbs share.";
    let command = Command::new("traces options").about(about).disable_help_flag(true).args(shared);
    command.styles(cli.get_styles().clone()).max_term_width(100).override_usage("traces [VERB] [OPTIONS]")
}

/// What to say of a word that is neither topic nor verb.
fn unknown(subject: &str, cli: &Command) -> String {
    let topics = || topic::names().chain([OPTIONS]);
    let verbs: Vec<String> = cli.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let names = topics().map(str::to_owned).chain(verbs);
    let distance = |name: &String| strsim::damerau_levenshtein(name, subject);
    let nearest = names.min_by_key(distance).filter(|name| distance(name) <= 2);
    let hint = nearest.map(|name| format!(" Did you mean `traces help {name}`?")).unwrap_or_default();
    let names: Vec<&str> = topics().collect();
    let subject = sanitize::line(subject);
    format!("there is no topic or verb `{subject}`.{hint} The topics are {}.", names.join(", "))
}
