//! The end of a run that a client asked for by the package API: its package goes to the blob host, in the transaction that ends the
//! run and moves the positions, so that `Succeeded` means the package can be fetched (PKG-21).

use super::requested::Requested;
use super::{Context, Written};
use crate::domain::dmf::BlobPath;
use crate::domain::job::Job;
use crate::failpoint;
use crate::pipeline::blob_host;
use crate::pipeline::payload::StoredPayload;
use crate::pipeline::stop::Stop;
use crate::storage::enqueue::NewPayload;
use crate::storage::exported_packages::NewPackage;
use crate::storage::occurrences::{ExportOutcome, Occurrence};

pub(super) async fn hand_over(
    context: &Context,
    job: &Job,
    claimed: &Occurrence,
    requested: &Requested,
    mut payloads: Vec<StoredPayload>,
    written: Written,
) -> Result<(), Stop> {
    let records = written.records();
    let no_blob = || Stop::Retry("the package is no blob".to_owned());
    let stored = payloads.pop().ok_or_else(no_blob)?;
    let (NewPayload::Blob(key), Some(md5)) = (stored.payload.clone(), stored.md5) else {
        return Err(no_blob());
    };
    let now = context.clock.now();
    let package = NewPackage {
        client: requested.client.clone(),
        path: BlobPath::of_export(requested.asked.base_name(&job.name)),
        key,
        bytes: stored.bytes,
        digest: stored.digest,
        md5,
        expires_at: blob_host::kept_until(context, now),
    };
    let (path, bytes) = (package.path.clone(), package.bytes);
    let outcome = ExportOutcome::Packed {
        package,
        note: written.remark(),
        entities: written.entities,
        positions: written.positions,
    };
    context.store.finish_occurrence(claimed, outcome, now).await?;
    failpoint::reached("export.queued");
    stored.keep();
    tracing::info!(%path, job.name = %job.name, client = %requested.client, records, bytes, "exported for the package API");
    Ok(())
}
