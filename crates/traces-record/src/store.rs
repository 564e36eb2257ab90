//! Writes what was received, one body a line. A line is written whole or not at all.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use crate::folder::create_file;
use crate::limits::Share;
use crate::otlp::Signal;

/// A body on its way to its file.
#[derive(Debug)]
pub(crate) struct QueuedBody {
    pub(crate) signal: Signal,
    pub(crate) body: Vec<u8>,
    /// Given back once the body is written.
    #[allow(dead_code, reason = "it is held, not used")]
    pub(crate) share: Share,
}

/// The files of one recording.
#[derive(Debug)]
pub(crate) struct LineStore {
    folder: PathBuf,
    logs: Option<LineFile>,
    traces: Option<LineFile>,
}

impl LineStore {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, logs: None, traces: None }
    }

    /// Writes a body; its file is made with its first line.
    pub(crate) fn write(&mut self, line: QueuedBody) -> io::Result<()> {
        let Some(name) = line.signal.file_name() else { return Ok(()) };
        let file = if line.signal == Signal::Logs { &mut self.logs } else { &mut self.traces };
        let file = match file {
            Some(file) => file,
            None => file.insert(LineFile { file: create_file(&self.folder.join(name))?, bytes: 0 }),
        };
        file.write(line.body)
    }
}

#[derive(Debug)]
struct LineFile {
    file: File,
    /// The length of all whole lines.
    bytes: u64,
}

impl LineFile {
    fn write(&mut self, mut body: Vec<u8>) -> io::Result<()> {
        // In JSON, line breaks stand between members only.
        body.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        body.push(b'\n');
        let written = self.file.write_all(&body);
        match written {
            Ok(()) => self.bytes += body.len() as u64,
            // The next line must not continue a part of this one.
            Err(_) => {
                self.file.set_len(self.bytes)?;
                self.file.seek(SeekFrom::Start(self.bytes))?;
            }
        }
        written
    }
}
