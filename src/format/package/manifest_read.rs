//! `Manifest.xml`, read: UTF-8 or UTF-16, members in any order, unknown ones ignored, namespaces not insisted on (FMT-3, FMT-4, FMT-7).
//!
//! No document type, no entities but the five of XML itself: nothing in the file can make it larger than it is.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

use crate::format::excerpt;

/// Deeper nesting than any manifest has.
const DEPTH_MAX: usize = 32;

/// What a package says it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The data project.
    pub definition_group: String,
    /// Free text.
    pub description: String,
    /// Its entities, in the order written.
    pub entities: Vec<PackageEntity>,
}

/// One entity of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageEntity {
    /// `EntityName`: the label.
    pub name: String,
    /// `TargetEntity`: the technical name; empty when left out.
    pub target: String,
    /// `InputFilePath`: the data file's member, compared in any case (FMT-2).
    pub file: String,
    /// `SourceFormat`, e.g. `CSV` (FMT-8).
    pub source_format: String,
    /// `Disable`: listed, but not to be loaded.
    pub disabled: bool,
    /// `ExecutionUnit` (DMF-5).
    pub execution_unit: u32,
    /// `LevelInExecutionUnit`.
    pub level: u32,
    /// `SequenceInLevel`.
    pub sequence: u32,
    /// `EntityMapList`; empty means: by name (FMT-7).
    pub fields: Vec<FieldMap>,
}

impl Default for PackageEntity {
    fn default() -> Self {
        Self {
            name: String::new(),
            target: String::new(),
            file: String::new(),
            source_format: String::new(),
            disabled: false,
            execution_unit: 1,
            level: 1,
            sequence: 1,
            fields: Vec::new(),
        }
    }
}

/// One line of an entity's field map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldMap {
    /// `EntityField`: the staging field, usually in upper case.
    pub field: String,
    /// `XMLField`: the column or element in the data file.
    pub column: String,
}

/// Why a manifest could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PackageError {
    /// `manifest_encoding`, `manifest_damaged`, `manifest_unexpected`.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub reason: String,
}

fn damaged(reason: impl std::fmt::Display) -> PackageError {
    PackageError {
        code: "manifest_damaged",
        reason: format!("Manifest.xml cannot be read: {reason}"),
    }
}

fn unexpected(reason: impl std::fmt::Display) -> PackageError {
    PackageError {
        code: "manifest_unexpected",
        reason: format!("Manifest.xml is not what a package needs: {reason}"),
    }
}

/// Reads a manifest.
///
/// # Errors
/// [`PackageError`] when it is not UTF-8 or UTF-16, not well-formed, has a document type or an entity of its own, or is
/// something else than a manifest.
pub fn read_manifest(bytes: &[u8]) -> Result<Manifest, PackageError> {
    let text = decode(bytes)?;
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let mut building = Building::default();
    loop {
        let event = reader
            .read_event()
            .map_err(|error| damaged(format!("{error} at character offset {}", reader.error_position())))?;
        match event {
            Event::Start(tag) => building.begin(&String::from_utf8_lossy(tag.local_name().as_ref()))?,
            Event::End(_) => building.end()?,
            Event::Text(part) => building.text.push_str(&part.xml10_content().map_err(damaged)?),
            Event::CData(part) => building.text.push_str(&part.xml10_content().map_err(damaged)?),
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(damaged)?;
                match (
                    reference.resolve_char_ref().map_err(damaged)?,
                    resolve_xml_entity(&name),
                ) {
                    (Some(character), _) => building.text.push(character),
                    (None, Some(resolved)) => building.text.push_str(resolved),
                    (None, None) => {
                        let name = excerpt::quoted(&name);
                        return Err(unexpected(format!("it uses the entity {name}; write the text itself")));
                    }
                }
            }
            Event::DocType(_) => return Err(unexpected("it has a document type declaration; remove it")),
            Event::Eof => return building.finish(),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

/// Text in UTF-8 or UTF-16, told apart by the byte order mark or, without one, by where the zero byte of `<` stands.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, PackageError> {
    let wrong = |what: &str| PackageError {
        code: "manifest_encoding",
        reason: format!("Manifest.xml is not valid {what}: save it as UTF-8"),
    };
    let (units, little_endian) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (rest, true),
        [0xFE, 0xFF, rest @ ..] => (rest, false),
        [b'<', 0, ..] => (bytes, true),
        [0, b'<', ..] => (bytes, false),
        _ => {
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            return std::str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .map_err(|_| wrong("UTF-8"));
        }
    };
    let (pairs, rest) = units.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong("UTF-16: it ends in the middle of a character"));
    }
    let unit = |&pair: &[u8; 2]| {
        if little_endian {
            u16::from_le_bytes(pair)
        } else {
            u16::from_be_bytes(pair)
        }
    };
    char::decode_utf16(pairs.iter().map(unit))
        .collect::<Result<String, _>>()
        .map(Cow::Owned)
        .map_err(|_| wrong("UTF-16"))
}

