//! `traces export --format parquet`: a folder of tables.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyclaude_traces::Request;
use anyclaude_traces::analysis::tool_cost::ToolCosts;
use anyclaude_traces::ask::answers;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::model::time::Timestamp;
use anyclaude_traces::select::Selection;
use anyhow::{Context as _, bail};
use traces_export::parquet::{Dataset, Partition, Table, partitions};

use super::{nothing_read, reading, report_skipped, say_scope};
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

    let mut days: Days = BTreeMap::new();
    for partition in partitions.iter().zip(&tool_costs) {
        days.entry(partition.0.day_folder()).or_default().push(partition);
    }
    let mut left_out = SkippedDays::default();
    if args.append {
        days.retain(|day, of_day| {
            let bounds = of_day.first().and_then(|(partition, _)| partition.bounds());
            let written = target.written(&folder(Table::Requests, day));
            // What has no time is never known to be complete.
            bounds.is_none_or(|bounds| left_out.keeps(bounds, written, &selection))
        });
    }
    let dataset = Dataset::new(&breaks);
    let rows = interrupt::without_interrupt(|| write(&target, &dataset, &days))?;
    if !args.output.quiet {
        say_written(target.path(), days.len() as u64, rows);
        left_out.say(target.path());
        say_scope(selection.is_sitting);
    }
    Ok(skipped)
}

/// The partitions of each day, by its folder, with what their tools cost.
type Days<'a> = BTreeMap<String, Vec<(&'a Partition<'a>, &'a ToolCosts)>>;

/// Writes all tables, one day after the other; returns how many rows each has.
fn write(
    target: &OutputFolder,
    dataset: &Dataset<'_>,
    days: &Days<'_>,
) -> anyhow::Result<[u64; Table::ALL.len()]> {
    let mut rows = [0; Table::ALL.len()];
    let mut staging = target.begin()?;
    for (day, of_day) in days {
        for (rows, table) in rows.iter_mut().zip(Table::ALL) {
            for (partition, costs) in of_day {
                let folder = folder(table, day).join(partition.model_folder());
                *rows += dataset
                    .write(table, partition, costs, || new_file(&staging, &folder))
                    .with_context(|| format!("cannot write into {}", target.path().display()))?;
            }
        }
        // The last one is the mark that the day is complete.
        Table::ALL.into_iter().try_for_each(|table| staging.publish(&folder(table, day)))?;
    }
    staging.end().map(|()| rows)
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

/// The days that are not appended, and why.
#[derive(Debug, Default)]
struct SkippedDays {
    /// They are there.
    there: u64,
    /// Only a part of them was asked for.
    cut: u64,
}

impl SkippedDays {
    /// Says how many there are of each.
    fn say(&self, path: &Path) {
        if self.there > 0 {
            let days = units::count(self.there, "day");
            notes::warn(&format!("passed over {days} that {} holds already", path.display()));
        }
        if self.cut > 0 {
            let days = units::count(self.cut, "day");
            notes::warn(&format!(
                "left out {days} (of UTC) of which only a part was asked for: it would pass for whole; --all \
                 exports whole days"
            ));
        }
    }

    /// Whether a day is appended that has these bounds and was `written` then.
    fn keeps(
        &mut self,
        (begins, ends): (Timestamp, Timestamp),
        written: Option<SystemTime>,
        selection: &Selection,
    ) -> bool {
        // What was written before the day was over may lack the rest of it.
        if written.is_some_and(|written| is_before(ends, written)) {
            self.there += 1;
            return false;
        }
        let scope = selection.scope;
        // A sitting ends where the recording does.
        let to = scope.to.filter(|_| !selection.is_sitting);
        let is_cut = scope.from.is_some_and(|from| begins < from) || to.is_some_and(|to| to < ends);
        self.cut += u64::from(is_cut);
        !is_cut
    }
}

fn is_before(moment: Timestamp, other: SystemTime) -> bool {
    let since_1970 = other.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i128::from(moment.unix_ms()) < i128::try_from(since_1970.as_millis()).unwrap_or(i128::MAX)
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
