//! Where a message stands among all that write the same tables (promise 5: `superseded`).

use crate::definitions::Definitions;
use crate::domain::ids;
use crate::domain::job::{ImportSpec, Job, Origin};
use crate::domain::message::Message;
use crate::pipeline::Context;
use crate::storage::StoreError;

/// The fact that names the store itself.
const STORE_ID: &str = "store";

/// The number of a message, and whose number it is.
pub(super) struct MessageOrder {
    pub(super) store: String,
    pub(super) sequence: i64,
}

impl MessageOrder {
    /// Of a message with an entity that some job keeps in order. A correction is as old as the message it goes back to.
    pub(super) async fn of(
        context: &Context,
        definitions: &Definitions,
        (job, spec): (&Job, &ImportSpec),
        message: &Message,
    ) -> Result<Option<Self>, StoreError> {
        let mut entities = spec.entities.iter();
        // A package of a project may hold others than the project by now.
        let may_be_any = || {
            let mut all = definitions.entities.iter();
            job.origin == Origin::Project && all.any(|entity| definitions.is_kept_in_order(&entity.name))
        };
        if !entities.any(|wanted| definitions.is_kept_in_order(&wanted.entity)) && !may_be_any() {
            return Ok(None);
        }
        let store = &context.store;
        let known = store.fact(STORE_ID).await?;
        let store_id = match known {
            Some(known) => known,
            None => store.remember(STORE_ID, &ids::new_store_id()).await?,
        };
        Ok(Some(Self {
            store: store_id,
            sequence: store.original_sequence(message.id).await?,
        }))
    }
}
