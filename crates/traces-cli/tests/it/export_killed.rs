//! Exports that end before they are done: readers see whole files alone, and the next run
//! removes what is left.
#![cfg(unix)]

#[cfg(feature = "parquet")]
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::common::{Folder, Ran, body, program, run};

/// Days in the recording, and requests of each.
const DAYS: usize = 28;
const REQUESTS: usize = 20;
/// How often an export may be done before it is seen at work.
const TRIES: usize = 100;

/// A recording whose export takes a while, and an empty folder `out`.
fn recording() -> Folder {
    let folder = Folder::new();
    for day in 1..=DAYS {
        for at in 0..REQUESTS {
            let stamp = format!("2025-11-{day:02}T10:00:{at:02}.000Z");
            folder.trace(format!("in/{day:02}-{at:02}.json"), &stamp, &body("a question"));
        }
    }
    fs::create_dir(folder.path().join("out")).unwrap();
    folder
}

/// What is being written in a folder, or was.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let unfinished = entries.filter(|entry| {
        let name = entry.file_name().into_string().unwrap();
        name.starts_with(".traces-") && name.ends_with(".part")
    });
    unfinished.map(|entry| entry.path()).collect()
}

/// Kills `traces LINE` by the signal that it cannot see, once `is_at_work`. Before each try,
/// the folder is made `ready`.
fn kill(folder: &Folder, line: &str, ready: impl Fn(), is_at_work: impl Fn() -> bool) {
    for _ in 0..TRIES {
        ready();
        let mut command = program(folder.path());
        command.args(line.split_whitespace()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if is_at_work() {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
            std::thread::yield_now();
        };
        // It may have ended just before.
        if status.signal() == Some(9) {
            return;
        }
        assert_eq!(status.code(), Some(0), "{line}");
    }
    panic!("{line} is never seen at work");
}

#[test]
fn a_killed_export_leaves_no_half_file() {
    let folder = recording();
    let out = folder.path().join("out");
    let is_half = || unfinished(&out).iter().any(|file| fs::metadata(file).is_ok_and(|file| file.len() > 0));
    for format in ["chrome", "otlp"] {
        let line = format!("export in --format {format} -o out/file");
        let file = out.join("file");
        let nothing = || unfinished(&out).iter().chain([&file]).for_each(|file| drop(fs::remove_file(file)));
        kill(&folder, &line, nothing, is_half);
        assert!(!file.exists());
        let old = || {
            nothing();
            fs::write(&file, "old").unwrap();
        };
        kill(&folder, &format!("{line} --force"), old, is_half);
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        let left = unfinished(&out).len();
        assert!(left > 0, "nothing was half written");
        folder.traces(&format!("export in --format {format} -o out/{format}")).ends_with(0);
        assert_eq!(unfinished(&out), [] as [PathBuf; 0]);
    }
}

/// The files of a folder with what they hold, without what is unfinished.
#[cfg(feature = "parquet")]
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let hidden = unfinished(folder);
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if hidden.contains(&path) {
            continue;
        }
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, content)| (name.join(below), content)));
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

#[cfg(feature = "parquet")]
#[test]
fn a_killed_export_of_tables_leaves_whole_days() {
    let folder = recording();
    folder.traces("export in --format parquet -o whole").ends_with(0);
    let whole = files(&folder.path().join("whole"));
    assert!(whole.len() >= 2 * DAYS, "{:?}", whole.keys());
    let tables = folder.path().join("out/tables");
    let days = || fs::read_dir(tables.join("requests")).map_or(0, Iterator::count);
    for stage in [0, 1, DAYS / 2, DAYS - 1] {
        let none = || drop(fs::remove_dir_all(&tables));
        let is_there = || days() >= stage && !unfinished(&tables).is_empty();
        kill(&folder, "export in --format parquet -o out/tables", none, is_there);
        let there = files(&tables);
        assert!(there.iter().all(|(name, content)| whole[name] == *content), "{:?}", there.keys());
        folder.traces("export in --format parquet -o out/tables --append").ends_with(0);
        assert!(files(&tables) == whole);
        assert_eq!(unfinished(&tables), [] as [PathBuf; 0]);
    }
    // Days that are written anew: the old one or the new one is there, after the next run at last.
    let is_replacing = || unfinished(&tables).iter().any(|path| path.join("old").exists());
    kill(&folder, "export in --format parquet -o out/tables --force", || (), is_replacing);
    let there = files(&tables);
    assert!(there.iter().all(|(name, content)| whole[name] == *content), "{:?}", there.keys());
    folder.traces("export in --format parquet -o out/tables --append").ends_with(0);
    assert!(files(&tables) == whole && unfinished(&tables).is_empty());
}

