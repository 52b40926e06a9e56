//! Group commit: what many callers ask for at once is written in one transaction and made durable by one commit.
//!
//! A lane is one task with one transaction at a time. Asked while it is idle, it commits at once; what is asked while a commit
//! is under way waits and goes together with the next. Nobody is answered before the commit. On SQLite one lane writes
//! everything, as SQLite has one writer; on PostgreSQL enqueues, leases and acknowledgements have a lane each, and every
//! other write a transaction of its own.
//!
//! What is asked for is data, checked before it gets here, so a batch that fails is taken apart and each part is tried by
//! itself: a bad request cannot poison the others. Only a commit that fails is never repeated, for it may have happened.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::StoreError;
use super::claims::{self, Delivered, LeaseAsk};
use super::due::bring_up_what_is_due;
use super::enqueue::{self, Enqueued, NewMessage};
use super::home::{ANSWER_MAX, answered};
use super::memory::Memory;
use super::pool::{Backend, Pool, Sync as Durable, Tx, execute};
use super::steps::{self, Step, Stepped};
use crate::domain::message::Durability;
use crate::domain::time::Timestamp;

/// Most asks in one transaction.
const ASKS_PER_COMMIT: usize = 512;
/// Messages handed out by one transaction, give or take one ask: their payloads are in memory until they are answered.
const LEASED_PER_COMMIT: u64 = 2000;
/// How often a batch is tried that another transaction won against.
const ATTEMPTS: u32 = 3;
/// Longest wait of a caller, behind others too. Like one that goes away, who gives up changes nothing for anybody.
const CALLER_MAX: Duration = Duration::from_secs(35);
/// Asks a lane lets wait; who comes later waits for room. Admission at the door keeps it from coming to that.
pub(super) const ASKS_WAITING_MAX: usize = 4096;

/// Something asked for, and who waits for it.
pub(super) struct Waiting<A, R> {
    ask: A,
    answer: oneshot::Sender<Result<R, StoreError>>,
}

/// What a lane can be asked.
pub(super) enum Ask {
    Enqueue(Box<Waiting<(NewMessage, Timestamp), Enqueued>>),
    Lease(Waiting<LeaseAsk, Vec<Delivered>>),
    Step(Waiting<(Step, Timestamp), Stepped>),
    /// Any other write, on SQLite.
    Work(Box<dyn Work>),
}

/// A unit of work that shares a commit with others. It runs in a savepoint, so its failure is its own.
pub(super) trait Work: Send {
    /// Does it; `false` takes back what it wrote.
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, bool>;
    /// What its commit has to wait for.
    fn sync(&self) -> Durable;
    /// Tells who waits. `failed`: the commit did not come about.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
}

/// The sending end of a lane.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    asks: mpsc::Sender<Ask>,
    /// Longest wait for an answer, where a server may be silent.
    patience: Option<Duration>,
}

impl Lane {
    /// Asks, and waits for the commit. A caller that goes away meanwhile changes nothing for anybody.
    pub(super) async fn ask<A, R>(&self, ask: A, wrap: impl FnOnce(Waiting<A, R>) -> Ask) -> Result<R, StoreError> {
        let asking = async {
            let (answer, answered) = oneshot::channel();
            self.send(wrap(Waiting { ask, answer })).await?;
            answered.await.map_err(|_| StoreError::closed())?
        };
        match self.patience {
            None => asking.await,
            Some(patience) => answered(patience, asking).await,
        }
    }

    pub(super) async fn send(&self, ask: Ask) -> Result<(), StoreError> {
        self.asks.send(ask).await.map_err(|_| StoreError::closed())
    }
}

