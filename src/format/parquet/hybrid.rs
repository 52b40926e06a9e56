//! Runs of small numbers: repeated ones, and packed ones of a fixed number of bits. Levels, positions in dictionaries and truth values
//! are written so.

use super::refusal::Fault;

/// Widest number.
const WIDTH_MAX: u32 = 32;

/// Numbers being read from a part of a page.
#[derive(Debug, Clone)]
pub(super) struct Hybrid {
    /// Where the next run begins, and where all end.
    at: usize,
    end: usize,
    width: u32,
    run: Run,
}

#[derive(Debug, Clone)]
enum Run {
    Same {
        value: u32,
        left: u64,
    },
    /// From this bit of the page on.
    Packed {
        bit: u64,
        left: u64,
    },
}

impl Hybrid {
    /// Numbers of so many bits, in these bytes of a page.
    pub fn new(at: usize, end: usize, width: u32) -> Result<Self, Fault> {
        if width > WIDTH_MAX {
            return Err(Fault::broken("a page with numbers of more than 32 bits"));
        }
        let run = Run::Same { value: 0, left: 0 };
        Ok(Self { at, end, width, run })
    }

    /// The next number.
    pub fn next(&mut self, page: &[u8]) -> Result<u32, Fault> {
        loop {
            match &mut self.run {
                Run::Same { value, left } if *left > 0 => {
                    *left -= 1;
                    return Ok(*value);
                }
                Run::Packed { bit, left } if *left > 0 => {
                    let value = bits(page.get(..self.end).unwrap_or(page), *bit, self.width)?;
                    *left -= 1;
                    *bit += u64::from(self.width);
                    // No more than 32 bits were asked for.
                    return Ok(u32::try_from(value).unwrap_or_default());
                }
                _ => self.begin(page)?,
            }
        }
    }

    fn begin(&mut self, page: &[u8]) -> Result<(), Fault> {
        let page = page.get(..self.end).unwrap_or(page);
        let head = varint(page, &mut self.at)?;
        let count = head >> 1;
        if head & 1 == 1 {
            // Groups of eight. The last one's tail may be missing.
            let bytes = count.saturating_mul(u64::from(self.width));
            let (bit, left) = (self.at as u64 * 8, count.saturating_mul(8));
            self.run = Run::Packed { bit, left };
            let next = usize::try_from(bytes).ok().and_then(|bytes| self.at.checked_add(bytes));
            self.at = next.unwrap_or(self.end).min(self.end);
        } else {
            let width = self.width.div_ceil(8) as usize;
            let bytes = page
                .get(self.at..)
                .and_then(|rest| rest.get(..width))
                .ok_or_else(ends_early)?;
            let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            self.at += width;
            self.run = Run::Same { value, left: count };
        }
        Ok(())
    }
}

/// A number of up to 64 bits, the lowest first, from this bit of the page on.
pub(super) fn bits(page: &[u8], bit: u64, width: u32) -> Result<u64, Fault> {
    if width == 0 {
        return Ok(0);
    }
    let first = usize::try_from(bit / 8).map_err(|_| ends_early())?;
    let (shift, width) = (bit % 8, u64::from(width));
    let bytes = usize::try_from((shift + width).div_ceil(8)).unwrap_or_default();
    let taken = page
        .get(first..)
        .and_then(|rest| rest.get(..bytes))
        .ok_or_else(ends_early)?;
    let all = taken
        .iter()
        .rev()
        .fold(0_u128, |all, byte| all << 8 | u128::from(*byte));
    let mask = (1_u128 << width) - 1;
    Ok(u64::try_from(all >> shift & mask).unwrap_or_default())
}

/// A number of up to 64 bits, seven in a byte, the lowest first.
pub(super) fn varint(page: &[u8], at: &mut usize) -> Result<u64, Fault> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *page.get(*at).ok_or_else(ends_early)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Fault::broken("a page with a number of more than 64 bits"))
}

pub(super) fn ends_early() -> Fault {
    Fault::broken("a page ends before its last value")
}
