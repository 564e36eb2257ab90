//! What the user points at, and what names mean.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Result, SelectError};
use crate::model::request::{Request, RequestId};

/// What the user pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// A file or folder.
    Path(PathBuf),
    /// The N-th request before the newest.
    Latest(usize),
    /// The request with this id.
    Id(RequestId),
    /// The requests that have this in common.
    Named(Field, String),
    /// The same of a model, by a word that is no path: it may be a mistyped one.
    Bare(String),
}

/// What requests can have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The proxy's mode.
    Mode,
    /// The model that ran.
    Model,
    /// The session.
    Session,
    /// The anyclaude process.
    Run,
}

impl Field {
    /// Its name in JSON and in selectors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Model => "model",
            Self::Session => "session",
            Self::Run => "run",
        }
    }

    /// What a request has of it.
    #[must_use]
    pub fn of(self, request: &Request) -> Option<&Arc<str>> {
        match self {
            Self::Mode => request.mode.as_ref(),
            Self::Model => request.model.as_ref(),
            Self::Session => request.session.as_ref(),
            Self::Run => request.run.as_ref(),
        }
    }
}

impl Selector {
    /// Reads what a user wrote.
    ///
    /// # Errors
    ///
    /// When no whole number stands after `latest~`.
    pub fn parse(input: &OsStr) -> Result<Self> {
        let path = || Self::Path(PathBuf::from(input));
        let Some(text) = input.to_str() else { return Ok(path()) };
        if text == "latest" {
            return Ok(Self::Latest(0));
        }
        if let Some(back) = text.strip_prefix("latest~") {
            let back = back.parse().map_err(|_| SelectError::NotANumber(text.to_owned()))?;
            return Ok(Self::Latest(back));
        }
        let named = [Field::Model, Field::Session, Field::Run].into_iter().find_map(|field| {
            let name = text.strip_prefix(field.name())?.strip_prefix(':')?;
            Some(Self::Named(field, name.to_owned()))
        });
        Ok(named.unwrap_or_else(path))
    }

    /// The file or folder that it is.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Latest(_) | Self::Id(_) | Self::Named(..) | Self::Bare(_) => None,
        }
    }

    /// Whether it is a file or folder, and no name.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.path().is_some()
    }

    /// Whether it means one request, not a group.
    #[must_use]
    pub fn is_single(&self) -> bool {
        match self {
            Self::Path(path) => !path.is_dir(),
            Self::Latest(_) | Self::Id(_) => true,
            Self::Named(..) | Self::Bare(_) => false,
        }
    }

    /// Whether it names a model.
    pub(super) fn is_model(&self) -> bool {
        matches!(self, Self::Named(Field::Model, _) | Self::Bare(_))
    }
}

/// The one name among the requests that this is, or is a part of.
///
/// # Errors
///
/// When no name has this part, or several have it.
pub fn resolve(requests: &[Request], field: Field, part: &str) -> Result<Arc<str>> {
    let mut names: Vec<&Arc<str>> = requests.iter().filter_map(|request| field.of(request)).collect();
    names.sort();
    names.dedup();
    if let Some(exact) = names.iter().find(|name| name.as_ref() == part) {
        return Ok(Arc::clone(exact));
    }
    let matching: Vec<&Arc<str>> = names.iter().copied().filter(|name| name.contains(part)).collect();
    match matching.as_slice() {
        [one] => Ok(Arc::clone(one)),
        [] if names.is_empty() => Err(SelectError::NoNames { field, requests: requests.len() }),
        [] => Err(SelectError::NoSuchName { field, part: part.to_owned(), names: owned(&names) }),
        several => Err(SelectError::Ambiguous {
            field,
            part: part.to_owned(),
            names: several.iter().map(|name| Arc::clone(name)).collect(),
        }),
    }
}

fn owned(names: &[&Arc<str>]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::clone(name)).collect()
}
