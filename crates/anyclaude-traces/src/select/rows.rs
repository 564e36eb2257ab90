//! Which rows of an answer are shown, and in what order: by the names that its JSON has.

use std::cmp::Ordering;

use serde::Serialize;
use serde_json::Value as Json;

/// Where a name is looked for that stands in several places of a row, after the row itself.
const FIRST: &str = "timing.";
/// Members of a request whose own members a row of a log has beside its others.
const FLAT: [&str; 2] = ["timing", "server_join"];

/// A row of either of two lists that are shown as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Row<A, B> {
    /// One of the first list.
    First(A),
    /// One of the second list.
    Second(B),
}

impl<A, B> Row<A, B> {
    /// The rows of both lists, one list after the other.
    pub fn of_both(first: impl IntoIterator<Item = A>, second: impl IntoIterator<Item = B>) -> Vec<Self> {
        first.into_iter().map(Self::First).chain(second.into_iter().map(Self::Second)).collect()
    }
}

/// The rows of an answer that are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowOrder {
    /// The column to sort by: numbers from the largest, text and times from the first, what
    /// is unknown last. `None`: the rows stay as they are.
    pub sort: Option<String>,
    /// No more than the first so many.
    pub top: Option<usize>,
}

impl RowOrder {
    /// Sorts rows and cuts them. Rows that are equal stay in their order.
    pub fn arrange<T: Serialize>(&self, rows: &mut Vec<T>) {
        if let Some(column) = &self.sort {
            let mut keyed: Vec<(Json, T)> = rows.drain(..).map(|row| (key(&row, column), row)).collect();
            keyed.sort_by(|(a, _), (b, _)| order(a, b));
            rows.extend(keyed.into_iter().map(|(_, row)| row));
        }
        rows.truncate(self.top.unwrap_or(usize::MAX));
    }

    /// Sorts two lists, and cuts them as if they were one: what is left are the first so many of
    /// all their rows.
    pub fn arrange_both<A: Serialize, B: Serialize>(&self, first: &mut Vec<A>, second: &mut Vec<B>) {
        if *self == Self::default() {
            return;
        }
        let mut rows = Row::of_both(first.drain(..), second.drain(..));
        self.arrange(&mut rows);
        for row in rows {
            match row {
                Row::First(row) => first.push(row),
                Row::Second(row) => second.push(row),
            }
        }
    }
}

/// Of these columns the first of which any row has a figure.
#[must_use]
pub fn first_known<'c, T: Serialize>(rows: &[T], columns: &[&'c str]) -> Option<&'c str> {
    columns.iter().copied().find(|column| rows.iter().any(|row| !key(row, column).is_null()))
}

fn key(row: &impl Serialize, column: &str) -> Json {
    let row = serde_json::to_value(row).unwrap_or_default();
    member(&row, column).cloned().unwrap_or_default()
}

/// A member of a row, by its name; the members on the way to it are parted by dots. What only a
/// log has is flat: `timing.read_ms` is its `read_ms`.
#[must_use]
pub fn member<'r>(row: &'r Json, column: &str) -> Option<&'r Json> {
    let nested = column.split('.').try_fold(row, |value, name| value.get(name));
    nested.or_else(|| {
        let (parent, name) = column.split_once('.')?;
        let is_flat = FLAT.contains(&parent) && row.get(parent).is_none();
        is_flat.then(|| row.get(name)).flatten()
    })
}

fn order(a: &Json, b: &Json) -> Ordering {
    match (a, b) {
        (Json::Null, Json::Null) => Ordering::Equal,
        (Json::Null, _) => Ordering::Greater,
        (_, Json::Null) => Ordering::Less,
        (Json::Number(a), Json::Number(b)) => b.as_f64().partial_cmp(&a.as_f64()).unwrap_or(Ordering::Equal),
        (Json::String(a), Json::String(b)) => a.cmp(b),
        (a, b) => a.to_string().cmp(&b.to_string()),
    }
}

/// A name that no column has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no column `{name}`")]
#[non_exhaustive]
pub struct UnknownColumn {
    /// The name.
    pub name: String,
    /// The columns that there are.
    pub known: Vec<String>,
}

