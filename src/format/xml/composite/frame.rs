//! An element of a composite that is open: what of it is a record's own, and what is known to be wrong with it.

use super::super::XmlOptions;
use super::super::attributes::Attributes;
use super::super::input::is_blank;
use super::super::markup::Name;
use super::super::members::{self, Members};
use super::CONTEXT_ATTRIBUTE;
use super::values::Fields;
use crate::domain::reject::{RecordCode, RecordPlace};
use crate::format::excerpt;

/// Of a record that is too long so much is kept, to be shown.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// What is wrong with a record as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub code: RecordCode,
    pub reason: String,
}

impl Flaw {
    pub fn xml(reason: impl Into<String>) -> Self {
        Self {
            code: RecordCode::InvalidXml,
            reason: reason.into(),
        }
    }
}

/// An element, open or ended.
#[derive(Debug)]
pub(super) struct Frame {
    pub node: usize,
    pub line: u64,
    pub byte: u64,
    /// Behind it, once it has ended.
    pub byte_end: u64,
    /// Its bytes without those of the records in it.
    pub own: Vec<u8>,
    /// The first thing found to be wrong.
    pub flaw: Option<Flaw>,
    /// It is longer than may be; `own` is its beginning.
    pub is_cut: bool,
    /// It is no record itself.
    pub is_context: bool,
    /// Nodes whose elements it holds.
    pub holds: Vec<usize>,
    /// Open elements in it that have the root's name.
    pub root_depth: usize,
    /// An element in it was the last thing.
    after_child: bool,
    /// What was read of it for those it holds, for as long as it does not go on.
    pub fields: Option<Result<Fields, String>>,
}

impl Frame {
    pub fn new(node: usize, line: u64, byte: u64) -> Self {
        Self {
            node,
            line,
            byte,
            byte_end: byte,
            own: Vec::new(),
            flaw: None,
            is_cut: false,
            is_context: false,
            holds: Vec::new(),
            root_depth: 0,
            after_child: false,
            fields: None,
        }
    }

    /// Where it stands, as the record with this number.
    pub fn place(&self, record: u64) -> RecordPlace {
        RecordPlace {
            record,
            line: self.line,
            byte_start: self.byte,
            byte_end: self.byte_end,
        }
    }

    pub fn blame(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
    }

    /// An element of this node begins in it.
    pub fn hold(&mut self, node: usize) {
        self.after_child = true;
        if !self.holds.contains(&node) {
            self.holds.push(node);
        }
    }

    /// Adds bytes that say something.
    pub fn add(&mut self, bytes: &[u8], bytes_max: usize) {
        self.after_child = false;
        self.fields = None;
        if self.is_cut {
            return;
        }
        self.own.extend_from_slice(bytes);
        if self.own.len() > bytes_max {
            self.is_cut = true;
            self.own.truncate(HEAD_BYTES.min(bytes_max));
            // Before anything else: it is not known any more what it says.
            self.flaw = Some(Flaw {
                code: RecordCode::RecordTooLarge,
                reason: format!(
                    "the record is longer than {bytes_max} bytes (file.max_record_bytes), those in it not counted: is an end tag missing?"
                ),
            });
        }
    }

    /// Adds a comment or the like, which may be one of very many between the records in it.
    pub fn add_remark(&mut self, bytes: &[u8], bytes_max: usize) {
        if !self.after_child {
            self.add(bytes, bytes_max);
        }
    }

    /// Adds text.
    pub fn add_text(&mut self, bytes: &[u8], bytes_max: usize) {
        let blanks = if self.after_child {
            bytes.iter().take_while(|byte| is_blank(**byte)).count()
        } else {
            0
        };
        if blanks < bytes.len() {
            self.add(&bytes[blanks..], bytes_max);
        }
    }

    /// Keeps as much of these bytes as is shown of what is no record.
    pub fn add_head(&mut self, bytes: &[u8]) {
        let room = HEAD_BYTES - self.own.len();
        self.is_cut |= bytes.len() > room;
        self.own.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Its members, now that it has ended.
    pub fn members(&self, options: &XmlOptions) -> Result<Members, Flaw> {
        if let Some(flaw) = &self.flaw {
            return Err(flaw.clone());
        }
        members::read(&self.own, options).map_err(|problem| {
            // Behind a record in it, offsets do not say where in the file.
            let place = if self.holds.is_empty() {
                format!(" (at byte {} of the file)", self.byte + problem.at as u64)
            } else {
                String::new()
            };
            Flaw {
                code: problem.code,
                reason: format!("{}{place}", problem.reason),
            }
        })
    }

    /// Its first bytes, to be shown.
    pub fn excerpt(&self) -> String {
        excerpt::stored(excerpt::utf8_prefix(&self.own).trim_end())
    }
}

/// Whether a start tag, brackets included, says that its element is no record.
pub(super) fn is_context(tag: &[u8], name_length: usize) -> bool {
    let inner = tag.strip_prefix(b"<").unwrap_or(tag);
    let inner = inner.strip_suffix(b">").unwrap_or(inner);
    let inner = inner.strip_suffix(b"/").unwrap_or(inner);
    let mut attributes = Attributes::new(inner, name_length).map_while(Result::ok);
    attributes.any(|attribute| {
        Name(&inner[attribute.name]).local() == CONTEXT_ATTRIBUTE.as_bytes()
            && matches!(&inner[attribute.value], b"true" | b"1")
    })
}
