//! `traces explain` on recordings whose cause is known, through the binary.

use crate::common::{Folder, body, traces};
use serde_json::{Value, json};

/// Writes one anyclaude process of five turns, one each minute. Its model takes
/// `ttft_ms` to the first token of each turn, and `header` heads its prompt.
fn record(
    folder: &Folder,
    hour: u32,
    model: &str,
    ttft_ms: impl Fn(u32) -> u64,
    header: impl Fn(u32) -> Option<String>,
) {
    let at =
        |minute: u32, ms: u64| format!("2025-11-16T{hour:02}:{minute:02}:{:02}.{:03}Z", ms / 1000, ms % 1000);
    let mut log = format!(
        "ANYCLAUDE DEBUG SESSION - Level 2\nStarted: {}\n\nBackend Mode: lmstudio\nModel: {model}\n\n",
        at(0, 0)
    );
    let mut requests = String::new();
    let mut messages: Vec<Value> = Vec::new();
    for turn in 1..=5 {
        messages.push(
            json!({"role": "user", "content": format!("Please do step {turn}. {}", "word ".repeat(200))}),
        );
        let mut sent = body("unused");
        let long = json!({"type": "text", "text": format!("You are brief. {}", "Rule. ".repeat(600))});
        let head = header(turn).map(|text| json!({"type": "text", "text": text}));
        sent["system"] = head.into_iter().chain([long]).collect();
        sent["messages"] = json!(messages);
        sent["stream"] = json!(true);
        let ttft_ms = ttft_ms(turn);
        let (start, total_ms) = (at(turn, 500), ttft_ms + 2_000);
        let name = at(turn, 510).replace([':', '.'], "-");
        folder.trace(format!("traces/lmstudio/{name}.json"), &at(turn, 510), &sent);
        requests += &format!(
            "{{\"timestamp\":\"{}\",\"toolCount\":2,\"messageCount\":{},\"streaming\":true,\"provider\":\"lmstudio\",\"model\":\"{model}\"}}\n",
            at(turn, 400),
            messages.len()
        );
        let line =
            |ms: u64, message: String| format!("[{}] [ANYCLAUDE DEBUG] {message}\n", at(turn, 500 + ms));
        log += &line(0, format!("[Request Start] lmstudio/{model} at {start}"));
        log += &line(1, format!("[Streaming] Starting stream conversion and pipe for lmstudio/{model}"));
        log += &line(ttft_ms, format!("[Timing] First token received at {ttft_ms}ms"));
        let done = format!(
            "[Request Complete] lmstudio/{model}: {total_ms}ms (60 chunks, 9000 bytes) | ⚡ 25.0 tok/s"
        );
        log += &line(total_ms, done);
        let usage = format!("{{\"inputTokens\":{},\"outputTokens\":50}}", 1_200 + 220 * turn);
        log += &line(total_ms, format!("[Cache Metrics] Recorded streaming response metrics {usage}"));
        messages.push(json!({"role": "assistant", "content": format!("Step {turn} is done, says {model}.")}));
    }
    folder.write(format!("logs/debug-session-2025-11-16T{hour:02}-00-00.log"), log);
    folder.write(format!("request-logs/2025-11-16-{hour:02}.jsonl"), requests);
}

#[test]
fn a_header_that_changes_every_turn_is_the_prompt_caches_doing() {
    let folder = Folder::new();
    // Both read 200 tokens/s, and one of them all of the prompt each time.
    let all = |turn| u64::from(1_200 + 220 * turn) * 5;
    record(&folder, 9, "fast-model", |turn| if turn == 1 { all(1) } else { 1_100 }, |_| None);
    let billing = |turn| format!("x-anthropic-billing-header: cc_version=2.1.{turn}; cch={turn:05x};");
    record(&folder, 10, "slow-model", all, |turn| Some(billing(turn)));
    let found = folder.traces("explain --root . --format json").ends_with(0).json();
    assert_eq!(found["right"]["model"], "slow-model");
    assert_eq!((&found["paired"], &found["n"]), (&json!(true), &json!(5)));
    let sum: f64 =
        found["contributions"].as_array().unwrap().iter().filter_map(|one| one["ms"].as_f64()).sum();
    assert!((sum - found["delta_ms"].as_f64().unwrap()).abs() < 1e-6, "{found}");
    let verdict = &found["verdict"];
    assert_eq!((&verdict["cause"], &verdict["scenario"]), (&json!("prompt_cache"), &json!("C")), "{found}");
    assert_eq!(verdict["proxy_is_bottleneck"], false);
    let headline = verdict["headline"].as_str().unwrap();
    assert!(headline.starts_with("slow-model is slower because it reads earlier turns again"), "{headline}");
    // Without the header the same times are read, and it is the backend that reuses nothing.
    let folder = Folder::new();
    record(&folder, 9, "fast-model", |_| 900, |_| None);
    record(&folder, 10, "slow-model", |_| 9_000, |_| None);
    let found = folder.traces("explain --root . --format json").ends_with(0).json();
    let sum: f64 =
        found["contributions"].as_array().unwrap().iter().filter_map(|one| one["ms"].as_f64()).sum();
    assert!((sum - 8_100.0).abs() < 1e-6, "{found}");
    assert_eq!(found["delta_ms"], 8_100);
}

