//! Groups: messages that are kept in order. Of one group only the head is `ready` or `delayed`; the others stand `behind`.
//!
//! Who changes a group holds its lock until the transaction ends: "nobody is before me" and "nobody is behind me" are facts
//! about rows that are not there, which no row lock can hold. Locks are taken in one order, so nobody waits in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use uuid::Uuid;

use super::dialect::{Dialect, lock_groups, portions, sql};
use super::pool::{Reader, Tx, execute, fetch_all, fetch_optional, with_pool};
use super::rows::{corrupt, unsigned};
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Wait;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// The word in `queue.wait` for a message that is leased.
pub(super) const OUT: &str = "out";

/// One group of one job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Group {
    pub(super) job: Uuid,
    pub(super) grp: String,
}

/// Of a group at most one message is ready, delayed or out. Nothing below `$3` is alive but what was tried again.
const FRONT: &str = "select message, not_before, wait, seq, returned from queue \
    where job = $1 and grp = $2 and returned = false and seq >= $3 and wait <> 'behind' union all \
    select message, not_before, wait, seq, returned from queue \
    where job = $1 and grp = $2 and returned = true and wait <> 'behind'";
/// The oldest of what stands behind, and the oldest of that that was tried again.
const BEHIND: &str = "select * from (select message, not_before, wait, seq, returned from queue \
    where job = $1 and grp = $2 and returned = false and seq >= $3 and wait = 'behind' order by seq limit 1) as first union all \
    select * from (select message, not_before, wait, seq, returned from queue \
    where job = $1 and grp = $2 and returned = true and wait = 'behind' order by seq limit 1) as again";
const BLOCKED: &str = "select 1 from blocked_groups where job = $1 and grp = $2";
const MOVE: &str = "update queue set wait = $2 where message = $1 and wait <> 'out' returning job, lane, rank";

/// Whether any message in the queue is kept in order.
pub(super) async fn are_there(reader: Reader<'_>) -> Result<bool, StoreError> {
    let text = "select 1 from queue where grp is not null and wait <> 'behind' union all \
        select 1 from queue where grp is not null and wait = 'behind' limit 1";
    let found: Option<(i32,)> = fetch_optional!(reader, (i32,), text)?;
    Ok(found.is_some())
}

/// Takes the groups' locks and says which of them a new message would not be the head of.
pub(super) async fn occupied(tx: &mut Tx, groups: &BTreeSet<Group>) -> Result<BTreeSet<Group>, StoreError> {
    tx.memory().saw_group();
    lock_groups(tx, groups).await?;
    let mut occupied = BTreeSet::new();
    for group in groups {
        let (begun, floor) = (Instant::now(), tx.memory().group_floor(group));
        let front = members(tx, FRONT, group, floor).await?;
        if floor == i64::MIN {
            tx.memory().group_looked(group, begun);
        }
        if !front.is_empty() || blocked(tx, group).await? {
            occupied.insert(group.clone());
        }
    }
    Ok(occupied)
}

/// Where the messages are whose groups are to be locked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// They have not ended.
    Queue,
    /// They have.
    Outcomes,
}

/// Takes the locks of all groups these messages are in.
///
/// Every transaction that changes groups does so before it touches a row, and once for all its messages: who takes a row
/// first and then waits for its group, while another has the group and waits for the row, waits for ever. Where no message
/// that is kept in order was ever seen there is nothing to lock; a process that is wrong about it tries again.
///
/// A message that is not in the table now may be there a moment later, put there by others: who changes it without a lease
/// asks [`may_change`] first. Returns whose locks were taken.
pub(super) async fn lock_groups_of(tx: &mut Tx, of: Of, ids: &[MessageId]) -> Result<BTreeSet<Group>, StoreError> {
    let table = match of {
        _ if tx.dialect() == Dialect::Sqlite => return Ok(BTreeSet::new()),
        Of::Queue if !tx.memory().has_groups() => return Ok(BTreeSet::new()),
        Of::Queue => "queue",
        // Seldom enough, and nobody may have seen the group since it went.
        Of::Outcomes => "outcomes",
    };
    let mut groups = BTreeSet::new();
    for portion in portions(tx.dialect(), ids) {
        let text = format!(
            "select job, grp from {table} where message in ({}) and grp is not null",
            portion.list()
        );
        let found = with_pool!(tx.db(), db: Db => {
            let mut select = sqlx::query_as::<Db, (Uuid, String)>(sql(text));
            for (id, _) in portion.filled() {
                select = select.bind(id.0);
            }
            select.fetch_all(db).await
        })?;
        groups.extend(found.into_iter().map(|(job, grp)| Group { job, grp }));
    }
    lock_groups(tx, &groups).await?;
    Ok(groups)
}

