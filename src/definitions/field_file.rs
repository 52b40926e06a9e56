//! `[[fields]]` of an entity file.

use chrono::format::{Item, StrftimeItems};

use super::default_file;
use super::names;
use super::read::{Placed, Table};
use super::spelling_file;
use crate::domain::entity::{Field, FieldType, Reference};
use crate::domain::table;
use crate::hints::one_of;

/// The words for types.
const TYPES: [&str; 9] = [
    "string", "int", "decimal", "bool", "date", "datetime", "time", "guid", "enum",
];
/// Digits of a decimal when the definition names none: what a 128-bit number holds.
const PRECISION_DEFAULT: u32 = 38;
/// Longest text a field may declare.
const MAX_LENGTH_LIMIT: u32 = 1_000_000;

/// A field and what later checks need the places of.
pub(super) struct FieldDraft {
    pub field: Field,
    pub name: Placed<String>,
    /// `required`, where it was written.
    pub required: Option<Placed<bool>>,
    /// Where the reference stands.
    pub reference: Option<Placed<()>>,
    /// Where its computed default stands.
    pub compute: Option<Placed<()>>,
}

impl FieldDraft {
    /// A field that stands in no file, but follows from what stands at `place`.
    pub fn undeclared(field: Field, place: &Placed<String>) -> Self {
        Self {
            name: place.with(field.name.clone()),
            field,
            required: None,
            reference: None,
            compute: None,
        }
    }
}

/// Reads one field. What it does not say is taken from the column of its name, where `columns` are given. `None` when not even
/// its name can be read.
pub(super) fn read(table: Table<'_>, columns: Option<&table::Table>) -> Option<FieldDraft> {
    let name = table.required_text("name");
    let column = columns
        .zip(name.as_ref())
        .and_then(|(columns, name)| columns.column(&name.value));
    let column = column.and_then(|column| column.field.as_ref().ok());
    if let Some(name) = &name
        && let Some(flaw) = names::field_flaw(&name.value)
    {
        table
            .findings()
            .at(&name.span, format!("field `{}` {flaw}", name.value));
    }
    let kind = read_type(&table, column);
    let required = table.truth("required");
    // Limits say something of their own type only.
    let same_kind = column.filter(|column| column.kind.name() == kind.name());
    let (min, max) = read_range(&table, &kind);
    let reference = read_reference(&table);
    let spelling = spelling_file::read(&table, &kind);
    let filling = default_file::read(&table, &kind);
    let draft_field = |name: String| Field {
        name,
        required: match &required {
            Some(required) => required.value,
            None => column.is_some_and(|column| column.required),
        },
        max_length: read_max_length(&table, &kind).or_else(|| same_kind?.max_length),
        min: min.clone().or_else(|| same_kind?.min.clone()),
        max: max.clone().or_else(|| same_kind?.max.clone()),
        formats: read_formats(&table, &kind),
        null_tokens: texts(&table, "null_tokens"),
        trim: spelling.trim,
        pattern: spelling.pattern.clone(),
        decimal_comma: spelling.decimal_comma,
        group_separator: spelling.group_separator,
        time_zone: spelling.time_zone,
        references: reference.as_ref().map(|reference| reference.value.clone()),
        default: filling.default.as_ref().map(|default| default.value.clone()),
        auto_number: filling.auto_number.as_ref().map(|number| number.value.clone()),
        kind,
    };
    let field = draft_field(name.as_ref().map_or_else(String::new, |name| name.value.clone()));
    filling.check(&table, &field);
    table.finish();
    let reference = reference.map(|reference| reference.with(()));
    name.map(|name| FieldDraft {
        field,
        name,
        required,
        reference,
        compute: filling.default.map(|default| default.with(())),
    })
}

fn texts(table: &Table<'_>, key: &'static str) -> Vec<String> {
    let list = table.texts(key).map_or_else(Vec::new, |list| list.value);
    list.into_iter().map(|text| text.value).collect()
}

/// The type, with the keys that only one type has.
fn read_type(table: &Table<'_>, column: Option<&Field>) -> FieldType {
    let word = table.text("type");
    let column = column.map(|column| &column.kind);
    let otherwise = column.map_or("string", FieldType::name);
    let written = word.as_ref().map_or(otherwise, |word| word.value.as_str());
    // Going on as if the right word stood there keeps the other keys from being blamed.
    let kind = synonym(written).unwrap_or(written);
    if let Some(word) = &word
        && !TYPES.contains(&written)
    {
        let hint = synonym(written).map_or_else(String::new, |kind| format!("; write `{kind}`"));
        let message = format!("`type` is `{written}`, allowed are {}{hint}", one_of(TYPES));
        table.findings().at(&word.span, message);
    }
    let precision = table.number("precision", 1..=38);
    let scale = table.number("scale", 0..=38);
    let values = table.texts("values");
    if kind != "decimal" {
        for (key, number) in [("precision", &precision), ("scale", &scale)] {
            if let Some(number) = number {
                table
                    .findings()
                    .at(&number.span, format!("`{key}` belongs to type `decimal`, not `{kind}`"));
            }
        }
    }
    if kind != "enum"
        && let Some(values) = &values
    {
        table
            .findings()
            .at(&values.span, format!("`values` belongs to type `enum`, not `{kind}`"));
    }
    match kind {
        "int" => FieldType::Int,
        "decimal" => read_decimal(table, precision.map(|digits| digits.value), scale, column),
        "bool" => FieldType::Bool,
        "date" => FieldType::Date,
        "datetime" => FieldType::Datetime,
        "time" => FieldType::Time,
        "guid" => FieldType::Guid,
        "enum" => read_enum(table, values, column),
        _ => FieldType::String,
    }
}

