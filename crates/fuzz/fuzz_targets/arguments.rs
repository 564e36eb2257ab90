//! What people type: times, limits, labels and selectors. What is understood can be
//! printed and typed again. The first line is the argument; the further ones are
//! names of models among which it selects.
#![no_main]
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a fuzz target fails by panicking, and takes what it needs of the program"
)]

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use anyclaude_traces::recording::RequestSet;
use anyclaude_traces::select::{Field, Selector, resolve};
use anyclaude_traces::{Request, Store};
use chrono::{DateTime, Local};
use libfuzzer_sys::fuzz_target;

use parse::{End, LabelArg, parse_limit, parse_moment};

#[path = "../../traces-cli/src/parse.rs"]
mod parse;
#[path = "../../traces-cli/src/render/sanitize.rs"]
mod sanitize;
#[path = "../../traces-cli/src/render/units.rs"]
mod units;

/// Where the modules above look for each other.
mod render {
    pub(crate) use crate::{sanitize, units};
}

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(OsStr::from_bytes);
    let argument = lines.next().unwrap();
    check_selector(argument);
    check_label(argument);
    if let Some(text) = argument.to_str() {
        check_moment(text);
        check_limit(text);
        let names: Vec<&str> = lines.filter_map(OsStr::to_str).collect();
        check_resolved(text, &names);
    }
});

/// 16 November 2025, 12:00 UTC.
fn now() -> DateTime<Local> {
    DateTime::from_timestamp(1_763_294_400, 0).unwrap().into()
}

/// Both ends of a time are understood or neither is, and the first is not the later.
fn check_moment(text: &str) {
    let (since, until) = (parse_moment(text, End::Since, now()), parse_moment(text, End::Until, now()));
    let (Ok(since), Ok(until)) = (&since, &until) else {
        assert_eq!(since.is_ok(), until.is_ok(), "{since:?} {until:?}");
        return;
    };
    // The longest day has 25 hours; where a country crossed the date line, 47 or so.
    assert!((0..48 * 3_600_000).contains(&until.ms_since(*since)), "from {since} to {until}");
    for stamp in [*since, *until] {
        assert_eq!(parse_moment(&stamp.to_string(), End::Since, now()).unwrap(), stamp);
        let day = units::day(stamp);
        if let Ok(begin) = parse_moment(&day, End::Since, now()) {
            assert!(
                (begin..=parse_moment(&day, End::Until, now()).unwrap()).contains(&stamp),
                "{stamp} on {day}"
            );
        }
    }
}

/// A limit is a number that can be exceeded, and is what it is when typed in plain digits.
/// As a table shows it, it is the same but for rounding.
fn check_limit(text: &str) {
    let Ok(limit) = parse_limit(text) else { return };
    let most = limit.most.as_f64();
    assert!(most.is_finite() && most >= 0.0, "{most}");
    assert_eq!(parse_limit(&format!("{}={most}", limit.measure)).unwrap(), limit);
    let shown = units::show(limit.most, limit.measure.unit());
    if let Ok(again) = parse_limit(&format!("{}={shown}", limit.measure)) {
        assert!((again.most.as_f64() - most).abs() <= 0.05 * most + 0.5, "{most} is shown as {shown}");
    }
}

/// A label holds the bytes that were typed, and is good if both its parts are.
fn check_label(argument: &OsStr) {
    let label = LabelArg::from(argument.to_owned());
    let typed = argument.as_bytes();
    let equals = typed.iter().position(|byte| *byte == b'=');
    assert_eq!(label.check().is_ok(), equals.is_some_and(|at| at > 0 && at + 1 < typed.len()));
    if label.check().is_ok() {
        let at = equals.unwrap();
        assert_eq!(label.model, String::from_utf8_lossy(&typed[..at]));
        assert_eq!(label.input.as_bytes(), &typed[at + 1..]);
    }
}

/// What is no name is a path, byte for byte.
fn check_selector(argument: &OsStr) {
    match Selector::parse(argument) {
        Ok(Selector::Path(path)) => assert_eq!(path.as_os_str(), argument),
        Ok(Selector::Named(field, name)) => {
            assert_eq!(argument.to_str().unwrap(), format!("{}:{name}", field.name()));
        }
        Ok(Selector::Latest(back)) => {
            assert_eq!(
                Selector::parse(OsStr::new(&format!("latest~{back}"))).unwrap(),
                Selector::Latest(back)
            );
        }
        Ok(other @ (Selector::Id(_) | Selector::Bare(_))) => panic!("{other:?}: only a reader tells these"),
        Err(error) => assert!(argument.as_bytes().starts_with(b"latest~"), "{error}"),
    }
}

/// A part of a name resolves to the one name that it is or is part of; else the error
/// is safe to print.
fn check_resolved(part: &str, names: &[&str]) {
    let named = |name: &&str| {
        let mut request = request();
        request.model = Some((*name).into());
        request
    };
    let requests: Vec<Request> = names.iter().map(named).collect();
    let having: std::collections::BTreeSet<&str> =
        names.iter().copied().filter(|name| name.contains(part)).collect();
    match resolve(&requests, Field::Model, part) {
        Ok(name) if name.as_ref() == part => assert!(names.contains(&part)),
        Ok(name) => assert_eq!(having.into_iter().collect::<Vec<_>>(), [name.as_ref()]),
        Err(error) => {
            assert!(having.len() != 1 && !names.contains(&part), "{error}");
            let words = error.to_string().replace(part, "");
            assert!(sanitize::line(&words) == words, "{words:?}");
        }
    }
}

/// Some request, to be given a name.
fn request() -> Request {
    thread_local!(static ANY: OnceCell<Request> = const { OnceCell::new() });
    ANY.with(|any| any.get_or_init(read_any).clone())
}

fn read_any() -> Request {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/odd");
    RequestSet::read(&Store::default(), [folder]).requests.remove(0)
}
