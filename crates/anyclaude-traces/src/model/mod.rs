//! The words that everything else is said in.

pub mod eligibility;
pub mod group;
mod identity;
pub(crate) mod intern;
pub mod measure;
pub mod request;
mod response;
pub mod scope;
mod side_name;
mod sizes;
pub mod stats;
pub mod time;
mod time_breakdown;
pub mod timing;

pub use identity::Identity;
pub use response::Response;
pub use side_name::SideName;
pub use sizes::{Sizes, ToolSize};
pub use time_breakdown::{CacheUse, ModelSpeeds, SpeedSource, Speeds, TimeBreakdown};
