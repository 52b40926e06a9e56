//! How far SQLite's write-ahead log grows while a snapshot is open.
//!
//! A reader keeps SQLite from starting its log anew, so what writers write meanwhile stays in it, however long the reader takes. Whoever
//! reads slowly must therefore let go at some size.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Between two looks at the log's size. A writer adds some ten MiB meanwhile at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Set once the snapshot is given up: bytes that the log had grown by.
pub(super) type GivenUp = Arc<OnceLock<u64>>;

/// Watches the log of one database for one snapshot.
#[derive(Debug)]
pub(super) struct Growth {
    log: PathBuf,
    max_bytes: u64,
    /// The smallest size seen. The log may be cut back under a snapshot that needs nothing of it, and then grows from there; parts of
    /// it that are written over add nothing to its size, and take no room of the disk.
    smallest: u64,
    given_up: GivenUp,
}

impl Growth {
    pub(super) async fn begin(log: PathBuf, max_bytes: u64, given_up: GivenUp) -> Self {
        let smallest = size(&log).await;
        Self {
            log,
            max_bytes,
            smallest,
            given_up,
        }
    }

    /// Returns when the log has grown too far, and never before.
    pub(super) async fn passes(mut self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = size(&self.log).await;
            self.smallest = self.smallest.min(now);
            let grown = now - self.smallest;
            if grown > self.max_bytes {
                // It is the only one that sets it, and ends with it.
                let _ = self.given_up.set(grown);
                return;
            }
        }
    }
}

/// Of a file that is only looked at: to open and close it would let go of SQLite's locks in this process.
async fn size(log: &std::path::Path) -> u64 {
    tokio::fs::metadata(log).await.map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resized(file: &std::fs::File, bytes: u64) {
        file.set_len(bytes).expect("resized");
        tokio::time::sleep(LOOK_EVERY * 4).await;
    }

    #[tokio::test]
    async fn growth_counts_from_the_smallest_size_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("business.db-wal");
        let file = std::fs::File::create(&log).expect("a log");
        file.set_len(5_000).expect("large already");
        let given_up = GivenUp::default();
        let watching = tokio::spawn(Growth::begin(log, 1_000, Arc::clone(&given_up)).await.passes());
        resized(&file, 6_000).await;
        assert_eq!(given_up.get(), None, "as much as it may");
        resized(&file, 2_000).await;
        resized(&file, 3_000).await;
        assert_eq!(given_up.get(), None, "as much as it may, since it was cut back");
        resized(&file, 3_001).await;
        assert_eq!(given_up.get(), Some(&1_001));
        watching.await.expect("it has ended");
    }
}
