//! The set statement of promotion: staged rows of a range into the target, by upsert on the key, counted exactly.

use super::catalogue::Conversions;
use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::session::{Fault, Session};
use super::tables::quoted_list;
use crate::domain::entity::Entity;

/// What an upsert did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Upserted {
    pub(super) good: u64,
    pub(super) inserted: u64,
    pub(super) updated: u64,
}

/// The upsert of one load. Only the fields the file brings are written, and only where one of them differs.
pub(super) struct Upsert {
    /// SQLite: (good, known to the target, differing) in the range, asked before the upsert; its write lock keeps others out.
    count: Option<String>,
    /// PostgreSQL: upserts and returns (good, inserted, updated).
    sql: String,
}

/// The good staged rows `s` of a range.
const RANGE: &str = "s.tranship_message = $1 and s.tranship_entity_no = $2 \
    and s.tranship_record between $3 and $4 and s.tranship_state = 0";

impl Upsert {
    /// Inserts new keys and updates known ones, or updates `only_known` ones.
    pub(super) fn new(
        dialect: Dialect,
        entity: &Entity,
        fields: &[String],
        conversions: &Conversions,
        only_known: bool,
    ) -> Self {
        let parts = Parts {
            target: quote(&entity.table),
            staging: quote(&entity.staging_table()),
            key: &entity.key,
            fields,
            others: fields.iter().filter(|name| !entity.is_key(name)).collect(),
            conversions,
        };
        let change = if only_known { parts.update() } else { parts.insert() };
        match dialect {
            Dialect::Postgres => Self {
                count: None,
                sql: parts.counted(&change, only_known),
            },
            Dialect::Sqlite => Self {
                count: Some(parts.count()),
                sql: change,
            },
        }
    }

    /// Upserts the good rows with record numbers from `first` to `last`.
    pub(super) async fn run(
        &self,
        session: &mut Session,
        key: &LoadKey,
        first: u64,
        last: u64,
    ) -> Result<Upserted, Fault> {
        let values = key.with([first.into(), last.into()]);
        let Some(count) = &self.count else {
            let row = session
                .row(self.sql.clone(), values)
                .await?
                .ok_or(sqlx::Error::RowNotFound)?;
            return Ok(Upserted {
                good: row.count(0)?,
                inserted: row.count(1)?,
                updated: row.count(2)?,
            });
        };
        let row = session
            .row(count.clone(), values.clone())
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        let (good, known, updated) = (row.count(0)?, row.count(1)?, row.count(2)?);
        let done = Upserted {
            good,
            inserted: good - known,
            updated,
        };
        if done.inserted + done.updated > 0 {
            session.execute(self.sql.clone(), values).await?;
        }
        Ok(done)
    }
}

/// What the statements are made of. Names are quoted where they are used.
struct Parts<'a> {
    target: String,
    staging: String,
    key: &'a [String],
    fields: &'a [String],
    /// The fields that are not part of the key.
    others: Vec<&'a String>,
    conversions: &'a Conversions,
}

impl Parts<'_> {
    /// A staged value as the target's column takes it.
    fn staged(&self, name: &str) -> String {
        match self.conversions.get(name) {
            Some(kind) => format!("s.{}::{kind}", quote(name)),
            None => format!("s.{}", quote(name)),
        }
    }

    /// Whether any field that is not part of the key differs from what `new` makes of its name. Not every type that is
    /// converted can be compared, but all of them have a text.
    fn differs(&self, new: impl Fn(&str) -> String) -> String {
        let compared = |name: &str, value: String| match self.conversions.get(name) {
            Some(_) => format!("{value}::text"),
            None => value,
        };
        let list = |value: &dyn Fn(&str) -> String| {
            let values = self.others.iter().map(|name| compared(name, value(name)));
            values.collect::<Vec<_>>().join(", ")
        };
        let (old, new) = (list(&|name| format!("t.{}", quote(name))), list(&new));
        match self.others.len() {
            0 => "false".to_owned(),
            1 => format!("{old} is distinct from {new}"),
            _ => format!("({old}) is distinct from ({new})"),
        }
    }

    fn same_key(&self) -> String {
        let same = self.key.iter().map(|name| format!("t.{0} = s.{0}", quote(name)));
        same.collect::<Vec<_>>().join(" and ")
    }

    fn insert(&self) -> String {
        let excluded = |name: &str| format!("excluded.{}", quote(name));
        let set = self
            .others
            .iter()
            .map(|name| format!("{} = {}", quote(name), excluded(name)));
        let set = set.collect::<Vec<_>>().join(", ");
        let action = match self.others.len() {
            0 => "nothing".to_owned(),
            _ => format!("update set {set} where {}", self.differs(excluded)),
        };
        let staged: Vec<_> = self.fields.iter().map(|name| self.staged(name)).collect();
        format!(
            "insert into {} as t ({}) select {} from {} s where {RANGE} order by s.tranship_record on conflict ({}) do {action}",
            self.target,
            quoted_list(self.fields),
            staged.join(", "),
            self.staging,
            quoted_list(self.key)
        )
    }

    fn update(&self) -> String {
        // Without other fields nothing differs; a statement needs something to set all the same.
        let set = if self.others.is_empty() {
            self.key.iter().collect()
        } else {
            self.others.clone()
        };
        let set: Vec<_> = set
            .iter()
            .map(|name| format!("{} = {}", quote(name), self.staged(name)))
            .collect();
        format!(
            "update {} as t set {} from {} s where {RANGE} and {} and {}",
            self.target,
            set.join(", "),
            self.staging,
            self.same_key(),
            self.differs(|name| self.staged(name))
        )
    }

    /// The change, and how many rows were good, inserted and updated.
    fn counted(&self, change: &str, only_known: bool) -> String {
        // A row that was there is locked by the upsert before it is changed, which shows in xmax; a new one is not.
        let fresh = if only_known { "false" } else { "(t.xmax = 0)" };
        format!(
            "with done as ({change} returning {fresh} as fresh) select (select count(*) from {} s where {RANGE}), \
               count(*) filter (where fresh), count(*) filter (where not fresh) from done",
            self.staging
        )
    }

    /// How many rows are good, known to the target, and differ there.
    fn count(&self) -> String {
        let known = format!("t.{} is not null", quote(&self.key[0]));
        format!(
            "select count(*), coalesce(sum({known}), 0), coalesce(sum({known} and {}), 0) \
             from {} s left join {} t on {} where {RANGE}",
            self.differs(|name| self.staged(name)),
            self.staging,
            self.target,
            self.same_key()
        )
    }
}
