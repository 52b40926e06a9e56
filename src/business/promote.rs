//! Staging to target: one set statement per chunk, one transaction per chunk, a marker in it.

use super::control::LoadKey;
use super::dialect::FaultKind;
use super::landing::{Landed, Landing};
use super::rejects::{self, Rejected};
use super::session::{DbRow, Fault, Session, Value};
use super::staging::{Chunk, IN_RANGE, Load};
use super::validate;
use super::{BusinessError, Database};
use crate::domain::counts::Counts;
use crate::domain::reject::{RecordError, RejectId};

const SUMS: &str = "select cast(coalesce(sum(staging_errors), 0) as bigint), cast(coalesce(sum(inserted), 0) as bigint), \
       cast(coalesce(sum(updated), 0) as bigint), cast(coalesce(sum(unchanged), 0) as bigint), \
       cast(coalesce(sum(target_errors), 0) as bigint), cast(coalesce(sum(skipped), 0) as bigint), \
       cast(coalesce(sum(deleted), 0) as bigint) \
     from tranship_chunks where message = $1 and entity_no = $2";
/// Records rejected so far, while staging runs and no marker counts them yet.
const REJECTED: &str = "select count(distinct record) from tranship_rejects where message = $1 and entity_no = $2";

/// A reject as the business database keeps it until the store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptReject {
    /// Its id.
    pub reject: RejectId,
    /// 0 for the record's first error.
    pub ordinal: i32,
    /// The reject it came back from.
    pub origin: Option<RejectId>,
    /// Whether the target refused it (otherwise it failed before).
    pub by_target: bool,
    /// What is wrong.
    pub error: RecordError,
}

/// Sums over the markers of one load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadCounts {
    /// By outcome; conserved once every chunk is promoted or stopped.
    pub counts: Counts,
    /// Records rejected before promotion.
    pub staging_errors: u64,
    /// Records the target refused.
    pub target_errors: u64,
}

impl Database {
    /// The chunks fixed when staging ended, in order.
    pub async fn chunks(&self, load: Load<'_>) -> Result<Vec<Chunk>, BusinessError> {
        let values = LoadKey::new(load).with([]);
        self.fenced_read(load.fence, move |session| {
            Box::pin(async move {
                let sql = "select chunk_no, first_record, last_record, done from tranship_chunks \
                     where message = $1 and entity_no = $2 order by chunk_no";
                let rows = session.rows(sql, values).await?;
                rows.iter().map(chunk).collect()
            })
        })
        .await
    }

    /// Promotes one chunk as the load's mode says (of rows that are there, only the fields the file brings are changed); what
    /// the target itself refuses is isolated by bisection and rejected. A chunk whose marker is there is left alone.
    ///
    /// # Errors
    /// [`BusinessError::StagingLost`] when the database lost what was staged; nothing of the chunk has landed.
    pub async fn promote_chunk(&self, load: Load<'_>, fields: &[String], chunk: Chunk) -> Result<(), BusinessError> {
        let conversions = self.conversions(load.entity).await?;
        let promotion = Promotion {
            key: LoadKey::new(load),
            landing: Landing::new(self.dialect(), load, fields, &conversions),
            fields: fields.to_vec(),
        };
        let (database, fence) = (self.clone(), load.fence);
        let promoted = self.fenced(load.fence, move |session| {
            Box::pin(async move {
                promotion.lock_target(session).await?;
                let Some(marker) = promotion.marker(session, chunk.chunk_no).await? else {
                    return Err(database.corrupt(format!("there is no chunk {}", chunk.chunk_no)).into());
                };
                if marker.chunk.done {
                    session.discard();
                    return Ok(());
                }
                let outcome = promotion.land(session, marker.chunk).await?;
                let Chunk {
                    first_record,
                    last_record,
                    ..
                } = marker.chunk;
                let size = last_record - first_record + 1;
                // Promise 4, chunk by chunk: a record that is neither good nor rejected is lost, and nothing may land then.
                if outcome.attempted + marker.staging_errors != size {
                    let (good, bad) = (outcome.attempted, marker.staging_errors);
                    let problem = format!(
                        "chunk {} has {size} records, but {good} good and {bad} rejected ones",
                        chunk.chunk_no
                    );
                    return Err(if good + bad < size {
                        database.short(fence, problem)
                    } else {
                        database.corrupt(problem).into()
                    });
                }
                promotion.note_repairs(session, marker.chunk).await?;
                promotion.mark(session, chunk.chunk_no, outcome).await
            })
        });
        match promoted.await {
            Err(BusinessError::StagingLost { .. }) => Err(self.send_back(load).await),
            other => other,
        }
    }

    /// What became of the load, summed from its markers.
    pub async fn load_counts(&self, load: Load<'_>) -> Result<LoadCounts, BusinessError> {
        let key = LoadKey::new(load);
        let database = self.clone();
        self.fenced_read(load.fence, move |session| {
            Box::pin(async move {
                let state = database.load_state(session, &key).await?;
                let row = session.row(SUMS, key.with([])).await?.ok_or(sqlx::Error::RowNotFound)?;
                let staging_errors = if state.staged {
                    row.count(0)?
                } else {
                    let row = session
                        .row(REJECTED, key.with([]))
                        .await?
                        .ok_or(sqlx::Error::RowNotFound)?;
                    row.count(0)?
                };
                let target_errors = row.count(4)?;
                let counts = Counts {
                    read: state.position.records,
                    inserted: row.count(1)?,
                    updated: row.count(2)?,
                    unchanged: row.count(3)?,
                    deleted: row.count(6)?,
                    rejected: staging_errors + target_errors,
                    skipped: row.count(5)?,
                };
                Ok(LoadCounts {
                    counts,
                    staging_errors,
                    target_errors,
                })
            })
        })
        .await
    }
}

