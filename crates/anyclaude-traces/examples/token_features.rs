//! What the token estimate counts in texts: `fit/fit_tokens.py` fits its weights
//! to this, so that there is one implementation.
//!
//! Reads texts from standard input, each before a NUL byte; writes for each a
//! line of JSON with the counts and the present estimate.

use std::io::{self, BufWriter, Read, Write};

use anyclaude_traces::tokens::Counter;

fn main() -> io::Result<()> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let mut output = BufWriter::new(io::stdout().lock());
    for text in input.split_terminator('\0') {
        let mut counter = Counter::default();
        counter.add(text);
        serde_json::to_writer(&mut output, &(&counter, counter.tokens()))?;
        output.write_all(b"\n")?;
    }
    output.flush()
}
