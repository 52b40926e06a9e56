//! Files into a folder: downloaded under a name of the agent's own, synced, noted, renamed, and only then acknowledged.

mod arrive;
mod name;
mod run;
mod unzip;

use std::sync::Arc;

use super::client::Delivery;
use super::config::{CollectFolder, Source};
use super::pace::Passed;
use super::record::{Arrival, ArrivalStage, Record};
use super::shared::Shared;
use super::trouble::{Kind, Trouble};
use crate::domain::ids::{CorrelationId, JobId};
use crate::failpoint;

/// One folder that is collected into.
#[derive(Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    folder: CollectFolder,
    /// What is known of exports that were started in this life.
    runs: run::Started,
    /// How many could not be collected in this life.
    pub failed: u64,
}

impl Collector {
    /// Of this folder.
    #[must_use]
    pub fn new(shared: Arc<Shared>, folder: CollectFolder) -> Self {
        Self {
            shared,
            folder,
            runs: run::Started::default(),
            failed: 0,
        }
    }

    /// Goes on with what was begun, then collects what there is.
    pub async fn pass(&mut self) -> Passed {
        let mut passed = Passed::default();
        let source = self.folder.from.clone();
        let done = match source {
            Source::Queue { job } => self.drain(job, &mut passed).await,
            Source::Project(export) => self.export(&export, &mut passed).await,
        };
        match done {
            Ok(()) => self.shared.waits(&self.folder.name, None),
            Err(trouble) => passed.trouble = Some(trouble),
        }
        passed
    }

    /// Everything a queue has.
    async fn drain(&mut self, job: JobId, passed: &mut Passed) -> Result<(), Trouble> {
        for record in self.shared.live(&self.folder.name) {
            if let Record::Delivery(arrival) = record
                && arrival.stage == ArrivalStage::Storing
            {
                passed.moved = true;
                let arrival = arrive::put_in_place(&self.shared, arrival).await?;
                self.acknowledge(job, arrival).await?;
            }
        }
        while !self.shared.stopping.is_cancelled() {
            let Some(delivery) = self.shared.client.dequeue(job).await? else {
                return Ok(());
            };
            passed.moved = true;
            self.collect(job, &delivery).await?;
        }
        Ok(())
    }

    /// One delivery. A message that was collected before is not collected again: its bytes are compared, and it is acknowledged.
    async fn collect(&mut self, job: JobId, delivery: &Delivery) -> Result<(), Trouble> {
        let id: CorrelationId = delivery.correlation.parse().map_err(|_| {
            let what = format!(
                "the CorrelationId {:?} is no GUID; the message is left",
                delivery.correlation
            );
            Trouble::new(Kind::Failed, what)
        })?;
        let id = id.to_string();
        if !delivery.file_exists {
            self.failed += 1;
            let why = delivery
                .file_error
                .as_deref()
                .filter(|why| !why.is_empty())
                .unwrap_or("no reason given");
            self.shared.failed(
                &self.folder.name,
                format!("message {id} has no file: {why}; it is not acknowledged"),
            );
            return Ok(());
        }
        let response = self.shared.client.download(delivery).await?;
        let fetched = arrive::fetch(&self.folder.folder, &id, response).await?;
        failpoint::reached("agent.fetched");
        let key = format!("delivery {} {id}", self.folder.name);
        if let Some(Record::Delivery(known)) = self.shared.known(&key)
            && known.digest == fetched.digest
        {
            tracing::info!(folder = self.folder.name, message = id, file = ?known.file, "was collected before");
            fetched.discard().await?;
            let again = Arrival {
                receipt: delivery.raw.clone(),
                ..known
            };
            return self.acknowledge(job, again).await;
        }
        let arrival = arrive::store(&self.shared, &self.folder, &id, fetched, delivery.raw.clone()).await?;
        self.acknowledge(job, arrival).await
    }

    /// Tells the server that the file is on the disk.
    async fn acknowledge(&mut self, job: JobId, arrival: Arrival) -> Result<(), Trouble> {
        let acknowledged = self.shared.client.acknowledge(job, &arrival.receipt).await;
        failpoint::reached("agent.acknowledged");
        let name = self.folder.name.clone();
        match acknowledged {
            Ok(()) => {
                let what = format!(
                    "collected {:?}, message {}",
                    arrival.file.display().to_string(),
                    arrival.id
                );
                self.note(arrival, ArrivalStage::Acknowledged).await?;
                self.shared.done(&name, what);
                Ok(())
            }
            // The server offers it again, with another receipt, when the lease of this one ends.
            Err(trouble) if matches!(trouble.kind, Kind::Refused | Kind::Failed) => {
                self.failed += 1;
                let what = format!("message {} was collected, but not acknowledged: {trouble}", arrival.id);
                self.note(arrival, ArrivalStage::Unacknowledged).await?;
                self.shared.failed(&name, what);
                Ok(())
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn note(&self, arrival: Arrival, stage: ArrivalStage) -> Result<(), Trouble> {
        let arrival = Arrival { stage, ..arrival };
        self.shared.note(Record::Delivery(arrival)).await
    }
}
