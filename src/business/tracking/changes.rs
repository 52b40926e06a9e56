//! Reading changes: how far they reach in a snapshot, and the rows they tell of.

use tokio::sync::mpsc;

use super::super::BusinessError;
use super::super::dialect::{Dialect, quote};
use super::super::session::Value;
use super::super::snapshot::{Row, Selection, Snapshot, Texts};
use crate::domain::entity::Entity;

/// Changes counted that have to wait; more are "more".
const WITHHELD_MAX: i64 = 10_000;

/// How far the changes of an entity reach that a snapshot sees all of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Horizon {
    /// Whose changes are counted.
    pub history: String,
    /// The first change that is not to be exported yet.
    pub at: i64,
    /// Changes below this one may be forgotten.
    pub oldest: i64,
    /// Changes the snapshot sees, but not all of those before them: a transaction that began earlier is still open. At most
    /// 10,000 are counted.
    pub withheld: i64,
    /// The oldest open transaction that writes, where changes are withheld.
    pub blocker: Option<Blocker>,
}

/// A transaction that holds changes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Its process on the database server, or the name of a prepared transaction.
    pub process: String,
    /// Seconds since it began.
    pub age_seconds: i64,
}

/// Changes from one place up to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// The first of them.
    pub since: i64,
    /// The first that is not one of them.
    pub until: i64,
}

impl Snapshot {
    /// How far the changes of a tracked entity reach.
    pub async fn horizon(&mut self, entity: &Entity) -> Result<Horizon, BusinessError> {
        let dialect = self.dialect();
        let changes = entity.change_table();
        let sql = match dialect {
            // By server, timeline, database and change table: whatever restores an older state changes one of them, but for
            // a copy of files.
            Dialect::Postgres => {
                "select (select system_identifier from pg_control_system())::text || '/' \
                   || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '/' \
                   || (select oid from pg_database where datname = current_database())::text || '/' || to_regclass($1)::oid::text, \
                 pg_snapshot_xmin(pg_current_snapshot())::text, \
                 (select forgotten::text from tranship_change_histories where name = $2)"
            }
            Dialect::Sqlite => {
                "select (select history from tranship_change_histories where name = $1), \
                 cast(coalesce((select seq from sqlite_sequence where name = $2), 0) + 1 as text), \
                 (select cast(forgotten as text) from tranship_change_histories where name = $2)"
            }
        };
        let name = match dialect {
            Dialect::Postgres => quote(&changes),
            Dialect::Sqlite => changes.clone(),
        };
        let rows = self
            .ask(sql.to_owned(), vec![Value::Text(name), Value::Text(changes.clone())])
            .await?;
        let mut horizon = rows.first().and_then(horizon_of).ok_or_else(|| untold(entity))?;
        if dialect == Dialect::Postgres {
            self.withheld(&changes, &mut horizon).await?;
        }
        Ok(horizon)
    }

    async fn withheld(&mut self, changes: &str, horizon: &mut Horizon) -> Result<(), BusinessError> {
        let sql = format!(
            "select count(*)::text from (select 1 from {} where tranship_xid >= $1::text::xid8 limit {WITHHELD_MAX}) c",
            quote(changes)
        );
        let rows = self.ask(sql, vec![Value::Text(horizon.at.to_string())]).await?;
        horizon.withheld = rows.first().and_then(|row| number(row.first()?.as_ref())).unwrap_or(0);
        if horizon.withheld == 0 {
            return Ok(());
        }
        let sql = "select process, age::text from ( \
               select pid::text as process, extract(epoch from clock_timestamp() - xact_start)::bigint as age \
                 from pg_stat_activity where backend_xid is not null and xact_start is not null \
               union all select gid, extract(epoch from clock_timestamp() - prepared)::bigint from pg_prepared_xacts) o \
             order by age desc limit 1";
        let rows = self.ask(sql.to_owned(), Vec::new()).await?;
        horizon.blocker = rows.first().and_then(|row| match row.as_slice() {
            [Some(process), age] => Some(Blocker {
                process: process.clone(),
                age_seconds: number(age.as_ref())?,
            }),
            _ => None,
        });
        Ok(())
    }

