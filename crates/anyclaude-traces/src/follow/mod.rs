//! A recording that is still being written: what changed since the last look → events.
//!
//! A [`Follower`] has no thread and no clock: the caller passes the time to each
//! [`look`](Follower::look), and gets what happened since the look before. A look at which
//! nothing changed costs a few calls to the file system. Of a log only what was added is
//! read, of traces those that are new or were written to; a file that is half written is
//! read again when it has grown. Then the requests of the last sitting are assembled as for
//! every other answer, so that their figures are the same.

mod event;
mod heard;
mod places;
mod progress;
mod reading;
mod situation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use event::{Began, Ended, Event, FirstToken, Found, Keepalive, Passed};
use heard::{Heard, LastSigns};
use places::{Places, is_named_as_log, recorded};
use progress::{Followed, Look, Told};
pub use reading::PromptReading;
use reading::{Readings, Waiting};
use situation::by_path;
pub use situation::{Running, Situation, SituationTotals};

use crate::analysis::prefix::{Cause, PrefixInput, Rows};
use crate::analysis::tool_cost::{ToolCosts, read_tool_costs_of};
use crate::ask::answers::simulated;
use crate::cost;
use crate::error::{Error, SkipReason, Skipped};
use crate::findings::{FindingKind, FindingsInput, find};
use crate::formats::backend::BackendTask;
use crate::model::request::{Kind, Request, RequestId, TracePath};
use crate::model::scope::KindFilter;
use crate::model::time::Timestamp;
use crate::model::timing::Outcome;
use crate::model::{Amount, ModelSpeeds};
use crate::prompt_cache::{CacheOptions, PrefixVisitor};
use crate::read::{Added, Changes, FactsFile, GrowingLines, TraceFile, Watched};
use crate::recording::RequestSet;
use crate::select::{Filter, Reader, Result, Selection};

/// Files that are older than the newest by more than this are left out. It is the sitting,
/// and the day before it in which a cache was filled.
const HISTORY_MS: i64 = 2 * 24 * 60 * 60 * 1000;
/// A file that ends inside a value is being written: it is reported only after this time.
const HALF_WRITTEN_MS: i64 = 2_000;

/// After fewer turns nothing is said of tools that were not called.
const LEAST_TURNS: usize = 5;

/// Follows what is recorded below some roots.
///
/// ```
/// use anyclaude_traces::follow::{Event, Follower};
/// use anyclaude_traces::prompt_cache::CacheOptions;
/// use anyclaude_traces::select::Filter;
///
/// # let folder = tempfile::tempdir()?;
/// # let root = folder.path();
/// # std::fs::create_dir(root.join("traces"))?;
/// let mut filter = Filter::default();
/// filter.roots = vec![root.to_owned()];
/// let mut follower = Follower::new(filter, CacheOptions::default())?;
/// assert!(follower.look("2025-11-16T03:20:00Z".parse()?).is_empty(), "nothing was recorded yet");
///
/// let trace = r#"{"timestamp": "2025-11-16T03:20:00.100Z", "request": {"body": {"messages": []}}}"#;
/// std::fs::write(root.join("traces/2025-11-16T03-20-00-100Z.json"), trace)?;
/// // Its log may follow: without one, the next look tells of it.
/// follower.look("2025-11-16T03:20:00.200Z".parse()?);
/// let events = follower.look("2025-11-16T03:20:00.300Z".parse()?);
/// assert!(matches!(&events[..], [Event::Request(_)]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    is_whole: bool,
    watched: Watched,
    first_look: Option<Timestamp>,
    looks: u64,
    /// What was read of each file.
    files: BTreeMap<Arc<Path>, Vec<TraceFile>>,
    /// When each file was last written to. Logs are kept under their names without folder.
    heard: HashMap<PathBuf, Timestamp>,
    facts: BTreeMap<Arc<Path>, FactsFile>,
    /// How far each file of lines was read.
    lines: HashMap<Arc<Path>, GrowingLines>,
    /// Files that cannot be used: since when, and whether an event said so.
    unusable: BTreeMap<PathBuf, Unusable>,
    places: Places,
    /// What was last seen of each server's log.
    tasks: HashMap<Arc<Path>, Vec<BackendTask>>,
    /// How far the servers are with the prompts that they read.
    readings: Readings,
    reading: HashMap<TracePath, PromptReading>,
    /// What was last seen of each debug log.
    logs: HashMap<Arc<Path>, Vec<Sign>>,
    /// What the tools cost, and how many turns had ended when that was computed.
    tool_costs: Option<(usize, ToolCosts)>,
    told: HashMap<TracePath, Told>,
    told_findings: HashSet<(FindingKind, Option<Cause>, Option<Arc<str>>)>,
    /// The next look has events to give, whether or not anything changes.
    is_due: bool,
    /// When the next waiting request counts as failed, unless its files or its log change.
    silent_from: Option<Timestamp>,
    situation: Situation,
}

