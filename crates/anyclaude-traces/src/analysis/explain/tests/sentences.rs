//! The words, and what stands behind them.

use serde_json::json;

use super::*;
use crate::model::SpeedSample;

fn speeds(model: &str, read: f64, write: f64) -> Vec<ModelSpeeds> {
    let speeds = Speeds {
        read_tokens_per_second: Some(read),
        write_tokens_per_second: Some(write),
        cache: CacheUse::Unknown,
        n_read: 5,
        n_write: 5,
        spread: Some(0.0),
        source: None,
    };
    vec![ModelSpeeds { model: Some(model.into()), speeds }]
}

fn with_speeds(right: Made, slow_reads: f64) -> Explanation {
    let (left, right) = (side("fast", &[MADE; 5]), side("slow", &[right; 5]));
    let prompts = prompts(&left, &right, Asked::TheSame);
    let left = SideInput { speeds: speeds("fast", 5_000.0, 25.0), ..asked_of("left", &left) };
    let right = SideInput { speeds: speeds("slow", slow_reads, 25.0), ..asked_of("right", &right) };
    explained(left, Some(right), &prompts, None)
}

#[test]
fn speeds_are_shown_where_they_say_the_same() {
    let slow = Made { ttft_ms: 9_000, ..MADE };
    let found = with_speeds(slow, 1_111.0);
    assert_eq!(
        headline(&found),
        "slow is slower because it reads prompts more slowly: 1111 vs 5000 tokens/s"
    );
    assert_eq!(found.left.speeds.unwrap().read_tokens_per_second, Some(5_000.0));
    // Over all its requests it reads faster: nothing is said that this row refutes.
    let found = with_speeds(slow, 6_000.0);
    assert_eq!(headline(&found), "slow is slower because it reads prompts more slowly");
}

/// Both sides with the speeds of their models, which the right one reads at unevenly or not.
fn with_single_requests(
    left: &[Request],
    right: &[Request],
    [reads, writes, spread]: [f64; 3],
) -> Explanation {
    let prompts = prompts(left, right, Asked::TheSame);
    let left = SideInput { speeds: speeds("fast", 5_000.0, 25.0), ..asked_of("left", left) };
    let mut right = SideInput { speeds: speeds("slow", reads, writes), ..asked_of("right", right) };
    right.speeds[0].speeds.spread = Some(spread);
    explained(left, Some(right), &prompts, None)
}

fn has_fact(found: &Explanation, fact: &str) -> bool {
    found.evidence.iter().any(|one| one.fact.to_string() == fact)
}

#[test]
fn a_speed_that_single_prompts_refute_is_rough_and_no_sure_cause() {
    let slow = |n| Made { ttft_ms: if n < 2 { 2_000 } else { 20_000 }, ..MADE };
    let mut right = side("slow", &[0, 1, 2, 3, 4, 5].map(slow));
    for request in &mut right {
        request.bookkeeping.speed_sample = SpeedSample { reads: true, ..SpeedSample::default() };
    }
    let found = |spread| with_single_requests(&side("fast", &[MADE; 6]), &right, [714.0, 25.0, spread]);
    let even = found(0.5);
    assert_eq!(even.verdict.confidence, Some(VerdictConfidence::High));
    assert_eq!(headline(&even), "slow is slower because it reads prompts more slowly: 714 vs 5000 tokens/s");
    let uneven = found(0.51);
    assert_eq!((cause(&uneven), uneven.verdict.confidence), (cause(&even), Some(VerdictConfidence::Low)));
    assert_eq!(
        headline(&uneven),
        "slow is slower because it reads prompts more slowly: about 714 vs 5000 tokens/s"
    );
    let fact = "6 prompts of slow were read at 500 to 5000 tokens/s, half of them at 500 or more: what single ones \
                waited for besides, a log of the server tells.";
    assert_eq!((has_fact(&even, fact), has_fact(&uneven, fact)), (false, true));
}

#[test]
fn what_the_cache_held_before_is_not_called_read_again() {
    let mut left = side("fast", &[Made { cached_tokens: Some(9_900), ttft_ms: 100, ..MADE }; 5]);
    for request in &mut left {
        request.timing.as_deref_mut().unwrap().needed_tokens = 10_000.into();
    }
    let right = side("slow", &[Made { ttft_ms: 10_000, ..MADE }; 5]);
    let found = compared_requests(&left, &right, Asked::TheSame);
    assert_eq!(
        headline(&found),
        "slow is slower because less of its prompts came from the prompt cache: 0 % vs 99 % of the tokens"
    );
    let fact = "9.9 s of 9.9 s (100 %) is how much of the prompts came from the prompt cache: 0 % vs 99 % of the tokens.";
    assert!(has_fact(&found, fact), "{:?}", found.evidence);
}

#[test]
fn answers_that_were_written_beside_others_are_not_explained_by_the_speed_of_one_alone() {
    let mut right = side("slow", &[Made { generation_ms: 12_000, ..MADE }; 6]);
    let fact = "3 of 6 answers of slow were written beside others, which share its speed: one alone is written at \
                24.0 tokens/s.";
    let found =
        |right: &[Request]| with_single_requests(&side("fast", &[MADE; 6]), right, [5_000.0, 24.0, 0.0]);
    assert!(!has_fact(&found(&right), fact));
    for request in right.iter_mut().take(3) {
        request.bookkeeping.concurrency = Some(Concurrency { overlapped: true, ..Concurrency::default() });
    }
    let found = found(&right);
    assert_eq!(headline(&found), "slow is slower because it generates more slowly");
    assert!(has_fact(&found, fact), "{:?}", found.evidence);
}

