//! Records that name their own members (JSON, XML), behind the interface of a file with a header.
//!
//! Such a file has no header: which fields it brings is read off its first records, [`SAMPLE_RECORDS`] of them or
//! [`SAMPLE_BYTES`] of those that could be read, and is then fixed like a header, for a load must know it before its first row. A name that turns up
//! only later would be lost, so its record is refused with `unexpected_member` instead.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use super::excerpt;
use super::mapping::{ERROR_COLUMN, RAW_MEMBER, REJECT_ID_COLUMN};
use super::record::{Damage, FileError, Position, Record, RecordReader, Step};
use crate::domain::reject::{RecordCode, RecordPlace};

/// Records that say what a file brings.
pub const SAMPLE_RECORDS: usize = 1000;
/// Bytes of records that could be read after which fewer have to do. One too long to be read says nothing, and takes nothing.
pub const SAMPLE_BYTES: u64 = 1 << 20;

/// A record as its format has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRecord {
    /// Where it stands.
    pub place: RecordPlace,
    /// Its members' names and texts, in order. An absent value is empty.
    pub members: Vec<(String, Vec<u8>)>,
}

/// What a [`NamedSource`] has for its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedStep {
    /// It needs more bytes.
    NeedInput,
    /// A record.
    Record(NamedRecord),
    /// A record given up; reading goes on behind it.
    Damaged(Damage),
    /// All read.
    End,
}

/// A push parser of records that name their members. What its methods mean is what they mean for [`RecordReader`].
pub trait NamedSource: Send {
    /// Adds bytes.
    fn feed(&mut self, bytes: &[u8]);
    /// Says that there are no more.
    fn finish(&mut self);
    /// The next step.
    ///
    /// # Errors
    /// [`FileError`] when what was read so far shows that this is no such file. Never after the first record.
    fn step(&mut self) -> Result<NamedStep, FileError>;
    /// Where the next record starts.
    fn position(&self) -> Position;
    /// After at least the first record, or the end, was seen: skip to this position.
    fn skip_to(&mut self, position: Position);
}

/// A [`RecordReader`] over a [`NamedSource`].
#[derive(Debug)]
pub struct Named<S> {
    source: S,
    /// What was read for the header, each with the position behind it.
    sampled: VecDeque<(NamedStep, Position)>,
    /// Bytes of the records among them.
    sampled_bytes: u64,
    header: Option<Result<Vec<String>, FileError>>,
    by_name: HashMap<String, usize>,
    columns_max: usize,
    /// Behind the last step handed out.
    position: Position,
}

impl<S: NamedSource> Named<S> {
    /// A reader at the start of a file whose records have at most `columns_max` different members.
    #[must_use]
    pub fn new(source: S, columns_max: usize) -> Self {
        Self {
            source,
            sampled: VecDeque::new(),
            sampled_bytes: 0,
            header: None,
            by_name: HashMap::new(),
            columns_max,
            position: Position::START,
        }
    }

    /// `None`: more input is needed.
    fn sample(&mut self) -> Result<Option<Vec<String>>, FileError> {
        while self.sampled.len() < SAMPLE_RECORDS && self.sampled_bytes < SAMPLE_BYTES {
            let step = self.source.step()?;
            match &step {
                NamedStep::NeedInput => return Ok(None),
                NamedStep::End => break,
                NamedStep::Record(record) => self.sampled_bytes += record.place.byte_end - record.place.byte_start,
                NamedStep::Damaged(_) => {}
            }
            self.sampled.push_back((step, self.source.position()));
        }
        let mut names = Vec::new();
        for (step, _) in &self.sampled {
            let NamedStep::Record(record) = step else { continue };
            for (name, _) in &record.members {
                let at = names.len();
                self.by_name.entry(key(name)).or_insert_with(|| {
                    names.push(name.clone());
                    at
                });
            }
            if names.len() > self.columns_max {
                return Err(FileError {
                    code: "too_many_columns",
                    reason: format!(
                        "the first records have more than {} different members; is this the right file?",
                        self.columns_max
                    ),
                });
            }
        }
        Ok(Some(names))
    }

    fn next(&mut self) -> NamedStep {
        if let Some((step, behind)) = self.sampled.pop_front() {
            self.position = behind;
            return step;
        }
        // A file that turned out to be none has no records.
        let step = self.source.step().unwrap_or(NamedStep::End);
        self.position = self.source.position();
        step
    }

    /// One cell for each name of the header, or what is wrong with the names.
    fn cells(&self, record: NamedRecord) -> Result<Vec<Cow<'static, [u8]>>, Damage> {
        let has = |wanted: &str| {
            record
                .members
                .iter()
                .any(|(name, text)| key(name) == wanted && !text.is_empty())
        };
        if has(RAW_MEMBER) && has(REJECT_ID_COLUMN) {
            let reason = format!(
                "the record is not corrected yet: write what {RAW_MEMBER} holds as members of its own, and remove {RAW_MEMBER}"
            );
            return Err(damage(record.place, RecordCode::UnexpectedMember, reason, RAW_MEMBER));
        }
        let mut cells = vec![Cow::Borrowed(&b""[..]); self.by_name.len()];
        let mut filled = vec![false; cells.len()];
        for (name, text) in record.members {
            let Some(&at) = self.by_name.get(&key(&name)) else {
                // Nothing is lost with them.
                if text.is_empty() || [ERROR_COLUMN, RAW_MEMBER].contains(&key(&name).as_str()) {
                    continue;
                }
                let reason = format!(
                    "{} stands in none of the first records, which say what the file brings: give an early record that \
                     member too, even an empty one",
                    excerpt::quoted(&name)
                );
                return Err(damage(record.place, RecordCode::UnexpectedMember, reason, &name));
            };
            if std::mem::replace(&mut filled[at], true) {
                let reason = format!("the record has {} twice: remove one of them", excerpt::quoted(&name));
                return Err(damage(record.place, RecordCode::MemberTwice, reason, &name));
            }
            cells[at] = Cow::Owned(text);
        }
        Ok(cells)
    }
}

impl<S: NamedSource> RecordReader for Named<S> {
    fn feed(&mut self, bytes: &[u8]) {
        self.source.feed(bytes);
    }

    fn finish(&mut self) {
        self.source.finish();
    }

    fn header(&mut self) -> Result<Option<Vec<String>>, FileError> {
        if self.header.is_none() {
            self.header = self.sample().transpose();
        }
        self.header.clone().transpose()
    }

    fn step(&mut self) -> Step<'_> {
        match self.next() {
            NamedStep::NeedInput => Step::NeedInput,
            NamedStep::End => Step::End,
            NamedStep::Damaged(damage) => Step::Damaged(damage),
            NamedStep::Record(record) => {
                let place = record.place;
                match self.cells(record) {
                    Ok(cells) => Step::Record(Record { place, cells }),
                    Err(damage) => Step::Damaged(damage),
                }
            }
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn skip_to(&mut self, position: Position) {
        if position.byte < self.position.byte {
            return;
        }
        while self
            .sampled
            .front()
            .is_some_and(|(_, behind)| behind.byte <= position.byte)
        {
            self.sampled.pop_front();
        }
        if self.sampled.is_empty() {
            self.source.skip_to(position);
        }
        self.position = position;
    }
}

/// Names are the same in any case, as those of columns are.
fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

fn damage(place: RecordPlace, code: RecordCode, reason: String, excerpt: &str) -> Damage {
    Damage {
        place,
        code,
        column: None,
        reason,
        excerpt: excerpt.to_owned(),
    }
}
