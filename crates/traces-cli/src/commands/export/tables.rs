//! `traces export --format parquet`: a folder of tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyclaude_traces::Request;
use anyclaude_traces::ask::answers;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::scope::KindFilter;
use anyhow::bail;
use traces_export::parquet::{Dataset, Partition, Table, partitions};

use super::{nothing_read, reading, report_skipped, say_scope};
use crate::cli::ExportArgs;
use crate::exit::Status;
use crate::interrupt;
use crate::render::{notes, units};
use crate::save::OutputFolder;
use crate::select;

/// The name of the file in a partition's folder.
const FILE: &str = "part-0.parquet";

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<Status> {
    let Some(path) = args.file.as_deref() else {
        bail!("name a folder for the tables, as in `traces export --format parquet -o tables`");
    };
    let target = OutputFolder::new(path, args.append || args.force)?;
    let reader = select::reader(&args.filter, KindFilter::All)?.with_tasks().with_costs(args.cache.options());
    let selection = reading(&reader, &args.output, || reader.select(&args.inputs))?;
    let mut skipped = selection.skipped_list();
    if selection.requests.is_empty() {
        report_skipped(&skipped, &args.output);
        return nothing_read();
    }
    let partitions = partitions(&selection.requests);
    let (prefix, (tool_costs, unreadable)) = reading(&reader, &args.output, || {
        let groups: Vec<Vec<&Request>> = partitions.iter().map(Partition::conversation).collect();
        let prefix = answers::prefix_rows(&reader, &selection);
        (prefix, answers::tool_costs_of_groups(&reader, &selection, &groups))
    });
    skipped.extend(unreadable.iter().map(Skipped::from));
    let skipped = report_skipped(&skipped, &args.output);

    let mut days: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, partition) in partitions.iter().enumerate() {
        days.entry(partition.day_folder()).or_default().push(at);
    }
    let before = days.len();
    if args.append {
        days.retain(|day, _| !target.holds(&folder(Table::Requests, day)));
    }
    let dataset = Dataset::new(&prefix);
    let rows = interrupt::without_interrupt(|| {
        let mut rows = [0; Table::ALL.len()];
        let staging = target.begin()?;
        for (day, of_day) in &days {
            for (rows, table) in rows.iter_mut().zip(Table::ALL) {
                for (partition, costs) in
                    of_day.iter().filter_map(|&at| partitions.get(at).zip(tool_costs.get(at)))
                {
                    let name = folder(table, day).join(partition.model_folder()).join(FILE);
                    *rows += dataset.write(table, partition, costs, || staging.file(&name))?;
                }
            }
            // The last one is the mark that the day is complete.
            Table::ALL.into_iter().try_for_each(|table| staging.publish(&folder(table, day)))?;
        }
        staging.end().map(|()| rows)
    })?;
    if !args.output.quiet {
        let [tools, breaks, requests] = rows.map(|rows| units::count(rows, "row"));
        let path = target.path().display();
        let wrote = units::count(days.len() as u64, "day");
        notes::warn(&match days.len() {
            0 => format!("wrote nothing into {path}"),
            _ => format!(
                "wrote {path}: {requests} of requests, {tools} of tools, {breaks} of breaks, in {wrote}"
            ),
        });
        if before > days.len() {
            let there = units::count((before - days.len()) as u64, "day");
            notes::warn(&format!("passed over {there} that {path} holds already"));
        }
        say_scope(selection.is_sitting);
    }
    Ok(skipped)
}

/// The folder of a day in that of a table.
fn folder(table: Table, day: &str) -> PathBuf {
    Path::new(table.name()).join(day)
}
