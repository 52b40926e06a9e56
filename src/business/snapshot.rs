//! Consistent reads for exports: all entities of one export are read inside one transaction.

mod growth;
mod nested;
mod row;
mod unreadable;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use nested::NestedSelection;
pub use row::Row;
pub use unreadable::UnreadableCell;
pub(super) use unreadable::shown_bytes;

use self::growth::{GivenUp, Growth};
use super::cancel::Transaction;
use super::dialect::{Dialect, FaultKind, Purpose, quote};
use super::session::{BatchLimit, Session, StreamFault, Value, int, message_of};
use super::tracking::Elsewhere;
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
    /// Only these companies' rows, where the entity has a company field; empty: all.
    pub companies: &'a [String],
    /// How many rows at most, the first ones. What is told of changes has no limit.
    pub limit: Option<u64>,
}

/// The columns of one row of a short answer.
pub(super) type Texts = Vec<Option<String>>;

/// What is sent at once.
const BATCH: BatchLimit = BatchLimit {
    rows: 500,
    bytes: 1 << 20,
};

/// An open snapshot. Dropping it ends the transaction, in the middle of a statement if need be.
///
/// The transaction lives on a task of its own: a reader that is dropped half-way cannot leave a connection in the middle.
#[derive(Debug)]
pub struct Snapshot {
    database: Database,
    requests: mpsc::Sender<Request>,
    given_up: GivenUp,
    elsewhere: Elsewhere,
    /// Ends what is under way. Behind `requests`, so that whoever serves them sees their end first.
    _over: DropGuard,
}

#[derive(Debug)]
struct Request {
    sql: String,
    values: Vec<Value>,
    rows: mpsc::Sender<Vec<Row>>,
    answer: oneshot::Sender<Result<u64, StreamFault>>,
}

impl Database {
    /// Opens a snapshot: REPEATABLE READ, read only on PostgreSQL; a read transaction on SQLite.
    pub async fn snapshot(&self) -> Result<Snapshot, BusinessError> {
        self.open_watched(None).await
    }

    /// The same, but on SQLite it is given up when the write-ahead log has grown by more than this since: every use of it then ends in
    /// [`BusinessError::LogGrown`], what is under way included.
    pub async fn snapshot_within(&self, max_wal_bytes: u64) -> Result<Snapshot, BusinessError> {
        self.open_watched(Some(max_wal_bytes)).await
    }

    async fn open_watched(&self, max_wal_bytes: Option<u64>) -> Result<Snapshot, BusinessError> {
        let elsewhere = self.elsewhere().await;
        let (requests, inbox) = mpsc::channel::<Request>(1);
        let (opened, is_open) = oneshot::channel();
        let (database, given_up) = (self.clone(), GivenUp::default());
        let watched = self.inner.address.write_ahead_log().zip(max_wal_bytes);
        let flag = Arc::clone(&given_up);
        let over = CancellationToken::new();
        let guard = over.clone().drop_guard();
        tokio::spawn(async move {
            // Looked at before the snapshot, which keeps what comes after.
            let growth = match watched {
                Some((log, max_bytes)) => Some(Growth::begin(log, max_bytes, Arc::clone(&flag)).await),
                None => None,
            };
            let (mut session, transaction) = match database.open_snapshot().await {
                Ok(opened) => opened,
                Err(error) => return drop(opened.send(Err(error))),
            };
            // A statement that sorts has no rows for a while, and would not notice that nobody waits for them.
            let is_over = over.clone();
            let interrupted = session.interrupt_when(move || is_over.is_cancelled() || flag.get().is_some());
            if let Err(error) = interrupted.await {
                return drop(opened.send(Err(database.settle(error.into()))));
            }
            let given_up = async {
                match growth {
                    Some(growth) => growth.passes().await,
                    None => std::future::pending().await,
                }
            };
            if opened.send(Ok(())).is_ok() {
                tokio::select! {
                    biased;
                    () = serve(&mut session, inbox) => {}
                    () = over.cancelled() => {}
                    () = given_up => {}
                }
            }
            if session.is_under_way() {
                // Then it is dropped, and takes its connection with it.
                return database.cancel(&transaction).await;
            }
            if session.never_interrupt().await.is_ok() {
                session.finish().await;
            }
        });
        is_open
            .await
            .map_err(|_| self.settle(sqlx::Error::WorkerCrashed.into()))??;
        Ok(Snapshot {
            database: self.clone(),
            requests,
            given_up,
            elsewhere,
            _over: guard,
        })
    }

