//! The types that the rest of the library shares: requests, times, measures, groups.

mod bookkeeping;
pub mod eligibility;
pub mod group;
mod identity;
pub(crate) mod intern;
mod lanes;
mod log_facts;
mod log_zone;
pub mod measure;
pub mod request;
mod request_draft;
mod request_id;
mod response;
mod reuse;
pub mod scope;
mod server_task;
mod side_name;
mod sizes;
mod source;
pub mod stats;
pub mod time;
mod time_breakdown;
pub mod timing;
mod trace_path;

pub(crate) use bookkeeping::Bookkeeping;
pub use identity::Identity;
pub use lanes::Lanes;
pub use log_facts::{LogFacts, ProxyEdit, Truncation};
pub use log_zone::LogZone;
pub use request_draft::RequestDraft;
pub use response::Response;
pub use reuse::{Continued, SimulatedReuse};
pub use server_task::{ContextCut, ServerJoin, ServerTask};
pub use side_name::SideName;
pub use sizes::{Size, Sizes, ToolSize};
pub use time_breakdown::{CacheUse, ModelSpeeds, SpeedSample, SpeedSource, Speeds, TimeBreakdown};
