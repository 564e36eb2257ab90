//! Requests by their figures, for the tests of the rules.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::scene::Scene;
use super::{Finding, FindingsInput, Rule, RuleCheck};
use crate::analysis::prefix::{Addition, Break, CachedPrompt, Cause, ElementName};
use crate::analysis::tool_cost::{ToolCost, ToolCosts};
use crate::analysis::tools::server;
use crate::formats::body::ElementPath;
use crate::model::request::{Concurrency, Kind, Request, RequestPaths, Run, Source, TracePath};
use crate::model::time::Timestamp;
use crate::model::timing::{CachedSource, Outcome, Timing, TokenSource};
use crate::model::{
    CacheUse, ContextCut, LogFacts, ProxyEdit, Response, ServerTask, SpeedSource, Speeds, ToolSize,
    Truncation,
};

/// A request of model `m` that was completed, and of which nothing else is known.
#[derive(Debug, Clone)]
pub(super) struct Made {
    request: Request,
    timing: Option<Timing>,
    at_ms: Option<i64>,
    body: Option<usize>,
    reusable_percent: u64,
    adds: Option<Addition>,
    is_without_body: bool,
    broken: Option<(Cause, u64)>,
    evicted_by: Option<usize>,
    is_beside: bool,
}

impl Made {
    pub(super) fn new() -> Self {
        let mut request = Request::builder("")
            .mode("lmstudio")
            .kind(Kind::Conversation)
            .session("s")
            .thread("t")
            .model("m")
            .sizes(|sizes| {
                sizes.system_bytes = 10_000.into();
                sizes.tools_bytes = 20_000.into();
                sizes.messages_bytes = 10_000.into();
                sizes.body_bytes = 40_000.into();
            })
            .build();
        request.paths = RequestPaths::default();
        request.model_source = None;
        request.stream = true;
        Self {
            request,
            timing: Some(Timing { outcome: Some(Outcome::Completed), ..Timing::default() }),
            at_ms: None,
            body: None,
            reusable_percent: 0,
            adds: None,
            is_without_body: false,
            broken: None,
            evicted_by: None,
            is_beside: false,
        }
    }

    /// Nothing is asked of it: it was in the same backend.
    pub(super) fn beside(self) -> Self {
        self.with(|made| made.is_beside = true)
    }

    fn time(mut self, set: impl FnOnce(&mut Timing)) -> Self {
        if let Some(timing) = &mut self.timing {
            set(timing);
        }
        self
    }

    fn with(mut self, set: impl FnOnce(&mut Self)) -> Self {
        set(&mut self);
        self
    }

    pub(super) fn of(self, source: Source) -> Self {
        self.with(|made| made.request.source = source)
    }

    /// When it began; else one second after the one before.
    pub(super) fn at(self, ms: i64) -> Self {
        self.with(|made| made.at_ms = Some(ms))
            .time(|timing| timing.total_ms = timing.total_ms.or(1_000.into()))
    }

    pub(super) fn times(self, proxy_ms: u64, total_ms: u64) -> Self {
        self.time(|timing| {
            timing.proxy_ms = proxy_ms.into();
            timing.total_ms = total_ms.into();
            timing.wall_ms = (proxy_ms + total_ms).into();
        })
    }

    pub(super) fn answer(self, events: u64, generation_ms: u64) -> Self {
        self.time(|timing| {
            timing.events = events.into();
            timing.generation_ms = generation_ms.into();
        })
    }

    pub(super) fn output(self, tokens: u64, write_ms: u64) -> Self {
        self.time(|timing| {
            timing.output_tokens = tokens.into();
            timing.write_ms = write_ms.into();
        })
    }

    pub(super) fn thinking(self, tokens: u64) -> Self {
        self.with(|made| made.request.bookkeeping.speed_sample.hidden_tokens = tokens.into())
    }

    /// So many chunks of reasoning that was streamed and not counted, of so many chunks.
    pub(super) fn chunks(self, reasoning: u64, all: u64) -> Self {
        self.with(|made| {
            let facts = made.request.bookkeeping.log_facts.get_or_insert_default();
            (facts.reasoning_chunks, facts.text_chunks) = (reasoning.into(), all.into());
        })
    }

    pub(super) fn load(self, ms: u64) -> Self {
        self.time(|timing| timing.load_ms = ms.into())
    }

