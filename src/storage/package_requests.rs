//! What clients asked of executions by the package API: written in the transaction that creates the execution, so that an id can
//! be polled before the submit is answered, and that a repeated submit runs nothing twice (PKG-11a, PKG-11h, PKG-13).

use super::pool::{Tx, execute, fetch_optional};
use super::runs::insert_execution;
use super::{Store, StoreError};
use crate::domain::ids::{ExecutionId, JobId, MessageId};
use crate::domain::time::Timestamp;

const COLUMNS: &str = "execution, client, action, project, asked, asked_at";

/// One submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRequest {
    /// The id it runs under: the client's, verbatim, or one of ours.
    pub execution: ExecutionId,
    /// Who asked.
    pub client: String,
    /// The action, without its namespace.
    pub action: String,
    /// The data project as the client wrote it.
    pub project: String,
    /// The other parameters that count: a JSON object, the same text for the same parameters.
    pub asked: String,
    /// When.
    pub asked_at: Timestamp,
}

/// What became of a submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submit {
    /// It is written down; what runs it is to be created.
    New,
    /// The same client asked for the very same under this id before: nothing is to be done (PKG-11h).
    Repeated,
    /// The id belongs to something else.
    Taken,
}

impl PackageRequest {
    /// Whether the other one asks for the very same (PKG-11h).
    #[must_use]
    pub fn is_repeated_by(&self, other: &Self) -> bool {
        (&self.client, &self.action, &self.project, &self.asked)
            == (&other.client, &other.action, &other.project, &other.asked)
    }
}

impl Store {
    /// What was asked of an execution, if it was asked for by the package API.
    pub async fn package_request(&self, execution: &ExecutionId) -> Result<Option<PackageRequest>, StoreError> {
        let text = format!("select {COLUMNS} from package_requests where execution = $1");
        let text = super::dialect::sql(text);
        let row = fetch_optional!(self.reader(), RequestRow, text, execution.0.as_str())?;
        Ok(row.map(PackageRequest::from))
    }

    /// What was asked of the import of this message: also of an attempt that has an execution of its own.
    pub async fn package_request_of(&self, message: MessageId) -> Result<Option<PackageRequest>, StoreError> {
        let text = format!("select {COLUMNS} from package_requests where message = $1");
        let row = fetch_optional!(self.reader(), RequestRow, super::dialect::sql(text), message.0)?;
        Ok(row.map(PackageRequest::from))
    }
}

/// Creates the execution a client asks for and notes what it asked, unless there is an execution of this id.
///
/// Who takes the same id at the same moment waits here until this transaction ends.
pub(super) async fn submit(
    tx: &mut Tx,
    request: &PackageRequest,
    job: JobId,
    message: Option<MessageId>,
) -> Result<Submit, StoreError> {
    let execution = request.execution.0.as_str();
    if insert_execution(tx, &request.execution, job, message, request.asked_at).await? == 0 {
        let text = super::dialect::sql(format!("select {COLUMNS} from package_requests where execution = $1"));
        let before = fetch_optional!(tx.db(), RequestRow, text, execution)?.map(PackageRequest::from);
        let is_repeated = before.is_some_and(|before| request.is_repeated_by(&before));
        return Ok(if is_repeated { Submit::Repeated } else { Submit::Taken });
    }
    let text = "insert into package_requests (execution, client, action, project, asked, asked_at, message) \
                values ($1, $2, $3, $4, $5, $6, $7)";
    execute!(
        tx.db(),
        text,
        execution,
        request.client.as_str(),
        request.action.as_str(),
        request.project.as_str(),
        request.asked.as_str(),
        request.asked_at.micros(),
        message.map(|id| id.0)
    )?;
    Ok(Submit::New)
}

#[derive(sqlx::FromRow)]
struct RequestRow {
    execution: String,
    client: String,
    action: String,
    project: String,
    asked: String,
    asked_at: i64,
}

impl From<RequestRow> for PackageRequest {
    fn from(row: RequestRow) -> Self {
        Self {
            execution: ExecutionId(row.execution),
            client: row.client,
            action: row.action,
            project: row.project,
            asked: row.asked,
            asked_at: Timestamp(row.asked_at),
        }
    }
}
