//! Any bytes are a server's answer, in either API: the pieces in which they come make no
//! difference but to times, the times are in order, and a run reads back as it was
//! saved. The first byte is the size of a piece.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

use libfuzzer_sys::{Corpus, fuzz_target};
use lmstudio_replay::{Api, Run, measured};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((size, body)) = input.split_first() else { return Corpus::Reject };
    let size = usize::from(*size).max(1);
    for api in [Api::Anthropic, Api::Openai] {
        let (run, failure) = measured(api, body, usize::MAX);
        let (in_pieces, failure_in_pieces) = measured(api, body, size);
        assert_eq!(
            failure.map(|failure| failure.to_string()),
            failure_in_pieces.map(|failure| failure.to_string())
        );
        check_times(&run);
        check_times(&in_pieces);
        let saved = serde_json::to_string(&in_pieces).unwrap();
        assert_eq!(serde_json::from_str::<Run>(&saved).unwrap(), in_pieces, "{saved}");
        assert_eq!(timeless(run), timeless(in_pieces));
    }
    Corpus::Keep
});

fn check_times(run: &Run) {
    let figures = &run.figures;
    assert!(figures.ttfo_ms.is_none_or(|answer| figures.ttft_ms.is_some_and(|first| first <= answer)));
    assert!(figures.total_ms.is_none_or(|total| figures.ttfo_ms.is_none_or(|answer| answer <= total)));
    assert!(figures.output_tokens_per_second.is_none_or(|speed| speed.is_finite() && speed > 0.0));
    assert!(figures.chunk_gap_ms.is_none_or(|gap| gap.p50 <= gap.p95 && gap.p95 <= gap.max));
}

/// A run without what depends on when its bytes came; which times there are stays.
fn timeless(mut run: Run) -> Run {
    let figures = &mut run.figures;
    for time in [&mut figures.ttft_ms, &mut figures.ttfo_ms, &mut figures.total_ms] {
        *time = time.map(|_| 0.0);
    }
    figures.output_tokens_per_second = None;
    if let Some(gap) = &mut figures.chunk_gap_ms {
        (gap.p50, gap.p95, gap.max) = (0.0, 0.0, 0.0);
    }
    run
}