    pub(super) fn queue(self, ms: u64) -> Self {
        self.time(|timing| timing.queue_ms = ms.into())
    }

    pub(super) fn constant_wait(self, ms: u64) -> Self {
        self.with(|made| made.request.bookkeeping.speed_sample.constant_wait_ms = ms)
    }

    pub(super) fn first_token(self, ms: u64) -> Self {
        self.time(|timing| timing.ttft_ms = ms.into())
    }

    pub(super) fn stall(self, ms: u64) -> Self {
        self.time(|timing| timing.stall_ms = ms.into())
    }

    pub(super) fn prompt(self, tokens: u64) -> Self {
        self.time(|timing| {
            timing.prompt_tokens = tokens.into();
            timing.prompt_tokens_source = Some(TokenSource::Usage);
        })
    }

    pub(super) fn implausible(self, tokens: u64) -> Self {
        self.prompt(tokens).time(|timing| timing.prompt_tokens_source = Some(TokenSource::Implausible))
    }

    pub(super) fn read(self, tokens: u64, ms: u64) -> Self {
        self.time(|timing| {
            timing.read_tokens = tokens.into();
            timing.read_ms = ms.into();
        })
    }

    pub(super) fn again(self, tokens: i64) -> Self {
        self.time(|timing| timing.again_tokens = Some(tokens))
    }

    pub(super) fn cached(self, tokens: u64, is_reported: bool) -> Self {
        self.time(|timing| {
            timing.cached_tokens = tokens.into();
            timing.cached_source =
                Some(if is_reported { CachedSource::Reported } else { CachedSource::Simulated });
        })
    }

    /// Its time says that all of its prompt was read, by a backend that does reuse prompts.
    pub(super) fn read_whole(self) -> Self {
        self.with(|made| made.request.bookkeeping.speed_sample.cache = CacheUse::Reuses).time(|timing| {
            (timing.cached_tokens, timing.cached_source) = (0.into(), Some(CachedSource::None));
        })
    }

    pub(super) fn outcome(self, outcome: Outcome, total_ms: u64) -> Self {
        self.time(|timing| {
            timing.outcome = Some(outcome);
            timing.total_ms = total_ms.into();
        })
    }

    /// Failed after 350 ms.
    pub(super) fn failed(self, error: &str) -> Self {
        self.outcome(Outcome::Failed, 350).time(|timing| timing.error = Some(error.to_owned()))
    }

    /// Of mode `claude`, without an answer.
    pub(super) fn claude(self) -> Self {
        self.with(|made| {
            made.request.mode = Some("claude".into());
            if made.request.kind == Kind::Conversation {
                made.timing = None;
            }
        })
    }

    /// With an answer, in mode `claude`.
    pub(super) fn answered(self, total_ms: u64) -> Self {
        self.with(|made| {
            made.request.response = Some(Box::new(Response { status: 200.into(), ..Response::default() }));
            let outcome = Some(Outcome::Completed);
            made.timing = Some(Timing { total_ms: total_ms.into(), outcome, ..Timing::default() });
        })
    }

    pub(super) fn body(self, body: usize) -> Self {
        self.with(|made| made.body = Some(body))
    }

    pub(super) fn body_bytes(self, bytes: u64) -> Self {
        self.with(|made| made.request.sizes.body_bytes = bytes.into())
    }

    pub(super) fn model(self, model: &str) -> Self {
        self.with(|made| made.request.model = Some(model.into()))
    }

    pub(super) fn session(self, session: &str) -> Self {
        self.with(|made| made.request.session = Some(session.into()))
    }

    /// A background request whose model was asked for by name.
    pub(super) fn background(self) -> Self {
        self.with(|made| {
            made.request.kind = Kind::Background;
            Arc::make_mut(&mut made.request.caller).requested_model = made.request.model.clone();
        })
    }

    pub(super) fn counting(self) -> Self {
        self.with(|made| made.request.kind = Kind::CountTokens)
    }

    pub(super) fn level(self, level: u8) -> Self {
        self.with(|made| {
            let id: Arc<str> = format!("run at level {level}").into();
            made.request.run = Some(id.clone());
            made.request.bookkeeping.process = Some(Run::at_level(id, Some(level)));
        })
    }

    pub(super) fn overlapped(self) -> Self {
        self.with(|made| {
            made.request.bookkeeping.concurrency = Some(Concurrency { overlapped: true, cold_start: false })
        })
    }

