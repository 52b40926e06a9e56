//! What stands at the place reading has come to: text, a tag, a comment or the like. It stops where the bytes end and goes on
//! when there are more, and the result does not depend on how the input was split (but for text, which comes in pieces).

use memchr::{memchr, memchr2_iter, memmem};

use super::super::input::Input;
use super::super::markup::{Construct, Markup, Name, markup};

/// What was found; lengths count from where the input stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// Text, or bytes that are no markup.
    Text {
        end: usize,
    },
    /// A `<` that begins nothing that could be believed.
    Lone(Disbelief),
    /// A comment, CDATA section or processing instruction.
    Construct {
        end: usize,
        construct: Construct,
    },
    Tag(Tag),
    /// Nothing: the file has ended.
    End,
}

/// A start or end tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    pub end: usize,
    /// Length of its name, prefix included.
    pub name: usize,
    pub kind: TagKind,
    /// It ends with its `>`, not where another tag begins.
    pub closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TagKind {
    Start,
    Empty,
    End,
}

/// Why a `<` is not taken for what it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disbelief {
    /// It looks like nothing.
    NoMarkup,
    /// This is not closed in the file, or not within the length a record may have.
    Unclosed(Construct),
    CommentInComment,
    /// A tag is longer than a record may be.
    LongTag,
}

impl Tag {
    /// Where the name begins.
    pub fn name_start(&self) -> usize {
        if self.kind == TagKind::End { 2 } else { 1 }
    }

    /// Its name, prefix included, in the bytes it begins.
    pub fn name<'a>(&self, bytes: &'a [u8]) -> Name<'a> {
        Name(&bytes[self.name_start()..self.name_start() + self.name])
    }
}

/// Finds tokens. One for each input.
#[derive(Debug)]
pub(super) struct Lexer {
    bytes_max: usize,
    /// How far the token at hand was looked at, and the quote it was in there.
    at: usize,
    quote: Option<u8>,
    /// The token at hand, once it is known.
    found: Option<Token>,
    /// Offsets in the file before which no CDATA section, and no processing instruction, ends that has not by now.
    open_to: [u64; 2],
    /// Bytes looked at so far, repeats included.
    pub examined: u64,
}

