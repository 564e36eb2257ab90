//! What the user points at, and what names mean.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyclaude_traces::Request;
use anyhow::anyhow;

use crate::render::sanitize;

/// What the user pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// A file or folder.
    Path(PathBuf),
    /// The N-th request before the newest.
    Latest(usize),
    /// The requests that have this in common.
    Named(Field, String),
}

/// What requests can have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Mode,
    Model,
    Session,
    Run,
}

impl Field {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Model => "model",
            Self::Session => "session",
            Self::Run => "run",
        }
    }

    pub(crate) fn of(self, request: &Request) -> Option<&Arc<str>> {
        match self {
            Self::Mode => request.mode.as_ref(),
            Self::Model => request.model.as_ref(),
            Self::Session => request.session.as_ref(),
            Self::Run => request.run.as_ref(),
        }
    }
}

impl Selector {
    pub(crate) fn parse(input: &OsStr) -> anyhow::Result<Self> {
        let path = || Self::Path(PathBuf::from(input));
        let Some(text) = input.to_str() else { return Ok(path()) };
        if text == "latest" {
            return Ok(Self::Latest(0));
        }
        if let Some(back) = text.strip_prefix("latest~") {
            let back = back.parse().map_err(|_| anyhow!("`{text}`: write a whole number after `latest~`"))?;
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
            Self::Latest(_) | Self::Named(..) => None,
        }
    }

    /// Whether it is a file or folder, and no name.
    pub(crate) fn is_path(&self) -> bool {
        self.path().is_some()
    }

    /// Whether it means one request, not a group.
    pub(crate) fn is_single(&self) -> bool {
        match self {
            Self::Path(path) => !path.is_dir(),
            Self::Latest(_) => true,
            Self::Named(..) => false,
        }
    }
}

/// The one name among the requests that this is, or is a part of.
pub(super) fn resolve(requests: &[Request], field: Field, part: &str) -> anyhow::Result<Arc<str>> {
    let mut names: Vec<&Arc<str>> = requests.iter().filter_map(|request| field.of(request)).collect();
    names.sort();
    names.dedup();
    if let Some(exact) = names.iter().find(|name| name.as_ref() == part) {
        return Ok(Arc::clone(exact));
    }
    let matching: Vec<&&Arc<str>> = names.iter().filter(|name| name.contains(part)).collect();
    let field = field.name();
    match matching.as_slice() {
        [one] => Ok(Arc::clone(one)),
        [] if names.is_empty() => Err(anyhow!(
            "no {field} is known for any of {} requests; --label NAME=INPUT names the model of some",
            requests.len()
        )),
        [] => {
            Err(anyhow!("no {field} has `{part}` in its name; there are: {}", listed(names.iter().copied())))
        }
        several => Err(anyhow!(
            "`{part}` is part of several {field}s: {}",
            listed(several.iter().map(|name| **name))
        )),
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n Arc<str>>) -> String {
    const MOST: usize = 12;
    let names: Vec<_> = names.map(|name| sanitize::line(name)).collect();
    let shown = names.iter().take(MOST).map(AsRef::as_ref).collect::<Vec<&str>>().join(", ");
    let more = names.len().saturating_sub(MOST);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
