//! What a recording tells beside times: the answers themselves.

use super::*;

/// A model's answers of 300 tokens, of which so many bytes were recorded and no pieces counted.
fn recorded_with(bytes: u64, change: impl Fn(&mut Case)) -> Vec<Option<u64>> {
    let found = turns(3, |_, case| {
        (case.events, case.event_bytes, case.text_chunks) = Default::default();
        (case.reported_output_tokens, case.answer_bytes) = (300.into(), bytes.into());
        change(case);
    });
    found.iter().map(|case| case.hidden.map(|hidden| hidden.tokens)).collect()
}

/// The prompts have four bytes a token.
#[test]
fn tokens_without_a_text_in_the_answer_were_reasoned_before_it() {
    assert_eq!(recorded_with(400, |_| {}), [Some(200); 3]);
    assert_eq!(recorded_with(599, |_| {}), [Some(150); 3]);
    assert_eq!(recorded_with(600, |_| {}), [None; 3], "half of the tokens have a text");
    assert_eq!(recorded_with(400, |case| case.answer_calls = 2.into()), [Some(160); 3], "calls have frames");
    assert_eq!(recorded_with(400, |case| case.streamed_reasoning = Some(true)), [None; 3]);
    // In 2 s at the end 100 tokens were streamed: 200 others need 4 s before.
    let in_time = |ttft: u64| {
        recorded_with(400, move |case| (case.ttft_ms, case.total_ms) = (ttft.into(), (ttft + 2_000).into()))
    };
    assert_eq!((in_time(4_000), in_time(3_999)), (vec![Some(200); 3], vec![None; 3]));
    let counted =
        |case: &mut Case| (case.reasoning_tokens, case.answer_bytes) = (120.into(), Amount::UNKNOWN);
    assert_eq!(recorded_with(0, counted), [Some(120); 3], "as the usage counts");
}

#[test]
fn the_bytes_of_an_image_in_the_prompt_say_nothing_of_the_tokens_of_an_answer() {
    let with = |bytes: u64| recorded_with(400, move |case| case.prompt_bytes = bytes.into());
    assert_eq!(with(60_000), [Some(233); 3]);
    assert_eq!(with(60_001), [None; 3], "no text has so many bytes a token");
}