#[derive(Debug)]
struct Unusable {
    error: Error,
    since: Timestamp,
    is_told: bool,
}

/// The members of a logged request whose change makes an event.
type Sign = (Timestamp, Outcome, u64, Amount, Amount, Amount);

impl Follower {
    /// A follower of what the filter admits: requests of every kind, unless it names one.
    ///
    /// # Errors
    ///
    /// When a root does not exist that the filter names.
    pub fn new(filter: Filter, cache: CacheOptions) -> Result<Self> {
        let is_whole = filter.is_whole || filter.since.is_some();
        let mut places = Places::of(&filter);
        let reader = Reader::new(filter, KindFilter::All)?.with_costs(cache).with_growing_logs();
        places.server_logs.extend(reader.named_server_logs().map(Path::to_owned));
        Ok(Self {
            reader,
            is_whole,
            watched: Watched::new(places.folders().cloned().collect(), places.server_logs.iter().cloned()),
            places,
            tasks: HashMap::new(),
            readings: Readings::default(),
            reading: HashMap::new(),
            first_look: None,
            looks: 0,
            files: BTreeMap::new(),
            heard: HashMap::new(),
            facts: BTreeMap::new(),
            lines: HashMap::new(),
            unusable: BTreeMap::new(),
            logs: HashMap::new(),
            tool_costs: None,
            told: HashMap::new(),
            told_findings: HashSet::new(),
            is_due: false,
            silent_from: None,
            situation: Situation::default(),
        })
    }

    /// What happened since the last look, in order of time; at the first, all of the
    /// sitting. `now` is the time.
    pub fn look(&mut self, now: Timestamp) -> Vec<Event> {
        let look = Look { number: self.looks, now };
        self.first_look.get_or_insert(now);
        let changes = self.watched.look(now);
        let is_changed = self.take(changes, look) || look.number == 0;
        self.looks += 1;
        let mut events = Vec::new();
        let is_silent = self.silent_from.is_some_and(|from| now >= from);
        if is_changed || self.is_due || is_silent {
            if is_changed || is_silent {
                self.situation = self.situation_now(now);
            }
            self.is_due = self.tell(look, &mut events);
        }
        self.reading = self.readings_now(now);
        self.tell_unusable(look, &mut events);
        events.sort_by_key(Event::at);
        events
    }

