//! Joins what Claude Code recorded of itself: bodies, events, spans, the index and
//! transcripts → one request for each attempt, with its times.
//!
//! Files are joined by the names that events give them, by session and by time, never by
//! folder: a recording may be moved, or read file by file. What a file does not tell is
//! unknown. The steps, a file each: `events`, `spans`, `files` (the index, times of
//! writing, transcripts), `outcome`, `first_token`, and `told`, which makes requests of
//! them.

mod attempt;
mod bodies;
mod events;
mod files;
mod first_token;
mod outcome;
mod responses;
mod spans;
mod told;

use std::collections::HashMap;
use std::path::Path;

use attempt::Attempt;
use bodies::{FoundBodies, FoundBody};
use responses::Responses;
use told::KnownRequest;

use crate::formats::claude_code::{Facts, IndexEntry, Interaction, ModelSpan, TranscriptAnswer};
use crate::read::{FactsFile, TraceFile};

/// Joins records of Claude Code's bodies with facts of other files: what is known of each
/// is added to it, and requests without a body are added.
///
/// Where there are no facts at all, bodies are left with the times at which they were
/// written. The first `asked` files are asked for; the others only tell of bodies that are.
pub(crate) fn join(mut records: Vec<TraceFile>, facts: &[FactsFile], asked: usize) -> Vec<TraceFile> {
    let files: HashMap<&Path, usize> =
        facts.iter().enumerate().map(|(place, facts)| (&*facts.path, place)).collect();
    let bodies: Vec<FoundBody> = records.iter().map(|record| FoundBody::of(record, &files)).collect();
    let told = attempts(&FoundBodies::new(&bodies), facts);
    for told in told {
        match told.body.and_then(|body| records.get_mut(body)) {
            Some(file) => told.add_to(&mut file.record, facts),
            None if told.place.is_some_and(|(file, _)| file < asked) => {
                records.extend(told.into_record(facts));
            }
            None => {}
        }
    }
    records
}

/// All attempts that bodies and facts tell of, in the order in which they were found.
fn attempts(bodies: &FoundBodies<'_>, facts: &[FactsFile]) -> Vec<KnownRequest> {
    let responses = Responses::of(facts);
    let spans: Vec<(usize, &ModelSpan)> = every(facts, |facts| &facts.telemetry.spans).collect();
    let index: Vec<IndexEntry> = every(facts, |facts| &facts.index).map(|(_, entry)| entry.clone()).collect();
    let answers: Vec<TranscriptAnswer> =
        every(facts, |facts| &facts.answers).map(|(_, answer)| answer.clone()).collect();
    let turns: Vec<&Interaction> =
        every(facts, |facts| &facts.telemetry.interactions).map(|(_, turn)| turn).collect();
    let mut attempts: Vec<Attempt> =
        events::attempts(every(facts, |facts| &facts.telemetry.events), bodies, &responses);
    spans::join(&spans, &mut attempts);
    files::join_index(&index, &spans, bodies, &responses, &mut attempts);
    files::add_unnamed(bodies, &responses, &mut attempts);
    files::join_transcripts(&answers, &responses, &mut attempts);
    files::join_failed_tries(
        every(facts, |facts| &facts.failed_tries).map(|(_, failed)| failed),
        &mut attempts,
    );
    let ended = outcome::of(&attempts, &turns);
    told::tell(attempts, ended, &spans, bodies, &responses, facts)
}

/// Every one of these of all files, with the place of its file.
fn every<'f, T: 'f>(
    facts: &'f [FactsFile],
    of: impl Fn(&'f Facts) -> &'f Vec<T>,
) -> impl Iterator<Item = (usize, &'f T)> {
    facts
        .iter()
        .enumerate()
        .flat_map(move |(file, facts)| of(&facts.facts).iter().map(move |one| (file, one)))
}

#[cfg(test)]
mod tests;
