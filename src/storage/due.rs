//! What the clock brings about: delays that are over, leases that lapsed, messages whose time ran out.
//!
//! It is looked for before claims and steps, at most a few times a second, and by every tick: one read that finds nothing most
//! of the time. What it finds is brought up by a transaction of its own, in portions, so that others get a turn.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::StoreError;
use super::dialect::{Portion, lock_groups, portions, sql};
use super::groups::Group;
use super::live::{Ending, LIVE_COLUMNS, LiveRow, Return, job_of, put_back, retire};
use super::memory::{DueLook, Memory};
use super::pool::{Pool, Reader, Sync, Tx, fetch_all, with_pool};
use super::steps::offer_again;
use super::transition::{WALKED, WORKED, guard, target};
use crate::domain::status::{Event, Status};
use crate::domain::time::Timestamp;

/// Most messages of each kind that are brought up at once.
pub(super) const PORTION: usize = 1000;

/// It was handed out as often as it may be.
const EXHAUSTED: &str = "max_deliveries is not null and attempt >= max_deliveries";

/// What a released message loses, whatever released it.
pub(super) const NO_LEASE: &str = "lease_until = null, redeliver_at = null, owner = null";

/// Why a message is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// A dequeuer's lease lapsed.
    Delivery,
    /// Its delay is over.
    Delay,
    /// Nobody took it in time.
    Expiry,
    /// A worker's lease lapsed.
    Work,
}

impl Why {
    /// Found as the clock stands now, beginning after a floor.
    const BY_DEADLINE: [Self; 3] = [Self::Delivery, Self::Delay, Self::Expiry];

    fn as_str(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Delay => "delay",
            Self::Expiry => "expiry",
            Self::Work => "work",
        }
    }

    /// The deadline, and what else must hold.
    fn deadline(self) -> (&'static str, &'static str) {
        match self {
            Self::Delivery => ("redeliver_at", "redeliver_at is not null"),
            Self::Delay => ("not_before", "wait = 'delayed'"),
            // What a worker has begun has landed in part: it ends as what it is, with its counts.
            Self::Expiry => ("expires_at", "status = 'Enqueued' and started_at is null"),
            Self::Work => ("lease_until", WORKED),
        }
    }

    /// It is over at `$1`.
    fn over(self) -> String {
        let (deadline, holds) = self.deadline();
        format!("{deadline} <= $1 and {holds}")
    }
}

/// Messages that are due, as they were found: no lock holds them.
#[derive(Debug, Default)]
pub(super) struct Due {
    found: Vec<(Why, Uuid)>,
    groups: BTreeSet<Group>,
}

impl Due {
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether there may be more of a kind than were looked for.
    pub(super) fn is_portion(&self) -> bool {
        let of = |why| self.found.iter().filter(|(other, _)| *other == why).count();
        [Why::Delivery, Why::Delay, Why::Expiry, Why::Work]
            .into_iter()
            .any(|why| of(why) >= PORTION)
    }

    fn of(&self, why: Why) -> Vec<Uuid> {
        self.found
            .iter()
            .filter(|(other, _)| *other == why)
            .map(|(_, id)| *id)
            .collect()
    }

    fn add(&mut self, rows: Vec<DueRow>) {
        for (why, message, job, grp) in rows {
            let known = [Why::Delivery, Why::Delay, Why::Expiry, Why::Work];
            let Some(why) = known.into_iter().find(|one| one.as_str() == why) else {
                continue;
            };
            self.found.push((why, message));
            self.groups.extend(grp.map(|grp| Group { job, grp }));
        }
    }
}

/// Why, which, and its group.
type DueRow = (String, Uuid, Uuid, Option<String>);

/// Brings up what is due by `now`, if it was not looked for just before. Not at the cost of whoever asks: what fails here is
/// tried again with the next look.
pub(super) async fn bring_up_what_is_due(pool: &Pool, memory: &Memory, now: Timestamp) {
    if !memory.is_due(now) {
        return;
    }
    let look = memory.begin_due(now);
    let all = async {
        let due = find(pool.reader(), look).await?;
        memory.due_found(look);
        if !due.is_empty() {
            let mut tx = pool.begin(memory, Sync::Full).await?;
            let moved = bring_up(&mut tx, &due, now).await?;
            tx.commit(moved).await?;
        }
        Ok::<bool, StoreError>(!due.is_portion())
    };
    match all.await {
        Ok(true) => memory.due_done(look),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "what is due could not be brought up; trying again"),
    }
}

