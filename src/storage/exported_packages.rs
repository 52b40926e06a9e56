//! Packages that clients asked for by the package API: where each lies in the blob host, and whether it was fetched.
//!
//! One is written in the transaction that ends its run, with its positions (promise 7). It is delivered once every byte of it was
//! sent; when it expires before, its positions are lost and the next run begins before it.

use uuid::Uuid;

use super::dialect::sql;
use super::dmf_blobs::take_upload;
use super::pool::{Tx, execute, fetch_all, fetch_optional};
use super::positions::PositionState;
use super::rows::{corrupt, stored, unsigned};
use super::{Store, StoreError};
use crate::domain::dmf::BlobPath;
use crate::domain::ids::{BlobKey, ExecutionId, JobId};
use crate::domain::message::Digest;
use crate::domain::sent_parts::SentParts;
use crate::domain::time::Timestamp;

/// What a package is, as downloads say it.
const CONTENT_TYPE: &str = "application/zip";
const COLUMNS: &str = "execution, job, due_at, path, bytes, expires_at, fetched_at";

/// A package as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedPackage {
    /// The execution that made it.
    pub execution: ExecutionId,
    /// The job.
    pub job: JobId,
    /// The due time of its run.
    pub due_at: Timestamp,
    /// Where it is in the blob host.
    pub path: BlobPath,
    /// Its length.
    pub bytes: u64,
    /// From when on it is not there.
    pub expires_at: Timestamp,
    /// When every byte of it had been sent.
    pub fetched_at: Option<Timestamp>,
}

/// A package that is durable and about to be written with the end of its run.
#[derive(Debug, Clone)]
pub struct NewPackage {
    /// The client that asked for it.
    pub client: String,
    /// Where it will be.
    pub path: BlobPath,
    /// Where its bytes are; the upload's row is open.
    pub key: BlobKey,
    /// How many.
    pub bytes: u64,
    /// Their SHA-256.
    pub digest: Digest,
    /// Their MD5.
    pub md5: [u8; 16],
    /// It is kept until then.
    pub expires_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct PackageRow {
    execution: String,
    job: Uuid,
    due_at: i64,
    path: String,
    bytes: i64,
    expires_at: i64,
    fetched_at: Option<i64>,
}

impl TryFrom<PackageRow> for ExportedPackage {
    type Error = StoreError;

    fn try_from(row: PackageRow) -> Result<Self, StoreError> {
        let path = BlobPath::read(&row.path);
        let bad = || corrupt("exported_packages", "path", &row.execution, "no path of a blob");
        Ok(Self {
            path: path.ok_or_else(bad)?,
            bytes: unsigned("exported_packages", "bytes", &row.execution, row.bytes)?,
            execution: ExecutionId(row.execution),
            job: JobId(row.job),
            due_at: Timestamp(row.due_at),
            expires_at: Timestamp(row.expires_at),
            fetched_at: row.fetched_at.map(Timestamp),
        })
    }
}

impl Store {
    /// The package of an execution, also when it is no longer kept.
    pub async fn exported_package(&self, execution: &ExecutionId) -> Result<Option<ExportedPackage>, StoreError> {
        let text = format!("select {COLUMNS} from exported_packages where execution = $1");
        let row = fetch_optional!(self.reader(), PackageRow, sql(text), execution.0.as_str())?;
        row.map(ExportedPackage::try_from).transpose()
    }

    /// The packages of a job's runs that were due between two times.
    pub(super) async fn packages_between(
        &self,
        job: JobId,
        (first, last): (Timestamp, Timestamp),
    ) -> Result<Vec<ExportedPackage>, StoreError> {
        let text = format!("select {COLUMNS} from exported_packages where job = $1 and due_at between $2 and $3");
        let (first, last) = (first.micros(), last.micros());
        let rows: Vec<PackageRow> = fetch_all!(self.reader(), PackageRow, sql(text), job.0, first, last)?;
        rows.into_iter().map(ExportedPackage::try_from).collect()
    }

    /// What became of the package of a run, as its positions have it: nothing yet, fetched, or gone before that.
    pub(super) async fn end_of_package(
        &self,
        job: JobId,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Result<Option<PositionState>, StoreError> {
        let found = self.packages_between(job, (due_at, due_at)).await?;
        Ok(match found.first() {
            Some(package) if package.fetched_at.is_some() => Some(PositionState::Delivered),
            Some(package) if package.expires_at > now => None,
            _ => Some(PositionState::Lost),
        })
    }

    /// Notes that a part of the package at a path was sent, from `first` up to `end`. When that was the last one missing, the
    /// changes in it are delivered. Whether that is so now.
    pub async fn note_package_sent(
        &self,
        path: &BlobPath,
        (first, end): (u64, u64),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let path = path.clone();
        self.write(move |tx| Box::pin(async move { note_sent(tx, &path, (first, end), now).await }))
            .await
    }
}

async fn note_sent(tx: &mut Tx, path: &BlobPath, (first, end): (u64, u64), now: Timestamp) -> Result<bool, StoreError> {
    type Row = (Uuid, i64, i64, String, Option<i64>);
    let lock = tx.dialect().lock_row();
    let text = format!("select job, due_at, bytes, sent, fetched_at from exported_packages where path = $1{lock}");
    let found: Option<Row> = fetch_optional!(tx.db(), Row, sql(text), path.as_str())?;
    let Some((job, due_at, bytes, sent, None)) = found else {
        return Ok(found.is_some());
    };
    let bad = |_| corrupt("exported_packages", "sent", path, "not what was written");
    let mut sent: SentParts = serde_json::from_str(&sent).map_err(bad)?;
    sent.add(first, end);
    let is_whole = sent.are_all_of(unsigned("exported_packages", "bytes", &path, bytes)?);
    let text = "update exported_packages set sent = $2, fetched_at = $3 where path = $1";
    let fetched_at = is_whole.then(|| now.micros());
    execute!(
        tx.db(),
        text,
        path.as_str(),
        serde_json::json!(sent).to_string(),
        fetched_at
    )?;
    if is_whole {
        let text =
            "update export_positions set state = 'delivered' where job = $1 and due_at = $2 and state = 'queued'";
        execute!(tx.db(), text, job, due_at)?;
    }
    Ok(is_whole)
}

/// Writes a package with its blob, in the transaction that ends its run.
///
/// # Errors
/// [`StoreError::Conflict`] when the upload was given up meanwhile: the run must begin again.
pub(super) async fn insert(
    tx: &mut Tx,
    (job, due_at, execution): (JobId, Timestamp, &ExecutionId),
    package: &NewPackage,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (path, key, bytes) = (package.path.as_str(), package.key.0.as_str(), stored(package.bytes));
    if !take_upload(tx, &package.key).await? {
        return Err(StoreError::Conflict {
            what: "upload",
            id: key.to_owned(),
            state: "given up".to_owned(),
        });
    }
    let text = "insert into dmf_blobs (path, client, created_at, expires_at, key, bytes, digest, md5, content_type, written_at) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $3)";
    execute!(
        tx.db(),
        text,
        path,
        package.client.as_str(),
        now.micros(),
        package.expires_at.micros(),
        key,
        bytes,
        package.digest.0.as_slice(),
        package.md5.as_slice(),
        CONTENT_TYPE
    )?;
    let text = "insert into exported_packages (execution, job, due_at, path, bytes, expires_at) values ($1, $2, $3, $4, $5, $6)";
    let execution = execution.0.as_str();
    execute!(
        tx.db(),
        text,
        execution,
        job.0,
        due_at.micros(),
        path,
        bytes,
        package.expires_at.micros()
    )?;
    Ok(())
}
