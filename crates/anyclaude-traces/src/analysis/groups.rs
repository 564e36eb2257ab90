//! Requests → groups of them, with how their measures are spread, where their time went,
//! and how fast their model is.

use std::collections::HashMap;
use std::sync::Arc;

use crate::both::{WORTH_A_THREAD, both_of_many};
use crate::cost;
use crate::model::group::{Group, GroupOrder, Grouping, group_by};
use crate::model::measure::Measure;
use crate::model::request::Request;
use crate::model::stats::Stats;
use crate::model::timing::Outcome;

impl Grouping {
    /// The groups of these requests, with the spread of these measures. `others` are
    /// the requests of other kinds in the same time, which take part in speeds only.
    #[must_use]
    pub fn groups(&self, requests: &[&Request], others: &[&Request], measures: &[Measure]) -> Vec<Group> {
        let mut others: HashMap<_, Vec<&Request>> = group_by(others, &self.key).into_iter().collect();
        let group = |(name, members): (Option<Arc<str>>, Vec<&Request>)| {
            let mut of_all_kinds = others.remove(&name).unwrap_or_default();
            of_all_kinds.extend(&members);
            group(name, &members, of_all_kinds, measures)
        };
        let mut groups: Vec<Group> = group_by(requests, &self.key).into_iter().map(group).collect();
        match self.order {
            GroupOrder::EarliestFirst => {}
            GroupOrder::MostRequestsFirst => {
                groups.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.name.cmp(&b.name)));
            }
            GroupOrder::ByName => {
                groups.sort_by(|a, b| (a.name.is_none(), &a.name).cmp(&(b.name.is_none(), &b.name)));
            }
        }
        groups
    }
}

fn group(
    name: Option<Arc<str>>,
    requests: &[&Request],
    of_all_kinds: Vec<&Request>,
    measures: &[Measure],
) -> Group {
    let spread = |measure: Measure| Stats::of(requests.iter().filter_map(|request| measure.of(request)));
    let spreads = || measures.iter().map(|&measure| (measure, spread(measure))).collect();
    let is_answered = |request: &&Request| {
        let outcome = request.timing.as_deref().and_then(|timing| timing.outcome);
        outcome.is_none_or(Outcome::is_answered)
    };
    let answered = || {
        let answered = requests.iter().copied().filter(is_answered);
        Stats::of(answered.filter_map(|request| Measure::WallMs.of(request)))
    };
    let distributions = || (answered(), spreads());
    let times = || (cost::breakdown(requests.iter().copied()), cost::speeds(of_all_kinds));
    let is_many = requests.len() >= WORTH_A_THREAD;
    let ((answered_wall_ms, measures), (time, speeds)) = both_of_many(is_many, distributions, times);
    Group { name, requests: requests.len() as u64, time, speeds, answered_wall_ms, measures }
}
