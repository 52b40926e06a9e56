//! What a process remembers of its store, and whom it tells of changes.
//!
//! While a transaction is held open elsewhere, PostgreSQL keeps the index entries of every message that left, and a search
//! from the beginning would meet them all. So the process remembers from where on there can be anything: per lane of a job
//! (`lanes`), per group (`groups`), and by the clock (`due`). All of it is a hint and never the truth: what this process
//! changes lowers it after the commit, and what others change is found by looks at the whole that take a bounded share of the
//! time (`looks`).

mod due;
mod groups;
mod lanes;
mod looks;
mod origins;
mod paused;
mod traffic;

pub(super) use due::DueLook;
pub(super) use lanes::{Claims, Place};
pub(super) use origins::Origin;
pub(super) use traffic::Counted;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::counter;
use tokio::sync::{Notify, broadcast};

use super::StoreError;
use super::groups::Group;
use super::webhooks::CurrentRules;
use crate::domain::counts::Counts;
use crate::domain::ids::{JobId, MessageId};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::telemetry::job_name;

/// Moves kept for a listener that is slow.
const MOVES_KEPT: usize = 4096;

/// How long a disk that refused a write is taken to refuse others.
pub(super) const REFUSED_FOR: Duration = Duration::from_secs(5);

/// What one process remembers. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    remembered: Arc<Mutex<Remembered>>,
    origins: Arc<origins::Origins>,
    /// Whether a message that is kept in order was ever seen.
    grouped: Arc<AtomicBool>,
    offers: Arc<Mutex<HashMap<JobId, Arc<Notify>>>>,
    moves: broadcast::Sender<(JobId, MessageId)>,
    webhooks: Arc<CurrentRules>,
    traffic: Arc<traffic::Tally>,
}

#[derive(Debug, Default)]
struct Remembered {
    lanes: lanes::Lanes,
    groups: groups::GroupFloors,
    due: due::DueFloor,
    paused: paused::Paused,
    /// Whether the writer's connection is in the relaxed mode (SQLite).
    relaxed: bool,
    /// The latest write that the disk refused, and when, until one goes through that is not of the same moment.
    refused: Option<(StoreError, Instant)>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            remembered: Arc::default(),
            origins: Arc::default(),
            grouped: Arc::default(),
            offers: Arc::default(),
            moves: broadcast::channel(MOVES_KEPT).0,
            webhooks: Arc::default(),
            traffic: Arc::default(),
        }
    }
}

/// What a transaction changes for others.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) offered: Vec<(JobId, String, i64)>,
    pub(super) moved: Vec<(JobId, MessageId)>,
    /// The number of the oldest message that each settled group has left.
    pub(super) settled: Vec<(Group, i64)>,
    /// Whether a message went back whose deadline is over.
    pub(super) late: bool,
    /// Messages that came in, and when.
    pub(super) enqueued: Vec<(JobId, Timestamp)>,
    /// How messages ended.
    pub(super) ended: Vec<Ended>,
    /// Leases that lapsed: whose they were.
    pub(super) lapsed: Vec<&'static str>,
}

/// A message that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) job: JobId,
    pub(super) status: Status,
    pub(super) counts: Counts,
    pub(super) at: Timestamp,
}

/// How far the news had come.
#[derive(Debug)]
pub(super) struct NewsMark(usize, usize, usize, bool, [usize; 3]);

impl News {
    pub(super) fn mark(&self) -> NewsMark {
        let counted = [self.enqueued.len(), self.ended.len(), self.lapsed.len()];
        NewsMark(
            self.offered.len(),
            self.moved.len(),
            self.settled.len(),
            self.late,
            counted,
        )
    }

    /// What came since is not true.
    pub(super) fn return_to(&mut self, mark: &NewsMark) {
        self.offered.truncate(mark.0);
        self.moved.truncate(mark.1);
        self.settled.truncate(mark.2);
        self.late = mark.3;
        self.enqueued.truncate(mark.4[0]);
        self.ended.truncate(mark.4[1]);
        self.lapsed.truncate(mark.4[2]);
    }
}

