//! What came in and how it ended, job by job and bucket by bucket: what charts and rates are drawn from.
//!
//! Every process counts in memory what it commits, and adds it to the store's rows every few seconds, to a bucket of each
//! range at once. So an enqueue costs nothing for it, shares of several processes add up, and a crash loses a few seconds of a
//! chart, never a message. That addition need not wait for the disk either: it is as good as what it counts from memory.

use std::collections::BTreeMap;

use super::dialect::{placeholders, portions, sql};
use super::memory::Counted;
use super::pool::{Tx, with_pool};
use super::rows::corrupt;
use super::{Store, StoreError};
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;
use crate::domain::traffic::{Range, Traffic};

/// Jobs asked for by one statement.
const JOBS_AT_ONCE: usize = 500;

/// A row: job, length of the bucket in seconds, when it began.
type Place = (JobId, i64, Timestamp);

impl Store {
    /// Adds what this process counted since the last time; nothing is written where nothing happened.
    ///
    /// # Errors
    /// [`StoreError`]; it is kept for the next time. Where the commit was lost on the way it may have happened all the same, and
    /// is then counted twice.
    pub async fn write_traffic(&self) -> Result<(), StoreError> {
        let counted = self.memory().take_traffic();
        if counted.is_empty() {
            return Ok(());
        }
        let rows = rows(&counted);
        let written = self.write_relaxed(move |tx| Box::pin(async move { add(tx, &rows).await }));
        let written = written.await;
        if written.is_err() {
            self.memory().give_traffic_back(counted);
        }
        written
    }

    /// What was counted from `from` on in buckets of this range, by when they began; buckets without anything are left out. Of
    /// these jobs only; of none: of every job there is or was.
    pub async fn traffic(
        &self,
        jobs: &[JobId],
        range: Range,
        from: Timestamp,
    ) -> Result<BTreeMap<Timestamp, Traffic>, StoreError> {
        let mut found = BTreeMap::new();
        if jobs.is_empty() {
            self.add_traffic_of(&[], range, from, &mut found).await?;
        }
        for jobs in jobs.chunks(JOBS_AT_ONCE) {
            self.add_traffic_of(jobs, range, from, &mut found).await?;
        }
        Ok(found)
    }

    async fn add_traffic_of(
        &self,
        jobs: &[JobId],
        range: Range,
        from: Timestamp,
        found: &mut BTreeMap<Timestamp, Traffic>,
    ) -> Result<(), StoreError> {
        type Row = (i64, i64, i64, i64, i64, i64);
        let text = traffic_sql(jobs.len());
        let rows = with_pool!(self.reader(), db: Db => {
            let mut select = sqlx::query_as::<Db, Row>(sql(text)).persistent(jobs.len() <= 1);
            select = select.bind(range.bucket_seconds()).bind(from.micros());
            for job in jobs {
                select = select.bind(job.0);
            }
            select.fetch_all(db).await
        })?;
        for (starts_at, enqueued, succeeded, with_errors, failed, stopped) in rows {
            let count = |column, count: i64| {
                u64::try_from(count).map_err(|_| corrupt("traffic", column, &starts_at, "less than nothing"))
            };
            let traffic = Traffic {
                enqueued: count("enqueued", enqueued)?,
                succeeded: count("succeeded", succeeded)?,
                with_errors: count("with_errors", with_errors)?,
                failed: count("failed", failed)?,
                stopped: count("stopped", stopped)?,
            };
            let sum = found.entry(Timestamp(starts_at)).or_default();
            *sum = sum.plus(traffic);
        }
        Ok(())
    }
}

/// Sums of so many jobs, of all where there is none. Values: length of a bucket, first time, the jobs.
fn traffic_sql(jobs: usize) -> String {
    // An expression keeps SQLite from going by the time, past the buckets of all other jobs, to find what it is to group in order.
    let (of_jobs, at) = match jobs {
        0 => (String::new(), "starts_at"),
        jobs => (format!(" and job in ({})", placeholders(3, jobs)), "starts_at + 0"),
    };
    let sums = ["enqueued", "succeeded", "with_errors", "failed", "stopped"]
        .map(|column| format!("cast(sum({column}) as bigint)"));
    format!(
        "select {at}, {} from traffic where bucket_seconds = $1 and starts_at >= $2{of_jobs} group by {at}",
        sums.join(", ")
    )
}

/// What was counted by the minute, for the buckets of every range, in one order for all processes: none waits in a circle.
fn rows(counted: &Counted) -> Vec<(Place, Traffic)> {
    let mut rows: BTreeMap<Place, Traffic> = BTreeMap::new();
    for ((job, minute), traffic) in counted {
        for range in Range::ALL {
            let sum = rows
                .entry((*job, range.bucket_seconds(), range.bucket_of(*minute)))
                .or_default();
            *sum = sum.plus(*traffic);
        }
    }
    rows.into_iter().collect()
}

