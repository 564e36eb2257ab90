//! A stream of events means the same in whatever pieces it arrives.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use anyclaude_traces::formats::sse::{EventReader, SseEvent};
use proptest::prelude::*;

/// The type and data of an event.
type Owned = (Option<String>, String);

fn events(pieces: &[&[u8]]) -> Vec<Owned> {
    let owned = |event: SseEvent<'_>| (event.name.map(Into::into), event.data.into());
    let mut reader = EventReader::new(1000);
    let mut events = Vec::new();
    for piece in pieces {
        let mut bytes = *piece;
        while let Some(event) = reader.read_event(&mut bytes).unwrap() {
            events.push(owned(event));
        }
    }
    events.extend(reader.finish().unwrap().map(owned));
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

fn event() -> impl Strategy<Value = Owned> {
    let name = prop::option::of("[a-z_]{1,12}");
    (name, prop::collection::vec(value(), 1..4)).prop_map(|(name, lines)| (name, lines.join("\n")))
}

/// An event as a server may write it, and a comment or nothing before it.
fn written((name, data): &Owned, eol: &str, spaced: bool, comment: bool) -> String {
    let space = if spaced { " " } else { "" };
    let mut lines = Vec::new();
    if comment {
        lines.extend([": keepalive".to_owned(), String::new(), "retry: 9".to_owned()]);
    }
    lines.extend(name.iter().map(|name| format!("event:{space}{name}")));
    lines.extend(data.split('\n').map(|line| format!("data:{space}{line}")));
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
        let expected: Vec<Owned> = sent.into_iter().map(|(event, ..)| event).collect();
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
