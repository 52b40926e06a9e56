//! Changes of a table, tracked by triggers into a table beside it, so that an export of changes misses none (promise 7).
//!
//! A change says which row, not what became of it: an export reads the rows as they are, and a row that is not there any more is
//! told as deleted. On PostgreSQL a change carries the number of its transaction, and an export takes those below the horizon of
//! its snapshot, under which nothing of this database is still open: a transaction that commits late is above it, however early it
//! began. On SQLite there is one writer, and changes are numbered in the order of their commits.

mod changes;
mod elsewhere;
mod triggers;

use super::control::lock_schema;
use super::dialect::{Dialect, quote};
use super::session::{Fault, Session, Value};
use super::{BusinessError, Database};
use crate::domain::entity::Entity;
use crate::domain::ids::JobId;
use triggers::Tracking;

pub use changes::{Blocker, Changes, Horizon};
pub(super) use elsewhere::Elsewhere;

/// Changes forgotten in one transaction.
const FORGET_AT_ONCE: u32 = 10_000;

/// What a database knew of the exports of a job before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The newest number it knew; 0: none.
    pub known: i64,
    /// The number of this attempt, which it knows from here on.
    pub new: i64,
}

impl Database {
    /// Tracks the changes of an entity's table from here on. Cheap when they are tracked already. Whatever is missing or switched off
    /// is made anew, and changes are counted anew then. When it returns, triggers are committed, and every transaction that
    /// wrote without them has ended.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] when the table is not one that triggers see every change of.
    pub async fn track(&self, entity: &Entity) -> Result<(), BusinessError> {
        self.ensure_entity(entity).await?;
        let tracking = Tracking::of(self.dialect(), entity);
        let name = entity.name.clone();
        let refused = move |problem: &str| BusinessError::Definition(format!("entity `{name}`: {problem}"));
        let looking = {
            let tracking = tracking.clone();
            self.read(move |session| {
                Box::pin(async move {
                    let is_there = tracking.is_there(session).await?;
                    // What came later counts, too: an index, or a table that inherits.
                    Ok((is_there, triggers::untrackable(session, &tracking.target).await?))
                })
            })
        };
        match looking.await? {
            (true, None) => return Ok(()),
            (_, Some(problem)) => return Err(refused(problem)),
            (false, None) => {}
        }
        self.write(move |session| {
            Box::pin(async move {
                lock_schema(session).await?;
                if let Some(problem) = triggers::untrackable(session, &tracking.target).await? {
                    return Err(refused(problem).into());
                }
                if !tracking.is_there(session).await? {
                    tracking.make(session).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Gives an attempt of a job to export an entity's changes its number, larger than any that the database or the caller knows.
    pub async fn raise_mark(&self, job: JobId, entity: &Entity, at_least: i64) -> Result<Mark, BusinessError> {
        self.ensure_control_tables().await?;
        let values = vec![Value::Id(job.0), Value::Text(entity.name.clone())];
        self.write(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "select mark from tranship_export_marks where job = $1 and entity = $2{}",
                    session.dialect.for_update()
                );
                let row = session.row(sql, values.clone()).await?;
                let known = row.map(|row| row.int(0)).transpose()?.unwrap_or(0);
                let new = known.max(at_least) + 1;
                let sql = "insert into tranship_export_marks (job, entity, mark) values ($1, $2, $3) \
                     on conflict (job, entity) do update set mark = excluded.mark";
                let values = values.into_iter().chain([Value::Int(new)]).collect();
                session.execute(sql, values).await?;
                Ok(Mark { known, new })
            })
        })
        .await
    }

    /// Forgets the changes before `below`, which no position needs any more, in bounded steps. Returns how many there were.
    pub async fn forget_changes(&self, entity: &Entity, below: i64) -> Result<u64, BusinessError> {
        let (sql, name) = (forget(self.dialect(), &entity.change_table()), entity.change_table());
        let mut forgotten = 0;
        loop {
            let (sql, name) = (sql.clone(), name.clone());
            let deleted =
                self.write(move |session| Box::pin(async move { forget_some(session, sql, name, below).await }));
            let deleted = deleted.await?;
            forgotten += deleted;
            if deleted < u64::from(FORGET_AT_ONCE) {
                return Ok(forgotten);
            }
        }
    }
}

/// Whoever goes on from below what is forgotten, as a job that was away for a while or another service, must begin anew.
async fn forget_some(session: &mut Session, sql: String, name: String, below: i64) -> Result<u64, Fault> {
    let deleted = session.execute(sql, vec![Value::Text(below.to_string())]).await?;
    if deleted == 0 {
        session.discard();
        return Ok(0);
    }
    let sql = "update tranship_change_histories set forgotten = $2 where name = $1 and forgotten < $2";
    session.execute(sql, vec![Value::Text(name), Value::Int(below)]).await?;
    Ok(deleted)
}

fn forget(dialect: Dialect, changes: &str) -> String {
    let (changes, number) = (quote(changes), dialect.change_number());
    match dialect {
        Dialect::Postgres => format!(
            "delete from {changes} where ctid = any (array( \
               select ctid from {changes} where {number} < $1::text::xid8 order by {number} limit {FORGET_AT_ONCE}))"
        ),
        Dialect::Sqlite => format!(
            "delete from {changes} where {number} in ( \
               select {number} from {changes} where {number} < cast($1 as integer) order by {number} limit {FORGET_AT_ONCE})"
        ),
    }
}

impl Dialect {
    /// The column that orders changes: by transaction on PostgreSQL, one by one on SQLite.
    fn change_number(self) -> &'static str {
        match self {
            Self::Postgres => "tranship_xid",
            Self::Sqlite => "tranship_change",
        }
    }
}