/// A manifest while it is read.
#[derive(Default)]
struct Building {
    manifest: Manifest,
    /// Local names of the elements that are open.
    open: Vec<String>,
    /// Text of the innermost one so far.
    text: String,
    root_seen: bool,
}

impl Building {
    fn begin(&mut self, name: &str) -> Result<(), PackageError> {
        if self.open.is_empty() {
            if self.root_seen || name != "DataManagementPackageManifest" {
                let name = excerpt::quoted(name);
                return Err(unexpected(format!(
                    "its root is {name}, expected DataManagementPackageManifest"
                )));
            }
            self.root_seen = true;
        }
        if self.open.len() == DEPTH_MAX {
            return Err(unexpected(format!(
                "its elements are nested more than {DEPTH_MAX} deep"
            )));
        }
        match (self.parent(), name) {
            ("PackageEntityList", "DataManagementPackageEntityData") => {
                self.manifest.entities.push(PackageEntity::default());
            }
            ("EntityMapList", "EntityMap") => {
                if let Some(entity) = self.manifest.entities.last_mut() {
                    entity.fields.push(FieldMap::default());
                }
            }
            _ => {}
        }
        self.open.push(name.to_owned());
        self.text.clear();
        Ok(())
    }

    fn end(&mut self) -> Result<(), PackageError> {
        let name = self.open.pop().ok_or_else(|| damaged("an end tag without a start"))?;
        let text = std::mem::take(&mut self.text);
        let value = text.trim();
        match self.parent() {
            "DataManagementPackageManifest" => self.manifest.set(&name, value),
            "DataManagementPackageEntityData" => {
                if let Some(entity) = self.manifest.entities.last_mut() {
                    entity.set(&name, value)?;
                }
            }
            "EntityMap" => {
                if let Some(map) = self.manifest.entities.last_mut().and_then(|e| e.fields.last_mut()) {
                    map.set(&name, value);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn parent(&self) -> &str {
        self.open.last().map_or("", String::as_str)
    }

    fn finish(self) -> Result<Manifest, PackageError> {
        match (self.open.last(), self.root_seen) {
            (Some(open), _) => Err(damaged(format!("it ends inside {}", excerpt::quoted(open)))),
            (None, false) => Err(damaged("it has no root element")),
            (None, true) => Ok(self.manifest),
        }
    }
}

impl Manifest {
    fn set(&mut self, name: &str, value: &str) {
        match name {
            "DefinitionGroupName" => value.clone_into(&mut self.definition_group),
            "Description" => value.clone_into(&mut self.description),
            _ => {}
        }
    }
}

impl PackageEntity {
    fn set(&mut self, name: &str, value: &str) -> Result<(), PackageError> {
        match name {
            "EntityName" => value.clone_into(&mut self.name),
            "TargetEntity" => value.clone_into(&mut self.target),
            "InputFilePath" => value.clone_into(&mut self.file),
            "SourceFormat" => value.clone_into(&mut self.source_format),
            "Disable" => self.disabled = yes(name, value)?,
            "ExecutionUnit" => self.execution_unit = number(name, value)?,
            "LevelInExecutionUnit" => self.level = number(name, value)?,
            "SequenceInLevel" => self.sequence = number(name, value)?,
            _ => {}
        }
        Ok(())
    }
}

impl FieldMap {
    fn set(&mut self, name: &str, value: &str) {
        match name {
            "EntityField" => value.clone_into(&mut self.field),
            "XMLField" => value.clone_into(&mut self.column),
            _ => {}
        }
    }
}

/// `Yes`/`No`, and what others write for them (FMT-7); nothing is no.
fn yes(name: &str, value: &str) -> Result<bool, PackageError> {
    let is = |words: [&str; 3]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    if is(["yes", "true", "1"]) {
        Ok(true)
    } else if value.is_empty() || is(["no", "false", "0"]) {
        Ok(false)
    } else {
        let value = excerpt::quoted(value);
        Err(unexpected(format!("{name} is {value}, expected Yes or No")))
    }
}

/// A place in the order of execution; nothing is the first.
fn number(name: &str, value: &str) -> Result<u32, PackageError> {
    if value.is_empty() {
        return Ok(1);
    }
    value.parse().map_err(|_| {
        let value = excerpt::quoted(value);
        unexpected(format!("{name} is {value}, expected a number"))
    })
}
