//! The folder of tables that `traces export --format parquet` writes.
#![cfg(feature = "parquet")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::{Folder, HOME, body, body_of_session, program, repo, run, trace};
use crate::export::{export, hard_names, recording_of};
use anyclaude_traces::model::time::Timestamp;
use parquet::file::reader::SerializedFileReader;
use parquet::record::Field;
use serde_json::{Value, json};

/// The files of a folder with what they hold, by their paths.
fn files(folder: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for (name, content) in files(&path) {
                found.insert(format!("{}/{name}", path.file_name().unwrap().to_str().unwrap()), content);
            }
        } else {
            found.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Their content is checked by `.ci/check_tables.py`, in engines that share no code with us.
#[test]
fn tables_are_parted_by_day_and_model() {
    let folder = Folder::new();
    let tables = folder.path().join("tables");
    export(&folder, "--all --format parquet -o tables").ends_with(0).says(&["63 rows of requests", "3 days"]);
    let found = files(&tables);
    assert!(found.values().all(|file| file.starts_with(b"PAR1") && file.ends_with(b"PAR1")));
    for name in [
        "requests/day=2025-11-16/model=openai%2Fgpt-oss-20b/part-0.parquet",
        "tools/day=2025-11-16/model=openai%2Fgpt-oss-20b/part-0.parquet",
        "breaks/day=2025-10-26/model=__HIVE_DEFAULT_PARTITION__/part-0.parquet",
    ] {
        assert!(found.contains_key(name), "{name}: {:?}", found.keys());
    }
    let text = found.values().map(|file| String::from_utf8_lossy(file)).collect::<String>();
    assert!(!text.contains("requestBodyValues"));
}

#[test]
fn only_days_that_are_missing_are_appended() {
    let folder = Folder::new();
    let tables = folder.path().join("tables");
    export(&folder, "--until 2025-11-13 --format parquet -o tables").ends_with(0);
    let before = files(&tables);
    export(&folder, "--all --format parquet -o tables").ends_with(2).says(&["--append", "--force"]);
    assert!(files(&tables) == before, "nothing is touched");
    // Readers see a day once it is in `requests`: what is in the others alone is of a run that ended early.
    fs::create_dir_all(tables.join("tools/day=2025-11-16/model=half")).unwrap();
    let ran = export(&folder, "--all --format parquet -o tables --append").ends_with(0);
    ran.says(&["in 1 day", "passed over 2 days"]);
    let after = files(&tables);
    assert!(before.iter().all(|(name, content)| after[name] == *content));
    assert!(after.len() > before.len() && !tables.join("tools/day=2025-11-16/model=half").exists());
    let ran = export(&folder, "--all --format parquet -o tables --append").ends_with(0);
    ran.says(&["wrote nothing", "passed over 3 days"]);
    export(&folder, "--all --format parquet -o whole").ends_with(0);
    // Figures may differ: how a model counts tokens is seen in whatever is read.
    let whole = files(&folder.path().join("whole"));
    assert!(whole.keys().eq(after.keys()), "{:?}", whole.keys());
    let part = export(&folder, "session:33333333 --format parquet -o tables --force").ends_with(2);
    part.says(&["holds more of day=2025-11-16 than", "--all"]);
    assert!(files(&tables) == after, "no day is replaced by a part of it");
    export(&folder, "--since 2025-11-16 --format parquet -o tables --force").ends_with(0).says(&["in 1 day"]);
    let forced = files(&tables);
    let kept = |(name, content): (&String, &Vec<u8>)| name.contains("2025-11-16") || forced[name] == *content;
    assert!(after.iter().all(kept) && forced.keys().eq(after.keys()));
}

#[test]
fn tables_want_a_folder() {
    let folder = Folder::new();
    folder.write("file", "mine");
    for (line, words) in [
        ("--format parquet", "name a folder"),
        ("--format parquet -o -", "a folder is needed"),
        ("--format parquet -o file", "not a folder"),
        ("--format parquet -o file/sub", "not a folder"),
        ("--format parquet -o no/such/folder", "there is no folder"),
        ("--format otlp -o spans --append", "--append is for --format parquet"),
        ("--format parquet -o x --append --force", "cannot be used with"),
        ("session:nonesuch --format parquet -o tables", "nonesuch"),
    ] {
        export(&folder, line).ends_with(2).says(&[words]);
    }
    assert!(!folder.path().join("tables").exists());
    fs::create_dir(folder.path().join("empty")).unwrap();
    export(&folder, "session:33333333 --format parquet -o empty").ends_with(0);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_tables() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    export(&folder, "session:33333333 --format parquet -o tables").ends_with(0);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut path = folder.path().join("tables");
    while path.is_dir() {
        assert_eq!(mode(&path), 0o700, "{path:?}");
        path = fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
    }
    assert_eq!(mode(&path), 0o600);
}

/// Days are of UTC wherever the program runs, and what a night left out comes the next.
#[test]
fn days_are_of_utc_in_every_time_zone() {
    let folder = Folder::new();
    for (name, stamp) in [
        ("a", "2025-11-15T00:00:00.000Z"),
        ("b", "2025-11-15T23:59:59.999Z"),
        ("c", "2025-11-16T00:00:00.000Z"),
        ("d", "2025-11-16T23:59:59.999Z"),
    ] {
        folder.trace(format!("in/{name}.json"), stamp, &body(name));
    }
    let in_zone = |zone: &str, line: &str| {
        let mut command = program(folder.path());
        command.env("TZ", zone);
        run(command, &format!("export in --format parquet {line}"), &[] as &[&str]).ends_with(0)
    };
    let written = |out: &str| files(&folder.path().join(out));
    in_zone("UTC", "-o utc").says(&["4 rows of requests", "2 days"]);
    let whole = written("utc");
    assert!(whole.keys().all(|name| name.contains("day=2025-11-15/") || name.contains("day=2025-11-16/")));
    for (zone, out) in [("Pacific/Kiritimati", "east"), ("America/Los_Angeles", "west")] {
        in_zone(zone, &format!("-o {out}"));
        assert!(written(out) == whole, "{zone}");
        // A day there is a part of two days here.
        let night = format!("--until 2025-11-15 -o {out}-nightly --append");
        in_zone(zone, &night).says(&["left out 1 day (of UTC)"]);
        in_zone(zone, &format!("-o {out}-nightly --append"));
        assert!(written(&format!("{out}-nightly")).keys().eq(whole.keys()), "{zone}");
    }
    in_zone("UTC", "--until 2025-11-15 -o nightly --append").says(&["2 rows of requests", "in 1 day"]);
    in_zone("UTC", "-o nightly --append").says(&["2 rows of requests", "passed over 1 day"]);
}

#[test]
fn a_day_that_was_not_over_is_written_anew() {
    let folder = Folder::new();
    let export = || folder.traces("export in --format parquet -o tables --append").ends_with(0);
    folder.trace("in/past.json", "2025-11-16T10:00:00.000Z", &body("a"));
    folder.trace("in/a.json", "2999-01-01T10:00:00.000Z", &body("b"));
    folder.write("in/never.json", json!({ "request": { "body": body("c") } }).to_string());
    export().says(&["3 rows of requests", "in 3 days"]);
    folder.trace("in/b.json", "2999-01-01T11:00:00.000Z", &body("d"));
    // What has no time belongs to no day that could be over.
    export().says(&["3 rows of requests", "in 2 days", "passed over 1 day"]);
}

#[test]
fn any_name_of_a_model_has_a_folder() {
    let names = hard_names();
    let folder = recording_of(names.iter().map(|(name, _)| name.as_str()));
    let rows = format!("{} rows of requests", hard_names().len());
    folder.traces("export in --format parquet -o tables").ends_with(0).says(&[&rows]);
    let found: Vec<String> = files(&folder.path().join("tables")).into_keys().collect();
    for (model, name) in hard_names() {
        let path = format!("requests/day=2025-11-16/model={name}/part-0.parquet");
        assert!(found.contains(&path), "{model:?}: {found:#?}");
    }
    let second = |path: &&String| path.starts_with("requests/") && path.ends_with("part-1.parquet");
    assert_eq!(found.iter().filter(second).count(), 1, "{found:#?}");
    let above: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(above.len(), 2, "{above:?}");
}

#[cfg(unix)]
#[test]
fn a_folder_for_tables_may_be_a_link_to_one() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("tables")).unwrap();
    std::os::unix::fs::symlink("tables", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
    export(&folder, "session:33333333 --format parquet -o link").ends_with(0);
    assert!(!files(&folder.path().join("tables")).is_empty());
    export(&folder, "session:33333333 --format parquet -o dangling").ends_with(2).says(&["dangling"]);
    assert!(!folder.path().join("nowhere").exists());
}

