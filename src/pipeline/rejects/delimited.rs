//! The rejects file of delimited text: each record's own text behind the two cells of ours.

use super::Halt;
use super::corrections::{Correction, corrected};
use super::cut::{Cut, OwnColumns};
use super::pages::Pages;
use super::sink::Sink;
use super::window::Window;
use crate::domain::job::FileFormat;
use crate::format::csv_read::CsvOptions;
use crate::format::mapping::{ERROR_COLUMN, REJECT_ID_COLUMN};
use crate::pipeline::Limits;
use crate::pipeline::data_file::csv_options;
use crate::storage::executions::StoredError;

/// A rejects file being written.
pub(super) struct RejectsFile<'a> {
    pub payload: Window,
    pub sink: Sink<'a>,
    pub delimiter: u8,
}

impl RejectsFile<'_> {
    /// Writes it.
    pub async fn write(mut self, limits: &Limits, mut pages: Pages<'_>) -> Result<(), Halt> {
        let own = self.header(csv_options(self.delimiter, limits)).await?;
        loop {
            let page = pages.next().await?;
            if page.is_empty() {
                break;
            }
            for (first, reasons) in page {
                let corrections = pages.corrections(&first);
                self.reject((&first, &reasons), &own, corrections).await?;
            }
            self.sink.flush().await?;
        }
        self.sink.flush().await
    }

    pub async fn header(&mut self, options: CsvOptions) -> Result<OwnColumns, Halt> {
        let header = self.payload.header(options, &self.sink).await?;
        if !self.payload.is_utf8() {
            self.sink.mark_utf8();
        }
        let own = OwnColumns::of(&header.names);
        self.sink.begin_row(REJECT_ID_COLUMN, ERROR_COLUMN);
        let cut = own.in_header(self.delimiter);
        self.record(header.bytes.start, header.bytes.end, cut).await?;
        Ok(own)
    }

    pub async fn reject(
        &mut self,
        (first, reasons): (&StoredError, &str),
        own: &OwnColumns,
        corrections: &[Correction],
    ) -> Result<(), Halt> {
        let place = first.error.place;
        self.sink.begin_row(&first.reject.to_string(), reasons);
        let mut cut = own.in_record(&first.error, self.delimiter);
        if corrections.is_empty() {
            return self.record(place.byte_start, place.byte_end, cut).await;
        }
        let mut record = Vec::new();
        while let Some(piece) = self.payload.piece(place.byte_start, place.byte_end, &self.sink).await? {
            record.extend_from_slice(&piece);
        }
        let format = FileFormat::Csv {
            delimiter: self.delimiter,
        };
        self.sink
            .add(&corrected(&format, record, corrections)?, &mut cut)
            .await?;
        self.sink.end_row();
        Ok(())
    }

    /// The record's own text, to the end of the row.
    async fn record(&mut self, start: u64, end: u64, mut cut: Cut) -> Result<(), Halt> {
        while let Some(piece) = self.payload.piece(start, end, &self.sink).await? {
            self.sink.add(&piece, &mut cut).await?;
        }
        self.sink.end_row();
        Ok(())
    }
}
