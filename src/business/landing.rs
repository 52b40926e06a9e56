//! How the good staged rows of a range come to the target: some are refused, the others written by upsert or removed.

use super::catalogue::Conversions;
use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::last_writes::LastWrites;
use super::refusal::Refusal;
use super::rejects::Rejected;
use super::session::{Fault, Session};
use super::staging::{GOOD_IN_RANGE as GOOD, Load};
use super::upsert::Upsert;
use crate::domain::entity::Entity;
use crate::domain::job::ImportMode;

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
    refusals: Vec<Refusal>,
    change: Change,
    /// Counts the good rows of a range.
    good: String,
    last_writes: Option<LastWrites>,
}

enum Change {
    Upsert(Upsert),
    Delete(String),
}

impl Landed {
    /// Records that came to the target as they should.
    pub(super) fn applied(self) -> u64 {
        self.attempted - self.refused
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            attempted: self.attempted + other.attempted,
            inserted: self.inserted + other.inserted,
            updated: self.updated + other.updated,
            deleted: self.deleted + other.deleted,
            refused: self.refused + other.refused,
        }
    }
}

impl Landing {
    /// `conversions` says which staged texts the target has a type of its own for.
    pub(super) fn new(dialect: Dialect, load: Load<'_>, fields: &[String], conversions: &Conversions) -> Self {
        let entity = load.entity;
        let upsert = |only_known| Change::Upsert(Upsert::new(dialect, load, fields, conversions, only_known));
        Self {
            refusals: Refusal::of(load),
            good: format!("select count(*) from {} s where {GOOD}", quote(&entity.staging_table())),
            change: match load.mode {
                ImportMode::Upsert | ImportMode::Insert => upsert(false),
                // Of known keys alone there are good rows: what an insert would need a file need not bring.
                ImportMode::Update => upsert(true),
                ImportMode::Delete => Change::Delete(delete(entity)),
            },
            last_writes: LastWrites::of(load),
        }
    }

    /// Lands the good rows with record numbers from `first` to `last`; also returns those it refuses, for the caller to keep.
    pub(super) async fn run(
        &self,
        session: &mut Session,
        key: &LoadKey,
        first: u64,
        last: u64,
    ) -> Result<(Landed, Vec<Rejected>), Fault> {
        let mut rejected = Vec::new();
        for refusal in &self.refusals {
            rejected.append(&mut refusal.run(session, key, first, last).await?);
        }
        let refused = rejected.len() as u64;
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
        if let Some(last_writes) = &self.last_writes {
            last_writes.note(session, key, first, last).await?;
        }
        landed.attempted += refused;
        landed.refused = refused;
        Ok((landed, rejected))
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
