//! Requests to a server, and the beginnings of its answers.

use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use ureq::http::{HeaderValue, Request, Response, request};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Body, BodyReader};

use crate::address::BaseUrl;
use crate::connection::{Connection, TcpConnector};
use crate::error::Error;
use crate::progress::ProgressHandle;

/// The largest answer that is read where it is not a stream.
const MAX_DOCUMENT_BYTES: u64 = 16_000_000;

/// How long a server may take for a list of its models.
const MODELS_TIMEOUT: Duration = Duration::from_secs(30);

/// How to reach a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerAccess {
    pub(crate) url: BaseUrl,
    pub(crate) allow_remote: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) token: Option<HeaderValue>,
    pub(crate) progress: Arc<ProgressHandle>,
}

/// The header for a token, marked so that nothing prints it.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| Error::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// An answer whose body is still to come.
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    location: Option<String>,
    body: BodyReader<'static>,
    connection: Arc<Connection>,
}

impl ServerAccess {
    /// Asks for a JSON document; `None` where the server has none there.
    pub(crate) fn get(&self, path: &str) -> Result<Option<Value>, Error> {
        let request = self.request(Request::get(self.url.at(path)))?;
        let mut answer = self.run(request.body(()).map_err(broken)?, self.timeout.min(MODELS_TIMEOUT))?;
        let document = serde_json::from_str(&answer.document()?).ok();
        Ok(document.filter(|_| answer.status == 200))
    }

    /// Sends a body.
    pub(crate) fn post(&self, path: &str, body: &str) -> Result<HttpAnswer, Error> {
        let request = self.request(Request::post(self.url.at(path)))?;
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream, application/json")
            .header("anthropic-version", "2023-06-01");
        self.run(request.body(body.to_owned()).map_err(broken)?, self.timeout)
    }

    fn request(&self, request: request::Builder) -> Result<request::Builder, Error> {
        let Some(token) = &self.token else { return Ok(request) };
        Ok(request.header(AUTHORIZATION, token.clone()))
    }

    fn run(&self, request: Request<impl ureq::AsSendBody>, timeout: Duration) -> Result<HttpAnswer, Error> {
        let connection =
            Connection::new(Arc::clone(&self.progress), self.allow_remote, self.connect_timeout, timeout);
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .timeout_resolve(self.resolve_timeout())
            .user_agent(concat!("lmstudio-replay/", env!("CARGO_PKG_VERSION")))
            .build();
        let connector = TcpConnector(Arc::clone(&connection));
        let agent = Agent::with_parts(config, connector, DefaultResolver::default());
        let answer = agent.run(request).map_err(|error| self.error(&connection, error))?;
        Ok(HttpAnswer::new(answer, connection))
    }

    /// How long it may take to look the name up. With a limit, ureq does that on a thread of
    /// its own, and panics where the system allows none.
    fn resolve_timeout(&self) -> Option<Duration> {
        let thread = thread::Builder::new().spawn(|| ()).ok()?;
        thread.join().ok().map(|()| self.connect_timeout)
    }

    fn error(&self, connection: &Connection, error: ureq::Error) -> Error {
        connection.take_error().unwrap_or_else(|| match connection.sent() {
            Some(_) => Error::Broken(reason(error)),
            None => Error::UnknownHost { url: self.url.to_string(), reason: reason(error) },
        })
    }
}

/// What went wrong, in the system's own words where there are some.
fn reason(error: ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn broken(error: impl ToString) -> Error {
    Error::Broken(error.to_string())
}

impl HttpAnswer {
    fn new(answer: Response<Body>, connection: Arc<Connection>) -> Self {
        let location =
            answer.headers().get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
        let status = answer.status().as_u16();
        let body = answer.into_body().into_with_config().limit(u64::MAX).reader();
        Self { status, location, body, connection }
    }

    /// When the request was sent.
    pub(crate) fn sent(&self) -> Instant {
        self.connection.sent().unwrap_or_else(Instant::now)
    }

    /// Starts the timeout anew, as something came that is more than a sign of life.
    pub(crate) fn reset_timeout(&self) {
        self.connection.reset_timeout();
    }

    /// Reads what comes next; 0 at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.body.read(buffer).map_err(|error| self.connection.take_error().unwrap_or_else(|| broken(error)))
    }

    /// The error that a redirect is.
    pub(crate) fn redirect(&self) -> Option<Error> {
        let status = self.status;
        let is_redirect = (300..400).contains(&status);
        is_redirect.then(|| Error::Redirected { status, to: self.location.clone().unwrap_or_default() })
    }

    /// Reads all the rest.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = (&mut self.body).take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.connection.take_error().unwrap_or_else(|| broken(error)))?;
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(Error::TooLarge { limit_bytes: MAX_DOCUMENT_BYTES });
        }
        Ok(bytes)
    }

    /// Reads all of it as text.
    pub(crate) fn document(&mut self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.rest()?).into_owned())
    }
}
