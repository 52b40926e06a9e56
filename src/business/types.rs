//! What column types and field types have to do with each other: which field a column makes, and whether a column holds a
//! field without loss.

use super::dialect::Dialect;
use crate::domain::entity::{Field, FieldType};

/// Decimal digits a binary floating point number of 64 bits keeps, whatever they are.
const DOUBLE_DIGITS: u32 = 15;
/// The same of 32 bits.
const REAL_DIGITS: u32 = 6;
/// Digits a decimal field has at most.
const DECIMAL_DIGITS: u32 = 38;
/// Longest text a field may declare.
const LENGTH_MOST: u32 = 1_000_000;

/// SQLite's affinities, by which it treats a column whatever its type is called (<https://sqlite.org/datatype3.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    /// Keeps values as they come.
    Blob,
    Real,
    Numeric,
}

impl Dialect {
    /// The field a column of this declared type makes: its type and limits, without a name. `labels` are those of a
    /// PostgreSQL enum.
    ///
    /// # Errors
    /// Why no field holds it, to be read after "column `x` is …".
    pub(super) fn field_of(self, declared: &str, labels: Option<&[String]>) -> Result<Field, String> {
        let lower = declared.to_ascii_lowercase();
        let (base, numbers) = type_parts(&lower);
        match self {
            Self::Postgres => postgres_field(base, &numbers, labels)
                .ok_or_else(|| format!("{declared}, which rounds in a way no field does")),
            Self::Sqlite => sqlite_field(&lower, base, &numbers).ok_or_else(|| match affinity(&lower) {
                Affinity::Blob => format!("{declared}, bytes, which no field holds"),
                _ => format!("{declared}, which SQLite turns into a number where it can (affinity NUMERIC)"),
            }),
        }
    }

    /// Whether a column of this declared type holds the field without loss.
    pub(super) fn holds(self, field: &Field, declared: &str) -> bool {
        let declared = declared.to_ascii_lowercase();
        let (base, numbers) = type_parts(&declared);
        match self {
            Self::Postgres => postgres_holds(field, base, &numbers),
            Self::Sqlite => sqlite_holds(field, &declared, &numbers),
        }
    }

    /// Whether a column of this declared type is written as text that the database turns into the type: what PostgreSQL has
    /// beyond the types of fields (json, arrays, bytea, enums, networks, intervals). SQLite has no such types.
    pub(super) fn converts(self, declared: &str) -> bool {
        let lower = declared.to_ascii_lowercase();
        self == Self::Postgres && !postgres_is_plain(type_parts(&lower).0)
    }

    /// Whether a column of this declared type keeps only the nearest binary fraction of few digits.
    pub(super) fn rounds(self, declared: &str) -> bool {
        self == Self::Postgres && declared.eq_ignore_ascii_case("real")
    }

    /// Whether turning a column of this declared type into the field's own only gives it more room, so that no value changes.
    /// On PostgreSQL that touches the catalogue alone; SQLite cannot change a column.
    pub(super) fn widens(self, field: &Field, declared: &str) -> bool {
        let lower = declared.to_ascii_lowercase();
        let (base, numbers) = type_parts(&lower);
        match (self, &field.kind, numbers.as_slice()) {
            (Self::Postgres, FieldType::String | FieldType::Enum(_), [_]) => base == "character varying",
            (
                Self::Postgres,
                FieldType::Decimal {
                    precision,
                    scale: Some(scale),
                },
                [digits, after],
            ) => base == "numeric" && after == scale && digits < precision,
            _ => false,
        }
    }
}

/// What a column has room for, where PostgreSQL refuses more. SQLite's columns have room for everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Characters(u32),
    Between(i64, i64),
    Digits { before_point: u32, scale: u32 },
}

impl Dialect {
    /// The room of a column of this declared type, if it is bounded.
    pub(super) fn room(self, declared: &str) -> Option<Room> {
        if self == Self::Sqlite {
            return None;
        }
        let (base, numbers) = type_parts(declared);
        match (base, numbers.as_slice()) {
            ("character varying" | "character", [most]) => Some(Room::Characters(*most)),
            ("numeric", [precision, rest @ ..]) => {
                let scale = rest.first().copied().unwrap_or(0);
                let before_point = precision.checked_sub(scale)?;
                Some(Room::Digits { before_point, scale })
            }
            _ => int_room(base).map(|(least, most)| Room::Between(least, most)),
        }
    }

    /// A value of which nothing is known, of this declared type.
    pub(super) fn unknown(self, declared: &str) -> String {
        match self {
            Self::Postgres => format!("null::{declared}"),
            Self::Sqlite => "null".to_owned(),
        }
    }

