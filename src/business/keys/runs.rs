//! Sorted runs of fingerprints in one temporary file, and their merging.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use super::Sighting;

/// Bytes of one sighting in the file.
const BYTES: usize = 16;
/// Sightings read of a run at once: 16 KiB.
const READ_AT_ONCE: usize = 1024;

/// Runs as they are written.
#[derive(Debug)]
pub(super) struct Runs {
    file: File,
    /// Where each begins and ends, in bytes.
    places: Vec<(u64, u64)>,
}

impl Runs {
    /// None yet, in a file that nobody else sees and that goes with the process.
    pub(super) fn create() -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile()?,
            places: Vec::new(),
        })
    }

    /// Appends a sorted run.
    pub(super) fn append(&mut self, sorted: &[Sighting]) -> io::Result<()> {
        let from = self.places.last().map_or(0, |&(_, end)| end);
        let mut to = from;
        for part in sorted.chunks(READ_AT_ONCE) {
            let mut bytes = Vec::with_capacity(part.len() * BYTES);
            for sighting in part {
                bytes.extend_from_slice(&sighting.fingerprint.to_le_bytes());
                bytes.extend_from_slice(&sighting.record.to_le_bytes());
            }
            self.file.write_all(&bytes)?;
            to += bytes.len() as u64;
        }
        self.places.push((from, to));
        Ok(())
    }

    /// All runs as one.
    pub(super) fn merged(self) -> io::Result<Merged> {
        let mut merged = Merged {
            file: self.file,
            runs: self
                .places
                .into_iter()
                .map(|(at, end)| Run {
                    at,
                    end,
                    read: Vec::new().into_iter(),
                })
                .collect(),
            heads: BinaryHeap::new(),
        };
        for number in 0..merged.runs.len() {
            merged.pull(number)?;
        }
        Ok(merged)
    }
}

struct Run {
    at: u64,
    end: u64,
    read: std::vec::IntoIter<Sighting>,
}

/// All runs in one order.
pub(super) struct Merged {
    file: File,
    runs: Vec<Run>,
    /// The least of each run that is not at its end.
    heads: BinaryHeap<Reverse<(Sighting, usize)>>,
}

impl Merged {
    pub(super) fn next(&mut self) -> io::Result<Option<Sighting>> {
        let Some(Reverse((least, number))) = self.heads.pop() else {
            return Ok(None);
        };
        self.pull(number)?;
        Ok(Some(least))
    }

    fn pull(&mut self, number: usize) -> io::Result<()> {
        let run = &mut self.runs[number];
        if run.read.len() == 0 && run.at < run.end {
            let left = usize::try_from(run.end - run.at).unwrap_or(usize::MAX);
            let mut bytes = vec![0; left.min(READ_AT_ONCE * BYTES)];
            self.file.seek(SeekFrom::Start(run.at))?;
            self.file.read_exact(&mut bytes)?;
            run.at += bytes.len() as u64;
            let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
            let sightings = bytes.chunks_exact(BYTES).map(|bytes| Sighting {
                fingerprint: number(&bytes[..8]),
                record: number(&bytes[8..]),
            });
            run.read = sightings.collect::<Vec<_>>().into_iter();
        }
        if let Some(sighting) = run.read.next() {
            self.heads.push(Reverse((sighting, number)));
        }
        Ok(())
    }
}
