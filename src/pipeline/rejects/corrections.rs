//! What of rejected records is to be written differently when they are sent back.

use std::collections::BTreeMap;

use super::Halt;
use crate::domain::job::FileFormat;
use crate::domain::reject::RejectId;
use crate::format::csv_edit::with_cells;
use crate::format::xml::XmlStyle;
use crate::format::{fixed, json, xml};
use crate::pipeline::source::SourceError;

/// Another text for one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Its column, counted from 0 as in the payload.
    pub column: usize,
    /// The column's name.
    pub name: String,
    /// What is to stand there.
    pub text: String,
}

/// Records of a message that are sent back, each with what changes in it, which may be nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Corrections(BTreeMap<(i32, u64), Vec<Correction>>);

impl Corrections {
    /// Adds a record.
    pub fn send(&mut self, reject: RejectId, mut corrections: Vec<Correction>) {
        corrections.sort_by_key(|correction| correction.column);
        self.0.insert((reject.entity_no, reject.record), corrections);
    }

    /// Whether nothing is sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first and the last record of this entity.
    pub(super) fn span(&self, entity_no: i32) -> Option<(u64, u64)> {
        let mut records = self.0.range((entity_no, 0)..=(entity_no, u64::MAX));
        let (_, first) = records.next()?.0;
        Some((*first, records.next_back().map_or(*first, |((_, last), _)| *last)))
    }

    /// Whether the record is sent.
    pub(super) fn has(&self, reject: RejectId) -> bool {
        self.0.contains_key(&(reject.entity_no, reject.record))
    }

    /// What changes in it.
    pub(super) fn of(&self, reject: RejectId) -> &[Correction] {
        self.0
            .get(&(reject.entity_no, reject.record))
            .map_or(&[], Vec::as_slice)
    }
}

/// A record's own text with its corrections. What is no text has its cells corrected instead.
pub(super) fn corrected(format: &FileFormat, record: Vec<u8>, corrections: &[Correction]) -> Result<Vec<u8>, Halt> {
    if corrections.is_empty() {
        return Ok(record);
    }
    let by_place: Vec<(usize, &str)> = corrections.iter().map(|one| (one.column, one.text.as_str())).collect();
    let by_name: Vec<(&str, &str)> = corrections
        .iter()
        .map(|one| (one.name.as_str(), one.text.as_str()))
        .collect();
    let written = match format {
        FileFormat::Csv { delimiter } => Some(with_cells(&record, *delimiter, &by_place)),
        FileFormat::Fixed(columns) => fixed::with_columns(columns, &record, &by_place),
        FileFormat::Json | FileFormat::JsonLines => json::with_members(&record, &by_name),
        FileFormat::XmlElement => xml::with_members(XmlStyle::Element, &record, &by_name),
        FileFormat::XmlAttribute => xml::with_members(XmlStyle::Attribute, &record, &by_name),
        FileFormat::Xlsx { .. } | FileFormat::Parquet => None,
    };
    written.ok_or_else(|| {
        let detail =
            "a corrected value cannot be written in the format of the file; correct the downloaded rejects instead";
        SourceError::Unreadable(detail.to_owned()).into()
    })
}
