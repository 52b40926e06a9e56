//! Bytes to records and back: synchronous, streaming, bounded. No SQL, no HTTP, and no I/O but the temporary files of what is read from its end.

pub mod binary_or_csv;
pub mod budget;
pub mod csv_edit;
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
pub mod parquet;
pub mod record;
pub mod record_writer;
mod spool;
pub mod typed;
#[cfg(test)]
mod written;
pub mod xlsx;
pub mod xml;
mod zip_stream;
