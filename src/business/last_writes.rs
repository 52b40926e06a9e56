//! Which message last wrote a key: a table beside the target, for entities that are loaded in order (promise 5).
//!
//! It is written in the transaction that writes the keys, by every load of such an entity, whatever its job: only loads that
//! are kept in order ask it. A key it does not know was written before anybody took note, so any message is newer. A
//! deleted key stays in it, so that a late record does not bring the row back.

use super::catalogue::columns;
use super::control::{LoadKey, lock_schema};
use super::dialect::{Dialect, quote};
use super::session::{Fault, Session, Value};
use super::staging::{GOOD_IN_RANGE, Load};
use super::{BusinessError, Database};
use crate::domain::entity::Entity;

/// The statement that notes what a load writes.
pub(super) struct LastWrites {
    sql: String,
    values: [Value; 2],
}

impl LastWrites {
    pub(super) fn of(load: Load<'_>) -> Option<Self> {
        let order = load.order?;
        let entity = load.entity;
        let (noted, staging) = (quote(&entity.last_write_table()), quote(&entity.staging_table()));
        let key: Vec<String> = entity.key.iter().map(|name| quote(name)).collect();
        let staged: Vec<String> = key.iter().map(|name| format!("s.{name}")).collect();
        let (key, staged) = (key.join(", "), staged.join(", "));
        // The newest stays: a forced record does not make those between it and the newest the newer ones.
        let sql = format!(
            "insert into {noted} as w ({key}, tranship_store, tranship_sequence) \
             select {staged}, cast($5 as text), cast($6 as bigint) from {staging} s where {GOOD_IN_RANGE} \
             on conflict ({key}) do update set tranship_store = excluded.tranship_store, \
               tranship_sequence = excluded.tranship_sequence \
             where w.tranship_store <> excluded.tranship_store or w.tranship_sequence < excluded.tranship_sequence"
        );
        Some(Self {
            sql,
            values: [Value::Text(order.store.to_owned()), Value::Int(order.sequence)],
        })
    }

    /// Notes the good rows of a range, all of which have landed.
    pub(super) async fn note(&self, session: &mut Session, key: &LoadKey, first: u64, last: u64) -> Result<(), Fault> {
        let range = [first.into(), last.into()];
        let values = key.with(range.into_iter().chain(self.values.clone()));
        session.execute(self.sql.clone(), values).await?;
        Ok(())
    }
}

impl Database {
    /// Makes the table of last writes where it is missing. One of another key is made anew: what it says is of other records.
    pub async fn ensure_last_writes(&self, entity: &Entity) -> Result<(), BusinessError> {
        let wanted = entity.clone();
        self.write(move |session| {
            Box::pin(async move {
                lock_schema(session).await?;
                let name = wanted.last_write_table();
                let there = columns(session, &name).await?;
                let expected = expected(session.dialect, &wanted);
                let fits = there.len() == expected.len()
                    && there.iter().zip(&expected).all(|(column, (name, kind))| {
                        column.name == *name && column.declared.eq_ignore_ascii_case(kind)
                    });
                if fits {
                    session.discard();
                    return Ok(());
                }
                if !there.is_empty() {
                    session.run(format!("drop table {}", quote(&name))).await?;
                }
                session.run(create(&wanted, &expected)).await?;
                Ok(())
            })
        })
        .await
    }
}

/// Names and types of its columns, in order.
fn expected(dialect: Dialect, entity: &Entity) -> Vec<(String, &'static str)> {
    let key = entity.key.iter().filter_map(|name| entity.field(name));
    let key = key.map(|field| (field.name.clone(), dialect.staging_type(&field.kind)));
    key.chain([
        ("tranship_store".to_owned(), "text"),
        ("tranship_sequence".to_owned(), "bigint"),
    ])
    .collect()
}

fn create(entity: &Entity, columns: &[(String, &'static str)]) -> String {
    let columns: Vec<String> = columns
        .iter()
        .map(|(name, kind)| format!("{} {kind} not null", quote(name)))
        .collect();
    let key: Vec<String> = entity.key.iter().map(|name| quote(name)).collect();
    format!(
        "create table {} ({}, primary key ({}))",
        quote(&entity.last_write_table()),
        columns.join(", "),
        key.join(", ")
    )
}
