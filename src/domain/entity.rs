//! Data entities: named record types and the tables they land in, as read from `entities/*.toml`.

use sha2::{Digest as _, Sha256};

use super::auto_number::AutoNumber;
use super::computed::FieldDefault;
use super::pattern::TextPattern;
use super::rule::Rule;

/// What of a table's name begins the names of its staging tables, so that these, and their indexes' names, fit PostgreSQL's
/// 63 bytes.
const STAGING_STEM_BYTES_MAX: usize = 40;

/// A data entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Technical name, e.g. `SalesOrderHeaders`.
    pub name: String,
    /// The name used on the wire and in manifests, e.g. `Sales order headers`. Unique, any case.
    pub label: String,
    /// Public collection name.
    pub collection: String,
    /// Offered on the synchronous API.
    pub public: bool,
    /// May be imported and exported.
    pub data_management: bool,
    /// Name of the business database (`databases.<name>` in configuration).
    pub database: String,
    /// The target table.
    pub table: String,
    /// Whether the table is created when missing.
    pub create_table: bool,
    /// Names of the key fields, in order. Never empty; every one is a field.
    pub key: Vec<String>,
    /// The field that holds the company, filled from the message or the job when the file has no such column.
    pub company_field: Option<String>,
    /// What a column in a file means that no field takes.
    pub unknown_columns: Drift,
    /// What a field means that is not required and that a file brings no column for.
    pub missing_columns: Drift,
    /// All fields in table order. Key fields are `required`.
    pub fields: Vec<Field>,
    /// What its records must hold to, beyond their types, in the order written.
    pub rules: Vec<Rule>,
}

/// What is done about a file whose columns are not those of its entity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Drift {
    /// Nothing.
    Ignore,
    /// The load goes on, and says so.
    #[default]
    Warn,
    /// The file is refused.
    Reject,
}

impl Drift {
    /// The words in definitions.
    pub const WORDS: [(&'static str, Self); 3] =
        [("ignore", Self::Ignore), ("warn", Self::Warn), ("reject", Self::Reject)];
}

impl Entity {
    /// An entity with these names, the defaults of everything else, and no key and no fields yet.
    #[must_use]
    pub fn named(name: &str, label: &str, table: &str) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            collection: name.to_owned(),
            public: true,
            data_management: true,
            database: "main".to_owned(),
            table: table.to_owned(),
            create_table: false,
            key: Vec::new(),
            company_field: None,
            unknown_columns: Drift::default(),
            missing_columns: Drift::default(),
            fields: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// The field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// Position of the field of this name.
    #[must_use]
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name)
    }

    /// Whether the field is part of the key.
    #[must_use]
    pub fn is_key(&self, name: &str) -> bool {
        self.key.iter().any(|k| k == name)
    }

