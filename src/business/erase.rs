//! Erasing a person's data from what lies beside the targets: staging rows, rejects that wait for the store, last writes; and from the
//! target itself where that is wanted, by a delete like any other, which tracking sees.

use std::fmt::Write as _;
use std::time::Duration;

use super::catalogue::columns;
use super::dialect::{Dialect, quote};
use super::session::{Fault, Pool, Session, Value};
use super::{BusinessError, Database};
use crate::domain::cell::Cell;
use crate::domain::entity::Entity;
use crate::domain::ids::MessageId;

/// Messages told of that have rows in staging.
const MESSAGES_MAX: u32 = 1000;
/// How often a checkpoint is tried that readers keep from its end.
const CHECKPOINTS: usize = 20;
const BETWEEN_CHECKPOINTS: Duration = Duration::from_millis(100);

/// A field of an entity and the value its rows must have.
pub type FieldValue = (String, Cell);

/// Rows of a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PersonRows {
    /// In the table of last writes.
    pub last_writes: u64,
    /// In the change table: they go by themselves, once every export went on past them.
    pub changes: u64,
    /// In the target.
    pub target: u64,
}

/// Rows of a person, as a condition on a table that has these columns.
#[derive(Debug, Clone)]
struct Rows {
    condition: String,
    values: Vec<Value>,
}

impl Rows {
    fn of(dialect: Dialect, entity: &Entity, wanted: &[FieldValue]) -> Self {
        let mut rows = Self {
            condition: String::new(),
            values: Vec::new(),
        };
        for (at, (name, cell)) in wanted.iter().enumerate() {
            let kind = entity
                .field(name)
                .map_or("text", |field| dialect.staging_type(&field.kind));
            let and = if at == 0 { "" } else { " and " };
            let _ = write!(rows.condition, "{and}{} = cast(${} as {kind})", quote(name), at + 1);
            rows.values.push(match cell {
                Cell::Int(number) => Value::Int(*number),
                Cell::Bool(truth) => Value::Flag(*truth),
                Cell::Text(text) => Value::Text(text.clone()),
                Cell::Null => Value::OptText(None),
            });
        }
        rows
    }
}

/// Whether a table is there and has all these columns.
async fn has(session: &mut Session, table: &str, wanted: &[FieldValue]) -> Result<bool, Fault> {
    let there = columns(session, table).await?;
    let is_there = |name: &str| there.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    Ok(!there.is_empty() && wanted.iter().all(|(name, _)| is_there(name)))
}

/// The staging tables of an entity: that of its definition as it is, and those of earlier ones.
async fn stagings(session: &mut Session, entity: &Entity, wanted: &[FieldValue]) -> Result<Vec<String>, Fault> {
    let mut names = vec![entity.staging_table()];
    if !columns(session, "tranship_stagings").await?.is_empty() {
        let sql = "select name from tranship_stagings where target = $1 order by number";
        let rows = session.rows(sql, vec![Value::Text(entity.table.clone())]).await?;
        for row in &rows {
            names.push(row.text(0)?);
        }
    }
    names.sort_unstable();
    names.dedup();
    let mut found = Vec::new();
    for name in names {
        if has(session, &name, wanted).await? {
            found.push(name);
        }
    }
    Ok(found)
}

async fn count(session: &mut Session, table: &str, rows: &Rows) -> Result<u64, Fault> {
    let sql = format!("select count(*) from {} where {}", quote(table), rows.condition);
    let row = session.row(sql, rows.values.clone()).await?;
    Ok(row.map(|row| row.count(0)).transpose()?.unwrap_or(0))
}

async fn delete(session: &mut Session, table: &str, rows: &Rows) -> Result<u64, Fault> {
    overwrite_what_is_deleted(session).await?;
    let sql = format!("delete from {} where {}", quote(table), rows.condition);
    Ok(session.execute(sql, rows.values.clone()).await?)
}

/// SQLite leaves what is deleted in the file until something else needs the room, unless it is told otherwise.
async fn overwrite_what_is_deleted(session: &mut Session) -> Result<(), Fault> {
    if session.dialect == Dialect::Sqlite {
        session.run("pragma secure_delete = on").await?;
    }
    Ok(())
}

impl Database {
    /// The messages that have rows of a person in staging, and how many rows each has; a thousand at most.
    pub async fn staged_of(
        &self,
        entity: &Entity,
        wanted: &[FieldValue],
    ) -> Result<Vec<(MessageId, u64)>, BusinessError> {
        let (entity, wanted) = (entity.clone(), wanted.to_vec());
        let found: Vec<(String, u64)> = self
            .read(move |session| {
                Box::pin(async move {
                    let rows = Rows::of(session.dialect, &entity, &wanted);
                    let id = match session.dialect {
                        Dialect::Postgres => "tranship_message::text",
                        Dialect::Sqlite => "lower(hex(tranship_message))",
                    };
                    let mut found = Vec::new();
                    for table in stagings(session, &entity, &wanted).await? {
                        let sql = format!(
                            "select {id}, count(*) from {} where {} group by tranship_message limit {MESSAGES_MAX}",
                            quote(&table),
                            rows.condition
                        );
                        for row in session.rows(sql, rows.values.clone()).await? {
                            found.push((row.text(0)?, row.count(1)?));
                        }
                    }
                    Ok(found)
                })
            })
            .await?;
        let read = found.into_iter().map(|(id, rows)| {
            let id = uuid::Uuid::parse_str(&id).map_err(|error| self.corrupt(format!("staging: {error}")))?;
            Ok((MessageId(id), rows))
        });
        read.collect()
    }

