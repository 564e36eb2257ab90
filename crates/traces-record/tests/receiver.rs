//! The receiver, over real sockets: what exporters send, and what nobody should.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use traces_record::{Folder, Limits, Received, Receiver, Refusal};

const LOGS: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.version","value":{"stringValue":"2.1.332"}}]},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"claude_code.api_request"},"attributes":[{"key":"odd","value":{"stringValue":"\ud800"}}]}]}]}]}"#;
const SPANS: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"claude_code.interaction"},{"name":"claude_code.llm_request"}]}]}]}"#;

struct Running {
    temp: TempDir,
    receiver: Receiver,
}

impl Running {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let mut limits = Limits::default();
        change(&mut limits);
        let folder = Folder::create(&temp.path().join("recording")).unwrap();
        let receiver = Receiver::start(&folder, limits).unwrap();
        Self { temp, receiver }
    }

    fn address(&self) -> SocketAddr {
        self.receiver.address()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends bytes as they are and returns all that is answered.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // It may refuse before it has read everything.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn head(&self, path: &str, more: &str) -> String {
        format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{more}\r\n",
            self.address()
        )
    }

    fn post(&self, path: &str, body: &str) -> String {
        self.raw(
            format!("{}{body}", self.head(path, &format!("content-length: {}\r\n", body.len()))).as_bytes(),
        )
    }

    /// Ends it: what was received, and the lines of a file.
    fn end(self, file: &str) -> (Received, Vec<String>) {
        let received = self.receiver.finish();
        let text = fs::read_to_string(self.temp.path().join("recording").join(file)).unwrap_or_default();
        (received, text.lines().map(str::to_owned).collect())
    }
}

#[test]
fn a_post_is_a_line() {
    let running = Running::new();
    let answer = running.post("/v1/logs", LOGS);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{}"), "{answer}");
    assert!(running.post("/v1/traces", &SPANS.replace(':', ":\r\n ")).starts_with("HTTP/1.1 200"));
    assert!(running.post("/v1/metrics", r#"{"resourceMetrics":[{}]}"#).starts_with("HTTP/1.1 200"));
    assert!(running.address().ip().is_loopback());
    let folder = running.temp.path().join("recording");
    let received = running.receiver.finish();
    assert_eq!(fs::read_to_string(folder.join("logs.jsonl")).unwrap(), format!("{LOGS}\n"));
    let spans = fs::read_to_string(folder.join("traces.jsonl")).unwrap();
    assert_eq!(spans.lines().count(), 1);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&spans).unwrap(),
        serde_json::from_str::<serde_json::Value>(SPANS).unwrap()
    );
    let arrived = received.arrived;
    assert_eq!((arrived.events, arrived.requests, arrived.spans), (1, 1, 2));
    assert_eq!((arrived.request_spans, arrived.interaction_spans), (1, 1));
    assert_eq!(arrived.client_versions.into_iter().collect::<Vec<_>>(), ["2.1.332"]);
    assert_eq!((received.posts.len(), received.lost), (3, 0));
    assert!(received.refused.is_empty());
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["bodies", "logs.jsonl", "traces.jsonl"]);
}

#[test]
fn bodies_come_in_chunks_and_compressed() {
    let running = Running::new();
    let chunked: String = LOGS
        .as_bytes()
        .chunks(7)
        .map(|chunk| format!("{:x};x=y\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()))
        .collect();
    let head = running.head("/v1/logs", "transfer-encoding: chunked\r\n");
    assert!(
        running
            .raw(format!("{head}{chunked}0\r\nx-trailer: 1\r\n\r\n").as_bytes())
            .starts_with("HTTP/1.1 200")
    );
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(LOGS.as_bytes()).unwrap();
    let zipped = encoder.finish().unwrap();
    let more =
        format!("content-encoding: gzip\r\ncontent-length: {}\r\nexpect: 100-continue\r\n", zipped.len());
    let mut bytes = running.head("/v1/logs", &more).into_bytes();
    bytes.extend_from_slice(&zipped);
    let answer = running.raw(&bytes);
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"), "{answer}");
    assert_eq!(running.end("logs.jsonl").1, [LOGS, LOGS]);
}

#[test]
fn a_connection_takes_many_requests_at_once() {
    let running = Running::new();
    let request =
        format!("{}{LOGS}", running.head("/v1/logs", &format!("content-length: {}\r\n", LOGS.len())));
    let answer = running.raw(request.repeat(20).as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 20);
    assert_eq!(running.end("logs.jsonl").1.len(), 20);
}

#[test]
fn many_connections_lose_nothing() {
    let running = Running::new();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert!(running.post("/v1/logs", LOGS).starts_with("HTTP/1.1 200"));
                    assert!(running.post("/v1/traces", SPANS).starts_with("HTTP/1.1 200"));
                }
            });
        }
    });
    let (received, lines) = running.end("logs.jsonl");
    assert!(lines.len() == 160 && lines.iter().all(|line| line == LOGS));
    assert_eq!(received.arrived.spans, 320);
}

