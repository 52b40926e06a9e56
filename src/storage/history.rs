//! What runs of export jobs left behind: their messages, positions, entities and deliveries, found for many runs at once.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::destinations::ExportDelivery;
use super::dialect::{placeholders, sql};
use super::exported_packages::ExportedPackage;
use super::occurrences::Occurrence;
use super::pool::{fetch_all, with_pool};
use super::positions::{COLUMNS as POSITION_COLUMNS, ExportPosition, PositionRow};
use super::rows::unsigned;
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Message;
use crate::domain::time::Timestamp;

/// Ids looked for by one statement.
const AT_ONCE: usize = 500;

/// A run of an export job, with what it left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its due time and what became of it.
    pub occurrence: Occurrence,
    /// Label and records of each entity.
    pub entities: Vec<(String, u64)>,
    /// The messages it queued, in their order, as far as they are still kept.
    pub messages: Vec<Message>,
    /// The package it made for the client that asked.
    pub package: Option<ExportedPackage>,
    /// What its messages were sent to besides the queue.
    pub deliveries: Vec<ExportDelivery>,
    /// How far its incremental entities had come before and after it, by technical name.
    pub positions: Vec<(String, ExportPosition)>,
}

impl Store {
    /// These occurrences of one job, each with what it left behind.
    pub async fn runs(&self, job: JobId, occurrences: Vec<Occurrence>) -> Result<Vec<Run>, StoreError> {
        let due = occurrences.iter().map(|occurrence| occurrence.due_at);
        let (Some(first), Some(last)) = (due.clone().min(), due.max()) else {
            return Ok(Vec::new());
        };
        let parts = self.parts(job, &occurrences, (first, last)).await?;
        let ids: Vec<MessageId> = parts.iter().map(|(_, id)| *id).collect();
        let (mut messages, mut deliveries) = (BTreeMap::<MessageId, Message>::new(), Vec::new());
        for ids in ids.chunks(AT_ONCE) {
            let found = self.messages_by_id(ids).await?;
            messages.extend(found.into_iter().map(|message| (message.id, message)));
            deliveries.extend(self.export_deliveries_of(ids).await?);
        }
        let mut packages = self.packages_between(job, (first, last)).await?;
        let mut positions = self.positions_between(job, (first, last)).await?;
        let mut entities = self.exported_entities(&occurrences).await?;
        let runs = occurrences.into_iter().map(|occurrence| {
            let own: Vec<MessageId> = parts
                .iter()
                .filter(|(due_at, _)| *due_at == occurrence.due_at)
                .map(|(_, id)| *id)
                .collect();
            let package = packages.iter().position(|package| package.due_at == occurrence.due_at);
            let execution = occurrence.execution.as_ref().map(|id| id.0.as_str());
            Run {
                entities: execution.and_then(|id| entities.remove(id)).unwrap_or_default(),
                package: package.map(|at| packages.swap_remove(at)),
                messages: own.iter().filter_map(|id| messages.get(id).cloned()).collect(),
                deliveries: deliveries
                    .iter()
                    .filter(|delivery| own.contains(&delivery.message))
                    .cloned()
                    .collect(),
                positions: positions.remove(&occurrence.due_at).unwrap_or_default(),
                occurrence,
            }
        });
        Ok(runs.collect())
    }

    /// The messages of runs, in their order.
    async fn parts(
        &self,
        job: JobId,
        occurrences: &[Occurrence],
        (first, last): (Timestamp, Timestamp),
    ) -> Result<Vec<(Timestamp, MessageId)>, StoreError> {
        let text = "select due_at, message from export_messages where job = $1 and due_at between $2 and $3 \
            order by due_at, part";
        let rows: Vec<(i64, Uuid)> =
            fetch_all!(self.reader(), (i64, Uuid), text, job.0, first.micros(), last.micros())?;
        let wanted = |due_at: &Timestamp| occurrences.iter().any(|occurrence| occurrence.due_at == *due_at);
        let parts = rows.into_iter().map(|(due_at, id)| (Timestamp(due_at), MessageId(id)));
        Ok(parts.filter(|(due_at, _)| wanted(due_at)).collect())
    }

    async fn positions_between(
        &self,
        job: JobId,
        (first, last): (Timestamp, Timestamp),
    ) -> Result<BTreeMap<Timestamp, Vec<(String, ExportPosition)>>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            entity: String,
            #[sqlx(flatten)]
            position: PositionRow,
        }
        let text = format!(
            "select entity, {POSITION_COLUMNS} from export_positions where job = $1 and due_at between $2 and $3 \
             order by entity, number"
        );
        let rows: Vec<Row> = fetch_all!(self.reader(), Row, sql(text), job.0, first.micros(), last.micros())?;
        let mut positions: BTreeMap<Timestamp, Vec<_>> = BTreeMap::new();
        for row in rows {
            let position = ExportPosition::try_from(row.position)?;
            if let Some(due_at) = position.due_at {
                positions.entry(due_at).or_default().push((row.entity, position));
            }
        }
        Ok(positions)
    }

    async fn exported_entities(
        &self,
        occurrences: &[Occurrence],
    ) -> Result<BTreeMap<String, Vec<(String, u64)>>, StoreError> {
        let executions: Vec<&str> = occurrences
            .iter()
            .filter_map(|occurrence| occurrence.execution.as_ref())
            .map(|id| id.0.as_str())
            .collect();
        let mut entities: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for executions in executions.chunks(AT_ONCE) {
            let text = format!(
                "select execution, label, records_read from execution_entities where execution in ({}) \
                 order by execution, entity_no",
                placeholders(1, executions.len())
            );
            let rows = with_pool!(self.reader(), db: Db => {
                let mut select = sqlx::query_as::<Db, (String, String, i64)>(sql(text));
                for execution in executions {
                    select = select.bind(*execution);
                }
                select.fetch_all(db).await
            })?;
            for (execution, label, records) in rows {
                let records = unsigned("execution_entities", "records_read", &execution, records)?;
                entities.entry(execution).or_default().push((label, records));
            }
        }
        Ok(entities)
    }
}
