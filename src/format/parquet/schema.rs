//! The columns of a file, as its footer describes them.

use super::kind::{Annotation, Kind, Physical, Unit, meaning};
use super::refusal::{self, Fault};
use super::thrift::{self, Thrift};
use crate::format::excerpt;
use crate::format::record::FileError;

/// A flat column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub layout: Physical,
    pub kind: Kind,
    /// Whether a record may be without a value.
    pub is_optional: bool,
}

/// One element of a schema: its root, a column, or a group of them.
#[derive(Debug, Default)]
struct Element {
    physical: Option<i64>,
    length: i64,
    /// 0 required, 1 optional, 2 repeated.
    repetition: i64,
    name: String,
    children: i64,
    converted: Option<i64>,
    scale: i64,
    logical: Option<Annotation>,
}

/// Columns as they are read; the first element is the root.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub columns: Vec<Column>,
    /// Why the file is refused, once all of the footer proved well-formed.
    pub refused: Option<FileError>,
    has_root: bool,
}

impl Schema {
    /// Reads the list of elements; at most so many columns are kept.
    pub fn read(&mut self, from: &mut Thrift<'_>, columns_max: usize) -> Result<(), Fault> {
        from.structures(|from| {
            let element = Element::read(from)?;
            if !std::mem::replace(&mut self.has_root, true) {
                return Ok(());
            }
            if self.columns.len() == columns_max {
                self.refuse(refusal::too_many_columns(columns_max));
            } else if self.refused.is_none() {
                self.add(element);
            }
            Ok(())
        })
    }

    fn add(&mut self, element: Element) {
        let shown = excerpt::quoted(&element.name);
        let annotation = element.annotation();
        let is_flat = element.children == 0 && element.repetition < 2 && annotation != Some(Annotation::Nested);
        let Some(physical) = element.physical.filter(|_| is_flat) else {
            return self.refuse(refusal::nested(&shown));
        };
        match meaning(physical, element.length, annotation) {
            Ok((layout, kind)) => self.columns.push(Column {
                name: element.name,
                layout,
                kind,
                is_optional: element.repetition == 1,
            }),
            Err(why) => self.refuse(
                Fault::Unsupported(format!(
                    "the column {shown} is {why}, which is not read: leave it out, or write it as text or a number"
                ))
                .refuse(),
            ),
        }
    }

    fn refuse(&mut self, error: FileError) {
        self.refused.get_or_insert(error);
    }
}

impl Element {
    fn read(from: &mut Thrift<'_>) -> Result<Self, Fault> {
        let mut element = Self::default();
        from.structure(|from, id, kind| {
            match (id, kind) {
                (1, thrift::Kind::Int) => element.physical = Some(from.int()?),
                (2, thrift::Kind::Int) => element.length = from.int()?,
                (3, thrift::Kind::Int) => element.repetition = from.int()?,
                (4, thrift::Kind::Binary) => from
                    .binary()
                    .map(|name| element.name = String::from_utf8_lossy(name).into_owned())?,
                (5, thrift::Kind::Int) => element.children = from.int()?,
                (6, thrift::Kind::Int) => element.converted = Some(from.int()?),
                (7, thrift::Kind::Int) => element.scale = from.int()?,
                (10, thrift::Kind::Struct) => element.logical = logical(from)?,
                _ => from.skip(kind)?,
            }
            Ok(())
        })?;
        Ok(element)
    }

    /// The logical type goes before the converted one, which is older.
    fn annotation(&self) -> Option<Annotation> {
        self.logical.or_else(|| converted(self.converted?, self.scale))
    }
}

/// A logical type: a union, of which the number of its one field says which it is.
fn logical(from: &mut Thrift<'_>) -> Result<Option<Annotation>, Fault> {
    let mut found = None;
    from.structure(|from, id, kind| {
        if kind != thrift::Kind::Struct {
            return from.skip(kind);
        }
        let mut members = Members::default();
        from.structure(|from, id, kind| members.read(from, id, kind))?;
        found = Some(match id {
            1 | 4 | 12 => Annotation::Text,
            // A map, a list, or a variant.
            2 | 3 | 16 => Annotation::Nested,
            5 => Annotation::Decimal { scale: members.first },
            6 => Annotation::Date,
            7 => members
                .unit
                .map_or(Annotation::Other("a time in a unit"), Annotation::Time),
            8 => members.unit.map_or(Annotation::Other("a timestamp in a unit"), |unit| {
                Annotation::Timestamp {
                    unit,
                    is_utc: members.first_truth.unwrap_or(false),
                }
            }),
            10 if members.second_truth == Some(false) => Annotation::Unsigned,
            10 => Annotation::Int,
            11 => Annotation::Unknown,
            13 => Annotation::Other("BSON"),
            14 => Annotation::Uuid,
            15 => Annotation::Float16,
            17 => Annotation::Other("a geometry"),
            18 => Annotation::Other("a geography"),
            _ => Annotation::Other("of a type that is not known"),
        });
        Ok(())
    })?;
    Ok(found)
}

/// The members of a logical type, of which every one has other two.
#[derive(Debug, Default)]
struct Members {
    first: i64,
    first_truth: Option<bool>,
    second_truth: Option<bool>,
    unit: Option<Unit>,
}

impl Members {
    fn read(&mut self, from: &mut Thrift<'_>, id: i64, kind: thrift::Kind) -> Result<(), Fault> {
        match (id, kind) {
            (1, thrift::Kind::Int) => self.first = from.int()?,
            (1, thrift::Kind::True | thrift::Kind::False) => self.first_truth = kind.truth(),
            (2, thrift::Kind::True | thrift::Kind::False) => self.second_truth = kind.truth(),
            (2, thrift::Kind::Struct) => from.structure(|from, id, kind| {
                self.unit = match id {
                    1 => Some(Unit::Millis),
                    2 => Some(Unit::Micros),
                    3 => Some(Unit::Nanos),
                    _ => None,
                };
                from.skip(kind)
            })?,
            _ => from.skip(kind)?,
        }
        Ok(())
    }
}

fn converted(number: i64, scale: i64) -> Option<Annotation> {
    // Older files say nothing of a zone; their writers meant UTC.
    let timestamp = |unit| Annotation::Timestamp { unit, is_utc: true };
    Some(match number {
        0 | 4 | 19 => Annotation::Text,
        1..=3 => Annotation::Nested,
        5 => Annotation::Decimal { scale },
        6 => Annotation::Date,
        7 => Annotation::Time(Unit::Millis),
        8 => Annotation::Time(Unit::Micros),
        9 => timestamp(Unit::Millis),
        10 => timestamp(Unit::Micros),
        11..=14 => Annotation::Unsigned,
        15..=18 => Annotation::Int,
        20 => Annotation::Other("BSON"),
        21 => Annotation::Other("an INTERVAL"),
        _ => return None,
    })
}
