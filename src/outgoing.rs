//! What goes out to others: outboxes of the store emptied by any process, each delivery under a lease with an epoch.
//!
//! Webhooks and destinations share it: where may be connected to, what an answer means, when is tried again, how much at
//! once. Refuses: to know what is sent.

mod dispatch;
mod guard;
mod http;
mod secret;

pub use dispatch::{Courier, Dispatcher};
pub use guard::{Guard, Refused};
pub use http::{Answer, Client};
pub use secret::read_secret;

use crate::config;
use crate::domain::time::Timestamp;
use crate::storage::outbox::Next;

/// Seconds from a failed attempt to the next: first, twice that, four times, … up to the cap, each less up to a fifth by
/// `chance` (0: nothing less, `u16::MAX`: all of it), so that what failed together does not come back together.
fn wait_seconds_by(settings: &config::Outgoing, attempt: i32, chance: u16) -> i64 {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(20);
    let wait = i64::from(settings.retry_first_seconds)
        .saturating_mul(1 << doublings)
        .min(settings.retry_cap_seconds.into());
    wait - wait * i64::from(chance) / i64::from(u16::MAX) / 5
}

/// Seconds from a failed attempt to the next, where the receiver asked to be left alone for so long.
#[must_use]
pub fn wait_seconds(settings: &config::Outgoing, attempt: i32, asked: Option<u32>) -> i64 {
    let asked = asked.unwrap_or(0).min(settings.retry_cap_seconds);
    wait_seconds_by(settings, attempt, chance()).max(asked.into())
}

/// Counts an attempt; of one that arrived, how long that took since it was queued.
pub fn count(kind: &'static str, next: &Next, queued: Timestamp, now: Timestamp) {
    let outcome = match next {
        Next::Delivered => "delivered",
        Next::Again(_) => "again",
        Next::Dead => "failed",
    };
    metrics::counter!("tranship_delivery_attempts_total", "kind" => kind, "outcome" => outcome).increment(1);
    if *next == Next::Delivered {
        metrics::histogram!("tranship_delivery_seconds", "kind" => kind).record(now.seconds_from(queued));
    }
}

/// Without randomness waits are only less spread.
fn chance() -> u16 {
    let mut bytes = [0; 2];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u16::from_le_bytes(bytes),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> config::Outgoing {
        config::Config::load(&config::Overrides::default(), &[])
            .expect("defaults")
            .webhooks
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let waits: Vec<i64> = (1..=15)
            .map(|attempt| wait_seconds_by(&settings(), attempt, 0))
            .collect();
        assert_eq!(
            waits,
            [
                10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 21_600, 21_600, 21_600
            ]
        );
        assert_eq!(
            waits.iter().sum::<i64>() / 3600,
            29,
            "the hours the documentation promises"
        );
        assert_eq!(wait_seconds_by(&settings(), i32::MAX, 0), 21_600);
        assert_eq!(wait_seconds_by(&settings(), 0, 0), 10);
    }

    #[test]
    fn chance_takes_up_to_a_fifth() {
        assert_eq!(wait_seconds_by(&settings(), 1, u16::MAX), 8);
        assert_eq!(wait_seconds_by(&settings(), 15, u16::MAX), 17_280);
        assert!((17_280..21_600).contains(&wait_seconds_by(&settings(), 15, u16::MAX / 2)));
    }
}