    pub(super) fn alone(self) -> Self {
        self.with(|made| made.request.bookkeeping.concurrency = Some(Concurrency::default()))
    }

    pub(super) fn tools(self, names: &[&str]) -> Self {
        let tool = |name: &&str| ToolSize { name: Some((*name).into()), bytes: 1_000 };
        self.with(|made| made.request.bookkeeping.tools = names.iter().map(tool).collect())
    }

    pub(super) fn reusable(self, percent: u64) -> Self {
        self.with(|made| made.reusable_percent = percent)
    }

    pub(super) fn adds(self, adds: Addition) -> Self {
        self.with(|made| made.adds = Some(adds))
    }

    pub(super) fn broke(self, cause: Cause, lost_tokens: u64) -> Self {
        self.with(|made| made.broken = Some((cause, lost_tokens)))
    }

    pub(super) fn evicted_by(self, other: usize) -> Self {
        self.with(|made| made.evicted_by = Some(other))
    }

    /// Of which no log tells.
    pub(super) fn without_times(self) -> Self {
        self.with(|made| made.timing = None)
    }

    /// That nobody answered, as far as is known.
    pub(super) fn without_model(self) -> Self {
        self.with(|made| made.request.model = None)
    }

    /// The first of its process.
    pub(super) fn first_of_process(self) -> Self {
        self.with(|made| {
            made.request.bookkeeping.concurrency = Some(Concurrency { overlapped: false, cold_start: true })
        })
    }

    pub(super) fn edited(self, edit: ProxyEdit) -> Self {
        let facts = LogFacts { edits: vec![edit], ..LogFacts::default() };
        self.with(|made| made.request.bookkeeping.log_facts = Some(Box::new(facts)))
    }

    /// Of which only a server's log tells: its slot held so many of its tokens.
    pub(super) fn held(self, tokens: u64) -> Self {
        self.with(|made| {
            let task = Arc::make_mut(made.request.bookkeeping.server_task.get_or_insert_default());
            task.held_tokens = tokens.into();
            made.is_without_body = true;
        })
    }

    /// Whose server dropped tokens, as its log says.
    pub(super) fn cut(self, context_tokens: u64, whole_prompt_tokens: Option<u64>) -> Self {
        let cut = ContextCut { context_tokens: Some(context_tokens), whole_prompt_tokens };
        self.with(|made| {
            made.request.bookkeeping.server_task =
                Some(Arc::new(ServerTask { cut: Some(Box::new(cut)), ..ServerTask::default() }))
        })
    }

    /// Whose parts the server's own log has.
    pub(super) fn measured(self) -> Self {
        self.with(|made| made.request.bookkeeping.speed_sample.is_measured = true)
    }

    pub(super) fn truncated(self, removed_messages: u64, limit_tokens: u64) -> Self {
        let truncation = Truncation {
            prompt_tokens: Some(limit_tokens + 1_000),
            limit_tokens: Some(limit_tokens),
            removed_messages: Some(removed_messages),
            ..Truncation::default()
        };
        let facts = LogFacts { truncation: Some(Box::new(truncation)), ..LogFacts::default() };
        self.with(|made| made.request.bookkeeping.log_facts = Some(Box::new(facts)))
    }
}

/// Speeds of model `m`, which reads 500 tokens/s.
pub(super) fn speeds(cache: CacheUse) -> BTreeMap<Option<Arc<str>>, Speeds> {
    let speeds = Speeds {
        read_tokens_per_second: Some(500.0),
        write_tokens_per_second: Some(50.0),
        cache,
        n_read: 9,
        n_write: 9,
        spread: Some(0.05),
        source: Some(SpeedSource::Requests),
    };
    BTreeMap::from([(Some("m".into()), speeds)])
}

/// Tools by name and tokens, and whether they were called.
pub(super) fn costs(tools: &[(&str, u64, bool)]) -> ToolCosts {
    let used = |name: &str| tools.iter().any(|(tool, _, called)| *called && server(tool) == Some(name));
    let mut unused: Vec<String> = tools
        .iter()
        .filter_map(|(tool, ..)| server(tool))
        .filter(|name| !used(name))
        .map(str::to_owned)
        .collect();
    unused.dedup();
    ToolCosts {
        model: None,
        read_tokens_per_second: None,
        tokens: tools.iter().map(|(_, tokens, _)| tokens).sum(),
        cold_read_ms: None,
        uncalled_tokens: 0,
        uncalled_cold_read_ms: None,
        tools: tools
            .iter()
            .map(|&(name, tokens, called)| ToolCost {
                name: Some(name.into()),
                server: server(name).map(str::to_owned),
                bytes: tokens * 4,
                tokens,
                cold_read_ms: None,
                called,
            })
            .collect(),
        servers: Vec::new(),
        called_tools: tools.iter().filter(|tool| tool.2).map(|tool| tool.0.into()).collect(),
        uncalled_servers: unused,
    }
}

