//! The zip around a workbook's parts, and the limits that no part gets past.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::sync::Arc;

use zip::read::ZipArchiveMetadata;
use zip::{ZipArchive, ZipReadOptions};

use super::refusal::{PartError, damaged, not_xlsx};
use crate::format::budget::{Budget, RATIO_MAX};
use crate::format::record::FileError;

/// What an old `.xls`, and a workbook with a password, begins with: both are OLE2 compound files.
const OLE2_MAGIC: &[u8] = b"\xD0\xCF\x11\xE0";
/// What a zip with members begins with.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// Most bytes read to learn what members a zip has; tens of thousands fit, a workbook has a few dozen.
const DIRECTORY_BYTES_MAX: u64 = 4 << 20;
/// Until here a part may be packed ever so well; beyond, [`RATIO_MAX`] counts.
const RATIO_FREE_BYTES: u64 = 1 << 20;

/// An opened zip.
#[derive(Debug)]
pub(super) struct Container {
    file: File,
    metadata: Arc<ZipArchiveMetadata>,
    /// Positions of the members by [`key`].
    members: HashMap<String, usize>,
    unpacked_max: u64,
    unpacked: u64,
}

impl Container {
    /// Opens a whole file, of whose parts at most `unpacked_max` bytes may be unpacked.
    ///
    /// # Errors
    /// `xlsx_expected` when it is no zip, `xlsx_damaged` when it is a broken one.
    pub fn open(mut file: File, unpacked_max: u64) -> Result<Self, FileError> {
        check_magic(&mut file)?;
        let directory = Budget::new(BufReader::new(&file), DIRECTORY_BYTES_MAX);
        let archive = ZipArchive::new(directory).map_err(|error| damaged(&error.to_string()))?;
        let metadata = archive.metadata();
        let mut members = HashMap::new();
        for (index, name) in archive.file_names().enumerate() {
            if let Ok(name) = name {
                members.entry(key(&name)).or_insert(index);
            }
        }
        drop(archive);
        Ok(Self {
            file,
            metadata,
            members,
            unpacked_max,
            unpacked: 0,
        })
    }

    /// Whether it has this part.
    pub fn has(&self, part: &str) -> bool {
        self.members.contains_key(&key(part))
    }

    /// Reads a part, if it is there.
    ///
    /// # Errors
    /// What `read` says, or `unpacked_too_large` when it came upon a limit.
    pub fn part<T>(
        &mut self,
        part: &str,
        read: impl FnOnce(&mut dyn Read) -> Result<T, PartError>,
    ) -> Result<Option<T>, FileError> {
        let Some(&index) = self.members.get(&key(part)) else {
            return Ok(None);
        };
        let broken = |error: zip::result::ZipError| PartError::broken(error).refuse(part);
        let entry = self.metadata.entry(index).map_err(broken)?;
        if entry.encrypted() {
            return Err(not_xlsx("the file is a zip with a password"));
        }
        let ratio_max = entry.compressed_size().saturating_mul(RATIO_MAX).max(RATIO_FREE_BYTES);
        let left = self.unpacked_max - self.unpacked;
        let limit = left.min(ratio_max);
        let member = entry
            .with_reader(&mut self.file, ZipReadOptions::new())
            .map_err(broken)?;
        let mut member = Budget::new(member, limit);
        let outcome = read(&mut member);
        self.unpacked += limit - member.left;
        match outcome {
            _ if !member.exceeded => outcome.map(Some).map_err(|error| error.refuse(part)),
            _ if limit == left => Err(too_large(self.unpacked_max).refuse(part)),
            _ => Err(PartError::TooLarge(format!(
                "more than {RATIO_MAX} bytes come out for each packed one, as in a zip bomb"
            ))
            .refuse(part)),
        }
    }
}

/// For a workbook of more than so many bytes.
pub(super) fn too_large(unpacked_max: u64) -> PartError {
    PartError::TooLarge(format!(
        "the workbook has more than {unpacked_max} bytes when it is unpacked: split it into smaller ones"
    ))
}

/// Names of parts are the same in any case; some programs write them with backslashes.
fn key(part: &str) -> String {
    part.replace('\\', "/").trim_start_matches('/').to_lowercase()
}

fn check_magic(file: &mut File) -> Result<(), FileError> {
    let mut magic = Vec::new();
    let read = file.rewind().and_then(|()| file.take(4).read_to_end(&mut magic));
    read.map_err(|error| PartError::Spill(error).refuse("the file"))?;
    match magic.as_slice() {
        OLE2_MAGIC => Err(not_xlsx(
            "the file is an old Excel file (.xls) or a workbook with a password",
        )),
        ZIP_MAGIC => Ok(()),
        _ => Err(not_xlsx("the file is no zip")),
    }
}