/// The one of these columns that a name means: all of its name, or what stands behind its
/// last dot, where of several it is that of the times.
///
/// ```
/// use anyclaude_traces::select::column;
///
/// let columns = ["body_bytes", "timing.output_tokens", "response.output_tokens"];
/// assert_eq!(column("body_bytes", &columns).unwrap(), "body_bytes");
/// assert_eq!(column("output_tokens", &columns).unwrap(), "timing.output_tokens");
/// assert!(column("size", &columns).is_err());
/// ```
///
/// # Errors
///
/// When it is none of them.
pub fn column<'c>(name: &str, columns: &[&'c str]) -> Result<&'c str, UnknownColumn> {
    let is_last = |column: &&str| column.rsplit_once('.').is_some_and(|(_, last)| last == name);
    let exact = || columns.iter().copied().find(|column| *column == name);
    let of_times = || columns.iter().copied().find(|column| is_last(column) && column.starts_with(FIRST));
    let last = || columns.iter().copied().find(is_last);
    exact().or_else(of_times).or_else(last).ok_or_else(|| UnknownColumn {
        name: name.to_owned(),
        known: columns.iter().map(|column| (*column).to_owned()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(rows: &[Json], column: &str, top: Option<usize>) -> Vec<Json> {
        let mut rows = rows.to_vec();
        RowOrder { sort: Some(column.to_owned()), top }.arrange(&mut rows);
        rows
    }

    #[test]
    fn numbers_are_sorted_from_the_largest_and_what_is_unknown_comes_last() {
        let row = |id: u64, ms: Json| serde_json::json!({"id": id, "timing": {"wall_ms": ms}});
        let rows = [row(1, Json::Null), row(2, 5.into()), row(3, 10.into()), row(4, 5.into())];
        let ids = |rows: &[Json]| rows.iter().filter_map(|row| row["id"].as_u64()).collect::<Vec<_>>();
        assert_eq!(ids(&sorted(&rows, "timing.wall_ms", None)), [3, 2, 4, 1]);
        assert_eq!(ids(&sorted(&rows, "timing.wall_ms", Some(2))), [3, 2]);
        assert_eq!(first_known(&rows, &["timing.ttft_ms", "timing.wall_ms"]), Some("timing.wall_ms"));
        assert_eq!(first_known(&rows, &["timing.ttft_ms"]), None);
    }

    #[test]
    fn two_lists_are_sorted_and_cut_as_one() {
        let nested = |ms: u64| serde_json::json!({"timing": {"wall_ms": ms}});
        let flat = |ms: u64| serde_json::json!({"wall_ms": ms});
        let (first, second) = ([nested(3), nested(9), nested(1)], [flat(5), flat(7), flat(2)]);
        let order = |sort: Option<&str>, top| RowOrder { sort: sort.map(str::to_owned), top };
        let arranged = |order: &RowOrder| {
            let (mut first, mut second) = (first.to_vec(), second.to_vec());
            order.arrange_both(&mut first, &mut second);
            (first, second)
        };
        let by_time = order(Some("timing.wall_ms"), Some(4));
        assert_eq!(arranged(&by_time), (vec![nested(9), nested(3)], vec![flat(7), flat(5)]));
        assert_eq!(arranged(&order(None, Some(4))), (first.to_vec(), vec![flat(5)]));
        assert_eq!(arranged(&RowOrder::default()), (first.to_vec(), second.to_vec()));
        let mut rows = Row::of_both(&first, &second);
        by_time.arrange(&mut rows);
        assert_eq!(
            serde_json::to_value(&rows).unwrap(),
            serde_json::json!([nested(9), flat(7), flat(5), nested(3)])
        );
        assert_eq!(first_known(&second, &["timing.ttft_ms", "timing.wall_ms"]), Some("timing.wall_ms"));
    }

    #[test]
    fn what_a_row_has_nested_is_not_looked_for_beside_it() {
        let row = serde_json::json!({"timing": null, "start": 1, "log": "a", "response": {}, "status": 2});
        assert_eq!(member(&row, "timing.start"), None);
        assert_eq!(member(&row, "server_join.log"), Some(&"a".into()));
        assert_eq!(member(&row, "join.log"), None);
        assert_eq!(member(&row, "response.status"), None);
    }

    #[test]
    fn text_is_sorted_from_a_and_rows_stay_without_a_column() {
        let row = |kind: &str| serde_json::json!({"kind": kind});
        let rows = [row("probe"), row("background"), row("conversation")];
        assert_eq!(sorted(&rows, "kind", None)[0], row("background"));
        let mut same = rows.to_vec();
        RowOrder { sort: None, top: Some(1) }.arrange(&mut same);
        assert_eq!(same, [row("probe")]);
    }
}