/// The rows of a table, as JSON.
fn rows(tables: &Path, table: &str) -> Vec<Value> {
    let folder = tables.join(table);
    let of_file = |name: String| {
        let reader = SerializedFileReader::try_from(&*folder.join(name)).unwrap();
        reader.into_iter().map(|row| json_of(&Field::Group(row.unwrap()))).collect::<Vec<Value>>()
    };
    files(&folder).into_keys().flat_map(of_file).collect()
}

fn json_of(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(truth) => json!(truth),
        Field::Long(number) => json!(number),
        Field::Double(number) => json!(number),
        Field::Str(text) => json!(text),
        Field::TimestampMillis(ms) => json!(Timestamp::from_unix_ms(*ms).unwrap().to_string()),
        Field::Group(row) => {
            row.get_column_iter().map(|(name, field)| (name.clone(), json_of(field))).collect()
        }
        other => panic!("no column has values such as {other}"),
    }
}

/// What is no column of the table `requests`, as `traces help export` says.
const NO_COLUMNS: [&str; 4] = ["schema_version", "model", "paths", "timing.error"];

/// Whatever `list` prints of a request is in its row, under the same name, and the same.
#[test]
fn the_table_of_requests_holds_what_list_prints() {
    let at = |path: &str| repo().join(path).display().to_string();
    let (home, served) = (at(HOME), at("testdata/served"));
    // A body alone has no time but its file's.
    let bodies = repo().join("testdata/claude-code/older/bodies");
    let names = fs::read_dir(bodies).unwrap().map(|entry| entry.unwrap().path());
    let body = names.into_iter().find(|path| path.to_string_lossy().ends_with(".request.json")).unwrap();
    let alone = Folder::new();
    fs::copy(&body, alone.path().join(body.file_name().unwrap())).unwrap();
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for (which, fewest) in [
        (format!("--root {home} --all"), 20),
        (format!("--root {served}/.anyclaude --server-log {served}/server.log --all"), 5),
        (at("testdata/claude-code"), 5),
        (alone.path().display().to_string(), 0),
    ] {
        let folder = Folder::new();
        folder.traces(&format!("export {which} --format parquet -o tables"));
        let rows = rows(&folder.path().join("tables"), "requests");
        let listed = folder.traces(&format!("list {which} --format ndjson")).ndjson();
        assert!(rows.len() == listed.len() && rows.len() > fewest, "{which}");
        for request in &listed {
            let row = rows.iter().find(|row| row["id"] == request["id"]).unwrap();
            assert_same(row, request, "");
            for name in ["tokens", "timing", "join", "server_join", "response", "timestamp_source"] {
                *groups.entry(name).or_default() += usize::from(!row[name].is_null());
            }
        }
    }
    assert!(groups.values().all(|&requests| requests > 0) && groups["tokens"] > 20, "{groups:?}");
}

