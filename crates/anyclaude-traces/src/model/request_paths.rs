//! The files that one request was recorded in.

use std::fmt;
use std::ops::Deref;
use std::slice;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::trace_path::TracePath;

/// The files that one request was recorded in, in the order of time. Most often it is one, which
/// takes no memory of its own.
///
/// ```
/// use anyclaude_traces::Request;
///
/// let request = Request::builder("a.json").build();
/// assert_eq!(request.paths[..], [request.path.clone()]);
/// ```
#[derive(Clone)]
pub struct RequestPaths(Paths);

#[derive(Clone)]
enum Paths {
    One(TracePath),
    Any(Box<[TracePath]>),
}

impl RequestPaths {
    /// These, and behind them others.
    pub(crate) fn followed_by(self, others: &Self) -> Self {
        [&*self, &**others].concat().into()
    }
}

impl Default for RequestPaths {
    fn default() -> Self {
        Self(Paths::Any(Box::default()))
    }
}

impl From<TracePath> for RequestPaths {
    fn from(path: TracePath) -> Self {
        Self(Paths::One(path))
    }
}

impl From<Vec<TracePath>> for RequestPaths {
    fn from(paths: Vec<TracePath>) -> Self {
        match <[TracePath; 1]>::try_from(paths) {
            Ok([path]) => path.into(),
            Err(paths) => Self(Paths::Any(paths.into())),
        }
    }
}

impl Deref for RequestPaths {
    type Target = [TracePath];

    fn deref(&self) -> &[TracePath] {
        match &self.0 {
            Paths::One(path) => slice::from_ref(path),
            Paths::Any(paths) => paths,
        }
    }
}

impl fmt::Debug for RequestPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl PartialEq for RequestPaths {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for RequestPaths {}

impl Serialize for RequestPaths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RequestPaths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<TracePath>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn however_many_there_are_they_are_one_list() {
        let paths = |names: &[&str]| -> Vec<TracePath> {
            names.iter().map(|name| TracePath::new(Path::new(name))).collect()
        };
        for names in [&[] as &[&str], &["a"], &["a", "b"]] {
            let held = RequestPaths::from(paths(names));
            assert_eq!(held[..], paths(names)[..]);
            let json = serde_json::to_string(&held).unwrap();
            assert_eq!(json, serde_json::to_string(names).unwrap());
            assert_eq!(serde_json::from_str::<RequestPaths>(&json).unwrap(), held);
        }
        assert_eq!(size_of::<RequestPaths>(), size_of::<TracePath>());
    }
}
