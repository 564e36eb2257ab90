//! What costs time, and what to do about it: the same lines in every verb.

use anyclaude_traces::findings::{CostBasis, Finding};

use super::page::Page;
use super::units;
use super::what_if::setting_line;

/// How many findings are shown where a page is about more than these.
pub(crate) const DEAREST: usize = 3;

/// The dearest findings, so many, each with what to do. `more` is the command that shows
/// the others, where that is to be said.
pub(crate) fn dearest(
    page: &mut Page,
    findings: &[Finding],
    most: usize,
    detail: FindingDetail,
    more: Option<&str>,
) {
    list(page, findings.get(..most).unwrap_or(findings), detail);
    if let (Some(left), Some(more)) = (findings.len().checked_sub(most).filter(|left| *left > 0), more) {
        page.hint(format!("{} not shown:", units::count(left as u64, "cheaper finding")), more);
    }
}

/// All findings, each with what to do.
pub(crate) fn all(page: &mut Page, findings: &[Finding]) {
    list(page, findings, FindingDetail::All);
}

/// One finding, without a heading.
pub(crate) fn one(page: &mut Page, finding: &Finding, detail: FindingDetail) {
    page.space();
    items(page, std::slice::from_ref(finding), detail);
}

/// How much is said of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FindingDetail {
    /// What was found, what to do, and what to set.
    All,
    /// What was found, and what to set, or else to do.
    Short,
    /// What was found.
    Found,
}

fn list(page: &mut Page, findings: &[Finding], detail: FindingDetail) {
    if findings.is_empty() {
        return;
    }
    page.heading("What costs time here, the dearest first");
    items(page, findings, detail);
}

fn items(page: &mut Page, findings: &[Finding], detail: FindingDetail) {
    let leads: Vec<String> = findings.iter().map(cost).collect();
    let width = leads.iter().map(|lead| lead.chars().count()).max().unwrap_or(0);
    for (finding, lead) in findings.iter().zip(leads) {
        page.item(format!("{lead:>width$}"), finding.evidence.to_string());
        if detail == FindingDetail::Found {
            continue;
        }
        let has_settings = finding.settings.as_ref().is_some_and(|settings| !settings.is_empty());
        if let Some(advice) =
            finding.advice.as_ref().filter(|_| detail == FindingDetail::All || !has_settings)
        {
            page.item(" ".repeat(width), format!("→ {advice}"));
        }
        for setting in finding.settings.iter().flatten() {
            page.item(" ".repeat(width), format!("→ {}", setting_line(setting)));
        }
    }
}

/// What a finding cost: exact where a log measured it.
pub(crate) fn cost(finding: &Finding) -> String {
    match (finding.cost_ms, finding.cost_basis) {
        (Some(ms), Some(CostBasis::Measured)) => units::ms(Some(ms)),
        (Some(ms), _) => format!("~{}", units::ms(Some(ms))),
        (None, _) => units::UNKNOWN.to_owned(),
    }
}
