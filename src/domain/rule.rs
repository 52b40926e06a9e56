//! Business rules: what a record must hold to beyond its types, keys and references (DMF-8).

/// A rule of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique within the entity in any case.
    pub name: String,
    /// One SQL condition over the record's own fields, written by the operator. As with SQL's CHECK, a record fails only
    /// where it is false, not where it is null.
    pub check: String,
    /// What a record that fails is told.
    pub message: String,
    /// The field at fault, where one is.
    pub field: Option<String>,
    /// What becomes of a record that fails.
    pub severity: Severity,
}

/// What becomes of a record that fails a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Severity {
    /// It is rejected.
    #[default]
    Reject,
    /// It lands, and is counted among the load's warnings.
    Warn,
}

impl Severity {
    /// The words in definitions.
    pub const WORDS: [(&'static str, Self); 2] = [("reject", Self::Reject), ("warn", Self::Warn)];
}
