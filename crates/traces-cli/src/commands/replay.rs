//! `traces replay`: sends a recorded request straight to the server.

use std::io::Write;
use std::sync::Arc;

use anyclaude_traces::analysis::content::BodyJson;
use anyhow::{Context as _, anyhow, bail};
use lmstudio_replay::{Api, Cache, Error, Plan, ProgressHandle, Replay};

use super::one;
use crate::cli::{ApiArg, DirectArgs, OutputFormat, ReplayArgs};
use crate::exit::Status;
use crate::interrupt;
use crate::render::{json, notes, page, progress, replay as render};
use crate::save::OutputFile;

pub(crate) fn run(args: &mut ReplayArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use OutputFormat::Json;
    // --model names the model to ask, not a filter: `model:NAME` selects requests.
    let model = args.filter.model.take();
    let plan = plan(&args.direct, model)?;
    let target = args.save.as_ref().map(|path| OutputFile::new(path, args.force)).transpose()?;
    let one = one::newest(&args.input, &args.filter, &args.output, "sending", one::Costs::Unknown)?;
    let mut body = BodyJson::default();
    let path = &one.request.path;
    let is_recorded = one.reader.store().read_body(&one.request, &mut body);
    if !is_recorded.context("the file changed while it was read")? {
        bail!(
            "{}: the body of this request is not recorded there, so that there is nothing to send",
            path.file().display()
        );
    }
    let handle = Arc::new(ProgressHandle::with_stop(interrupt::stops()?));
    let shows_progress = !args.output.quiet && !args.output.no_progress;
    let found = progress::while_replaying(&handle, shows_progress, || {
        lmstudio_replay::replay(&body.json, &plan, &handle)
    });
    let mut replay = match found {
        Ok(replay) => replay,
        Err(Error::Interrupted) => return Ok(Status::Interrupted),
        Err(error) => return Err(explained(&error)),
    };
    replay.path = Some(path.file().to_string_lossy().into_owned());
    replay.compare(&one.request);
    warn_of_failed_runs(&replay, args.output.quiet);
    if let Some(target) = target.filter(|_| replay.measured()) {
        let mut document = Vec::new();
        json::document(&mut document, &replay)?;
        target.write(&document)?;
    }
    match args.output.format {
        Json => json::document(out, &replay)?,
        // The warnings have said why.
        _ if !replay.measured() => {}
        _ => page::print(out, &render::page(&replay), &args.output)?,
    }
    Ok(status(&replay).and(one.status))
}

fn plan(direct: &DirectArgs, model: Option<String>) -> anyhow::Result<Plan> {
    let token = direct.token_env.as_ref().map(|name| {
        let token = std::env::var(name).ok().filter(|token| !token.is_empty());
        token.with_context(|| format!("--token-env: the environment has no {name}"))
    });
    let mut plan = Plan::new(direct.url.parse().context("--url")?);
    plan.api = direct.api.map(|api| match api {
        ApiArg::Anthropic => Api::Anthropic,
        ApiArg::Openai => Api::Openai,
    });
    plan.model = model;
    plan.max_tokens = direct.max_tokens;
    plan.runs = direct.repeat;
    plan.cache = match (direct.cold, direct.warm) {
        (true, _) => Cache::Cold,
        (_, true) => Cache::Warm,
        _ => Cache::AsIs,
    };
    plan.timeout = direct.timeout;
    plan.connect_timeout = direct.connect_timeout;
    plan.token = token.transpose()?;
    plan.keep_text = direct.show_text;
    plan.allow_remote = direct.allow_remote;
    Ok(plan)
}

/// The error, and the flag that helps.
fn explained(error: &Error) -> anyhow::Error {
    let help = match error {
        Error::NotLoopback { .. } => "; --allow-remote sends it all the same",
        Error::Unreachable { .. } => "; --url names another",
        Error::UnknownHost { .. } => ". Is the name in --url right?",
        Error::Model(_) => "; --model NAME chooses one",
        _ => "",
    };
    anyhow!("{error}{help}")
}

/// Names the runs that failed.
fn warn_of_failed_runs(replay: &Replay, quiet: bool) {
    let of = replay.runs.len();
    if of > 1 && !replay.measured() {
        notes::warn(&format!("nothing was measured: all {of} runs failed"));
    }
    for (at, run) in replay.runs.iter().enumerate() {
        let Some(error) = &run.error else { continue };
        if !quiet || !replay.measured() {
            let which = if of > 1 { format!("run {}: ", at + 1) } else { String::new() };
            notes::warn(&format!("{which}{error}"));
        }
    }
}

fn status(replay: &Replay) -> Status {
    if replay.interrupted {
        Status::Interrupted
    } else if !replay.measured() {
        Status::Unusable
    } else if replay.runs.iter().any(|run| run.error.is_some()) {
        Status::Skipped
    } else {
        Status::Done
    }
}
