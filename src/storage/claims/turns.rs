//! Whose turn it is when a worker claims: every job has its share of what is under way, and within a job every lane.
//!
//! What this process itself offers it knows; for what others offer it looks now and then.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use uuid::Uuid;

use crate::domain::ids::JobId;
use crate::storage::StoreError;
use crate::storage::dialect::{portions, sql};
use crate::storage::leases::Lanes;
use crate::storage::memory::Claims;
use crate::storage::pool::{Tx, fetch_all, with_pool};
use crate::storage::transition::{WALKED, WORKED};

/// Most lanes of one job that one claim looks at.
const LANES_PER_CLAIM: usize = 1000;

/// Whose turn it is: per lane, how much of its job and of itself is under way, and when it was last served.
pub(super) struct Turns(BTreeSet<(u32, u32, u64, JobId, String)>);

impl Turns {
    /// The lane to ask next.
    pub(super) fn next(&self) -> Option<(JobId, String)> {
        self.0.first().map(|(_, _, _, job, lane)| (*job, lane.clone()))
    }

    /// A lane was asked: it goes to the end of the line, or out of it when it had nothing.
    pub(super) fn served(&mut self, job: JobId, lane: &str, had: bool) {
        let all = std::mem::take(&mut self.0);
        let last = all.iter().map(|turn| turn.2).max().unwrap_or(0) + 1;
        for (of_job, of_lane, served, other, name) in all {
            if other != job {
                self.0.insert((of_job, of_lane, served, other, name));
            } else if name != lane {
                self.0.insert((of_job + u32::from(had), of_lane, served, other, name));
            } else if had {
                self.0.insert((of_job + 1, of_lane + 1, last, other, name));
            }
        }
    }
}

/// The lanes with something to take, of the jobs given.
pub(super) async fn turns(tx: &mut Tx, claims: &Claims, jobs: &[JobId], which: Lanes) -> Result<Turns, StoreError> {
    type Count = (Uuid, String, i64);
    let text = format!("select job, lane, count(*) from queue where {WORKED} and {WALKED} group by job, lane");
    let under_way: Vec<Count> = fetch_all!(tx.db(), Count, sql(text))?;
    let mut of_job: HashMap<JobId, u32> = HashMap::new();
    let mut of_lane: HashMap<(JobId, String), u32> = HashMap::new();
    for (job, lane, count) in under_way {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        *of_job.entry(JobId(job)).or_default() += count;
        of_lane.insert((JobId(job), lane), count);
    }
    let mut turns = BTreeSet::new();
    look_for_workers(tx, claims, jobs).await?;
    for job in jobs {
        for lane in claims
            .offered_lanes(*job)
            .into_iter()
            .filter(|lane| which.include(lane))
        {
            let served = claims.served(*job, &lane);
            let mine = of_lane.get(&(*job, lane.clone())).copied().unwrap_or(0);
            turns.insert((of_job.get(job).copied().unwrap_or(0), mine, served, *job, lane));
        }
    }
    Ok(Turns(turns))
}

/// Looks, if it is time to, which of these jobs have something ready. What this process itself offers it knows.
async fn look_for_workers(tx: &mut Tx, claims: &Claims, jobs: &[JobId]) -> Result<(), StoreError> {
    if !claims.is_worker_look_due() {
        return Ok(());
    }
    let begun = Instant::now();
    for job in ready_jobs(tx, jobs).await? {
        let lanes = ready_lanes(tx, job).await?;
        claims.found(job, &lanes, begun);
    }
    claims.found_for_workers(begun);
    Ok(())
}

/// Those of the jobs that have a ready message.
async fn ready_jobs(tx: &mut Tx, jobs: &[JobId]) -> Result<Vec<JobId>, StoreError> {
    let mut ready = Vec::new();
    for portion in portions(tx.dialect(), jobs) {
        let text = format!(
            "select column1 from (values {}) as jobs where \
             (select 1 from queue q where q.job = jobs.column1 and q.wait = 'ready' limit 1) is not null",
            portion.values(1)
        );
        let found = with_pool!(tx.db(), db: Db => {
            let mut select = sqlx::query_as::<Db, (Uuid,)>(sql(text));
            for (job, is_row) in portion.filled() {
                select = select.bind(if is_row { job.0 } else { Uuid::nil() });
            }
            select.fetch_all(db).await
        })?;
        ready.extend(found.into_iter().map(|(job,)| JobId(job)));
    }
    Ok(ready)
}

/// The lanes of a job that have a ready message, by skipping from one to the next: what waits is not counted.
pub(super) async fn ready_lanes(tx: &mut Tx, job: JobId) -> Result<Vec<String>, StoreError> {
    let text = ready_lanes_sql();
    let lanes: Vec<(String,)> = fetch_all!(tx.db(), (String,), sql(text), job.0)?;
    Ok(lanes.into_iter().map(|(lane,)| lane).collect())
}

pub(super) fn ready_lanes_sql() -> String {
    format!(
        "with recursive lanes (lane) as (\
         select (select lane from queue where job = $1 and wait = 'ready' order by lane limit 1) union all \
         select (select q.lane from queue q where q.job = $1 and q.wait = 'ready' and q.lane > lanes.lane \
         order by q.lane limit 1) from lanes where lanes.lane is not null) \
         select lane from lanes where lane is not null limit {LANES_PER_CLAIM}"
    )
}