/// One chunk on its way, moved into the transaction's task.
struct Promotion {
    key: LoadKey,
    landing: Landing,
    fields: Vec<String>,
}

struct Marker {
    chunk: Chunk,
    staging_errors: u64,
}

impl Promotion {
    /// Serialises promotion per target table (design, Serialisation). Always taken after the fence and alone, so two loads
    /// cannot wait for each other.
    async fn lock_target(&self, session: &mut Session) -> Result<(), Fault> {
        let sql = format!(
            "select name from tranship_tables where name = $1{}",
            session.dialect.for_update()
        );
        let table = self.key.table.clone();
        if session.row(sql, vec![Value::Text(table.clone())]).await?.is_none() {
            return Err(BusinessError::Definition(format!("table `{table}` has not been made ready for loads")).into());
        }
        Ok(())
    }

    async fn marker(&self, session: &mut Session, chunk_no: i64) -> Result<Option<Marker>, Fault> {
        let sql = "select chunk_no, first_record, last_record, done, staging_errors from tranship_chunks \
             where message = $1 and entity_no = $2 and chunk_no = $3";
        let row = session.row(sql, self.key.with([Value::Int(chunk_no)])).await?;
        row.map(|row| {
            Ok(Marker {
                chunk: chunk(&row)?,
                staging_errors: row.count(4)?,
            })
        })
        .transpose()
    }

    /// Lands the range; where the target refuses, halves it until the records at fault stand alone.
    async fn land(&self, session: &mut Session, chunk: Chunk) -> Result<Landed, Fault> {
        let mut outcome = Landed::default();
        let mut pieces = vec![(chunk.first_record, chunk.last_record)];
        while let Some((first, last)) = pieces.pop() {
            session.run("savepoint piece").await?;
            match self.landing.run(session, &self.key, first, last).await {
                Ok(done) => {
                    outcome.attempted += done.attempted;
                    outcome.inserted += done.inserted;
                    outcome.updated += done.updated;
                    outcome.deleted += done.deleted;
                    outcome.refused += done.refused;
                }
                Err(Fault::Driver(error)) if session.dialect.kind(&error) == FaultKind::Record => {
                    session.run("rollback to savepoint piece").await?;
                    if first == last {
                        self.refuse(session, first, &error).await?;
                        outcome.attempted += 1;
                        outcome.refused += 1;
                    } else {
                        let middle = first + (last - first) / 2;
                        // The lower half is on top: records land in their order.
                        pieces.extend([(middle + 1, last), (first, middle)]);
                    }
                }
                Err(fault) => return Err(fault),
            }
            session.run("release savepoint piece").await?;
        }
        Ok(outcome)
    }

    async fn refuse(&self, session: &mut Session, record: u64, error: &sqlx::Error) -> Result<(), Fault> {
        let staging = &self.key.staging;
        let sql = format!(
            "update {staging} set tranship_state = 1 where {IN_RANGE} \
             returning tranship_record, tranship_line, tranship_byte_start, tranship_byte_end, tranship_origin"
        );
        let row = session
            .row(sql, self.key.with([record.into(), record.into()]))
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        let field = column_of(error).filter(|column| self.fields.contains(column));
        let error = rejects::by_target(error, validate::place(&row)?, field);
        let rejected = Rejected {
            origin: row.opt_text(4)?,
            by_target: true,
            errors: vec![error],
        };
        Ok(rejects::insert(session, &self.key, &[rejected]).await?)
    }

    async fn note_repairs(&self, session: &mut Session, chunk: Chunk) -> Result<(), Fault> {
        let sql = format!(
            "insert into tranship_repairs (message, entity_no, origin) \
             select distinct tranship_message, tranship_entity_no, tranship_origin from {} \
             where {IN_RANGE} and tranship_state = 0 and tranship_origin is not null on conflict do nothing",
            self.key.staging
        );
        session
            .execute(
                sql,
                self.key.with([chunk.first_record.into(), chunk.last_record.into()]),
            )
            .await?;
        Ok(())
    }

    async fn mark(&self, session: &mut Session, chunk_no: i64, outcome: Landed) -> Result<(), Fault> {
        let changed = outcome.inserted + outcome.updated + outcome.deleted;
        let unchanged = outcome.attempted - outcome.refused - changed;
        let sql = "update tranship_chunks set done = true, inserted = $4, updated = $5, unchanged = $6, target_errors = $7, \
             deleted = $8 \
             where message = $1 and entity_no = $2 and chunk_no = $3";
        let counts = [
            outcome.inserted,
            outcome.updated,
            unchanged,
            outcome.refused,
            outcome.deleted,
        ]
        .map(Value::from);
        session
            .execute(sql, self.key.with([Value::Int(chunk_no)].into_iter().chain(counts)))
            .await?;
        Ok(())
    }
}

/// The chunk in columns 0 to 3.
fn chunk(row: &DbRow) -> Result<Chunk, Fault> {
    Ok(Chunk {
        chunk_no: row.int(0)?,
        first_record: row.count(1)?,
        last_record: row.count(2)?,
        done: row.flag(3)?,
    })
}

/// PostgreSQL names the column of a violated NOT NULL.
fn column_of(error: &sqlx::Error) -> Option<String> {
    let error = error
        .as_database_error()?
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    error.column().map(str::to_owned)
}