#[test]
fn one_side_is_broken_down() {
    let folder = Folder::new();
    record(&folder, 10, "slow-model", |_| 9_000, |_| None);
    // Without a name, as one model is all there is.
    for line in ["", "model:slow-model", "."] {
        let ran = folder.traces(&format!("explain {line} --root . --format json"));
        let found = ran.ends_with(0).json();
        assert_eq!((&found["right"], &found["contributions"]), (&Value::Null, &json!([])), "{line}");
        assert_eq!(found["verdict"]["cause"], "read", "{line}: {found}");
        assert_eq!(found["left"]["time"]["read_ms"], 9_000.0);
        assert_eq!(found["left"]["time"]["requests"], 5);
    }
    folder.traces("explain --root . --direct a.json b.json").ends_with(2).says(&["--direct"]);
    let ran = folder.traces("explain latest --root .").ends_with(0);
    assert!(
        ran.stdout.starts_with("slow-model takes 11.1 s a request: 81 % of it is prompt processing.\n"),
        "{}",
        ran.stdout
    );
}

/// What `traces replay --save` writes of a model, as far as it matters here.
fn replay(model: &str, cache: &str, ttft_ms: Option<f64>) -> String {
    let figures = json!({
        "ttft_ms": ttft_ms, "ttfo_ms": ttft_ms, "total_ms": ttft_ms.map(|ms| ms + 2_000.0), "prompt_tokens": 2000,
        "cached_tokens": null, "output_tokens": 50, "output_tokens_per_second": 25.0, "chunk_gap_ms": null
    });
    let mut run = figures.clone();
    run["stop_reason"] = Value::Null;
    run["server"] = Value::Null;
    run["error"] = if ttft_ms.is_some() { Value::Null } else { json!("no connection") };
    json!({
        "schema_version": 1, "path": null, "url": "http://127.0.0.1:1234", "api": "openai", "model": model,
        "cache": cache, "max_tokens": 256, "left_out": [], "runs": [run], "median": figures, "interrupted": false,
        "comparison": null
    })
    .to_string()
}

#[test]
fn replays_settle_backend_against_proxy() {
    let folder = Folder::new();
    record(&folder, 9, "fast-model", |_| 900, |_| None);
    record(&folder, 10, "slow-model", |_| 9_000, |_| None);
    folder.write("fast.json", replay("fast-model", "cold", Some(900.0)));
    folder.write("slow.json", replay("slow-model", "cold", Some(9_000.0)));
    folder.write("quick.json", replay("slow-model", "cold", Some(950.0)));
    folder.write("warm.json", replay("slow-model", "warm", Some(950.0)));
    folder.write("failed.json", replay("slow-model", "cold", None));
    let explain = |slow: &str| {
        let ran = folder.traces(&format!("explain --root . --format json --direct fast.json {slow}"));
        ran.ends_with(0).json()
    };
    let last =
        |found: &Value| found["evidence"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    let backend = explain("slow.json");
    let cause = &backend["verdict"]["cause"];
    assert_eq!(backend["verdict"]["proxy_is_bottleneck"], false);
    assert!(last(&backend).contains("accounts for 100 % of the recorded difference"), "{}", last(&backend));
    let proxy = explain("quick.json");
    assert_eq!(proxy["verdict"]["proxy_is_bottleneck"], true);
    assert_eq!(&proxy["verdict"]["cause"], cause, "the headline is of the largest contribution");
    for (file, words) in [("warm.json", "settles nothing"), ("fast.json", "is of fast-model")] {
        let found = explain(file);
        assert_eq!(found["verdict"]["proxy_is_bottleneck"], Value::Null, "{file}");
        assert!(last(&found).contains(words), "{}", last(&found));
    }
    let refused = |line: &str| folder.traces(&format!("explain --root . --direct {line}")).ends_with(2);
    refused("fast.json failed.json").says(&[
        "failed.json",
        "measured no time to first token",
        "no connection",
    ]);
    refused("fast.json traces").says(&["traces: not a regular file"]);
    refused("fast.json logs/debug-session-2025-11-16T09-00-00.log")
        .says(&["not what `traces replay --save` writes"]);
    refused("fast.json nowhere.json").says(&["nowhere.json", "traces replay INPUT --cold --save FILE"]);
    refused("fast.json").says(&["--direct"]);
}

#[test]
fn one_input_of_several_models_hints_how_to_compare_them() {
    let hinted = |input: &str| {
        let ran = traces(&format!("explain {input}")).ends_with(0);
        ran.stdout.contains(&format!("traces report --format markdown {input}\n"))
    };
    assert!(hinted("testdata/claude-code/two-models"));
    assert!(!hinted("testdata/recorders/litellm.jsonl"), "one model has nobody to be compared with");
}
