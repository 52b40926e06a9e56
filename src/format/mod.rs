//! Bytes to records and back: synchronous, streaming, bounded. No I/O, no SQL, no HTTP.

pub mod csv_read;
pub mod csv_write;
#[cfg(test)]
mod documented;
pub mod excerpt;
pub mod mapping;
pub mod named;
pub mod package;
pub mod record;
pub mod typed;