/// A lane's task: runs until `closing`, then does what was asked before.
pub(super) fn lane(pool: Pool, memory: Memory, closing: CancellationToken) -> (Lane, impl Future<Output = ()>) {
    let (sender, mut asks) = mpsc::channel(ASKS_WAITING_MAX);
    let patience = match &pool {
        Backend::Sqlite(_) => None,
        // Those behind a batch that is never answered wait for it, and then for their own.
        Backend::Postgres(_) => Some(CALLER_MAX),
    };
    let task = async move {
        let mut pace = Pace::default();
        loop {
            let first = tokio::select! {
                biased;
                ask = asks.recv() => ask,
                () = closing.cancelled() => {
                    asks.close();
                    asks.recv().await
                }
            };
            let Some(first) = first else { return };
            let mut batch = Batch::default();
            batch.add(first);
            batch.fill(&mut asks);
            if let Some(time) = pace.wait(batch.len()) {
                tokio::time::sleep(time).await;
                batch.fill(&mut asks);
            }
            let (count, begun) = (batch.len(), Instant::now());
            // A panic is one batch's, whose askers find their answers gone; its transaction rolls back.
            let done = AssertUnwindSafe(Box::pin(run(&pool, &memory, batch, ATTEMPTS))).catch_unwind();
            if done.await.is_err() {
                tracing::error!("what was asked of the store panicked; nothing of its batch happened");
            }
            pace.ended(count, begun);
        }
    };
    let lane = Lane { asks: sender, patience };
    (lane, task)
}

/// How long a lane gathers asks before it writes them.
///
/// Callers who were answered by one commit ask again right after it, one by one. A lane that began at once would commit the
/// first of them alone, and the others with the next. So after a commit that several shared it waits a little for those to
/// come, for less time than the commit took; a caller by itself waits for nothing.
#[derive(Default)]
struct Pace(Option<Last>);

/// The latest commit.
struct Last {
    asks: usize,
    took: Duration,
    ended: Instant,
}

/// Asks in one commit after which more are expected always.
const MANY: usize = 8;
/// Part of the time of the last commit that the next one is waited for, at most.
const GATHER_SHARE: u32 = 2;
/// And at most this long.
const GATHER_MAX: Duration = Duration::from_millis(1);

impl Pace {
    /// How long to wait for more than these asks; `None`: not at all.
    fn wait(&self, asks: usize) -> Option<Duration> {
        // Of a few it is known when they are all there; of many there are always more.
        let more = |last: &&Last| last.asks > 1 && (asks < last.asks || last.asks >= MANY);
        let last = self.0.as_ref().filter(more)?;
        let time = (last.took / GATHER_SHARE).min(GATHER_MAX);
        (last.ended.elapsed() < time).then_some(time)
    }

    fn ended(&mut self, asks: usize, begun: Instant) {
        self.0 = Some(Last {
            asks,
            took: begun.elapsed(),
            ended: Instant::now(),
        });
    }
}

/// What goes into one transaction.
#[derive(Default)]
struct Batch {
    enqueues: Vec<Waiting<(NewMessage, Timestamp), Enqueued>>,
    leases: Vec<Waiting<LeaseAsk, Vec<Delivered>>>,
    /// Messages asked for by these leases.
    wanted: u64,
    steps: Vec<Waiting<(Step, Timestamp), Stepped>>,
    works: Vec<Box<dyn Work>>,
}

/// The answers to a batch, in its order; given once it is committed.
struct Answers {
    enqueued: Vec<Result<Enqueued, StoreError>>,
    leased: Vec<Result<Vec<Delivered>, StoreError>>,
    stepped: Vec<Result<Stepped, StoreError>>,
}

/// How a batch failed.
enum Failed {
    /// Before anything of it can have happened: its parts may be tried one by one.
    Undone(StoreError),
    /// It was given up for another transaction.
    Deadlock(StoreError),
    /// Perhaps it happened, or no part of it can.
    ForAll(StoreError),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::ForAll(error.into())
    }
}

impl Batch {
    fn add(&mut self, ask: Ask) {
        match ask {
            Ask::Enqueue(waiting) => self.enqueues.push(*waiting),
            // Who has gone must not be given what nobody would acknowledge.
            Ask::Lease(waiting) if waiting.answer.is_closed() => {}
            Ask::Lease(waiting) => {
                self.wanted += u64::from(waiting.ask.max);
                self.leases.push(waiting);
            }
            Ask::Step(waiting) => self.steps.push(waiting),
            Ask::Work(work) => self.works.push(work),
        }
    }

