//! What a `<` begins: names, and the three kinds of markup whose content is no markup.

use super::input::is_blank;

/// Longest name that can be a record's or the root's, in bytes, prefix included.
const NAME_BYTES_MAX: usize = 256;

/// Markup inside which `<` and `>` mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Construct {
    Comment,
    CData,
    Instruction,
}

impl Construct {
    const ALL: [Self; 3] = [Self::Comment, Self::CData, Self::Instruction];

    /// What it begins with.
    pub fn opening(self) -> &'static [u8] {
        match self {
            Self::Comment => b"<!--",
            Self::CData => b"<![CDATA[",
            Self::Instruction => b"<?",
        }
    }

    /// What it ends with.
    pub fn closing(self) -> &'static [u8] {
        match self {
            Self::Comment => b"-->",
            Self::CData => b"]]>",
            Self::Instruction => b"?>",
        }
    }

    /// For a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::CData => "CDATA section",
            Self::Instruction => "processing instruction",
        }
    }
}

/// What begins at a `<`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup<'a> {
    Opens(Construct),
    /// A start tag of this name.
    Start(Name<'a>),
    /// An end tag of this name.
    End(Name<'a>),
    /// Nothing we know.
    Text,
    /// The file ends before that is clear.
    Cut,
}

/// A name as it stands in a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a>(pub &'a [u8]);

impl<'a> Name<'a> {
    /// Without its namespace prefix.
    pub fn local(self) -> &'a [u8] {
        let prefix = memchr::memrchr(b':', self.0).map_or(0, |colon| colon + 1);
        &self.0[prefix..]
    }
}

/// What the `<` that `bytes` begin with begins; `None` when more bytes are needed to tell. `last`: there are none.
pub(super) fn markup(bytes: &[u8], last: bool) -> Option<Markup<'_>> {
    for construct in Construct::ALL {
        match opens(bytes, construct.opening()) {
            Opens::Yes => return Some(Markup::Opens(construct)),
            Opens::Perhaps => return undecided(last),
            Opens::No => {}
        }
    }
    let is_end = bytes[1] == b'/';
    let from = if is_end { 2 } else { 1 };
    let rest = &bytes[from..];
    let within = &rest[..rest.len().min(NAME_BYTES_MAX + 1)];
    if within.first().is_some_and(|first| !is_name_start(*first)) {
        return Some(Markup::Text);
    }
    match within.iter().position(|byte| ends_name(*byte)) {
        Some(end) if is_end => Some(Markup::End(Name(&rest[..end]))),
        Some(end) => Some(Markup::Start(Name(&rest[..end]))),
        None if within.len() > NAME_BYTES_MAX => Some(Markup::Text),
        None => undecided(last),
    }
}

fn undecided<'a>(last: bool) -> Option<Markup<'a>> {
    last.then_some(Markup::Cut)
}

/// Whether bytes begin with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    Yes,
    /// As far as there are any.
    Perhaps,
    No,
}

pub(super) fn opens(bytes: &[u8], with: &[u8]) -> Opens {
    if bytes.starts_with(with) {
        Opens::Yes
    } else if with.starts_with(bytes) {
        Opens::Perhaps
    } else {
        Opens::No
    }
}

/// A byte that may begin a name; of those beyond ASCII, all are let pass.
pub(super) fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || !byte.is_ascii()
}

/// A byte that may stand in a name.
pub(super) fn is_name_byte(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
}

/// Whether all of this is a name.
pub(super) fn is_name(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| is_name_start(*first)) && bytes.iter().all(|byte| is_name_byte(*byte))
}

fn ends_name(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'/' | b'>' | b'<')
}
