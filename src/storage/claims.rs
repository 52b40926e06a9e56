//! How a lease begins: the one statement by which dequeuers and workers take waiting messages.
//!
//! The statement finds the oldest waiting messages through the index of waiting ones, job by job, and passes over rows that
//! another process is taking, so it meets neither leased nor finished rows and waits for nobody.

use super::dialect::{Dialect, sql, try_job_lock};
use super::leases::{ClaimImport, LAPSED_DELIVERY, LAPSED_PER_TRANSACTION, return_to_queue};
use super::pool::{Tx, with_pool};
use super::rows::{MESSAGE_COLUMNS, MessageRow};
use super::transition::{WORKED, guard, note_events, target};
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::{Claimed, Message};
use crate::domain::status::Event;
use crate::domain::time::Timestamp;

/// Jobs looked at by one statement; SQLite takes at most 500 arms of a union.
const JOBS_PER_STATEMENT: usize = 200;

/// Who takes messages, how many, and what is written beside status and epoch.
struct Taking<'a> {
    event: Event,
    /// Further assignments; `$1` is the time, `$2` the owner, `$3` the end of the lease.
    set: &'static str,
    owner: &'a str,
    until: Timestamp,
    now: Timestamp,
}

const DELIVER: &str = "redeliver_at = $3, previous_dequeued_at = dequeued_at, dequeued_at = $1";
const WORK: &str = "lease_until = $3, started_at = coalesce(started_at, $1), stalled = stalled + 1";

impl Store {
    /// Hands out up to `max` waiting messages of a queue, oldest first, each under a lease with a new epoch; lapsed leases
    /// of that queue are released first. `last_dequeued_at` of the returned messages is the time of the delivery *before*
    /// this one (RI-10).
    pub async fn dequeue(
        &self,
        job: JobId,
        owner: &str,
        lease_seconds: i64,
        max: u32,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        let owner = owner.to_owned();
        self.write(move |mut tx| async move {
            // Of every queue: by time alone they are found without looking at a lease that still runs.
            while return_to_queue(&mut tx, LAPSED_DELIVERY, now, "lease lapsed", now).await? == LAPSED_PER_TRANSACTION {
            }
            let until = now.plus_seconds(lease_seconds);
            let taking = Taking {
                event: Event::Dequeue,
                set: DELIVER,
                owner: &owner,
                until,
                now,
            };
            let rows = take_oldest(&mut tx, &taking, &[job], i64::from(max)).await?;
            let delivered = rows
                .into_iter()
                .map(|row| row.into_delivered().map(|message| Claimed { message }));
            let delivered = delivered.collect::<Result<_, _>>()?;
            tx.commit(delivered).await
        })
        .await
    }

    /// Claims waiting import messages for a worker: status `PreProcessing`, epoch + 1, attempt + 1, `started_at` set once.
    pub async fn claim_imports(&self, claim: ClaimImport<'_>, now: Timestamp) -> Result<Vec<Claimed>, StoreError> {
        let (in_order, free): (Vec<JobId>, Vec<JobId>) =
            claim.jobs.iter().partition(|job| claim.in_order.contains(job));
        let (owner, limit) = (claim.owner.to_owned(), i64::from(claim.limit));
        let until = now.plus_seconds(claim.lease_seconds);
        self.write(move |mut tx| async move {
            let taking = Taking {
                event: Event::Claim,
                set: WORK,
                owner: &owner,
                until,
                now,
            };
            let mut rows = Vec::new();
            for job in in_order {
                if room(limit, &rows) > 0 && try_job_lock(&mut tx, job).await? {
                    rows.extend(take_next_in_order(&mut tx, &taking, job).await?);
                }
            }
            for jobs in free.chunks(JOBS_PER_STATEMENT) {
                let room = room(limit, &rows);
                if room > 0 {
                    rows.extend(take_oldest(&mut tx, &taking, jobs, room).await?);
                }
            }
            rows.sort_by_key(|row| row.seq);
            let claimed = rows
                .into_iter()
                .map(|row| Message::try_from(row).map(|message| Claimed { message }));
            let claimed = claimed.collect::<Result<_, _>>()?;
            tx.commit(claimed).await
        })
        .await
    }
}

fn room(limit: i64, taken: &[MessageRow]) -> i64 {
    limit - i64::try_from(taken.len()).unwrap_or(limit)
}

/// Takes the oldest waiting messages of these jobs.
async fn take_oldest(
    tx: &mut Tx,
    taking: &Taking<'_>,
    jobs: &[JobId],
    limit: i64,
) -> Result<Vec<MessageRow>, StoreError> {
    let text = oldest_sql(taking, jobs.len(), tx.dialect());
    take(tx, taking, text, jobs, limit).await
}

