//! The formats of other recorders by name, for the fuzz targets: no other build has this.

use super::pairs::{ClaudeCodeRouter, ClaudeTap, ClaudeTapBundle, ClaudeTrace, Har, Litellm};
use super::records::{FileRecords, read_as};
use super::source::Format;
use crate::error::ParseError;

/// A format.
#[derive(Debug, Clone, Copy)]
pub enum Recorder {
    /// HTTP Archive.
    Har,
    /// claude-tap's lines.
    ClaudeTap,
    /// claude-tap's compact bundle.
    ClaudeTapBundle,
    /// claude-trace's lines.
    ClaudeTrace,
    /// claude-code-router's log.
    ClaudeCodeRouter,
    /// LiteLLM's payloads.
    Litellm,
}

/// Reads bytes as a file of this format.
///
/// # Errors
///
/// When nothing of them can be used.
pub fn read(recorder: Recorder, bytes: &[u8]) -> Result<FileRecords, ParseError> {
    let format: &dyn Format = match recorder {
        Recorder::Har => &Har,
        Recorder::ClaudeTap => &ClaudeTap,
        Recorder::ClaudeTapBundle => &ClaudeTapBundle,
        Recorder::ClaudeTrace => &ClaudeTrace,
        Recorder::ClaudeCodeRouter => &ClaudeCodeRouter,
        Recorder::Litellm => &Litellm,
    };
    read_as(format, bytes)
}
