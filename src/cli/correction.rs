//! Whether a file can correct rejected records: it must say which. One that does not would land as new records or fail, and in
//! either case its parent would never be repaired.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek as _};
use std::path::Path;

use memchr::memmem;
use zip::ZipArchive;

use super::Failure;
use super::shell::{program, quoted};
use crate::format::mapping::REJECT_ID_COLUMN;

/// Bytes looked at in one go.
const PIECE_BYTES: usize = 64 * 1024;
/// How a zip archive begins: a package, or a workbook.
const ZIP: &[u8] = b"PK\x03\x04";
/// How other packed files begin (gzip, zstd). Only the service unpacks these.
const PACKED: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// Insists that a file says which of the message's rejected records it corrects.
///
/// # Errors
/// [`super::Exit::Usage`] when it does not, [`super::Exit::Failed`] when it cannot be read.
pub(super) async fn insist_on_ids(path: &Path, message: &str) -> Result<(), Failure> {
    // Where there is no column, the ids stand in the lines (fixed width).
    let wanted = [
        REJECT_ID_COLUMN.to_owned(),
        format!("{}.", message.to_ascii_lowercase()),
    ];
    let file = path.to_owned();
    let looked = tokio::task::spawn_blocking(move || may_correct(&file, &wanted)).await;
    let looked = looked.unwrap_or_else(|error| Err(io::Error::other(error)));
    if looked.map_err(|error| Failure::file("read", path, &error))? {
        return Ok(());
    }
    let what = format!(
        "{} has no `{REJECT_ID_COLUMN}`, so nobody knows which rejected records it corrects; nothing was sent",
        path.display()
    );
    Err(Failure::usage(what).cure(format!(
        "Write the records to a file with `{program} messages rejects {} --out FILE`, correct that and leave \
         `{REJECT_ID_COLUMN}` as it is. Records that correct none are sent with `{program} push`.",
        quoted(message),
        program = program()
    )))
}

/// Whether one of these may stand in the file. What cannot be looked into is left to the service.
fn may_correct(path: &Path, wanted: &[String]) -> io::Result<bool> {
    if !std::fs::metadata(path)?.is_file() {
        return Ok(true);
    }
    let mut file = File::open(path)?;
    if !beginning(&mut file)?.starts_with(ZIP) {
        file.rewind()?;
        return mentions(file, wanted);
    }
    let Ok(mut archive) = ZipArchive::new(BufReader::new(file)) else {
        return Ok(true);
    };
    for at in 0..archive.len() {
        let found = archive.by_index(at).map_err(io::Error::other);
        if found.and_then(|member| mentions(member, wanted)).unwrap_or(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first bytes.
fn beginning(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    reader.by_ref().take(ZIP.len() as u64).read_to_end(&mut first)?;
    Ok(first)
}

/// Whether one of these stands in it, in any case and any encoding in which ASCII keeps its bytes or has zeros between them
/// (UTF-16), or it is packed.
fn mentions(mut reader: impl Read, wanted: &[String]) -> io::Result<bool> {
    let first = beginning(&mut reader)?;
    if PACKED.iter().chain([&ZIP]).any(|magic| first.starts_with(magic)) {
        return Ok(true);
    }
    let mut reader = first.as_slice().chain(reader);
    let longest = wanted.iter().map(String::len).max().unwrap_or(0);
    let mut piece = vec![0; PIECE_BYTES];
    let mut seen: Vec<u8> = Vec::with_capacity(2 * PIECE_BYTES);
    loop {
        let read = match reader.read(&mut piece) {
            Ok(0) => return Ok(false),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let letters = piece[..read].iter().filter(|byte| **byte != 0);
        seen.extend(letters.map(u8::to_ascii_lowercase));
        if wanted.iter().any(|text| memmem::find(&seen, text.as_bytes()).is_some()) {
            return Ok(true);
        }
        // What is looked for may stand across two pieces.
        seen.drain(..seen.len().saturating_sub(longest));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const MESSAGE: &str = "0192f1c4-7a51-7c3e-9d7e-0c1f6f3a2b11";

    fn wanted() -> [String; 2] {
        ["_reject_id".to_owned(), format!("{MESSAGE}.")]
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn zipped(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in [("Manifest.xml", b"<Manifest/>".as_slice()), (name, bytes)] {
            zip.start_file(name, zip::write::SimpleFileOptions::default())
                .expect("begun");
            zip.write_all(bytes).expect("written");
        }
        zip.finish().expect("a zip").into_inner()
    }

    #[test]
    fn a_correction_says_which_records_it_corrects_in_every_format() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let may = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            may_correct(&path, &wanted()).expect("read")
        };
        // Somewhere across the pieces it is read in.
        let late = format!("{}_reject_id", "x".repeat(2 * PIECE_BYTES - 5));
        for good in [
            b"_reject_id,_error,A\r\n,,1\r\n".as_slice(),
            b"\"A\";\"_Reject_ID\"\r\n",
            b"{\"_reject_id\":\"x\"}\n",
            b"<R _reject_id=\"x\"/>",
            late.as_bytes(),
            &utf16("_reject_id\tA\r\n"),
            format!("A  12\t{MESSAGE}.0.2\twrong_type\r\n").as_bytes(),
            &zipped("Orders.csv", b"_reject_id,A\r\n"),
            // Nobody looks into these here.
            &[0x1f, 0x8b, 8, 0],
            &zipped("Orders.csv.gz", &[0x1f, 0x8b, 8, 0]),
            b"PK\x03\x04 is no archive",
        ] {
            assert!(may(good), "{:?}", String::from_utf8_lossy(good));
        }
        for bad in [
            b"".as_slice(),
            b"A,B\r\n1,2\r\n",
            b"reject_id,A\r\nx,2\r\n",
            b"A  12\t0192f1c4-7a51-7c3e-9d7e-0c1f6f3a2b12.0.2\r\n",
            &zipped("Orders.csv", b"A,B\r\n1,2\r\n"),
        ] {
            assert!(!may(bad), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[tokio::test]
    async fn whoever_sends_another_file_hears_how_to_make_one_that_corrects() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("orders.csv");
        std::fs::write(&path, "A,B\r\n1,2\r\n").expect("written");
        let failure = insist_on_ids(&path, MESSAGE).await.expect_err("no correction");
        assert_eq!(failure.exit, crate::cli::Exit::Usage);
        assert!(failure.what.contains("_reject_id"), "{failure}");
        let cure = failure.cure.expect("a cure");
        assert!(cure.contains(&format!("messages rejects {MESSAGE} --out")), "{cure}");
        let missing = insist_on_ids(&folder.path().join("none"), MESSAGE).await;
        assert_eq!(missing.expect_err("no file").exit, crate::cli::Exit::Failed);
        // Whoever sends it says that it is no file.
        assert_eq!(insist_on_ids(folder.path(), MESSAGE).await, Ok(()));
    }
}
