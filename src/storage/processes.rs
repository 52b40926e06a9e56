//! The processes that serve this store, as each says of itself every few seconds.
//!
//! Times are those of the service's clocks, as those of leases are. A SQLite store has one process, which writes nothing here:
//! whoever asks it has it before them.

use uuid::Uuid;

use super::pool::{execute, fetch_all};
use super::{Store, StoreError};
use crate::domain::time::Timestamp;

/// How often a process says that it lives.
pub const BEAT_SECONDS: i64 = 10;
/// One that has not said so three times is gone.
pub const GONE_AFTER_SECONDS: i64 = 3 * BEAT_SECONDS;
/// One that is gone is told of for a day.
const KEPT_SECONDS: i64 = 86_400;
/// Most processes that are told of.
const PROCESSES_MAX: i64 = 200;

/// A process that serves this store, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id; another one after every start.
    pub id: Uuid,
    /// Host, process and port, as leases name it.
    pub owner: String,
    /// Of the program.
    pub version: String,
    /// The address it listens on.
    pub listener: String,
    /// How much its worker does at once.
    pub slots: u64,
    /// How much of it is taken.
    pub busy: u64,
    /// When it started.
    pub started_at: Timestamp,
    /// When its worker looked for work last.
    pub looked_at: Option<Timestamp>,
    /// When it was heard of last.
    pub seen_at: Timestamp,
}

impl Process {
    /// Whether it has not been heard of for so long that it must be gone.
    #[must_use]
    pub fn is_gone(&self, now: Timestamp) -> bool {
        now.seconds_since(self.seen_at) >= GONE_AFTER_SECONDS
    }

    /// Whether it lives and its worker looks for work: it does so every second or so, also while all its slots are taken.
    #[must_use]
    pub fn works(&self, now: Timestamp) -> bool {
        let looked_at = self.looked_at.unwrap_or(self.started_at).max(self.started_at);
        // As of when it was heard of: a clock that differs makes no difference.
        !self.is_gone(now) && self.seen_at.seconds_since(looked_at) < GONE_AFTER_SECONDS
    }
}

impl Store {
    /// Notes that a process lives. An earlier one of the same name that is gone has come back by it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is noted.
    pub async fn beat(&self, process: Process) -> Result<(), StoreError> {
        self.write_relaxed(move |tx| {
            Box::pin(async move {
                let stored = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
                let gone_before = process.seen_at.plus_seconds(-GONE_AFTER_SECONDS);
                let text = "delete from processes where owner = $1 and id <> $2 and seen_at <= $3";
                execute!(tx.db(), text, process.owner.as_str(), process.id, gone_before.micros())?;
                let text = "insert into processes (id, owner, version, listener, slots, busy, started_at, looked_at, seen_at) \
                    values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (id) do update set busy = excluded.busy, \
                    looked_at = excluded.looked_at, seen_at = excluded.seen_at";
                execute!(
                    tx.db(),
                    text,
                    process.id,
                    process.owner.as_str(),
                    process.version.as_str(),
                    process.listener.as_str(),
                    stored(process.slots),
                    stored(process.busy),
                    process.started_at.micros(),
                    process.looked_at.map(Timestamp::micros),
                    process.seen_at.micros(),
                )?;
                Ok(())
            })
        })
        .await
    }

    /// A process has stopped in order: nobody has to look for it.
    ///
    /// # Errors
    /// [`StoreError`]; it is told of as one that is gone.
    pub async fn forget_process(&self, id: Uuid) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                execute!(tx.db(), "delete from processes where id = $1", id)?;
                Ok(())
            })
        })
        .await
    }

    /// Those that were heard of in the last day, the latest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn processes(&self) -> Result<Vec<Process>, StoreError> {
        type Row = (Uuid, String, String, String, i64, i64, i64, Option<i64>, i64);
        let text = "select id, owner, version, listener, slots, busy, started_at, looked_at, seen_at from processes \
            order by seen_at desc limit $1";
        let rows: Vec<Row> = fetch_all!(self.reader(), Row, text, PROCESSES_MAX)?;
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        let processes = rows.into_iter().map(
            |(id, owner, version, listener, slots, busy, started_at, looked_at, seen_at)| Process {
                id,
                owner,
                version,
                listener,
                slots: count(slots),
                busy: count(busy),
                started_at: Timestamp(started_at),
                looked_at: looked_at.map(Timestamp),
                seen_at: Timestamp(seen_at),
            },
        );
        Ok(processes.collect())
    }
}

/// What goes of those that are gone.
pub(super) fn prune(now: Timestamp, portion: usize) -> String {
    let before = now.plus_seconds(-KEPT_SECONDS).micros();
    format!(
        "delete from processes where id in (select id from processes where seen_at < {before} order by seen_at limit {portion})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_misses_three_beats_is_gone_and_a_worker_that_does_not_look_does_not_work() {
        let started_at = Timestamp(1_767_600_000_000_000);
        let process = Process {
            id: Uuid::nil(),
            owner: String::new(),
            version: String::new(),
            listener: String::new(),
            slots: 2,
            busy: 2,
            started_at,
            looked_at: None,
            seen_at: started_at.plus_seconds(20),
        };
        // It has only just begun.
        assert!(process.works(started_at.plus_seconds(21)));
        let seen = |after: i64| !process.is_gone(started_at.plus_seconds(20 + after));
        assert_eq!([seen(-500), seen(0), seen(29), seen(30)], [true, true, true, false]);
        let hangs = Process {
            looked_at: Some(started_at.plus_seconds(20)),
            seen_at: started_at.plus_seconds(50),
            ..process
        };
        assert!(!hangs.works(hangs.seen_at) && !hangs.is_gone(hangs.seen_at));
    }
}
