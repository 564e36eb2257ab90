//! `traces replay` against servers that fail: a clear error, what was measured is
//! kept, and the exit code tells.

use std::net::TcpListener;
#[cfg(unix)]
use std::process::Stdio;
use std::time::Duration;

use crate::common::server::{Answer, Received, Server, anthropic, openai};
use crate::common::{self, Folder, Ran, body};
use serde_json::Value;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.trace("a.json", "2025-11-16T10:00:00.000Z", &body("a question"));
    folder
}

/// A run against a server that answers so.
fn against(answer: impl Fn(&Received, &mut Answer) + Send + Sync + 'static, more: &str) -> Ran {
    let server = Server::new(answer);
    folder().traces(&format!("replay a.json --format json --url {} {more}", server.url))
}

/// The beginning of a stream: usage and two deltas.
fn begin(answer: &mut Answer) {
    answer.stream();
    answer.events(&anthropic(&["a", "b"])[..3]);
}

/// Fails unless the run kept its first token, has no total and says what went wrong.
#[track_caller]
fn keeps_what_was_measured(ran: Ran, words: &str) {
    let ran = ran.ends_with(3).says(&[words]);
    let run = ran.json()["runs"][0].take();
    assert!(run["ttft_ms"].is_f64(), "{run}");
    assert_eq!(run["prompt_tokens"], 100);
    assert_eq!(run["output_tokens"], Value::Null, "the first event makes this number up");
    assert_eq!(run["total_ms"], Value::Null, "what did not end has no total");
    assert!(run["error"].as_str().unwrap().contains(words), "{run}");
}

#[test]
fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for more in ["", "--model m"] {
        let ran = folder().traces(&format!("replay a.json --url {address} {more}")).ends_with(2);
        ran.says(&[&format!("no connection to http://{address}"), "lms server start", "--url"]);
    }
}

/// A server that is there, but too busy to take a connection.
#[cfg(target_os = "linux")]
#[test]
fn nobody_takes_the_connection() {
    use nix::sys::socket::{Backlog, listen};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let connect = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2));
    let waiting: Vec<_> = (0..100).map(connect).map_while(Result::ok).collect();
    assert!(waiting.len() < 100, "the system queues more than it was told to");
    let line = format!("replay a.json --url {address} --connect-timeout 0.3");
    folder().traces(&line).ends_with(2).says(&["no connection", "nobody answered within 0.3 s"]);
}

#[test]
fn other_machines_are_not_sent_to() {
    for url in ["192.0.2.1:1234", "[2001:db8::1]:1234", "0.0.0.0:1234", "[::ffff:192.0.2.1]:80"] {
        for more in ["", "--model m"] {
            let ran = folder().traces(&format!("replay a.json --url http://{url} {more}")).ends_with(2);
            ran.says(&["another machine", "--allow-remote"]);
        }
    }
    for url in ["https://127.0.0.1:1", "ftp://127.0.0.1", "http://u:p@127.0.0.1:1"] {
        folder().traces(&format!("replay a.json --url {url}")).ends_with(2).says(&["--url"]);
    }
    let unknown = "replay a.json --url http://no-such-host.invalid:1234 --allow-remote";
    folder().traces(unknown).ends_with(2).says(&["no connection to http://no-such-host.invalid:1234"]);
}

/// Port 80 must not be asked instead: whoever listens there would get the prompt.
#[test]
fn a_port_or_host_that_is_none_is_a_usage_error() {
    let server = Server::new(|_, answer| begin(answer));
    for (url, problem) in [
        ("http://127.0.0.1:99999", "the port `99999` is not a number from 1 to 65535"),
        ("http://127.0.0.1:65536", "the port `65536`"),
        ("http://127.0.0.1:0", "the port `0`"),
        ("http://127.0.0.1:-1", "the port `-1`"),
        ("http://127.0.0.1:1e2", "the port `1e2`"),
        ("http://127.0.0.1:", "the port ``"),
        ("http://[::1]:99999/v1", "the port `99999`"),
        ("http://[::1", "a `]` is missing"),
        ("http://:1234", "it has no host"),
        ("http://127.0.0.256:1234", "not an IPv4 address"),
        ("1234", "not an IPv4 address"),
    ] {
        for more in ["--model m", "--allow-remote"] {
            let ran = folder().traces(&format!("replay a.json --url {url} {more}")).ends_with(2);
            ran.says(&["--url", &format!("`{url}`"), problem, "write http://127.0.0.1:1234"]);
        }
    }
    assert!(server.received().is_empty());
}