/// Our word for a type that other systems call differently.
fn synonym(word: &str) -> Option<&'static str> {
    let ours = match word.to_lowercase().as_str() {
        "text" | "varchar" | "str" => "string",
        "integer" | "bigint" | "long" => "int",
        "float" | "double" | "real" | "numeric" | "number" | "money" => "decimal",
        "boolean" => "bool",
        "timestamp" => "datetime",
        "uuid" => "guid",
        lower => return TYPES.into_iter().find(|kind| *kind == lower && *kind != word),
    };
    Some(ours)
}

fn read_decimal(
    table: &Table<'_>,
    precision: Option<u32>,
    scale: Option<Placed<u32>>,
    column: Option<&FieldType>,
) -> FieldType {
    if let (None, None, Some(FieldType::Decimal { precision, scale })) = (precision, &scale, column) {
        return FieldType::Decimal {
            precision: *precision,
            scale: *scale,
        };
    }
    let precision = precision.unwrap_or(PRECISION_DEFAULT);
    if let Some(scale) = scale.as_ref().filter(|scale| scale.value > precision) {
        let message = format!("`scale` {} is more than `precision` {precision}", scale.value);
        table.findings().at(&scale.span, message);
    }
    FieldType::Decimal {
        precision,
        scale: scale.map(|digits| digits.value),
    }
}

fn read_enum(table: &Table<'_>, values: Option<Placed<Vec<Placed<String>>>>, column: Option<&FieldType>) -> FieldType {
    if let (None, Some(FieldType::Enum(values))) = (&values, column) {
        return FieldType::Enum(values.clone());
    }
    let Some(values) = values.filter(|values| !values.value.is_empty()) else {
        table.findings().at(
            table.span(),
            "a field of type `enum` lacks `values`, the texts it may hold",
        );
        return FieldType::Enum(Vec::new());
    };
    let mut texts: Vec<String> = Vec::new();
    for value in values.value {
        let lower = value.value.to_lowercase();
        if value.value.trim().is_empty() || value.value.trim() != value.value {
            table
                .findings()
                .at(&value.span, "an enum value may not be empty or have outer spaces");
        } else if texts.iter().any(|text| text.to_lowercase() == lower) {
            let message = format!("enum value `{}` is listed twice (case does not count)", value.value);
            table.findings().at(&value.span, message);
        }
        texts.push(value.value);
    }
    FieldType::Enum(texts)
}

fn read_max_length(table: &Table<'_>, kind: &FieldType) -> Option<u32> {
    let length = table.number("max_length", 1..=MAX_LENGTH_LIMIT)?;
    if *kind != FieldType::String {
        let message = format!("`max_length` belongs to type `string`, not `{}`", kind.name());
        table.findings().at(&length.span, message);
    }
    Some(length.value)
}

/// `min` and `max` as plain decimal text.
fn read_range(table: &Table<'_>, kind: &FieldType) -> (Option<String>, Option<String>) {
    let bound = |key: &'static str| {
        let bound = table.scalar_text(key)?;
        let text = bound.value.trim_start_matches('+').to_owned();
        let wrong = match kind {
            FieldType::Int if text.parse::<i64>().is_err() => "must be a whole number of 64 bits",
            FieldType::Decimal { .. } if !is_plain_decimal(&text) => "must be a plain decimal number such as -0.5",
            FieldType::Int | FieldType::Decimal { .. } => return Some(bound.with(text)),
            _ => "belongs to types `int` and `decimal`",
        };
        table.findings().at(&bound.span, format!("`{key}` {wrong}"));
        None
    };
    let (min, max) = (bound("min"), bound("max"));
    // Only a slip is to be caught here, for which floating point is exact enough.
    let value = |bound: &Option<Placed<String>>| bound.as_ref().and_then(|bound| bound.value.parse::<f64>().ok());
    if let (Some(least), Some(most), Some(at)) = (value(&min), value(&max), &max)
        && least > most
    {
        table.findings().at(&at.span, "`max` is less than `min`");
    }
    (min.map(|bound| bound.value), max.map(|bound| bound.value))
}

fn is_plain_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && all_digits(fraction)
}

fn read_formats(table: &Table<'_>, kind: &FieldType) -> Vec<String> {
    let Some(formats) = table.texts("formats") else {
        return Vec::new();
    };
    if !matches!(kind, FieldType::Date | FieldType::Datetime | FieldType::Time) {
        let message = format!(
            "`formats` belongs to types `date`, `datetime` and `time`, not `{}`",
            kind.name()
        );
        table.findings().at(&formats.span, message);
    }
    for format in &formats.value {
        let broken = StrftimeItems::new(&format.value).any(|item| matches!(item, Item::Error));
        if broken || !format.value.contains('%') {
            let message = format!(
                "`{}` is not a date format; write one such as \"%Y-%m-%d\"",
                format.value
            );
            table.findings().at(&format.span, message);
        }
    }
    formats.value.into_iter().map(|format| format.value).collect()
}

fn read_reference(table: &Table<'_>) -> Option<Placed<Reference>> {
    let inner = table.table("references", "`references`")?;
    let (entity, field) = (inner.required_text("entity"), inner.required_text("field"));
    let placed = Placed {
        value: (),
        span: inner.span().clone(),
    };
    inner.finish();
    Some(placed.with(Reference {
        entity: entity?.value,
        field: field?.value,
    }))
}