/// Counts what was committed, for whoever watches: a series is looked up once for all of a commit.
fn count(news: &News) {
    let mut enqueued: BTreeMap<JobId, u64> = BTreeMap::new();
    for (job, _) in &news.enqueued {
        *enqueued.entry(*job).or_default() += 1;
    }
    for (job, messages) in enqueued {
        counter!("tranship_messages_enqueued_total", "job" => job_name(job)).increment(messages);
    }
    let mut ended: BTreeMap<(JobId, &str), (u64, Counts)> = BTreeMap::new();
    for end in &news.ended {
        let (messages, sum) = ended.entry((end.job, end.status.as_str())).or_default();
        (*messages, *sum) = (*messages + 1, sum.plus(end.counts));
    }
    for ((job, status), (messages, counts)) in ended {
        let job = job_name(job);
        let outcomes = [
            ("read", counts.read),
            ("applied", counts.applied()),
            ("rejected", counts.rejected),
            ("skipped", counts.skipped),
        ];
        for (outcome, records) in outcomes.into_iter().filter(|(_, records)| *records > 0) {
            counter!("tranship_records_total", "job" => job.clone(), "outcome" => outcome).increment(records);
        }
        counter!("tranship_messages_ended_total", "job" => job, "status" => status).increment(messages);
    }
    for holder in &news.lapsed {
        counter!("tranship_lease_expiries_total", "holder" => *holder).increment(1);
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Nothing in here is left half-changed by a panic.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction is committed: floors move, and who waits for its changes is woken.
    pub(super) fn announce(&self, news: &News) {
        count(news);
        self.traffic.count(news);
        if news.late || !news.settled.is_empty() {
            let mut memory = self.lock();
            if news.late {
                memory.due.sink();
            }
            for (group, oldest) in &news.settled {
                memory.groups.settled(group, *oldest);
            }
        }
        let mut told = BTreeSet::new();
        for (job, lane, rank) in &news.offered {
            self.lower(*job, lane, *rank);
            if told.insert(*job) {
                self.offers(*job).notify_waiters();
            }
        }
        if self.moves.receiver_count() > 0 {
            for moved in &news.moved {
                // Without a receiver there is nobody to tell.
                let _ = self.moves.send(*moved);
            }
        }
    }

    /// Woken when this process commits a message of this job that can be had.
    pub(super) fn offers(&self, job: JobId) -> Arc<Notify> {
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(offers.entry(job).or_default())
    }

    /// Told of every message that this process moves. Who falls behind is told so, and looks again.
    pub(super) fn moves(&self) -> broadcast::Receiver<(JobId, MessageId)> {
        self.moves.subscribe()
    }

    /// Which jobs tell somebody how their messages end.
    pub(super) fn webhooks(&self) -> &CurrentRules {
        &self.webhooks
    }

    /// What came in and ended since it was last taken.
    pub(super) fn take_traffic(&self) -> Counted {
        self.traffic.take()
    }

    /// What was taken and could not be written.
    pub(super) fn give_traffic_back(&self, counted: Counted) {
        self.traffic.give_back(counted);
    }

    /// An origin for a transaction's counts that no other transaction of this process has at the time.
    pub(super) fn origin(&self) -> Origin {
        Origin::take(&self.origins)
    }

    /// Whether the writer's connection is in the relaxed mode (SQLite).
    pub(super) fn is_relaxed(&self) -> bool {
        self.lock().relaxed
    }

    pub(super) fn set_relaxed(&self, relaxed: bool) {
        self.lock().relaxed = relaxed;
    }

    /// The latest write that the disk refused, and how long ago.
    pub(super) fn refused(&self) -> Option<(StoreError, Duration)> {
        let refused = self.lock().refused.clone();
        refused.map(|(error, at)| (error, at.elapsed()))
    }

    /// How a write ended, as far as that says something of the disk: it went through, or why not.
    pub(super) fn note_disk(&self, failed: Option<&StoreError>) {
        let mut remembered = self.lock();
        match failed {
            // A disk that is all but full takes this and refuses that.
            None => {
                remembered.refused.take_if(|(_, at)| at.elapsed() >= REFUSED_FOR);
            }
            Some(error) if error.disk_fault().is_some() => remembered.refused = Some((error.clone(), Instant::now())),
            Some(_) => {}
        }
    }

    /// Claims begin: from now on what comes below a floor is noted.
    pub(super) fn begin_claims(&self) -> Claims {
        let begun = self.lock().lanes.begin();
        Claims::new(self.clone(), begun)
    }

    /// Something came to this place of a lane: from here on it is searched.
    pub(super) fn lower(&self, job: JobId, lane: &str, rank: i64) {
        self.lock().lanes.lower(job, lane, rank);
    }

    /// Whether messages that are kept in order may be in the queue.
    pub(super) fn has_groups(&self) -> bool {
        self.grouped.load(Ordering::Relaxed)
    }

    /// One of them was seen.
    pub(super) fn saw_group(&self) {
        self.grouped.store(true, Ordering::Relaxed);
    }

    /// The number from which on messages of this group can be alive; the lowest there is when it is time to look at all of
    /// it, and who did says so by [`Memory::group_looked`].
    pub(super) fn group_floor(&self, group: &Group) -> i64 {
        self.lock().groups.floor(group)
    }

    /// A look at the whole group that began then is over.
    pub(super) fn group_looked(&self, group: &Group, begun: Instant) {
        self.lock().groups.looked(group, begun);
    }

    /// Whether it is time to look for what the clock makes due.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.lock().due.is_due(now)
    }

    /// A look for what the clock makes due begins.
    pub(super) fn begin_due(&self, now: Timestamp) -> DueLook {
        self.lock().due.begin(now)
    }

    /// That look found what there is.
    pub(super) fn due_found(&self, look: DueLook) {
        self.lock().due.found(look);
    }

    /// Everything that look found is brought up.
    pub(super) fn due_done(&self, look: DueLook) {
        self.lock().due.done(look);
    }

    /// The jobs that are paused, if that was read lately.
    pub(super) fn paused(&self) -> Option<Arc<HashSet<JobId>>> {
        self.lock().paused.known()
    }

    /// They were read just now.
    pub(super) fn remember_paused(&self, jobs: &Arc<HashSet<JobId>>) {
        self.lock().paused.remember(Arc::clone(jobs));
    }

    /// They are others now.
    pub(super) fn forget_paused(&self) {
        self.lock().paused.forget();
    }
}
