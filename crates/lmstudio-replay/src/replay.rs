//! The replay itself: runs, one after the other.

use std::sync::Arc;
use std::time::Duration;

use crate::address::BaseUrl;
use crate::body::Body;
use crate::error::Failure;
use crate::http::{Server, bearer};
use crate::measure::measure;
use crate::models::only_model;
use crate::openai::{LeftOut, converted};
use crate::run::{Api, Cache, Figures, Replay, Run};
use crate::watch::Watch;

/// What to send where, and how often.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The server.
    pub url: BaseUrl,
    /// The form to send; `None` asks the server.
    pub api: Option<Api>,
    /// The model to ask; `None` takes the only one that is loaded.
    pub model: Option<String>,
    /// The most tokens that an answer may have.
    pub max_tokens: u64,
    /// How many runs are counted.
    pub runs: u32,
    /// What is done about the prompt cache.
    pub cache: Cache,
    /// The longest silence, the wait for the first event included. Comments and
    /// pings do not break it.
    pub timeout: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// What the server wants to see of us, if anything.
    pub token: Option<String>,
    /// Whether answers are kept.
    pub keep_text: bool,
    /// Whether the server may be another machine.
    pub allow_remote: bool,
}

impl Plan {
    /// A plan with every choice as `traces replay` makes it by itself.
    ///
    /// ```
    /// use lmstudio_replay::{Cache, Plan};
    ///
    /// let mut plan = Plan::new("http://127.0.0.1:1234".parse()?);
    /// assert_eq!((plan.max_tokens, plan.timeout.as_secs()), (256, 600));
    /// (plan.runs, plan.cache) = (3, Cache::Cold);
    /// # Ok::<(), lmstudio_replay::Failure>(())
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
/// A run that fails is part of the result, with what it measured before. Runs that
/// would fail in the same way are not tried.
///
/// ```
/// use std::io::{Read as _, Write as _};
/// use std::net::TcpListener;
/// use std::sync::Arc;
///
/// use lmstudio_replay::{Api, Plan, Watch, replay};
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
/// let found = replay(body, &plan, &Arc::new(Watch::default()))?;
/// assert!(found.median.ttft_ms.is_some(), "{found:?}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// When no request could be sent: the body, address, token or model is no good, or
/// nobody answers.
pub fn replay(recorded: &str, plan: &Plan, watch: &Arc<Watch>) -> Result<Replay, Failure> {
    let server = Server {
        url: plan.url.clone(),
        allow_remote: plan.allow_remote,
        connect_timeout: plan.connect_timeout,
        timeout: plan.timeout,
        token: plan.token.as_deref().map(bearer).transpose()?,
        watch: Arc::clone(watch),
    };
    watch.begin(u32::from(plan.cache != Cache::Warm), plan.runs);
    let model = plan.model.clone().map_or_else(|| only_model(&server), Ok)?;
    let body = Body::new(recorded, &model, plan.max_tokens)?;
    let mut runner = Runner { plan, server, body, api: plan.api, left_out: Vec::new(), watch };
    let mut runs = Vec::new();
    let mut interrupted = false;
    let warm_up = (plan.cache == Cache::Warm).then_some(0);
    for number in warm_up.into_iter().chain(1..=plan.runs) {
        watch.begin(number, plan.runs);
        let (mut run, failure) = runner.run();
        if let Some(failure) = &failure {
            run.error = Some(failure.to_string());
        }
        match failure {
            Some(failure @ (Failure::Unreachable { .. } | Failure::NotLoopback { .. }))
                if runs.is_empty() =>
            {
                return Err(failure);
            }
            Some(failure) => {
                interrupted = matches!(failure, Failure::Interrupted);
                runs.push(run);
                // A cache that could not be warmed up is not warm.
                if failure.is_final() || number == 0 {
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
    server: Server,
    body: Body,
    /// The form, once it is known.
    api: Option<Api>,
    left_out: Vec<LeftOut>,
    watch: &'a Watch,
}

impl Runner<'_> {
    /// One run. Where the form is not known yet, the request itself is the question:
    /// a server without the path refuses it at once, and no model sees it.
    fn run(&mut self) -> (Run, Option<Failure>) {
        if let Some(api) = self.api {
            return self.run_in(api);
        }
        let (run, failure) = self.run_in(Api::Anthropic);
        let Some(Failure::NoSuchPath { .. }) = failure else {
            self.api = Some(Api::Anthropic);
            return (run, failure);
        };
        self.api = Some(Api::Openai);
        self.run_in(Api::Openai)
    }

    fn run_in(&mut self, api: Api) -> (Run, Option<Failure>) {
        let mut body =
            if self.plan.cache == Cache::Cold { self.body.cold() } else { self.body.json().to_owned() };
        if api == Api::Openai {
            (body, self.left_out) = converted(&body);
        }
        let answer = self.server.post(api.path(), &body);
        measure(api, answer, self.plan.keep_text, self.watch)
    }
}
