//! Records of several entities, each behind the one it stands in, as one result.
//!
//! Every part is numbered in the order of its records inside the record around them, on top of that one's number. The numbers
//! order the union of all parts, so a single result brings them as they are to be written, and the database does the sorting:
//! nothing here holds more than the rows in flight. A record whose parent is not selected is not selected either.

use super::super::BusinessError;
use super::super::dialect::{Dialect, quote};
use super::super::session::int;
use super::{Query, Selection, canonical_columns, condition, no_field, order};

/// One part of a composite entity.
#[derive(Debug, Clone, Copy)]
pub struct NestedSelection<'a> {
    /// Its records.
    pub selection: Selection<'a>,
    /// Position of the part they stand in, which comes before this one; `None` for the first one alone.
    pub parent: Option<usize>,
    /// What makes a record stand in another: own field, and field of that.
    pub inherit: &'a [(String, String)],
}

/// The statement; `None` when there is no part.
pub(super) fn select(dialect: Dialect, parts: &[NestedSelection<'_>]) -> Result<Option<Query>, BusinessError> {
    if parts.is_empty() {
        return Ok(None);
    }
    let mut values = Vec::new();
    let mut tables = Vec::with_capacity(parts.len());
    for at in 0..parts.len() {
        tables.push(table(dialect, parts, at, &mut values)?);
    }
    let shape = Shape {
        cells: parts.iter().map(|part| part.selection.fields.len()).max().unwrap_or(0),
        depth: (0..parts.len()).map(|at| path(parts, at).len()).max().unwrap_or(0),
    };
    let union: Vec<_> = (0..parts.len()).map(|at| shape.rows(parts, at)).collect();
    let (tables, union) = (tables.join(", "), union.join(" union all "));
    let sql = format!(
        "with {tables} select {} from ({union}) u order by {}",
        shape.output().join(", "),
        shape.order().join(", ")
    );
    Ok(Some((sql, values)))
}

/// Positions of the parts around this one and its own, outermost first.
fn path(parts: &[NestedSelection<'_>], at: usize) -> Vec<usize> {
    let mut path: Vec<_> = std::iter::successors(Some(at), |at| parts[*at].parent).collect();
    path.reverse();
    path
}

/// The selected records of one part as a table of its own: their texts, their number, the numbers of those around them, and
/// what parts inside it are joined by.
fn table(
    dialect: Dialect,
    parts: &[NestedSelection<'_>],
    at: usize,
    values: &mut Vec<super::Value>,
) -> Result<String, BusinessError> {
    let NestedSelection {
        selection,
        parent,
        inherit,
    } = parts[at];
    let path = path(parts, at);
    let around = path.len() - 1;
    let mut order = order(selection)?;
    // Without ties: a table may be worked out twice, and must come out the same.
    order.extend(selection.entity.key.iter().map(|name| format!("t.{}", quote(name))));
    let first = selection
        .limit
        .map(|rows| format!(" order by {} limit {}", order.join(", "), int(rows)));
    let above = (0..around).map(|depth| format!("p.tranship_n{depth}"));
    order.splice(0..0, above.clone());
    let mut columns: Vec<String> = above
        .enumerate()
        .map(|(depth, n)| format!("{n} as tranship_n{depth}"))
        .collect();
    columns.push(format!(
        "row_number() over (order by {}) as tranship_n{around}",
        order.join(", ")
    ));
    let cells = canonical_columns(dialect, selection)?.into_iter().enumerate();
    columns.extend(cells.map(|(cell, text)| format!("{text} as tranship_c{cell}")));
    for name in joined_by(parts, at) {
        let position = selection
            .entity
            .field_index(name)
            .ok_or_else(|| no_field(selection.entity, name))?;
        columns.push(format!("t.{} as tranship_j{position}", quote(name)));
    }
    let from = format!(
        "(select * from {} t{}{}) t",
        quote(&selection.entity.table),
        condition(selection, values),
        first.unwrap_or_default()
    );
    let join = match parent {
        None => String::new(),
        Some(parent) => {
            let around = parts[parent].selection.entity;
            let mut pairs = Vec::with_capacity(inherit.len());
            for (own, other) in inherit {
                let position = around.field_index(other).ok_or_else(|| no_field(around, other))?;
                pairs.push(format!("t.{} = p.tranship_j{position}", quote(own)));
            }
            format!(" join tranship_p{parent} p on {}", pairs.join(" and "))
        }
    };
    let columns = columns.join(", ");
    Ok(format!(
        "tranship_p{at} as materialized (select {columns} from {from}{join})"
    ))
}

/// The fields of a part that those inside it are joined by.
fn joined_by<'a>(parts: &[NestedSelection<'a>], at: usize) -> Vec<&'a str> {
    let inside = parts.iter().filter(|part| part.parent == Some(at));
    let mut names: Vec<_> = inside
        .flat_map(|part| part.inherit)
        .map(|(_, other)| other.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What the rows of all parts have in common.
struct Shape {
    cells: usize,
    depth: usize,
}

impl Shape {
    /// The rows of one part in the shape of all.
    fn rows(&self, parts: &[NestedSelection<'_>], at: usize) -> String {
        let path = path(parts, at);
        let own = parts[at].selection.fields.len();
        let mut columns = vec![format!("cast('{at}' as text) as tranship_part")];
        for depth in 0..self.depth {
            // Part and number; both are 0 for what is not as deep, which so comes before what it holds.
            let (part, number) = match path.get(depth) {
                Some(part) => (part.to_string(), format!("tranship_n{depth}")),
                None => ("0".to_owned(), "0".to_owned()),
            };
            columns.push(format!("{part} as tranship_k{depth}, {number} as tranship_n{depth}"));
        }
        for cell in 0..self.cells {
            let text = if cell < own {
                format!("tranship_c{cell}")
            } else {
                "cast(null as text)".to_owned()
            };
            columns.push(format!("{text} as tranship_c{cell}"));
        }
        format!("select {} from tranship_p{at}", columns.join(", "))
    }

    fn output(&self) -> Vec<String> {
        let cells = (0..self.cells).map(|cell| format!("tranship_c{cell}"));
        std::iter::once("tranship_part".to_owned()).chain(cells).collect()
    }

    fn order(&self) -> Vec<String> {
        let depths = 0..self.depth;
        depths
            .map(|depth| format!("tranship_k{depth}, tranship_n{depth}"))
            .collect()
    }
}
