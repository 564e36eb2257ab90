//! Requests with known causes must give those causes; every rule has a test that
//! fails without it.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::request::{Concurrency, Join, Kind};
use crate::model::scope::KindFilter;
use crate::model::timing::Timing;
use crate::model::timing::{Confidence, Outcome};
use crate::model::{Identity, Sizes, SpeedSample};

/// One request as the backend would have answered it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) proxy_ms: Option<u64>,
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) ttft_ms: u64,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) generation_ms: u64,
}

pub(crate) const MADE: Made = Made {
    proxy_ms: Some(500),
    prompt_tokens: Some(10_000),
    ttft_ms: 2_000,
    output_tokens: Some(100),
    generation_ms: 4_000,
};

pub(crate) fn request(model: &str, index: usize, made: Made) -> Request {
    let total_ms = made.ttft_ms + made.generation_ms;
    let path: Arc<Path> = Path::new(&format!("{model}-{index:03}.json")).into();
    Request {
        path: TracePath(path.clone()),
        paths: vec![TracePath(path)],
        timestamp: crate::model::time::Timestamp::from_unix_ms(1_000_000 * index as i64),
        mode: Some("lmstudio".into()),
        kind: Kind::Conversation,
        session: Some("s".into()),
        thread: Some("s#1".into()),
        run: Some("r".into()),
        endpoint: None,
        client_version: None,
        agent: None,
        parent_agent: None,
        requested_model: None,
        model: Some(model.into()),
        model_source: None,
        sizes: Sizes { body_bytes: 1_000, ..Sizes::default() },
        max_tokens: None,
        stream: true,
        tokens: None,
        timing: Some(Box::new(Timing {
            proxy_ms: made.proxy_ms,
            ttft_ms: Some(made.ttft_ms),
            generation_ms: Some(made.generation_ms),
            total_ms: Some(total_ms),
            keepalives: Some(made.ttft_ms / 10_000),
            events: Some(made.output_tokens.unwrap_or(100)),
            prompt_tokens: made.prompt_tokens,
            output_tokens: made.output_tokens,
            outcome: Some(Outcome::Completed),
            ..Timing::default()
        })),
        join: Some(Box::new(Join { log: "log".into(), gap_ms: Some(1), confidence: Confidence::Likely })),
        response: None,
        tools: Arc::from([]),
        process: None,
        proxied: None,
        log_facts: None,
        speed_sample: SpeedSample::default(),
        turn: index as u32,
        concurrency: Some(Concurrency::default()),
    }
}

pub(crate) fn side(model: &str, made: &[Made]) -> Vec<Request> {
    made.iter().enumerate().map(|(index, made)| request(model, index, *made)).collect()
}

/// What each request asked: the k-th of both sides the same, or nothing alike.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    TheSame,
    TheSamePlace,
    Otherwise,
}

struct Asking<'a> {
    left: &'a [Request],
    right: &'a [Request],
    asked: Asked,
    reuse: Option<(u64, u64)>,
    direct: Option<(Direct, Direct)>,
}

impl<'a> Asking<'a> {
    fn new(left: &'a [Request], right: &'a [Request], asked: Asked) -> Self {
        Self { left, right, asked, reuse: None, direct: None }
    }

    fn explain(&self) -> Explanation {
        let mut prompts = HashMap::new();
        for (which, side) in [self.left, self.right].into_iter().enumerate() {
            for (index, request) in side.iter().enumerate() {
                let index = index as u8;
                let own = [which as u8 * 100 + index];
                let body = if self.asked == Asked::TheSame { [index] } else { own };
                let text = if self.asked == Asked::Otherwise { own } else { [index] };
                prompts.insert(
                    request.path.clone(),
                    Prompt {
                        body: Identity::of_parts([&body[..]]),
                        last_user_text: Some(Identity::of_parts([&text[..]])),
                    },
                );
            }
        }
        let mut reuse = HashMap::new();
        if let Some((left, right)) = self.reuse {
            for (side, percent) in [(self.left, left), (self.right, right)] {
                for request in side {
                    let reused = Reuse { reusable_bytes: percent, prompt_bytes: 100 };
                    reuse.insert(request.path.clone(), reused);
                }
            }
        }
        explain(&ExplainInput {
            scope: Scope::new(None, None, KindFilter::All, 0),
            left_selector: "left",
            left: self.left.iter().collect(),
            right_selector: "right",
            right: self.right.iter().collect(),
            prompts: &prompts,
            reuse: &reuse,
            direct: self.direct.clone(),
        })
    }
}

