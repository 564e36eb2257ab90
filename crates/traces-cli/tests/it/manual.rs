//! The manual: it holds what `--help` says, and readers of man pages have nothing to
//! find fault with. `TRACES_TEST_TOOLS=1` fails where mandoc is not there.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::common::{ALL_VERBS, traces};

fn manual() -> String {
    traces("man").ends_with(0).stdout
}

/// The words of a text, without the marks of man pages and of usage.
fn words(text: &str) -> String {
    let mut text = text.to_owned();
    for mark in ["\\fB", "\\fI", "\\fR", "\\&", "<", ">", "[", "]", "..."] {
        text = text.replace(mark, "");
    }
    text.replace("\\-", "-").replace("\\*(Aq", "'").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn it_says_of_every_verb_what_its_help_says() {
    let manual = manual();
    let pages: Vec<&str> = manual.split(".TH ").skip(1).collect();
    assert!(pages.len() > 1 + ALL_VERBS.len() + 5, "no topics");
    assert!(pages[1 + ALL_VERBS.len()..].iter().all(|page| page.contains(" 7 ")), "{manual}");
    for (verb, page) in ALL_VERBS.into_iter().zip(&pages[1..]) {
        assert!(page.starts_with(&format!("traces-{verb} 1 ")), "{verb}: {page:.40}");
        let all = words(&(page.to_string() + pages[0]));
        let help = traces(&format!("{verb} --help")).stdout;
        let mut checked = 0;
        for line in help.lines().filter(|line| !line.trim().is_empty() && !line.ends_with(':')) {
            let line = line.trim().trim_start_matches("- ");
            let is_other = ["Usage:", "[default: ", "[env: ", "[possible values: ", "Print help (see"]
                .iter()
                .any(|word| line.starts_with(word));
            assert!(is_other || all.contains(&words(line)), "{verb}: {line:?} is not in the manual");
            checked += 1;
        }
        assert!(checked > 5, "{verb}");
    }
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "VERBS", "EXAMPLES", "ENVIRONMENT"] {
        assert!(pages[0].contains(&format!("\n.SH {section}\n")), "{section}");
    }
}

#[test]
fn text_is_never_taken_for_a_command() {
    let commands =
        [".TH ", ".SH ", ".TP", ".PP", ".IP", ".RS", ".RE", ".nf", ".fi", ".sp", ".br", ".ie ", ".el "];
    for line in manual().lines() {
        let is_known = commands.iter().any(|command| line.starts_with(command));
        assert!(is_known || !line.starts_with(['.', '\'']), "{line}");
    }
}

#[test]
fn mandoc_finds_no_fault() {
    let mandoc = Command::new("mandoc")
        .args(["-T", "lint", "-W", "warning"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let wanted = std::env::var_os("TRACES_TEST_TOOLS").is_some();
    assert!(mandoc.is_ok() || !wanted, "mandoc is not installed");
    let Ok(mut mandoc) = mandoc else {
        eprintln!("mandoc is not installed: nothing is tested");
        return;
    };
    mandoc.stdin.take().unwrap().write_all(manual().as_bytes()).unwrap();
    let found = String::from_utf8(mandoc.wait_with_output().unwrap().stdout).unwrap();
    // The program asks no clock, so that its manual has no date.
    let faults: Vec<&str> = found.lines().filter(|line| !line.contains("missing date")).collect();
    assert_eq!(faults, [""; 0]);
}
