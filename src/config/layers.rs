//! Where settings are written: defaults, file, environment, flags; each later one wins. Everything becomes a dotted key with
//! a value and the place it was written in.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{Mistake, Overrides};
use crate::hints::Lines;

/// Complete, commented, and the lowest layer: no default is written anywhere else.
pub const DEFAULTS: &str = include_str!("../../tranship.default.toml");

/// Begins every variable of ours.
const PREFIX: &str = "TRANSHIP_";

/// OpenTelemetry's own variables, and the settings they stand for; ours go before them.
const STANDARD_VARIABLES: [(&str, &str); 2] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
];

/// The keys outside sections.
pub(super) const TOP_LEVEL: [&str; 3] = ["data_dir", "jobs_dir", "entities_dir"];

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    /// A TOML string.
    Text(String),
    /// A TOML integer, in decimal.
    Number(String),
    /// A TOML truth value.
    Truth(bool),
    /// A TOML array of strings.
    List(Vec<String>),
    /// From a variable or flag, where everything is text.
    Words(String),
    /// Some other TOML value, by the name of its type.
    Other(&'static str),
}

/// Which layer: hints speak its language, mistakes are listed in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    Default,
    File,
    Variable,
    Flag,
}

impl Origin {
    /// The key as it is written in such a place.
    pub fn spell(self, key: &str) -> String {
        match self {
            Self::Variable => format!("{PREFIX}{}", key.replace('.', "__").to_uppercase()),
            _ => key.to_owned(),
        }
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub raw: Raw,
    pub place: String,
    pub origin: Origin,
}

/// By dotted key, the last layer's word.
pub(super) type Values = BTreeMap<String, Written>;

/// Puts all layers on top of each other.
pub(super) fn gather(overrides: &Overrides, environment: &[(String, String)], mistakes: &mut Vec<Mistake>) -> Values {
    let mut values = defaults();
    read_file(overrides.file.as_deref(), &mut values, mistakes);
    for (name, value) in environment {
        if let Some((_, key)) = STANDARD_VARIABLES.iter().find(|(standard, _)| standard == name)
            && !value.is_empty()
        {
            let written = Written {
                raw: Raw::Words(value.clone()),
                place: name.clone(),
                origin: Origin::Variable,
            };
            values.insert((*key).to_owned(), written);
        }
    }
    for (name, value) in environment {
        // docker compose hands on variables it does not have as empty ones.
        if let Some(key) = key_of_variable(name).filter(|_| !value.is_empty()) {
            values.insert(
                key,
                Written {
                    raw: Raw::Words(value.clone()),
                    place: name.clone(),
                    origin: Origin::Variable,
                },
            );
        }
    }
    for (key, value) in &overrides.values {
        let place = format!("--set {key}");
        values.insert(
            key.clone(),
            Written {
                raw: Raw::Words(value.clone()),
                place,
                origin: Origin::Flag,
            },
        );
    }
    values
}

/// The embedded file alone.
pub(super) fn defaults() -> Values {
    let mut values = Values::new();
    let table = DeTable::parse(DEFAULTS).expect("a test reads the embedded defaults");
    flatten("", table.get_ref(), &mut |key, value, _| {
        let written = Written {
            raw: raw(value),
            place: "default".to_owned(),
            origin: Origin::Default,
        };
        values.insert(key, written);
    });
    values
}

/// The setting a variable stands for; other variables with our prefix belong to the command line.
fn key_of_variable(name: &str) -> Option<String> {
    let key = name.strip_prefix(PREFIX)?.to_lowercase();
    (key.contains("__") || TOP_LEVEL.contains(&key.as_str())).then(|| key.replace("__", "."))
}

fn read_file(file: Option<&Path>, values: &mut Values, mistakes: &mut Vec<Mistake>) {
    let path = file.unwrap_or(Path::new("tranship.toml"));
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // Only a file that was asked for must be there.
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => {
            mistakes.push(Mistake {
                place: name,
                message: format!("cannot be read: {error}"),
            });
            return;
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = Lines::of(text);
    let place = |offset: usize| format!("{name}:{}", lines.line(offset));
    let (table, syntax) = DeTable::parse_recoverable(text);
    for error in &syntax {
        let offset = error.span().map_or(0, |span| span.start);
        mistakes.push(Mistake {
            place: place(offset),
            message: error.message().trim().replace('\n', ", "),
        });
    }
    if syntax.is_empty() {
        flatten("", table.get_ref(), &mut |key, value, offset| {
            values.insert(
                key,
                Written {
                    raw: raw(value),
                    place: place(offset),
                    origin: Origin::File,
                },
            );
        });
    }
}

/// Calls `found` with every value that is not a table, its dotted key and where the key stands.
fn flatten(prefix: &str, table: &DeTable<'_>, found: &mut impl FnMut(String, &DeValue<'_>, usize)) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        match value.get_ref() {
            DeValue::Table(inner) => flatten(&key, inner, found),
            other => found(key, other, name.span().start),
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("integer"), |number| Raw::Number(number.to_string())),
        DeValue::Boolean(truth) => Raw::Truth(*truth),
        DeValue::Array(items) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map_or(Raw::Other("array"), Raw::List),
        other => Raw::Other(other.type_str()),
    }
}
