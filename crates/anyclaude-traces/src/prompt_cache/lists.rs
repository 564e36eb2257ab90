//! Distinct lists of system blocks or tools.

use std::sync::Arc;

use super::ids::{ElementId, ListId};
use crate::model::intern::FastMap;

/// Distinct lists of elements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    lists: Vec<List>,
    ids: FastMap<Arc<[ElementId]>, ListId>,
}

#[derive(Debug, Clone)]
struct List {
    elements: Arc<[ElementId]>,
    /// The bytes of the elements up to and with each.
    bytes: Box<[u64]>,
}

impl Lists {
    pub(crate) fn intern(&mut self, elements: Vec<ElementId>, bytes_of: impl Fn(ElementId) -> u64) -> ListId {
        if let Some(id) = self.ids.get(elements.as_slice()) {
            return *id;
        }
        let id = ListId(u32::try_from(self.lists.len()).unwrap_or(u32::MAX));
        let elements: Arc<[ElementId]> = elements.into();
        let sums = elements.iter().scan(0, |sum, element| {
            *sum += bytes_of(*element);
            Some(*sum)
        });
        self.lists.push(List { bytes: sums.collect(), elements: elements.clone() });
        self.ids.insert(elements, id);
        id
    }

    pub(crate) fn elements(&self, list: ListId) -> &[ElementId] {
        self.lists.get(list.0 as usize).map(|list| &*list.elements).unwrap_or_default()
    }

    /// The bytes of the first `n` elements.
    pub(crate) fn bytes_of(&self, list: ListId, n: usize) -> u64 {
        let sums = self.lists.get(list.0 as usize).map(|list| &*list.bytes).unwrap_or_default();
        n.checked_sub(1).and_then(|last| sums.get(last)).copied().unwrap_or(0)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = ListId> + use<> {
        (0..u32::try_from(self.lists.len()).unwrap_or(u32::MAX)).map(ListId)
    }

    /// The bytes of all elements.
    pub(crate) fn bytes(&self, list: ListId) -> u64 {
        self.bytes_of(list, self.elements(list).len())
    }
}
