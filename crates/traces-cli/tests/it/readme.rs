//! Keeps the README true: every command that it shows is run, and must print what
//! is shown. `README_BLESS=1` writes what the commands print now into the README.
//!
//! Paths are printed with `\` on Windows, where the README therefore is not checked.
#![cfg(unix)]

use std::fs;
use std::path::Path;

/// Seen from this package's folder, where tests run.
const REPOSITORY: &str = "../..";

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(REPOSITORY).join(name)).unwrap()
}

/// A piece of the README: text that is only copied, or a command with its output.
enum Piece {
    Text(String),
    Command { line: String, shown: String },
}

/// Takes the README apart. Commands are the lines that begin with `$ ` in blocks
/// fenced as `console`; their output reaches to the next command or the fence.
fn pieces(readme: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut in_console = false;
    for line in readme.split_inclusive('\n') {
        if line.starts_with("```") {
            in_console = line.trim_end() == "```console";
            pieces.push(Piece::Text(line.to_owned()));
            continue;
        }
        match (in_console, line.strip_prefix("$ "), pieces.last_mut()) {
            (true, Some(command), _) => {
                pieces.push(Piece::Command { line: command.trim_end().to_owned(), shown: String::new() });
            }
            (true, None, Some(Piece::Command { shown, .. })) => shown.push_str(line),
            _ => pieces.push(Piece::Text(line.to_owned())),
        }
    }
    pieces
}

/// The reader's shell, as far as the README needs one: `export NAME=VALUE`, and
/// `traces` with words and an optional `| head -N` or `| tail -N`.
#[derive(Default)]
struct Shell {
    variables: Vec<(String, String)>,
}

impl Shell {
    fn run(&mut self, line: &str) -> String {
        let (command, filter) = line.split_once(" | ").map_or((line, None), |(a, b)| (a, Some(b)));
        let mut words = command.split_whitespace();
        match words.next() {
            Some("export") => {
                let assigned = words.map(|word| word.split_once('=').unwrap());
                self.variables.extend(assigned.map(|(name, value)| (name.to_owned(), value.to_owned())));
                String::new()
            }
            Some("traces") => filtered(&self.traces(words), filter),
            _ => panic!("README.md: `{line}`: only `traces` and `export` can stand in a console block"),
        }
    }

    /// What a terminal shows: data is written at the end, after all warnings.
    fn traces<'a>(&self, args: impl Iterator<Item = &'a str>) -> String {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("traces");
        command.current_dir(REPOSITORY).env("TZ", "UTC").env_remove("NO_COLOR").env_remove("COLUMNS");
        command.env_remove("TRACES_ROOT").envs(self.variables.iter().cloned()).args(args);
        let output = command.output().unwrap();
        String::from_utf8([output.stderr, output.stdout].concat()).unwrap()
    }
}

/// The lines that `head -N` or `tail -N` lets through.
fn filtered(printed: &str, filter: Option<&str>) -> String {
    let Some(filter) = filter else { return printed.to_owned() };
    let lines: Vec<&str> = printed.split_inclusive('\n').collect();
    let (name, count) = filter.split_once(" -").unwrap();
    let count = lines.len().min(count.parse().unwrap());
    match name {
        "head" => lines[..count].concat(),
        "tail" => lines[lines.len() - count..].concat(),
        _ => panic!("README.md: `| {filter}`: only `head -N` and `tail -N` can stand behind a bar"),
    }
}

#[test]
fn every_command_prints_what_the_readme_shows() {
    let readme = read("README.md");
    let mut shell = Shell::default();
    let (mut blessed, mut wrong) = (String::new(), String::new());
    for piece in pieces(&readme) {
        match piece {
            Piece::Text(text) => blessed += &text,
            Piece::Command { line, shown } => {
                let printed = shell.run(&line);
                blessed += &format!("$ {line}\n{printed}");
                if printed != shown {
                    wrong += &format!("\n$ {line}\n--- README.md shows\n{shown}--- traces prints\n{printed}");
                }
            }
        }
    }
    if std::env::var_os("README_BLESS").is_some() {
        fs::write(Path::new(REPOSITORY).join("README.md"), blessed).unwrap();
    } else {
        assert!(
            wrong.is_empty(),
            "README.md is out of date. `README_BLESS=1 cargo test -p traces-cli --test it readme::` rewrites \
             the outputs in it.\n{wrong}"
        );
    }
}

#[test]
fn every_verb_is_named() {
    let documents = [read("README.md"), topics().into_iter().map(|(_, text)| text).collect()].concat();
    let help = Shell::default().run("traces --help");
    let verbs = help.lines().skip_while(|line| *line != "Verbs:").skip(1);
    let verbs: Vec<&str> = verbs.map_while(|line| line.split_whitespace().next()).collect();
    assert!(verbs.contains(&"summary") && verbs.contains(&"completions"), "{verbs:?}");
    for verb in verbs.into_iter().filter(|verb| *verb != "summary") {
        assert!(
            documents.contains(&format!("traces {verb}")),
            "neither README nor topics name `traces {verb}`"
        );
    }
}

/// The topics of `traces help`, by name.
fn topics() -> Vec<(String, String)> {
    let folder = Path::new(REPOSITORY).join("crates/traces-cli/help");
    let mut topics: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    topics.sort();
    topics
}

#[test]
fn every_topic_can_be_asked_for_and_every_name_is_offered() {
    let offered = Shell::default().run("traces help");
    for (name, _) in topics() {
        assert!(offered.contains(&name), "`traces help` does not offer {name}");
        assert!(Shell::default().run(&format!("traces help {name}")).lines().count() > 5, "{name}");
    }
    assert!(Shell::default().run("traces help options").contains("--root"));
}

/// Commands in blocks fenced as `sh` are run; those that need what a test does not have
/// (a server, a client, files of the reader's own) stand in blocks fenced as `text`.
#[test]
fn every_command_of_the_topics_works() {
    for (name, text) in topics() {
        let blocks = text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
        for line in blocks.flat_map(str::lines) {
            let words = line.strip_prefix("traces").unwrap_or_else(|| panic!("{name}: `{line}`"));
            let mut command = assert_cmd::cargo::cargo_bin_cmd!("traces");
            command.current_dir(REPOSITORY).env("TZ", "UTC").env("TRACES_ROOT", "testdata/home/.anyclaude");
            let output = command.args(words.split_whitespace()).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(0 | 1)), "{name}: `{line}`: {errors}");
        }
    }
}

#[test]
fn the_readme_and_ci_test_with_the_same_command() {
    let tests = |name: &str| -> Vec<String> {
        let text = read(name);
        let lines = text.lines().map(|line| line.trim_start().trim_start_matches("- run: "));
        lines.filter(|line| line.starts_with("cargo test")).map(str::to_owned).collect()
    };
    let command = tests("README.md");
    assert_eq!(command.len(), 1, "the README gives one command that runs all tests: {command:?}");
    assert_eq!(tests(".ci/run"), command);
    assert_eq!(tests(".github/workflows/ci.yml"), command);
}

#[test]
fn links_between_files_lead_somewhere() {
    for document in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "crates/README.md"] {
        let text = read(document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap();
            let path = Path::new(REPOSITORY).join(document).with_file_name(file);
            assert!(path.exists(), "{document} links to {target}, which is not there");
        }
    }
}
