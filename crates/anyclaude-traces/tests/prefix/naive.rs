//! The definition once more, over `serde_json` values and whole texts: no tree,
//! no hash, every slot compared element by element.

use anyclaude_traces::analysis::prefix::{Order, View};
use serde_json::{Value, json};

use crate::{Asked, Expected, Setup, written};

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
        let same_role = self.part == other.part && self.role == other.role;
        let both_text = same_role && self.part != "tools" && self.kind == "text" && other.kind == "text";
        let one_tool = self.part == "tools" && other.part == "tools" && self.name == other.name;
        let common = self.text.bytes().zip(other.text.bytes()).take_while(|(a, b)| a == b).count();
        if both_text || one_tool { common as u64 } else { 0 }
    }

    fn before_text(&self) -> u64 {
        let is_text = self.part != "tools" && self.kind == "text";
        let begins = self.text.find(r#""text":""#).map_or(0, |at| at + r#""text":""#.len());
        if is_text { begins as u64 } else { 0 }
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
    let named = |part: &'static str, items: &[Value]| -> Vec<Element> {
        let element = |(at, item): (usize, &Value)| Element::of(part, "", item, format!("{part}[{at}]"));
        items.iter().enumerate().map(element).collect()
    };
    let (mut system, mut tools) =
        (named("system", &items(&body["system"])), named("tools", &items(&body["tools"])));
    if view.no_header {
        system.retain(|block| !block.is_header());
    }
    if view.sorted {
        tools.sort_by_key(|tool| tool.name.to_lowercase());
    }
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
            let element = Element::of("messages", role, item, format!("messages[{at}].content[{block}]"));
            let is_left_out = element.kind == "thinking" || (element.kind == "image" && role == "user");
            if !(view.text_only && is_left_out) {
                all.push(element);
            }
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
    /// The JSON in front of the text that they are of.
    before_text: u64,
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
            // Behind the last of this part in what was sent.
            let in_part = now[..n].iter().filter(|element| element.part == right.part);
            let index = |element: &Element| {
                element.place[right.part.len() + 1..].trim_end_matches(']').parse::<usize>()
            };
            let next = in_part.map(|element| index(element).unwrap() + 1).max().unwrap_or(0);
            format!("{}[{next}]", right.part)
        }
        (Some(left), _) => left.place.clone(),
        (None, _) => String::new(),
    };
    Shared {
        whole_bytes: bytes(&now[..n]),
        common_bytes,
        before_text: left.map_or(0, Element::before_text),
        is_all_of_one: left.is_none() || right.is_none(),
        is_header: [left, right].iter().all(|side| side.is_some_and(Element::is_header)),
        place,
    }
}

impl Shared {
    pub(crate) fn bytes(&self) -> u64 {
        self.whole_bytes + self.common_bytes.saturating_sub(self.before_text)
    }
}

#[derive(Clone, Copy)]
struct Slot {
    holds: Option<usize>,
    free: i64,
    taken: usize,
}

/// The slots of one model, and what main memory holds.
struct Cache {
    model: String,
    slots: Vec<Slot>,
    in_ram: Vec<usize>,
}

/// What a cache gives every request.
pub(crate) fn simulated(asked: &[Asked], setup: Setup) -> Vec<Expected> {
    run(asked, setup).0
}

