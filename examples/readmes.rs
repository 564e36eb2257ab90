//! Compiles the Rust snippets of the READMEs, as doc tests, so that they cannot
//! rot. The examples stand beside this file, each a program of its own.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Project;

#[cfg(doctest)]
#[doc = include_str!("../crates/anyclaude-traces/README.md")]
struct Library;

#[cfg(doctest)]
#[doc = include_str!("../crates/lmstudio-replay/README.md")]
struct Replay;
