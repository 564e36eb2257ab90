//! A server that answers as a test says, rightly or wrongly.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    /// All of its head, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The other end of an answer.
pub(crate) struct Answer(TcpStream);

impl Answer {
    /// A whole answer that is no stream.
    pub(crate) fn document(&mut self, status: &str, body: &str) {
        let length = body.len();
        self.write(format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ));
    }

    /// The head of a stream, which ends where the connection does.
    pub(crate) fn stream(&mut self) {
        self.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
    }

    /// Bytes, sent at once. Whoever has heard enough may be gone.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.is_heard(bytes);
    }

    /// The same; whether anybody is still there.
    pub(crate) fn is_heard(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).and_then(|()| self.0.flush()).is_ok()
    }

    /// The same bytes over and over, until the other side has gone.
    pub(crate) fn endless(&mut self, bytes: impl AsRef<[u8]>) {
        while self.0.write_all(bytes.as_ref()).is_ok() {}
    }

    /// Events with this data.
    pub(crate) fn events(&mut self, events: &[Value]) {
        for event in events {
            self.write(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("message")));
        }
    }

    /// Waits until the other side has gone.
    pub(crate) fn stall(&mut self) {
        let _ = self.0.read(&mut [0]);
    }
}

/// A running server. Its threads end with the test.
pub(crate) struct Server {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Answers POST as `answer` says; GET tells of one loaded model, `fake`.
    pub(crate) fn new(answer: impl Fn(&Received, &mut Answer) + Send + Sync + 'static) -> Self {
        let models =
            |_: &Received, answer: &mut Answer| answer.document("200 OK", &models(&["fake"]).to_string());
        Self::with_models(models, answer)
    }

    /// The same with another answer to GET.
    pub(crate) fn with_models(
        models: impl Fn(&Received, &mut Answer) + Send + Sync + 'static,
        answer: impl Fn(&Received, &mut Answer) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let (log, scripts) = (Arc::clone(&received), Arc::new((models, answer)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, scripts) = (Arc::clone(&log), Arc::clone(&scripts));
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let request = receive(&mut stream);
                    let is_get = request.head.starts_with("get ");
                    if is_get {
                        return scripts.0(&request, &mut Answer(stream));
                    }
                    log.lock().unwrap().push(request.clone());
                    scripts.1(&request, &mut Answer(stream));
                });
            }
        });
        Self { url, received }
    }

    /// What was posted so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

fn receive(stream: &mut TcpStream) -> Received {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "the head ends early: {head}");
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Received { path, head, body: String::from_utf8(body).unwrap() }
}

/// LM Studio's list, with these models loaded.
pub(crate) fn models(loaded: &[&str]) -> Value {
    let model = |id: &&str| json!({ "type": "llm", "key": id, "loaded_instances": [{ "id": id }] });
    json!({ "models": loaded.iter().map(model).collect::<Vec<_>>() })
}

/// Anthropic's events of an answer with these pieces of text.
pub(crate) fn anthropic(texts: &[&str]) -> Vec<Value> {
    let usage = json!({ "input_tokens": 30, "cache_read_input_tokens": 70, "output_tokens": 1 });
    let mut events = vec![json!({ "type": "message_start", "message": { "usage": usage } })];
    events.extend(texts.iter().map(|text| delta(json!({ "type": "text_delta", "text": text }))));
    let usage = json!({ "output_tokens": texts.len() });
    events.push(json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": usage }));
    events.push(json!({ "type": "message_stop" }));
    events
}

pub(crate) fn delta(delta: Value) -> Value {
    json!({ "type": "content_block_delta", "index": 0, "delta": delta })
}

/// OpenAI's events of an answer with these pieces of text, as they are sent.
pub(crate) fn openai(texts: &[&str]) -> String {
    let mut stream = String::new();
    for text in texts {
        stream +=
            &format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }));
    }
    let usage = json!({ "prompt_tokens": 100, "completion_tokens": texts.len() });
    let timings = json!({ "prompt_ms": 12.5, "predicted_ms": 3.0, "predicted_per_second": 9.0 });
    stream += &format!(
        "data: {}\n\n",
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] })
    );
    stream += &format!("data: {}\n\n", json!({ "choices": [], "usage": usage, "timings": timings }));
    stream + "data: [DONE]\n\n"
}