/// Also, for every request, the one whose slot it took.
pub(crate) fn run(asked: &[Asked], setup: Setup) -> (Vec<Expected>, Vec<Option<usize>>) {
    let sequences: Vec<Vec<Element>> =
        asked.iter().map(|one| sequence(&one.body, setup.order, setup.view)).collect();
    let mut caches: Vec<Cache> = Vec::new();
    let mut last_model = None;
    let (mut expected, mut took) = (Vec::new(), Vec::new());
    for (at, now) in sequences.iter().enumerate() {
        let model = asked[at].body["model"].to_string();
        if setup.local && last_model.replace(model.clone()).is_some_and(|last| last != model) {
            caches.clear();
        }
        if !caches.iter().any(|cache| cache.model == model) {
            let slots = vec![Slot { holds: None, free: i64::MIN, taken: 0 }; setup.slots];
            caches.push(Cache { model: model.clone(), slots, in_ram: Vec::new() });
        }
        let cache = caches.iter_mut().find(|cache| cache.model == model).unwrap();
        let prompt_bytes = bytes(now);
        let is_enough = |gives: u64| gives * 10 >= prompt_bytes;
        let start = Asked::start_ms(at);
        let first_free = cache.slots.iter().map(|slot| slot.free).min().unwrap();
        let first = cache.slots.iter().position(|slot| slot.free == first_free).unwrap();
        let idle: Vec<usize> = (0..setup.slots).filter(|slot| cache.slots[*slot].free <= start).collect();
        let idle = if idle.is_empty() { vec![first] } else { idle };
        let with = |other: usize| {
            let shares = shared(now, &sequences[other], setup.order);
            (shares.bytes(), shares.is_all_of_one)
        };
        let held = |slot: &usize| cache.slots[*slot].holds.map(with);
        let key = |slot: &usize| (held(slot), cache.slots[*slot].taken);
        let nearest = idle.iter().copied().max_by_key(key).unwrap();
        let slot = match held(&nearest) {
            Some((gives, _)) if is_enough(gives) => nearest,
            _ => {
                idle.into_iter().min_by_key(|slot| (held(slot).is_some(), cache.slots[*slot].taken)).unwrap()
            }
        };
        let mut best = cache.slots[nearest].holds;
        if let Some(leaves) = cache.slots[slot].holds.filter(|_| setup.ram) {
            if with(leaves).0 * 2 < bytes(&sequences[leaves]) {
                cache.in_ram.push(leaves);
            }
            for other in &cache.in_ram {
                if best.is_none_or(|best| with(*other) > with(best)) {
                    best = Some(*other);
                }
            }
        }
        let shares = best.map(|best| shared(now, &sequences[best], setup.order));
        let reusable_bytes = shares.as_ref().map_or(0, Shared::bytes);
        let is_reused = best.is_some() && is_enough(reusable_bytes);
        let broke = match &shares {
            Some(shares) if shares.is_all_of_one && is_reused => None,
            Some(shares) => Some((shares.place.clone(), shares.common_bytes)),
            None => now.first().map(|first| (first.place.clone(), 0)),
        };
        let reusable_bytes = if is_reused { reusable_bytes } else { 0 };
        expected.push(Expected {
            prompt_bytes,
            reusable_bytes,
            reused_from: best.filter(|_| reusable_bytes > 0),
            broke,
        });
        took.push(cache.slots[slot].holds.filter(|_| prompt_bytes > 0));
        if prompt_bytes > 0 {
            let end = start + asked[at].total_ms as i64;
            cache.slots[slot] = Slot { holds: Some(at), free: end, taken: at + 1 };
        }
    }
    (expected, took)
}

/// Holds what was found against a naive simulation.
///
/// Two things are open in the definition: which of several prompts that give as much is
/// reused, and against which of them a break is named: the one that was held, or one
/// of the conversation's own.
pub(crate) fn check(asked: &[Asked], setup: Setup, found: Vec<Expected>) {
    let sequences: Vec<Vec<Element>> =
        asked.iter().map(|one| sequence(&one.body, setup.order, setup.view)).collect();
    let expected = simulated(asked, setup);
    assert_eq!(found.len(), expected.len());
    for (at, (mut found, expected)) in found.into_iter().zip(expected).enumerate() {
        let gives = |earlier: usize| shared(&sequences[at], &sequences[earlier], setup.order);
        if let (Some(one), Some(other)) = (found.reused_from, expected.reused_from)
            && setup.ram
        {
            assert_eq!(gives(one).bytes(), gives(other).bytes(), "{at} {setup:?}");
            found.reused_from = expected.reused_from;
        }
        // Of prompts in main memory that give as much, one may be without messages, and wholly
        // the beginning: that one is not looked for.
        if found.broke.is_some() && (expected.broke.is_some() || setup.ram) {
            let is_named = |earlier: usize| {
                let shares = gives(earlier);
                shares.bytes() >= found.reusable_bytes
                    && found.broke.as_ref().is_some_and(|broke| *broke == (shares.place, shares.common_bytes))
            };
            if (0..at).any(is_named) {
                found.broke = expected.broke.clone();
            }
        }
        assert_eq!(found, expected, "{at} {setup:?}");
    }
}
