//! Requests to a server, and the beginnings of its answers.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use ureq::http::{HeaderValue, Request, Response, request};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Body, BodyReader};

use crate::address::BaseUrl;
use crate::error::Failure;
use crate::line::{Line, LineConnector};
use crate::watch::Watch;

/// The most that is read of an answer that is no stream.
const MAX_DOCUMENT_BYTES: u64 = 16 << 20;

/// The most of a server's words that is kept.
const MAX_WORDS_CHARS: usize = 500;

/// How long a server may take for a list of its models.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// How to reach a server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) url: BaseUrl,
    pub(crate) allow_remote: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) token: Option<HeaderValue>,
    pub(crate) watch: Arc<Watch>,
}

/// A token as a header takes it, and kept out of all output.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| Failure::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// An answer whose body is still to come.
pub(crate) struct Answer {
    pub(crate) status: u16,
    location: Option<String>,
    body: BodyReader<'static>,
    line: Arc<Line>,
}

impl Server {
    /// Asks for a JSON document; `None` where the server has none there.
    pub(crate) fn get(&self, path: &str) -> Result<Option<Value>, Failure> {
        let request = self.request(Request::get(self.url.at(path)))?;
        let mut answer = self.run(request.body(()).map_err(broken)?, self.timeout.min(LIST_TIMEOUT))?;
        let document = serde_json::from_str(&answer.document()?).ok();
        Ok(document.filter(|_| answer.status == 200))
    }

    /// Sends a body.
    pub(crate) fn post(&self, path: &str, body: &str) -> Result<Answer, Failure> {
        let request = self.request(Request::post(self.url.at(path)))?;
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream, application/json")
            .header("anthropic-version", "2023-06-01");
        self.run(request.body(body.to_owned()).map_err(broken)?, self.timeout)
    }

    fn request(&self, request: request::Builder) -> Result<request::Builder, Failure> {
        let Some(token) = &self.token else { return Ok(request) };
        Ok(request.header(AUTHORIZATION, token.clone()))
    }

    fn run(&self, request: Request<impl ureq::AsSendBody>, silence: Duration) -> Result<Answer, Failure> {
        let line = Line::new(Arc::clone(&self.watch), self.allow_remote, self.connect_timeout, silence);
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .timeout_resolve(Some(self.connect_timeout))
            .user_agent(concat!("lmstudio-replay/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::with_parts(config, LineConnector(Arc::clone(&line)), DefaultResolver::default());
        let answer = agent.run(request).map_err(|error| self.failure(&line, error))?;
        Ok(Answer::new(answer, line))
    }

    fn failure(&self, line: &Line, error: ureq::Error) -> Failure {
        line.take_failure().unwrap_or_else(|| match line.sent() {
            Some(_) => Failure::Broken(in_words(error)),
            // Its name could not be resolved.
            None => Failure::Unreachable { url: self.url.to_string(), reason: in_words(error) },
        })
    }
}

/// The system's own words, where there are some.
fn in_words(error: ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn broken(error: impl ToString) -> Failure {
    Failure::Broken(error.to_string())
}

impl Answer {
    fn new(answer: Response<Body>, line: Arc<Line>) -> Self {
        let location =
            answer.headers().get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
        let status = answer.status().as_u16();
        let body = answer.into_body().into_with_config().limit(u64::MAX).reader();
        Self { status, location, body, line }
    }

    /// When the request was sent.
    pub(crate) fn sent(&self) -> Instant {
        self.line.sent().unwrap_or_else(Instant::now)
    }

    /// Something of meaning came: the silence begins anew.
    pub(crate) fn heard(&self) {
        self.line.heard();
    }

    /// Reads what comes next; 0 at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        self.body.read(buffer).map_err(|error| self.line.take_failure().unwrap_or_else(|| broken(error)))
    }

    /// Where it points, of a redirect.
    pub(crate) fn redirect(&self) -> Option<Failure> {
        let status = self.status;
        let is_redirect = (300..400).contains(&status);
        is_redirect.then(|| Failure::Redirected { status, to: self.location.clone().unwrap_or_default() })
    }

    /// Reads all the rest.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let read = (&mut self.body).take(MAX_DOCUMENT_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| self.line.take_failure().unwrap_or_else(|| broken(error)))?;
        Ok(bytes)
    }

    /// Reads all of it as text.
    pub(crate) fn document(&mut self) -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(&self.rest()?).into_owned())
    }
}

/// What a server says in an error body, in any of the shapes that are in use:
/// `{"error":{"message"}}`, `{"error":"…"}`, `{"message"}`, or plain text.
pub(crate) fn words(document: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(document).ok();
    let words = match &parsed {
        Some(value) => said(value).unwrap_or_default(),
        None => document.trim(),
    };
    let mut kept: String = words.chars().take(MAX_WORDS_CHARS).collect();
    if kept.len() < words.len() {
        kept.push('…');
    }
    kept
}

/// The message of an error object.
pub(crate) fn said(value: &Value) -> Option<&str> {
    let error = value.get("error").unwrap_or(value);
    let message = error.get("message").or_else(|| error.get("error")).unwrap_or(error);
    message.as_str().or_else(|| value.get("message")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_s_own_words_are_found() {
        for (document, expected) in [
            (r#"{"error":{"message":"no","type":"x"}}"#, "no"),
            (r#"{"type":"error","error":{"type":"x","message":"no"}}"#, "no"),
            (r#"{"error":"no"}"#, "no"),
            (r#"{"message":"no"}"#, "no"),
            ("\n no \n", "no"),
            (r#"{"detail":[]}"#, ""),
            ("", ""),
        ] {
            assert_eq!(words(document), expected, "{document}");
        }
        assert_eq!(words(&"é".repeat(600)).chars().count(), 501);
    }
}