fn assert_same(row: &Value, printed: &Value, within: &str) {
    for (name, value) in printed.as_object().unwrap() {
        let path = format!("{within}{name}");
        if NO_COLUMNS.contains(&&*path) {
            continue;
        }
        let found = row.get(name).unwrap_or_else(|| panic!("no column {path}"));
        match value {
            Value::Object(_) if found.is_object() => assert_same(found, value, &format!("{path}.")),
            _ => assert_eq!(found, value, "{path} of {}", row["id"]),
        }
    }
}

/// A root with two models and sessions on one day, one of them in a folder of its own, and a
/// day after it.
fn two_days() -> Folder {
    let folder = Folder::new();
    for (name, stamp, model, session) in [
        ("a.json", "2025-11-16T10:00:00.000Z", "alpha", "a1a1"),
        ("sub/b.json", "2025-11-16T11:00:00.000Z", "beta", "b2b2"),
        ("c.json", "2025-11-17T10:30:00.000Z", "alpha", "c3c3"),
    ] {
        let mut body = body_of_session(name, session);
        body["model"] = json!(model);
        let mut trace = trace(stamp, &body);
        trace["mode"] = json!("claude");
        folder.write(format!("root/traces/claude/{name}"), trace.to_string());
    }
    folder
}

/// What leaves out requests of a day.
const PARTS: [&str; 12] = [
    "--root root",
    "--root root --since 2025-11-16T10:30:00Z",
    "--root root --until 2025-11-16T10:30:00Z",
    "--root root --all --model alpha",
    "--root root --all --session a1a1",
    "--root root --all --mode claude",
    "--root root --all --kind conversation",
    "--root root --all --last 1",
    "latest~2 --root root",
    "model:beta --root root",
    "root/traces/claude/sub",
    "root/traces/claude/a.json",
];