fn compared(left: &[Made], right: &[Made], asked: Asked) -> Explanation {
    Asking::new(&side("fast", left), &side("slow", right), asked).explain()
}

fn ms(found: &Explanation) -> Vec<Option<f64>> {
    found.contributions.iter().map(|one| one.ms.map(Millis::as_f64)).collect()
}

fn answer(found: &Explanation) -> (Option<Cause>, Scenario, Option<VerdictConfidence>) {
    (found.verdict.cause, found.verdict.scenario, found.verdict.confidence)
}

fn left_out(found: &Explanation, reason: LeftOutReason) -> u64 {
    found.left_out.iter().find(|one| one.reason == reason).map_or(0, |one| one.n)
}

proptest! {
    /// Groups that are made of known causes give these causes back.
    #[test]
    fn mixtures_are_taken_apart(
        proxies in (0_u64..9_000, 0_u64..9_000),
        prompts in (1_000_u64..50_000, 1_000_u64..50_000),
        read_ms_per_k in (50_u64..5_000, 50_u64..5_000),
        answers in (10_u64..900, 10_u64..900),
        write_ms in (5_u64..300, 5_u64..300),
    ) {
        let made = |proxy, prompt: u64, read: u64, answer: u64, write: u64| Made {
            proxy_ms: Some(proxy),
            // Whole thousands, so that times are whole milliseconds.
            prompt_tokens: Some(prompt / 1000 * 1000),
            ttft_ms: prompt / 1000 * read,
            output_tokens: Some(answer),
            generation_ms: (answer * write).max(50),
        };
        let left = made(proxies.0, prompts.0, read_ms_per_k.0, answers.0, write_ms.0);
        let right = made(proxies.1, prompts.1, read_ms_per_k.1, answers.1, write_ms.1);
        let found = compared(&[left; 3], &[right; 3], Asked::Otherwise);
        let f = |value: u64| value as f64;
        let (na, nb) = (f(prompts.0 / 1000), f(prompts.1 / 1000));
        let (sa, sb) = (f(read_ms_per_k.0), f(read_ms_per_k.1));
        let (ka, kb) = (f(answers.0), f(answers.1));
        let (da, db) = (f(left.generation_ms) / ka, f(right.generation_ms) / kb);
        let expected = [
            f(proxies.1) - f(proxies.0),
            (nb - na) * (sa + sb) / 2.0,
            (sb - sa) * (na + nb) / 2.0,
            (kb - ka) * (da + db) / 2.0,
            (db - da) * (ka + kb) / 2.0,
        ];
        let found_ms: Vec<f64> = ms(&found).into_iter().map(Option::unwrap).collect();
        for (found, expected) in found_ms.iter().zip(expected) {
            prop_assert!((found - expected).abs() < 1.0, "{found} {expected}");
        }
        let sum: f64 = found_ms.iter().sum();
        prop_assert!((sum - found.delta_ms.unwrap().as_f64()).abs() < 1e-6);
        let wall = |made: Made| made.proxy_ms.unwrap() + made.ttft_ms + made.generation_ms;
        prop_assert!((sum - (f(wall(right)) - f(wall(left)))).abs() < 1e-6);
        let shares: f64 = found.contributions.iter().filter_map(|one| one.share).map(|share| share.max(0.0)).sum();
        if found.delta_ms.unwrap().0 != 0 {
            prop_assert!((shares - 1.0).abs() < 1e-9);
        }

        let swapped = compared(&[right; 3], &[left; 3], Asked::Otherwise);
        let turned: Vec<Option<f64>> = ms(&swapped).into_iter().map(|ms| ms.map(|ms| -ms)).collect();
        prop_assert_eq!(turned, ms(&found));
        prop_assert_eq!(answer(&swapped), answer(&found));
    }
}