async fn add(tx: &mut Tx, rows: &[(Place, Traffic)]) -> Result<(), StoreError> {
    let stored = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    for portion in portions(tx.dialect(), rows) {
        let text = format!(
            "insert into traffic as t (job, bucket_seconds, starts_at, enqueued, succeeded, with_errors, failed, stopped) {} \
             on conflict (job, bucket_seconds, starts_at) do update set enqueued = t.enqueued + excluded.enqueued, \
             succeeded = t.succeeded + excluded.succeeded, with_errors = t.with_errors + excluded.with_errors, \
             failed = t.failed + excluded.failed, stopped = t.stopped + excluded.stopped",
            portion.inserted(8)
        );
        with_pool!(tx.db(), db: Db => {
            let mut insert = sqlx::query::<Db>(sql(text));
            for (((job, seconds, starts_at), traffic), _) in portion.filled() {
                insert = insert
                    .bind(job.0)
                    .bind(*seconds)
                    .bind(starts_at.micros())
                    .bind(stored(traffic.enqueued))
                    .bind(stored(traffic.succeeded))
                    .bind(stored(traffic.with_errors))
                    .bind(stored(traffic.failed))
                    .bind(stored(traffic.stopped));
            }
            insert.bind(portion.count()).execute(db).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// What goes because no chart shows it any more, at most so many rows of each range.
pub(super) fn prunes(now: Timestamp, portion: usize) -> impl Iterator<Item = String> {
    Range::ALL.into_iter().map(move |range| {
        let (seconds, before) = (range.bucket_seconds(), now.plus_seconds(-range.kept_seconds()).micros());
        format!(
            "delete from traffic where (job, bucket_seconds, starts_at) in (select job, bucket_seconds, starts_at from traffic \
             where bucket_seconds = {seconds} and starts_at < {before} limit {portion})"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::MessageId;
    use crate::storage::pool::fetch_all;
    use crate::storage::{Sharing, StoreSettings};

    /// A step of SQLite's plan; the last member says what it does.
    type Step = (i64, i64, i64, String);

    /// On SQLite the plan says that a chart reads its own stretch of an index: of the jobs asked for, and of its buckets.
    #[tokio::test]
    async fn charts_read_their_own_buckets_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = StoreSettings {
            url: format!("sqlite://{}/store.db", folder.path().display()),
            max_connections: 2,
            sharing: Sharing::Exclusive,
        };
        let store = Store::connect(&settings).await.expect("a store");
        for (jobs, search) in [
            (0, "INDEX traffic_by_age (bucket_seconds=? AND starts_at>?)"),
            (1, "PRIMARY KEY (job=? AND bucket_seconds=? AND starts_at>?)"),
            (3, "PRIMARY KEY (job=? AND bucket_seconds=? AND starts_at>?)"),
        ] {
            let text = format!("explain query plan {}", traffic_sql(jobs));
            let ids: Vec<_> = (0..3).map(|_| MessageId::generate().0).collect();
            let plan = async || -> Result<Vec<Step>, StoreError> {
                Ok(fetch_all!(
                    store.reader(),
                    Step,
                    sql(text),
                    60_i64,
                    0_i64,
                    ids[0],
                    ids[1],
                    ids[2]
                )?)
            };
            let steps: Vec<String> = plan()
                .await
                .expect("a plan")
                .into_iter()
                .map(|(_, _, _, step)| step)
                .collect();
            assert!(
                steps[0].starts_with("SEARCH") && steps[0].contains(search),
                "{jobs}: {steps:?}"
            );
        }
        store.close().await;
    }

    /// Whatever a process counted in a minute goes to one bucket of each range, and nothing of it is lost on the way.
    #[test]
    fn each_range_gets_everything_once() {
        let job = JobId(MessageId::generate().0);
        let traffic = |enqueued| Traffic {
            enqueued,
            ..Traffic::default()
        };
        let minutes = [(0, 1), (60, 2), (900, 4), (10_800, 8)]
            .map(|(seconds, enqueued)| ((job, Timestamp(0).plus_seconds(seconds)), traffic(enqueued)));
        let rows = rows(&minutes.into_iter().collect());
        let of = |range: Range| {
            let rows = rows
                .iter()
                .filter(|((_, seconds, _), _)| *seconds == range.bucket_seconds());
            rows.map(|(_, traffic)| traffic.enqueued).collect::<Vec<_>>()
        };
        assert_eq!(
            (of(Range::Hour), of(Range::Day), of(Range::Week)),
            (vec![1, 2, 4, 8], vec![3, 4, 8], vec![7, 8])
        );
    }
}