    async fn open_snapshot(&self) -> Result<(Session, Transaction), BusinessError> {
        let settle = |error: sqlx::Error| self.settle(error.into());
        let mut session = Session::begin(&self.reader().await?, Purpose::Snapshot)
            .await
            .map_err(settle)?;
        // Both databases take the snapshot with the first statement that reads, not with `begin`.
        let seen = session.row(self.dialect().first_look(), Vec::new()).await;
        let seen = seen.and_then(|row| Transaction::of(&row.ok_or(sqlx::Error::RowNotFound)?));
        Ok((session, seen.map_err(settle)?))
    }

    /// Asks the database to plan a selection, so that a broken filter is found before the first run.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] with the database's own words.
    pub async fn check_selection(&self, selection: Selection<'_>) -> Result<(), BusinessError> {
        let query = select(self.dialect(), selection)?;
        self.check_query(selection.entity, query).await
    }

    /// The same for the selections of a composite entity together.
    ///
    /// # Errors
    /// As [`check_selection`](Self::check_selection).
    pub async fn check_nested(&self, parts: &[NestedSelection<'_>]) -> Result<(), BusinessError> {
        let (Some(query), Some(first)) = (nested::select(self.dialect(), parts)?, parts.first()) else {
            return Ok(());
        };
        self.check_query(first.selection.entity, query).await
    }

    async fn check_query(&self, entity: &Entity, (sql, values): Query) -> Result<(), BusinessError> {
        let sql = format!("{} {sql}", self.dialect().explain());
        let planned = self.read(move |session| Box::pin(async move { Ok(session.rows(sql, values).await.map(drop)?) }));
        planned.await.map_err(|error| about(entity, error))
    }
}

/// Answers requests until nobody can send any.
async fn serve(session: &mut Session, mut inbox: mpsc::Receiver<Request>) {
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

impl Snapshot {
    /// Streams the selection into `rows`, a bounded channel, in batches of at most 500 rows and about 1 MiB of text; ends when the receiver is gone.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] for a selection the database does not understand, with its own words.
    pub async fn read(&mut self, selection: Selection<'_>, rows: mpsc::Sender<Vec<Row>>) -> Result<u64, BusinessError> {
        let query = select(self.database.dialect(), selection)?;
        self.stream(selection.entity, query, rows).await
    }

    /// Streams the records of a composite entity: each followed by those that stand in it. The first cell of a row is the
    /// position of its part; behind the fields of that stand empty cells, up to the width of the widest part. Returns how many
    /// rows there were of all parts.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_nested(
        &mut self,
        parts: &[NestedSelection<'_>],
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        let (Some(query), Some(first)) = (nested::select(self.database.dialect(), parts)?, parts.first()) else {
            return Ok(0);
        };
        self.stream(first.selection.entity, query, rows).await
    }

    /// Whether it was given up because the write-ahead log had grown too far.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.given_up.get().is_some()
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    /// What was open in other databases of the server when it was opened.
    pub(super) fn elsewhere(&self) -> &Elsewhere {
        &self.elsewhere
    }

    /// All rows of a bounded result whose columns are texts.
    pub(super) async fn ask(&mut self, sql: String, values: Vec<Value>) -> Result<Vec<Texts>, BusinessError> {
        let (sender, mut batches) = mpsc::channel(1);
        let asking = self.run((sql, values), sender);
        let collecting = async {
            let mut rows = Vec::new();
            while let Some(batch) = batches.recv().await {
                rows.extend(batch.iter().map(texts));
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
        query: Query,
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        self.run(query, rows).await.map_err(|error| about(entity, error))
    }

    async fn run(&mut self, (sql, values): Query, rows: mpsc::Sender<Vec<Row>>) -> Result<u64, BusinessError> {
        let (answer, outcome) = oneshot::channel();
        let request = Request {
            sql,
            values,
            rows,
            answer,
        };
        let outcome = match self.requests.send(request).await {
            Ok(()) => outcome.await.unwrap_or(Err(sqlx::Error::WorkerCrashed.into())),
            Err(_) => Err(sqlx::Error::WorkerCrashed.into()),
        };
        outcome.map_err(|fault| self.failed(fault))
    }

    /// What a failure means: nothing but that, where the snapshot was given up meanwhile.
    fn failed(&self, fault: StreamFault) -> BusinessError {
        let database = self.database.name().to_owned();
        match (self.given_up.get(), fault) {
            (Some(&grown_bytes), _) => BusinessError::LogGrown { database, grown_bytes },
            (None, StreamFault::Unreadable(cell)) => BusinessError::Unreadable { database, cell },
            // The same read would meet the same value.
            (None, StreamFault::Driver(error)) if self.dialect().kind(&error) == FaultKind::Record => {
                BusinessError::ValueRefused(format!("business database `{database}`: {}", message_of(&error)))
            }
            (None, StreamFault::Driver(error)) => self.database.settle(error.into()),
        }
    }
}

fn texts(row: &Row) -> Texts {
    row.cells().map(|cell| cell.map(str::to_owned)).collect()
}

fn about(entity: &Entity, error: BusinessError) -> BusinessError {
    match error {
        BusinessError::Definition(detail) => {
            BusinessError::Definition(format!("selection of entity `{}`: {detail}", entity.name))
        }
        BusinessError::ValueRefused(detail) => BusinessError::ValueRefused(format!(
            "a value of entity `{}` cannot be read, or does not fit its filter: {detail}; correct it in table `{}`, or \
             leave its field out (`fields`)",
            entity.name, entity.table
        )),
        other => other,
    }
}

/// A statement and its values.
pub(super) type Query = (String, Vec<Value>);

/// The statement of a selection. Names are quoted, companies are bound; the filter is the operator's own SQL.
fn select(dialect: Dialect, selection: Selection<'_>) -> Result<Query, BusinessError> {
    let mut values = Vec::new();
    let columns = canonical_columns(dialect, selection)?.join(", ");
    let (table, condition) = (quote(&selection.entity.table), condition(selection, &mut values));
    let sql = format!("select {columns} from {table} t{condition} {}", ending(selection)?);
    Ok((sql, values))
}

/// The fields as canonical text, of a table called `t`.
pub(super) fn canonical_columns(dialect: Dialect, selection: Selection<'_>) -> Result<Vec<String>, BusinessError> {
    let entity = selection.entity;
    let column = |name: &String| {
        let field = entity.field(name).ok_or_else(|| no_field(entity, name))?;
        // Always with the table's name: SQLite takes a quoted name that is no column for a text.
        Ok(dialect.canonical(&field.kind, &format!("t.{}", quote(name))))
    };
    selection.fields.iter().map(column).collect()
}

/// How the statement of a selection ends.
pub(super) fn ending(selection: Selection<'_>) -> Result<String, BusinessError> {
    let order = order(selection)?.join(", ");
    let limit = selection
        .limit
        .map(|rows| format!(" limit {}", int(rows)))
        .unwrap_or_default();
    Ok(format!("order by {order}{limit}"))
}

/// What a selection is ordered by, of a table called `t`.
fn order(selection: Selection<'_>) -> Result<Vec<String>, BusinessError> {
    let Selection { entity, order_by, .. } = selection;
    let order = if order_by.is_empty() { &entity.key } else { order_by };
    if let Some(name) = order.iter().find(|name| entity.field(name).is_none()) {
        return Err(no_field(entity, name));
    }
    Ok(order.iter().map(|name| format!("t.{}", quote(name))).collect())
}

/// Which rows, of a table called `t`.
pub(super) fn condition(selection: Selection<'_>, values: &mut Vec<Value>) -> String {
    let mut conditions = Vec::new();
    if let (Some(field), false) = (&selection.entity.company_field, selection.companies.is_empty()) {
        let mut placeholders = Vec::new();
        for company in selection.companies {
            values.push(Value::Text(company.clone()));
            placeholders.push(format!("${}", values.len()));
        }
        conditions.push(format!("t.{} in ({})", quote(field), placeholders.join(", ")));
    }
    if let Some(filter) = selection.filter {
        // The line break ends a comment the filter may end with.
        conditions.push(format!("({filter}\n)"));
    }
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" where {}", conditions.join(" and "))
    }
}

pub(super) fn no_field(entity: &Entity, name: &str) -> BusinessError {
    BusinessError::Definition(format!("entity `{}` has no field `{name}`", entity.name))
}
