//! The crash matrix: the service is killed at each named place of each journey (`tranship::failpoint`), started again, and every promise is
//! checked: on both databases, with payloads inline, in local files, and in an object store.
//!
//! Lives follow each other: the one that mends what the last left behind is killed itself, at the next place. Only the last one may live.

mod anywhere;
mod handed_out;
mod housekeeping;
mod imports;
mod outgoing;
pub mod place;
mod reached;
