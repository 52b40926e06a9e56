//! Housekeeping: what is no longer needed goes, a bounded portion at a time.
//!
//! Payloads of ended messages go after their retention, which is longer for those that ended without success; message,
//! outcome and history stay until the identities do. On PostgreSQL whole days are dropped, which leaves no dead rows: what
//! must be kept of a day is first moved to the default partition. On SQLite, and from the default partition, rows are
//! deleted from the low end. Messages that have not ended are never touched, whatever their age.

use super::dialect::{Dialect, Retries, lock_retries, sql};
use super::pool::{Backend, Tx, execute, fetch_all};
use super::{Store, StoreError};
use crate::domain::ids::MessageId;
use crate::domain::time::Timestamp;
use crate::failpoint;

/// Rows deleted by one statement.
const PORTION: usize = 500;
/// Messages whose many lines go by one statement.
const FEW: usize = 50;
/// Days made ahead of time.
const DAYS_AHEAD: i64 = 3;
const DAY_SECONDS: i64 = 86_400;
/// What is partitioned by the day, with the column that says so.
///
/// Outcomes go last: they tell what of the others may go.
const DAILY: [(&str, &str); 4] = [
    ("payloads", "message"),
    ("message_events", "message"),
    ("messages", "id"),
    ("outcomes", "message"),
];
/// One process at a time changes partitions.
const HOUSEKEEPER: i64 = 0x7472_686f_7573_6500;

/// What is kept how long, as times before which it may go.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Payloads of messages that ended well before this.
    pub payloads: Timestamp,
    /// Payloads of messages that ended otherwise before this.
    pub failed_payloads: Timestamp,
    /// Everything about messages and occurrences that ended before this, and identities older than this.
    pub messages: Timestamp,
}

/// What a round of housekeeping removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Rows deleted.
    pub rows: u64,
    /// Days dropped (PostgreSQL).
    pub days: u64,
    /// Blobs given to the sweep.
    pub blobs: u64,
}

impl Store {
    /// Makes the next days and drops those that are over (PostgreSQL); how many. Before the rounds of [`Store::tidy`], once: a
    /// day that could not be dropped is not tried again before the next time.
    pub async fn turn_days(&self, keep: Retention, now: Timestamp) -> Result<u64, StoreError> {
        if !matches!(self.shared.pool, Backend::Postgres(_)) {
            return Ok(0);
        }
        self.make_days(now).await?;
        self.drop_days(keep, now).await
    }

    /// One round: deletes a portion of what cannot be dropped by the day. Call again while it removes something.
    pub async fn tidy(&self, keep: Retention, now: Timestamp) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        self.write(|tx| Box::pin(super::depths::add_up(tx))).await?;
        removed.blobs = self.release_blobs(keep, now).await? + self.release_dmf_blobs(now).await?;
        if removed.blobs > 0 {
            failpoint::reached("retention.blobs_released");
        }
        let mut prunes = prunes(keep, self.dialect());
        prunes.extend(super::traffic::prunes(now, PORTION));
        prunes.push(super::processes::prune(now, PORTION));
        while !prunes.is_empty() {
            let left = prunes.clone();
            let (done, rows) = self.write(|tx| Box::pin(prune_portion(tx, left))).await?;
            prunes.drain(..done);
            removed.rows += rows;
            if rows > 0 {
                failpoint::reached("retention.rows_deleted");
            }
        }
        Ok(removed)
    }

    /// Moves the uploads of payloads that are no longer kept to `dead`, for the sweep.
    async fn release_blobs(&self, keep: Retention, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                // The outcome is locked: a message that is being tried again keeps its blob, or finds it gone.
                let text = format!(
                    "select u.key from uploads u join outcomes o on o.message = u.message where u.state = 'used' and u.created_at < {} and {} \
                     order by u.created_at limit {PORTION}{}",
                    keep.payloads.micros(),
                    payload_due(keep),
                    tx.dialect().skip_locked_of("o")
                );
                let keys: Vec<(String,)> = fetch_all!(tx.db(), (String,), sql(text))?;
                for (key,) in &keys {
                    let text = "update uploads set state = 'dead', beat_at = $2 where key = $1 and state = 'used'";
                    execute!(tx.db(), text, key.as_str(), now.micros())?;
                }
                Ok(keys.len() as u64)
            })
        })
        .await
    }

    /// Partitions for today and the days to come.
    async fn make_days(&self, now: Timestamp) -> Result<(), StoreError> {
        for ahead in 0..=DAYS_AHEAD {
            let day = Day::of(now.plus_seconds(ahead * DAY_SECONDS));
            for (table, _) in DAILY {
                let made = self
                    .write(move |tx| Box::pin(async move { make_day(tx, table, day).await }))
                    .await;
                unless_in_use(made, table)?;
            }
        }
        Ok(())
    }

    async fn drop_days(&self, keep: Retention, now: Timestamp) -> Result<u64, StoreError> {
        let mut dropped = 0;
        for (table, column) in DAILY {
            // A payload's day may go when the youngest that may have ended well on it is over its time.
            let before = Day::of(if table == "payloads" {
                keep.payloads
            } else {
                keep.messages
            });
            for day in self.days(table).await?.into_iter().filter(|day| *day < before) {
                let gone = self
                    .write(move |tx| Box::pin(async move { drop_day(tx, table, column, day, keep).await }))
                    .await;
                dropped += unless_in_use(gone, table)?.unwrap_or(0);
            }
        }
        if dropped > 0 {
            tracing::info!(dropped, at = %now, "dropped days that are over");
        }
        Ok(dropped)
    }

    /// The days a table has partitions for.
    async fn days(&self, table: &'static str) -> Result<Vec<Day>, StoreError> {
        let text = "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid \
            where i.inhparent = to_regclass($1)";
        let Backend::Postgres(db) = self.reader() else {
            return Ok(Vec::new());
        };
        let names: Vec<(String,)> = sqlx::query_as(text).bind(table).fetch_all(db).await?;
        Ok(names.iter().filter_map(|(name,)| Day::parse(table, name)).collect())
    }
}

