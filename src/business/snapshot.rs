//! Consistent reads for exports: all entities of one export are read inside one transaction.

use tokio::sync::{mpsc, oneshot};

use super::dialect::{Dialect, Purpose, quote};
use super::session::{BatchLimit, Session, Value};
use super::{BusinessError, Database};
use crate::domain::entity::Entity;

/// What to read of one entity.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The entity.
    pub entity: &'a Entity,
    /// Fields in output order.
    pub fields: &'a [String],
    /// The operator's SQL condition, from the definition.
    pub filter: Option<&'a str>,
    /// Fields to order by.
    pub order_by: &'a [String],
    /// Only this company's rows, where the entity has a company field.
    pub company: Option<&'a str>,
}

/// One row: canonical text per field (see [`crate::domain::cell::Cell`]; truth values as `Yes` and `No`, FMT-13), or
/// nothing.
pub type Row = Vec<Option<String>>;

/// What is sent at once.
const BATCH: BatchLimit = BatchLimit {
    rows: 500,
    bytes: 1 << 20,
};

/// An open snapshot. Dropping it ends the transaction.
///
/// The transaction lives on a task of its own: a reader that is dropped half-way cannot leave a connection in the middle.
#[derive(Debug)]
pub struct Snapshot {
    database: Database,
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Request {
    sql: String,
    values: Vec<Value>,
    rows: mpsc::Sender<Vec<Row>>,
    answer: oneshot::Sender<Result<u64, sqlx::Error>>,
}

impl Database {
    /// Opens a snapshot: REPEATABLE READ, read only on PostgreSQL; a read transaction on SQLite.
    pub async fn snapshot(&self) -> Result<Snapshot, BusinessError> {
        let (requests, mut inbox) = mpsc::channel::<Request>(1);
        let (opened, is_open) = oneshot::channel();
        let database = self.clone();
        tokio::spawn(async move {
            let mut session = match database.open_snapshot().await {
                Ok(session) => session,
                Err(error) => return drop(opened.send(Err(error))),
            };
            if opened.send(Ok(())).is_ok() {
                while let Some(Request {
                    sql,
                    values,
                    rows,
                    answer,
                }) = inbox.recv().await
                {
                    // Nobody may be waiting for the answer any more; the next request, or the end, comes all the same.
                    let _ = answer.send(session.stream(sql, values, BATCH, &rows).await);
                }
            }
            session.finish().await;
        });
        is_open
            .await
            .map_err(|_| self.settle(sqlx::Error::WorkerCrashed.into()))??;
        Ok(Snapshot {
            database: self.clone(),
            requests,
        })
    }

    async fn open_snapshot(&self) -> Result<Session, BusinessError> {
        let settle = |error: sqlx::Error| self.settle(error.into());
        let mut session = Session::begin(&self.reader().await?, Purpose::Snapshot)
            .await
            .map_err(settle)?;
        // Both databases take the snapshot with the first statement that reads, not with `begin`.
        session.run(self.dialect().first_look()).await.map_err(settle)?;
        Ok(session)
    }

    /// Asks the database to plan a selection, so that a broken filter is found before the first run.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] with the database's own words.
    pub async fn check_selection(&self, selection: Selection<'_>) -> Result<(), BusinessError> {
        let (sql, values) = select(self.dialect(), selection)?;
        let sql = format!("{} {sql}", self.dialect().explain());
        let planned = self.read(move |session| Box::pin(async move { Ok(session.rows(sql, values).await.map(drop)?) }));
        planned.await.map_err(|error| about(selection.entity, error))
    }
}

impl Snapshot {
    /// Streams the selection into `rows`, a bounded channel, in batches of at most 500 rows and about 1 MiB of text; ends when the receiver is gone.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] for a selection the database does not understand, with its own words.
    pub async fn read(&mut self, selection: Selection<'_>, rows: mpsc::Sender<Vec<Row>>) -> Result<u64, BusinessError> {
        let (sql, values) = select(self.database.dialect(), selection)?;
        self.stream(selection.entity, sql, values, rows).await
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    /// All rows of a bounded result whose columns are texts.
    pub(super) async fn ask(&mut self, sql: String, values: Vec<Value>) -> Result<Vec<Row>, BusinessError> {
        let (sender, mut batches) = mpsc::channel(1);
        let asking = self.run(sql, values, sender);
        let collecting = async {
            let mut rows = Vec::new();
            while let Some(batch) = batches.recv().await {
                rows.extend(batch);
            }
            rows
        };
        let (asked, rows) = tokio::join!(asking, collecting);
        asked.map(|_| rows)
    }

    /// Streams the rows of a statement about an entity, whose columns are texts.
    pub(super) async fn stream(
        &mut self,
        entity: &Entity,
        sql: String,
        values: Vec<Value>,
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        self.run(sql, values, rows).await.map_err(|error| about(entity, error))
    }

    async fn run(
        &mut self,
        sql: String,
        values: Vec<Value>,
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        let gone = || self.database.settle(sqlx::Error::WorkerCrashed.into());
        let (answer, outcome) = oneshot::channel();
        self.requests
            .send(Request {
                sql,
                values,
                rows,
                answer,
            })
            .await
            .map_err(|_| gone())?;
        let outcome = outcome.await.map_err(|_| gone())?;
        outcome.map_err(|error| self.database.settle(error.into()))
    }
}

fn about(entity: &Entity, error: BusinessError) -> BusinessError {
    match error {
        BusinessError::Definition(detail) => {
            BusinessError::Definition(format!("selection of entity `{}`: {detail}", entity.name))
        }
        other => other,
    }
}

/// The statement of a selection. Names are quoted, the company is bound; the filter is the operator's own SQL.
fn select(dialect: Dialect, selection: Selection<'_>) -> Result<(String, Vec<Value>), BusinessError> {
    let Selection {
        entity,
        fields,
        filter,
        order_by,
        company,
    } = selection;
    let unknown = |name: &str| BusinessError::Definition(format!("entity `{}` has no field `{name}`", entity.name));
    let mut columns = Vec::with_capacity(fields.len());
    for name in fields {
        let field = entity.field(name).ok_or_else(|| unknown(name))?;
        // Always with the table's name: SQLite takes a quoted name that is no column for a text.
        columns.push(dialect.canonical(&field.kind, &format!("t.{}", quote(name))));
    }
    let order = if order_by.is_empty() { &entity.key } else { order_by };
    if let Some(name) = order.iter().find(|name| entity.field(name).is_none()) {
        return Err(unknown(name));
    }
    let order: Vec<_> = order.iter().map(|name| format!("t.{}", quote(name))).collect();
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    if let (Some(company), Some(field)) = (company, &entity.company_field) {
        conditions.push(format!("t.{} = $1", quote(field)));
        values.push(Value::Text(company.to_owned()));
    }
    if let Some(filter) = filter {
        // The line break ends a comment the filter may end with.
        conditions.push(format!("({filter}\n)"));
    }
    let condition = if conditions.is_empty() {
        String::new()
    } else {
        format!(" where {}", conditions.join(" and "))
    };
    let (columns, order) = (columns.join(", "), order.join(", "));
    Ok((
        format!(
            "select {columns} from {} t{condition} order by {order}",
            quote(&entity.table)
        ),
        values,
    ))
}
