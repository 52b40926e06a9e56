//! The values of a page, in whichever encoding, one after the other.

use super::delta::Deltas;
use super::hybrid::{Hybrid, bits, ends_early};
use super::kind::Physical;
use super::refusal::Fault;

/// Longest text that is put together from the one before and its own end.
const JOINED_BYTES_MAX: usize = 16 << 20;

/// A dictionary page: the values it has, and where each of them stands.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    page: Vec<u8>,
    entries: Vec<(u32, u32)>,
}

impl Dictionary {
    /// A page with so many values.
    pub fn new(page: Vec<u8>, values: u64, layout: Physical) -> Result<Self, Fault> {
        let mut entries = Vec::new();
        let mut plain = 0;
        for _ in 0..values {
            let range = plain_range(&page, &mut plain, layout)?;
            // Pages are shorter than 4 GiB.
            entries.push((
                u32::try_from(range.start).unwrap_or_default(),
                u32::try_from(range.end).unwrap_or_default(),
            ));
        }
        Ok(Self { page, entries })
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> u64 {
        (self.page.len() + self.entries.len() * size_of::<(u32, u32)>()) as u64
    }

    fn get(&self, position: u32) -> Result<&[u8], Fault> {
        let entry = self.entries.get(position as usize);
        let (start, end) = *entry.ok_or_else(|| Fault::broken("a value that the column's dictionary does not have"))?;
        Ok(&self.page[start as usize..end as usize])
    }
}

/// Values being read. A value is its bytes, numbers with the lowest first.
#[derive(Debug)]
pub(super) enum Values {
    Plain {
        at: usize,
    },
    /// Truth values, one in a bit.
    Bits {
        bit: u64,
    },
    /// Truth values in runs.
    Runs(Hybrid),
    InDictionary(Hybrid),
    Deltas {
        deltas: Deltas,
        bytes: [u8; 8],
    },
    /// Lengths first, then the texts.
    Lengths {
        lengths: Deltas,
        at: usize,
    },
    /// What each text has of the one before, then the ends.
    Prefixes {
        prefixes: Deltas,
        lengths: Deltas,
        at: usize,
        text: Vec<u8>,
    },
    /// The first bytes of all values, then their second ones, and so on.
    Split {
        at: usize,
        next: usize,
        count: usize,
        bytes: Vec<u8>,
    },
}

impl Values {
    /// The values that begin there in the page, of which `count` are not null.
    pub fn new(page: &[u8], at: usize, encoding: i64, layout: Physical, count: u64) -> Result<Self, Fault> {
        let in_dictionary = || {
            // A page of nulls alone may have no width.
            let width = page.get(at).copied().unwrap_or_default();
            Ok(Self::InDictionary(Hybrid::new(at + 1, page.len(), u32::from(width))?))
        };
        match (encoding, layout) {
            (0, Physical::Boolean) => Ok(Self::Bits { bit: at as u64 * 8 }),
            (0, _) => Ok(Self::Plain { at }),
            (2 | 8, _) => in_dictionary(),
            (3, Physical::Boolean) => Ok(Self::Runs(Hybrid::new(at.saturating_add(4), page.len(), 1)?)),
            (5, Physical::Fixed(4 | 8)) => Ok(Self::Deltas {
                deltas: Deltas::new(page, at)?,
                bytes: [0; 8],
            }),
            (6, Physical::ByteArray) => {
                let lengths = Deltas::new(page, at)?;
                let at = lengths.clone().end(page)?;
                Ok(Self::Lengths { lengths, at })
            }
            (7, Physical::ByteArray | Physical::Fixed(_)) => {
                let prefixes = Deltas::new(page, at)?;
                let lengths = Deltas::new(page, prefixes.clone().end(page)?)?;
                let at = lengths.clone().end(page)?;
                let text = Vec::new();
                Ok(Self::Prefixes {
                    prefixes,
                    lengths,
                    at,
                    text,
                })
            }
            (9, Physical::Fixed(width)) => {
                let count = usize::try_from(count).map_err(|_| ends_early())?;
                if count
                    .checked_mul(width)
                    .is_none_or(|bytes| bytes > page.len() - at.min(page.len()))
                {
                    return Err(ends_early());
                }
                let bytes = vec![0; width];
                Ok(Self::Split {
                    at,
                    next: 0,
                    count,
                    bytes,
                })
            }
            _ => Err(unsupported()),
        }
    }

