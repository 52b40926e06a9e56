//! The way through a composite file: which element is inside which, and what ends where.

use std::sync::Arc;

use super::super::XmlOptions;
use super::super::input::Input;
use super::super::markup::{Construct, Name};
use super::super::prolog::{Found, Prolog, Root};
use super::frame::{Flaw, Frame, is_context};
use super::outside::TEXT_OUTSIDE;
use super::token::{Disbelief, Lexer, Tag, TagKind, Token};
use super::{CompositeNode, CompositeOptions};
use crate::format::excerpt;
use crate::format::record::FileError;

/// What comes next.
pub(super) enum Passed {
    NeedInput,
    /// An element has ended; those around it are in [`Walk::open`].
    Element(Frame),
    End,
}

/// A file being walked through.
#[derive(Debug)]
pub(super) struct Walk {
    pub options: XmlOptions,
    nodes: Arc<[CompositeNode]>,
    pub input: Input,
    pub(super) lexer: Lexer,
    pub(super) mode: Mode,
    root: Option<Root>,
    /// Elements that are open, outermost first.
    pub open: Vec<Frame>,
    /// What stands directly below the root, or behind it, and is no record.
    pub(super) stray: Option<Frame>,
    /// Whether a record was seen.
    begun: bool,
}

#[derive(Debug)]
pub(super) enum Mode {
    Prolog(Prolog),
    Content,
    /// The file has ended, but what is open has not.
    CutOff,
    /// Behind the root's end tag.
    Epilog,
    Ended,
}

/// What became of a token.
pub(super) enum Turn {
    Passed(Passed),
    GoOn,
}

impl Walk {
    pub fn new(options: &CompositeOptions) -> Self {
        Self {
            options: options.xml,
            nodes: Arc::clone(&options.nodes),
            input: Input::new(),
            lexer: Lexer::new(options.xml.max_record_bytes),
            mode: Mode::Prolog(Prolog::FileStart),
            root: None,
            open: Vec::new(),
            stray: None,
            begun: false,
        }
    }

    /// Bytes looked at so far, repeats included.
    #[cfg(test)]
    pub fn bytes_examined(&self) -> u64 {
        self.lexer.examined
    }

    /// The root's start tag, once it was read.
    pub fn root(&self) -> Option<&Root> {
        self.root.as_ref()
    }

    pub fn nodes(&self) -> &[CompositeNode] {
        &self.nodes
    }

    /// Goes on to the next element that ends.
    ///
    /// # Errors
    /// [`FileError`] when this is no such file; never after the first element.
    pub fn step(&mut self) -> Result<Passed, FileError> {
        loop {
            let turn = match &mut self.mode {
                Mode::Prolog(prolog) => match prolog.step(&mut self.input)? {
                    Found::NeedInput => return Ok(Passed::NeedInput),
                    Found::More(prolog) => {
                        self.mode = Mode::Prolog(prolog);
                        Turn::GoOn
                    }
                    Found::Root(root) => {
                        self.mode = if root.empty { Mode::Epilog } else { Mode::Content };
                        self.root = Some(root);
                        Turn::GoOn
                    }
                },
                Mode::Content => self.content()?,
                Mode::CutOff => self.cut_off(),
                Mode::Epilog => self.epilog(),
                Mode::Ended => return Ok(Passed::End),
            };
            if let Turn::Passed(passed) = turn {
                return Ok(passed);
            }
        }
    }

    /// The node whose elements have this name.
    fn node(&self, name: Name<'_>) -> Option<usize> {
        node(&self.nodes, name)
    }

    fn is_root(&self, name: Name<'_>) -> bool {
        self.root.as_ref().is_some_and(|root| root.local() == name.local())
    }

