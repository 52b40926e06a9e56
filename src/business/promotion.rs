//! What happens inside a promoting transaction.
//!
//! Chunks land in a *pass*: piece by piece; where the target refuses one, it is cut at the records under suspicion, and then
//! halved until those at fault stand alone. Whether what a pass landed may stay is the policy's to say. If not, the pass is rolled back to a savepoint, its rejects are
//! kept, and either another pass lands what is left without them or nothing of the chunks lands.

use super::control::{LoadKey, lock_target};
use super::dialect::FaultKind;
use super::documents::Documents;
use super::landing::{Landed, Landing};
use super::pieces;
use super::promote::chunk;
use super::rejects::{self, Rejected};
use super::session::{DbRow, Fault, Session, Value};
use super::staging::{Chunk, IN_RANGE, Load};
use super::suspects::Suspects;
use super::transaction::Steps;
use super::truncate::Truncation;
use super::validate::{self, REJECTED, mark_rejected};
use super::{BusinessError, Database};
use crate::domain::job::{Atomicity, ErrorThreshold};
use crate::domain::message::Fence;
use crate::domain::reject::RecordError;

/// Whether the target refused any of these many chunks before decides whether it is asked before it is tried.
const CHUNKS_REMEMBERED: u64 = 8;
/// Rejects of one pass held in memory, where a pass can be repeated without them. A piece may bring more.
const REJECTS_PER_PASS: usize = 10_000;

/// Chunks on their way, moved into the transaction's task.
pub(super) struct Promotion {
    pub(super) steps: Steps,
    database: Database,
    fence: Fence,
    key: LoadKey,
    landing: Landing,
    suspects: Suspects,
    fields: Vec<String>,
    atomicity: Atomicity,
    documents: Option<Documents>,
    truncation: Option<Truncation>,
    /// How many records of the load may be rejected; judged where all of its chunks are promoted at once.
    allowed: Option<ErrorThreshold>,
}

/// A chunk and what is known of its records.
struct Marker {
    chunk: Chunk,
    staging_errors: u64,
    /// Whether the target refused records of the chunks before.
    is_suspect: bool,
    /// Rejected in this transaction.
    target_errors: u64,
}

impl Marker {
    /// Records that are not rejected.
    fn good(&self) -> u64 {
        self.chunk.last_record + 1 - self.chunk.first_record - self.staging_errors - self.target_errors
    }
}

/// What one pass over the chunks came to.
#[derive(Default)]
struct Pass {
    /// One for each chunk, in order.
    landed: Vec<Landed>,
    rejected: Vec<Rejected>,
    /// Whether it came to the end of the last chunk.
    is_complete: bool,
}

/// What becomes of what a pass landed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Stays,
    /// It is rolled back, and the rest lands in another pass.
    Again,
    /// It is rolled back, and nothing lands.
    Nothing,
}

impl Promotion {
    pub(super) async fn new(
        database: &Database,
        load: Load<'_>,
        fields: &[String],
        allowed: Option<ErrorThreshold>,
    ) -> Result<Self, BusinessError> {
        let conversions = database.conversions(load.entity).await?;
        let dialect = database.dialect();
        Ok(Self {
            steps: Steps::default(),
            database: database.clone(),
            key: LoadKey::new(load),
            fence: load.fence,
            landing: Landing::new(dialect, load, fields, &conversions),
            suspects: Suspects::new(fields, &conversions),
            fields: fields.to_vec(),
            atomicity: load.policy.atomicity,
            documents: Documents::of(dialect, load),
            truncation: Truncation::of(load),
            allowed,
        })
    }

    /// Promotes the chunk of this number, or all of them, unless it is done.
    pub(super) async fn run(&self, session: &mut Session, chunk_no: Option<i64>) -> Result<(), Fault> {
        lock_target(session, &self.key).await?;
        let mut markers = self.markers(session, chunk_no).await?;
        if let (Some(chunk_no), []) = (chunk_no, markers.as_slice()) {
            return Err(self.database.corrupt(format!("there is no chunk {chunk_no}")).into());
        }
        markers.retain(|marker| !marker.chunk.done);
        if markers.is_empty() {
            session.discard();
            return Ok(());
        }
        self.land_together(session, markers).await
    }

    async fn markers(&self, session: &mut Session, chunk_no: Option<i64>) -> Result<Vec<Marker>, Fault> {
        let one = if chunk_no.is_some() { " and chunk_no = $3" } else { "" };
        let sql = format!(
            "select chunk_no, first_record, last_record, done, skipped, staging_errors, \
               exists (select 1 from tranship_chunks p where p.message = c.message and p.entity_no = c.entity_no \
                 and p.chunk_no between c.chunk_no - {CHUNKS_REMEMBERED} and c.chunk_no - 1 and p.target_errors > 0) \
             from tranship_chunks c where message = $1 and entity_no = $2{one} order by chunk_no"
        );
        let rows = session.rows(sql, self.key.with(chunk_no.map(Value::Int))).await?;
        let marker = |row: &DbRow| {
            Ok(Marker {
                chunk: chunk(row)?,
                staging_errors: row.count(5)?,
                is_suspect: row.flag(6)?,
                target_errors: 0,
            })
        };
        rows.iter().map(marker).collect()
    }

