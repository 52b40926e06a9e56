//! A column of a row group, value by value.

use std::fs::File;

use super::footer::Chunk;
use super::hybrid::{Hybrid, ends_early};
use super::kind::Physical;
use super::page::{Header, Pages, Sort, body};
use super::refusal::Fault;
use super::schema::Column;
use super::values::{Dictionary, Values};

/// Number in the format for runs of levels.
pub(super) const LEVELS_IN_RUNS: i64 = 3;

/// Values being read: the dictionary and one page are in memory.
#[derive(Debug)]
pub(super) struct ColumnCursor {
    chunk: Chunk,
    layout: Physical,
    is_optional: bool,
    pages: Pages,
    dictionary: Option<Dictionary>,
    page: Vec<u8>,
    /// Values of the page not read yet, nulls too.
    left: u64,
    /// Says which of them are null.
    levels: Option<Hybrid>,
    values: Option<Values>,
}

impl ColumnCursor {
    pub fn new(column: &Column, chunk: Chunk) -> Self {
        Self {
            chunk,
            layout: column.layout,
            is_optional: column.is_optional,
            pages: Pages::new(chunk),
            dictionary: None,
            page: Vec::new(),
            left: 0,
            levels: None,
            values: None,
        }
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> u64 {
        self.page.len() as u64 + self.dictionary.as_ref().map_or(0, Dictionary::bytes)
    }

    /// The next value's bytes; nothing where it is null.
    pub fn next(
        &mut self,
        file: &File,
        mut room: impl FnMut(u64) -> Result<(), Fault>,
    ) -> Result<Option<&[u8]>, Fault> {
        while self.left == 0 {
            self.load(file, &mut room)?;
        }
        self.left -= 1;
        let is_there = match &mut self.levels {
            Some(levels) => levels.next(&self.page)? == 1,
            None => true,
        };
        match &mut self.values {
            _ if !is_there => Ok(None),
            Some(values) => values.next(&self.page, self.dictionary.as_ref(), self.layout).map(Some),
            None => Err(ends_early()),
        }
    }

    /// Loads the next page.
    fn load(&mut self, file: &File, room: &mut impl FnMut(u64) -> Result<(), Fault>) -> Result<(), Fault> {
        let (header, at) = self.pages.next(file)?.ok_or_else(ends_early)?;
        if header.sort == Sort::Other {
            return Ok(());
        }
        self.page = Vec::new();
        // Beside a dictionary's bytes it is kept where each of its values stands.
        let times = if header.sort == Sort::Dictionary { 3 } else { 1 };
        room(header.unpacked.saturating_mul(times))?;
        let page = body(file, self.chunk, &header, at)?;
        if header.sort == Sort::Dictionary {
            self.dictionary = Some(Dictionary::new(page, header.values, self.layout)?);
            return Ok(());
        }
        self.begin(&header, page)
    }

    fn begin(&mut self, header: &Header, page: Vec<u8>) -> Result<(), Fault> {
        let (start, levels, end) = match header.sort {
            Sort::DataV2 => {
                let start = usize::try_from(header.level_bytes.0).map_err(|_| ends_early())?;
                let levels = usize::try_from(header.level_bytes.1).map_err(|_| ends_early())?;
                (start, levels, start.saturating_add(levels))
            }
            _ if self.is_optional => {
                let length = page.first_chunk::<4>().ok_or_else(ends_early)?;
                let length = u32::from_le_bytes(*length) as usize;
                (4, length, length.saturating_add(4))
            }
            _ => (0, 0, 0),
        };
        if end > page.len() {
            return Err(ends_early());
        }
        let runs = (self.is_optional && levels > 0)
            .then(|| Hybrid::new(start, end, 1))
            .transpose()?;
        let count = match &runs {
            // Only there it matters how many are not null.
            Some(runs) if header.encoding == 9 => present(runs.clone(), &page, header.values)?,
            _ => header.values,
        };
        // A page of nulls alone may have nothing behind its levels.
        let has_values = end < page.len();
        let values = has_values.then(|| Values::new(&page, end, header.encoding, self.layout, count));
        self.values = values.transpose()?;
        self.levels = runs;
        self.left = header.values;
        self.page = page;
        Ok(())
    }
}

fn present(mut levels: Hybrid, page: &[u8], values: u64) -> Result<u64, Fault> {
    let mut count = 0;
    for _ in 0..values {
        count += u64::from(levels.next(page)? == 1);
    }
    Ok(count)
}
