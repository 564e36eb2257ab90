//! Requests with known causes must give those causes; every rule has a test that
//! fails without it.

mod arithmetic;
mod facts;
mod limits;
mod pairing;
mod sentences;
mod verdicts;
mod writing;

use super::*;
use crate::model::Amount;
use crate::model::request::{Concurrency, Join, Kind};
use crate::model::scope::KindFilter;
use crate::model::timing::{CachedSource, Confidence, Outcome, Timing};
use crate::model::{CacheUse, Identity, Speeds};

/// One request as the backend would have answered it, with the parts of its time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) proxy_ms: Option<u64>,
    pub(crate) prompt_tokens: Option<u64>,
    /// Of `ttft_ms`, as is `queue_ms`.
    pub(crate) load_ms: u64,
    pub(crate) queue_ms: u64,
    pub(crate) ttft_ms: u64,
    pub(crate) cached_tokens: Option<u64>,
    pub(crate) cached_source: CachedSource,
    /// Of the tokens that were read.
    pub(crate) again_tokens: u64,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) generation_ms: u64,
    /// Of `generation_ms`.
    pub(crate) stall_ms: Option<u64>,
}

pub(crate) const MADE: Made = Made {
    proxy_ms: Some(500),
    prompt_tokens: Some(10_000),
    load_ms: 0,
    queue_ms: 0,
    ttft_ms: 2_000,
    cached_tokens: Some(0),
    cached_source: CachedSource::Reported,
    again_tokens: 0,
    output_tokens: Some(100),
    generation_ms: 4_000,
    stall_ms: Some(0),
};

impl Made {
    fn timing(self) -> Timing {
        let total_ms = self.ttft_ms + self.generation_ms;
        let cached_tokens = self.cached_tokens.filter(|_| self.prompt_tokens.is_some());
        let read_tokens = self.prompt_tokens.zip(cached_tokens).map(|(prompt, cached)| prompt - cached);
        Timing {
            proxy_ms: self.proxy_ms.into(),
            ttft_ms: self.ttft_ms.into(),
            generation_ms: self.generation_ms.into(),
            total_ms: total_ms.into(),
            wall_ms: self.proxy_ms.map(|proxy_ms| proxy_ms + total_ms).into(),
            keepalives: (self.ttft_ms / 10_000).into(),
            events: self.output_tokens.unwrap_or(100).into(),
            prompt_tokens: self.prompt_tokens.into(),
            output_tokens: self.output_tokens.into(),
            outcome: Some(Outcome::Completed),
            load_ms: self.load_ms.into(),
            queue_ms: self.queue_ms.into(),
            read_ms: (self.ttft_ms - self.load_ms - self.queue_ms).into(),
            write_ms: (self.generation_ms - self.stall_ms.unwrap_or(0)).into(),
            stall_ms: self.stall_ms.into(),
            other_ms: 0.into(),
            cached_tokens: cached_tokens.into(),
            cached_source: cached_tokens.map(|_| self.cached_source),
            read_tokens: read_tokens.into(),
            needed_tokens: read_tokens.map(|read| read - self.again_tokens).into(),
            again_tokens: read_tokens.map(|_| self.again_tokens as i64),
            ..Timing::default()
        }
    }

    fn wall_ms(self) -> u64 {
        self.proxy_ms.unwrap_or(0) + self.ttft_ms + self.generation_ms
    }
}

pub(crate) fn request(model: &str, index: usize, made: Made) -> Request {
    let timestamp = crate::model::time::Timestamp::from_unix_ms(1_000_000 * index as i64);
    let mut request = Request::builder(format!("{model}-{index:03}.json"))
        .mode("lmstudio")
        .kind(Kind::Conversation)
        .session("s")
        .thread("s#1")
        .run("r")
        .model(model)
        .build();
    request.model_source = None;
    request.timestamp = timestamp;
    request.sizes.body_bytes = 1_000.into();
    request.sizes.message_count = (2 * index as u64 + 1).into();
    request.stream = true;
    request.timing = Some(Box::new(Timing { start: timestamp, ..made.timing() }));
    request.join =
        Some(Box::new(Join { log: "log".into(), gap_ms: Some(1), confidence: Confidence::Likely }));
    request.bookkeeping.turn = index as u32;
    request.bookkeeping.concurrency = Some(Concurrency::default());
    request
}

pub(crate) fn side(model: &str, made: &[Made]) -> Vec<Request> {
    made.iter().enumerate().map(|(index, made)| request(model, index, *made)).collect()
}

/// What each request asked: the k-th of both sides the same, or nothing alike.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    TheSame,
    TheSamePlace,
    Otherwise,
}

fn prompts(left: &[Request], right: &[Request], asked: Asked) -> HashMap<TracePath, Prompt> {
    let mut prompts = HashMap::new();
    for (which, side) in [left, right].into_iter().enumerate() {
        for (index, request) in side.iter().enumerate() {
            let (common, own) = ([index as u8, 0], [index as u8, 1 + which as u8]);
            let of = |is_common| Identity::of_parts([if is_common { &common[..] } else { &own[..] }]);
            let text = of(asked != Asked::Otherwise);
            let prompt = Prompt {
                body: of(asked == Asked::TheSame),
                first_user_text: Some(text),
                last_user_text: Some(text),
            };
            prompts.insert(request.path.clone(), prompt);
        }
    }
    prompts
}

fn asked_of<'a>(selector: &'a str, requests: &'a [Request]) -> SideInput<'a> {
    SideInput { selector, requests: requests.iter().collect(), speeds: Vec::new() }
}

fn explained(
    left: SideInput<'_>,
    right: Option<SideInput<'_>>,
    prompts: &HashMap<TracePath, Prompt>,
    direct: Option<(Direct, Direct)>,
) -> Explanation {
    let scope = Scope::new(None, None, KindFilter::All, 0);
    explain(ExplainInput { scope, left, right, prompts, direct, findings: Vec::new() })
}

fn compared_requests(left: &[Request], right: &[Request], asked: Asked) -> Explanation {
    let prompts = prompts(left, right, asked);
    explained(asked_of("left", left), Some(asked_of("right", right)), &prompts, None)
}

fn compared(left: &[Made], right: &[Made], asked: Asked) -> Explanation {
    compared_requests(&side("fast", left), &side("slow", right), asked)
}

fn alone(requests: &[Request]) -> Explanation {
    explained(asked_of("the side", requests), None, &HashMap::new(), None)
}

fn ms(found: &Explanation) -> Vec<Option<f64>> {
    found.contributions.iter().map(|one| one.ms.map(Millis::as_f64)).collect()
}

fn ms_of(found: &Explanation, cause: DelayCause) -> Option<f64> {
    found.contributions.iter().find(|one| one.cause == cause)?.ms.map(Millis::as_f64)
}

fn cause(found: &Explanation) -> Option<DelayCause> {
    match found.verdict.cause? {
        MainCause::Difference(cause) => Some(cause),
        MainCause::Time(part) => panic!("{part}"),
    }
}

fn headline(found: &Explanation) -> String {
    found.verdict.headline.to_string()
}

fn left_out(found: &Explanation, reason: LeftOutReason) -> u64 {
    found.left_out.iter().find(|one| one.reason == reason).map_or(0, |one| one.n)
}
