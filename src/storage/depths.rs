//! How many messages each queue holds: kept with every change, never counted.
//!
//! Every transaction adds what it changes to a row that nobody else writes at the time: of its job, its origin (a lane of one
//! process) and the current second. So no transaction waits for another one's, and with a transaction held open elsewhere no
//! row gathers more dead versions than a second of commits makes. A queue's depth is the sum of its rows, which
//! housekeeping adds up.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::dialect::{portions, sql};
use super::pool::{Tx, fetch_all, fetch_optional, with_pool};
use super::rows::corrupt;
use super::{Store, StoreError};
use crate::domain::ids::JobId;

/// Messages in a queue that have not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Not handed out: their turn, their time or those before them have to come.
    pub waiting: u64,
    /// Handed out, or being worked on.
    pub leased: u64,
}

impl Depth {
    /// All of them.
    #[must_use]
    pub fn all(self) -> u64 {
        self.waiting + self.leased
    }
}

/// By how much a transaction changes the depths of queues.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(BTreeMap<JobId, (i64, i64)>);

impl Changes {
    pub(super) fn add(&mut self, job: JobId, waiting: i64, leased: i64) {
        let (of_waiting, of_leased) = self.0.entry(job).or_default();
        *of_waiting += waiting;
        *of_leased += leased;
    }

    fn rows(&self) -> Vec<(JobId, i64, i64)> {
        let changed = self.0.iter().filter(|(_, change)| **change != (0, 0));
        changed
            .map(|(job, (waiting, leased))| (*job, *waiting, *leased))
            .collect()
    }
}

/// Which rows a transaction writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Of one lane of one process since it started; 0 is what was added up.
    pub(super) origin: i64,
    /// Seconds since that process started.
    pub(super) second: i64,
}

/// Rows added up at once; there are as many again within a minute only where very many jobs are busy.
const ADDED_AT_ONCE: usize = 20_000;
const ADDED_UP: Slot = Slot { origin: 0, second: 0 };

/// Writes what a transaction changed, as the last thing it does.
pub(super) async fn write(tx: &mut Tx, changes: &Changes, slot: Slot) -> Result<(), StoreError> {
    for portion in portions(tx.dialect(), &changes.rows()) {
        let text = format!(
            "insert into queue_depths as d (job, origin, second, waiting, leased) {} on conflict (job, origin, second) \
             do update set waiting = d.waiting + excluded.waiting, leased = d.leased + excluded.leased",
            portion.inserted(5)
        );
        with_pool!(tx.db(), db: Db => {
            let mut insert = sqlx::query::<Db>(sql(text));
            for ((job, waiting, leased), _) in portion.filled() {
                insert = insert.bind(job.0).bind(slot.origin).bind(slot.second).bind(*waiting).bind(*leased);
            }
            insert.bind(portion.count()).execute(db).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// Adds the rows of every queue up to one. A row that is being written is left for the next time: who waited for it here
/// while others wait for what is added up already would wait in a circle.
pub(super) async fn add_up(tx: &mut Tx) -> Result<(), StoreError> {
    let text = format!(
        "delete from queue_depths where (job, origin, second) in (select job, origin, second from queue_depths \
         where origin <> 0 order by job, origin, second limit {ADDED_AT_ONCE}{}) returning job, waiting, leased",
        tx.dialect().skip_locked()
    );
    let rows: Vec<(Uuid, i64, i64)> = fetch_all!(tx.db(), (Uuid, i64, i64), sql(text))?;
    let mut changes = Changes::default();
    for (job, waiting, leased) in rows {
        changes.add(JobId(job), waiting, leased);
    }
    write(tx, &changes, ADDED_UP).await
}

impl Store {
    /// The depth of one queue.
    pub async fn depth(&self, job: JobId) -> Result<Depth, StoreError> {
        type Row = (Uuid, i64, i64);
        let text = "select job, cast(sum(waiting) as bigint), cast(sum(leased) as bigint) from queue_depths where job = $1 group by job";
        let row: Option<Row> = fetch_optional!(self.reader(), Row, text, job.0)?;
        row.map_or(Ok(Depth::default()), |row| Ok(read(row)?.1))
    }

    /// The depth of every queue that has or had messages.
    pub async fn depths(&self) -> Result<BTreeMap<JobId, Depth>, StoreError> {
        type Row = (Uuid, i64, i64);
        let text =
            "select job, cast(sum(waiting) as bigint), cast(sum(leased) as bigint) from queue_depths group by job";
        let rows: Vec<Row> = fetch_all!(self.reader(), Row, text)?;
        rows.into_iter().map(read).collect()
    }
}

fn read((job, waiting, leased): (Uuid, i64, i64)) -> Result<(JobId, Depth), StoreError> {
    let count = |column, count: i64| {
        u64::try_from(count).map_err(|_| corrupt("queue_depths", column, &job, "less than nothing"))
    };
    let depth = Depth {
        waiting: count("waiting", waiting)?,
        leased: count("leased", leased)?,
    };
    Ok((JobId(job), depth))
}
