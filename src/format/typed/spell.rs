//! The way back: a stored value to the text that its field's files have for it.
//!
//! An import of the same entity reads back what is spelt here. Canonical text does so already unless the field says how its
//! values are spelt (`decimal_separator`, `formats`, `time_zone`), or the job translates them (`values`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::format::StrftimeItems;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeZone};
use chrono_tz::Tz;

use super::moment::{iso_date, iso_datetime, iso_time};
use super::number::Decimal;
use super::{CellTyper, quoted};
use crate::domain::cell::Cell;
use crate::domain::entity::{Field, FieldType};

/// A value as a file is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCell<'a> {
    /// Its text; `None` for no value.
    pub text: Option<Cow<'a, str>>,
    /// What it should be, by its field's type.
    pub nature: Nature,
}

impl FileCell<'_> {
    /// What formats with types of their own may write it as. A column may hold what its field's type does not allow: `PostgreSQL`'s
    /// `NaN` and `infinity`, `SQLite`'s anything. That is text.
    #[must_use]
    pub fn nature(&self) -> Nature {
        let text = self.text.as_deref().unwrap_or_default();
        let fits = match self.nature {
            Nature::Text => true,
            Nature::Number | Nature::Digits => is_plain_number(text),
            Nature::Bool => matches!(text, "Yes" | "No"),
            Nature::Date => iso_date(text.as_bytes()).is_some(),
            Nature::Datetime => text.len() > 10 && iso_datetime(text).is_some_and(|(_, is_utc)| !is_utc),
            Nature::Time => iso_time(text.as_bytes()).is_some(),
        };
        if fits { self.nature } else { Nature::Text }
    }
}

/// What a cell's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Text, or a value that is spelt in a way of its own, which no type of a format may undo.
    Text,
    /// A number, its digits with a point.
    Number,
    /// The same; zeros at its end mean something.
    Digits,
    /// `Yes` or `No`.
    Bool,
    /// `YYYY-MM-DD`.
    Date,
    /// `YYYY-MM-DD HH:MM:SS`, with the fraction's digits.
    Datetime,
    /// `HH:MM:SS`, with the fraction's digits.
    Time,
}

/// Spells one field's values.
#[derive(Debug)]
pub struct Speller {
    /// Canonical text → text in the file.
    values: BTreeMap<String, String>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// As it is stored.
    Canonical(Nature),
    /// With a comma before the fraction.
    Comma,
    /// As local time with its offset.
    Local(Tz),
    /// In the field's formats.
    Formats(Box<Formats>),
}

#[derive(Debug)]
struct Formats {
    in_order: Vec<String>,
    zone: Tz,
    typer: CellTyper,
    /// What a value is whose canonical text is what the first format makes of it.
    canonical: Option<Nature>,
}

impl Speller {
    /// For a field, whose `values` a job translates.
    #[must_use]
    pub fn new(field: &Field, values: BTreeMap<String, String>) -> Self {
        let zone = field.time_zone.unwrap_or(Tz::UTC);
        let way = match &field.kind {
            FieldType::Decimal { .. } if field.decimal_comma => Way::Comma,
            FieldType::Date | FieldType::Datetime | FieldType::Time if !field.formats.is_empty() => {
                Way::Formats(Box::new(Formats::of(field, zone)))
            }
            FieldType::Datetime if field.time_zone.is_some() => Way::Local(zone),
            FieldType::Int => Way::Canonical(Nature::Number),
            FieldType::Decimal { scale, .. } if scale.is_some() => Way::Canonical(Nature::Number),
            FieldType::Decimal { .. } => Way::Canonical(Nature::Digits),
            FieldType::Bool => Way::Canonical(Nature::Bool),
            FieldType::Date => Way::Canonical(Nature::Date),
            FieldType::Datetime => Way::Canonical(Nature::Datetime),
            FieldType::Time => Way::Canonical(Nature::Time),
            FieldType::String | FieldType::Guid | FieldType::Enum(_) => Way::Canonical(Nature::Text),
        };
        Self { values, way }
    }

