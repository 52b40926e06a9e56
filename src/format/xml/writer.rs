//! XML data files (FMT-10, FMT-11), written: an element a record, records of a composite inside the one they belong to.
//!
//! Every record has all its members, so that a reader of the first ones knows all there are. As elements, no value is
//! `xsi:nil="true"` and an empty text an empty element; among attributes the two are the same.

use super::XmlStyle;
use super::text::{Within, escape, is_xml_char};
use crate::format::excerpt::quoted;
use crate::format::record_writer::{RecordWriter, WriteError};
use crate::format::typed::FileCell;

const ROOT: &str = "Document";
const INSTANCE: &str = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

/// One entity's element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlNode {
    /// Its name.
    pub element: String,
    /// Names of its members.
    pub members: Vec<String>,
    /// How many elements it stands in below the root.
    pub depth: usize,
    /// Whether elements of others stand in it.
    pub holds_others: bool,
}

/// Writes XML files. Records come in the order in which they are to stand: one behind the record it stands in.
#[derive(Debug)]
pub struct XmlWriter {
    style: XmlStyle,
    encoding: String,
    nodes: Vec<XmlNode>,
    /// Of the records that are open, outermost first.
    open: Vec<usize>,
}

impl XmlWriter {
    /// Of these elements, in a file whose declaration names this encoding.
    #[must_use]
    pub fn new(style: XmlStyle, encoding: &str, nodes: Vec<XmlNode>) -> Self {
        Self {
            style,
            encoding: encoding.to_lowercase(),
            nodes,
            open: Vec::new(),
        }
    }

    /// Ends open records until so many are left.
    fn close(&mut self, depth: usize, out: &mut Vec<u8>) {
        while self.open.len() > depth {
            let Some(node) = self.open.pop() else { return };
            indent(out, self.open.len());
            end_tag(out, self.nodes[node].element.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl RecordWriter for XmlWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let instance = match self.style {
            XmlStyle::Element => format!(" {INSTANCE}"),
            XmlStyle::Attribute => String::new(),
        };
        let encoding = &self.encoding;
        let start = format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>\r\n<{ROOT}{instance}>\r\n");
        out.extend_from_slice(start.as_bytes());
        Ok(())
    }

    fn record(&mut self, node: usize, cells: &[FileCell<'_>], out: &mut Vec<u8>) -> Result<(), WriteError> {
        for (column, cell) in cells.iter().enumerate() {
            let text = cell.text.as_deref().unwrap_or_default();
            if let Some(c) = text.chars().find(|c| !is_xml_char(*c)) {
                let code = u32::from(c);
                let reason = format!(
                    "holds the character U+{code:04X}, which XML cannot: remove it from {}, or choose another format",
                    quoted(text)
                );
                return Err(WriteError::Value { column, reason });
            }
        }
        self.close(self.nodes[node].depth, out);
        indent(out, self.open.len());
        let written = &self.nodes[node];
        out.push(b'<');
        out.extend_from_slice(written.element.as_bytes());
        let members = written.members.iter().zip(cells);
        match self.style {
            XmlStyle::Element => {
                out.push(b'>');
                members.for_each(|(name, cell)| push_cell(out, name, cell));
                if !written.holds_others {
                    end_tag(out, written.element.as_bytes());
                }
            }
            XmlStyle::Attribute => {
                for (name, cell) in members {
                    push_attribute(out, name, cell.text.as_deref().unwrap_or_default());
                }
                out.extend_from_slice(if written.holds_others { b">" } else { b"/>" });
            }
        }
        out.extend_from_slice(b"\r\n");
        if written.holds_others {
            self.open.push(node);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.close(0, out);
        end_tag(out, ROOT.as_bytes());
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

fn indent(out: &mut Vec<u8>, depth: usize) {
    out.extend(std::iter::repeat_n(b' ', 2 * (depth + 1)));
}

fn push_cell(out: &mut Vec<u8>, name: &str, cell: &FileCell<'_>) {
    match cell.text.as_deref() {
        None => out.extend_from_slice(format!("<{name} xsi:nil=\"true\"/>").as_bytes()),
        Some("") => out.extend_from_slice(format!("<{name}/>").as_bytes()),
        Some(text) => push_element(out, name, text),
    }
}

pub(super) fn push_element(out: &mut Vec<u8>, name: &str, text: &str) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
    escape(out, text, Within::Element);
    end_tag(out, name.as_bytes());
}

pub(super) fn push_attribute(out: &mut Vec<u8>, name: &str, text: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    escape(out, text, Within::Attribute);
    out.push(b'"');
}

pub(super) fn end_tag(out: &mut Vec<u8>, name: &[u8]) {
    out.extend_from_slice(b"</");
    out.extend_from_slice(name);
    out.push(b'>');
}
