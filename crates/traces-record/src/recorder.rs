//! A recording from its start to its receipt.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::client::{Client, SettingsNote};
use crate::error::Error;
use crate::folder::{Bodies, Folder};
use crate::limits::Limits;
use crate::mask;
use crate::otlp::Arrived;
use crate::receipt::{Exit, Receipt};
use crate::receiver::{Receiver, now};
use crate::recordings::Recording;
use crate::variables::Variables;

/// The version of a receipt's shape.
const SCHEMA_VERSION: u32 = 1;

/// Whether the bodies of requests are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// As the client wrote them.
    #[default]
    Bodies,
    /// Their sizes and hashes only: once the client has ended, every text is replaced by as
    /// much of something else.
    Sizes,
}

/// A recording that is being made.
#[derive(Debug)]
pub struct Recorder {
    folder: Folder,
    receiver: Receiver,
    variables: Variables,
    keep: Keep,
    receipt: Receipt,
}

impl Recorder {
    /// Starts to receive. `no_proxy` is what the client has of `NO_PROXY` already.
    ///
    /// # Errors
    ///
    /// There is no port, or the folder cannot be written.
    pub fn start(folder: Folder, keep: Keep, no_proxy: Option<&str>) -> Result<Self, Error> {
        let receiver = Receiver::start(&folder, Limits::default()).inspect_err(|_| folder.abandon())?;
        let variables = Variables::new(receiver.address(), &folder, no_proxy, keep == Keep::Bodies);
        let receipt = Receipt {
            schema_version: SCHEMA_VERSION,
            recording: "claude_code",
            recorder: concat!("traces ", env!("CARGO_PKG_VERSION")).to_owned(),
            started: now(),
            ended: None,
            port: receiver.address().port(),
            command: None,
            exit: None,
            variables: variables.as_map().clone(),
            no_bodies: keep == Keep::Sizes,
            bodies: Bodies::default(),
            bodies_removed: 0,
            arrived: Arrived::default(),
            posts: Vec::new(),
            posts_not_listed: 0,
            refused: BTreeMap::new(),
            lost: 0,
            lost_because: None,
        };
        // A recording that is cut off is known as one, too.
        if let Err(error) = folder.write_receipt(&receipt) {
            let _ = receiver.finish();
            folder.abandon();
            return Err(error);
        }
        Ok(Self { folder, receiver, variables, keep, receipt })
    }

    /// What a client must be told.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Where it is recorded.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a client to its end, with this program's terminal: see [`Client`]. `notes` hears
    /// why its settings could not be used, before it starts.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn run(
        &mut self,
        program: &OsStr,
        args: &[OsString],
        notes: impl FnOnce(&SettingsNote),
    ) -> io::Result<Exit> {
        self.receipt.command = Some(program.to_string_lossy().into_owned());
        let client = Client::new(program, args, &self.variables, self.folder.path())?;
        client.note().map(notes);
        let exit = client.run()?;
        self.receipt.exit = Some(exit);
        Ok(exit)
    }

    /// Ends a recording that nothing was started for, and deletes it.
    ///
    /// # Errors
    ///
    /// A file cannot be removed.
    pub fn discard(self) -> Result<(), Error> {
        let Self { folder, receiver, .. } = self;
        let _ = receiver.finish();
        let path = folder.path().to_owned();
        // Its own lock would keep it from being deleted.
        drop(folder);
        Recording::open(&path)?.delete().map(|_| ())
    }

    /// Hears the client out, and completes the recording. It waits for the report of the last
    /// turn, for `most` at the longest, or until `stops`.
    ///
    /// # Errors
    ///
    /// The recording cannot be completed.
    pub fn finish(mut self, most: Duration, stops: impl Fn() -> bool) -> Result<Receipt, Error> {
        self.receiver.settle(most, stops);
        let received = self.receiver.finish();
        self.receipt.arrived = received.arrived;
        self.receipt.posts = received.posts;
        self.receipt.posts_not_listed = received.posts_not_listed;
        self.receipt.refused = received.refused;
        self.receipt.lost = received.lost;
        self.receipt.lost_because = received.lost_because;
        if self.keep == Keep::Sizes {
            self.receipt.bodies_removed = mask::replace_bodies(&self.folder.bodies())?;
        }
        self.receipt.bodies = self.folder.seal()?;
        self.receipt.ended = Some(now());
        self.folder.write_receipt(&self.receipt)?;
        Ok(self.receipt)
    }
}
