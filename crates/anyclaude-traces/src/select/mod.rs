//! Which requests an answer is about: what was pointed at, filters, scope, labels, and
//! the two sides of a comparison, and the order of rows.
//!
//! The way of the data: a [`Filter`] says what is asked for; a [`Reader`] is made of it. Reading
//! (`load`) gives a `Pool` of requests that are joined with their logs, labelled, and have their
//! costs fitted; `pick` finds what a [`Selector`] names in it; and choosing (`choose`) keeps what
//! is in scope, as a [`Selection`], which also has what was read beside it.

mod choose;
mod error;
mod filter;
mod input;
mod load;
mod pick;
mod places;
mod pool;
mod reader;
mod rows;
mod selection;
mod selector;
mod sides;
mod tokens;

pub use error::{Result, SelectError};
pub use filter::{Filter, Label};
pub(crate) use load::{Lookback, recorded_below};
pub(crate) use pool::Pool;
pub use reader::Reader;
pub(crate) use reader::SITTING_MS;
pub use rows::{Row, RowOrder, UnknownColumn, column, first_known, member};
pub use selection::Selection;
pub use selector::{Field, Selector, resolve};
pub(crate) use sides::unreadable;
pub use sides::{ALL_REQUESTS, FewModels, OneOrTwoSides, SelectedSide, Sides, faster_first, last_two_models};
