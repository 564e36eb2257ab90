//! Where a server is.

use std::fmt;
use std::str::FromStr;

use ureq::http::Uri;

use crate::error::Failure;

/// Where LM Studio listens unless told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:1234";

/// The address of a server: scheme, host and port, and a path where it has one.
///
/// ```
/// use lmstudio_replay::BaseUrl;
///
/// let url: BaseUrl = "localhost:1234/v1/".parse()?;
/// assert_eq!(url.to_string(), "http://localhost:1234");
/// assert!("https://localhost:1234".parse::<BaseUrl>().is_err());
/// # Ok::<(), lmstudio_replay::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The URL of a path of the server, which begins with `/`.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = Failure;

    /// Takes an address with or without `http://`, and with or without the `/v1`
    /// that clients are configured with.
    fn from_str(text: &str) -> Result<Self, Failure> {
        let fail = |why: &str| Failure::Address(format!("`{text}` is no address of a server: {why}"));
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = full.parse().map_err(|_| fail("write http://127.0.0.1:1234"))?;
        if uri.scheme_str() != Some("http") {
            return Err(fail("only http:// is spoken, as local servers do"));
        }
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| fail("write http://127.0.0.1:1234"))?;
        if authority.as_str().contains('@') {
            return Err(fail("a name and password have no place in it"));
        }
        if uri.query().is_some() {
            return Err(fail("a query has no place in it"));
        }
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path);
        Ok(Self(format!("http://{authority}{path}")))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_type_them() {
        for (text, url) in [
            ("127.0.0.1:1234", "http://127.0.0.1:1234"),
            ("http://localhost:1234/", "http://localhost:1234"),
            ("http://[::1]:8080/v1", "http://[::1]:8080"),
            ("http://localhost/prefix/v1/", "http://localhost/prefix"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().to_string(), url);
        }
        for text in
            ["", "http://", "https://localhost", "ftp://x", "http://u:p@localhost", "a b", "localhost?x=1"]
        {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }
}
