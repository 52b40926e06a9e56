//! Saying which record and field an export cannot write, so that somebody finds it.

use super::parts::{Part, Source};
use crate::business::BusinessError;
use crate::business::snapshot::UnreadableCell;
use crate::format::excerpt::quoted;
use crate::pipeline::stop::Stop;

/// Cells of a record shown where its key is not exported.
const SHOWN_CELLS: usize = 3;

/// What a row has of one record.
pub(super) trait Cells<'r>: Iterator<Item = Option<&'r str>> + Clone {}
impl<'r, C: Iterator<Item = Option<&'r str>> + Clone> Cells<'r> for C {}

/// What tells a record from others: its key, or its first cells.
pub(super) fn shown<'r>(source: &Source<'_>, cells: impl Cells<'r>) -> String {
    let of_key = |name: &String| {
        let position = source.fields.iter().position(|field| field == name)?;
        let value = cells.clone().nth(position).flatten()?;
        Some(format!("{name} = {}", quoted(value)))
    };
    let key: Option<Vec<_>> = source.entity.key.iter().map(of_key).collect();
    let shown = key.unwrap_or_else(|| cells.flatten().take(SHOWN_CELLS).map(quoted).collect());
    shown.join(", ")
}

/// What a failure to read a data file's rows stops the run with: a cell that is no text is named.
pub(super) fn unread(part: &Part<'_>, error: BusinessError) -> Stop {
    let named = match &error {
        BusinessError::Unreadable { cell, .. } => named(part, cell),
        _ => None,
    };
    named.map_or_else(|| error.into(), |detail| Stop::fail("value_not_writable", detail))
}

fn named(part: &Part<'_>, cell: &UnreadableCell) -> Option<String> {
    let mut cells = cell.row.cells();
    let (node, column) = match part.composite {
        // Its rows begin with the position of their entity.
        Some(_) => (cells.next()??.parse().ok()?, cell.column.checked_sub(1)?),
        None => (0, cell.column),
    };
    let source: &Source<'_> = part.sources.get::<usize>(node)?;
    let field = source.fields.get(column)?;
    Some(format!(
        "a record of `{}` ({}) cannot be written: its field `{field}` holds bytes that are no text ({}): correct it in table \
         `{}`, or leave the field out (`fields`)",
        source.entity.label,
        shown(source, cells),
        cell.shown(),
        source.entity.table
    ))
}