    /// Whether all rows went at once among these changes: what was there before is told by none of them.
    pub async fn is_truncated(&mut self, entity: &Entity, changes: Changes) -> Result<bool, BusinessError> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(false);
        }
        let sql = format!(
            "select '1' from {} where {} and tranship_truncated limit 1",
            quote(&entity.change_table()),
            in_range(self.dialect(), 1)
        );
        Ok(!self.ask(sql, range(changes)).await?.is_empty())
    }

    /// Streams the rows that changed, as they are, and of those that are gone (or that the selection leaves out by now) the tracked
    /// fields; a last cell says which: `No` or `Yes`. Each row comes once, in the order of its key.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub async fn read_changes(
        &mut self,
        selection: Selection<'_>,
        changes: Changes,
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        let query = select(self.dialect(), selection, changes)?;
        self.stream(selection.entity, query, rows).await
    }
}

fn untold(entity: &Entity) -> BusinessError {
    BusinessError::Definition(format!("entity `{}`: its changes are not tracked", entity.name))
}

fn horizon_of(row: &Texts) -> Option<Horizon> {
    let [history, at, oldest] = row.as_slice() else {
        return None;
    };
    Some(Horizon {
        history: history.clone()?,
        at: number(at.as_ref())?,
        oldest: number(oldest.as_ref())?,
        withheld: 0,
        blocker: None,
    })
}

fn number(text: Option<&String>) -> Option<i64> {
    text?.parse().ok()
}

fn range(changes: Changes) -> Vec<Value> {
    [changes.since, changes.until]
        .map(|at| Value::Text(at.to_string()))
        .into()
}

/// The changes of a range, its ends bound from `first` on.
fn in_range(dialect: Dialect, first: usize) -> String {
    let (number, last) = (dialect.change_number(), first + 1);
    match dialect {
        Dialect::Postgres => format!("{number} >= ${first}::text::xid8 and {number} < ${last}::text::xid8"),
        Dialect::Sqlite => format!("{number} >= cast(${first} as integer) and {number} < cast(${last} as integer)"),
    }
}

/// Names of the change table are told from the target's by a prefix, because the operator's filter names columns barely.
fn tracked(name: &str) -> String {
    quote(&format!("tranship_{name}"))
}

fn select(dialect: Dialect, selection: Selection<'_>, changes: Changes) -> Result<(String, Vec<Value>), BusinessError> {
    let entity = selection.entity;
    let names = entity.tracked_fields();
    let mut columns = Vec::with_capacity(selection.fields.len() + 1);
    for name in selection.fields {
        let field = entity
            .field(name)
            .ok_or_else(|| BusinessError::Definition(format!("entity `{}` has no field `{name}`", entity.name)))?;
        let value = if names.contains(name) {
            format!("c.{}", tracked(name))
        } else {
            format!("t.{}", quote(name))
        };
        columns.push(dialect.canonical(&field.kind, &value));
    }
    columns.push(format!(
        "case when t.{} is null then 'Yes' else 'No' end",
        quote(&entity.key[0])
    ));
    let mut values = range(changes);
    let mut joined: Vec<_> = names
        .iter()
        .map(|name| format!("t.{} = c.{}", quote(name), tracked(name)))
        .collect();
    let mut of_company = String::new();
    if let (Some(field), false) = (&entity.company_field, selection.companies.is_empty()) {
        let mut places = Vec::new();
        for company in selection.companies {
            values.push(Value::Text(company.clone()));
            places.push(format!("${}", values.len()));
        }
        of_company = format!(" where c.{} in ({})", tracked(field), places.join(", "));
    }
    if let Some(filter) = selection.filter {
        // The line break ends a comment the filter may end with.
        joined.push(format!("({filter}\n)"));
    }
    let told: Vec<_> = names
        .iter()
        .map(|name| format!("{} as {}", quote(name), tracked(name)))
        .collect();
    let order: Vec<_> = entity.key.iter().map(|name| format!("c.{}", tracked(name))).collect();
    let truncations = match dialect {
        Dialect::Postgres => " and not tranship_truncated",
        Dialect::Sqlite => "",
    };
    let sql = format!(
        "select {} from (select distinct {} from {} where {}{truncations}) c left join {} t on {}{of_company} order by {}",
        columns.join(", "),
        told.join(", "),
        quote(&entity.change_table()),
        in_range(dialect, 1),
        quote(&entity.table),
        joined.join(" and "),
        order.join(", ")
    );
    Ok((sql, values))
}
