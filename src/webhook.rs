//! Webhooks: tells others how messages ended, signed, as often as it takes.
//!
//! The transaction that ends a message writes a delivery beside it (`storage::webhooks`); here deliveries are claimed, signed
//! and sent, each under a lease with an epoch, by any process. Delivery is at least once, always under the same `webhook-id`
//! and in the same bytes: the body is stored, not rendered when it is sent, because it tells of an end, and the message may
//! be retried, redriven or long removed by the time its receiver is back.
//!
//! Owns: signatures, where may be sent to, when is tried again, how much at once. Refuses: knowing how messages end.

mod guard;
mod post;
mod secret;
mod sender;

pub use guard::{Guard, Refused};
pub use sender::Sender;

use url::Url;

use crate::config;
use crate::definitions::Definitions;
use crate::domain::job::Job;
use crate::storage::webhooks::{Rule, Rules};

/// Which jobs tell whom, for the store to write deliveries by.
#[must_use]
pub fn rules(definitions: &Definitions, public_url: Option<&Url>) -> Rules {
    let rule = |job: &Job| {
        let webhook = job.webhook.as_ref()?;
        let rule = Rule {
            job_name: job.name.clone(),
            url: webhook.url.as_ref().map(Url::to_string),
            on: webhook.on.clone(),
            per_message: webhook.per_message,
        };
        Some((job.id, rule))
    };
    Rules {
        base_url: public_url.map_or_else(String::new, |url| url.as_str().trim_end_matches('/').to_owned()),
        jobs: definitions.jobs.iter().filter_map(rule).collect(),
    }
}

/// Seconds from a failed attempt to the next: first, twice that, four times, … up to the cap, each less up to a fifth by
/// `chance` (0: nothing less, `u16::MAX`: all of it), so that what failed together does not come back together.
fn wait_seconds(settings: &config::Webhooks, attempt: i32, chance: u16) -> i64 {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(20);
    let wait = i64::from(settings.retry_first_seconds)
        .saturating_mul(1 << doublings)
        .min(settings.retry_cap_seconds.into());
    wait - wait * i64::from(chance) / i64::from(u16::MAX) / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> config::Webhooks {
        config::Config::load(&config::Overrides::default(), &[])
            .expect("defaults")
            .webhooks
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let waits: Vec<i64> = (1..=15).map(|attempt| wait_seconds(&settings(), attempt, 0)).collect();
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
        assert_eq!(wait_seconds(&settings(), i32::MAX, 0), 21_600);
        assert_eq!(wait_seconds(&settings(), 0, 0), 10);
    }

    #[test]
    fn chance_takes_up_to_a_fifth() {
        assert_eq!(wait_seconds(&settings(), 1, u16::MAX), 8);
        assert_eq!(wait_seconds(&settings(), 15, u16::MAX), 17_280);
        assert!((17_280..21_600).contains(&wait_seconds(&settings(), 15, u16::MAX / 2)));
    }
}
