//! The worker: wakes up, claims what it has room for, runs it under a heartbeat, hands back what it may not finish.
//!
//! Owns: how many things run at once, heartbeats (`heartbeat`), back-off, the drain at shutdown. Refuses: knowing what an import or
//! an export does. Polling is the truth; the wake-up only makes it quick.

mod hand_back;
mod heartbeat;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use self::hand_back::{Attempt, Return};
use self::heartbeat::{Heart, Held};
use crate::config;
use crate::definitions::Definitions;
use crate::domain::ids::JobId;
use crate::domain::job::Direction;
use crate::domain::message::Claimed;
use crate::domain::trace::TraceContext;
use crate::failpoint;
use crate::pipeline::Context;
use crate::pipeline::new_execution_id;
use crate::pipeline::stop::RunEnd;
use crate::pipeline::telling::Done;
use crate::pipeline::{export, import};
use crate::sandbox::gate::Work;
use crate::storage::StoreError;
use crate::storage::leases::{ClaimImport, Heartbeat, Lanes};
use crate::storage::occurrences::Occurrence;
use crate::telemetry::exemplars;

/// A worker's lease is this many heartbeats (promise 8).
const HEARTBEATS_PER_LEASE: i64 = 3;

/// Runs imports and exports. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    context: Context,
    definitions: tokio::sync::watch::Receiver<Arc<Definitions>>,
    settings: config::Worker,
    wake: Arc<Notify>,
    stopping: CancellationToken,
    room: Arc<Semaphore>,
    running: TaskTracker,
}

impl Worker {
    /// A worker that has not begun.
    #[must_use]
    pub fn new(
        context: Context,
        definitions: tokio::sync::watch::Receiver<Arc<Definitions>>,
        settings: config::Worker,
        wake: Arc<Notify>,
        stopping: CancellationToken,
    ) -> Self {
        let room = context.pulse.room();
        Self {
            context,
            definitions,
            settings,
            wake,
            stopping,
            room,
            running: TaskTracker::new(),
        }
    }

