//! The arguments that choose requests → the library's filter.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::select::{self, Reader, SelectError};
use anyhow::Context as _;
use chrono::Local;

use crate::cli::FilterArgs;
use crate::parse::{End, LabelArg, parse_moment};
use crate::zone::Zone;

/// A reader of what the arguments admit; `default_kind` holds where they name no kind.
pub(crate) fn reader(args: &FilterArgs, default_kind: KindFilter) -> anyhow::Result<Reader> {
    Ok(Reader::new(filter(args)?, default_kind)?)
}

/// The same, and the inputs that are no logs of servers: those are read beside them, or
/// alone.
pub(crate) fn reader_of(
    args: &FilterArgs,
    inputs: &[OsString],
    default_kind: KindFilter,
) -> anyhow::Result<(Reader, Vec<OsString>)> {
    let mut filter = filter(args)?;
    let inputs = filter.take_server_logs(inputs);
    Ok((Reader::new(filter, default_kind)?, inputs))
}

/// The folder of the recordings of `traces record`; `None` without a home.
pub(crate) fn recordings_folder() -> Option<PathBuf> {
    // The base directory specification has relative paths ignored.
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    Some(data.or_else(|| Some(std::env::home_dir()?.join(".local/share")))?.join("traces"))
}

/// What the arguments admit.
pub(crate) fn filter(args: &FilterArgs) -> anyhow::Result<select::Filter> {
    args.labels.iter().try_for_each(LabelArg::check)?;
    let now = Local::now();
    let moment =
        |text: &Option<String>, end| text.as_deref().map(|text| parse_moment(text, end, now)).transpose();
    let mut filter = select::Filter::default();
    if args.roots.is_empty() {
        let home = std::env::home_dir().ok_or(SelectError::NoRoots)?;
        filter.roots = vec![home.join(".anyclaude")];
        // The folder of recordings is called traces, as that of a root is.
        let recorded = recordings_folder().filter(|folder| folder.is_dir());
        filter.roots.extend(recorded.as_deref().and_then(Path::parent).map(Path::to_owned));
        filter.roots_must_exist = false;
    } else {
        filter.roots.clone_from(&args.roots);
    }
    filter.is_whole = args.all;
    filter.kind = args.kind.map(KindFilter::from);
    filter.mode.clone_from(&args.mode);
    filter.model.clone_from(&args.model);
    filter.session.clone_from(&args.session);
    filter.run.clone_from(&args.run);
    filter.since = moment(&args.since, End::Since).context("--since")?;
    filter.until = moment(&args.until, End::Until).context("--until")?;
    filter.last = args.last;
    let label = |label: &LabelArg| select::Label { model: label.model.clone(), input: label.input.clone() };
    filter.labels = args.labels.iter().map(label).collect();
    filter.server_logs.clone_from(&args.server_logs);
    filter.lm_studio_home = std::env::home_dir();
    filter.log_zone = Zone::of_logs(args.zone.as_ref());
    filter.max_file_bytes = args.max_file_size;
    filter.standard_input = Some(standard_input);
    Ok(filter)
}

/// What was piped in.
fn standard_input(most_bytes: u64) -> io::Result<Vec<u8>> {
    let stdin = io::stdin().lock();
    if stdin.is_terminal() {
        return Err(io::Error::other("the standard input is a terminal: pipe a recording into it"));
    }
    let mut bytes = Vec::new();
    stdin.take(most_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}
