//! The members of one record, parsed.

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::{BytesStart, Event};

use super::attributes::{Attributes, Broken};
use super::input::is_blank;
use super::markup::{Name, is_name};
use super::text::{Unknown, attribute_value, push_char, push_text, resolve};
use super::{DEPTH_MAX, MEMBER_NAME_BYTES_MAX, XmlOptions, XmlStyle};
use crate::domain::reject::RecordCode;
use crate::format::excerpt;

/// Names and texts, in order.
pub(super) type Members = Vec<(String, Vec<u8>)>;

/// Why a record has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub code: RecordCode,
    /// Where in the record.
    pub at: usize,
    pub reason: String,
    /// It has more than `max_columns`.
    pub too_many: bool,
}

impl Problem {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            code: RecordCode::InvalidXml,
            at: 0,
            reason: reason.into(),
            too_many: false,
        }
    }

    fn further(self, by: usize) -> Self {
        Self {
            at: self.at + by,
            ..self
        }
    }
}

/// Reads a record, given from the `<` of its start tag to behind its end tag.
pub(super) fn read(record: &[u8], options: &XmlOptions) -> Result<Members, Problem> {
    let mut reader = Reader::from_reader(record);
    let mut building = Building::new(options);
    loop {
        let at = offset(reader.buffer_position());
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => return Err(Problem::new(words(&error)).further(offset(reader.error_position()))),
        };
        if matches!(event, Event::Eof) {
            return building.finish().map_err(|problem| problem.further(at));
        }
        building.take(&event).map_err(|problem| problem.further(at))?;
    }
}

/// Reads the members that the beginning of a record has, from the `<` of its start tag on.
pub(super) fn read_so_far(beginning: &[u8], options: &XmlOptions) -> Result<Members, Problem> {
    let mut reader = Reader::from_reader(beginning);
    let mut building = Building::new(options);
    loop {
        let event = reader.read_event().map_err(|error| Problem::new(words(&error)))?;
        if matches!(event, Event::Eof) {
            return Ok(building.members);
        }
        building.take(&event)?;
    }
}

/// Of a record, whose length is a `usize`.
fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// What the parser found, in plain words. What it quotes is foreign text.
fn words(error: &Error) -> String {
    match error {
        Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => format!(
            "the end tag of {} was expected, but that of {} was found",
            excerpt::quoted(expected),
            excerpt::quoted(found)
        ),
        Error::IllFormed(IllFormedError::UnmatchedEndTag(name)) => {
            format!("the end tag of {} has no start tag", excerpt::quoted(name))
        }
        Error::IllFormed(IllFormedError::UnclosedReference) => lone_ampersand(),
        Error::Syntax(error) => error.to_string().replace("end of input", "the end of the record"),
        error => excerpt::stored(&error.to_string()),
    }
}

fn lone_ampersand() -> String {
    "an `&` begins no entity: write `&amp;` for the character itself".to_owned()
}

fn unknown_reference(name: &[u8]) -> String {
    format!(
        "{} is no entity that XML itself has (lt, gt, amp, quot, apos and character numbers): write the text itself",
        excerpt::quoted(&String::from_utf8_lossy(name))
    )
}

/// An element that is open.
#[derive(Debug, Default)]
struct Open {
    /// Length of the name of the elements around it, as members are named.
    outer_name: usize,
    text: Vec<u8>,
    /// It has elements, so it may have no text; or it is the record's own.
    holds_elements: bool,
    /// `xsi:nil="true"`.
    nil: bool,
}

/// A record while it is read.
struct Building<'o> {
    options: &'o XmlOptions,
    members: Members,
    open: Vec<Open>,
    /// The member's name so far: those of the open elements but the record's, joined by dots.
    name: String,
}

