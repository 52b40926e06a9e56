//! The values of one column, gathered until their row group is written.

use bytes::Bytes;
use chrono::{NaiveDate, Timelike as _};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::Result;
use parquet::file::writer::SerializedColumnWriter;
use parquet::schema::types::Type;

use super::ParquetColumn;
use crate::domain::entity::FieldType;
use crate::format::excerpt::quoted;
use crate::format::typed::{FileCell, Nature, days_and_time};

/// Most digits of a decimal: what every reader takes.
const DECIMAL_DIGITS_MAX: u32 = 38;
/// Most digits of a decimal that 64 bits hold.
const INT64_DIGITS_MAX: u32 = 18;
/// Texts handed over at once.
const TEXTS_AT_ONCE: usize = 1024;
const SECONDS_A_DAY: i64 = 86_400;

/// A column and the values it has so far.
#[derive(Debug)]
pub(super) struct Gathered {
    name: String,
    sort: Sort,
    /// For each record 1, or 0 where it has no value.
    levels: Vec<i16>,
    values: Values,
}

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    Int,
    Bool,
    Date,
    Timestamp,
    Time,
    Decimal { precision: u32, scale: u32 },
}

#[derive(Debug)]
enum Values {
    Bools(Vec<bool>),
    Days(Vec<i32>),
    Ints(Vec<i64>),
    /// Numbers of so many bytes, the highest first.
    Wide {
        bytes: Vec<u8>,
        width: usize,
    },
    Texts {
        bytes: Vec<u8>,
        ends: Vec<usize>,
    },
}

impl Gathered {
    pub fn new(column: ParquetColumn) -> Self {
        let sort = match column.kind {
            FieldType::Int => Sort::Int,
            FieldType::Bool => Sort::Bool,
            FieldType::Date => Sort::Date,
            FieldType::Datetime => Sort::Timestamp,
            FieldType::Time => Sort::Time,
            FieldType::Decimal {
                precision,
                scale: Some(scale),
            } if precision <= DECIMAL_DIGITS_MAX && scale <= precision => Sort::Decimal { precision, scale },
            // Where every value has its own digits behind the point, only a text keeps them.
            FieldType::Decimal { .. } | FieldType::String | FieldType::Guid | FieldType::Enum(_) => Sort::Text,
        };
        let values = match sort {
            Sort::Bool => Values::Bools(Vec::new()),
            Sort::Date => Values::Days(Vec::new()),
            Sort::Decimal { precision, .. } if precision > INT64_DIGITS_MAX => Values::Wide {
                bytes: Vec::new(),
                width: width(precision),
            },
            Sort::Int | Sort::Timestamp | Sort::Time | Sort::Decimal { .. } => Values::Ints(Vec::new()),
            Sort::Text => Values::Texts {
                bytes: Vec::new(),
                ends: Vec::new(),
            },
        };
        Self {
            name: column.name,
            sort,
            levels: Vec::new(),
            values,
        }
    }

