//! Which rejects the records of a correction correct.
//!
//! A message that corrects another one may name that one's rejects and nothing else: a record under any other id would land and
//! leave the parent's `repaired` wrong for ever, so it is rejected. In a message without a parent the ids mean nothing.

use std::collections::HashSet;

use super::part::Part;
use crate::business::staging::{RejectedRecord, StagedRecord, StagingBatch};
use crate::domain::ids::MessageId;
use crate::domain::reject::{RecordCode, RecordError, RecordPlace, RejectId};
use crate::format::mapping::{Mapping, REJECT_ID_COLUMN};
use crate::pipeline::stop::Stop;
use crate::storage::StoreError;

/// Checks the batch's origins against the parent's rejects; records whose origin is none of them become rejects.
pub(super) async fn settle(part: &Part<'_>, mapping: &Mapping, batch: &mut StagingBatch) -> Result<(), Stop> {
    let Some(parent) = part.session.message.parent else {
        batch.records.iter_mut().for_each(|r| r.origin = None);
        batch.rejected.iter_mut().for_each(|r| r.origin = None);
        return Ok(());
    };
    let mut named: Vec<RejectId> = batch.records.iter().filter_map(|record| record.origin).collect();
    named.extend(batch.rejected.iter().filter_map(|rejected| rejected.origin));
    let known = known(part, parent, &named).await?;
    for rejected in &mut batch.rejected {
        rejected.origin = rejected.origin.filter(|origin| known.contains(origin));
    }
    let strange = |record: &StagedRecord| record.origin.filter(|origin| !known.contains(origin));
    let (good, bad): (Vec<_>, Vec<_>) = batch.records.drain(..).partition(|record| strange(record).is_none());
    batch.records = good;
    for record in bad {
        if let Some(origin) = strange(&record) {
            let error = refuse(record.place, parent, origin, mapping.reject_id_column());
            batch.rejected.push(RejectedRecord {
                origin: None,
                errors: vec![error],
                document_key: mapping.document_key(&record.cells),
            });
        }
    }
    Ok(())
}

async fn known(part: &Part<'_>, parent: MessageId, named: &[RejectId]) -> Result<HashSet<RejectId>, StoreError> {
    let entity_no = part.entity_no;
    let mut records = Vec::with_capacity(named.len());
    for origin in named {
        if origin.message == parent && origin.entity_no == entity_no {
            records.push(origin.record);
        }
    }
    records.sort_unstable();
    records.dedup();
    let rejected = part
        .session
        .context
        .store
        .rejected_records(parent, entity_no, &records)
        .await?;
    Ok(rejected
        .into_iter()
        .map(|record| RejectId {
            message: parent,
            entity_no,
            record,
        })
        .collect())
}

fn refuse(place: RecordPlace, parent: MessageId, origin: RejectId, column: Option<u32>) -> RecordError {
    RecordError {
        place,
        column,
        field: None,
        code: RecordCode::ReferenceMissing,
        value: Some(origin.to_string()),
        reason: format!(
            "message {parent}, which this file corrects, has no rejected record {origin}: leave {REJECT_ID_COLUMN} as it was \
             downloaded, or empty it"
        ),
    }
}