    /// Lands chunks that stand or fall together, and marks them.
    async fn land_together(&self, session: &mut Session, mut markers: Vec<Marker>) -> Result<(), Fault> {
        loop {
            if self.is_nothing_to_land(&markers) {
                return self.mark_skipped(session, &markers).await;
            }
            session.run("savepoint pass").await?;
            let truncated = match &self.truncation {
                Some(truncation) => truncation.run(session, &self.key).await?,
                None => false,
            };
            let pass = self.pass(session, &markers).await?;
            let verdict = self.judge(session, &markers, &pass, truncated).await?;
            if verdict != Verdict::Stays {
                session.run("rollback to savepoint pass").await?;
                let records = pass.rejected.iter().filter_map(Rejected::record);
                mark_rejected(session, &self.key, records, REJECTED).await?;
            }
            session.run("release savepoint pass").await?;
            self.keep_rejects(session, &mut markers, &pass).await?;
            match verdict {
                Verdict::Stays => return self.mark_landed(session, &markers, &pass.landed).await,
                Verdict::Nothing => return self.mark_skipped(session, &markers).await,
                Verdict::Again => {}
            }
        }
    }

    /// Where no record is good nothing is tried, and no row is deleted for it.
    fn is_nothing_to_land(&self, markers: &[Marker]) -> bool {
        let falls = self.atomicity == Atomicity::Chunk && markers.iter().any(|marker| marker.staging_errors > 0);
        falls || markers.iter().all(|marker| marker.good() == 0)
    }

    async fn pass(&self, session: &mut Session, markers: &[Marker]) -> Result<Pass, Fault> {
        let mut pass = Pass::default();
        for marker in markers {
            let Some(landed) = self.land(session, marker, &mut pass.rejected).await? else {
                return Ok(pass);
            };
            // Promise 4, chunk by chunk: a record that is neither good nor rejected is lost, and nothing may land then.
            let (good, size) = (marker.good(), marker.chunk.last_record + 1 - marker.chunk.first_record);
            if landed.attempted != good {
                let problem = format!(
                    "chunk {} has {size} records, but {} good and {} rejected ones",
                    marker.chunk.chunk_no,
                    landed.attempted,
                    size - good
                );
                return Err(if landed.attempted < good {
                    self.database.short(self.fence, problem)
                } else {
                    self.database.corrupt(problem).into()
                });
            }
            pass.landed.push(landed);
        }
        pass.is_complete = true;
        Ok(pass)
    }

    /// Lands a chunk; where the target refuses a piece, makes smaller ones of it until the records at fault stand alone. `None`
    /// where there are more of those than one pass holds.
    async fn land(
        &self,
        session: &mut Session,
        marker: &Marker,
        rejected: &mut Vec<Rejected>,
    ) -> Result<Option<Landed>, Fault> {
        let mut outcome = Landed::default();
        let mut pieces = pieces::of(marker.chunk);
        let mut is_suspect = marker.is_suspect;
        while let Some(piece) = pieces.pop() {
            // What is landed record by record is landed in one pass: a chunk is its bound.
            if self.atomicity != Atomicity::Record && rejected.len() >= REJECTS_PER_PASS {
                return Ok(None);
            }
            if is_suspect && !piece.is_cut {
                let suspects = self.suspects.among(session, &self.key, piece.first, piece.last).await?;
                pieces.extend(piece.cut_at(&suspects));
                continue;
            }
            session.run("savepoint piece").await?;
            match self.landing.run(session, &self.key, piece.first, piece.last).await {
                Ok((done, refused)) => {
                    outcome = outcome.plus(done);
                    rejected.extend(refused);
                }
                Err(Fault::Driver(error)) if session.dialect.kind(&error) == FaultKind::Record => {
                    session.run("rollback to savepoint piece").await?;
                    if piece.first == piece.last {
                        rejected.push(self.refuse(session, piece.first, &error).await?);
                        outcome.attempted += 1;
                        outcome.refused += 1;
                    } else {
                        is_suspect = true;
                        pieces.extend(piece.smaller());
                    }
                }
                Err(fault) => return Err(fault),
            }
            session.run("release savepoint piece").await?;
            self.steps.step();
        }
        Ok(Some(outcome))
    }