impl<'o> Building<'o> {
    fn new(options: &'o XmlOptions) -> Self {
        Self {
            options,
            members: Vec::new(),
            open: Vec::new(),
            name: String::new(),
        }
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), Problem> {
        match event {
            Event::Start(tag) => self.begin(tag),
            Event::Empty(tag) => {
                self.begin(tag)?;
                self.end()
            }
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(text),
            Event::CData(text) => self.text(text),
            Event::GeneralRef(reference) => {
                let c = resolve(reference).ok_or_else(|| Problem::new(unknown_reference(reference)))?;
                if let Some(out) = self.text_of_member(c.is_ascii_whitespace())? {
                    push_char(out, c);
                }
                Ok(())
            }
            Event::DocType(_) => Err(Problem::new(
                "a document type declaration stands in the record: remove it",
            )),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn finish(self) -> Result<Members, Problem> {
        if self.open.is_empty() {
            Ok(self.members)
        } else {
            Err(Problem::new("the record ends inside an element"))
        }
    }

    fn begin(&mut self, tag: &BytesStart<'_>) -> Result<(), Problem> {
        let name = tag.name().into_inner();
        if !is_name(name) {
            let reason = "a `<` begins no tag: write `&lt;` for the character itself";
            return Err(Problem::new(reason));
        }
        if self.open.is_empty() {
            return self.begin_record(tag);
        }
        if self.options.style == XmlStyle::Attribute {
            return Err(Problem::new(format!(
                "the record holds the element {}, but this job reads attributes; use xml-element",
                excerpt::quoted(&String::from_utf8_lossy(name))
            )));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Problem::new(format!("elements are nested more than {DEPTH_MAX} deep")));
        }
        self.begin_member(tag)
    }

    fn begin_record(&mut self, tag: &BytesStart<'_>) -> Result<(), Problem> {
        for attribute in Attributes::new(tag, tag.name().into_inner().len()) {
            let attribute = attribute.map_err(broken)?;
            if self.options.style == XmlStyle::Attribute {
                let name = Name(&tag[attribute.name.clone()]);
                if !is_declaration(name) {
                    // 1 for the `<`.
                    let value = attribute_value(&tag[attribute.value.clone()])
                        .map_err(|unknown| unknown_in_value(unknown).further(1 + attribute.value.start))?;
                    self.name.clear();
                    self.push_name(name).map_err(|p| p.further(1 + attribute.name.start))?;
                    self.push_member(value)?;
                }
            }
        }
        self.name.clear();
        self.open.push(Open {
            holds_elements: true,
            ..Open::default()
        });
        Ok(())
    }

    fn begin_member(&mut self, tag: &BytesStart<'_>) -> Result<(), Problem> {
        let nil = is_nil(tag)?;
        let outer_name = self.name.len();
        if let Some(outer) = self.open.last_mut() {
            if !is_blank_text(&outer.text) {
                return Err(self.mixed());
            }
            outer.text.clear();
            outer.holds_elements = true;
        }
        self.push_name(Name(tag.name().into_inner()))?;
        self.open.push(Open {
            outer_name,
            nil,
            ..Open::default()
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(ended) = self.open.pop() else { return Ok(()) };
        if !ended.holds_elements {
            self.push_member(if ended.nil { Vec::new() } else { ended.text })?;
        }
        self.name.truncate(ended.outer_name);
        Ok(())
    }

    fn text(&mut self, text: &[u8]) -> Result<(), Problem> {
        if let Some(out) = self.text_of_member(is_blank_text(text))? {
            push_text(out, text);
        }
        Ok(())
    }

    /// Where text is to go; nowhere when it is white space between elements.
    fn text_of_member(&mut self, blank: bool) -> Result<Option<&mut Vec<u8>>, Problem> {
        match self.open.last() {
            Some(open) if open.holds_elements && !blank => Err(self.mixed()),
            _ => Ok(self
                .open
                .last_mut()
                .filter(|open| !open.holds_elements)
                .map(|open| &mut open.text)),
        }
    }

    fn mixed(&self) -> Problem {
        Problem::new(if self.options.style == XmlStyle::Attribute {
            "the record holds text, but this job reads attributes; use xml-element".to_owned()
        } else if self.name.is_empty() {
            "text stands between the record's members: put it into one, or remove it".to_owned()
        } else {
            let name = excerpt::quoted(&self.name);
            format!("{name} holds both text and elements: text may only stand in an element without others")
        })
    }

    fn push_name(&mut self, name: Name<'_>) -> Result<(), Problem> {
        let local = std::str::from_utf8(name.local()).map_err(|_| Problem {
            code: RecordCode::InvalidUtf8,
            ..Problem::new("the name of a member is not UTF-8: save the file as UTF-8")
        })?;
        let dot = usize::from(!self.name.is_empty());
        if self.name.len() + dot + local.len() > MEMBER_NAME_BYTES_MAX {
            return Err(Problem::new(format!(
                "the name of a member is longer than {MEMBER_NAME_BYTES_MAX} bytes, those of the elements around it included"
            )));
        }
        if !self.name.is_empty() {
            self.name.push('.');
        }
        self.name.push_str(local);
        Ok(())
    }

    fn push_member(&mut self, text: Vec<u8>) -> Result<(), Problem> {
        if self.members.len() == self.options.max_columns {
            return Err(Problem {
                too_many: true,
                ..Problem::new(format!(
                    "the record has more than {} members (csv.max_columns)",
                    self.options.max_columns
                ))
            });
        }
        self.members.push((self.name.clone(), text));
        Ok(())
    }
}

fn is_blank_text(text: &[u8]) -> bool {
    text.iter().all(|byte| is_blank(*byte))
}

fn broken(broken: Broken) -> Problem {
    // 1 for the `<`.
    Problem::new(broken.what).further(1 + broken.at)
}

fn unknown_in_value(unknown: Unknown<'_>) -> Problem {
    Problem::new(unknown.name.map_or_else(lone_ampersand, unknown_reference)).further(unknown.at)
}

/// Whether an attribute is about the XML, not data.
fn is_declaration(name: Name<'_>) -> bool {
    let prefix = name.0.strip_suffix(name.local()).unwrap_or_default();
    name.0 == b"xmlns" || matches!(prefix, b"xmlns:" | b"xml:" | b"xsi:")
}

/// `xsi:nil="true"`, with whatever prefix.
fn is_nil(tag: &BytesStart<'_>) -> Result<bool, Problem> {
    let mut nil = false;
    for attribute in Attributes::new(tag, tag.name().into_inner().len()) {
        let attribute = attribute.map_err(broken)?;
        let name = Name(&tag[attribute.name]);
        if name.local() == b"nil" && name.local() != name.0 {
            nil = matches!(&tag[attribute.value], b"true" | b"1");
        }
    }
    Ok(nil)
}
