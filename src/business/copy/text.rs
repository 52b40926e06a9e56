//! COPY's text form, which takes every value that its type can read.

use super::super::rows::StagedRow;
use super::super::session::int;
use super::super::staging::Load;
use crate::domain::cell::Cell;

pub(super) fn encode(load: Load<'_>, records: &[StagedRow<'_>]) -> Vec<u8> {
    use std::io::Write as _;
    const IN_MEMORY: &str = "writing to memory cannot fail";
    let head = format!("{}\t{}", load.fence.message, load.entity_no);
    let mut out = Vec::with_capacity(records.len() * 256);
    for record in records {
        let place = record.place;
        let (line, from, to) = (int(place.line), int(place.byte_start), int(place.byte_end));
        write!(out, "{head}\t{}\t{line}\t{from}\t{to}\t", int(place.record)).expect(IN_MEMORY);
        match record.origin {
            Some(origin) => write!(out, "{origin}").expect(IN_MEMORY),
            None => out.extend_from_slice(b"\\N"),
        }
        let document = record.document.as_deref().unwrap_or("\\N");
        write!(out, "\t{document}\t{}", record.state).expect(IN_MEMORY);
        for cell in record.cells {
            out.push(b'\t');
            match cell {
                Cell::Null => out.extend_from_slice(b"\\N"),
                Cell::Int(number) => write!(out, "{number}").expect(IN_MEMORY),
                Cell::Bool(flag) => out.push(if *flag { b't' } else { b'f' }),
                Cell::Text(text) => escape(text, &mut out),
            }
        }
        out.push(b'\n');
    }
    out
}

/// COPY's text form gives these four a meaning; everything else is itself.
fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            other => out.push(other),
        }
    }
}