/// What is due by its deadline: a portion of each kind.
pub(super) async fn find(reader: Reader<'_>, look: DueLook) -> Result<Due, StoreError> {
    let kinds = Why::BY_DEADLINE.map(|why| {
        let (deadline, _) = why.deadline();
        select_due(why, &format!("{deadline} > $2 and {}", why.over()))
    });
    let text = kinds.join(" union all ");
    let rows: Vec<DueRow> = fetch_all!(reader, DueRow, sql(text), look.now.micros(), look.after.micros())?;
    let mut due = Due::default();
    due.add(rows);
    Ok(due)
}

/// A portion of the workers' leases that are over by `now`.
pub(super) async fn find_lapsed_work(reader: Reader<'_>, now: Timestamp) -> Result<Due, StoreError> {
    let text = select_due(Why::Work, &Why::Work.over());
    let rows: Vec<DueRow> = fetch_all!(reader, DueRow, sql(text), now.micros())?;
    let mut due = Due::default();
    due.add(rows);
    Ok(due)
}

fn select_due(why: Why, condition: &str) -> String {
    let (deadline, _) = why.deadline();
    format!(
        "select '{word}' as why, message, job, grp from (select message, job, grp from queue where {condition} and {WALKED} \
         order by {deadline} limit {PORTION}) as {word}",
        word = why.as_str()
    )
}

/// Brings up what was found, as far as it still is due. How many messages moved.
pub(super) async fn bring_up(tx: &mut Tx, due: &Due, now: Timestamp) -> Result<u64, StoreError> {
    // Groups before rows, as everybody does.
    lock_groups(tx, &due.groups).await?;
    let (lapsed, worked) = (due.of(Why::Delivery), due.of(Why::Work));
    // What comes back may have outlived its own time.
    let outlived = [due.of(Why::Expiry), lapsed.clone(), worked.clone()].concat();
    let moved = [
        bury_the_exhausted(tx, &lapsed, now).await?,
        lapse(tx, &lapsed, Why::Delivery, now, "lease lapsed", now).await?,
        lapse(tx, &worked, Why::Work, now, "lease lapsed", now).await?,
        expire(tx, &outlived, now).await?,
        end_delays(tx, &due.of(Why::Delay), now).await?,
    ];
    Ok(moved.iter().sum::<usize>() as u64)
}

/// Takes the leases of these workers away, whenever they end. How many.
pub(super) async fn end_work(tx: &mut Tx, due: &Due, note: &str, now: Timestamp) -> Result<u64, StoreError> {
    lock_groups(tx, &due.groups).await?;
    let ever = Timestamp(i64::MAX);
    let lapsed = lapse(tx, &due.of(Why::Work), Why::Work, ever, note, now).await?;
    Ok(lapsed as u64)
}

/// Of these messages, those whose lease is over by `by` go back; the others are passed over, and so is what somebody else
/// has in hand.
async fn lapse(
    tx: &mut Tx,
    ids: &[Uuid],
    why: Why,
    by: Timestamp,
    note: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    // The last delivery allowed ends the message: who passed over it, as somebody had it in hand, comes again.
    let last = if why == Why::Delivery { EXHAUSTED } else { "1 = 0" };
    let mut lapsed = 0;
    for portion in portions(tx.dialect(), ids) {
        let text = format!(
            "select {LIVE_COLUMNS} from queue where message in ({}) and {} and not ({last}){}",
            portion.list_from(2),
            why.over(),
            tx.dialect().skip_locked()
        );
        let rows = rows_of(tx, text, by, &portion).await?;
        if rows.is_empty() {
            continue;
        }
        offer_again(tx, &rows, None, None).await?;
        let back = Return { not_before: None, note };
        put_back(tx, &rows, &back, now).await?;
        for _ in &rows {
            tx.lapsed(if why == Why::Work { "worker" } else { "client" });
        }
        lapsed += rows.len();
    }
    Ok(lapsed)
}

