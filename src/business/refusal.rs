//! Good records that are not to land, for what the target holds: marked set-wise, in the transaction that lands the others.

use super::control::LoadKey;
use super::dialect::quote;
use super::rejects::{self, Rejected};
use super::session::{Fault, Session, Value};
use super::staging::{GOOD_IN_RANGE, Load, WriteOrder};
use super::validate;
use crate::domain::entity::Entity;
use crate::domain::job::ImportMode;
use crate::domain::reject::{RecordCode, RecordError};

/// Marks the good rows of a range that meet a condition, and rejects them.
pub(super) struct Refusal {
    sql: String,
    /// Beside those of the range, from `$5`.
    values: Vec<Value>,
    code: RecordCode,
    reason: &'static str,
}

impl Refusal {
    /// All of a load, in the order they are asked.
    pub(super) fn of(load: Load<'_>) -> Vec<Self> {
        let superseded = load.order.filter(|order| order.refuses_older);
        let superseded = superseded.map(|order| Self::superseded(load.entity, order));
        superseded
            .into_iter()
            .chain(Self::by_mode(load.entity, load.mode))
            .collect()
    }

    /// Records older than what last wrote their key (promise 5).
    fn superseded(entity: &Entity, order: WriteOrder<'_>) -> Self {
        let newer = format!(
            "exists (select 1 from {} w where {} and w.tranship_store = $5 and w.tranship_sequence > $6)",
            quote(&entity.last_write_table()),
            same_key(entity, "w"),
        );
        Self {
            sql: marking(entity, &newer),
            values: vec![Value::Text(order.store.to_owned()), Value::Int(order.sequence)],
            code: RecordCode::Superseded,
            reason: "a newer message wrote this key since; resubmit the record with force if it is to count all the same",
        }
    }

    /// Records whose key the mode wants elsewhere.
    fn by_mode(entity: &Entity, mode: ImportMode) -> Option<Self> {
        let (exists, code, reason) = match mode {
            ImportMode::Upsert => return None,
            ImportMode::Insert => (
                "exists",
                RecordCode::AlreadyThere,
                "the target has a row with this key, and the job only inserts",
            ),
            ImportMode::Update => (
                "not exists",
                RecordCode::NotThere,
                "the target has no row with this key, and the job only updates",
            ),
            ImportMode::Delete => (
                "not exists",
                RecordCode::NotThere,
                "the target has no row with this key to delete",
            ),
        };
        let (table, same_key) = (quote(&entity.table), same_key(entity, "t"));
        Some(Self {
            sql: marking(entity, &format!("{exists} (select 1 from {table} t where {same_key})")),
            values: Vec::new(),
            code,
            reason,
        })
    }

    /// Rejects what of the range is refused, and says how many that were.
    pub(super) async fn run(&self, session: &mut Session, key: &LoadKey, first: u64, last: u64) -> Result<u64, Fault> {
        let range = [first.into(), last.into()];
        let values = key.with(range.into_iter().chain(self.values.clone()));
        let rows = session.rows(self.sql.clone(), values).await?;
        let mut rejected = Vec::with_capacity(rows.len());
        for row in &rows {
            let error = RecordError {
                place: validate::place(row)?,
                column: None,
                field: None,
                code: self.code,
                value: None,
                reason: self.reason.to_owned(),
            };
            rejected.push(Rejected {
                origin: row.opt_text(4)?,
                by_target: true,
                errors: vec![error],
            });
        }
        rejects::insert(session, key, &rejected).await?;
        Ok(rejected.len() as u64)
    }
}

/// Takes the good rows `s` of a range that meet the condition out of what lands.
fn marking(entity: &Entity, condition: &str) -> String {
    format!(
        "update {} as s set tranship_state = 1 where {GOOD_IN_RANGE} and {condition} \
         returning tranship_record, tranship_line, tranship_byte_start, tranship_byte_end, tranship_origin",
        quote(&entity.staging_table()),
    )
}

/// The key of the staged row `s` and of another one are the same.
fn same_key(entity: &Entity, other: &str) -> String {
    let parts: Vec<String> = entity
        .key
        .iter()
        .map(|name| format!("{other}.{0} = s.{0}", quote(name)))
        .collect();
    parts.join(" and ")
}