impl Lexer {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            at: 0,
            quote: None,
            found: None,
            open_to: [0; 2],
            examined: 0,
        }
    }

    /// The token at the start of the input; `None`: more bytes are needed. `decides` says which tags end an attribute's value that is not
    /// closed: those nobody would write into one. It is the same until the input was consumed and [`Self::passed`] was called.
    pub fn token(&mut self, input: &Input, decides: impl Fn(Name<'_>) -> bool) -> Option<Token> {
        if self.found.is_none() {
            self.found = self.look_for_token(input, decides);
        }
        self.found
    }

    fn look_for_token(&mut self, input: &Input, decides: impl Fn(Name<'_>) -> bool) -> Option<Token> {
        let (rest, last) = (input.rest(), input.is_finished());
        if rest.is_empty() {
            return last.then_some(Token::End);
        }
        let text = memchr(b'<', rest).unwrap_or(rest.len());
        if text > 0 {
            self.examined += text as u64;
            return Some(Token::Text { end: text });
        }
        match markup(rest, last)? {
            Markup::Cut => Some(Token::Text { end: rest.len() }),
            Markup::Text => Some(Token::Lone(Disbelief::NoMarkup)),
            Markup::Opens(Construct::Comment) => self.comment(rest, last),
            Markup::Opens(construct) => self.construct(input, construct),
            Markup::Start(name) => self.start_tag(rest, last, name.0.len(), decides),
            Markup::End(name) => self.end_tag(rest, last, name.0.len()),
        }
    }

    /// The token at hand was dealt with.
    pub fn passed(&mut self) {
        self.at = 0;
        self.quote = None;
        self.found = None;
    }

    /// What may still be part of the token at hand.
    fn within<'a>(&self, rest: &'a [u8]) -> &'a [u8] {
        &rest[..rest.len().min(self.bytes_max)]
    }

    /// Nothing more was found in `within`: waits for more, unless there is none.
    fn not_found(&mut self, rest: &[u8], last: bool, disbelief: Disbelief) -> Option<Token> {
        if rest.len() > self.bytes_max || last {
            return Some(Token::Lone(disbelief));
        }
        None
    }

    fn look(&mut self, to: usize) {
        self.examined += to.saturating_sub(self.at) as u64;
        self.at = to;
    }

    fn comment(&mut self, rest: &[u8], last: bool) -> Option<Token> {
        let construct = Construct::Comment;
        let within = self.within(rest);
        let from = self.at.max(construct.opening().len());
        for at in memchr2_iter(b'<', b'-', &within[from..]).map(|at| from + at) {
            let rest = &within[at..];
            if rest.starts_with(construct.closing()) {
                self.look(at);
                let end = at + construct.closing().len();
                return Some(Token::Construct { end, construct });
            }
            if rest.starts_with(construct.opening()) {
                self.look(at);
                return Some(Token::Lone(Disbelief::CommentInComment));
            }
        }
        // What is there may be cut in the middle of either.
        self.look(within.len().saturating_sub(construct.opening().len() - 1).max(from));
        self.not_found(rest, last, Disbelief::Unclosed(construct))
    }

    fn construct(&mut self, input: &Input, construct: Construct) -> Option<Token> {
        let (rest, last) = (input.rest(), input.is_finished());
        let open_to = usize::from(construct == Construct::CData);
        let within = self.within(rest);
        let known = usize::try_from(self.open_to[open_to].saturating_sub(input.byte())).unwrap_or(usize::MAX);
        let from = self.at.max(construct.opening().len()).max(known).min(within.len());
        if let Some(found) = memmem::find(&within[from..], construct.closing()) {
            let end = from + found + construct.closing().len();
            self.look(end);
            return Some(Token::Construct { end, construct });
        }
        let to = within.len().saturating_sub(construct.closing().len() - 1).max(from);
        self.examined += (to - from) as u64;
        self.at = to;
        self.open_to[open_to] = self.open_to[open_to].max(input.byte() + to as u64);
        self.not_found(rest, last, Disbelief::Unclosed(construct))
    }

    fn start_tag(&mut self, rest: &[u8], last: bool, name: usize, decides: impl Fn(Name<'_>) -> bool) -> Option<Token> {
        let within = self.within(rest);
        let mut at = self.at.max(1 + name);
        while let Some(found) = within[at..].iter().position(|byte| self.stops(*byte)) {
            at += found;
            let tag = |end, kind, closed| {
                Some(Token::Tag(Tag {
                    end,
                    name,
                    kind,
                    closed,
                }))
            };
            match (self.quote, within[at]) {
                (None, b'>') => {
                    self.look(at);
                    let kind = if within[at - 1] == b'/' {
                        TagKind::Empty
                    } else {
                        TagKind::Start
                    };
                    return tag(at + 1, kind, true);
                }
                (None, b'<') => return tag(at, TagKind::Start, false),
                (None, quote) => self.quote = Some(quote),
                (Some(_), b'<') => match markup(&within[at..], last && within.len() == rest.len()) {
                    Some(Markup::Start(name) | Markup::End(name)) if decides(name) => {
                        return tag(at, TagKind::Start, false);
                    }
                    None => {
                        self.look(at);
                        return self.not_found(rest, last, Disbelief::LongTag);
                    }
                    Some(_) => {}
                },
                (Some(_), _) => self.quote = None,
            }
            at += 1;
        }
        self.look(within.len());
        self.tag_not_found(rest, last)
    }

    /// Whether a byte means something in a start tag.
    fn stops(&self, byte: u8) -> bool {
        match self.quote {
            Some(quote) => byte == quote || byte == b'<',
            None => matches!(byte, b'>' | b'<' | b'"' | b'\''),
        }
    }

    fn end_tag(&mut self, rest: &[u8], last: bool, name: usize) -> Option<Token> {
        let within = self.within(rest);
        let from = self.at.max(2 + name);
        let Some(found) = memchr::memchr2(b'>', b'<', &within[from..]) else {
            self.look(within.len());
            return self.tag_not_found(rest, last);
        };
        let at = from + found;
        self.look(at);
        let closed = within[at] == b'>';
        let end = at + usize::from(closed);
        let kind = TagKind::End;
        Some(Token::Tag(Tag {
            end,
            name,
            kind,
            closed,
        }))
    }

    /// A tag in which the file ends is the rest of it.
    fn tag_not_found(&mut self, rest: &[u8], last: bool) -> Option<Token> {
        if last && rest.len() <= self.bytes_max {
            return Some(Token::Text { end: rest.len() });
        }
        self.not_found(rest, last, Disbelief::LongTag)
    }
}
