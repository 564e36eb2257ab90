//! One bad file never hides a good one, and what is no file is never opened.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::{Folder, HOME, body, repo, traces};
use serde_json::Value;

const DAMAGED: &str = "testdata/damaged";

/// The damaged files and the reason that each must be given.
fn expected() -> BTreeMap<String, String> {
    let table = fs::read_to_string(repo().join(DAMAGED).join("EXPECTED.tsv")).unwrap();
    let row = |line: &str| line.split_once('\t').map(|(name, reason)| (name.to_owned(), reason.to_owned()));
    table.lines().map(|line| row(line).expect("two columns")).collect()
}

/// File names and reasons in a `skipped` list.
fn reasons(skipped: &Value) -> BTreeMap<String, String> {
    let reason = |skip: &Value| {
        let path = Path::new(skip["path"].as_str().unwrap());
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, skip["reason"].as_str().unwrap().to_owned())
    };
    skipped.as_array().unwrap().iter().map(reason).collect()
}

/// Copies every file of a folder in testdata.
fn copy(from: &str, to: &Folder, below: &str) {
    for entry in fs::read_dir(repo().join(from)).unwrap() {
        let entry = entry.unwrap();
        to.write(Path::new(below).join(entry.file_name()), fs::read(entry.path()).unwrap());
    }
}

