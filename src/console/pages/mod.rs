//! The pages, a file each.

pub(super) mod audit;
pub(super) mod bulk;
mod changes;
pub(super) mod clients;
pub(super) mod dead_letters;
pub(super) mod entities;
pub(super) mod execution;
mod failures;
pub(super) mod job;
pub(super) mod jobs;
pub(super) mod message;
pub(super) mod messages;
pub(super) mod overview;
pub(super) mod payload;
mod processes;
mod progress;
mod records;
pub(super) mod repair;
mod runs;
mod strip;
mod traffic;
pub(super) mod trouble;
pub(super) mod webhooks;
