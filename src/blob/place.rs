//! Where blobs lie: a folder or a bucket, chosen by URL. The only code that tells them apart.

use std::io::{Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::signer::{Method, Signer};
use object_store::{
    ClientConfigKey, ClientOptions, Error, GetOptions, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt as _,
    RetryConfig,
};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::BlobError;
use super::files::Files;
use super::folder_id::BlobFolder;
use super::range::Object;
use super::unfinished::Unfinished;
use crate::domain::ids::BlobKey;

/// Bytes read from a file at a time: one hop to a blocking thread each.
const READ_BYTES: usize = 256 * 1024;

/// How long the answer to one request may stand still before it is asked again.
const READ_TIMEOUT: &str = "60 seconds";

/// How long a whole request may take. `object_store` says 30 s, which cuts off a download whose reader is slow.
const REQUEST_TIMEOUT: &str = "1 day";

/// How long a failing request is repeated before the failure is reported.
const RETRY_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest wait for a bucket to begin an answer, or to take what is sent at once, repeated requests and all: who sends a payload or fetches one
/// waits with us. A part needs 1 Mbit/s for it.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// A folder, or a bucket with a prefix.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Files(Arc<Files>),
    Bucket {
        store: Arc<dyn ObjectStore>,
        signer: Arc<dyn Signer>,
        prefix: Path,
        /// Where uploads in parts have to be given up by somebody.
        unfinished: Option<Unfinished>,
    },
}

/// The two faces of a cloud store, and who gives up its uploads in parts where somebody has to.
type Bucket = (Arc<dyn ObjectStore>, Arc<dyn Signer>, Option<Unfinished>);

/// Builds a cloud store from the environment and a URL. The three builders share these methods but no trait.
macro_rules! bucket {
    ($builder:ty, $key:ident, $url:expr) => {{
        let mut builder = <$builder>::from_env().with_url($url).with_retry(RetryConfig {
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        });
        // What the operator set in the environment stands.
        let untouched = ClientOptions::default();
        for (key, ours) in [
            (ClientConfigKey::Timeout, REQUEST_TIMEOUT),
            (ClientConfigKey::ReadTimeout, READ_TIMEOUT),
        ] {
            if builder.get_config_value(&$key::Client(key)) == untouched.get_config_value(&key) {
                builder = builder.with_config($key::Client(key), ours);
            }
        }
        // Incomplete credentials and the like: the operator must act, trying again helps nobody.
        let built = builder.build().map(Arc::new);
        built.map_err(|cause| BlobError::Settings(format!("{}: {cause}", $url)))?
    }};
}

