//! The workbook's shared texts: cells refer to them by number.
//!
//! The first ones are kept in memory, up to a limit in bytes; the rest go to a temporary file without a name. Where each ends is
//! kept in memory.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::refusal::PartError;
use super::text::{rich_text, unescape};
use super::xml::{Token, XmlReader};

/// Most texts: their index takes 8 bytes each.
const TEXTS_MAX: usize = (64 << 20) / size_of::<u64>();

/// Limits of a store.
#[derive(Debug, Clone)]
pub(super) struct StringsOptions {
    /// Bytes of text kept in memory.
    pub in_memory: usize,
    /// Where the rest goes.
    pub spill_dir: PathBuf,
    /// Longest text a cell may hold, in bytes. A longer one is kept cut, but still too long.
    pub max_bytes: usize,
}

/// All texts.
#[derive(Debug, Default)]
pub(super) struct Strings {
    /// Where each ends, counted over memory and file.
    ends: Vec<u64>,
    memory: Vec<u8>,
    file: Option<File>,
}

impl Strings {
    /// Reads `sharedStrings.xml`.
    ///
    /// # Errors
    /// When it is broken, has too many texts, or the temporary file fails.
    pub fn read<R: Read>(xml: &mut XmlReader<R>, options: &StringsOptions) -> Result<Self, PartError> {
        let mut filling = Filling {
            strings: Self::default(),
            spilled: None,
            options,
        };
        let mut text = Vec::new();
        loop {
            match xml.next()? {
                Token::Start if xml.name() == b"si" => {
                    text.clear();
                    rich_text(xml, &mut text, options.max_bytes)?;
                    if text.len() <= options.max_bytes {
                        filling.push(&unescape(&text))?;
                    } else {
                        filling.push(&text)?;
                    }
                }
                Token::Start | Token::End | Token::Text => {}
                Token::Eof => return filling.done().map_err(PartError::Spill),
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Length in bytes of the text with this number, from 0.
    pub fn length(&self, number: usize) -> Option<u64> {
        let (start, end) = self.range(number)?;
        Some(end - start)
    }

    /// Puts the text with this number in place of what `out` holds; nothing if there is none.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn load(&mut self, number: usize, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        let Some((start, end)) = self.range(number) else {
            return Ok(());
        };
        let in_memory = self.memory.len() as u64;
        match &mut self.file {
            Some(file) if start >= in_memory => {
                file.seek(SeekFrom::Start(start - in_memory))?;
                let read = file.take(end - start).read_to_end(out)?;
                if read as u64 == end - start {
                    Ok(())
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                }
            }
            _ => {
                let range = to_index(start)..to_index(end);
                out.extend_from_slice(self.memory.get(range).unwrap_or_default());
                Ok(())
            }
        }
    }

    fn range(&self, number: usize) -> Option<(u64, u64)> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some((start, end))
    }
}

fn to_index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// A store being filled.
struct Filling<'a> {
    strings: Strings,
    spilled: Option<BufWriter<File>>,
    options: &'a StringsOptions,
}

impl Filling<'_> {
    fn push(&mut self, text: &[u8]) -> Result<(), PartError> {
        let Self {
            strings,
            spilled,
            options,
        } = self;
        if strings.ends.len() == TEXTS_MAX {
            return Err(PartError::TooLarge(format!(
                "the workbook has more than {TEXTS_MAX} different texts: split it into smaller ones"
            )));
        }
        if spilled.is_none() && strings.memory.len() + text.len() > options.in_memory {
            let file = tempfile::tempfile_in(&options.spill_dir).map_err(PartError::Spill)?;
            *spilled = Some(BufWriter::new(file));
        }
        match spilled {
            Some(file) => file.write_all(text).map_err(PartError::Spill)?,
            None => strings.memory.extend_from_slice(text),
        }
        let before = strings.ends.last().copied().unwrap_or(0);
        strings.ends.push(before + text.len() as u64);
        Ok(())
    }

    fn done(mut self) -> io::Result<Strings> {
        if let Some(file) = self.spilled {
            self.strings.file = Some(file.into_inner().map_err(io::IntoInnerError::into_error)?);
        }
        Ok(self.strings)
    }
}
