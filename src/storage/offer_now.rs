//! A job's waiting messages, offered before their time because somebody asked for it.

use uuid::Uuid;

use super::dialect::{lock_groups, portions, sql};
use super::groups::Group;
use super::live::{LIVE_COLUMNS, LiveRow};
use super::pool::{Tx, fetch_all, with_pool};
use super::transition::WALKED;
use super::{Store, StoreError};
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;

/// Messages moved in one transaction.
const PORTION: usize = 500;

impl Store {
    /// Lets every message of the job that waits for its time be taken at once; what is kept in order still goes in its order.
    /// How many there were.
    pub async fn offer_now(&self, job: JobId, now: Timestamp) -> Result<u64, StoreError> {
        let mut offered = 0;
        loop {
            let (moved, is_last) = self
                .write(move |tx| Box::pin(async move { offer_portion(tx, job, now).await }))
                .await?;
            offered += moved;
            if is_last {
                return Ok(offered);
            }
        }
    }
}

/// How many, and whether there are no more.
async fn offer_portion(tx: &mut Tx, job: JobId, now: Timestamp) -> Result<(u64, bool), StoreError> {
    // Found without a lock, changed as far as it still holds: whoever takes one of them meanwhile has it.
    let text = format!(
        "select * from (select message, grp from queue where wait = 'delayed' and {WALKED} and not_before > $2 and job = $1 \
         limit {PORTION}) as heads union all \
         select * from (select message, grp from queue where job = $1 and grp is not null and wait = 'behind' and not_before > $2 \
         limit {PORTION}) as behind limit {PORTION}"
    );
    let found: Vec<(Uuid, Option<String>)> =
        fetch_all!(tx.db(), (Uuid, Option<String>), sql(text), job.0, now.micros())?;
    let groups = found.iter().filter_map(|(_, grp)| grp.clone());
    let groups = groups.map(|grp| Group { job: job.0, grp }).collect();
    lock_groups(tx, &groups).await?;
    let mut moved = 0;
    for portion in portions(tx.dialect(), &found) {
        let text = format!(
            "update queue set not_before = null, wait = case when wait = 'delayed' then 'ready' else wait end \
             where message in ({}) and not_before > $1 and status = 'Enqueued' returning {LIVE_COLUMNS}",
            portion.list_from(2)
        );
        let rows = with_pool!(tx.db(), db: Db => {
            let mut update = sqlx::query_as::<Db, LiveRow>(sql(text)).bind(now.micros());
            for ((id, _), _) in portion.filled() {
                update = update.bind(*id);
            }
            update.fetch_all(db).await
        })?;
        moved += rows.len() as u64;
        for row in rows {
            tx.moved(job, row.id());
            tx.offered(job, &row.lane, row.rank);
        }
    }
    // Those another has taken meanwhile are not found again.
    Ok((moved, found.len() < PORTION || moved == 0))
}
