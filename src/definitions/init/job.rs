//! The job file and the settings file. Everything that came from outside passes through [`quote`], comments included.

use std::fmt::Write as _;

use super::{Column, Sample};
use crate::definitions::render::quote;
use crate::domain::ids::JobId;

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

/// A key: bare where TOML allows it.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quote(name)
    }
}
