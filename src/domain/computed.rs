//! Values made for fields that a record brings nothing for: `{company}-{order_number}`, `{now()}`.

use std::fmt;

use super::time::Timestamp;

/// What is made of a field's value when a record brings none (DMF-9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldDefault {
    /// Always the same, spelt as the field's values are in files.
    Constant(String),
    /// Made from the record and what is known of its load.
    Computed(Computed),
}

/// Texts, fields and facts, joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computed {
    /// In order; never empty.
    pub pieces: Vec<Piece>,
}

/// One piece of a computed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// The value of the record's field of this name: `{order_number}`.
    Field(String),
    /// What is known beside the record: `{now()}`.
    Fact(Fact),
}

/// What is known beside a record's own fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// When the load began, in UTC: the same for all its records, and in every attempt.
    Now,
    /// The day of that.
    Today,
    /// The company of the message.
    Company,
    /// The message's id.
    MessageId,
    /// What the sender called it, usually the file's name.
    ExternalId,
    /// When the message was enqueued, in UTC.
    EnqueuedAt,
    /// The record's number in its file, from 1.
    RecordNumber,
}

impl Fact {
    /// The words in definitions, each written with `()`.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("now", Self::Now),
        ("today", Self::Today),
        ("company", Self::Company),
        ("message_id", Self::MessageId),
        ("external_id", Self::ExternalId),
        ("enqueued_at", Self::EnqueuedAt),
        ("record_number", Self::RecordNumber),
    ];
}

/// What one load knows, for computed values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFacts {
    /// When the load began: kept by the execution, so the same in every attempt.
    pub began_at: Timestamp,
    /// The company of the message.
    pub company: Option<String>,
    /// The message's id.
    pub message_id: String,
    /// What the sender called it.
    pub external_id: Option<String>,
    /// When the message was enqueued.
    pub enqueued_at: Timestamp,
}

impl LoadFacts {
    /// The fact as canonical text; `None` where there is nothing to tell.
    #[must_use]
    pub fn text(&self, fact: Fact, record: u64) -> Option<String> {
        match fact {
            Fact::Now => Some(moment(self.began_at)),
            Fact::Today => Some(self.began_at.to_utc().format("%Y-%m-%d").to_string()),
            Fact::Company => self.company.clone(),
            Fact::MessageId => Some(self.message_id.clone()),
            Fact::ExternalId => self.external_id.clone(),
            Fact::EnqueuedAt => Some(moment(self.enqueued_at)),
            Fact::RecordNumber => Some(record.to_string()),
        }
    }
}

fn moment(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%S%.f").to_string()
}

impl Computed {
    /// A value that is this fact.
    #[must_use]
    pub fn of(fact: Fact) -> Self {
        Self {
            pieces: vec![Piece::Fact(fact)],
        }
    }

    /// Names of the fields it is made from.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Field(name) => Some(name.as_str()),
            Piece::Text(_) | Piece::Fact(_) => None,
        })
    }

    /// The value; `None` where one of the pieces has none: half a number is worse than none.
    pub fn text(&self, facts: &LoadFacts, record: u64, field: impl Fn(&str) -> Option<String>) -> Option<String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Field(name) => text.push_str(&field(name)?),
                Piece::Fact(fact) => text.push_str(&facts.text(*fact, record)?),
            }
        }
        Some(text)
    }
}

impl std::str::FromStr for Computed {
    type Err = InvalidComputed;

    /// Reads `{field}`, `{fact()}` and text; `{{` and `}}` stand for braces.
    fn from_str(written: &str) -> Result<Self, InvalidComputed> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = written;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                text.push_str(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = rest.split_once('}').filter(|_| brace == "{") else {
                return Err(InvalidComputed::Brace(brace.to_owned()));
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(piece(name.trim())?);
            rest = after;
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
            return Err(InvalidComputed::Constant);
        }
        Ok(Self { pieces })
    }
}

impl fmt::Display for Computed {
    /// As it is written in definitions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Field(name) => write!(f, "{{{name}}}")?,
                Piece::Fact(fact) => {
                    let word = Fact::WORDS
                        .iter()
                        .find(|(_, known)| known == fact)
                        .map(|(word, _)| word);
                    write!(f, "{{{}()}}", word.copied().unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }
}

fn piece(name: &str) -> Result<Piece, InvalidComputed> {
    let Some(word) = name.strip_suffix("()") else {
        return Ok(Piece::Field(name.to_owned()));
    };
    let fact = Fact::WORDS.iter().find(|(known, _)| *known == word);
    fact.map(|(_, fact)| Piece::Fact(*fact))
        .ok_or_else(|| InvalidComputed::Fact(word.to_owned()))
}

/// Why a text says nothing that could be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidComputed {
    /// A brace without its other half.
    Brace(String),
    /// Nothing in it is computed.
    Constant,
    /// There is no such fact.
    Fact(String),
}

impl fmt::Display for InvalidComputed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Brace(brace) => write!(
                f,
                "has a `{brace}` without its other half; a brace of the text is doubled"
            ),
            Self::Constant => {
                f.write_str("has no `{field}` and nothing like `{now()}`; a text that stays the same is a `default`")
            }
            Self::Fact(word) => {
                write!(f, "has `{{{word}()}}`, which nobody knows; known are")?;
                for (at, (known, _)) in Fact::WORDS.iter().enumerate() {
                    write!(f, "{} `{{{known}()}}`", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> LoadFacts {
        LoadFacts {
            began_at: Timestamp(1_767_600_000_500_000),
            company: None,
            message_id: "m".to_owned(),
            external_id: Some("a.csv".to_owned()),
            enqueued_at: Timestamp(0),
        }
    }

    fn text(written: &str) -> Option<String> {
        let computed: Computed = written.parse().unwrap_or_else(|error| panic!("{written}: {error}"));
        computed.text(&facts(), 7, |name| (name == "number").then(|| "17".to_owned()))
    }

    #[test]
    fn pieces_are_joined() {
        for (written, value) in [
            ("{number}", "17"),
            ("SO-{number}/{ record_number() }", "SO-17/7"),
            ("{{{number}}}", "{17}"),
            ("{today()} {external_id()}", "2026-01-05 a.csv"),
            ("{now()}", "2026-01-05 08:00:00.500"),
            ("{enqueued_at()}", "1970-01-01 00:00:00"),
            ("{message_id()}", "m"),
        ] {
            assert_eq!(text(written).as_deref(), Some(value), "{written}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_read() {
        for written in [
            "{number}",
            "SO-{number}/{record_number()}",
            "{{{number}}}",
            "{now()} {{{{",
        ] {
            let computed: Computed = written.parse().unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(computed.to_string(), written);
        }
    }

    #[test]
    fn without_one_of_its_pieces_there_is_no_value() {
        assert_eq!(text("{number}-{other}"), None);
        assert_eq!(text("{company()}-{number}"), None);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let error = |written: &str| written.parse::<Computed>().expect_err(written);
        assert_eq!(error("{a"), InvalidComputed::Brace("{".to_owned()));
        assert_eq!(error("a}-{b}"), InvalidComputed::Brace("}".to_owned()));
        assert_eq!(error("always"), InvalidComputed::Constant);
        assert_eq!(error("{{a}}"), InvalidComputed::Constant);
        let unknown = error("{user()}").to_string();
        assert!(
            unknown.contains("`{user()}`") && unknown.contains("`{record_number()}`"),
            "{unknown}"
        );
    }
}