    /// Takes what is waiting, as far as there is room.
    fn fill(&mut self, asks: &mut mpsc::Receiver<Ask>) {
        while self.len() < ASKS_PER_COMMIT
            && self.wanted < LEASED_PER_COMMIT
            && let Ok(ask) = asks.try_recv()
        {
            self.add(ask);
        }
    }

    fn len(&self) -> usize {
        self.enqueues.len() + self.leases.len() + self.steps.len() + self.works.len()
    }

    /// Whether nobody in it was promised that the commit is on stable storage.
    fn sync(&self) -> Durable {
        let relaxed =
            |waiting: &Waiting<(NewMessage, Timestamp), Enqueued>| waiting.ask.0.durability == Durability::Relaxed;
        let works_relaxed = self.works.iter().all(|work| work.sync() == Durable::Relaxed);
        let nothing_else = self.len() == self.enqueues.len() + self.works.len();
        if nothing_else && works_relaxed && self.enqueues.iter().all(relaxed) {
            Durable::Relaxed
        } else {
            Durable::Full
        }
    }

    /// When, if anything in it depends on what the clock brought about.
    fn asks_what_is_due(&self) -> Option<Timestamp> {
        let leases = self.leases.iter().map(|waiting| waiting.ask.now);
        let steps = self.steps.iter().map(|waiting| waiting.ask.1);
        leases.chain(steps).max()
    }

    /// Each ask in a batch of its own.
    fn singles(self) -> Vec<Self> {
        let asks = self.enqueues.into_iter().map(|waiting| Ask::Enqueue(Box::new(waiting)));
        let asks = asks.chain(self.leases.into_iter().map(Ask::Lease));
        let asks = asks.chain(self.steps.into_iter().map(Ask::Step));
        let asks = asks.chain(self.works.into_iter().map(Ask::Work));
        asks.map(|ask| {
            let mut single = Self::default();
            single.add(ask);
            single
        })
        .collect()
    }

    fn fail(self, error: &StoreError) {
        give(self.enqueues, None, error);
        give(self.leases, None, error);
        give(self.steps, None, error);
        for work in self.works {
            work.answer(Some(error.clone()));
        }
    }

    /// Answers everyone; returns what was handed out to callers who had gone by then.
    fn succeed(self, answers: Answers) -> Vec<(Step, Timestamp)> {
        let missing = StoreError::closed();
        give(self.enqueues, Some(answers.enqueued), &missing);
        give(self.steps, Some(answers.stepped), &missing);
        for work in self.works {
            work.answer(None);
        }
        let mut left = Vec::new();
        for (waiting, answer) in self.leases.into_iter().zip(answers.leased) {
            let now = waiting.ask.now;
            if let Err(Ok(delivered)) = waiting.answer.send(answer) {
                let fences = delivered.iter().map(|delivered| delivered.claimed.fence());
                left.extend(fences.map(|fence| (Step::Release(fence, None), now)));
            }
        }
        left
    }

    /// Steps nobody waits for.
    fn of_steps(steps: Vec<(Step, Timestamp)>) -> Self {
        let unanswered = |ask| Waiting {
            ask,
            answer: oneshot::channel().0,
        };
        Self {
            steps: steps.into_iter().map(unanswered).collect(),
            ..Self::default()
        }
    }
}

/// Answers everyone who waits; a caller that is gone is passed over.
fn give<A, R>(waiting: Vec<Waiting<A, R>>, answers: Option<Vec<Result<R, StoreError>>>, otherwise: &StoreError) {
    let mut answers = answers.unwrap_or_default().into_iter();
    for waiting in waiting {
        let answer = answers.next().unwrap_or_else(|| Err(otherwise.clone()));
        let _ = waiting.answer.send(answer);
    }
}

