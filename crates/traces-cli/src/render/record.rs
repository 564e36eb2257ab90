//! What `traces record` says.

use std::io::{self, Write};

use traces_record::{Reason, Recording, Refusal, SettingsNote, Shortcoming, Variables};

use super::units;

/// Said once, before the first recording.
pub(crate) const PRIVACY: &str = "a recording holds whole prompts and answers, with the files and \
     secrets that they quote. It stays in a folder that only you can read; \
     `traces record --delete` deletes it, --no-bodies keeps sizes and hashes only";

/// The file beside the recordings.
pub(crate) const README: &str = "\
Recordings of `traces record`, a folder each.

They hold whole prompts and answers of Claude Code, with the files and secrets that
these quote, unless they were made with --no-bodies. Only you can read them; traces
sends nothing anywhere.

  traces record --delete             lists them
  traces record --delete RECORDING   deletes one
  traces record --delete all         deletes all of them
";

/// The variables as lines for a shell.
pub(crate) fn variables(variables: &Variables, out: &mut impl Write) -> io::Result<()> {
    for name in variables.removed() {
        writeln!(out, "unset {name}")?;
    }
    for (name, value) in variables.iter() {
        writeln!(out, "export {name}={}", quoted(value))?;
    }
    writeln!(out, "# Where a settings.json sets some of these, it wins, unless you start Claude Code so:")?;
    writeln!(out, "# claude --settings {}", quoted(&variables.settings().to_string()))
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A line about a recording that may be deleted.
pub(crate) fn recording(recording: &Recording) -> String {
    let name = recording.path.file_name().unwrap_or(recording.path.as_os_str());
    let state = if recording.is_in_progress() { "  being recorded" } else { "" };
    format!("{}  {}{state}", name.to_string_lossy(), units::bytes(recording.bytes))
}

/// Why a program was not started.
pub(crate) fn not_found(program: &str) -> String {
    format!(
        "cannot start {program}: there is no such command. `traces record -- COMMAND` runs another one, \
         --print-env is for a client that you start yourself"
    )
}

/// Why a client got its variables by the environment only.
pub(crate) fn settings_note(note: &SettingsNote) -> String {
    match note {
        SettingsNote::Unreadable { given, reason } => format!(
            "the command's --settings {given} cannot be read ({reason}), so that Claude Code gets the variables \
             by its environment only: where a settings.json sets them too, that wins"
        ),
        _ => "Claude Code gets the variables by its environment only".to_owned(),
    }
}

/// What a recording lacks, and what to do: a line each. A reason that may be that of several
/// is said once, behind them.
pub(crate) fn shortcomings(found: &[Shortcoming], reasons: &[Reason]) -> Vec<String> {
    let explained = |reason: &Reason| found.iter().filter(|missing| reason.may_explain(missing)).count();
    let (common, single): (Vec<&Reason>, Vec<&Reason>) =
        reasons.iter().partition(|reason| explained(reason) > 1);
    let mut lines = Vec::new();
    for missing in found {
        lines.extend(lacking(missing));
        let own = single.iter().filter(|reason| reason.may_explain(missing));
        lines.extend(own.filter_map(|reason| reason_of(reason)));
        if !reasons.iter().any(|reason| reason.may_explain(missing)) {
            lines.extend(advice(missing).map(str::to_owned));
        }
    }
    let common = common.into_iter().filter_map(reason_of);
    lines.extend(common.map(|reason| format!("this may be why both are missing: {reason}")));
    lines
}

fn lacking(shortcoming: &Shortcoming) -> Option<String> {
    Some(match shortcoming {
        Shortcoming::Nothing => {
            "nothing was recorded: the command wrote no body and reported nothing".to_owned()
        }
        Shortcoming::NoEvents => {
            "bodies were recorded, but no events: sizes are known, times and tokens are not".to_owned()
        }
        Shortcoming::NoBodies => {
            "events were recorded, but no bodies: times and tokens are known, sizes are not".to_owned()
        }
        Shortcoming::NoSpans => {
            "no spans were recorded: times to the first token are known of Claude Code 2.1.332 and newer only"
                .to_owned()
        }
        Shortcoming::Refused(refusal, times) => {
            format!("{} refused: {}", units::count(*times, "post"), refused(*refusal))
        }
        Shortcoming::Lost(times, because) => {
            format!("{} could not be written: {because}", units::count(*times, "post"))
        }
        Shortcoming::BodiesRemoved(times) => {
            let bodies = if *times == 1 {
                "body is cut off or no JSON, and was"
            } else {
                "bodies are cut off or no JSON, and were"
            };
            format!("{times} {bodies} removed: sizes are unknown")
        }
        _ => return None,
    })
}

fn reason_of(reason: &Reason) -> Option<String> {
    Some(match reason {
        Reason::Override(found) if found.is_managed => format!(
            "{} sets {} otherwise: settings of an administrator win over everything",
            found.path.display(),
            found.name
        ),
        Reason::Override(found) => format!(
            "{} sets {} otherwise, and wins over the environment: remove it there, or let `traces record -- \
             claude` start Claude Code itself",
            found.path.display(),
            found.name
        ),
        Reason::Protobuf => {
            "the client sends protobuf: something sets OTEL_EXPORTER_OTLP_PROTOCOL otherwise".to_owned()
        }
        Reason::OtherProgram => {
            "the command is not called claude: if it starts Claude Code, it must hand its \
             environment on (sudo, ssh and containers do not)"
                .to_owned()
        }
        _ => return None,
    })
}

/// What to look at where no reason was found.
fn advice(missing: &Shortcoming) -> Option<&'static str> {
    Some(match missing {
        Shortcoming::Nothing => {
            "was a request sent to a model? It takes Claude Code 2.1.111 or newer (`claude --version`)"
        }
        Shortcoming::NoEvents => {
            "the client's telemetry is off, or was sent elsewhere: look for CLAUDE_CODE_ENABLE_TELEMETRY and \
             OTEL_ variables in Claude Code's settings, and in a script that starts it"
        }
        Shortcoming::NoBodies => {
            "OTEL_LOG_RAW_API_BODIES had no effect: it takes Claude Code 2.1.111 or newer (`claude --version`)"
        }
        Shortcoming::NoSpans => "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA or OTEL_TRACES_EXPORTER had no effect",
        _ => return None,
    })
}

fn refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed => "they are no OTLP in JSON",
        Refusal::Cut => "the connection ended inside the request",
        Refusal::TooSlow => "they did not arrive in time",
        Refusal::TooLarge => "they are larger than 32 MiB",
        Refusal::Full => "the recording is full",
        Refusal::Busy => "there were too many at once",
        Refusal::Foreign => "they name another host, or come from a web page",
        Refusal::UnknownPath => "they ask for something else than logs, traces and metrics",
        Refusal::Method => "they are no POST",
        Refusal::NotJson => "they are no JSON; the client may send protobuf",
        Refusal::Encoding => "they are compressed otherwise than by gzip",
        Refusal::Length => "they do not say how long they are",
        _ => "for an unknown reason",
    }
}
