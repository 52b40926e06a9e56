//! XML as tokens: local names, checked attributes, resolved text. No document types, no depth without end.
//!
//! Namespaces are not insisted on: a workbook's parts use one vocabulary each, and the strict and the transitional form of the
//! standard differ in nothing else.

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use super::gate::Gate;
use super::refusal::PartError;
use crate::format::excerpt;

/// Deeper nesting than any part of a workbook has.
const DEPTH_MAX: usize = 64;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// An element begins: [`XmlReader::name`] and [`XmlReader::attribute`] tell of it. An empty one ends with the next token.
    Start,
    /// The innermost element ends.
    End,
    /// A piece of text: [`XmlReader::text`].
    Text,
    /// The end of the part, all elements closed.
    Eof,
}

/// Reads one part.
#[derive(Debug)]
pub(super) struct XmlReader<R: Read> {
    reader: Reader<Gate<R>>,
    buffer: Vec<u8>,
    depth: usize,
    tag: Tag,
    text: Vec<u8>,
}

impl<R: Read> XmlReader<R> {
    /// A reader at the start of `source`. Runs of text longer than `text_max` bytes may be cut, but not to less than half of it.
    pub fn new(source: R, text_max: usize) -> Self {
        let mut reader = Reader::from_reader(Gate::new(source, text_max));
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            buffer: Vec::new(),
            depth: 0,
            tag: Tag::default(),
            text: Vec::new(),
        }
    }

    #[cfg(test)]
    pub fn buffer_capacity(&self) -> usize {
        self.buffer.capacity() + self.text.capacity() + self.tag.bytes.capacity()
    }

    /// Elements that are open: after [`Token::Start`] with the new one, after [`Token::End`] without the old one.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Local name of the element that began last.
    pub fn name(&self) -> &[u8] {
        self.tag.name()
    }

    /// The attribute with this local name of the element that began last, as written.
    pub fn attribute(&self, name: &[u8]) -> Option<&[u8]> {
        self.tag.attribute(name)
    }

    /// The same as text, its references resolved.
    ///
    /// # Errors
    /// When it is not UTF-8 or has unknown references.
    pub fn attribute_text(&self, name: &[u8]) -> Result<Option<String>, PartError> {
        let Some(value) = self.attribute(name) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(value).map_err(PartError::broken)?;
        Ok(Some(unescape(text).map_err(PartError::broken)?.into_owned()))
    }

    /// The piece of text read last. Not UTF-8 if the part is not.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The next token.
    ///
    /// # Errors
    /// [`PartError`] when the part is not well-formed, has a document type, or cannot be read. Nothing more can be read then.
    pub fn next(&mut self) -> Result<Token, PartError> {
        loop {
            self.buffer.clear();
            self.reader.get_mut().begin_event();
            let event = self.reader.read_event_into(&mut self.buffer);
            match event.map_err(PartError::broken)? {
                Event::Start(start) => {
                    if self.depth == DEPTH_MAX {
                        return Err(PartError::broken(format!(
                            "elements are nested more than {DEPTH_MAX} deep"
                        )));
                    }
                    self.depth += 1;
                    self.tag.set(&start)?;
                    return Ok(Token::Start);
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Token::End);
                }
                Event::Text(text) => {
                    set_text(&mut self.text, text.xml10_content(), &text);
                    return Ok(Token::Text);
                }
                Event::CData(data) => {
                    set_text(&mut self.text, data.xml10_content(), &data);
                    return Ok(Token::Text);
                }
                Event::GeneralRef(reference) => {
                    self.text.clear();
                    self.text.extend_from_slice(resolved(&reference)?.as_bytes());
                    return Ok(Token::Text);
                }
                Event::DocType(_) => return Err(PartError::Doctype),
                Event::Decl(declaration) => check_encoding(&declaration)?,
                Event::Eof if self.depth > 0 => return Err(PartError::broken("it ends too early")),
                Event::Eof => return Ok(Token::Eof),
                Event::Empty(_) | Event::Comment(_) | Event::PI(_) => {}
            }
        }
    }

    /// Passes the rest of the element that began last.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn skip_element(&mut self) -> Result<(), PartError> {
        let outside = self.depth - 1;
        while self.depth > outside {
            self.next()?;
        }
        Ok(())
    }
}

/// A start tag's names and values, one behind the other.
#[derive(Debug, Default)]
struct Tag {
    bytes: Vec<u8>,
    name_end: usize,
    attributes: Vec<(Range<usize>, Range<usize>)>,
}

impl Tag {
    fn set(&mut self, start: &BytesStart<'_>) -> Result<(), PartError> {
        self.bytes.clear();
        self.attributes.clear();
        self.name_end = self.push(start.local_name().as_ref()).end;
        let mut attributes = start.attributes();
        // The check for duplicates compares each with each: a hostile tag has a hundred thousand.
        for attribute in attributes.with_checks(false) {
            let attribute = attribute.map_err(PartError::broken)?;
            let name = self.push(attribute.key.local_name().as_ref());
            let value = self.push(&attribute.value);
            self.attributes.push((name, value));
        }
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn name(&self) -> &[u8] {
        &self.bytes[..self.name_end]
    }

    fn attribute(&self, name: &[u8]) -> Option<&[u8]> {
        let mut attributes = self.attributes.iter();
        let (_, value) = attributes.find(|(range, _)| self.bytes[range.clone()] == *name)?;
        Some(&self.bytes[value.clone()])
    }
}

/// Text with its line breaks made LF; as it stands when it is not UTF-8, for its reader to judge.
fn set_text<E>(out: &mut Vec<u8>, decoded: Result<Cow<'_, str>, E>, raw: &[u8]) {
    out.clear();
    match decoded {
        Ok(text) => out.extend_from_slice(text.as_bytes()),
        Err(_) => out.extend_from_slice(raw),
    }
}

fn resolved(reference: &BytesRef<'_>) -> Result<String, PartError> {
    if let Some(character) = reference.resolve_char_ref().map_err(PartError::broken)? {
        return Ok(character.into());
    }
    let name = reference.decode().map_err(PartError::broken)?;
    let text = resolve_xml_entity(&name);
    text.map(str::to_owned).ok_or_else(|| {
        PartError::broken(format!(
            "it uses the entity {}, which XML does not have",
            excerpt::quoted(&name)
        ))
    })
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), PartError> {
    let Some(encoding) = declaration.encoding() else {
        return Ok(());
    };
    let encoding = encoding.map_err(PartError::broken)?;
    if encoding.eq_ignore_ascii_case(b"utf-8") {
        return Ok(());
    }
    let encoding = excerpt::quoted(&String::from_utf8_lossy(&encoding));
    Err(PartError::broken(format!("its encoding is {encoding}, expected UTF-8")))
}
