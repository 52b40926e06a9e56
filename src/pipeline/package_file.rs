//! A package that is a message's payload: verified, kept in a temporary file while it is read, its members unpacked one by one.
//!
//! A zip's directory stands at its end, so a package cannot be read as it comes. Nothing of it is trusted: names that lead out
//! of it are refused, what it unpacks to is bounded, and its files are anonymous, gone with the process.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use zip::read::ZipArchiveMetadata;
use zip::result::ZipError;
use zip::{ZipArchive, ZipReadOptions};

use super::Context;
use super::source::{self, SourceError};
use super::stop::Stop;
use crate::disk;
use crate::domain::job::FileFormat;
use crate::domain::message::Message;
use crate::format::budget::{self, Budget};
use crate::format::package::{
    MANIFEST_FILE, Manifest, PACKAGE_HEADER_FILE, PackageEntity, is_template_header, read_manifest,
};

/// Most members.
const MEMBERS_MAX: usize = 10_000;
/// Largest manifest or header.
const DOCUMENT_BYTES_MAX: u64 = 16 << 20;
/// Most bytes read to learn what members it has.
const DIRECTORY_BYTES_MAX: u64 = 4 << 20;
/// Names shown where one is missing.
const LISTED_MAX: usize = 20;

/// A package, open.
pub(super) struct PackageFile {
    shared: Arc<Shared>,
    manifest: Manifest,
    /// `Manifest.xml` and `PackageHeader.xml` as they are.
    documents: (Vec<u8>, Vec<u8>),
    names: Vec<String>,
}

/// A package's bytes while they come.
pub(super) struct Spool(File);

impl Spool {
    pub fn begin() -> Result<Self, Stop> {
        tempfile::tempfile().map(Self).map_err(|error| spill(&error))
    }

    pub async fn write(mut self, chunk: Bytes) -> Result<Self, Stop> {
        let written = blocking(move || self.0.write_all(&chunk).map(|()| self)).await?;
        written.map_err(|error| spill(&error))
    }
}

struct Shared {
    file: Mutex<File>,
    metadata: Arc<ZipArchiveMetadata>,
    /// Bytes that may be unpacked.
    unpacked_max: u64,
    unpacked: Mutex<Unpacked>,
}

/// What came out of a package so far.
struct Unpacked {
    /// Bytes that may still come.
    left: u64,
    /// Sizes of the members that did: one that several entities are read from counts once.
    members: HashMap<usize, u64>,
}

/// One file of a package.
#[derive(Clone)]
pub(super) struct Member {
    shared: Arc<Shared>,
    index: usize,
    name: String,
}

impl PackageFile {
    /// Takes the payload over and reads its manifest.
    ///
    /// # Errors
    /// [`Stop::Fail`] when it is no package; otherwise as for any payload.
    pub async fn open(context: &Context, message: &Message) -> Result<Self, Stop> {
        let mut payload = source::open(context, message).await?;
        let mut spool = Spool::begin()?;
        while let Some(chunk) = payload.next().await.map_err(SourceError::from)? {
            spool = spool.write(chunk).await?;
        }
        Self::of_spool(context, spool).await
    }

    /// Reads the manifest of a package all of whose bytes were spooled.
    ///
    /// # Errors
    /// As [`PackageFile::open`].
    pub async fn of_spool(context: &Context, spool: Spool) -> Result<Self, Stop> {
        let unpacked_max = context.limits.file.max_unpacked_bytes;
        blocking(move || Self::read(spool.0, unpacked_max)).await?
    }