    /// Name of the element of its records in XML files we write: in upper case, and ending in `ENTITY` (FMT-10).
    #[must_use]
    pub fn xml_element(&self) -> String {
        let may_stand = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let name = self.name.to_uppercase();
        let mut element: String = name.chars().map(|c| if may_stand(c) { c } else { '_' }).collect();
        if !element.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            element.insert(0, '_');
        }
        if !element.ends_with("ENTITY") {
            element.push_str("ENTITY");
        }
        element
    }

    /// The table beside the target that says which message last wrote a key.
    #[must_use]
    pub fn last_write_table(&self) -> String {
        format!("{}_last_write", self.table)
    }

    /// The staging table beside the target. Its name follows from what it is made of: an entity whose definition changed gets
    /// a table of its own, and loads of the earlier definition go on in theirs.
    #[must_use]
    pub fn staging_table(&self) -> String {
        let stem = &self.table[..self.table.floor_char_boundary(STAGING_STEM_BYTES_MAX)];
        format!("{stem}_{}_staging", self.staging_digest())
    }

    /// What tells which row changed, and for whom: the key, and the company where it is no part of it.
    #[must_use]
    pub fn tracked_fields(&self) -> Vec<String> {
        let company = self.company_field.iter().filter(|name| !self.is_key(name));
        self.key.iter().chain(company).cloned().collect()
    }

    /// The table beside the target that says which rows changed. Another key makes another table, whose history begins anew.
    #[must_use]
    pub fn change_table(&self) -> String {
        let stem = &self.table[..self.table.floor_char_boundary(STAGING_STEM_BYTES_MAX)];
        let tracked = self.tracked_fields();
        let parts = std::iter::once(self.table.as_str()).chain(tracked.iter().map(String::as_str));
        format!("{stem}_{}_changes", digest(parts))
    }

    /// Eight hexadecimal digits over everything a staging table and its indexes are made of, and over the key, by which its
    /// records repeat each other. What is missing here would leave records of two definitions in one table.
    fn staging_digest(&self) -> String {
        let mut parts = vec![self.table.as_str()];
        for field in &self.fields {
            parts.push(&field.name);
            // An enum is staged as the text it is; limits are the target's to judge.
            parts.push(match &field.kind {
                FieldType::Enum(_) => FieldType::String.name(),
                kind => kind.name(),
            });
            let of_itself = field.references.as_ref().filter(|to| to.entity == self.name);
            parts.push(of_itself.map_or("", |to| &to.field));
        }
        parts.extend(self.key.iter().map(String::as_str));
        digest(parts)
    }
}

/// Eight hexadecimal digits over these texts, each told from the next.
fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    format!(
        "{:08x}",
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    )
}

/// One field of an entity and one column of its table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Field {
    /// Field and column name.
    pub name: String,
    /// Its type.
    pub kind: FieldType,
    /// Whether an empty cell rejects the record.
    pub required: bool,
    /// Longest text, in characters (string only).
    pub max_length: Option<u32>,
    /// Smallest value allowed (int, decimal), as written in the definition.
    pub min: Option<String>,
    /// Largest value allowed (int, decimal).
    pub max: Option<String>,
    /// `strftime` formats tried in order (date, datetime, time). Empty: the ISO forms.
    pub formats: Vec<String>,
    /// Texts read as "no value", beside the empty cell. Compared after trimming, case as written.
    pub null_tokens: Vec<String>,
    /// Whether a text loses its outer blanks (string only).
    pub trim: bool,
    /// What the whole text must match (string only).
    pub pattern: Option<TextPattern>,
    /// Whether a comma stands before the fraction, not a point (decimal only).
    pub decimal_comma: bool,
    /// What may stand between groups of three digits (int, decimal).
    pub group_separator: Option<char>,
    /// The zone of date-times that name no offset; none: they stay as they are (datetime only).
    pub time_zone: Option<chrono_tz::Tz>,
    /// The record this value must point at.
    pub references: Option<Reference>,
    /// What stands for a value that a record does not bring.
    pub default: Option<FieldDefault>,
    /// The sequence that numbers records without a value (string and int only).
    pub auto_number: Option<AutoNumber>,
}

/// A field's type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FieldType {
    /// Text.
    #[default]
    String,
    /// A 64-bit whole number.
    Int,
    /// An exact decimal number. Without a scale, digits are kept as written.
    Decimal {
        /// Digits in all.
        precision: u32,
        /// Digits after the point; shorter input is padded, longer input is `decimal_overflow`.
        scale: Option<u32>,
    },
    /// A truth value: true/false, yes/no, 1/0, any case.
    Bool,
    /// A calendar date.
    Date,
    /// A date and time; input with an offset is turned into UTC.
    Datetime,
    /// A time of day.
    Time,
    /// A GUID.
    Guid,
    /// One of a fixed set of texts; read in any case, stored as declared.
    Enum(Vec<String>),
}

impl FieldType {
    /// The word in definitions.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Decimal { .. } => "decimal",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Time => "time",
            Self::Guid => "guid",
            Self::Enum(_) => "enum",
        }
    }
}

/// A field's parent: a missing one rejects the record, not the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Name or label of the parent entity, resolved to its technical name on loading.
    pub entity: String,
    /// The parent's field.
    pub field: String,
}
