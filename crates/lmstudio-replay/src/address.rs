//! The address of the server.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ureq::http::Uri;

use crate::error::Error;

/// Where LM Studio listens by default.
pub const DEFAULT_URL: &str = "http://127.0.0.1:1234";

/// The address of a server: scheme, host and port, and a path prefix if it has one.
///
/// ```
/// use lmstudio_replay::BaseUrl;
///
/// let url: BaseUrl = "localhost:1234/v1/".parse()?;
/// assert_eq!(url.to_string(), "http://localhost:1234");
/// assert!("https://localhost:1234".parse::<BaseUrl>().is_err());
/// assert!("http://localhost:99999".parse::<BaseUrl>().is_err());
/// # Ok::<(), lmstudio_replay::Error>(())
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
    type Err = Error;

    /// Takes an address with or without `http://`, and with or without the `/v1`
    /// that clients are configured with.
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map(Self).map_err(|problem| {
            Error::Address(format!(
                "cannot use `{text}` as the address of a server: {problem}; write {DEFAULT_URL}"
            ))
        })
    }
}

fn parse(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if !scheme.eq_ignore_ascii_case("http") {
        return Err("only http:// is supported".to_owned());
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("it must not hold a name or a password".to_owned());
    }
    if path.contains(['?', '#']) {
        return Err("it must not hold a query or a fragment".to_owned());
    }
    // The `http` crate takes `:99999` for no port at all, and port 80 would be used.
    let (host, port) = split_port(authority)?;
    check_host(host)?;
    check_port(port)?;
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix("/v1").unwrap_or(path);
    let url = format!("http://{authority}{path}");
    url.parse::<Uri>().map_err(|error| error.to_string())?;
    Ok(url)
}

/// The host, and what follows its colon.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    let colon = match authority.find(']') {
        Some(bracket) => match authority.get(bracket + 1..) {
            None | Some("") => None,
            Some(rest) if rest.starts_with(':') => Some(bracket + 1),
            Some(rest) => return Err(format!("`{rest}` follows the host")),
        },
        None if authority.starts_with('[') => return Err("a `]` is missing".to_owned()),
        None if authority.parse::<Ipv6Addr>().is_ok() => {
            return Err(format!("an IPv6 address needs brackets, [{authority}]"));
        }
        None => authority.find(':'),
    };
    let Some((host, port)) = colon.and_then(|colon| authority.split_at_checked(colon)) else {
        return Ok((authority, None));
    };
    Ok((host, port.get(1..)))
}

fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("it has no host".to_owned());
    }
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or(address);
        return match address.parse::<Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("`{host}` is not an IPv6 address")),
        };
    }
    let labels = host.strip_suffix('.').unwrap_or(host);
    let is_name = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if !labels.split('.').all(is_name) {
        return Err(format!("`{host}` is not the name of a host"));
    }
    // Resolvers read `1234` and `127.1` as IPv4 addresses, which nobody means.
    let is_number = |label: &str| {
        let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
        label.bytes().all(|byte| byte.is_ascii_digit())
            || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let last = labels.rsplit('.').next().unwrap_or_default();
    if is_number(last) && labels.parse::<Ipv4Addr>().is_err() {
        return Err(format!("`{host}` is not an IPv4 address"));
    }
    Ok(())
}

fn check_port(port: Option<&str>) -> Result<(), String> {
    let Some(port) = port else { return Ok(()) };
    // `parse` alone would take `+80`.
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if is_number => Ok(()),
        _ => Err(format!("the port `{port}` is not a number from 1 to 65535")),
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
            ("HTTP://localhost:1234/", "http://localhost:1234"),
            ("http://[::1]:8080/v1", "http://[::1]:8080"),
            ("http://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]"),
            ("http://localhost/prefix/v1/", "http://localhost/prefix"),
            ("my_box.local.:1", "http://my_box.local.:1"),
            ("7b.example:65535", "http://7b.example:65535"),
            ("localhost:00080", "http://localhost:00080"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().to_string(), url);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_the_url_and_what_to_write() {
        for (text, problem) in [
            ("", "it has no host"),
            ("http://", "it has no host"),
            ("http://:1234", "it has no host"),
            ("https://localhost", "only http:// is supported"),
            ("ftp://x", "only http:// is supported"),
            ("://x", "only http:// is supported"),
            ("http://u:p@localhost", "a name or a password"),
            ("localhost?x=1", "a query"),
            ("localhost/#x", "a fragment"),
            ("a b", "`a b` is not the name of a host"),
            ("localhost:1234 ", "the port `1234 `"),
            ("http://a..b:1", "`a..b` is not the name of a host"),
            ("höst", "`höst` is not the name of a host"),
            ("http://127.0.0.1:99999", "the port `99999` is not a number from 1 to 65535"),
            ("http://127.0.0.1:65536", "the port `65536`"),
            ("http://127.0.0.1:0", "the port `0`"),
            ("http://127.0.0.1:-1", "the port `-1`"),
            ("http://127.0.0.1:+80", "the port `+80`"),
            ("http://127.0.0.1:1e2", "the port `1e2`"),
            ("http://127.0.0.1:0x50", "the port `0x50`"),
            ("http://127.0.0.1:١", "the port `١`"),
            ("http://127.0.0.1:", "the port ``"),
            ("127.0.0.1:/v1", "the port ``"),
            ("localhost:80:80", "the port `80:80`"),
            ("[::1]:", "the port ``"),
            ("[::1]:x", "the port `x`"),
            ("[::1]1234", "`1234` follows the host"),
            ("[::1", "a `]` is missing"),
            ("[::g]", "`[::g]` is not an IPv6 address"),
            ("[]:80", "`[]` is not an IPv6 address"),
            ("::1", "an IPv6 address needs brackets, [::1]"),
            ("1234", "`1234` is not an IPv4 address"),
            ("127.1:1234", "`127.1` is not an IPv4 address"),
            ("127.0.0.256", "`127.0.0.256` is not an IPv4 address"),
            ("0x7f000001", "`0x7f000001` is not an IPv4 address"),
        ] {
            let error = text.parse::<BaseUrl>().expect_err(text).to_string();
            for part in [problem, &format!("`{text}`"), "write http://127.0.0.1:1234"] {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
        assert!("localhost/a b".parse::<BaseUrl>().is_err());
    }
}
