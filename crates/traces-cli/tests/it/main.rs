//! Everything through the binary: one test program, so that it is linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod common;

mod chosen;
mod claude_code;
mod clock;
mod completions;
mod consistency;
mod cut;
mod damaged;
mod denied;
mod exit_codes;
mod explain;
mod export;
mod export_killed;
mod export_tables;
mod extremes;
mod faults;
mod files;
mod golden;
mod help;
mod hostile;
mod hostile_everywhere;
mod inputs;
mod interrupted;
mod laws;
mod manual;
mod moving;
mod pipes;
mod prefix;
mod readme;
mod record;
mod recorders;
mod replay;
mod replay_faults;
mod replay_server;
mod report;
mod schema;
mod selection;
mod served;
mod server_logs;
mod server_logs_alone;
mod terminal;
mod tokens;
mod watch;
mod watch_terminal;
