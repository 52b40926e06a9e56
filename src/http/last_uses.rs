//! When clients were last let in, to the minute: gathered here and written beside the requests, so that none waits for it. Whoever wants to
//! revoke a client sees whether anybody still uses it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::time::Timestamp;
use crate::storage::{Store, StoreError};

const MINUTE_MICROS: i64 = 60 * 1_000_000;

/// What is yet to be written, and what was. Holds one entry per client that was let in.
#[derive(Debug, Default)]
pub struct LastUses(Mutex<HashMap<String, Use>>);

#[derive(Debug, Clone, Copy)]
struct Use {
    minute: Timestamp,
    is_written: bool,
}

impl LastUses {
    /// A client was let in. Of one minute only the first counts.
    pub fn note(&self, client: &str, now: Timestamp) {
        let minute = Timestamp(now.micros().div_euclid(MINUTE_MICROS) * MINUTE_MICROS);
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.get(client).is_some_and(|known| known.minute >= minute) {
            return;
        }
        let is_written = false;
        uses.insert(client.to_owned(), Use { minute, is_written });
    }

    /// Writes what is new. Without anything new the store is not asked.
    ///
    /// # Errors
    /// [`StoreError`]; the next call writes it.
    pub async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let new: Vec<(String, Timestamp)> = {
            let uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let new = uses.iter().filter(|(_, known)| !known.is_written);
            new.map(|(client, known)| (client.clone(), known.minute)).collect()
        };
        if new.is_empty() {
            return Ok(());
        }
        store.note_client_uses(new.clone()).await?;
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (client, minute) in new {
            if let Some(known) = uses.get_mut(&client).filter(|known| known.minute == minute) {
                known.is_written = true;
            }
        }
        Ok(())
    }
}
