//! Those who send to others: webhooks and destinations.

use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::definitions::Definitions;
use crate::pipeline::Context;
use crate::{destination, webhook};

/// Those who send to others, and what makes them look at once.
pub(super) struct Senders {
    pub webhooks: webhook::Sender,
    pub webhook_wake: Arc<Notify>,
    pub destinations: destination::Sender,
    pub destination_wake: Arc<Notify>,
}

impl Senders {
    pub fn new(
        context: &Context,
        definitions: &watch::Receiver<Arc<Definitions>>,
        stopping: &CancellationToken,
    ) -> Self {
        let (webhook_wake, destination_wake) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        Self {
            webhooks: webhook::Sender::new(
                context.clone(),
                definitions.clone(),
                context.limits.webhooks.clone(),
                Arc::clone(&webhook_wake),
                stopping.clone(),
            ),
            destinations: destination::Sender::new(
                context.clone(),
                definitions.clone(),
                context.limits.destinations.clone(),
                Arc::clone(&destination_wake),
                stopping.clone(),
            ),
            webhook_wake,
            destination_wake,
        }
    }
}
