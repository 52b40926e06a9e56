//! Records that land as they are read (`skip_staging`): which of them may land together.

use std::collections::HashSet;

use super::part::Part;
use crate::business::direct::BatchChecks;
use crate::business::keys::KeysSeen;
use crate::business::staging::StagedRecord;
use crate::domain::entity::Entity;
use crate::format::mapping::Mapping;
use crate::pipeline::stop::Stop;

/// A load whose batches land one by one.
pub(super) struct Direct {
    asked: BatchChecks,
    /// Never noted in: it only makes fingerprints.
    keys: KeysSeen,
    /// Of the keys of the batch's records.
    in_batch: HashSet<u64>,
}

impl Direct {
    /// Begins, if the job or the manifest says so.
    pub(super) async fn begin(part: &Part<'_>, mapping: &Mapping, parents: &[&Entity]) -> Result<Option<Self>, Stop> {
        if !part.lands_directly() {
            return Ok(None);
        }
        let asked = (part.database)
            .batch_checks_of(part.load(), mapping.fields(), parents)
            .await?;
        part.session.begin_processing().await?;
        Ok(Some(Self {
            asked,
            keys: KeysSeen::new(part.entity, mapping.fields()),
            in_batch: HashSet::new(),
        }))
    }

    /// Whether the batch has a record with this one's key. Then the batch ends here and this record begins the next, so that
    /// it finds that one landed, as it would in a file of its own.
    pub(super) fn repeats(&self, record: &StagedRecord) -> bool {
        self.in_batch.contains(&self.keys.fingerprint(record))
    }

    pub(super) fn note(&mut self, record: &StagedRecord) {
        self.in_batch.insert(self.keys.fingerprint(record));
    }

    /// The batch ends here. What its landing needs.
    pub(super) fn end_batch(&mut self) -> BatchChecks {
        self.in_batch.clear();
        self.asked.clone()
    }
}
