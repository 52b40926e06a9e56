//! Records that repeat the key of an earlier one: suspected by fingerprint, proved in staging, rejected. The first stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::keys::{KeysSeen, Suspect, Suspects};
use super::rejects::Rejected;
use super::rows::values_list;
use super::session::{DbRow, Fault, Session, Value};
use super::staging::Load;
use super::validate::{PLACE, add, nothing_written_for, place, reject, shown};
use super::{BusinessError, Database};
use crate::domain::entity::Entity;
use crate::domain::reject::{RecordCode, RecordError};

/// Suspects judged by one statement.
const AT_ONCE: usize = 500;
/// Suspects kept to be judged together with everything else that may be wrong with a record, 16 bytes each.
const KEPT_MAX: usize = 100_000;

/// Records of a load that may repeat a key.
pub(super) struct Repeats {
    dialect: Dialect,
    entity: Entity,
    /// By record.
    suspects: Vec<Suspect>,
}

impl Database {
    /// The suspects, to be judged range by range. Where they are more than can be kept, they are judged here and now, alone.
    pub(super) async fn repeats(&self, load: Load<'_>, keys: KeysSeen) -> Result<Repeats, BusinessError> {
        let mut found = sorted(keys).await.map_err(BusinessError::Temporary)?;
        let mut next = || {
            let suspects = found.batch(KEPT_MAX).map_err(BusinessError::Temporary)?;
            Ok::<_, BusinessError>(Repeats {
                dialect: self.dialect(),
                entity: load.entity.clone(),
                suspects,
            })
        };
        let mut repeats = next()?;
        while repeats.suspects.len() == KEPT_MAX {
            let all = Arc::new(repeats);
            for first in (0..KEPT_MAX).step_by(AT_ONCE) {
                let (key, all) = (LoadKey::new(load), Arc::clone(&all));
                let judged = self.fenced(load.fence, move |session| {
                    Box::pin(async move {
                        let mut rejected = BTreeMap::new();
                        all.judge(session, &key, &all.suspects[first..first + AT_ONCE], &mut rejected)
                            .await?;
                        let found = reject(session, &key, rejected).await?;
                        Ok(nothing_written_for(session, found))
                    })
                });
                judged.await?;
            }
            repeats = next()?;
        }
        repeats.suspects.sort_unstable_by_key(|suspect| suspect.record);
        Ok(repeats)
    }
}

impl Repeats {
    /// Of records no two of which have the same key.
    pub(super) fn none(dialect: Dialect, entity: &Entity) -> Self {
        Self {
            dialect,
            entity: entity.clone(),
            suspects: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.suspects.is_empty()
    }

    /// Judges the suspects of a range.
    pub(super) async fn judge_range(
        &self,
        session: &mut Session,
        key: &LoadKey,
        (first, last): (u64, u64),
        rejected: &mut BTreeMap<u64, Rejected>,
    ) -> Result<(), Fault> {
        let from = self.suspects.partition_point(|suspect| suspect.record < first);
        let to = self.suspects.partition_point(|suspect| suspect.record <= last);
        self.judge(session, key, &self.suspects[from..to], rejected).await
    }

    /// A good record whose key an earlier one has is rejected, whatever became of that one.
    async fn judge(
        &self,
        session: &mut Session,
        key: &LoadKey,
        suspects: &[Suspect],
        rejected: &mut BTreeMap<u64, Rejected>,
    ) -> Result<(), Fault> {
        for suspects in suspects.chunks(AT_ONCE) {
            let sql = sql(self.dialect, &self.entity, suspects.len());
            for row in session.rows(sql, values(key, suspects)).await? {
                add(rejected, &row, repeated(&self.entity.key, &row)?)?;
            }
        }
        Ok(())
    }
}

/// A million fingerprints take a while to sort.
async fn sorted(keys: KeysSeen) -> std::io::Result<Suspects> {
    let sorting = tokio::task::spawn_blocking(move || keys.suspects()).await;
    sorting.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// The list comes first, because SQLite's plain placeholders count from the start.
fn values(key: &LoadKey, batch: &[Suspect]) -> Vec<Value> {
    let pairs = batch
        .iter()
        .flat_map(|suspect| [suspect.record.into(), suspect.first_record.into()]);
    pairs.chain(key.with([])).collect()
}

/// Asks for each suspect whether the first record of its fingerprint has its key, through staging's primary key.
fn sql(dialect: Dialect, entity: &Entity, suspects: usize) -> String {
    let staging = quote(&entity.staging_table());
    let fields = || entity.key.iter().filter_map(|name| entity.field(name));
    let shown: Vec<_> = fields().map(|field| shown(dialect, field)).collect();
    let same: Vec<_> = fields()
        .map(|field| format!("f.{0} = s.{0}", quote(&field.name)))
        .collect();
    let (message, entity_no) = (
        dialect.placeholder(suspects * 2 + 1),
        dialect.placeholder(suspects * 2 + 2),
    );
    let of_load = |alias: &str, record: &str| {
        format!(
            "{alias}.tranship_message = l.message and {alias}.tranship_entity_no = l.entity_no \
             and {alias}.tranship_record = p.{record}"
        )
    };
    format!(
        "with p (record, first_record) as (values {}), l (message, entity_no) as (select {message}, {entity_no}) \
         select {PLACE}, p.first_record, f.tranship_line, {} \
         from l cross join p join {staging} s on {} join {staging} f on {} where s.tranship_state = 0 and {}",
        values_list(dialect, suspects, 2),
        shown.join(", "),
        of_load("s", "record"),
        of_load("f", "first_record"),
        same.join(" and ")
    )
}

fn repeated(key: &[String], row: &DbRow) -> Result<RecordError, Fault> {
    let mut values = Vec::with_capacity(key.len());
    for index in 0..key.len() {
        values.push(row.opt_text(7 + index)?.unwrap_or_default());
    }
    let named: Vec<_> = key
        .iter()
        .zip(&values)
        .map(|(name, value)| format!("{name} = {}", RecordError::clip(value)))
        .collect();
    let (record, line) = (row.count(5)?, row.count(6)?);
    Ok(RecordError {
        place: place(row)?,
        column: None,
        field: (key.len() == 1).then(|| key[0].clone()),
        code: RecordCode::DuplicateKey,
        value: Some(values.join(", ")),
        reason: format!(
            "record {record} (line {line}) of this file has the same key: {}",
            named.join(", ")
        ),
    })
}
