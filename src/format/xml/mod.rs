//! XML data files (FMT-10), read as a stream that survives damage.
//!
//! A scanner of our own finds where a record begins and ends, because an XML parser stops at the first mistake in a file; only
//! the bytes of one record are then parsed, so a mistake in them is one reject with its byte range and reading goes on (promise 5).
//!
//! # Grammar
//! UTF-8 with or without a byte order mark; what the XML declaration says of the encoding is not looked at, because the text
//! has been decoded before. Then, comments and processing instructions aside: one root element of any name, and in it one element
//! per record, all of the name that the first of them has. Names are compared without their namespace prefix.
//!
//! - [`XmlStyle::Element`]: the elements in a record are its members. `<ADDRESS><CITY>` is the member `ADDRESS.CITY`. Text is
//!   that of XML: CDATA sections and the five predefined entities and character references are resolved, line ends are LF, white
//!   space is kept. An empty element and one with `xsi:nil="true"` are empty. Other attributes are ignored.
//! - [`XmlStyle::Attribute`]: the attributes of a record's element are its members, except those of the prefixes `xmlns`, `xml` and
//!   `xsi`. As XML has it, a line break or tab written as such in a value is a blank.
//!
//! Bytes that are not UTF-8 and characters that business text may not hold pass into the cell, where typing refuses them. A `<` inside
//! an attribute's value is no XML, but harmless and let pass.
//!
//! # Safety
//! Nothing is ever expanded or fetched: a document type declaration refuses the file, in a record it damages the record, and
//! an entity that is not one of the five is damage. So there is neither a "billion laughs" nor an external entity.
//!
//! # Damage
//! What is wrong between the root's start and end tag costs the record it is in, `invalid_xml` unless said otherwise:
//! - A record that does not parse, has text between its members, more than `max_columns` of them (in the file's first record that
//!   refuses the file), or elements nested deeper than [`DEPTH_MAX`].
//! - A record that is not closed when the next one's start tag or the root's end tag comes ends there. That also holds inside a
//!   quoted attribute value, where neither can stand. Hence no element in a record may have the name of the record's own.
//! - An element of another name; text and end tags where a record should begin, up to the next `<`.
//! - A comment, CDATA section or processing instruction that is not closed, a comment in which another begins, an element of another
//!   name that is not closed, and a record longer than `max_record_bytes` (`record_too_large`): where it ends cannot be known. The reader
//!   goes back to its start and *resynchronises*: it ends at the first start tag of a record behind its own, be it inside the comment,
//!   from which a whole record scans; if there is none, with the file.
//! - A comment, CDATA section or processing instruction in a record, and an element of another name, that hold more than
//!   [`PASSED_STARTS_MAX`] start tags of records are not believed to be closed where they seem to be. A comment between records may
//!   hold as many as fit into `max_record_bytes`.
//!
//! A file that ends inside a record, or before the root's end tag, is *cut off*: what follows the last whole record is one damaged
//! record, of no length when the file ends exactly behind it. What follows the root's end tag, comments and processing instructions
//! aside, is one damaged record to the end of the file.
//!
//! # Positions
//! [`NamedSource::position`](super::named::NamedSource::position) is the end of the last record, from which reading the rest is the same
//! however it got there. When a record is known to be the file's last because it took up the rest of it, the position is one byte past
//! the end of the file, to tell it from a file cut off there.
//!
//! # Cost
//! Memory holds one record of at most `max_record_bytes` with its members, what was last fed, and the root's start tag of at most
//! [`ROOT_TAG_BYTES_MAX`]. Time is linear in the file's size: a byte is scanned in its own record and in at most
//! [`PASSED_STARTS_MAX`] records before it whose comments, CDATA sections or other elements ran past it, each tried at most twice (as a
//! place to go on from, and as a record); and once more as part of a damaged record.

mod attributes;
pub mod composite;
mod edit;
mod given_up;
mod input;
mod markup;
mod members;
mod prolog;
mod recovery;
mod rejects;
mod scan;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod writer;

pub use edit::with_members;
pub use rejects::XmlRejects;
pub use source::XmlSource;
pub use writer::{XmlNode, XmlWriter};

use super::named::Named;

/// Deepest nesting of elements in a record, its own element included.
pub const DEPTH_MAX: usize = 64;

/// Longest name of a member, in bytes, with the names of the elements it is nested in. Those are repeated in each of the members
/// inside them, so it bounds what a record of a few bytes can grow to.
pub const MEMBER_NAME_BYTES_MAX: usize = 256;

/// Longest start tag of the root, in bytes.
pub const ROOT_TAG_BYTES_MAX: usize = 64 << 10;

/// Most start tags of records that comments, CDATA sections, processing instructions and elements of another name may hold to be
/// believed. It bounds what hostile input can cost; real files rarely have any.
pub const PASSED_STARTS_MAX: usize = 64;

/// Where a record keeps its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XmlStyle {
    /// `XML-Element`: `<CURRENCYENTITY><NAME>Euro</NAME></CURRENCYENTITY>`.
    Element,
    /// `XML-Attribute`: `<CURRENCYENTITY NAME="Euro"/>`.
    Attribute,
}

/// Style and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XmlOptions {
    /// Where records keep their values.
    pub style: XmlStyle,
    /// Longest record, in bytes (`csv.max_record_bytes`).
    pub max_record_bytes: usize,
    /// Most members of a record, and of the file's first records together (`csv.max_columns`).
    pub max_columns: usize,
}

/// A reader at the start of an XML file.
#[must_use]
pub fn xml_reader(options: XmlOptions) -> Named<XmlSource> {
    Named::new(XmlSource::new(options), options.max_columns)
}
