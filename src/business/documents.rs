//! Documents: the records of a load that share the values of the job's document key, and land or are rejected together.
//!
//! Staging keeps a digest of these values beside each record, also of one that did not type-check but for its document key.
//! Chunks are cut between documents, so that none lands in two transactions.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::rejects::{self, Rejected};
use super::session::{DbRow, Fault, Session};
use super::staging::GOOD_IN_RANGE;
use super::staging::Load;
use super::validate::{PLACE, mark_rejected, place, shown};
use super::{BusinessError, Database};
use crate::domain::cell::Cell;
use crate::domain::job::Atomicity;
use crate::domain::reject::{RecordCode, RecordError};

/// Records looked through by one statement.
const RANGE_RECORDS: u64 = 10_000;

/// Finds what is rejected along with other records.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    siblings: String,
    key: Vec<String>,
}

impl Documents {
    /// Those of a load whose documents land whole.
    pub(super) fn of(dialect: Dialect, load: Load<'_>) -> Option<Self> {
        if load.policy.atomicity != Atomicity::Document {
            return None;
        }
        let staging = quote(&load.entity.staging_table());
        let key = &load.policy.document_key;
        let fields = key.iter().filter_map(|name| load.entity.field(name));
        let shown: Vec<_> = fields.map(|field| shown(dialect, field)).collect();
        // The first record at fault is looked up row by row through an index of rejected records alone.
        let siblings = format!(
            "select {PLACE}, s.culprit, \
               (select f.tranship_line from {staging} f where f.tranship_message = $1 and f.tranship_entity_no = $2 \
                 and f.tranship_record = s.culprit), {} \
             from (select s.*, (select min(o.tranship_record) from {staging} o \
                 where o.tranship_message = $1 and o.tranship_entity_no = $2 \
                   and o.tranship_document = s.tranship_document and o.tranship_state = 1) as culprit \
               from {staging} s where {GOOD_IN_RANGE}) s \
             where s.culprit is not null",
            shown.join(", ")
        );
        Some(Self {
            siblings,
            key: key.clone(),
        })
    }

    /// Rejects the good records from `first` to `last` whose document has a rejected one, and returns how many. Documents
    /// may begin before the range and end after it.
    pub(super) async fn reject_siblings(
        &self,
        session: &mut Session,
        key: &LoadKey,
        (first, last): (u64, u64),
        by_target: bool,
    ) -> Result<usize, Fault> {
        let mut found = 0;
        let mut from = first;
        while from <= last {
            let to = from.saturating_add(RANGE_RECORDS - 1).min(last);
            let rows = session
                .rows(self.siblings.clone(), key.with([from.into(), to.into()]))
                .await?;
            let mut rejected = BTreeMap::new();
            for row in &rows {
                let error = self.sibling(row)?;
                let of_record = Rejected {
                    origin: row.opt_text(4)?,
                    by_target,
                    errors: vec![error],
                };
                rejected.insert(row.count(0)?, of_record);
            }
            mark_rejected(session, key, rejected.keys().copied(), WITH_ITS_DOCUMENT).await?;
            rejects::insert(session, key, &rejected.into_values().collect::<Vec<_>>()).await?;
            found += rows.len();
            from = to + 1;
        }
        Ok(found)
    }

    fn sibling(&self, row: &DbRow) -> Result<RecordError, Fault> {
        let mut values = Vec::with_capacity(self.key.len());
        for index in 0..self.key.len() {
            values.push(row.opt_text(7 + index)?.unwrap_or_default());
        }
        let named = self.key.iter().zip(&values);
        let named: Vec<_> = named
            .map(|(name, value)| format!("{name} = {}", RecordError::clip(value)))
            .collect();
        let (record, line) = (row.count(5)?, row.count(6)?);
        Ok(RecordError {
            place: place(row)?,
            column: None,
            field: (self.key.len() == 1).then(|| self.key[0].clone()),
            code: RecordCode::DocumentRejected,
            value: Some(values.join(", ")),
            reason: format!(
                "record {record} (line {line}) of the same document is rejected: {}",
                named.join(", ")
            ),
        })
    }
}

/// State of a staged record that is rejected for another one of its document, which alone is named as the cause.
const WITH_ITS_DOCUMENT: i64 = 2;

/// What stands for the values of a document key: the same for the same values.
pub(super) fn digest<'c>(key: impl Iterator<Item = &'c Cell>) -> String {
    let mut hash = Sha256::new();
    for cell in key {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        match cell {
            Cell::Null => hash.update(b"n"),
            Cell::Int(number) => hash.update([b"i".as_slice(), &number.to_le_bytes()].concat()),
            Cell::Bool(flag) => hash.update([b'b', u8::from(*flag)]),
            Cell::Text(text) => {
                hash.update([b"t".as_slice(), &(text.len() as u64).to_le_bytes()].concat());
                hash.update(text.as_bytes());
            }
        }
    }
    let mut hex = String::with_capacity(32);
    for byte in &hash.finalize()[..16] {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

impl Database {
    /// Rejects what belongs to the document of a rejected record, range by range, and returns how many.
    pub(super) async fn reject_siblings(
        &self,
        load: Load<'_>,
        key: &LoadKey,
        documents: &Documents,
        records: u64,
        size: u64,
    ) -> Result<usize, BusinessError> {
        let mut found = 0;
        let mut first = 1;
        while first <= records {
            let last = first.saturating_add(size - 1).min(records);
            let (key, documents) = (key.clone(), documents.clone());
            let in_range = self.fenced(load.fence, move |session| {
                Box::pin(async move {
                    let rejected = documents.reject_siblings(session, &key, (first, last), false).await?;
                    if rejected == 0 {
                        session.discard();
                    }
                    Ok(rejected)
                })
            });
            found += in_range.await?;
            first = last + 1;
        }
        Ok(found)
    }

    /// The first records of chunks of about `size` records that split no document: records that belong together make a
    /// chunk as wide as it takes, with all between them.
    pub(super) async fn document_starts(
        &self,
        load: Load<'_>,
        key: &LoadKey,
        size: u64,
    ) -> Result<Vec<u64>, BusinessError> {
        // A cut may be where no earlier document goes on: `reached` is how far those before it come.
        let sql = format!(
            "select min(begins) from ( \
               select begins, max(ends) over (order by begins rows between unbounded preceding and 1 preceding) as reached \
               from (select min(tranship_record) as begins, max(tranship_record) as ends from {} \
                 where tranship_message = $1 and tranship_entity_no = $2 and tranship_document is not null \
                 group by tranship_document) documents) heads \
             where reached is null or reached < begins group by (begins - 1) / $3 order by 1",
            key.staging
        );
        let values = key.with([size.max(1).into()]);
        self.fenced_read(load.fence, move |session| {
            Box::pin(async move {
                let rows = session.rows(sql, values).await?;
                rows.iter().map(|row| Ok(row.count(0)?)).collect()
            })
        })
        .await
    }
}