/// Runs with so little memory that what is not bounded does not fit.
#[cfg(target_os = "linux")]
fn in_little_memory(url: &str, more: &str) -> Ran {
    let folder = folder();
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(folder.path()).env("HOME", folder.path());
    shell.args(["-c", "ulimit -v 500000 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_traces")]);
    common::run(shell, &format!("replay a.json --format json --url {url} {more}"), &[] as &[&str])
}

#[cfg(not(target_os = "linux"))]
fn in_little_memory(url: &str, more: &str) -> Ran {
    folder().traces(&format!("replay a.json --format json --url {url} {more}"))
}

#[test]
fn a_stream_that_never_ends_is_ended() {
    let delta =
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n";
    for (stream, problem) in [
        (delta, "does not end: more than 10004 events for at most 1 output tokens"),
        ("data: {}\n\n", "does not end: more than 10004 events"),
        (": keepalive\n\n", "does not end: more than 16 MB"),
        ("event: ping\ndata: {\"type\":\"ping\"}\n\n", "does not end: more than 16 MB"),
        ("\n", "does not end: more than 16 MB"),
        ("x", "longer than 8 MB"),
        ("data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", "longer than 8 MB"),
    ] {
        let server = Server::new(move |_, answer| {
            begin(answer);
            answer.endless(stream.repeat(1 + (1 << 16) / stream.len()));
        });
        let ran = in_little_memory(&server.url, "--max-tokens 1 --show-text");
        keeps_what_was_measured(ran, problem);
    }
}

/// The same before the stream begins.
#[test]
fn an_answer_that_never_ends_is_ended() {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    for (begins, goes_on, problem) in [
        (format!("{head}x: "), "x", "the connection broke"),
        (head.to_owned(), "x: y\r\n", "the connection broke"),
        (String::new(), "HTTP/1.1 102 Processing\r\n\r\n", "the connection broke"),
        (format!("{head}transfer-encoding: chunked\r\n\r\n"), "0", "the connection broke"),
        (format!("{head}\r\n{{"), " ", "larger than 16 MB"),
        ("HTTP/1.1 500 Oops\r\n\r\n".to_owned(), "oops ", "larger than 16 MB"),
    ] {
        let answers = move |answer: &mut Answer| {
            answer.write(&begins);
            answer.endless(goes_on.repeat((1 << 16) / goes_on.len()));
        };
        let (models, same) = (answers.clone(), answers);
        let server = Server::new(move |_, answer| same(answer));
        in_little_memory(&server.url, "--timeout 1.5").ends_with(2).says(&[problem]);
        let server = Server::with_models(move |_, answer| models(answer), |_, answer| begin(answer));
        let ran = in_little_memory(&server.url, "--timeout 1.5").ends_with(2);
        // Some servers break the connection where they have no list.
        ran.says(&[if problem.contains("broke") { "does not list its models" } else { problem }]);
        assert!(server.received().is_empty());
    }
}

