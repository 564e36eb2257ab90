//! Which requests a command line means: selectors, scope, filters, labels.

use crate::common::{self, Folder, HOME, Ran, body, body_of_session, members, traces};
use serde_json::{Value, json};

/// The paths of the requests that `list` prints.
fn listed(folder: &Folder, line: &str) -> Vec<String> {
    let ran = folder.traces(&format!("list {line} --format json")).ends_with(0);
    let name = |path: String| {
        path.replace('\\', "/").trim_start_matches("./").trim_start_matches("traces/").to_owned()
    };
    members(&ran.json()["requests"], "path").into_iter().map(name).collect()
}

/// The requests that `list` prints of testdata.
fn at_home(line: &str) -> Vec<Value> {
    traces(&format!("list --root {HOME} --format ndjson {line}")).ends_with(0).ndjson()
}

/// A root with requests at these times, the files named after their place.
fn root(times: &[&str]) -> Folder {
    let folder = Folder::new();
    for (at, time) in times.iter().enumerate() {
        folder.trace(format!("traces/{at}.json"), time, &body(&format!("question {at}")));
    }
    folder
}

#[test]
fn the_scope_is_the_24_hours_before_the_newest_request() {
    let folder = root(&[
        "2025-11-15T09:59:59.999Z",
        "2025-11-15T10:00:00.000Z",
        "2025-11-15T10:00:00.001Z",
        "2025-11-16T10:00:00.000Z",
    ]);
    assert_eq!(listed(&folder, "--root ."), ["1.json", "2.json", "3.json"]);
    let found = folder.traces("list --root . --format json").json();
    let scope = json!({
        "from": "2025-11-15T10:00:00.000Z", "to": "2025-11-16T10:00:00.000Z",
        "kind": "all", "requests_seen": 4,
    });
    assert_eq!(found["scope"], scope);
    for verb in ["summary", "list"] {
        let table = folder.traces(&format!("{verb} --root .")).ends_with(0).stdout;
        assert!(table.contains("Last 24 h of activity") && table.contains("3 of 4 requests"), "{table}");
    }
}

#[test]
fn all_a_time_or_an_input_lift_the_scope() {
    let folder = root(&["2025-10-01T10:00:00.000Z", "2025-11-15T10:00:00.000Z", "2025-11-16T11:00:00.000Z"]);
    assert_eq!(listed(&folder, "--root .").len(), 1);
    let whole = ["--root . --all", "--root . --since 2025-01-01", "--root . --until 2025-12-31"];
    for line in whole.into_iter().chain([".", "traces", "latest~2 latest~1 latest --root ."]) {
        assert_eq!(listed(&folder, line).len(), 3, "{line}");
    }
    let scope = folder.traces("list . --format json").json()["scope"].clone();
    assert_eq!(scope, json!({ "from": null, "to": null, "kind": "all", "requests_seen": 3 }));
}

#[test]
fn since_and_until_include_their_moment() {
    let folder = root(&["2025-11-16T10:00:00.000Z", "2025-11-16T10:00:00.001Z", "2025-11-16T10:00:00.002Z"]);
    let moment = "2025-11-16T10:00:00.001Z";
    assert_eq!(listed(&folder, &format!(". --since {moment}")), ["1.json", "2.json"]);
    assert_eq!(listed(&folder, &format!(". --until {moment}")), ["0.json", "1.json"]);
    assert_eq!(listed(&folder, &format!(". --since {moment} --until {moment}")), ["1.json"]);
    assert_eq!(listed(&folder, ". --since 2025-11-16T19:00:00.002+09:00"), ["2.json"]);
    assert_eq!(listed(&folder, ". --until 2h --since 2001-01-01").len(), 3);
}

#[test]
fn a_day_is_local_and_whole() {
    let times = ["2025-11-15T23:59:59.999Z", "2025-11-16T00:00:00.000Z", "2025-11-16T23:59:59.999Z"];
    let folder = root(&[times[0], times[1], times[2], "2025-11-17T00:00:00.000Z"]);
    assert_eq!(listed(&folder, ". --since 2025-11-16 --until 2025-11-16"), ["1.json", "2.json"]);
    let mut east = common::program(folder.path());
    east.env("TZ", "XST-9");
    let ran = common::run(east, "list . --until 2025-11-16 --format ndjson", &[] as &[&str]).ends_with(0);
    // Windows tells its time zone in another way.
    let of_the_day = if cfg!(windows) { 3 } else { 2 };
    assert_eq!(ran.ndjson().len(), of_the_day, "the day ends nine hours earlier in the east");
}