#[test]
fn each_cause_alone_gives_its_scenario() {
    for (right, cause, scenario) in [
        (Made { proxy_ms: Some(9_000), ..MADE }, Cause::Proxy, Scenario::B),
        (Made { prompt_tokens: Some(40_000), ttft_ms: 8_000, ..MADE }, Cause::PromptSize, Scenario::C),
        (Made { ttft_ms: 9_000, ..MADE }, Cause::PromptProcessingSpeed, Scenario::A),
        (Made { output_tokens: Some(300), generation_ms: 12_000, ..MADE }, Cause::OutputLength, Scenario::B),
        (Made { generation_ms: 12_000, ..MADE }, Cause::GenerationSpeed, Scenario::B),
    ] {
        let found = compared(&[MADE; 5], &[right; 5], Asked::TheSamePlace);
        assert_eq!(
            answer(&found),
            (Some(cause), scenario, Some(VerdictConfidence::High)),
            "{}",
            found.verdict.headline
        );
        let share = found.contributions.iter().find(|one| one.cause == cause).unwrap().share;
        assert!((share.unwrap() - 1.0).abs() < 1e-9);
        assert!(found.paired && found.n == 5);
        assert!(found.verdict.headline.starts_with("slow is slower because "), "{}", found.verdict.headline);
        assert!(
            found.evidence.iter().all(|one| one.to_string().ends_with("[fast-000 / slow-000 and 4 more]"))
        );
        let swapped = compared(&[right; 5], &[MADE; 5], Asked::TheSamePlace);
        assert_eq!(answer(&swapped), answer(&found));
    }
}

#[test]
fn two_causes_of_one_size_are_mixed() {
    let right = Made { ttft_ms: 6_000, prompt_tokens: Some(20_000), generation_ms: 6_000, ..MADE };
    // 3 s of size, 1 s of reading speed, 2 s of generation speed.
    let found = compared(&[MADE; 5], &[right; 5], Asked::TheSamePlace);
    assert_eq!(found.verdict.scenario, Scenario::Mixed);
    assert!(found.verdict.headline.contains("above all"), "{}", found.verdict.headline);
}

#[test]
fn equal_prompts_are_of_one_size_whatever_the_tokenizer_says() {
    let right = Made { prompt_tokens: Some(13_000), ttft_ms: 9_000, ..MADE };
    let same = compared(&[MADE; 5], &[right; 5], Asked::TheSame);
    assert_eq!(ms(&same)[1..3], [Some(0.0), Some(7_000.0)]);
    let other = compared(&[MADE; 5], &[right; 5], Asked::TheSamePlace);
    assert!(ms(&other)[1].unwrap() > 0.0);
    let unknown = Made { prompt_tokens: None, ..right };
    let same = compared(&[MADE; 5], &[unknown; 5], Asked::TheSame);
    assert_eq!(ms(&same)[1..3], [Some(0.0), Some(7_000.0)]);
}

#[test]
fn bodies_in_one_place_must_be_within_five_per_cent() {
    let (left, mut right) = (side("fast", &[MADE; 3]), side("slow", &[Made { ttft_ms: 9_000, ..MADE }; 3]));
    right[0].sizes.body_bytes = 1_052;
    right[1].sizes.body_bytes = 1_053;
    right[2].turn = 7;
    let found = Asking::new(&left, &right, Asked::TheSamePlace).explain();
    assert_eq!((found.paired, found.n), (true, 1));
    assert_eq!(left_out(&found, LeftOutReason::Unpaired), 4);
}

#[test]
fn an_unknown_proxy_leaves_the_total() {
    let right = Made { proxy_ms: None, ttft_ms: 9_000, ..MADE };
    let found = compared(&[MADE; 5], &[right; 5], Asked::TheSame);
    assert_eq!(ms(&found)[0], None);
    assert_eq!(found.delta_ms.unwrap().as_f64(), 7_000.0);
    assert!(found.missing.iter().any(|one| one.contains("proxy's own time is unknown of slow")));
    assert_eq!(found.verdict.confidence, Some(VerdictConfidence::Medium), "something is unknown");
}

