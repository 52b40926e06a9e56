//! Looking for messages by what is known of them: a page of a list, newest first, or what a bulk action goes through, oldest first.
//! Whatever is looked for, a bounded number of messages is looked at, and it is said where to go on.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::Context;
use super::carriers::RecordKey;
use super::rejects::Holds;
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Message;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::storage::StoreError;
use crate::storage::lately::Lately;

/// Messages looked at for one page, whatever is looked for.
const LOOKED_AT_MAX: u32 = 2000;
/// Of them read at once.
const READ_AT_ONCE: usize = 200;
/// Payloads looked into for one page, where a record is looked for; how many bytes of them; and for how long.
const LOOKED_INTO_MAX: usize = 200;
const LOOKED_INTO_BYTES_MAX: u64 = 64 << 20;
const LOOKED_INTO_FOR: Duration = Duration::from_secs(10);
/// How many look into payloads at once; others wait, but not for longer than this.
static LOOKING: Semaphore = Semaphore::const_new(2);
const TURN_PATIENCE: Duration = Duration::from_secs(10);

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// As many look into payloads as may at once, and none of them was done in time.
    #[error("as many searches by a record's key are under way as run at once; try again in a few seconds")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which statuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WantedStatus {
    /// Any.
    #[default]
    Any,
    /// Those somebody should look at, see [`is_failure`].
    Failed,
    /// This one.
    One(Status),
}

impl WantedStatus {
    /// The word for [`Self::Failed`].
    pub const FAILED: &'static str = "failed";

    /// The word for it; none: any will do.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Failed => Some(Self::FAILED),
            Self::One(status) => Some(status.as_str()),
        }
    }

    /// Whether the index of what ended badly has all of them.
    #[must_use]
    pub fn is_troubled(self) -> bool {
        match self {
            Self::Any => false,
            Self::Failed => true,
            Self::One(status) => status.is_final() && !matches!(status, Status::Acked | Status::Processed),
        }
    }

    fn takes(self, status: Status) -> bool {
        match self {
            Self::Any => true,
            Self::Failed => is_failure(status),
            Self::One(wanted) => wanted == status,
        }
    }
}

impl FromStr for WantedStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case(Self::FAILED) {
            return Ok(Self::Failed);
        }
        let mut all = Status::ALL.into_iter();
        let found = all.find(|status| status.as_str().eq_ignore_ascii_case(text));
        found.map(Self::One).ok_or_else(|| {
            let all = Status::ALL.map(Status::as_str).join(", ");
            format!("`{text}` is not a status; write `{}` or one of {all}", Self::FAILED)
        })
    }
}

/// Whether somebody should look at it: a message that was cancelled, or only checked, ended as somebody wanted.
#[must_use]
pub fn is_failure(status: Status) -> bool {
    status.is_final()
        && !matches!(
            status,
            Status::Acked | Status::Processed | Status::Staged | Status::Cancelled
        )
}

/// What is looked for. What is left out does not matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Of these jobs only; empty: of every job.
    pub jobs: Vec<JobId>,
    /// In one of these statuses.
    pub status: WantedStatus,
    /// Failed as a whole with this code, or with records rejected for it.
    pub code: Option<String>,
    /// With this in its external id, in any case.
    pub file: Option<String>,
    /// With this external id.
    pub external_id: Option<String>,
    /// Enqueued at this time or later.
    pub enqueued_from: Option<Timestamp>,
    /// Enqueued before this time.
    pub enqueued_before: Option<Timestamp>,
    /// Ended at this time or later.
    pub ended_from: Option<Timestamp>,
    /// Ended before this time.
    pub ended_before: Option<Timestamp>,
    /// Whose payload has this record.
    pub record: Option<RecordKey>,
}

