//! What Claude Code must be told, so that it records itself here.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::folder::Folder;

/// The variable that names the folder for bodies.
pub(crate) const RAW_BODIES: &str = "OTEL_LOG_RAW_API_BODIES";
/// Its names: programs differ in which of the two they heed.
pub(crate) const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// Loopback, as `NO_PROXY` wants it.
const LOOPBACK: &str = "127.0.0.1,localhost";

/// Variables of somebody's own telemetry: its headers and keys must not be sent here, and
/// each would win over what is set.
pub(crate) const REMOVED: [&str; 8] = [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "BETA_TRACING_ENDPOINT",
    "OTEL_SDK_DISABLED",
];

/// The variables by which Claude Code records itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// The variables for a client that is to report to this receiver and to write its
    /// bodies into this folder. `no_proxy` is what the client has of `NO_PROXY` already.
    ///
    /// Without `keeps_text`, the client is also told to leave texts out of its events, whatever
    /// else it was told.
    #[must_use]
    pub fn new(receiver: SocketAddr, folder: &Folder, no_proxy: Option<&str>, keeps_text: bool) -> Self {
        let endpoint = format!("http://{receiver}");
        let set = [
            ("CLAUDE_CODE_ENABLE_TELEMETRY", "1".to_owned()),
            ("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA", "1".to_owned()),
            ("OTEL_LOGS_EXPORTER", "otlp".to_owned()),
            ("OTEL_TRACES_EXPORTER", "otlp".to_owned()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json".to_owned()),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json".to_owned()),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json".to_owned()),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", format!("{endpoint}/v1/logs")),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{endpoint}/v1/traces")),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            // The default is 5 s: a client that is killed loses less.
            ("OTEL_LOGS_EXPORT_INTERVAL", "1000".to_owned()),
            ("OTEL_TRACES_EXPORT_INTERVAL", "1000".to_owned()),
            (RAW_BODIES, format!("file:{}", folder.bodies().display())),
        ];
        let mut variables: BTreeMap<String, String> =
            set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let no_proxy = with_loopback(no_proxy);
        for name in NO_PROXY {
            variables.insert(name.to_owned(), no_proxy.clone());
        }
        if !keeps_text {
            for name in ["USER_PROMPTS", "TOOL_DETAILS", "TOOL_CONTENT", "ASSISTANT_RESPONSES"] {
                variables.insert(format!("OTEL_LOG_{name}"), "0".to_owned());
            }
        }
        Self(variables)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Names that must not be set.
    pub fn removed(&self) -> impl Iterator<Item = &'static str> {
        REMOVED.into_iter()
    }

    /// The same as Claude Code's settings, which win over the environment.
    #[must_use]
    pub fn settings(&self) -> Value {
        json!({ "env": self.as_json() })
    }

    pub(crate) fn as_json(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect()
    }

    pub(crate) fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// What `NO_PROXY` says, and loopback.
fn with_loopback(no_proxy: Option<&str>) -> String {
    match no_proxy.map(str::trim).filter(|hosts| !hosts.is_empty()) {
        Some("*") => "*".to_owned(),
        Some(hosts) => format!("{hosts},{LOOPBACK}"),
        None => LOOPBACK.to_owned(),
    }
}

/// Whether this program is Claude Code, by its name.
#[must_use]
pub fn is_claude(program: &OsStr) -> bool {
    let stem = std::path::Path::new(program).file_stem();
    stem.is_some_and(|stem| stem.eq_ignore_ascii_case("claude"))
}
