//! Three bad records: put into the sample by changing one cell each, and put right again in the rejects file.

use std::collections::BTreeMap;

use crate::cli::Failure;
use crate::domain::reject::{RecordCode, RecordPlace};
use crate::format::csv_read::{CsvOptions, CsvReader};
use crate::format::csv_write::write_row;
use crate::format::mapping::REJECT_ID_COLUMN;
use crate::format::record::{RecordReader as _, Step};

/// The column that names a sales order.
const KEY_COLUMN: &str = "OrderID";
const OPTIONS: CsvOptions = CsvOptions {
    delimiter: b',',
    max_field_bytes: 1 << 20,
    max_record_bytes: 1 << 22,
    max_columns: 1000,
};

/// A cell to be spoiled.
struct Mistake {
    record: u64,
    column: &'static str,
    wrong: &'static str,
    codes: &'static [RecordCode],
    what: &'static str,
}

const MISTAKES: [Mistake; 3] = [
    Mistake {
        record: 17,
        column: "CustomerID",
        wrong: "ZZZZZ",
        codes: &[RecordCode::ReferenceMissing],
        what: "a customer nobody knows",
    },
    Mistake {
        record: 230,
        column: "Freight",
        wrong: "13.O2",
        codes: &[RecordCode::InvalidDecimal],
        what: "a letter O in an amount",
    },
    Mistake {
        record: 612,
        column: "OrderDate",
        wrong: "1998-02-30 00:00:00.000",
        codes: &[RecordCode::InvalidDatetime, RecordCode::InvalidDate],
        what: "the 30th of February",
    },
];

/// A cell that was spoiled: where it stands, what it should say, and what the service should say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planted {
    /// Record number, from 1.
    pub record: u64,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// The column's name.
    pub name: &'static str,
    /// Number of the sales order.
    pub key: String,
    /// What the cell says now.
    pub wrong: &'static str,
    /// What it said before.
    pub right: String,
    /// Codes that name this mistake.
    pub codes: &'static [RecordCode],
    /// The mistake in words.
    pub what: &'static str,
}

/// The sample with one cell of three records spoiled, every other byte as it was.
///
/// # Errors
/// When the sample is not the file this was written for.
pub(super) fn spoil(good: &[u8]) -> Result<(Vec<u8>, Vec<Planted>), Failure> {
    let table = Table::read(good)?;
    let key = table.column(KEY_COLUMN)?;
    let (mut file, mut copied, mut planted) = (Vec::with_capacity(good.len() + 64), 0, Vec::new());
    for mistake in &MISTAKES {
        let missing = || Failure::failed(format!("the sample has no record {}", mistake.record));
        let at = table.column(mistake.column)?;
        let row = table
            .rows
            .iter()
            .find(|row| row.place.record == mistake.record)
            .ok_or_else(missing)?;
        let right = row.text(at);
        let (start, end) = (offset(row.place.byte_start), offset(row.place.byte_end));
        let raw = String::from_utf8_lossy(good.get(start..end).ok_or_else(missing)?).into_owned();
        file.extend_from_slice(good.get(copied..start).ok_or_else(missing)?);
        // The cells before the one to spoil hold other texts, so the first occurrence is the cell (a test holds this).
        file.extend_from_slice(raw.replacen(&right, mistake.wrong, 1).as_bytes());
        copied = end;
        planted.push(Planted {
            record: row.place.record,
            line: row.place.line,
            column: at as u64 + 1,
            name: mistake.column,
            key: row.text(key),
            wrong: mistake.wrong,
            right,
            codes: mistake.codes,
            what: mistake.what,
        });
    }
    file.extend_from_slice(good.get(copied..).unwrap_or_default());
    Ok((file, planted))
}

/// A rejects file with the planted cells put right. Reject ids stay as they are: they say which record is repaired.
///
/// # Errors
/// When a planted record is not in it, or its cell does not say what was planted.
pub(super) fn correct(rejects: &[u8], planted: &[Planted]) -> Result<Vec<u8>, Failure> {
    let mut table = Table::read(rejects)?;
    table.column(REJECT_ID_COLUMN)?;
    let key = table.column(KEY_COLUMN)?;
    for mistake in planted {
        let at = table.column(mistake.name)?;
        let row = table.rows.iter_mut().find(|row| row.text(key) == mistake.key);
        let cell = row
            .and_then(|row| row.cells.get_mut(at))
            .filter(|cell| cell.as_slice() == mistake.wrong.as_bytes());
        let cell = cell.ok_or_else(|| {
            Failure::failed(format!(
                "order {} with {} = {} is not in the rejects file",
                mistake.key, mistake.name, mistake.wrong
            ))
        })?;
        *cell = mistake.right.clone().into_bytes();
    }
    let mut file = Vec::new();
    write_row(
        &mut file,
        OPTIONS.delimiter,
        table.header.iter().map(|name| Some(name.as_str())),
    );
    for row in &table.rows {
        let cells: Vec<_> = row.cells.iter().map(|cell| String::from_utf8_lossy(cell)).collect();
        let filled = cells
            .iter()
            .map(|cell| Some(cell.as_ref()).filter(|text| !text.is_empty()));
        write_row(&mut file, OPTIONS.delimiter, filled);
    }
    Ok(file)
}