async fn run(pool: &Pool, memory: &Memory, mut batch: Batch, attempts: u32) {
    match in_time(pool, together(pool, memory, &mut batch)).await {
        Ok(answers) => {
            memory.note_disk(None);
            let left = batch.succeed(answers);
            if !left.is_empty() {
                tracing::debug!(messages = left.len(), "their caller has gone; giving them back");
                Box::pin(run(pool, memory, Batch::of_steps(left), ATTEMPTS)).await;
            }
        }
        // Another transaction won: nothing of this one happened, and its parts are not at fault.
        Err(Failed::Deadlock(_)) if attempts > 1 => Box::pin(run(pool, memory, batch, attempts - 1)).await,
        Err(Failed::Undone(error)) if batch.len() > 1 => {
            tracing::debug!(%error, asks = batch.len(), "a batch failed; trying its parts one by one");
            for single in batch.singles() {
                Box::pin(run(pool, memory, single, ATTEMPTS)).await;
            }
        }
        Err(Failed::Undone(error) | Failed::Deadlock(error) | Failed::ForAll(error)) => {
            memory.note_disk(Some(&error));
            batch.fail(&error);
        }
    }
}

/// A lane waits for nothing without end: behind a batch that a server never answers stand all the others. Whether it was committed is not
/// known then, as with any connection that breaks during a commit.
async fn in_time(pool: &Pool, batch: impl Future<Output = Result<Answers, Failed>>) -> Result<Answers, Failed> {
    match pool {
        Backend::Sqlite(_) => batch.await,
        Backend::Postgres(_) => answered(ANSWER_MAX, batch).await,
    }
}

async fn together(pool: &Pool, memory: &Memory, batch: &mut Batch) -> Result<Answers, Failed> {
    if let Some(now) = batch.asks_what_is_due() {
        bring_up_what_is_due(pool, memory, now).await;
    }
    let began = Instant::now();
    // Nobody can write when this fails.
    let mut tx = pool.begin(memory, batch.sync()).await.map_err(Failed::ForAll)?;
    let mut claims = memory.begin_claims();
    // Not the batch itself: units of work need not be shareable.
    let enqueues: Vec<_> = batch.enqueues.iter().map(|waiting| &waiting.ask).collect();
    let steps: Vec<_> = batch.steps.iter().map(|waiting| &waiting.ask).collect();
    let leases: Vec<_> = batch.leases.iter().map(|waiting| &waiting.ask).collect();
    let grouped = async {
        Ok(Answers {
            enqueued: enqueue::insert_all(&mut tx, &enqueues).await?,
            stepped: steps::carry_out(&mut tx, &steps).await?,
            // Last: what was just enqueued or handed back can be had at once.
            leased: claims::lease_all(&mut tx, &mut claims, &leases).await?,
        })
    };
    let answers = grouped.await.map_err(|error: StoreError| {
        if error.is_deadlock() {
            Failed::Deadlock(error)
        } else if error.is_refusal() {
            Failed::Undone(error)
        } else {
            // A timeout or a lost connection would meet every part again, one after the other.
            Failed::ForAll(error)
        }
    })?;
    for work in &mut batch.works {
        // From here on the batch cannot be repeated: a unit of work runs once.
        savepoint(&mut tx, work.as_mut()).await.map_err(Failed::ForAll)?;
    }
    tx.commit(()).await.map_err(Failed::ForAll)?;
    metrics::histogram!("tranship_store_commit_seconds").record(began.elapsed().as_secs_f64());
    metrics::counter!("tranship_store_commits_total").increment(1);
    metrics::counter!("tranship_store_asks_total").increment(batch.len() as u64);
    claims.committed();
    Ok(answers)
}

/// Runs one unit of work so that it can be taken back without the rest.
async fn savepoint(tx: &mut Tx, work: &mut dyn Work) -> Result<(), StoreError> {
    execute!(tx.db(), "savepoint work")?;
    let mark = tx.mark();
    if !work.run(tx).await {
        tx.return_to(mark);
        execute!(tx.db(), "rollback to savepoint work")?;
    }
    execute!(tx.db(), "release savepoint work")?;
    Ok(())
}

