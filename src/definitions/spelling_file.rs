//! How a field's values are spelt in files: `trim`, `pattern`, `decimal_separator`, `group_separator`, `time_zone`.

use regex::RegexBuilder;

use super::read::Table;
use super::schedule_file::read_zone;
use crate::domain::entity::FieldType;
use crate::domain::pattern::TextPattern;
use crate::hints::one_of;

/// Memory a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// What may stand between groups of digits; the thin and the hard blank are what spreadsheets write.
const GROUP_SEPARATORS: [&str; 6] = [".", ",", "'", " ", "\u{a0}", "\u{202f}"];

/// How one field's values are spelt.
#[derive(Debug, Clone, Default)]
pub(super) struct Spelling {
    pub trim: bool,
    pub pattern: Option<TextPattern>,
    pub decimal_comma: bool,
    pub group_separator: Option<char>,
    pub time_zone: Option<chrono_tz::Tz>,
}

/// Reads what belongs to this type, and complains of what does not.
pub(super) fn read(table: &Table<'_>, kind: &FieldType) -> Spelling {
    let is_decimal = matches!(kind, FieldType::Decimal { .. });
    let belongs = [
        ("trim", "`string`", *kind == FieldType::String),
        ("pattern", "`string`", *kind == FieldType::String),
        ("decimal_separator", "`decimal`", is_decimal),
        (
            "group_separator",
            "`int` and `decimal`",
            is_decimal || *kind == FieldType::Int,
        ),
        ("time_zone", "`datetime`", *kind == FieldType::Datetime),
    ];
    let mut spelling = Spelling {
        trim: table.truth("trim").is_some_and(|trim| trim.value),
        pattern: read_pattern(table),
        decimal_comma: table
            .choice("decimal_separator", &[(".", false), (",", true)])
            .is_some_and(|comma| comma.value),
        group_separator: read_group_separator(table),
        time_zone: table.text("time_zone").and_then(|zone| read_zone(table, &zone)),
    };
    for (key, types, fits) in belongs {
        if table.has(key) && !fits {
            let message = format!("`{key}` belongs to {types}, not `{}`", kind.name());
            table.findings().at(table.span(), message);
        }
    }
    let decimal = if spelling.decimal_comma { ',' } else { '.' };
    if spelling.group_separator == Some(decimal) {
        let message = format!("`group_separator` and the decimal separator are both `{decimal}`");
        table.findings().at(table.span(), message);
        spelling.group_separator = None;
    }
    spelling
}

fn read_pattern(table: &Table<'_>) -> Option<TextPattern> {
    let text = table.text("pattern")?;
    // As a whole: a pattern that is found somewhere inside allows everything around it.
    let whole = format!("^(?:{})$", text.value);
    match RegexBuilder::new(&whole).size_limit(PATTERN_BYTES_MAX).build() {
        Ok(pattern) => Some(TextPattern(pattern)),
        Err(error) => {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default();
            let message = format!("`pattern` is no regular expression: {last}");
            table.findings().at(&text.span, message);
            None
        }
    }
}

/// Apart from `Table::text`, because a blank is a blank text.
fn read_group_separator(table: &Table<'_>) -> Option<char> {
    let text = table.scalar_text("group_separator")?;
    if !GROUP_SEPARATORS.contains(&text.value.as_str()) {
        let message = format!(
            "`group_separator` is `{}`, allowed are {}",
            text.value,
            one_of(GROUP_SEPARATORS)
        );
        table.findings().at(&text.span, message);
        return None;
    }
    text.value.chars().next()
}
