//! The prompts of all records by their files, each path once.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::ids::ListId;
use super::tree::Node;
use crate::model::Identity;
use crate::model::intern::NameHashing;
use crate::model::request::TracePath;

/// A prompt: which system blocks, which tools, which history.
#[derive(Debug, Clone)]
pub(crate) struct PromptParts {
    pub(crate) system: ListId,
    pub(crate) tools: ListId,
    pub(crate) messages: Node,
    /// Message and block of every element of the history, where these are not as
    /// in the tree: there the same words were cut into other messages.
    pub(crate) places: Option<Box<[(u32, u32)]>>,
    pub(crate) opening: Option<Identity>,
    /// Whether it opens with the summary of an earlier conversation.
    pub(crate) is_continuation: bool,
}

/// The prompts of all records, numbered in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct RecordedPrompts {
    prompts: Vec<(TracePath, Option<PromptParts>)>,
    /// The numbers alone: a map with a path and a prompt in each of its places took twice as much.
    numbers: HashTable<u32>,
    hashing: NameHashing,
}

impl RecordedPrompts {
    pub(super) fn is_empty(&self) -> bool {
        self.prompts.is_empty()
    }

    pub(super) fn shrink(&mut self) {
        self.prompts.shrink_to_fit();
    }

    /// The number of a record, which has one from now on.
    pub(super) fn number_of(&mut self, path: &TracePath) -> u32 {
        let Self { prompts, numbers, hashing } = self;
        let next = u32::try_from(prompts.len()).unwrap_or(u32::MAX);
        let known = |number: &u32| prompts.get(*number as usize).map(|(path, _)| path);
        let rehash = |number: &u32| known(number).map_or(0, |path| hashing.hash_one(path));
        let number = numbers.entry(hashing.hash_one(path), |number| known(number) == Some(path), rehash);
        let number = *number.or_insert(next).get();
        if number == next {
            prompts.push((path.clone(), None));
        }
        number
    }

    /// Sets the prompt of a record. One that was read again has the newer prompt.
    pub(super) fn set(&mut self, number: u32, parts: PromptParts) {
        if let Some((_, prompt)) = self.prompts.get_mut(number as usize) {
            *prompt = Some(parts);
        }
    }

    pub(super) fn get(&self, path: &TracePath) -> Option<&PromptParts> {
        let is_it = |number: &u32| self.path(*number) == Some(path);
        let number = self.numbers.find(self.hashing.hash_one(path), is_it)?;
        self.prompts.get(*number as usize)?.1.as_ref()
    }

    pub(super) fn path(&self, number: u32) -> Option<&TracePath> {
        self.prompts.get(number as usize).map(|(path, _)| path)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::prompt_cache::tree::Tree;

    fn parts(system: u32) -> PromptParts {
        PromptParts {
            system: ListId(system),
            tools: ListId(0),
            messages: Tree::ROOT,
            places: None,
            opening: None,
            is_continuation: false,
        }
    }

    #[test]
    fn a_record_keeps_its_number_and_has_its_newest_prompt() {
        let path = |at: u32| TracePath::of_record(Path::new("traces/a.jsonl"), at);
        let mut recorded = RecordedPrompts::default();
        for round in 0..2 {
            for at in 0..1000 {
                assert_eq!(recorded.number_of(&path(at)), at);
                recorded.set(at, parts(at + round));
                assert_eq!(recorded.path(at), Some(&path(at)));
            }
        }
        for at in 0..1000 {
            assert_eq!(recorded.get(&path(at)).map(|parts| parts.system), Some(ListId(at + 1)));
        }
        assert!(recorded.get(&path(1000)).is_none() && !recorded.is_empty());
    }
}
