//! How a lease begins: dequeuers and workers take waiting messages.
//!
//! A claim walks the head of one lane's part of the index of ready messages, from the floor that is remembered for it, and
//! passes over rows that another process is taking. It meets neither leased nor delayed nor finished rows and waits for
//! nobody. What is kept in order needs no care here: of a group only the head is ever ready.

mod turns;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use uuid::Uuid;

use super::dialect::{Dialect, portions, sql};
use super::leases::ClaimImport;
use super::live::{EventLine, note};
use super::memory::{Claims, Place};
use super::pool::{Backend, Tx, fetch_all, fetch_optional, with_pool};
use super::rows::{MessageRow, live_messages};
use super::transition::target;
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::{Claimed, Message};
use crate::domain::status::Event;
use crate::domain::time::Timestamp;
use turns::{ready_lanes, ready_lanes_sql, turns};

/// The message a claim would take first, searched as a claim searches.
const HEAD: &str = "select message from queue where job = $1 and lane = $2 and wait = 'ready' and (rank, seq) > ($3, $4) \
    order by rank, seq limit 1";
/// A dequeuer asks for messages.
#[derive(Debug, Clone)]
pub struct LeaseAsk {
    /// Of this queue.
    pub job: JobId,
    /// Who asks.
    pub owner: String,
    /// How long the lease lasts.
    pub lease_seconds: i64,
    /// At most this many.
    pub max: u32,
    /// Whether payloads that are stored inline come along.
    pub payloads: bool,
    /// When.
    pub now: Timestamp,
}

/// A message handed out under a lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    /// The message as of the delivery.
    pub claimed: Claimed,
    /// Its payload, where it was asked for and is stored inline.
    pub payload: Option<Bytes>,
}

/// Who takes messages, and what is written beside status and epoch.
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
    /// Hands out waiting messages of a queue, oldest first, each under a lease with a new epoch; shares its commit with
    /// whoever else asks at the time. `last_dequeued_at` of the returned messages is the time of the delivery *before* this
    /// one (RI-10).
    pub async fn lease(&self, ask: LeaseAsk) -> Result<Vec<Delivered>, StoreError> {
        self.lanes().lease(ask).await
    }

    /// The same without payloads.
    pub async fn dequeue(
        &self,
        job: JobId,
        owner: &str,
        lease_seconds: i64,
        max: u32,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        let ask = LeaseAsk {
            job,
            owner: owner.to_owned(),
            lease_seconds,
            max,
            payloads: false,
            now,
        };
        let delivered = self.lease(ask).await?;
        Ok(delivered.into_iter().map(|delivered| delivered.claimed).collect())
    }

    /// Claims waiting import messages for a worker: status `PreProcessing`, epoch + 1, attempt + 1, `started_at` set once.
    ///
    /// Jobs take turns, and in each job its lanes: first who has least under way, then who was served longest ago.
    pub async fn claim_imports(&self, claim: ClaimImport<'_>, now: Timestamp) -> Result<Vec<Claimed>, StoreError> {
        let (mut jobs, owner) = (claim.jobs.to_vec(), claim.owner.to_owned());
        let (until, limit) = (now.plus_seconds(claim.lease_seconds), claim.limit as usize);
        let lanes = claim.lanes;
        if self.memory().is_due(now) {
            // Not at the cost of what can be claimed: it is tried again with the next look.
            if let Err(error) = self.bring_up_portion(now).await {
                tracing::warn!(%error, "what is due could not be brought up; trying again");
            }
        }
        if !self.may_have_work(&jobs, lanes) {
            return Ok(Vec::new());
        }
        // Nobody is asked who is paused while there is nothing to claim.
        let paused = self.paused_jobs().await?;
        jobs.retain(|job| !paused.contains(job));
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let memory = self.memory().clone();
        let (claimed, claims) = self
            .write(move |tx| {
                Box::pin(async move {
                    let taking = Taking {
                        event: Event::Claim,
                        set: WORK,
                        owner: &owner,
                        until,
                        now,
                    };
                    let mut claims = memory.begin_claims();
                    let mut turns = turns(tx, &claims, &jobs, lanes).await?;
                    let mut taken = Vec::new();
                    while taken.len() < limit
                        && let Some((job, lane)) = turns.next()
                    {
                        let got = take(tx, &mut claims, &taking, job, &lane, 1).await?;
                        turns.served(job, &lane, !got.is_empty());
                        taken.extend(got);
                    }
                    let messages = read(tx, &taken).await?;
                    note_claims(tx, &messages, now).await?;
                    Ok((messages, claims))
                })
            })
            .await?;
        claims.committed();
        let mut claimed: Vec<Claimed> = claimed.into_iter().map(|message| Claimed { message }).collect();
        claimed.sort_by_key(|claimed| claimed.message.enqueued_at);
        Ok(claimed)
    }
}

