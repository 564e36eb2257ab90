//! JSON before it is written: what a file says, whatever its white space.

/// A value; scalars, strings and names stand here as they will in the file.
#[derive(Debug, Clone)]
pub(crate) enum Tree {
    Leaf(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// White space to put between any two tokens, over and over.
#[derive(Debug, Clone)]
pub(crate) struct Blanks(pub(crate) Vec<&'static str>);

impl Tree {
    pub(crate) fn leaf(text: impl Into<String>) -> Self {
        Self::Leaf(text.into())
    }

    /// A string of that text.
    pub(crate) fn text(text: &str) -> Self {
        Self::Leaf(serde_json::to_string(text).unwrap())
    }

    /// The value as text.
    pub(crate) fn write(&self, blanks: &Blanks) -> String {
        let mut blanks = blanks.0.iter().copied().cycle();
        let mut text = String::new();
        self.write_to(&mut text, &mut || blanks.next().unwrap_or_default());
        text
    }

    pub(crate) fn minified(&self) -> String {
        self.write(&Blanks(Vec::new()))
    }

    fn write_to(&self, text: &mut String, blank: &mut impl FnMut() -> &'static str) {
        text.push_str(blank());
        match self {
            Self::Leaf(leaf) => text.push_str(leaf),
            Self::Array(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    item.write_to(text, blank);
                }
                text.push_str(if items.is_empty() { blank() } else { "" });
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    text.push_str(&[blank(), key, blank(), ":"].concat());
                    value.write_to(text, blank);
                }
                text.push_str(if members.is_empty() { blank() } else { "" });
                text.push('}');
            }
        }
        text.push_str(blank());
    }
}
