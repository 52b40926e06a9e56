//! What stands before the first record: up to and with the start tag of the root.

use super::ROOT_TAG_BYTES_MAX;
use super::attributes::Attributes;
use super::input::Input;
use super::markup::{Construct, Markup, Name, markup};
use crate::format::excerpt;
use crate::format::record::FileError;

const BOM_UTF8: &[u8] = b"\xEF\xBB\xBF";

/// Bytes that tell what a `<!` begins.
const DECLARATION_BYTES: usize = b"<!DOCTYPE".len();

/// Bytes of what is no XML that are shown; enough for the excerpt's characters.
const SHOWN_BYTES: usize = 256;

/// The root's start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    /// As it stood, brackets included.
    pub tag: String,
    name_length: usize,
    /// It has no content: `<Document/>`.
    pub empty: bool,
}

impl Root {
    /// Its name, prefix included.
    pub fn name(&self) -> &str {
        &self.tag[1..=self.name_length]
    }

    /// Its name without the prefix.
    pub fn local(&self) -> &[u8] {
        Name(self.name().as_bytes()).local()
    }
}

/// Reads a file's prolog.
#[derive(Debug)]
pub(super) enum Prolog {
    /// Before the byte order mark.
    FileStart,
    /// Whether there was anything but white space so far.
    Between(bool),
    Inside(Construct),
    /// In the root's start tag: offset of the next byte to look at, and the quote it is in.
    RootTag {
        at: usize,
        quote: Option<u8>,
    },
}

/// How far one step came.
pub(super) enum Found {
    NeedInput,
    /// Call again.
    More(Prolog),
    Root(Root),
}

impl Prolog {
    /// Goes on; after `Found::NeedInput`, call it again.
    pub fn step(&mut self, input: &mut Input) -> Result<Found, FileError> {
        match *self {
            Self::FileStart => Ok(file_start(input)),
            Self::Between(begun) => between(begun, input),
            Self::Inside(construct) => inside(construct, input),
            Self::RootTag { at, quote } => self.root_tag(at, quote, input),
        }
    }

    fn root_tag(&mut self, mut at: usize, mut quote: Option<u8>, input: &mut Input) -> Result<Found, FileError> {
        let rest = input.rest();
        while at < rest.len().min(ROOT_TAG_BYTES_MAX) {
            let byte = rest[at];
            at += 1;
            quote = match (quote, byte) {
                (Some(open), _) => Some(open).filter(|open| *open != byte),
                (None, b'>') => return root(input, at),
                (None, b'<') => return Err(damaged("the root's start tag is not closed before the next `<`")),
                (None, byte) => Some(byte).filter(|byte| matches!(byte, b'"' | b'\'')),
            };
        }
        if at == ROOT_TAG_BYTES_MAX {
            return Err(damaged(format!(
                "the root's start tag is longer than {ROOT_TAG_BYTES_MAX} bytes; probably a quote in it is not closed"
            )));
        }
        if input.is_finished() {
            return Err(damaged("the file ends inside the root's start tag"));
        }
        *self = Self::RootTag { at, quote };
        Ok(Found::NeedInput)
    }
}

fn file_start(input: &mut Input) -> Found {
    if input.rest().len() < BOM_UTF8.len() && !input.is_finished() {
        return Found::NeedInput;
    }
    if input.rest().starts_with(BOM_UTF8) {
        input.consume(BOM_UTF8.len());
    }
    Found::More(Prolog::Between(false))
}

fn between(begun: bool, input: &mut Input) -> Result<Found, FileError> {
    input.pass_blanks();
    let (rest, last) = (input.rest(), input.is_finished());
    match rest.first() {
        None if !last => return Ok(Found::NeedInput),
        None if begun => return Err(damaged("the file has no root element")),
        None => return Err(empty()),
        Some(b'<') => {}
        Some(_) => return refuse(input),
    }
    if rest.starts_with(b"<!") && rest.len() < DECLARATION_BYTES && !last {
        return Ok(Found::NeedInput);
    }
    let next = match markup(rest, last) {
        None => return Ok(Found::NeedInput),
        Some(Markup::Opens(construct @ (Construct::Comment | Construct::Instruction))) => {
            input.consume(construct.opening().len());
            Prolog::Inside(construct)
        }
        Some(Markup::Start(_)) => Prolog::RootTag { at: 1, quote: None },
        Some(Markup::Cut) => return Err(damaged("the file ends inside its first tag")),
        Some(Markup::Text) if is_doctype(rest) => return Err(doctype()),
        Some(Markup::Text | Markup::End(_) | Markup::Opens(Construct::CData)) => return refuse(input),
    };
    Ok(Found::More(next))
}

