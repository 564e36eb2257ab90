//! Several requests, or several engines, at once.

use super::*;

#[test]
fn four_requests_at_once_keep_their_own() {
    let mut text = String::new();
    let log = |seconds: u32, line: &str| format!("[2026-06-24 13:00:{seconds:02}]{line}\n");
    for (n, model) in ["a", "b", "a", "b"].iter().enumerate() {
        let second = u32::try_from(n).unwrap();
        text += &log(
            second,
            &format!(
                "[DEBUG] Received request: POST to /v1/messages with body {{\n  \"model\": \"{model}\",\n  \"max_tokens\": {n},\n  \"stream\": true\n}}"
            ),
        );
        text += &log(
            second,
            &format!("[INFO][{model}] Running chat completion on conversation with {n} messages."),
        );
        text += &log(second, &format!("[INFO][{model}] Streaming response..."));
        text += &log(
            second,
            &format!("[DEBUG] slot launch_slot_: id  {n} | task {} | processing task, is_child = 0", 10 + n),
        );
    }
    for (n, model) in [(2, "a"), (1, "b"), (0, "a"), (3, "b")] {
        let second = 10 + n;
        text += &log(second, &format!("[INFO][{model}] Prompt processing progress: 100.0%"));
        text += &log(
            second,
            &format!(
                "[DEBUG] slot print_timing: id  {n} | task {} | prompt eval time =     {n}00.00 ms /   {n}0 tokens (",
                10 + n
            ),
        );
        text += &log(
            second,
            &format!(
                "[DEBUG] slot print_timing: id  {n} | task {} |        eval time =     500.00 ms /    2 tokens (",
                10 + n
            ),
        );
        text += &log(
            second,
            &format!(
                "[DEBUG] slot      release: id  {n} | task {} | stop processing: n_tokens = {n}1, truncated = 0",
                10 + n
            ),
        );
        text += &log(second, &format!("[INFO][{model}] Finished streaming response"));
    }
    let found = parse(text);
    assert_eq!(found.tasks.len(), 4);
    for task in &found.tasks {
        let n = task.max_tokens.unwrap();
        assert_eq!((task.slot, task.task, task.prompt_tokens), (Some(n), Some(10 + n), Some(n * 10)));
        assert_eq!(task.ended, local(&format!("13:00:{}", 10 + n)));
    }
}

/// Two models are loaded, each with an engine that counts its slots and tasks from 0.
fn two_engines(tasks: [u64; 2]) -> BackendLog {
    let mut text = String::new();
    for (model, task) in ["small", "large"].into_iter().zip(tasks) {
        text += &format!(
            "[2026-06-24 13:00:00][INFO][{model}] Running chat completion on conversation with 2 messages.\n\
             [2026-06-24 13:00:00][DEBUG] slot launch_slot_: id  3 | task {task} | processing task, is_child = 0\n"
        );
    }
    for (at, task) in tasks.into_iter().enumerate() {
        let read = 100 * (at + 1);
        text += &format!(
            "slot print_timing: id  3 | task {task} | prompt eval time =    {read}.00 ms / {read} tokens (x)\n\
             slot print_timing: id  3 | task {task} |        eval time =    3000.00 ms /    31 tokens (x)\n\
             slot      release: id  3 | task {task} | stop processing: n_tokens = 1230, truncated = 0\n"
        );
    }
    parse(text)
}

#[test]
fn engines_of_two_models_keep_their_tasks_apart() {
    let log = two_engines([0, 7]);
    let found: Vec<_> = log
        .tasks
        .iter()
        .map(|task| (task.model.as_deref(), task.task, task.read_tokens, task.prompt_tokens))
        .collect();
    assert_eq!(
        found,
        [(Some("small"), Some(0), Some(100), Some(1_200)), (Some("large"), Some(7), Some(200), Some(1_200))]
    );
}

#[test]
fn tasks_of_the_same_numbers_have_no_figures() {
    let log = two_engines([0, 0]);
    assert_eq!(log.tasks.len(), 2);
    for task in &log.tasks {
        assert_eq!((task.prompt_tokens, task.read_ms, task.output_tokens), (None, None, None));
    }
}

/// What is known of half of a task is forgotten with the rest.
#[test]
fn a_task_that_is_mistakable_from_its_middle_on_has_no_figures() {
    let launch = "slot launch_slot_: id  3 | task 0 | processing task, is_child = 0\n";
    let log = parse(format!(
        "[2026-06-24 13:00:00][INFO][small] Running chat completion on conversation with 2 messages.\n\
         [2026-06-24 13:00:00][DEBUG] {launch}\
         slot print_timing: id  3 | task 0 | prompt eval time =    100.00 ms / 100 tokens (x)\n\
         [2026-06-24 13:00:01][INFO][large] Running chat completion on conversation with 3 messages.\n\
         [2026-06-24 13:00:01][DEBUG] {launch}"
    ));
    assert!(log.tasks.iter().all(|task| task.read_ms.is_none() && task.read_tokens.is_none()));
}
