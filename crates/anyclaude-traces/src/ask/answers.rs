//! Requests that were selected → the complete answer to a question. What a question
//! needs of files besides is read again here; files that cannot be read any more are
//! added to what was skipped.

use std::borrow::Borrow;
use std::collections::HashMap;

use crate::analysis::content::Content;
use crate::analysis::context_window::context;
use crate::analysis::diff::{self, Diff, read_side};
use crate::analysis::explain::{self, Direct, ExplainInput, Explanation, Prompt, SideInput, read_prompts};
use crate::analysis::list::RequestList;
use crate::analysis::offered_tools::ToolGroup;
use crate::analysis::prefix::{self, CacheInput, PrefixInput, PrefixReport, PrefixRequest, Rows};
use crate::analysis::report::{self, PromptText, Report, ReportInput};
use crate::analysis::show::{self, RequestDetail};
use crate::analysis::summary::{Summary, summarize};
use crate::analysis::timing::{self, TimingReport};
use crate::analysis::tool_cost::{
    ToolCosts, read_tool_costs, read_tool_costs_among, read_tool_costs_of, read_tool_costs_of_groups,
};
use crate::analysis::what_if::{self, Change, UnknownName, WhatIf};
use crate::both::both;
use crate::cost;
use crate::error::{Error, Skipped};
use crate::findings::{Finding, FindingsInput, find};
use crate::model::ModelSpeeds;
use crate::model::group::Grouping;
use crate::model::request::{Kind, Request, TracePath};
use crate::model::scope::{KindFilter, Scope};
use crate::prompt_cache::{ElementTexts, SimulatedSteps, Simulation, simulate};
use crate::read::Store;
use crate::select::{
    OneOrTwoSides, Reader, SITTING_MS, SelectError, SelectedSide, Selection, faster_first, last_two_models,
};

/// All requests, with their tokens where any backend counted some.
#[must_use]
pub fn list(reader: &Reader, mut selection: Selection) -> RequestList {
    selection.count_tokens(reader.store());
    let skipped = selection.skipped_list();
    RequestList { scope: selection.scope, requests: selection.requests, skipped }
}

/// What sessions looked like.
#[must_use]
pub fn summary(reader: &Reader, selection: &mut Selection, grouping: &Grouping) -> Summary {
    let speeds = cost::speeds_by_model(selection.of_all_kinds());
    let tool_costs =
        reader.with_prompts(|prompts| read_tool_costs(selection, &speeds, reader.store(), prompts));
    let (requests, skipped) = (selection.of_all_kinds(), selection.skipped_list());
    let passing = selection.passing_of_all_kinds();
    let (summary, findings) = both(
        || summarize(selection.scope, &requests, skipped.clone(), grouping, None, Vec::new()),
        || found(reader, &passing, speeds, &tool_costs),
    );
    Summary { price_list: Some(tool_costs), findings, ..summary }
}

/// How long everything took; groups are made of requests of `groups_kind`.
#[must_use]
pub fn timing(
    store: &Store,
    mut selection: Selection,
    groups_kind: KindFilter,
    grouping: &Grouping,
) -> TimingReport {
    selection.count_tokens(store);
    let skipped = selection.skipped_list();
    let Selection { scope, requests, others, joined, .. } = selection;
    timing::timing(scope, requests, &others, joined, skipped, groups_kind, grouping)
}

/// What else [`prefix`](fn@prefix) is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrefixOptions {
    /// The context window that the threads are measured against, in tokens.
    pub context_tokens: Option<u64>,
    /// Whether to quote what was and what is around each first difference.
    pub text: bool,
}

/// What a prompt cache could have reused of each request. The reader must have been
/// made [`with_costs`](Reader::with_costs).
#[must_use]
pub fn prefix(reader: &Reader, selection: &mut Selection, options: PrefixOptions) -> PrefixReport {
    let speeds = cost::speeds_by_model(selection.of_all_kinds());
    let tool_costs =
        reader.with_prompts(|prompts| read_tool_costs(selection, &speeds, reader.store(), prompts));
    match options.context_tokens {
        Some(_) => selection.count_all_tokens(reader.store()),
        None => selection.count_tokens(reader.store()),
    }
    let passing = selection.passing();
    let mut input = PrefixInput::new(selection.scope, &passing);
    input.speeds = speeds;
    input.tool_costs = Some(tool_costs);
    input.context = options.context_tokens.map(|tokens| {
        let requests: Vec<&Request> = selection.requests.iter().collect();
        context(&requests, tokens)
    });
    (input.text, input.skipped) = (options.text, selection.skipped_list());
    simulated(reader, &passing, |simulation, steps| prefix::prefix(input, simulation, steps))
}

