//! Why a request is not taken.

use serde::{Deserialize, Serialize};

/// Why the receiver refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// It is no HTTP request, or its body no OTLP in JSON.
    Malformed,
    /// The connection ended inside the request.
    Cut,
    /// It did not arrive in time.
    TooSlow,
    /// It is larger than the limits allow.
    TooLarge,
    /// As much was written as the limits allow.
    Full,
    /// There are too many connections, or too many bodies in memory.
    Busy,
    /// It names another host, or comes from a web page.
    Foreign,
    /// It asks for something else than `/v1/logs`, `/v1/traces` or `/v1/metrics`.
    UnknownPath,
    /// It is no `POST`.
    Method,
    /// Its body is not declared as JSON: probably the client sends protobuf.
    NotJson,
    /// Its body is compressed, and not by gzip.
    Encoding,
    /// It does not say how long its body is.
    Length,
}

impl Refusal {
    /// The HTTP status and its words; `None` where nobody is there to read them.
    pub(crate) fn status(self) -> Option<&'static str> {
        Some(match self {
            Self::Cut => return None,
            Self::Malformed => "400 Bad Request",
            Self::Foreign => "403 Forbidden",
            Self::UnknownPath => "404 Not Found",
            Self::Method => "405 Method Not Allowed",
            Self::TooSlow => "408 Request Timeout",
            Self::Length => "411 Length Required",
            Self::TooLarge => "413 Content Too Large",
            Self::NotJson | Self::Encoding => "415 Unsupported Media Type",
            Self::Busy => "503 Service Unavailable",
            // Exporters do not try again after this one.
            Self::Full => "507 Insufficient Storage",
        })
    }
}
