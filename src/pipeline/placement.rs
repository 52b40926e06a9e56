//! Where a message will stand in its queue: its lane, its group, its priority, its times.
//!
//! Fixed when it is enqueued, from what its job says and its sender asks for. Refuses to know how queues keep any of it.

use super::enqueue::{EnqueueError, Envelope, When, refuse};
use crate::config;
use crate::domain::job::{Direction, Job, Order};
use crate::domain::message::Placement;
use crate::domain::time::Timestamp;
use crate::storage::leases::LARGE_LANE;

/// Longest key of a group, in characters.
const KEY_CHARS_MAX: usize = 200;
/// Where messages without a value for the key go: they are kept in order among themselves.
const NO_KEY: &str = "";

/// Where a message of this job and size stands.
///
/// # Errors
/// [`EnqueueError::Refused`] when its times contradict each other or its group has no usable key.
pub fn place(
    job: &Job,
    envelope: &Envelope,
    bytes: u64,
    limits: &config::Queue,
    now: Timestamp,
) -> Result<Placement, EnqueueError> {
    let queue = &job.queue;
    let not_before = envelope
        .not_before
        .unwrap_or(When::After(queue.delay_seconds))
        .from(now);
    let not_before = Some(scheduled(job, not_before)).filter(|at| *at > now);
    let expires_at = envelope.expires_at.or(queue.expires_after_seconds.map(When::After));
    let expires_at = expires_at.map(|when| when.from(now));
    if let Some(expires_at) = expires_at
        && (expires_at <= now || not_before.is_some_and(|not_before| expires_at <= not_before))
    {
        return refuse(
            "expires_too_early",
            format!("the message would expire at {expires_at}, before anybody could take it"),
        );
    }
    let is_import = job.direction == Direction::Import;
    // A worker's attempts are counted by what they achieve, not by how many there were.
    let max_deliveries = (!is_import).then(|| queue.max_deliveries.unwrap_or(limits.max_deliveries));
    Ok(Placement {
        lane: lane(job, envelope, is_import, bytes > limits.large_bytes),
        group: group(job, envelope)?,
        priority: envelope.priority.unwrap_or(queue.priority),
        not_before,
        expires_at,
        max_deliveries: max_deliveries.and_then(|most| i32::try_from(most).ok()),
        block_on_dead_letter: queue.block_on_dead_letter,
    })
}

/// Messages of an import job with a schedule wait for its next due time, or for the first one after their own.
fn scheduled(job: &Job, not_before: Timestamp) -> Timestamp {
    let schedule = job.schedule.as_ref().filter(|_| job.direction == Direction::Import);
    let due = schedule.and_then(|schedule| {
        // One that is due at this very moment is in time.
        let before = Timestamp(not_before.micros() - 1);
        let due = schedule.next(before, 1).into_iter().next()?;
        Some(schedule.begins_at(job.id, due))
    });
    due.unwrap_or(not_before)
}

/// Imports take turns by company, and small files by the side of large ones; other queues where their job says so.
fn lane(job: &Job, envelope: &Envelope, is_import: bool, is_large: bool) -> String {
    let company = envelope
        .company
        .as_deref()
        .filter(|_| is_import || job.queue.fair_by_company);
    let size = if is_import && is_large { LARGE_LANE } else { "" };
    format!("{size}{}", company.unwrap_or_default())
}

fn group(job: &Job, envelope: &Envelope) -> Result<Option<String>, EnqueueError> {
    let key = match &job.queue.order {
        Order::None => return Ok(None),
        Order::Job => Some(NO_KEY.to_owned()),
        Order::Company => envelope.company.clone(),
        Order::Entity => envelope.entity.clone(),
        Order::Header(name) => envelope.headers.get(name).cloned(),
        Order::FileName(pattern) => {
            let name = envelope.external_id.as_deref().unwrap_or_default();
            let found = pattern.0.captures(name).and_then(|groups| groups.get(1));
            found.map(|key| key.as_str().to_owned())
        }
    };
    let key = key.unwrap_or_else(|| NO_KEY.to_owned());
    if key.chars().count() > KEY_CHARS_MAX || key.chars().any(char::is_control) {
        return refuse(
            "invalid_order_key",
            format!(
                "the value that keeps messages in order has control characters or more than {KEY_CHARS_MAX} characters"
            ),
        );
    }
    Ok(Some(key))
}