    async fn refuse(&self, session: &mut Session, record: u64, error: &sqlx::Error) -> Result<Rejected, Fault> {
        let staging = &self.key.staging;
        let sql = format!(
            "update {staging} set tranship_state = {REJECTED} where {IN_RANGE} \
             returning tranship_record, tranship_line, tranship_byte_start, tranship_byte_end, tranship_origin"
        );
        let row = session
            .row(sql, self.key.with([record.into(), record.into()]))
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        let field = column_of(error).filter(|column| self.fields.contains(column));
        let error: RecordError = rejects::by_target(error, validate::place(&row)?, field);
        Ok(Rejected {
            origin: row.opt_text(4)?,
            by_target: true,
            errors: vec![error],
        })
    }

    async fn judge(
        &self,
        session: &mut Session,
        markers: &[Marker],
        pass: &Pass,
        truncated: bool,
    ) -> Result<Verdict, Fault> {
        let is_clean = pass.rejected.is_empty();
        let falls = match self.atomicity {
            _ if !pass.is_complete => return Ok(Verdict::Again),
            Atomicity::Document if !is_clean => return Ok(Verdict::Again),
            Atomicity::Record | Atomicity::Document => false,
            Atomicity::Chunk => !is_clean,
            Atomicity::File => self.is_too_much(session, markers, pass).await?,
        };
        // Rows make way for records, never for nothing.
        let is_emptied = truncated && pass.landed.iter().all(|landed| landed.applied() == 0);
        Ok(if falls || is_emptied {
            Verdict::Nothing
        } else {
            Verdict::Stays
        })
    }

    /// Whether more records of the file are rejected than allowed.
    async fn is_too_much(&self, session: &mut Session, markers: &[Marker], pass: &Pass) -> Result<bool, Fault> {
        let Some(allowed) = self.allowed else { return Ok(false) };
        let read = self.database.load_state(session, &self.key).await?.position.records;
        let before: u64 = markers.iter().map(|m| m.staging_errors + m.target_errors).sum();
        Ok(allowed.exceeded(before + pass.rejected.len() as u64, read))
    }

    /// Keeps the rejects of a pass, and rejects what belongs to the same documents.
    async fn keep_rejects(&self, session: &mut Session, markers: &mut [Marker], pass: &Pass) -> Result<(), Fault> {
        if pass.rejected.is_empty() {
            return Ok(());
        }
        rejects::insert(session, &self.key, &pass.rejected).await?;
        for marker in markers {
            let range = (marker.chunk.first_record, marker.chunk.last_record);
            let within = |record: &u64| (range.0..=range.1).contains(record);
            let of_chunk = pass.rejected.iter().filter_map(Rejected::record).filter(within);
            marker.target_errors += of_chunk.count() as u64;
            if let Some(documents) = &self.documents {
                let siblings = documents.reject_siblings(session, &self.key, range, true).await?;
                marker.target_errors += siblings as u64;
            }
        }
        Ok(())
    }

    async fn mark_landed(&self, session: &mut Session, markers: &[Marker], landed: &[Landed]) -> Result<(), Fault> {
        for (marker, landed) in markers.iter().zip(landed) {
            self.note_repairs(session, marker.chunk).await?;
            self.mark(session, marker, *landed, 0).await?;
        }
        Ok(())
    }

    async fn mark_skipped(&self, session: &mut Session, markers: &[Marker]) -> Result<(), Fault> {
        for marker in markers {
            self.mark(session, marker, Landed::default(), marker.good()).await?;
        }
        Ok(())
    }

    async fn note_repairs(&self, session: &mut Session, chunk: Chunk) -> Result<(), Fault> {
        let sql = format!(
            "insert into tranship_repairs (message, entity_no, origin) \
             select distinct tranship_message, tranship_entity_no, tranship_origin from {} \
             where {IN_RANGE} and tranship_state = 0 and tranship_origin is not null on conflict do nothing",
            self.key.staging
        );
        let range = [chunk.first_record.into(), chunk.last_record.into()];
        session.execute(sql, self.key.with(range)).await?;
        Ok(())
    }

    async fn mark(&self, session: &mut Session, marker: &Marker, landed: Landed, skipped: u64) -> Result<(), Fault> {
        let changed = landed.inserted + landed.updated + landed.deleted;
        let sql = "update tranship_chunks set done = true, inserted = $4, updated = $5, unchanged = $6, deleted = $7, \
             target_errors = $8, skipped = $9 where message = $1 and entity_no = $2 and chunk_no = $3 and not done";
        let counts = [
            landed.inserted,
            landed.updated,
            landed.applied() - changed,
            landed.deleted,
            marker.target_errors,
            skipped,
        ]
        .map(Value::from);
        let values = [Value::Int(marker.chunk.chunk_no)].into_iter().chain(counts);
        // Meanwhile the load was stopped, and what is here counts as skipped.
        if session.execute(sql, self.key.with(values)).await? == 0 {
            return Err(BusinessError::Fenced(self.fence.message).into());
        }
        Ok(())
    }
}

/// PostgreSQL names the column of a violated NOT NULL.
fn column_of(error: &sqlx::Error) -> Option<String> {
    let error = error
        .as_database_error()?
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    error.column().map(str::to_owned)
}
