//! A business database as it was before the first load, as far as it is Tranship's: what the sandbox goes back to.
//!
//! Tables that were made here are emptied; others are left as they are, whatever was loaded into them. What the control tables
//! say of other messages stays: another service may share the database.

use super::catalogue::columns;
use super::control::lock_schema;
use super::dialect::quote;
use super::session::{Fault, Session, Value};
use super::{BusinessError, Database};
use crate::domain::entity::Entity;
use crate::domain::ids::MessageId;

/// What the control tables say of one load.
const OF_LOADS: [&str; 5] = [
    "tranship_rejects",
    "tranship_repairs",
    "tranship_warnings",
    "tranship_chunks",
    "tranship_loads",
];

/// What became of the table of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emptied {
    /// It had this many rows.
    Rows(u64),
    /// It is somebody else's: it was there before anything was loaded into it.
    NotOurs,
    /// It is not there yet.
    NotMade,
}

impl Database {
    /// Empties the tables of these entities that were made here, and forgets which message wrote what and which number comes next.
    /// All or nothing. What became of each, in their order.
    ///
    /// # Errors
    /// [`BusinessError`]; nothing is emptied.
    pub async fn empty_made_tables(&self, entities: &[&Entity]) -> Result<Vec<Emptied>, BusinessError> {
        if self.is_yet_to_be_made() {
            return Ok(vec![Emptied::NotMade; entities.len()]);
        }
        self.ensure_control_tables().await?;
        let entities: Vec<Entity> = entities.iter().map(|entity| (*entity).clone()).collect();
        self.write(move |session| {
            Box::pin(async move {
                lock_schema(session).await?;
                let mut emptied = Vec::with_capacity(entities.len());
                for entity in &entities {
                    emptied.push(empty(session, entity).await?);
                }
                Ok(emptied)
            })
        })
        .await
    }

    /// Forgets what is staged of these messages. None of them may be worked on any more.
    ///
    /// # Errors
    /// [`BusinessError`]
    pub async fn forget_loads(&self, messages: &[MessageId]) -> Result<(), BusinessError> {
        if self.is_yet_to_be_made() || messages.is_empty() {
            return Ok(());
        }
        self.ensure_control_tables().await?;
        for message in messages {
            let id = Value::Id(message.0);
            self.write(move |session| Box::pin(forget(session, id))).await?;
        }
        Ok(())
    }
}

async fn empty(session: &mut Session, entity: &Entity) -> Result<Emptied, Fault> {
    let last_writes = entity.last_write_table();
    if !columns(session, &last_writes).await?.is_empty() {
        session.run(format!("delete from {}", quote(&last_writes))).await?;
    }
    if columns(session, &entity.table).await?.is_empty() {
        return Ok(Emptied::NotMade);
    }
    let sql = "select name from tranship_made_tables where name = $1";
    let made = session.row(sql, vec![Value::Text(entity.table.clone())]).await?;
    if made.is_none() || !entity.create_table {
        return Ok(Emptied::NotOurs);
    }
    let sql = "delete from tranship_numbers where entity = $1";
    session.execute(sql, vec![Value::Text(entity.name.clone())]).await?;
    let sql = format!("delete from {}", quote(&entity.table));
    Ok(Emptied::Rows(session.execute(sql, Vec::new()).await?))
}

async fn forget(session: &mut Session, message: Value) -> Result<(), Fault> {
    let sql = "select distinct staging from tranship_loads where message = $1";
    for row in session.rows(sql, vec![message.clone()]).await? {
        let staging = row.text(0)?;
        if !columns(session, &staging).await?.is_empty() {
            let sql = format!("delete from {} where tranship_message = $1", quote(&staging));
            session.execute(sql, vec![message.clone()]).await?;
        }
    }
    for table in OF_LOADS {
        let sql = format!("delete from {table} where message = $1");
        session.execute(sql, vec![message.clone()]).await?;
    }
    Ok(())
}
