//! What costs time, and what to do about it: the same lines in every verb.

use anyclaude_traces::findings::{CostBasis, Finding};

use super::page::Page;
use super::units;
use super::what_if::setting_line;

/// How many findings are shown where a page is about more than these.
pub(crate) const DEAREST: usize = 3;

/// The dearest findings, each with what to do. `more` is the command that shows the
/// others.
pub(crate) fn dearest(page: &mut Page, findings: &[Finding], more: &str) {
    list(page, findings.get(..DEAREST).unwrap_or(findings));
    if let Some(left) = findings.len().checked_sub(DEAREST).filter(|left| *left > 0) {
        page.hint(format!("{} not shown:", units::count(left as u64, "cheaper finding")), more);
    }
}

/// All findings, each with what to do.
pub(crate) fn all(page: &mut Page, findings: &[Finding]) {
    list(page, findings);
}

fn list(page: &mut Page, findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    page.heading("What costs time here, the dearest first");
    let leads: Vec<String> = findings.iter().map(cost).collect();
    let width = leads.iter().map(|lead| lead.chars().count()).max().unwrap_or(0);
    for (finding, lead) in findings.iter().zip(leads) {
        page.item(format!("{lead:>width$}"), finding.evidence.to_string());
        if let Some(advice) = &finding.advice {
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
