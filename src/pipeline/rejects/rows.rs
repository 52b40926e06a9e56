//! The rejects of a workbook or a Parquet file: its records as CSV, which a job that reads such files takes as well.

use super::Halt;
use super::reread::Reread;
use super::sink::Sink;
use crate::format::csv_write::write_row;
use crate::format::mapping::{ERROR_COLUMN, REJECT_ID_COLUMN};
use crate::format::record::Step;

const DELIMITER: u8 = b',';

/// Writes the file.
pub(super) async fn write(mut rejects: Reread<'_>, sink: &mut Sink<'_>) -> Result<(), Halt> {
    let names = rejects.header(sink).await?;
    let own: Vec<bool> = names.iter().map(|name| is_ours(name)).collect();
    let shown = names
        .iter()
        .zip(&own)
        .filter(|(_, own)| !**own)
        .map(|(name, _)| name.as_str());
    let header: Vec<&str> = [REJECT_ID_COLUMN, ERROR_COLUMN].into_iter().chain(shown).collect();
    sink.append(|out| write_row(out, DELIMITER, header.iter().map(|name| Some(*name))));
    let cells_of = |found: Step<'_>| match found {
        Step::Record(record) => texts(&record.cells, &own),
        Step::Damaged(damage) => vec![damage.excerpt],
        Step::NeedInput | Step::End => Vec::new(),
    };
    while let Some((first, reasons, mut cells)) = rejects.next(sink, cells_of).await? {
        for correction in rejects.corrections(&first) {
            let ours = own.iter().take(correction.column).filter(|own| **own).count();
            if let Some(cell) = cells.get_mut(correction.column - ours) {
                cell.clone_from(&correction.text);
            }
        }
        let id = first.reject.to_string();
        let row = [&id, &reasons].into_iter().chain(&cells);
        let cells = row.map(|cell| (!cell.is_empty()).then_some(cell.as_str()));
        sink.append(|out| write_row(out, DELIMITER, cells));
        sink.flush_when_full().await?;
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