#[test]
fn unknown_answers_keep_generation_whole() {
    let right = Made { output_tokens: None, generation_ms: 5_000, ttft_ms: 9_000, ..MADE };
    let found = compared(&[MADE; 5], &[right; 5], Asked::TheSame);
    assert_eq!(ms(&found)[3..], [None, None]);
    assert_eq!(found.delta_ms.unwrap().as_f64(), 8_000.0);
    let share = found.contributions[2].share.unwrap();
    assert!((share - 0.875).abs() < 1e-9, "{share}");
    assert!(found.evidence.iter().any(|one| one.sentence.starts_with("+1.0 s is generation")));
    let mostly_unknown = Made { generation_ms: 9_000, ..right };
    let found = compared(&[MADE; 5], &[mostly_unknown; 5], Asked::TheSame);
    assert_eq!(answer(&found), (None, Scenario::Undetermined, None));
}

#[test]
fn requests_whose_counts_are_unknown_are_left_out_while_others_remain() {
    let right = Made { ttft_ms: 9_000, ..MADE };
    let found = compared(&[MADE; 3], &[right, Made { output_tokens: None, ..right }, right], Asked::TheSame);
    assert_eq!((found.n, left_out(&found, LeftOutReason::NoUsage)), (2, 2));
    assert!(ms(&found).iter().all(Option::is_some));
}

#[test]
fn what_cannot_be_compared_is_counted_with_its_reason() {
    let left = side("fast", &[MADE; 8]);
    let mut right = side("slow", &[Made { ttft_ms: 9_000, ..MADE }; 8]);
    right[0].stream = false;
    right[1].timing.as_mut().unwrap().outcome = Some(Outcome::TimedOut);
    right[2].join.as_mut().unwrap().confidence = Confidence::Ambiguous;
    right[3].timing.as_mut().unwrap().ttft_ms = None;
    right[4].timing.as_mut().unwrap().ttft_ms = Some(99_000);
    right[5].timing = None;
    right[6].timing.as_mut().unwrap().outcome = Some(Outcome::NotStreamed);
    let found = Asking::new(&left, &right, Asked::TheSame).explain();
    assert_eq!(found.n, 1);
    for (reason, n) in [
        (LeftOutReason::NotStreamed, 2),
        (LeftOutReason::NotCompleted, 1),
        (LeftOutReason::AmbiguousJoin, 1),
        (LeftOutReason::NoTtft, 2),
        (LeftOutReason::NoLog, 1),
        (LeftOutReason::Unpaired, 7),
    ] {
        assert_eq!(left_out(&found, reason), n, "{reason:?}");
    }
}

#[test]
fn disturbed_requests_are_left_out_while_others_remain() {
    for (asked, n) in [(Asked::TheSame, 4), (Asked::Otherwise, 4)] {
        let left = side("fast", &[MADE; 6]);
        let mut right = side("slow", &[Made { ttft_ms: 9_000, ..MADE }; 6]);
        right[0].concurrency = Some(Concurrency { cold_start: true, overlapped: true });
        right[1].concurrency = Some(Concurrency { cold_start: false, overlapped: true });
        let found = Asking::new(&left, &right, asked).explain();
        assert_eq!(found.n, n);
        assert_eq!(left_out(&found, LeftOutReason::ColdStart), 1);
        assert_eq!(left_out(&found, LeftOutReason::Overlapping), 1);
        for request in &mut right {
            request.concurrency = Some(Concurrency { cold_start: false, overlapped: true });
        }
        let found = Asking::new(&left, &right, asked).explain();
        assert_eq!((found.n, left_out(&found, LeftOutReason::Overlapping)), (6, 0));
        assert_eq!(found.verdict.confidence, Some(VerdictConfidence::Low));
    }
}

