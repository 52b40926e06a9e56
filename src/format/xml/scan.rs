//! Where one element, comment or the like ends: a state machine that stops where the bytes end and goes on when there are more.
//!
//! It knows nothing of files, positions or recovery, and only as much of XML as is needed not to be fooled. Offsets count from the
//! first byte, so the buffer may move underneath. Every verdict is the first event in byte order, whatever was available when: the
//! result cannot depend on how the input was split.

use std::ops::ControlFlow;

use memchr::{memchr, memchr2};

use super::PASSED_STARTS_MAX;
use super::markup::{Construct, Markup, Opens, markup, opens};

/// Local names that mean something to a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    /// Of the element scanned; empty for what is none.
    pub own: &'a [u8],
    /// Of the file's records; empty while that is not known.
    pub record: &'a [u8],
    /// Of the file's root.
    pub root: &'a [u8],
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has not: call again with more bytes.
    NeedInput,
    /// It ends before this offset.
    Whole { end: usize },
    /// A record that is not closed when another begins, or the root ends, at this offset.
    Open { end: usize },
    /// The file ends inside it.
    CutOff,
    /// Nobody knows where it ends.
    Lost(Fault),
}

/// Why the end of something cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// More than `bytes_max`; reached in this, if it is one.
    TooLarge(Option<Construct>),
    /// The file ends inside this.
    Unclosed(Construct),
    /// A comment begins in a comment.
    CommentInComment,
    /// An element of another name is not closed.
    OtherUnclosed,
    /// More than [`PASSED_STARTS_MAX`] records begin in places where none can.
    TooManyStarts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between tags.
    Content,
    /// Behind the name of a start tag.
    Tag,
    /// In a value between these quotes.
    Quoted(u8),
    Inside(Construct),
    /// Behind the name of the element's own end tag.
    Closing,
}

/// Whose start tag [`State::Tag`] is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    /// The scanned element's.
    First,
    /// An element's of the same name inside it.
    Own,
    /// An element's inside it that has the root's name.
    Root,
    Other,
}

/// A scan in progress.
#[derive(Debug)]
pub(super) struct Scan {
    at: usize,
    state: State,
    tag: Tag,
    /// No element, but a comment or the like by itself.
    bare: bool,
    /// Open elements of the scanned one's name inside it.
    own_depth: usize,
    /// Open elements of the root's name.
    root_depth: usize,
    /// Start tags of records passed.
    passed: usize,
}

type Next = ControlFlow<Verdict>;

const CONTINUE: Next = ControlFlow::Continue(());
const NEED_INPUT: Next = ControlFlow::Break(Verdict::NeedInput);

fn lost(fault: Fault) -> Next {
    ControlFlow::Break(Verdict::Lost(fault))
}

impl Scan {
    /// Of an element, from the `<` of its start tag on.
    pub fn element() -> Self {
        Self {
            at: 1,
            state: State::Tag,
            tag: Tag::First,
            bare: false,
            own_depth: 0,
            root_depth: 0,
            passed: 0,
        }
    }

    /// Of one of these, from its `<` on.
    pub fn construct(construct: Construct) -> Self {
        Self {
            at: construct.opening().len(),
            state: State::Inside(construct),
            bare: true,
            ..Self::element()
        }
    }

    /// Offset of the next byte to look at.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes on over `input`, which begins at the first byte; `last` says that nothing follows it.
    pub fn run(&mut self, input: &[u8], last: bool, bytes_max: usize, names: &Names<'_>) -> Verdict {
        let within = &input[..input.len().min(bytes_max)];
        let last = last && within.len() == input.len();
        loop {
            let next = match self.state {
                State::Content => self.content(within, last, names),
                State::Tag => self.in_tag(within, last),
                State::Quoted(quote) => self.quoted(quote, within, last, names),
                State::Inside(construct) => self.inside(construct, within, last, names),
                State::Closing => self.closing(within, last),
            };
            match next {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(Verdict::NeedInput) if input.len() > bytes_max => {
                    return Verdict::Lost(Fault::TooLarge(self.construct_at_hand()));
                }
                ControlFlow::Break(verdict) => return verdict,
            }
        }
    }

    fn construct_at_hand(&self) -> Option<Construct> {
        match self.state {
            State::Inside(construct) => Some(construct),
            _ => None,
        }
    }

    fn end_of_input(&mut self, input: &[u8], last: bool) -> Next {
        self.at = input.len();
        if last {
            ControlFlow::Break(Verdict::CutOff)
        } else {
            NEED_INPUT
        }
    }

    fn content(&mut self, input: &[u8], last: bool, names: &Names<'_>) -> Next {
        let Some(found) = memchr(b'<', &input[self.at..]) else {
            return self.end_of_input(input, last);
        };
        self.at += found;
        match markup(&input[self.at..], last) {
            None => NEED_INPUT,
            Some(Markup::Cut) => self.end_of_input(input, last),
            Some(Markup::Text) => {
                self.at += 1;
                CONTINUE
            }
            Some(Markup::Opens(construct)) => {
                self.at += construct.opening().len();
                self.state = State::Inside(construct);
                CONTINUE
            }
            Some(Markup::Start(name)) => self.start_tag(name.local(), names),
            Some(Markup::End(name)) => self.end_tag(name.0.len(), name.local(), names),
        }
    }

