//! Incremental exports without change tracking: by a field that grows, or by a query of the operator.

use tokio::sync::mpsc;

use super::BusinessError;
use super::dialect::{Dialect, quote};
use super::session::Value;
use super::snapshot::{Query, Row, Selection, Snapshot, canonical_columns, condition, ending, no_field};
use crate::domain::entity::Entity;

impl Snapshot {
    /// The greatest value of a field, as canonical text; none where no row has one.
    pub async fn greatest(&mut self, entity: &Entity, field: &str) -> Result<Option<String>, BusinessError> {
        let kind = &entity.field(field).ok_or_else(|| no_field(entity, field))?.kind;
        let greatest = self.dialect().canonical(kind, &format!("max(t.{})", quote(field)));
        let sql = format!("select {greatest} from {} t", quote(&entity.table));
        let rows = self.ask(sql, Vec::new()).await.map_err(|error| match error {
            BusinessError::Unreadable { cell, .. } => BusinessError::ValueRefused(format!(
                "the greatest `{field}` of entity `{}` holds bytes that are no text ({}): correct it in table `{}`",
                entity.name,
                cell.shown(),
                entity.table
            )),
            other => other,
        })?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// Streams the rows of a selection whose field is greater than a value, given as canonical text; without one, those that have any.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub async fn read_newer(
        &mut self,
        selection: Selection<'_>,
        (field, than): (&str, Option<&str>),
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        let query = newer(self.dialect(), selection, field, than)?;
        self.stream(selection.entity, query, rows).await
    }

    /// Streams the fields of a selection out of an operator's query, between two moments in UTC.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub async fn read_query(
        &mut self,
        selection: Selection<'_>,
        sql: &str,
        (since, until): (&str, &str),
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        let query = of_query(self.dialect(), selection, sql, [since, until])?;
        self.stream(selection.entity, query, rows).await
    }
}

fn newer(dialect: Dialect, selection: Selection<'_>, field: &str, than: Option<&str>) -> Result<Query, BusinessError> {
    let entity = selection.entity;
    let kind = &entity.field(field).ok_or_else(|| no_field(entity, field))?.kind;
    let is_newer = match than {
        Some(_) => format!("> cast($1 as {})", dialect.staging_type(kind)),
        None => "is not null".to_owned(),
    };
    let mut values: Vec<_> = than.map(|than| Value::Text(than.to_owned())).into_iter().collect();
    let selected = condition(selection, &mut values);
    let joined = if selected.is_empty() { " where" } else { " and" };
    let sql = format!(
        "select {} from {} t{selected}{joined} t.{} {is_newer} {}",
        canonical_columns(dialect, selection)?.join(", "),
        quote(&entity.table),
        quote(field),
        ending(selection)?
    );
    Ok((sql, values))
}

/// The line break ends a comment the query may end with.
fn of_query(dialect: Dialect, selection: Selection<'_>, sql: &str, range: [&str; 2]) -> Result<Query, BusinessError> {
    let moment = |number: u8| match dialect {
        Dialect::Postgres => format!("cast(${number}::text as timestamp)"),
        Dialect::Sqlite => format!("${number}"),
    };
    let inner = sql.replace(":since", &moment(1)).replace(":until", &moment(2));
    let mut values: Vec<_> = range.map(|at| Value::Text(at.to_owned())).into();
    let selected = condition(selection, &mut values);
    let sql = format!(
        "select {} from ({inner}\n) t{selected} {}",
        canonical_columns(dialect, selection)?.join(", "),
        ending(selection)?
    );
    Ok((sql, values))
}