#[test]
fn refusals_in_the_server_s_own_words() {
    for (status, document, words) in [
        (
            "401 Unauthorized",
            r#"{"error":{"message":"a token is needed"}}"#,
            "answers 401: a token is needed",
        ),
        ("400 Bad Request", r#"{"type":"error","error":{"message":"too long"}}"#, "answers 400: too long"),
        ("404 Not Found", r#"{"type":"error","error":{"message":"no model m"}}"#, "answers 404: no model m"),
        ("500 Oops", "<b>broken</b>", "answers 500: <b>broken</b>"),
        ("503 Busy", "", "answers 503"),
        (
            "200 OK",
            r#"{"error":{"message":"context length exceeded"}}"#,
            "answers 200: context length exceeded",
        ),
        ("200 OK", r#"{"error":"no models loaded"}"#, "answers 200: no models loaded"),
    ] {
        let ran = against(move |_, answer| answer.document(status, document), "").ends_with(2).says(&[words]);
        assert!(ran.json()["runs"][0]["error"].as_str().unwrap().contains(words));
    }
    let evil = |_: &Received, answer: &mut Answer| answer.document("500 Oops", "\u{1b}[31mred\u{202e}");
    let ran = against(evil, "").ends_with(2).says(&["[31mred"]);
    assert!(!ran.stderr.contains('\u{1b}') && !ran.stderr.contains('\u{202e}'));
}

#[test]
fn a_server_with_neither_api() {
    let ran = against(|_, answer| answer.document("404 Not Found", "404 page not found"), "").ends_with(2);
    ran.says(&["no answer at /v1/chat/completions: 404 page not found"]);
    let page = |_: &Received, answer: &mut Answer| answer.document("200 OK", "<html>Hello</html>");
    against(page, "").ends_with(2).says(&["no event stream"]);
}

#[test]
fn redirects_are_not_followed() {
    let server = Server::new(|_, answer| {
        answer.write("HTTP/1.1 307 Moved\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n");
    });
    let ran = folder().traces(&format!("replay a.json --url {}", server.url)).ends_with(2);
    ran.says(&["answers 307", "http://192.0.2.1/", "not followed"]);
    assert_eq!(server.received().len(), 1);
}

#[test]
fn the_connection_ends_inside_the_stream() {
    keeps_what_was_measured(against(|_, answer| begin(answer), ""), "before its closing event");
    // The same where the length was promised.
    let cut = |_: &Received, answer: &mut Answer| {
        answer.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\n");
        answer.events(&anthropic(&["a", "b"])[..3]);
    };
    keeps_what_was_measured(against(cut, ""), "the connection broke");
    against(|_, _| (), "").ends_with(2).says(&["the connection broke"]);
}

/// Fails unless a server is given up that begins an answer and then goes on like this.
/// On a busy machine the beginning may take its time: patience grows until it is heard.
#[track_caller]
fn is_given_up(goes_on: fn(&mut Answer)) {
    for patience in [0.5, 2.5, 12.5, 60.5] {
        let begins = move |_: &Received, answer: &mut Answer| {
            begin(answer);
            goes_on(answer);
        };
        let ran = against(begins, &format!("--timeout {patience}"));
        if ran.json()["runs"][0]["ttft_ms"].is_f64() || patience > 60.0 {
            return keeps_what_was_measured(ran, &format!("no event of an answer came for {patience} s"));
        }
    }
}

#[test]
fn the_stream_stalls() {
    is_given_up(Answer::stall);
    let silent = |_: &Received, answer: &mut Answer| answer.stall();
    against(silent, "--timeout 0.2").ends_with(2).says(&["no event of an answer came for 0.2 s"]);
}

#[test]
fn comments_and_pings_do_not_break_a_silence() {
    is_given_up(|answer| {
        while answer.is_heard(": keepalive\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n") {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn an_answer_that_is_no_stream_may_be_cut_inside_a_character() {
    let document = |mark| format!("{mark} {{\"error\":{{\"message\":\"für “fake” fehlt der Speicher\"}}}}");
    for document in ["", "\u{feff}"].map(document) {
        let refuses = move |_: &Received, answer: &mut Answer| {
            let (first, rest) = document.as_bytes().split_at(document.find('ü').unwrap() + 1);
            answer.stream();
            answer.write(first);
            std::thread::sleep(Duration::from_millis(100));
            answer.write(rest);
        };
        against(refuses, "").ends_with(2).says(&["für “fake” fehlt der Speicher"]);
    }
}

#[test]
fn garbage_in_the_stream() {
    let garbage = |_: &Received, answer: &mut Answer| {
        begin(answer);
        answer.write("data: {a secret\n\n");
    };
    let ran = against(garbage, "");
    assert!(!ran.stdout.contains("secret") && !ran.stderr.contains("secret"));
    keeps_what_was_measured(ran, "an event that is no JSON");
    let error = |_: &Received, answer: &mut Answer| {
        begin(answer);
        answer
            .write("event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"out of memory\"}}\n\n");
    };
    keeps_what_was_measured(against(error, ""), "the server broke off: out of memory");
    let huge = |_: &Received, answer: &mut Answer| {
        begin(answer);
        answer.write(vec![b'x'; 9 << 20]);
    };
    keeps_what_was_measured(against(huge, ""), "longer than 8 MB");
    let garbled = |_: &Received, answer: &mut Answer| answer.write("not HTTP at all\r\n\r\n");
    against(garbled, "").ends_with(2).says(&["the connection broke"]);
}

#[test]
fn events_in_any_pieces_with_any_line_ends() {
    for eol in ["\n", "\r\n", "\r"] {
        let bytewise = move |_: &Received, answer: &mut Answer| {
            answer.stream();
            let stream = format!(": hello\n\n{}", openai(&["é", "日", "😀"])).replace('\n', eol);
            stream.as_bytes().chunks(1).for_each(|byte| answer.write(byte));
        };
        let run = against(bytewise, "--api openai --show-text").ends_with(0).json()["runs"][0].take();
        assert_eq!(run["text"], "é日😀");
        assert_eq!((&run["output_tokens"], &run["prompt_tokens"]), (&3.into(), &100.into()));
    }
}

#[test]
fn one_bad_run_of_several_is_3_and_the_rest_counts() {
    let server = Server::new({
        let count = std::sync::atomic::AtomicUsize::new(0);
        move |_: &Received, answer: &mut Answer| {
            answer.stream();
            let all = anthropic(&["a", "b"]);
            let is_second = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1;
            answer.events(if is_second { &all[..1] } else { &all });
        }
    });
    let line = format!("replay a.json --repeat 3 --format json --url {}", server.url);
    let ran = folder().traces(&line).ends_with(3).says(&["run 2: the stream ended before"]);
    let found = ran.json();
    let errors: Vec<bool> =
        found["runs"].as_array().unwrap().iter().map(|run| run["error"].is_null()).collect();
    assert_eq!(errors, [true, false, true]);
    assert!(found["median"]["total_ms"].is_f64());
}

#[test]
fn an_answer_in_one_piece_has_a_total_but_no_first_token() {
    let whole = r#"{"type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":4}}"#;
    let run =
        against(move |_, answer| answer.document("200 OK", whole), "").ends_with(0).json()["runs"][0].take();
    assert!(run["total_ms"].is_f64() && run["ttft_ms"].is_null(), "{run}");
    assert_eq!((&run["prompt_tokens"], &run["output_tokens"]), (&9.into(), &4.into()));
}

#[test]
fn a_token_that_is_missing_or_no_header_is_told_without_its_value() {
    let server = Server::new(|_, answer| begin(answer));
    let folder = folder();
    let line = format!("replay a.json --url {} --token-env NO_SUCH_TOKEN", server.url);
    folder.traces(&line).ends_with(2).says(&["--token-env", "NO_SUCH_TOKEN"]);
    let mut command = common::program(folder.path());
    command.env("BAD_TOKEN", "sk-secret\n");
    let line = format!("replay a.json --url {} --token-env BAD_TOKEN", server.url);
    let ran = common::run(command, &line, &[] as &[&str]).ends_with(2).says(&["no HTTP header"]);
    assert!(!ran.stderr.contains("sk-secret"));
}

#[test]
fn what_was_not_measured_is_not_saved() {
    let server = Server::new(|_, answer| answer.document("500 Oops", "no"));
    let folder = folder();
    let ran = folder.traces(&format!("replay a.json --save out.json --url {}", server.url)).ends_with(2);
    assert_eq!(ran.stdout, "");
    assert!(!folder.path().join("out.json").exists());
}

/// A server that closes the connection where another has a path.
#[test]
fn a_list_of_models_that_breaks_is_no_list() {
    let models = |received: &Received, answer: &mut Answer| {
        if received.path == "/v1/models" {
            answer.document("200 OK", r#"{"data":[{"id":"plain"}]}"#);
        }
    };
    let server = Server::with_models(models, |_, answer| {
        answer.stream();
        answer.events(&anthropic(&["a"]));
    });
    let found =
        folder().traces(&format!("replay a.json --format json --url {}", server.url)).ends_with(0).json();
    assert_eq!(found["model"], "plain");
}

/// Ctrl-C before anything was sent.
#[cfg(unix)]
#[test]
fn interrupted_early() {
    let (sender, began) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let models = move |_: &Received, answer: &mut Answer| {
        sender.lock().unwrap().send(()).unwrap();
        answer.stall();
    };
    let server = Server::with_models(models, |_, answer| begin(answer));
    let folder = folder();
    let mut command = common::program(folder.path());
    command.args(["replay", "a.json", "--url", &server.url]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    began.recv_timeout(common::HANGS).unwrap();
    common::terminal::interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(output.stdout.is_empty() && server.received().is_empty());
}

/// Ctrl-C prints what was measured.
#[cfg(unix)]
#[test]
fn interrupted() {
    for begins in [true, false] {
        let server = Server::new(move |_, answer| {
            if begins {
                begin(answer);
            }
            answer.stall();
        });
        let folder = folder();
        let mut command = common::program(folder.path());
        command.args("replay a.json --repeat 5 --format json --url".split(' ')).arg(&server.url);
        command.env("TERM", "xterm-256color");
        // The terminal shows when what was sent is read.
        let mut terminal = common::terminal::Terminal::start_with_stdout(command, 80, Stdio::piped());
        let words = if begins { "first token after" } else { "waiting for the first token" };
        assert!(terminal.shows(words), "{:?}", terminal.end().0);
        terminal.interrupt();
        let output = terminal.end().1.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["interrupted"], true);
        assert_eq!(found["runs"].as_array().unwrap().len(), 1);
        assert_eq!(found["runs"][0]["error"], "interrupted");
        assert_eq!(found["runs"][0]["ttft_ms"].is_f64(), begins, "{found}");
    }
}
