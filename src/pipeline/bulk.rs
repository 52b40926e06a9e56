//! Bulk actions: many messages are tried again or cancelled, those named or all that match a filter.
//!
//! A call goes through a bounded number of messages, portion by portion, each portion a transaction of its own, and says where to
//! go on. Every step may be repeated: what was put back or cancelled does not match any more. Nothing of a call is kept but what
//! became of the messages, so a crash leaves a part done, and the next call does the rest.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::Context;
use super::find::{self, FindError, Found, Wanted, WantedStatus};
use super::redrive::{RetryError, again, at_rate};
use crate::definitions::Definitions;
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Message;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::storage::StoreError;
use crate::storage::cancel::Cancelled;
use crate::storage::redrive::REDRIVABLE;

/// Most messages that one call acts on, and that may be named in one.
pub const LIMIT_MAX: u32 = 1000;
/// Messages put back in one transaction.
const PORTION: usize = 100;
/// Messages cancelled at the same time, each in a transaction of its own.
const AT_ONCE: usize = 8;
/// A call does not begin another portion after this long.
const CALL_SECONDS_MAX: u64 = 10;
/// Pages of messages that one call looks through, and that a dry run does.
const PAGES_MAX: usize = 10;
/// Messages a dry run counts.
pub const COUNT_MAX: u64 = 10_000;
/// Of them read at once.
const READ_FOR_COUNT: usize = 2000;
/// Messages a dry run names.
const SAMPLE: usize = 10;

/// What is done to each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It goes back into its queue.
    Retry,
    /// It ends.
    Cancel,
}

impl Action {
    /// The word in paths, JSON and commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Retry, Self::Cancel]
            .into_iter()
            .find(|action| action.as_str() == text)
    }

    /// Whether it is for messages in this status. Unless it is asked for, what was cancelled stays so.
    fn is_for(self, message: &Message, wanted: &Wanted) -> bool {
        match self {
            Self::Cancel => !message.status.is_final(),
            Self::Retry if message.status == Status::Cancelled => wanted.status == WantedStatus::One(Status::Cancelled),
            Self::Retry => REDRIVABLE.contains(&message.status),
        }
    }

    /// Whether it is known beforehand that it cannot be.
    fn fails_for(self, message: &Message) -> bool {
        match self {
            Self::Cancel => message.status.is_final(),
            Self::Retry => !REDRIVABLE.contains(&message.status) || message.counts.read > 0,
        }
    }

    /// Whether any message in such a status can be one for it.
    #[must_use]
    pub fn can_be_for(self, status: WantedStatus) -> bool {
        match (self, status) {
            (_, WantedStatus::Any) | (Self::Retry, WantedStatus::Failed) => true,
            (Self::Cancel, WantedStatus::Failed) => false,
            (Self::Retry, WantedStatus::One(status)) => REDRIVABLE.contains(&status),
            (Self::Cancel, WantedStatus::One(status)) => !status.is_final(),
        }
    }
}

/// Which messages.
#[derive(Debug, Clone, PartialEq)]
pub enum Which {
    /// These, which the caller may use.
    Named(Vec<MessageId>),
    /// All that are like this and can be acted on, of these jobs.
    Like(Wanted),
}

/// How far a bulk action has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last message that was looked at.
    pub after: MessageId,
    /// How many were put back so far, and since when: what a rate is reckoned from.
    placed: u64,
    begun: Timestamp,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.after, self.placed, self.begun.micros())
    }
}

impl FromStr for Progress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split('.');
            let progress = Self {
                after: parts.next()?.parse().ok()?,
                placed: parts.next()?.parse().ok()?,
                begun: Timestamp(parts.next()?.parse().ok()?),
            };
            parts.next().is_none().then_some(progress)
        };
        parse().ok_or_else(|| "`after` is the `next` of the call before".to_owned())
    }
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// To each message.
    pub action: Action,
    /// To which.
    pub which: Which,
    /// To at most so many in this call.
    pub limit: usize,
    /// Put back ones are offered at this rate; none: all at once.
    pub per_second: Option<u32>,
    /// Where the call before left off.
    pub after: Option<Progress>,
    /// Who asked, for the history.
    pub by: String,
}

/// What a call would do.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// Messages it would act on.
    pub matched: u64,
    /// Whether there may be more: not all were looked at.
    pub at_least: bool,
    /// How many of each job.
    pub jobs: BTreeMap<JobId, u64>,
    /// How many of them will fail, by how they stand now.
    pub will_fail: u64,
    /// The first of them.
    pub sample: Vec<Message>,
}

/// What a call did.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Messages put back, or ended.
    pub done: u64,
    /// Messages whose worker was asked to end them.
    pub asked: u64,
    /// Messages nothing was done to, and why.
    pub failed: Vec<Failed>,
    /// Where the next call goes on; none: all are through.
    pub next: Option<Progress>,
}

/// A message that could not be acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Which.
    pub id: MessageId,
    /// Stable code.
    pub code: &'static str,
    /// What is so, and what to do.
    pub detail: String,
}

