//! The three texts. Everything that came from outside passes through [`quote`], comments included.

use std::fmt::Write as _;

use super::{Column, Sample};
use crate::domain::entity::FieldType;
use crate::domain::ids::JobId;

/// The entity file.
pub fn entity(sample: &Sample<'_>, name: &str, label: &str, table: &str, key: &[String], columns: &[Column]) -> String {
    let mut text = format!(
        "# Made by `tranship init` from {file}, of which {records} records were looked at. Types, lengths and the key are\n\
         # guesses from them: check what you know better. entities/README.md explains every key.\n\
         name = {name}\n\
         label = {label}   # the name on the wire and in manifests\n\
         table = {table}\n\
         create_table = true   # made on first use when it is missing\n\
         key = [{key}]\n",
        file = quote(sample.file_name),
        records = sample.rows.len(),
        name = quote(name),
        label = quote(label),
        table = quote(table),
        key = list(key),
    );
    for column in columns {
        text.push_str(&field(column));
    }
    text
}

fn field(column: &Column) -> String {
    let guess = &column.guess;
    let mut text = format!(
        "\n[[fields]]\nname = {}\ntype = \"{}\"\n",
        quote(&column.field),
        guess.kind.name()
    );
    let mut line = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    };
    if let Some(length) = guess.max_length {
        line("max_length", length.to_string());
    }
    if let FieldType::Decimal { precision, scale } = guess.kind {
        line("precision", precision.to_string());
        if let Some(scale) = scale {
            line("scale", scale.to_string());
        }
    }
    if !guess.formats.is_empty() {
        line("formats", format!("[{}]", list(&guess.formats)));
    }
    if !guess.null_tokens.is_empty() {
        line("null_tokens", format!("[{}]", list(&guess.null_tokens)));
    }
    text
}

/// The job file.
pub fn job(sample: &Sample<'_>, id: JobId, name: &str, label: &str, columns: &[Column]) -> String {
    let format = match sample.delimiter {
        b'\t' => "format = \"tsv\"\n".to_owned(),
        b',' => "format = \"csv\"\n".to_owned(),
        other => format!(
            "format = \"csv\"\ndelimiter = {}\n",
            quote(&char::from(other).to_string())
        ),
    };
    let mut text = format!(
        "# Made by `tranship init` from {file}. jobs/README.md explains every key.\n\
         id = \"{id}\"  # the activity id: /api/connector/enqueue/{id}\n\
         name = {name}\n\
         direction = \"import\"\n\
         clients = []    # who may use it; name your own clients here (`tranship client add`)\n\
         sample = true   # the `dev` client of a first start may use it; take this out for production\n\
         \n\
         [import]\n\
         {format}\
         \n\
         [[import.entities]]\n\
         entity = {label}\n",
        file = quote(sample.file_name),
        name = quote(name),
        label = quote(label),
    );
    let mapped = columns.iter().filter(|column| column.needs_map).collect::<Vec<_>>();
    if !mapped.is_empty() {
        text.push_str("\n# File column = field, where the names differ by more than case, spaces, `_` and `-`.\n[import.entities.map]\n");
        for column in mapped {
            let _ = writeln!(text, "{} = {}", key(&column.header), quote(&column.field));
        }
    }
    text
}

/// The settings file: nothing is needed, so everything is a comment.
pub fn config() -> String {
    "# Settings that differ from the defaults; every setting is explained in tranship.default.toml. None is needed to start.\n\
     \n\
     # data_dir = \"./data\"          # the embedded store, blobs and business database\n\
     \n\
     # [server]\n\
     # listen = \"127.0.0.1:8080\"\n\
     \n\
     # [store]                       # PostgreSQL instead of a file: several processes may then share the work\n\
     # url = \"postgres://user:password@localhost/tranship\"\n\
     \n\
     # [blobs]                       # large payloads: processes that share a store must share these, in a bucket or one folder\n\
     # url = \"s3://bucket/tranship\"\n\
     \n\
     # [databases.main]              # where records land\n\
     # url = \"postgres://user:password@localhost/business\"\n"
        .to_owned()
}

fn list(texts: &[String]) -> String {
    texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ")
}

/// A key: bare where TOML allows it.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quote(name)
    }
}

/// A basic TOML string on one line, whatever it holds.
fn quote(text: &str) -> String {
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
