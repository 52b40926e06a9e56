//! A package unpacked into a folder of its own.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use zip::ZipArchive;

use crate::agent::files;
use crate::agent::trouble::{Kind, Trouble};
use crate::folders;
use crate::format::budget;

/// Most files in a package.
const MEMBERS_MAX: usize = 10_000;

/// Unpacks a zip into a new folder; whole and synced when this returns. Names that lead out of it are refused, and what comes
/// out is bounded by what is packed.
pub(super) fn unpack(package: &Path, folder: &Path) -> Result<(), Trouble> {
    let unwritable = |error: std::io::Error| Trouble::local("unpack into", folder, &error);
    let damaged = |what: String| Trouble::new(Kind::Local, format!("the package cannot be unpacked: {what}"));
    // A leftover of a broken attempt.
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir(folder).map_err(unwritable)?;
    let file = files::open(package)?;
    let packed = file.metadata().map_err(unwritable)?.len();
    let mut left = budget::unpacked_max(packed, u64::MAX);
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(error.to_string()))?;
    if archive.len() > MEMBERS_MAX {
        return Err(damaged(format!("it has more than {MEMBERS_MAX} files")));
    }
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|error| damaged(error.to_string()))?;
        let inside = member
            .enclosed_name()
            .ok_or_else(|| damaged(format!("{:?} leads out of it", member.name())))?;
        let path = folder.join(inside);
        if member.is_dir() {
            folders::make(&path).map_err(unwritable)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            folders::make(parent).map_err(unwritable)?;
        }
        let mut target = BufWriter::new(File::create_new(&path).map_err(unwritable)?);
        let copied =
            std::io::copy(&mut member.take(left + 1), &mut target).map_err(|error| damaged(error.to_string()))?;
        left = left
            .checked_sub(copied)
            .ok_or_else(|| damaged("it unpacks to far more than a package holds".to_owned()))?;
        target.flush().map_err(unwritable)?;
        target.get_ref().sync_all().map_err(unwritable)?;
        files::sync_folder(&path).map_err(unwritable)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn package(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            zip.start_file(*name, SimpleFileOptions::default()).expect("a member");
            zip.write_all(bytes).expect("written");
        }
        zip.finish().expect("a zip").into_inner()
    }

    #[test]
    fn a_package_becomes_a_folder_and_one_that_leads_out_or_swells_does_not() {
        let place = tempfile::tempdir().expect("a folder");
        let (zip, folder) = (place.path().join("a.zip"), place.path().join("a"));
        std::fs::write(&zip, package(&[("Manifest.xml", b"<m/>"), ("data/orders.csv", b"1,2")])).expect("written");
        unpack(&zip, &folder).expect("unpacked");
        assert_eq!(std::fs::read(folder.join("data/orders.csv")).expect("read"), b"1,2");
        unpack(&zip, &folder).expect("once more, over what is there");

        std::fs::write(&zip, package(&[("../out.csv", b"1")])).expect("written");
        let refused = unpack(&zip, &folder).expect_err("it leads out");
        assert!(refused.what.contains("leads out"), "{refused}");
        assert!(!place.path().join("out.csv").exists());

        std::fs::write(&zip, package(&[("zeros", &vec![0; 70 << 20])])).expect("written");
        let refused = unpack(&zip, &folder).expect_err("it swells");
        assert!(refused.what.contains("far more"), "{refused}");
    }
}