/// Whether a message is in the queue and may be changed by a transaction that holds these groups' locks. One that is not there
/// may not be changed even if it comes back before the transaction ends.
///
/// # Errors
/// [`StoreError::Moved`] when it came in behind the locks: its row would be taken before its group's lock.
pub(super) async fn may_change(tx: &mut Tx, id: MessageId, locked: &BTreeSet<Group>) -> Result<bool, StoreError> {
    let text = "select job, grp from queue where message = $1";
    let found: Option<(Uuid, Option<String>)> = fetch_optional!(tx.db(), (Uuid, Option<String>), text, id.0)?;
    let Some((job, grp)) = found else { return Ok(false) };
    let group = grp.map(|grp| Group { job, grp });
    if tx.dialect() == Dialect::Postgres && group.is_some_and(|group| !locked.contains(&group)) {
        tx.memory().saw_group();
        return Err(moved(id));
    }
    Ok(true)
}

/// What is said of a message that was in neither place looked at, because it went from one to the other meanwhile.
pub(super) fn moved(id: MessageId) -> StoreError {
    StoreError::Moved { id: id.to_string() }
}

/// Puts these groups in order after some of their messages ended, went back or came back: nothing while one of them is
/// out or the group is blocked, else the oldest to the front. With each the highest number that was changed.
pub(super) async fn settle(tx: &mut Tx, groups: BTreeMap<Group, i64>, now: Timestamp) -> Result<(), StoreError> {
    if groups.is_empty() {
        return Ok(());
    }
    tx.memory().saw_group();
    lock_groups(tx, &groups.keys().cloned().collect()).await?;
    for (group, changed) in groups {
        settle_one(tx, group, changed, now).await?;
    }
    Ok(())
}

/// A message of a group.
#[derive(Debug, Clone, sqlx::FromRow)]
struct Member {
    message: Uuid,
    not_before: Option<i64>,
    wait: String,
    seq: i64,
    /// It ended before and was tried again.
    returned: bool,
}

async fn settle_one(tx: &mut Tx, group: Group, changed: i64, now: Timestamp) -> Result<(), StoreError> {
    let (begun, floor) = (Instant::now(), tx.memory().group_floor(&group));
    let front = members(tx, FRONT, &group, floor).await?;
    if front.iter().any(|member| member.wait == OUT) {
        return Ok(());
    }
    let behind = members(tx, BEHIND, &group, floor).await?;
    if floor == i64::MIN {
        tx.memory().group_looked(&group, begun);
    }
    let Some(head) = front.iter().chain(&behind).min_by_key(|member| member.seq) else {
        // Nothing of it is left, so everything up to here has ended.
        tx.settled(group, changed.saturating_add(1));
        return Ok(());
    };
    let wanted = match head.not_before {
        _ if blocked(tx, &group).await? => Wait::Behind,
        Some(at) if at > now.micros() => Wait::Delayed,
        _ => Wait::Ready,
    };
    for other in front.iter().filter(|member| member.message != head.message) {
        if !stand(tx, other.message, Wait::Behind).await? {
            // It was leased meanwhile, for a claim takes no group's lock: its end settles the group again.
            return Ok(());
        }
    }
    if head.wait != wanted.as_str() {
        stand(tx, head.message, wanted).await?;
    }
    if !head.returned {
        tx.settled(group, head.seq);
    }
    Ok(())
}

