//! What comes before every answer, whatever there is to read.

use super::*;

/// What each turn reads of its prompt, in tokens: the first all of it.
const READ: [u64; 8] = [10_000, 300, 900, 450, 2_000, 700, 1_200, 350];

/// Turns whose backend counts cached tokens, and what each waits for its first token.
fn waiting(ttft: impl Fn(usize, u64) -> u64) -> Vec<Case> {
    turns(READ.len(), |at, case| {
        case.reported_cached_tokens = (10_000 - READ[at]).into();
        let ttft = ttft(at, READ[at]);
        (case.ttft_ms, case.total_ms) = (ttft.into(), (ttft + 2_000).into());
    })
}

fn constants(cases: &[Case]) -> Vec<u64> {
    cases.iter().map(|case| case.constant.ms).collect()
}

#[test]
fn a_wait_that_does_not_depend_on_what_is_read_is_in_no_part() {
    // A little noise, as real waits have.
    let found = waiting(|at, read| 2_400 + read + [0, 60, 20, 80, 10, 50, 30, 70][at]);
    for (case, read) in found.iter().zip(READ) {
        let parts = timing(case);
        assert!(parts.read_ms.get().unwrap().abs_diff(read) <= 100, "{read}: {parts:?}");
        assert!(parts.other_ms.get().unwrap().abs_diff(2_400) <= 100, "{read}: {parts:?}");
        assert_eq!(
            parts.read_ms.get().unwrap() + parts.other_ms.get().unwrap() + 2_000 + 120,
            case.total_ms.get().unwrap() + 120
        );
        assert_eq!((parts.queue_ms.get(), parts.load_ms.get()), (Some(0), Some(0)));
    }
}

#[test]
fn what_reading_explains_is_no_constant() {
    assert_eq!(constants(&waiting(|_, read| read * 3)), [0; 8], "a slow model");
    assert_eq!(
        constants(&waiting(|_, read| read + 900)),
        [0; 8],
        "too short to be told from what a request costs"
    );
    assert_eq!(
        constants(&waiting(|at, read| if at == 4 { 1_000 } else { 2_400 + read })),
        [0; 8],
        "one came sooner"
    );
    let slower_and_slower = |at: usize, read: u64| read * (1 + u64::try_from(at).unwrap());
    assert_eq!(constants(&waiting(slower_and_slower)), [0; 8], "a machine that becomes hot");
    let one_that_waited = |at: usize, read: u64| read + if at == 5 { 30_000 } else { 0 };
    assert_eq!(constants(&waiting(one_that_waited)), [0; 8]);
    let few = turns(4, |at, case| {
        case.reported_cached_tokens = (10_000 - READ[at]).into();
        (case.ttft_ms, case.total_ms) = ((2_400 + READ[at]).into(), (4_400 + READ[at]).into());
    });
    assert_eq!(constants(&few), [0; 4], "too few tell of it");
}

#[test]
fn reading_that_slows_down_with_the_prompt_is_no_constant() {
    // Attention: each token costs more the more stand before it.
    let found = turns(10, |at, case| {
        let prompt = 10_000 + 4_000 * u64::try_from(at).unwrap();
        let read = if at == 0 { prompt } else { 3_000 + 37 * u64::try_from(at).unwrap() };
        (case.reported_prompt_tokens, case.reported_cached_tokens) = (prompt.into(), (prompt - read).into());
        let ttft = read + read * (prompt - read / 2) / 8_000;
        (case.ttft_ms, case.total_ms, case.prompt_bytes) =
            (ttft.into(), (ttft + 2_000).into(), (prompt * 4).into());
    });
    assert_eq!(constants(&found), [0; 10]);
}

#[test]
fn reading_that_is_lost_in_the_wait_tells_no_speed() {
    let found = waiting(|at, read| 4_000 + read / 20 + [0, 90, 30, 70, 10, 50, 80, 20][at]);
    assert!(found.iter().all(|case| case.constant.ms.abs_diff(4_000) <= 150), "{:?}", constants(&found));
    assert!(found.iter().all(|case| case.read_sample().is_none()));
}

#[test]
fn each_process_has_its_own() {
    let found = turns(16, |at, case| {
        let read = READ[at % 8];
        case.reported_cached_tokens = (10_000 - read).into();
        let ttft = if at < 8 { read } else { 3_000 + read };
        (case.ttft_ms, case.total_ms) = (ttft.into(), (ttft + 2_000).into());
        case.origin_mut().run = Some(if at < 8 { "near".into() } else { "far".into() });
    });
    assert!(constants(&found)[..8].iter().all(|ms| *ms == 0));
    assert!(constants(&found)[8..].iter().all(|ms| ms.abs_diff(3_000) <= 1));
}

#[test]
fn what_the_servers_log_leaves_of_each_wait_is_no_queue_where_nobody_else_was_there() {
    let measured = |left: fn(u64) -> u64| {
        turns(8, move |at, case| {
            let read = READ[at];
            if at == 7 {
                case.start_ms = Some(361_000);
            }
            let server = ServerTask {
                read_ms: read.into(),
                write_ms: 2_000.into(),
                cached_tokens: (10_000 - read).into(),
                ..ServerTask::default()
            };
            case.server = Some(std::sync::Arc::new(server));
            let ttft = read + left(u64::try_from(at).unwrap());
            (case.ttft_ms, case.total_ms) = (ttft.into(), (ttft + 2_000).into());
        })
    };
    let found = measured(|at| 2_000 + 50 * at);
    assert_eq!((timing(&found[3]).queue_ms.get(), timing(&found[3]).other_ms.get()), (Some(0), Some(2_150)));
    // The last one came while the one before it was there, and waited for that, too.
    let beside = measured(|at| 2_000 + 3_000 * (at / 7));
    assert_eq!(timing(&beside[7]).queue_ms, Some(3_000));
    let found = measured(|at| if at == 3 { 4_000 } else { 30 });
    assert_eq!((timing(&found[3]).queue_ms.get(), timing(&found[3]).other_ms.get()), (Some(4_000), Some(0)));
}
