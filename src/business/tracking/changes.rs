//! Reading changes: how far they reach in a snapshot, and the rows they tell of.

mod telling;

use super::super::BusinessError;
use super::super::dialect::{Dialect, quote};
use super::super::session::Value;
use super::super::snapshot::{Snapshot, Texts};
use crate::domain::entity::Entity;
use crate::domain::position::Position;

/// Changes counted that have to wait; more are "more".
const WITHHELD_MAX: i64 = 10_000;
/// History, horizon and what is forgotten. The history is named by server, timeline, database and change table: whatever restores an older
/// state changes one of them, but for a copy of files. The horizon is the oldest open transaction that is not known to be elsewhere, and
/// nothing below what is forgotten was open when that was forgotten. A standby, where a snapshot does not list what is open, has no insert
/// position and answers with an error.
const POSTGRES_HORIZON: &str = "select (select system_identifier from pg_control_system())::text || '/' \
       || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '/' \
       || (select oid from pg_database where datname = current_database())::text || '/' || to_regclass($1)::oid::text, \
     (select greatest(coalesce(min(x::text::bigint), pg_snapshot_xmax(pg_current_snapshot())::text::bigint), \
       (select forgotten::text::bigint from tranship_change_histories where name = $2))::text \
       from pg_snapshot_xip(pg_current_snapshot()) as o (x) \
       where x::text::bigint % 4294967296 <> all (string_to_array($3, ',')::bigint[])), \
     pg_snapshot_xmax(pg_current_snapshot())::text, \
     (select forgotten::text from tranship_change_histories where name = $2)";
const SQLITE_HORIZON: &str = "select (select history from tranship_change_histories where name = $1), \
     cast(coalesce((select seq from sqlite_sequence where name = $2), 0) + 1 as text), \
     cast(coalesce((select seq from sqlite_sequence where name = $2), 0) + 1 as text), \
     (select cast(forgotten as text) from tranship_change_histories where name = $2)";
/// What the sessions did when a transaction first asked is forgotten.
const ANEW: &str = "select pg_stat_clear_snapshot()::text";
/// Who has the horizon's transaction open. Since when, the server tells of sessions of the same role, and to `pg_read_all_stats`.
const BLOCKER: &str = "select pid::text, extract(epoch from clock_timestamp() - xact_start)::bigint::text \
       from pg_stat_activity where backend_xid::text::bigint = $1::text::bigint % 4294967296 \
     union all select gid, extract(epoch from clock_timestamp() - prepared)::bigint::text \
       from pg_prepared_xacts where transaction::text::bigint = $1::text::bigint % 4294967296";

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
    /// The first transaction that they wait for, where changes are withheld and it has not ended since.
    pub blocker: Option<Blocker>,
}

/// A transaction that holds changes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Its process on the database server, or the name of a prepared transaction.
    pub process: String,
    /// Seconds since it began, where we may know.
    pub age_seconds: Option<i64>,
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
    /// How far the changes of a tracked entity reach. Not less far than at `last`, where that look knew of more transactions that they
    /// were of other databases: what is between was told. Only a database that never came as far is behind it.
    pub async fn horizon(&mut self, entity: &Entity, last: Option<&Position>) -> Result<Horizon, BusinessError> {
        let dialect = self.dialect();
        let changes = entity.change_table();
        let (sql, name) = match dialect {
            Dialect::Postgres => (POSTGRES_HORIZON, quote(&changes)),
            Dialect::Sqlite => (SQLITE_HORIZON, changes.clone()),
        };
        let mut values = vec![Value::Text(name), Value::Text(changes.clone())];
        if dialect == Dialect::Postgres {
            values.push(Value::Text(self.elsewhere().listed()));
        }
        let rows = self.ask(sql.to_owned(), values).await?;
        let (mut horizon, next) = rows.first().and_then(horizon_of).ok_or_else(|| untold(entity))?;
        horizon.at = at(&horizon, next, last);
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
        let at = || vec![Value::Text(horizon.at.to_string())];
        let rows = self.ask(sql, at()).await?;
        let withheld = rows.first().and_then(|row| number(row.first()?.as_ref())).unwrap_or(0);
        if withheld > 0 {
            self.ask(ANEW.to_owned(), Vec::new()).await?;
            let rows = self.ask(BLOCKER.to_owned(), at()).await?;
            horizon.blocker = rows.first().and_then(|row| match row.as_slice() {
                [Some(process), age] => Some(Blocker {
                    process: process.clone(),
                    age_seconds: number(age.as_ref()),
                }),
                _ => None,
            });
        }
        horizon.withheld = withheld;
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
}

fn untold(entity: &Entity) -> BusinessError {
    BusinessError::Definition(format!("entity `{}`: its changes are not tracked", entity.name))
}

fn at(horizon: &Horizon, next: i64, last: Option<&Position>) -> i64 {
    match last {
        Some(last) if last.history == horizon.history && last.at <= next => horizon.at.max(last.at),
        _ => horizon.at,
    }
}

/// And the number that is greater than that of any change there is.
fn horizon_of(row: &Texts) -> Option<(Horizon, i64)> {
    let [history, at, next, oldest] = row.as_slice() else {
        return None;
    };
    let horizon = Horizon {
        history: history.clone()?,
        at: number(at.as_ref())?,
        oldest: number(oldest.as_ref())?,
        withheld: 0,
        blocker: None,
    };
    Some((horizon, number(next.as_ref())?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_looks_no_less_far_than_the_last_one() {
        let horizon = Horizon {
            history: "here".to_owned(),
            at: 10,
            oldest: 0,
            withheld: 0,
            blocker: None,
        };
        let last = |history: &str, at| Position {
            history: history.to_owned(),
            at,
            mark: 0,
            selection: String::new(),
        };
        assert_eq!(at(&horizon, 20, None), 10);
        assert_eq!(at(&horizon, 20, Some(&last("here", 5))), 10);
        assert_eq!(at(&horizon, 20, Some(&last("here", 15))), 15);
        assert_eq!(at(&horizon, 20, Some(&last("here", 20))), 20);
        assert_eq!(
            at(&horizon, 20, Some(&last("here", 21))),
            10,
            "restored to a time before it"
        );
        assert_eq!(at(&horizon, 20, Some(&last("there", 15))), 10, "other numbers");
    }
}
