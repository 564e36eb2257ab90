//! The parser against an oracle: the definitions of every number, written down
//! over `serde_json` without regard to speed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod corners;
mod coverage;
mod definition;
mod files;
mod generate;
mod json;
mod laws;
mod mutations;
mod response;
mod seen;
mod tree;
