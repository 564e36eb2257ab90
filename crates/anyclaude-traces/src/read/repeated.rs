//! What is known of the file before changes nothing of what is found in the next.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Store, TracePath};
use crate::formats::body::{Element, Message, Section, Visit};
use crate::formats::record::TraceRecord;

/// All that a visitor is shown.
#[derive(Debug, Default, PartialEq)]
struct Seen<const IDENTITIES: bool>(Vec<String>);

impl<const IDENTITIES: bool> Visit for Seen<IDENTITIES> {
    fn wants_identities(&self) -> bool {
        IDENTITIES
    }

    fn element(&mut self, element: &Element<'_>) {
        let Element { place, kind, name, raw, .. } = element;
        let (compact, canonical) = (raw.compact_bytes(), raw.canonical_len());
        let begin = String::from_utf8_lossy(&raw.canonical_prefix(160)).into_owned();
        let end = String::from_utf8_lossy(raw.last_string_suffix(9)).into_owned();
        let (text, identity, bytes) = (element.text(), raw.identity(), raw.as_str());
        self.0.push(format!(
            "{place:?} {kind:?} {name:?} {compact} {canonical} {begin} {end} {text:?} {identity:?} {bytes}"
        ));
    }

    fn message(&mut self, message: &Message<'_>) {
        self.0.push(format!("{} {:?} {:?}", message.index, message.role, message.identity));
    }

    fn restart(&mut self, section: Section) {
        self.0.push(format!("{section:?}"));
    }
}

/// What one thread finds in these files, one after the other, and what is found in each alone.
fn read<const IDENTITIES: bool>(folder: &Path) -> [Vec<(TraceRecord, Seen<IDENTITIES>)>; 2] {
    let store = Store::default().with_threads(1);
    let (sources, _) = store.find([folder]);
    let (mut in_a_row, mut paths) = (Vec::new(), Vec::new());
    store.scan(&sources, Seen::default, |file, seen| {
        paths.push(file.path);
        in_a_row.push((file.record, seen));
    });
    let alone = |path: &TracePath| {
        let mut seen = Seen::default();
        store.read_one(path, &mut seen).map(|file| (file.record, seen)).unwrap()
    };
    let alone = paths.iter().map(alone).collect();
    [in_a_row, alone]
}

/// A change of a conversation between two requests.
#[derive(Debug, Clone)]
enum Change {
    Grow(String),
    Mark(usize),
    Remove(usize),
    Insert(usize, String),
    Replace(usize, String),
    Tool(usize, String),
}

fn change() -> impl Strategy<Value = Change> {
    let text = || r#"[a-c\\"é\n]{0,40}"#;
    prop_oneof![
        4 => text().prop_map(Change::Grow),
        2 => (0..9_usize).prop_map(Change::Mark),
        1 => (0..9_usize).prop_map(Change::Remove),
        1 => (0..9_usize, text()).prop_map(|(at, text)| Change::Insert(at, text)),
        1 => (0..9_usize, text()).prop_map(|(at, text)| Change::Replace(at, text)),
        1 => (0..4_usize, text()).prop_map(|(at, text)| Change::Tool(at, text)),
    ]
}

fn block(text: &str) -> Value {
    match text.len() % 4 {
        0 => json!({ "type": "text", "text": text }),
        1 => json!({ "type": "tool_use", "id": text, "name": "Read", "input": { "path": [text, 1, null] } }),
        2 => {
            json!({ "tool_use_id": "x", "type": "tool_result", "content": [{ "type": "text", "text": text }] })
        }
        _ => json!(text),
    }
}