#[test]
fn malformed_posts_beside_good_ones_harm_nobody() {
    let running = Running::new();
    thread::scope(|scope| {
        for sender in 0..8 {
            let running = &running;
            scope.spawn(move || {
                for turn in 0..10 {
                    let (body, status) = if (sender + turn) % 2 == 0 {
                        (LOGS, "200")
                    } else {
                        (&LOGS[..LOGS.len() - 1], "400")
                    };
                    let answer = running.post("/v1/logs", body);
                    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
                }
            });
        }
    });
    let (received, lines) = running.end("logs.jsonl");
    assert!(lines.len() == 40 && lines.iter().all(|line| line == LOGS));
    assert_eq!(received.refused[&Refusal::Malformed], 40);
}

#[test]
fn what_is_wrong_is_refused_and_harms_nothing() {
    let running = Running::new();
    let host = running.address();
    assert!(host.ip().is_loopback(), "nobody else may reach it: {host}");
    let json = "content-type: application/json\r\n";
    let with = |more: &str| format!("POST /v1/logs HTTP/1.1\r\nhost: {host}\r\n{json}{more}");
    let cases = [
        ("\u{0}\u{1}garbage\r\n\r\n".to_owned(), "400", Refusal::Malformed),
        ("GET\r\n\r\n".to_owned(), "400", Refusal::Malformed),
        (with("content-length: 3\r\n\r\nno!"), "400", Refusal::Malformed),
        (with("content-length: 2\r\n\r\n{}"), "400", Refusal::Malformed),
        (with("content-length: 4\r\n\r\nnull"), "400", Refusal::Malformed),
        (with("content-length: 19\r\n\r\n{\"resourceLogs\":1}  "), "400", Refusal::Malformed),
        (with("content-length: -1\r\n\r\n"), "400", Refusal::Malformed),
        (with("content-length: +2\r\n\r\n{}"), "400", Refusal::Malformed),
        (with("content-length: 2\r\ncontent-length: 2\r\n\r\n{}"), "400", Refusal::Malformed),
        (with("content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}"), "400", Refusal::Malformed),
        (with("transfer-encoding: gzip\r\n\r\n"), "400", Refusal::Malformed),
        (with("transfer-encoding: chunked\r\n\r\nzz\r\n"), "400", Refusal::Malformed),
        (with("transfer-encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n"), "400", Refusal::Malformed),
        (with("transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n"), "413", Refusal::TooLarge),
        (with("content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}"), "400", Refusal::Malformed),
        (with("content-encoding: br\r\ncontent-length: 2\r\n\r\n{}"), "415", Refusal::Encoding),
        (with("content-length: 99999999999999999999999\r\n\r\n"), "413", Refusal::TooLarge),
        (with("content-length: 99999999999\r\n\r\n"), "413", Refusal::TooLarge),
        (with(&format!("x: {}\r\n\r\n", "y".repeat(20_000))), "413", Refusal::TooLarge),
        (with(&format!("{}\r\n", "x: y\r\n".repeat(100))), "413", Refusal::TooLarge),
        (with("\r\n{}"), "411", Refusal::Length),
        (with("origin: http://evil.example\r\ncontent-length: 2\r\n\r\n{}"), "403", Refusal::Foreign),
        (
            format!("POST /v1/logs HTTP/1.1\r\nhost: evil.example:{}\r\n\r\n", host.port()),
            "403",
            Refusal::Foreign,
        ),
        ("POST /v1/logs HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".to_owned(), "403", Refusal::Foreign),
        (
            format!("POST /v1/logs HTTP/1.1\r\nhost: {host}\r\nhost: {host}\r\n\r\n"),
            "400",
            Refusal::Malformed,
        ),
        ("POST /v1/logs HTTP/1.1\r\n\r\n".to_owned(), "400", Refusal::Malformed),
        (
            format!("POST /v1/logs HTTP/1.1\r\nhost: {host}\r\ncontent-type: text/plain\r\n\r\n"),
            "415",
            Refusal::NotJson,
        ),
        (
            format!("POST /v1/logs HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-protobuf\r\n\r\n"),
            "415",
            Refusal::NotJson,
        ),
        (format!("GET /v1/logs HTTP/1.1\r\nhost: {host}\r\n\r\n"), "405", Refusal::Method),
        (format!("OPTIONS /v1/logs HTTP/1.1\r\nhost: {host}\r\n\r\n"), "405", Refusal::Method),
        (format!("POST /../../etc/passwd HTTP/1.1\r\nhost: {host}\r\n\r\n"), "404", Refusal::UnknownPath),
        (format!("POST http://{host}/v1/logs HTTP/1.1\r\nhost: {host}\r\n\r\n"), "404", Refusal::UnknownPath),
    ];
    let mut expected = std::collections::BTreeMap::new();
    for (request, status, refusal) in cases {
        let answer = running.raw(request.as_bytes());
        let shown: String = request.chars().take(200).collect();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
        *expected.entry(refusal).or_insert(0) += 1;
    }
    // Bytes that are no text, in a member that nobody looks at.
    let body = b"{\"resourceLogs\":[],\"other\":\"\xff\"}";
    let post = [with(&format!("content-length: {}\r\n\r\n", body.len())).as_bytes(), body].concat();
    assert!(running.raw(&post).starts_with("HTTP/1.1 400 "));
    *expected.entry(Refusal::Malformed).or_insert(0) += 1;
    // A client that goes away inside its request.
    for part in
        ["POST", &with("content-length: 20\r\n\r\n{"), &with("transfer-encoding: chunked\r\n\r\n5\r\nab")]
    {
        assert_eq!(running.raw(part.as_bytes()), "");
        *expected.entry(Refusal::Cut).or_insert(0) += 1;
    }
    assert!(running.post("/v1/logs", LOGS).starts_with("HTTP/1.1 200"));
    let (received, lines) = running.end("logs.jsonl");
    assert_eq!(lines, [LOGS]);
    assert_eq!(received.refused, expected);
}