#[test]
fn hidden_reasoning_voids_the_split() {
    let thinking = Made { ttft_ms: 20_000, output_tokens: Some(900), generation_ms: 4_000, ..MADE };
    let mut right = side("slow", &[thinking; 5]);
    for request in &mut right {
        request.timing.as_mut().unwrap().events = Some(100);
    }
    let left = side("fast", &[MADE; 5]);
    let found = Asking::new(&left, &right, Asked::TheSame).explain();
    assert_eq!(answer(&found), (None, Scenario::Undetermined, None));
    assert_eq!(left_out(&found, LeftOutReason::HiddenReasoning), 5);
    assert_eq!(found.delta_ms.unwrap().as_f64(), 18_000.0, "they count for totals");
    assert_eq!(ms(&found), [Some(0.0), None, None, None, None]);
    assert!(found.advice[0].contains("traces replay"));
    // 1.3 × 100 + 10 is the most that can be seen; one more is hidden.
    for (tokens, hidden) in [(140, 0), (141, 5)] {
        for request in &mut right {
            request.timing.as_mut().unwrap().output_tokens = Some(tokens);
        }
        let found = Asking::new(&left, &right, Asked::TheSame).explain();
        assert_eq!(left_out(&found, LeftOutReason::HiddenReasoning), hidden, "{tokens}");
    }
    for (generation_ms, tokens, hidden) in [(49, 11, 5), (50, 11, 0), (49, 10, 0)] {
        let at_once = Made { generation_ms, output_tokens: Some(tokens), ..MADE };
        let found = compared(&[MADE; 5], &[at_once; 5], Asked::TheSame);
        assert_eq!(left_out(&found, LeftOutReason::HiddenReasoning), hidden, "{generation_ms} ms");
    }
}

#[test]
fn small_differences_are_none() {
    // Below half a second, and below a tenth of the faster side's 6.5 s.
    for (more, differs) in [(499, false), (649, false), (650, true)] {
        let right = Made { ttft_ms: MADE.ttft_ms + more, ..MADE };
        let found = compared(&[MADE; 5], &[right; 5], Asked::TheSame);
        assert_eq!(found.verdict.cause.is_some(), differs, "{more}: {}", found.verdict.headline);
    }
    let quick = Made { proxy_ms: Some(0), ttft_ms: 100, generation_ms: 100, ..MADE };
    for (more, differs) in [(499, false), (500, true)] {
        let right = Made { ttft_ms: 100 + more, ..quick };
        let found = compared(&[quick; 5], &[right; 5], Asked::TheSame);
        assert_eq!(found.verdict.cause.is_some(), differs, "{more}");
    }
}

#[test]
fn nothing_to_compare_is_undetermined() {
    let found = compared(&[], &[MADE; 5], Asked::TheSame);
    assert_eq!((answer(&found), found.n), ((None, Scenario::Undetermined, None), 0));
    assert!(found.verdict.headline.contains("no request of left"), "{}", found.verdict.headline);
    assert_eq!(ms(&found), [None; 5]);
    assert_eq!(found.delta_ms, None);
}

#[test]
fn a_cache_that_helps_less_is_the_cause_of_slow_reading() {
    let right = Made { ttft_ms: 9_000, ..MADE };
    let (fast, slow) = (side("fast", &[MADE; 5]), side("slow", &[right; 5]));
    for (reuse, cause, scenario) in [
        (Some((90, 70)), Cause::PrefixCache, Scenario::C),
        (Some((90, 71)), Cause::PromptProcessingSpeed, Scenario::A),
        (Some((70, 90)), Cause::PromptProcessingSpeed, Scenario::A),
    ] {
        let asking = Asking { reuse, ..Asking::new(&fast, &slow, Asked::TheSame) };
        assert_eq!(answer(&asking.explain()), (Some(cause), scenario, Some(VerdictConfidence::High)));
        let swapped = reuse.map(|(left, right)| (right, left));
        let asking = Asking { reuse: swapped, ..Asking::new(&slow, &fast, Asked::TheSame) };
        assert_eq!(answer(&asking.explain()), (Some(cause), scenario, Some(VerdictConfidence::High)));
    }
}

