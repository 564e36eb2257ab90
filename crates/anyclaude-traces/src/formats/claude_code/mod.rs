//! What Claude Code records of itself: the bodies of requests and responses
//! (`OTEL_LOG_RAW_API_BODIES`), events and spans in OTLP/JSON, the index beside the bodies,
//! and transcripts.
//!
//! Each file is read by itself here; [`recording::claude_code`](crate::recording) joins
//! them. None of these formats is documented in full: what is relied on was seen with the
//! versions 2.1.197 and 2.1.332.

mod attribute;
mod body;
mod event;
mod files;
mod index;
mod response;
mod sniff;
mod span;
mod telemetry;
mod transcript;

pub(crate) use body::{REQUEST_SUFFIX, RecordedBody};
pub(crate) use event::{ClaudeCodeEvent, EventBody, EventKind};
pub(crate) use index::IndexEntry;
pub(crate) use response::RecordedResponse;
pub(crate) use sniff::recognise;
pub(crate) use span::{Interaction, ModelSpan};
pub(crate) use telemetry::Telemetry;
pub(crate) use transcript::{FailedTry, TranscriptAnswer};

use std::path::{Path, PathBuf};

use crate::formats::sniff::OPEN_INFERENCE;
use crate::model::Response;

/// Tokens as Claude Code reports them of one request. Unknown is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Tokens of the prompt that no cache held.
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) cache_read: Option<u64>,
    pub(crate) cache_creation: Option<u64>,
}

impl Usage {
    /// Tokens of the whole prompt. A prompt without tokens is one that was not counted.
    pub(crate) fn prompt(self) -> Option<u64> {
        let cached = [self.cache_read, self.cache_creation].into_iter().flatten();
        let whole = cached.fold(self.input?, u64::saturating_add);
        (whole > 0).then_some(whole)
    }

    /// This report, or where it counts no prompt, another one of the same request.
    pub(crate) fn or_counted(self, other: Self) -> Self {
        let output = self.output.or(other.output);
        if self.prompt().is_some() { self } else { Self { output, ..other } }
    }
}

impl From<&Response> for Usage {
    fn from(response: &Response) -> Self {
        Self {
            input: response.input_tokens,
            output: response.output_tokens,
            cache_read: response.cache_read_tokens,
            cache_creation: response.cache_creation_tokens,
        }
    }
}

/// What a file other than a body tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) kind: FactsKind,
    pub(crate) telemetry: Telemetry,
    pub(crate) index: Vec<IndexEntry>,
    pub(crate) answers: Vec<TranscriptAnswer>,
    pub(crate) failed_tries: Vec<FailedTry>,
    /// The file is an answer.
    pub(crate) response: Option<RecordedResponse>,
    /// Lines that should hold a fact and could not be read.
    pub(crate) unreadable_lines: u64,
}

impl Facts {
    /// The facts of a file of this kind, of which nothing is read yet.
    pub(crate) fn of(kind: FactsKind) -> Self {
        Self {
            kind,
            telemetry: Telemetry::default(),
            index: Vec::new(),
            answers: Vec::new(),
            failed_tries: Vec::new(),
            response: None,
            unreadable_lines: 0,
        }
    }
}

impl Facts {
    /// Adds what a later part of the same file tells; false where that is another kind of
    /// file.
    pub(crate) fn append(&mut self, more: Self) -> bool {
        let Self { kind, telemetry, index, answers, failed_tries, response: _, unreadable_lines } = more;
        self.kind = match (self.kind, kind) {
            (one, other) if one == other && one.may_grow() => one,
            (FactsKind::Telemetry, FactsKind::Metrics) | (FactsKind::Metrics, FactsKind::Telemetry) => {
                FactsKind::Telemetry
            }
            _ => return false,
        };
        self.telemetry.events.extend(telemetry.events);
        self.telemetry.spans.extend(telemetry.spans);
        self.telemetry.interactions.extend(telemetry.interactions);
        self.index.extend(index);
        self.answers.extend(answers);
        self.failed_tries.extend(failed_tries);
        self.unreadable_lines += unreadable_lines;
        true
    }
}

/// What sort of file facts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FactsKind {
    /// Events or spans.
    Telemetry,
    /// Spans of OpenInference, whose attributes are not read.
    OpenInference,
    /// Metrics.
    Metrics,
    /// The index beside the bodies.
    Index,
    /// An answer.
    Response,
    Transcript,
    /// What `record` notes of a recording.
    Receipt,
}

impl FactsKind {
    /// Whether lines are added to such a file.
    pub(crate) fn may_grow(self) -> bool {
        matches!(self, Self::Telemetry | Self::Metrics | Self::Index | Self::Transcript)
    }

    /// Why a file of this kind alone holds no request, and what does.
    pub(crate) fn why_no_request(self) -> &'static str {
        match self {
            Self::Telemetry => {
                "it has no event or span of a request to a model: \
                 log records with `claude_code.api_request`, or spans `claude_code.llm_request`, are read"
            }
            Self::OpenInference => OPEN_INFERENCE,
            Self::Metrics => {
                "it holds metrics, which say nothing of single requests: \
                 read the logs and traces of the same recording"
            }
            Self::Index => "it only names bodies and answers: read the folder that holds them",
            Self::Response => "it is an answer alone: read the folder that holds the request too",
            Self::Transcript => {
                "it is a transcript, which has no system prompt, no tools and no times: \
                 read it beside the recording of its session"
            }
            Self::Receipt => "it only describes a recording: read its folder",
        }
    }
}

/// The folder of the recording that a file is of: bodies and transcripts have folders of
/// their own in it.
pub(crate) fn recording_of(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new(""));
    let is_inner = folder.file_name().is_some_and(|name| name == "bodies" || name == "transcripts");
    let recording = if is_inner { folder.parent() } else { None };
    recording.unwrap_or(folder).to_owned()
}
