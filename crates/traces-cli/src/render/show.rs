//! The page of `traces show`.

use anyclaude_traces::Request;
use anyclaude_traces::analysis::show::{RequestDetail, ShownMessage, ShownTool};
use anyclaude_traces::model::Amount;
use anyclaude_traces::model::measure::{Measure, Unit};
use anyclaude_traces::model::request::{TokenMethod, Tokens};

use super::ids::Ids;
use super::page::{MORE, Next, Page, quoted};
use super::table::{Grid, bars, number, text};
use super::{findings, list, sanitize, tools, units};

/// How much is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShowDetail {
    tools: usize,
    messages: usize,
    has_all: bool,
}

impl ShowDetail {
    /// All there is.
    pub(crate) const ALL: Self = Self { tools: 12, messages: 12, has_all: true };

    /// All there is, and less, for terminals that are not high enough.
    pub(crate) fn levels() -> impl Iterator<Item = Self> {
        let less = Self { tools: 5, messages: 3, has_all: true };
        [Self::ALL, less, Self { tools: 2, messages: 0, has_all: false }].into_iter()
    }
}

pub(crate) fn page(shown: &RequestDetail, next: &Next, ids: Ids, detail: ShowDetail) -> Page {
    let mut page = Page::default();
    let request = &shown.request;
    if let Some(headline) = headline(request) {
        page.strong(headline);
    }
    page.line(request.path.as_ref().display().to_string());
    page.line(facts(request, ids));
    if let Some(times) = times(request) {
        page.line(times);
    }
    if request.has_body() {
        page.table(sections(request));
    } else {
        page.line("Its prompt was not recorded: of its sections, tools and messages nothing is known.");
    }
    if detail.has_all {
        page.table(system(shown));
    }
    let largest: Vec<tools::LargestTool<'_>> = shown.tools.iter().map(tool_row).collect();
    let costs = shown.price_list.as_ref();
    page.table(tools::largest(&largest, costs, detail.tools));
    tools::servers(&shown.mcp_servers, costs).into_iter().for_each(|servers| page.line(servers));
    costs.into_iter().for_each(|costs| tools::costs(&mut page, costs));
    findings::all(&mut page, &shown.findings);
    if detail.messages > 0 {
        page.table(messages(&shown.messages, detail.messages));
    }
    if detail.has_all {
        page.table(parameters(shown, ids));
    }
    texts(&mut page, shown);
    if detail.messages == 0 {
        let id = shown.request.id;
        let command = if next.has_paths { next.same("show") } else { next.command(&format!("show {id}")) };
        page.hint(MORE, format!("{command} | less"));
        return page;
    }
    if let (false, Some(session)) = (next.has_paths, &request.session) {
        page.hint(
            "Other requests of this session:",
            next.command(&format!("list session:{}", quoted(&ids.session(session)))),
        );
    }
    page
}

/// How large the prompt is and what most of it is, and how long the answer took.
fn headline(request: &Request) -> Option<String> {
    let sizes = &request.sizes;
    let body = sizes.body_bytes.get().filter(|body| *body > 0)?;
    let sections = [
        ("the system prompt", sizes.system_bytes),
        ("tools", sizes.tools_bytes),
        ("messages", sizes.messages_bytes),
    ];
    let known = sections.into_iter().filter_map(|(name, bytes)| Some((name, bytes.get()?)));
    let (name, bytes) = known.rev().max_by_key(|(_, bytes)| *bytes)?;
    let tokens = request.tokens.as_ref().map_or_else(String::new, |tokens| match tokens.method {
        TokenMethod::Reported => format!(", {} tokens", units::tokens(tokens.total)),
        _ => format!(", {} tokens", units::estimate(tokens.total)),
    });
    let wall = Measure::WallMs.of(request).or_else(|| Measure::TotalMs.of(request));
    let took = wall.map_or_else(String::new, |wall| format!("; it took {}", units::show(wall, Unit::Ms)));
    let share = units::share(bytes, body);
    Some(format!("This prompt has {}{tokens}: {share} of it is {name}{took}.", units::bytes(body)))
}

fn facts(request: &Request, ids: Ids) -> String {
    let mut facts =
        vec![request.id.to_string(), units::stamp(request.timestamp), request.kind.name().to_owned()];
    if request.model.is_some() {
        facts.push(list::model(request));
    } else if let Some(asked) = &request.caller.requested_model {
        facts.push(format!("asked for {asked}; the model that ran is unknown"));
    }
    facts.extend(request.session.as_ref().map(|session| format!("session {}", ids.session(session))));
    if let Some(response) = &request.response {
        facts.extend(response.output_tokens.map(|n| units::count(n, "output token")));
        facts.extend(response.stop_reason.as_ref().map(|reason| format!("stopped: {reason}")));
    }
    facts.join(" · ")
}

/// `TTFT 535 ms · total 746 ms · 57.7 tok/s · completed`, as far as it is known.
fn times(request: &Request) -> Option<String> {
    let timing = request.timing.as_ref()?;
    let known = |measure: Measure, name: &str| {
        let value = measure.of(request)?;
        Some(format!("{name} {}", units::show(value, measure.unit())).trim().to_owned())
    };
    let mut times: Vec<String> = [
        (Measure::ProxyMs, "proxy"),
        (Measure::TtftMs, "TTFT"),
        (Measure::TotalMs, "total"),
        (Measure::Keepalives, "keepalives"),
        (Measure::PromptTokens, "prompt tokens"),
        (Measure::OutputTokens, "output tokens"),
        (Measure::ReportedTokensPerSecond, "tok/s"),
    ]
    .into_iter()
    .filter_map(|(measure, name)| known(measure, name))
    .collect();
    times.extend(timing.outcome.map(|outcome| super::timing::outcome_name(outcome).to_owned()));
    (!times.is_empty()).then(|| times.join(" · "))
}

