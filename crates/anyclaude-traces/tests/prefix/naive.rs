//! The definition once more, over `serde_json` values and whole texts: no tree,
//! no hash, every slot compared element by element.

use anyclaude_traces::analysis::prefix::{Order, View};
use serde_json::{Value, json};

use crate::{Asked, Expected, written};

/// An element: its text is its compact JSON without `cache_control`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Element {
    part: &'static str,
    role: String,
    pub(crate) text: String,
    kind: String,
    name: String,
    place: String,
}

impl Element {
    fn of(part: &'static str, role: &str, value: &Value, place: String) -> Self {
        let mut value = match value {
            Value::String(text) => json!({ "type": "text", "text": text }),
            other => other.clone(),
        };
        if let Some(object) = value.as_object_mut() {
            object.remove("cache_control");
        }
        let member = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Self {
            part,
            role: role.to_owned(),
            text: written(&value),
            kind: member("type"),
            name: member("name"),
            place,
        }
    }

    fn equals(&self, other: &Self) -> bool {
        self.part == other.part && self.role == other.role && self.text == other.text
    }

    fn common_bytes(&self, other: &Self) -> u64 {
        let both_text =
            self.part != "tools" && other.part != "tools" && self.kind == "text" && other.kind == "text";
        let one_tool = self.part == "tools" && other.part == "tools" && self.name == other.name;
        let common = self.text.bytes().zip(other.text.bytes()).take_while(|(a, b)| a == b).count();
        if both_text || one_tool { common as u64 } else { 0 }
    }

    pub(crate) fn is_header(&self) -> bool {
        self.part == "system" && self.text.contains(r#""text":"x-anthropic-billing-header"#)
    }
}

/// The prompt as one sequence.
pub(crate) fn sequence(body: &Value, order: Order, view: View) -> Vec<Element> {
    let items = |value: &Value| -> Vec<Value> {
        match value {
            Value::Array(items) => items.clone(),
            Value::String(text) if !text.is_empty() => vec![value.clone()],
            _ => Vec::new(),
        }
    };
    let (mut blocks, mut tools) = (items(&body["system"]), items(&body["tools"]));
    if view == View::Proxied {
        blocks.retain(|block| !Element::of("system", "", block, String::new()).is_header());
        tools.sort_by_key(|tool| tool["name"].as_str().unwrap_or_default().to_lowercase());
    }
    let named = |part: &'static str, items: &[Value]| -> Vec<Element> {
        let element = |(at, item): (usize, &Value)| Element::of(part, "", item, format!("{part}[{at}]"));
        items.iter().enumerate().map(element).collect()
    };
    let (system, tools) = (named("system", &blocks), named("tools", &tools));
    let mut all = match order {
        Order::SystemFirst => [system, tools].concat(),
        Order::ToolsFirst => [tools, system].concat(),
    };
    for (at, message) in body["messages"].as_array().into_iter().flatten().enumerate() {
        let content = match &message["content"] {
            Value::String(_) => vec![message["content"].clone()],
            other => items(other),
        };
        let role = message["role"].as_str().unwrap_or("(none)");
        for (block, item) in content.iter().enumerate() {
            all.push(Element::of("messages", role, item, format!("messages[{at}].content[{block}]")));
        }
    }
    all
}

fn bytes(elements: &[Element]) -> u64 {
    elements.iter().map(|element| element.text.len() as u64).sum()
}

/// What one sequence shares with another.
pub(crate) struct Shared {
    pub(crate) whole_bytes: u64,
    pub(crate) common_bytes: u64,
    pub(crate) is_all_of_one: bool,
    pub(crate) is_header: bool,
    place: String,
}

pub(crate) fn shared(now: &[Element], was: &[Element], order: Order) -> Shared {
    let n = now.iter().zip(was).take_while(|(a, b)| a.equals(b)).count();
    let (left, right) = (now.get(n), was.get(n));
    let common_bytes = left.zip(right).map_or(0, |(left, right)| left.common_bytes(right));
    let parts = match order {
        Order::SystemFirst => ["system", "tools", "messages"],
        Order::ToolsFirst => ["tools", "system", "messages"],
    };
    // The part that ended on one side only; its index is how far both went.
    let rank = |element: &Element| parts.iter().position(|part| *part == element.part).unwrap();
    let place = match (left, right) {
        (Some(left), Some(right)) if rank(right) < rank(left) => {
            let in_part = now[..n].iter().filter(|element| element.part == right.part).count();
            format!("{}[{in_part}]", right.part)
        }
        (Some(left), _) => left.place.clone(),
        (None, _) => String::new(),
    };
    Shared {
        whole_bytes: bytes(&now[..n]),
        common_bytes,
        is_all_of_one: left.is_none() || right.is_none(),
        is_header: [left, right].iter().all(|side| side.is_some_and(Element::is_header)),
        place,
    }
}

impl Shared {
    pub(crate) fn bytes(&self) -> u64 {
        self.whole_bytes + self.common_bytes
    }
}

/// What a cache of so many slots for each model gives every request.
pub(crate) fn simulated(asked: &[Asked], order: Order, view: View, slots: usize) -> Vec<Expected> {
    let sequences: Vec<Vec<Element>> = asked.iter().map(|one| sequence(&one.body, order, view)).collect();
    let mut caches: Vec<(String, Vec<usize>)> = Vec::new();
    let mut expected = Vec::new();
    for (at, now) in sequences.iter().enumerate() {
        let model = asked[at].body["model"].to_string();
        if !caches.iter().any(|(name, _)| *name == model) {
            caches.push((model.clone(), Vec::new()));
        }
        let held = &mut caches.iter_mut().find(|(name, _)| *name == model).unwrap().1;
        let mut best: Option<(usize, Shared)> = None;
        for (slot, holds) in held.iter().enumerate() {
            let shares = shared(now, &sequences[*holds], order);
            let is_better = best
                .as_ref()
                .is_none_or(|(other, best)| (shares.bytes(), *holds) > (best.bytes(), held[*other]));
            if is_better {
                best = Some((slot, shares));
            }
        }
        let prompt_bytes = bytes(now);
        let reusable_bytes = best.as_ref().map_or(0, |(_, shares)| shares.bytes());
        let broke = match &best {
            Some((_, shares)) if shares.is_all_of_one => None,
            Some((_, shares)) => Some((shares.place.clone(), shares.common_bytes)),
            None => now.first().map(|first| (first.place.clone(), 0)),
        };
        expected.push(Expected {
            prompt_bytes,
            reusable_bytes,
            reused_from: best.as_ref().filter(|_| reusable_bytes > 0).map(|(slot, _)| held[*slot]),
            broke,
        });
        if prompt_bytes == 0 {
            continue;
        }
        match best.filter(|_| reusable_bytes * 10 >= prompt_bytes) {
            Some((slot, _)) => held[slot] = at,
            None if held.len() < slots => held.push(at),
            None => {
                let oldest = (0..held.len()).min_by_key(|slot| held[*slot]).unwrap();
                held[oldest] = at;
            }
        }
    }
    expected
}
