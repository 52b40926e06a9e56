//! Thrift's compact protocol, in which a Parquet file describes itself. No length is believed that goes past the bytes there are.

use super::refusal::Fault;

/// Structures inside one another; Parquet's own have seven.
const DEPTH_MAX: u32 = 24;

/// What stands behind a field's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    True,
    False,
    Byte,
    /// Of 16, 32 or 64 bits.
    Int,
    Double,
    Binary,
    List,
    Map,
    Struct,
}

/// Bytes being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    depth: u32,
}

type Result<T> = std::result::Result<T, Fault>;

impl<'a> Thrift<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, depth: 0 }
    }

    /// Bytes not read yet.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    /// Reads a structure: `each` gets the number and kind of every field, and must read or [`skip`](Self::skip) its value.
    pub fn structure(&mut self, mut each: impl FnMut(&mut Self, i64, Kind) -> Result<()>) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::broken("its description is nested too deep"));
        }
        let mut id = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                break;
            }
            id = match head >> 4 {
                0 => self.int()?,
                delta => id.saturating_add(i64::from(delta)),
            };
            each(self, id, Kind::of(head & 0x0f)?)?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads a list of structures: `each` reads one.
    pub fn structures(&mut self, mut each: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let (kind, length) = self.list()?;
        if kind != Kind::Struct && length > 0 {
            return Err(Fault::broken("its description has a list of the wrong kind"));
        }
        for _ in 0..length {
            each(self)?;
        }
        Ok(())
    }

    /// A number.
    pub fn int(&mut self) -> Result<i64> {
        let raw = self.varint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// Bytes with their length in front.
    pub fn binary(&mut self) -> Result<&'a [u8]> {
        let length = self.varint()?;
        self.take(length)
    }

    /// Passes a value.
    pub fn skip(&mut self, kind: Kind) -> Result<()> {
        match kind {
            Kind::True | Kind::False => Ok(()),
            Kind::Byte => self.take(1).map(drop),
            Kind::Int => self.varint().map(drop),
            Kind::Double => self.take(8).map(drop),
            Kind::Binary => self.binary().map(drop),
            Kind::Struct => self.structure(Self::skip_field),
            Kind::List => {
                let (kind, length) = self.list()?;
                (0..length).try_for_each(|_| self.skip_element(kind))
            }
            Kind::Map => {
                let length = self.varint()?;
                if length == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                let (key, value) = (Kind::of(kinds >> 4)?, Kind::of(kinds & 0x0f)?);
                self.check_length(length)?;
                (0..length).try_for_each(|_| {
                    self.skip_element(key)?;
                    self.skip_element(value)
                })
            }
        }
    }

    fn skip_field(&mut self, _: i64, kind: Kind) -> Result<()> {
        self.skip(kind)
    }

    /// In a list a truth value takes a byte, as a field it is its own kind.
    fn skip_element(&mut self, kind: Kind) -> Result<()> {
        match kind {
            Kind::True | Kind::False => self.take(1).map(drop),
            Kind::List | Kind::Map => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(Fault::broken("its description is nested too deep"));
                }
                self.skip(kind)?;
                self.depth -= 1;
                Ok(())
            }
            kind => self.skip(kind),
        }
    }

    fn list(&mut self) -> Result<(Kind, u64)> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => self.varint()?,
            length => u64::from(length),
        };
        self.check_length(length)?;
        let kind = if length == 0 {
            Kind::Byte
        } else {
            Kind::of(head & 0x0f)?
        };
        Ok((kind, length))
    }

    /// Whether so many elements fit, each of which takes a byte at least.
    fn check_length(&self, length: u64) -> Result<()> {
        if length > self.bytes.len() as u64 {
            return Err(Fault::broken("its description has a list longer than itself"));
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::broken("its description has a number of more than 64 bits"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| self.bytes.split_at_checked(length));
        let (taken, rest) = split.ok_or_else(|| Fault::broken("its description ends early"))?;
        self.bytes = rest;
        Ok(taken)
    }
}

impl Kind {
    fn of(code: u8) -> Result<Self> {
        Ok(match code {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4..=6 => Self::Int,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            _ => return Err(Fault::broken("its description has a field of no kind")),
        })
    }

    /// Whether it is a truth value, and which.
    pub fn truth(self) -> Option<bool> {
        match self {
            Self::True => Some(true),
            Self::False => Some(false),
            _ => None,
        }
    }
}
