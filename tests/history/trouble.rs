//! What befalls processes while clients use them: sudden death, and sleep past every lease; and their database server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::support::chance::Chance;

/// Rest between two troubles.
const REST: Duration = Duration::from_millis(1500);
/// Longest a killed process stays away.
const ABSENCE: Duration = Duration::from_secs(1);
/// Longest a process sleeps: past the leases, which are of one to three seconds.
const SLEEP: Duration = Duration::from_secs(5);

/// How much there was of it.
#[derive(Default)]
pub struct Trouble {
    pub kills: AtomicUsize,
    pub sleeps: AtomicUsize,
    pub crashes: AtomicUsize,
    /// One crash at a time.
    crashing: tokio::sync::Mutex<()>,
}

impl Trouble {
    /// Lets random processes die or sleep, one after the other, until the time is up.
    pub async fn make(&self, cluster: &Cluster, mut chance: Chance, until: Instant) {
        loop {
            tokio::time::sleep(REST / 4 + chance.up_to(REST)).await;
            if Instant::now() >= until {
                return;
            }
            if cluster.may_crash() && chance.below(8) == 0 {
                let _alone = self.crashing.lock().await;
                cluster.crash().await;
                self.crashes.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let process = chance.below(cluster.size());
            // The only process there is sleeps less often: nothing happens meanwhile.
            if chance.below(cluster.size() + 3) < 3 {
                cluster.kill(process, chance.up_to(ABSENCE)).await;
                self.kills.fetch_add(1, Ordering::Relaxed);
            } else {
                cluster.pause(process, chance.up_to(SLEEP)).await;
                self.sleeps.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
