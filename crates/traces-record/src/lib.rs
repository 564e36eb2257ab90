//! Records what Claude Code tells of itself: a receiver of OTLP over HTTP on loopback,
//! the folder that it writes, and the client's start with the variables that it needs.
//!
//! No request to a model passes through here, so that recording costs no time: Claude Code
//! writes the bodies of its requests into the folder itself, and reports when each began,
//! how long it took and how many tokens it had.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use traces_record::{Folder, Keep, Recorder};
//!
//! let folder = Folder::create("recording".as_ref())?;
//! let mut recorder = Recorder::start(folder, Keep::Bodies, None)?;
//! let exit = recorder.run("claude".as_ref(), &[], |_| ())?;
//! let receipt = recorder.finish(Duration::from_millis(2500), || false)?;
//! assert_eq!(receipt.exit, Some(exit));
//! println!("{} requests", receipt.arrived.requests);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is received is untrusted, as any program on this machine can send it: its size,
//! its number and the time that it takes are bounded, no name of a file comes from it, and
//! a web page can send nothing. Nothing is sent anywhere.

mod client;
mod diagnosis;
mod error;
mod folder;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod http;
mod limits;
pub mod lock;
mod mask;
mod otlp;
mod receipt;
mod receiver;
mod recorder;
mod recordings;
mod refusal;
mod settings;
mod store;
mod variables;

pub use client::{Client, SettingsNote};
pub use diagnosis::{Reason, Shortcoming};
pub use error::Error;
pub use folder::{Bodies, Folder};
#[cfg(fuzzing)]
pub use fuzzing::{masked, received};
pub use limits::Limits;
pub use otlp::{Arrived, Signal};
pub use receipt::{Exit, Posted, Receipt};
pub use receiver::{Received, Receiver};
pub use recorder::{Keep, Recorder};
pub use recordings::{Recording, recordings};
pub use refusal::Refusal;
pub use settings::{Override, SettingsFiles};
pub use variables::{Variables, is_claude};