/// The first run may be killed before it has written a day: the same line works again.
#[cfg(feature = "parquet")]
#[test]
fn a_folder_with_nothing_but_what_was_left_behind_is_empty() {
    let folder = recording();
    folder.write("out/tables/.traces-abcdef.part/new/requests/half", "");
    folder.traces("export in --format parquet -o out/tables").ends_with(0);
    assert_eq!(unfinished(&folder.path().join("out/tables")), [] as [PathBuf; 0]);
}

/// Runs as on a disk that is full.
fn without_room(folder: &Folder, line: &str) -> Ran {
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(folder.path()).env("HOME", folder.path());
    shell.args(["-c", "ulimit -f 1; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_traces")]);
    run(shell, line, &[] as &[&str]).ends_with(2).says(&["cannot write", "File too large"])
}

#[test]
fn a_file_that_finds_no_room_leaves_what_was_there() {
    let folder = recording();
    let out = folder.path().join("out");
    for format in ["chrome", "otlp"] {
        let line = format!("export in --format {format} -o out/file");
        without_room(&folder, &line).says(&["out/file"]);
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{format}");
    }
    fs::write(out.join("file"), "old").unwrap();
    without_room(&folder, "export in -o out/file --force");
    assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "old");
    assert_eq!(unfinished(&out), [] as [PathBuf; 0]);
}

#[cfg(feature = "parquet")]
#[test]
fn tables_that_find_no_room_leave_nothing() {
    let folder = recording();
    let out = folder.path().join("out");
    without_room(&folder, "export in --format parquet -o out/tables").says(&["out/tables"]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "the folder was made by this run");
    // A folder that was there before stays, and what it holds.
    fs::create_dir(out.join("tables")).unwrap();
    without_room(&folder, "export in --format parquet -o out/tables");
    assert_eq!(fs::read_dir(out.join("tables")).unwrap().count(), 0);
    folder.write("out/tables/tools/day=2024-01-01/part-0.parquet", "old");
    without_room(&folder, "export in --format parquet -o out/tables --append");
    assert_eq!(files(&out).len(), 1);
    assert_eq!(fs::read_dir(out.join("tables")).unwrap().count(), 1, "nothing but tools");
}

/// A file stands where the folder of a table has to be.
#[cfg(feature = "parquet")]
#[test]
fn tables_that_cannot_be_put_in_their_place_leave_what_was_there() {
    let folder = recording();
    folder.write("out/tables/requests", "a file");
    let line = "export in --format parquet -o out/tables --append";
    folder.traces(line).ends_with(2).says(&["cannot write", "out/tables/requests"]);
    let tables = folder.path().join("out/tables");
    assert_eq!(fs::read_to_string(tables.join("requests")).unwrap(), "a file");
    assert_eq!(unfinished(&tables), [] as [PathBuf; 0]);
}

/// Of exports into one folder at once, each is done or says what keeps it from it.
#[cfg(feature = "parquet")]
#[test]
fn exports_at_once_do_not_disturb_each_other() {
    let folder = recording();
    folder.traces("export in --format parquet -o whole").ends_with(0);
    let whole = files(&folder.path().join("whole"));
    let tables = folder.path().join("out/tables");
    let others = "another export writes into out/tables: run this one again";
    let mut were_refused = 0;
    for option in ["", "--append", "--force"].into_iter().cycle().take(12) {
        let _ = fs::remove_dir_all(&tables);
        let start = |_| {
            let mut command = program(folder.path());
            command
                .args("export in --format parquet -o out/tables".split(' '))
                .args(option.split_whitespace());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let at_once: Vec<_> = (0..4).map(start).collect();
        let mut done = 0;
        for one in at_once {
            let ended = one.wait_with_output().unwrap();
            let said = String::from_utf8(ended.stderr).unwrap();
            let is_refused =
                said.contains(others) || (option.is_empty() && said.contains("already holds files"));
            assert_eq!(ended.status.code(), Some(if is_refused { 2 } else { 0 }), "{option}: {said}");
            done += usize::from(!is_refused);
            were_refused += usize::from(said.contains(others));
        }
        assert!(done > 0 && files(&tables) == whole, "{option}");
        assert_eq!(unfinished(&tables), [] as [PathBuf; 0]);
    }
    assert!(were_refused > 0, "no two were ever at work together");
}
