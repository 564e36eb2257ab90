//! What is done with the records of a file: all are kept, or a single one is looked at.

use crate::error::{ErrorKind, ParseError};
use crate::formats::body::Visit;
use crate::formats::claude_code::Facts;
use crate::formats::record::TraceRecord;
use crate::formats::source::{RecordNumber, RecordSink};

/// Whether what is asked of the file that a visitor is for should be found in this pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct InOnePass(pub(super) bool);

/// Keeps every record, with what a visitor of its own saw of its body.
pub(super) struct AllRecords<'m, V, M> {
    visitor: &'m M,
    in_one_pass: bool,
    begun: u32,
    /// The visitors of records that are not complete, in the order of their numbers.
    open: Vec<(RecordNumber, V)>,
    pub(super) complete: Vec<(RecordNumber, TraceRecord, V)>,
    pub(super) errors: Vec<ParseError>,
    /// What it tells of requests elsewhere.
    pub(super) facts: Option<Facts>,
}

impl<'m, V: Visit, M: Fn(InOnePass) -> V> AllRecords<'m, V, M> {
    pub(super) fn new(visitor: &'m M) -> Self {
        Self {
            visitor,
            in_one_pass: false,
            begun: 0,
            open: Vec::new(),
            complete: Vec::new(),
            errors: Vec::new(),
            facts: None,
        }
    }

    /// The same of what follows so many records.
    pub(super) fn from(begun: u32, visitor: &'m M) -> Self {
        Self { begun, ..Self::new(visitor) }
    }

    /// How many records have begun, those before it included.
    pub(super) fn begun(&self) -> u32 {
        self.begun
    }

    fn place(&self, number: RecordNumber) -> Result<usize, usize> {
        self.open.binary_search_by_key(&number, |(number, _)| *number)
    }
}

impl<V: Visit, M: Fn(InOnePass) -> V> RecordSink for AllRecords<'_, V, M> {
    fn in_one_pass(&mut self) {
        self.in_one_pass = true;
    }

    fn begin(&mut self) -> RecordNumber {
        let number = RecordNumber(self.begun);
        self.begun += 1;
        number
    }

    fn visitor(&mut self, number: RecordNumber) -> &mut dyn Visit {
        let at = self.place(number).unwrap_or_else(|at| {
            self.open.insert(at, (number, (self.visitor)(InOnePass(self.in_one_pass))));
            at
        });
        &mut self.open[at].1
    }

    fn finish(&mut self, number: RecordNumber, record: TraceRecord) {
        let seen = match self.place(number) {
            Ok(at) => self.open.remove(at).1,
            Err(_) => (self.visitor)(InOnePass(self.in_one_pass)),
        };
        self.complete.push((number, record, seen));
    }

    fn abandon(&mut self, number: RecordNumber) {
        if let Ok(at) = self.place(number) {
            self.open.remove(at);
        }
    }

    fn claude_code(&mut self, facts: Facts) {
        self.facts = Some(facts);
    }

    fn skip(&mut self, error: ParseError) {
        self.errors.push(error);
    }
}

/// A visitor of several records' bodies.
pub(crate) trait VisitRecords: Visit {
    /// What follows is of the record with this number.
    fn record(&mut self, number: u32);
}

/// Shows the bodies of one record and of all after it to a visitor.
pub(super) struct LaterRecords<'v, V> {
    first: RecordNumber,
    visit: &'v mut V,
    nobody: (),
    begun: u32,
}

impl<'v, V: VisitRecords> LaterRecords<'v, V> {
    pub(super) fn new(first: RecordNumber, visit: &'v mut V) -> Self {
        Self { first, visit, nobody: (), begun: 0 }
    }
}

impl<V: VisitRecords> RecordSink for LaterRecords<'_, V> {
    fn begin(&mut self) -> RecordNumber {
        let number = RecordNumber(self.begun);
        self.begun += 1;
        number
    }

    fn visitor(&mut self, number: RecordNumber) -> &mut dyn Visit {
        if number < self.first {
            return &mut self.nobody;
        }
        self.visit.record(number.0);
        self.visit
    }

    fn finish(&mut self, _: RecordNumber, _: TraceRecord) {}

    fn claude_code(&mut self, _: Facts) {}

    /// Whoever wants what such a record says finds nothing of it.
    fn skip(&mut self, _: ParseError) {}
}

/// Shows the body of one record to a visitor.
pub(super) struct OneRecord<'v, V> {
    wanted: RecordNumber,
    visit: &'v mut V,
    nobody: (),
    begun: u32,
    found: Option<TraceRecord>,
    error: Option<ParseError>,
}

impl<'v, V: Visit> OneRecord<'v, V> {
    pub(super) fn new(wanted: RecordNumber, visit: &'v mut V) -> Self {
        Self { wanted, visit, nobody: (), begun: 0, found: None, error: None }
    }

    /// The record, with its number; else why there is none.
    pub(super) fn into_found(self) -> Result<(RecordNumber, TraceRecord), ErrorKind> {
        let gone = || ErrorKind::Io(std::io::Error::other("the file changed while it was read"));
        match (self.found, self.error) {
            (Some(record), _) => Ok((self.wanted, record)),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Err(gone()),
        }
    }
}

impl<V: Visit> RecordSink for OneRecord<'_, V> {
    fn is_done(&self) -> bool {
        self.found.is_some()
    }

    fn begin(&mut self) -> RecordNumber {
        let number = RecordNumber(self.begun);
        self.begun += 1;
        number
    }

    fn visitor(&mut self, number: RecordNumber) -> &mut dyn Visit {
        if number == self.wanted { self.visit } else { &mut self.nobody }
    }

    fn finish(&mut self, number: RecordNumber, record: TraceRecord) {
        if number == self.wanted {
            self.found = Some(record);
        }
    }

    fn claude_code(&mut self, _: Facts) {}

    fn skip(&mut self, error: ParseError) {
        self.error.get_or_insert(error);
    }
}