    /// A staged value as a column of this declared type keeps it: SQLite's affinity makes numbers of texts.
    pub(super) fn as_stored(self, declared: &str, value: &str) -> String {
        let declared = declared.to_ascii_lowercase();
        match (self, affinity(&declared)) {
            (Self::Postgres, _) | (_, Affinity::Text | Affinity::Blob) => value.to_owned(),
            (Self::Sqlite, _) => format!("cast({value} as numeric)"),
        }
    }
}

/// `numeric(18,2)` → (`numeric`, [18, 2]); `timestamp(3) with time zone` → (`timestamp`, [3]). An array is a type of its own.
fn type_parts(declared: &str) -> (&str, Vec<u32>) {
    let Some((base, rest)) = declared.split_once('(').filter(|_| !declared.ends_with(']')) else {
        return (declared, Vec::new());
    };
    let inside = rest.split(')').next().unwrap_or_default();
    (
        base.trim(),
        inside.split(',').filter_map(|n| n.trim().parse().ok()).collect(),
    )
}

fn text(max_length: Option<u32>) -> Field {
    Field {
        max_length: max_length.filter(|most| *most > 0).map(|most| most.min(LENGTH_MOST)),
        ..of(FieldType::String)
    }
}

fn of(kind: FieldType) -> Field {
    Field {
        kind,
        ..Field::default()
    }
}

fn whole(least: i64, most: i64) -> Field {
    Field {
        min: Some(least.to_string()),
        max: Some(most.to_string()),
        ..of(FieldType::Int)
    }
}

fn decimal(precision: u32, scale: Option<u32>) -> Field {
    of(FieldType::Decimal { precision, scale })
}

fn postgres_field(base: &str, numbers: &[u32], labels: Option<&[String]>) -> Option<Field> {
    if let Some(labels) = labels {
        return Some(if are_values(labels) {
            of(FieldType::Enum(labels.to_vec()))
        } else {
            text(None)
        });
    }
    if !postgres_is_plain(base) {
        return Some(text(None));
    }
    Some(match base {
        "bigint" => of(FieldType::Int),
        "numeric" => match numbers {
            [] => decimal(DECIMAL_DIGITS, None),
            [digits, scale] if scale <= digits && *digits <= DECIMAL_DIGITS => decimal(*digits, Some(*scale)),
            [_, scale] if *scale <= DECIMAL_DIGITS => decimal(DECIMAL_DIGITS, Some(*scale)),
            _ => return None,
        },
        "real" => decimal(REAL_DIGITS, None),
        "double precision" => decimal(DOUBLE_DIGITS, None),
        "boolean" => of(FieldType::Bool),
        "date" => of(FieldType::Date),
        "uuid" => of(FieldType::Guid),
        "character varying" | "character" => text(numbers.first().copied()),
        _ if base.starts_with("timestamp") => of(FieldType::Datetime),
        _ if base.starts_with("time") => of(FieldType::Time),
        _ => int_room(base).map_or_else(|| text(None), |(least, most)| whole(least, most)),
    })
}

/// Whether these texts may be the values of an enum field: not empty, no outer spaces, different in any case.
fn are_values(labels: &[String]) -> bool {
    let mut seen: Vec<String> = Vec::new();
    labels.iter().all(|label| {
        let lower = label.to_lowercase();
        let fine = !label.is_empty() && label.trim() == label && !seen.contains(&lower);
        seen.push(lower);
        fine
    })
}

/// What PostgreSQL's whole numbers short of `bigint` hold.
fn int_room(base: &str) -> Option<(i64, i64)> {
    match base {
        "smallint" => Some((i16::MIN.into(), i16::MAX.into())),
        "integer" => Some((i32::MIN.into(), i32::MAX.into())),
        _ => None,
    }
}

/// The types a field's own value goes into by itself.
fn postgres_is_plain(base: &str) -> bool {
    if base.ends_with(']') {
        return false;
    }
    matches!(
        base,
        "text"
            | "citext"
            | "character varying"
            | "character"
            | "bigint"
            | "integer"
            | "smallint"
            | "numeric"
            | "real"
            | "double precision"
            | "boolean"
            | "date"
            | "uuid"
    ) || ["timestamp", "time"]
        .iter()
        .any(|word| base == *word || base.strip_prefix(word).is_some_and(|rest| rest.starts_with(" with")))
}

