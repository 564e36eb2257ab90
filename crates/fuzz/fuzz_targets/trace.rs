//! The parser against the oracle: both accept and say the same, or both refuse for
//! the same reason.
#![no_main]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a fuzz target fails by panicking, and takes what it needs of the oracle"
)]

use libfuzzer_sys::fuzz_target;

#[path = "../../anyclaude-traces/tests/oracle/definition.rs"]
mod definition;
#[path = "../../anyclaude-traces/tests/oracle/json.rs"]
mod json;
#[path = "../../anyclaude-traces/tests/oracle/response.rs"]
mod response;
#[path = "../../anyclaude-traces/tests/oracle/seen.rs"]
mod seen;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(seen) = seen::agreed(bytes).unwrap() {
        let bytes = |name: &str| seen.record.sizes[name].as_u64().unwrap();
        let parts = ["system_bytes", "tools_bytes", "messages_bytes", "other_bytes"].map(bytes);
        assert_eq!(parts.iter().sum::<u64>(), bytes("body_bytes"));
    }
});
