//! Parquet: records in columns, with types of their own. Built in with the cargo feature `parquet`.
//!
//! A file is read from its end, so it is kept in a temporary file until all of it is there; only then is there a header. Files
//! are read in whatever thread calls: it should be one that may block.
//!
//! # What is read
//! Flat columns of every physical and logical type but BSON and INTERVAL; dictionaries and every encoding but the old bit-packed
//! levels; pages of both versions, as they are or packed with Snappy, gzip or zstd. Values become text that a field's typing
//! takes, whatever the field says of its spelling:
//! - decimals digit for digit; floating-point numbers as the shortest digits that mean the same, without an exponent,
//! - dates `2026-01-31`, times `13:05:00`, timestamps `2026-01-31 13:05:00`, with a `Z` behind them where they are in UTC, as those of
//!   96 bits always are,
//! - UUIDs with hyphens, truth values `true` and `false`, bytes without a type as text.
//!
//! # Places
//! The record 7 has line 7; offsets count the bytes of the texts that records became, and one more for each record.
//!
//! # Damage
//! Nothing that the file says of itself is believed before it was held to what is there. Footer and page headers are read in
//! full before the first record: what is wrong there refuses the file. A page that cannot be unpacked or decoded is seen only
//! when its records are read: the record there is damaged (`invalid_parquet`), and it is the last. A value longer than its limit
//! costs its record.
//!
//! # Limits
//! Of each column one page and one dictionary are in memory. Pages unpacked, and the texts of the records, may each come to as much as a
//! packed file may unpack to.
//!
//! # What is written
//! Records are gathered into row groups of at most 131,072 records and about 16 MiB, so memory is the same however many there are.

#[cfg(not(feature = "parquet"))]
mod absent;
#[cfg(feature = "parquet")]
mod column;
#[cfg(feature = "parquet")]
mod delta;
#[cfg(feature = "parquet")]
mod footer;
#[cfg(feature = "parquet")]
mod gathered;
#[cfg(feature = "parquet")]
mod hybrid;
#[cfg(feature = "parquet")]
mod kind;
#[cfg(feature = "parquet")]
mod page;
#[cfg(feature = "parquet")]
mod reader;
#[cfg(feature = "parquet")]
mod refusal;
#[cfg(feature = "parquet")]
mod row_group;
#[cfg(feature = "parquet")]
mod schema;
#[cfg(all(test, feature = "parquet"))]
mod tests;
#[cfg(feature = "parquet")]
mod text;
#[cfg(feature = "parquet")]
mod thrift;
#[cfg(feature = "parquet")]
mod values;
#[cfg(feature = "parquet")]
mod writer;

use std::path::PathBuf;

#[cfg(not(feature = "parquet"))]
pub use absent::{ParquetReader, ParquetWriter};
#[cfg(feature = "parquet")]
pub use reader::ParquetReader;
#[cfg(feature = "parquet")]
pub use writer::ParquetWriter;

use crate::domain::entity::FieldType;

/// Whether this build reads and writes Parquet.
pub const BUILT_IN: bool = cfg!(feature = "parquet");

/// What a build without Parquet says to who asks for it.
pub const NOT_BUILT_IN: &str =
    "this build has no Parquet: build tranship with `--features parquet`, or choose another format";

/// Limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetOptions {
    /// Most columns a file may have.
    pub max_columns: usize,
    /// Longest text of a value, in bytes.
    pub max_field_bytes: usize,
    /// Longest record, all its texts together, in bytes.
    pub max_record_bytes: usize,
    /// Most bytes that the pages may unpack to, and that the texts of all records may come to.
    pub max_unpacked_bytes: u64,
    /// Folder for the temporary file.
    pub spill_dir: PathBuf,
}

/// A column to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetColumn {
    /// Its name.
    pub name: String,
    /// The type of its field; a text where values are translated.
    pub kind: FieldType,
}
