//! What a field holds when a record brings nothing for it: `default`, `compute`, `auto_number`.

use super::read::{Placed, Table};
use crate::domain::auto_number::{AutoNumber, NumberFormat};
use crate::domain::cell::Cell;
use crate::domain::computed::{Computed, Fact, FieldDefault, LoadFacts, Piece};
use crate::domain::entity::{Field, FieldType};
use crate::domain::time::Timestamp;
use crate::format::typed::{type_canonical, type_cell};

/// What one field says about missing values, before it is checked against the field itself.
#[derive(Debug, Default)]
pub(super) struct Filling {
    pub default: Option<Placed<FieldDefault>>,
    pub auto_number: Option<Placed<AutoNumber>>,
}

/// Reads the three keys, of which a field has one at most.
pub(super) fn read(table: &Table<'_>, kind: &FieldType) -> Filling {
    let constant = table.constant("default");
    let computed = read_computed(table);
    let auto_number = read_auto_number(table, kind);
    let written = ["default", "compute", "auto_number"].map(|key| table.has(key));
    if written.iter().filter(|written| **written).count() > 1 {
        let message = "`default`, `compute` and `auto_number` each say what stands for a missing value: keep one";
        table.findings().at(table.span(), message);
    }
    let constant = constant.map(|text| text.with(FieldDefault::Constant(text.value.clone())));
    let computed = computed.map(|computed| computed.with(FieldDefault::Computed(computed.value.clone())));
    Filling {
        default: constant.or(computed),
        auto_number,
    }
}

fn read_computed(table: &Table<'_>) -> Option<Placed<Computed>> {
    let text = table.text("compute")?;
    match text.value.parse() {
        Ok(computed) => Some(text.with(computed)),
        Err(error) => {
            table.findings().at(&text.span, format!("`compute` {error}"));
            None
        }
    }
}

fn read_auto_number(table: &Table<'_>, kind: &FieldType) -> Option<Placed<AutoNumber>> {
    let inner = table.table("auto_number", "`auto_number`")?;
    let format = inner.text("format");
    // From 0: a negative number would break the width of its format.
    let start = inner.number("start", 0..=u32::MAX);
    let placed = Placed {
        value: (),
        span: inner.span().clone(),
    };
    inner.finish();
    let parsed = match &format {
        None => Ok(NumberFormat::default()),
        Some(format) => format.value.parse::<NumberFormat>(),
    };
    let flaw = match (kind, &parsed) {
        (FieldType::String | FieldType::Int, Err(error)) => Some(format!("`format` {error}")),
        (FieldType::Int, Ok(format)) if !format.is_plain() => {
            Some("`format` belongs to type `string`: a number of type `int` has no other text".to_owned())
        }
        (FieldType::String | FieldType::Int, Ok(_)) => None,
        _ => Some(format!(
            "`auto_number` belongs to types `string` and `int`, not `{}`",
            kind.name()
        )),
    };
    if let Some(flaw) = flaw {
        table.findings().at(&placed.span, flaw);
        return None;
    }
    Some(placed.with(AutoNumber {
        format: parsed.unwrap_or_default(),
        start: start.map_or(1, |start| i64::from(start.value)),
    }))
}

impl Filling {
    /// Types what is the same for every record, so that it is not found out by the first one.
    pub fn check(&self, table: &Table<'_>, field: &Field) {
        let blame = |place: std::ops::Range<usize>, message: String| table.findings().at(&place, message);
        match self
            .default
            .as_ref()
            .map(|default| (&default.value, default.span.clone()))
        {
            Some((FieldDefault::Constant(text), place)) => match type_cell(field, text) {
                Ok(Cell::Null) => blame(place, "`default` is empty; leave it out".to_owned()),
                Ok(_) => {}
                Err(error) => blame(place, format!("`default`: {}", error.reason)),
            },
            Some((FieldDefault::Computed(computed), place)) => {
                if let Some(sample) = sample(computed)
                    && let Err(error) = type_canonical(field, &sample)
                {
                    blame(place, format!("`compute` gives such as `{sample}`: {}", error.reason));
                }
            }
            None => {}
        }
        if let Some(number) = &self.auto_number {
            let first = number.value.format.text(number.value.start);
            if let Err(error) = type_canonical(field, &first) {
                blame(
                    number.span.clone(),
                    format!("`auto_number` gives `{first}`: {}", error.reason),
                );
            }
        }
    }
}

/// What it gives, where neither record nor sender decides.
fn sample(computed: &Computed) -> Option<String> {
    let decided_elsewhere =
        |piece: &Piece| matches!(piece, Piece::Field(_) | Piece::Fact(Fact::Company | Fact::ExternalId));
    if computed.pieces.iter().any(decided_elsewhere) {
        return None;
    }
    let facts = LoadFacts {
        began_at: Timestamp(1_767_600_000_123_456),
        company: None,
        message_id: "019b8d1c-6c00-7000-8000-000000000000".to_owned(),
        external_id: None,
        enqueued_at: Timestamp(1_767_600_000_123_456),
    };
    computed.text(&facts, 1, |_| None)
}
