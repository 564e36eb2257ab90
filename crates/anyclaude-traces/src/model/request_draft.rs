//! Requests that no file holds: for tests, and for recordings of other programs.

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::request::{Kind, ModelSource, Request, RequestId, Source, TracePath};
use crate::model::time::Timestamp;
use crate::model::timing::Timing;
use crate::model::{Amount, Bookkeeping, Sizes, ToolSize};

/// A request that is put together by hand; made by [`Request::builder`].
#[derive(Debug, Clone)]
#[must_use = "a draft becomes a request when it is told to `build`"]
pub struct RequestDraft {
    request: Request,
    kind: Option<Kind>,
    tools: Vec<ToolSize>,
}

impl Request {
    /// Begins a request that no trace holds. Whatever is not said is unknown, and sizes
    /// are 0; what is built can be changed member by member.
    ///
    /// ```
    /// use anyclaude_traces::{Kind, Request};
    ///
    /// let request = Request::builder("2025-11-16T03-20-00-000Z.json")
    ///     .timestamp("2025-11-16T03:20:00Z".parse()?)
    ///     .model("openai/gpt-oss-20b")
    ///     .tool("Bash", 900)
    ///     .timing(|timing| timing.ttft_ms = 535.into())
    ///     .build();
    /// assert_eq!(request.kind, Kind::Conversation);
    /// assert_eq!(request.sizes.tools_bytes, 902);
    /// # Ok::<(), anyclaude_traces::model::time::InvalidTimestamp>(())
    /// ```
    pub fn builder(path: impl Into<PathBuf>) -> RequestDraft {
        let path = TracePath::new(path.into());
        RequestDraft { request: Self::empty(path), kind: None, tools: Vec::new() }
    }

    /// A request of which nothing is known but its file.
    pub(crate) fn empty(path: TracePath) -> Self {
        Self {
            paths: path.clone().into(),
            path,
            id: RequestId::default(),
            source: Source::default(),
            api: None,
            timestamp: None,
            timestamp_source: None,
            mode: None,
            kind: Kind::Background,
            session: None,
            thread: None,
            run: None,
            caller: Arc::default(),
            model: None,
            model_source: None,
            sizes: Sizes::EMPTY,
            body_redacted: false,
            max_tokens: None,
            stream: false,
            tokens: None,
            timing: None,
            join: None,
            server_join: None,
            response: None,
            bookkeeping: Bookkeeping::default(),
        }
    }
}

impl RequestDraft {
    /// What recorded it; else anyclaude.
    pub fn source(mut self, source: Source) -> Self {
        self.request.source = source;
        self
    }

    /// When it was recorded.
    pub fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.request.timestamp = Some(timestamp);
        self
    }

    /// The proxy's mode.
    pub fn mode(mut self, mode: &str) -> Self {
        self.request.mode = Some(mode.into());
        self
    }

    /// Its kind; else what its path, token limit and number of tools say.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The session that it belongs to.
    pub fn session(mut self, session: &str) -> Self {
        self.request.session = Some(session.into());
        self
    }

    /// The thread that it belongs to.
    pub fn thread(mut self, thread: &str) -> Self {
        self.request.thread = Some(thread.into());
        self
    }

    /// The anyclaude process that served it.
    pub fn run(mut self, run: &str) -> Self {
        self.request.run = Some(run.into());
        self
    }

    /// The model that ran, as a label names it.
    pub fn model(mut self, model: &str) -> Self {
        self.request.model = Some(model.into());
        self.request.model_source = Some(ModelSource::Label);
        self
    }

    /// One more tool, whose definition has so many bytes.
    pub fn tool(mut self, name: &str, bytes: u64) -> Self {
        // `[a,b]`: two brackets, and a comma before each but the first.
        let with_brackets = bytes + if self.tools.is_empty() { 2 } else { 1 };
        self.tools.push(ToolSize { name: Some(name.into()), bytes });
        let sizes = &mut self.request.sizes;
        sizes.tool_count = sizes.tool_count + Amount::from(1);
        sizes.tools_bytes = sizes.tools_bytes + Amount::from(with_brackets);
        sizes.body_bytes = sizes.body_bytes + Amount::from(with_brackets);
        self
    }

    /// Sets sizes of the prompt.
    pub fn sizes(mut self, set: impl FnOnce(&mut Sizes)) -> Self {
        set(&mut self.request.sizes);
        self
    }

    /// Sets times and counts.
    pub fn timing(mut self, set: impl FnOnce(&mut Timing)) -> Self {
        set(self.request.timing.get_or_insert_default());
        self
    }

    /// The request.
    #[must_use]
    pub fn build(self) -> Request {
        let Self { mut request, kind, tools } = self;
        let of_members = || {
            Kind::of(request.caller.endpoint.as_deref(), request.max_tokens, request.sizes.tool_count.get())
        };
        request.kind = kind.unwrap_or_else(of_members);
        request.bookkeeping.tools = tools.into();
        request
    }
}