/// A unit of work given as a closure.
pub(super) struct WorkOf<T, W> {
    work: Option<W>,
    sync: Durable,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> WorkOf<T, W>
where
    T: Send + 'static,
    W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
{
    pub(super) fn boxed(sync: Durable, work: W) -> (Box<dyn Work>, oneshot::Receiver<Result<T, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let work = Self {
            work: Some(work),
            sync,
            result: None,
            answer,
        };
        (Box::new(work), answered)
    }
}

impl<T, W> Work for WorkOf<T, W>
where
    T: Send + 'static,
    W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return false };
            let result = work(tx).await;
            let done = result.is_ok();
            self.result = Some(result);
            done
        })
    }

    fn sync(&self) -> Durable {
        self.sync
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        let result = match (failed, self.result) {
            (None, Some(result)) | (Some(_), Some(result @ Err(_))) => result,
            (Some(error), _) => Err(error),
            (None, None) => Err(StoreError::closed()),
        };
        let _ = self.answer.send(result);
    }
}

/// Who waits for leases. One that goes when they are there already, but not taken, gives them back.
struct LeaseWaiter<'l> {
    answered: oneshot::Receiver<Result<Vec<Delivered>, StoreError>>,
    steps: &'l Lane,
    now: Timestamp,
}

impl Drop for LeaseWaiter<'_> {
    fn drop(&mut self) {
        // From here on the lane finds nobody, and gives back itself.
        self.answered.close();
        let Ok(Ok(left)) = self.answered.try_recv() else {
            return;
        };
        for delivered in left {
            let step = Waiting {
                ask: (Step::Release(delivered.claimed.fence(), None), self.now),
                answer: oneshot::channel().0,
            };
            if self.steps.asks.try_send(Ask::Step(step)).is_err() {
                tracing::debug!("a lease whose caller has gone could not be given back; it lapses by itself");
            }
        }
    }
}

impl Lanes {
    /// Asks for leases, and waits for the commit.
    pub(super) async fn lease(&self, ask: LeaseAsk) -> Result<Vec<Delivered>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let mut waiter = LeaseWaiter {
            answered,
            steps: &self.step,
            now: ask.now,
        };
        self.lease.send(Ask::Lease(Waiting { ask, answer })).await?;
        (&mut waiter.answered).await.map_err(|_| StoreError::closed())?
    }
}

/// The lanes of a store.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) enqueue: Lane,
    pub(super) lease: Lane,
    pub(super) step: Lane,
    /// Where every other write goes; none: it has a transaction of its own.
    pub(super) work: Option<Lane>,
}

impl Lanes {
    /// Starts them.
    pub(super) fn start(
        pool: &Pool,
        memory: &Memory,
        closing: &CancellationToken,
        mut spawn: impl FnMut(BoxFuture<'static, ()>),
    ) -> Self {
        let mut one = || {
            let (lane, task) = lane(pool.clone(), memory.clone(), closing.clone());
            spawn(Box::pin(task));
            lane
        };
        match pool {
            Backend::Sqlite(_) => {
                let lane = one();
                Self {
                    enqueue: lane.clone(),
                    lease: lane.clone(),
                    step: lane.clone(),
                    work: Some(lane),
                }
            }
            Backend::Postgres(_) => Self {
                enqueue: one(),
                lease: one(),
                step: one(),
                work: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(asks: usize, took: Duration) -> Pace {
        Pace(Some(Last {
            asks,
            took,
            ended: Instant::now(),
        }))
    }

    #[test]
    fn who_is_alone_waits_for_nobody() {
        assert_eq!(Pace::default().wait(1), None);
        assert_eq!(after(1, Duration::from_secs(1)).wait(1), None);
    }

    #[test]
    fn after_a_shared_commit_the_others_are_waited_for_a_little() {
        let few = after(4, Duration::from_secs(1));
        assert_eq!(few.wait(3), Some(GATHER_MAX));
        assert_eq!(few.wait(4), None, "they are all there");
        assert_eq!(after(20, Duration::from_secs(1)).wait(20), Some(GATHER_MAX));
        let long_ago = Instant::now()
            .checked_sub(Duration::from_secs(1))
            .expect("the machine runs longer");
        let idle = Pace(Some(Last {
            asks: 20,
            took: Duration::from_secs(1),
            ended: long_ago,
        }));
        assert_eq!(idle.wait(3), None);
    }
}