    /// Whether more is expected within milliseconds, so that the next look should come soon.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.is_due
    }

    /// What was found at the last look.
    #[must_use]
    pub fn situation(&self) -> &Situation {
        &self.situation
    }

    /// The id that the events of a request have.
    #[must_use]
    pub fn id_of(&self, request: &Request) -> RequestId {
        let told = request.paths.first().and_then(|path| self.told.get(path));
        told.filter(|told| told.has_begun).map_or(request.id, |told| told.id)
    }

    /// Reads what is new. True where that makes a difference.
    fn take(&mut self, changes: Changes, look: Look) -> bool {
        let Changes { mut written, gone, errors } = changes;
        let mut is_changed = false;
        for path in gone {
            is_changed |= self.files.remove(&path).is_some() | self.facts.remove(&path).is_some();
            self.lines.remove(&path);
            is_changed |= self.logs.remove(&path).is_some();
            self.unusable.remove(&*path);
        }
        let mut traces = Vec::new();
        if look.number == 0 && !self.is_whole {
            let is_any_log = |path: &Path| self.places.is_log(path) || self.places.is_server_log(path);
            let traces = || written.iter().filter(|(path, _)| !is_any_log(path));
            // A copied file has a new time of writing: the time in its name counts, if it has one.
            let newest = traces().filter_map(|(path, _)| recorded(path, None)).max();
            let newest = newest.or_else(|| traces().filter_map(|(_, modified)| *modified).max());
            let from = newest.map(|newest| newest.plus_ms(-HISTORY_MS));
            let logs_from = from.unwrap_or_else(|| look.now.plus_ms(-HISTORY_MS));
            written.retain(|(path, modified)| {
                if self.places.is_found_server_log(path) {
                    // Older ones are read where requests of their time are asked about.
                    return modified.is_none_or(|at| at >= logs_from);
                }
                is_any_log(path) || recorded(path, *modified).is_none_or(|at| Some(at) >= from)
            });
        }
        for (path, modified) in written {
            let heard_as = if self.places.is_log(&path) { path.file_name().map(PathBuf::from) } else { None };
            if let Some(modified) = modified {
                self.heard.insert(heard_as.unwrap_or_else(|| path.to_path_buf()), modified);
            }
            if self.places.is_server_log(&path) {
                is_changed |= self.has_new_tasks(&path, look);
            } else if !self.places.is_log(&path) {
                if self.places.is_recorded(&path) {
                    traces.push(path);
                }
            } else if self.has_news(&path) || look.number == 0 {
                is_changed = true;
            }
        }
        for error in errors {
            self.add_unusable(error, look.now);
        }
        is_changed | self.read(&traces, look)
    }

    /// Whether a log tells anything that was not known.
    fn has_news(&mut self, path: &Arc<Path>) -> bool {
        let Some(log) = self.reader.store().grown_log(path) else { return true };
        let requests = log.runs.iter().flat_map(|run| &run.requests);
        let signs: Vec<Sign> = requests
            .map(|request| {
                let keepalives = request.facts.keepalives_so_far;
                let counts = (request.total_ms, request.prompt_tokens);
                (request.start, request.outcome, keepalives, request.ttft_ms, counts.0, counts.1)
            })
            .collect();
        let is_news = self.logs.get(path) != Some(&signs);
        self.logs.insert(path.clone(), signs);
        is_news
    }

    /// How far servers are with the prompts of requests that wait.
    fn readings_now(&self, now: Timestamp) -> HashMap<TracePath, PromptReading> {
        if self.readings.are_none() {
            return HashMap::new();
        }
        let waiting = self.running().filter(|running| running.ttft_ms.is_none());
        let waiting = waiting
            .filter_map(|running| Some(Waiting { request: running.request, since: running.since? }))
            .collect::<Vec<_>>();
        self.readings.of(&waiting, |log| self.heard.get(log).copied(), now)
    }

    /// Whether a server's log tells of anything that was not known.
    fn has_new_tasks(&mut self, path: &Arc<Path>, look: Look) -> bool {
        let (logs, errors) = self.reader.store().grown_server_logs(&[path]);
        if errors.is_empty() {
            self.unusable.remove(&**path);
        }
        for error in errors {
            self.add_unusable(error, look.now);
        }
        let mut is_news = false;
        for mut log in logs {
            let path: Arc<Path> = Arc::from(log.path.as_path());
            self.readings.take(&path, &mut log.content, look);
            if self.tasks.get(&path) != Some(&log.content.tasks) {
                is_news = true;
                self.tasks.insert(path, log.content.tasks.clone());
            }
            self.reader.take_server_log(log);
        }
        is_news
    }

    fn read(&mut self, paths: &[Arc<Path>], look: Look) -> bool {
        if paths.is_empty() {
            return false;
        }
        let is_of_lines = |path: &&Arc<Path>| path.extension().is_some_and(|ending| ending == "jsonl");
        let paths: Vec<Arc<Path>> =
            paths.iter().filter(|path| !is_of_lines(path) || !self.add_lines(path)).cloned().collect();
        let paths = &*paths;
        let mut found: BTreeMap<Arc<Path>, Vec<TraceFile>> = BTreeMap::new();
        let (reader, facts) = (&self.reader, &mut self.facts);
        let errors = reader.store().scan_found(
            paths,
            PrefixVisitor::default,
            |file, seen| {
                reader.add_prompt(&file, seen);
                found.entry(Arc::from(file.path.file())).or_default().push(file);
            },
            |file| {
                facts.insert(file.path.clone(), file);
            },
        );
        for path in paths {
            self.unusable.remove(&**path);
            if !found.contains_key(path) {
                self.files.remove(path);
            }
        }
        for error in errors {
            self.add_unusable(error, look.now);
        }
        self.files.extend(found);
        true
    }

    /// Reads what was added to a file of lines; false where the file has to be read as a whole.
    fn add_lines(&mut self, path: &Arc<Path>) -> bool {
        let lines = self.lines.entry(path.clone()).or_default();
        let added = self.reader.store().added_facts(lines, path);
        let is_added =
            added.is_some_and(|Added { facts, modified, is_anew }| match self.facts.get_mut(path) {
                Some(file) if !is_anew => {
                    file.modified = modified;
                    file.facts.append(facts)
                }
                _ => {
                    self.facts.insert(path.clone(), FactsFile { path: path.clone(), modified, facts });
                    true
                }
            });
        if is_added {
            self.unusable.remove(&**path);
        } else {
            self.lines.remove(path);
        }
        is_added
    }

    fn add_unusable(&mut self, error: Error, now: Timestamp) {
        let path = error.path().to_owned();
        // A file that was there before has had time to be completed.
        let since = self.heard.get(&path).map_or(now, |modified| now.min(*modified));
        self.unusable.entry(path).or_insert(Unusable { error, since, is_told: false });
    }

    fn situation_now(&mut self, now: Timestamp) -> Situation {
        self.forget_old();
        let files = self.files.values().flatten().cloned();
        let facts: Vec<FactsFile> = self.facts.values().cloned().collect();
        let mut set = RequestSet::of_files(files, &facts, Vec::new());
        self.leave_open(&mut set.requests, now);
        let Some(selection) = self.reader.selection_of(set) else { return Situation::default() };
        for error in selection.skipped.iter().filter(|error| is_named_as_log(error.path())) {
            self.add_unusable(error.clone(), now);
        }
        let speeds = cost::speeds_by_model(selection.of_all_kinds());
        self.price_tools(&selection, &speeds);
        let tool_costs = self.tool_costs.as_ref().map(|(_, costs)| costs);
        let passing = selection.passing();
        let scope = selection.scope;
        let (prefix, forecasts, input) = simulated(&self.reader, &passing, |simulation, steps| {
            let rows = Rows::of(simulation, steps, |_| false);
            let mut input = PrefixInput::new(scope, &passing);
            input.speeds.clone_from(&speeds);
            let prefix = rows.report(input, simulation).requests;
            let forecasts = rows.forecasts(&passing, simulation, &speeds);
            let cache = (simulation, rows.cached_prompts(&passing));
            (prefix, forecasts, FindingsInput::of_passing(&passing, speeds.clone(), cache, tool_costs))
        });
        Situation { findings: find(&input), requests: selection.requests, prefix, forecasts, speeds }
    }

    /// Removes the outcome of requests that may still be answered. In a finished recording a
    /// request without an answer was given up; in this one it may be waiting.
    fn leave_open(&self, requests: &mut [Request], now: Timestamp) {
        let heard = Heard { files: &self.heard, first_look: self.first_look, now };
        let last_signs = LastSigns::of(requests);
        let new = Told::default();
        for request in requests {
            let told = request.paths.first().and_then(|path| self.told.get(path)).unwrap_or(&new);
            let is_open = heard.of(request, told, &last_signs).is_open(now);
            if let Some(timing) = request.timing.as_mut().filter(|_| is_open && !told.has_ended) {
                timing.outcome = timing.outcome.filter(|outcome| *outcome == Outcome::NotStreamed);
            }
        }
    }

    /// Computes what the tools cost, once for each conversation request that has ended, as it
    /// reads some files again.
    fn price_tools(&mut self, selection: &Selection, speeds: &[ModelSpeeds]) {
        let is_turn = |request: &&Request| request.kind == Kind::Conversation;
        let turns: Vec<&Request> = selection.requests.iter().filter(is_turn).collect();
        let has_ended =
            |request: &&&Request| request.timing.as_ref().is_some_and(|one| one.total_ms.is_known());
        let ended = turns.iter().filter(has_ended).count();
        if self.tool_costs.as_ref().is_none_or(|(priced, _)| *priced != ended) && ended >= LEAST_TURNS {
            let passing = selection.passing();
            let everything: Vec<&Request> = passing.iter().map(|input| input.request).collect();
            // A file that cannot be read any more has an event of its own.
            let (costs, _) = self.reader.with_prompts(|prompts| {
                read_tool_costs_of(self.reader.store(), prompts, &turns, &everything, speeds)
            });
            self.tool_costs = Some((ended, costs));
        }
    }

    /// Drops files that were recorded long before the newest.
    fn forget_old(&mut self) {
        if self.is_whole {
            return;
        }
        let stamp = |files: &Vec<TraceFile>| files.iter().filter_map(|file| file.record.timestamp).max();
        let Some(newest) = self.files.values().filter_map(stamp).max() else { return };
        let from = newest.plus_ms(-HISTORY_MS);
        self.files.retain(|_, files| stamp(files).is_none_or(|at| at >= from));
    }

    /// True where more is due at the next look.
    fn tell(&mut self, look: Look, events: &mut Vec<Event>) -> bool {
        let Situation { requests, prefix, forecasts, findings, .. } = &self.situation;
        let rows = by_path(prefix, |row| &row.path);
        let expected = by_path(forecasts, |forecast| &forecast.path);
        let heard = Heard { files: &self.heard, first_look: self.first_look, now: look.now };
        let last_signs = LastSigns::of(requests);
        let (mut is_due, mut silent_from) = (false, None);
        for request in requests {
            let Some(first) = request.paths.first() else { continue };
            let told = self.told.entry(first.clone()).or_default();
            if told.has_ended {
                continue;
            }
            let followed = Followed {
                prefix: rows.get(&request.path).copied(),
                forecast: expected.get(&request.path).copied(),
                ..heard.of(request, told, &last_signs)
            };
            is_due |= told.tell(followed, look, events) || told.is_due();
            if told.is_open {
                silent_from = followed.silent_from().into_iter().chain(silent_from).min();
            }
        }
        self.silent_from = silent_from;
        let at = events.iter().map(Event::at).max().unwrap_or(look.now);
        for finding in findings {
            let key = (finding.kind, finding.cause, finding.model.clone());
            if self.told_findings.insert(key) {
                events.push(Event::Finding(Box::new(Found { at, finding: finding.clone() })));
            }
        }
        is_due
    }

    fn tell_unusable(&mut self, look: Look, events: &mut Vec<Event>) {
        for unusable in self.unusable.values_mut().filter(|unusable| !unusable.is_told) {
            let is_half_written =
                matches!(unusable.error.reason(), SkipReason::Truncated | SkipReason::Empty);
            let waited_ms = look.now.ms_since(unusable.since);
            if !is_half_written || waited_ms >= HALF_WRITTEN_MS {
                unusable.is_told = true;
                let skipped = Skipped::from(&unusable.error);
                events.push(Event::Skipped(Passed { at: look.now, skipped }));
            }
        }
    }
}
