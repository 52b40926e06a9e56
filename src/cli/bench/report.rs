//! What a bench prints: a table for people, the same figures as JSON for scripts.

use std::path::Path;

use serde::Serialize;

use super::tally::{Figures, Times};
use crate::cli::screen::{Screen, Tone, count};

/// How the binary was built that speaks here; a bench of its own loads the same one.
pub(super) const BUILD: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// All figures of a bench.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) build: &'static str,
    pub(super) runs: Vec<Figures>,
    /// What the disk charged; only where the bench shares a file system with the service.
    pub(super) disk: Option<Disk>,
}

/// What an fsync of one page took.
#[derive(Debug, Serialize)]
pub(super) struct Disk {
    /// In a row, before the load.
    pub(super) before: Times,
    /// Every 20 ms during the first kind of work.
    pub(super) during: Times,
}

impl Report {
    /// Prints it.
    pub(super) fn print(&self, screen: &Screen) {
        if screen.is_json() {
            screen.json(self);
            return;
        }
        let heading = ["", "messages/s", "p50", "p99", "longest", "fsyncs/message"];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        for run in &self.runs {
            rows.push(vec![
                run.work.to_owned(),
                rate(run.messages_per_second),
                String::new(),
                String::new(),
                String::new(),
                run.fsyncs_per_message
                    .map_or_else(String::new, |fsyncs| format!("{fsyncs:.3}")),
            ]);
            for (name, times) in &run.operations {
                rows.push(timed(&format!("  {name}"), times));
            }
        }
        if let Some(disk) = &self.disk {
            rows.push(timed("fsync, idle", &disk.before));
            rows.push(timed("fsync, under load", &disk.during));
        }
        screen.table(&rows);
        self.remark(screen);
    }

    /// What a reader should know beside the figures.
    fn remark(&self, screen: &Screen) {
        if let Some(run) = self.runs.first() {
            let text = format!(
                "{} clients, {} per call, {} bytes each, {:.0} s",
                run.clients,
                run.batch,
                count(run.payload_bytes.into()),
                run.seconds
            );
            screen.line(screen.paint(Tone::Faint, &text));
        }
        if self.build == "debug" {
            let text = "This is a debug build: neither load nor service is as fast as in a release build.";
            screen.line(screen.paint(Tone::Warning, text));
        }
        let throttled: u64 = self.runs.iter().map(|run| run.throttled).sum();
        if throttled > 0 {
            let text = format!("{} calls were refused with 429 and repeated", count(throttled));
            screen.line(screen.paint(Tone::Warning, &text));
        }
    }
}

fn timed(name: &str, times: &Times) -> Vec<String> {
    let cells = [times.p50_us, times.p99_us, times.max_us].map(milliseconds);
    let [p50, p99, longest] = cells;
    vec![name.to_owned(), String::new(), p50, p99, longest]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of messages is positive and far below 2^52"
)]
fn rate(per_second: f64) -> String {
    count(per_second.round() as u64)
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}

/// The fsyncs counted so far by the counter `scripts/bench` loads into a process: log files first, then all others, each
/// eight bytes. Nothing when the file is not there.
pub(super) fn fsyncs(file: &Path) -> Option<u64> {
    let bytes = std::fs::read(file).ok()?;
    let counter = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    Some(counter(0)? + counter(8)?)
}

/// Fsyncs for each of so many messages.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn per_message(fsyncs: u64, messages: u64) -> Option<f64> {
    (messages > 0).then(|| fsyncs as f64 / messages as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_milliseconds() {
        assert_eq!(milliseconds(0), "0.00 ms");
        assert_eq!(milliseconds(12_349), "12.34 ms");
    }

    #[test]
    fn fsyncs_are_those_of_logs_and_other_files_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("counts");
        let mut bytes = 40_u64.to_le_bytes().to_vec();
        assert_eq!(fsyncs(&file), None);
        std::fs::write(&file, &bytes).expect("a file");
        assert_eq!(fsyncs(&file), None, "half a file is none");
        bytes.extend(2_u64.to_le_bytes());
        std::fs::write(&file, &bytes).expect("a file");
        assert_eq!(fsyncs(&file), Some(42));
        assert_eq!(per_message(42, 84), Some(0.5));
        assert_eq!(per_message(42, 0), None);
    }
}
