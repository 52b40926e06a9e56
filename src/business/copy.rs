//! What `COPY` is fed with: PostgreSQL's binary form, which spares the server the reading of numbers and dates, or its text form
//! where a value is not one the binary form is made from here.

mod binary;
mod text;

use super::rows::StagedRow;
use super::staging::Load;
use crate::domain::entity::FieldType;

/// The rows, and what the statement says of their form.
pub(super) fn encode(load: Load<'_>, kinds: &[&FieldType], rows: &[StagedRow<'_>]) -> (Vec<u8>, &'static str) {
    match binary::encode(load, kinds, rows) {
        Some(data) => (data, " with (format binary)"),
        None => (text::encode(load, rows), ""),
    }
}
