//! Findings in sentences. Every figure is one that was measured, and every
//! sentence names the requests that it rests on.

use super::direct::Measured;
use super::eligible::Candidate;
use super::figures::{
    Figures, duration, output_tokens, percent, prompt_tokens, proxy, reading_speed, signed, total, wall,
    writing_speed,
};
use super::split::{Split, Us};
use super::verdict::{Cause, Finding, Scenario, Undetermined, shares, whole};
use super::{Compared, Comparison, Direct, Evidence, ExplainInput, Totals, Verdict};
use crate::model::request::Request;

/// How to have everything logged next time.
const RECORD: &str = "ANYCLAUDE_DEBUG=2 anyclaude";
/// Contributions below this share are not worth a sentence.
const LEAST_SHARE: f64 = 0.05;
/// Above this part of the difference, the backend accounts for it without the proxy.
const BACKEND_SHARE: f64 = 0.6;

/// Everything that sentences are made of.
pub(super) struct Narrative<'a> {
    left: Figures,
    right: Figures,
    split: Option<&'a Split>,
    totals: Option<Totals>,
    finding: Result<Finding, Undetermined>,
    direct: Option<(Direct, Direct)>,
    is_paired: bool,
    is_makeshift: bool,
    /// The requests that the figures are of.
    basis: Option<String>,
}

impl<'a> Narrative<'a> {
    pub(super) fn new(
        question: &ExplainInput<'_>,
        basis: &Comparison<'_>,
        split: Option<&'a Split>,
        totals: Option<Totals>,
        finding: Result<Finding, Undetermined>,
    ) -> Self {
        let [left, right] = basis.sides();
        let reuse = basis.reuse(question.reuse);
        let names = names(question);
        Self {
            left: Figures::of(names.0, &left, reuse.map(|(left, _)| left)),
            right: Figures::of(names.1, &right, reuse.map(|(_, right)| right)),
            split,
            totals,
            finding,
            direct: question.direct.clone(),
            is_paired: basis.is_paired(),
            is_makeshift: basis.is_makeshift,
            basis: named(basis),
        }
    }

    /// What the right side takes longer.
    fn delta(&self) -> Us {
        self.split.map(Split::delta).or(self.totals.map(Totals::delta)).unwrap_or(0)
    }

    fn slower(&self) -> &Figures {
        if self.delta() < 0 { &self.left } else { &self.right }
    }

    fn faster(&self) -> &Figures {
        if self.delta() < 0 { &self.right } else { &self.left }
    }

    /// Whether the measurements without the proxy clear the backend: it is about as
    /// fast on both sides there.
    fn direct_blames_proxy(&self) -> bool {
        let share = self.measured().zip(self.split).and_then(|(measured, split)| measured.share(split));
        self.finding.is_ok() && share.is_some_and(|share| share <= 1.0 - BACKEND_SHARE)
    }

    pub(super) fn verdict(&self) -> Verdict {
        let undetermined = |headline: String| Verdict {
            headline,
            cause: None,
            scenario: Scenario::Undetermined,
            confidence: None,
        };
        match self.finding {
            Err(why) => undetermined(self.without_verdict(why)),
            Ok(finding) if self.direct_blames_proxy() => Verdict {
                headline: format!(
                    "{} is slower through the proxy only: sent straight to the server, it is about as fast",
                    self.slower().name
                ),
                cause: Some(Cause::Proxy),
                scenario: Scenario::B,
                confidence: Some(finding.certainty),
            },
            Ok(finding) => Verdict {
                headline: self.headline(&finding),
                cause: Some(finding.cause),
                scenario: finding.scenario,
                confidence: Some(finding.certainty),
            },
        }
    }

    fn without_verdict(&self, why: Undetermined) -> String {
        let (left, right) = (&self.left.name, &self.right.name);
        match why {
            Undetermined::Nothing => {
                let side = match (&self.left.mean, &self.right.mean) {
                    (None, Some(_)) => left.as_str(),
                    (Some(_), None) => right.as_str(),
                    _ => "either side",
                };
                format!("Undetermined: no request of {side} can be compared")
            }
            Undetermined::Hidden => "Undetermined: reasoning that was not streamed hides when the first \
                                     token came"
                .to_owned(),
            Undetermined::Alike => format!("{left} and {right} take about as long: {}", self.both(total)),
            Undetermined::Unknown => format!(
                "Undetermined: most of what makes {} slower could not be told apart, as token counts are \
                 missing",
                self.slower().name
            ),
        }
    }

    fn headline(&self, finding: &Finding) -> String {
        let slower = &self.slower().name;
        let reads = matches!(finding.cause, Cause::PromptProcessingSpeed | Cause::PrefixCache);
        let (mostly, besides) = match finding.scenario {
            Scenario::B if reads => ("", "; generation and proxy together weigh even more"),
            Scenario::Mixed => ("above all ", ""),
            _ => ("", ""),
        };
        let because = match finding.cause {
            Cause::Proxy => format!("the proxy works longer before it sends: {}", self.both(proxy)),
            Cause::PromptSize => format!("its prompts are larger: {}", self.both(prompt_tokens)),
            Cause::PromptProcessingSpeed => {
                format!("prompts are read more slowly: {}", self.both(reading_speed))
            }
            Cause::OutputLength => format!("it writes longer answers: {}", self.both(output_tokens)),
            Cause::GenerationSpeed => {
                format!("it generates more slowly: {}", self.both(writing_speed))
            }
            Cause::PrefixCache => {
                let reuse = |side: &Figures| side.reuse.map(percent);
                format!("less of its prompts could come from the prompt cache: {}", self.both(reuse))
            }
        };
        format!("{slower} is slower {mostly}because {because}{besides}")
    }

