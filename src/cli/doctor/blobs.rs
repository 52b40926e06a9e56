//! The place of large payloads: whether it answers, and whether it is the one the store knows.

use std::path::{Path, PathBuf};

use super::chart::{Chart, Finding};
use crate::app::BLOB_FOLDER;
use crate::blob::{BlobFolder, Blobs};
use crate::config::Config;
use crate::storage::dialect::Dialect;
use crate::storage::doctor::Examination;

/// The folder of blobs, where they are in one.
pub(super) fn folder(config: &Config) -> Option<PathBuf> {
    let path = config.blobs_url.strip_prefix("file://")?;
    Some(std::path::absolute(path).unwrap_or_else(|_| path.into()))
}

/// Whether the place answers.
pub(super) async fn examine(config: &Config, chart: &mut Chart) {
    let probed = match Blobs::open(&config.blobs_url) {
        Ok(blobs) => blobs.probe().await,
        Err(error) => Err(error),
    };
    chart.add(match probed {
        Ok(()) => Finding::ok("blobs", format!("{} is in reach", config.blobs_url)),
        Err(error) => Finding::bad(
            "blobs",
            error.to_string(),
            "Correct blobs.url, and for a bucket its credentials. Until then larger payloads are refused.",
        ),
    });
}

/// Whether the folder is the one the store knows: any process may get any message, so all need the same folder.
pub(super) async fn examine_identity(config: &Config, store: &mut Examination, chart: &mut Chart) {
    let Some(folder) = folder(config).filter(|_| store.dialect() == Dialect::Postgres) else {
        // A SQLite store has one process, and a bucket is the same one for everybody.
        return;
    };
    let known = match store.fact(BLOB_FOLDER).await {
        Ok(known) => known,
        Err(error) => {
            chart.add(Finding::warn(
                "blob_folder",
                error.to_string(),
                "See the store's server.",
            ));
            return;
        }
    };
    chart.add(match BlobFolder::peek(&folder) {
        Ok(here) => identity(&folder, known.as_deref(), here.as_ref()),
        Err(error) => Finding::bad(
            "blob_folder",
            format!("cannot read the id in {}: {error}", folder.display()),
            "Let the service's user read it.",
        ),
    });
}

fn identity(folder: &Path, known: Option<&str>, here: Option<&BlobFolder>) -> Finding {
    let place = folder.display();
    match (known, here) {
        (None, _) => Finding::ok("blob_folder", "the store knows none yet; the first start tells it"),
        (Some(known), Some(here)) if here.id == known => {
            Finding::ok("blob_folder", format!("{place} is the folder the store knows"))
        }
        (Some(known), here) => {
            let other = here.map_or_else(
                || format!("{place} carries no id, and the store knows a folder with the id {known}"),
                |here| {
                    format!(
                        "{place} has the id {}, and the store knows the one with {known}",
                        here.id
                    )
                },
            );
            let cure = "Let blobs.url name the same folder in all processes on this store, through a shared file system, or a \
                        bucket. A service does not start like this, or would not find its payloads.";
            Finding::bad("blob_folder", other, cure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::Verdict;
    use super::*;

    #[test]
    fn a_folder_the_store_does_not_know_is_bad() {
        let here = |id: &str| BlobFolder {
            id: id.to_owned(),
            id_file: "/blobs/blobs.id".into(),
            path: "/blobs".into(),
        };
        let verdict = |known, here: Option<BlobFolder>| identity(Path::new("/blobs"), known, here.as_ref()).verdict();
        assert_eq!(verdict(None, Some(here("a"))), Verdict::Ok);
        assert_eq!(verdict(Some("a"), Some(here("a"))), Verdict::Ok);
        assert_eq!(verdict(Some("a"), Some(here("b"))), Verdict::Bad);
        assert_eq!(verdict(Some("a"), None), Verdict::Bad);
    }
}
