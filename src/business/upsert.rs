//! The set statement of promotion: staged rows of a range into the target, by upsert on the key, counted exactly.

use super::catalogue::Conversions;
use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::session::{Fault, Session};
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

impl Upsert {
    /// Inserts new keys and updates known ones, or updates `only_known` ones.
    pub(super) fn new(
        dialect: Dialect,
        entity: &Entity,
        fields: &[String],
        conversions: &Conversions,
        only_known: bool,
    ) -> Self {
        let (target, staging) = (quote(&entity.table), quote(&entity.staging_table()));
        let staged = |name: &String| match conversions.get(name) {
            Some(kind) => format!("s.{}::{kind}", quote(name)),
            None => format!("s.{}", quote(name)),
        };
        let list = |names: &[String]| names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
        let others: Vec<String> = fields.iter().filter(|name| !entity.is_key(name)).cloned().collect();
        let range = "s.tranship_message = $1 and s.tranship_entity_no = $2 \
             and s.tranship_record between $3 and $4 and s.tranship_state = 0";
        let excluded = |name: &String| format!("excluded.{}", quote(name));
        // Not every type that is converted can be compared, but all of them have a text.
        let compared = |name: &String, value: String| match conversions.get(name) {
            Some(_) => format!("{value}::text"),
            None => value,
        };
        let differs = |new: &dyn Fn(&String) -> String| {
            let old: Vec<_> = others
                .iter()
                .map(|name| compared(name, format!("t.{}", quote(name))))
                .collect();
            let new: Vec<_> = others.iter().map(|name| compared(name, new(name))).collect();
            match (old.as_slice(), new.as_slice()) {
                ([], _) => "false".to_owned(),
                ([old], [new]) => format!("{old} is distinct from {new}"),
                (old, new) => format!("({}) is distinct from ({})", old.join(", "), new.join(", ")),
            }
        };
        let action = if others.is_empty() {
            "nothing".to_owned()
        } else {
            let set = others
                .iter()
                .map(|name| format!("{0} = excluded.{0}", quote(name)))
                .collect::<Vec<_>>()
                .join(", ");
            format!("update set {set} where {}", differs(&excluded))
        };
        let same_key: Vec<_> = entity
            .key
            .iter()
            .map(|name| format!("t.{0} = s.{0}", quote(name)))
            .collect();
        let same_key = same_key.join(" and ");
        let change = if only_known {
            // Without other fields nothing differs; a statement needs something to set all the same.
            let set = if others.is_empty() { &entity.key } else { &others };
            let set: Vec<_> = set
                .iter()
                .map(|name| format!("{} = {}", quote(name), staged(name)))
                .collect();
            format!(
                "update {target} as t set {} from {staging} s where {range} and {same_key} and {}",
                set.join(", "),
                differs(&staged)
            )
        } else {
            format!(
                "insert into {target} as t ({}) select {} from {staging} s where {range} order by s.tranship_record \
                 on conflict ({}) do {action}",
                list(fields),
                fields.iter().map(staged).collect::<Vec<_>>().join(", "),
                list(&entity.key)
            )
        };
        // A row that was there is locked by the upsert before it is changed, which shows in xmax; a new one is not.
        let fresh = if only_known { "false" } else { "(t.xmax = 0)" };
        match dialect {
            Dialect::Postgres => Self {
                count: None,
                sql: format!(
                    "with done as ({change} returning {fresh} as fresh) \
                     select (select count(*) from {staging} s where {range}), \
                       count(*) filter (where fresh), count(*) filter (where not fresh) from done"
                ),
            },
            Dialect::Sqlite => {
                let known = format!("t.{} is not null", quote(&entity.key[0]));
                Self {
                    count: Some(format!(
                        "select count(*), coalesce(sum({known}), 0), coalesce(sum({known} and {}), 0) \
                         from {staging} s left join {target} t on {} where {range}",
                        differs(&staged),
                        same_key
                    )),
                    sql: change,
                }
            }
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
