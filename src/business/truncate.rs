//! Deleting the rows a load replaces (DMF-4): in the transaction in which its first records land, and once per load.

use super::control::{LoadKey, lock_target};
use super::dialect::{FaultKind, quote};
use super::policy::Truncate;
use super::session::{Fault, Session, Value, message_of};
use super::staging::Load;
use super::{BusinessError, Database};

/// The statement that deletes what a load replaces.
#[derive(Debug, Clone)]
pub(super) struct Truncation {
    sql: String,
    values: Vec<Value>,
}

impl Truncate {
    /// Continues a condition: row `alias` of the target stays. The company is value `number`.
    pub(super) fn spares(&self, alias: &str, number: usize) -> String {
        match self {
            Self::All => " and false".to_owned(),
            Self::Company { field, .. } => format!(" and {alias}.{} is distinct from ${number}", quote(field)),
        }
    }

    /// The values of such a condition.
    pub(super) fn values(&self) -> Vec<Value> {
        match self {
            Self::All => Vec::new(),
            Self::Company { company, .. } => vec![Value::Text(company.clone())],
        }
    }
}

impl Truncation {
    /// That of a load whose policy asks for it.
    pub(super) fn of(load: Load<'_>) -> Option<Self> {
        let replaced = load.policy.truncate.as_ref()?;
        let table = quote(&load.entity.table);
        let sql = match replaced {
            Truncate::All => format!("delete from {table}"),
            Truncate::Company { field, .. } => format!("delete from {table} where {} = $1", quote(field)),
        };
        Some(Self {
            sql,
            values: replaced.values(),
        })
    }

    /// Deletes the rows and marks the load with their number. `false` when the load has done so before.
    ///
    /// # Errors
    /// [`BusinessError::TruncateRefused`] when a rule of the database keeps one of the rows.
    pub(super) async fn run(&self, session: &mut Session, key: &LoadKey) -> Result<bool, Fault> {
        let sql = "select truncated from tranship_loads where message = $1 and entity_no = $2";
        let row = session.row(sql, key.with([])).await?.ok_or(sqlx::Error::RowNotFound)?;
        if row.opt_int(0)?.is_some() {
            return Ok(false);
        }
        let deleted = match session.execute(self.sql.clone(), self.values.clone()).await {
            Err(error) if session.dialect.kind(&error) == FaultKind::Record => {
                return Err(BusinessError::TruncateRefused {
                    table: key.table.clone(),
                    detail: message_of(&error),
                }
                .into());
            }
            done => done?,
        };
        let sql = "update tranship_loads set truncated = $3 where message = $1 and entity_no = $2";
        session.execute(sql, key.with([deleted.into()])).await?;
        Ok(true)
    }
}

impl Database {
    /// Deletes what a load without records replaces, once. Nothing for a load whose policy does not ask for it.
    ///
    /// # Errors
    /// [`BusinessError::TruncateRefused`] when a rule of the database keeps one of the rows.
    pub async fn truncate(&self, load: Load<'_>) -> Result<(), BusinessError> {
        let (key, truncation) = (LoadKey::new(load), Truncation::of(load));
        self.fenced(load.fence, move |session| {
            Box::pin(async move {
                if let Some(truncation) = truncation {
                    lock_target(session, &key).await?;
                    truncation.run(session, &key).await?;
                }
                Ok(())
            })
        })
        .await
    }
}
