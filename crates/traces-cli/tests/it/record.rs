//! `traces record`, with a client that does what Claude Code does: it writes bodies into a
//! folder, and posts what its variables tell it to.
#![cfg(unix)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::terminal::pty;
use crate::common::{Folder, Ran, body, program, run};
use crate::denied::{bound, mode};

/// What the client is to do: words, separated by blanks.
const FAKE: &str = "TRACES_TEST_FAKE_CLIENT";
const EVENTS: [&str; 3] = ["api_request_body", "api_request", "api_response_body"];

/// The client: this very program, started by [`Session::client`] with variables.
#[test]
fn fake_client() {
    let Ok(words) = std::env::var(FAKE) else { return };
    for word in words.split(' ') {
        let (word, value) = word.split_once('=').unwrap_or((word, "1"));
        let times: usize = value.parse().unwrap();
        match word {
            "bodies" => (0..times).for_each(write_body),
            "logs" => (0..times).for_each(|_| post("logs", &logs(""))),
            "large" => (0..times).for_each(|_| post("logs", &logs(&"x".repeat(6000)))),
            "traces" => post("traces", &spans()),
            "garbage" => post("logs", "no JSON"),
            // As a client that is killed: bodies are there, and nothing ends it.
            "waits" => {
                fs::write("waits", std::process::id().to_string()).unwrap();
                std::thread::sleep(Duration::from_secs(600));
            }
            "exit" => std::process::exit(times.try_into().unwrap()),
            _ => panic!("{word}"),
        }
    }
    std::process::exit(0);
}

fn write_body(at: usize) {
    let folder = std::env::var("OTEL_LOG_RAW_API_BODIES").unwrap();
    let folder = PathBuf::from(folder.strip_prefix("file:").unwrap());
    let mut request = body("a secret question");
    request["stream"] = json!(true);
    request["betas"] = json!(["some-beta"]);
    fs::write(folder.join(format!("{at:08}-1111-4111-8111-111111111111.request.json")), request.to_string())
        .unwrap();
    let response = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "tiny",
        "content": [{ "type": "text", "text": "a secret answer" }], "stop_reason": "end_turn",
        "usage": { "input_tokens": 10, "output_tokens": 3, "cache_read_input_tokens": 4 },
    });
    fs::write(
        folder.join(format!("{at:08}-2222-4222-8222-222222222222.response.json")),
        response.to_string(),
    )
    .unwrap();
}

fn logs(padding: &str) -> String {
    let record = |name: &&str| {
        let (at, facts) = match *name {
            "api_request_body" => {
                (0, json!({ "body_ref": "00000000-1111-4111-8111-111111111111.request.json" }))
            }
            "api_request" => (
                1500,
                json!({ "model": "tiny", "duration_ms": 1490, "ttft_ms": 700, "input_tokens": 90,
                        "cache_read_tokens": 40, "cache_creation_tokens": 0, "output_tokens": 30 }),
            ),
            _ => (1501, json!({})),
        };
        let mut attributes: Vec<Value> =
            facts.as_object().unwrap().iter().map(|(name, value)| attribute(name, value.clone())).collect();
        for (name, value) in [
            ("event.name", *name),
            ("event.timestamp", &format!("2025-11-16T03:00:0{}.{:03}Z", at / 1000, at % 1000)),
            ("session.id", "11111111-1111-4111-8111-111111111111"),
            ("query_source", "sdk"),
            ("padding", padding),
        ] {
            attributes.push(json!({ "key": name, "value": { "stringValue": value } }));
        }
        json!({
            "timeUnixNano": format!("{}000000", 1_763_262_000_000_u64 + at),
            "body": { "stringValue": format!("claude_code.{name}") },
            "attributes": attributes,
        })
    };
    let records: Vec<Value> = EVENTS.iter().map(record).collect();
    let version = json!({ "key": "service.version", "value": { "stringValue": "2.1.332" } });
    json!({ "resourceLogs": [{ "resource": { "attributes": [version] }, "scopeLogs": [{ "logRecords": records }] }] })
        .to_string()
}

