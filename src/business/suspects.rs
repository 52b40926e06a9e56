//! Which staged records the target will probably refuse, asked of its own constraints before they are tried.
//!
//! Owns: the questions. Refuses: judging. A suspect is tried by itself, the others in the ranges between; where nothing can be
//! asked, or the answer is wrong, bisection finds the records at fault all the same, only slower.

use super::catalogue::{Column, Conversions, columns};
use super::check_constraints;
use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::session::{Fault, Session};
use super::staging::GOOD_IN_RANGE;
use super::types::Room;
use crate::domain::table::Filled;

/// A constraint that so large a share of a range breaks is not understood: it is bisected instead.
const SHARE_MAX: u64 = 4;

/// The questions of one load.
pub(super) struct Suspects {
    fields: Vec<String>,
    conversions: Conversions,
}

impl Suspects {
    pub(super) fn new(fields: &[String], conversions: &Conversions) -> Self {
        Self {
            fields: fields.to_vec(),
            conversions: conversions.clone(),
        }
    }

    /// The suspects among the good records from `first` to `last`, in their order; none where the target cannot be asked.
    pub(super) async fn among(
        &self,
        session: &mut Session,
        key: &LoadKey,
        first: u64,
        last: u64,
    ) -> Result<Vec<u64>, Fault> {
        session.run("savepoint suspects").await?;
        let Ok(suspects) = self.ask(session, key, first, last).await else {
            // A constraint that fails on a staged value, or that is not understood. If it is the connection, this fails too.
            session
                .run("rollback to savepoint suspects; release savepoint suspects")
                .await?;
            return Ok(Vec::new());
        };
        session.run("release savepoint suspects").await?;
        Ok(suspects)
    }

    async fn ask(&self, session: &mut Session, key: &LoadKey, first: u64, last: u64) -> Result<Vec<u64>, Fault> {
        let columns = columns(session, &key.table).await?;
        let checks = check_constraints::of(session, &key.table).await?;
        let Some(sql) = self.question(session.dialect, &key.staging, &columns, &checks) else {
            return Ok(Vec::new());
        };
        let most = (last + 1 - first) / SHARE_MAX;
        let range = [first.into(), last.into(), (most + 1).into()];
        let rows = session.rows(sql, key.with(range)).await?;
        if rows.len() as u64 > most {
            return Ok(Vec::new());
        }
        rows.iter().map(|row| Ok(row.count(0)?)).collect()
    }

    fn question(&self, dialect: Dialect, staging: &str, columns: &[Column], checks: &[String]) -> Option<String> {
        let brought = |column: &&Column| self.fields.contains(&column.name);
        let mut broken: Vec<_> = checks.iter().map(|check| format!("not ({check}\n)")).collect();
        broken.extend(
            columns
                .iter()
                .filter(brought)
                .flat_map(|column| without_room(dialect, column)),
        );
        if broken.is_empty() {
            return None;
        }
        let values: Vec<_> = columns.iter().map(|column| self.value(dialect, column)).collect();
        Some(format!(
            "select x.tranship_record from (select s.tranship_record, {} from {staging} s where {GOOD_IN_RANGE}) x \
             where {} order by 1 limit $5",
            values.join(", "),
            broken.join(" or ")
        ))
    }

    /// A column as the target's constraints see it. Of what the file does not bring nothing is known, which breaks nothing.
    fn value(&self, dialect: Dialect, column: &Column) -> String {
        let name = quote(&column.name);
        let value = if !self.fields.contains(&column.name) {
            dialect.unknown(&column.declared)
        } else if let Some(kind) = self.conversions.get(&column.name) {
            format!("s.{name}::{kind}")
        } else {
            dialect.as_stored(&column.declared, &format!("s.{name}"))
        };
        format!("{value} as {name}")
    }
}

/// What is true of a value the column has no room for.
fn without_room(dialect: Dialect, column: &Column) -> Vec<String> {
    let name = format!("x.{}", quote(&column.name));
    let mut conditions = Vec::new();
    if column.not_null && column.filled == Filled::No {
        conditions.push(format!("{name} is null"));
    }
    match dialect.room(&column.declared) {
        Some(Room::Characters(most)) => conditions.push(format!("char_length({name}) > {most}")),
        Some(Room::Between(least, most)) => conditions.push(format!("{name} not between {least} and {most}")),
        Some(Room::Digits { before_point, scale }) => {
            conditions.push(format!("abs(round({name}, {scale})) >= 1e{before_point}"));
        }
        None => {}
    }
    conditions
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
    use uuid::Uuid;

    use super::{Conversions, LoadKey, Session, Suspects};
    use crate::business::dialect::Purpose;
    use crate::business::session::{Pool, Value};

    /// The suspects among records 1 to 100 that hold a number each, the same as their record's.
    async fn suspects(table: &str) -> Vec<u64> {
        let folder = tempfile::tempdir().expect("a folder");
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("t.db"))
            .create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options);
        let pool = Pool::Sqlite(pool.await.expect("a pool"));
        let mut session = Session::begin(&pool, Purpose::Write).await.expect("a transaction");
        let staging = "create table s as with recursive n(n) as (select 1 union all select n + 1 from n where n < 100) \
             select x'00000000000000000000000000000000' tranship_message, 0 tranship_entity_no, n tranship_record, \
               0 tranship_state, n id, cast(n as text) price from n";
        for sql in [table, staging] {
            session.run(sql.to_owned()).await.expect("a statement");
        }
        let suspects = Suspects {
            fields: vec!["id".to_owned(), "price".to_owned()],
            conversions: Conversions::new(),
        };
        let key = LoadKey {
            load: Value::Id(Uuid::nil()),
            entity_no: Value::Int(0),
            staging: "s".to_owned(),
            table: "T".to_owned(),
        };
        suspects.among(&mut session, &key, 1, 100).await.expect("an answer")
    }

    #[tokio::test]
    async fn what_breaks_a_check_is_suspected() {
        let table = "create table t (id int primary key check (id <> 7), price decimal(18, 2) check (price < 99), \
             other text check (other is not null))";
        assert_eq!(
            suspects(table).await,
            Vec::<u64>::new(),
            "of the other column nothing is known, and all would break it"
        );
        let table = table.replace(
            ", other text check (other is not null)",
            ", other text check (other = 'a')",
        );
        assert_eq!(suspects(&table).await, [7, 99, 100]);
    }

    #[tokio::test]
    async fn a_target_that_cannot_be_asked_leaves_the_transaction_as_it_was() {
        let table = "create table t (id int, price text, check (id <> 7), check (abs(-9223372036854775807 - id) > 0))";
        assert_eq!(suspects(table).await, Vec::<u64>::new());
        assert_eq!(suspects("create table t (id int, price text)").await, Vec::<u64>::new());
    }
}