impl Store {
    /// Whether a worker's claim could find anything: what this process offers it knows, and for the rest it looks now and then.
    fn may_have_work(&self, jobs: &[JobId], which: super::leases::Lanes) -> bool {
        let claims = self.memory().begin_claims();
        let is_offered = |job: &JobId| claims.offered_lanes(*job).iter().any(|lane| which.include(lane));
        claims.is_worker_look_due() || jobs.iter().any(is_offered)
    }

    /// Since when the message waits that a job's claims would take next, of the lane in which it has waited longest; `None`:
    /// nothing is offered. Delayed messages and those behind others of their group are not.
    pub async fn oldest_offered(&self, job: JobId) -> Result<Option<Timestamp>, StoreError> {
        let claims = self.memory().begin_claims();
        let mut lanes = if let Some(lanes) = claims.lanes(job) {
            lanes
        } else {
            let begun = Instant::now();
            let found: Vec<(String,)> = fetch_all!(self.reader(), (String,), sql(ready_lanes_sql()), job.0)?;
            let found: Vec<String> = found.into_iter().map(|(lane,)| lane).collect();
            claims.found(job, &found, begun);
            claims.offered_lanes(job)
        };
        if !lanes.iter().any(String::is_empty) {
            lanes.push(String::new());
        }
        let mut oldest: Option<Timestamp> = None;
        for lane in lanes {
            let after = claims.floor(job, &lane);
            let head: Option<(Uuid,)> = fetch_optional!(
                self.reader(),
                (Uuid,),
                HEAD,
                job.0,
                lane.as_str(),
                after.rank,
                after.seq
            )?;
            let since = head.map(|(id,)| MessageId(id).made_at());
            oldest = oldest.into_iter().chain(since).min();
        }
        Ok(oldest)
    }

    /// What PostgreSQL does to find and take up to `limit` messages of a queue now, as its JSON plan with the pages touched;
    /// nothing is taken. `None` on SQLite. For measuring: what a claim costs must not grow with what came and went.
    pub async fn claim_plan(&self, job: JobId, limit: i64) -> Result<Option<serde_json::Value>, StoreError> {
        let Backend::Postgres(_) = self.reader() else {
            return Ok(None);
        };
        let now = Timestamp(0);
        let taking = Taking {
            event: Event::Dequeue,
            set: DELIVER,
            owner: "",
            until: now,
            now,
        };
        let explained = format!(
            "explain (analyze, buffers, format json) {}",
            take_sql(&taking, Dialect::Postgres)
        );
        let mut tx = self.shared.pool.begin(self.memory(), super::pool::Sync::Full).await?;
        let search = self.memory().begin_claims().search(job, "");
        let Backend::Postgres(db) = tx.db() else {
            return Ok(None);
        };
        let (plan,): (serde_json::Value,) = sqlx::query_as(sql(explained))
            .bind(now.micros())
            .bind("")
            .bind(now.micros())
            .bind(job.0)
            .bind("")
            .bind(search.after.rank)
            .bind(search.after.seq)
            .bind(limit)
            .fetch_one(db)
            .await?;
        // The transaction is dropped here, and with it what was taken.
        Ok(Some(plan))
    }
}

async fn note_claims(tx: &mut Tx, messages: &[Message], now: Timestamp) -> Result<(), StoreError> {
    let lines: Vec<EventLine> = messages
        .iter()
        .map(|message| EventLine {
            message: message.id,
            at: now,
            status: message.status,
            epoch: message.epoch,
            note: None,
        })
        .collect();
    note(tx, &lines).await
}

