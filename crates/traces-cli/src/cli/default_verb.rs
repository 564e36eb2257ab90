//! Finds the verb behind options, and puts in the default one.
//!
//! clap alone cannot do this: it reads options before a subcommand as those of `traces`
//! itself, and would need every option of every verb there as a global one, although
//! verbs differ in what an option takes (`--format`).

use std::ffi::OsString;

use clap::CommandFactory as _;

use super::Cli;

/// Moves the verb to where clap looks for it. Without one it is `summary`.
pub(crate) fn verb_first(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.collect();
    let mut command = Cli::command();
    command.build();
    let asks_for_help = |arg: &OsString| ["-h", "--help", "-V", "--version"].iter().any(|help| arg == help);
    if args.get(1).is_some_and(asks_for_help) {
        return args;
    }
    let verb = verb_index(&args, &command).map(|index| args.remove(index));
    let at = args.len().min(1);
    args.insert(at, verb.unwrap_or_else(|| "summary".into()));
    args
}

/// Where the verb stands, if only options stand before it.
fn verb_index(args: &[OsString], command: &clap::Command) -> Option<usize> {
    let mut index = 1;
    loop {
        let arg = args.get(index)?.to_str()?;
        match arg {
            "--" => return None,
            _ if arg.len() > 1 && arg.starts_with('-') => index += 1 + separate_values(arg, command),
            _ => return command.find_subcommand(arg).map(|_| index),
        }
    }
}

/// How many of the arguments after this option are its values.
fn separate_values(option: &str, command: &clap::Command) -> usize {
    let options = || command.get_subcommands().flat_map(clap::Command::get_arguments);
    let values_of = |is_it: &dyn Fn(&clap::Arg) -> bool| {
        let takes_values = options().filter(|known| is_it(known) && known.get_action().takes_values());
        takes_values.filter_map(clap::Arg::get_num_args).map(|range| range.min_values()).max().unwrap_or(0)
    };
    if let Some(long) = option.strip_prefix("--") {
        return if long.contains('=') { 0 } else { values_of(&|known| known.get_long() == Some(long)) };
    }
    // Short options may stand together. What follows the first that takes a value is the
    // value.
    let mut letters = option.chars().skip(1);
    let of_letter = |letter| values_of(&|known: &clap::Arg| known.get_short() == Some(letter));
    let values = letters.by_ref().map(of_letter).find(|values| *values > 0).unwrap_or(0);
    if letters.next().is_some() { values - 1 } else { values }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(line: &str) -> String {
        let args = verb_first(line.split(' ').map(OsString::from));
        args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_verb_is_found_behind_options() {
        assert_eq!(first("traces"), "traces summary");
        assert_eq!(first("traces --all"), "traces summary --all");
        assert_eq!(first("traces folder --all"), "traces summary folder --all");
        assert_eq!(first("traces list --all"), "traces list --all");
        assert_eq!(first("traces --root list list -q"), "traces list --root list -q");
        assert_eq!(first("traces --root=x --quiet diff a b"), "traces diff --root=x --quiet a b");
        assert_eq!(first("traces --direct list diff explain"), "traces explain --direct list diff");
        assert_eq!(first("traces -q list --last 2"), "traces list -q --last 2");
        assert_eq!(first("traces -o list report"), "traces report -o list");
        assert_eq!(first("traces -qo list report"), "traces report -qo list");
        assert_eq!(first("traces -olist report"), "traces report -olist");
        assert_eq!(first("traces - list"), "traces summary - list");
        assert_eq!(first("traces -- list"), "traces summary -- list");
        assert_eq!(first("traces --version"), "traces --version");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