impl Wanted {
    /// Whether a message of these jobs, enqueued in this time, is one, as far as can be said without its payload. `erring`: those that
    /// have record errors with the code.
    fn takes(&self, message: &Message, erring: &BTreeSet<MessageId>) -> bool {
        let has = message.external_id.as_deref();
        let code = message.failure.as_ref().map(|failure| failure.code.as_str());
        let contains = |part: &String| has.is_some_and(|has| has.to_lowercase().contains(&part.to_lowercase()));
        let ended = |is: &dyn Fn(Timestamp) -> bool| message.finished_at.is_some_and(is);
        self.status.takes(message.status)
            && self
                .code
                .as_ref()
                .is_none_or(|wanted| code == Some(wanted.as_str()) || erring.contains(&message.id))
            && self.file.as_ref().is_none_or(contains)
            && self
                .external_id
                .as_ref()
                .is_none_or(|wanted| has == Some(wanted.as_str()))
            && self.ended_from.is_none_or(|from| ended(&|at| at >= from))
            && self.ended_before.is_none_or(|before| ended(&|at| at < before))
    }

    /// Whether the index by itself tells which messages these are.
    fn is_plain(&self) -> bool {
        let Self {
            jobs,
            enqueued_from,
            enqueued_before,
            ..
        } = self.clone();
        *self
            == Self {
                jobs,
                enqueued_from,
                enqueued_before,
                ..Self::default()
            }
    }

    /// All that was enqueued at this time or later has an id that is not smaller.
    fn before(&self, before: Option<MessageId>) -> Option<MessageId> {
        let until = self.enqueued_before.map(MessageId::first_at);
        [before, until].into_iter().flatten().min()
    }
}

/// A page of what was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The messages.
    pub messages: Vec<Message>,
    /// How many were looked at for it.
    pub looked_at: usize,
    /// Of them those whose payload could not be read to its end, or is gone, so that nobody can say whether they have the record.
    pub unclear: usize,
    /// The one to go on from, unless the end was reached: before it newest first, after it oldest first.
    pub next: Option<MessageId>,
}

/// The latest messages that are wanted, from before this one on back, at most `page` of them. There may be fewer, although there
/// are more further back: then `next` says so.
///
/// # Errors
/// [`FindError`].
pub async fn latest(
    context: &Context,
    wanted: &Wanted,
    before: Option<MessageId>,
    page: usize,
) -> Result<Found, FindError> {
    let one_more = u32::try_from(page + 1).unwrap_or(LOOKED_AT_MAX);
    let look = Lately {
        jobs: wanted.jobs.clone(),
        // Its index has each job's own stretch only.
        troubled: wanted.status.is_troubled() && !wanted.jobs.is_empty(),
        from: wanted.enqueued_from,
        before: wanted.before(before),
        limit: if wanted.is_plain() { one_more } else { LOOKED_AT_MAX },
        ..Lately::default()
    };
    look_through(context, &look, wanted, page).await
}

/// The oldest messages that ended without success and are wanted, after this one, at most `page` of them; as [`latest`] otherwise.
///
/// # Errors
/// [`FindError`].
pub async fn oldest_troubled(
    context: &Context,
    wanted: &Wanted,
    after: Option<MessageId>,
    page: usize,
) -> Result<Found, FindError> {
    if wanted.jobs.is_empty() {
        return Ok(Found::default());
    }
    let look = Lately {
        jobs: wanted.jobs.clone(),
        troubled: true,
        from: wanted.enqueued_from,
        before: wanted.before(None),
        after,
        oldest_first: true,
        limit: LOOKED_AT_MAX,
    };
    look_through(context, &look, wanted, page).await
}

/// The oldest messages that have not ended and are wanted, after this one, at most `page` of them; as [`latest`] otherwise.
///
/// # Errors
/// [`FindError`].
pub async fn oldest_live(
    context: &Context,
    wanted: &Wanted,
    after: Option<MessageId>,
    page: usize,
) -> Result<Found, FindError> {
    let first = wanted.enqueued_from.map(MessageId::first_at);
    let after = [after, first].into_iter().flatten().max();
    let live = context
        .store
        .live_after(after, wanted.before(None), LOOKED_AT_MAX)
        .await?;
    let next = live
        .last()
        .map(|(id, _)| *id)
        .filter(|_| live.len() == LOOKED_AT_MAX as usize);
    let ids: Vec<MessageId> = live
        .into_iter()
        .filter(|(_, job)| wanted.jobs.is_empty() || wanted.jobs.contains(job))
        .map(|(id, _)| id)
        .collect();
    take_in_turn(context, &ids, next, wanted, (page, true)).await
}