#[test]
fn a_filter_that_leaves_nothing_says_what_there_was() {
    let lines = [
        "--since 2030-01-01",
        "--until 2001-01-01",
        "--last 0",
        "--mode lmstudio --kind probe --until 2001-01-01",
    ];
    for line in lines {
        let ran = traces(&format!("list --root {HOME} {line}")).ends_with(2);
        assert_eq!(ran.stdout, "", "{line}");
        ran.says(&["63 requests", "37 conversation", "14 probe", "10 background", "2 count_tokens"]);
    }
    let none = traces(&format!("summary {HOME}/traces/mlx-lm --kind probe")).ends_with(2);
    none.says(&["1 conversation", "--kind all"]);
    for (flag, known) in [("--mode", "lmstudio"), ("--model", "claude-sonnet-4-nonesuch")] {
        traces(&format!("list --root {HOME} {flag} zzz")).ends_with(2).says(&[flag, "zzz", known]);
    }
    traces(&format!("list --root {HOME} --session zzz")).ends_with(2).says(&["44444444-aaaa"]);
}

#[test]
fn filters_take_a_unique_part_of_a_name() {
    let all = |name: &str, requests: &[Value], value: &str| {
        assert!(!requests.is_empty());
        assert!(requests.iter().all(|request| request[name] == value), "{name} {value}");
    };
    all("mode", &at_home("--mode claude"), "claude");
    all("mode", &at_home("--mode mlx"), "mlx-lm");
    all("model", &at_home("--model nonesuch"), "claude-sonnet-4-nonesuch");
    all("session", &at_home("--session 22222222"), "22222222-aaaa-4bbb-8ccc-000000000002");
    traces(&format!("list --root {HOME} --model claude-sonnet")).ends_with(2).says(&["20250514", "nonesuch"]);
}

