//! The front door: open a recording, ask it a question.
//!
//! [`Recording`] holds what was read of some folders. Each question is one call; what
//! [`Reader`] selects can be asked the same by the functions of
//! [`answers`].

pub mod answers;
mod builder;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub use builder::RecordingBuilder;

use crate::analysis::diff::Diff;
use crate::analysis::explain::Explanation;
use crate::analysis::list::RequestList;
use crate::analysis::prefix::PrefixReport;
use crate::analysis::report::Report;
use crate::analysis::show::RequestDetail;
use crate::analysis::summary::Summary;
use crate::analysis::timing::TimingReport;
use crate::analysis::what_if::{Change, UnknownName, WhatIf};
use crate::error::Error;
use crate::findings::Finding;
use crate::model::group::Grouping;
use crate::model::request::{Kind, Request, Run};
use crate::model::scope::KindFilter;
use crate::recording::join::UnmatchedLogRequest;
use crate::select::{
    Lookback, OneOrTwoSides, Pool, Reader, Result, SelectError, SelectedSide, Selection, unreadable,
};

/// Everything that was read of one or several roots: folders that hold `traces/`, `logs/`
/// and `request-logs/`. A folder of traces, or one trace, does as well.
///
/// Requests have their models and times by the logs beside them, and the parts of their
/// times by the model of [`cost`](crate::cost). A damaged file hides no other: it is in
/// [`skipped`](Self::skipped).
///
/// Where a question takes a request or a group of them, it is a string as the command
/// line takes it: the path of a trace or its bare name, `latest`, `latest~2`,
/// `model:NAME`, `session:ID`, `run:ID`; names may be cut to a unique part. What is
/// none of these, and no path, is taken as a unique part of the name of a model.
///
/// ```
/// # let root = tempfile::tempdir()?;
/// # let root = root.path();
/// # std::fs::create_dir(root.join("traces"))?;
/// # let trace = r#"{"timestamp": "2025-11-16T22:27:59.000Z", "mode": "lmstudio", "request": {"body": {"system": "Be brief.",
/// #   "tools": [{"name": "Bash"}], "messages": [{"role": "user", "content": "Hello"}]}}}"#;
/// # std::fs::write(root.join("traces/a.json"), trace)?;
/// use anyclaude_traces::Recording;
///
/// let recording = Recording::open(root)?;
/// for request in recording.requests() {
///     println!("{}: {} bytes", request.path.as_ref().display(), request.sizes.body_bytes);
/// }
/// assert_eq!(recording.summary()?.totals.requests, 1);
/// assert_eq!(recording.show("latest")?.tools[0].name.as_deref(), Some("Bash"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Recording {
    reader: Reader,
    pool: Pool,
}

