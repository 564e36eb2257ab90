//! Requests whose server's log is known.

use super::*;

/// What the server's log says of a turn: 8 s of reading, 2 s of writing.
fn logged() -> ServerTask {
    ServerTask {
        prompt_tokens: 10_000.into(),
        cached_tokens: 2_000.into(),
        output_tokens: 100.into(),
        read_ms: 8_000.into(),
        write_ms: 2_000.into(),
        load_ms: 0.into(),
        ..ServerTask::default()
    }
}

#[test]
fn what_the_server_logged_is_not_inferred() {
    let cases = turns(3, |_, case| {
        case.server = Some(logged().into());
        // What the proxy was told is another figure.
        case.reported_cached_tokens = 9_000.into();
        case.reuse = reused(90);
    });
    let timing = timing(&cases[1]);
    assert_eq!(
        (timing.cached_tokens.get(), timing.cached_source),
        (Some(2_000), Some(CachedSource::ServerLog))
    );
    assert_eq!(
        (timing.load_ms.get(), timing.queue_ms.get(), timing.read_ms.get()),
        (Some(0), Some(2_000), Some(8_000))
    );
    assert_eq!((timing.write_ms.get(), timing.other_ms.get()), (Some(2_000), Some(0)));
    assert!(cases[1].sample().reads && cases[1].sample().is_measured);
    assert_eq!(cases[1].seen, CacheUse::Reuses);
}

#[test]
fn a_load_in_the_servers_log_is_no_reading() {
    let cases = turns(1, |_, case| {
        case.server = Some(ServerTask { load_ms: 1_500.into(), ..logged() }.into());
    });
    let timing = timing(&cases[0]);
    assert_eq!(
        (timing.load_ms.get(), timing.queue_ms.get(), timing.read_ms.get()),
        (Some(1_500), Some(500), Some(8_000))
    );
}

/// What its server said to read of it, it did not wait for.
#[test]
fn a_request_waits_for_others_until_its_server_is_seen_to_read_it() {
    let queued = |unread_ms: Amount| {
        let cases = turns(2, |at, case| {
            if at == 1 {
                case.start_ms = Some(case.start_ms.unwrap() - 55_000);
                (case.ttft_ms, case.total_ms) = (19_000.into(), 20_000.into());
            }
            case.server = Some(ServerTask { unread_ms, ..ServerTask::default() }.into());
        });
        let timing = timing(&cases[1]);
        (
            timing.queue_ms.get(),
            timing.read_ms.get().zip(timing.queue_ms.get()).map(|(read, queue)| read + queue),
        )
    };
    let (unknown, both) = queued(Amount::UNKNOWN);
    assert!(unknown.is_some_and(|ms| ms > 1_000), "{unknown:?}");
    assert_eq!(queued(54.into()), (Some(54), both));
    assert_eq!(queued(60_000.into()), (unknown, both));
}

/// Nothing tells which request had its prompt before it.
#[test]
fn what_had_to_be_read_is_unknown_of_a_request_that_only_a_log_has() {
    let of = |prompt_bytes: Amount| {
        let cases = turns(2, |_, case| {
            case.server = Some(logged().into());
            let client = ClientFacts { prompt_bytes, ..ClientFacts::default() };
            *case = std::mem::take(&mut **case).with_client_facts(client).into();
        });
        let timing = timing(&cases[1]);
        (timing.read_tokens.get(), timing.needed_tokens.get().zip(timing.again_tokens))
    };
    assert_eq!(of(Amount::UNKNOWN), (Some(8_000), None));
    assert_eq!(of(40_000.into()), (Some(8_000), Some((1, 7_999))));
}

/// LM Studio's log tells of a load, and at its usual level not how long its engine read.
#[test]
fn a_load_is_no_reading_either_where_the_log_tells_nothing_else() {
    let loaded = ServerTask { load_ms: 6_000.into(), ..ServerTask::default() };
    let timing = |at_load: &ServerTask| {
        let cases = turns(4, |at, case| {
            let server = if at == 2 { at_load.clone() } else { ServerTask::default() };
            case.server = Some(server.into());
        });
        timing(&cases[2])
    };
    let (told, untold) = (timing(&loaded), timing(&ServerTask::default()));
    assert_eq!((told.load_ms.get(), untold.load_ms.get()), (Some(6_000), Some(0)));
    assert_eq!(told.read_ms.get().map(|ms| ms + 6_000), untold.read_ms.get());
    let longer = ServerTask { load_ms: 1_000_000.into(), ..ServerTask::default() };
    assert_eq!(timing(&longer).read_ms.get(), Some(0));
}

#[test]
fn what_the_server_wrote_before_anything_was_streamed_is_writing() {
    let written = |write_ms| {
        let cases = turns(1, |_, case| {
            case.server = Some(ServerTask { write_ms: Amount::from(write_ms), ..logged() }.into());
        });
        let timing = timing(&cases[0]);
        (timing.queue_ms, timing.read_ms, timing.write_ms, cases[0].hidden.map(|hidden| hidden.tokens))
    };
    assert_eq!(written(3_200), (800.into(), 8_000.into(), 3_200.into(), Some(38)));
    assert_eq!(written(2_100), (2_000.into(), 8_000.into(), 2_000.into(), None), "the clocks round");
    assert_eq!(written(60_000), (0.into(), 8_000.into(), 4_000.into(), Some(3)));
}

#[test]
fn an_answer_that_was_held_back_is_not_reasoning() {
    let hidden = |answer_bytes: u64| {
        let cases = turns(1, |_, case| {
            (case.ttft_ms, case.answer_bytes) = (12_000.into(), answer_bytes.into());
            case.server = Some(logged().into());
        });
        cases[0].hidden.map(|hidden| (hidden.tokens, hidden.ms))
    };
    // Four bytes a token, as the prompt has.
    assert_eq!(hidden(400), Some((0, 2_000)), "all 100 tokens have a text");
    assert_eq!(hidden(40), Some((90, 2_000)));
}

#[test]
fn an_answer_in_one_piece_is_told_apart_by_the_servers_log() {
    let cases = turns(1, |_, case| {
        (case.ttft_ms, case.total_ms, case.text_chunks) = (12_000.into(), 12_000.into(), 1.into());
        case.server = Some(logged().into());
    });
    let timing = timing(&cases[0]);
    assert_eq!(
        (timing.queue_ms.get(), timing.read_ms.get(), timing.write_ms.get()),
        (Some(2_000), Some(8_000), Some(2_000))
    );
}

#[test]
fn a_count_in_the_servers_log_is_believed_whatever_the_size_of_the_prompt() {
    let cases = turns(1, |_, case| {
        case.prompt_bytes = 300.into();
        case.server = Some(logged().into());
    });
    assert_eq!(cases[0].prompt_tokens, Some(10_000));
}
