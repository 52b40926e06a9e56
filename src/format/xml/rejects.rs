//! The rejects file: rejected records of an XML file, put into an XML file of the same shape that a person corrects and sends back.
//!
//! Its root's start tag is that of the source, so that namespaces declared there still hold. A record stands as it stood, with
//! `_reject_id` and `_error` as its first members; those that it had, in any case, are left out: the source may itself be a rejects
//! file. What is not well-formed, not whole, or no record would spoil the file, and stands escaped as the member `_raw` of a record instead.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::attributes::{Attribute, Attributes};
use super::composite::CONTEXT_ATTRIBUTE;
use super::markup::{Name, is_name};
use super::prolog::Root;
use super::source::XmlSource;
use super::text::{is_xml_char, resolve};
use super::writer::{end_tag, push_attribute, push_element};
use super::{ROOT_TAG_BYTES_MAX, XmlOptions, XmlStyle};
use crate::format::mapping::{ERROR_COLUMN, RAW_MEMBER, REJECT_ID_COLUMN};
use crate::format::named::{NamedSource as _, NamedStep};

/// Bytes of a source that tell its root and its records' name, unless comments stand before them.
const HEAD_BYTES: usize = ROOT_TAG_BYTES_MAX;

/// Writes rejects files for one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlRejects {
    style: XmlStyle,
    /// The root's start tag, brackets included.
    root_tag: String,
    root_name: String,
    /// The records' name, prefix included.
    record_name: String,
}

impl XmlRejects {
    /// For a source that begins with `head`, of which at most 64 KiB are looked at. Where they do not tell the root or the records' name,
    /// `Document` and `RECORD` stand in for them.
    #[must_use]
    pub fn new(style: XmlStyle, head: &[u8]) -> Self {
        let mut source = XmlSource::new(XmlOptions {
            style,
            max_record_bytes: HEAD_BYTES,
            max_columns: 1,
        });
        source.feed(&head[..head.len().min(HEAD_BYTES)]);
        // Only what it learns on the way to the first record is wanted.
        while source.record_name().is_none() && matches!(source.step(), Ok(NamedStep::Damaged(_))) {}
        let record_name = source
            .record_name()
            .and_then(|name| std::str::from_utf8(name.0).ok().filter(|_| is_name(name.0)))
            .unwrap_or("RECORD");
        Self::of_element(style, source.root(), record_name)
    }

    /// For records whose element has this name, in a source with this root.
    pub(super) fn of_element(style: XmlStyle, root: Option<&Root>, record_name: &str) -> Self {
        let (root_tag, root_name) = root
            .map(|root| (opened(&root.tag), root.name().to_owned()))
            .filter(|(tag, name)| is_root(tag, name))
            .unwrap_or_else(|| ("<Document>".to_owned(), "Document".to_owned()));
        Self {
            style,
            root_tag,
            root_name,
            record_name: record_name.to_owned(),
        }
    }