    fn start_tag(&mut self, name: &[u8], names: &Names<'_>) -> Next {
        if name == names.own && name == names.record {
            return ControlFlow::Break(Verdict::Open { end: self.at });
        }
        self.tag = if name == names.own {
            Tag::Own
        } else if name == names.root {
            Tag::Root
        } else {
            Tag::Other
        };
        self.state = State::Tag;
        self.at += 1;
        self.pass_start(name, names)
    }

    fn end_tag(&mut self, full_length: usize, name: &[u8], names: &Names<'_>) -> Next {
        if name == names.own {
            if self.own_depth == 0 {
                self.at += 2 + full_length;
                self.state = State::Closing;
                return CONTINUE;
            }
            self.own_depth -= 1;
        } else if name == names.root {
            if self.root_depth == 0 {
                return if names.own == names.record {
                    ControlFlow::Break(Verdict::Open { end: self.at })
                } else {
                    lost(Fault::OtherUnclosed)
                };
            }
            self.root_depth -= 1;
        }
        self.at += 2;
        CONTINUE
    }

    /// Counts the start tag of a record in a place where none can be.
    fn pass_start(&mut self, name: &[u8], names: &Names<'_>) -> Next {
        if name == names.record {
            self.passed += 1;
            if self.passed > PASSED_STARTS_MAX {
                return lost(Fault::TooManyStarts);
            }
        }
        CONTINUE
    }

    fn in_tag(&mut self, input: &[u8], last: bool) -> Next {
        let rest = &input[self.at..];
        let Some(found) = rest.iter().position(|byte| matches!(byte, b'>' | b'"' | b'\'' | b'<')) else {
            return self.end_of_input(input, last);
        };
        self.at += found;
        match input[self.at] {
            // The tag is not closed, and the parser will say so.
            b'<' => self.state = State::Content,
            b'>' => {
                let empty = input[self.at - 1] == b'/';
                self.at += 1;
                return self.tag_closed(empty);
            }
            quote => {
                self.at += 1;
                self.state = State::Quoted(quote);
            }
        }
        CONTINUE
    }

    fn tag_closed(&mut self, empty: bool) -> Next {
        self.state = State::Content;
        match self.tag {
            Tag::First if empty => return ControlFlow::Break(Verdict::Whole { end: self.at }),
            Tag::Own if !empty => self.own_depth += 1,
            Tag::Root if !empty => self.root_depth += 1,
            _ => {}
        }
        CONTINUE
    }

    fn quoted(&mut self, quote: u8, input: &[u8], last: bool, names: &Names<'_>) -> Next {
        let Some(found) = memchr2(quote, b'<', &input[self.at..]) else {
            return self.end_of_input(input, last);
        };
        self.at += found;
        if input[self.at] == quote {
            self.at += 1;
            self.state = State::Tag;
            return CONTINUE;
        }
        match markup(&input[self.at..], last) {
            None => return NEED_INPUT,
            // Never in well-formed XML: the value is not closed.
            Some(Markup::Start(name)) if name.local() == names.record => self.state = State::Content,
            Some(Markup::End(name)) if name.local() == names.own || name.local() == names.root => {
                self.state = State::Content;
            }
            Some(_) => self.at += 1,
        }
        CONTINUE
    }

    fn inside(&mut self, construct: Construct, input: &[u8], last: bool, names: &Names<'_>) -> Next {
        let closing = construct.closing();
        let Some(found) = memchr2(b'<', closing[0], &input[self.at..]) else {
            self.at = input.len();
            return if last {
                lost(Fault::Unclosed(construct))
            } else {
                NEED_INPUT
            };
        };
        self.at += found;
        let rest = &input[self.at..];
        if rest[0] == b'<' {
            return self.angle_inside(construct, rest, last, names);
        }
        match opens(rest, closing) {
            Opens::Perhaps if !last => return NEED_INPUT,
            Opens::Yes => {
                self.at += closing.len();
                self.state = State::Content;
                if self.bare {
                    return ControlFlow::Break(Verdict::Whole { end: self.at });
                }
            }
            _ => self.at += 1,
        }
        CONTINUE
    }

    fn angle_inside(&mut self, construct: Construct, rest: &[u8], last: bool, names: &Names<'_>) -> Next {
        let is_comment = construct == Construct::Comment;
        match markup(rest, last) {
            None => return NEED_INPUT,
            Some(Markup::Opens(Construct::Comment)) if is_comment => return lost(Fault::CommentInComment),
            // A comment between records may comment many out; it cannot run past the next comment.
            Some(Markup::Start(name)) if !(self.bare && is_comment) => {
                self.at += 1;
                return self.pass_start(name.local(), names);
            }
            Some(_) => self.at += 1,
        }
        CONTINUE
    }

    fn closing(&mut self, input: &[u8], last: bool) -> Next {
        let Some(found) = memchr2(b'>', b'<', &input[self.at..]) else {
            return self.end_of_input(input, last);
        };
        let closed = input[self.at + found] == b'>';
        let end = self.at + found + usize::from(closed);
        ControlFlow::Break(Verdict::Whole { end })
    }
}
