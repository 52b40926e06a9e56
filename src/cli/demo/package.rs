//! A look into a collected package.

use std::io::Read as _;
use std::path::Path;

use crate::cli::Failure;

/// A collected package, opened in memory.
pub(super) struct Package {
    /// Names of its members.
    pub names: Vec<String>,
    /// Text of its data file.
    pub data: String,
}

impl Package {
    /// Opens a zip and reads its data file.
    ///
    /// # Errors
    /// When it is no zip, or has no data file.
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, Failure> {
        let damaged = |what: String| Failure::failed(format!("the package cannot be opened: {what}"));
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|error| damaged(error.to_string()))?;
        let names = zip.file_names().map(|name| name.map(std::borrow::Cow::into_owned));
        let names: Vec<String> = names
            .collect::<Result<_, _>>()
            .map_err(|error| damaged(error.to_string()))?;
        let data = names
            .iter()
            .find(|name| {
                Path::new(name)
                    .extension()
                    .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
            })
            .ok_or_else(|| damaged("it has no data file".to_owned()))?;
        let mut text = String::new();
        zip.by_name(data)
            .map_err(|error| damaged(error.to_string()))?
            .read_to_string(&mut text)
            .map_err(|error| damaged(error.to_string()))?;
        Ok(Self { names, data: text })
    }

    /// Manifest and header are there (FMT-1).
    pub(super) fn is_complete(&self) -> bool {
        ["Manifest.xml", "PackageHeader.xml"]
            .iter()
            .all(|name| self.names.iter().any(|have| have == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_package_is_opened_in_memory_and_one_without_a_manifest_is_noticed() {
        let zipped = |names: &[&str]| {
            let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            for name in names {
                zip.start_file(*name, zip::write::SimpleFileOptions::default())
                    .expect("a member");
                zip.write_all(b"a,b\r\n1,2\r\n").expect("its bytes");
            }
            zip.finish().expect("a zip").into_inner()
        };
        let package = Package::open(zipped(&["Manifest.xml", "PackageHeader.xml", "Orders.csv"])).expect("a package");
        assert!(package.is_complete());
        assert_eq!(package.data, "a,b\r\n1,2\r\n");
        assert!(!Package::open(zipped(&["Orders.csv"])).expect("a zip").is_complete());
        assert!(Package::open(zipped(&["Manifest.xml"])).is_err());
        assert!(Package::open(b"no zip".to_vec()).is_err());
    }
}
