//! Recurring data jobs, as read from `jobs/*.toml`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::export::ExportSpec;
use super::ids::JobId;
use super::message::Durability;
use super::pattern::TextPattern;
use super::schedule::Schedule;
use super::webhook::WebhookSpec;

/// A recurring data job: a queue with an activity id.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The activity id.
    pub id: JobId,
    /// Its name, unique in any case; also the data project's name on the package API.
    pub name: String,
    /// Where it is written down.
    pub origin: Origin,
    /// Which way data flows.
    pub direction: Direction,
    /// Whether a message is one data file or a package.
    pub data_source: DataSource,
    /// Names of the clients that may use it; nobody else, not even to look.
    pub clients: Vec<String>,
    /// Whether the `dev` client of a first start may use it.
    pub sample: bool,
    /// The job's own company, used when the message names none.
    pub company: Option<String>,
    /// How its queue behaves.
    pub queue: QueueSpec,
    /// When it runs.
    pub schedule: Option<Schedule>,
    /// What an import does. Present exactly when `direction` is import.
    pub import: Option<ImportSpec>,
    /// What an export does. Present exactly when `direction` is export.
    pub export: Option<ExportSpec>,
    /// Who is told how its messages end.
    pub webhook: Option<WebhookSpec>,
}

/// Where a job is written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// In a file of the jobs folder.
    #[default]
    File,
    /// In the store: a data project that a package brought along.
    Project,
}

impl Origin {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Project => "project",
        }
    }
}

/// How a job's queue behaves: section `[queue]` of its file.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSpec {
    /// How long a dequeuer holds a message, in seconds; the configuration's value when absent.
    pub lease_seconds: Option<u32>,
    /// Deliveries after which a message is a dead letter; the configuration's value when absent.
    pub max_deliveries: Option<u32>,
    /// What is kept in order.
    pub order: Order,
    /// Whether a dead letter stops its group until an operator unblocks it.
    pub block_on_dead_letter: bool,
    /// Priority of messages that name none, from -100 to 100.
    pub priority: i32,
    /// How safe a message is when its enqueue is answered.
    pub durability: Durability,
    /// Messages are not offered before this many seconds have passed.
    pub delay_seconds: u32,
    /// Messages nobody took within this many seconds expire.
    pub expires_after_seconds: Option<u32>,
    /// How long a failed delivery waits for the next one.
    pub retry: Retry,
    /// Whether `x-ms-dyn-externalidentifier` is the message's idempotency key.
    pub idempotent_external_id: bool,
    /// A payload with the bytes of one enqueued within this many seconds is that message again.
    pub deduplicate_seconds: Option<u32>,
    /// Whether companies take turns.
    pub fair_by_company: bool,
    /// How many messages may wait or be handed out, 0: as many as come; the configuration's value when absent.
    pub max_messages: Option<u32>,
}

impl Job {
    /// Whether its messages wait to be collected.
    #[must_use]
    pub fn is_collected(&self) -> bool {
        self.export.as_ref().is_none_or(|spec| spec.enqueue)
    }

    /// Whether a message for this entity is a package. Files name theirs when they are enqueued; what names none came by the package
    /// API, which brings packages to every job.
    #[must_use]
    pub fn is_package(&self, entity: Option<&str>) -> bool {
        self.data_source == DataSource::Package || self.direction == Direction::Import && entity.is_none()
    }
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self {
            lease_seconds: None,
            max_deliveries: None,
            order: Order::None,
            block_on_dead_letter: false,
            priority: 0,
            durability: Durability::Full,
            delay_seconds: 0,
            expires_after_seconds: None,
            retry: Retry::default(),
            idempotent_external_id: false,
            deduplicate_seconds: None,
            fair_by_company: false,
            max_messages: None,
        }
    }
}

/// Which messages of a job are kept in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// None: the oldest is offered first, several may be out at once.
    None,
    /// All: one at a time, in the order of enqueuing.
    Job,
    /// Those of one company.
    Company,
    /// Those of one entity.
    Entity,
    /// Those that were sent with the same value of this header.
    Header(String),
    /// Those whose file name (external identifier) has the same first group of this pattern, which has one.
    FileName(TextPattern),
}

/// How long a failed delivery waits for the next one: `first × 2^(n-1)` seconds, at most `cap`, spread by `jitter`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Wait after the first failure, in seconds.
    pub first_seconds: u32,
    /// Longest wait, in seconds.
    pub cap_seconds: u32,
    /// Share of the wait by which it may be shorter, from 0 to 1, so that what failed together does not return together.
    pub jitter: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first_seconds: 2,
            cap_seconds: 300,
            jitter: 0.2,
        }
    }
}

