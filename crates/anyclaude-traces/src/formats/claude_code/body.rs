//! `<uuid>.request.json`: the body of a request, with one member that was not sent.

use crate::error::{ParseError, SkipReason};
use crate::formats::body::{Body, Element, Message, Raw, Section, Visit};
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::record::RecordDraft;
use crate::formats::source::{Format, Input, RecordSink};
use crate::model::Amount;
use crate::model::request::{Api, Source};

/// A file that is the body of a request and nothing else: one of Claude Code's, which has
/// one member that was not sent, or any other.
#[derive(Debug)]
pub(crate) struct RecordedBody;

impl Format for RecordedBody {
    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        let text = input.text()?;
        let mut cursor = Cursor::comparing(text.as_str(), scratch);
        let mut is_first = true;
        // Several may stand one behind the other, as `jq` prints those of several files.
        loop {
            let number = sink.begin();
            let mut draft = RecordDraft::new(Source::Body);
            let read = read_body(&mut cursor, &mut draft, sink.visitor(number));
            let end = cursor.end();
            let (is_last, follows) = (end.is_ok(), matches!(cursor.shape(), Ok(Shape::Object)));
            let whole = read.and(if follows { Ok(()) } else { end });
            let record = whole.map_err(|fault| text.fault(*fault)).and_then(|()| {
                draft.finish(input.len()).map_err(|why| text.refuse(SkipReason::NotATrace, 0, why))
            });
            match record {
                Ok(record) => sink.finish(number, record),
                Err(error) if is_first => return Err(error),
                Err(error) => {
                    sink.abandon(number);
                    sink.skip(error);
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
            is_first = false;
        }
    }
}

/// Reads a body into a draft, without what was not sent.
pub(super) fn read_body(
    cursor: &mut Cursor<'_, '_>,
    draft: &mut RecordDraft,
    visitor: &mut dyn Visit,
) -> ParseResult<()> {
    let mut visit = LessUnsent::new(visitor);
    let mut body = Body::read(cursor, &mut visit)?;
    let is_as_sent = visit.bytes == 0 && !visit.is_redacted;
    if let Some(span) = body.span.as_ref().filter(|_| is_as_sent) {
        visit.body(&Raw::new(cursor, span));
    }
    let unsent = Amount::from(visit.bytes);
    body.sizes.body_bytes = body.sizes.body_bytes - unsent;
    body.sizes.other_bytes = body.sizes.other_bytes - unsent;
    if visit.bytes > 0 {
        (draft.source, draft.api) = (Source::ClaudeCode, Some(Api::Anthropic));
    }
    draft.body_redacted = visit.is_redacted;
    draft.is_masked = visit.is_masked;
    draft.set_body(Some(body));
    Ok(())
}

/// Members of a recorded body that were not sent: a header, and the mark of a body whose
/// texts were replaced.
const UNSENT: [&str; 2] = ["betas", MASKED];
/// The mark of a body whose texts were replaced by others as long.
const MASKED: &str = "traces_masked";

/// What the name of a body's file ends in.
pub(crate) const REQUEST_SUFFIX: &str = ".request.json";

/// What stands in place of thinking, which is not recorded.
const REDACTED: &str = "<REDACTED>";

/// Shows a recorded body to a visitor as it was sent.
struct LessUnsent<V> {
    inner: V,
    /// Bytes of what was not sent, with names and commas.
    bytes: u64,
    /// Thinking was replaced, so that the body is not the one that was sent.
    is_redacted: bool,
    /// All texts were replaced.
    is_masked: bool,
}

impl<V: Visit> LessUnsent<V> {
    fn new(inner: V) -> Self {
        Self { inner, bytes: 0, is_redacted: false, is_masked: false }
    }
}

impl<V: Visit> Visit for LessUnsent<V> {
    fn element(&mut self, element: &Element<'_>) {
        let is_thinking = matches!(element.kind.as_deref(), Some("thinking" | "redacted_thinking"));
        self.is_redacted |= is_thinking && element.raw.as_str().contains(REDACTED);
        self.inner.element(element);
    }
    fn message(&mut self, message: &Message<'_>) {
        self.inner.message(message);
    }
    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        self.is_masked |= name == MASKED;
        if UNSENT.contains(&name) {
            // Two quotes, a colon and a comma.
            self.bytes += name.len() as u64 + 4 + value.compact_bytes();
        } else {
            self.inner.parameter(name, value);
        }
    }
    fn body(&mut self, body: &Raw<'_>) {
        self.inner.body(body);
    }
    fn restart(&mut self, section: Section) {
        self.inner.restart(section);
    }
    fn wants_identities(&self) -> bool {
        self.inner.wants_identities()
    }
}
