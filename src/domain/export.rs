//! What an export job writes, as read from `[export]` of its file.

use std::collections::BTreeMap;

use super::destination::Destination;
use super::file_name::FileName;
use super::job::FileFormat;

/// What an export job writes.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own in the file")]
pub struct ExportSpec {
    /// How the data files are written.
    pub format: FileFormat,
    /// Their encoding, by its label in the WHATWG Encoding Standard; none: UTF-8 without a byte order mark.
    pub encoding: Option<String>,
    /// Whether delimited files begin with the names of their columns.
    pub header: bool,
    /// How a single file is packed; of Parquet its pages.
    pub compression: Option<Compression>,
    /// What the file or package is called; none: by the job's name and the due time.
    pub file_name: Option<FileName>,
    /// Whether a package tells in [`SIDECAR_FILE`] how many records its files hold.
    pub sidecar: bool,
    /// Records of a message, where a run makes several.
    pub split_records: Option<u64>,
    /// Bytes of a message's data file before it is packed, about; where a run makes several.
    pub split_bytes: Option<u64>,
    /// Whether a run of zero records puts nothing on the queue.
    pub prevent_upload_when_zero_records: bool,
    /// Only these companies' rows; empty: the job's company, or all.
    pub companies: Vec<String>,
    /// Where else each message goes.
    pub destinations: Vec<Destination>,
    /// Whether messages wait to be collected. If not, one is acknowledged once all destinations have it.
    pub enqueue: bool,
    /// The entities, one data file each; exactly one file when `data_source` is file. Those that a composite entity among them
    /// holds say how its records are written, and have no file of their own.
    pub entities: Vec<ExportEntity>,
}

impl ExportSpec {
    /// Whether it exports this entity's changes by tracking.
    #[must_use]
    pub fn tracks(&self, entity: &str) -> bool {
        let tracked = |wanted: &&ExportEntity| matches!(wanted.refresh, Refresh::Tracked { .. });
        self.entities
            .iter()
            .filter(tracked)
            .any(|wanted| wanted.entity == entity)
    }

    /// How a single file is packed as a whole.
    #[must_use]
    pub fn packed(&self) -> Option<Compression> {
        self.compression.filter(|_| self.format != FileFormat::Parquet)
    }

    /// The destination of this name.
    #[must_use]
    pub fn destination(&self, name: &str) -> Option<&Destination> {
        self.destinations.iter().find(|destination| destination.name == name)
    }

    /// The companies whose rows are exported, of a job of this company; empty: all.
    #[must_use]
    pub fn companies(&self, of_job: Option<&str>) -> Vec<String> {
        match of_job {
            Some(company) if self.companies.is_empty() => vec![company.to_owned()],
            _ => self.companies.clone(),
        }
    }
}

/// Member of a package with the records, bytes and digest of each of its files.
pub const SIDECAR_FILE: &str = "tranship.json";

/// One entity of an export job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExportEntity {
    /// Technical name of the entity or composite entity.
    pub entity: String,
    /// Fields in output order; empty: all.
    pub fields: Vec<String>,
    /// Field → column of the file. A field without a line has a column of its own name.
    pub map: BTreeMap<String, String>,
    /// Field → (canonical value stored → value in the file).
    pub values: BTreeMap<String, BTreeMap<String, String>>,
    /// A SQL condition on the entity's own columns, written by the operator in the definition.
    pub filter: Option<String>,
    /// Where that stands, `jobs/out.toml:12`; for messages.
    pub filter_place: Option<String>,
    /// Fields to order by; the key when empty.
    pub order_by: Vec<String>,
    /// Which of its records a run writes.
    pub refresh: Refresh,
}

/// Which records a run writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Refresh {
    /// All of them.
    #[default]
    Full,
    /// Those that changed since the last run, by change tracking; misses none (promise 7).
    Tracked {
        /// Whether records that are gone are told, in a column [`DELETED_COLUMN`].
        tells_deleted: bool,
    },
    /// Those whose field is greater than any the last run saw. Misses deletes, and changes that come with a smaller value.
    Column {
        /// The field.
        field: String,
        /// How far below the greatest value the next run begins again, in seconds, or in units of a whole number.
        lag: u32,
    },
    /// Those that a query of the operator finds, between `:since` and `:until`. Misses what the query misses.
    Query {
        /// The query; its columns are called like the fields.
        sql: String,
    },
}

/// Says `Yes` where a record of an incremental export is gone, and only its key stands there.
pub const DELETED_COLUMN: &str = "_deleted";

impl ExportEntity {
    /// What the column of a field is called.
    #[must_use]
    pub fn column<'a>(&'a self, field: &'a str) -> &'a str {
        self.map.get(field).map_or(field, String::as_str)
    }
}

/// How a single file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// The words in definitions.
    pub const WORDS: [(&'static str, Self); 2] = [("gzip", Self::Gzip), ("zstd", Self::Zstd)];

    /// What a packed file's name ends with, behind its format's extension.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
        }
    }
}
