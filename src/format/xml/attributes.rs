//! The attributes of a start tag, one after the other, with where they stand.

use std::ops::Range;

use super::input::is_blank;
use super::markup::is_name;

/// One attribute; ranges count from the start of the tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    /// With the white space before it.
    pub whole: Range<usize>,
    pub name: Range<usize>,
    /// Without the quotes.
    pub value: Range<usize>,
}

/// What is no attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken {
    /// Where, counted from the start of the tag.
    pub at: usize,
    /// A clause.
    pub what: &'static str,
}

/// Goes through a tag; ends after the first [`Broken`].
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    /// What stands between `<` and `>` or `/>`.
    tag: &'a [u8],
    at: usize,
}

impl<'a> Attributes<'a> {
    /// Of a tag, given without its brackets, whose name has this length.
    pub fn new(tag: &'a [u8], name_length: usize) -> Self {
        Self { tag, at: name_length }
    }

    fn pass(&mut self, wanted: impl Fn(u8) -> bool) -> Range<usize> {
        let from = self.at;
        let rest = &self.tag[from..];
        self.at += rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
        from..self.at
    }

    fn read(&mut self) -> Result<Option<Attribute>, Broken> {
        let broken = |at, what| Err(Broken { at, what });
        let blanks = self.pass(is_blank);
        if self.at == self.tag.len() {
            return Ok(None);
        }
        if blanks.is_empty() {
            return broken(
                self.at,
                "text stands right behind an attribute's value: is a quote missing?",
            );
        }
        let name = self.pass(|byte| !is_blank(byte) && byte != b'=');
        if !is_name(&self.tag[name.clone()]) {
            return broken(name.start, "the name of an attribute was expected");
        }
        self.pass(is_blank);
        if self.tag.get(self.at) != Some(&b'=') {
            return broken(name.start, "an attribute has no value");
        }
        self.at += 1;
        self.pass(is_blank);
        let Some(&quote @ (b'"' | b'\'')) = self.tag.get(self.at) else {
            return broken(self.at, "the value of an attribute is not in quotes");
        };
        self.at += 1;
        let value = self.pass(|byte| byte != quote);
        if self.at == self.tag.len() {
            return broken(value.start - 1, "the value of an attribute is not closed");
        }
        self.at += 1;
        Ok(Some(Attribute {
            whole: blanks.start..self.at,
            name,
            value,
        }))
    }
}

impl Iterator for Attributes<'_> {
    type Item = Result<Attribute, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.at = self.tag.len();
        }
        read.transpose()
    }
}
