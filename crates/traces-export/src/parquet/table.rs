//! Rows → a file of Parquet, column by column.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use anyclaude_traces::SCHEMA_VERSION;
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

/// Rows of a row group: large enough that columns compress and few are opened, small enough
/// that one group is little memory.
const GROUP_ROWS: usize = 1 << 16;

/// Where the values of a column come from; `None` is null.
pub(super) enum Cells<T> {
    Text(for<'r> fn(&'r T) -> Option<Cow<'r, str>>),
    Whole(fn(&T) -> Option<i64>),
    Real(fn(&T) -> Option<f64>),
    Truth(fn(&T) -> Option<bool>),
    /// Milliseconds since the Unix epoch.
    Time(fn(&T) -> Option<i64>),
}

impl<T> Cells<T> {
    /// The type, as a schema of Parquet writes it, and as SQL names it.
    fn types(&self, name: &str) -> (String, &'static str) {
        match self {
            Self::Text(_) => (format!("binary {name} (STRING)"), "text"),
            Self::Whole(_) => (format!("int64 {name}"), "bigint"),
            Self::Real(_) => (format!("double {name}"), "double"),
            Self::Truth(_) => (format!("boolean {name}"), "boolean"),
            Self::Time(_) => (format!("int64 {name} (TIMESTAMP(MILLIS,true))"), "timestamp"),
        }
    }
}

/// A column.
pub(super) struct ParquetColumn<T> {
    pub(super) name: &'static str,
    pub(super) cells: Cells<T>,
    pub(super) meaning: &'static str,
}

/// Whether a row has a group.
pub(super) type HasGroup<T> = fn(&T) -> bool;

/// Columns that stand at the top, or together in a group that may be null.
pub(super) struct ColumnGroup<T> {
    /// The group's name, and whether a row has it.
    pub(super) group: Option<(&'static str, HasGroup<T>)>,
    pub(super) columns: Vec<ParquetColumn<T>>,
}

/// The columns by name, type and meaning.
pub(super) fn described<T>(groups: &[ColumnGroup<T>]) -> Vec<[String; 3]> {
    let in_group = |group: &ColumnGroup<T>, column: &ParquetColumn<T>| {
        let prefix = group.group.map_or_else(String::new, |(name, _)| format!("{name}."));
        let (_, sql) = column.cells.types(column.name);
        [prefix + column.name, sql.to_owned(), column.meaning.to_owned()]
    };
    let columns = groups.iter().flat_map(|group| group.columns.iter().map(move |column| (group, column)));
    columns.map(|(group, column)| in_group(group, column)).collect()
}

fn schema<T>(groups: &[ColumnGroup<T>]) -> String {
    let mut schema = "message row {\n".to_owned();
    for group in groups {
        if let Some((name, _)) = group.group {
            let _ = writeln!(schema, "optional group {name} {{");
        }
        for column in &group.columns {
            let _ = writeln!(schema, "optional {};", column.cells.types(column.name).0);
        }
        if group.group.is_some() {
            schema += "}\n";
        }
    }
    schema + "}"
}

/// Writes these rows into the file that is opened, if there are any, with what it `says`
/// besides. Returns their number.
pub(super) fn write<T>(
    groups: &[ColumnGroup<T>],
    rows: &[T],
    says: Vec<KeyValue>,
    open: impl FnOnce() -> io::Result<Box<dyn Write + Send>>,
) -> io::Result<u64> {
    if !rows.is_empty() {
        put(groups, rows, says, open()?).map_err(as_io)?;
    }
    Ok(rows.len() as u64)
}

/// The error of writing itself, where it is one.
fn as_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::other(cause),
        },
        other => io::Error::other(other),
    }
}

fn put<T>(
    groups: &[ColumnGroup<T>],
    rows: &[T],
    mut says: Vec<KeyValue>,
    out: Box<dyn Write + Send>,
) -> Result<()> {
    says.insert(0, KeyValue::new("traces.schema_version".to_owned(), SCHEMA_VERSION.to_string()));
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("traces ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(says))
        .build();
    let schema = Arc::new(parse_message_type(&schema(groups))?);
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
    for rows in rows.chunks(GROUP_ROWS) {
        let mut row_group = file.next_row_group()?;
        for group in groups {
            for column in &group.columns {
                let Some(mut writer) = row_group.next_column()? else { continue };
                put_column(&mut writer, group.group.map(|(_, is_there)| is_there), &column.cells, rows)?;
                writer.close()?;
            }
        }
        row_group.close()?;
    }
    file.close()?;
    Ok(())
}

fn put_column<T>(
    writer: &mut SerializedColumnWriter<'_>,
    is_there: Option<fn(&T) -> bool>,
    cells: &Cells<T>,
    rows: &[T],
) -> Result<()> {
    match cells {
        Cells::Text(of) => {
            let text = |row: &T| of(row).map(|text| ByteArray::from(text.into_owned().into_bytes()));
            put_values::<ByteArrayType, T>(writer, is_there, rows, text)
        }
        Cells::Whole(of) | Cells::Time(of) => put_values::<Int64Type, T>(writer, is_there, rows, of),
        Cells::Real(of) => put_values::<DoubleType, T>(writer, is_there, rows, of),
        Cells::Truth(of) => put_values::<BoolType, T>(writer, is_there, rows, of),
    }
}

/// Writes values with their definition levels: how much of the way to the value is there,
/// first its group, then the value.
fn put_values<D: DataType, T>(
    writer: &mut SerializedColumnWriter<'_>,
    is_there: Option<fn(&T) -> bool>,
    rows: &[T],
    of: impl Fn(&T) -> Option<D::T>,
) -> Result<()> {
    let mut levels = Vec::with_capacity(rows.len());
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        let group_level = match is_there {
            Some(is_there) if !is_there(row) => {
                levels.push(0);
                continue;
            }
            Some(_) => 1,
            None => 0,
        };
        let value = of(row);
        levels.push(group_level + i16::from(value.is_some()));
        values.extend(value);
    }
    writer.typed::<D>().write_batch(&values, Some(&levels), None)?;
    Ok(())
}
