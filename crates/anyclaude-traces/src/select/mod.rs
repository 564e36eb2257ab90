//! Which requests an answer is about: what was pointed at, filters, scope, labels, and
//! the two sides of a comparison, and the order of rows.

mod choose;
mod error;
mod filter;
mod input;
mod load;
mod pick;
mod pool;
mod reader;
mod rows;
mod selection;
mod selector;
mod sides;
mod tokens;

pub use error::{Result, SelectError};
pub use filter::{Filter, Label};
pub(crate) use load::recorded_below;
pub(crate) use pool::Pool;
pub use reader::Reader;
pub(crate) use reader::SITTING_MS;
pub use rows::{RowOrder, UnknownColumn, column, first_known, member};
pub use selection::Selection;
pub use selector::{Field, Selector, resolve};
pub(crate) use sides::unreadable;
pub use sides::{ALL_REQUESTS, FewModels, OneOrTwoSides, SelectedSide, Sides, faster_first, last_two_models};
