//! Finds the requests that a selector names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{Result, SelectError};
use super::reader::Reader;
use super::selector::{Field, Selector, resolve};
use crate::model::request::{Kind, Request};
use crate::model::scope::KindFilter;
use crate::read::paths;

impl Reader {
    /// The bare name of a trace, as `list` shows it, stands for the file below a root; with or
    /// without its ending.
    pub(crate) fn found(&self, path: &Path) -> PathBuf {
        if !paths::is_missing(path) {
            return path.to_owned();
        }
        // The ending may be left out.
        let with_ending = path.file_name().map(|name| {
            let mut name = name.to_owned();
            name.push(".json");
            path.with_file_name(name)
        });
        if let Some(file) = with_ending.as_ref().filter(|file| file.is_file()) {
            return file.clone();
        }
        let is_bare = path.parent().is_some_and(|parent| parent.as_os_str().is_empty());
        let names = std::iter::once(path).chain(with_ending.as_deref()).filter(|_| is_bare);
        let mut below = names.flat_map(|name| {
            let roots = self.filter.roots.iter();
            roots.filter_map(move |root| paths::file_in_subfolders(&root.join("traces"), name))
        });
        below.next().unwrap_or_else(|| path.to_owned())
    }

    /// The newest of these requests, `back` before the last one. Whatever kinds the reader
    /// admits by default, it counts those that the user chose, else the conversation: it
    /// is the same request for every question.
    fn latest<'p>(&self, pool: &'p [Request], back: usize) -> Result<&'p Request> {
        let kind = self.filter.kind.unwrap_or(KindFilter::Only(Kind::Conversation));
        let of_kind = pool.iter().filter(|request| kind.admits(request.kind));
        let requests = of_kind.clone().count();
        of_kind.rev().nth(back).ok_or_else(|| match (requests, pool) {
            (0, []) if !self.filter.server_logs.is_empty() => {
                SelectError::NoRequestLines(self.filter.server_logs.clone())
            }
            (0, [.., newest]) => {
                let mut kinds = BTreeMap::new();
                pool.iter().for_each(|request| *kinds.entry(request.kind).or_insert(0) += 1);
                SelectError::NothingLeft { seen: pool.len(), kinds, kind, newest: newest.timestamp }
            }
            _ => SelectError::TooFewRequests { back, requests, kind },
        })
    }

    /// What this selector picks of these requests.
    pub(super) fn pick(&self, pool: &[Request], selector: &Selector) -> Result<Vec<Request>> {
        match selector {
            Selector::Path(path) => {
                let found = paths::canonical(&self.found(path));
                let folder = found.map_err(|source| SelectError::Io { path: path.clone(), source })?;
                let below = |file: &Path| paths::canonical(file).is_ok_and(|file| file.starts_with(&folder));
                let of_path = |request: &&Request| request.paths.iter().any(|file| below(file.as_ref()));
                Ok(pool.iter().filter(of_path).cloned().collect())
            }
            Selector::Latest(back) => Ok(vec![self.latest(pool, *back)?.clone()]),
            Selector::Id(id) => {
                let found: Vec<Request> = pool.iter().filter(|request| request.id == *id).cloned().collect();
                if found.is_empty() { Err(SelectError::NoSuchId(*id)) } else { Ok(found) }
            }
            Selector::Named(field, name) => named(pool, *field, name),
            Selector::Bare(word) => named(pool, Field::Model, word).map_err(|error| {
                let models = match error {
                    SelectError::NoSuchName { names, .. } => names,
                    SelectError::NoNames { .. } => Vec::new(),
                    other => return other,
                };
                SelectError::NotFound { path: word.into(), models }
            }),
        }
    }

    pub(super) fn pick_any(&self, pool: &[Request], selectors: &[Selector]) -> Result<Vec<Request>> {
        let mut picked = Vec::new();
        for selector in selectors.iter().filter(|selector| selector.path().is_none()) {
            picked.extend(self.pick(pool, selector)?);
        }
        Ok(picked)
    }
}

/// The requests with the one name that this is, or is a part of.
fn named(pool: &[Request], field: Field, part: &str) -> Result<Vec<Request>> {
    let name = resolve(pool, field, part)?;
    Ok(pool.iter().filter(|request| field.of(request) == Some(&name)).cloned().collect())
}
