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
/// When one is looked at again whatever the clock shows.
const NEXT_TIME: Timestamp = Timestamp(i64::MIN + 1);

/// The schedules of one set of definitions.
#[derive(Default)]
pub(super) struct Upcoming {
    definitions: Option<Arc<Definitions>>,
    schedules: HashMap<JobId, (Arc<Scheduled>, Timestamp)>,
    /// The same times, in their order.
    looks: BTreeSet<(Timestamp, JobId)>,
    /// What time it was when it was last asked what is due.
    asked_at: Option<Timestamp>,
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
    pub fn due(&mut self, now: Timestamp) -> Vec<Look> {
        if self.asked_at.replace(now).is_some_and(|before| now < before) {
            self.clock_went_back();
        }
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

    /// What was put off by a clock that was ahead would be looked at too late.
    fn clock_went_back(&mut self) {
        let put_off = self.schedules.iter().filter(|(_, (_, at))| *at != AT_ONCE);
        let put_off: Vec<JobId> = put_off.map(|(job, _)| *job).collect();
        for job in put_off {
            self.put_off(job, NEXT_TIME);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::schedule::Recurrence;
    use crate::domain::schedule::elapsed::Elapsed;

    const NOON: Timestamp = Timestamp(1_767_614_400_000_000);

    /// One schedule, looked at for the first time at noon.
    fn one() -> (Upcoming, JobId) {
        let every = Recurrence::Every(Elapsed::parse("1m").expect("a length of time"));
        let schedule = Schedule::new(every, chrono_tz::Tz::UTC);
        let job = JobId::generate();
        let scheduled = Scheduled {
            job,
            name: String::new(),
            pattern: schedule.identity(),
            schedule,
        };
        let mut upcoming = Upcoming {
            schedules: HashMap::from([(job, (Arc::new(scheduled), AT_ONCE))]),
            looks: BTreeSet::from([(AT_ONCE, job)]),
            ..Upcoming::default()
        };
        assert!(upcoming.due(NOON)[0].is_first);
        (upcoming, job)
    }

    #[test]
    fn a_schedule_is_looked_at_when_its_time_has_come() {
        let (mut upcoming, job) = one();
        upcoming.put_off(job, NOON.plus_seconds(60));
        assert!(upcoming.due(NOON.plus_seconds(59)).is_empty());
        let looks = upcoming.due(NOON.plus_seconds(60));
        assert!(looks.len() == 1 && !looks[0].is_first);
        assert_eq!(upcoming.due(NOON.plus_seconds(61)).len(), 1, "until it is put off");
    }

    #[test]
    fn a_clock_that_went_back_has_everything_looked_at_again() {
        let (mut upcoming, job) = one();
        // Another process was first: look again with the next tick.
        upcoming.put_off(job, NOON);
        let looks = upcoming.due(NOON.plus_seconds(-3600));
        assert!(looks.len() == 1 && !looks[0].is_first);
        upcoming.put_off(job, NOON.plus_seconds(60));
        assert!(upcoming.due(NOON.plus_seconds(-3599)).is_empty(), "once");
    }
}