impl Place {
    pub(super) fn open(url: &str) -> Result<Self, BlobError> {
        let wrong = |why: &str| {
            BlobError::Settings(format!(
                "{url}: {why}; write file://FOLDER, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or gs://BUCKET/PREFIX"
            ))
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("not a URL"))?;
        if scheme == "file" {
            return match rest {
                "" => Err(wrong("no folder")),
                root => Files::at(root).map(Self::Files),
            };
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong("no bucket"));
        }
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|cause| wrong(&cause.to_string()))?;
        let (store, signer, unfinished): Bucket = match scheme {
            "s3" => {
                let store = bucket!(AmazonS3Builder, AmazonS3ConfigKey, url);
                let unfinished = Unfinished::of(&store);
                (Arc::clone(&store) as _, store as _, Some(unfinished))
            }
            "az" => {
                let store = bucket!(MicrosoftAzureBuilder, AzureConfigKey, url);
                (Arc::clone(&store) as _, store as _, None)
            }
            "gs" => {
                let store = bucket!(GoogleCloudStorageBuilder, GoogleConfigKey, url);
                let unfinished = Unfinished::of(&store);
                (Arc::clone(&store) as _, store as _, Some(unfinished))
            }
            _ => return Err(wrong("no such kind of store")),
        };
        Ok(Self::Bucket {
            store,
            signer,
            prefix,
            unfinished,
        })
    }

    /// Store and path to write this key to; its folder is durable.
    pub(super) async fn for_writing(&self, key: &BlobKey) -> Result<(Arc<dyn ObjectStore>, Path), BlobError> {
        match self {
            Self::Files(files) => Ok((Arc::new(files.with_folder_of(key).await?), path_of(&key.0))),
            Self::Bucket { store, prefix, .. } => Ok((Arc::clone(store), below(prefix, &key.0))),
        }
    }

    /// Waits for a bucket, but not without end; files take the time that the disk takes.
    pub(super) async fn answered<T>(&self, asked: impl Future<Output = Result<T, BlobError>>) -> Result<T, BlobError> {
        match self {
            Self::Files(_) => asked.await,
            Self::Bucket { .. } => tokio::time::timeout(ANSWER_MAX, asked).await.unwrap_or_else(|_| {
                let waited = ANSWER_MAX.as_secs();
                Err(BlobError::failed(format!(
                    "the object store gave no answer within {waited} s"
                )))
            }),
        }
    }

    /// The stored bytes, unverified.
    pub(super) async fn read(&self, key: &BlobKey) -> Result<BoxStream<'static, Result<Bytes, Error>>, BlobError> {
        stream(self.get(key, GetOptions::default()).await?)
    }

    /// Some of them; fewer where the blob is shorter.
    pub(super) async fn read_range(
        &self,
        key: &BlobKey,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>, BlobError> {
        stream(self.get(key, GetOptions::default().with_range(Some(range))).await?)
    }

    async fn get(&self, key: &BlobKey, options: GetOptions) -> Result<GetResult, BlobError> {
        let found = match self {
            Self::Files(files) => match files.existing().await? {
                Some(store) => store.get_opts(&path_of(&key.0), options).await,
                None => return Err(BlobError::Missing(key.clone())),
            },
            Self::Bucket { store, prefix, .. } => {
                let path = below(prefix, &key.0);
                self.answered(async { Ok(store.get_opts(&path, options).await) })
                    .await?
            }
        };
        found.map_err(|cause| match cause {
            Error::NotFound { .. } => BlobError::Missing(key.clone()),
            cause => cause.into(),
        })
    }

    /// What lies under a key without reading it. A file that we did not write is none of ours.
    pub(super) async fn look(&self, key: &BlobKey) -> Result<Option<Object>, BlobError> {
        let Self::Bucket { store, prefix, .. } = self else {
            return Ok(None);
        };
        match store.head(&below(prefix, &key.0)).await {
            Ok(found) => Ok(Some(Object {
                bytes: found.size,
                version: found.e_tag.unwrap_or_else(|| found.last_modified.to_rfc3339()),
            })),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    pub(super) async fn is_there(&self, key: &BlobKey) -> Result<bool, BlobError> {
        let Self::Files(files) = self else {
            return Ok(self.look(key).await?.is_some());
        };
        let Some(store) = files.existing().await? else {
            return Ok(false);
        };
        match store.head(&path_of(&key.0)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(cause) => Err(cause.into()),
        }
    }

    /// A link of the store's own.
    pub(super) async fn sign(&self, key: &BlobKey, method: Method, life: Duration) -> Result<url::Url, BlobError> {
        match self {
            Self::Files(_) => Err(BlobError::Settings(
                "files have no links of their own (blobs.presigned)".to_owned(),
            )),
            Self::Bucket { signer, prefix, .. } => Ok(signer.signed_url(method, &below(prefix, &key.0), life).await?),
        }
    }

    pub(super) async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        match self {
            Self::Files(files) => files.delete(key).await,
            Self::Bucket {
                store,
                prefix,
                unfinished,
                ..
            } => {
                let path = below(prefix, &key.0);
                match store.delete(&path).await {
                    Ok(()) | Err(Error::NotFound { .. }) => {}
                    Err(cause) => return Err(cause.into()),
                }
                match unfinished {
                    Some(unfinished) => unfinished.give_up(&path).await,
                    None => Ok(()),
                }
            }
        }
    }

    pub(super) async fn folder(&self) -> Result<Option<BlobFolder>, BlobError> {
        match self {
            Self::Files(files) => files.identify().await.map(Some),
            Self::Bucket { .. } => Ok(None),
        }
    }

    /// How a write ended, and what a disk had to do with it.
    pub(super) fn judge(&self, written: Result<(), BlobError>) -> Result<(), BlobError> {
        match self {
            Self::Files(files) => files.judge(written),
            Self::Bucket { .. } => written,
        }
    }

    pub(super) async fn probe(&self) -> Result<(), BlobError> {
        match self {
            Self::Files(files) => files.probe().await,
            Self::Bucket { store, prefix, .. } => {
                // A listing of nothing: small, and unlike a look at one key it fails when the bucket is not there.
                store.list(Some(&below(prefix, "probe"))).try_next().await?;
                Ok(())
            }
        }
    }
}

/// The bytes that were asked for, as a stream. Of a file that is up to us.
fn stream(found: GetResult) -> Result<BoxStream<'static, Result<Bytes, Error>>, BlobError> {
    let GetResult { payload, range, .. } = found;
    Ok(match payload {
        GetResultPayload::File(mut file, _) => {
            if range.start > 0 {
                file.seek(SeekFrom::Start(range.start)).map_err(BlobError::failed)?;
            }
            let file = tokio::fs::File::from_std(file).take(range.end - range.start);
            ReaderStream::with_capacity(file, READ_BYTES)
                .map_err(|cause| Error::Generic {
                    store: "blobs",
                    source: cause.into(),
                })
                .boxed()
        }
        GetResultPayload::Stream(stream) => stream,
    })
}

fn below(prefix: &Path, key: &str) -> Path {
    path_of(&format!("{prefix}/{key}"))
}

/// The path as it is written; what a store does not take in one is encoded.
fn path_of(text: &str) -> Path {
    Path::parse(text.trim_matches('/')).unwrap_or_else(|_| Path::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_names_no_store_is_refused_with_what_to_write() {
        for url in [
            "",
            "blobs",
            "file://",
            "s3://",
            "s3:///prefix",
            "ftp://host/x",
            "az:///",
            "s3://bucket/a/../b",
        ] {
            match Place::open(url) {
                Err(BlobError::Settings(why)) => assert!(why.contains("file://FOLDER"), "{why}"),
                other => panic!("{url}: {other:?}"),
            }
        }
    }

    #[test]
    fn keys_lie_below_the_prefix_and_need_none() {
        assert_eq!(below(&Path::from("a/b"), "payloads/x").as_ref(), "a/b/payloads/x");
        assert_eq!(below(&Path::from(""), "payloads/x").as_ref(), "payloads/x");
    }
}