    fn read(mut spooled: File, unpacked_max: u64) -> Result<Self, Stop> {
        let (metadata, names) = list(&spooled)?;
        let mut document = |name| document(&metadata, &mut spooled, &names, name);
        let Some(header) = document(PACKAGE_HEADER_FILE)? else {
            let detail = format!(
                "the file has no {PACKAGE_HEADER_FILE} at its root, so it is no data package (FMT-6){}",
                in_folder(&names, PACKAGE_HEADER_FILE)
            );
            return Err(Stop::fail("package_header_missing", detail));
        };
        let Some(bytes) = document(MANIFEST_FILE)? else {
            let detail = format!(
                "the package has no {MANIFEST_FILE} at its root{}",
                in_folder(&names, MANIFEST_FILE)
            );
            return Err(Stop::fail("manifest_missing", detail));
        };
        let mut manifest = read_manifest(&bytes).map_err(|error| Stop::fail(error.code, error.reason))?;
        manifest.is_template |= is_template_header(&header);
        let packed = spooled.metadata().map_err(|error| spill(&error))?.len();
        let unpacked_max = budget::unpacked_max(packed, unpacked_max);
        let shared = Shared {
            file: Mutex::new(spooled),
            metadata,
            unpacked_max,
            unpacked: Mutex::new(Unpacked {
                left: unpacked_max,
                members: HashMap::new(),
            }),
        };
        Ok(Self {
            shared: Arc::new(shared),
            manifest,
            documents: (bytes, header),
            names,
        })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// `Manifest.xml` and `PackageHeader.xml` as they are.
    pub fn documents(&self) -> (&[u8], &[u8]) {
        (&self.documents.0, &self.documents.1)
    }

    /// The member of this name at the package's root, in any case (FMT-2).
    pub fn member(&self, name: &str) -> Option<Member> {
        find(&self.names, name).map(|index| Member {
            shared: Arc::clone(&self.shared),
            index,
            name: self.names[index].clone(),
        })
    }

    /// The member that has this name in a folder, where it is not found (FMT-1).
    pub fn in_folder(&self, name: &str) -> Option<&str> {
        find_in_folder(&self.names, name)
    }

    /// Its members, for a sentence.
    pub fn listed(&self) -> String {
        let names: Vec<String> = self
            .names
            .iter()
            .take(LISTED_MAX)
            .map(|name| format!("`{}`", shown(name)))
            .collect();
        let more = self.names.len() - names.len();
        let names = names.join(", ");
        if more > 0 {
            format!("{names} and {more} more")
        } else {
            names
        }
    }
}

impl Member {
    /// Unpacks it into a temporary file, which is handed out at its start, and with it the bytes that may come out of the file
    /// should it be packed itself.
    ///
    /// # Errors
    /// [`Stop::Fail`] when it is damaged or unpacks to more than is allowed.
    pub async fn unpack(&self) -> Result<(File, u64), Stop> {
        let member = self.clone();
        blocking(move || member.unpack_now()).await?
    }

    /// The first bytes of it, at most so many, in a temporary file handed out at its start. They do not count as unpacked.
    ///
    /// # Errors
    /// [`Stop::Fail`] when it is damaged.
    pub async fn head(&self, bytes_max: u64) -> Result<File, Stop> {
        let member = self.clone();
        blocking(move || member.head_now(bytes_max)).await?
    }

    fn head_now(&self, bytes_max: u64) -> Result<File, Stop> {
        let mut packed = self.shared.file.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = self.shared.metadata.entry(self.index);
        let entry = entry.map_err(|error| damaged(&error))?;
        let member = entry.with_reader(&mut *packed, ZipReadOptions::new());
        let mut bytes = Vec::new();
        let mut member = member.map_err(|error| damaged(&error))?.take(bytes_max);
        member.read_to_end(&mut bytes).map_err(|error| damaged(&error.into()))?;
        let mut file = tempfile::tempfile().map_err(|error| spill(&error))?;
        let written = file.write_all(&bytes).and_then(|()| file.seek(SeekFrom::Start(0)));
        written.map_err(|error| spill(&error))?;
        Ok(file)
    }

