//! `$filter`: comparisons of properties with values, joined by `and`, `or` and `not` (OD-3).
//!
//! Texts are compared without regard to case, as the real server's database does. What the real server does not take (functions,
//! arithmetic) is refused, unless the set is of `/metadata`, whose clients search by `contains` (OD-21).

mod reader;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::table::Table;

pub(super) use reader::quoted;

/// Longest filter.
const BYTES_MAX: usize = 16 * 1024;

/// A condition on rows.
#[derive(Debug, PartialEq)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare(Term, Operator, Value),
    /// A function of two texts.
    Search(Search, Term, String),
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term(usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    Contains,
    StartsWith,
    EndsWith,
}

impl Filter {
    /// Reads a filter on rows of a table. Functions are read where they are allowed.
    ///
    /// # Errors
    /// What of it is not supported, in a sentence.
    pub(super) fn read(text: &str, table: &Table, functions: bool) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("$filter is longer than {BYTES_MAX} bytes"));
        }
        reader::read(text, table, functions)
    }

    /// Whether a row holds to it.
    pub(super) fn holds(&self, row: &[Value]) -> bool {
        match self {
            Self::And(one, other) => one.holds(row) && other.holds(row),
            Self::Or(one, other) => one.holds(row) || other.holds(row),
            Self::Not(inner) => !inner.holds(row),
            Self::Compare(term, operator, value) => operator.holds(order(&row[term.0], value)),
            Self::Search(search, term, wanted) => {
                let text = row[term.0].as_str().unwrap_or_default().to_lowercase();
                match search {
                    Search::Contains => text.contains(wanted),
                    Search::StartsWith => text.starts_with(wanted),
                    Search::EndsWith => text.ends_with(wanted),
                }
            }
        }
    }

    /// The text that a column must be equal to, where the filter says so.
    pub(super) fn wanted(&self, column: usize) -> Option<&str> {
        match self {
            Self::And(one, other) => one.wanted(column).or_else(|| other.wanted(column)),
            Self::Compare(Term(at), Operator::Equal, Value::String(text)) if *at == column => Some(text),
            _ => None,
        }
    }
}

/// How two values stand to each other; nothing where one of them is none, or they are of two types.
fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::String(one), Value::String(other)) => Some(one.to_lowercase().cmp(&other.to_lowercase())),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
        },
        _ => None,
    }
}

impl Operator {
    const WORDS: [(&'static str, Self); 6] = [
        ("eq", Self::Equal),
        ("ne", Self::NotEqual),
        ("gt", Self::Greater),
        ("ge", Self::GreaterOrEqual),
        ("lt", Self::Less),
        ("le", Self::LessOrEqual),
    ];

    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        }
    }

    /// The one that says the same with its sides changed over.
    fn turned(self) -> Self {
        match self {
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            same => same,
        }
    }
}

/// What a row with this key holds to: columns and their values.
pub(super) fn of_key(key: &[(usize, String)]) -> Option<Filter> {
    let compare = |(column, value): &(usize, String)| {
        Filter::Compare(Term(*column), Operator::Equal, Value::String(value.clone()))
    };
    let both = |one: Filter, other: Filter| Filter::And(Box::new(one), Box::new(other));
    key.iter().map(compare).reduce(both)
}

/// That there is no such property, and which there are.
pub(super) fn no_property(table: &Table, name: &str) -> String {
    let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
    format!("{} has no property `{name}`, but {}", table.set, names.join(", "))
}

/// A moment as rows have it.
pub(super) fn seconds(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
