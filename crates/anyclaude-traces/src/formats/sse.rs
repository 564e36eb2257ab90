//! Server-sent events in a text that is already whole.

/// The `data` of every event of a stream, in order.
///
/// Lines end in LF, CRLF or CR; several `data` lines of one event are joined by
/// a newline; an event that the text cuts short still counts.
pub(crate) fn events(stream: &str) -> impl Iterator<Item = String> {
    let mut lines = lines(stream);
    std::iter::from_fn(move || {
        let mut data: Option<String> = None;
        for line in lines.by_ref() {
            if line.is_empty() && data.is_some() {
                break;
            }
            let Some(value) = line.strip_prefix("data:") else { continue };
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            }
        }
        data
    })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = memchr::memchr2(b'\n', b'\r', text.as_bytes()) else {
            return rest.take();
        };
        let (line, tail) = text.split_at(end);
        rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..));
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::events;

    fn data(stream: &str) -> Vec<String> {
        events(stream).collect()
    }

    #[test]
    fn any_line_end_and_comments_between() {
        let expected = ["{\"a\":1}", "two\nlines", "end"];
        for eol in ["\n", "\r\n", "\r"] {
            let stream = [
                ": comment",
                "event: x",
                "data: {\"a\":1}",
                "",
                "",
                "data:two",
                "data: lines",
                "id: 7",
                "",
                "data: end",
            ]
            .join(eol);
            assert_eq!(data(&stream), expected, "{eol:?}");
        }
    }

    #[test]
    fn no_events_in_other_text() {
        assert!(data("").is_empty());
        assert!(data("hello\nworld\n").is_empty());
    }
}
