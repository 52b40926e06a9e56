//! Templates of file names: `orders {company} {due:%Y-%m-%d}.csv`.

use chrono::format::{Item, StrftimeItems};
use chrono_tz::Tz;

use super::time::Timestamp;

/// How a due time is written where the template does not say: in UTC, and sorting as time goes.
const DUE_FORMAT: &str = "%Y-%m-%dT%H-%M-%SZ";
/// Longest name, in characters: what common file systems take, with room for a suffix.
const NAME_CHARS_MAX: usize = 200;

/// A template of a file's name, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Job,
    Entity,
    Company,
    /// With its `strftime` format.
    Due(Option<String>),
}

/// What fills a template.
#[derive(Debug, Clone, Copy)]
pub struct FileNameFacts<'a> {
    /// Name of the job.
    pub job: &'a str,
    /// Label of the one entity.
    pub entity: &'a str,
    /// The one company.
    pub company: &'a str,
    /// When the run was due.
    pub due: Timestamp,
    /// The zone of the job's schedule, in which formats of the template write the due time.
    pub time_zone: Tz,
}

impl FileName {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, as a clause behind its name.
    pub fn parse(template: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let unpaired = || format!("has a brace without its other half: {}", &rest[at..]);
            let (text, behind) = rest.split_at(at);
            let (placeholder, after) = behind
                .strip_prefix('{')
                .and_then(|behind| behind.split_once('}'))
                .ok_or_else(unpaired)?;
            pieces.push(Piece::Text(text.to_owned()));
            pieces.push(Piece::parse(placeholder)?);
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let name = Self(pieces);
        name.check()?;
        Ok(name)
    }

    /// What is plain text in it must fit a file's name, wherever the file ends up.
    fn check(&self) -> Result<(), String> {
        let example = self.render(FileNameFacts {
            job: "J",
            entity: "E",
            company: "C",
            due: Timestamp(0),
            time_zone: Tz::UTC,
        });
        if let Some(c) = example.chars().find(|c| is_forbidden(*c)) {
            return Err(format!("holds `{}`, which file names may not", c.escape_default()));
        }
        if example.trim() != example || example.trim_matches('.') != example || example.is_empty() {
            return Err("begins or ends with a blank or a dot".to_owned());
        }
        Ok(())
    }

    /// Whether it names the entity.
    #[must_use]
    pub fn has_entity(&self) -> bool {
        self.0.contains(&Piece::Entity)
    }

    /// Whether it names the company.
    #[must_use]
    pub fn has_company(&self) -> bool {
        self.0.contains(&Piece::Company)
    }

    /// The name. What would not fit a file's name becomes `_`; it is cut at 200 characters.
    #[must_use]
    pub fn render(&self, facts: FileNameFacts<'_>) -> String {
        let name: String = self.0.iter().map(|piece| piece.render(facts)).collect();
        name.chars().take(NAME_CHARS_MAX).collect()
    }
}

impl Piece {
    fn parse(placeholder: &str) -> Result<Self, String> {
        let (name, format) = match placeholder.split_once(':') {
            Some((name, format)) => (name, Some(format)),
            None => (placeholder, None),
        };
        match (name, format) {
            ("job", None) => Ok(Self::Job),
            ("entity", None) => Ok(Self::Entity),
            ("company", None) => Ok(Self::Company),
            ("due", None) => Ok(Self::Due(None)),
            ("due", Some(format)) => {
                let broken = StrftimeItems::new(format).any(|item| matches!(item, Item::Error));
                if broken || !format.contains('%') {
                    return Err(format!(
                        "has the date format `{format}`, which is none; write one such as {{due:%Y-%m-%d}}"
                    ));
                }
                Ok(Self::Due(Some(format.to_owned())))
            }
            _ => Err(format!(
                "has the placeholder {{{placeholder}}}; there are {{job}}, {{entity}}, {{company}}, {{due}} and {{due:%Y-%m-%d}}"
            )),
        }
    }

    fn render(&self, facts: FileNameFacts<'_>) -> String {
        let safe = |text: &str| text.chars().map(|c| if is_forbidden(c) { '_' } else { c }).collect();
        match self {
            Self::Text(text) => text.clone(),
            Self::Job => safe(facts.job),
            Self::Entity => safe(facts.entity),
            Self::Company => safe(facts.company),
            Self::Due(None) => facts.due.to_utc().format(DUE_FORMAT).to_string(),
            Self::Due(Some(format)) => {
                let local = facts.due.to_utc().with_timezone(&facts.time_zone);
                local.format(format).to_string()
            }
        }
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> String {
        let facts = FileNameFacts {
            job: "Nightly orders",
            entity: "Sales / lines",
            company: "usmf",
            due: Timestamp(1_767_661_200_000_000),
            time_zone: chrono_tz::Europe::Berlin,
        };
        FileName::parse(template).expect("a template").render(facts)
    }

    #[test]
    fn placeholders_are_filled() {
        for (template, name) in [
            ("orders.csv", "orders.csv"),
            ("{job} {due}.zip", "Nightly orders 2026-01-06T01-00-00Z.zip"),
            (
                "{entity}_{company}_{due:%Y%m%d-%H%M}.csv",
                "Sales _ lines_usmf_20260106-0200.csv",
            ),
        ] {
            assert_eq!(render(template), name, "{template}");
        }
        assert_eq!(render(&"x".repeat(300)).len(), 200);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (template, words) in [
            ("{jbo}.csv", "placeholder {jbo}; there are {job}"),
            ("{job:%Y}.csv", "placeholder {job:%Y}"),
            ("{due:%Q}.csv", "date format `%Q`"),
            ("{due:today}.csv", "date format `today`"),
            ("{due:%H:%M}.csv", "holds `:`"),
            ("{job", "a brace without its other half: {job"),
            ("job}.csv", "a brace without its other half: }.csv"),
            ("../{job}.csv", "holds `/`"),
            (" {job}", "begins or ends with a blank"),
            (".hidden", "begins or ends with a blank or a dot"),
        ] {
            let flaw = FileName::parse(template).expect_err(template);
            assert!(flaw.contains(words), "{template}: {flaw}");
        }
    }
}