#[test]
fn a_host_may_be_called_localhost() {
    let running = Running::new();
    let port = running.address().port();
    let length = LOGS.len();
    let request = format!(
        "POST /v1/logs?x=y HTTP/1.1\r\nHost: LOCALHOST:{port}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{LOGS}"
    );
    assert!(running.raw(request.as_bytes()).starts_with("HTTP/1.1 200"));
}

#[test]
fn who_sends_slowly_is_cut_off_and_holds_nobody_up() {
    let running = Running::with(|limits| limits.request_time = Duration::from_millis(400));
    let mut slow = running.connect();
    slow.write_all(b"P").unwrap();
    let mut drip = running.connect();
    drip.write_all(running.head("/v1/logs", "content-length: 1000\r\n").as_bytes()).unwrap();
    assert!(running.post("/v1/logs", LOGS).starts_with("HTTP/1.1 200"));
    // It goes on byte by byte, which must not lengthen its time.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) && drip.write_all(b" ").is_ok() {
        thread::sleep(Duration::from_millis(20));
        if began.elapsed() > Duration::from_secs(2) {
            break;
        }
    }
    for mut stream in [slow, drip] {
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    assert_eq!(running.end("logs.jsonl").0.refused[&Refusal::TooSlow], 2);
}

#[test]
fn limits_hold() {
    // A small body that becomes large.
    let running = Running::with(|limits| limits.body_bytes = 1000);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&[b' '; 100_000]).unwrap();
    let zipped = encoder.finish().unwrap();
    let more = format!("content-encoding: gzip\r\ncontent-length: {}\r\n", zipped.len());
    let mut bytes = running.head("/v1/logs", &more).into_bytes();
    bytes.extend_from_slice(&zipped);
    assert!(zipped.len() < 1000 && running.raw(&bytes).starts_with("HTTP/1.1 413 "));
    // A large one without a length.
    let chunk = format!("1f4\r\n{}\r\n", " ".repeat(500));
    let head = running.head("/v1/logs", "transfer-encoding: chunked\r\n");
    assert!(running.raw(format!("{head}{}", chunk.repeat(3)).as_bytes()).starts_with("HTTP/1.1 413 "));
    assert_eq!(running.end("logs.jsonl").0.refused[&Refusal::TooLarge], 2);

    let running = Running::with(|limits| limits.memory_bytes = 1100);
    assert!(running.post("/v1/logs", LOGS).starts_with("HTTP/1.1 503 "));
    assert_eq!(running.end("logs.jsonl").0.refused[&Refusal::Busy], 1);

    let running = Running::with(|limits| limits.bodies = 2);
    let answers = [0; 3].map(|_| running.post("/v1/logs", LOGS)[9..12].to_owned());
    assert_eq!(answers, ["200", "200", "507"]);
    assert_eq!(running.end("logs.jsonl").1.len(), 2);

    let running = Running::with(|limits| limits.written_bytes = LOGS.len() as u64 + 5);
    let answers = [0; 2].map(|_| running.post("/v1/logs", LOGS)[9..12].to_owned());
    assert_eq!(answers, ["200", "507"]);
}