/// The ids in the table of requests, in order.
fn ids(tables: &Path) -> Vec<String> {
    let mut ids: Vec<String> =
        rows(tables, "requests").iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn a_part_of_a_day_never_passes_for_all_of_it() {
    let folder = two_days();
    let export = |line: &str| folder.traces(&format!("export {line} --format parquet"));
    export("--root root --all -o whole").ends_with(0).says(&["3 rows of requests"]);
    let whole = files(&folder.path().join("whole"));
    let everything = ids(&folder.path().join("whole"));
    for (at, part) in PARTS.into_iter().enumerate() {
        for first in ["", " --append"] {
            let tables = format!("tables{at}{}", first.trim());
            export(&format!("{part} -o {tables}{first}")).ends_with(0);
            export(&format!("--root root --all -o {tables} --append")).ends_with(0);
            assert!(files(&folder.path().join(&tables)) == whole, "{part}{first}");
            let refused = export(&format!("{part} -o {tables} --force")).ends_with(2);
            refused.says(&["holds more of day=2025-11-1", "than is exported here"]);
            export(&format!("{part} -o {tables} --append")).ends_with(0).says(&["wrote nothing"]);
            assert_eq!(ids(&folder.path().join(&tables)), everything, "{part}{first}");
        }
    }
}

/// One part may replace another: nobody takes it for more.
#[test]
fn a_part_replaces_a_part_where_that_is_asked_for() {
    let folder = two_days();
    let export = |line: &str| folder.traces(&format!("export --root root --all --format parquet {line}"));
    export("--model alpha -o tables").ends_with(0).says(&["in 2 days"]);
    export("--model beta -o tables").ends_with(2).says(&["already holds files"]);
    export("--model beta -o tables --append").ends_with(0).says(&["left out 1 day (of UTC)"]);
    export("--model beta -o tables --force").ends_with(0).says(&["1 row of requests", "in 1 day"]);
    assert_eq!(ids(&folder.path().join("tables")).len(), 2);
}

#[test]
fn what_was_recorded_elsewhere_is_kept() {
    let folder = two_days();
    let export = |line: &str| folder.traces(&format!("export {line} --all --format parquet -o tables"));
    folder.trace("other/traces/x/d.json", "2025-11-16T12:00:00.000Z", &body("d"));
    export("--root root").ends_with(0);
    let tables = folder.path().join("tables");
    let before = files(&tables);
    export("--root other --append").ends_with(0).says(&["wrote nothing", "left out 1 day", "elsewhere"]);
    export("--root other --force").ends_with(2).says(&["holds more of day=2025-11-16 than"]);
    assert!(files(&tables) == before);
    export("--root root --root other --append").ends_with(0).says(&["4 rows of requests", "in 2 days"]);
    export("--root other --append").ends_with(0).says(&["passed over 1 day"]);
    assert_eq!(ids(&tables).len(), 4);
}

/// A file that could not be read, as it was still being written, comes once it can be.
#[test]
fn a_day_with_a_file_to_come_is_not_whole() {
    // Where the name says no day, it may be any.
    for (name, again) in [("trace-2025-11-16T11-00-00-000Z.json", "in 1 day"), ("any.json", "in 2 days")] {
        let folder = Folder::new();
        let export = || folder.traces("export in --format parquet -o tables --append");
        folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
        folder.trace("in/b.json", "2025-11-17T10:00:00.000Z", &body("b"));
        let whole = trace("2025-11-16T11:00:00.000Z", &body("c")).to_string();
        let file = format!("in/{name}");
        folder.write(&file, &whole[..whole.len() / 2]);
        export().ends_with(3).says(&["2 rows of requests"]);
        folder.write(&file, &whole);
        export().ends_with(0).says(&[again]);
        assert_eq!(ids(&folder.path().join("tables")).len(), 3, "{name}");
        // What nobody has written for long is cut for good.
        folder.write(&file, &whole[..whole.len() / 2]);
        let opened = fs::File::options().append(true).open(folder.path().join(&file)).unwrap();
        opened.set_modified(SystemTime::now() - Duration::from_secs(24 * 60 * 60)).unwrap();
        export().ends_with(3).says(&["wrote nothing", "passed over 2 days"]);
    }
}

/// Engines fail at a table that has a folder and no file.
#[test]
fn a_table_goes_with_its_last_day() {
    let folder = Folder::new();
    let export = |line: &str| folder.traces(&format!("export in --format parquet -o tables {line}"));
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    export("").ends_with(0);
    let tables = folder.path().join("tables");
    assert!(tables.join("tools").exists());
    let mut bare = body("a");
    bare.as_object_mut().unwrap().remove("tools");
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &bare);
    export("--force").ends_with(0);
    assert!(tables.join("requests").exists() && !tables.join("tools").exists());
    // Tools come back with their day.
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    export("--force").ends_with(0);
    assert!(tables.join("tools").exists());
}