impl Retry {
    /// The wait after the `failures`-th failure in a row, in microseconds; `spread` is from 0 (longest) to 1.
    #[must_use]
    pub fn wait_micros(self, failures: i32, spread: f64) -> i64 {
        let doublings = u32::try_from(failures.max(1) - 1).unwrap_or(0).min(31);
        let seconds = u64::from(self.first_seconds) << doublings;
        let seconds = seconds.min(u64::from(self.cap_seconds));
        let whole = i64::try_from(seconds * 1_000_000).unwrap_or(i64::MAX);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "a wait need not be exact, and shrinks"
        )]
        let less = (whole as f64 * self.jitter.clamp(0.0, 1.0) * spread.clamp(0.0, 1.0)) as i64;
        whole - less
    }
}

/// Which way a job's data flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Enqueued from outside, landed in tables.
    Import,
    /// Filled by a schedule, dequeued by outside.
    Export,
    /// Enqueued and dequeued by outside, bytes in = bytes out.
    Relay,
}

impl Direction {
    /// The word in definitions, columns and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Export => "export",
            Self::Relay => "relay",
        }
    }

    /// The direction with this word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "import" => Some(Self::Import),
            "export" => Some(Self::Export),
            "relay" => Some(Self::Relay),
            _ => None,
        }
    }
}

/// What one message of a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataSource {
    /// One data file; on enqueue the wire names its entity (RI-1).
    File,
    /// A zip with a manifest.
    Package,
}

/// What an import job does with a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportSpec {
    /// How the file is written.
    pub format: FileFormat,
    /// The encoding of a file without a byte order mark, by its label in the WHATWG Encoding Standard; none: UTF-8, or
    /// UTF-16 where the first bytes look like it.
    pub encoding: Option<String>,
    /// The entities the job may load, in order.
    pub entities: Vec<ImportEntity>,
    /// How many rejected records the import takes.
    pub max_errors: Option<ErrorThreshold>,
    /// Which records of a file stand or fall together.
    pub atomicity: Atomicity,
    /// Whether batches land as they are read, without a stay in staging. With [`Atomicity::Record`] and no limit of errors only.
    pub skip_staging: bool,
}

impl ImportSpec {
    /// How many rejected records of a file are allowed, if they are limited at all: none with [`Atomicity::File`] unless
    /// the job says how many.
    #[must_use]
    pub fn allowed_errors(&self) -> Option<ErrorThreshold> {
        let none = (self.atomicity == Atomicity::File).then_some(ErrorThreshold::Count(0));
        self.max_errors.or(none)
    }
}

/// Which records of a file land or are rejected together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Atomicity {
    /// Each for itself.
    #[default]
    Record,
    /// Those of one promotion transaction: a rejected one keeps the others from landing.
    Chunk,
    /// All of them: nothing lands past the allowed number of rejected ones.
    File,
    /// Those of one document: the same values of [`ImportEntity::document_key`].
    Document,
}

impl Atomicity {
    /// The words in definitions.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("record", Self::Record),
        ("chunk", Self::Chunk),
        ("file", Self::File),
        ("document", Self::Document),
    ];
}

/// One entity of an import job.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportEntity {
    /// Technical name of the entity (resolved from name or label on loading).
    pub entity: String,
    /// What becomes of its records.
    pub mode: ImportMode,
    /// File column → field. Columns with a field's own name (any case) need no line.
    pub map: BTreeMap<String, String>,
    /// Field → value for cells that are empty or missing.
    pub defaults: BTreeMap<String, String>,
    /// Field → (value in the file → value stored).
    pub values: BTreeMap<String, BTreeMap<String, String>>,
    /// Fields that a manifest wants numbered where the file brings nothing: by their sequence, else by the record's number.
    pub generated: BTreeSet<String>,
    /// Whether the entity's defaults and sequences fill what the file does not bring (`RunBusinessLogic`); none: yes.
    pub run_business_logic: Option<bool>,
    /// Whether the entity's rules are checked (`RunBusinessValidation`); none: yes.
    pub run_business_validation: Option<bool>,
    /// The fields whose values tell documents apart; with [`Atomicity::Document`] only.
    pub document_key: Vec<String>,
    /// Whether the target's rows are deleted before the first record lands (DMF-4).
    pub truncate: bool,
    /// Whether a file without records deletes them too.
    pub truncate_on_empty: bool,
}

impl ImportEntity {
    /// Whether the entity's defaults and sequences fill what the file does not bring.
    #[must_use]
    pub fn runs_logic(&self) -> bool {
        self.run_business_logic.unwrap_or(true)
    }

    /// Whether the entity's rules are checked.
    #[must_use]
    pub fn runs_validation(&self) -> bool {
        self.run_business_validation.unwrap_or(true)
    }
}

/// What becomes of an entity's records in the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ImportMode {
    /// New keys are inserted, known ones updated.
    #[default]
    Upsert,
    /// A known key rejects the record.
    Insert,
    /// A new key rejects the record.
    Update,
    /// The row with the key is removed; a key that is not there rejects the record.
    Delete,
}

impl ImportMode {
    /// The words in definitions.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("upsert", Self::Upsert),
        ("insert", Self::Insert),
        ("update", Self::Update),
        ("delete", Self::Delete),
    ];
}