    /// For a format with types of its own: as it is stored, whatever text files spell the field's values like.
    #[must_use]
    pub fn canonical(field: &Field, values: BTreeMap<String, String>) -> Self {
        let plain = Field {
            formats: Vec::new(),
            decimal_comma: false,
            time_zone: None,
            ..field.clone()
        };
        Self::new(&plain, values)
    }

    /// The file's cell for a canonical text, or for nothing.
    ///
    /// # Errors
    /// Why none of the field's formats reads back as the value: a sentence.
    pub fn spell<'a>(&'a self, canonical: Option<&'a str>) -> Result<FileCell<'a>, String> {
        let Some(canonical) = canonical else {
            return Ok(FileCell {
                text: None,
                nature: Nature::Text,
            });
        };
        let (text, nature) = match (self.values.get(canonical), &self.way) {
            (Some(meant), _) => (Cow::Borrowed(meant.as_str()), Nature::Text),
            (None, Way::Canonical(nature)) => (Cow::Borrowed(canonical), *nature),
            (None, Way::Comma) => (Cow::Owned(canonical.replace('.', ",")), Nature::Text),
            (None, Way::Local(zone)) => (local(canonical, *zone), Nature::Text),
            (None, Way::Formats(formats)) => formats.spell(canonical)?,
        };
        Ok(FileCell {
            text: Some(text),
            nature,
        })
    }
}

/// A number as JSON has it too: no sign but a minus, digits on both sides of a point, no zero in front of others.
fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let starts_well = match digits.as_bytes() {
        [b'0'] | [b'0', b'.', ..] => true,
        [first, ..] => (b'1'..=b'9').contains(first),
        [] => false,
    };
    starts_well && !digits.ends_with('.') && Decimal::parse(digits).is_some()
}

/// Local time says when it was, with its offset also in the hour that comes twice. Where that is not in whole minutes, as before
/// zones were, UTC has to do.
fn local(canonical: &str, zone: Tz) -> Cow<'_, str> {
    let Some((at, false)) = iso_datetime(canonical) else {
        return Cow::Borrowed(canonical);
    };
    let local = zone.from_utc_datetime(&at);
    let offset = local.offset().fix().local_minus_utc();
    if offset % 60 != 0 {
        return Cow::Owned(format!("{canonical}Z"));
    }
    Cow::Owned(local.format("%Y-%m-%d %H:%M:%S%.f%:z").to_string())
}

impl Formats {
    fn of(field: &Field, zone: Tz) -> Self {
        let is_canonical = field.time_zone.is_none() && field.formats.first().is_some_and(|first| is_canonical(first));
        let nature = match field.kind {
            FieldType::Date => Nature::Date,
            FieldType::Time => Nature::Time,
            _ => Nature::Datetime,
        };
        Self {
            in_order: field.formats.clone(),
            zone,
            typer: CellTyper::new(field),
            canonical: is_canonical.then_some(nature),
        }
    }

    fn reads_back(&self, text: &str, canonical: &str) -> bool {
        matches!(self.typer.read(text), Ok(Cell::Text(read)) if read == canonical)
    }

    /// The value in the first of the formats that reads back as it.
    fn spell<'a>(&self, canonical: &'a str) -> Result<(Cow<'a, str>, Nature), String> {
        if let Some(nature) = self.canonical
            && self.reads_back(canonical, canonical)
        {
            return Ok((Cow::Borrowed(canonical), nature));
        }
        if let Some(at) = moment(canonical) {
            // A date has no zone, and neither has the time of a clock.
            let is_datetime = canonical.len() > 10 && canonical.as_bytes()[4] == b'-';
            let zone = if is_datetime { self.zone } else { Tz::UTC };
            let at = zone.from_utc_datetime(&at);
            let texts = self.in_order.iter().filter_map(|format| in_format(&at, format));
            let found = texts.into_iter().find(|text| self.reads_back(text, canonical));
            if let Some(text) = found {
                return Ok((Cow::Owned(text), Nature::Text));
            }
        }
        let formats: Vec<_> = self.in_order.iter().map(|format| format!("`{format}`")).collect();
        Err(format!(
            "holds {}, which would not be read back in the form {}: add a format to the field that says all of it",
            quoted(canonical),
            formats.join(" or ")
        ))
    }
}

