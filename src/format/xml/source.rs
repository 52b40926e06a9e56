//! The reader: owns the input, the position and what is known of the file. What it does about damage is in `recovery`.

use super::XmlOptions;
use super::given_up::{self, GivenUp};
use super::input::Input;
use super::markup::{Construct, Markup, Name, markup};
use super::members::{self, Problem};
use super::prolog::{Found, Prolog, Root};
use super::scan::{Fault, Names, Scan, Verdict};
use crate::domain::reject::{RecordCode, RecordPlace};
use crate::format::excerpt;
use crate::format::named::{NamedRecord, NamedSource, NamedStep};
use crate::format::record::{FileError, Position};

/// A push parser: bytes are fed in, steps come out. Memory is bounded by the options.
#[derive(Debug)]
pub struct XmlSource {
    pub(super) options: XmlOptions,
    pub(super) input: Input,
    pub(super) mode: Mode,
    pub(super) scan: Scan,
    root: Option<Root>,
    /// The first record's name, prefix included.
    record: Option<Vec<u8>>,
    /// Behind the last step handed out.
    pub(super) position: Position,
    /// Where to skip to.
    target: Option<Position>,
    pub(super) examined: u64,
}

/// What is being read.
#[derive(Debug)]
pub(super) enum Mode {
    Prolog(Prolog),
    /// Where a record may begin.
    Content,
    /// Something whose end is looked for.
    Scanning(Item),
    /// What is no markup, up to the next `<`.
    Stray(GivenUp),
    /// Giving up: looking for the start tag of a record.
    Lost(GivenUp),
    /// Giving up: trying whether the record of this name that begins here is whole.
    Probe(GivenUp, Vec<u8>),
    /// Behind the name in the root's end tag.
    RootEnd,
    /// Behind the root's end tag.
    Epilog,
    /// In a comment or processing instruction there; it becomes damage when it is not closed.
    EpilogConstruct(GivenUp, Construct),
    /// Giving up what is left of the file.
    Rest(GivenUp),
    Ended,
}

/// What a scan is of.
#[derive(Debug)]
pub(super) enum Item {
    Record,
    /// An element of another name.
    Other(Vec<u8>),
    Construct(Construct),
}

/// What became of a mode.
pub(super) enum Turn {
    Step(NamedStep),
    /// Nothing yet: look at the mode again.
    GoOn,
}

impl NamedSource for XmlSource {
    fn feed(&mut self, bytes: &[u8]) {
        self.input.feed(bytes);
    }

    fn finish(&mut self) {
        self.input.finish();
    }

    fn step(&mut self) -> Result<NamedStep, FileError> {
        loop {
            self.skip();
            let step = self.advance()?;
            let is_record = matches!(step, NamedStep::Record(_) | NamedStep::Damaged(_));
            if !(is_record && self.is_skipped()) {
                return Ok(step);
            }
        }
    }

    fn position(&self) -> Position {
        self.target.unwrap_or(self.position)
    }

    fn skip_to(&mut self, position: Position) {
        if position.byte > self.position.byte {
            self.target = Some(position);
        }
    }
}

impl XmlSource {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new(options: XmlOptions) -> Self {
        Self {
            options,
            input: Input::new(),
            mode: Mode::Prolog(Prolog::FileStart),
            scan: Scan::element(),
            root: None,
            record: None,
            position: Position::START,
            target: None,
            examined: 0,
        }
    }

    /// Bytes looked at so far to find where records end, repeats included: what hostile input costs, free of clocks.
    #[must_use]
    pub fn bytes_examined(&self) -> u64 {
        self.examined
    }

    /// The root's start tag, once it was read.
    pub(super) fn root(&self) -> Option<&Root> {
        self.root.as_ref()
    }

