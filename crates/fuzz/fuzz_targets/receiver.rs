//! Any bytes are what a client sends to `traces record`: the pieces in which they come make
//! no difference, and no body is larger than its limit. They are a recorded body, too:
//! without its texts it is as large as before, but for its mark. The first byte is the size
//! of a piece.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::value::RawValue;
use traces_record::{Refusal, masked, received};

const MARK: &str = "\"traces_masked\":1";

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((size, bytes)) = input.split_first() else { return Corpus::Reject };
    let whole = received(bytes, usize::MAX);
    let pieces = received(bytes, usize::from(*size).max(1));
    assert_eq!(pieces.0, whole.0);
    // A head that is both too large and malformed is refused for what is seen first.
    let is_too_large = [&pieces.1, &whole.1].iter().any(|one| matches!(one, Some(Refusal::TooLarge)));
    assert!(pieces.1 == whole.1 || (is_too_large && pieces.1.is_some() && whole.1.is_some()));
    for (_, body, _) in &whole.0 {
        assert!(body.len() <= 1000);
        check_mask(body);
    }
    check_mask(bytes);
    Corpus::Keep
});

fn check_mask(body: &[u8]) {
    let Some(masked) = std::str::from_utf8(body).ok().and_then(masked) else { return };
    serde_json::from_str::<&RawValue>(&masked).unwrap();
    if masked.starts_with('{') {
        assert!(masked.starts_with(&format!("{{{MARK}")), "{masked}");
        assert!(masked.len() <= body.len() + MARK.len() + 1, "{masked}");
    }
}
