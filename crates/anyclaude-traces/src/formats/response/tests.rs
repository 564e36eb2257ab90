use super::*;

fn figures(answer: &AnswerFacts) -> [Option<u64>; 4] {
    let Response { input_tokens, cache_read_tokens, output_tokens, tool_calls, .. } = answer.response;
    [input_tokens, cache_read_tokens, output_tokens, tool_calls]
}

#[test]
fn every_api_gives_the_same_facts() {
    let anthropic = r#"{"type":"message","model":"m","content":[{"type":"tool_use"}],"stop_reason":"tool_use",
        "usage":{"input_tokens":10,"cache_read_input_tokens":90,"output_tokens":7}}"#;
    let chat = r#"{"object":"chat.completion","model":"m","choices":[{"finish_reason":"tool_use",
        "message":{"tool_calls":[{"id":"c","function":{"name":"Read","arguments":"{}"}}]}}],
        "usage":{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":90}}}"#;
    let responses = r#"{"object":"response","model":"m","output":[{"type":"function_call"},{"type":"message"}],
        "incomplete_details":{"reason":"tool_use"},
        "usage":{"input_tokens":100,"output_tokens":7,"input_tokens_details":{"cached_tokens":90}}}"#;
    let anthropic_stream = "event: message_start\n\
        data: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":90}}}\n\n\
        data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\"}}\n\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":7}}\n\n\
        data: {\"type\":\"message_stop\"}\n\n";
    let chat_stream = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"Read\"}}]}}]}\n\n\
        data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n\
        data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_use\"}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":90}}}\n\n\
        data: [DONE]\n\n";
    let responses_stream = "data: {\"type\":\"response.created\",\"response\":{\"model\":\"m\"}}\n\n\
        data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\"}}\n\n\
        data: {\"type\":\"response.completed\",\"response\":{\"model\":\"m\",\"output\":[{\"type\":\"function_call\"}],\
        \"incomplete_details\":{\"reason\":\"tool_use\"},\
        \"usage\":{\"input_tokens\":100,\"output_tokens\":7,\"input_tokens_details\":{\"cached_tokens\":90}}}}\n\n";
    for text in [anthropic, chat, responses, anthropic_stream, chat_stream, responses_stream] {
        let answer = AnswerFacts::read_text(text);
        assert_eq!(figures(&answer), [Some(10), Some(90), Some(7), Some(1)], "{text}");
        assert_eq!(answer.model.as_deref(), Some("m"), "{text}");
        assert_eq!(answer.response.stop_reason.as_deref(), Some("tool_use"), "{text}");
        assert!(answer.is_complete && answer.error.is_none(), "{text}");
    }
}

#[test]
fn the_last_of_several_answers_counts() {
    let answer = |input: u32, item: &str| {
        format!(
            "data: {{\"type\":\"response.created\",\"response\":{{}}}}\n\n\
             data: {{\"type\":\"response.output_item.done\",\"item\":{{\"type\":\"{item}\"}}}}\n\n\
             data: {{\"type\":\"response.completed\",\"response\":{{\"output\":[],\
             \"usage\":{{\"input_tokens\":{input},\"output_tokens\":1}}}}}}\n\n"
        )
    };
    let both = AnswerFacts::read_text(&[answer(10, "function_call"), answer(20, "message")].concat());
    assert_eq!(figures(&both), [Some(20), None, Some(1), Some(0)]);
}

#[test]
fn the_last_of_several_types_counts() {
    let event = r#"data: {"type":"content_block_delta","message":{"usage":{"input_tokens":7}},"type":"message_start"}"#;
    assert_eq!(figures(&AnswerFacts::read_text(event))[0], Some(7));
}

#[test]
fn errors_are_said_and_a_cut_stream_has_no_end() {
    for text in [
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        r#"{"error":"Overloaded"}"#,
        "data: {\"type\":\"error\",\"error\":{\"message\":\"Overloaded\"}}\n\n",
        "data: {\"error\":{\"message\":\"Overloaded\"}}\n\n",
    ] {
        assert_eq!(AnswerFacts::read_text(text).error.as_deref(), Some("Overloaded"), "{text}");
    }
    let cut = AnswerFacts::read_text(
        "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"He\"}}]}\n\ndata: {\"mod",
    );
    assert!(!cut.is_complete);
    assert_eq!(cut.model.as_deref(), Some("m"));
    assert_eq!(AnswerFacts::read_text("Bad Gateway"), AnswerFacts::default());
}

#[test]
fn cached_tokens_that_are_not_told_are_unknown() {
    let answer =
        AnswerFacts::read_text(r#"{"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":7}}"#);
    assert_eq!(figures(&answer), [Some(100), None, Some(7), Some(0)]);
}

#[test]
fn no_more_is_cached_than_the_whole_prompt() {
    for (cached, expected) in
        [(100, [Some(0), Some(100)]), (101, [Some(100), None]), (u64::MAX, [Some(100), None])]
    {
        for text in [
            format!(
                r#"{{"choices":[],"usage":{{"prompt_tokens":100,"prompt_tokens_details":{{"cached_tokens":{cached}}}}}}}"#
            ),
            format!(
                r#"{{"object":"response","usage":{{"input_tokens":100,"input_tokens_details":{{"cached_tokens":{cached}}}}}}}"#
            ),
        ] {
            let [input, read, ..] = figures(&AnswerFacts::read_text(&text));
            assert_eq!([input, read], expected, "{text}");
        }
    }
}

#[test]
fn what_an_answer_shows_of_itself_is_measured_and_reasoning_is_not() {
    let anthropic = r#"{"content":[{"type":"thinking","thinking":"<REDACTED>"},{"type":"text","text":"Robins."},
        {"type":"tool_use","id":"c","name":"Read","input":{"a":1}}],"usage":{"output_tokens":70}}"#;
    let chat = r#"{"choices":[{"message":{"reasoning_content":"Hm","content":"Robins.",
        "tool_calls":[{"id":"c","function":{"name":"Read","arguments":"{'a':1}"}}]}}],
        "usage":{"completion_tokens":70,"completion_tokens_details":{"reasoning_tokens":40}}}"#;
    let chunks = "data: {\"choices\":[{\"delta\":{\"reasoning\":\"Hm\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"Rob\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"ins.\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"Read\",\"arguments\":\"{'a':1}\"}}]}}]}\n\n";
    for text in [anthropic, chat, chunks] {
        let content = AnswerFacts::read_text(text).response.content;
        assert_eq!((content.bytes.get(), content.has_reasoning), (Some(7 + 4 + 7), true), "{text}");
    }
    assert_eq!(AnswerFacts::read_text(chat).response.content.reasoning_tokens.get(), Some(40));
    let plain = AnswerFacts::read_text(r#"{"choices":[{"message":{"content":"Robins.","reasoning":null}}]}"#);
    assert!(!plain.response.content.has_reasoning);
    // A stream whose pieces are passed shows nothing.
    let stream = "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Robins.\"}}\n\n";
    assert_eq!(AnswerFacts::read_text(stream).response.content.bytes.get(), None);
}
