//! Sessions built by rule: each step breaks the prefix in one known way.

use anyclaude_traces::analysis::prefix::{Cause, Order, View};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::naive::{self, Element};
use crate::{Asked, ORDERS, Setup, causes, found, reported};

/// What happens before the next request.
#[derive(Debug, Clone)]
enum Step {
    Append,
    /// Back to a turn, which is put in other words.
    EditTurn(prop::sample::Index),
    /// A turn in other words, and all that followed.
    RewriteTurn(prop::sample::Index),
    InsertSystemMessage(prop::sample::Index),
    ChangeTool(prop::sample::Index),
    RemoveTool(prop::sample::Index),
    AddTool,
    ChangeHeader,
    ChangeDate,
    ChangeSystem,
    /// All but so many of the last messages become a summary.
    Compact(usize),
    /// On from where the session stood some requests ago, in all respects.
    Resume(prop::sample::Index),
    Background,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        5 => Just(Step::Append),
        1 => index().prop_map(Step::EditTurn),
        1 => index().prop_map(Step::RewriteTurn),
        1 => index().prop_map(Step::InsertSystemMessage),
        1 => index().prop_map(Step::ChangeTool),
        1 => index().prop_map(Step::RemoveTool),
        1 => Just(Step::AddTool),
        1 => Just(Step::ChangeHeader),
        1 => Just(Step::ChangeDate),
        1 => Just(Step::ChangeSystem),
        1 => (4..6_usize).prop_map(Step::Compact),
        2 => index().prop_map(Step::Resume),
        3 => Just(Step::Background),
    ]
}

/// A session as its client keeps it.
#[derive(Clone)]
struct Session {
    header: u32,
    day: u32,
    rule: String,
    tools: Vec<(String, u32)>,
    messages: Vec<(&'static str, String)>,
    /// Makes every text another.
    words: u32,
    /// What it was at each request.
    past: Vec<Session>,
}

impl Session {
    fn new() -> Self {
        let tools = ["Bash", "Glob", "Read", "mcp__birds__count"].map(|name| (name.to_owned(), 0));
        let mut session = Self {
            header: 1,
            day: 10,
            rule: "Count birds.".to_owned(),
            tools: tools.into(),
            messages: Vec::new(),
            words: 0,
            past: Vec::new(),
        };
        session.say("user");
        session
    }

    fn text(&mut self) -> String {
        self.words += 1;
        format!("{} herons stood in the water at dusk", ["One", "Two", "Many", "No"][self.words as usize % 4])
            .repeat(3)
            + &format!(" ({})", "I".repeat(self.words as usize))
    }

    fn say(&mut self, role: &'static str) {
        let text = self.text();
        self.messages.push((role, text));
    }

    fn turn(&mut self) {
        self.say("assistant");
        self.say("user");
    }

    /// The user's turns.
    fn turns(&self) -> Vec<usize> {
        (0..self.messages.len()).filter(|at| self.messages[*at].0 == "user").collect()
    }

    /// Takes a step, and says what it breaks, where the cache still holds what was
    /// sent before.
    fn take(&mut self, step: &Step) -> Option<Cause> {
        match step {
            Step::Append => {
                self.turn();
                None
            }
            Step::EditTurn(index) => {
                let mut later = self.turns();
                later.retain(|turn| is_answered(&self.messages[..*turn]));
                if later.is_empty() {
                    return self.take(&Step::Append);
                }
                let turn = *index.get(&later);
                self.messages.truncate(turn);
                self.say("user");
                Some(Cause::HistoryEdited)
            }
            Step::RewriteTurn(index) => {
                let turn = *index.get(&self.turns());
                self.turn();
                self.messages[turn].1 = self.text();
                Some(Cause::HistoryEdited)
            }
            Step::InsertSystemMessage(index) => {
                let at = index.index(self.messages.len());
                let text = self.text();
                self.messages.insert(at, ("system", text));
                self.turn();
                Some(Cause::SystemMessageInserted)
            }
            Step::ChangeTool(index) => {
                let tool = index.index(self.tools.len());
                self.words += 1;
                self.tools[tool].1 = self.words;
                self.turn();
                Some(Cause::ToolsChanged)
            }
            Step::RemoveTool(index) if self.tools.len() > 1 => {
                let tool = index.index(self.tools.len());
                self.tools.remove(tool);
                self.turn();
                Some(Cause::ToolsChanged)
            }
            Step::AddTool | Step::RemoveTool(_) => {
                self.words += 1;
                self.tools.push((format!("Tool{}", self.words), 0));
                self.turn();
                Some(Cause::ToolsChanged)
            }
            Step::ChangeHeader => {
                self.header += 1;
                self.turn();
                Some(Cause::BillingHeader)
            }
            Step::ChangeDate => {
                self.day += 1;
                self.turn();
                Some(Cause::DateChanged)
            }
            Step::ChangeSystem => {
                self.rule = self.text();
                self.turn();
                Some(Cause::SystemChanged)
            }
            Step::Compact(keep) => {
                let sent = self.messages.len();
                self.turn();
                let kept = self.messages.len().saturating_sub(*keep);
                // A summary stands in place of answers, and one that was sent before
                // follows it: else it is another turn, or another conversation.
                let (heard, follows) = self.messages[..sent].split_at(kept.min(sent));
                if !is_answered(heard) || !is_answered(follows) {
                    return None;
                }
                let summary = ("user", self.text());
                self.messages.splice(..kept, [summary]);
                Some(Cause::Compacted)
            }
            Step::Resume(index) if !self.past.is_empty() => {
                let (words, past) = (self.words, std::mem::take(&mut self.past));
                *self = Self { words, ..index.get(&past).clone() };
                self.past = past;
                self.turn();
                None
            }
            Step::Resume(_) => self.take(&Step::Append),
            Step::Background => Some(Cause::OtherConversation),
        }
    }

