//! How an import ends: one transaction for the final status, the numbers, and what it repaired in its ancestors.

use uuid::Uuid;

use super::dialect::{placeholders, sql, value_rows};
use super::executions::ImportOutcome;
use super::groups::{Of, lock_groups_of};
use super::live::{Ending, LIVE_COLUMNS, LiveRow, retire};
use super::pool::{Tx, execute, fetch_all, fetch_optional, with_pool};
use super::record_errors::group_errors;
use super::rows::{corrupt, stored};
use super::runs::{close_execution, write_entity_run};
use super::transition::{guard, message_conflict};
use super::{Store, StoreError};
use crate::domain::ids::{ExecutionId, MessageId};
use crate::domain::message::Fence;
use crate::domain::reject::RejectId;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// Reject ids per insert.
const ROWS_PER_STATEMENT: usize = 1000;

impl Store {
    /// Ends an import in one transaction: final status, counts, execution, entities, errors by kind, and `repaired` of every
    /// ancestor whose rejects were applied (a reject of a reject counts for its origin too).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] under a stale epoch, or when the counts are not conserved (promise 4).
    pub async fn finish_import(&self, fence: Fence, outcome: ImportOutcome, now: Timestamp) -> Result<(), StoreError> {
        if !outcome.counts.conserved() {
            return Err(StoreError::Conflict {
                what: "message",
                id: fence.message.to_string(),
                state: format!("its counts do not add up: {:?}", outcome.counts),
            });
        }
        self.write(move |tx| {
            Box::pin(async move {
                // What takes long comes before the group is locked.
                group_errors(tx, fence.message).await?;
                repair_ancestors(tx, fence.message, &outcome.repaired).await?;
                lock_groups_of(tx, Of::Queue, &[fence.message]).await?;
                let execution = end_message(tx, fence, &outcome, now).await?;
                if let Some(execution) = execution {
                    for run in &outcome.entities {
                        write_entity_run(tx, &execution, run).await?;
                    }
                    close_execution(tx, &execution, None, now).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

/// Writes the final status and the numbers; returns the execution, where one began.
async fn end_message(
    tx: &mut Tx,
    fence: Fence,
    outcome: &ImportOutcome,
    now: Timestamp,
) -> Result<Option<ExecutionId>, StoreError> {
    let text = format!(
        "delete from queue where message = $1 and epoch = $2 and {} returning {LIVE_COLUMNS}",
        guard(outcome.event)
    );
    let rows: Vec<LiveRow> = fetch_all!(tx.db(), LiveRow, sql(text), fence.message.0, fence.epoch)?;
    let Some(row) = rows.into_iter().next() else {
        return Err(message_conflict(tx, fence.message).await?);
    };
    let from = Status::parse(&row.status).and_then(|from| from.next(outcome.event).ok());
    let status = from.ok_or_else(|| corrupt("queue", "status", &fence.message, &row.status))?;
    let ending = Ending {
        status,
        failure: outcome.failure.clone(),
        counts: outcome.counts,
    };
    let execution = row.execution.clone();
    retire(tx, &[(row, ending)], now).await?;
    Ok(execution.map(ExecutionId))
}

/// Notes which rejects of its ancestors a message applied, and counts them anew there (promise 5).
async fn repair_ancestors(tx: &mut Tx, child: MessageId, applied: &[RejectId]) -> Result<(), StoreError> {
    let ancestors = lock_ancestors(tx, child).await?;
    // A reject id comes from the file: one that names a stranger repairs nothing.
    let applied: Vec<&RejectId> = applied
        .iter()
        .filter(|reject| ancestors.contains(&reject.message))
        .collect();
    if applied.is_empty() {
        return Ok(());
    }
    for rejects in applied.chunks(ROWS_PER_STATEMENT) {
        insert_repairs(tx, child, rejects).await?;
    }
    repair_origins(tx, child, &ancestors).await?;
    let count = "update outcomes set repaired = (select count(*) from repairs r where r.message = outcomes.message) \
        where message in (select message from repairs where child = $1)";
    execute!(tx.db(), count, child.0)?;
    Ok(())
}

/// The message's parent, its parent and so on, locked: two children that end at once must not both count without the
/// other. Nearest first, as every descendant does, so that no two of them wait for each other.
async fn lock_ancestors(tx: &mut Tx, child: MessageId) -> Result<Vec<MessageId>, StoreError> {
    let chain = "with recursive chain (id, depth) as (select parent, 1 from messages where id = $1 union all \
        select m.parent, depth + 1 from messages m join chain on m.id = chain.id) \
        select id from chain where id is not null order by depth";
    let chain: Vec<(Uuid,)> = fetch_all!(tx.db(), (Uuid,), chain, child.0)?;
    let text = format!("select 1 from outcomes where message = $1{}", tx.dialect().lock_row());
    for (id,) in &chain {
        let _: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), sql(text.clone()), *id)?;
    }
    Ok(chain.into_iter().map(|(id,)| MessageId(id)).collect())
}

/// A corrected record may itself come back from a reject: what repairs it repairs that one too. One pass per generation.
async fn repair_origins(tx: &mut Tx, child: MessageId, ancestors: &[MessageId]) -> Result<(), StoreError> {
    let text = format!(
        "insert into repairs (message, entity_no, record, child) \
         select e.origin_message, e.origin_entity_no, e.origin_record, $1 from repairs r join record_errors e \
         on e.message = r.message and e.entity_no = r.entity_no and e.record = r.record and e.ordinal = 0 \
         where r.child = $1 and e.origin_message in ({}) on conflict (message, entity_no, record) do nothing",
        placeholders(2, ancestors.len())
    );
    loop {
        let repaired = with_pool!(tx.db(), db: Db => {
            let mut insert = sqlx::query::<Db>(sql(text.clone())).bind(child.0);
            for id in ancestors {
                insert = insert.bind(id.0);
            }
            insert.execute(db).await.map(|done| done.rows_affected())
        })?;
        if repaired == 0 {
            return Ok(());
        }
    }
}

async fn insert_repairs(tx: &mut Tx, child: MessageId, rejects: &[&RejectId]) -> Result<(), StoreError> {
    let text = format!(
        "insert into repairs (message, entity_no, record, child) \
         select column1, column2, column3, column4 from (values {}) as given \
         where exists (select 1 from record_errors e where e.message = column1 and e.entity_no = column2 \
         and e.record = column3 and e.ordinal = 0) on conflict (message, entity_no, record) do nothing",
        value_rows(tx.dialect(), rejects.len(), 4)
    );
    with_pool!(tx.db(), db: Db => {
        let mut insert = sqlx::query::<Db>(sql(text));
        for reject in rejects {
            insert = insert.bind(reject.message.0).bind(reject.entity_no).bind(stored(reject.record)).bind(child.0);
        }
        insert.execute(db).await.map(|_| ())
    })?;
    Ok(())
}
