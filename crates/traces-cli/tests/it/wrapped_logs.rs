//! Servers' logs as containers and shells leave them: in another encoding, or line by line in records.

use serde_json::{Value, json};

use crate::common::{Folder, repo};

fn log(name: &str) -> String {
    std::fs::read_to_string(repo().join("testdata/server-logs").join(name)).unwrap()
}

/// What is found in a log that is named in either way: of each request its counts and times.
#[track_caller]
fn found(name: &str, text: impl AsRef<[u8]>) -> [Value; 2] {
    let folder = Folder::new();
    folder.write(name, text);
    ["--server-log ", ""].map(|way| {
        let found = folder.traces(&format!("timing --tz UTC --format json {way}{name}")).ends_with(0).json();
        let recorded = found["requests"].as_array().unwrap().iter().map(|request| &request["timing"]);
        let logged = found["unmatched_log_requests"].as_array().unwrap().iter();
        let members = ["prompt_tokens", "cached_tokens", "read_ms", "write_ms", "total_ms", "outcome"];
        let figures = recorded.chain(logged).map(|timing| members.map(|member| timing[member].clone()));
        let models =
            found["groups"].as_array().unwrap().iter().map(|group| &group["name"]).collect::<Vec<_>>();
        json!([figures.collect::<Vec<_>>(), models, found["server_logs"][0]["loads"][0]["load_ms"]])
    })
}

fn utf_16(text: &str) -> Vec<u8> {
    "\u{FEFF}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn what_windows_powershell_wrote_is_read() {
    for name in ["lm-studio-stream.ndjson", "llama-server.log", "lm-studio-window.txt"] {
        let text = log(name);
        assert_eq!(found(name, utf_16(&text.replace('\n', "\r\n"))), found(name, &text), "{name}");
    }
}

#[test]
fn what_containers_wrote_is_read() {
    let text = log("llama-server.log");
    let plain = found("plain.log", &text);
    assert_eq!(plain[0][0].as_array().map(Vec::len), Some(3));
    let stamped = |line: usize| format!("2026-09-11T00:{:02}:{:02}.000200123Z", line / 60 % 60, line % 60);
    let docker = |(at, line): (usize, &str)| {
        format!("{}\n", json!({"log": format!("{line}\n"), "stream": "stderr", "time": stamped(at)}))
    };
    let spaced = |(at, line): (usize, &str)| {
        let line = json!(format!("{line}\n"));
        format!("{{\"log\": {line}, \"stream\": \"stderr\", \"time\": \"{}\"}}\n", stamped(at))
    };
    let kubernetes = |(at, line): (usize, &str)| format!("{} stderr F {line}\n", stamped(at));
    assert_eq!(found("docker.log", text.lines().enumerate().map(docker).collect::<String>()), plain);
    assert_eq!(found("spaced.log", text.lines().enumerate().map(spaced).collect::<String>()), plain);
    assert_eq!(found("kubernetes.log", text.lines().enumerate().map(kubernetes).collect::<String>()), plain);
}
