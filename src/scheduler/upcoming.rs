//! When each schedule is to be looked at next, so that a second in which nothing is due asks the store for nothing.
//!
//! Only a reminder: it may be too early (another process was first), never too late. The store's mark decides.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::definitions::Definitions;
use crate::domain::ids::JobId;
use crate::domain::job::Direction;
use crate::domain::schedule::Schedule;
use crate::domain::time::Timestamp;

/// When a schedule is looked at that has not been yet.
const AT_ONCE: Timestamp = Timestamp(i64::MIN);

/// The schedules of one set of definitions.
#[derive(Default)]
pub(super) struct Upcoming {
    definitions: Option<Arc<Definitions>>,
    schedules: HashMap<JobId, (Arc<Scheduled>, Timestamp)>,
    /// The same times, in their order.
    looks: BTreeSet<(Timestamp, JobId)>,
}

/// One schedule.
pub(super) struct Scheduled {
    pub job: JobId,
    pub name: String,
    pub schedule: Schedule,
    /// The schedule's identity.
    pub pattern: String,
}

/// A schedule that is to be looked at.
pub(super) struct Look {
    pub scheduled: Arc<Scheduled>,
    /// It has not been since its definition was read.
    pub is_first: bool,
}

impl Upcoming {
    /// Takes up these definitions, if they are others: every schedule of them is looked at.
    pub fn follow(&mut self, definitions: &Arc<Definitions>) {
        if self
            .definitions
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, definitions))
        {
            return;
        }
        self.definitions = Some(Arc::clone(definitions));
        // An import's messages were given their due time when they came.
        let exports = definitions.jobs.iter().filter(|job| job.direction == Direction::Export);
        let scheduled = exports.filter_map(|job| {
            let schedule = job.schedule.clone()?;
            let scheduled = Scheduled {
                job: job.id,
                name: job.name.clone(),
                pattern: schedule.identity(),
                schedule,
            };
            Some((job.id, (Arc::new(scheduled), AT_ONCE)))
        });
        self.schedules = scheduled.collect();
        self.looks = self.schedules.keys().map(|job| (AT_ONCE, *job)).collect();
    }

    /// The schedules that are to be looked at by now, those first that have waited longest. They stay so until they are put
    /// off: an evaluation that breaks off has forgotten nothing.
    pub fn due(&self, now: Timestamp) -> Vec<Look> {
        let due = self.looks.iter().take_while(|(at, _)| *at <= now);
        let look = |(at, job): &(Timestamp, JobId)| {
            let (scheduled, _) = self.schedules.get(job)?;
            Some(Look {
                scheduled: Arc::clone(scheduled),
                is_first: *at == AT_ONCE,
            })
        };
        due.filter_map(look).collect()
    }

    /// Has a schedule looked at then, and not before.
    pub fn put_off(&mut self, job: JobId, to: Timestamp) {
        if let Some((_, at)) = self.schedules.get_mut(&job) {
            self.looks.remove(&(*at, job));
            self.looks.insert((to, job));
            *at = to;
        }
    }
}