fn spans() -> String {
    let facts = [("duration_ms", 1490), ("ttft_ms", 700), ("first_content_ms", 701), ("output_tokens", 30)];
    let mut attributes = vec![attribute("session.id", json!("11111111-1111-4111-8111-111111111111"))];
    attributes.extend(facts.map(|(name, value)| attribute(name, json!(value))));
    attributes.push(json!({ "key": "success", "value": { "boolValue": true } }));
    let span = |name: &str| {
        json!({
            "name": name,
            "startTimeUnixNano": "1763262000000000000",
            "endTimeUnixNano": "1763262001500000000",
            "attributes": attributes,
        })
    };
    let spans = ["claude_code.llm_request", "claude_code.interaction"].map(span);
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string()
}

/// An attribute of an event or a span.
fn attribute(name: &str, value: Value) -> Value {
    let kind = if value.is_string() { "stringValue" } else { "intValue" };
    json!({ "key": name, "value": { kind: value } })
}

/// Posts a body where the variables say, as OpenTelemetry's exporter does.
fn post(signal: &str, body: &str) {
    let name = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.to_uppercase());
    let url = std::env::var(name).unwrap();
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nContent-Type: application/json\r\nHost: {host}\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
}

/// A folder with a home, and a client called `claude`, `other` and `wrapper`.
struct Session {
    folder: Folder,
    does: String,
}

impl Session {
    fn new(does: &str) -> Self {
        let session = Self { folder: Folder::new(), does: does.to_owned() };
        let this = std::env::current_exe().unwrap();
        // What it is given stands in a file: libtest would not take it.
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" > args\nenv > env\nexec '{}' --exact record::fake_client --nocapture --quiet\n",
            this.display()
        );
        for name in ["claude", "other"] {
            session.folder.write(name, &script);
            mode(&session.folder.path().join(name), 0o755);
        }
        session
    }

    fn program(&self) -> Command {
        let mut command = program(self.folder.path());
        command.env(FAKE, &self.does);
        for name in ["XDG_DATA_HOME", "CLAUDE_CONFIG_DIR", "NO_PROXY", "no_proxy"] {
            command.env_remove(name);
        }
        command
    }

    fn traces(&self, line: &str) -> Ran {
        run(self.program(), line, &[] as &[&str])
    }

    /// Starts `traces LINE`, and waits until its client runs.
    fn start(&self, line: &str) -> Child {
        let mut command = self.program();
        command
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        while fs::read_to_string(self.path("waits")).unwrap_or_default().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        child
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn receipt(&self, folder: &str) -> Value {
        serde_json::from_str(&self.read(&format!("{folder}/receipt.json"))).unwrap()
    }

    /// The recordings below the home.
    fn recordings(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path(".local/share/traces")).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        found.sort();
        found
    }
}

