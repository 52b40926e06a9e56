//! A regular expression of a definition, checked when the definition was read.

/// A checked regular expression. Two are equal when they are written alike.
#[derive(Debug, Clone)]
pub struct TextPattern(pub regex::Regex);

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for TextPattern {}