/// Requests that follow from one another by these changes.
fn bodies(changes: &[Change]) -> Vec<Value> {
    let mut blocks = vec![block("at first")];
    let mut tools = vec![json!({ "name": "Read", "input_schema": {} }), json!({ "name": "Edit" })];
    let mut marked = 0;
    let mut bodies = Vec::new();
    for change in changes {
        let length = blocks.len().max(1);
        match change {
            Change::Grow(text) => blocks.push(block(text)),
            Change::Mark(at) => marked = *at,
            Change::Remove(at) if !blocks.is_empty() => drop(blocks.remove(at % length)),
            Change::Remove(_) => {}
            Change::Insert(at, text) => blocks.insert(at % length, block(text)),
            Change::Replace(at, text) => {
                if let Some(old) = blocks.get_mut(at % length) {
                    *old = block(text);
                }
            }
            Change::Tool(at, text) => tools.insert(at % (tools.len() + 1), json!({ "name": text })),
        }
        let mut sent = blocks.clone();
        if let Some(Value::Object(block)) = sent.get_mut(marked) {
            block.insert("cache_control".into(), json!({ "type": "ephemeral" }));
        }
        let message = |(at, block): (usize, Value)| {
            let role = if at.is_multiple_of(2) { "user" } else { "assistant" };
            let content = if block.is_string() { block } else { json!([block]) };
            json!({ "role": role, "content": content })
        };
        let messages: Vec<Value> = sent.into_iter().enumerate().map(message).collect();
        bodies.push(
            json!({ "tools": tools, "system": [block("Be brief."), block("…")], "messages": messages }),
        );
    }
    bodies
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_was_read_before_changes_nothing(changes in prop::collection::vec((change(), 0..9_u8), 2..12)) {
        let folder = tempfile::tempdir().unwrap();
        let (changes, forms): (Vec<_>, Vec<u8>) = changes.into_iter().unzip();
        for (at, (body, form)) in bodies(&changes).into_iter().zip(forms).enumerate() {
            let trace = json!({ "timestamp": "2026-03-01T11:00:00.000Z", "mode": "lmstudio", "request": { "body": body } });
            let indented = format!("{trace:#}");
            let text = match form {
                // Others come in between: cut, not indented, with a mark in front.
                0 => indented[..indented.len() - 9].to_owned(),
                1 => trace.to_string(),
                2 => format!("\u{feff}{indented}"),
                _ => indented,
            };
            fs::write(folder.path().join(format!("{at:02}.json")), text).unwrap();
        }
        let [in_a_row, alone] = read::<true>(folder.path());
        prop_assert_eq!(in_a_row, alone);
        let [in_a_row, alone] = read::<false>(folder.path());
        prop_assert_eq!(in_a_row, alone);
    }
}

/// A line of claude-tap's.
fn line(body: &Value) -> String {
    let request = json!({ "method": "POST", "path": "/v1/messages", "headers": {}, "body": body });
    let times = r#""timestamp":"2026-03-01T11:00:00Z","request_id":"r","turn":1,"duration_ms":9"#;
    format!("{{{times},\"request\":{request},\"response\":{{\"status\":200}}}}\n")
}

#[test]
fn lines_before_change_nothing() {
    // Long enough to be kept.
    let long = |number: usize| Change::Grow(format!("{number} é\" ").repeat(700 + number % 4));
    let edits =
        [Change::Mark(2), Change::Remove(1), Change::Insert(0, "new".into()), Change::Tool(1, "T".into())];
    let changes: Vec<Change> = (0..6).map(long).chain(edits).chain((6..9).map(long)).collect();
    let lines: Vec<String> = bodies(&changes).iter().map(line).collect();
    let both = [lines.concat(), lines.iter().rev().map(String::as_str).collect()];
    for (lines, text) in [lines.clone(), lines.into_iter().rev().collect()].iter().zip(both) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.jsonl");
        let store = Store::default();
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            let (sources, _) = store.find([&path]);
            let mut found = Vec::new();
            let errors = store.scan(&sources, Seen::<true>::default, |file, seen| {
                let mut record = file.record;
                record.sizes.file_bytes = crate::model::Amount::UNKNOWN;
                found.push((record, seen));
            });
            assert!(errors.is_empty(), "{errors:?}");
            found
        };
        let alone: Vec<_> = lines.iter().flat_map(|line| read(line)).collect();
        assert!(alone.len() == lines.len() && read(&text) == alone);
    }
}

/// The same bytes are looked for, so that a file which changed under its name is read anew.
#[test]
fn what_stands_in_both_files_is_found_again() {
    use crate::formats::json::compact::CompactMode;
    use crate::formats::json::cursor::Cursor;
    use crate::formats::json::scratch::Scratch;

    let folder = tempfile::tempdir().unwrap();
    let grow = [Change::Grow("one".into()), Change::Grow("more".into())];
    for (at, body) in bodies(&grow).into_iter().enumerate() {
        let text = json!({ "timestamp": "t", "mode": "lmstudio", "request": { "body": body } }).to_string();
        fs::write(folder.path().join(format!("{at}.json")), text).unwrap();
    }
    let store = Store::default();
    let (sources, _) = store.find([folder.path()]);
    let mut reader = super::FileReader::of_many(&store);
    let nobody = |_| ();
    for source in &sources {
        reader.read(source, &mut super::AllRecords::new(&nobody)).unwrap();
    }
    // After the second file, the reader knows the items of it, and finds the first of them.
    let text = r#"{"input_schema":{},"name":"Read"} and more"#;
    let mut scratch: Scratch = reader.scratch;
    let mut cursor = Cursor::comparing(text, &mut scratch);
    let found = cursor.pass_known(CompactMode::Nothing);
    assert_eq!(found.map(|item| item.part.range()), Some(0..text.len() - " and more".len()));
    assert!(cursor.pass_known(CompactMode::Nothing).is_none());
}
