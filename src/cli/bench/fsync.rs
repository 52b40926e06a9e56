//! What a file system charges for making bytes durable: an append and an fsync, timed.
//!
//! `benches/race` includes this file by its path; it uses the standard library only.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::latency::Latency;

/// A page, as databases write them.
const PAGE: [u8; 4096] = [0x5a; 4096];
/// Pages after which the file starts over, so that it stays small.
const PAGES_MAX: u64 = 256;

/// A file of our own beside those that are measured.
struct Probe {
    file: File,
    path: PathBuf,
    pages: u64,
}

impl Probe {
    fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!("fsync-probe-{}", std::process::id()));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { file, path, pages: 0 })
    }

    /// One append made durable, timed from before the write.
    fn once(&mut self) -> io::Result<Duration> {
        if self.pages == PAGES_MAX {
            self.file.set_len(0)?;
            self.pages = 0;
        }
        let started = Instant::now();
        self.file.write_all(&PAGE)?;
        self.file.sync_data()?;
        self.pages += 1;
        Ok(started.elapsed())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Appends and fsyncs `times` times in a row.
///
/// # Errors
/// When the folder cannot be written.
pub fn calibrate(folder: &Path, times: u32) -> io::Result<Latency> {
    let mut probe = Probe::create(folder)?;
    let mut latency = Latency::default();
    for _ in 0..times {
        latency.record(probe.once()?);
    }
    Ok(latency)
}

/// Samples fsyncs beside a run, a few in a second, until it is told to stop.
#[derive(Debug)]
pub struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Latency>>,
}

impl Sampler {
    /// Starts sampling.
    ///
    /// # Errors
    /// When the folder cannot be written or there is no thread to be had.
    pub fn start(folder: &Path, every: Duration) -> io::Result<Self> {
        let mut probe = Probe::create(folder)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("fsync-sampler".to_owned())
            .spawn(move || {
                let mut latency = Latency::default();
                while !stopped.load(Ordering::Relaxed) {
                    latency.record(probe.once()?);
                    std::thread::sleep(every);
                }
                Ok(latency)
            })?;
        Ok(Self { stop, thread })
    }

    /// Ends sampling and returns what was seen.
    ///
    /// # Errors
    /// When the folder could not be written any more.
    pub fn finish(self) -> io::Result<Latency> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the fsync sampler panicked")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_measures_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let latency = calibrate(folder.path(), 300).expect("a writable folder");
        assert_eq!(latency.count(), 300);
        let sampler = Sampler::start(folder.path(), Duration::from_millis(1)).expect("a thread");
        std::thread::sleep(Duration::from_millis(30));
        assert!(sampler.finish().expect("samples").count() > 0);
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(calibrate(Path::new("/no/such/folder"), 1).is_err());
    }
}