/// Somebody is in the way of a change to a table: the next round tries again.
fn unless_in_use<T>(result: Result<T, StoreError>, table: &str) -> Result<Option<T>, StoreError> {
    match result {
        Err(error) if error.is_lock_timeout() => {
            tracing::info!(table, "in use; its days are looked after in the next round");
            Ok(None)
        }
        // One day that cannot be changed must not keep everything else.
        Err(error @ StoreError::Driver(_)) => {
            tracing::warn!(table, %error, "a day could not be made or dropped; trying again in the next round");
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// A day in UTC, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Day(i64);

impl Day {
    fn of(at: Timestamp) -> Self {
        Self(at.micros().div_euclid(DAY_SECONDS * 1_000_000))
    }

    fn start(self) -> Timestamp {
        Timestamp(self.0 * DAY_SECONDS * 1_000_000)
    }

    fn partition(self, table: &str) -> String {
        format!("{table}_{}", self.start().to_utc().format("%Y%m%d"))
    }

    fn parse(table: &str, name: &str) -> Option<Self> {
        let date = name.strip_prefix(table)?.strip_prefix('_')?;
        let date = chrono::NaiveDate::parse_from_str(date, "%Y%m%d").ok()?;
        Some(Self::of(Timestamp(
            date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros(),
        )))
    }
}

/// Waits for nobody: an insert that is under way must not make every later one wait behind this.
async fn begin_change(tx: &mut Tx) -> Result<bool, StoreError> {
    let Backend::Postgres(db) = tx.db() else {
        return Ok(false);
    };
    sqlx::query("set local lock_timeout = '500ms'")
        .execute(&mut *db)
        .await?;
    let (mine,): (bool,) = sqlx::query_as("select pg_try_advisory_xact_lock($1)")
        .bind(HOUSEKEEPER)
        .fetch_one(&mut *db)
        .await?;
    Ok(mine)
}

async fn make_day(tx: &mut Tx, table: &str, day: Day) -> Result<(), StoreError> {
    let partition = day.partition(table);
    let (from, to) = (
        MessageId::first_at(day.start()),
        MessageId::first_at(Day(day.0 + 1).start()),
    );
    let exists: Vec<(bool,)> = match tx.db() {
        Backend::Sqlite(_) => return Ok(()),
        Backend::Postgres(db) => {
            sqlx::query_as(
                // Rows that came before the day was made stay where they are, and so does the day.
                sql(format!(
                    "select to_regclass($1) is not null or exists (select 1 from {table}_default d where {} >= $2 and {} < $3)",
                    key_of(table),
                    key_of(table)
                )),
            )
            .bind(&partition)
            .bind(from.0)
            .bind(to.0)
            .fetch_all(db)
            .await?
        }
    };
    if exists == [(true,)] || !begin_change(tx).await? {
        return Ok(());
    }
    let text = format!("create table {partition} partition of {table} for values from ('{from}') to ('{to}')");
    execute!(tx.db(), sql(text))?;
    Ok(())
}

fn key_of(table: &str) -> &'static str {
    DAILY
        .into_iter()
        .find(|(name, _)| *name == table)
        .map_or("message", |(_, column)| column)
}

async fn drop_day(
    tx: &mut Tx,
    table: &'static str,
    column: &'static str,
    day: Day,
    keep: Retention,
) -> Result<u64, StoreError> {
    if !begin_change(tx).await? {
        return Ok(0);
    }
    let partition = day.partition(table);
    let due = if table == "payloads" {
        payload_due(keep)
    } else {
        format!("o.finished_at < {}", keep.messages.micros())
    };
    // A large day takes longer than any other statement may.
    execute!(tx.db(), "set local statement_timeout = '30min'")?;
    // Nobody may make a message of that day live again from here on, or say of one that it was repaired.
    lock_retries(tx, Retries::Forbid).await?;
    // What has not ended has no outcome; of `outcomes` itself the row is the outcome.
    let kept = if table == "outcomes" {
        format!("select o.* from {partition} o where not ({due}) or not ({NOTHING_LEFT})")
    } else {
        format!(
            "select d.* from {partition} d where not exists (select 1 from outcomes o where o.message = d.{column} and {due})"
        )
    };
    // What stays is found before the table is locked: from there on it takes as long as there are rows that stay.
    for text in [
        format!("lock table {partition} in share row exclusive mode"),
        format!("create temporary table kept_rows on commit drop as {kept}"),
        format!("alter table {table} detach partition {partition}"),
        format!("insert into {table} select * from kept_rows"),
        format!("drop table {partition}"),
    ] {
        execute!(tx.db(), sql(text))?;
    }
    Ok(1)
}

/// What is deleted where no day can be dropped, in this order: outcomes go last, for they tell what may go.
///
/// Every search is bounded by the id as well as by the time, so that it does not walk what is young.
fn prunes(keep: Retention, dialect: Dialect) -> Vec<String> {
    let old = |at: Timestamp| dialect.id_literal(MessageId::first_at(at).0);
    let (over, old_messages) = (keep.messages.micros(), old(keep.messages));
    // A message that is being tried again keeps what it has, or finds it gone.
    let passing = dialect.skip_locked_of("o");
    let of_message = |table: &str| {
        format!(
            "delete from {table} where message in (select o.message from outcomes o where o.message < {old_messages} \
             and o.finished_at < {over} and exists (select 1 from {table} e where e.message = o.message) limit {FEW}{passing})"
        )
    };
    vec![
        format!(
            "delete from payloads where message in (select p.message from payloads p join outcomes o on o.message = p.message \
             where p.message < {} and {} limit {PORTION}{passing})",
            old(keep.payloads),
            payload_due(keep)
        ),
        of_message("message_events"),
        of_message("record_errors"),
        of_message("error_groups"),
        of_message("repairs"),
        of_message("erased_payloads"),
        format!(
            "delete from execution_entities where execution in (select e.id from executions e where e.finished_at < {over} \
             and exists (select 1 from execution_entities x where x.execution = e.id) limit {FEW})"
        ),
        format!(
            "delete from occurrences where (job, due_at) in (select n.job, n.due_at from occurrences n \
             where n.finished_at < {over} order by n.finished_at limit {PORTION})"
        ),
        format!(
            "delete from missed_occurrences where (job, first_due) in (select m.job, m.first_due from missed_occurrences m \
             where m.recorded_at < {over} limit {PORTION})"
        ),
        format!(
            "delete from executions where id in (select e.id from executions e where e.finished_at < {over} \
             and not exists (select 1 from execution_entities x where x.execution = e.id) \
             and not exists (select 1 from occurrences n where n.execution = e.id) limit {PORTION})"
        ),
        format!(
            "delete from identities where (job, kind, key) in (select i.job, i.kind, i.key from identities i \
             where i.created_at < {over} order by i.created_at limit {PORTION})"
        ),
        format!(
            "delete from messages where id in (select m.id from messages m join outcomes o on o.message = m.id \
             where m.id < {old_messages} and o.finished_at < {over} limit {PORTION}{passing})"
        ),
        format!(
            "update uploads set state = 'dead' where state = 'used' and key in (select u.key from uploads u where u.state = 'used' \
             and u.created_at < {over} and u.message is not null \
             and not exists (select 1 from messages m where m.id = u.message) limit {PORTION}{})",
            dialect.skip_locked_of("u")
        ),
        format!(
            "delete from outcomes where message in (select o.message from outcomes o where o.message < {old_messages} \
             and o.finished_at < {over} and {NOTHING_LEFT} limit {PORTION}{passing})"
        ),
    ]
}

/// Runs these one after the other until a portion is gone: mostly there is nothing to delete, and one transaction finds that. How
/// many ran, and how many rows they deleted.
async fn prune_portion(tx: &mut Tx, prunes: Vec<String>) -> Result<(usize, u64), StoreError> {
    let (mut done, mut rows) = (0, 0);
    for text in prunes {
        rows += execute!(tx.db(), sql(text))?;
        done += 1;
        if rows >= PORTION as u64 {
            break;
        }
    }
    Ok((done, rows))
}

/// Nothing is kept any more that is found by the outcome `o`.
const NOTHING_LEFT: &str = "not exists (select 1 from messages m where m.id = o.message) \
    and not exists (select 1 from message_events e where e.message = o.message) \
    and not exists (select 1 from record_errors e where e.message = o.message) \
    and not exists (select 1 from error_groups e where e.message = o.message) \
    and not exists (select 1 from repairs e where e.message = o.message) \
    and not exists (select 1 from erased_payloads e where e.message = o.message)";

/// An ended message's payload may go.
fn payload_due(keep: Retention) -> String {
    format!(
        "o.finished_at < case when o.status in ('Acked', 'Processed') then {} else {} end",
        keep.payloads.micros(),
        keep.failed_payloads.micros()
    ) + &format!(
        // A delivery to come needs it; one that failed may be replayed for as long as a failed message may be tried again.
        " and not exists (select 1 from export_deliveries d where d.message = o.message and (d.state = 'pending' \
         or (d.state = 'failed' and d.finished_at >= {})))",
        keep.failed_payloads.micros()
    )
}