    /// Deletes the rows of a person that a message has in staging; it must have ended.
    pub async fn erase_staged(
        &self,
        entity: &Entity,
        wanted: &[FieldValue],
        message: MessageId,
    ) -> Result<u64, BusinessError> {
        let (entity, wanted) = (entity.clone(), wanted.to_vec());
        self.write(move |session| {
            Box::pin(async move {
                let mut rows = Rows::of(session.dialect, &entity, &wanted);
                let _ = write!(rows.condition, " and tranship_message = ${}", wanted.len() + 1);
                rows.values.push(Value::Id(message.0));
                let mut deleted = 0;
                for table in stagings(session, &entity, &wanted).await? {
                    deleted += delete(session, &table, &rows).await?;
                }
                Ok(deleted)
            })
        })
        .await
    }

    /// Blanks what rejects of a message say that the store should have had; it must have ended.
    pub async fn blank_kept_rejects(&self, message: MessageId) -> Result<u64, BusinessError> {
        self.write(move |session| {
            Box::pin(async move {
                if columns(session, "tranship_rejects").await?.is_empty() {
                    session.discard();
                    return Ok(0);
                }
                let sql = "update tranship_rejects set value = null, reason = 'erased' where message = $1 \
                     and (value is not null or reason <> 'erased')";
                let blanked = session.execute(sql, vec![Value::Id(message.0)]).await?;
                if blanked == 0 {
                    session.discard();
                }
                Ok(blanked)
            })
        })
        .await
    }

    /// How many rows of a person lie in the tables of last writes and changes, and in the target, as far as these have such columns.
    pub async fn rows_of(&self, entity: &Entity, wanted: &[FieldValue]) -> Result<PersonRows, BusinessError> {
        let (entity, wanted) = (entity.clone(), wanted.to_vec());
        self.read(move |session| {
            Box::pin(async move {
                let rows = Rows::of(session.dialect, &entity, &wanted);
                let mut found = [0; 3];
                let tables = [entity.last_write_table(), entity.change_table(), entity.table.clone()];
                for (found, table) in found.iter_mut().zip(tables) {
                    if has(session, &table, &wanted).await? {
                        *found = count(session, &table, &rows).await?;
                    }
                }
                let [last_writes, changes, target] = found;
                Ok(PersonRows {
                    last_writes,
                    changes,
                    target,
                })
            })
        })
        .await
    }

    /// Deletes the rows of a person from the table of last writes and, if wanted, from the target; how many of each.
    pub async fn erase_rows(
        &self,
        entity: &Entity,
        wanted: &[FieldValue],
        from_target: bool,
    ) -> Result<PersonRows, BusinessError> {
        let (entity, wanted) = (entity.clone(), wanted.to_vec());
        self.write(move |session| {
            Box::pin(async move {
                let rows = Rows::of(session.dialect, &entity, &wanted);
                let mut erased = PersonRows::default();
                let last_writes = entity.last_write_table();
                if has(session, &last_writes, &wanted).await? {
                    erased.last_writes = delete(session, &last_writes, &rows).await?;
                }
                if from_target && has(session, &entity.table, &wanted).await? {
                    erased.target = delete(session, &entity.table, &rows).await?;
                }
                if erased == PersonRows::default() {
                    session.discard();
                }
                Ok(erased)
            })
        })
        .await
    }

    /// Makes what was deleted leave the write-ahead log of SQLite, and says whether it did: a reader may be in the way. With
    /// `rewritten` the whole file is written anew before, which takes as long as that does, and keeps others from writing. On
    /// PostgreSQL there is nothing to be done from here.
    pub async fn empty_log(&self, rewritten: bool) -> Result<bool, BusinessError> {
        let Pool::Sqlite(pool) = self.writer().await? else {
            return Ok(true);
        };
        let emptied = async {
            if rewritten {
                sqlx::query("vacuum").execute(&pool).await?;
            }
            for _ in 0..CHECKPOINTS {
                let text = "pragma wal_checkpoint(truncate)";
                let (busy, _, _): (i64, i64, i64) = sqlx::query_as(text).fetch_one(&pool).await?;
                if busy == 0 {
                    return Ok(true);
                }
                tokio::time::sleep(BETWEEN_CHECKPOINTS).await;
            }
            Ok(false)
        };
        emptied.await.map_err(|error: sqlx::Error| self.settle(error.into()))
    }
}
