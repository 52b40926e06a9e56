//! Looking at deliveries.

use super::delivery::{COLUMNS, Delivery, DeliveryRow, DeliveryState};
use crate::domain::ids::{DeliveryId, JobId};
use crate::storage::dialect::{placeholders, sql};
use crate::storage::pool::with_pool;
use crate::storage::{Store, StoreError};

/// Which deliveries to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Of these jobs only; empty: of every job.
    pub jobs: Vec<JobId>,
    /// In this state only.
    pub state: Option<DeliveryState>,
    /// Made before this one.
    pub before: Option<DeliveryId>,
    /// At most this many.
    pub limit: u32,
}

impl Store {
    /// The delivery of this id.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let row: Option<DeliveryRow> = super::WEBHOOKS.find(self.reader(), id).await?;
        row.map(Delivery::try_from).transpose()
    }

    /// Deliveries, newest first.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let mut wanted = vec!["1 = 1".to_owned()];
        if !filter.jobs.is_empty() {
            wanted.push(format!("job in ({})", placeholders(3, filter.jobs.len())));
        }
        if let Some(state) = filter.state {
            // In the text, so that the planner knows how rare it is: plans are made once for all values.
            wanted.push(format!("state = '{}'", state.as_str()));
        }
        if filter.before.is_some() {
            wanted.push("id < $2".to_owned());
        }
        let text = format!(
            "select {COLUMNS} from webhook_deliveries where {} order by id desc limit $1",
            wanted.join(" and ")
        );
        let rows = with_pool!(self.reader(), db: Db => {
            let mut select = sqlx::query_as::<Db, DeliveryRow>(sql(text))
                .bind(i64::from(filter.limit))
                .bind(filter.before.map(|id| id.0));
            for job in &filter.jobs {
                select = select.bind(job.0);
            }
            select.fetch_all(db).await
        })?;
        rows.into_iter().map(Delivery::try_from).collect()
    }
}