    fn content(&mut self) -> Result<Turn, FileError> {
        let (nodes, root) = (&self.nodes, self.root.as_ref());
        let decides =
            |name: Name<'_>| node(nodes, name).is_some() || root.is_some_and(|root| root.local() == name.local());
        let Some(token) = self.lexer.token(&self.input, decides) else {
            return Ok(Turn::Passed(Passed::NeedInput));
        };
        match token {
            Token::End => {
                self.mode = Mode::CutOff;
                Ok(Turn::GoOn)
            }
            Token::Text { end } => {
                self.text(end);
                Ok(Turn::GoOn)
            }
            Token::Construct { end, construct } => {
                self.construct(end, construct);
                Ok(Turn::GoOn)
            }
            Token::Lone(disbelief) => {
                self.lone(disbelief);
                Ok(Turn::GoOn)
            }
            Token::Tag(tag) => self.tag(tag),
        }
    }

    /// Moves on behind the token at hand.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.lexer.passed();
    }

    fn text(&mut self, end: usize) {
        let bytes_max = self.options.max_record_bytes;
        if let Some(frame) = self.open.last_mut() {
            frame.add_text(&self.input.rest()[..end], bytes_max);
            return self.consume(end);
        }
        self.text_outside(end, TEXT_OUTSIDE);
    }

    fn construct(&mut self, end: usize, construct: Construct) {
        let bytes_max = self.options.max_record_bytes;
        let bytes = &self.input.rest()[..end];
        match self.open.last_mut() {
            Some(frame) if construct == Construct::CData => frame.add(bytes, bytes_max),
            Some(frame) => frame.add_remark(bytes, bytes_max),
            None if construct == Construct::CData => {
                return self.stray(end, TEXT_OUTSIDE);
            }
            None => {}
        }
        self.consume(end);
    }

    fn lone(&mut self, disbelief: Disbelief) {
        let bytes_max = self.options.max_record_bytes;
        let flaw = disbelieved(disbelief, bytes_max);
        match self.open.last_mut() {
            Some(frame) => {
                frame.add(b"<", bytes_max);
                frame.blame(flaw);
            }
            None => return self.stray(1, flaw.reason),
        }
        self.consume(1);
    }

    fn tag(&mut self, tag: Tag) -> Result<Turn, FileError> {
        let name = tag.name(self.input.rest());
        let node = self.node(name);
        let is_root = self.is_root(name);
        match (tag.kind, node) {
            (TagKind::End, _) => Ok(self.end_tag(tag, node, is_root)),
            (_, Some(node)) => Ok(self.begin(tag, node)),
            (kind, None) => {
                if self.open.is_empty() && !self.begun && self.stray.is_none() {
                    return Err(self.unknown_element(name));
                }
                if let Some(frame) = self.open.last_mut()
                    && is_root
                    && kind == TagKind::Start
                {
                    frame.root_depth += 1;
                }
                let name = excerpt::quoted(&String::from_utf8_lossy(name.0));
                let reason = format!("{name} is no element that this composite entity has");
                self.other_tag(tag, reason);
                Ok(Turn::GoOn)
            }
        }
    }

    /// A tag of none of the composite's elements.
    fn other_tag(&mut self, tag: Tag, reason: String) {
        let bytes_max = self.options.max_record_bytes;
        let bytes = &self.input.rest()[..tag.end];
        match self.open.last_mut() {
            Some(frame) => frame.add(bytes, bytes_max),
            None => return self.stray(tag.end, reason),
        }
        self.consume(tag.end);
    }

    fn begin(&mut self, tag: Tag, node: usize) -> Turn {
        if let Some(turn) = self.end_stray() {
            return turn;
        }
        let parent = self.nodes[node].parent;
        let around = parent.map_or(Some(0), |parent| {
            let found = self.open.iter().rposition(|frame| frame.node == parent);
            found.map(|at| at + 1)
        });
        // Where it does not belong it stands all the same, but never in itself.
        let own = self.open.iter().position(|frame| frame.node == node);
        let kept = around.or(own).unwrap_or(self.open.len());
        if self.open.len() > kept {
            return self.end_open("it is not closed before what follows: its end tag, or a quote in it, is missing");
        }
        self.begun = true;
        let bytes = &self.input.rest()[..tag.end];
        let mut frame = Frame::new(node, self.input.line(), self.input.byte());
        frame.add(bytes, self.options.max_record_bytes);
        frame.is_context = is_context(bytes, tag.name);
        if !tag.closed {
            frame.blame(Flaw::xml("its start tag is not closed before the next tag"));
        }
        if around.is_none()
            && let Some(parent) = parent
        {
            frame.blame(Flaw::xml(format!(
                "it stands outside of {}, the element it belongs into",
                quoted(&self.nodes[parent].element)
            )));
        }
        if let Some(outer) = self.open.last_mut() {
            outer.hold(node);
        }
        self.consume(tag.end);
        if tag.kind == TagKind::Empty {
            return self.ended(frame);
        }
        self.open.push(frame);
        Turn::GoOn
    }

    fn end_tag(&mut self, tag: Tag, node: Option<usize>, is_root: bool) -> Turn {
        let open = node.and_then(|node| self.open.iter().rposition(|frame| frame.node == node));
        if let Some(at) = open {
            if self.open.len() > at + 1 {
                return self.end_open("its end tag is missing before that of the element around it");
            }
            let bytes = &self.input.rest()[..tag.end];
            if let Some(mut frame) = self.open.pop() {
                frame.add(bytes, self.options.max_record_bytes);
                self.consume(tag.end);
                return self.ended(frame);
            }
        }
        if is_root {
            match self.open.last_mut() {
                Some(frame) if frame.root_depth > 0 => frame.root_depth -= 1,
                Some(_) => return self.end_open("it is not closed before the end tag of the root"),
                None => {
                    if let Some(turn) = self.end_stray() {
                        return turn;
                    }
                    self.consume(tag.end);
                    self.mode = Mode::Epilog;
                    return Turn::GoOn;
                }
            }
        }
        let reason = "an end tag without a start tag stands where a record was expected: remove it";
        self.other_tag(tag, reason.to_owned());
        Turn::GoOn
    }

    /// Ends the innermost element where reading has come to, which is not where it should end.
    fn end_open(&mut self, reason: &str) -> Turn {
        let Some(mut frame) = self.open.pop() else {
            return Turn::GoOn;
        };
        frame.blame(Flaw::xml(reason));
        self.ended(frame)
    }

    pub(super) fn ended(&mut self, mut frame: Frame) -> Turn {
        frame.byte_end = self.input.byte();
        Turn::Passed(Passed::Element(frame))
    }

    fn unknown_element(&self, found: Name<'_>) -> FileError {
        let names: Vec<String> = self.nodes.iter().map(|node| quoted(&node.element)).collect();
        FileError {
            code: "composite_element_unknown",
            reason: format!(
                "the first element below the root is {}, but the composite entity has {}: is this the right file, and does it have \
                 a root around its records?",
                quoted(&String::from_utf8_lossy(found.0)),
                names.join(", ")
            ),
        }
    }
}

fn node(nodes: &[CompositeNode], name: Name<'_>) -> Option<usize> {
    let name = name.local();
    nodes.iter().position(|node| node.element.as_bytes() == name)
}

fn quoted(name: &str) -> String {
    excerpt::quoted(name)
}

fn disbelieved(disbelief: Disbelief, bytes_max: usize) -> Flaw {
    Flaw::xml(match disbelief {
        Disbelief::NoMarkup => "a `<` begins no tag: write `&lt;` for the character itself".to_owned(),
        Disbelief::Unclosed(construct) => format!(
            "a {} is not closed within {bytes_max} bytes: its `{}` is missing",
            construct.name(),
            String::from_utf8_lossy(construct.closing())
        ),
        Disbelief::CommentInComment => "a comment begins inside a comment: the first one's `-->` is missing".to_owned(),
        Disbelief::LongTag => format!("a tag is not closed within {bytes_max} bytes: its `>` or a quote is missing"),
    })
}
