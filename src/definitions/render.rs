//! Entities as text that loads as the same entity. Everything that came from outside passes through [`quote`].

use std::fmt::Write as _;

use crate::domain::entity::{Entity, Field, FieldType};

/// An entity file that begins with this comment. What has its default is left out; so is what no program makes up: formats of
/// numbers, patterns, what to do about a file's columns.
pub(super) fn entity(comment: &str, entity: &Entity) -> String {
    let mut text = String::new();
    for line in comment.lines() {
        // A column's type may be called anything.
        let _ = writeln!(text, "# {}", line.replace(char::is_control, " "));
    }
    // Writing to a String cannot fail.
    let mut line = |key: &str, value: String, comment: &str| {
        let _ = writeln!(text, "{key} = {value}{comment}");
    };
    line("name", quote(&entity.name), "");
    line(
        "label",
        quote(&entity.label),
        "   # the name on the wire and in manifests",
    );
    if entity.database != "main" {
        line("database", quote(&entity.database), "");
    }
    line("table", quote(&entity.table), "");
    if entity.create_table {
        line(
            "create_table",
            "true".to_owned(),
            "   # made on first use when it is missing",
        );
    }
    line("key", list(&entity.key), "");
    if let Some(company) = &entity.company_field {
        line("company_field", quote(company), "");
    }
    for field in &entity.fields {
        text.push_str(&self::field(field, entity.is_key(&field.name)));
    }
    text
}

fn field(field: &Field, is_key: bool) -> String {
    let mut text = format!(
        "\n[[fields]]\nname = {}\ntype = \"{}\"\n",
        quote(&field.name),
        field.kind.name()
    );
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {value}");
        }
    };
    let filled = |texts: &[String]| (!texts.is_empty()).then(|| list(texts));
    line("max_length", field.max_length.map(|length| length.to_string()));
    match &field.kind {
        FieldType::Decimal { precision, scale } => {
            line("precision", Some(precision.to_string()));
            line("scale", scale.map(|scale| scale.to_string()));
        }
        FieldType::Enum(values) => line("values", Some(list(values))),
        _ => {}
    }
    line("min", field.min.clone());
    line("max", field.max.clone());
    // A key field is required anyway.
    line("required", (field.required && !is_key).then(|| "true".to_owned()));
    line("formats", filled(&field.formats));
    line("null_tokens", filled(&field.null_tokens));
    let reference = field.references.as_ref().map(|to| {
        let (entity, field) = (quote(&to.entity), quote(&to.field));
        format!("{{ entity = {entity}, field = {field} }}")
    });
    line("references", reference);
    text
}

/// A list of texts.
pub(super) fn list(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A basic TOML string on one line, whatever it holds.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
