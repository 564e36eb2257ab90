//! What must hold of whatever is read of any bytes.

use anyclaude_traces::formats::fuzzing::{Recorder, read};

pub(crate) fn check(recorder: Recorder, bytes: &[u8]) {
    let Ok(file) = read(recorder, bytes) else { return };
    assert!(!file.records.is_empty() || !file.skipped.is_empty(), "a file of nothing is refused");
    for record in &file.records {
        let sizes = &record.sizes;
        if let Some(body) = sizes.body_bytes.get() {
            let parts = [sizes.system_bytes, sizes.tools_bytes, sizes.messages_bytes, sizes.other_bytes];
            assert_eq!(parts.map(|part| part.get().unwrap()).iter().sum::<u64>(), body);
        }
        if let Some(timing) = &record.timing {
            let times = timing.ttft_ms.get().zip(timing.total_ms.get());
            assert!(times.is_none_or(|(ttft, total)| ttft <= total));
            assert_eq!(timing.cached_tokens.is_known(), timing.cached_source.is_some());
            assert!(timing.cached_tokens <= timing.prompt_tokens);
        }
    }
    for error in &file.skipped {
        assert!(error.byte() <= bytes.len() as u64);
    }
}