#[test]
fn too_many_connections_are_closed_and_the_others_go_on() {
    let running = Running::with(|limits| limits.connections = 2);
    let mut held = running.connect();
    let request =
        format!("{}{LOGS}", running.head("/v1/logs", &format!("content-length: {}\r\n", LOGS.len())));
    held.write_all(&request.as_bytes()[..10]).unwrap();
    let mut other = running.connect();
    other.write_all(&request.as_bytes()[..10]).unwrap();
    // The acceptor takes connections in their order.
    assert_eq!(running.raw(request.as_bytes()), "");
    for stream in [&mut held, &mut other] {
        stream.write_all(&request.as_bytes()[10..]).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    drop((held, other));
    let (received, lines) = running.end("logs.jsonl");
    assert_eq!((received.refused[&Refusal::Busy], lines.len()), (1, 2));
}

/// What a client sent before it ended counts, also where nobody has read it yet.
#[test]
fn the_end_loses_nothing_that_was_sent() {
    for _ in 0..20 {
        let running = Running::new();
        let request =
            format!("{}{LOGS}", running.head("/v1/logs", &format!("content-length: {}\r\n", LOGS.len())));
        for _ in 0..5 {
            let mut stream = running.connect();
            stream.write_all(request.as_bytes()).unwrap();
        }
        assert_eq!(running.end("logs.jsonl").1.len(), 5);
    }
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let running = Running::new();
    let _idle = running.connect();
    assert!(running.post("/v1/logs", LOGS).starts_with("HTTP/1.1 200"));
    let began = Instant::now();
    running.receiver.settle(Duration::from_millis(200), || false);
    running.end("logs.jsonl");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn it_waits_until_the_last_turn_is_reported() {
    let running = Running::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(150));
            running.post("/v1/traces", SPANS);
        });
        running.receiver.settle(Duration::from_secs(600), || false);
    });
    assert_eq!(running.receiver.arrived().interaction_spans, 1);
    // Whoever presses Ctrl-C does not wait.
    running.receiver.settle(Duration::from_secs(600), || true);
}

/// A folder that cannot be written any more.
#[test]
fn what_cannot_be_written_is_counted() {
    let running = Running::new();
    fs::create_dir(running.temp.path().join("recording/logs.jsonl")).unwrap();
    assert!(running.post("/v1/logs", LOGS).starts_with("HTTP/1.1 200"));
    assert!(running.post("/v1/traces", SPANS).starts_with("HTTP/1.1 200"));
    let (received, lines) = running.end("traces.jsonl");
    assert_eq!((received.lost, lines.len()), (1, 1));
    assert!(received.lost_because.is_some());
}