impl Recording {
    /// Reads the root of a recording, such as `~/.anyclaude`, with what the defaults of
    /// [`RecordingBuilder`] say.
    ///
    /// # Errors
    ///
    /// When there is no such folder, or nothing is recorded in it.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Self::builder().root(root).open()
    }

    /// Says what else is to be read, or less.
    pub fn builder() -> RecordingBuilder {
        RecordingBuilder::default()
    }

    /// The requests of every kind, by time, then path.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.pool.requests
    }

    /// The files that could not be used.
    #[must_use]
    pub fn skipped(&self) -> &[Error] {
        &self.pool.skipped
    }

    /// The processes of anyclaude that the logs tell of, in order of time.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.pool.joined.runs.iter().map(AsRef::as_ref)
    }

    /// Requests of which there is a log and no trace, in order of time.
    #[must_use]
    pub fn unmatched_log_requests(&self) -> &[UnmatchedLogRequest] {
        &self.pool.joined.unmatched
    }

    /// All requests, with their tokens.
    ///
    /// # Errors
    ///
    /// When no request passes the filters.
    pub fn list(&self) -> Result<RequestList> {
        Ok(answers::list(&self.reader, self.all(KindFilter::All)?))
    }

    /// What the conversations looked like, by model.
    ///
    /// # Errors
    ///
    /// When no request passes the filters.
    pub fn summary(&self) -> Result<Summary> {
        self.summary_by(&Grouping::by_model())
    }

    /// What the conversations looked like, grouped by something else.
    ///
    /// # Errors
    ///
    /// When no request passes the filters.
    pub fn summary_by(&self, grouping: &Grouping) -> Result<Summary> {
        Ok(answers::summary(&self.reader, &mut self.all(CONVERSATION)?, grouping))
    }

    /// How long everything took, by model, and what the logs do not tell.
    ///
    /// # Errors
    ///
    /// When no request passes the filters.
    pub fn timing(&self) -> Result<TimingReport> {
        let kind = self.reader.kind_or(CONVERSATION);
        Ok(answers::timing(self.reader.store(), self.all(KindFilter::All)?, kind, &Grouping::by_model()))
    }

    /// What a prompt cache could have reused of each request, and what broke it.
    ///
    /// # Errors
    ///
    /// When no request passes the filters.
    pub fn prefix(&self) -> Result<PrefixReport> {
        let mut selection = self.all(KindFilter::All)?;
        Ok(answers::prefix(&self.reader, &mut selection, answers::PrefixOptions::default()))
    }

    /// The newest request of a selector, taken apart.
    ///
    /// # Errors
    ///
    /// When the selector names nothing, or the file cannot be read any more.
    pub fn show(&self, selector: impl AsRef<OsStr>) -> Result<RequestDetail> {
        let mut selection = self.select(selector.as_ref())?;
        selection.keep_newest();
        answers::show(&self.reader, &mut selection, false)
    }

    /// Two requests or two groups of them, side by side.
    ///
    /// # Errors
    ///
    /// When a selector names nothing, or a file cannot be read any more.
    pub fn diff(&self, left: impl AsRef<OsStr>, right: impl AsRef<OsStr>) -> Result<Diff> {
        let sides = [self.side(left.as_ref())?, self.side(right.as_ref())?];
        Ok(answers::diff(&self.reader, [&sides[0], &sides[1]], false)?)
    }

    /// Where the slower of two groups lost its time.
    ///
    /// ```no_run
    /// use anyclaude_traces::Recording;
    ///
    /// let found = Recording::open("/home/me/.anyclaude")?.explain("gpt-oss", "qwen3")?;
    /// println!("{}", found.verdict.headline);
    /// # Ok::<(), anyclaude_traces::select::SelectError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When a selector names nothing, or a file cannot be read any more.
    pub fn explain(&self, fast: impl AsRef<OsStr>, slow: impl AsRef<OsStr>) -> Result<Explanation> {
        let (left, right) = (self.side(fast.as_ref())?, self.side(slow.as_ref())?);
        let scope = self.reader.whole_scope(self.pool.seen as u64);
        self.explain_sides(OneOrTwoSides { left, right: Some(right), skipped: Vec::new(), scope })
    }

    /// Where the slower of the two models used last lost its time; of one model alone,
    /// where its time goes.
    ///
    /// # Errors
    ///
    /// When no request passes the filters, or a file cannot be read any more.
    pub fn explain_models(&self) -> Result<Explanation> {
        let selection = self.all(CONVERSATION)?;
        self.explain_sides(OneOrTwoSides::of_models(selection, self.reader.kind_or(CONVERSATION)))
    }

    /// What the turns of a group would take with a change, beside what they took.
    ///
    /// ```no_run
    /// use anyclaude_traces::Recording;
    /// use anyclaude_traces::analysis::what_if::Change;
    ///
    /// let mut change = Change::default();
    /// change.without_servers.push("github".to_owned());
    /// let found = Recording::open("/home/me/.anyclaude")?.what_if("qwen3", change)?;
    /// println!("{:?}", found.models[0].cold_read);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the selector names nothing, or the change names a tool or a server that no
    /// request offers.
    pub fn what_if(
        &self,
        selector: impl AsRef<OsStr>,
        change: Change,
    ) -> std::result::Result<WhatIf, WhatIfError> {
        let left = self.side(selector.as_ref())?;
        let scope = self.reader.whole_scope(self.pool.seen as u64);
        let mut sides = OneOrTwoSides { left, right: None, skipped: Vec::new(), scope };
        Ok(answers::what_if(&self.reader, &mut sides, change)?)
    }

    fn explain_sides(&self, mut sides: OneOrTwoSides) -> Result<Explanation> {
        sides.skipped.clear();
        let found = answers::explain(&self.reader, &mut sides, None);
        sides.skipped.pop().map_or(Ok(found), |unreadable| Err(unreadable.into()))
    }

    /// What costs time in the conversations, and what to do about it: the dearest first.
    ///
    /// # Errors
    ///
    /// When no request passes the filters.
    pub fn findings(&self) -> Result<Vec<Finding>> {
        self.summary().map(|summary| summary.findings)
    }

    /// All that one page tells of the conversations.
    ///
    /// # Errors
    ///
    /// When no request passes the filters, or a file cannot be read any more.
    pub fn report(&self) -> Result<Report> {
        let selection = self.all(CONVERSATION)?;
        Ok(answers::report(
            &self.reader,
            selection,
            self.reader.kind_or(CONVERSATION),
            answers::ReportOptions::default(),
        )?)
    }

    /// Everything that the filters admit; requests of this kind where they name none.
    fn all(&self, default_kind: KindFilter) -> Result<Selection> {
        self.reader.scoped(self.pool.clone(), self.reader.kind_or(default_kind), Lookback::Whole)
    }

    /// What a selector selects of what was read; a file or folder besides is read.
    fn select(&self, input: &OsStr) -> Result<Selection> {
        let selector = self.reader.selector_among(input, true)?;
        self.reader.select_among(&self.pool, &selector, CONVERSATION)
    }

    fn side(&self, input: &OsStr) -> Result<SelectedSide> {
        let selection = self.select(input)?;
        if selection.requests.is_empty() {
            return Err(unreadable(input, &selection.skipped));
        }
        Ok(SelectedSide::of_selection(OsString::from(input).to_string_lossy().into_owned(), selection))
    }
}

/// Why nothing is predicted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhatIfError {
    /// The selector names nothing.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The change names what no request offers.
    #[error(transparent)]
    Name(#[from] UnknownName),
}

const CONVERSATION: KindFilter = KindFilter::Only(Kind::Conversation);
