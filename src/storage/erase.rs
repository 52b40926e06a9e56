//! Erasing a person's data from messages that have ended: their payloads are withdrawn whole, and what record errors, failure and history
//! quote of them is blanked. Ids, statuses, codes and counts stay.
//!
//! A payload goes as retention takes it: its row is deleted, or its upload moves to `dead` and the sweep deletes the blob.

mod texts;

use uuid::Uuid;

use super::dialect::{Retries, lock_retries, sql};
use super::live::{EventLine, note};
use super::pool::{Backend, Tx, execute, fetch_all, fetch_optional};
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// What stands where something was erased.
pub const ERASED: &str = "erased";
/// Record errors blanked in one transaction.
const PORTION: u32 = 2000;
/// Jobs that are looked for one by one.
const JOBS_MAX: usize = 100_000;
/// How often a checkpoint is tried that readers keep from its end.
const CHECKPOINTS: usize = 20;

/// That a payload was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// Which record errors of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichErrors {
    /// All that quote anything.
    All,
    /// Those of records that quote one of these texts.
    Quoting(Vec<String>),
}

/// What became of a message whose payload was to be withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawn {
    /// It is.
    Done,
    /// It has not ended, or is to be sent somewhere.
    Live,
    /// There is no such message any more.
    Unknown,
}

impl Store {
    /// Whether a message's payload was withdrawn.
    pub async fn erased(&self, id: MessageId) -> Result<Option<Erased>, StoreError> {
        let text = "select erased_at, erased_by from erased_payloads where message = $1";
        let row: Option<(i64, String)> = fetch_optional!(self.reader(), (i64, String), text, id.0)?;
        Ok(row.map(|(at, by)| Erased { at: Timestamp(at), by }))
    }

    /// The jobs that have messages, each found by a look of its own into the index of lists.
    pub async fn jobs_with_messages(&self) -> Result<Vec<JobId>, StoreError> {
        let mut jobs = Vec::new();
        let mut after = Uuid::nil();
        while jobs.len() < JOBS_MAX {
            let text = "select job from messages where bytes >= 0 and job > $1 order by job limit 1";
            let Some((job,)) = fetch_optional!(self.reader(), (Uuid,), text, after)? else {
                break;
            };
            jobs.push(JobId(job));
            after = job;
        }
        Ok(jobs)
    }

    /// How many record errors of an ended message quote something.
    pub async fn quoting_errors(&self, id: MessageId, which: &WhichErrors) -> Result<u64, StoreError> {
        let mut counted = 0;
        for (condition, quoted) in conditions(which) {
            let text =
                format!("select count(*) from record_errors e where e.message = $1 and {QUOTES} and {condition}");
            let row: Option<(i64,)> = fetch_optional!(self.reader(), (i64,), sql(text), id.0, quoted)?;
            counted += row.map_or(0, |(errors,)| errors.unsigned_abs());
        }
        Ok(counted)
    }

    /// Blanks what record errors of a message that has ended say of values, in portions; how many did.
    pub async fn blank_errors(&self, id: MessageId, which: &WhichErrors) -> Result<u64, StoreError> {
        let mut blanked = 0;
        for (condition, quoted) in conditions(which) {
            loop {
                let (condition, quoted) = (condition, quoted.clone());
                let rows = self
                    .write(move |tx| Box::pin(async move { blank_some(tx, id, condition, quoted).await }))
                    .await?;
                blanked += rows;
                if rows == 0 {
                    break;
                }
            }
        }
        Ok(blanked)
    }

    /// Withdraws the payload of a message that has ended, in one transaction with the line in its history. Its failure and its history
    /// are blanked where they hold one of these texts.
    pub async fn withdraw(
        &self,
        id: MessageId,
        texts: &[String],
        by: &str,
        now: Timestamp,
    ) -> Result<Withdrawn, StoreError> {
        let (texts, by) = (texts.to_vec(), by.to_owned());
        self.write(move |tx| Box::pin(async move { withdraw(tx, id, &texts, &by, now).await }))
            .await
    }

