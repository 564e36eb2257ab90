//! How much is read to follow a recording.

use std::fs;
use std::path::Path;

use super::*;

/// A trace of a conversation of its own, with so many turns.
fn trace(conversation: usize, turns: usize) -> String {
    // Conversations differ late in a long system prompt, as those of Claude Code do.
    let system = format!("{} Working directory: /home/user/{conversation}", "Be brief. ".repeat(40));
    let turn = |at: usize| {
        let role = if at.is_multiple_of(2) { "user" } else { "assistant" };
        serde_json::json!({ "role": role, "content": format!("{at} of {conversation}. {}", "More. ".repeat(60)) })
    };
    let messages: Vec<_> = (0..turns).map(turn).collect();
    serde_json::json!({
        "timestamp": format!("2026-03-01T10:{:02}:{:02}.000Z", conversation / 60, conversation % 60),
        "mode": "lmstudio",
        "request": { "url": "/v1/messages", "body": {
            "model": "m", "max_tokens": 32000, "system": system, "messages": messages,
            "tools": [{ "name": "Read" }], "metadata": { "user_id": format!("user_1_session_{conversation}") },
        } },
    })
    .to_string()
}

fn write(root: &Path, conversation: usize, text: &str) -> u64 {
    let minute = format!("{:02}-{:02}", conversation / 60, conversation % 60);
    fs::write(root.join(format!("traces/lmstudio/2026-03-01T10-{minute}-000Z.json")), text).unwrap();
    text.len() as u64
}

#[test]
fn of_finished_files_beside_one_that_grows_nothing_is_read_again() {
    const FINISHED: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("traces/lmstudio")).unwrap();
    for conversation in 0..FINISHED {
        write(folder.path(), conversation, &trace(conversation, 9));
    }
    let filter = Filter { roots: vec![folder.path().to_owned()], ..Filter::default() };
    let mut follower = Follower::new(filter, CacheOptions::default()).unwrap();
    let progress = follower.reader.store().progress();
    let mut now: Timestamp = "2026-03-01T11:00:00Z".parse().unwrap();
    follower.look(now);
    assert_eq!(follower.situation().requests.len(), FINISHED);

    let whole = trace(FINISHED, 9);
    let (mut written, before) = (0, (progress.bytes(), progress.files()));
    for part in [3, 2, 1] {
        now = now.plus_ms(1_000);
        written += write(folder.path(), FINISHED, &whole[..whole.len() / part]);
        follower.look(now);
    }
    assert_eq!(follower.situation().requests.len(), FINISHED + 1);
    // The new one's own texts are looked up once, where they differ late.
    let (bytes, files) = (progress.bytes() - before.0, progress.files() - before.1);
    assert!(bytes <= written + whole.len() as u64 && files <= 4, "{bytes} bytes of {files} files");
}
