//! The verb, wherever it stands.

use std::ffi::OsString;

use clap::CommandFactory as _;

use super::Cli;

/// Puts the verb where clap looks for it: options may stand before it, and
/// without any verb it is `summary`.
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
    let values = |flag: &str| {
        let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
        let takes_values = arguments
            .filter(|known| known.get_long() == flag.strip_prefix("--") && known.get_action().takes_values());
        takes_values.filter_map(clap::Arg::get_num_args).map(|range| range.min_values()).max().unwrap_or(0)
    };
    let mut index = 1;
    loop {
        let arg = args.get(index)?.to_str()?;
        match arg {
            "--" => return None,
            _ if arg.starts_with('-') => {
                index += 1 + if arg.contains('=') { 0 } else { values(arg) };
            }
            _ => return command.find_subcommand(arg).map(|_| index),
        }
    }
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
        assert_eq!(first("traces -- list"), "traces summary -- list");
        assert_eq!(first("traces --version"), "traces --version");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