fn bits(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_session_is_recorded_for_its_owner_alone() {
    for umask in ["000", "022", "077", "0777"] {
        let session = Session::new("bodies=2 logs=2 traces exit=7");
        let mut shell = session.program();
        let traces = shell.get_program().to_owned();
        shell = {
            let mut wrapped = Command::new("sh");
            wrapped.current_dir(session.folder.path());
            for (name, value) in shell.get_envs() {
                match value {
                    Some(value) => wrapped.env(name, value),
                    None => wrapped.env_remove(name),
                };
            }
            wrapped.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]).arg(traces);
            wrapped
        };
        // The client writes a file of its own below this umask.
        let command = if umask == "0777" { "true" } else { "./other" };
        let line = format!("record --quiet --dir rec -- {command}");
        let ran = run(shell, &line, &[] as &[&str]);
        assert_eq!(bits(&session.path("rec")), 0o700);
        assert_eq!(bits(&session.path("rec/bodies")), 0o700);
        assert_eq!(bits(&session.path("rec/receipt.json")), 0o600);
        if umask == "0777" {
            ran.ends_with(2).says(&["nothing was recorded"]);
            continue;
        }
        ran.ends_with(7);
        assert_eq!(session.read("rec/logs.jsonl"), format!("{0}\n{0}\n", logs("")));
        assert_eq!(session.read("rec/traces.jsonl"), format!("{}\n", spans()));
        for name in ["logs.jsonl", "traces.jsonl"] {
            assert_eq!(bits(&session.path(&format!("rec/{name}"))), 0o600, "{umask} {name}");
        }
        let bodies: Vec<_> =
            fs::read_dir(session.path("rec/bodies")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(bodies.len(), 4);
        assert!(bodies.iter().all(|path| bits(path) == 0o600));
        let receipt = session.receipt("rec");
        assert_eq!(receipt["exit"], json!({ "code": 7 }));
        assert_eq!(receipt["bodies"]["requests"], 2);
        assert_eq!(receipt["arrived"]["requests"], 2);
        assert_eq!(receipt["arrived"]["client_versions"], json!(["2.1.332"]));
        assert_eq!(receipt["posts"].as_array().unwrap().len(), 3);
        assert_eq!(receipt["refused"], json!({}));
        assert!(receipt["started"].as_str() < receipt["ended"].as_str());
    }
}

#[test]
fn recordings_have_a_home_and_a_word_about_what_they_hold() {
    let session = Session::new("bodies logs traces");
    let first = session.traces("record -- ./other");
    assert!(first.stderr.contains("a recording holds whole prompts"), "{}", first.stderr);
    let second = session.traces("record -- ./other");
    assert!(!second.stderr.contains("a recording holds whole prompts"), "{}", second.stderr);
    assert!(second.stderr.contains("recorded in "));
    let recordings = session.recordings();
    assert_eq!(recordings.len(), 2);
    assert!(session.read(".local/share/traces/README.txt").contains("traces record --delete"));
    let mut elsewhere = session.program();
    elsewhere.env("XDG_DATA_HOME", session.path("data"));
    run(elsewhere, "record --quiet -- ./other", &[] as &[&str]).ends_with(0);
    assert_eq!(fs::read_dir(session.path("data/traces")).unwrap().count(), 1);
    // Relative ones are ignored.
    let mut relative = session.program();
    relative.env("XDG_DATA_HOME", "data");
    run(relative, "record --quiet -- ./other", &[] as &[&str]).ends_with(0);
    assert_eq!(session.recordings().len(), 3);
}

#[test]
fn the_environment_is_a_recordings_own() {
    let session = Session::new("logs");
    let mut command = session.program();
    command.env("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://collector.example/v1/logs");
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret");
    command.env("OTEL_METRICS_EXPORTER", "otlp").env("NO_PROXY", "intranet.example").env("MINE", "stays");
    run(command, "record --quiet --dir rec -- ./other a b --settings x", &[] as &[&str]).ends_with(0);
    let env = session.read("env");
    let port = &session.receipt("rec")["port"];
    for line in [
        "CLAUDE_CODE_ENABLE_TELEMETRY=1",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1",
        "OTEL_LOGS_EXPORTER=otlp",
        "OTEL_TRACES_EXPORTER=otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
        &format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{port}"),
        &format!("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://127.0.0.1:{port}/v1/logs"),
        "OTEL_LOGS_EXPORT_INTERVAL=1000",
        "NO_PROXY=intranet.example,127.0.0.1,localhost",
        "no_proxy=intranet.example,127.0.0.1,localhost",
        "MINE=stays",
    ] {
        assert!(env.lines().any(|found| found == line), "{line} is not in\n{env}");
    }
    assert!(!env.contains("secret") && !env.contains("collector.example"), "{env}");
    // Another command than claude gets its own arguments.
    assert_eq!(session.read("args"), "a\nb\n--settings\nx\n");
    assert!(!session.read("rec/receipt.json").contains("secret"));
}

