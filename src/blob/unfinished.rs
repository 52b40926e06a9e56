//! Uploads in parts that a killed process began at a bucket: no listing shows them, and they cost money until somebody gives them up.
//!
//! S3 and Google's store tell of them when asked (`GET bucket?uploads&prefix=key`), which `object_store` does not ask; it signs
//! the request. Azure has none: blocks nobody commits go by themselves.

use std::sync::Arc;
use std::time::Duration;

use object_store::Error;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer};

use super::{BlobError, PATIENCE};

/// How long the signed request is good for; it is made at once.
const SIGNED_FOR: Duration = Duration::from_mins(5);

/// Finds and gives up what was begun under a key of ours.
#[derive(Clone)]
pub(super) struct Unfinished {
    signer: Arc<dyn Signer>,
    parts: Arc<dyn MultipartStore>,
    http: reqwest::Client,
}

impl std::fmt::Debug for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unfinished").finish_non_exhaustive()
    }
}

impl Unfinished {
    pub(super) fn of<S: Signer + MultipartStore>(store: &Arc<S>) -> Self {
        Self {
            signer: Arc::clone(store) as Arc<dyn Signer>,
            parts: Arc::clone(store) as Arc<dyn MultipartStore>,
            http: reqwest::Client::new(),
        }
    }

    /// Gives up every unfinished upload to this path. Paths of blobs are unique, so none begins with another. Where the store does not
    /// tell of them, its own rule for stale uploads has to do.
    pub(super) async fn give_up(&self, path: &Path) -> Result<(), BlobError> {
        let Some(listed) = self.list(path).await? else {
            return Ok(());
        };
        for id in ids(&listed) {
            match self.parts.abort_multipart(path, &id).await {
                Ok(()) | Err(Error::NotFound { .. }) => tracing::info!(blob = %path, "gave up an unfinished upload"),
                Err(cause) => return Err(cause.into()),
            }
        }
        Ok(())
    }

    /// The store's answer; nothing where it gives none.
    async fn list(&self, path: &Path) -> Result<Option<String>, BlobError> {
        let query = SignedUrlOptions::new().with_query([("uploads", ""), ("prefix", path.as_ref())]);
        let bucket = Path::from("");
        let url = match self
            .signer
            .signed_url_opts(Method::GET, &bucket, SIGNED_FOR, &query)
            .await
        {
            Ok(url) => url,
            Err(error) => return Ok(untold(path, &error)),
        };
        let answer = self.http.get(url).timeout(PATIENCE).send().await.map_err(failed)?;
        match answer.error_for_status_ref() {
            Ok(_) => answer.text().await.map(Some).map_err(failed),
            // 501: it never will.
            Err(error) if answer.status().is_server_error() && answer.status() != 501 => Err(failed(error)),
            Err(error) => Ok(untold(path, &error.without_url())),
        }
    }
}

/// Without the URL, which is signed.
fn failed(error: reqwest::Error) -> BlobError {
    BlobError::failed(error.without_url())
}

fn untold(path: &Path, error: &dyn std::fmt::Display) -> Option<String> {
    tracing::warn!(blob = %path, %error, "the bucket does not tell of unfinished uploads; parts of a dead one may remain");
    None
}

/// The uploads of a `ListMultipartUploadsResult`.
fn ids(listed: &str) -> Vec<String> {
    let found = listed.split("<UploadId>").skip(1);
    let texts = found.filter_map(|rest| rest.split_once("</UploadId>"));
    texts
        .filter_map(|(id, _)| Some(quick_xml::escape::unescape(id).ok()?.into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn ids_are_read_as_they_were_given_out() {
        let listed = "<ListMultipartUploadsResult><UploadIdMarker>x</UploadIdMarker><NextUploadIdMarker/>\
            <Upload><Key>p/a</Key><UploadId>one</UploadId></Upload><Upload><UploadId>t&amp;wo==</UploadId></Upload>\
            </ListMultipartUploadsResult>";
        assert_eq!(ids(listed), ["one", "t&wo=="]);
        assert!(ids("<Error><Code>NoSuchBucket</Code></Error>").is_empty());
    }
}
