//! One data file being written: rows as the database has them to bytes as the job wants them.

use std::collections::BTreeMap;

use super::faulty::{Cells, shown};
use super::parts::Part;
use crate::business::snapshot::Row;
use crate::domain::entity::{Field, FieldType};
use crate::domain::export::ExportSpec;
use crate::domain::job::FileFormat;
use crate::format::csv_write::CsvWriter;
use crate::format::encode::Encoder;
use crate::format::excerpt::quoted;
use crate::format::fixed::FixedWriter;
use crate::format::json::{JsonShape, JsonWriter};
use crate::format::parquet::{ParquetColumn, ParquetWriter};
use crate::format::record_writer::{RecordWriter, WriteError};
use crate::format::typed::Speller;
use crate::format::xlsx::{XlsxWriter, sheet_name};
use crate::format::xml::{XmlNode, XmlStyle, XmlWriter};
use crate::pipeline::stop::Stop;

/// Bytes that a row takes, roughly.
const ROW_BYTES: usize = 128;

/// A data file being written.
pub(super) struct DataFileWriter<'a> {
    part: &'a Part<'a>,
    writer: Box<dyn RecordWriter>,
    /// None: the format is no text.
    encoder: Option<Encoder>,
    /// For each entity, for each field.
    spellers: Vec<Vec<Speller>>,
    /// Of each entity so far.
    records: Vec<u64>,
    /// A record's text before it is encoded.
    text: Vec<u8>,
}

impl<'a> DataFileWriter<'a> {
    /// A writer at the start of the file.
    pub fn new(part: &'a Part<'a>, spec: &ExportSpec) -> Self {
        let encoder = Encoder::new(spec.encoding.as_deref());
        let spellers = part.sources.iter().map(|source| {
            let values = |field: &str| source.wanted.values.get(field).cloned().unwrap_or_default();
            let speller = |name: &String| match source.entity.field(name) {
                Some(field) if spec.format.is_typed() => Speller::canonical(field, values(name)),
                Some(field) => Speller::new(field, values(name)),
                // The selection of a field that is not there is refused by name.
                None => Speller::new(&unknown(), BTreeMap::new()),
            };
            let deleted = source
                .tells_deleted()
                .then(|| Speller::new(&unknown(), BTreeMap::new()));
            source.fields.iter().map(speller).chain(deleted).collect()
        });
        Self {
            writer: writer(part, spec, encoder.name()),
            encoder: spec.format.is_text().then_some(encoder),
            spellers: spellers.collect(),
            records: vec![0; part.sources.len()],
            text: Vec::new(),
            part,
        }
    }

    /// Labels of its entities with the records written of each.
    pub fn counts(&self) -> Vec<(String, u64)> {
        let labels = self.part.sources.iter().map(|source| source.entity.label.clone());
        labels.zip(self.records.iter().copied()).collect()
    }

    /// About how many bytes of its records wait for others.
    pub fn held_bytes(&self) -> u64 {
        self.writer.held_bytes()
    }

    /// What stands before the first record.
    pub fn begin(&mut self) -> Result<Vec<u8>, Stop> {
        self.writer.begin(&mut self.text).map_err(|error| self.refused(error))?;
        let mut out = Vec::new();
        self.encode(&mut out).map_err(|c| self.no_such_character(c))?;
        Ok(out)
    }

    /// Rows as they come from the snapshot: those of a composite begin with the position of their entity.
    pub fn rows(&mut self, rows: &[Row]) -> Result<Vec<u8>, Stop> {
        let mut out = Vec::with_capacity(rows.len() * ROW_BYTES);
        for row in rows {
            let mut cells = row.cells();
            let node = match self.part.composite {
                Some(_) => cells.next().flatten().and_then(|node| node.parse().ok()),
                None => Some(0),
            };
            let node: usize = node.filter(|node| *node < self.records.len()).ok_or_else(|| {
                Stop::Retry("the database answered with a record of no entity that was asked for".to_owned())
            })?;
            self.row(node, cells, &mut out)?;
        }
        Ok(out)
    }