#[test]
fn confidence_grows_with_pairs_lead_and_agreement() {
    let slow = Made { ttft_ms: 9_000, ..MADE };
    let certainty =
        |left: &[Made], right: &[Made], asked| compared(left, right, asked).verdict.confidence.unwrap();
    for (n, certain) in [
        (1, VerdictConfidence::Low),
        (2, VerdictConfidence::Medium),
        (4, VerdictConfidence::Medium),
        (5, VerdictConfidence::High),
    ] {
        assert_eq!(certainty(&vec![MADE; n], &vec![slow; n], Asked::TheSame), certain, "{n} pairs");
    }
    for (n, certain) in [(9, VerdictConfidence::Low), (10, VerdictConfidence::Medium)] {
        assert_eq!(certainty(&vec![MADE; n], &vec![slow; n], Asked::Otherwise), certain, "groups of {n}");
    }
    // Four of five pairs must agree.
    let fast = Made { ttft_ms: 1_000, ..MADE };
    let four = [slow, slow, slow, slow, fast];
    assert_eq!(certainty(&[MADE; 5], &four, Asked::TheSame), VerdictConfidence::High);
    let three = [slow, slow, slow, fast, fast];
    assert_eq!(certainty(&[MADE; 5], &three, Asked::TheSame), VerdictConfidence::Medium);
    // Reading leads with 55 to 45, then with 52 to 48 points.
    for (ttft_ms, generation_ms, certain) in
        [(7_500, 8_500, VerdictConfidence::Medium), (7_200, 8_800, VerdictConfidence::Low)]
    {
        let right = Made { ttft_ms, generation_ms, ..MADE };
        assert_eq!(certainty(&[MADE; 5], &[right; 5], Asked::TheSame), certain);
    }
}

fn direct(ttft_ms: f64, doubt: Option<Doubt>) -> Direct {
    Direct { ttft_ms, output_tokens_per_second: Some(25.0), doubt }
}

/// What is found where the slow side reads for 7 s longer through the proxy.
fn measured(fast: Direct, slow: Direct) -> Explanation {
    let (left, right) = (side("fast", &[MADE; 5]), side("slow", &[Made { ttft_ms: 9_000, ..MADE }; 5]));
    Asking { direct: Some((fast, slow)), ..Asking::new(&left, &right, Asked::TheSame) }.explain()
}

#[test]
fn the_proxy_is_blamed_when_the_models_are_alike_without_it() {
    let found = measured(direct(2_000.0, None), direct(9_000.0, None));
    assert_eq!(found.verdict.cause, Some(Cause::PromptProcessingSpeed));
    assert!(found.evidence.last().unwrap().sentence.contains("accounts for 100 %"), "{:?}", found.evidence);
    assert!(!found.missing.iter().any(|one| one.contains("without the proxy")), "{:?}", found.missing);
    // 40 % of the difference without the proxy is the most that clears the models.
    for (slow, cause) in [(4_800.0, Cause::Proxy), (4_801.0, Cause::PromptProcessingSpeed)] {
        let found = measured(direct(2_000.0, None), direct(slow, None));
        assert_eq!(found.verdict.cause, Some(cause), "{slow}");
    }
    let found = measured(direct(2_000.0, None), direct(2_100.0, None));
    assert_eq!((found.verdict.cause, found.verdict.scenario), (Some(Cause::Proxy), Scenario::B));
}

#[test]
fn a_doubtful_measurement_settles_nothing() {
    let other = || Some(Doubt::OtherModel("another".to_owned()));
    let cached = || Some(Doubt::MaybeCached);
    for (fast, slow, words) in [
        (other(), None, "measurement for fast is of another"),
        (None, other(), "measurement for slow is of another"),
        (cached(), other(), "measurement for slow is of another"),
        (cached(), None, "may have helped fast, so that this settles nothing"),
        (cached(), cached(), "may have helped fast and slow, so that this settles nothing"),
    ] {
        let found = measured(direct(2_000.0, fast), direct(2_100.0, slow));
        assert_eq!(found.verdict.cause, Some(Cause::PromptProcessingSpeed), "{words}");
        let evidence = &found.evidence.last().unwrap().sentence;
        assert!(evidence.contains(words) && !evidence.contains('%'), "{evidence}");
        assert!(found.missing.last().unwrap().contains("--cold"), "{:?}", found.missing);
    }
}