fn sqlite_field(declared: &str, base: &str, numbers: &[u32]) -> Option<Field> {
    let named = |words: &[&str]| words.iter().any(|word| base.contains(word));
    Some(match affinity(declared) {
        Affinity::Integer => of(FieldType::Int),
        // What Tranship itself makes for decimals: exact, as text.
        Affinity::Text if base == "decimal_text" => {
            let digits = numbers
                .first()
                .map_or(DECIMAL_DIGITS, |digits| (*digits).clamp(1, DECIMAL_DIGITS));
            decimal(digits, numbers.get(1).map(|scale| (*scale).min(digits)))
        }
        Affinity::Text => text(numbers.first().copied()),
        Affinity::Blob if declared.trim().is_empty() => text(None),
        Affinity::Real => decimal(DOUBLE_DIGITS, None),
        Affinity::Numeric if named(&["bool"]) => of(FieldType::Bool),
        Affinity::Numeric if named(&["datetime", "timestamp"]) => of(FieldType::Datetime),
        Affinity::Numeric if named(&["date"]) => of(FieldType::Date),
        Affinity::Numeric if named(&["time"]) => of(FieldType::Time),
        Affinity::Numeric if named(&["uuid", "guid", "uniqueidentifier"]) => of(FieldType::Guid),
        Affinity::Numeric if named(&["dec", "num", "money"]) => {
            let digits = numbers
                .first()
                .map_or(DOUBLE_DIGITS, |digits| (*digits).clamp(1, DOUBLE_DIGITS));
            // DECIMAL(10) has no digits after the point.
            let scale = numbers
                .first()
                .map(|_| numbers.get(1).copied().unwrap_or(0).min(digits));
            decimal(digits, scale)
        }
        Affinity::Blob | Affinity::Numeric => return None,
    })
}

/// SQLite's own rule, in its order.
fn affinity(declared: &str) -> Affinity {
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if has(&["int"]) {
        Affinity::Integer
    } else if has(&["char", "clob", "text"]) {
        Affinity::Text
    } else if declared.trim().is_empty() || has(&["blob"]) {
        Affinity::Blob
    } else if has(&["real", "floa", "doub"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

fn long_enough(field: &Field, numbers: &[u32]) -> bool {
    let needed = match &field.kind {
        FieldType::Enum(values) => values
            .iter()
            .map(|v| u32::try_from(v.chars().count()).unwrap_or(u32::MAX))
            .max(),
        _ => field.max_length,
    };
    numbers
        .first()
        .is_none_or(|room| needed.is_some_and(|needed| needed <= *room))
}

fn postgres_holds(field: &Field, base: &str, numbers: &[u32]) -> bool {
    if !postgres_is_plain(base) {
        return matches!(field.kind, FieldType::String | FieldType::Enum(_));
    }
    match &field.kind {
        FieldType::String | FieldType::Enum(_) => match base {
            "text" | "citext" => true,
            "character varying" | "character" => long_enough(field, numbers),
            _ => false,
        },
        FieldType::Int => base == "bigint" || int_room(base).is_some_and(|room| within(field, room)),
        FieldType::Decimal { precision, .. } if base == "double precision" => *precision <= DOUBLE_DIGITS,
        FieldType::Decimal { precision, .. } if base == "real" => *precision <= REAL_DIGITS,
        FieldType::Decimal { precision, scale } => match (numbers, scale) {
            ([], _) => base == "numeric",
            ([p, s], Some(scale)) => base == "numeric" && s == scale && p >= precision,
            _ => false,
        },
        FieldType::Bool => base == "boolean",
        FieldType::Date => base == "date",
        FieldType::Datetime => base.starts_with("timestamp"),
        FieldType::Time => base.starts_with("time") && !base.starts_with("timestamp"),
        FieldType::Guid => base == "uuid",
    }
}

/// Whether the field's own limits keep its values within these.
fn within(field: &Field, (least, most): (i64, i64)) -> bool {
    let bound = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<i64>().ok());
    bound(&field.min).is_some_and(|min| min >= least) && bound(&field.max).is_some_and(|max| max <= most)
}

fn sqlite_holds(field: &Field, declared: &str, numbers: &[u32]) -> bool {
    let affinity = affinity(declared);
    match field.kind {
        FieldType::String | FieldType::Enum(_) => match affinity {
            Affinity::Text => long_enough(field, numbers),
            other => other == Affinity::Blob,
        },
        // A number keeps what a binary fraction can; more digits want text.
        FieldType::Decimal { precision, .. } => {
            matches!(affinity, Affinity::Text | Affinity::Blob)
                || (matches!(affinity, Affinity::Real | Affinity::Numeric) && precision <= DOUBLE_DIGITS)
        }
        FieldType::Int | FieldType::Bool => !matches!(affinity, Affinity::Text | Affinity::Real),
        // They do not look like numbers, so a column declared `date` or `uuid` keeps their text.
        FieldType::Date | FieldType::Datetime | FieldType::Time | FieldType::Guid => {
            !matches!(affinity, Affinity::Integer | Affinity::Real)
        }
    }
}

#[cfg(test)]
mod tests;