    /// The next value.
    pub fn next<'a>(
        &'a mut self,
        page: &'a [u8],
        dictionary: Option<&'a Dictionary>,
        layout: Physical,
    ) -> Result<&'a [u8], Fault> {
        const TRUTH: [&[u8]; 2] = [&[0], &[1]];
        match self {
            Self::Plain { at } => Ok(&page[plain_range(page, at, layout)?]),
            Self::Bits { bit } => {
                let value = bits(page, *bit, 1)?;
                *bit += 1;
                Ok(TRUTH[usize::from(value == 1)])
            }
            Self::Runs(runs) => Ok(TRUTH[usize::from(runs.next(page)? == 1)]),
            Self::InDictionary(positions) => {
                let dictionary = dictionary.ok_or_else(|| Fault::broken("a column without its dictionary"))?;
                dictionary.get(positions.next(page)?)
            }
            Self::Deltas { deltas, bytes } => {
                *bytes = deltas.next(page)?.to_le_bytes();
                let width = if let Physical::Fixed(width) = layout { width } else { 8 };
                Ok(&bytes[..width.min(8)])
            }
            Self::Lengths { lengths, at } => {
                let length = lengths.next_length(page)?;
                let taken = page
                    .get(*at..)
                    .and_then(|rest| rest.get(..length))
                    .ok_or_else(ends_early)?;
                *at += length;
                Ok(taken)
            }
            Self::Prefixes {
                prefixes,
                lengths,
                at,
                text,
            } => {
                let (kept, length) = (prefixes.next_length(page)?, lengths.next_length(page)?);
                let end = page
                    .get(*at..)
                    .and_then(|rest| rest.get(..length))
                    .ok_or_else(ends_early)?;
                if kept > text.len() || kept + length > JOINED_BYTES_MAX {
                    return Err(Fault::broken("a text that has more of the one before than there is"));
                }
                text.truncate(kept);
                text.extend_from_slice(end);
                *at += length;
                match layout {
                    Physical::Fixed(width) if text.len() != width => Err(ends_early()),
                    _ => Ok(text),
                }
            }
            Self::Split { at, next, count, bytes } => {
                if *next == *count {
                    return Err(ends_early());
                }
                for (stream, byte) in bytes.iter_mut().enumerate() {
                    *byte = *page.get(*at + stream * *count + *next).ok_or_else(ends_early)?;
                }
                *next += 1;
                Ok(bytes)
            }
        }
    }
}

/// Whether values may be encoded so.
pub(super) fn check_encoding(encoding: i64, layout: Physical) -> Result<(), Fault> {
    match (encoding, layout) {
        (0 | 2 | 8, _)
        | (3, Physical::Boolean)
        | (5, Physical::Fixed(4 | 8))
        | (6, Physical::ByteArray)
        | (7, Physical::ByteArray | Physical::Fixed(_))
        | (9, Physical::Fixed(_)) => Ok(()),
        _ => Err(unsupported()),
    }
}

fn unsupported() -> Fault {
    Fault::Unsupported(
        "its values are in an encoding that is not read: write the file with plain ones or a dictionary".to_owned(),
    )
}

/// Where the next plain value stands.
fn plain_range(page: &[u8], at: &mut usize, layout: Physical) -> Result<std::ops::Range<usize>, Fault> {
    let length = match layout {
        Physical::Fixed(width) => width,
        Physical::Boolean => 1,
        Physical::ByteArray => {
            let bytes = page
                .get(*at..)
                .and_then(|rest| rest.first_chunk::<4>())
                .ok_or_else(ends_early)?;
            *at += 4;
            u32::from_le_bytes(*bytes) as usize
        }
    };
    let end = at
        .checked_add(length)
        .filter(|end| *end <= page.len())
        .ok_or_else(ends_early)?;
    let range = *at..end;
    *at = end;
    Ok(range)
}