/// A folder with two good traces.
fn good() -> Folder {
    let folder = Folder::new();
    folder.trace("good-a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    folder.trace("good-b.json", "2025-11-16T10:00:01.000Z", &body("b"));
    folder
}

#[test]
fn every_damaged_file_is_expected() {
    let files = fs::read_dir(repo().join(DAMAGED)).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let json: Vec<String> = names.filter(|name| name.ends_with(".json")).collect();
    let expected = expected();
    assert_eq!(json.len(), expected.len());
    assert!(json.iter().all(|name| expected.contains_key(name)));
}

#[test]
fn a_folder_of_damaged_files_gives_every_reason_and_2() {
    for verb in ["list", "summary", "timing", "prefix"] {
        let ran = traces(&format!("{verb} {DAMAGED} --format json")).ends_with(2);
        assert_eq!(reasons(&ran.json()["skipped"]), expected(), "{verb}");
        traces(&format!("{verb} {DAMAGED}")).ends_with(2).says(&["skipped 40 files", "and 35 more"]);
    }
    traces(&format!("show {DAMAGED}")).ends_with(2).says(&["skipped 40 files"]);
    traces(&format!("diff {DAMAGED} {HOME}")).ends_with(2).says(&[DAMAGED]);
}

#[test]
fn each_damaged_file_alone_is_2_and_beside_a_good_one_3() {
    let folder = good();
    copy(DAMAGED, &folder, "damaged");
    for (name, reason) in expected() {
        folder.traces(&format!("show damaged/{name}")).ends_with(2).says(&[&name, &reason]);
        let ran = folder.traces(&format!("list damaged/{name} good-a.json --format json")).ends_with(3);
        let found = ran.says(&[&name, &reason]).json();
        assert_eq!(found["requests"].as_array().unwrap().len(), 1, "{name}");
        assert_eq!(found["skipped"][0]["reason"], reason.as_str(), "{name}");
        assert_eq!(found["skipped"][0]["path"], format!("damaged/{name}"));
    }
}

#[test]
fn the_detail_tells_the_place() {
    let found = traces(&format!("list {DAMAGED} --format json")).json();
    for skip in found["skipped"].as_array().unwrap() {
        let (reason, detail) = (skip["reason"].as_str().unwrap(), skip["detail"].as_str().unwrap());
        assert!(detail.contains(' '), "a sentence: {skip}");
        if ["truncated", "invalid_json", "invalid_utf8"].contains(&reason) {
            assert!(detail.contains("byte ") && detail.contains("line "), "{skip}");
        }
    }
}

#[test]
fn the_numbers_of_good_files_are_the_same_beside_damaged_ones() {
    let folder = Folder::new();
    copy(&format!("{HOME}/traces/lmstudio"), &folder, "traces");
    copy(&format!("{HOME}/traces/claude"), &folder, "traces");
    let before = folder.traces("list traces --format ndjson").ends_with(0).stdout;
    let summary = folder.traces("summary traces --format csv").ends_with(0).stdout;
    copy(DAMAGED, &folder, "traces");
    let after = folder.traces("list traces --format ndjson").ends_with(3);
    assert_eq!(after.stdout, before);
    assert_eq!(folder.traces("summary traces --format csv").ends_with(3).stdout, summary);
    let found = folder.traces("summary traces --format json").ends_with(3).json();
    assert_eq!(reasons(&found["skipped"]), expected());
    assert_eq!(found["totals"]["skipped"], expected().len());
}

#[test]
fn odd_files_are_accepted() {
    let ran = traces("list testdata/odd --format json").ends_with(0);
    assert_eq!(ran.stderr, "");
    let files = fs::read_dir(repo().join("testdata/odd")).unwrap();
    assert_eq!(ran.json()["requests"].as_array().unwrap().len(), files.count());
    let verbs =
        ["summary testdata/odd", "list testdata/odd", "show testdata/odd", "show testdata/odd --text"];
    for verb in verbs.into_iter().chain(["prefix testdata/odd --text"]) {
        for format in ["table", "markdown", "json"] {
            traces(&format!("{verb} --format {format}")).ends_with(0);
        }
    }
}

#[test]
fn every_odd_file_can_be_shown_and_compared() {
    for entry in fs::read_dir(repo().join("testdata/odd")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("testdata/odd/{name}");
        traces(&format!("show {path} --text")).ends_with(0);
        let shown = traces(&format!("show {path} --format json")).ends_with(0).stdout;
        assert!(shown.contains(&format!("\"path\": \"{path}\"")), "{shown}");
        traces(&format!("diff {path} {path} --exit-code --text")).ends_with(0);
    }
}

#[test]
fn files_that_are_too_large_are_skipped() {
    let folder = good();
    let mut large = body("a");
    large["system"] = "x".repeat(5000).into();
    folder.trace("large.json", "2025-11-16T10:00:02.000Z", &large);
    let ran = folder.traces("list . --max-file-size 4000 --format json").ends_with(3);
    let found = ran.says(&["large.json", "too_large", "--max-file-size"]).json();
    assert_eq!(reasons(&found["skipped"]), [("large.json".to_owned(), "too_large".to_owned())].into());
    assert_eq!(found["requests"].as_array().unwrap().len(), 2);
    folder.traces("show large.json --max-file-size 4000").ends_with(2).says(&["too_large"]);
    folder.traces("list . --max-file-size 6000").ends_with(0);
}

#[test]
fn hidden_folders_are_searched_and_other_names_are_not_read() {
    let folder = good();
    folder.trace(".hidden/deep/er/c.json", "2025-11-16T10:00:02.000Z", &body("c"));
    folder.write("notes.txt", "no trace");
    folder.write("old.json.bak", "no trace");
    folder.write("json", "no trace");
    assert_eq!(folder.traces("list . --format ndjson").ends_with(0).ndjson().len(), 3);
    // A name does not matter where the file is named.
    folder.trace("a.trace", "2025-11-16T10:00:03.000Z", &body("d"));
    assert_eq!(folder.traces("list a.trace --format ndjson").ends_with(0).ndjson().len(), 1);
}

#[test]
fn a_file_named_twice_counts_once() {
    let folder = good();
    let here = folder.path().file_name().unwrap().to_str().unwrap();
    let line = format!("list good-a.json ./good-a.json . ../{here}/good-a.json --format ndjson");
    assert_eq!(folder.traces(&line).ends_with(0).ndjson().len(), 2);
}
