//! How the good staged rows of a range come to the target: written by upsert, or removed; and which of them a job refuses to
//! land because their key is in the target already, or is not.

use super::catalogue::Conversions;
use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::rejects::{self, Rejected};
use super::session::{Fault, Session};
use super::staging::Load;
use super::upsert::Upsert;
use super::validate;
use crate::domain::entity::Entity;
use crate::domain::job::ImportMode;
use crate::domain::reject::{RecordCode, RecordError};

/// The good staged rows `s` of a range.
const GOOD: &str = "s.tranship_message = $1 and s.tranship_entity_no = $2 and s.tranship_record between $3 and $4 \
    and s.tranship_state = 0";

/// What became of a range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Landed {
    /// Records that were good when it began.
    pub(super) attempted: u64,
    pub(super) inserted: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
    pub(super) refused: u64,
}

/// The statements of one load's promotion.
pub(super) struct Landing {
    refusal: Option<Refusal>,
    change: Change,
    /// Counts the good rows of a range.
    good: String,
}

enum Change {
    Upsert(Upsert),
    Delete(String),
}

/// Marks the rows whose key is on the wrong side.
struct Refusal {
    sql: String,
    code: RecordCode,
    reason: &'static str,
}

impl Landing {
    /// `conversions` says which staged texts the target has a type of its own for.
    pub(super) fn new(dialect: Dialect, load: Load<'_>, fields: &[String], conversions: &Conversions) -> Self {
        let Load { entity, mode, .. } = load;
        let upsert = |only_known| Change::Upsert(Upsert::new(dialect, entity, fields, conversions, only_known));
        Self {
            refusal: Refusal::of(entity, mode),
            good: format!("select count(*) from {} s where {GOOD}", quote(&entity.staging_table())),
            change: match mode {
                ImportMode::Upsert | ImportMode::Insert => upsert(false),
                // Of known keys alone there are good rows: what an insert would need a file need not bring.
                ImportMode::Update => upsert(true),
                ImportMode::Delete => Change::Delete(delete(entity)),
            },
        }
    }

    /// Lands the good rows with record numbers from `first` to `last`.
    pub(super) async fn run(
        &self,
        session: &mut Session,
        key: &LoadKey,
        first: u64,
        last: u64,
    ) -> Result<Landed, Fault> {
        let refused = match &self.refusal {
            Some(refusal) => refusal.run(session, key, first, last).await?,
            None => 0,
        };
        let mut landed = match &self.change {
            Change::Upsert(upsert) => {
                let done = upsert.run(session, key, first, last).await?;
                Landed {
                    attempted: done.good,
                    inserted: done.inserted,
                    updated: done.updated,
                    ..Landed::default()
                }
            }
            Change::Delete(sql) => {
                // By the records, not by the rows: a cascade may have taken some of them along.
                let values = key.with([first.into(), last.into()]);
                let row = session.row(self.good.clone(), values.clone()).await?;
                let deleted = row.ok_or(sqlx::Error::RowNotFound)?.count(0)?;
                session.execute(sql.clone(), values).await?;
                Landed {
                    attempted: deleted,
                    deleted,
                    ..Landed::default()
                }
            }
        };
        landed.attempted += refused;
        landed.refused = refused;
        Ok(landed)
    }
}

impl Refusal {
    fn of(entity: &Entity, mode: ImportMode) -> Option<Self> {
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
        let same_key: Vec<String> = entity
            .key
            .iter()
            .map(|name| format!("t.{0} = s.{0}", quote(name)))
            .collect();
        let sql = format!(
            "update {} as s set tranship_state = 1 where {GOOD} and {exists} (select 1 from {} t where {}) \
             returning tranship_record, tranship_line, tranship_byte_start, tranship_byte_end, tranship_origin",
            quote(&entity.staging_table()),
            quote(&entity.table),
            same_key.join(" and ")
        );
        Some(Self { sql, code, reason })
    }

    async fn run(&self, session: &mut Session, key: &LoadKey, first: u64, last: u64) -> Result<u64, Fault> {
        let rows = session
            .rows(self.sql.clone(), key.with([first.into(), last.into()]))
            .await?;
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

fn delete(entity: &Entity) -> String {
    let list = |prefix: &str| {
        let names = entity.key.iter().map(|name| format!("{prefix}{}", quote(name)));
        names.collect::<Vec<_>>().join(", ")
    };
    format!(
        "delete from {} where ({}) in (select {} from {} s where {GOOD})",
        quote(&entity.table),
        list(""),
        list("s."),
        quote(&entity.staging_table()),
    )
}