#[test]
fn the_key_question_is_answered_in_a_sentence() {
    let answer =
        |right: Made| compared(&[MADE; 5], &[right; 5], Asked::TheSame).verdict.key_answer.to_string();
    assert_eq!(
        answer(Made { ttft_ms: 9_000, ..MADE }),
        "Is anyclaude the bottleneck? No: 0 % of the difference"
    );
    assert_eq!(
        answer(Made { proxy_ms: Some(9_000), ..MADE }),
        "Is anyclaude the bottleneck? Yes: 100 % of the difference"
    );
    let quick_proxy = Made { proxy_ms: Some(0), ttft_ms: 9_000, ..MADE };
    assert!(answer(quick_proxy).contains("No: it takes less time on the slower side"));
    assert_eq!(
        answer(Made { proxy_ms: None, ttft_ms: 9_000, ..MADE }),
        "Is anyclaude the bottleneck? That cannot be told"
    );
    let found = alone(&side("m", &[Made { proxy_ms: Some(453), ..MADE }; 3]));
    assert_eq!(found.verdict.key_answer.to_string(), "Is anyclaude the bottleneck? No: 7 % of the wait");
}

#[test]
fn evidence_names_the_parts_that_count_and_its_requests() {
    let right = Made { ttft_ms: 9_000, generation_ms: 3_000, proxy_ms: Some(505), ..MADE };
    let found = compared(&[MADE; 5], &[right; 5], Asked::TheSame);
    let said: Vec<String> = found.evidence.iter().map(|one| one.fact.to_string()).collect();
    assert_eq!(
        said,
        [
            "slow takes 12.5 s a request in the mean, fast 6.5 s.",
            "7.0 s is the speed of prompt processing (100 % of what adds to the 6.0 s).",
            "Against that, the speed of generation saves 1.0 s.",
            "0 % of the prompt tokens of fast came from the prompt cache, as the backend reported.",
            "0 % of the prompt tokens of slow came from the prompt cache, as the backend reported.",
        ]
    );
    assert!(found.evidence.iter().all(|one| one.to_string().ends_with("[fast-000 / slow-000 and 4 more]")));
}

#[test]
fn sides_of_one_model_are_named_as_the_user_did() {
    let (left, right) = (side("m", &[MADE; 3]), side("m", &[Made { ttft_ms: 9_000, ..MADE }; 3]));
    let prompts = prompts(&left, &right, Asked::TheSame);
    let found = explained(asked_of("monday", &left), Some(asked_of("tuesday", &right)), &prompts, None);
    assert!(headline(&found).starts_with("tuesday is slower"), "{}", headline(&found));
}

#[test]
fn a_side_of_several_models_lists_them() {
    let mut both = side("one", &[MADE; 2]);
    both.extend(side("two", &[Made { ttft_ms: 9_000, ..MADE }; 3]));
    let found = explained(
        SideInput { speeds: speeds("two", 1_111.0, 25.0), ..asked_of("a folder", &both) },
        None,
        &HashMap::new(),
        None,
    );
    assert!(headline(&found).starts_with("a folder takes "), "{}", headline(&found));
    assert_eq!((found.left.model(), found.left.speeds), (None, None));
    let models: Vec<_> = found
        .left
        .models
        .iter()
        .map(|one| {
            (one.model.as_deref(), one.requests, one.time.and_then(|time| time.read_ms), one.speeds.is_some())
        })
        .collect();
    assert_eq!(models, [(Some("one"), 2, Some(2_000.0), false), (Some("two"), 3, Some(9_000.0), true)]);
    assert!(alone(&side("one", &[MADE; 2])).left.models.is_empty());
}

#[test]
fn json_has_the_names_of_the_contract() {
    let found = compared(&[MADE; 5], &[Made { ttft_ms: 9_000, ..MADE }; 5], Asked::TheSame);
    let json = serde_json::to_value(&found).unwrap();
    let causes: Vec<&str> =
        json["contributions"].as_array().unwrap().iter().map(|one| one["cause"].as_str().unwrap()).collect();
    assert_eq!(
        causes,
        [
            "proxy",
            "model_load",
            "queueing",
            "prompt_size",
            "prompt_cache",
            "prompt_processing_speed",
            "output_length",
            "generation_speed",
            "stalls",
            "other"
        ]
    );
    assert_eq!(json["delta_ms"], 7000);
    assert_eq!(json["delta_interval"], json!([7000, 7000]));
    assert_eq!(json["verdict"]["cause"], "prompt_processing_speed");
    assert_eq!(json["verdict"]["scenario"], "A");
    assert_eq!(json["verdict"]["headline"], "slow is slower because it reads prompts more slowly");
    assert_eq!(json["left"]["selector"], "left");
    assert_eq!(json["left"]["time"]["requests"], 5);
    assert!(json["missing"][0].is_string() && json["evidence"][0].is_string());
    let contribution: Contribution = serde_json::from_value(json["contributions"][5].clone()).unwrap();
    assert_eq!(contribution, found.contributions[5]);
    let json = serde_json::to_value(alone(&side("m", &[MADE; 5]))).unwrap();
    assert_eq!((&json["right"], &json["contributions"]), (&json!(null), &json!([])));
    assert_eq!(json["verdict"]["cause"], "write");
}