impl Bulk {
    /// Counts what it would act on, and changes nothing.
    ///
    /// # Errors
    /// [`FindError`].
    pub async fn preview(&self, context: &Context) -> Result<Preview, FindError> {
        let mut preview = Preview::default();
        let mut after = self.after.map(|progress| progress.after);
        for page in 0.. {
            let found = self.portion(context, after, READ_FOR_COUNT).await?;
            for message in found.messages {
                preview.matched += 1;
                *preview.jobs.entry(message.job).or_default() += 1;
                preview.will_fail += u64::from(self.action.fails_for(&message));
                if preview.sample.len() < SAMPLE {
                    preview.sample.push(message);
                }
            }
            after = found.next;
            preview.at_least = after.is_some();
            if after.is_none() || preview.matched >= COUNT_MAX || page + 1 >= PAGES_MAX {
                break;
            }
        }
        Ok(preview)
    }

    /// Acts on the next messages.
    ///
    /// # Errors
    /// [`FindError`]; what was done before stays so, and the same call goes on.
    pub async fn run(&self, context: &Context, definitions: &Definitions) -> Result<Report, FindError> {
        let begun = Instant::now();
        let now = context.clock.now();
        let mut report = Report::default();
        let mut progress = self.after;
        for _ in 0..PAGES_MAX {
            let acted = usize::try_from(report.done + report.asked).unwrap_or(usize::MAX) + report.failed.len();
            let room = self.limit.saturating_sub(acted).min(PORTION);
            if room == 0 || begun.elapsed() > Duration::from_secs(CALL_SECONDS_MAX) {
                break;
            }
            let found = self
                .portion(context, progress.map(|progress| progress.after), room)
                .await?;
            let start = progress.map_or((0, now), |progress| (progress.placed, progress.begun));
            let placed = match self.action {
                Action::Retry => {
                    self.put_back(context, definitions, &found.messages, start, &mut report)
                        .await?
                }
                Action::Cancel => {
                    self.cancel(context, &found.messages, &mut report).await?;
                    0
                }
            };
            progress = found.next.map(|after| Progress {
                after,
                placed: start.0 + placed,
                begun: start.1,
            });
            report.next = progress;
            if progress.is_none() {
                break;
            }
        }
        Ok(report)
    }

    /// The next messages to act on. Named ones are all there at once.
    async fn portion(&self, context: &Context, after: Option<MessageId>, room: usize) -> Result<Found, FindError> {
        let wanted = match &self.which {
            Which::Named(ids) => {
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.dedup();
                let left = ids.iter().copied().filter(|id| after.is_none_or(|after| *id > after));
                let left: Vec<MessageId> = left.collect();
                let taken = &left[..left.len().min(room)];
                return Ok(Found {
                    messages: context.store.messages_by_id(taken).await?,
                    looked_at: taken.len(),
                    unclear: 0,
                    next: taken.last().copied().filter(|_| left.len() > room),
                });
            }
            Which::Like(wanted) => wanted,
        };
        let mut found = match self.action {
            Action::Retry => find::oldest_troubled(context, wanted, after, room).await?,
            Action::Cancel => find::oldest_live(context, wanted, after, room).await?,
        };
        found.messages.retain(|message| self.action.is_for(message, wanted));
        Ok(found)
    }

    /// How many were put back.
    async fn put_back(
        &self,
        context: &Context,
        definitions: &Definitions,
        messages: &[Message],
        (placed, begun): (u64, Timestamp),
        report: &mut Report,
    ) -> Result<u64, StoreError> {
        let mut portion = Vec::with_capacity(messages.len());
        for message in messages {
            let place = placed + portion.len() as u64;
            let not_before = self.per_second.and_then(|rate| at_rate(begun, place, rate));
            match again(context, definitions, message, not_before).await {
                Ok(again) => portion.push(again),
                Err(RetryError::Store(error)) => return Err(error),
                Err(reason) => report.failed.push(Failed {
                    id: message.id,
                    code: reason.code(),
                    detail: reason.to_string(),
                }),
            }
        }
        let asked: Vec<MessageId> = portion.iter().map(|again| again.id).collect();
        let back = context.store.redrive(portion, &self.by, context.clock.now()).await?;
        report
            .failed
            .extend(asked.iter().filter(|id| !back.contains(id)).map(|id| Failed {
                id: *id,
                code: "moved",
                detail: "somebody else tried it again, or its payload was removed, at the same moment".to_owned(),
            }));
        report.done += back.len() as u64;
        Ok(back.len() as u64)
    }

    async fn cancel(&self, context: &Context, messages: &[Message], report: &mut Report) -> Result<(), StoreError> {
        let now = context.clock.now();
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        let cancelled = stream::iter(ids).map(|id| {
            let (store, by) = (context.store.clone(), self.by.clone());
            async move { (id, store.cancel(id, &by, now).await) }
        });
        let became: Vec<_> = cancelled.buffered(AT_ONCE).collect().await;
        for (id, became) in became {
            match became? {
                Cancelled::Now => report.done += 1,
                Cancelled::Asked => report.asked += 1,
                Cancelled::Ended(standing) => report.failed.push(Failed {
                    id,
                    code: "ended",
                    detail: format!("it has ended already: {}", standing.status),
                }),
                Cancelled::Unknown => report.failed.push(Failed {
                    id,
                    code: "not_found",
                    detail: "it is not kept any more".to_owned(),
                }),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reads_back_as_it_was_written() {
        let progress = Progress {
            after: MessageId::generate(),
            placed: 17,
            begun: Timestamp(1_767_600_000_000_000),
        };
        assert_eq!(progress.to_string().parse(), Ok(progress));
        for wrong in ["", "x.1.2", &format!("{}.1", progress.after), &format!("{progress}.3")] {
            assert!(wrong.parse::<Progress>().is_err(), "{wrong}");
        }
    }
}