    /// A figure of the slower side against that of the faster one.
    fn both(&self, of: impl Fn(&Figures) -> Option<String>) -> String {
        let show = |side: &Figures| of(side).unwrap_or_else(|| "unknown".to_owned());
        let (slow, fast) = (show(self.slower()), show(self.faster()));
        // One unit is enough where both have the same.
        let bare = [" k tokens", " tokens/s", " tokens"]
            .iter()
            .find_map(|unit| if fast.ends_with(unit) { slow.strip_suffix(unit) } else { None });
        format!("{} vs {fast}", bare.unwrap_or(&slow))
    }

    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        if let Some(split) = self.split {
            let time = if split.proxy.is_some() { wall } else { total };
            evidence.push(self.on_requests(format!(
                "{} takes {} in the mean, {} {}.",
                self.slower().name,
                time(self.slower()).unwrap_or_default(),
                self.faster().name,
                time(self.faster()).unwrap_or_default(),
            )));
            evidence.extend(self.parts(split));
        } else if let Some(totals) = self.totals {
            evidence.push(self.on_requests(format!(
                "{} takes {} longer in all, of which the part before the first token is unknown.",
                self.slower().name,
                duration(totals.delta().abs())
            )));
        }
        if self.left.reuse.is_some() && self.right.reuse.is_some() {
            let reuse = self.both(|side| side.reuse.map(percent));
            evidence.push(
                self.on_requests(format!(
                    "A prompt cache could have reused {reuse} of the prompts, at most."
                )),
            );
        }
        let direct = self.measured().map(|measured| measured.sentence(self.split));
        evidence.extend(direct.map(|sentence| Evidence { sentence, requests: None }));
        evidence
    }

    fn on_requests(&self, sentence: String) -> Evidence {
        Evidence { sentence, requests: self.basis.clone() }
    }

    /// A sentence for each part that counts, the largest first.
    fn parts(&self, split: &Split) -> Vec<Evidence> {
        let shares = shares(split);
        let whole = duration(whole(split).abs());
        let mut parts: Vec<(f64, Us, Cause)> = Cause::CONTRIBUTING
            .into_iter()
            .zip(shares)
            .filter_map(|(cause, share)| Some((share?, cause.part(split)?, cause)))
            .filter(|(share, ..)| share.abs() >= LEAST_SHARE)
            .collect();
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let sentence = |(share, part, cause): (f64, Us, Cause)| {
            let time = duration(part.abs());
            let figures = self.figures(cause);
            if share < 0.0 {
                return format!("Against that, {} saves {time}: {figures}.", noun(cause));
            }
            let share = percent(share);
            format!("{time} of {whole} ({share}) is {}: {figures}.", noun(cause))
        };
        let mut sentences: Vec<String> = parts.into_iter().map(sentence).collect();
        if split.prompt_size.is_none() {
            sentences.push(format!(
                "{} is time to first token that cannot be split: prompt tokens are unknown.",
                signed(split.ttft),
            ));
        }
        if split.output_length.is_none() {
            sentences.push(format!(
                "{} is generation that cannot be split: output tokens are unknown.",
                signed(split.generation),
            ));
        }
        sentences.into_iter().map(|sentence| self.on_requests(sentence)).collect()
    }

    fn figures(&self, cause: Cause) -> String {
        match cause {
            Cause::Proxy => self.both(proxy),
            Cause::PromptSize => self.both(prompt_tokens),
            Cause::PromptProcessingSpeed | Cause::PrefixCache => {
                let keepalives = self.slower().keepalives.zip(self.faster().keepalives);
                let keepalives = keepalives.filter(|(slow, fast)| slow + fast > 0);
                let keepalives = keepalives.map(|(slow, fast)| format!("; keepalives {slow} vs {fast}"));
                format!("{}{}", self.both(reading_speed), keepalives.unwrap_or_default())
            }
            Cause::OutputLength => self.both(output_tokens),
            Cause::GenerationSpeed => self.both(writing_speed),
        }
    }

    /// The measurements without the proxy, beside what was recorded.
    fn measured(&self) -> Option<Measured<'_>> {
        let (left, right) = self.direct.as_ref()?;
        Some(Measured { left: (left, &self.left), right: (right, &self.right) })
    }

    pub(super) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let sides = [&self.left, &self.right];
        for side in sides {
            if side.mean.is_none() {
                missing.push(format!(
                    "No streamed request of {} has certain times to its end: record some with {RECORD}.",
                    side.name
                ));
            } else if side.mean.is_some_and(|mean| mean.proxy.is_none()) {
                missing.push(format!(
                    "The proxy's own time is unknown of {}, so that the difference is of total_ms: keep the \
                     request-logs of anyclaude beside the traces.",
                    side.name
                ));
            }
            if side.mean.is_some_and(|mean| !mean.is_complete()) {
                missing.push(format!(
                    "The backend told no token counts of {}: turn usage on in its server, or record with {RECORD}.",
                    side.name
                ));
            }
        }
        let have_requests = sides.iter().all(|side| side.mean.is_some());
        if have_requests && sides.iter().any(|side| side.keepalives.is_none()) {
            missing.push(format!("Keepalives are unknown at debug level 1: record with {RECORD}."));
        }
        if have_requests && !self.is_paired {
            missing.push(
                "No requests of both sides had the same prompt, so that groups are compared: give both models \
                 the same task."
                    .to_owned(),
            );
        }
        if self.is_makeshift {
            missing.push(
                "On one side every request overlapped another one or was the first of its process: send a few \
                 one after the other."
                    .to_owned(),
            );
        }
        if have_requests && self.measured().is_none_or(|measured| measured.is_doubtful()) {
            missing.push(
                "Whether it is as slow without the proxy: `traces replay FAST --cold --save fast.json` with that \
                 model loaded, the same with SLOW, then `traces explain --direct fast.json slow.json`."
                    .to_owned(),
            );
        }
        missing
    }

    pub(super) fn advice(&self) -> Vec<String> {
        let cause = match self.finding {
            Ok(_) if self.direct_blames_proxy() => Some(Cause::Proxy),
            Ok(finding) => Some(finding.cause),
            Err(Undetermined::Alike) => None,
            Err(_) => {
                return vec![
                    "Measure both models without the proxy: `traces replay INPUT --model NAME` sends a recorded \
                     request straight to the server."
                        .to_owned(),
                ];
            }
        };
        let advice: &[&str] = match cause {
            None => &[],
            Some(Cause::Proxy) => &[
                "Run anyclaude with debug off (ANYCLAUDE_DEBUG=0), and compare with `traces diff run:A run:B`.",
                "Update anyclaude: its own work grows with the prompt.",
            ],
            Some(Cause::PromptSize) => &[
                "Send fewer tools: `traces show` ranks them, and MCP servers that are not used can be turned off.",
                "Begin a fresh conversation (/clear) or compact it (/compact): every turn repeats all before it.",
            ],
            Some(Cause::PrefixCache) => &[
                "See what breaks the prompt cache with `traces prefix`, and mend the worst first.",
                "Set CLAUDE_CODE_ATTRIBUTION_HEADER=0 in settings.json if a billing header heads the prompt.",
            ],
            Some(Cause::PromptProcessingSpeed) => &[
                "Give it less to read: fewer tools and MCP servers, and a fresh conversation (/clear).",
                "Try another engine or a smaller quantisation of this model: reading speed is the backend's own.",
                "Load the model with a smaller context, and all its layers on the GPU.",
            ],
            Some(Cause::OutputLength) => &[
                "Turn thinking off (/no_think, or a model that does not think): the answers are longer, not slower.",
            ],
            Some(Cause::GenerationSpeed) => &[
                "Try a smaller quantisation, another engine, or a model with fewer active parameters.",
                "Load the model with a smaller context, and all its layers on the GPU.",
            ],
        };
        advice.iter().map(|&advice| advice.to_owned()).collect()
    }
}

