//! One record, scanned: a state machine that stops where the bytes end and goes on when there are more.
//!
//! It knows nothing of files, positions or recovery. Offsets count from the record's first byte, so the buffer may move
//! underneath. Every verdict is the first event in byte order, whatever was available when: the result cannot depend on how the input was split.

use std::borrow::Cow;
use std::ops::ControlFlow;

use memchr::memchr3;

use crate::format::lines::line_break;

/// What a record may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub delimiter: u8,
    /// Longest text between two quotes, in bytes.
    pub field_bytes_max: usize,
    /// Longest record without its line break, in bytes.
    pub record_bytes_max: usize,
    /// A further column ends the scan.
    pub columns_max: usize,
    /// A further line break inside quotes ends the scan.
    pub breaks_max: u64,
    /// Columns whose cells are kept; the rest are only counted, so that a million commas cost no memory.
    pub spans_max: usize,
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has not: call again with more bytes.
    NeedInput,
    /// A whole record; `end` is the offset after its line break.
    Record { end: usize },
    /// No record.
    Fault(Fault),
}

/// Why something is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The input ends inside quotes.
    Unclosed,
    /// More than `field_bytes_max` inside quotes.
    FieldTooLong,
    /// This byte stands after a closing quote.
    Garbage(u8),
    /// More than `record_bytes_max`.
    RecordTooLarge,
    /// More than `columns_max`.
    TooManyColumns,
    /// More than `breaks_max`.
    TooManyBreaks,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    FieldStart,
    Unquoted,
    Quoted,
    AfterQuote,
}

/// One cell's bytes within the record, quotes excluded.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    /// Holds doubled quotes.
    doubled: bool,
}

/// A scan in progress. `default()` is one at the start of a record.
#[derive(Debug, Default)]
pub(super) struct Scan {
    at: usize,
    state: State,
    /// Columns before the one at hand.
    columns_before: usize,
    /// First byte of the field at hand; the opening quote, if quoted.
    field_start: usize,
    /// The closing quote of the field at hand.
    field_end: usize,
    doubled: bool,
    breaks: u64,
    breaks_before_field: u64,
    spans: Vec<Span>,
    complete: bool,
}

type Next = ControlFlow<Verdict>;

const NEED_INPUT: Next = ControlFlow::Break(Verdict::NeedInput);

fn fault(fault: Fault) -> Next {
    ControlFlow::Break(Verdict::Fault(fault))
}

impl Scan {
    /// Begins the next record, keeping the memory of the last.
    pub fn reset(&mut self) {
        let mut spans = std::mem::take(&mut self.spans);
        spans.clear();
        *self = Self {
            spans,
            ..Self::default()
        };
    }

    /// Whether nothing of the record was looked at yet.
    pub fn is_fresh(&self) -> bool {
        self.at == 0
    }

    /// Whether a record was found: [`Scan::cells`] has it until [`Scan::reset`].
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Offset of the next byte to look at.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The column at hand, from 1; after [`Verdict::Record`], the number of columns.
    pub fn column(&self) -> usize {
        self.columns_before + 1
    }

    /// Line breaks inside quotes so far.
    pub fn breaks(&self) -> u64 {
        self.breaks
    }

    /// After a fault inside or right behind a quoted field: its opening quote and the line breaks before it.
    pub fn opening_quote(&self, fault: Fault) -> Option<(usize, u64)> {
        let quoted = self.state == State::Quoted || matches!(fault, Fault::Garbage(_));
        quoted.then_some((self.field_start, self.breaks_before_field))
    }

