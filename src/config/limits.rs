//! `limits.*`: how much one client, and all together, may ask of the service at once.

use super::number;
use super::reader::Reader;

/// `limits.*`
#[derive(Debug, Clone)]
pub struct Limits {
    /// `requests_per_second`: of one client that keeps at it; 0: as many as it likes.
    pub requests_per_second: u32,
    /// `requests_burst`: of one client that was quiet, at once.
    pub requests_burst: u32,
    /// `connections`: open at once, of everybody.
    pub connections: usize,
    /// `body_seconds`: how long the body of a request that is no upload may take.
    pub body_seconds: u32,
    /// `upload_seconds`: how long the next KiB of an upload may take.
    pub upload_seconds: u32,
}

impl Limits {
    pub(super) fn read(reader: &Reader<'_>) -> Self {
        Self {
            requests_per_second: number(reader, "limits.requests_per_second", 0, 1_000_000),
            requests_burst: number(reader, "limits.requests_burst", 1, 1_000_000),
            connections: number(reader, "limits.connections", 1, 1_000_000),
            body_seconds: number(reader, "limits.body_seconds", 1, 3600),
            upload_seconds: number(reader, "limits.upload_seconds", 1, 3600),
        }
    }
}