/// What costs time in the selected requests, and what to do about it: the dearest first.
/// The reader must have been made [`with_costs`](Reader::with_costs). Files that cannot be
/// read any more are added to what was skipped.
#[must_use]
pub fn findings(reader: &Reader, selection: &mut Selection) -> Vec<Finding> {
    let (findings, unreadable) = {
        let passing = selection.passing_of_all_kinds();
        let conversation = KindFilter::Only(Kind::Conversation);
        let (tool_costs, unreadable) = tool_costs_of(reader, &passing, conversation);
        let speeds = cost::speeds_by_model(selection.of_all_kinds());
        (found(reader, &passing, speeds, &tool_costs), unreadable)
    };
    add_errors(&mut selection.skipped, unreadable);
    findings
}

/// The selected requests that broke the prompt cache, as [`prefix`](fn@prefix) has them. The
/// reader must have been made [`with_costs`](Reader::with_costs).
#[must_use]
pub fn cache_breaks(reader: &Reader, selection: &Selection) -> Vec<PrefixRequest> {
    let passing = selection.passing();
    let speeds = cost::speeds_by_model(selection.of_all_kinds());
    simulated(reader, &passing, |simulation, steps| {
        Rows::of(simulation, steps, |_| false).breaks(&passing, &speeds)
    })
}

/// What the tools of each of these groups of requests cost. `selection` is what they were
/// selected from. Files that cannot be read any more are returned besides.
#[must_use]
pub fn tool_costs_of_groups(
    reader: &Reader,
    selection: &Selection,
    groups: &[Vec<&Request>],
) -> (Vec<ToolCosts>, Vec<Error>) {
    let speeds = cost::speeds_by_model(selection.of_all_kinds());
    let everything: Vec<&Request> = selection.everything().collect();
    reader.with_prompts(|prompts| {
        read_tool_costs_of_groups(reader.store(), prompts, groups, &everything, &speeds)
    })
}