    fn unpack_now(&self) -> Result<(File, u64), Stop> {
        let mut packed = self.shared.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unpacked = self.shared.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = self
            .shared
            .metadata
            .entry(self.index)
            .map_err(|error| damaged(&error))?;
        if entry.encrypted() {
            let detail = format!("`{}` is encrypted; pack it without a password", shown(&self.name));
            return Err(Stop::fail("package_damaged", detail));
        }
        let member = entry.with_reader(&mut *packed, ZipReadOptions::new());
        let mut file = tempfile::tempfile().map_err(|error| spill(&error))?;
        let counted = unpacked.members.get(&self.index).copied();
        let bytes_max = counted.unwrap_or(unpacked.left);
        let mut left = bytes_max;
        let copied = copy(
            member.map_err(|error| damaged(&error))?,
            &mut file,
            &mut left,
            self.shared.unpacked_max,
        );
        let bytes = bytes_max - left;
        if counted.is_none() {
            unpacked.left = left;
        }
        copied?;
        unpacked.members.insert(self.index, bytes);
        file.seek(SeekFrom::Start(0)).map_err(|error| spill(&error))?;
        // What it is itself was counted just now.
        Ok((file, unpacked.left.saturating_add(bytes)))
    }
}

/// Copies a member of at most `left` bytes, of which are then so many less; `unpacked_max` is what all may come to.
fn copy(member: impl Read, file: &mut File, left: &mut u64, unpacked_max: u64) -> Result<(), Stop> {
    let mut limited = member.take(left.saturating_add(1));
    let mut buffer = vec![0; 64 << 10];
    loop {
        // Apart, so that a disk that is full is not taken for a broken package.
        let length = limited.read(&mut buffer).map_err(|error| damaged(&error.into()))?;
        if length == 0 {
            return Ok(());
        }
        let Some(rest) = left.checked_sub(length as u64) else {
            let detail = budget::too_large("package", unpacked_max);
            return Err(Stop::fail("unpacked_too_large", detail));
        };
        *left = rest;
        file.write_all(&buffer[..length]).map_err(|error| spill(&error))?;
    }
}

/// What members it has, none of which leads out of it or may be taken for another.
fn list(spooled: &File) -> Result<(Arc<ZipArchiveMetadata>, Vec<String>), Stop> {
    // What it lists is read before anything is known of it.
    let directory = Budget::new(BufReader::new(spooled), DIRECTORY_BYTES_MAX);
    let archive = ZipArchive::new(directory).map_err(|error| damaged(&error))?;
    let metadata = archive.metadata();
    let names: Result<Vec<String>, ZipError> = archive.file_names().map(|name| Ok(name?.into_owned())).collect();
    let names = names.map_err(|error| damaged(&error))?;
    if names.len() > MEMBERS_MAX {
        let detail = format!(
            "the package has {} members, at most {MEMBERS_MAX} are allowed",
            names.len()
        );
        return Err(Stop::fail("package_damaged", detail));
    }
    if let Some(name) = names.iter().find(|name| leads_out(name)) {
        let detail = format!(
            "the package has a member called `{}`, which leads out of it",
            shown(name)
        );
        return Err(Stop::fail("package_unsafe_name", detail));
    }
    let mut seen = HashSet::new();
    let twice = names.iter().find(|name| !seen.insert(name.to_lowercase()));
    if twice.is_some() || metadata.has_duplicate_names() {
        let called = twice.map_or_else(|| "of one name".to_owned(), |name| format!("called `{}`", shown(name)));
        let detail = format!(
            "the package has two members {called} (in any case): nobody can tell which one is meant, leave one of them out"
        );
        return Err(Stop::fail("package_damaged", detail));
    }
    Ok((metadata, names))
}

/// One of the two files every package has, which are read whole.
fn document(
    metadata: &ZipArchiveMetadata,
    packed: &mut File,
    names: &[String],
    name: &str,
) -> Result<Option<Vec<u8>>, Stop> {
    let Some(index) = find(names, name) else {
        return Ok(None);
    };
    let entry = metadata.entry(index).map_err(|error| damaged(&error))?;
    let member = entry.with_reader(packed, ZipReadOptions::new());
    let member = member.map_err(|error| damaged(&error))?;
    let mut bytes = Vec::new();
    let read = member.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| damaged(&error.into()))?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(Stop::fail("manifest_damaged", format!("{name} is larger than 16 MiB")));
    }
    Ok(Some(bytes))
}

/// By the stock formats' names (FMT-8); `None`: as the job says.
pub(super) fn format_of(listed: &PackageEntity) -> Option<(FileFormat, Option<String>)> {
    FileFormat::of_source_format(&listed.source_format, &listed.sheet)
}

/// Where the member of this name stands among those at the root.
fn find(names: &[String], wanted: &str) -> Option<usize> {
    let wanted = wanted.to_lowercase();
    let is_at_root = |name: &str| !name.contains(['/', '\\']);
    names
        .iter()
        .position(|name| is_at_root(name) && name.to_lowercase() == wanted)
}

/// A member of this name that is not at the root.
fn find_in_folder<'n>(names: &'n [String], wanted: &str) -> Option<&'n str> {
    let wanted = wanted.to_lowercase();
    let is_called = |name: &&String| name.to_lowercase().rsplit(['/', '\\']).next() == Some(&wanted);
    names.iter().find(is_called).map(String::as_str)
}

/// What is told of it.
fn in_folder(names: &[String], wanted: &str) -> String {
    let found = find_in_folder(names, wanted);
    found.map_or_else(String::new, |name| {
        format!(
            "; it is inside a folder, as `{}`: pack the files themselves, not the folder they are in (FMT-1)",
            shown(name)
        )
    })
}

/// Whether unpacking it under its name would write outside a folder.
fn leads_out(name: &str) -> bool {
    let parts = name.split(['/', '\\']);
    name.starts_with(['/', '\\'])
        || name.contains('\0')
        || name.get(1..2) == Some(":")
        || parts.into_iter().any(|part| part == "..")
}

fn shown(name: &str) -> String {
    crate::format::excerpt::stored(name)
}

fn damaged(error: &ZipError) -> Stop {
    Stop::fail(
        "package_damaged",
        format!("the package cannot be read as a zip ({error}): pack it again and send it once more"),
    )
}

/// The disk's fault, not the sender's.
fn spill(error: &std::io::Error) -> Stop {
    let (folder, why) = (std::env::temp_dir(), disk::told(error));
    Stop::Unreachable(format!(
        "a package could not be kept in a temporary file in {}: {why}",
        folder.display()
    ))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stop> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Stop::Retry(format!("reading a package broke off: {error}")))
}