    fn body(&mut self, step: &Step) -> Value {
        let id = "11111111-1111-4111-8111-111111111111";
        let metadata = json!({ "user_id": format!("user_a_account_b_session_{id}") });
        if matches!(step, Step::Background) {
            let about = self.text();
            return json!({ "model": "m", "system": "Name the topic.", "metadata": metadata,
                "messages": [{ "role": "user", "content": about }] });
        }
        let system = [
            format!("x-anthropic-billing-header: cc_version=2; cch={:05x};", self.header * 7919),
            format!("{}\nToday is 2025-11-{}.\nAnswer in one word.", self.rule, self.day),
        ];
        let tools: Vec<Value> = self
            .tools
            .iter()
            .map(|(name, version)| json!({ "name": name, "description": "Does it. ".repeat(30) + &"!".repeat(*version as usize) }))
            .collect();
        self.past.push(Self { past: Vec::new(), ..self.clone() });
        // As the client does: now a string, now a block that is marked.
        let last = self.messages.len() - 1;
        let message = |(at, (role, text)): (usize, &(&str, String))| {
            let marked = json!([{ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } }]);
            json!({ "role": role, "content": if at == last { marked } else { json!(text) } })
        };
        let messages: Vec<Value> = self.messages.iter().enumerate().map(message).collect();
        let system = system.map(|text| json!({ "type": "text", "text": text }));
        json!({ "model": "m", "system": system, "tools": tools, "messages": messages, "metadata": metadata })
    }
}

/// Whether an answer stands among messages: by answers a conversation is known.
fn is_answered(messages: &[(&str, String)]) -> bool {
    messages.iter().any(|(role, _)| *role == "assistant")
}

/// Requests, and what each breaks by rule.
fn built(steps: &[Step]) -> (Vec<Asked>, Vec<Option<Cause>>) {
    let mut session = Session::new();
    let (mut asked, mut rules) = (Vec::new(), Vec::new());
    for step in std::iter::once(&Step::Append).chain(steps) {
        rules.push(session.take(step));
        asked.push(Asked { body: session.body(step), total_ms: 0 });
    }
    (asked, rules)
}

/// The cause of each break, by the rule of its step and by what a cache of so many
/// slots still holds.
fn expected(
    asked: &[Asked],
    rules: &[Option<Cause>],
    steps: &[Step],
    order: Order,
    slots: usize,
    found: &[Option<Cause>],
) -> Vec<Option<Cause>> {
    let sequences: Vec<Vec<Element>> =
        asked.iter().map(|one| naive::sequence(&one.body, order, View::sent())).collect();
    let is_talk = |at: usize| asked[at].body["tools"].is_array();
    let (simulated, took) = naive::run(asked, Setup::new(order, slots));
    // Whether a request on the side was among those that took the slot of a request.
    let is_evicted = |victim: usize, at: usize| {
        let taker = |victim: &usize| took.iter().position(|taken| *taken == Some(*victim));
        std::iter::successors(Some(victim), taker)
            .skip(1)
            .take_while(|taker| *taker < at)
            .any(|at| !is_talk(at))
    };
    let cause = |(at, step): (usize, &crate::Expected)| {
        step.broke.as_ref()?;
        if at == 0 {
            return Some(Cause::FirstRequest);
        }
        if !is_talk(at) {
            return Some(Cause::OtherConversation);
        }
        let gives = |earlier: usize| {
            let shares = naive::shared(&sequences[at], &sequences[earlier], order);
            if shares.is_header { shares.whole_bytes } else { shares.bytes() }
        };
        let talks = || (0..at).filter(|earlier| is_talk(*earlier));
        let most = talks().map(gives).max().unwrap_or(0);
        let lost_something = most * 10 >= step.prompt_bytes && most > step.reusable_bytes;
        // After a step back another sequence may be the nearest: the rule of the
        // step is no rule for the difference from that.
        let previous = talks().next_back();
        let is_resumed = matches!(steps[at - 1], Step::Resume(_));
        let by_rule = if step.reused_from == previous && !is_resumed { rules[at] } else { found[at] };
        if !lost_something {
            return by_rule;
        }
        // Of those that would have given most, each may have been evicted or not.
        let evicted: Vec<bool> = talks()
            .filter(|earlier| gives(*earlier) == most)
            .map(|earlier| is_evicted(earlier, at))
            .collect();
        match (evicted.contains(&true), evicted.contains(&false)) {
            (true, false) => Some(Cause::Evicted),
            (false, _) => found[at].filter(|cause| *cause != Cause::Evicted),
            _ => found[at],
        }
    };
    simulated.iter().enumerate().map(cause).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_break_is_named_by_what_was_done(steps in prop::collection::vec(step(), 1..24)) {
        let (asked, rules) = built(&steps);
        for order in ORDERS {
            for slots in [1, 2, 4] {
                let report = reported(&asked, Setup::new(order, slots));
                let causes = causes(&report);
                let expected = expected(&asked, &rules, &steps, order, slots, &causes);
                prop_assert_eq!(causes, expected, "{:?} {}\n{:?}", order, slots, steps);
                naive::check(&asked, Setup::new(order, slots), found(&report));
            }
        }
    }
}