    /// Appends what stands before the first record.
    pub fn prefix(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n");
        out.extend_from_slice(self.root_tag.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// Appends what stands after the last record.
    pub fn suffix(&self, out: &mut Vec<u8>) {
        end_tag(out, self.root_name.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// Appends a record, whose bytes in the source are `raw`, or begin with it if it was `cut`.
    pub fn record(&self, out: &mut Vec<u8>, raw: &[u8], id: &str, error: &str, cut: bool) {
        let parts = if cut { None } else { Parts::of(raw) };
        let record_name = Name(self.record_name.as_bytes()).local();
        match parts.filter(|parts| Name(&raw[parts.name.clone()]).local() == record_name) {
            Some(parts) if self.style == XmlStyle::Element => element(out, raw, &parts, id, error),
            Some(parts) => attribute(out, raw, &parts, id, error),
            None => self.raw(out, raw, id, error, cut),
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Appends an element that is no record, but around records; `is_marked` says that it stood so in the source.
    pub(super) fn context(&self, out: &mut Vec<u8>, raw: &[u8], is_marked: bool) {
        let mark = format!(" {CONTEXT_ATTRIBUTE}=\"true\"");
        let Some(parts) = Parts::of(raw) else {
            let name = &self.record_name;
            out.extend_from_slice(format!("<{name}{mark}></{name}>").as_bytes());
            return;
        };
        let mut at = parts.name.end;
        out.extend_from_slice(&raw[..at]);
        if !is_marked {
            out.extend_from_slice(mark.as_bytes());
        }
        for own in parts.own_attributes.iter().chain(&parts.own_elements) {
            out.extend_from_slice(&raw[at..own.start]);
            at = own.end;
        }
        out.extend_from_slice(&raw[at..]);
    }

    fn raw(&self, out: &mut Vec<u8>, raw: &[u8], id: &str, error: &str, cut: bool) {
        let mut text = String::from_utf8_lossy(raw);
        if cut {
            text.to_mut().push('…');
        }
        let members = [(REJECT_ID_COLUMN, id), (ERROR_COLUMN, error), (RAW_MEMBER, &text)];
        let name = self.record_name.as_bytes();
        out.push(b'<');
        out.extend_from_slice(name);
        match self.style {
            XmlStyle::Element => {
                out.push(b'>');
                for (name, text) in members {
                    push_element(out, name, text);
                }
                end_tag(out, name);
            }
            XmlStyle::Attribute => {
                for (name, text) in members {
                    push_attribute(out, name, text);
                }
                out.extend_from_slice(b"/>");
            }
        }
    }
}

/// A start tag that leaves its element open.
fn opened(tag: &str) -> String {
    tag.strip_suffix("/>")
        .map_or_else(|| tag.to_owned(), |tag| format!("{tag}>"))
}

fn is_root(tag: &str, name: &str) -> bool {
    Parts::of(format!("{tag}</{name}>").as_bytes()).is_some()
}

fn element(out: &mut Vec<u8>, raw: &[u8], parts: &Parts, id: &str, error: &str) {
    let mut at = parts.tag_end;
    if parts.empty {
        out.extend_from_slice(&raw[..at - b"/>".len()]);
        out.push(b'>');
    } else {
        out.extend_from_slice(&raw[..at]);
    }
    push_element(out, REJECT_ID_COLUMN, id);
    push_element(out, ERROR_COLUMN, error);
    for own in &parts.own_elements {
        out.extend_from_slice(&raw[at..own.start]);
        at = own.end;
    }
    out.extend_from_slice(&raw[at..]);
    if parts.empty {
        end_tag(out, &raw[parts.name.clone()]);
    }
}

fn attribute(out: &mut Vec<u8>, raw: &[u8], parts: &Parts, id: &str, error: &str) {
    let mut at = parts.name.end;
    out.extend_from_slice(&raw[..at]);
    push_attribute(out, REJECT_ID_COLUMN, id);
    push_attribute(out, ERROR_COLUMN, error);
    for own in &parts.own_attributes {
        out.extend_from_slice(&raw[at..own.start]);
        at = own.end;
    }
    out.extend_from_slice(&raw[at..]);
}

/// Whether a member is one that we put in.
fn is_own(name: Name<'_>) -> bool {
    let name = name.local();
    name.eq_ignore_ascii_case(REJECT_ID_COLUMN.as_bytes()) || name.eq_ignore_ascii_case(ERROR_COLUMN.as_bytes())
}

/// Where things stand in a well-formed element.
#[derive(Debug, Default)]
struct Parts {
    name: Range<usize>,
    /// Behind the start tag.
    tag_end: usize,
    /// The start tag is all there is.
    empty: bool,
    /// With the white space before them.
    own_attributes: Vec<Range<usize>>,
    own_elements: Vec<Range<usize>>,
}

impl Parts {
    /// Of bytes that are one well-formed element and nothing else. That is stricter than reading it: any parser must take the file.
    fn of(raw: &[u8]) -> Option<Self> {
        if !std::str::from_utf8(raw).ok()?.chars().all(is_xml_char) {
            return None;
        }
        let mut reader = Reader::from_reader(raw);
        reader.config_mut().check_comments = true;
        let mut walk = Walk::default();
        loop {
            let from = usize::try_from(reader.buffer_position()).ok()?;
            let event = reader.read_event().ok()?;
            let to = usize::try_from(reader.buffer_position()).ok()?;
            match event {
                Event::Start(tag) => walk.begin(&tag, from, to, false)?,
                Event::Empty(tag) => {
                    walk.begin(&tag, from, to, true)?;
                    walk.end(to);
                }
                Event::End(_) => walk.end(to),
                // Where nothing of the element is open, the parser has an empty text at most.
                Event::Text(text) if text.is_empty() => {}
                Event::Eof => return walk.whole.then_some(walk.parts),
                event if walk.depth > 0 && is_content(&event) => {}
                _ => return None,
            }
        }
    }
}

/// Whether this may stand between tags.
fn is_content(event: &Event<'_>) -> bool {
    match event {
        Event::Text(text) => memchr::memmem::find(text, b"]]>").is_none(),
        Event::GeneralRef(reference) => is_reference(reference),
        Event::CData(_) | Event::Comment(_) | Event::PI(_) => true,
        _ => false,
    }
}

fn is_reference(name: &[u8]) -> bool {
    resolve(name).is_some_and(is_xml_char)
}

#[derive(Debug, Default)]
struct Walk {
    parts: Parts,
    depth: usize,
    /// Start of the member of ours that is open.
    own_from: Option<usize>,
    /// The element has ended.
    whole: bool,
}

impl Walk {
    fn begin(&mut self, tag: &BytesStart<'_>, from: usize, to: usize, empty: bool) -> Option<()> {
        let name = Name(tag.name().into_inner());
        let attributes = attributes(tag)?;
        if self.whole || !is_name(name.0) {
            return None;
        }
        if self.depth == 0 {
            // 1 for the `<`.
            let start = from + 1;
            let own = attributes.iter().filter(|a| is_own(Name(&tag[a.name.clone()])));
            self.parts = Parts {
                name: start..start + name.0.len(),
                tag_end: to,
                empty,
                own_attributes: own.map(|a| start + a.whole.start..start + a.whole.end).collect(),
                own_elements: Vec::new(),
            };
        } else if self.depth == 1 && is_own(name) {
            self.own_from = Some(from);
        }
        self.depth += 1;
        Some(())
    }

    fn end(&mut self, to: usize) {
        self.depth -= 1;
        if self.depth == 1
            && let Some(from) = self.own_from.take()
        {
            self.parts.own_elements.push(from..to);
        }
        self.whole = self.depth == 0;
    }
}

/// All of a tag's, if they are well-formed and no two have the same name.
fn attributes(tag: &BytesStart<'_>) -> Option<Vec<Attribute>> {
    let all: Vec<Attribute> = Attributes::new(tag, tag.name().into_inner().len())
        .collect::<Result<_, _>>()
        .ok()?;
    let mut names: Vec<&[u8]> = all.iter().map(|a| &tag[a.name.clone()]).collect();
    names.sort_unstable();
    let distinct = names.windows(2).all(|pair| pair[0] != pair[1]);
    (distinct && all.iter().all(|a| is_value(&tag[a.value.clone()]))).then_some(all)
}

/// Whether all references in an attribute's value are ones that XML may hold, and no tag begins in it.
fn is_value(raw: &[u8]) -> bool {
    let mut rest = raw;
    while let Some(at) = memchr::memchr2(b'&', b'<', rest) {
        if rest[at] == b'<' {
            return false;
        }
        rest = &rest[at + 1..];
        let Some(end) = memchr::memchr(b';', rest) else {
            return false;
        };
        if !is_reference(&rest[..end]) {
            return false;
        }
        rest = &rest[end + 1..];
    }
    true
}