/// Lets requests pass through the simulated cache once, and looks at what that gives.
pub(crate) fn simulated<T>(
    reader: &Reader,
    passing: &[CacheInput<'_>],
    look: impl FnOnce(&Simulation<'_>, SimulatedSteps) -> T,
) -> T {
    let requests: Vec<&Request> = passing.iter().map(|input| input.request).collect();
    let mut texts = ElementTexts::new(reader.store());
    let mut fetch = |path: &_, place| texts.read(path, place);
    reader.with_prompts(|prompts| {
        let (simulation, steps) = simulate(&requests, prompts, reader.cache(), &mut fetch);
        look(&simulation, steps)
    })
}

/// The newest of the selected requests, taken apart; with `text`, also what it says.
///
/// # Errors
///
/// When none is selected, or its file cannot be read any more.
pub fn show(reader: &Reader, selection: &mut Selection, text: bool) -> Result<RequestDetail, SelectError> {
    let store = reader.store();
    selection.count_all_tokens(store);
    let speeds = cost::speeds_by_model(selection.everything());
    let tool_costs = tool_costs_in_sitting(reader, selection, &speeds);
    let findings = found(reader, &selection.passing(), speeds, &tool_costs);
    let request = selection.requests.last().cloned().ok_or(SelectError::NoRequest)?;
    let mut content = if text { Content::with_text() } else { Content::sizes() };
    store.read_body(&request, &mut content)?;
    Ok(show::show(request, content, Some(tool_costs), findings))
}

/// What the tools of the newest request cost. A tool counts as called where any conversation
/// of the same sitting called it, as it does where all of them are looked at.
fn tool_costs_in_sitting(reader: &Reader, selection: &mut Selection, speeds: &[ModelSpeeds]) -> ToolCosts {
    let own: Vec<&Request> = selection.requests.iter().collect();
    let newest = own.last().and_then(|newest| newest.timestamp);
    let is_near = |request: &&Request| {
        let apart_ms = request.timestamp.zip(newest).map(|(stamp, newest)| stamp.ms_since(newest).abs());
        request.kind == Kind::Conversation && apart_ms.is_some_and(|ms| ms <= SITTING_MS)
    };
    let mut callers: Vec<&Request> =
        selection.everything().filter(is_near).chain(own.iter().copied()).collect();
    callers.sort_by(|a, b| a.order().cmp(&b.order()));
    callers.dedup_by(|a, b| a.path == b.path);
    let everything: Vec<&Request> = selection.everything().collect();
    let (costs, errors) = reader.with_prompts(|prompts| {
        read_tool_costs_among(
            reader.store(),
            prompts,
            ToolGroup { requests: &own, callers: &callers },
            &everything,
            speeds,
        )
    });
    selection.skipped.extend(errors);
    costs
}

/// Two sides, side by side; with `text`, also their lines.
///
/// # Errors
///
/// When a file that is needed cannot be read any more.
pub fn diff(reader: &Reader, sides: [&SelectedSide; 2], text: bool) -> Result<Diff, Error> {
    let [left, right] =
        sides.map(|side| read_side(reader.store(), side.selector.clone(), side.own().collect(), text));
    Ok(diff::diff(&left?, &right?))
}

/// Where the slower of two sides lost its time, or where the time of one side goes.
/// `direct` is what both models took without the proxy, where that was measured.
#[must_use]
pub fn explain(reader: &Reader, sides: &mut OneOrTwoSides, direct: Option<(Direct, Direct)>) -> Explanation {
    let (prompts, unreadable) = prompts(reader.store(), &sides.left, sides.right.as_ref());
    sides.skipped.extend(unreadable);
    let passing = sides.passing();
    let all: Vec<&Request> = passing.iter().map(|input| input.request).collect();
    let kind = KindFilter::Only(Kind::Conversation);
    let (tool_costs, unreadable) = tool_costs_of(reader, &passing, kind);
    let findings = found(reader, &passing, cost::speeds_by_model(all), &tool_costs);
    add_errors(&mut sides.skipped, unreadable);
    explained(sides.scope, &sides.left, sides.right.as_ref(), &prompts, direct, findings)
}

/// What the turns of these sides would take with a change, beside what they took. The
/// reader must have been made [`with_costs`](Reader::with_costs).
///
/// # Errors
///
/// When the change names a tool or a server that no request offers.
pub fn what_if(reader: &Reader, sides: &mut OneOrTwoSides, change: Change) -> Result<WhatIf, UnknownName> {
    let passing = sides.passing();
    let all: Vec<&Request> = passing.iter().map(|input| input.request).collect();
    let own: Vec<&Request> =
        std::iter::once(&sides.left).chain(&sides.right).flat_map(|side| &side.requests).collect();
    what_if::check(&change, &own)?;
    let (tools, unreadable) =
        reader.with_prompts(|prompts| what_if::ToolFacts::read(reader.store(), prompts, &own, &all));
    let found = reader.with_prompts(|prompts| {
        what_if::what_if(what_if::WhatIfInput {
            change,
            requests: &all,
            own: &own,
            tools: &tools,
            prompts,
            options: reader.cache(),
            store: reader.store(),
        })
    });
    add_errors(&mut sides.skipped, unreadable);
    Ok(found)
}

/// What costs time in the reported ones of these requests.
fn found(
    reader: &Reader,
    passing: &[CacheInput<'_>],
    speeds: Vec<ModelSpeeds>,
    tool_costs: &ToolCosts,
) -> Vec<Finding> {
    // The rules do not need the simulation any more.
    let input = simulated(reader, passing, |simulation, steps| {
        let prompts = Rows::of(simulation, steps, |_| false).cached_prompts(passing);
        FindingsInput::of_passing(passing, speeds, (simulation, prompts), Some(tool_costs))
    });
    find(&input)
}

/// What the tools of the reported requests of these kinds cost, where the answer does not
/// show it.
fn tool_costs_of(reader: &Reader, passing: &[CacheInput<'_>], kind: KindFilter) -> (ToolCosts, Vec<Error>) {
    let everything: Vec<&Request> = passing.iter().map(|input| input.request).collect();
    let is_shown = |input: &&CacheInput<'_>| input.reported && kind.admits(input.request.kind);
    let shown: Vec<&Request> = passing.iter().filter(is_shown).map(|input| input.request).collect();
    let speeds = cost::speeds_by_model(everything.iter().copied());
    reader.with_prompts(|prompts| read_tool_costs_of(reader.store(), prompts, &shown, &everything, &speeds))
}

/// Adds what is not known yet: a file may be read again several times.
fn add_errors(known: &mut Vec<Error>, more: Vec<Error>) {
    for error in more {
        if !known.iter().any(|old| old.path() == error.path()) {
            known.push(error);
        }
    }
}

/// What both sides asked. One side alone has nothing to be paired with.
fn prompts<R: Borrow<Request>>(
    store: &Store,
    left: &SelectedSide<R>,
    right: Option<&SelectedSide<R>>,
) -> (HashMap<TracePath, Prompt>, Vec<Error>) {
    let compared = right.into_iter().flat_map(|right| [left, right]);
    read_prompts(store, compared.flat_map(SelectedSide::own))
}

fn explained<R: Borrow<Request>>(
    scope: Scope,
    left: &SelectedSide<R>,
    right: Option<&SelectedSide<R>>,
    prompts: &HashMap<TracePath, Prompt>,
    direct: Option<(Direct, Direct)>,
    findings: Vec<Finding>,
) -> Explanation {
    explain::explain(ExplainInput {
        scope,
        left: side_input(left),
        right: right.map(side_input),
        prompts,
        direct,
        findings,
    })
}

fn side_input<R: Borrow<Request>>(side: &SelectedSide<R>) -> SideInput<'_> {
    SideInput {
        selector: &side.selector,
        requests: side.own().collect(),
        speeds: cost::speeds_by_model(side.everything()),
    }
}

/// What else [`report`](fn@report) is asked.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReportOptions {
    /// What both models took without the proxy, where that was measured; the faster
    /// model first.
    pub direct: Option<(Direct, Direct)>,
    /// Whether to quote each model's newest prompt.
    pub text: bool,
}

/// The two models that a report compares, the faster one first; `None` where fewer are
/// known.
#[must_use]
pub fn compared_models(selection: &Selection, kind: KindFilter) -> Option<[SelectedSide<&Request>; 2]> {
    last_two_models(selection, kind).map(faster_first)
}

/// All that one page tells of the selected requests, which are of this kind. The reader
/// must have been made [`with_costs`](Reader::with_costs).
///
/// # Errors
///
/// When text is asked for, and a file cannot be read any more.
pub fn report(
    reader: &Reader,
    mut selection: Selection,
    kind: KindFilter,
    options: ReportOptions,
) -> Result<Report, Error> {
    let store = reader.store();
    let mut skipped = std::mem::take(&mut selection.skipped);
    let models = compared_models(&selection, kind);
    let sides = models.map_or_else(|| vec![SelectedSide::of_all(&selection)], Vec::from);
    let direct = options.direct.clone().map_or_else(Vec::new, |(left, right)| vec![left, right]);
    let direct = direct.into_iter().map(Some).chain(std::iter::repeat(None));
    let report_sides: Vec<report::ReportSide<'_>> = sides.iter().zip(direct).map(report_side).collect();
    let by_model = Grouping::by_model();
    let ((compared, groups), (prefix, findings, unreadable)) = both(
        || {
            let compared = report::ComparedSides::of(&report_sides, &selection.others);
            (compared, timing::groups(&selection.requests, &selection.others, kind, &by_model))
        },
        || reused_and_found(reader, &selection, kind),
    );
    add_errors(&mut skipped, unreadable);
    let mut explanation = None;
    if let Some(left) = sides.first() {
        let (prompts, unreadable) = prompts(store, left, sides.get(1));
        add_errors(&mut skipped, unreadable);
        explanation =
            Some(explained(selection.scope, left, sides.get(1), &prompts, options.direct, findings.clone()));
    }
    let texts = if options.text { texts(store, &report_sides)? } else { Vec::new() };
    let skipped = skipped.iter().map(Skipped::from).collect();
    let Selection { requests, others, scope, joined, .. } = selection;
    Ok(report::report(ReportInput {
        timing: timing::timing_of_groups(scope, requests, joined, skipped, (kind, groups)),
        others: &others,
        compared,
        explanation,
        findings,
        prefix: Some(prefix),
        texts,
    }))
}

/// What a prompt cache could have reused of the selected requests, and what costs time in
/// them. Files that cannot be read any more are returned besides.
fn reused_and_found(
    reader: &Reader,
    selection: &Selection,
    kind: KindFilter,
) -> (PrefixReport, Vec<Finding>, Vec<Error>) {
    let (scope, speeds) = (selection.scope, cost::speeds_by_model(selection.of_all_kinds()));
    let (passing, of_all_kinds) = (selection.passing(), selection.passing_of_all_kinds());
    let (tool_costs, unreadable) = tool_costs_of(reader, &of_all_kinds, kind);
    // The same requests passed; only which of them are shown differs.
    let (prefix, input) = simulated(reader, &passing, |simulation, steps| {
        let rows = Rows::of(simulation, steps, |_| false);
        let mut input = PrefixInput::new(scope, &passing);
        input.speeds.clone_from(&speeds);
        let prefix = rows.report(input, simulation);
        let cache = (simulation, rows.cached_prompts(&of_all_kinds));
        (prefix, FindingsInput::of_passing(&of_all_kinds, speeds, cache, Some(&tool_costs)))
    });
    (prefix, find(&input), unreadable)
}

/// A side by its model, where all its requests have the same.
fn report_side<'a>((side, direct): (&SelectedSide<&'a Request>, Option<Direct>)) -> report::ReportSide<'a> {
    report::ReportSide {
        name: side.model().unwrap_or(&side.selector).to_owned(),
        requests: side.requests.clone(),
        direct,
    }
}

/// The text of each side's newest request.
fn texts(store: &Store, sides: &[report::ReportSide<'_>]) -> Result<Vec<PromptText>, Error> {
    let text = |side: &report::ReportSide<'_>| -> Result<Option<PromptText>, Error> {
        let Some(newest): Option<&&Request> = side.requests.last() else { return Ok(None) };
        let mut content = Content::with_text();
        let is_recorded = store.read_body(newest, &mut content)?;
        Ok(is_recorded.then(|| PromptText::of(&side.name, newest, &content)))
    };
    sides.iter().filter_map(|side| text(side).transpose()).collect()
}
