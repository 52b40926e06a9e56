//! Which parts a workbook has, by its own account: sheets with their names, shared texts, styles, the date system.
//!
//! Parts are found by relationships. Where those are missing, the names that every program gives its parts have to do.

use std::io::Read;

use super::container::Container;
use super::refusal::{PartError, damaged, not_xlsx, sheet_missing};
use super::xml::{Token, XmlReader};
use crate::format::record::FileError;

const WORKBOOK_PART: &str = "xl/workbook.xml";
const STRINGS_PART: &str = "xl/sharedStrings.xml";
const STYLES_PART: &str = "xl/styles.xml";

/// Most sheets, and most relationships of one part.
const ENTRIES_MAX: usize = 4096;
/// Longest name, id or target, in bytes. Excel's sheet names have 31 characters.
const NAME_BYTES_MAX: usize = 1024;
/// Longest run of text in these parts: it means nothing there.
const TEXT_MAX: usize = 1024;

/// What the workbook says of itself.
#[derive(Debug)]
pub(super) struct Workbook {
    sheets: Vec<SheetPart>,
    /// Days count from 1904 instead of 1900.
    pub date1904: bool,
    /// Part with the shared texts; it need not be there.
    pub strings: String,
    /// Part with the styles; it need not be there.
    pub styles: String,
}

/// One worksheet.
#[derive(Debug)]
pub(super) struct SheetPart {
    /// Name on its tab.
    pub name: String,
    hidden: bool,
    /// Its part.
    pub part: String,
}

impl Workbook {
    /// Reads the account.
    ///
    /// # Errors
    /// `xlsx_expected` when the zip holds something else; otherwise what is wrong with the parts.
    pub fn read(container: &mut Container) -> Result<Self, FileError> {
        let part = workbook_part(container)?;
        let relations = relations(container, &part)?;
        let listing = container
            .part(&part, listing)?
            .ok_or_else(|| damaged(&format!("{part} is missing")))?;
        let target = |kind: &str, usual: &str| {
            let relation = relations.iter().find(|relation| relation.kind == kind);
            let target = relation.map(|relation| relation.target.as_str());
            target.filter(|part| container.has(part)).unwrap_or(usual).to_owned()
        };
        let mut sheets = Vec::new();
        for (at, listed) in listing.sheets.into_iter().enumerate() {
            let relation = relations.iter().find(|relation| relation.id == listed.relation);
            if relation.is_some_and(|relation| relation.kind != "worksheet") {
                continue;
            }
            let target = relation.map(|relation| relation.target.clone());
            let usual = format!("xl/worksheets/sheet{}.xml", at + 1);
            sheets.push(SheetPart {
                name: listed.name,
                hidden: listed.hidden,
                part: target.filter(|part| container.has(part)).unwrap_or(usual),
            });
        }
        Ok(Self {
            strings: target("sharedStrings", STRINGS_PART),
            styles: target("styles", STYLES_PART),
            sheets,
            date1904: listing.date1904,
        })
    }

    /// The sheet of this name in any case, a `$` at the end ignored (FMT-12); without a name the first visible one.
    ///
    /// # Errors
    /// `sheet_missing`.
    pub fn sheet(&self, wanted: Option<&str>) -> Result<&SheetPart, FileError> {
        let wanted = wanted.map(str::trim).filter(|name| !key(name).is_empty());
        let mut sheets = self.sheets.iter();
        let found = match wanted {
            Some(name) => sheets.find(|sheet| key(&sheet.name) == key(name)),
            None => sheets.find(|sheet| !sheet.hidden),
        };
        found.ok_or_else(|| {
            let names: Vec<_> = self.sheets.iter().map(|sheet| sheet.name.as_str()).collect();
            sheet_missing(wanted, &names)
        })
    }
}

fn key(name: &str) -> String {
    let name = name.trim();
    name.strip_suffix('$').unwrap_or(name).to_lowercase()
}

