//! Which columns tell the records apart.

use std::collections::HashSet;

use super::Column;
use crate::domain::entity::FieldType;

/// Ends of names that say "this identifies something".
const KEY_ENDINGS: [&str; 9] = ["id", "number", "code", "key", "no", "nr", "num", "account", "guid"];
/// Most columns combined with each other: beyond it, trying all triples takes too long.
const COMBINED_MAX: usize = 16;

/// The fields of the key: one column with a name like a key's, else a pair or triple of such, else any one, else any pair
/// or triple. Without records, the first column with such a name, else the first.
pub fn choose(columns: &[Column], rows: &[Vec<String>]) -> Option<Vec<String>> {
    let fits = |column: &&Column| {
        let comparable = matches!(column.guess.kind, FieldType::String | FieldType::Int | FieldType::Guid);
        comparable && column.guess.null_tokens.is_empty() && filled(column, rows)
    };
    let (named, others): (Vec<&Column>, Vec<&Column>) =
        columns.iter().filter(fits).partition(|column| is_named(column));
    let all = named.iter().chain(&others).copied().collect::<Vec<_>>();
    let mut key = None;
    for (candidates, sizes) in [(&named, 1..=3), (&others, 1..=1), (&all, 2..=3)] {
        for size in sizes {
            key = key.or_else(|| first_unique(candidates, size, rows));
        }
    }
    let mut key = key?;
    // The column with most values first: it finds a record fastest.
    key.sort_by_key(|column| std::cmp::Reverse(distinct(&[*column], rows)));
    Some(key.into_iter().map(|column| column.field.clone()).collect())
}

fn is_named(column: &Column) -> bool {
    let last = column.field.rsplit('_').next().unwrap_or_default();
    // `CUSTOMERID` has no word boundary to split at.
    KEY_ENDINGS.contains(&last)
        || ["id", "number", "code", "key"]
            .iter()
            .any(|end| column.field.ends_with(end))
}

fn filled(column: &Column, rows: &[Vec<String>]) -> bool {
    rows.iter()
        .all(|row| row.get(column.at).is_some_and(|cell| !cell.trim().is_empty()))
}

/// How many different values these columns have together, compared as a database will: texts as they are, else trimmed.
fn distinct(columns: &[&Column], rows: &[Vec<String>]) -> usize {
    let value = |row: &Vec<String>| {
        let cell = |column: &&Column| {
            let cell = row.get(column.at).map_or("", String::as_str);
            match column.guess.kind {
                FieldType::String => cell.to_owned(),
                _ => cell.trim().to_lowercase(),
            }
        };
        columns.iter().map(cell).collect::<Vec<_>>()
    };
    rows.iter().map(value).collect::<HashSet<_>>().len()
}

/// The first combination of this size, in the order of the candidates, that is different in every record.
fn first_unique<'a>(candidates: &[&'a Column], size: usize, rows: &[Vec<String>]) -> Option<Vec<&'a Column>> {
    let unique = |columns: &[&Column]| distinct(columns, rows) == rows.len();
    if size == 1 {
        return candidates
            .iter()
            .find(|column| unique(&[**column]))
            .map(|column| vec![*column]);
    }
    let candidates = &candidates[..candidates.len().min(COMBINED_MAX)];
    for (at, first) in candidates.iter().enumerate() {
        for (next, second) in candidates.iter().enumerate().skip(at + 1) {
            if size == 2 {
                if unique(&[first, second]) {
                    return Some(vec![first, second]);
                }
                continue;
            }
            if let Some(third) = candidates[next + 1..]
                .iter()
                .find(|third| unique(&[first, second, third]))
            {
                return Some(vec![first, second, third]);
            }
        }
    }
    None
}
