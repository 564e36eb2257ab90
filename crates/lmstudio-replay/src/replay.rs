//! Runs a replay: sends the request as often as planned, one run after the other.

use std::sync::Arc;
use std::time::Duration;

use crate::address::BaseUrl;
use crate::body::PreparedBody;
use crate::error::Error;
use crate::http::{ServerAccess, bearer};
use crate::measure::measure;
use crate::models::only_model;
use crate::openai::converted;
use crate::progress::ProgressHandle;
use crate::run::{Api, Cache, Figures, LeftOut, Replay, Run};

/// What to send where, and how often.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The server.
    pub url: BaseUrl,
    /// The API to use; `None` tries which one the server has.
    pub api: Option<Api>,
    /// The model to ask; `None` takes the only one that is loaded.
    pub model: Option<String>,
    /// The most tokens that an answer may have. It also bounds how much of one is read:
    /// an answer of more than `10,000 + 4 × max_tokens` events, or more than
    /// `16 MB + 8 kB × max_tokens`, fails as endless.
    pub max_tokens: u64,
    /// How many runs are counted.
    pub runs: u32,
    /// In which state the prompt cache shall be.
    pub cache: Cache,
    /// The longest silence, the wait for the first event included. Comments and
    /// pings do not break it.
    pub timeout: Duration,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// A bearer token for the server.
    pub token: Option<String>,
    /// Whether the text of answers is kept.
    pub keep_text: bool,
    /// Whether the server may be another machine.
    pub allow_remote: bool,
}

impl Plan {
    /// A plan with the defaults of `traces replay`.
    ///
    /// ```
    /// use lmstudio_replay::{Cache, Plan};
    ///
    /// let mut plan = Plan::new("http://127.0.0.1:1234".parse()?);
    /// assert_eq!((plan.max_tokens, plan.timeout.as_secs()), (256, 600));
    /// (plan.runs, plan.cache) = (3, Cache::Cold);
    /// # Ok::<(), lmstudio_replay::Error>(())
    /// ```
    #[must_use]
    pub fn new(url: BaseUrl) -> Self {
        Self {
            url,
            api: None,
            model: None,
            max_tokens: 256,
            runs: 1,
            cache: Cache::AsIs,
            timeout: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(10),
            token: None,
            keep_text: false,
            allow_remote: false,
        }
    }
}

/// Sends a recorded body (JSON in Anthropic's form) as planned, and measures the
/// answers.
///
/// A run that fails is part of the result, with what it measured before; it is the last
/// one if the next would fail in the same way.
///
/// ```
/// use std::io::{Read as _, Write as _};
/// use std::net::TcpListener;
/// use std::sync::Arc;
///
/// use lmstudio_replay::{Api, Plan, ProgressHandle, replay};
///
/// // A server that says one word, whatever it is asked.
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let url = format!("http://{}", server.local_addr()?);
/// std::thread::spawn(move || -> std::io::Result<()> {
///     let (mut stream, _) = server.accept()?;
///     let mut seen = Vec::new();
///     while !seen.windows(5).any(|bytes| bytes == b"Hello") {
///         let mut buffer = [0; 4096];
///         let length = stream.read(&mut buffer)?;
///         seen.extend_from_slice(&buffer[..length]);
///     }
///     stream.write_all(
///         b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
///           data: {\"choices\": [{\"delta\": {\"content\": \"Hi\"}}]}\n\ndata: [DONE]\n\n",
///     )
/// });
///
/// let mut plan = Plan::new(url.parse()?);
/// (plan.api, plan.model) = (Some(Api::Openai), Some("any".to_owned()));
/// let body = r#"{"messages": [{"role": "user", "content": "Hello"}]}"#;
/// let found = replay(body, &plan, &Arc::new(ProgressHandle::default()))?;
/// assert!(found.median.ttft_ms.is_some(), "{found:?}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// When no request could be sent: the body, address, token or model cannot be used, or
/// nobody answers.
pub fn replay(recorded: &str, plan: &Plan, progress: &Arc<ProgressHandle>) -> Result<Replay, Error> {
    let server = ServerAccess {
        url: plan.url.clone(),
        allow_remote: plan.allow_remote,
        connect_timeout: plan.connect_timeout,
        timeout: plan.timeout,
        token: plan.token.as_deref().map(bearer).transpose()?,
        progress: Arc::clone(progress),
    };
    progress.begin(u32::from(plan.cache != Cache::Warm), plan.runs);
    let model = plan.model.clone().map_or_else(|| only_model(&server), Ok)?;
    let body = PreparedBody::new(recorded, &model, plan.max_tokens)?;
    let mut runner = Runner { plan, server, body, api: plan.api, left_out: Vec::new(), progress };
    let mut runs = Vec::new();
    let mut interrupted = false;
    let warm_up = (plan.cache == Cache::Warm).then_some(0);
    for number in warm_up.into_iter().chain(1..=plan.runs) {
        progress.begin(number, plan.runs);
        let (mut run, error) = runner.run();
        if let Some(error) = &error {
            run.error = Some(error.to_string());
        }
        match error {
            Some(
                error @ (Error::Unreachable { .. } | Error::UnknownHost { .. } | Error::NotLoopback { .. }),
            ) if runs.is_empty() => return Err(error),
            Some(error) => {
                interrupted = matches!(error, Error::Interrupted);
                runs.push(run);
                // A cache that could not be warmed up is not warm.
                if error.is_final() || number == 0 {
                    break;
                }
            }
            None if number > 0 => runs.push(run),
            None => {}
        }
    }
    Ok(Replay {
        path: None,
        url: plan.url.to_string(),
        api: runner.api.unwrap_or(Api::Anthropic),
        model,
        cache: plan.cache,
        max_tokens: plan.max_tokens,
        left_out: runner.left_out,
        median: Figures::medians(&runs),
        runs,
        interrupted,
        comparison: None,
    })
}

struct Runner<'a> {
    plan: &'a Plan,
    server: ServerAccess,
    body: PreparedBody,
    /// The API, once it is known.
    api: Option<Api>,
    left_out: Vec<LeftOut>,
    progress: &'a ProgressHandle,
}

impl Runner<'_> {
    /// One run. Where the API is not known yet, the request itself finds out: a server
    /// without the path refuses it at once, and no model sees it.
    fn run(&mut self) -> (Run, Option<Error>) {
        if let Some(api) = self.api {
            return self.run_in(api);
        }
        let (run, error) = self.run_in(Api::Anthropic);
        let Some(Error::NoSuchPath { .. }) = error else {
            self.api = Some(Api::Anthropic);
            return (run, error);
        };
        self.api = Some(Api::Openai);
        self.run_in(Api::Openai)
    }

    fn run_in(&mut self, api: Api) -> (Run, Option<Error>) {
        let mut body =
            if self.plan.cache == Cache::Cold { self.body.cold() } else { self.body.json().to_owned() };
        if api == Api::Openai {
            (body, self.left_out) = converted(&body);
        }
        let answer = self.server.post(api.path(), &body);
        measure(api, answer, self.plan.max_tokens, self.plan.keep_text, self.progress)
    }
}
