//! Whole numbers as their differences (`DELTA_BINARY_PACKED`), which lengths of texts are written as, too.

use super::hybrid::{bits, ends_early, varint};
use super::refusal::Fault;

/// Most miniblocks of a block; writers have four.
const MINIBLOCKS_MAX: u64 = 1 << 16;

/// Numbers being read from a page.
#[derive(Debug, Clone)]
pub(super) struct Deltas {
    /// Where the next miniblock or block begins.
    at: usize,
    miniblocks: usize,
    miniblock_values: u64,
    /// Numbers not read yet.
    left: u64,
    first: Option<i64>,
    last: i64,
    /// Of the block: what every difference has beside its own bits, and where the widths of its miniblocks stand.
    least: i64,
    widths_at: usize,
    /// Of the miniblock: its number, the width of its numbers, the next one's first bit, and how many are left.
    miniblock: usize,
    width: u32,
    bit: u64,
    miniblock_left: u64,
}

impl Deltas {
    /// Begins where they begin.
    pub fn new(page: &[u8], mut at: usize) -> Result<Self, Fault> {
        let block_values = varint(page, &mut at)?;
        let miniblocks = varint(page, &mut at)?;
        let left = varint(page, &mut at)?;
        let first = zigzag(varint(page, &mut at)?);
        let is_even = (1..=MINIBLOCKS_MAX).contains(&miniblocks) && block_values.is_multiple_of(miniblocks);
        let miniblock_values = if is_even { block_values / miniblocks } else { 0 };
        if miniblock_values == 0 || !miniblock_values.is_multiple_of(8) {
            return Err(Fault::broken("a page whose differences are in blocks of no such size"));
        }
        let miniblocks = usize::try_from(miniblocks).unwrap_or_default();
        Ok(Self {
            at,
            miniblocks,
            miniblock_values,
            left,
            first: Some(first),
            last: first,
            least: 0,
            widths_at: 0,
            miniblock: miniblocks,
            width: 0,
            bit: 0,
            miniblock_left: 0,
        })
    }

    /// The next number.
    pub fn next(&mut self, page: &[u8]) -> Result<i64, Fault> {
        self.left = self.left.checked_sub(1).ok_or_else(ends_early)?;
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        if self.miniblock_left == 0 {
            self.begin(page)?;
        }
        let own = bits(page, self.bit, self.width)?;
        self.bit += u64::from(self.width);
        self.miniblock_left -= 1;
        // They may go round: that is how the differences of far numbers are written.
        self.last = self.last.wrapping_add(self.least).wrapping_add(own.cast_signed());
        Ok(self.last)
    }

    /// The next number as a length.
    pub fn next_length(&mut self, page: &[u8]) -> Result<usize, Fault> {
        usize::try_from(self.next(page)?).map_err(|_| Fault::broken("a page with a length below 0"))
    }

    /// Where what stands behind the numbers begins.
    pub fn end(mut self, page: &[u8]) -> Result<usize, Fault> {
        if self.first.take().is_some() {
            self.left = self.left.saturating_sub(1);
        }
        while self.left > 0 {
            if self.miniblock_left == 0 {
                self.begin(page)?;
            }
            let passed = self.miniblock_left.min(self.left);
            self.left -= passed;
            self.miniblock_left -= passed;
        }
        Ok(self.at.min(page.len()))
    }

    /// Begins the next miniblock, and the block it stands in.
    fn begin(&mut self, page: &[u8]) -> Result<(), Fault> {
        self.miniblock += 1;
        if self.miniblock >= self.miniblocks {
            self.least = zigzag(varint(page, &mut self.at)?);
            self.widths_at = self.at;
            self.at = self.at.saturating_add(self.miniblocks);
            self.miniblock = 0;
        }
        let width = *page.get(self.widths_at + self.miniblock).ok_or_else(ends_early)?;
        if width > 64 {
            return Err(Fault::broken("a page with differences of more than 64 bits"));
        }
        self.width = u32::from(width);
        self.bit = self.at as u64 * 8;
        self.miniblock_left = self.miniblock_values;
        let bytes = (self.miniblock_values / 8).saturating_mul(u64::from(width));
        let next = usize::try_from(bytes).ok().and_then(|bytes| self.at.checked_add(bytes));
        self.at = next.ok_or_else(ends_early)?;
        Ok(())
    }
}

fn zigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed()
}
