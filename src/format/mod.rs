//! Bytes to records and back: synchronous, streaming, bounded. No SQL, no HTTP, and no I/O but a workbook's temporary files.

pub mod budget;
pub mod csv_read;
pub mod csv_write;
pub mod decode;
#[cfg(test)]
mod documented;
pub mod encode;
pub mod excerpt;
pub mod fixed;
pub mod json;
mod lines;
pub mod mapping;
pub mod named;
pub mod package;
pub mod record;
pub mod record_writer;
pub mod typed;
pub mod workbook_or_csv;
#[cfg(test)]
mod written;
pub mod xlsx;
pub mod xml;
mod zip_stream;