/// Hands out to everyone who asks, in the order they came; those who ask for the same on the same terms by one statement.
pub(super) async fn lease_all(
    tx: &mut Tx,
    claims: &mut Claims,
    asks: &[&LeaseAsk],
) -> Result<Vec<Result<Vec<Delivered>, StoreError>>, StoreError> {
    let Some(now) = asks.iter().map(|ask| ask.now).max() else {
        return Ok(Vec::new());
    };
    let mut terms: BTreeMap<(JobId, &str, i64, bool), u64> = BTreeMap::new();
    for ask in asks {
        *terms.entry(terms_of(ask)).or_default() += u64::from(ask.max);
    }
    let mut to_give: BTreeMap<(JobId, &str, i64, bool), VecDeque<Delivered>> = BTreeMap::new();
    for (term, wanted) in terms {
        let (job, owner, lease_seconds, payloads) = term;
        let taking = Taking {
            event: Event::Dequeue,
            set: DELIVER,
            owner,
            until: now.plus_seconds(lease_seconds),
            now,
        };
        let taken = take_from_lanes(tx, claims, &taking, job, wanted).await?;
        to_give.insert(term, deliver(tx, &taken, payloads).await?);
    }
    let mut given = Vec::with_capacity(asks.len());
    for ask in asks {
        let stock = to_give.entry(terms_of(ask)).or_default();
        let share = stock.len().min(ask.max as usize);
        given.push(Ok(stock.drain(..share).collect()));
    }
    Ok(given)
}

fn terms_of(ask: &LeaseAsk) -> (JobId, &str, i64, bool) {
    (ask.job, ask.owner.as_str(), ask.lease_seconds, ask.payloads)
}

/// Takes from a job's lanes in turn, none before the others. Most jobs have one.
async fn take_from_lanes(
    tx: &mut Tx,
    claims: &mut Claims,
    taking: &Taking<'_>,
    job: JobId,
    wanted: u64,
) -> Result<Vec<MessageId>, StoreError> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let mut taken = Vec::new();
    let mut lanes = lanes_of(tx, claims, job).await?;
    while taken.len() < wanted && !lanes.is_empty() {
        // Each lane an equal share of what is left, and another round for those that had as much.
        let share = (wanted - taken.len()).div_ceil(lanes.len());
        let mut more = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let share = share.min(wanted - taken.len());
            if share == 0 {
                break;
            }
            let got = take(tx, claims, taking, job, &lane, share).await?;
            if got.len() == share {
                more.push(lane);
            }
            taken.extend(got);
        }
        lanes = more;
    }
    Ok(taken)
}

/// The lanes in which something may be. The one without a name always is one: other processes mostly put things there.
async fn lanes_of(tx: &mut Tx, claims: &Claims, job: JobId) -> Result<Vec<String>, StoreError> {
    let mut lanes = if let Some(lanes) = claims.lanes(job) {
        lanes
    } else {
        let begun = Instant::now();
        let lanes = ready_lanes(tx, job).await?;
        claims.found(job, &lanes, begun);
        claims.offered_lanes(job)
    };
    if !lanes.iter().any(String::is_empty) {
        lanes.push(String::new());
    }
    Ok(lanes)
}

/// Takes up to `limit` messages from the head of one lane, in order.
async fn take(
    tx: &mut Tx,
    claims: &mut Claims,
    taking: &Taking<'_>,
    job: JobId,
    lane: &str,
    limit: usize,
) -> Result<Vec<MessageId>, StoreError> {
    let search = claims.search(job, lane);
    let text = take_sql(taking, tx.dialect());
    let mut rows = with_pool!(tx.db(), db: Db => {
        sqlx::query_as::<Db, (Uuid, i64, i64)>(sql(text))
            .bind(taking.now.micros())
            .bind(taking.owner)
            .bind(taking.until.micros())
            .bind(job.0)
            .bind(lane)
            .bind(search.after.rank)
            .bind(search.after.seq)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(db)
            .await
    })?;
    // `returning` promises no order.
    rows.sort_by_key(|(_, rank, seq)| (*rank, *seq));
    let last = rows.last().map(|(_, rank, seq)| Place { rank: *rank, seq: *seq });
    claims.searched(job, lane, search, last, rows.len() < limit, taking.now);
    let ids: Vec<MessageId> = rows.into_iter().map(|(id, _, _)| MessageId(id)).collect();
    let taken = i64::try_from(ids.len()).unwrap_or(0);
    tx.counted(job, -taken, taken);
    if taken > 0 && taking.event == Event::Dequeue {
        tx.due_at(taking.until);
    }
    for id in &ids {
        tx.moved(job, *id);
    }
    Ok(ids)
}

