//! Apache Parquet, which DuckDB, Spark, pandas and Polars read: a dataset of three tables,
//! each in a folder for every day and model, as Hive names them.
//!
//! ```text
//! requests/day=2025-11-16/model=openai%2Fgpt-oss-20b/part-0.parquet
//! tools/…
//! breaks/…
//! ```
//!
//! [`Dataset`] says which partitions there are and writes the files of each; where they go
//! is the caller's. Columns are named as the members of a request's JSON, those of an object
//! in it as fields of a group: `timing.ttft_ms` in SQL. Days are of UTC.

mod columns;
mod extent;
mod table;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use anyclaude_traces::Request;
use anyclaude_traces::analysis::prefix::PrefixRequest;
use anyclaude_traces::analysis::tool_cost::ToolCosts;
use anyclaude_traces::analysis::tools::largest;
use anyclaude_traces::model::request::{Kind, TracePath};
use anyclaude_traces::model::time::Timestamp;

use columns::{BreakRow, ToolRow};
pub use extent::{Extent, Holds};

/// How readers of Hive's partitions know that a value is null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// A folder's name has at most 255 bytes; what of a model's name goes beyond this is cut.
const MOST_NAME_BYTES: usize = 200;
const DAY_MS: i64 = 86_400_000;

/// A table of the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// The tools that conversations carried: one row for each in a partition.
    Tools,
    /// What broke the prompt cache: one row for each request where something did.
    Breaks,
    /// One row for each request.
    Requests,
}

impl Table {
    /// All tables. [`Requests`](Self::Requests) is the last one: a day is complete where it
    /// has that.
    pub const ALL: [Self; 3] = [Self::Tools, Self::Breaks, Self::Requests];

    /// The name of its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Breaks => "breaks",
            Self::Requests => "requests",
        }
    }

    /// Its columns: name, type and meaning, in their order.
    #[must_use]
    pub fn columns(self) -> Vec<[String; 3]> {
        match self {
            Self::Tools => table::described(&columns::tools()),
            Self::Breaks => table::described(&columns::breaks()),
            Self::Requests => table::described(&columns::requests()),
        }
    }
}

/// The requests of one day and model.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Partition<'a> {
    /// The day in UTC, such as `2025-11-16`; `None` where no time is known.
    pub day: Option<String>,
    /// The model that ran; `None` where it is unknown.
    pub model: Option<Arc<str>>,
    /// Its requests, in their order.
    pub requests: Vec<&'a Request>,
}

impl Partition<'_> {
    /// The folder of the day.
    #[must_use]
    pub fn day_folder(&self) -> String {
        format!("day={}", self.day.as_deref().unwrap_or(NULL))
    }

    /// The folder of the model, below that of the day. What a path may not hold is escaped
    /// as in a URL; an empty name is none, as Hive has it. Models whose names differ only
    /// behind what is kept of them share a folder.
    #[must_use]
    pub fn model_folder(&self) -> String {
        let name = self.model.as_deref().filter(|name| !name.is_empty());
        format!("model={}", name.map_or(Cow::Borrowed(NULL), escaped))
    }

    /// The first and the last moment of its day; `None` where no time is known.
    #[must_use]
    pub fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        let ms = self.requests.first()?.timestamp?.unix_ms();
        let begins_ms = ms - ms.rem_euclid(DAY_MS);
        Timestamp::from_unix_ms(begins_ms).zip(Timestamp::from_unix_ms(begins_ms + DAY_MS - 1))
    }

    /// Those of its requests whose tools count.
    #[must_use]
    pub fn conversation(&self) -> Vec<&Request> {
        self.requests.iter().copied().filter(|request| request.kind == Kind::Conversation).collect()
    }
}

/// Parts requests, which are in order of time, by day and model, in order of both.
#[must_use]
pub fn partitions(requests: &[Request]) -> Vec<Partition<'_>> {
    let mut partitions: BTreeMap<_, Vec<&Request>> = BTreeMap::new();
    for request in requests {
        let day: Option<String> = request.timestamp.map(|stamp| stamp.to_string().chars().take(10).collect());
        partitions.entry((day, request.model.clone())).or_default().push(request);
    }
    let partition = |((day, model), requests)| Partition { day, model, requests };
    partitions.into_iter().map(partition).collect()
}