/// Whether it makes canonical text of all it can say.
fn is_canonical(format: &str) -> bool {
    let format = format.strip_suffix("%.f").unwrap_or(format);
    matches!(
        format,
        "%Y-%m-%d" | "%F" | "%Y-%m-%d %H:%M:%S" | "%F %T" | "%H:%M:%S" | "%T"
    )
}

/// A canonical date, date and time, or time of day, whose date does not matter.
fn moment(canonical: &str) -> Option<NaiveDateTime> {
    if let Some((at, _)) = iso_datetime(canonical) {
        return Some(at);
    }
    let time = iso_time(canonical.as_bytes())?;
    Some(NaiveDate::default().and_time(time))
}

fn in_format<T: TimeZone>(at: &DateTime<T>, format: &str) -> Option<String>
where
    T::Offset: std::fmt::Display,
{
    let mut text = String::new();
    write!(text, "{}", at.format_with_items(StrftimeItems::new(format))).ok()?;
    Some(text)
}

/// Days since `epoch` and the time, of a canonical date or date and time.
pub(in crate::format) fn days_and_time(text: &str, epoch: NaiveDate) -> Option<(i64, NaiveTime)> {
    let at = moment(text)?;
    Some((at.date().signed_duration_since(epoch).num_days(), at.time()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(kind: FieldType) -> Field {
        Field {
            name: "f".to_owned(),
            kind,
            ..Field::default()
        }
    }

    fn in_formats(kind: FieldType, formats: &[&str], zone: Option<Tz>) -> Field {
        Field {
            formats: formats.iter().map(|&format| format.to_owned()).collect(),
            time_zone: zone,
            ..field(kind)
        }
    }

    /// What it is spelt, which must read back as it.
    #[track_caller]
    fn spelt(field: &Field, canonical: &str) -> (String, Nature) {
        let speller = Speller::new(field, BTreeMap::new());
        let cell = speller.spell(Some(canonical)).expect("spelt");
        let nature = cell.nature();
        let text = cell.text.expect("a value").into_owned();
        let read = CellTyper::new(field).read(&text).expect("read back");
        assert_eq!(read.text().as_deref(), Some(canonical), "{text}");
        (text, nature)
    }

    const DECIMAL: FieldType = FieldType::Decimal {
        precision: 18,
        scale: Some(2),
    };

    #[test]
    fn canonical_text_stays_where_nothing_else_is_asked_for() {
        for (kind, text, nature) in [
            (FieldType::String, " a ", Nature::Text),
            (FieldType::Int, "-12", Nature::Number),
            (DECIMAL, "-0.50", Nature::Number),
            (FieldType::Bool, "Yes", Nature::Bool),
            (FieldType::Date, "2026-01-31", Nature::Date),
            (FieldType::Datetime, "2026-01-31 13:05:00.25", Nature::Datetime),
            (FieldType::Time, "13:05:00", Nature::Time),
            (FieldType::Enum(vec!["Open".to_owned()]), "Open", Nature::Text),
        ] {
            assert_eq!(spelt(&field(kind), text), (text.to_owned(), nature));
        }
        let digits = FieldType::Decimal {
            precision: 18,
            scale: None,
        };
        assert_eq!(spelt(&field(digits), "12.50").1, Nature::Digits);
    }

    #[test]
    fn what_is_no_value_of_its_type_is_text() {
        for (kind, text) in [
            (DECIMAL, "NaN"),
            (DECIMAL, "1e5"),
            (DECIMAL, "012"),
            (FieldType::Datetime, "infinity"),
            (FieldType::Datetime, "2026-01-31T10:00:00Z"),
            (FieldType::Date, "0044-03-15 BC"),
            (FieldType::Bool, "7"),
        ] {
            let (field, values) = (field(kind), BTreeMap::new());
            let speller = Speller::new(&field, values);
            let cell = speller.spell(Some(text)).expect("spelt");
            assert_eq!((cell.text.as_deref(), cell.nature()), (Some(text), Nature::Text));
        }
    }

    #[test]
    fn a_comma_and_formats_are_those_of_the_field() {
        let comma = Field {
            decimal_comma: true,
            group_separator: Some('.'),
            ..field(DECIMAL)
        };
        assert_eq!(spelt(&comma, "1234.50"), ("1234,50".to_owned(), Nature::Text));
        let day = in_formats(FieldType::Date, &["%d.%m.%y", "%d.%m.%Y"], None);
        let plain = in_formats(FieldType::Datetime, &["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d"], None);
        for text in ["2026-01-31 13:05:00", "2026-01-31 13:05:00.12"] {
            assert_eq!(spelt(&plain, text), (text.to_owned(), Nature::Datetime));
        }
        assert_eq!(spelt(&day, "2026-01-31").0, "31.01.26");
        assert_eq!(
            spelt(&day, "1926-01-31").0,
            "31.01.1926",
            "two digits mean another year"
        );
        let moment = in_formats(FieldType::Datetime, &["%d.%m.%Y", "%d.%m.%Y %H:%M:%S%.f"], None);
        assert_eq!(spelt(&moment, "2026-01-31 00:00:00").0, "31.01.2026");
        assert_eq!(spelt(&moment, "2026-01-31 13:05:00.5").0, "31.01.2026 13:05:00.500");
        let time = in_formats(FieldType::Time, &["%I:%M %p"], None);
        assert_eq!(spelt(&time, "13:05:00").0, "01:05 PM");
        let error = Speller::new(&time, BTreeMap::new())
            .spell(Some("13:05:01"))
            .unwrap_err();
        assert!(
            error.contains("`13:05:01`, which would not be read back in the form `%I:%M %p`"),
            "{error}"
        );
    }

    #[test]
    fn local_time_is_told_from_the_same_an_hour_later() {
        let zone = Some(chrono_tz::Europe::Berlin);
        let bare = in_formats(FieldType::Datetime, &[], zone);
        assert_eq!(spelt(&bare, "2026-10-25 00:30:00").0, "2026-10-25 02:30:00+02:00");
        assert_eq!(spelt(&bare, "2026-10-25 01:30:00").0, "2026-10-25 02:30:00+01:00");
        assert_eq!(spelt(&bare, "1800-01-01 00:00:00").0, "1800-01-01 00:00:00Z");
        let formats = in_formats(FieldType::Datetime, &["%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M%z"], zone);
        assert_eq!(spelt(&formats, "2026-10-25 00:30:00").0, "25.10.2026 02:30");
        assert_eq!(spelt(&formats, "2026-10-25 01:30:00").0, "25.10.2026 02:30+0100");
    }

    #[test]
    fn values_are_translated_and_nothing_stays_nothing() {
        let values = BTreeMap::from([("Yes".to_owned(), "J".to_owned())]);
        let field = field(FieldType::Bool);
        let speller = Speller::new(&field, values);
        let cell = |text| {
            let cell: FileCell<'_> = speller.spell(text).expect("spelt");
            (cell.text.map(Cow::into_owned), cell.nature)
        };
        assert_eq!(cell(Some("Yes")), (Some("J".to_owned()), Nature::Text));
        assert_eq!(cell(Some("No")), (Some("No".to_owned()), Nature::Bool));
        assert_eq!(cell(None), (None, Nature::Text));
    }

    proptest! {
        #[test]
        fn any_moment_reads_back(seconds in -60_000_000_000_i64..250_000_000_000, micros in 0_u32..1_000_000) {
            let at = DateTime::from_timestamp(seconds, micros * 1000).expect("within range").naive_utc();
            let datetime = field(FieldType::Datetime);
            let canonical = CellTyper::new(&datetime).read(&at.to_string()).expect("a moment");
            let canonical = canonical.text().expect("a value");
            for (formats, zone) in [
                (vec![], None),
                (vec![], Some(chrono_tz::Europe::Berlin)),
                (vec!["%d/%m/%Y %H:%M:%S%.f%:z"], Some(chrono_tz::America::New_York)),
            ] {
                if zone.is_some() && !formats.is_empty() && seconds < 0 {
                    // Offsets of old have seconds, which that format cannot say.
                    continue;
                }
                spelt(&in_formats(FieldType::Datetime, &formats, zone), &canonical);
            }
        }
    }
}
