use super::*;
use crate::formats::json::fault::FaultKind;

/// The compact size of a whole text, or where it fails and whether by
/// ending too early.
fn skip(text: &str) -> Result<u64, (usize, bool)> {
    let mut scratch = Scratch::default();
    let mut cursor = Cursor::new(text, &mut scratch);
    let span = cursor.skip_value().and_then(|span| cursor.end().map(|()| span));
    span.map(|span| span.compact_bytes).map_err(|f| (f.at, f.kind == FaultKind::Truncated))
}

#[test]
fn white_space_inside_strings_counts_and_outside_does_not() {
    assert_eq!(
        skip(" { \"a b\" : [ 1 ,\t2 ] ,\r\n \"c\":\" \" } "),
        Ok(r#"{"a b":[1,2],"c":" "}"#.len() as u64)
    );
}

#[test]
fn numbers_follow_the_grammar() {
    for good in ["0", "-0", "12", "1.5", "1e999", "-1.25E-7", "123456789012345678901234567890"] {
        assert_eq!(skip(good), Ok(good.len() as u64), "{good}");
    }
    for (bad, at, truncated) in [
        ("01", 1, false),
        ("-", 1, true),
        ("1.", 2, true),
        ("1.x", 2, false),
        ("1e", 2, true),
        ("+1", 0, false),
        ("NaN", 0, false),
    ] {
        assert_eq!(skip(bad), Err((at, truncated)), "{bad}");
    }
}

#[test]
fn brackets_must_match() {
    for (bad, at) in [
        ("[1}", 2),
        ("{\"a\":1]", 6),
        ("[1,]", 3),
        ("{\"a\":1,}", 7),
        ("{,}", 1),
        ("[1 2]", 3),
        ("{\"a\" 1}", 5),
    ] {
        assert_eq!(skip(bad), Err((at, false)), "{bad}");
    }
}

#[test]
fn strings_are_checked() {
    for (bad, at) in [(r#""\x""#, 2), (r#""\u12g4""#, 5), ("\"a\u{1}\"", 2), ("\"\n\"", 1)] {
        assert_eq!(skip(bad), Err((at, false)), "{bad}");
    }
    for cut in ["\"", "\"a", "\"a\\", "\"\\u00", "[\"a\",", "{\"a\":", "tru"] {
        assert_eq!(skip(cut), Err((cut.len(), true)), "{cut}");
    }
}

#[test]
fn depth_is_no_limit() {
    let deep = "[{\"a\":".repeat(100_000) + "1" + &"}]".repeat(100_000);
    assert_eq!(skip(&deep), Ok(deep.len() as u64));
}

#[test]
fn a_long_string_ends_at_its_quote_wherever_it_stands() {
    for length in 0..100 {
        let text = format!("\"{}\"", "x".repeat(length));
        assert_eq!(skip(&text), Ok(text.len() as u64));
        let control = format!("\"{}\u{1f}\"", "x".repeat(length));
        assert_eq!(skip(&control), Err((length + 1, false)));
    }
}