async fn look_through(context: &Context, look: &Lately, wanted: &Wanted, page: usize) -> Result<Found, FindError> {
    let ids = context.store.lately(look).await?;
    // There may be more than were looked at.
    let next = ids.last().copied().filter(|_| ids.len() == look.limit as usize);
    take_in_turn(context, &ids, next, wanted, (page, look.oldest_first)).await
}

/// Reads these, a few at a time, until a page is full.
async fn take_in_turn(
    context: &Context,
    ids: &[MessageId],
    next: Option<MessageId>,
    wanted: &Wanted,
    (page, oldest_first): (usize, bool),
) -> Result<Found, FindError> {
    let mut found = Found {
        next,
        ..Found::default()
    };
    let mut look = Look::begin(wanted).await?;
    for chunk in ids.chunks(READ_AT_ONCE) {
        let mut messages = context.store.messages_by_id(chunk).await?;
        let erring = match &wanted.code {
            Some(code) => context.store.with_record_error(chunk, code).await?,
            None => BTreeSet::new(),
        };
        if !oldest_first {
            messages.reverse();
        }
        for message in messages {
            let may_be = wanted.takes(&message, &erring);
            if may_be && (found.messages.len() == page || !look.has_room_for(&message)) {
                found.next = look.last;
                return Ok(found);
            }
            found.looked_at += 1;
            look.last = Some(message.id);
            match look.judge(context, &message, may_be).await? {
                Holds::Yes => found.messages.push(message),
                Holds::No => {}
                Holds::Unclear(_) => found.unclear += 1,
            }
        }
    }
    Ok(found)
}

/// The right to look into payloads, once somebody else gives it back.
async fn turn(turns: &Semaphore, patience: Duration) -> Result<SemaphorePermit<'_>, FindError> {
    match timeout(patience, turns.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        // Nobody closes it.
        Ok(Err(_)) | Err(_) => Err(FindError::Busy),
    }
}

/// A look through messages, and into their payloads where a record is looked for.
struct Look<'w> {
    record: Option<&'w RecordKey>,
    /// What was looked at last.
    last: Option<MessageId>,
    payloads: usize,
    bytes: u64,
    until: Instant,
    _turn: Option<SemaphorePermit<'static>>,
}

impl<'w> Look<'w> {
    async fn begin(wanted: &'w Wanted) -> Result<Self, FindError> {
        let record = wanted.record.as_ref();
        let turn = match record {
            Some(_) => Some(turn(&LOOKING, TURN_PATIENCE).await?),
            None => None,
        };
        Ok(Self {
            record,
            last: None,
            payloads: 0,
            bytes: 0,
            until: Instant::now() + LOOKED_INTO_FOR,
            _turn: turn,
        })
    }

    /// Whether one more payload may be looked into. The first one always may, so that whoever goes on gets further.
    fn has_room_for(&self, message: &Message) -> bool {
        self.record.is_none()
            || self.payloads == 0
            || (self.payloads < LOOKED_INTO_MAX
                && self.bytes.saturating_add(message.bytes) <= LOOKED_INTO_BYTES_MAX
                && Instant::now() < self.until)
    }

    async fn judge(&mut self, context: &Context, message: &Message, may_be: bool) -> Result<Holds, StoreError> {
        let Some(record) = self.record.filter(|_| may_be) else {
            return Ok(if may_be { Holds::Yes } else { Holds::No });
        };
        self.payloads += 1;
        self.bytes = self.bytes.saturating_add(message.bytes);
        let left = self.until.saturating_duration_since(Instant::now());
        let looked = timeout(left, record.is_in(context, message)).await;
        looked.unwrap_or_else(|_| Ok(Holds::Unclear("it takes too long to read".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_a_turn_without_end() {
        let turns = Semaphore::const_new(1);
        let held = turn(&turns, TURN_PATIENCE)
            .await
            .expect("the first has its turn at once");
        let waited = turn(&turns, Duration::from_millis(20)).await;
        assert!(matches!(waited, Err(FindError::Busy)), "{waited:?}");
        // Whoever waits gets the turn that is given back meanwhile.
        let next = turn(&turns, TURN_PATIENCE);
        tokio::pin!(next);
        assert!(timeout(Duration::from_millis(20), &mut next).await.is_err(), "it waits");
        drop(held);
        drop(next.await.expect("its turn came"));
    }
}