    /// Makes what was deleted leave the write-ahead log of SQLite, and says whether it did: a reader may be in the way. With
    /// `rewritten` the whole file is written anew before, which takes as long as that does, and keeps others from writing. On
    /// PostgreSQL there is nothing to be done from here.
    pub async fn empty_log(&self, rewritten: bool) -> Result<bool, StoreError> {
        let Backend::Sqlite(pools) = &self.shared.pool else {
            return Ok(true);
        };
        if rewritten {
            sqlx::query("vacuum").execute(&pools.write).await?;
        }
        for _ in 0..CHECKPOINTS {
            let text = "pragma wal_checkpoint(truncate)";
            let (busy, _, _): (i64, i64, i64) = sqlx::query_as(text).fetch_one(&pools.write).await?;
            if busy == 0 {
                return Ok(true);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        Ok(false)
    }
}

/// An error that says something of a value.
const QUOTES: &str = "(e.value is not null or e.reason <> 'erased')";

/// A condition for each text, and the text; on record errors `e`.
fn conditions(which: &WhichErrors) -> Vec<(&'static str, String)> {
    match which {
        WhichErrors::All => vec![("$2 = ''", String::new())],
        // All that is wrong with such a record.
        WhichErrors::Quoting(texts) => {
            let quoting = "exists (select 1 from record_errors q where q.message = e.message and q.entity_no = e.entity_no \
                and q.record = e.record and replace(coalesce(q.value, '') || ' ' || q.reason, $2, '') <> coalesce(q.value, '') || ' ' || q.reason)";
            texts.iter().map(|text| (quoting, text.clone())).collect()
        }
    }
}

async fn blank_some(tx: &mut Tx, id: MessageId, condition: &'static str, quoted: String) -> Result<u64, StoreError> {
    overwrite_what_is_deleted(tx).await?;
    // All of a record, as long as one of its errors still tells that it is one.
    let text = format!(
        "select e.entity_no, e.record from record_errors e where e.message = $1 and {QUOTES} and {condition} \
         group by e.entity_no, e.record order by e.entity_no, e.record limit {PORTION}"
    );
    let records: Vec<(i32, i64)> = fetch_all!(tx.db(), (i32, i64), sql(text), id.0, quoted)?;
    let mut rows = 0;
    for (entity_no, record) in records {
        let text = "update record_errors set value = null, reason = 'erased' where message = $1 and entity_no = $2 and record = $3";
        rows += execute!(tx.db(), text, id.0, entity_no, record)?;
    }
    Ok(rows)
}

async fn withdraw(
    tx: &mut Tx,
    id: MessageId,
    texts: &[String],
    by: &str,
    now: Timestamp,
) -> Result<Withdrawn, StoreError> {
    overwrite_what_is_deleted(tx).await?;
    lock_retries(tx, Retries::Allow).await?;
    // Whoever tries it again locks the outcome, too.
    let text = format!(
        "select status, epoch from outcomes where message = $1{}",
        tx.dialect().lock_row()
    );
    let outcome: Option<(String, i64)> = fetch_optional!(tx.db(), (String, i64), sql(text), id.0)?;
    let Some((status, epoch)) = outcome else {
        let live: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), "select 1 from queue where message = $1", id.0)?;
        return Ok(live.map_or(Withdrawn::Unknown, |_| Withdrawn::Live));
    };
    let text = "select 1 from export_deliveries where message = $1 and state = 'pending' limit 1";
    let to_come: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), text, id.0)?;
    if to_come.is_some() {
        return Ok(Withdrawn::Live);
    }
    let text = "insert into erased_payloads (message, erased_at, erased_by) values ($1, $2, $3) on conflict (message) do nothing";
    let is_first = execute!(tx.db(), text, id.0, now.micros(), by)? == 1;
    let text = "update uploads set state = 'dead', beat_at = $2 where state = 'used' and message = $1 \
        and key = (select blob_key from messages where id = $1)";
    execute!(tx.db(), text, id.0, now.micros())?;
    execute!(tx.db(), "delete from payloads where message = $1", id.0)?;
    for held in texts.iter().filter(|text| !text.is_empty()) {
        blank_texts(tx, id, held).await?;
    }
    if let (true, Some(status)) = (is_first, Status::parse(&status)) {
        let line = EventLine {
            message: id,
            at: now,
            status,
            epoch,
            note: Some(format!("payload erased by {by}")),
        };
        note(tx, &[line]).await?;
    }
    Ok(Withdrawn::Done)
}

/// Blanks what failure and history of a message say, where they hold the text.
async fn blank_texts(tx: &mut Tx, id: MessageId, held: &str) -> Result<(), StoreError> {
    for (table, column) in [
        ("outcomes", "failure_detail"),
        ("outcomes", "first_error"),
        ("outcomes", "last_error"),
        ("message_events", "note"),
    ] {
        // The one word for `contains` that both databases have.
        let text = format!(
            "update {table} set {column} = '{ERASED}' where message = $1 and replace({column}, $2, '') <> {column}"
        );
        execute!(tx.db(), sql(text), id.0, held)?;
    }
    Ok(())
}

/// SQLite leaves what is deleted in the file until something else needs the room, unless it is told otherwise.
async fn overwrite_what_is_deleted(tx: &mut Tx) -> Result<(), StoreError> {
    if let Backend::Sqlite(db) = tx.db() {
        sqlx::query("pragma secure_delete = on").execute(db).await?;
    }
    Ok(())
}
