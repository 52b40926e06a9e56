//! One element, scanned to its end: a state machine that stops where the bytes end and goes on when there are more.
//!
//! It follows brackets and texts, which is what it takes to know where an element ends; whether what stands between them is
//! JSON is found out when the element is parsed. It knows nothing of files, positions or recovery. Offsets count from the first
//! byte it was given, less what [`Scan::passed`] took away, so the buffer may move underneath. Every verdict is the first event
//! in byte order, whatever was available when: the result cannot depend on how the input was split.

use crate::format::lines::line_break;

/// Deepest nesting of an element, itself included; also the width of the set that remembers which brackets are open.
pub(super) const DEPTH_MAX: u32 = u128::BITS;

/// What an element may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Longest element.
    pub bytes_max: usize,
    /// Deepest nesting, at most [`DEPTH_MAX`].
    pub depth_max: u32,
    /// It stands in an array: a bare word ends at `,` and `]` too.
    pub in_array: bool,
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has not: call again with more bytes.
    NeedInput,
    /// A whole element, up to this offset.
    End { end: usize },
    /// The first object of a file turned out to be an envelope: its records begin at this offset.
    Records { at: usize },
    /// Something is wrong here. What follows is scanned in doubt: further faults are passed over, and every line is a verdict.
    Fault(Fault),
    /// In doubt, a line begins here.
    Line,
    /// The input ends inside the element.
    Unfinished,
}

/// What makes an element's end doubtful, or the element unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// An array: no record, so its end means little.
    Array,
    /// A line break inside a text.
    BrokenText,
    /// This bracket opens where an object wants the name of a member.
    Opening(u8),
    /// This bracket closes what another kind opened.
    Closing(u8),
    /// Nested deeper than `depth_max`.
    TooDeep,
    /// Longer than `bytes_max`.
    TooLarge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// Between texts.
    Structure,
    Text,
    /// Behind a backslash in a text.
    Escape,
    /// A number, a literal or rubbish, outside all brackets.
    Word,
    /// Whatever there is.
    Anything,
}

/// A scan in progress.
#[derive(Debug)]
pub(super) struct Scan {
    at: usize,
    state: State,
    /// Which of the open brackets are `{`, the outermost in the lowest bit. Levels past the last bit are only counted.
    objects: u128,
    depth: u32,
    /// The last byte between texts that is not white space; a quote stands for a text.
    before: u8,
    /// Where the line at hand begins, if it begins inside the element.
    line_start: usize,
    /// Looks for the records of an envelope.
    first: bool,
    /// Behind the bracket that opened the last of the object's own members.
    array_start: usize,
    doubt: bool,
    complete: bool,
}

/// What one step of the machine says: nothing, or a verdict.
type Next = Option<Verdict>;

impl Scan {
    /// At the start of an element.
    pub fn new() -> Self {
        Self {
            at: 0,
            state: State::Start,
            objects: 0,
            depth: 0,
            before: 0,
            line_start: 0,
            first: false,
            array_start: 0,
            doubt: false,
            complete: false,
        }
    }

    /// At the start of a file's first object, which may be an envelope.
    pub fn first() -> Self {
        Self {
            first: true,
            ..Self::new()
        }
    }

    /// Inside an envelope, behind its records. What is wrong there is nobody's business.
    pub fn inside_envelope() -> Self {
        Self {
            state: State::Structure,
            objects: 1,
            depth: 1,
            doubt: true,
            ..Self::new()
        }
    }

    /// Over all that is left of the input, whatever it is.
    pub fn to_the_end() -> Self {
        Self {
            state: State::Anything,
            doubt: true,
            ..Self::new()
        }
    }

    /// Whether this scans a file's first object.
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// Offset of the next byte to look at.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Where the line at hand begins; 0 when that is the element's first.
    pub fn line_start(&self) -> usize {
        self.line_start
    }

    /// The first `bytes` of the input, at most as many as were looked at, will not be there any more.
    pub fn passed(&mut self, bytes: usize) {
        self.at -= bytes;
        self.line_start = 0;
    }

    /// Goes on over `input`; `last` says that nothing follows it.
    pub fn run(&mut self, input: &[u8], last: bool, rules: &Rules) -> Verdict {
        if self.complete {
            return Verdict::End { end: self.at };
        }
        loop {
            if !self.doubt && self.at >= rules.bytes_max && input.len() > self.at {
                return self.fault(Fault::TooLarge);
            }
            let Some(&byte) = input.get(self.at) else {
                return self.end_of_input(last);
            };
            let next = match self.state {
                State::Start => self.start(byte),
                State::Structure => self.structure(byte, input, last, rules),
                State::Text => self.text(input, last, rules),
                State::Escape => self.escape(byte),
                State::Word => self.word(byte, rules),
                State::Anything => {
                    self.at = input.len();
                    None
                }
            };
            if let Some(verdict) = next {
                return verdict;
            }
        }
    }

