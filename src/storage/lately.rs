//! Messages as an operator looks through them: newest or oldest first, a bounded number of rows at a time, whatever is looked for.

use std::fmt::Write as _;

use uuid::Uuid;

use super::dialect::sql;
use super::pool::with_pool;
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::time::Timestamp;

/// Jobs asked for by one statement.
const JOBS_AT_ONCE: usize = 50;

/// Which messages to look at.
#[derive(Debug, Clone, Default)]
pub struct Lately {
    /// Of these jobs only; empty: of every job.
    pub jobs: Vec<JobId>,
    /// Only those that ended otherwise than `Acked` or `Processed`.
    pub troubled: bool,
    /// Enqueued at this time or later.
    pub from: Option<Timestamp>,
    /// Enqueued before this one.
    pub before: Option<MessageId>,
    /// Enqueued after this one.
    pub after: Option<MessageId>,
    /// Beginning with the oldest, instead of the newest.
    pub oldest_first: bool,
    /// At most this many.
    pub limit: u32,
}

impl Lately {
    fn order(&self) -> &'static str {
        if self.oldest_first { "asc" } else { "desc" }
    }
}

impl Store {
    /// Their ids, in that order. Of an index no more entries are touched than `limit` for each job.
    pub async fn lately(&self, wanted: &Lately) -> Result<Vec<MessageId>, StoreError> {
        if wanted.jobs.is_empty() {
            return self.lately_of(wanted, &[]).await;
        }
        let mut found = Vec::new();
        for jobs in wanted.jobs.chunks(JOBS_AT_ONCE) {
            found.extend(self.lately_of(wanted, jobs).await?);
        }
        found.sort_unstable();
        if !wanted.oldest_first {
            found.reverse();
        }
        found.truncate(wanted.limit as usize);
        Ok(found)
    }

    /// Messages that have not ended and come after this one, oldest first, with their jobs: so many rows of the queue are touched,
    /// whatever is looked for among them.
    pub async fn live_after(
        &self,
        after: Option<MessageId>,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<(MessageId, JobId)>, StoreError> {
        let mut range = String::new();
        for (id, relation) in [(after, ">"), (before, "<")] {
            if let Some(id) = id {
                let _ = write!(range, " and message {relation} {}", self.dialect().id_literal(id.0));
            }
        }
        let text = format!("select message, job from queue where 1 = 1{range} order by message limit $1");
        let rows = with_pool!(self.reader(), db: Db => {
            sqlx::query_as::<Db, (Uuid, Uuid)>(sql(text))
                .persistent(false)
                .bind(i64::from(limit))
                .fetch_all(db)
                .await
        })?;
        Ok(rows.into_iter().map(|(id, job)| (MessageId(id), JobId(job))).collect())
    }

    async fn lately_of(&self, wanted: &Lately, jobs: &[JobId]) -> Result<Vec<MessageId>, StoreError> {
        let text = format!(
            "select id from ({}) as found order by id {} limit $1",
            self.lately_sql(wanted, jobs),
            wanted.order()
        );
        let rows = with_pool!(self.reader(), db: Db => {
            sqlx::query_as::<Db, (Uuid,)>(sql(text))
                .persistent(false)
                .bind(i64::from(wanted.limit))
                .fetch_all(db)
                .await
        })?;
        Ok(rows.into_iter().map(|(id,)| MessageId(id)).collect())
    }

    /// A part for each job, so that each is read from the end of its stretch of the index. Ids and times are written out: days
    /// beyond them are then not planned for.
    fn lately_sql(&self, wanted: &Lately, jobs: &[JobId]) -> String {
        let (table, id, condition) = if wanted.troubled {
            ("outcomes", "message", "status not in ('Acked', 'Processed')")
        } else {
            ("messages", "id", "bytes >= 0")
        };
        let literal = |id: MessageId| self.dialect().id_literal(id.0);
        let from = wanted
            .from
            .map(|from| format!(" and {id} >= {}", literal(MessageId::first_at(from))));
        let before = wanted.before.map(|before| format!(" and {id} < {}", literal(before)));
        let after = wanted.after.map(|after| format!(" and {id} > {}", literal(after)));
        let range: String = from.into_iter().chain(before).chain(after).collect();
        let order = wanted.order();
        let part = |of_job: String| {
            format!(
                "select * from (select {id} as id from {table} where {condition}{of_job}{range} order by {id} {order} \
                 limit $1) as part"
            )
        };
        if jobs.is_empty() {
            return part(String::new());
        }
        let parts: Vec<String> = jobs
            .iter()
            .map(|job| part(format!(" and job = {}", self.dialect().id_literal(job.0))))
            .collect();
        parts.join(" union all ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::fetch_all;
    use super::super::{Sharing, StoreSettings};
    use super::*;

    /// A step of SQLite's plan; the last member says what it does.
    type Step = (i64, i64, i64, String);

    /// On SQLite the plan says how it looks: along an index, and sorting no more than was found.
    #[tokio::test]
    async fn lists_go_along_an_index() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = StoreSettings {
            url: format!("sqlite://{}/store.db", folder.path().display()),
            max_connections: 2,
            sharing: Sharing::Exclusive,
        };
        let store = Store::connect(&settings).await.expect("a store");
        let job = JobId(MessageId::generate().0);
        let (one, two) = (vec![job], vec![job, JobId(MessageId::generate().0)]);
        for (jobs, troubled, oldest_first, index) in [
            (Vec::new(), false, false, "PRIMARY KEY"),
            (one.clone(), false, false, "messages_listed"),
            (two.clone(), false, true, "messages_listed"),
            (one, true, false, "outcomes_troubled_lately"),
            (two, true, true, "outcomes_troubled_lately"),
        ] {
            let wanted = Lately {
                jobs: jobs.clone(),
                troubled,
                from: Some(Timestamp(0)),
                before: Some(MessageId::generate()),
                after: Some(MessageId::first_at(Timestamp(1))),
                oldest_first,
                limit: 10,
            };
            let text = format!("explain query plan {}", store.lately_sql(&wanted, &jobs));
            let steps: Vec<Step> = fetch_all!(store.reader(), Step, sql(text), 10_i64).expect("a plan");
            let steps: Vec<String> = steps.into_iter().map(|(_, _, _, step)| step).collect();
            let reads = |step: &&String| step.contains(" messages ") || step.contains(" outcomes ");
            let reads: Vec<&String> = steps.iter().filter(reads).collect();
            assert_eq!(reads.len(), jobs.len().max(1), "{steps:?}");
            for read in reads {
                assert!(read.starts_with("SEARCH") && read.contains(index), "{steps:?}");
            }
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
        }
        store.close().await;
    }
}
