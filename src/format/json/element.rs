//! A whole element or line of the input, to the step that is made of it.

use super::JsonOptions;
use super::given_up::GivenUp;
use super::input::Input;
use super::members::{Members, Refusal};
use crate::domain::reject::RecordCode;
use crate::format::named::{NamedRecord, NamedStep};
use crate::format::record::{Damage, FileError};

/// Ends the record that is the next `bytes` of the input, and that was `read`.
///
/// # Errors
/// [`FileError`] when the file's first record has more members than a file may have columns.
pub(super) fn step(
    input: &mut Input,
    bytes: usize,
    read: Result<Members, Refusal>,
    options: &JsonOptions,
) -> Result<NamedStep, FileError> {
    let (code, reason) = match read {
        Ok(members) => {
            let from = input.here();
            input.pass(bytes);
            let place = input.end_record(from);
            return Ok(NamedStep::Record(NamedRecord { place, members }));
        }
        Err(Refusal::TooManyMembers) if input.behind().records == 0 => return Err(too_many_columns(options)),
        // Its file has fewer, or it would not have come so far.
        Err(Refusal::TooManyMembers) => (RecordCode::UnexpectedMember, too_many_members(options)),
        Err(Refusal::Damage { code, reason, at: None }) => (code, reason),
        Err(Refusal::Damage {
            code,
            reason,
            at: Some(at),
        }) => {
            let reason = format!("{reason} (line {}, byte {} of the record)", input.line_at(at), at + 1);
            (code, reason)
        }
    };
    Ok(NamedStep::Damaged(damaged(input, bytes, code, reason)))
}

fn damaged(input: &mut Input, bytes: usize, code: RecordCode, reason: String) -> Damage {
    let mut given_up = GivenUp::new(input, code, reason);
    given_up.swallow(input, bytes);
    given_up.close(input)
}

fn too_many_columns(options: &JsonOptions) -> FileError {
    FileError {
        code: "too_many_columns",
        reason: format!("the first record {}; is this the right file?", too_many(options)),
    }
}

fn too_many_members(options: &JsonOptions) -> String {
    format!(
        "the record {}: remove those that the first records do not have",
        too_many(options)
    )
}

fn too_many(options: &JsonOptions) -> String {
    format!("has more than {} members (csv.max_columns)", options.max_columns)
}
