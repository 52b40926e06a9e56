//! Webhooks: tells others how messages ended, signed, as often as it takes.
//!
//! The transaction that ends a message writes a delivery beside it (`storage::webhooks`); here deliveries are claimed, signed
//! and sent, each under a lease with an epoch, by any process. Delivery is at least once, always under the same `webhook-id`
//! and in the same bytes: the body is stored, not rendered when it is sent, because it tells of an end, and the message may
//! be retried, redriven or long removed by the time its receiver is back.
//!
//! Owns: signatures, and what a receiver's answer means. Refuses: knowing how messages end; where may be connected to and
//! when is tried again is [`outgoing`](crate::outgoing)'s.

mod secret;
mod sender;

pub use sender::Sender;

use url::Url;

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