/// What one rule says of these requests.
pub(super) fn check(rule: &dyn Rule, made: &[Made]) -> RuleCheck {
    check_with(rule, made, |_| {})
}

/// The same with more that is known.
pub(super) fn check_with<'a>(
    rule: &dyn Rule,
    made: &[Made],
    set: impl FnOnce(&mut FindingsInput<'a>),
) -> RuleCheck {
    with_input(made, set, |input| rule.check(&Scene::new(input)))
}

/// Whether what a rule found is refuted.
pub(super) fn refuted(rule: &dyn Rule, made: &[Made]) -> bool {
    refuted_with(rule, made, |_| {})
}

pub(super) fn refuted_with<'a>(
    rule: &dyn Rule,
    made: &[Made],
    set: impl FnOnce(&mut FindingsInput<'a>),
) -> bool {
    with_input(made, set, |input| {
        let scene = Scene::new(input);
        match rule.check(&scene) {
            RuleCheck::Found(found) => found.iter().all(|one| rule.is_refuted(one, &scene)),
            other => panic!("{other:?}"),
        }
    })
}

/// What all rules find.
pub(super) fn find(made: &[Made]) -> Vec<Finding> {
    find_with(made, |_| {})
}

pub(super) fn find_with<'a>(made: &[Made], set: impl FnOnce(&mut FindingsInput<'a>)) -> Vec<Finding> {
    with_input(made, set, super::find)
}

pub(super) fn with_input<'a, T>(
    made: &[Made],
    set: impl FnOnce(&mut FindingsInput<'a>),
    look: impl FnOnce(&FindingsInput<'_>) -> T,
) -> T {
    let path = |at: usize| TracePath::new(Path::new(&format!("{at:03}.json")));
    let (mut requests, mut prompts) = (Vec::new(), Vec::new());
    let mut next_ms = 0;
    for (at, one) in made.iter().enumerate() {
        let start = Timestamp::from_unix_ms(1_770_000_000_000 + one.at_ms.unwrap_or(next_ms)).unwrap();
        next_ms = one.at_ms.unwrap_or(next_ms) + 1_000;
        let mut request = one.request.clone();
        request.path = path(at);
        request.timestamp = Some(start);
        request.timing = one.timing.clone().map(|timing| Box::new(Timing { start: Some(start), ..timing }));
        if !one.is_beside {
            prompts.push(Some(cached(one, path)));
        }
        requests.push(request);
    }
    let of = |is_beside: bool| {
        let both = requests.iter().zip(made).filter(|(_, one)| one.is_beside == is_beside);
        both.map(|(request, _)| request).collect()
    };
    // What the caller sets lives longer than what is made here.
    let mut given = FindingsInput::default();
    set(&mut given);
    let input = FindingsInput {
        slots_without_ram: given.slots_without_ram,
        requests: of(false),
        others: of(true),
        prompts,
        speeds: given.speeds,
        prompt_ids: made.iter().filter(|one| !one.is_beside).map(|one| one.body).collect(),
        cache: None,
        tool_costs: given.tool_costs,
        slots: given.slots,
    };
    look(&input)
}

fn cached(made: &Made, path: impl Fn(usize) -> TracePath) -> CachedPrompt {
    CachedPrompt {
        prompt_bytes: if made.is_without_body { 0 } else { 40_000 },
        reusable_bytes: 400 * made.reusable_percent,
        reusable_bytes_one_slot: 0,
        adds: made.adds,
        broken: made.broken.map(|(cause, lost_tokens)| {
            Box::new(Break {
                element: ElementName(ElementPath::System(1)),
                cause,
                common_bytes: 0,
                volatile: None,
                tools: None,
                lost_bytes: lost_tokens * 4,
                lost_tokens: Some(lost_tokens),
                lost_ms: None,
                evicted_by: made.evicted_by.map(path),
                was: None,
                now: None,
            })
        }),
    }
}