/// Moves a message that is not out; `false`: it is.
async fn stand(tx: &mut Tx, message: Uuid, wait: Wait) -> Result<bool, StoreError> {
    type Place = (Uuid, String, i64);
    let moved: Option<Place> = fetch_optional!(tx.db(), Place, MOVE, message, wait.as_str())?;
    let Some((job, lane, rank)) = moved else {
        return Ok(false);
    };
    if wait == Wait::Ready {
        tx.offered(JobId(job), &lane, rank);
    }
    Ok(true)
}

async fn members(tx: &mut Tx, text: &'static str, group: &Group, floor: i64) -> Result<Vec<Member>, StoreError> {
    Ok(fetch_all!(tx.db(), Member, text, group.job, group.grp.as_str(), floor)?)
}

async fn blocked(tx: &mut Tx, group: &Group) -> Result<bool, StoreError> {
    let found: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), BLOCKED, group.job, group.grp.as_str())?;
    Ok(found.is_some())
}

/// A group as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// The value its messages share.
    pub key: String,
    /// Its head, or what of it is out; none: it is blocked and everything stands behind.
    pub head: Option<MessageId>,
    /// The head's status.
    pub status: Option<Status>,
    /// Until when the head waits.
    pub not_before: Option<Timestamp>,
    /// The dead letter it waits for.
    pub blocked_by: Option<MessageId>,
    /// Messages behind, counted up to [`BEHIND_MAX`].
    pub behind: u64,
}

/// Further messages behind one head are not counted.
pub const BEHIND_MAX: u64 = 1000;

impl Store {
    /// Groups of a job that do not flow by themselves right now: blocked ones first, then those whose head waits or is out.
    pub async fn groups(&self, job: JobId, limit: u32) -> Result<Vec<GroupState>, StoreError> {
        type Row = (String, Option<Uuid>, Option<String>, Option<i64>, Option<Uuid>, i64);
        let text = format!(
            "select g.grp, g.message, g.status, g.not_before, g.blocked_by, \
             (select count(*) from (select 1 from queue b where b.job = $1 and b.grp = g.grp and b.wait = 'behind' \
             limit {BEHIND_MAX}) as counted) from \
             (select b.grp, cast(null as {uuid}) as message, cast(null as text) as status, cast(null as bigint) as not_before, \
             b.message as blocked_by, 0 as place from blocked_groups b where b.job = $1 union all \
             select q.grp, q.message, q.status, q.not_before, cast(null as {uuid}) as blocked_by, 1 as place from queue q \
             where q.job = $1 and q.grp is not null and q.wait <> 'behind') as g order by g.place, g.grp limit $2",
            uuid = self.dialect().uuid_type()
        );
        let rows: Vec<Row> = fetch_all!(self.reader(), Row, sql(text), job.0, i64::from(limit))?;
        rows.into_iter()
            .map(|(key, head, status, not_before, blocked_by, behind)| {
                let status = status
                    .map(|text| Status::parse(&text).ok_or_else(|| corrupt("queue", "status", &key.as_str(), &text)));
                Ok(GroupState {
                    head: head.map(MessageId),
                    status: status.transpose()?,
                    not_before: not_before.map(Timestamp),
                    blocked_by: blocked_by.map(MessageId),
                    behind: unsigned("queue", "grp", &key.as_str(), behind)?,
                    key,
                })
            })
            .collect()
    }

    /// Lets a blocked group go on without its dead letter. `false`: it was not blocked.
    pub async fn unblock(&self, job: JobId, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        if key.contains('\0') {
            // PostgreSQL has no such text; no group is called that.
            return Ok(false);
        }
        let group = Group {
            job: job.0,
            grp: key.to_owned(),
        };
        self.write_audited(
            |unblocked, _| *unblocked,
            move |tx| {
                Box::pin(async move {
                    lock_groups(tx, &[group.clone()].into()).await?;
                    let text = "delete from blocked_groups where job = $1 and grp = $2";
                    let unblocked = execute!(tx.db(), text, group.job, group.grp.as_str())? == 1;
                    settle(tx, [(group, i64::MIN)].into(), now).await?;
                    Ok(unblocked)
                })
            },
        )
        .await
    }
}