/// The part that holds the list of sheets.
fn workbook_part(container: &mut Container) -> Result<String, FileError> {
    let relations = relations(container, "")?;
    let target = relations.into_iter().find(|relation| relation.kind == "officeDocument");
    let part = target
        .map(|relation| relation.target)
        .filter(|part| container.has(part));
    match part {
        Some(part) if part.to_lowercase().ends_with(".bin") => Err(not_xlsx("the file is a binary workbook (.xlsb)")),
        Some(part) => Ok(part),
        None if container.has(WORKBOOK_PART) => Ok(WORKBOOK_PART.to_owned()),
        None => Err(not_xlsx("the file is a zip, but no workbook is in it")),
    }
}

/// What `workbook.xml` lists.
#[derive(Debug, Default)]
struct Listing {
    sheets: Vec<Listed>,
    date1904: bool,
}

#[derive(Debug)]
struct Listed {
    name: String,
    hidden: bool,
    relation: String,
}

fn listing(part: &mut dyn Read) -> Result<Listing, PartError> {
    let mut xml = XmlReader::new(part, TEXT_MAX);
    let mut listing = Listing::default();
    loop {
        match xml.next()? {
            Token::Start => {}
            Token::End | Token::Text => continue,
            Token::Eof => return Ok(listing),
        }
        match (xml.depth(), xml.name()) {
            (1, name) if name != b"workbook" => return Err(PartError::broken("it is no workbook")),
            (2, b"workbookPr") => {
                listing.date1904 = matches!(xml.attribute(b"date1904"), Some(b"1" | b"true"));
            }
            (3, b"sheet") => {
                let state = xml.attribute(b"state");
                let hidden = matches!(state, Some(b"hidden" | b"veryHidden"));
                let listed = Listed {
                    hidden,
                    name: short(&xml, b"name")?,
                    relation: short(&xml, b"id")?,
                };
                push(&mut listing.sheets, listed)?;
            }
            _ => {}
        }
    }
}

/// One relationship of a part to another.
#[derive(Debug)]
struct Relation {
    id: String,
    /// Last piece of its type, e.g. `worksheet`.
    kind: String,
    /// The other part, from the root.
    target: String,
}

/// The relationships of a part; those of the package for the empty name.
fn relations(container: &mut Container, part: &str) -> Result<Vec<Relation>, FileError> {
    let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
    let relations_part = resolve(folder, &format!("_rels/{file}.rels"));
    let read = |source: &mut dyn Read| {
        let mut xml = XmlReader::new(source, TEXT_MAX);
        let mut relations = Vec::new();
        loop {
            match xml.next()? {
                Token::Start if xml.name() == b"Relationship" => {
                    let kind = short(&xml, b"Type")?;
                    let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                    let relation = Relation {
                        id: short(&xml, b"Id")?,
                        kind,
                        target: resolve(folder, &short(&xml, b"Target")?),
                    };
                    push(&mut relations, relation)?;
                }
                Token::Start | Token::End | Token::Text => {}
                Token::Eof => return Ok(relations),
            }
        }
    };
    Ok(container.part(&relations_part, read)?.unwrap_or_default())
}

/// A target from the root, or from the folder of the part that names it.
fn resolve(folder: &str, target: &str) -> String {
    let from = if target.starts_with('/') { "" } else { folder };
    let mut path = Vec::new();
    for piece in from.split('/').chain(target.split('/')) {
        match piece {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            piece => path.push(piece),
        }
    }
    path.join("/")
}

/// An attribute's text; empty when it is not there.
fn short<R: Read>(xml: &XmlReader<R>, name: &[u8]) -> Result<String, PartError> {
    if xml.attribute(name).is_some_and(|value| value.len() > NAME_BYTES_MAX) {
        return Err(PartError::broken(format!(
            "a name is longer than {NAME_BYTES_MAX} bytes"
        )));
    }
    Ok(xml.attribute_text(name)?.unwrap_or_default())
}

fn push<T>(list: &mut Vec<T>, entry: T) -> Result<(), PartError> {
    if list.len() == ENTRIES_MAX {
        return Err(PartError::broken(format!("it lists more than {ENTRIES_MAX} parts")));
    }
    list.push(entry);
    Ok(())
}
