//! What the readers promise: exact places, one reject per damaged record, the same steps however the bytes arrive.

mod any_input;
mod damage;
mod documents;
mod json_lines;
mod values;
mod written;

use super::document::JsonDocument;
use super::lines::JsonLines;
use super::*;
use crate::domain::reject::{RecordCode, RecordPlace};
use crate::format::named::{NamedSource, NamedStep};
use crate::format::record::{Damage, FileError, Position};

const OPTIONS: JsonOptions = JsonOptions {
    max_record_bytes: 4000,
    max_columns: 50,
};

/// Small limits, so that short inputs reach them.
const TIGHT: JsonOptions = JsonOptions {
    max_record_bytes: 24,
    max_columns: 2,
};

/// All steps, each with the position behind it, or why there are none.
type Seen = Result<Vec<(NamedStep, Position)>, FileError>;

/// Feeds the pieces, taking all steps there are after each.
fn read_pieces<'a>(source: &mut (impl NamedSource + ?Sized), pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut seen = Vec::new();
    for piece in pieces {
        source.feed(piece);
        while let Some(step) = next(source)? {
            seen.push(step);
        }
    }
    source.finish();
    while let Some(step) = next(source)? {
        seen.push(step);
    }
    assert_eq!(source.step(), Ok(NamedStep::End));
    Ok(seen)
}

fn next(source: &mut (impl NamedSource + ?Sized)) -> Result<Option<(NamedStep, Position)>, FileError> {
    Ok(match source.step()? {
        NamedStep::NeedInput | NamedStep::End => None,
        step => Some((step, source.position())),
    })
}

fn steps(seen: Seen) -> Vec<NamedStep> {
    seen.expect("records").into_iter().map(|(step, _)| step).collect()
}

fn document(text: impl AsRef<[u8]>) -> Vec<NamedStep> {
    steps(read_pieces(&mut JsonDocument::new(OPTIONS), [text.as_ref()]))
}

fn lines(text: impl AsRef<[u8]>) -> Vec<NamedStep> {
    steps(read_pieces(&mut JsonLines::new(OPTIONS), [text.as_ref()]))
}

fn error_of(mut source: impl NamedSource, bytes: &[u8]) -> FileError {
    read_pieces(&mut source, [bytes]).expect_err("no such file")
}

/// `name=text` for each member.
fn members(step: &NamedStep) -> Vec<String> {
    match step {
        NamedStep::Record(record) => record
            .members
            .iter()
            .map(|(name, text)| format!("{name}={}", std::str::from_utf8(text).expect("text")))
            .collect(),
        other => panic!("no record: {other:?}"),
    }
}

fn damage(step: &NamedStep) -> &Damage {
    match step {
        NamedStep::Damaged(damage) => damage,
        other => panic!("not damaged: {other:?}"),
    }
}

fn place(step: &NamedStep) -> RecordPlace {
    match step {
        NamedStep::Record(record) => record.place,
        NamedStep::Damaged(damage) => damage.place,
        other => panic!("no place: {other:?}"),
    }
}

fn at(record: u64, line: u64, byte_start: u64, byte_end: u64) -> RecordPlace {
    RecordPlace {
        record,
        line,
        byte_start,
        byte_end,
    }
}

/// What each step is, on a line: the record's members, or `!` and the text given up.
fn outline(text: &str, steps: &[NamedStep]) -> Vec<String> {
    let of = |step: &NamedStep| match step {
        NamedStep::Damaged(damage) => {
            let bytes =
                usize::try_from(damage.place.byte_start).unwrap()..usize::try_from(damage.place.byte_end).unwrap();
            format!("!{}", &text[bytes])
        }
        record => members(record).join(" "),
    };
    steps.iter().map(of).collect()
}