/// How many records a file holds.
///
/// # Errors
/// When it is not readable to the end.
pub(super) fn records(file: &[u8]) -> Result<u64, Failure> {
    Ok(Table::read(file)?.rows.len() as u64)
}

/// A small file, read whole: the service reads its files as streams, a demo's few kilobytes fit in hand.
struct Table {
    header: Vec<String>,
    columns: BTreeMap<String, usize>,
    rows: Vec<Row>,
}

struct Row {
    place: RecordPlace,
    cells: Vec<Vec<u8>>,
}

impl Row {
    fn text(&self, at: usize) -> String {
        self.cells
            .get(at)
            .map(|cell| String::from_utf8_lossy(cell).into_owned())
            .unwrap_or_default()
    }
}

impl Table {
    fn read(file: &[u8]) -> Result<Self, Failure> {
        let mut reader = CsvReader::new(OPTIONS);
        reader.feed(file);
        reader.finish();
        let header = reader
            .header()
            .map_err(|error| Failure::failed(error.to_string()))?
            .ok_or_else(|| Failure::failed("the file has no header"))?;
        let mut rows = Vec::new();
        loop {
            match reader.step() {
                Step::Record(record) => {
                    let cells = record.cells.into_iter().map(std::borrow::Cow::into_owned).collect();
                    rows.push(Row {
                        place: record.place,
                        cells,
                    });
                }
                Step::Damaged(damage) => {
                    let what = format!(
                        "record {}, line {}: {}",
                        damage.place.record, damage.place.line, damage.reason
                    );
                    return Err(Failure::failed(what));
                }
                Step::NeedInput | Step::End => break,
            }
        }
        let columns = header.iter().enumerate().map(|(at, name)| (name.clone(), at)).collect();
        Ok(Self { header, columns, rows })
    }

    fn column(&self, name: &str) -> Result<usize, Failure> {
        self.columns.get(name).copied().ok_or_else(|| {
            Failure::failed(format!(
                "there is no column {name}; there are {}",
                self.header.join(", ")
            ))
        })
    }
}

fn offset(byte: u64) -> usize {
    usize::try_from(byte).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::scratch::ORDERS;

    #[test]
    fn exactly_three_cells_are_spoiled() {
        let (spoiled, planted) = spoil(ORDERS).expect("the sample");
        let (before, after) = (
            Table::read(ORDERS).expect("the sample"),
            Table::read(&spoiled).expect("the spoiled one"),
        );
        assert_eq!(before.rows.len(), 830);
        assert_eq!(after.rows.len(), 830);
        let mut changed = Vec::new();
        for (old, new) in before.rows.iter().zip(&after.rows) {
            for at in 0..before.header.len() {
                if old.text(at) != new.text(at) {
                    changed.push((
                        new.place.record,
                        new.place.line,
                        at as u64 + 1,
                        old.text(at),
                        new.text(at),
                    ));
                }
            }
        }
        let want: Vec<_> = planted
            .iter()
            .map(|p| (p.record, p.line, p.column, p.right.clone(), p.wrong.to_owned()))
            .collect();
        assert_eq!(changed, want);
    }

    #[test]
    fn corrections_touch_the_planted_cells_and_nothing_else() {
        let (_, planted) = spoil(ORDERS).expect("the sample");
        let [first, second, third] = planted.as_slice() else {
            panic!("three mistakes")
        };
        let row =
            |p: &Planted, error: &str| format!("m.0.{},\"{error}\",{},{},{},{}\n", p.record, p.key, "x", "y", "z");
        // Other columns than the sample's: the corrections go by name. The error text repeats the value.
        let rejects = format!(
            "_reject_id,_error,OrderID,CustomerID,Freight,OrderDate\n{}{}{}",
            row(first, "no ZZZZZ").replace(",x,", ",ZZZZZ,"),
            row(second, "13.O2 is \"\"odd\"\"").replace(",y,", ",13.O2,"),
            row(third, "no such day").replace(",z\n", ",1998-02-30 00:00:00.000\n"),
        );
        let corrected =
            Table::read(&correct(rejects.as_bytes(), &planted).expect("all three are there")).expect("a table");
        let cells: Vec<Vec<String>> = corrected
            .rows
            .iter()
            .map(|row| (0..6).map(|at| row.text(at)).collect())
            .collect();
        assert_eq!(cells[0], ["m.0.17", "no ZZZZZ", &first.key, &first.right, "y", "z"]);
        assert_eq!(
            cells[1],
            ["m.0.230", "13.O2 is \"odd\"", &second.key, "x", &second.right, "z"]
        );
        assert_eq!(cells[2], ["m.0.612", "no such day", &third.key, "x", "y", &third.right]);
    }

    #[test]
    fn a_rejects_file_without_a_planted_record_is_refused() {
        let (_, planted) = spoil(ORDERS).expect("the sample");
        let other = "_reject_id,_error,OrderID,CustomerID,Freight,OrderDate\nm.0.1,e,1,ZZZZZ,1,2\n";
        assert!(correct(other.as_bytes(), &planted).is_err());
        assert!(correct(b"OrderID\n1\n", &planted).is_err());
    }
}
