//! A blob store per test: a temporary folder, or a prefix of its own in the run's S3 or Azure server.
//!
//! `TRANSHIP_TEST_S3` and `TRANSHIP_TEST_AZURE` hold URLs of running servers, with the variables their clients read
//! beside them; `scripts/blob-stores start` prints all of them. Without them those tests are skipped with a note on a
//! developer's machine and fail in CI, so that nobody skips in silence.

use std::path::PathBuf;

use tranship::blob::Blobs;

/// A blob store of a test's own.
pub struct TestBlobs {
    /// The store.
    pub blobs: Blobs,
    /// What it was opened with.
    pub url: String,
    folder: Option<tempfile::TempDir>,
}

impl TestBlobs {
    /// A folder that does not exist yet, two levels below one that does.
    pub fn files() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("file://{}/data/blobs", folder.path().display());
        Self::open(url, Some(folder))
    }

    /// A prefix of the S3 server's bucket, or nothing where there is none and that is allowed.
    pub fn s3() -> Option<Self> {
        Self::served("TRANSHIP_TEST_S3")
    }

    /// A prefix of the Azure server's container, or nothing where there is none and that is allowed.
    pub fn azure() -> Option<Self> {
        Self::served("TRANSHIP_TEST_AZURE")
    }

    fn served(variable: &str) -> Option<Self> {
        let Ok(url) = std::env::var(variable) else {
            assert!(
                std::env::var("CI").is_err(),
                "{variable} is not set: in CI blob servers are not optional"
            );
            eprintln!("skipped: {variable} is not set (scripts/blob-stores sets it)");
            return None;
        };
        Some(Self::open(format!("{url}/{}", uuid::Uuid::new_v4().simple()), None))
    }

    fn open(url: String, folder: Option<tempfile::TempDir>) -> Self {
        let blobs = Blobs::open(&url).expect("the URL describes a store");
        Self { blobs, url, folder }
    }

    /// Whether the store is a folder.
    pub fn is_files(&self) -> bool {
        self.folder.is_some()
    }

    /// Every file of a file store, staged ones too, relative to the temporary folder.
    pub fn all_files(&self) -> Vec<PathBuf> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let mut files = Vec::new();
        let mut folders = vec![folder.path().to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).expect("lists") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files
    }
}

/// Declares one test per kind of store for each `async fn name(store: TestBlobs)`.
#[macro_export]
macro_rules! on_every_blob_store {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_files() {
                super::$name($crate::support::blobs::TestBlobs::files()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_s3() {
                if let Some(store) = $crate::support::blobs::TestBlobs::s3() {
                    super::$name(store).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_azure() {
                if let Some(store) = $crate::support::blobs::TestBlobs::azure() {
                    super::$name(store).await;
                }
            }
        })+
    };
}