#[test]
fn a_whole_name_wins_over_a_part() {
    let folder = Folder::new();
    folder.trace("a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    folder.trace("b.json", "2025-11-16T10:00:01.000Z", &body("b"));
    let labels = "--label qwen3=a.json --label qwen3-large=b.json";
    assert_eq!(listed(&folder, &format!(". {labels} --model qwen3")), ["a.json"]);
    assert_eq!(listed(&folder, &format!(". {labels} --model large")), ["b.json"]);
    folder.traces(&format!("list . {labels} --model qwen")).ends_with(2).says(&["qwen3, qwen3-large"]);
}

#[test]
fn two_requests_that_are_the_same_are_said_to_be() {
    let page = traces(&format!("diff latest latest --root {HOME}")).ends_with(0).stdout;
    assert!(page.starts_with("Both prompts have 3.8 kB. Both take 1.0 s.\n"), "{page}");
    assert!(page.contains("\nMessages: 1, the same.\n"), "{page}");
}

#[test]
fn kinds() {
    let counts = [("conversation", 37), ("background", 10), ("probe", 14), ("count_tokens", 2), ("all", 63)];
    for (kind, count) in counts {
        let requests = at_home(&format!("--all --kind {kind}"));
        assert_eq!(requests.len(), count, "{kind}");
        assert!(kind == "all" || requests.iter().all(|request| request["kind"] == kind), "{kind}");
        let summary = traces(&format!("summary --root {HOME} --all --kind {kind} --format json")).json();
        assert_eq!(summary["totals"]["requests"], count, "{kind}");
        assert_eq!(summary["scope"]["kind"], kind);
    }
    assert_eq!(at_home("--all").len(), 63, "list shows every kind");
    let summary = traces(&format!("summary --root {HOME} --all --format json")).json();
    assert_eq!(summary["scope"]["kind"], "conversation", "summary does not");
    assert_eq!(summary["other_kinds"], json!({ "background": 10, "count_tokens": 2, "probe": 14 }));
}

#[test]
fn last_comes_after_all_other_filters() {
    let all = at_home("--all");
    assert_eq!(at_home("--all --last 5"), all[58..]);
    assert_eq!(at_home("--all --last 1000"), all);
    let probes = at_home("--all --kind probe");
    assert_eq!(at_home("--all --kind probe --last 2"), probes[12..]);
    let claude = at_home("--all --mode claude");
    assert_eq!(at_home("--all --last 3 --mode claude"), claude[claude.len() - 3..]);
}

#[test]
fn selectors_pick_requests_and_groups() {
    let path = |ran: Ran| ran.ends_with(0).json()["path"].as_str().unwrap().to_owned();
    let conversations = at_home("--all --kind conversation");
    let show = |line: &str| path(traces(&format!("show --root {HOME} --format json --quiet {line}")));
    let nth_last = |back: usize| conversations[conversations.len() - 1 - back]["path"].clone();
    assert_eq!(show(""), nth_last(0));
    assert_eq!(show("latest"), nth_last(0));
    assert_eq!(show("latest~0"), nth_last(0));
    assert_eq!(show("latest~7"), nth_last(7));
    assert_eq!(show("latest --kind probe"), at_home("--kind probe").last().unwrap()["path"]);
    assert!(show("session:44444444").ends_with("2025-11-16T01-10-15-600Z.json"));
    assert!(show("model:nonesuch").ends_with("2025-11-16T01-10-15-600Z.json"));
    assert_eq!(at_home("session:22222222").len(), at_home("--session 22222222").len());
}

#[test]
fn the_bare_name_of_a_trace_is_enough_everywhere() {
    let (older, newer) = ("2025-11-16T02-52-11-962Z.json", "2025-11-16T02-52-31-269Z.json");
    let paths = |line: &str| {
        let found = traces(&format!("{line} --root {HOME} --format json")).ends_with(0).json();
        let name = |value: &Value| value.as_str().unwrap().rsplit(['/', '\\']).next().unwrap().to_owned();
        [name(&found["left"]["path"]), name(&found["right"]["path"])]
    };
    assert_eq!(paths(&format!("diff {newer}")), [older, newer]);
    assert_eq!(paths(&format!("diff {older} {newer}")), [older, newer]);
    let named = at_home(&format!("{newer} --label somebody={newer}"));
    assert_eq!((named.len(), &named[0]["model"]), (1, &json!("somebody")));
}

#[test]
fn several_inputs_are_taken_together_and_once() {
    let folder = root(&["2025-11-16T10:00:00.000Z", "2025-11-16T10:00:01.000Z", "2025-11-16T10:00:02.000Z"]);
    assert_eq!(listed(&folder, "traces/2.json traces/0.json"), ["0.json", "2.json"]);
    assert_eq!(listed(&folder, "traces traces/1.json traces"), ["0.json", "1.json", "2.json"]);
    assert_eq!(listed(&folder, "traces/0.json latest --root ."), ["0.json", "2.json"]);
}

#[test]
fn selectors_that_find_nothing_or_too_much() {
    let fails = |line: &str, words: &[&str]| {
        traces(&format!("{line} --root {HOME}")).ends_with(2).says(words);
    };
    fails("show latest~37", &["latest~37", "37 requests"]);
    fails("show latest~x", &["latest~x", "whole number"]);
    fails("show latest~-1", &["latest~-1"]);
    fails("list session:nope", &["nope", "11111111-aaaa", "22222222-aaaa"]);
    fails("list model:nope", &["nope", "claude-sonnet-4-20250514"]);
    fails("show session:-aaaa-", &["11111111-aaaa", "22222222-aaaa", "33333333-aaaa", "44444444-aaaa"]);
    fails("diff model:sonnet model:haiku", &["claude-sonnet-4-20250514", "claude-sonnet-4-nonesuch"]);
    fails("diff session:1111", &["name the other side too"]);
    fails("show run:nonesuch", &["run"]);
}

#[test]
fn the_whole_name_of_a_model_is_enough() {
    let requests = |line: &str| traces(&format!("{line} --root {HOME}")).ends_with(0).stdout;
    assert_eq!(requests("list openai/gpt-oss-20b"), requests("list model:openai/gpt-oss-20b"));
    let label = "--label small-model=session:22222222";
    assert_eq!(
        requests(&format!("list small-model {label}")),
        requests(&format!("list model:small-model {label}"))
    );
    for line in ["show {}", "diff {}", "explain {} model:qwen/qwen3-30b-a3b"] {
        for name in ["openai/gpt-oss-20b", "model:openai/gpt-oss-20b"] {
            traces(&format!("{} --root {HOME}", line.replace("{}", name))).ends_with(0);
        }
    }
    // A path comes first.
    let folder = root(&["2025-11-16T10:00:00.000Z"]);
    folder.trace("small-model", "2025-11-16T11:00:00.000Z", &body("a file"));
    assert_eq!(listed(&folder, "small-model --root ."), ["small-model"]);
}

#[test]
fn a_word_near_a_known_one_is_asked_about() {
    for (line, meant) in [
        ("lsit", "list"),
        ("timming", "timing"),
        ("show smmary", "summary"),
        ("diff latest latset", "latest"),
        ("list modle:qwen3", "model:qwen3"),
        ("explain qwen/qwen3-4b-2705", "model:qwen/qwen3-4b-2507"),
    ] {
        let asked = format!("Did you mean `{meant}`?");
        traces(&format!("{line} --root {HOME}")).ends_with(2).says(&[&asked]);
    }
    for line in ["nonsense", "list no/such/file.json", "list list.json"] {
        let ran = traces(&format!("{line} --root {HOME}")).ends_with(2).says(&["no such file", "INPUT"]);
        assert!(!ran.stderr.contains("Did you mean"), "{}", ran.stderr);
    }
}

#[test]
fn part_of_a_models_name_is_enough_and_must_be_of_one() {
    let listed =
        |input: &str| traces(&format!("list {input} --root {HOME} --format ndjson")).ends_with(0).stdout;
    assert!(!listed("gpt-oss").is_empty());
    assert_eq!(listed("gpt-oss"), listed("model:openai/gpt-oss-20b"));
    let several = traces(&format!("list qwen --root {HOME}")).ends_with(2);
    several.says(&["part of several models", "qwen/qwen3-4b-2507", "qwen/qwen3-30b-a3b"]);
}

#[test]
fn a_root_that_is_named_as_a_folder_is_a_root() {
    let listed =
        |line: &str| traces(&format!("list {line} --format csv")).ends_with(0).stdout.replace('\\', "/");
    let named = listed(HOME);
    assert_eq!(named, listed(&format!("{HOME}/traces")));
    assert_eq!(named, listed(&format!("--root {HOME} --all")));
}

#[test]
fn a_label_wins() {
    let labelled = at_home("--label qwen3=session:44444444 --session 44444444");
    assert!(labelled.len() > 3);
    for request in &labelled {
        assert_eq!((&request["model"], &request["model_source"]), (&json!("qwen3"), &json!("label")));
    }
    let other = at_home("--label qwen3=session:44444444 --session 22222222");
    assert!(other.iter().all(|request| request["model_source"] != "label"));
    let table = traces(&format!("summary --root {HOME} --label my-model=session:22222222")).ends_with(0);
    assert!(table.stdout.contains("my-model"), "{}", table.stdout);
}

#[test]
fn labels_make_models_that_can_be_compared() {
    let labels = "--label fast=session:11111111 --label slow=session:22222222 \
                  --since 2025-11-16T02:30:00Z --until 2025-11-16T03:00:00Z";
    let found = traces(&format!("diff --root {HOME} {labels} --mode lmstudio --format json")).ends_with(0);
    let found = found.json();
    let side = |side: &str| ["selector", "requests", "model"].map(|name| found[side][name].clone());
    assert_eq!(side("left"), [json!("model:fast"), json!(11), json!("fast")]);
    assert_eq!(side("right"), [json!("model:slow"), json!(9), json!("slow")]);
    let one = traces(&format!("diff model:slow --root {HOME} {labels} --mode lmstudio --format json"));
    assert_eq!(one.ends_with(0).json()["left"]["model"], "fast");
    let two = traces(&format!("diff model:fast model:slow --root {HOME} {labels} --format json"));
    assert_eq!(two.ends_with(0).json()["measures"], found["measures"]);
}

#[test]
fn a_label_of_files_and_folders() {
    let folder = Folder::new();
    folder.trace("one/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    folder.trace("two/b.json", "2025-11-16T10:00:01.000Z", &body("b"));
    folder.trace("two/c.json", "2025-11-16T10:00:02.000Z", &body("c"));
    let ran = folder.traces("list . --label x=one/a.json --label y=two --format ndjson").ends_with(0);
    let models: Vec<Value> = ran.ndjson().iter().map(|request| request["model"].clone()).collect();
    assert_eq!(models, [json!("x"), json!("y"), json!("y")]);
}

#[test]
fn a_label_that_names_nothing_is_an_error() {
    let verbs = [
        "summary",
        "list",
        "show",
        "timing",
        "diff latest~1 latest",
        "diff latest~12",
        "diff model:nonesuch",
    ];
    for verb in verbs {
        for label in ["x=session:zzz", "x=no/such/file.json"] {
            let ran = traces(&format!("{verb} --root {HOME} --label {label}")).ends_with(2);
            assert_eq!(ran.stdout, "", "{verb} {label}");
            ran.says(&["--label", label]);
        }
        traces(&format!("{verb} --root {HOME} --label x=session:-aaaa-")).ends_with(2).says(&["11111111"]);
    }
}

#[test]
fn diff_with_one_side_takes_the_request_before_it_in_its_thread() {
    let folder = Folder::new();
    let mut history = json!([{ "role": "user", "content": "a question" }]);
    for at in 0..3 {
        let mut request = body_of_session("", "12345678");
        request["messages"] = history.clone();
        folder.trace(format!("{at}.json"), &format!("2025-11-16T10:00:0{at}.000Z"), &request);
        history.as_array_mut().unwrap().push(json!({ "role": "user", "content": format!("more {at}") }));
    }
    // A subagent in between is another thread.
    folder.trace("aside.json", "2025-11-16T10:00:01.500Z", &body_of_session("look", "12345678"));
    let found = folder.traces("diff 2.json --format json").ends_with(0).json();
    assert!(found["left"]["selector"].as_str().unwrap().ends_with("1.json"), "{found}");
    assert_eq!(found["messages"], json!({ "common": 2, "left_only": 0, "right_only": 1 }));
    folder.traces("diff 0.json").ends_with(2).says(&["0.json", "first of its thread"]);
}

#[test]
fn ten_equal_probes_in_claude_mode_stay_ten() {
    let probes = at_home("--all --mode claude --kind probe");
    assert_eq!(probes.len(), 10);
    for probe in &probes {
        assert_eq!(probe["paths"].as_array().unwrap().len(), 2, "{probe}");
        assert_eq!(probe["response"]["status"], 200);
        assert_eq!(probe["path"], probe["paths"][1]);
    }
    // The first to ask is the first to be answered.
    let answers: Vec<String> = probes.iter().map(|probe| probe["path"].to_string()).collect();
    assert!(answers.is_sorted(), "{answers:?}");
}

#[test]
fn rows_are_sorted_and_cut() {
    let ids = |line: &str| at_home(line).iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
    let all = at_home("");
    let mut largest: Vec<(i64, Value)> =
        all.iter().map(|row| (-row["body_bytes"].as_i64().unwrap(), row["id"].clone())).collect();
    largest.sort_by_key(|(bytes, _)| *bytes);
    let largest: Vec<Value> = largest.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids("--sort body_bytes"), largest);
    assert_eq!(ids("--sort body_bytes --top 3"), largest[..3]);
    let walls: Vec<Option<u64>> =
        at_home("--top 2").iter().map(|row| row["timing"]["wall_ms"].as_u64()).collect();
    let slowest = all.iter().filter_map(|row| row["timing"]["wall_ms"].as_u64()).max();
    assert_eq!(walls[0], slowest, "without a column to sort by, the slowest");
    assert!(walls[0] >= walls[1] && walls[1].is_some());
    let kinds: Vec<Value> = at_home("--sort kind").iter().map(|row| row["kind"].clone()).collect();
    assert!(kinds.is_sorted_by_key(|kind| kind.as_str().unwrap().to_owned()), "{kinds:?}");
}

#[test]
fn a_column_that_there_is_not_is_asked_about() {
    for (line, meant) in [("--sort bodybytes", "`body_bytes`"), ("--columns tftt_ms", "`ttft_ms`")] {
        let error = traces(&format!("list --root {HOME} {line}")).ends_with(2).stderr;
        assert!(error.contains(&format!("Did you mean {meant}?")), "{error}");
        assert!(error.contains("timing.wall_ms"), "{error}");
    }
    let table = traces(&format!("list --root {HOME} --columns model,wall_ms --top 1")).ends_with(0).stdout;
    assert!(table.lines().any(|line| line.split_whitespace().eq(["MODEL", "WALL_MS"])), "{table}");
}

#[test]
fn a_row_names_its_request() {
    let table = traces(&format!("list --root {HOME} --top 1")).ends_with(0).stdout;
    let row = table.lines().skip_while(|line| !line.starts_with("ID")).nth(1).unwrap();
    let id = row.split_whitespace().next().unwrap();
    let shown = traces(&format!("show {id} --root {HOME} --format json")).ends_with(0).json();
    assert_eq!(shown["id"], id);
    // The last line tells how to look at one of the rows that stand there.
    assert!(table.trim_end().lines().last().unwrap().contains(&format!("traces show {id} ")), "{table}");
}

#[test]
fn ids_of_sessions_and_accounts_are_shown_only_where_they_are_asked_for() {
    let whole = "44444444-";
    for verb in ["summary", "show session:44444444", "diff session:44444444 session:11111111", "prefix"] {
        let line = format!("{verb} --root {HOME}");
        let hidden = traces(&line).ends_with(0).stdout;
        assert!(!hidden.contains(whole) && !hidden.contains("user_id"), "{line}: {hidden}");
    }
    let shown = traces(&format!("show session:44444444 --root {HOME} --ids")).ends_with(0).stdout;
    assert!(shown.contains(whole), "{shown}");
}

#[test]
fn a_servers_log_is_an_input() {
    let log = "testdata/server-logs/llama-server.log";
    for verb in ["summary", "timing", "explain"] {
        let named = traces(&format!("{verb} {log} --format json")).ends_with(0).json();
        let folder = Folder::new();
        let option =
            traces(&format!("{verb} --root {} --server-log {log} --format json", folder.path().display()));
        assert_eq!(named, option.ends_with(0).json(), "{verb}");
    }
    traces("timing testdata/server-logs").ends_with(0);
    let nothing = traces("timing README.md").ends_with(2).stderr;
    assert!(nothing.contains("README.md"), "{nothing}");
}

#[test]
fn a_body_alone_is_an_input() {
    let folder = root(&["2025-11-15T10:00:00.000Z"]);
    let trace: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("traces/0.json")).unwrap()).unwrap();
    let body = serde_json::to_string_pretty(&trace["request"]["body"]).unwrap();
    // As `jq .request.body` prints it.
    folder.write("one.json", &body);
    // And of several files one behind the other; a last one may be cut.
    folder.write("both.json", format!("{body}\n{body}\n"));
    folder.write("cut.json", format!("{body}\n{}", &body[..body.len() / 2]));
    let sizes = |line: &str| {
        members(&folder.traces(&format!("list {line} --format json")).ends_with(0).json()["requests"], "id")
    };
    assert_eq!(sizes("one.json").len(), 1);
    let both = sizes("both.json");
    assert_eq!(both.len(), 2);
    assert_ne!(both[0], both[1], "each has an id of its own");
    let cut = folder.traces("list cut.json --format json").ends_with(3).json();
    assert_eq!(cut["requests"].as_array().unwrap().len(), 1);
    assert_eq!(cut["skipped"][0]["reason"], "truncated");
}

#[test]
fn the_ending_of_a_files_name_may_be_left_out() {
    let folder = root(&["2025-11-15T10:00:00.000Z"]);
    std::fs::create_dir_all(folder.path().join("traces/lmstudio")).unwrap();
    std::fs::copy(folder.path().join("traces/0.json"), folder.path().join("traces/lmstudio/one.json"))
        .unwrap();
    for input in ["traces/0", "traces/lmstudio/one", "one", "one.json"] {
        folder.traces(&format!("show {input} --root .")).ends_with(0);
    }
    folder.traces("show two --root .").ends_with(2);
}
