//! Messages of every generation of the log, one by one.

use super::*;

fn complete_of(text: &str) -> Option<Complete<'_>> {
    match read(text.as_bytes()) {
        LoggedMessage::Complete(complete) => Some(complete),
        LoggedMessage::Unreadable => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn starts_name_provider_model_and_instant() {
    let at = scan::stamp(b"2025-11-16T02:30:45.123Z").unwrap();
    let line = b"[Request Start] lmstudio/some-lab/model at large at 2025-11-16T02:30:45.123Z";
    assert_eq!(read(line), LoggedMessage::Start { label: "lmstudio/some-lab/model at large", at });
    assert_eq!(read(b"[Request Start] lmstudio/m at 2025-11-16T02:3"), LoggedMessage::Unreadable);
    assert_eq!(read(b"[Request Start] nothing at 2025-11-16T02:30:45.123Z"), LoggedMessage::Unreadable);
}

#[test]
fn completions_of_every_generation() {
    let full = Complete {
        label: "local/m: x",
        ms: 45815,
        events: Some(288),
        bytes: Some(34757),
        tokens_per_second: Some(9.6),
    };
    let text = "[Request Complete] local/m: x: 45815ms (288 chunks, 34757 bytes) | ⚡ 9.6 tok/s";
    assert_eq!(complete_of(text), Some(full));
    let no_usage = Complete { tokens_per_second: None, ms: -20, ..full };
    let text = "[Request Complete] local/m: x: -20ms (288 chunks, 34757 bytes)";
    assert_eq!(complete_of(text), Some(no_usage));
    let plain = Complete { events: None, bytes: None, ms: 1171, label: "lmstudio/m", ..no_usage };
    assert_eq!(complete_of("[Request Complete] lmstudio/m: 1171ms"), Some(plain));
    for cut in
        ["", " lmstudio/m", " lmstudio/m: 45", " lmstudio/m: 45ms (2 chu", " lmstudio/m: 45ms (2 chunks, 9"]
    {
        assert_eq!(complete_of(&format!("[Request Complete]{cut}")), None, "{cut}");
    }
}

#[test]
fn stream_lines() {
    let line = |text: &str| format!("[Stream Conversion] Received chunk {text}");
    assert_eq!(read(line("3 of type: start").as_bytes()), LoggedMessage::Part);
    let part_of = |text| part(line(text).as_bytes());
    assert_eq!(part_of("3 of type: reasoning-start"), Some((3, PartKind::BlockStart(BlockKind::Reasoning))));
    assert_eq!(part_of("44 of type: text-delta"), Some((44, PartKind::Delta(BlockKind::Text))));
    assert_eq!(part_of("1 of type: start"), Some((1, PartKind::Start)));
    assert_eq!(part_of("0 of type: start"), None);
    assert_eq!(part_of("7 of ty"), None);
    assert_eq!(
        read(b"[Stream Conversion] Stream complete. Total chunks: 290"),
        LoggedMessage::PartsEnd { parts: 290 }
    );
    assert_eq!(read(b"[Stream Conversion] Raw chunk 3: {}"), LoggedMessage::FinishStep(b"{}"));
    assert_eq!(
        read(b"[Streaming] Starting stream conversion and pipe for lmstudio/a/b"),
        LoggedMessage::Streaming { label: "lmstudio/a/b" }
    );
    assert_eq!(read(b"[streamText] About to call streamText for lmstudio/m"), LoggedMessage::Calling);
    let finished = LoggedMessage::Finished { reason: "tool-calls" };
    assert_eq!(read(b"[streamText onFinish] Called, stop reason: tool-calls"), finished);
    assert_eq!(
        written(b"[NodeWritable] Chunk #2 of type: content_block_delta (118 bytes, total: 235 bytes)"),
        Some(WrittenEvent { event: 2, bytes: 118, total: 235, is_delta: true })
    );
    assert_eq!(written(b"[NodeWritable] Chunk #2 of type: content_block_del"), None);
    assert_eq!(written(b"[NodeWritable] Written chunk type: message_stop, buffer ok: true"), None);
}

#[test]
fn the_last_chunk_counts_tokens_and_names_the_model() {
    let whole = br#"{"type":"finish-step","fullChunk":{"usage":{"inputTokens":3414,"outputTokens":45,"totalTokens":3459,"reasoningTokens":7,"cachedInputTokens":12},"response":{"id":"c","modelId":"big-llm","headers":{}}}}"#;
    let expected = FinishStep {
        prompt: Some(3414),
        output: Some(45),
        cached: Some(12),
        reasoning: Some(7),
        model: Some("big-llm".into()),
    };
    assert_eq!(finish_step(whole), expected);
    let cut = whole.get(..whole.len() - 30).unwrap();
    assert_eq!(finish_step(cut), FinishStep { model: None, ..expected.clone() });
    let indented = String::from_utf8_lossy(whole).replace(':', ": ").replace(',', ",\n  ");
    assert_eq!(finish_step(indented.as_bytes()), expected);
    let announced = b"[Stream Conversion] Received chunk 50 of type: finish-step";
    assert!(
        is_finish_step(announced)
            && !is_finish_step(b"[Stream Conversion] Received chunk 50 of type: finish")
    );
}

#[test]
fn waiting_lines() {
    for waiting in ["LMStudio", "[Local]", "[MLX Cluster]"] {
        let line = format!("[Keepalive] Sent keepalive #3 (waiting for {waiting})");
        assert_eq!(read(line.as_bytes()), LoggedMessage::KeepaliveSent { number: 3 });
    }
    let cleared = b"[Keepalive] Cleared (stream started after 12 keepalives)";
    assert_eq!((read(cleared), keepalives_cleared(cleared)), (LoggedMessage::NoiseOfLevel(2), Some(12)));
    assert_eq!(keepalives_cleared(b"[Keepalive] Cleared (stream started after 1"), None);
    assert_eq!(read(b"[Keepalive] Sent keepalive #"), LoggedMessage::Unreadable);
    assert_eq!(read(b"[Timing] First token received at 16408ms"), LoggedMessage::FirstToken { ms: 16408 });
    assert_eq!(read(b"[Timing] First token received at 16408"), LoggedMessage::Unreadable);
}

#[test]
fn usage_lines() {
    let recorded = br#"[Cache Metrics] Recorded streaming response metrics {"hash":"2a1fb151","inputTokens":14644,"outputTokens":282,"cacheReadTokens":0,"cacheCreationTokens":0}"#;
    let usage = LoggedUsage { prompt: 14644, output: 282, cache_read: Some(0) };
    assert_eq!(read(recorded), LoggedMessage::UsageRecorded(usage));
    let captured = br#"[Cache Metrics] Captured usage from message_delta: {"input_tokens":7,"output_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":9}"#;
    let usage = LoggedUsage { prompt: 7, output: 8, cache_read: Some(9) };
    assert_eq!(read(captured), LoggedMessage::UsageCaptured(usage));
    let cut = br#"[Cache Metrics] Recorded streaming response metrics {"hash":"2a1fb151","inputTokens":146"#;
    assert_eq!(read(cut), LoggedMessage::Unreadable);
}

#[test]
fn ends_without_an_answer() {
    let failed = |label, words| LoggedMessage::Failed { label, words };
    assert_eq!(
        read(br#"Error for lmstudio/m: {"name":"AI_APICallError"}"#),
        failed(Some("lmstudio/m"), br#" {"name":"AI_APICallError"}"#)
    );
    assert_eq!(read(b"Connection error for local/m: refused"), failed(Some("local/m"), b" refused"));
    assert_eq!(read(b"[Stream Error] Source stream error: {}"), failed(None, b" {}"));
    assert_eq!(
        read(b"[Timeout] Request to lmstudio/m exceeded 600000ms"),
        LoggedMessage::Timeout { label: "lmstudio/m", after_ms: 600_000 }
    );
    assert_eq!(
        read(b"[Timeout] Request to lmstudio/m exceeded 120 seconds"),
        LoggedMessage::Timeout { label: "lmstudio/m", after_ms: 120_000 }
    );
}

#[test]
fn what_the_backend_said_of_itself() {
    assert_eq!(read(b"[Backend Query] Detected model: a/b"), LoggedMessage::Detected { model: "a/b" });
    let length = LoggedMessage::ContextLength { tokens: 131_072 };
    assert_eq!(read(b"[Backend Query] LMStudio context length: 131072 tokens"), length);
    assert_eq!(read(b"[Backend Query] [Local] context length: 131072 tokens"), length);
    assert_eq!(read(b"[Context] Cached LMStudio context length: 131072 tokens"), length);
    assert_eq!(
        read(b"[Context] Using model table lookup (gpt-oss-20b): 131072 tokens"),
        LoggedMessage::Noise
    );
}

#[test]
fn other_messages_are_noise() {
    for text in ["", "[", "[]", "x", "[Prompt Cache] MISS", "[Unclosed tag"] {
        assert_eq!(read(text.as_bytes()), LoggedMessage::Noise, "{text}");
    }
}
