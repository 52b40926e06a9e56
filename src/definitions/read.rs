//! TOML tables, read key by key: every mistake is kept with its line, and a key nobody asked for is one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::DefinitionError;
use crate::hints::{Lines, did_you_mean, one_of};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed<T> {
    pub value: T,
    pub span: Range<usize>,
}

impl<T> Placed<T> {
    /// The same place with another value.
    pub fn with<U>(&self, value: U) -> Placed<U> {
        Placed {
            value,
            span: self.span.clone(),
        }
    }
}

/// The mistakes found in one file.
#[derive(Debug)]
pub(crate) struct Findings {
    file: PathBuf,
    lines: Lines,
    errors: RefCell<Vec<DefinitionError>>,
}

impl Findings {
    /// Nothing found yet.
    pub fn new(file: &Path, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            lines: Lines::of(text),
            errors: RefCell::default(),
        }
    }

    /// Notes a mistake.
    pub fn at(&self, span: &Range<usize>, message: impl Into<String>) {
        self.errors.borrow_mut().push(DefinitionError {
            file: self.file.clone(),
            line: Some(self.lines.line(span.start)),
            message: message.into(),
        });
    }

    /// `file:line`, for messages about another place.
    pub fn place(&self, span: &Range<usize>) -> String {
        format!("{}:{}", self.file.display(), self.lines.line(span.start))
    }

    /// The file's name without its ending.
    pub fn name(&self) -> String {
        let stem = self.file.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }

    /// What was found.
    pub fn errors(&self) -> Vec<DefinitionError> {
        self.errors.borrow().clone()
    }
}

