//! `tranship doctor`: what is wrong, or will be, with the disks, databases, clocks and settings under the service, and what to
//! do about it.
//!
//! Works beside a running service and without one. Changes nothing: the one thing it writes is a file of its own to time the
//! disk with, which it removes. What cannot be reached becomes a finding; the rest is looked at all the same.

mod blobs;
mod chart;
mod definitions;
mod disk;
mod machine;
mod mounts;
mod store;
mod words;

use std::time::Duration;

use tokio::time::timeout;

use super::screen::Screen;
use super::settings::Settings;
use super::{Exit, Failure};
use crate::clock::Clock;
use crate::config::Config;
use chart::{Chart, Finding};
use machine::WallClock;

/// How long one part of the examination may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Reading a whole store may take long; more than this is no reading.
const DEEP_PATIENCE: Duration = Duration::from_hours(24);

/// Examine disks, databases and clocks, and say what to do
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works beside a running service, changes nothing, and goes on where something is out of reach.
Ends with 0 when nothing is bad (there may be warnings), 2 when settings, definitions or tables are, 1 when anything else is.")]
pub struct Doctor {
    /// Read the whole SQLite store and look for damage; takes as long as reading it takes
    #[arg(long)]
    deep: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Doctor {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let mut chart = Chart::default();
        match self.settings.read() {
            Ok(config) => {
                chart.add(Finding::ok("settings", "they are read and hold no mistake"));
                self.examine(&config, &mut chart).await;
            }
            Err(mistakes) => {
                for mistake in &mistakes {
                    chart.add(definitions::mistaken("settings", mistake));
                }
            }
        }
        Ok(chart.conclude(screen))
    }

    async fn examine(&self, config: &Config, chart: &mut Chart) {
        let clock = Clock::system();
        let wall = WallClock::begin(&clock);
        let deep_or_not = if self.deep { DEEP_PATIENCE } else { PATIENCE };
        let in_time = timeout(PATIENCE, definitions::examine(config, chart)).await.is_ok();
        add_unless(in_time, "databases", PATIENCE, chart);
        let in_time = timeout(deep_or_not, store::examine(config, &clock, self.deep, chart)).await;
        add_unless(in_time.is_ok(), "store", deep_or_not, chart);
        // Bounded in itself.
        blobs::examine(config, chart).await;
        let in_time = timeout(PATIENCE, disk::examine(config, chart)).await.is_ok();
        add_unless(in_time, "disk_sync", PATIENCE, chart);
        chart.add(machine::open_files(config));
        chart.add(wall.end(&clock));
    }
}

/// What stopped answering half-way is a finding like any other.
fn add_unless(in_time: bool, check: &'static str, patience: Duration, chart: &mut Chart) {
    if !in_time {
        let found = format!("no answer within {} s", patience.as_secs());
        chart.add(Finding::bad(
            check,
            found,
            "Look at the machine it is on: its load, its disks, the network between.",
        ));
    }
}
