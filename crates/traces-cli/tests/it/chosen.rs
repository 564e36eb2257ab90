//! Whatever requests are chosen, findings are about these.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common::{HOME, members, traces};

/// Recordings in which something is found, beside what is asked about too.
const ROOTS: [&str; 3] =
    [HOME, "testdata/where-time-goes/queued/.anyclaude", "testdata/claude-code/two-models"];

/// What a verb answers; `None` where these arguments leave nothing to answer about.
fn asked(verb: &str, root: &str, choice: &str) -> Option<Value> {
    let ran = traces(&format!("{verb} {choice} --root {root} --format json"));
    [0, 3].contains(&ran.code).then(|| ran.json())
}

fn listed(root: &str, choice: &str) -> Vec<Value> {
    let found = asked("list", root, choice).unwrap_or_default();
    found["requests"].as_array().cloned().unwrap_or_default()
}

/// The ways to choose requests of a recording: what to type, and the requests that `list`
/// shows of it.
fn choices(root: &str) -> Vec<(String, Vec<Value>)> {
    let all = listed(root, "--all");
    let name = |member: &str| all.iter().rev().find_map(|request| request[member].as_str());
    // Of a number of requests and of a request that is named, nothing but these is meant.
    let mut counted: Vec<String> = ["latest", "latest~1", "--last 1", "--last 2", "--all --last 3"]
        .map(|choice| format!("{choice} --kind conversation"))
        .into();
    let mut whole = vec!["--all --kind background".to_owned(), "--all --kind probe".to_owned()];
    counted.extend(all.iter().step_by(25).filter_map(|one| one["id"].as_str()).map(str::to_owned));
    for member in ["session", "model", "run"] {
        let Some(name) = name(member) else { continue };
        whole.extend([format!("--{member} {name} --all"), format!("{member}:{name}")]);
        counted.push(format!("{member}:{name} --last 2 --kind conversation"));
    }
    let middle = all[all.len() / 2]["timestamp"].as_str().unwrap().to_owned();
    whole.extend([format!("--since {middle}"), format!("--until {middle}")]);
    whole.push("--label other=latest model:other".to_owned());
    counted.push(format!("--until {middle} --last 1 --kind conversation"));
    counted.push("--label other=latest --last 2 --kind conversation".to_owned());
    let chosen = |choice: String| (listed(root, &choice), choice);
    counted.into_iter().chain(whole).map(chosen).map(|(requests, choice)| (choice, requests)).collect()
}

#[test]
fn every_finding_is_about_a_request_that_was_chosen() {
    let mut found = 0;
    for root in ROOTS {
        for (choice, requests) in choices(root) {
            let chosen: BTreeSet<&str> = requests.iter().filter_map(|one| one["path"].as_str()).collect();
            // `show` shows one request by its name; `report` takes the longest.
            let other = if choice.starts_with("--last") { "report" } else { "show" };
            for verb in ["summary", "explain", other] {
                for finding in asked(verb, root, &choice).iter().flat_map(findings) {
                    found += 1;
                    let about = finding["requests"].as_array().unwrap();
                    let is_chosen = about.iter().any(|path| chosen.contains(path.as_str().unwrap()));
                    assert!(is_chosen, "{verb} {choice} --root {root}: {finding:#}");
                }
            }
        }
    }
    assert!(found > 60, "too little is found to show anything: {found}");
}

fn findings(answer: &Value) -> Vec<Value> {
    answer["findings"].as_array().cloned().unwrap_or_default()
}

#[test]
fn what_is_counted_beside_the_last_requests_lies_in_their_time() {
    let conversation = listed(HOME, "--kind conversation --last 4");
    let first = conversation[0]["timestamp"].as_str().unwrap();
    let beside = listed(HOME, "--all");
    let beside = beside.iter().filter(|one| one["timestamp"].as_str().is_some_and(|at| at >= first));
    let kinds: Vec<String> = members(&beside.cloned().collect(), "kind");
    let summary = asked("summary", HOME, "--last 4").unwrap();
    for kind in ["background", "probe", "count_tokens"] {
        let n = kinds.iter().filter(|one| *one == kind).count() as u64;
        assert_eq!(summary["other_kinds"][kind].as_u64().unwrap_or(0), n, "{kind}");
    }
    assert_eq!(summary["totals"]["requests"], 4);
}