/// A name as part of a path: of ASCII, whatever is not a letter, a digit or one of `-_.` is
/// escaped; else only what steers the eye or the terminal, as Spark takes each escaped byte
/// for a character of its own.
fn escaped(name: &str) -> Cow<'_, str> {
    let mut safe = String::new();
    for char in name.chars() {
        let before = safe.len();
        let is_safe = match char.is_ascii() {
            true => char.is_ascii_alphanumeric() || "-_.".contains(char),
            false => !steers(char),
        };
        if is_safe {
            safe.push(char);
        } else {
            for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to memory does not fail.
                let _ = write!(safe, "%{byte:02X}");
            }
        }
        if safe.len() > MOST_NAME_BYTES {
            safe.truncate(before);
            break;
        }
    }
    safe.into()
}

/// What the tables are made of.
#[derive(Debug)]
pub struct Dataset<'a> {
    /// What broke the cache, by request.
    breaks: HashMap<&'a TracePath, &'a PrefixRequest>,
}

impl<'a> Dataset<'a> {
    /// Of these [`cache_breaks`](anyclaude_traces::ask::answers::cache_breaks).
    #[must_use]
    pub fn new(breaks: &'a [PrefixRequest]) -> Self {
        Self { breaks: breaks.iter().map(|row| (&row.path, row)).collect() }
    }

    /// Writes the file of a table for a partition. `tool_costs` are of its
    /// [`conversation`](Partition::conversation); that of the requests says the `extent` of
    /// its day. Returns how many rows it has; without rows nothing is written.
    ///
    /// # Errors
    ///
    /// When writing fails.
    pub fn write(
        &self,
        table: Table,
        partition: &Partition<'_>,
        tool_costs: &ToolCosts,
        extent: &Extent,
        open: impl FnOnce() -> io::Result<Box<dyn Write + Send>>,
    ) -> io::Result<u64> {
        match table {
            Table::Requests => {
                table::write(&columns::requests(), &partition.requests, extent.metadata().into(), open)
            }
            Table::Tools => {
                table::write(&columns::tools(), &tool_rows(partition, tool_costs), Vec::new(), open)
            }
            Table::Breaks => {
                let mut rows = Vec::new();
                for &request in &partition.requests {
                    let row = self.breaks.get(&request.path);
                    let broken = row.and_then(|row| Some((row, row.break_.as_deref()?)));
                    rows.extend(broken.map(|(row, broken)| BreakRow { request, row, broken }));
                }
                table::write(&columns::breaks(), &rows, Vec::new(), open)
            }
        }
    }
}

/// The tools of a partition, largest first.
fn tool_rows(partition: &Partition<'_>, costs: &ToolCosts) -> Vec<ToolRow> {
    let carried = largest(partition.conversation().into_iter());
    let costs: HashMap<_, _> = costs.tools.iter().map(|tool| (tool.name.clone(), tool)).collect();
    let row = |tool: anyclaude_traces::analysis::tools::ToolUse| {
        let cost = costs.get(&tool.name);
        ToolRow {
            server: cost.and_then(|cost| cost.server.clone()),
            tokens: cost.map(|cost| cost.tokens),
            called: cost.map(|cost| cost.called),
            name: tool.name,
            bytes: tool.bytes,
            requests: tool.requests,
        }
    };
    carried.into_iter().map(row).collect()
}

/// Whether a reader obeys this character, or does not see it.
fn steers(char: char) -> bool {
    let is_unseen = matches!(
        char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    char.is_control() || is_unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_in_a_path() {
        assert_eq!(escaped("openai/gpt-oss-20b"), "openai%2Fgpt-oss-20b");
        assert_eq!(escaped("../é😀=%\u{202e}\u{9b}"), "..%2Fé😀%3D%25%E2%80%AE%C2%9B");
        assert_eq!(escaped(&"é".repeat(1000)), "é".repeat(100));
        assert_eq!(escaped(&"a€".repeat(1000)), "a€".repeat(50));
        assert_eq!(escaped(&"/".repeat(1000)), "%2F".repeat(66));
        let empty = Partition { model: Some("".into()), ..Partition::default() };
        assert_eq!(empty.model_folder(), "model=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(Partition::default().day_folder(), "day=__HIVE_DEFAULT_PARTITION__");
    }
}
