//! A SQLite store copies itself into a file, in one read transaction; a store made from it gets its name once it is complete.

use std::io;
use std::path::Path;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::{BLOBS, BlobRow, Contents, DatabaseKind, KeptBlob, tell_of};
use crate::domain::time::Timestamp;
use crate::storage::StoreError;
use crate::storage::connect;
use crate::storage::doctor::sqlite::open;

/// The copy, in the backup's folder.
pub(super) const FILE: &str = "store.db";

pub(super) async fn copy(
    url: &str,
    folder: &Path,
    tell: &mut (dyn FnMut(KeptBlob) -> io::Result<()> + Send),
) -> Result<Contents, StoreError> {
    let Some((mut store, _)) = open(url).await? else {
        return Err(StoreError::Missing {
            place: format!("{url} (store.url)"),
        });
    };
    let file = folder.join(FILE);
    let name = file.to_str().ok_or_else(|| {
        let why = format!("{} is no text: SQLite cannot write there", file.display());
        StoreError::Settings(why)
    })?;
    sqlx::query("vacuum into $1").bind(name).execute(&mut store).await?;
    store.close().await?;

    // From here on the copy alone is read: it is the moment that counts.
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .read_only(true)
        .immutable(true);
    let mut copy = SqliteConnection::connect_with(&options).await?;
    let (schema,): (i64,) = sqlx::query_as("select max(number) from schema_migrations")
        .fetch_one(&mut copy)
        .await?;
    let mut blobs = sqlx::query_as::<_, BlobRow>(BLOBS).fetch(&mut copy);
    while let Some(row) = blobs.try_next().await? {
        tell_of(row, tell)?;
    }
    drop(blobs);
    copy.close().await?;
    Ok(Contents {
        database: DatabaseKind::Sqlite,
        schema,
        tables: Vec::new(),
        sequences: std::collections::BTreeMap::default(),
    })
}

pub(super) async fn restore(url: &str, folder: &Path, now: Timestamp) -> Result<(), StoreError> {
    connect::restore_sqlite(url, &folder.join(FILE), now).await
}
