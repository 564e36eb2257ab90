//! Ids of accounts and sessions: shown whole only where they are asked for.

/// Stands for ids that are not shown.
pub(crate) const HIDDEN: &str = "(ids are shown with --ids)";

/// Whether ids are shown whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids(pub(crate) bool);

impl Ids {
    /// A session or thread: the first eight digits of its id, which are enough to name it.
    pub(crate) fn session(self, id: &str) -> String {
        let (uuid, rest) = id.split_at_checked(UUID_LENGTH).unwrap_or((id, ""));
        if self.0 || !is_uuid(uuid) {
            return id.to_owned();
        }
        format!("{}{rest}", uuid.get(..SHORT_LENGTH).unwrap_or(uuid))
    }

    /// The value of a body's member, unless it tells who sent it.
    pub(crate) fn parameter(self, name: &str, value: String) -> String {
        let tells_who = matches!(name, "metadata" | "user" | "safety_identifier" | "prompt_cache_key");
        if self.0 || !tells_who || value == "(none)" { value } else { HIDDEN.to_owned() }
    }
}

const UUID_LENGTH: usize = 36;
const SHORT_LENGTH: usize = 8;

fn is_uuid(id: &str) -> bool {
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| if is_dash(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    id.len() == UUID_LENGTH && id.bytes().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_whole_only_where_they_are_asked_for() {
        let id = "dec75059-d079-52c6-bc5b-3fc61824d537";
        assert_eq!(Ids(false).session(id), "dec75059");
        assert_eq!(Ids(false).session(&format!("{id}#2")), "dec75059#2");
        assert_eq!(Ids(true).session(id), id);
        for other in ["", "2025-11-16T03:40", "é-not-an-id-but-as-long-as-one-is-ok"] {
            assert_eq!(Ids(false).session(other), other);
        }
        assert_eq!(Ids(false).parameter("metadata", "{}".to_owned()), HIDDEN);
        assert_eq!(Ids(false).parameter("stream", "true".to_owned()), "true");
        assert_eq!(Ids(true).parameter("metadata", "{}".to_owned()), "{}");
    }
}
