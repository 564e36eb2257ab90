//! Completion scripts: they know every verb, option and value, and shells that are
//! there complete with them. `TRACES_TEST_TOOLS=1` fails where one is not.

use crate::common::traces;

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

fn script(shell: &str) -> String {
    traces(&format!("completions {shell}")).ends_with(0).stdout
}

/// The verbs, by the help of the program itself.
fn verbs() -> Vec<String> {
    let help = traces("--help").stdout;
    let verbs = help.lines().skip_while(|line| *line != "Verbs:").skip(1).take_while(|line| !line.is_empty());
    verbs.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// The long options of a verb, by its help, without their dashes.
fn options(verb: &str) -> Vec<String> {
    let mut help = traces(&format!("{verb} -h")).stdout;
    if help.contains("Which requests:") {
        help += &traces("help options").stdout;
    }
    let options = help.lines().filter_map(|line| {
        let (_, option) = line.get(..10)?.trim_start().starts_with('-').then(|| line.split_once("--"))??;
        Some(option.split([' ', ',']).next()?.to_owned())
    });
    options.collect()
}

#[test]
fn every_script_knows_every_verb_option_and_value() {
    for shell in SHELLS {
        let script = script(shell);
        for verb in verbs() {
            assert!(script.contains(&verb), "{shell}: {verb}");
            let options = if verb == "help" { Vec::new() } else { options(&verb) };
            assert!(
                options.len() > 10 || ["record", "completions", "man", "help"].contains(&verb.as_str()),
                "{verb}"
            );
            for option in options {
                let written = if shell == "fish" { format!("-l {option} ") } else { format!("--{option}") };
                let is_there = script.contains(&written) || script.contains(&format!("-l {option}\n"));
                assert!(is_there, "{shell}: {verb} --{option}");
            }
        }
        // Two complete no values, and fish none of arguments without a name.
        let values = match shell {
            "elvish" | "powershell" => &VALUES[..0],
            "fish" => &VALUES[..9],
            _ => &VALUES,
        };
        for value in values {
            assert!(script.contains(value), "{shell}: {value}");
        }
    }
}

const VALUES: [&str; 10] = [
    "count_tokens",
    "conversation",
    "ndjson",
    "markdown",
    "html",
    "always",
    "tools-first",
    "openai",
    "level",
    "powershell",
];

#[test]
fn a_shell_that_is_unknown_is_named_with_those_that_are_known() {
    let ran = traces("completions tcsh").ends_with(2);
    ran.says(&["tcsh", "bash", "elvish", "fish", "powershell", "zsh"]);
}

#[cfg(unix)]
mod shells {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use super::script;
    use crate::common::terminal::pty;
    use crate::common::{Folder, HANGS};

    /// What is typed, and what must be among that which the shell offers.
    const TYPED: [(&str, &str); 9] = [
        ("traces su", "summary"),
        ("traces expl", "explain"),
        ("traces --fail", "--fail-over"),
        ("traces list --fail", "--fail-over"),
        ("traces list --kind pro", "probe"),
        ("traces report --format h", "html"),
        ("traces prefix --order to", "tools-first"),
        ("traces replay --api op", "openai"),
        ("traces completions ba", "bash"),
    ];

    /// Whether the shell is there.
    fn is_there(shell: &str) -> bool {
        let found = Command::new(shell).arg("--version").output().is_ok_and(|output| output.status.success());
        let wanted = std::env::var_os("TRACES_TEST_TOOLS").is_some();
        assert!(found || !wanted, "{shell} is not installed");
        found
    }

    /// Writes the script, and runs a program of the shell beside it.
    fn run(shell: &str, arguments: &[&str], text: &str) -> String {
        let folder = Folder::new();
        folder.write("script", script(shell));
        folder.write("program", text);
        let mut command = Command::new(shell);
        command.args(arguments).arg("program").current_dir(folder.path()).env("HOME", folder.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && err.is_empty(), "{shell}: {out}{err}");
        out.into_owned()
    }

    #[test]
    fn bash_completes() {
        if !is_there("bash") {
            return;
        }
        let offers = "source ./script
            offers() {
                COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
                $(complete -p traces | sed 's/.*-F \\([^ ]*\\).*/\\1/') traces \"${@: -1}\" \"${@: -2:1}\"
                echo \"$* > ${COMPREPLY[*]}\"
            }\n";
        let lines = TYPED.map(|(typed, _)| format!("offers {typed}\n")).concat();
        let found = run("bash", &["--norc"], &(offers.to_owned() + &lines));
        for (typed, wanted) in TYPED {
            assert!(found.contains(&format!("{typed} > {wanted}\n")), "{typed}: {found}");
        }
    }

    #[test]
    fn fish_completes() {
        if !is_there("fish") {
            return;
        }
        let lines = TYPED.map(|(typed, _)| format!("echo {typed} '>'; complete -C '{typed}'\n")).concat();
        let found = run("fish", &["--no-config"], &("source ./script\n".to_owned() + &lines));
        for (typed, wanted) in &TYPED[..8] {
            assert!(found.contains(&format!("{typed} >\n{wanted}\t")), "{typed}: {found}");
        }
    }

    /// In elvish only an interactive shell has the module `edit`, so that here it is
    /// stood in for.
    #[test]
    fn elvish_completes() {
        if !is_there("elvish") {
            return;
        }
        let lines = TYPED[..4].iter().map(|(typed, wanted)| {
            let (before, _) = typed.rsplit_once(' ').unwrap();
            format!("echo '{wanted} >' [($edit:completion:arg-completer[traces] {before} '')]\n")
        });
        let stand_in = "
            fn candidate {|text &display='' @rest| put $text }
            var completion: = (ns [&arg-completer=[&]])
            var edit: = (ns [&complex-candidate~=$candidate~ &completion:=$completion:])
            eval (slurp < script) &ns=(ns [&edit:=$edit:])\n";
        let found = run("elvish", &["-norc"], &(stand_in.to_owned() + &lines.collect::<String>()));
        for line in found.lines() {
            let (wanted, offered) = line.split_once(" > [").unwrap();
            assert!(offered.trim_end_matches(']').split(' ').any(|word| word == wanted), "{line}");
        }
        assert_eq!(found.lines().count(), 4);
    }

    /// zsh completes in its line editor alone, which wants a terminal.
    #[test]
    fn zsh_completes() {
        if !is_there("zsh") {
            return;
        }
        let folder = Folder::new();
        folder.write("script", script("zsh"));
        let pty = pty(80);
        let mut command = Command::new("zsh");
        command.args(["-f", "-i"]).current_dir(folder.path());
        command.env("HOME", folder.path()).env("TERM", "dumb");
        command
            .stdin(pty.slave.try_clone().unwrap())
            .stdout(pty.slave.try_clone().unwrap())
            .stderr(pty.slave);
        let mut shell = command.spawn().unwrap();
        drop(command);
        let mut typing = File::from(pty.master);
        let shown = reading(typing.try_clone().unwrap());
        // In what is typed the prompt stands in two pieces.
        let setup = "PS1='REA''DY'; autoload -U compinit; compinit -u -D; source ./script; \
                     traces() { print -r -- \"<$*\" }\n";
        typing.write_all(setup.as_bytes()).unwrap();
        wait_for("READY", &shown);
        for (typed, wanted) in TYPED {
            typing.write_all(format!("{typed}\t\n").as_bytes()).unwrap();
            let (before, _) = typed.trim_start_matches("traces").rsplit_once(' ').unwrap();
            wait_for(&format!("<{}{wanted}", format!("{before} ").trim_start()), &shown);
            wait_for("READY", &shown);
        }
        typing.write_all(b"exit\n").unwrap();
        shell.wait().unwrap();
    }

    /// What a terminal shows, byte by byte.
    fn reading(mut terminal: File) -> Receiver<u8> {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut byte = [0];
            while let Ok(1..) = terminal.read(&mut byte) {
                if sender.send(byte[0]).is_err() {
                    return;
                }
            }
        });
        receiver
    }

    #[track_caller]
    fn wait_for(words: &str, shown: &Receiver<u8>) {
        let mut seen = Vec::new();
        while !seen.ends_with(words.as_bytes()) {
            let next = shown.recv_timeout(HANGS);
            seen.push(
                next.unwrap_or_else(|_| panic!("{words:?} is not in {:?}", String::from_utf8_lossy(&seen))),
            );
        }
    }
}