/// How a data file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFormat {
    /// Delimited text with a header line (FMT-9).
    Csv {
        /// The byte between cells.
        delimiter: u8,
    },
    /// Lines with columns at fixed places.
    Fixed(Vec<FixedColumn>),
    /// One JSON array of objects, alone or in an envelope.
    Json,
    /// A JSON object a line.
    JsonLines,
    /// An XML element a record, its members in child elements (FMT-10).
    XmlElement,
    /// An XML element a record, its members in attributes (FMT-10).
    XmlAttribute,
    /// A sheet of an Excel workbook (FMT-12).
    Xlsx {
        /// Its name; none: the first visible one.
        sheet: Option<String>,
    },
    /// Columns with types of their own. Read and written by builds with the feature `parquet`.
    Parquet,
}

/// One column of a file whose columns stand at fixed places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedColumn {
    /// The column's name.
    pub name: String,
    /// How many characters it takes.
    pub width: u32,
}

impl FileFormat {
    /// What a file of this format is called behind the dot.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Csv { delimiter: b'\t' } | Self::Fixed(_) => "txt",
            Self::Csv { .. } => "csv",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::XmlElement | Self::XmlAttribute => "xml",
            Self::Xlsx { .. } => "xlsx",
            Self::Parquet => "parquet",
        }
    }

    /// What a manifest calls it, of the names every environment has (FMT-8), and of two that only we do; in other delimiters and
    /// encodings than those stand for it is called so that a reader asks its job.
    #[must_use]
    pub fn source_format(&self, encoding: Option<&str>) -> String {
        let name = match self {
            Self::Csv { delimiter: b',' } if encoding == Some("UTF-16LE") => return "CSV-Unicode".to_owned(),
            Self::Csv { delimiter: b',' } => "CSV",
            Self::Csv { delimiter: b'\t' } => "TAB",
            Self::Csv { delimiter } => return format!("Delimited by {}", char::from(*delimiter)),
            Self::Fixed(_) => "Fixed",
            Self::Json => "JSON",
            Self::JsonLines => "JSONL",
            Self::XmlElement => "XML-Element",
            Self::XmlAttribute => "XML-Attribute",
            Self::Xlsx { .. } => "EXCEL",
            Self::Parquet => "PARQUET",
        };
        match encoding {
            // Files tell these themselves, by a declaration or a mark.
            None | Some("UTF-8" | "UTF-16LE" | "UTF-16BE") => name.to_owned(),
            Some(_) if self.is_xml() => name.to_owned(),
            Some(encoding) => format!("{name} in {encoding}"),
        }
    }

    /// The format and encoding that a manifest means, by the names every environment has and those that only we do (FMT-8); of a
    /// workbook the sheet, where it is told. None: no environment knows it.
    #[must_use]
    pub fn of_source_format(name: &str, sheet: &str) -> Option<(Self, Option<String>)> {
        let by_name = match name.to_lowercase().as_str() {
            "csv" => (Self::Csv { delimiter: b',' }, None),
            "csv-unicode" => (Self::Csv { delimiter: b',' }, Some("UTF-16LE".to_owned())),
            "tab" | "tsv" => (Self::Csv { delimiter: b'\t' }, None),
            "excel" | "xlsx" => {
                let sheet = Some(sheet.to_owned()).filter(|sheet| !sheet.is_empty());
                (Self::Xlsx { sheet }, None)
            }
            "xml-element" => (Self::XmlElement, None),
            "xml-attribute" => (Self::XmlAttribute, None),
            "json" => (Self::Json, None),
            "jsonl" => (Self::JsonLines, None),
            "parquet" => (Self::Parquet, None),
            _ => return None,
        };
        Some(by_name)
    }

    /// Whether a file of this format is text, in some encoding.
    #[must_use]
    pub fn is_text(&self) -> bool {
        !matches!(self, Self::Xlsx { .. } | Self::Parquet)
    }

    /// Whether values have types of their own, so that what a field says of its spelling does not count.
    #[must_use]
    pub fn is_typed(&self) -> bool {
        matches!(self, Self::Parquet)
    }

    /// Whether a file of this format may say in a declaration how it is encoded.
    #[must_use]
    pub fn is_xml(&self) -> bool {
        matches!(self, Self::XmlElement | Self::XmlAttribute)
    }
}

/// Rejected records past this stop an import.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ErrorThreshold {
    /// This many are allowed.
    Count(u64),
    /// This share of the records read, from 0 to 1, is allowed.
    Rate(f64),
}

impl ErrorThreshold {
    /// Whether `rejected` of `read` records is too many.
    #[must_use]
    pub fn exceeded(self, rejected: u64, read: u64) -> bool {
        match self {
            Self::Count(allowed) => rejected > allowed,
            #[expect(
                clippy::cast_precision_loss,
                reason = "a share of a count needs no more than 52 bits"
            )]
            Self::Rate(share) => rejected as f64 > share * read as f64,
        }
    }
}
