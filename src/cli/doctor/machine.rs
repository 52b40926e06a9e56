//! The machine: how many files a process may open, and whether its clock runs evenly.

use std::time::Instant;

use rustix::process::{Resource, getrlimit};
use serde_json::json;

use super::chart::{Finding, Verdict};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::time::Timestamp;

/// Sockets of clients, logs and payloads that a service under load has open beside its databases.
const OTHER_FILES: u64 = 512;
/// Database, log and index of the log: what one connection to a SQLite file has open.
const FILES_PER_CONNECTION: u64 = 3;
/// By more than this the wall clock does not go wrong by itself in the seconds the examination takes.
const STEP_MICROS: i64 = 200_000;

/// How many files a process started here may have open.
pub(super) fn open_files(config: &Config) -> Finding {
    let connections = config.store.max_connections
        + config
            .databases
            .values()
            .map(|database| database.max_connections)
            .sum::<u32>();
    let wanted = u64::from(connections) * FILES_PER_CONNECTION + OTHER_FILES;
    judge_open_files(getrlimit(Resource::Nofile).current, wanted)
}

fn judge_open_files(limit: Option<u64>, wanted: u64) -> Finding {
    let Some(limit) = limit else {
        return Finding::ok("open_files", "no limit for processes started from here");
    };
    let verdict = match limit {
        limit if limit >= wanted => Verdict::Ok,
        limit if limit >= wanted / 2 => Verdict::Warn,
        _ => Verdict::Bad,
    };
    let found = format!("at most {limit} for a process started from here; a busy service wants {wanted}");
    let cure = "Raise it: `ulimit -n`, or LimitNOFILE= of the systemd unit.";
    Finding::ok("open_files", found)
        .measured(json!({"limit": limit, "wanted": wanted}))
        .judged(verdict, cure)
}

/// The wall clock against the one that only counts.
pub(super) struct WallClock {
    began: Instant,
    began_at: Timestamp,
}

impl WallClock {
    pub(super) fn begin(clock: &Clock) -> Self {
        Self {
            began: Instant::now(),
            began_at: clock.now(),
        }
    }

    /// Whether the wall clock was set while we looked.
    pub(super) fn end(&self, clock: &Clock) -> Finding {
        let passed = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        judge_step(clock.now().micros() - self.began_at.micros() - passed)
    }
}

fn judge_step(micros: i64) -> Finding {
    if micros.abs() < STEP_MICROS {
        return Finding::ok("wall_clock", "it ran evenly while this looked");
    }
    let milliseconds = micros / 1000;
    let found = format!("it was set by {milliseconds} ms while this looked");
    let cure = "Let one program keep the time and let it slew instead of step (chrony, systemd-timesyncd).";
    Finding::warn("wall_clock", found, cure).measured(json!({"stepped_milliseconds": milliseconds}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_what_a_busy_service_wants_is_told() {
        let verdict = |limit| judge_open_files(limit, 600).verdict();
        assert_eq!(verdict(None), Verdict::Ok);
        assert_eq!(verdict(Some(600)), Verdict::Ok);
        assert_eq!(verdict(Some(599)), Verdict::Warn);
        assert_eq!(verdict(Some(299)), Verdict::Bad);
    }

    #[test]
    fn a_clock_that_jumps_in_either_direction_is_told() {
        assert_eq!(judge_step(199_999).verdict(), Verdict::Ok);
        for micros in [200_000, -3_600_000_000] {
            let finding = judge_step(micros);
            assert_eq!(finding.verdict(), Verdict::Warn);
            assert!(
                finding.text().contains(&(micros / 1000).to_string()),
                "{}",
                finding.text()
            );
        }
    }
}
