//! The set statement of promotion: staged rows of a range into the target, by upsert on the key, counted exactly.

use super::catalogue::Conversions;
use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::session::{Fault, Session};
use super::staging::{GOOD_IN_RANGE as RANGE, Load};
use super::tables::quoted_list;

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

impl Upsert {
    /// Inserts new keys and updates known ones, or updates `only_known` ones.
    pub(super) fn new(
        dialect: Dialect,
        load: Load<'_>,
        fields: &[String],
        conversions: &Conversions,
        only_known: bool,
    ) -> Self {
        let entity = load.entity;
        let changing = |name: &&String| !entity.is_key(name) && !load.only_new.contains(name);
        let parts = Parts {
            target: quote(&entity.table),
            staging: quote(&entity.staging_table()),
            key: &entity.key,
            fields,
            changing: fields.iter().filter(changing).collect(),
            numbered: load.numbered,
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
    /// The fields that a row takes which is there already.
    changing: Vec<&'a String>,
    numbered: &'a [String],
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

    /// What a row that is there gets of a value: a number once given stays.
    fn given(&self, name: &str, value: String) -> String {
        if self.numbered.iter().any(|numbered| numbered == name) {
            format!("coalesce(t.{}, {value})", quote(name))
        } else {
            value
        }
    }

    /// Sets what a row takes that is there, to what `new` makes of each name.
    fn set(&self, names: &[&String], new: impl Fn(&str) -> String) -> String {
        let set = names
            .iter()
            .map(|name| format!("{} = {}", quote(name), self.given(name, new(name))));
        set.collect::<Vec<_>>().join(", ")
    }

    /// Whether any field that a row takes differs from what `new` makes of its name. Not every type that is converted can be
    /// compared, but all of them have a text.
    fn differs(&self, new: impl Fn(&str) -> String) -> String {
        let compared = |name: &str, value: String| match self.conversions.get(name) {
            Some(_) => format!("{value}::text"),
            None => value,
        };
        let list = |value: &dyn Fn(&str) -> String| {
            let values = self.changing.iter().map(|name| compared(name, value(name)));
            values.collect::<Vec<_>>().join(", ")
        };
        let old = list(&|name| format!("t.{}", quote(name)));
        let new = list(&|name| self.given(name, new(name)));
        match self.changing.len() {
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
        let action = match self.changing.len() {
            0 => "nothing".to_owned(),
            _ => format!(
                "update set {} where {}",
                self.set(&self.changing, excluded),
                self.differs(excluded)
            ),
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
        let names: Vec<&String> = if self.changing.is_empty() {
            self.key.iter().collect()
        } else {
            self.changing.clone()
        };
        format!(
            "update {} as t set {} from {} s where {RANGE} and {} and {}",
            self.target,
            self.set(&names, |name| self.staged(name)),
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
