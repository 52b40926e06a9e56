//! What the reader does where a record was expected and there is none: damage, the end, and what comes after it.

use memchr::{memchr, memchr2};

use super::given_up::GivenUp;
use super::markup::{Construct, Markup, Name, markup};
use super::prolog::pass;
use super::scan::{Scan, Verdict};
use super::source::{Mode, Turn, XmlSource};
use crate::domain::reject::RecordCode;
use crate::format::named::NamedStep;

impl XmlSource {
    /// Hands out a damaged record that ends here.
    pub(super) fn close(&mut self, given_up: GivenUp) -> Turn {
        self.count();
        self.mode = Mode::Content;
        Turn::Step(NamedStep::Damaged(given_up.close(self.position)))
    }

    /// Hands out a damaged record that takes up the rest of the file, all of it fed.
    pub(super) fn close_last(&mut self, mut given_up: GivenUp) -> Turn {
        let left = self.input.rest().len();
        given_up.swallow(&mut self.input, left);
        self.count();
        let damage = given_up.close(self.position);
        // Tells this from a file that is cut off here.
        self.position.byte += 1;
        self.mode = Mode::Ended;
        Turn::Step(NamedStep::Damaged(damage))
    }

    /// The file ends before the root's end tag.
    pub(super) fn cut_off(&mut self) -> Turn {
        if self.input.ends_short() {
            return self.go_on(Mode::Ended);
        }
        let reason = "the file ends before the end tag of its root: it was cut off on its way, send it again";
        let given_up = GivenUp::behind(self.position, reason);
        self.close_last(given_up)
    }

    /// Begins to give up text, or what is no tag, where a record was expected.
    pub(super) fn begin_stray(&mut self) -> Turn {
        let reason = match self.input.rest() {
            [b'<', b'/', ..] => "an end tag without a start tag stands where a record was expected: remove it",
            [b'<', ..] => "a `<` that begins no element stands where a record was expected: remove it",
            _ => "text stands where a record was expected: put it into an element, or remove it",
        };
        let mut given_up = GivenUp::new(&self.input, RecordCode::InvalidXml, reason);
        given_up.swallow(&mut self.input, 1);
        self.go_on(Mode::Stray(given_up))
    }

    /// Gives up what stands before the next `<`.
    pub(super) fn stray(&mut self, mut given_up: GivenUp) -> Turn {
        if self.pass_to_angle(&mut given_up) || self.input.is_finished() {
            self.close(given_up)
        } else {
            self.need_input(Mode::Stray(given_up))
        }
    }

    fn pass_to_angle(&mut self, given_up: &mut GivenUp) -> bool {
        let found = memchr(b'<', self.input.rest());
        let before = found.unwrap_or(self.input.rest().len());
        self.examined += before as u64;
        given_up.swallow(&mut self.input, before);
        found.is_some()
    }

    /// Looks for the start tag of a record.
    pub(super) fn find_start(&mut self, mut given_up: GivenUp) -> Turn {
        while self.pass_to_angle(&mut given_up) {
            match markup(self.input.rest(), self.input.is_finished()) {
                None => return self.need_input(Mode::Lost(given_up)),
                Some(Markup::Start(name)) if self.is_record(name) => {
                    let name = name.local().to_vec();
                    self.scan = Scan::element();
                    return self.go_on(Mode::Probe(given_up, name));
                }
                Some(_) => given_up.swallow(&mut self.input, 1),
            }
        }
        if self.input.is_finished() {
            self.close_last(given_up)
        } else {
            self.need_input(Mode::Lost(given_up))
        }
    }

    /// Before the first record, any element may be one.
    fn is_record(&self, name: Name<'_>) -> bool {
        self.record_name().is_none_or(|record| record.local() == name.local())
    }

    /// Tries whether reading can go on from here.
    pub(super) fn probe(&mut self, mut given_up: GivenUp, name: Vec<u8>) -> Turn {
        match self.run_scan(Some(&name)) {
            Verdict::NeedInput => self.need_input(Mode::Probe(given_up, name)),
            Verdict::Whole { .. } => self.close(given_up),
            Verdict::Open { .. } | Verdict::CutOff | Verdict::Lost(_) => {
                given_up.swallow(&mut self.input, 1);
                self.go_on(Mode::Lost(given_up))
            }
        }
    }

    /// Passes the rest of the root's end tag.
    pub(super) fn root_end(&mut self) -> Turn {
        let rest = self.input.rest();
        if let Some(at) = memchr2(b'>', b'<', rest) {
            let closed = rest[at] == b'>';
            self.input.consume(at + usize::from(closed));
            return self.go_on(Mode::Epilog);
        }
        let left = rest.len();
        self.input.consume(left);
        if self.input.is_finished() {
            self.cut_off()
        } else {
            self.need_input(Mode::RootEnd)
        }
    }

    /// Behind the root's end tag, where only comments and processing instructions may stand.
    pub(super) fn epilog(&mut self) -> Turn {
        self.input.pass_blanks();
        let (rest, last) = (self.input.rest(), self.input.is_finished());
        let construct = match rest.first() {
            None if last => return Turn::Step(NamedStep::End),
            None => return self.need_input(Mode::Epilog),
            Some(b'<') => match markup(rest, last) {
                None => return self.need_input(Mode::Epilog),
                Some(Markup::Opens(construct @ (Construct::Comment | Construct::Instruction))) => Some(construct),
                Some(_) => None,
            },
            Some(_) => None,
        };
        let Some(construct) = construct else {
            let reason = "something stands behind the end tag of the root, where the file should end: remove it, or the end tag \
                          before it if records follow";
            let given_up = GivenUp::new(&self.input, RecordCode::InvalidXml, reason);
            return self.go_on(Mode::Rest(given_up));
        };
        let reason = format!("the {} behind the end tag of the root is not closed", construct.name());
        let mut given_up = GivenUp::new(&self.input, RecordCode::InvalidXml, reason);
        given_up.swallow(&mut self.input, construct.opening().len());
        self.go_on(Mode::EpilogConstruct(given_up, construct))
    }

    pub(super) fn epilog_construct(&mut self, mut given_up: GivenUp, construct: Construct) -> Turn {
        if pass(construct, &mut self.input, |input, bytes| {
            given_up.swallow(input, bytes);
        }) {
            self.go_on(Mode::Epilog)
        } else if self.input.is_finished() {
            self.close_last(given_up)
        } else {
            self.need_input(Mode::EpilogConstruct(given_up, construct))
        }
    }

    /// Gives up everything to the end of the file.
    pub(super) fn rest_of_file(&mut self, mut given_up: GivenUp) -> Turn {
        if self.input.is_finished() {
            return self.close_last(given_up);
        }
        let left = self.input.rest().len();
        given_up.swallow(&mut self.input, left);
        self.need_input(Mode::Rest(given_up))
    }
}