    /// The cells of a record whose bytes are `record`.
    pub fn cells<'a>(&self, record: &'a [u8]) -> Vec<Cow<'a, [u8]>> {
        let cell = |span: &Span| {
            let bytes = &record[span.start..span.end];
            if span.doubled {
                Cow::Owned(undouble(bytes))
            } else {
                Cow::Borrowed(bytes)
            }
        };
        self.spans.iter().map(cell).collect()
    }

    /// Goes on over `input`, which begins at the record's first byte; `last` says that nothing follows it.
    pub fn run(&mut self, input: &[u8], last: bool, rules: &Rules) -> Verdict {
        loop {
            let next = match self.state {
                State::FieldStart => self.field_start(input, last, rules),
                State::Unquoted => self.unquoted(input, last, rules),
                State::Quoted => self.quoted(input, last, rules),
                State::AfterQuote => self.after_quote(input, last, rules),
            };
            if let ControlFlow::Break(verdict) = next {
                return verdict;
            }
        }
    }

    fn field_start(&mut self, input: &[u8], last: bool, rules: &Rules) -> Next {
        if self.at > rules.record_bytes_max {
            return fault(Fault::RecordTooLarge);
        }
        self.field_start = self.at;
        match input.get(self.at) {
            Some(b'"') => {
                self.state = State::Quoted;
                self.doubled = false;
                self.breaks_before_field = self.breaks;
                self.at += 1;
            }
            Some(_) => self.state = State::Unquoted,
            None if last => return self.end_of_input(input.len(), rules),
            None => return NEED_INPUT,
        }
        ControlFlow::Continue(())
    }

    fn unquoted(&mut self, input: &[u8], last: bool, rules: &Rules) -> Next {
        let limit = rules.record_bytes_max.saturating_add(1);
        let hay = &input[self.at..input.len().min(limit)];
        if let Some(found) = memchr3(rules.delimiter, b'\r', b'\n', hay) {
            self.at += found;
            if input[self.at] == rules.delimiter {
                return self.next_field(self.at, rules);
            }
            return self.line_end(input, last, rules);
        }
        self.at += hay.len();
        if input.len() >= limit {
            fault(Fault::RecordTooLarge)
        } else if last {
            self.end_of_input(input.len(), rules)
        } else {
            NEED_INPUT
        }
    }

    fn quoted(&mut self, input: &[u8], last: bool, rules: &Rules) -> Next {
        let field_last = self.field_start.saturating_add(1).saturating_add(rules.field_bytes_max);
        let (limit, past_limit) = if field_last <= rules.record_bytes_max {
            (field_last.saturating_add(1), Fault::FieldTooLong)
        } else {
            (rules.record_bytes_max.saturating_add(1), Fault::RecordTooLarge)
        };
        if self.at >= limit {
            return fault(past_limit);
        }
        let hay = &input[self.at..input.len().min(limit)];
        let Some(found) = memchr3(b'"', b'\r', b'\n', hay) else {
            self.at += hay.len();
            return if input.len() >= limit {
                fault(past_limit)
            } else if last {
                fault(Fault::Unclosed)
            } else {
                NEED_INPUT
            };
        };
        self.at += found;
        let next = input.get(self.at + 1);
        match (input[self.at], next) {
            // Both a quote and a CR mean something else when followed by their partner.
            (b'"' | b'\r', None) if !last => return NEED_INPUT,
            (b'"', Some(b'"')) => {
                self.doubled = true;
                self.at += 2;
            }
            (b'"', _) => {
                self.field_end = self.at;
                self.state = State::AfterQuote;
                self.at += 1;
            }
            (byte, next) => {
                self.at += if byte == b'\r' && next == Some(&b'\n') { 2 } else { 1 };
                self.breaks += 1;
                if self.breaks > rules.breaks_max {
                    return fault(Fault::TooManyBreaks);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn after_quote(&mut self, input: &[u8], last: bool, rules: &Rules) -> Next {
        if self.at > rules.record_bytes_max {
            return fault(Fault::RecordTooLarge);
        }
        match input.get(self.at) {
            Some(&byte) if byte == rules.delimiter => self.next_field(self.at, rules),
            Some(b'\r' | b'\n') => self.line_end(input, last, rules),
            // Hand-made files have blanks here; they belong to nobody.
            Some(b' ' | b'\t') => {
                self.at += 1;
                ControlFlow::Continue(())
            }
            Some(&byte) => fault(Fault::Garbage(byte)),
            None if last => self.end_of_input(input.len(), rules),
            None => NEED_INPUT,
        }
    }

    fn next_field(&mut self, delimiter_at: usize, rules: &Rules) -> Next {
        self.keep(delimiter_at, rules);
        self.columns_before += 1;
        self.state = State::FieldStart;
        self.at = delimiter_at + 1;
        if self.column() > rules.columns_max {
            return fault(Fault::TooManyColumns);
        }
        ControlFlow::Continue(())
    }

    fn line_end(&mut self, input: &[u8], last: bool, rules: &Rules) -> Next {
        match line_break(&input[self.at..], last) {
            Some(length) => {
                self.keep(self.at, rules);
                self.found(self.at + length)
            }
            None => NEED_INPUT,
        }
    }

    fn end_of_input(&mut self, end: usize, rules: &Rules) -> Next {
        self.keep(end, rules);
        self.found(end)
    }

    fn found(&mut self, end: usize) -> Next {
        self.complete = true;
        ControlFlow::Break(Verdict::Record { end })
    }

    fn keep(&mut self, unquoted_end: usize, rules: &Rules) {
        if self.spans.len() >= rules.spans_max {
            return;
        }
        self.spans.push(if self.state == State::AfterQuote {
            Span {
                start: self.field_start + 1,
                end: self.field_end,
                doubled: self.doubled,
            }
        } else {
            Span {
                start: self.field_start,
                end: unquoted_end,
                doubled: false,
            }
        });
    }
}

fn undouble(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        // Inside a closed field every quote has its twin.
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    out
}
