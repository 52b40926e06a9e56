//! The pages, a file each.

pub(super) mod execution;
pub(super) mod job;
pub(super) mod jobs;
pub(super) mod message;
pub(super) mod messages;
pub(super) mod overview;
mod records;
mod runs;
mod strip;
pub(super) mod trouble;
