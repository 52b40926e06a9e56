//! The set statement of promotion: staged rows of a range into the target, by upsert on the key, counted exactly.

use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::session::{Fault, Session};
use super::staging::Load;

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
    /// Inserts new keys, updates known ones.
    pub(super) fn new(dialect: Dialect, load: Load<'_>, fields: &[String]) -> Self {
        Self::of(dialect, load, fields, false)
    }

    /// Updates known keys, of which alone there are good rows: what an insert would need a file need not bring.
    pub(super) fn of_known(dialect: Dialect, load: Load<'_>, fields: &[String]) -> Self {
        Self::of(dialect, load, fields, true)
    }

    fn of(dialect: Dialect, load: Load<'_>, fields: &[String], only_known: bool) -> Self {
        let entity = load.entity;
        let (target, staging) = (quote(&entity.table), quote(&entity.staging_table()));
        let list = |prefix: &str, names: &[String]| {
            names
                .iter()
                .map(|name| format!("{prefix}{}", quote(name)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let changing = |name: &&String| !entity.is_key(name) && !load.only_new.contains(name);
        let others: Vec<String> = fields.iter().filter(changing).cloned().collect();
        // What a row that is there gets: a number once given stays.
        let given = |new: &str, name: &String| {
            let value = format!("{new}{}", quote(name));
            if load.numbered.contains(name) {
                format!("coalesce(t.{}, {value})", quote(name))
            } else {
                value
            }
        };
        let range = "s.tranship_message = $1 and s.tranship_entity_no = $2 \
             and s.tranship_record between $3 and $4 and s.tranship_state = 0";
        let differs = |new: &str| match others.as_slice() {
            [] => "false".to_owned(),
            [one] => format!("t.{} is distinct from {}", quote(one), given(new, one)),
            many => {
                let new: Vec<_> = many.iter().map(|name| given(new, name)).collect();
                format!("({}) is distinct from ({})", list("t.", many), new.join(", "))
            }
        };
        let action = if others.is_empty() {
            "nothing".to_owned()
        } else {
            let set = others
                .iter()
                .map(|name| format!("{} = {}", quote(name), given("excluded.", name)))
                .collect::<Vec<_>>()
                .join(", ");
            format!("update set {set} where {}", differs("excluded."))
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
            let set: Vec<_> = set.iter().map(|name| format!("{0} = s.{0}", quote(name))).collect();
            format!(
                "update {target} as t set {} from {staging} s where {range} and {same_key} and {}",
                set.join(", "),
                differs("s.")
            )
        } else {
            format!(
                "insert into {target} as t ({}) select {} from {staging} s where {range} order by s.tranship_record \
                 on conflict ({}) do {action}",
                list("", fields),
                list("s.", fields),
                list("", &entity.key)
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
                        differs("s."),
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
