//! Where blobs lie: a folder or a bucket, chosen by URL. The only code that tells them apart.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{
    ClientConfigKey, ClientOptions, Error, GetResultPayload, ObjectStore, ObjectStoreExt as _, RetryConfig,
};
use tokio_util::io::ReaderStream;

use super::BlobError;
use super::files::Files;
use super::folder_id::BlobFolder;
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

/// A folder, or a bucket with a prefix.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Files(Arc<Files>),
    Bucket {
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        /// Where uploads in parts have to be given up by somebody.
        unfinished: Option<Unfinished>,
    },
}

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
        let (store, unfinished): (Arc<dyn ObjectStore>, _) = match scheme {
            "s3" => {
                let store = bucket!(AmazonS3Builder, AmazonS3ConfigKey, url);
                let unfinished = Unfinished::of(&store);
                (store, Some(unfinished))
            }
            "az" => (bucket!(MicrosoftAzureBuilder, AzureConfigKey, url), None),
            "gs" => {
                let store = bucket!(GoogleCloudStorageBuilder, GoogleConfigKey, url);
                let unfinished = Unfinished::of(&store);
                (store, Some(unfinished))
            }
            _ => return Err(wrong("no such kind of store")),
        };
        Ok(Self::Bucket {
            store,
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

    /// The stored bytes, unverified.
    pub(super) async fn read(&self, key: &BlobKey) -> Result<BoxStream<'static, Result<Bytes, Error>>, BlobError> {
        let found = match self {
            Self::Files(files) => match files.existing().await? {
                Some(store) => store.get(&path_of(&key.0)).await,
                None => return Err(BlobError::Missing(key.clone())),
            },
            Self::Bucket { store, prefix, .. } => store.get(&below(prefix, &key.0)).await,
        };
        match found {
            Ok(found) => Ok(match found.payload {
                GetResultPayload::File(file, _) => {
                    ReaderStream::with_capacity(tokio::fs::File::from_std(file), READ_BYTES)
                        .map_err(|cause| Error::Generic {
                            store: "blobs",
                            source: cause.into(),
                        })
                        .boxed()
                }
                GetResultPayload::Stream(stream) => stream,
            }),
            Err(Error::NotFound { .. }) => Err(BlobError::Missing(key.clone())),
            Err(cause) => Err(cause.into()),
        }
    }

    pub(super) async fn is_there(&self, key: &BlobKey) -> Result<bool, BlobError> {
        let found = match self {
            Self::Files(files) => match files.existing().await? {
                Some(store) => store.head(&path_of(&key.0)).await,
                None => return Ok(false),
            },
            Self::Bucket { store, prefix } => store.head(&below(prefix, &key.0)).await,
        };
        match found {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(cause) => Err(cause.into()),
        }
    }

    pub(super) async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        match self {
            Self::Files(files) => files.delete(key).await,
            Self::Bucket {
                store,
                prefix,
                unfinished,
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