fn take_sql(taking: &Taking<'_>, dialect: Dialect) -> String {
    // Materialised, so that no plan can run the locking part twice and take more rows than the limit. What it locked nobody
    // changes meanwhile, so nothing is asked of the rows again.
    format!(
        "with heads as materialized (select message from queue where job = $4 and lane = $5 and wait = 'ready' \
         and (rank, seq) > ($6, $7) order by rank, seq limit $8{}) \
         update queue set status = {}, wait = 'out', epoch = epoch + 1, attempt = attempt + 1, not_before = null, owner = $2, {} \
         where {} returning message, rank, seq",
        dialect.skip_locked(),
        target(taking.event),
        taking.set,
        dialect.message_among("select message from heads")
    )
}

/// Live messages of these ids, in their order.
async fn read(tx: &mut Tx, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
    let rows = read_rows(tx, ids).await?;
    rows.into_iter().map(Message::try_from).collect()
}

async fn read_rows(tx: &mut Tx, ids: &[MessageId]) -> Result<Vec<MessageRow>, StoreError> {
    let mut rows: HashMap<Uuid, MessageRow> = HashMap::with_capacity(ids.len());
    for portion in portions(tx.dialect(), ids) {
        let text = format!("{} where m.id in ({})", live_messages(tx.dialect()), portion.list());
        let found = with_pool!(tx.db(), db: Db => {
            let mut select = sqlx::query_as::<Db, MessageRow>(sql(text));
            for (id, _) in portion.filled() {
                select = select.bind(id.0);
            }
            select.fetch_all(db).await
        })?;
        if found.iter().any(|row| row.grp.is_some()) {
            tx.memory().saw_group();
        }
        rows.extend(found.into_iter().map(|row| (row.id, row)));
    }
    Ok(ids.iter().filter_map(|id| rows.remove(&id.0)).collect())
}

async fn deliver(tx: &mut Tx, ids: &[MessageId], payloads: bool) -> Result<VecDeque<Delivered>, StoreError> {
    let mut bytes = if payloads {
        read_payloads(tx, ids).await?
    } else {
        HashMap::new()
    };
    let rows = read_rows(tx, ids).await?;
    rows.into_iter()
        .map(|row| {
            let payload = bytes.remove(&row.id).map(Bytes::from);
            let message = row.into_delivered()?;
            Ok(Delivered {
                claimed: Claimed { message },
                payload,
            })
        })
        .collect()
}

async fn read_payloads(tx: &mut Tx, ids: &[MessageId]) -> Result<HashMap<Uuid, Vec<u8>>, StoreError> {
    let mut payloads = HashMap::with_capacity(ids.len());
    for portion in portions(tx.dialect(), ids) {
        let text = format!(
            "select message, bytes from payloads where message in ({})",
            portion.list()
        );
        let found = with_pool!(tx.db(), db: Db => {
            let mut select = sqlx::query_as::<Db, (Uuid, Vec<u8>)>(sql(text));
            for (id, _) in portion.filled() {
                select = select.bind(id.0);
            }
            select.fetch_all(db).await
        })?;
        payloads.extend(found);
    }
    Ok(payloads)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let text = sql(format!("explain query plan {statement}"));
            let plan: Vec<Line> = fetch_all!(store.reader(), Line, text).expect("explains");
            let lines = plan
                .into_iter()
                .map(|line| line.3)
                .filter(|line| line.contains("queue"));
            plans.push(lines.collect::<Vec<_>>().join("; "));
        }
        plans
    }

    #[tokio::test]
    async fn on_sqlite_claims_and_acknowledgements_find_their_rows_by_index() {
        let taking = Taking {
            event: Event::Claim,
            set: WORK,
            owner: "",
            until: Timestamp(0),
            now: Timestamp(0),
        };
        let acked = "delete from queue where epoch = $1 and message in ($2, $3, $4)".to_owned();
        let statements = [take_sql(&taking, Dialect::Sqlite), acked];
        let plans = indexes(&statements).await;
        assert!(
            plans[0].contains("queue_ready (job=? AND lane=? AND rank>?)"),
            "{plans:#?}"
        );
        assert!(plans[1].contains("(message=?)"), "{plans:#?}");
        assert!(plans.iter().all(|plan| !plan.contains("SCAN queue")), "{plans:#?}");
    }
}
