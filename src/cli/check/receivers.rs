//! Whether the settings let the service send where jobs want it to, so that a receiver they refuse is not found by the first delivery.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use crate::config::{Config, Mistake, Outgoing};
use crate::definitions::Definitions;
use crate::domain::destination::{Auth, DestinationKind};
use crate::outgoing::Guard;

/// Where a job sends to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Receiver<'a> {
    url: &'a str,
    /// File and line.
    place: &'a str,
}

/// The receivers that the settings refuse. No mistakes: another machine's settings, or its names, may allow them.
pub(super) async fn refused(config: &Config, definitions: &Definitions) -> Vec<Mistake> {
    let told = definitions.jobs.iter().filter_map(|job| job.webhook.as_ref());
    let told: BTreeSet<_> = told
        .filter_map(|webhook| webhook.url.as_ref().zip(webhook.url_place.as_deref()))
        .map(|(url, place)| Receiver {
            url: url.as_str(),
            place,
        })
        .collect();
    let mut refused = judged(&config.webhooks, told).await;
    refused.extend(judged(&config.destinations, destinations(definitions)).await);
    refused
}

/// The web services among the destinations, and where their tokens come from.
fn destinations(definitions: &Definitions) -> BTreeSet<Receiver<'_>> {
    let mut receivers = BTreeSet::new();
    let exports = definitions.jobs.iter().filter_map(|job| job.export.as_ref());
    for destination in exports.flat_map(|export| &export.destinations) {
        let DestinationKind::Http(target) = &destination.kind else {
            continue;
        };
        receivers.insert(Receiver {
            url: &destination.url,
            place: &destination.url_place,
        });
        if let Auth::OAuth2 {
            token_url, token_place, ..
        } = &target.auth
        {
            receivers.insert(Receiver {
                url: token_url,
                place: token_place,
            });
        }
    }
    receivers
}

async fn judged(settings: &Outgoing, receivers: BTreeSet<Receiver<'_>>) -> Vec<Mistake> {
    let guard = Guard::new(settings);
    let judge = async |receiver: Receiver<'_>| {
        let refused = guard.look(receiver.url.trim()).await.err()?;
        Some(Mistake {
            place: receiver.place.to_owned(),
            message: format!(
                "nothing will be sent there: {refused}. Where that is meant, allow it under [{}] of the settings; else name another URL",
                settings.section
            ),
        })
    };
    // At once, because a name that is looked up may take its time.
    let judged = join_all(receivers.into_iter().map(judge)).await;
    judged.into_iter().flatten().collect()
}
