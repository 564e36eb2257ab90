//! `traces export --format parquet`: a folder of tables.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyclaude_traces::Request;
use anyclaude_traces::analysis::tool_cost::ToolCosts;
use anyclaude_traces::ask::answers;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::scope::KindFilter;
use anyhow::{Context as _, bail};
use traces_export::parquet::{Dataset, Extent, Partition, Table, partitions};

use super::days::{Asked, Found, LeftOut};
use super::{nothing_read, now, reading, report_skipped, say_scope};
use crate::cli::ExportArgs;
use crate::exit::Status;
use crate::interrupt;
use crate::render::{notes, units};
use crate::save::{OutputFolder, Staging};
use crate::select;

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<Status> {
    let Some(path) = args.file.as_deref() else {
        bail!("name a folder for the tables, as in `traces export --format parquet -o tables`");
    };
    let began = now();
    let target = OutputFolder::new(path, args.append || args.force)?;
    let (reader, inputs) = select::reader_of(&args.filter, &args.inputs, KindFilter::All)?;
    let reader = reader.with_tasks().with_counting().with_costs(args.cache.options());
    let selection = reading(&reader, &args.output, || {
        let mut selection = reader.select(&inputs)?;
        selection.count_tokens(reader.store());
        anyhow::Ok(selection)
    })?;
    let mut skipped = selection.skipped_list();
    if selection.requests.is_empty() {
        report_skipped(&skipped, &args.output);
        return Err(nothing_read(&args.filter, &args.inputs));
    }
    let partitions = partitions(&selection.requests);
    let (breaks, (tool_costs, unreadable)) = reading(&reader, &args.output, || {
        let groups: Vec<Vec<&Request>> = partitions.iter().map(Partition::conversation).collect();
        let breaks = answers::cache_breaks(&reader, &selection);
        (breaks, answers::tool_costs_of_groups(&reader, &selection, &groups))
    });
    skipped.extend(unreadable.iter().map(Skipped::from));
    let skipped = report_skipped(&skipped, &args.output);

    let mut asked = Asked::new(&reader, &inputs, &selection, began);
    asked.add_skipped(&selection.skipped);
    asked.add_skipped(&unreadable);
    let days = days_of(&asked, &partitions, &tool_costs);
    let dataset = Dataset::new(&breaks);
    let written = interrupt::without_interrupt(|| write(&target, &dataset, days, args.append))?;
    if !args.output.quiet {
        say_written(target.path(), written.days, written.rows);
        written.left_out.say(target.path());
        say_scope(selection.is_sitting);
    }
    Ok(skipped)
}

/// What is written of a day.
struct Day<'a> {
    extent: Extent,
    /// With what the tools of each cost.
    partitions: Vec<(&'a Partition<'a>, &'a ToolCosts)>,
}

/// The days, by their folders.
type Days<'a> = BTreeMap<String, Day<'a>>;

fn days_of<'a>(asked: &Asked, partitions: &'a [Partition<'a>], tool_costs: &'a [ToolCosts]) -> Days<'a> {
    let mut days: Days<'_> = BTreeMap::new();
    for (partition, costs) in partitions.iter().zip(tool_costs) {
        let new = || Day { extent: asked.extent(partition.bounds()), partitions: Vec::new() };
        days.entry(partition.day_folder()).or_insert_with(new).partitions.push((partition, costs));
    }
    days
}

/// What the folder holds of a day.
fn found(target: &OutputFolder, day: &str) -> Found {
    Found::of(&target.files_below(&folder(Table::Requests, day)))
}

/// Refuses to replace days by less of them.
fn lose_nothing(target: &OutputFolder, days: &Days<'_>) -> anyhow::Result<()> {
    let is_lost = |(day, of_day): &(&String, &Day<'_>)| !found(target, day).may_become(&of_day.extent);
    let mut lost = days.iter().filter(is_lost).map(|(day, _)| day);
    let Some(first) = lost.next() else { return Ok(()) };
    let path = target.path().display();
    let more = lost.count() as u64;
    let more = if more == 0 { String::new() } else { format!(" and of {}", units::count(more, "other day")) };
    bail!(
        "{path} holds more of {first}{more} than is exported here, and would lose it: --all without a filter \
         exports whole days, and another folder takes a part of them"
    )
}

/// What was written.
struct Written {
    days: u64,
    /// Of each table.
    rows: [u64; Table::ALL.len()],
    left_out: LeftOut,
}

/// Writes all tables of the days that may be written, one day after the other.
fn write(
    target: &OutputFolder,
    dataset: &Dataset<'_>,
    mut days: Days<'_>,
    append: bool,
) -> anyhow::Result<Written> {
    let mut staging = target.begin()?;
    let mut left_out = LeftOut::default();
    if append {
        days.retain(|day, of_day| left_out.keeps(&of_day.extent, &found(target, day)));
    } else {
        lose_nothing(target, &days)?;
    }
    let mut rows = [0; Table::ALL.len()];
    for (day, of_day) in &days {
        for (rows, table) in rows.iter_mut().zip(Table::ALL) {
            *rows += stage(&staging, dataset, table, day, of_day)
                .with_context(|| format!("cannot write into {}", target.path().display()))?;
        }
        // The last one is the mark that the day is complete.
        Table::ALL.into_iter().try_for_each(|table| staging.publish(&folder(table, day)))?;
    }
    staging.end()?;
    Ok(Written { days: days.len() as u64, rows, left_out })
}

/// Writes the files of a table of a day; returns how many rows they have.
fn stage(
    staging: &Staging,
    dataset: &Dataset<'_>,
    table: Table,
    day: &str,
    of_day: &Day<'_>,
) -> io::Result<u64> {
    let mut rows = 0;
    for (partition, costs) in &of_day.partitions {
        let folder = folder(table, day).join(partition.model_folder());
        rows += dataset.write(table, partition, costs, &of_day.extent, || new_file(staging, &folder))?;
    }
    Ok(rows)
}

/// Says how many days were written, and how many rows of each table.
fn say_written(path: &Path, days: u64, rows: [u64; Table::ALL.len()]) {
    let path = path.display();
    if days == 0 {
        return notes::warn(&format!("wrote nothing into {path}"));
    }
    let [tools, breaks, requests] = rows.map(|rows| units::count(rows, "row"));
    let days = units::count(days, "day");
    notes::warn(&format!(
        "wrote {path}: {requests} of requests, {tools} of tools, {breaks} of breaks, in {days}"
    ));
}

/// A new file in a partition's folder, which may hold another one already: models share it
/// whose names are cut to the same, or are the same to a file system that does not tell
/// upper from lower case.
fn new_file(staging: &Staging, folder: &Path) -> io::Result<Box<dyn Write + Send>> {
    let mut number = 0_u32;
    loop {
        match staging.file(&folder.join(format!("part-{number}.parquet"))) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            opened => return opened,
        }
    }
}

/// The folder of a day in that of a table.
fn folder(table: Table, day: &str) -> PathBuf {
    Path::new(table.name()).join(day)
}
