//! Data packages, as a sender makes them.

use std::io::{Cursor, Read as _, Write as _};

/// What a package must have beside its manifest.
pub const HEADER: (&str, &str) = ("PackageHeader.xml", "<DataManagementPackageHeader/>");

/// An entity of a manifest.
#[derive(Clone, Copy)]
pub struct Listed<'a> {
    pub label: &'a str,
    pub file: &'a str,
    pub format: &'a str,
    /// Execution unit, level and sequence.
    pub place: (u32, u32, u32),
    /// Further members.
    pub flags: &'a str,
}

/// A manifest that lists these.
pub fn manifest(entities: &[&Listed<'_>]) -> String {
    let entity = |listed: &&Listed<'_>| {
        let (unit, level, sequence) = listed.place;
        format!(
            "<DataManagementPackageEntityData><EntityName>{}</EntityName>{}<InputFilePath>{}</InputFilePath>\
             <SourceFormat>{}</SourceFormat><ExecutionUnit>{unit}</ExecutionUnit><LevelInExecutionUnit>{level}</LevelInExecutionUnit>\
             <SequenceInLevel>{sequence}</SequenceInLevel></DataManagementPackageEntityData>",
            listed.label, listed.flags, listed.file, listed.format
        )
    };
    format!(
        "<DataManagementPackageManifest xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\">\
         <DefinitionGroupName>Demo</DefinitionGroupName><PackageEntityList>{}</PackageEntityList>\
         </DataManagementPackageManifest>",
        entities.iter().map(entity).collect::<String>()
    )
}

/// A zip with these members.
pub fn package(members: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The members of a zip, with their texts.
pub fn members(bytes: &[u8]) -> Vec<(String, String)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut members = Vec::new();
    for index in 0..zip.len() {
        let mut member = zip.by_index(index).unwrap();
        let mut text = String::new();
        member.read_to_string(&mut text).unwrap();
        members.push((member.name().unwrap().into_owned(), text));
    }
    members
}