/// One table being read.
pub(crate) struct Table<'a> {
    /// How messages call it: `the entity`, `[import]`, `[[fields]]`.
    name: String,
    entries: &'a DeTable<'a>,
    span: Range<usize>,
    findings: &'a Findings,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// A table that messages call `name`.
    pub fn new(name: impl Into<String>, table: &'a DeTable<'a>, span: Range<usize>, findings: &'a Findings) -> Self {
        Self {
            name: name.into(),
            entries: table,
            span,
            findings,
            known: RefCell::default(),
        }
    }

    /// Where mistakes go.
    pub fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// Where it stands.
    pub fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// Whether the key is written.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where a key's value stands, if it is written.
    pub fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.entries.get(key).map(Spanned::span)
    }

    fn value(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(key);
        self.entries.get(key)
    }

    /// A value turned by `read`, or a complaint that it should be `wanted`.
    fn typed<T>(
        &self,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<Placed<T>> {
        let value = self.value(key)?;
        let placed = Placed {
            value: (),
            span: value.span(),
        };
        let read = read(value.get_ref());
        if read.is_none() {
            let found = article(value.get_ref().type_str());
            self.findings
                .at(&placed.span, format!("`{key}` must be {wanted}, not {found}"));
        }
        read.map(|read| placed.with(read))
    }

    /// A text that is not empty.
    pub fn text(&self, key: &'static str) -> Option<Placed<String>> {
        let text = self.typed(key, "a text in quotes", |value| value.as_str().map(str::to_owned))?;
        if text.value.trim().is_empty() {
            self.findings.at(&text.span, format!("`{key}` is empty"));
            return None;
        }
        Some(text)
    }

    /// A text that must be there.
    pub fn required_text(&self, key: &'static str) -> Option<Placed<String>> {
        self.require(key);
        self.text(key)
    }

    /// Complains when the key is missing.
    pub fn require(&self, key: &'static str) {
        if !self.has(key) {
            self.findings.at(&self.span, format!("{} lacks `{key}`", self.name));
        }
    }

    /// A truth value.
    pub fn truth(&self, key: &'static str) -> Option<Placed<bool>> {
        self.typed(key, "true or false", DeValue::as_bool)
    }

    /// A whole number within limits, none of them below zero.
    pub fn number(&self, key: &'static str, limits: RangeInclusive<u32>) -> Option<Placed<u32>> {
        self.within(key, limits)
    }

    /// A whole number within limits.
    pub fn whole(&self, key: &'static str, limits: RangeInclusive<i32>) -> Option<Placed<i32>> {
        self.within(key, limits)
    }

    /// A number from 0 to 1.
    pub fn share(&self, key: &'static str) -> Option<Placed<f64>> {
        let text = self.scalar_text(key)?;
        let share = text
            .value
            .parse::<f64>()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            self.findings.at(&text.span, format!("`{key}` must be from 0 to 1"));
        }
        share.map(|share| text.with(share))
    }

    fn within<T>(&self, key: &'static str, limits: RangeInclusive<T>) -> Option<Placed<T>>
    where
        T: TryFrom<i128> + PartialOrd + std::fmt::Display,
    {
        let number = self.typed(key, "a whole number", |value| {
            value
                .as_integer()
                .map(|number| i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        })?;
        let value = T::try_from(number.value).ok().filter(|value| limits.contains(value));
        if value.is_none() {
            let (least, most) = limits.into_inner();
            self.findings
                .at(&number.span, format!("`{key}` must be from {least} to {most}"));
        }
        value.map(|value| number.with(value))
    }

    /// A number or a text that holds one, as text.
    pub fn scalar_text(&self, key: &'static str) -> Option<Placed<String>> {
        self.typed(key, "a number", scalar)
    }

    /// A text, number or truth value, as text.
    pub fn constant(&self, key: &'static str) -> Option<Placed<String>> {
        self.typed(key, "a text, a number, true or false", scalar)
    }

    /// A date or time, in quotes or without, as text.
    pub fn moment_text(&self, key: &'static str) -> Option<Placed<String>> {
        self.typed(key, "a date or a time", |value| match value {
            DeValue::Datetime(moment) => Some(moment.to_string()),
            value => value.as_str().map(str::to_owned),
        })
    }

    /// One of a set of words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<Placed<T>> {
        let text = self.text(key)?;
        let chosen = choices.iter().find(|(word, _)| *word == text.value);
        if chosen.is_none() {
            let allowed = one_of(choices.iter().map(|(word, _)| *word));
            self.findings.at(
                &text.span,
                format!("`{key}` is `{}`, allowed are {allowed}", text.value),
            );
        }
        chosen.map(|(_, value)| text.with(*value))
    }

    /// A list of texts; `None` when the key is missing or wrong.
    pub fn texts(&self, key: &'static str) -> Option<Placed<Vec<Placed<String>>>> {
        let list = self.typed(key, "a list of texts, such as [\"a\", \"b\"]", DeValue::as_array)?;
        let mut texts = Vec::new();
        for item in list.value {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Placed {
                    value: text.to_owned(),
                    span: item.span(),
                }),
                None => self.findings.at(
                    &item.span(),
                    format!(
                        "`{key}` must hold texts in quotes, not {}",
                        article(item.get_ref().type_str())
                    ),
                ),
            }
        }
        Some(list.with(texts))
    }

    /// A table below this one.
    pub fn table(&self, key: &'static str, name: &str) -> Option<Table<'a>> {
        let table = self.typed(key, "a table", DeValue::as_table)?;
        Some(Table::new(name, table.value, table.span, self.findings))
    }

    /// Every table of an array of tables.
    pub fn tables(&self, key: &'static str, name: &str) -> Vec<Table<'a>> {
        let wanted = format!("written as {name} tables");
        let list = self.typed(key, &wanted, DeValue::as_array);
        let mut tables = Vec::new();
        for item in list.iter().flat_map(|list| list.value.iter()) {
            match item.get_ref().as_table() {
                Some(table) => tables.push(Table::new(name, table, item.span(), self.findings)),
                None => self.findings.at(&item.span(), format!("`{key}` must be {wanted}")),
            }
        }
        tables
    }

    /// A table of free names to scalars: each with the place of its name.
    pub fn free_texts(&self, key: &'static str) -> BTreeMap<String, Placed<String>> {
        let table = self.typed(key, "a table such as { name = \"text\" }", DeValue::as_table);
        table.map_or_else(BTreeMap::new, |table| self.scalars(key, table.value))
    }

    /// A table of free names to tables of free names to scalars.
    pub fn free_tables(&self, key: &'static str) -> BTreeMap<String, Placed<BTreeMap<String, Placed<String>>>> {
        let outer = self.typed(key, "a table of tables", DeValue::as_table);
        let mut tables = BTreeMap::new();
        for (name, value) in outer.iter().flat_map(|outer| outer.value.iter()) {
            let Some(inner) = value.get_ref().as_table() else {
                self.findings
                    .at(&value.span(), format!("`{key}.{}` must be a table", name.get_ref()));
                continue;
            };
            let inner = self.scalars(key, inner);
            tables.insert(
                name.get_ref().to_string(),
                Placed {
                    value: inner,
                    span: name.span(),
                },
            );
        }
        tables
    }

    fn scalars(&self, key: &str, table: &DeTable<'_>) -> BTreeMap<String, Placed<String>> {
        let mut texts = BTreeMap::new();
        for (name, value) in table {
            match scalar(value.get_ref()) {
                Some(text) => {
                    texts.insert(
                        name.get_ref().to_string(),
                        Placed {
                            value: text,
                            span: name.span(),
                        },
                    );
                }
                None => self.findings.at(
                    &value.span(),
                    format!(
                        "`{}` in `{key}` must be a text in quotes, not {}",
                        name.get_ref(),
                        article(value.get_ref().type_str())
                    ),
                ),
            }
        }
        texts
    }
    /// Reports every key nobody asked for.
    pub fn finish(self) {
        let known = self.known.borrow();
        for key in self.entries.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let hint = did_you_mean(name, known.iter().copied());
                self.findings
                    .at(&key.span(), format!("unknown key `{name}` in {}{hint}", self.name));
            }
        }
    }
}

/// A text, number or truth value as text; numbers only in the plain decimal form.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// The word with its article, for "must be a text, not an integer".
fn article(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}
