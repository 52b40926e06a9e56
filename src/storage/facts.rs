//! Facts about the whole installation: what every process on one store must agree on.

use super::pool::{execute, fetch_optional};
use super::{Store, StoreError};

impl Store {
    /// The fact of this name, where it was written down.
    pub async fn fact(&self, name: &'static str) -> Result<Option<String>, StoreError> {
        let select = "select value from store_facts where name = $1";
        let standing: Option<(String,)> = fetch_optional!(self.reader(), (String,), select, name)?;
        Ok(standing.map(|(value,)| value))
    }

    /// Writes a fact down unless there is one of this name, and returns the one that stands: of processes that start at once,
    /// all get what the first wrote.
    pub async fn remember(&self, name: &'static str, value: &str) -> Result<String, StoreError> {
        let value = value.to_owned();
        self.write(move |tx| {
            Box::pin(async move {
                let insert = "insert into store_facts (name, value) values ($1, $2) on conflict (name) do nothing";
                execute!(tx.db(), insert, name, &value)?;
                let select = "select value from store_facts where name = $1";
                let standing: Option<(String,)> = fetch_optional!(tx.db(), (String,), select, name)?;
                Ok(standing.map_or(value, |(standing,)| standing))
            })
        })
        .await
    }

    /// Writes a fact down, whatever stood there.
    pub async fn set_fact(&self, name: &'static str, value: &str) -> Result<(), StoreError> {
        let value = value.to_owned();
        self.write(move |tx| {
            Box::pin(async move {
                let upsert = "insert into store_facts (name, value) values ($1, $2) \
                    on conflict (name) do update set value = excluded.value";
                execute!(tx.db(), upsert, name, &value)?;
                Ok(())
            })
        })
        .await
    }
}