    /// Claims and runs until told to stop, then waits for what runs to hand its lease back.
    pub async fn run(self) {
        let longest_wait = Duration::from_millis(self.settings.poll_milliseconds);
        while !self.stopping.is_cancelled() {
            // Registered before looking, so that a wake-up between look and wait is not lost.
            let woken = self.wake.notified();
            let busy = match self.claim_and_spawn().await {
                Ok(claimed) => claimed > 0,
                Err(error) => {
                    tracing::warn!(%error, "claiming failed; trying again");
                    false
                }
            };
            if busy {
                continue;
            }
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(longest_wait) => {}
                () = self.stopping.cancelled() => {}
            }
        }
        self.running.close();
        self.running.wait().await;
    }

    /// Runs everything that can be claimed now, one thing at a time, until nothing is left. For tests and one-shot use.
    ///
    /// # Errors
    /// [`StoreError`] when claiming fails.
    pub async fn run_until_idle(&self) -> Result<(), StoreError> {
        loop {
            let claimed = self.claim_and_spawn().await?;
            self.running.close();
            self.running.wait().await;
            self.running.reopen();
            if claimed == 0 {
                return Ok(());
            }
        }
    }

    fn lease_seconds(&self) -> i64 {
        i64::from(self.settings.heartbeat_seconds) * HEARTBEATS_PER_LEASE
    }

    /// Claims as much as there is room for. Returns how many things were started.
    async fn claim_and_spawn(&self) -> Result<usize, StoreError> {
        metrics::counter!("tranship_worker_looks_total").increment(1);
        self.context.pulse.look(self.context.clock.now());
        let mut started = 0;
        let work = self.context.begin_work(&self.stopping).await;
        let definitions = Arc::clone(&self.definitions.borrow());
        let free = u32::try_from(self.room.available_permits()).unwrap_or(u32::MAX);
        if free == 0 {
            // Woken by the end of something, which returns its permit.
            return Ok(0);
        }
        // One export first: runs are rare and due at a time, and a backlog of imports must not make them late.
        let exported = self.start_export(&definitions, &work).await?;
        started += usize::from(exported);
        let free = u32::try_from(self.room.available_permits()).unwrap_or(u32::MAX);
        for claimed in self.claim_imports(&definitions, free).await? {
            failpoint::reached("import.claimed");
            let permit = self.permit().await;
            started += 1;
            let (worker, definitions, work) = (self.clone(), Arc::clone(&definitions), work.clone());
            let message = &claimed.message;
            let job = definitions.job(message.job).map(|job| job.name.clone());
            let trace_id = message.trace().trace_id();
            let span = tracing::info_span!("work", message = %message.id, job, trace_id);
            let run = async move { Box::pin(worker.run_import(&definitions, claimed, &work, permit)).await };
            self.running.spawn(run.instrument(span));
        }
        // Where there was none before, there is none now.
        while exported && self.start_export(&definitions, &work).await? {
            started += 1;
        }
        Ok(started)
    }

    /// Claims an export and starts it, if there is one and there is room.
    async fn start_export(&self, definitions: &Arc<Definitions>, work: &Work) -> Result<bool, StoreError> {
        if self.room.available_permits() == 0 {
            return Ok(false);
        }
        let Some(claimed) = self.claim_export(definitions).await? else {
            return Ok(false);
        };
        let permit = self.permit().await;
        let (worker, definitions, work) = (self.clone(), Arc::clone(definitions), work.clone());
        let job = definitions.job(claimed.job).map(|job| job.name.clone());
        let trace_id = TraceContext::of_run(claimed.job, claimed.due_at).trace_id();
        let span = tracing::info_span!("work", due_at = %claimed.due_at, job, trace_id);
        let run = async move { Box::pin(worker.run_export(&definitions, claimed, &work, permit)).await };
        self.running.spawn(run.instrument(span));
        Ok(true)
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.room)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    async fn claim_imports(&self, definitions: &Definitions, limit: u32) -> Result<Vec<Claimed>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let imports = definitions.jobs.iter().filter(|job| job.import.is_some());
        let jobs: Vec<JobId> = imports.map(|job| job.id).collect();
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        // The last free place is for small files: they must not wait for hours until large ones are through.
        let any = if self.settings.concurrency > 1 {
            limit - 1
        } else {
            limit
        };
        let began = self.context.clock.now();
        let mut claimed = self.claim_from(&jobs, Lanes::All, any).await?;
        let left = limit - u32::try_from(claimed.len()).unwrap_or(limit);
        match self.claim_from(&jobs, Lanes::Small, left).await {
            Ok(small) => claimed.extend(small),
            // What was claimed before is ours and must be worked on.
            Err(error) if claimed.is_empty() => return Err(error),
            Err(error) => tracing::warn!(%error, "claiming small files failed; trying again"),
        }
        for claimed in &claimed {
            let by = || vec![("owner", self.context.owner.to_string().into())];
            self.context.tell_step(&claimed.message, Done::well("claim", began), by);
        }
        Ok(claimed)
    }

    async fn claim_from(&self, jobs: &[JobId], lanes: Lanes, limit: u32) -> Result<Vec<Claimed>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let claim = ClaimImport {
            jobs,
            lanes,
            owner: &self.context.owner,
            lease_seconds: self.lease_seconds(),
            limit,
        };
        self.context.store.claim_imports(claim, self.context.clock.now()).await
    }

    async fn claim_export(&self, definitions: &Definitions) -> Result<Option<Occurrence>, StoreError> {
        let exports = definitions.jobs.iter().filter(|job| job.direction == Direction::Export);
        let names: BTreeMap<JobId, String> = exports.map(|job| (job.id, job.name.clone())).collect();
        let jobs: Vec<JobId> = names.keys().copied().collect();
        if jobs.is_empty() {
            return Ok(None);
        }
        let now = self.context.clock.now();
        let execution = move |job: JobId| new_execution_id(names.get(&job).map_or("", String::as_str), now);
        self.context
            .store
            .claim_occurrence(&jobs, &self.context.owner, self.lease_seconds(), execution, now)
            .await
    }

    async fn run_import(
        &self,
        definitions: &Definitions,
        claimed: Claimed,
        let_in: &Work,
        permit: OwnedSemaphorePermit,
    ) {
        let (id, began) = (claimed.message.id, self.context.clock.now());
        let work = async {
            let attempt = self.attempt(claimed.message.stalled);
            if attempt.is_one_too_many() {
                return import::give_up(&self.context, definitions, &claimed, &attempt.got_nowhere()).await;
            }
            import::import(&self.context, definitions, &claimed, &let_in.stopping).await
        };
        let heart = || self.heart(Held::Message(claimed.fence()));
        let end = match Box::pin(heart().beat_during(work)).await {
            Err(Heartbeat::CancelAsked(by)) => {
                // The work is dropped; what it had under way is fenced off, and what landed is counted.
                let stop = import::cancel(&self.context, definitions, &claimed, &by);
                Box::pin(heart().deaf_to_cancel().beat_during(stop)).await
            }
            end => end,
        };
        let end = end.unwrap_or(RunEnd::Lost);
        let job = definitions.job(claimed.message.job).map(|job| job.name.as_str());
        self.context.tell_attempt(&claimed.message, began, &end, job);
        match Return::after(end, claimed.message.stalled) {
            Return::No => {}
            Return::Lost => tracing::warn!(message.id = %id, "lost the lease; another worker has the message"),
            Return::Back(back) => {
                let (wait, note) = (back.wait_seconds, back.note);
                tracing::warn!(message.id = %id, attempt = claimed.message.attempt, wait_seconds = ?wait, "handed back: {note}");
                self.hand_back(&claimed, wait, !back.counted, note).await;
            }
        }
        self.end(permit);
    }

    async fn hand_back(&self, claimed: &Claimed, wait: Option<i64>, progressed: bool, note: &str) {
        let now = self.context.clock.now();
        let not_before = wait.map(|seconds| now.plus_seconds(seconds));
        let released = self
            .context
            .store
            .release_message(claimed.fence(), not_before, progressed, note, now)
            .await;
        if let Err(error) = released {
            // Its lease lapses within three heartbeats anyway.
            tracing::warn!(message.id = %claimed.message.id, %error, "could not hand the message back");
        }
    }

    async fn run_export(
        &self,
        definitions: &Definitions,
        claimed: Occurrence,
        let_in: &Work,
        permit: OwnedSemaphorePermit,
    ) {
        let began = self.context.clock.now();
        if claimed.origin == "schedule" && claimed.attempt == 1 {
            let (late, trace) = (
                began.seconds_from(claimed.due_at),
                TraceContext::of_run(claimed.job, claimed.due_at),
            );
            exemplars::record("tranship_schedule_lateness_seconds", &[], late, Some((trace, began)));
        }
        self.context
            .tell_run_phase(&claimed, Done::well("due", claimed.due_at), Vec::new);
        let work = async {
            let attempt = self.attempt(claimed.attempt);
            if attempt.is_one_too_many() {
                // Its last attempts ended with their processes: what is noted is of one before.
                let last = claimed.note.as_deref().unwrap_or("the process ended during each");
                return export::give_up(&self.context, &claimed, attempt.exhausted(last)).await;
            }
            match export::export(&self.context, definitions, &claimed, &let_in.stopping).await {
                RunEnd::Retry(reason) | RunEnd::Locked(reason) if attempt.is_last() => {
                    export::give_up(&self.context, &claimed, attempt.exhausted(&reason)).await
                }
                RunEnd::Locked(reason) => RunEnd::Retry(reason),
                end => end,
            }
        };
        let heart = self.heart(Held::Run(Box::new(claimed.clone())));
        let end = match Box::pin(heart.beat_during(work)).await {
            // The work is dropped, with whatever it had written: nothing of it was queued.
            Err(Heartbeat::CancelAsked(why)) => Ok(export::cancelled(&self.context, &claimed, why).await),
            end => end,
        };
        let end = end.unwrap_or(RunEnd::Lost);
        let job = definitions.job(claimed.job).map(|job| job.name.as_str());
        self.context.tell_run(&claimed, began, &end, job);
        self.hand_back_run(&claimed, end).await;
        self.end(permit);
    }

    async fn hand_back_run(&self, claimed: &Occurrence, end: RunEnd) {
        let back = match Return::after(end, claimed.attempt) {
            Return::No => return,
            Return::Lost => {
                tracing::warn!(job.id = %claimed.job, due_at = %claimed.due_at, "lost the lease; another worker has the run");
                return;
            }
            Return::Back(back) => back,
        };
        let not_before = back.wait_seconds.map(|s| self.context.clock.now().plus_seconds(s));
        let note = back.told(self.attempt(claimed.attempt), not_before);
        tracing::warn!(job.id = %claimed.job, due_at = %claimed.due_at, "export handed back: {note}");
        let store = &self.context.store;
        let released = store.release_occurrence(claimed, not_before, back.counted, &note).await;
        if let Err(error) = released {
            tracing::warn!(job.id = %claimed.job, %error, "could not hand the run back");
        }
    }

    fn heart(&self, held: Held) -> Heart {
        Heart::of(held, self.settings.heartbeat_seconds, &self.context)
    }

    fn attempt(&self, number: i32) -> Attempt {
        Attempt {
            number,
            most: self.context.limits.queue.max_deliveries,
        }
    }

    fn end(&self, permit: OwnedSemaphorePermit) {
        drop(permit);
        self.wake.notify_one();
    }
}
