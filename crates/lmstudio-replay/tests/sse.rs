//! A stream of events means the same in whatever pieces it arrives.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use lmstudio_replay::sse::{Event, Parser};
use proptest::prelude::*;

fn events(pieces: &[&[u8]]) -> Vec<Event> {
    let mut parser = Parser::default();
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(parser.feed(piece).unwrap());
    }
    events.extend(parser.finish().unwrap());
    events
}

/// Cuts bytes at these places.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Text without line ends, that does not begin with a space which a colon would eat.
fn value() -> impl Strategy<Value = String> {
    "([^ \r\n\u{feff}][^\r\n]{0,12})?"
}

fn event() -> impl Strategy<Value = Event> {
    let name = prop::option::of("[a-z_]{1,12}");
    (name, prop::collection::vec(value(), 1..4)).prop_map(|(name, lines)| Event::new(name, lines.join("\n")))
}

/// An event as a server may write it, and a comment or nothing before it.
fn written(event: &Event, eol: &str, spaced: bool, comment: bool) -> String {
    let space = if spaced { " " } else { "" };
    let mut lines = Vec::new();
    if comment {
        lines.extend([": keepalive".to_owned(), String::new(), "retry: 9".to_owned()]);
    }
    lines.extend(event.name.iter().map(|name| format!("event:{space}{name}")));
    lines.extend(event.data.split('\n').map(|line| format!("data:{space}{line}")));
    lines.iter().map(|line| line.clone() + eol).collect::<String>() + eol
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_in_any_pieces(
        sent in prop::collection::vec((event(), any::<bool>(), any::<bool>()), 0..6),
        eol in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let stream: String =
            sent.iter().map(|(event, spaced, comment)| written(event, eol, *spaced, *comment)).collect();
        let expected: Vec<Event> = sent.into_iter().map(|(event, ..)| event).collect();
        prop_assert_eq!(events(&cut(stream.as_bytes(), &places)), expected);
    }

    #[test]
    fn any_bytes_are_the_same_in_any_pieces(
        bytes in prop::collection::vec(prop::sample::select(b"\r\n: datevn\xef\xbb\xbfx".to_vec()), 0..200),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        prop_assert_eq!(events(&cut(&bytes, &places)), events(&[&bytes]));
    }
}