    fn end_of_input(&mut self, last: bool) -> Verdict {
        match self.state {
            _ if !last => Verdict::NeedInput,
            State::Word => self.end(),
            _ => Verdict::Unfinished,
        }
    }

    fn end(&mut self) -> Verdict {
        self.complete = true;
        Verdict::End { end: self.at }
    }

    /// In doubt a further fault is none.
    fn fault(&mut self, fault: Fault) -> Verdict {
        self.doubt = true;
        Verdict::Fault(fault)
    }

    fn start(&mut self, byte: u8) -> Next {
        self.at += 1;
        self.state = match byte {
            b'"' => State::Text,
            b'{' | b'[' => {
                self.push(byte);
                State::Structure
            }
            _ => State::Word,
        };
        (byte == b'[').then(|| self.fault(Fault::Array))
    }

    fn structure(&mut self, byte: u8, input: &[u8], last: bool, rules: &Rules) -> Next {
        match byte {
            b'"' => self.state = State::Text,
            b'{' | b'[' => return self.open(byte, rules),
            b'}' | b']' => return self.close(byte),
            b'\r' | b'\n' => return self.line_end(input, last),
            b' ' | b'\t' => {}
            _ => self.before = byte,
        }
        self.at += 1;
        None
    }

    fn open(&mut self, byte: u8, rules: &Rules) -> Next {
        if !self.doubt {
            if self.first && self.depth == 2 && byte == b'{' && self.innermost_is(b'[') {
                return Some(Verdict::Records { at: self.array_start });
            }
            if self.innermost_is(b'{') && self.before != b':' {
                return Some(self.fault(Fault::Opening(byte)));
            }
            if self.depth >= rules.depth_max {
                return Some(self.fault(Fault::TooDeep));
            }
        }
        self.push(byte);
        self.at += 1;
        if self.depth == 2 {
            self.array_start = self.at;
        }
        None
    }

    fn close(&mut self, byte: u8) -> Next {
        if self.depth > DEPTH_MAX || self.innermost_is(opening(byte)) {
            self.depth -= 1;
        } else if !self.doubt {
            return Some(self.fault(Fault::Closing(byte)));
        } else if let Some(level) = self.innermost(opening(byte)) {
            // What was opened since was not closed. A bracket that closes nothing at all is passed over.
            self.depth = level;
        }
        self.before = byte;
        self.at += 1;
        (self.depth == 0).then(|| self.end())
    }

    fn push(&mut self, bracket: u8) {
        if self.depth < DEPTH_MAX {
            let bit = 1 << self.depth;
            self.objects = if bracket == b'{' {
                self.objects | bit
            } else {
                self.objects & !bit
            };
        }
        self.depth = self.depth.saturating_add(1);
        self.before = bracket;
    }

    fn innermost_is(&self, bracket: u8) -> bool {
        self.depth > 0 && self.innermost(bracket) == Some(self.depth - 1)
    }

    /// Levels around the innermost open bracket of this kind.
    fn innermost(&self, bracket: u8) -> Option<u32> {
        let of_kind = if bracket == b'{' { self.objects } else { !self.objects };
        let open = of_kind & u128::MAX.unbounded_shr(DEPTH_MAX.saturating_sub(self.depth));
        open.checked_ilog2()
    }

    /// `None` when there are no more bytes for it.
    fn line_end(&mut self, input: &[u8], last: bool) -> Next {
        let Some(length) = line_break(&input[self.at..], last) else {
            return Some(Verdict::NeedInput);
        };
        self.at += length;
        self.line_start = self.at;
        self.doubt.then_some(Verdict::Line)
    }

    fn text(&mut self, input: &[u8], last: bool, rules: &Rules) -> Next {
        let end = if self.doubt {
            input.len()
        } else {
            input.len().min(rules.bytes_max)
        };
        let stops = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\r' | b'\n');
        let Some(found) = input[self.at..end].iter().position(stops) else {
            self.at = end;
            return None;
        };
        self.at += found;
        match input[self.at] {
            b'"' => {
                self.at += 1;
                self.before = b'"';
                self.state = State::Structure;
                return (self.depth == 0).then(|| self.end());
            }
            b'\\' => {
                self.at += 1;
                self.state = State::Escape;
            }
            // In doubt the text goes on: a line break that was not escaped is as likely as a quote that is missing.
            _ if self.doubt => return self.line_end(input, last),
            _ => return Some(self.fault(Fault::BrokenText)),
        }
        None
    }

    fn escape(&mut self, byte: u8) -> Next {
        // No escape stands for a line break: the text sees to it.
        if !matches!(byte, b'\r' | b'\n') {
            self.at += 1;
        }
        self.state = State::Text;
        None
    }

    fn word(&mut self, byte: u8, rules: &Rules) -> Next {
        let ends = matches!(byte, b'{' | b'\r' | b'\n') || (rules.in_array && matches!(byte, b',' | b']'));
        if ends {
            return Some(self.end());
        }
        self.at += 1;
        None
    }
}

fn opening(closing: u8) -> u8 {
    if closing == b'}' { b'{' } else { b'[' }
}