/// Lapsed deliveries that were the last one allowed.
async fn bury_the_exhausted(tx: &mut Tx, ids: &[Uuid], now: Timestamp) -> Result<usize, StoreError> {
    let rows = take(tx, ids, &format!("{} and {EXHAUSTED}", Why::Delivery.over()), now).await?;
    let ended = rows.into_iter().map(|row| {
        let ending = dead_letter(&row, "the last lease lapsed without an acknowledgement");
        (row, ending)
    });
    end(tx, ended.collect(), now).await
}

/// How a message ends that was handed out too often.
pub(super) fn dead_letter(row: &LiveRow, last: &str) -> Ending {
    let first = row.first_error.as_deref().unwrap_or(last);
    let detail = format!(
        "handed out {} times without an acknowledgement; first: {first}; last: {last}",
        row.attempt
    );
    Ending::failed(Status::DeadLettered, "max_deliveries", detail)
}

/// Takes a dequeuer's lease away, whenever it ends. Whether there was one, and not the last one allowed.
pub(super) async fn end_delivery(tx: &mut Tx, message: Uuid, note: &str, now: Timestamp) -> Result<bool, StoreError> {
    let lapsed = lapse(tx, &[message], Why::Delivery, Timestamp(i64::MAX), note, now).await?;
    Ok(lapsed > 0)
}

async fn expire(tx: &mut Tx, ids: &[Uuid], now: Timestamp) -> Result<usize, StoreError> {
    let rows = take(tx, ids, &Why::Expiry.over(), now).await?;
    let ended = rows.into_iter().map(|row| {
        let detail = "nobody took it before its `expires_at`".to_owned();
        (row, Ending::failed(Status::Expired, "expired", detail))
    });
    end(tx, ended.collect(), now).await
}

async fn end(tx: &mut Tx, ended: Vec<(LiveRow, Ending)>, now: Timestamp) -> Result<usize, StoreError> {
    if !ended.is_empty() {
        retire(tx, &ended, now).await?;
    }
    Ok(ended.len())
}

/// Takes those of the messages for which `condition` holds out of the queue.
async fn take(tx: &mut Tx, ids: &[Uuid], condition: &str, now: Timestamp) -> Result<Vec<LiveRow>, StoreError> {
    change(tx, ids, condition, now, "delete from queue").await
}

async fn end_delays(tx: &mut Tx, ids: &[Uuid], now: Timestamp) -> Result<usize, StoreError> {
    let rows = change(tx, ids, &Why::Delay.over(), now, "update queue set wait = 'ready'").await?;
    for row in &rows {
        tx.offered(job_of(row), &row.lane, row.rank);
    }
    Ok(rows.len())
}

/// Changes those of the messages for which `condition` holds and nobody else has in hand.
async fn change(
    tx: &mut Tx,
    ids: &[Uuid],
    condition: &str,
    now: Timestamp,
    change: &str,
) -> Result<Vec<LiveRow>, StoreError> {
    let mut changed = Vec::new();
    for portion in portions(tx.dialect(), ids) {
        let dialect = tx.dialect();
        let held = format!(
            "select message from queue where message in ({}) and {condition}{}",
            portion.list_from(2),
            dialect.skip_locked()
        );
        let text = format!(
            "{change} where {} returning {LIVE_COLUMNS}",
            dialect.message_among(&held)
        );
        changed.extend(rows_of(tx, text, now, &portion).await?);
    }
    Ok(changed)
}

/// Runs a statement with the time as `$1` and ids from `$2` on.
async fn rows_of(
    tx: &mut Tx,
    text: String,
    at: Timestamp,
    portion: &Portion<'_, Uuid>,
) -> Result<Vec<LiveRow>, StoreError> {
    Ok(with_pool!(tx.db(), db: Db => {
        let mut query = sqlx::query_as::<Db, LiveRow>(sql(text)).bind(at.micros());
        for (id, _) in portion.filled() {
            query = query.bind(*id);
        }
        query.fetch_all(db).await
    })?)
}

/// The statement parts that put a leased message back.
pub(super) fn release_sql() -> (String, String) {
    (target(Event::Release), guard(Event::Release))
}