#[test]
fn claude_gets_the_variables_as_settings_too() {
    let session = Session::new("logs");
    session
        .folder
        .write("mine.json", r#"{"model":"m","env":{"MY_KEY":"hidden","OTEL_LOGS_EXPORTER":"none"}}"#);
    let settings = |given: &str| -> (Value, Vec<String>) {
        let _ = fs::remove_dir_all(session.path("rec"));
        session.traces(&format!("record --quiet --dir rec -- ./claude {given}")).ends_with(0);
        let args: Vec<String> = session.read("args").lines().map(str::to_owned).collect();
        let at = args.iter().position(|arg| arg.starts_with("--settings")).unwrap();
        let value = args[at].strip_prefix("--settings=").map_or_else(|| args[at + 1].clone(), str::to_owned);
        (serde_json::from_str(&value).unwrap_or(json!(value)), args)
    };
    let (ours, args) = settings("-p hello");
    assert_eq!(ours["env"]["CLAUDE_CODE_ENABLE_TELEMETRY"], "1");
    assert!(ours["env"]["OTEL_LOG_RAW_API_BODIES"].as_str().unwrap().ends_with("rec/bodies"));
    assert_eq!(args[2..], ["-p", "hello"]);
    for given in [
        r#"--settings {"model":"m","env":{"MINE":"x","OTEL_LOGS_EXPORTER":"none"}} -p"#,
        r#"-p --settings={"model":"m","env":{"MINE":"x"}}"#,
    ] {
        let (merged, args) = settings(given);
        assert_eq!((&merged["model"], &merged["env"]["MINE"]), (&json!("m"), &json!("x")), "{given}");
        assert_eq!(merged["env"]["OTEL_LOGS_EXPORTER"], "otlp");
        assert_eq!(args.iter().filter(|arg| arg.starts_with("--settings")).count(), 1);
    }
    // What is in a file may be a secret: everybody can read arguments.
    let (path, args) = settings("--settings mine.json");
    assert!(!args.join(" ").contains("hidden"), "{args:?}");
    let path = PathBuf::from(path.as_str().unwrap());
    assert!(path.starts_with(session.path("rec").canonicalize().unwrap()) && !path.exists(), "{path:?}");
    // An argument that only looks like ours.
    let (ours, args) = settings("-p -- --settings no");
    assert_eq!(ours["env"]["CLAUDE_CODE_ENABLE_TELEMETRY"], "1");
    assert_eq!(args[2..], ["-p", "--", "--settings", "no"]);
    let _ = fs::remove_dir_all(session.path("rec"));
    let ran = session.traces("record --dir rec -- ./claude --settings nowhere.json");
    assert!(ran.stderr.contains("--settings nowhere.json cannot be read"), "{}", ran.stderr);
    assert_eq!(session.read("args"), "--settings\nnowhere.json\n");
}

#[test]
fn the_terminal_is_the_commands() {
    let session = Session::new("");
    let mut command = session.program();
    command.args(["record", "--quiet", "--dir", "rec", "--", "cat"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"typed").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"typed");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_command_that_cannot_run_leaves_nothing() {
    let session = Session::new("logs");
    session.folder.write("no-program", "text");
    for (command, code, words) in [
        ("no-such-command", 127, "there is no such command"),
        ("./no-program", 126, "cannot start ./no-program"),
    ] {
        session.traces(&format!("record --dir rec -- {command}")).ends_with(code).says(&[words]);
        assert!(!session.path("rec").exists());
    }
    // Nobody's claude is started by a test: there is none in this PATH.
    let mut command = session.program();
    command.env("PATH", "/nowhere");
    run(command, "record", &[] as &[&str]).ends_with(127).says(&["claude", "--print-env"]);
    assert_eq!(session.recordings(), [] as [PathBuf; 0]);
}

#[test]
fn a_folder_must_be_writable_and_its_own() {
    let session = Session::new("logs");
    session.folder.write("full/file", "");
    session.folder.write("file", "");
    for (folder, words) in
        [("full", "is not empty"), ("file", "cannot record into"), ("file/below", "cannot record into")]
    {
        session.traces(&format!("record --dir {folder} -- ./other")).ends_with(2).says(&[words, folder]);
        assert!(!session.path("args").exists(), "the client ran");
    }
    fs::create_dir(session.path("real")).unwrap();
    mode(&session.path("real"), 0o755);
    symlink("real", session.path("link")).unwrap();
    session.traces("record --quiet --dir link -- ./other").ends_with(0);
    assert!(session.path("real/logs.jsonl").exists());
    assert_eq!(bits(&session.path("real")), 0o700);
    symlink("nowhere", session.path("dangling")).unwrap();
    session.traces("record --dir dangling -- ./other").ends_with(2).says(&["dangling"]);
    if let Some(command) = bound(&session.folder) {
        fs::create_dir(session.path("locked")).unwrap();
        mode(&session.path("locked"), 0o555);
        run(command, "record --dir locked/rec -- true", &[] as &[&str])
            .ends_with(2)
            .says(&["ermission denied"]);
    }
    // A folder of root's is none of nobody's.
    if let Some(command) = bound(&session.folder).filter(|command| command.get_program() == "setpriv") {
        fs::create_dir(session.path("shared")).unwrap();
        mode(&session.path("shared"), 0o777);
        run(command, "record --dir shared -- true", &[] as &[&str]).ends_with(2).says(&["another user"]);
    }
}

#[test]
fn a_client_that_is_killed_leaves_what_it_sent() {
    let session = Session::new("bodies logs waits");
    let child = session.start("record --quiet --dir rec -- ./other");
    signal("KILL", session.read("waits").parse().unwrap());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(137));
    let receipt = session.receipt("rec");
    assert_eq!(receipt["exit"], json!({ "signal": 9 }));
    assert_eq!((&receipt["bodies"]["requests"], &receipt["arrived"]["requests"]), (&json!(1), &json!(1)));
}

#[test]
fn signals_are_handed_on() {
    for (name, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let session = Session::new("bodies logs traces waits");
        let child = {
            let mut command = Command::new("setsid");
            let traces = session.program();
            command.current_dir(session.folder.path()).arg("--wait").arg(traces.get_program());
            for (name, value) in traces.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            command.args("record --quiet --dir rec -- ./other".split(' '));
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        while fs::read_to_string(session.path("waits")).unwrap_or_default().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let client: u32 = session.read("waits").parse().unwrap();
        let stat = fs::read_to_string(format!("/proc/{client}/stat")).unwrap_or_default();
        let Some(parent) = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) else {
            return;
        };
        let is_ours =
            || fs::read_to_string(format!("/proc/{parent}/comm")).is_ok_and(|name| name == "traces\n");
        // Impatience does not end the recording.
        for _ in 0..3 {
            if is_ours() {
                let _ =
                    Command::new("kill").args([&format!("-{name}"), parent]).stderr(Stdio::null()).status();
            }
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(session.receipt("rec")["exit"], json!({ "signal": code - 128 }));
    }
}

#[test]
fn variables_are_for_a_client_that_is_started_by_hand() {
    let session = Session::new("bodies logs traces");
    let mut command = session.program();
    command
        .args(["record", "--print-env", "--dir", "it's here"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut printed = String::new();
    let mut stdout = child.stdout.take().unwrap();
    while !printed.contains("# claude --settings") || !printed.ends_with('\n') {
        let mut buffer = [0; 4096];
        let count = stdout.read(&mut buffer).unwrap();
        assert!(count > 0, "{printed}");
        printed += std::str::from_utf8(&buffer[..count]).unwrap();
    }
    let mut shell = Command::new("sh");
    shell
        .current_dir(session.folder.path())
        .env(FAKE, "bodies logs traces")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "secret");
    let ran = shell.args(["-c", &format!("{printed}\n./other")]).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert!(!session.read("env").contains("secret"));
    signal("INT", child.id());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("Ctrl-C ends the recording"), "{stderr}");
    let receipt = session.receipt("it's here");
    assert_eq!((&receipt["exit"], &receipt["arrived"]["requests"]), (&Value::Null, &json!(1)));
    assert_eq!(receipt["bodies"]["requests"], 1);
}

#[test]
fn what_is_missing_is_said_with_the_reason() {
    let session = Session::new("bodies");
    session.folder.write(".claude/settings.json", r#"{"env":{"OTEL_LOGS_EXPORTER":"none","OTHER":"1"}}"#);
    // The home is the project here: it is one file with two parts.
    let ran = session.traces("record --quiet --dir a -- ./other").ends_with(0);
    ran.says(&[
        "but no events",
        ".claude/settings.json sets OTEL_LOGS_EXPORTER otherwise",
        "not called claude",
    ]);
    // By --settings the variables win over that file.
    let ran = session
        .traces("record --quiet --dir b -- ./claude")
        .ends_with(0)
        .says(&["but no events", "telemetry is off"]);
    assert!(!ran.stderr.contains("settings.json"), "{}", ran.stderr);
    let events = Session::new("logs");
    let ran = events.traces("record --quiet --dir a -- ./claude").ends_with(0);
    ran.says(&["but no bodies", "no spans were recorded", "LOG_RAW_API_BODIES had no effect"]);
    // A reason that may be that of both is said once, that of one beside it.
    let both = Session::new("logs");
    both.folder.write(".claude/settings.json", r#"{"env":{"OTEL_TRACES_EXPORTER":"none"}}"#);
    let ran = both.traces("record --quiet --dir a -- ./other").ends_with(0).says(&[
        "this may be why both are missing: the command is not called claude",
        ".claude/settings.json sets OTEL_TRACES_EXPORTER otherwise",
    ]);
    assert_eq!(ran.stderr.matches("not called claude").count(), 1, "{}", ran.stderr);
    let (bodies, spans) = ran.stderr.split_once("no spans were recorded").unwrap();
    assert!(
        !bodies.contains("OTEL_TRACES_EXPORTER") && spans.contains("OTEL_TRACES_EXPORTER"),
        "{}",
        ran.stderr
    );
    let nothing = Session::new("exit=0");
    nothing.traces("record --dir a -- ./claude").ends_with(2).says(&["nothing was recorded", "2.1.111"]);
    let wrong = Session::new("bodies logs traces garbage");
    wrong
        .traces("record --quiet --dir a -- ./claude")
        .ends_with(3)
        .says(&["1 post refused", "no OTLP in JSON"]);
}

#[test]
fn a_full_disk_loses_lines_and_not_the_recording() {
    let session = Session::new("bodies large=3 logs traces");
    let mut shell = Command::new("sh");
    shell.current_dir(session.folder.path());
    let traces = session.program();
    for (name, value) in traces.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    // 8 blocks are 4 or 8 kB.
    shell.args(["-c", "ulimit -f 8; exec \"$@\"", "sh"]).arg(traces.get_program());
    let ran = run(shell, "record --quiet --dir rec -- ./other", &[] as &[&str]).ends_with(3);
    ran.says(&["3 posts could not be written"]);
    assert_eq!(session.read("rec/logs.jsonl"), format!("{}\n", logs("")));
    assert_eq!(session.receipt("rec")["lost"], 3);
}

#[test]
fn without_bodies_sizes_stay_and_texts_go() {
    let session = Session::new("bodies=2 logs traces");
    session.traces("record --quiet --dir kept -- ./other").ends_with(0);
    session.traces("record --quiet --no-bodies --dir sizes -- ./other").ends_with(0);
    let name = "bodies/00000000-1111-4111-8111-111111111111.request.json";
    let [kept, sizes] = ["kept", "sizes"].map(|folder| session.read(&format!("{folder}/{name}")));
    assert!(kept.contains("a secret question") && kept.contains("Answer in one word"));
    assert_eq!(sizes.len(), kept.len() + "\"traces_masked\":1,".len());
    assert!(sizes.starts_with("{\"traces_masked\":1,"));
    for entry in fs::read_dir(session.path("sizes/bodies")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("secret") && !text.contains("Answer in one word"), "{text}");
        assert_eq!(bits(&path), 0o600);
    }
    // Nobody can tell how many tokens the texts had, unless the server counted them.
    for (recording, is_unknown) in [("kept", false), ("sizes", true)] {
        let alone = format!("{recording}-alone.request.json");
        fs::copy(session.path(&format!("{recording}/{name}")), session.path(&alone)).unwrap();
        let shown = session.traces(&format!("show {alone} --format json")).ends_with(0).json();
        assert_eq!(shown["tokens"].is_null(), is_unknown, "{recording}");
    }
    let receipt = session.receipt("sizes");
    assert_eq!((&receipt["no_bodies"], &receipt["bodies"]["requests"]), (&json!(true), &json!(2)));
    assert_eq!(receipt["variables"]["OTEL_LOG_USER_PROMPTS"], "0");
}

#[test]
fn recordings_are_deleted_when_asked_and_nothing_else() {
    let session = Session::new("bodies logs traces");
    session.traces("record --delete").ends_with(0).says(&["there is no recording"]);
    session.traces("record --delete all --yes").ends_with(2).says(&["there is no recording"]);
    for _ in 0..3 {
        session.traces("record --quiet -- ./other").ends_with(0);
    }
    let [first, second, third] = &session.recordings()[..] else { panic!() };
    let name = first.file_name().unwrap().to_str().unwrap();
    let listed = session.traces("record --delete").ends_with(0).stdout;
    assert!(listed.lines().count() == 3 && listed.contains(name), "{listed}");
    session.traces(&format!("record --delete {name}")).ends_with(2).says(&["--yes", name]);
    assert!(first.exists());
    session.traces(&format!("record --delete {name} --yes")).ends_with(0).says(&["deleted"]);
    assert!(!first.exists());
    session.traces(&format!("record --delete {name} --yes")).ends_with(2).says(&["there is no recording"]);
    // What is somebody else's stays, behind links too.
    session.folder.write("precious/x.request.json", "");
    symlink(session.path("precious/x.request.json"), second.join("bodies/link.request.json")).unwrap();
    fs::write(second.join("notes.txt"), "mine").unwrap();
    fs::remove_dir_all(third.join("bodies")).unwrap();
    symlink(session.path("precious"), third.join("bodies")).unwrap();
    let ran = session.traces("record --delete all --yes").ends_with(3);
    ran.says(&["stays: it holds"]);
    assert!(session.path("precious/x.request.json").exists());
    assert_eq!(fs::read_to_string(second.join("notes.txt")).unwrap(), "mine");
    assert!(!second.join("bodies").exists() && !second.join("logs.jsonl").exists());
    for name in ["precious", "..", ".", "/"] {
        session.traces(&format!("record --delete {name} --yes")).ends_with(2).says(&["no recording"]);
    }
    assert!(session.path("precious/x.request.json").exists());
}

#[test]
fn what_is_being_recorded_is_not_deleted() {
    let session = Session::new("bodies waits");
    let mut recorder = session.start("record --quiet -- ./other");
    let recording = session.recordings().remove(0);
    let name = recording.file_name().unwrap().to_str().unwrap();
    let listed = session.traces("record --delete").ends_with(0).stdout;
    assert!(listed.ends_with("being recorded\n"), "{listed}");
    for which in [name, "all"] {
        session.traces(&format!("record --delete {which} --yes")).ends_with(2).says(&["is being recorded"]);
    }
    assert!(recording.join("receipt.json").exists());
    // A recorder that is killed leaves nothing locked, not even by its client.
    signal("KILL", recorder.id());
    recorder.wait().unwrap();
    session.traces(&format!("record --delete {name} --yes")).ends_with(0).says(&["deleted"]);
    assert!(!recording.exists());
    signal("KILL", session.read("waits").parse().unwrap());
}

#[test]
fn wrong_usage_is_refused() {
    let session = Session::new("logs");
    for line in [
        "record claude",
        "record --print-env -- claude",
        "record --delete x -- claude",
        "record --delete --dir x",
        "record --yes",
        "record --dir",
    ] {
        session.traces(line).ends_with(2);
        assert!(!session.path("args").exists());
    }
}

/// A client that is a shell script, in the foreground of a terminal of its own. Returns
/// the terminal's other side and `traces`.
fn in_terminal(session: &Session, script: &str) -> (fs::File, Child) {
    session.folder.write("script", format!("#!/bin/sh\n{script}\n"));
    mode(&session.path("script"), 0o755);
    let pty = pty(80);
    let traces = session.program();
    let mut command = Command::new("setsid");
    command.current_dir(session.folder.path()).args(["--ctty", "--wait"]).arg(traces.get_program());
    for (name, value) in traces.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args("record --quiet --dir rec -- ./script".split(' '));
    command.stdin(pty.slave.try_clone().unwrap()).stdout(pty.slave.try_clone().unwrap()).stderr(pty.slave);
    let child = command.spawn().unwrap();
    while fs::read_to_string(session.path("waits")).unwrap_or_default().is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    (pty.master.into(), child)
}

/// The terminal sends Ctrl-C to both: the client hears it once, and may live on.
#[test]
fn ctrl_c_is_the_clients() {
    let session = Session::new("");
    let script =
        "trap 'echo heard >> heard' INT\necho $$ > waits\nwhile [ ! -e end ]; do sleep 0.05; done\nexit 5";
    let (mut terminal, mut child) = in_terminal(&session, script);
    for times in 1..=3 {
        terminal.write_all(b"\x03").unwrap();
        while fs::read_to_string(session.path("heard")).unwrap_or_default().lines().count() < times {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    session.folder.write("end", "");
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert_eq!(session.read("heard").lines().count(), 3);
    assert_eq!(session.receipt("rec")["exit"], json!({ "code": 5 }));
}

/// Claude Code stops itself at Ctrl-Z: the shell waits for `traces`, which must stop too.
#[cfg(target_os = "linux")]
#[test]
fn who_stops_the_client_gets_the_shell_back() {
    let session = Session::new("");
    let (_terminal, mut child) = in_terminal(&session, "echo $$ > waits\nkill -STOP $$\nexit 4");
    let client: u32 = session.read("waits").trim().parse().unwrap();
    let state = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let rest = stat.rsplit(')').next().unwrap().to_owned();
        let mut words = rest.split_whitespace().map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap().parse::<u32>().unwrap())
    };
    let traces = state(client).1;
    assert_eq!(fs::read_to_string(format!("/proc/{traces}/comm")).unwrap(), "traces\n");
    while state(traces).0 != "T" {
        std::thread::sleep(Duration::from_millis(10));
    }
    // What `fg` does.
    signal("CONT", traces);
    signal("CONT", client);
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn a_recording_is_found_without_an_input() {
    let session = Session::new("bodies logs traces");
    let before = session.traces("list --all");
    assert_eq!(before.code, 2, "{before:?}");
    session.traces("record --quiet -- ./other").ends_with(0);
    let recording = session.recordings().remove(0);
    let found = session.traces("list --all --kind all --format ndjson").ends_with(0).ndjson();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["source"], "claude_code");
    let timing = &found[0]["timing"];
    assert_eq!((&timing["ttft_ms"], &timing["total_ms"]), (&json!(701), &json!(1490)), "{timing}");
    assert_eq!((&timing["prompt_tokens"], &timing["cached_tokens"]), (&json!(130), &json!(40)), "{timing}");
    assert!(found[0]["path"].as_str().unwrap().starts_with(recording.to_str().unwrap()), "{found:?}");
    // What is printed at the end is what `traces` prints of it.
    let ran = session.traces("record --dir rec -- ./other");
    let summary = session.traces(session.path("rec").canonicalize().unwrap().to_str().unwrap());
    assert!(!summary.stdout.is_empty() && ran.stdout.ends_with(&summary.stdout), "{ran:?}\n{summary:?}");
}
