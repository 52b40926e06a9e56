//! What befalls processes while clients use them: sudden death, sleep past every lease, broken connections, a clock that is set; and a
//! database server that crashes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::cluster::{Cluster, HOUR};
use crate::history::ClockSet;
use crate::recorder::Recorder;
use crate::support::chance::Chance;

/// Rest between two troubles.
const REST: Duration = Duration::from_secs(1);
/// Longest a killed process stays away.
const ABSENCE: Duration = Duration::from_secs(1);
/// Longest a process sleeps: past the leases, which are of one to three seconds.
const SLEEP: Duration = Duration::from_secs(5);
/// Longest a clock is behind.
const BEHIND: Duration = Duration::from_secs(3);

/// How much there was of it.
#[derive(Default)]
pub struct Trouble {
    pub kills: AtomicUsize,
    pub sleeps: AtomicUsize,
    pub cuts: AtomicUsize,
    pub crashes: AtomicUsize,
    /// Each time a clock was set, back or right again.
    pub clocks: Mutex<Vec<ClockSet>>,
    /// One crash at a time.
    crashing: tokio::sync::Mutex<()>,
}

/// What may befall a process.
#[derive(Clone, Copy)]
enum Kind {
    Death,
    Sleep,
    Cut,
    Clock,
    Crash,
}

impl Trouble {
    /// Whether every kind came that comes here.
    pub fn was_enough(&self, may_crash: bool) -> bool {
        let came = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) > 0;
        let clocks = self.clocks.lock().expect("nobody fails while holding it");
        came(&self.kills)
            && came(&self.sleeps)
            && came(&self.cuts)
            && !clocks.is_empty()
            && (!may_crash || came(&self.crashes))
    }

    /// Lets one kind of trouble come after the other, as often as each is dealt, until the run is over.
    pub async fn make(&self, cluster: &Cluster, recorder: &Recorder, mut chance: Chance, over: &AtomicBool) {
        let mut to_come = Vec::new();
        loop {
            tokio::time::sleep(REST / 4 + chance.up_to(REST)).await;
            if over.load(Ordering::Relaxed) {
                return;
            }
            if to_come.is_empty() {
                to_come = vec![Kind::Death, Kind::Death, Kind::Sleep, Kind::Cut, Kind::Cut, Kind::Clock];
                to_come.extend(cluster.may_crash().then_some(Kind::Crash));
            }
            let kind = to_come.swap_remove(chance.below(to_come.len()));
            self.befall(kind, cluster, recorder, &mut chance).await;
        }
    }

    async fn befall(&self, kind: Kind, cluster: &Cluster, recorder: &Recorder, chance: &mut Chance) {
        let process = chance.below(cluster.size());
        let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::Relaxed);
        match kind {
            Kind::Death => {
                cluster.kill(process, chance.up_to(ABSENCE)).await;
                count(&self.kills);
            }
            Kind::Sleep => {
                cluster.pause(process, chance.up_to(SLEEP)).await;
                count(&self.sleeps);
            }
            Kind::Cut => {
                // One time in three all of them.
                let all = chance.one_in(3);
                let database = chance.one_in(2);
                let cut = cluster.cut(process, database, || all || chance.one_in(2));
                self.cuts.fetch_add(usize::from(cut > 0), Ordering::Relaxed);
            }
            Kind::Clock => self.set_clock(cluster, recorder, process, chance).await,
            Kind::Crash => {
                let _alone = self.crashing.lock().await;
                cluster.crash().await;
                count(&self.crashes);
            }
        }
    }

    /// Sets a clock back by a second to an hour, and right again after a while: a step back, and one ahead.
    async fn set_clock(&self, cluster: &Cluster, recorder: &Recorder, process: usize, chance: &mut Chance) {
        let around = Duration::from_secs(1 << chance.below(12));
        let behind = (around + chance.up_to(around)).min(HOUR);
        let clock = cluster.clock(process).await;
        for (behind, rest) in [(behind, chance.up_to(BEHIND)), (Duration::ZERO, Duration::ZERO)] {
            let began = recorder.now();
            clock.set_behind(behind);
            let ended = recorder.now();
            self.clocks
                .lock()
                .expect("nobody fails while holding it")
                .push(ClockSet {
                    process,
                    began,
                    ended,
                    behind,
                });
            tokio::time::sleep(rest).await;
        }
    }
}