/// Refuses what is no XML, once enough of it is there to be shown.
fn refuse(input: &Input) -> Result<Found, FileError> {
    if input.rest().len() < SHOWN_BYTES && !input.is_finished() {
        return Ok(Found::NeedInput);
    }
    Err(no_xml(input.rest()))
}

fn is_doctype(bytes: &[u8]) -> bool {
    bytes
        .get(..9)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"<!DOCTYPE"))
}

/// Passes what may be longer than fits into memory.
fn inside(construct: Construct, input: &mut Input) -> Result<Found, FileError> {
    if pass(construct, input, Input::consume) {
        return Ok(Found::More(Prolog::Between(true)));
    }
    if input.is_finished() {
        let name = construct.name();
        return Err(damaged(format!("the {name} before the root element is not closed")));
    }
    Ok(Found::NeedInput)
}

/// Goes on to behind the end of this, in pieces; `false` when it is not among the bytes fed so far.
pub(super) fn pass(construct: Construct, input: &mut Input, mut consume: impl FnMut(&mut Input, usize)) -> bool {
    let closing = construct.closing();
    let (rest, last) = (input.rest(), input.is_finished());
    let found = memchr::memmem::find(rest, closing);
    // The end of what is there may be the start of the closing.
    let kept = if last { 0 } else { closing.len() - 1 };
    let bytes = found.map_or(rest.len().saturating_sub(kept), |at| at + closing.len());
    consume(input, bytes);
    found.is_some()
}

fn root(input: &mut Input, length: usize) -> Result<Found, FileError> {
    let tag = std::str::from_utf8(&input.rest()[..length]).map_err(|_| FileError {
        code: "encoding_unsupported",
        reason: "the root's start tag is not UTF-8: save the file as UTF-8 and send it again".to_owned(),
    })?;
    let empty = tag.ends_with("/>");
    let inner = &tag[1..tag.len() - if empty { 2 } else { 1 }];
    let name_length = inner.find([' ', '\t', '\r', '\n']).unwrap_or(inner.len());
    if !super::markup::is_name(&inner.as_bytes()[..name_length]) {
        return Err(no_xml(tag.as_bytes()));
    }
    if let Some(Err(broken)) = Attributes::new(inner.as_bytes(), name_length).find(Result::is_err) {
        let at = input.byte() + 1 + broken.at as u64;
        return Err(damaged(format!(
            "in the root's start tag, at byte {at}: {}",
            broken.what
        )));
    }
    let root = Root {
        tag: tag.to_owned(),
        name_length,
        empty,
    };
    input.consume(length);
    Ok(Found::Root(root))
}

fn empty() -> FileError {
    FileError {
        code: "file_empty",
        reason: "the file is empty (DMF2053): send at least a root element, with one element in it per record"
            .to_owned(),
    }
}

fn no_xml(found: &[u8]) -> FileError {
    let start = String::from_utf8_lossy(&found[..found.len().min(SHOWN_BYTES)]);
    FileError {
        code: "xml_expected",
        reason: format!(
            "the file is no XML (DMF1830): {} stands where the root element was expected; is this the right file and format?",
            excerpt::quoted(start.lines().next().unwrap_or_default())
        ),
    }
}

fn damaged(what: impl std::fmt::Display) -> FileError {
    FileError {
        code: "xml_damaged",
        reason: format!("the XML is damaged before its first record (DMF1830): {what}"),
    }
}

fn doctype() -> FileError {
    FileError {
        code: "doctype_refused",
        reason:
            "the file has a document type declaration (<!DOCTYPE ...>), which is never read: remove it and send the \
                 file again"
                .to_owned(),
    }
}
