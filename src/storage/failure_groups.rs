//! What ended without success and can be tried again, grouped by job and cause, from a bounded number of rows.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::dialect::sql;
use super::pool::with_pool;
use super::redrive::REDRIVABLE;
use super::rows::corrupt;
use super::{Store, StoreError};
use crate::domain::ids::JobId;
use crate::domain::status::Status;

/// Jobs asked for by one statement.
const JOBS_AT_ONCE: usize = 40;

/// Messages of one job that ended the same way for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    /// Their job.
    pub job: JobId,
    /// How they ended.
    pub status: Status,
    /// Why; none: it was not said.
    pub code: Option<String>,
    /// How many there are among those looked at.
    pub count: u64,
    /// Whether there may be more: not all in this status were looked at.
    pub at_least: bool,
}

impl Store {
    /// What of these jobs ended without success, but for what was cancelled, grouped by job, status and code. Of each job and
    /// status the `most` latest are looked at. In the order of jobs, statuses and codes.
    pub async fn failures(&self, jobs: &[JobId], most: u32) -> Result<Vec<FailureGroup>, StoreError> {
        let mut found = Vec::new();
        for jobs in jobs.chunks(JOBS_AT_ONCE) {
            found.extend(self.failures_of(jobs, most).await?);
        }
        let mut looked_at: BTreeMap<(JobId, &str), u64> = BTreeMap::new();
        for group in &found {
            *looked_at.entry((group.job, group.status.as_str())).or_default() += group.count;
        }
        for group in &mut found {
            group.at_least = looked_at[&(group.job, group.status.as_str())] >= u64::from(most);
        }
        Ok(found)
    }

    async fn failures_of(&self, jobs: &[JobId], most: u32) -> Result<Vec<FailureGroup>, StoreError> {
        type Row = (Uuid, String, Option<String>, i64);
        let text = format!(
            "select f.job, f.status, f.failure_code, count(*) from ({}) as f \
             group by f.job, f.status, f.failure_code order by f.job, f.status, f.failure_code",
            self.failures_sql(jobs)
        );
        let rows = with_pool!(self.reader(), db: Db => {
            sqlx::query_as::<Db, Row>(sql(text))
                .persistent(false)
                .bind(i64::from(most))
                .fetch_all(db)
                .await
        })?;
        let group = |(job, status, code, count): Row| {
            let known = Status::parse(&status).ok_or_else(|| corrupt("outcomes", "status", &job, &status))?;
            Ok(FailureGroup {
                job: JobId(job),
                status: known,
                code,
                count: u64::try_from(count).unwrap_or_default(),
                at_least: false,
            })
        };
        rows.into_iter().map(group).collect()
    }

    /// A part for each job and status, read from the end of its stretch of the index.
    fn failures_sql(&self, jobs: &[JobId]) -> String {
        let mut parts = Vec::new();
        for job in jobs {
            for status in REDRIVABLE.into_iter().filter(|status| *status != Status::Cancelled) {
                parts.push(format!(
                    "select * from (select job, status, failure_code from outcomes \
                     where status not in ('Acked', 'Processed') and job = {} and status = '{status}' \
                     order by message desc limit $1) as part",
                    self.dialect().id_literal(job.0)
                ));
            }
        }
        parts.join(" union all ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::fetch_all;
    use super::super::{Sharing, StoreSettings};
    use super::*;
    use crate::domain::ids::MessageId;

    /// A step of SQLite's plan; the last member says what it does.
    type Step = (i64, i64, i64, String);

    /// On SQLite the plan says how it looks: along the index of what ended badly, by job and status.
    #[tokio::test]
    async fn groups_are_read_along_an_index() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = StoreSettings {
            url: format!("sqlite://{}/store.db", folder.path().display()),
            max_connections: 2,
            sharing: Sharing::Exclusive,
        };
        let store = Store::connect(&settings).await.expect("a store");
        let jobs: Vec<JobId> = (0..JOBS_AT_ONCE).map(|_| JobId(MessageId::generate().0)).collect();
        let text = format!("explain query plan {}", store.failures_sql(&jobs));
        let steps: Vec<Step> = fetch_all!(store.reader(), Step, sql(text), 10_i64).expect("a plan");
        let reads: Vec<String> = steps.into_iter().map(|(_, _, _, step)| step).collect();
        let reads: Vec<&String> = reads.iter().filter(|step| step.contains(" outcomes ")).collect();
        assert_eq!(reads.len(), JOBS_AT_ONCE * 4);
        for read in reads {
            assert!(
                read.starts_with("SEARCH") && read.contains("outcomes_troubled (job=? AND status=?)"),
                "{read}"
            );
        }
        store.close().await;
    }
}