fn oldest_sql(taking: &Taking<'_>, jobs: usize, dialect: Dialect) -> String {
    let waiting = guard(taking.event);
    let pass_over = dialect.skip_locked();
    // An arm per job: each is a walk along the head of its part of the index, which `job in (…) order by seq` is not.
    let arms: Vec<String> = (0..jobs)
        .map(|at| {
            format!(
                "select id, rank, seq from (select id, rank, seq from messages where job = ${} and {waiting} \
                 and (not_before is null or not_before <= $1) order by rank, seq limit $4{pass_over}) as arm{at}",
                at + 5
            )
        })
        .collect();
    // Materialised, so that no plan can run the locking part twice and take more rows than the limit.
    format!(
        "with oldest as materialized (select id from ({}) as heads order by rank, seq limit $4) \
         update messages set {} where id in (select id from oldest) and {waiting} returning {MESSAGE_COLUMNS}",
        arms.join(" union all "),
        assignments(taking),
    )
}

/// Takes the oldest waiting message of a job that works in order: nothing while another one is being worked on, and
/// nothing while the oldest is in back-off. Under the job's lock, or two processes could both find nothing running.
async fn take_next_in_order(tx: &mut Tx, taking: &Taking<'_>, job: JobId) -> Result<Vec<MessageRow>, StoreError> {
    let text = next_in_order_sql(taking);
    take(tx, taking, text, &[job], 1).await
}

fn next_in_order_sql(taking: &Taking<'_>) -> String {
    let waiting = guard(taking.event);
    format!(
        "update messages set {} where id = (select id from messages where job = $5 and {waiting} order by rank, seq limit $4) \
         and {waiting} and (not_before is null or not_before <= $1) \
         and not exists (select 1 from messages where job = $5 and {WORKED}) returning {MESSAGE_COLUMNS}",
        assignments(taking),
    )
}

fn assignments(taking: &Taking<'_>) -> String {
    format!(
        "status = {}, epoch = epoch + 1, attempt = attempt + 1, not_before = null, owner = $2, {}",
        target(taking.event),
        taking.set
    )
}

async fn take(
    tx: &mut Tx,
    taking: &Taking<'_>,
    text: String,
    jobs: &[JobId],
    limit: i64,
) -> Result<Vec<MessageRow>, StoreError> {
    let mut rows = with_pool!(tx.db(), db: Db => {
        let mut update = sqlx::query_as::<Db, MessageRow>(sql(text))
            .bind(taking.now.micros())
            .bind(taking.owner)
            .bind(taking.until.micros())
            .bind(limit);
        for job in jobs {
            update = update.bind(job.0);
        }
        update.fetch_all(db).await
    })?;
    // `returning` promises no order.
    rows.sort_by_key(|row| row.seq);
    let ids: Vec<MessageId> = rows.iter().map(|row| MessageId(row.id)).collect();
    note_events(tx, &ids, None, taking.now).await?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::leases::LAPSED_DELIVERY;

    /// The indexes SQLite would use for a statement, on a fresh store: without statistics, as most stores are.
    async fn indexes(statements: &[String]) -> Vec<String> {
        type Line = (i64, i64, i64, String);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}/plans.db", folder.path().display());
        let store = Store::connect(&crate::storage::StoreSettings {
            url,
            max_connections: 1,
            sharing: crate::storage::Sharing::Exclusive,
        })
        .await
        .expect("opens");
        let mut plans = Vec::new();
        for statement in statements {
            let mut tx = store.shared.pool.begin().await.expect("begins");
            let text = sql(format!("explain query plan {statement}"));
            let plan: Vec<Line> = super::super::pool::fetch_all!(tx.db(), Line, text).expect("explains");
            plans.push(
                plan.into_iter()
                    .map(|line| line.3)
                    .filter(|line| line.contains("messages"))
                    .collect(),
            );
        }
        plans.into_iter().map(|plan: Vec<String>| plan.join("; ")).collect()
    }

    #[tokio::test]
    async fn a_claim_meets_neither_leased_nor_finished_messages() {
        let zero = Timestamp(0);
        let taking = Taking {
            event: Event::Claim,
            set: WORK,
            owner: "",
            until: zero,
            now: zero,
        };
        let lapsed = format!("select id from messages where {LAPSED_DELIVERY}");
        let worked = format!("select id from messages where {WORKED} and lease_until <= $1");
        let statements = [
            oldest_sql(&taking, 2, Dialect::Sqlite),
            next_in_order_sql(&taking),
            lapsed,
            worked,
        ];
        let plans = indexes(&statements).await;
        assert!(
            plans
                .iter()
                .all(|plan| !plan.contains("messages_listed") && !plan.contains("SCAN messages")),
            "{plans:#?}"
        );
        assert_eq!(
            plans[0].matches("messages_waiting (job=? AND status=?)").count(),
            2,
            "{plans:#?}"
        );
        assert_eq!(
            plans[1].matches("messages_waiting (job=? AND status=?)").count(),
            1,
            "{plans:#?}"
        );
        assert!(plans[1].contains("messages_worked"), "{plans:#?}");
        assert!(
            plans[2].contains("messages_redeliver") && plans[3].contains("messages_worked"),
            "{plans:#?}"
        );
    }
}