    fn row<'r>(&mut self, node: usize, cells: impl Cells<'r>, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.records[node] += 1;
        let spellers = &self.spellers[node];
        let mut spelt = Vec::with_capacity(spellers.len());
        for (column, (speller, cell)) in spellers.iter().zip(cells.clone()).enumerate() {
            let cell = speller.spell(cell);
            let cell = cell.map_err(|reason| self.unwritable(node, cells.clone(), Some(column), &reason))?;
            spelt.push(cell);
        }
        // What needs no encoding takes no detour.
        let is_direct = self.encoder.as_ref().is_none_or(Encoder::is_utf8);
        let into = if is_direct { &mut *out } else { &mut self.text };
        match self.writer.record(node, &spelt, into) {
            Ok(()) => {}
            Err(WriteError::Value { column, reason }) => {
                return Err(self.unwritable(node, cells, Some(column), &reason));
            }
            Err(error) => return Err(self.refused(error)),
        }
        let encoded = self.encode(out);
        encoded.map_err(|c| {
            let name = self.encoder.as_ref().map_or("", Encoder::name);
            let reason = format!(
                "holds {}, which {name} does not have: choose another `encoding`",
                quoted(&c.to_string())
            );
            self.unwritable(node, cells, None, &reason)
        })
    }

    /// What stands after the last record.
    pub fn finish(&mut self) -> Result<Vec<u8>, Stop> {
        self.writer
            .finish(&mut self.text)
            .map_err(|error| self.refused(error))?;
        let mut out = Vec::new();
        self.encode(&mut out).map_err(|c| self.no_such_character(c))?;
        if let Some(encoder) = &mut self.encoder {
            encoder.finish(&mut out);
        }
        Ok(out)
    }

    /// Moves the text there is into `out`.
    fn encode(&mut self, out: &mut Vec<u8>) -> Result<(), char> {
        match &mut self.encoder {
            Some(encoder) if !encoder.is_utf8() => {
                let text = String::from_utf8_lossy(&self.text);
                encoder.encode(&text, out).map_err(|error| error.0)?;
                self.text.clear();
            }
            _ => out.append(&mut self.text),
        }
        Ok(())
    }

    /// A record that cannot be written, so that somebody finds it.
    fn unwritable<'r>(&self, node: usize, cells: impl Cells<'r>, column: Option<usize>, reason: &str) -> Stop {
        let source = &self.part.sources[node];
        let place = match column.and_then(|column| source.fields.get(column)) {
            Some(field) => format!("its field `{field}`"),
            None => "it".to_owned(),
        };
        let detail = format!(
            "record {} of `{}` ({}) cannot be written: {place} {reason}",
            self.records[node],
            source.entity.label,
            shown(source, cells)
        );
        Stop::fail("value_not_writable", detail)
    }

    fn refused(&self, error: WriteError) -> Stop {
        match error {
            WriteError::Io(error) => error.into(),
            error => Stop::fail(error.code(), format!("`{}`: {error}", self.part.label)),
        }
    }

    /// Of the names of columns.
    fn no_such_character(&self, c: char) -> Stop {
        let name = self.encoder.as_ref().map_or("", Encoder::name);
        let detail = format!(
            "a column of `{}` has `{c}` in its name, which {name} does not have",
            self.part.label
        );
        Stop::fail("value_not_writable", detail)
    }
}

/// A writer of this format, at the start of a file.
fn writer(part: &Part<'_>, spec: &ExportSpec, encoding: &str) -> Box<dyn RecordWriter> {
    let columns = || {
        part.sources
            .first()
            .map(super::parts::Source::columns)
            .unwrap_or_default()
    };
    match &spec.format {
        FileFormat::Csv { delimiter } => {
            let header = if spec.header { columns() } else { Vec::new() };
            Box::new(CsvWriter::new(*delimiter, header))
        }
        FileFormat::Fixed(columns) => Box::new(FixedWriter::new(columns.clone())),
        FileFormat::Json => Box::new(JsonWriter::new(JsonShape::Document, &columns())),
        FileFormat::JsonLines => Box::new(JsonWriter::new(JsonShape::Lines, &columns())),
        FileFormat::XmlElement => Box::new(XmlWriter::new(XmlStyle::Element, encoding, nodes(part))),
        FileFormat::XmlAttribute => Box::new(XmlWriter::new(XmlStyle::Attribute, encoding, nodes(part))),
        FileFormat::Xlsx { .. } => Box::new(XlsxWriter::new(&sheet(part, &spec.format), columns())),
        FileFormat::Parquet => {
            let columns = part.sources.first().map(typed_columns).unwrap_or_default();
            Box::new(ParquetWriter::new(columns, spec.compression))
        }
    }
}

/// The columns of a Parquet file, each of its field's type.
fn typed_columns(source: &super::parts::Source<'_>) -> Vec<ParquetColumn> {
    // The column that tells deleted records is of no field.
    let fields = source.fields.iter().map(Some).chain([None]);
    let kind = |name: &String| {
        let is_translated = source.wanted.values.contains_key(name);
        let field = source.entity.field(name).filter(|_| !is_translated);
        field.map(|field| field.kind.clone())
    };
    let column = |(name, field): (String, Option<&String>)| ParquetColumn {
        name,
        kind: field.and_then(kind).unwrap_or(FieldType::String),
    };
    source.columns().into_iter().zip(fields).map(column).collect()
}

/// What the sheet of a workbook is called; empty for other formats.
pub(super) fn sheet(part: &Part<'_>, format: &FileFormat) -> String {
    match format {
        FileFormat::Xlsx { sheet } => sheet.clone().unwrap_or_else(|| sheet_name(part.label)),
        _ => String::new(),
    }
}

/// The elements of an XML file.
fn nodes(part: &Part<'_>) -> Vec<XmlNode> {
    let node = |(at, source): (usize, &super::parts::Source<'_>)| XmlNode {
        element: part.composite.map_or_else(
            || source.entity.xml_element(),
            |composite| composite.parts[at].element.clone(),
        ),
        members: source.columns(),
        depth: part.composite.map_or(0, |composite| composite.depth(at) as usize),
        holds_others: part
            .composite
            .is_some_and(|composite| composite.parts.iter().any(|inner| inner.parent == Some(at))),
    };
    part.sources.iter().enumerate().map(node).collect()
}

fn unknown() -> Field {
    Field {
        kind: FieldType::String,
        ..Field::default()
    }
}
