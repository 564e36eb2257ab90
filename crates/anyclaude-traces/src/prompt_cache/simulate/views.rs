//! What a proxy may have made of the prompts: the views that a simulation tries, the likeliest
//! first.

use crate::model::request::Request;
use crate::prompt_cache::view::View;

/// From this day on anyclaude sorts tools: 2025-11-16, in Unix milliseconds.
pub(super) const SORTS_TOOLS_SINCE_MS: i64 = 1_763_251_200_000;

/// The mode of the versions of anyclaude that drop the billing header.
const DROPS_HEADER: &str = "local";

/// The mode in which requests go to Anthropic unchanged.
const CLAUDE: &str = "claude";

/// Which requests a view is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Views {
    /// All of them.
    All(View),
    /// Those that a proxy converted; the others are as they were sent.
    Local(View),
}

impl Views {
    pub(super) fn of(self, request: &Request) -> View {
        match self {
            Self::All(view) => view,
            Self::Local(view) if is_local(request) => view,
            Self::Local(_) => View::sent(),
        }
    }

    pub(super) fn printed(self, requests: &[&Request]) -> View {
        match self {
            Self::All(view) => view,
            Self::Local(_) => requests.iter().map(|request| self.of(request)).fold(View::sent(), View::and),
        }
    }
}

/// Whether a proxy converted the request for a local backend.
pub(super) fn is_local(request: &Request) -> bool {
    request.mode.as_deref().is_some_and(|mode| mode != CLAUDE)
}

/// What the backend may have got, the likeliest first. It never got thinking and images, and its
/// histories are cut as the log says. Whether tools were sorted and the header dropped, the mode
/// and the day of anyclaude's version suggest; where counts of cached tokens can decide, the other
/// combinations are tried too.
pub(super) fn views(requests: &[&Request], has_evidence: bool) -> Vec<Views> {
    let local = || requests.iter().filter(|request| is_local(request));
    let truncated = local().any(|request| first_message(request) > 0);
    let no_header = local().any(|request| request.mode.as_deref() == Some(DROPS_HEADER));
    let newest = local().filter_map(|request| request.timestamp).max();
    let sorted = newest.is_none_or(|newest| newest.unix_ms() >= SORTS_TOOLS_SINCE_MS);
    let base = View { text_only: true, truncated, sorted, no_header };
    let mut views = vec![Views::Local(base)];
    if has_evidence {
        for (sorted, no_header) in [(true, true), (true, false), (false, true), (false, false)] {
            let view = Views::Local(View { sorted, no_header, ..base });
            if !views.contains(&view) {
                views.push(view);
            }
        }
    }
    views
}

/// The index of the first message that the proxy did not cut off.
pub(super) fn first_message(request: &Request) -> u32 {
    let Some(facts) = request.log_facts() else { return 0 };
    let kept = facts.truncation.as_deref().and_then(|truncation| truncation.kept_messages);
    let cut = kept.and_then(|kept| Some(request.sizes.message_count.get()?.saturating_sub(kept)));
    let removed = || facts.truncation.as_deref().and_then(|truncation| truncation.removed_messages);
    let first = cut.or_else(removed).or_else(|| facts.messages_removed()).unwrap_or(0);
    u32::try_from(first).unwrap_or(u32::MAX)
}