    /// How the file describes it.
    pub fn schema(&self) -> Result<Type> {
        let (physical, logical) = match (self.sort, &self.values) {
            (Sort::Text, _) => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            (Sort::Int, _) => (PhysicalType::INT64, None),
            (Sort::Bool, _) => (PhysicalType::BOOLEAN, None),
            (Sort::Date, _) => (PhysicalType::INT32, Some(LogicalType::Date)),
            (Sort::Timestamp, _) => (
                PhysicalType::INT64,
                Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            ),
            (Sort::Time, _) => (PhysicalType::INT64, Some(LogicalType::time(false, TimeUnit::MICROS))),
            (Sort::Decimal { precision, scale }, values) => {
                let physical = match values {
                    Values::Wide { .. } => PhysicalType::FIXED_LEN_BYTE_ARRAY,
                    _ => PhysicalType::INT64,
                };
                (physical, Some(LogicalType::decimal(number(scale), number(precision))))
            }
        };
        let mut builder = Type::primitive_type_builder(&self.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        if let Sort::Decimal { precision, scale } = self.sort {
            builder = builder.with_precision(number(precision)).with_scale(number(scale));
        }
        if let Values::Wide { width, .. } = self.values {
            builder = builder.with_length(i32::try_from(width).unwrap_or(i32::MAX));
        }
        builder.build()
    }

    /// Adds a record's value; returns about how many bytes that takes.
    ///
    /// # Errors
    /// Why it is none of its type: a clause behind the value's place.
    pub fn push(&mut self, cell: &FileCell<'_>) -> std::result::Result<usize, String> {
        const LEVEL_BYTES: usize = size_of::<i16>();
        let Some(text) = cell.text.as_deref() else {
            self.levels.push(0);
            return Ok(LEVEL_BYTES);
        };
        let bytes = self.add(text, cell.nature()).ok_or_else(|| {
            format!(
                "holds {}, which is no {}, the type of its column: correct it, or choose another format",
                quoted(text),
                self.type_name()
            )
        })?;
        self.levels.push(1);
        Ok(LEVEL_BYTES + bytes)
    }

    fn add(&mut self, text: &str, nature: Nature) -> Option<usize> {
        match (&mut self.values, self.sort) {
            (Values::Texts { bytes, ends }, _) => {
                bytes.extend_from_slice(text.as_bytes());
                ends.push(bytes.len());
                Some(text.len() + size_of::<usize>())
            }
            (Values::Bools(bools), _) => {
                bools.push((nature == Nature::Bool).then_some(text == "Yes")?);
                Some(1)
            }
            (Values::Days(days), _) => {
                let (day, _) = days_and_time(text, NaiveDate::default()).filter(|_| nature == Nature::Date)?;
                days.push(i32::try_from(day).ok()?);
                Some(size_of::<i32>())
            }
            (Values::Ints(ints), sort) => {
                ints.push(int(text, nature, sort)?);
                Some(size_of::<i64>())
            }
            (Values::Wide { bytes, width }, Sort::Decimal { precision, scale }) => {
                let units = units(text, precision, scale)?.to_be_bytes();
                bytes.extend_from_slice(&units[units.len() - *width..]);
                Some(*width)
            }
            (Values::Wide { .. }, _) => None,
        }
    }

    fn type_name(&self) -> String {
        match self.sort {
            Sort::Text => "text".to_owned(),
            Sort::Int => "whole number of 64 bits".to_owned(),
            Sort::Bool => "truth value".to_owned(),
            Sort::Date => "date".to_owned(),
            Sort::Timestamp => "date and time".to_owned(),
            Sort::Time => "time of day".to_owned(),
            Sort::Decimal { precision, scale } => {
                format!("decimal of {precision} digits, {scale} of them behind the point")
            }
        }
    }

    /// Writes all values, and forgets them.
    pub fn write(&mut self, mut column: SerializedColumnWriter<'_>) -> Result<()> {
        let levels = std::mem::take(&mut self.levels);
        match &mut self.values {
            Values::Bools(bools) => {
                let values = std::mem::take(bools);
                column.typed::<BoolType>().write_batch(&values, Some(&levels), None)?;
            }
            Values::Days(days) => {
                let values = std::mem::take(days);
                column.typed::<Int32Type>().write_batch(&values, Some(&levels), None)?;
            }
            Values::Ints(ints) => {
                let values = std::mem::take(ints);
                column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
            }
            Values::Wide { bytes, width } => {
                let bytes = Bytes::from(std::mem::take(bytes));
                let width = *width;
                in_pieces(&levels, |piece, values| {
                    let value =
                        |at: usize| FixedLenByteArray::from(ByteArray::from(bytes.slice(at * width..(at + 1) * width)));
                    let values: Vec<_> = values.map(value).collect();
                    column
                        .typed::<FixedLenByteArrayType>()
                        .write_batch(&values, Some(piece), None)
                })?;
            }
            Values::Texts { bytes, ends } => {
                let (bytes, ends) = (Bytes::from(std::mem::take(bytes)), std::mem::take(ends));
                in_pieces(&levels, |piece, values| {
                    let start = |at: usize| at.checked_sub(1).map_or(0, |before| ends[before]);
                    let values: Vec<_> = values
                        .map(|at| ByteArray::from(bytes.slice(start(at)..ends[at])))
                        .collect();
                    column.typed::<ByteArrayType>().write_batch(&values, Some(piece), None)
                })?;
            }
        }
        column.close()
    }
}

/// Hands over levels piece by piece, with the positions of their values.
fn in_pieces(levels: &[i16], mut write: impl FnMut(&[i16], std::ops::Range<usize>) -> Result<usize>) -> Result<()> {
    let mut at = 0;
    for piece in levels.chunks(TEXTS_AT_ONCE) {
        let there = piece.iter().filter(|level| **level == 1).count();
        write(piece, at..at + there)?;
        at += there;
    }
    Ok(())
}

fn int(text: &str, nature: Nature, sort: Sort) -> Option<i64> {
    match sort {
        Sort::Int => text.parse().ok(),
        Sort::Decimal { precision, scale } => i64::try_from(units(text, precision, scale)?).ok(),
        Sort::Timestamp if nature == Nature::Datetime => {
            let (days, time) = days_and_time(text, NaiveDate::default())?;
            Some((days * SECONDS_A_DAY + i64::from(time.num_seconds_from_midnight())) * 1_000_000 + micros(time))
        }
        Sort::Time if nature == Nature::Time => {
            let (_, time) = days_and_time(text, NaiveDate::default())?;
            Some(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + micros(time))
        }
        _ => None,
    }
}

fn micros(time: chrono::NaiveTime) -> i64 {
    i64::from(time.nanosecond() / 1000)
}

/// A decimal as a number of units behind its last digit; `None` where it has other digits than its type.
fn units(text: &str, precision: u32, scale: u32) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let missing = (scale as usize).checked_sub(fraction.trim_end_matches('0').len())?;
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || whole.len() > DECIMAL_DIGITS_MAX as usize {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let number: i128 = format!("{whole}{fraction}").parse().ok()?;
    let units = number.checked_mul(10_i128.checked_pow(u32::try_from(missing).ok()?)?)?;
    if units >= 10_i128.pow(precision) {
        return None;
    }
    Some(if text.starts_with('-') { -units } else { units })
}

/// Fewest bytes that hold every number of so many digits, with its sign.
fn width(precision: u32) -> usize {
    let largest = 10_i128.pow(precision) - 1;
    let bits = 128 - largest.leading_zeros() + 1;
    bits.div_ceil(8) as usize
}

fn number(digits: u32) -> i32 {
    i32::try_from(digits).unwrap_or(i32::MAX)
}
