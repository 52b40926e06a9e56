//! From an answer to a file in its place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Response;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{name, unzip};
use crate::agent::client::next_chunk;
use crate::agent::config::CollectFolder;
use crate::agent::files::{self, MoveError, UNFINISHED, blocking};
use crate::agent::record::{Arrival, ArrivalStage, Record};
use crate::agent::shared::Shared;
use crate::agent::trouble::{Kind, Trouble};
use crate::domain::message::Digest;
use crate::failpoint;

/// How a zip begins.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// A file that was downloaded, on the disk under a name of the agent's own.
pub(super) struct Fetched {
    part: PathBuf,
    /// SHA-256, in hexadecimal digits.
    pub digest: String,
    /// What the server calls it.
    original: Option<String>,
    is_zip: bool,
}

impl Fetched {
    /// Throws it away.
    pub async fn discard(self) -> Result<(), Trouble> {
        let part = self.part;
        blocking(move || std::fs::remove_file(&part).map_err(|error| Trouble::local("remove", &part, &error))).await
    }
}

/// Streams an answer to the disk; whole and synced when this returns.
pub(super) async fn fetch(folder: &Path, id: &str, response: Response) -> Result<Fetched, Trouble> {
    let part = folder.join(format!("{UNFINISHED}{id}.part"));
    let unwritable = |error: std::io::Error| Trouble::local("write", &part, &error);
    // A leftover of a broken attempt, or a link somebody put there: never written through.
    let _ = tokio::fs::remove_file(&part).await;
    let mut file = tokio::fs::File::create_new(&part).await.map_err(unwritable)?;
    let stated = response
        .headers()
        .get("content-digest")
        .and_then(|value| value.to_str().ok());
    let stated = stated.filter(|value| value.contains("sha-256=")).map(str::to_owned);
    let original = name::stated(response.headers());
    let (mut hash, mut head) = (Sha256::new(), Vec::<u8>::new());
    let mut body = response.bytes_stream();
    while let Some(chunk) = next_chunk(&mut body).await? {
        let missing = ZIP_MAGIC.len().saturating_sub(head.len());
        head.extend(chunk.iter().take(missing));
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(unwritable)?;
    }
    file.sync_all().await.map_err(unwritable)?;
    let digest = Digest(hash.finalize().into());
    if let Some(stated) = stated.filter(|stated| !stated.contains(&digest.content_digest())) {
        let found = digest.content_digest();
        let what = format!("the file arrived with the digest {found}, the server stated {stated}; it is not taken");
        return Err(Trouble::new(Kind::Away, what));
    }
    Ok(Fetched {
        part,
        digest: digest.hex(),
        original,
        is_zip: head == ZIP_MAGIC,
    })
}

/// Puts a file in its place, under a name nobody has.
pub(super) async fn store(
    shared: &Arc<Shared>,
    folder: &CollectFolder,
    id: &str,
    fetched: Fetched,
    receipt: String,
) -> Result<Arrival, Trouble> {
    let now = shared.clock.now();
    let extension = if fetched.is_zip { "zip" } else { "dat" };
    let original = fetched.original.clone().unwrap_or_else(|| format!("{id}.{extension}"));
    let mut wanted = name::fill(&folder.file_name, &original, id, now, &folder.name);
    let mut staged = fetched.part.clone();
    if folder.unzip && fetched.is_zip {
        let (part, unpacked) = (fetched.part.clone(), fetched.part.with_extension("unpacked"));
        staged.clone_from(&unpacked);
        blocking(move || unzip::unpack(&part, &unpacked)).await?;
        if let Some((stem, _)) = wanted
            .rsplit_once('.')
            .filter(|(_, end)| end.eq_ignore_ascii_case("zip"))
        {
            wanted = stem.to_owned();
        }
    }
    let at = folder.folder.clone();
    let file = blocking(move || files::free_name(&at, &wanted, "")).await?;
    let arrival = Arrival {
        id: id.to_owned(),
        flow: folder.name.clone(),
        staged,
        file,
        digest: fetched.digest,
        receipt,
        stage: ArrivalStage::Storing,
    };
    shared.note(Record::Delivery(arrival.clone())).await?;
    failpoint::reached("agent.storing");
    let arrival = put_in_place(shared, arrival).await?;
    failpoint::reached("agent.stored");
    Ok(arrival)
}

/// The package of an execution, in its place.
pub(super) async fn store_run(
    shared: &Arc<Shared>,
    folder: &CollectFolder,
    (execution, package_name): (&str, &str),
    fetched: Fetched,
) -> Result<Arrival, Trouble> {
    let original = Some(format!("{package_name}.zip"));
    store(
        shared,
        folder,
        execution,
        Fetched { original, ..fetched },
        String::new(),
    )
    .await
}

/// Renames what is staged, also after a crash: when nothing is staged any more, it was renamed. Another name is chosen where
/// the first was taken meanwhile.
pub(super) async fn put_in_place(shared: &Arc<Shared>, mut arrival: Arrival) -> Result<Arrival, Trouble> {
    loop {
        let (staged, file) = (arrival.staged.clone(), arrival.file.clone());
        let moved = blocking(move || {
            if staged.symlink_metadata().is_err() {
                return Ok(true);
            }
            match files::move_new(&staged, &file) {
                Ok(()) => Ok(true),
                Err(MoveError::Taken) => Ok(false),
                Err(MoveError::Io(error)) => Err(Trouble::local("rename", &staged, &error)),
            }
        })
        .await?;
        if moved {
            // What was unpacked leaves its package behind.
            let part = arrival.staged.with_extension("part");
            let _ = tokio::fs::remove_file(part).await;
            return Ok(arrival);
        }
        let taken = arrival.file.clone();
        let folder = taken.parent().unwrap_or(Path::new("")).to_owned();
        arrival.file = blocking(move || files::free_name(&folder, &files::file_name(&taken), "")).await?;
        shared.note(Record::Delivery(arrival.clone())).await?;
    }
}