    /// The records' name, once the first began.
    pub(super) fn record_name(&self) -> Option<Name<'_>> {
        self.record.as_deref().map(Name)
    }

    #[cfg(test)]
    pub(super) fn buffer_capacity(&self) -> usize {
        self.input.capacity()
    }

    /// Jumps to where we were told to, unless the records' name is still to be read: then steps are dropped until we are there.
    fn skip(&mut self) {
        if self.record.is_none() {
            return;
        }
        let Some(target) = self.target.take() else { return };
        if target.byte < self.input.byte() {
            return;
        }
        self.mode = match self.mode {
            Mode::Content | Mode::Scanning(_) | Mode::Stray(_) | Mode::Lost(_) | Mode::Probe(..) => {
                self.input.skip_to(target.byte, target.line);
                Mode::Content
            }
            // Behind the root's end tag, there is but one place to skip to: behind all.
            _ => Mode::Ended,
        };
        self.position = target;
    }

    /// Whether the step just made is one to skip.
    fn is_skipped(&mut self) -> bool {
        let Some(target) = self.target else { return false };
        if self.position.byte >= target.byte {
            self.target = None;
        }
        self.position.byte <= target.byte
    }

    fn advance(&mut self) -> Result<NamedStep, FileError> {
        loop {
            let turn = match std::mem::replace(&mut self.mode, Mode::Ended) {
                Mode::Prolog(prolog) => self.prolog(prolog)?,
                Mode::Content => self.content(),
                Mode::Scanning(item) => self.scanning(item)?,
                Mode::Stray(given_up) => self.stray(given_up),
                Mode::Lost(given_up) => self.find_start(given_up),
                Mode::Probe(given_up, name) => self.probe(given_up, name),
                Mode::RootEnd => self.root_end(),
                Mode::Epilog => self.epilog(),
                Mode::EpilogConstruct(given_up, construct) => self.epilog_construct(given_up, construct),
                Mode::Rest(given_up) => self.rest_of_file(given_up),
                Mode::Ended => Turn::Step(NamedStep::End),
            };
            if let Turn::Step(step) = turn {
                return Ok(step);
            }
        }
    }

    /// Stays in a mode until there is more to read.
    pub(super) fn need_input(&mut self, mode: Mode) -> Turn {
        self.mode = mode;
        Turn::Step(NamedStep::NeedInput)
    }

    /// Goes on in another mode.
    pub(super) fn go_on(&mut self, mode: Mode) -> Turn {
        self.mode = mode;
        Turn::GoOn
    }

    fn prolog(&mut self, mut prolog: Prolog) -> Result<Turn, FileError> {
        Ok(match prolog.step(&mut self.input)? {
            Found::NeedInput => self.need_input(Mode::Prolog(prolog)),
            Found::More(prolog) => self.go_on(Mode::Prolog(prolog)),
            Found::Root(root) => {
                let mode = if root.empty { Mode::Epilog } else { Mode::Content };
                self.root = Some(root);
                self.go_on(mode)
            }
        })
    }

    fn content(&mut self) -> Turn {
        self.input.pass_blanks();
        let (rest, last) = (self.input.rest(), self.input.is_finished());
        match rest.first() {
            None if !last => return self.need_input(Mode::Content),
            None => return self.cut_off(),
            Some(b'<') => {}
            Some(_) => return self.begin_stray(),
        }
        match markup(rest, last) {
            None => self.need_input(Mode::Content),
            Some(Markup::Cut) => self.cut_off(),
            Some(Markup::Opens(construct)) => {
                self.scan = Scan::construct(construct);
                self.go_on(Mode::Scanning(Item::Construct(construct)))
            }
            Some(Markup::Start(name)) => {
                let name = name.0.to_vec();
                self.begin_element(name)
            }
            Some(Markup::End(name)) if self.root.as_ref().is_some_and(|root| root.local() == name.local()) => {
                let length = b"</".len() + name.0.len();
                self.input.consume(length);
                self.go_on(Mode::RootEnd)
            }
            Some(Markup::End(_) | Markup::Text) => self.begin_stray(),
        }
    }

    fn begin_element(&mut self, name: Vec<u8>) -> Turn {
        self.scan = Scan::element();
        let record = self.record.get_or_insert_with(|| name.clone());
        let item = if Name(record).local() == Name(&name).local() {
            Item::Record
        } else {
            Item::Other(name)
        };
        self.go_on(Mode::Scanning(item))
    }

    /// Goes on with the scan of an element of this local name.
    pub(super) fn run_scan(&mut self, own: Option<&[u8]>) -> Verdict {
        let record = self.record.as_deref().map(|name| Name(name).local());
        let names = Names {
            own: own.or(record).unwrap_or_default(),
            record: record.or(own).unwrap_or_default(),
            root: self.root.as_ref().map(Root::local).unwrap_or_default(),
        };
        let before = self.scan.at();
        let (rest, last) = (self.input.rest(), self.input.is_finished());
        let verdict = self.scan.run(rest, last, self.options.max_record_bytes, &names);
        self.examined += self.scan.at().saturating_sub(before) as u64;
        verdict
    }

    fn scanning(&mut self, item: Item) -> Result<Turn, FileError> {
        let verdict = match &item {
            Item::Other(name) => self.run_scan(Some(Name(name).local())),
            Item::Record | Item::Construct(_) => self.run_scan(None),
        };
        Ok(match verdict {
            Verdict::NeedInput => self.need_input(Mode::Scanning(item)),
            Verdict::Whole { end } => return self.whole(&item, end),
            Verdict::Open { end } => {
                let name = self.record_words();
                self.damaged(
                    end,
                    RecordCode::InvalidXml,
                    format!("{name} is not closed: its end tag, or a quote in it, is missing before what follows"),
                )
            }
            // Its own end tag may be missing, and records stand inside it.
            Verdict::CutOff if matches!(item, Item::Other(_)) => self.give_up(&item, Fault::OtherUnclosed),
            Verdict::CutOff => {
                let reason = "the file ends inside this record: it was cut off on its way, send it again";
                let given_up = GivenUp::new(&self.input, RecordCode::InvalidXml, reason);
                self.close_last(given_up)
            }
            Verdict::Lost(fault) => self.give_up(&item, fault),
        })
    }

    fn whole(&mut self, item: &Item, end: usize) -> Result<Turn, FileError> {
        let reason = match item {
            Item::Record => return self.record(end),
            Item::Construct(Construct::Comment | Construct::Instruction) => {
                self.input.consume(end);
                return Ok(self.go_on(Mode::Content));
            }
            Item::Construct(Construct::CData) => {
                "text stands where a record was expected: put it into an element, or remove it".to_owned()
            }
            Item::Other(name) => format!(
                "the element {} was expected, found {}",
                self.record_words(),
                quoted(name)
            ),
        };
        Ok(self.damaged(end, RecordCode::InvalidXml, reason))
    }

    fn record(&mut self, end: usize) -> Result<Turn, FileError> {
        match members::read(&self.input.rest()[..end], &self.options) {
            Ok(members) => {
                let place = self.take(end);
                self.mode = Mode::Content;
                Ok(Turn::Step(NamedStep::Record(NamedRecord { place, members })))
            }
            Err(problem) if problem.too_many && self.position.records == 0 => Err(too_many_columns(&problem)),
            Err(problem) => {
                let at = self.input.byte() + problem.at as u64;
                let reason = format!("{} (at byte {at} of the file)", problem.reason);
                Ok(self.damaged(end, problem.code, reason))
            }
        }
    }

    /// Moves on behind a record of this length.
    fn take(&mut self, length: usize) -> RecordPlace {
        let (line, byte_start) = (self.input.line(), self.input.byte());
        self.input.consume(length);
        self.count();
        RecordPlace {
            record: self.position.records,
            line,
            byte_start,
            byte_end: self.position.byte,
        }
    }

    /// Counts a record that ends where the input stands.
    pub(super) fn count(&mut self) {
        self.position = Position {
            records: self.position.records + 1,
            line: self.input.line(),
            byte: self.input.byte(),
        };
    }

    /// A damaged record of this length.
    fn damaged(&mut self, length: usize, code: RecordCode, reason: String) -> Turn {
        let mut given_up = GivenUp::new(&self.input, code, reason);
        given_up.swallow(&mut self.input, length);
        self.close(given_up)
    }

    /// For messages.
    fn record_words(&self) -> String {
        quoted(self.record.as_deref().unwrap_or_default())
    }

    /// Begins to give up what has no known end, back to its start.
    fn give_up(&mut self, item: &Item, fault: Fault) -> Turn {
        let what = match item {
            Item::Record => "the record".to_owned(),
            Item::Other(name) => format!("the element {}", quoted(name)),
            Item::Construct(construct) => format!("a {}", construct.name()),
        };
        let (code, reason) = given_up::lost(fault, &what, self.options.max_record_bytes);
        let mut given_up = GivenUp::new(&self.input, code, reason);
        given_up.swallow(&mut self.input, 1);
        self.go_on(Mode::Lost(given_up))
    }
}

fn quoted(name: &[u8]) -> String {
    excerpt::quoted(&String::from_utf8_lossy(name))
}

fn too_many_columns(problem: &Problem) -> FileError {
    FileError {
        code: "too_many_columns",
        reason: format!("{}; is this the right file?", problem.reason),
    }
}