fn sections(request: &Request) -> Grid {
    let sizes = &request.sizes;
    let mut grid = Grid::new([
        text("SECTION", 0),
        number("SIZE", 0),
        number("SHARE", 2),
        number("TOKENS", 0),
        bars("", 1),
        text("", 3),
    ]);
    let tokens = |of: fn(&Tokens) -> u64| match &request.tokens {
        None => String::new(),
        Some(tokens) if tokens.method == TokenMethod::Reported => units::tokens(of(tokens)),
        Some(tokens) => units::estimate(of(tokens)),
    };
    let count = |n: Amount, noun| n.get().map_or_else(String::new, |n| units::count(n, noun));
    let chars = sizes.system_chars.get().zip(sizes.system_blocks.get());
    let blocks = chars.map_or_else(String::new, |(chars, blocks)| {
        format!("{} in {}", units::chars(chars), units::count(blocks, "block"))
    });
    for (name, bytes, tokens, note) in [
        ("system", sizes.system_bytes, tokens(|tokens| tokens.system), blocks),
        ("tools", sizes.tools_bytes, tokens(|tokens| tokens.tools), count(sizes.tool_count, "tool")),
        (
            "messages",
            sizes.messages_bytes,
            tokens(|tokens| tokens.messages),
            count(sizes.message_count, "message"),
        ),
        ("other", sizes.other_bytes, String::new(), String::new()),
        ("body", sizes.body_bytes, tokens(|tokens| tokens.total), String::new()),
    ] {
        let of_body = bytes.get().zip(sizes.body_bytes.get());
        let share = of_body.map_or_else(String::new, |(bytes, body)| units::share(bytes, body));
        let bar = of_body.map_or_else(String::new, |(bytes, body)| units::bar(bytes, body, 20));
        grid.row([name.to_owned(), units::size(bytes, Unit::Bytes), share, tokens, bar, note]);
    }
    grid.without_empty(&[""])
}

fn system(shown: &RequestDetail) -> Grid {
    let mut grid = Grid::new([text("SYSTEM BLOCK", 0), number("SIZE", 0), number("TEXT", 0)]);
    for (at, block) in shown.system.iter().enumerate().filter(|_| shown.system.len() > 1) {
        grid.row([format!("system[{at}]"), units::bytes(block.bytes), units::chars(block.chars)]);
    }
    grid
}

fn tool_row(tool: &ShownTool) -> tools::LargestTool<'_> {
    tools::LargestTool { name: tool.name.as_deref(), bytes: tool.bytes, requests: None }
}

fn messages(messages: &[ShownMessage], most_rows: usize) -> Grid {
    let mut grid = Grid::new([
        text("LARGEST MESSAGES", 0),
        text("ROLE", 0),
        number("SIZE", 0),
        bars("", 2),
        text("BLOCKS", 1),
    ]);
    let mut ranked: Vec<(usize, &ShownMessage)> = messages.iter().enumerate().collect();
    ranked.sort_by_key(|(at, message)| (std::cmp::Reverse(message.bytes), *at));
    let most = ranked.first().map_or(0, |(_, message)| message.bytes);
    for (at, message) in ranked.iter().take(most_rows) {
        grid.row([
            format!("messages[{at}]"),
            message.role.as_deref().unwrap_or("–").to_owned(),
            units::bytes(message.bytes),
            units::bar(message.bytes, most, 12),
            block_kinds(message),
        ]);
    }
    let more = ranked.get(most_rows..).unwrap_or_default();
    if !more.is_empty() {
        let bytes = more.iter().map(|(_, message)| message.bytes).sum();
        let size = units::bytes(bytes);
        grid.row([format!("and {} more", more.len()), String::new(), size, String::new(), String::new()]);
    }
    grid
}

/// `text, 2 tool_use`.
fn block_kinds(message: &ShownMessage) -> String {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for block in &message.blocks {
        let kind = block.kind.as_deref().unwrap_or("?");
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, n)) => *n += 1,
            None => kinds.push((kind, 1)),
        }
    }
    let kind = |(kind, n): &(&str, usize)| if *n == 1 { (*kind).to_owned() } else { format!("{n} {kind}") };
    kinds.iter().map(kind).collect::<Vec<_>>().join(", ")
}

fn parameters(shown: &RequestDetail, ids: Ids) -> Grid {
    let mut grid = Grid::new([text("PARAMETER", 0), text("VALUE", 0)]);
    for parameter in &shown.parameters {
        let value = super::diff::value(Some(&parameter.value));
        grid.row([parameter.name.clone(), ids.parameter(&parameter.name, value)]);
    }
    grid
}

/// The prompt itself, where it was asked for.
fn texts(page: &mut Page, shown: &RequestDetail) {
    let system = shown.system.iter().enumerate();
    let system = system.filter_map(|(at, block)| Some((format!("system[{at}]"), block.text.as_ref()?)));
    let tools = shown.tools.iter().filter_map(|tool| {
        Some((format!("tool {}", tool.name.as_deref().unwrap_or("(unnamed)")), tool.text.as_ref()?))
    });
    let messages = shown.messages.iter().enumerate().flat_map(|(at, message)| {
        message.blocks.iter().enumerate().filter_map(move |(block, content)| {
            Some((format!("messages[{at}].content[{block}]"), content.text.as_ref()?))
        })
    });
    for (place, text) in system.chain(tools).chain(messages) {
        page.block(format!("── {} ──\n{text}", sanitize::line(&place)));
    }
}