/// Both sides by the model that ran, where that tells them apart, else as the user
/// named them.
fn names(question: &ExplainInput<'_>) -> (String, String) {
    let model = |requests: &[&Request]| {
        let mut models = requests.iter().map(|request| request.model.as_deref());
        let first = models.next().flatten()?;
        models.all(|model| model == Some(first)).then(|| first.to_owned())
    };
    match (model(&question.left), model(&question.right)) {
        (Some(left), Some(right)) if left != right => (left, right),
        _ => (question.left_selector.to_owned(), question.right_selector.to_owned()),
    }
}

/// The requests that figures are of, by the names of their files.
fn named(basis: &Comparison<'_>) -> Option<String> {
    let stem = |one: &Candidate<'_>| {
        let stem = one.request.path.as_ref().file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    let more = |n: usize| if n > 1 { format!(" and {} more", n - 1) } else { String::new() };
    Some(match &basis.compared {
        Compared::Pairs(pairs) => {
            let first = pairs.first()?;
            format!("{} / {}{}", stem(&first.left), stem(&first.right), more(pairs.len()))
        }
        Compared::Groups(left, right) => {
            let side = |side: &[Candidate<'_>]| Some(format!("{}{}", stem(side.first()?), more(side.len())));
            format!("{} / {}", side(left)?, side(right)?)
        }
    })
}

fn noun(cause: Cause) -> &'static str {
    match cause {
        Cause::Proxy => "the proxy's own work before it sends",
        Cause::PromptSize => "the size of the prompts",
        Cause::PromptProcessingSpeed | Cause::PrefixCache => "prompt processing",
        Cause::OutputLength => "the length of the answers",
        Cause::GenerationSpeed => "the speed of generation",
    }
}
