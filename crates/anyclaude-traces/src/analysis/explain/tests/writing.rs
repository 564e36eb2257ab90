//! How fast answers are written, and what changes that.

use super::*;
use crate::model::SpeedSample;

/// Requests of one model, each with the tokens of its prompt and what a token took to write.
fn written(answers: &[(u64, u64)]) -> Vec<Request> {
    let made = answers.iter().map(|(prompt, ms_per_token)| Made {
        prompt_tokens: Some(*prompt),
        generation_ms: 99 * ms_per_token,
        ..MADE
    });
    let mut requests = side("m", &made.collect::<Vec<_>>());
    for request in &mut requests {
        request.bookkeeping.speed_sample = SpeedSample { writes: true, ..SpeedSample::default() };
    }
    requests
}

fn change(answers: &[(u64, u64)]) -> Option<String> {
    let found = alone(&written(answers));
    found.evidence.iter().find_map(|one| match &one.fact {
        fact @ Fact::Writing { .. } => Some(fact.to_string()),
        _ => None,
    })
}

fn of_two_speeds(before: u64, after: u64, prompt: impl Fn(u64) -> u64) -> Vec<(u64, u64)> {
    (0..10).map(|at| (prompt(at), if at < 5 { before } else { after })).collect()
}

fn alike(_: u64) -> u64 {
    10_000
}

#[test]
fn where_writing_takes_the_time_the_first_sentence_says_how_much_and_how_fast() {
    let requests = written(&[(10_000, 200); 3]);
    let speeds = cost_speeds("m", 5.0);
    let of = |requests, speeds| {
        let side = SideInput { speeds, ..asked_of("the side", requests) };
        headline(&explained(side, None, &HashMap::new(), None))
    };
    assert_eq!(
        of(&requests, speeds.clone()),
        "m takes 22.3 s a request: 89 % of it is generation, 100 tokens at 5.0 tokens/s"
    );
    let rough = Speeds { n_write: 2, ..speeds[0].speeds };
    let rough = vec![ModelSpeeds { speeds: rough, ..speeds[0].clone() }];
    assert!(of(&requests, rough).ends_with("100 tokens at about 5.0 tokens/s"));
    // A speed that does not make the time is not said.
    assert_eq!(of(&requests, cost_speeds("m", 50.0)), "m takes 22.3 s a request: 89 % of it is generation");
    let reading = side("m", &[Made { ttft_ms: 30_000, ..MADE }; 3]);
    assert_eq!(of(&reading, speeds), "m takes 34.5 s a request: 87 % of it is prompt processing");
}

fn cost_speeds(model: &str, write: f64) -> Vec<ModelSpeeds> {
    let speeds = Speeds {
        read_tokens_per_second: None,
        write_tokens_per_second: Some(write),
        cache: CacheUse::Unknown,
        n_read: 0,
        n_write: 3,
        spread: None,
        source: None,
    };
    vec![ModelSpeeds { model: Some(model.into()), speeds }]
}

#[test]
fn a_model_that_writes_more_slowly_from_one_request_on_is_said_to() {
    let said = change(&of_two_speeds(25, 100, alike)).unwrap();
    assert!(
        said.starts_with("m writes more slowly after the first 5 of 10 answers: 10.0 tokens/s"),
        "{said}"
    );
    assert!(said.contains("before that 40.0"), "{said}");
    let said = change(&of_two_speeds(100, 25, alike)).unwrap();
    assert!(said.starts_with("m writes faster after the first 5 of 10 answers: 40.0 tokens/s"), "{said}");
}

#[test]
fn what_prompts_may_come_from_is_no_step() {
    let steps = of_two_speeds(25, 100, |at| if at < 5 { 10_000 } else { 60_000 });
    let said = change(&steps).unwrap();
    assert!(
        said.contains("the longer the prompt is: 40.0 tokens/s at 10.0 k tokens, 10.0 at 60.0 k"),
        "{said}"
    );
}

#[test]
fn writing_that_slows_with_the_prompt_is_told_from_a_step() {
    let growing: Vec<(u64, u64)> = (0..10).map(|at| (5_000 + 5_000 * at, 20 + 10 * at)).collect();
    let said = change(&growing).unwrap();
    assert!(said.contains("50.0 tokens/s at 5000 tokens, 9.1 at 50.0 k"), "{said}");
}

#[test]
fn nothing_is_said_of_what_is_even_uneven_or_little() {
    assert_eq!(change(&of_two_speeds(25, 25, alike)), None, "nothing changes");
    assert_eq!(change(&of_two_speeds(25, 30, alike)), None, "little changes");
    let uneven: Vec<(u64, u64)> = (0..10).map(|at| (10_000, if at % 2 == 0 { 25 } else { 100 })).collect();
    assert_eq!(change(&uneven), None, "no order in it");
    assert_eq!(change(&of_two_speeds(25, 100, alike)[2..8]), None, "too few");
    let mut of_two_models = written(&of_two_speeds(25, 100, alike));
    of_two_models[7].model = Some("other".into());
    let found = alone(&of_two_models);
    assert!(!found.evidence.iter().any(|one| matches!(one.fact, Fact::Writing { .. })), "of one model alone");
}
