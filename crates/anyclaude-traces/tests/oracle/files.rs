//! Every file of the repository's test data, whatever it holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::seen::agreed;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// Regular files only; a folder that is not there holds none.
fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files_below(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// What `EXPECTED.tsv` says: a path below its folder, and why it is skipped.
fn expected(folder: &Path) -> BTreeMap<PathBuf, String> {
    let table = fs::read_to_string(folder.join("EXPECTED.tsv")).unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.split_once('\t'));
    rows.map(|(path, reason)| (folder.join(path), reason.to_owned()))
        .filter(|(path, _)| path.is_file())
        .collect()
}

#[test]
fn the_parser_says_what_the_definitions_say_of_every_file() {
    let mut paths = Vec::new();
    files_below(&testdata(), &mut paths);
    for path in paths {
        println!("{}", path.display());
        if let Ok(bytes) = fs::read(&path) {
            let _ = agreed(&bytes).unwrap();
        }
    }
}

#[test]
fn damaged_files_are_skipped_for_the_reason_that_the_table_names() {
    for (path, reason) in expected(&testdata().join("damaged")) {
        println!("{}", path.display());
        let found = agreed(&fs::read(&path).unwrap()).unwrap().err().map(|reason| reason.name());
        assert_eq!(found, Some(reason.as_str()), "{}", path.display());
    }
}

/// Takes minutes on gigabytes, and the folder is the reader's own:
///
/// ```text
/// ORACLE_FOLDER=~/.anyclaude/traces cargo test --release -p anyclaude-traces --test oracle -- --ignored --nocapture
/// ```
#[test]
#[ignore = "reads the folder that ORACLE_FOLDER names; run by hand"]
fn every_file_of_a_folder_of_ones_own() {
    let folder = std::env::var_os("ORACLE_FOLDER").expect("ORACLE_FOLDER names a folder of traces");
    let mut paths = Vec::new();
    files_below(Path::new(&folder), &mut paths);
    let (mut traces, mut skipped) = (0, 0);
    for path in paths {
        let Ok(bytes) = fs::read(&path) else { continue };
        match agreed(&bytes) {
            Ok(Ok(_)) => traces += 1,
            Ok(Err(_)) => skipped += 1,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    println!("agreed on {traces} traces and {skipped} other files");
}
