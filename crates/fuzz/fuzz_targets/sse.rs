//! The reader of server-sent events against the standard's own words: the same
//! events, in whatever pieces they come. The first byte is the size of a piece.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

use anyclaude_traces::formats::sse::{EventReader, SseEvent};
use libfuzzer_sys::{Corpus, fuzz_target};

/// The type and data of an event.
type Owned = (Option<String>, String);

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((size, stream)) = input.split_first() else { return Corpus::Reject };
    let expected = defined(stream);
    assert_eq!(events([stream]), expected);
    assert_eq!(events(stream.chunks(usize::from(*size).max(1))), expected);
    Corpus::Keep
});

fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
    let owned = |event: SseEvent<'_>| (event.name.map(Into::into), event.data.into());
    let mut reader = EventReader::new(usize::MAX);
    let mut events = Vec::new();
    for mut piece in pieces {
        while let Some(event) = reader.read_event(&mut piece).unwrap() {
            events.push(owned(event));
        }
        assert!(piece.is_empty());
    }
    events.extend(reader.finish().unwrap().map(owned));
    events
}

/// The standard's words, but that an event counts which the end cuts short.
fn defined(stream: &[u8]) -> Vec<Owned> {
    let stream = String::from_utf8_lossy(stream);
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(&stream);
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n") + "\n\n";
    let (mut events, mut name, mut data) = (Vec::new(), String::new(), Vec::new());
    for line in stream.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            _ if line.is_empty() => {
                let name = Some(std::mem::take(&mut name)).filter(|name| !name.is_empty());
                let data = std::mem::take(&mut data);
                if !data.is_empty() {
                    events.push((name, data.join("\n")));
                }
            }
            "event" => name = value,
            "data" => data.push(value),
            _ => {}
        }
    }
    events
}
