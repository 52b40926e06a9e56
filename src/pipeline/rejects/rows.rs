//! The rejects of a workbook: its rows as CSV, which a job that reads workbooks takes as well.

use super::Halt;
use super::pages::Pages;
use super::sink::Sink;
use super::window::Window;
use crate::format::csv_write::write_row;
use crate::format::mapping::{ERROR_COLUMN, REJECT_ID_COLUMN};
use crate::format::record::{RecordReader, Step};
use crate::pipeline::source::SourceError;

const DELIMITER: u8 = b',';

/// Writes the file. `reader` is one of the payload's format, at its start.
pub(super) async fn write(
    mut reader: Box<dyn RecordReader>,
    payload: &mut Window,
    sink: &mut Sink<'_>,
    pages: &mut Pages<'_>,
) -> Result<(), Halt> {
    let names = header(&mut *reader, payload, sink).await?;
    let own: Vec<bool> = names.iter().map(|name| is_ours(name)).collect();
    let shown = names
        .iter()
        .zip(&own)
        .filter(|(_, own)| !**own)
        .map(|(name, _)| name.as_str());
    let header: Vec<&str> = [REJECT_ID_COLUMN, ERROR_COLUMN].into_iter().chain(shown).collect();
    sink.append(|out| write_row(out, DELIMITER, header.iter().map(|name| Some(*name))));
    let mut wanted = pages.next().await?.into_iter().peekable();
    loop {
        if wanted.peek().is_none() {
            wanted = pages.next().await?.into_iter().peekable();
        }
        let Some(record) = wanted.peek().map(|(first, _)| first.reject.record) else {
            break;
        };
        let cells = match reader.step() {
            Step::NeedInput => {
                feed(&mut *reader, payload, sink).await?;
                continue;
            }
            Step::Record(found) if found.place.record == record => texts(&found.cells, &own),
            Step::Damaged(damage) if damage.place.record == record => vec![damage.excerpt],
            Step::Record(_) | Step::Damaged(_) => continue,
            Step::End => return Err(SourceError::Unreadable(format!("record {record} is not in the payload")).into()),
        };
        if let Some((first, reasons)) = wanted.next() {
            let id = first.reject.to_string();
            let row: Vec<&str> = [id.as_str(), reasons.as_str()]
                .into_iter()
                .chain(cells.iter().map(String::as_str))
                .collect();
            let cells = row.iter().map(|cell| (!cell.is_empty()).then_some(*cell));
            sink.append(|out| write_row(out, DELIMITER, cells));
            sink.flush_when_full().await?;
        }
    }
    sink.flush().await
}

fn is_ours(name: &str) -> bool {
    name.eq_ignore_ascii_case(REJECT_ID_COLUMN) || name.eq_ignore_ascii_case(ERROR_COLUMN)
}

fn texts(cells: &[std::borrow::Cow<'_, [u8]>], own: &[bool]) -> Vec<String> {
    let kept = cells.iter().zip(own).filter(|(_, own)| !**own);
    kept.map(|(cell, _)| String::from_utf8_lossy(cell).into_owned())
        .collect()
}

async fn header(reader: &mut dyn RecordReader, payload: &mut Window, sink: &Sink<'_>) -> Result<Vec<String>, Halt> {
    loop {
        let header = reader.header();
        if let Some(names) = header.map_err(|error| SourceError::Unreadable(error.reason))? {
            return Ok(names);
        }
        feed(reader, payload, sink).await?;
    }
}

async fn feed(reader: &mut dyn RecordReader, payload: &mut Window, sink: &Sink<'_>) -> Result<(), Halt> {
    match payload.next(sink).await? {
        Some(bytes) => reader.feed(&bytes),
        None => reader.finish(),
    }
    Ok(())
}
