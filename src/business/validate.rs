//! The end of staging: what can be judged only over the whole file, set-wise and range by range.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::control::LoadKey;
use super::dialect::{Dialect, quote};
use super::documents::Documents;
use super::keys::KeysSeen;
use super::policy::Truncate;
use super::rejects::{self, Rejected};
use super::repeated::Repeats;
use super::rows::values_list;
use super::rules::RuleCheck;
use super::session::{DbRow, Fault, Session, Value};
use super::staging::{GOOD_IN_RANGE, Load, fix_chunks, fix_chunks_at};
use super::{BusinessError, Database};
use crate::domain::entity::{Entity, Field};
use crate::domain::job::ImportMode;
use crate::domain::reject::{RecordCode, RecordError, RecordPlace};

/// Place and origin of a staged record: columns 0 to 4 of every check.
pub(super) const PLACE: &str =
    "s.tranship_record, s.tranship_line, s.tranship_byte_start, s.tranship_byte_end, s.tranship_origin";

/// From this size on a fresh table's statistics matter to the planner.
const ANALYZE_RECORDS: u64 = 5_000;
/// Descendants of rejected records taken by one transaction.
const DESCENDANTS_MAX: u64 = 5_000;
/// State of a staged record that is rejected for what is wrong with it.
pub(super) const REJECTED: i64 = 1;

/// The statements of one load's checks, and how to word what they find.
pub(super) struct Checks {
    repeats: Repeats,
    references: Vec<ReferenceCheck>,
    /// Those that reject.
    rules: Vec<RuleCheck>,
    documents: Option<Documents>,
}

impl Checks {
    /// Whether a record may refer to one of the same file.
    pub(super) fn of_itself(&self) -> bool {
        self.references.iter().any(|check| check.descendants.is_some())
    }

    fn is_empty(&self) -> bool {
        self.repeats.is_empty() && self.references.is_empty() && self.rules.is_empty() && self.documents.is_none()
    }
}

struct ReferenceCheck {
    sql: String,
    /// Values of `sql` and `descendants` after the range or limit.
    values: Vec<Value>,
    field: String,
    parent_label: String,
    parent_field: String,
    /// Where the parents may be in the same file: finds what hangs on rejected ones.
    descendants: Option<String>,
}

impl Database {
    /// Numbers the records, rejects staged duplicates (the first of a key stands), records whose parent is missing, records that fail
    /// a rule and what belongs to the same document, range by range, counts what fails a rule that only warns, then fixes the
    /// chunk ranges of `chunk_records` records each (more where a document is wider) and marks staging complete. `parents` holds
    /// the entities that `references` name; `keys` those of all good records, where one attempt staged them all: otherwise
    /// staging is asked. Safe to repeat.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] when a parent is not given, lives in another database, or its field has another type; when
    /// the database does not understand a rule; when a sequence has come to its end.
    pub async fn finish_staging(
        &self,
        load: Load<'_>,
        parents: &[&Entity],
        chunk_records: u64,
        keys: Option<KeysSeen>,
    ) -> Result<(), BusinessError> {
        let key = LoadKey::new(load);
        let state = {
            let (database, key) = (self.clone(), key.clone());
            self.fenced_read(load.fence, move |session| {
                Box::pin(async move { database.load_state(session, &key).await })
            })
            .await?
        };
        if state.staged {
            return Ok(());
        }
        self.check_staged(load).await?;
        let (records, size) = (state.position.records, chunk_records.max(1));
        self.number_records(load, &key, records, size).await?;
        // A key that was numbered just now has not been seen before.
        let numbered = load.entity.key.iter().any(|name| load.numbered.contains(name));
        let keys = match keys.filter(|_| !numbered) {
            Some(keys) => keys,
            None => self.recalled_keys(load, &state.fields).await?,
        };
        let checks = Arc::new(Checks {
            repeats: self.repeats(load, keys).await?,
            references: self.references(load, &state.fields, parents).await?,
            rules: self.rejecting_rules(load).await?,
            documents: Documents::of(self.dialect(), load),
        });
        self.analyze(load, &key, &checks, records).await?;
        if !checks.is_empty() {
            self.run_checks(load, &key, &checks, records, size).await?;
        }
        self.count_warnings(load, &key, records, size).await?;
        let starts = match &checks.documents {
            Some(_) => Some(self.document_starts(load, &key, size).await?),
            None => None,
        };
        let database = self.clone();
        self.fenced(load.fence, move |session| {
            Box::pin(async move {
                if database.load_state(session, &key).await?.staged {
                    return Ok(());
                }
                match starts {
                    Some(starts) => fix_chunks_at(session, &key, records, &starts).await,
                    None => fix_chunks(session, &key, records, size).await,
                }
            })
        })
        .await
    }

    /// The checks of a load whose batches are judged by themselves, each without a key that comes twice.
    pub(super) async fn batch_checks(
        &self,
        load: Load<'_>,
        fields: &[String],
        parents: &[&Entity],
    ) -> Result<Checks, BusinessError> {
        Ok(Checks {
            repeats: Repeats::none(self.dialect(), load.entity),
            references: self.references(load, fields, parents).await?,
            rules: self.rejecting_rules(load).await?,
            documents: None,
        })
    }

    /// Without statistics of a table that has just grown, the planner walks the whole load for each range of it, or the parents for
    /// each record. Where records refer to records of the same file, all their fields count.
    async fn analyze(&self, load: Load<'_>, key: &LoadKey, checks: &Checks, records: u64) -> Result<(), BusinessError> {
        let of_itself = checks.of_itself();
        let sql = if of_itself {
            self.dialect().analyze(&key.staging)
        } else {
            let own = [
                "tranship_message",
                "tranship_entity_no",
                "tranship_record",
                "tranship_state",
            ];
            let referring = checks.references.iter().map(|check| quote(&check.field));
            let columns: Vec<_> = own.map(str::to_owned).into_iter().chain(referring).collect();
            self.dialect().analyze_roughly(&key.staging, &columns)
        };
        let Some(sql) = sql.filter(|_| of_itself || records >= ANALYZE_RECORDS) else {
            return Ok(());
        };
        self.fenced(load.fence, move |session| {
            Box::pin(async move { Ok(session.run(sql).await?) })
        })
        .await
    }

    async fn run_checks(
        &self,
        load: Load<'_>,
        key: &LoadKey,
        checks: &Arc<Checks>,
        records: u64,
        size: u64,
    ) -> Result<(), BusinessError> {
        // A record rejected for a missing parent may itself be the parent of an earlier one, so a file that refers to itself
        // is looked through until nothing changes. What is left does not depend on the order.
        loop {
            let mut found = self.check_all(load, key, checks, records, size).await?;
            if let Some(documents) = &checks.documents {
                found += self.reject_siblings(load, key, documents, records, size).await?;
            }
            if found == 0 {
                return Ok(());
            }
            let mut again = false;
            for index in 0..checks.references.len() {
                again |= self.reject_descendants(load, key, checks, index).await?;
            }
            if !again {
                return Ok(());
            }
        }
    }

    /// Looks through the good records once, range by range, and returns how many it rejected. Ranges do not wait for each other
    /// where the database takes several writers: what is left does not depend on their order.
    async fn check_all(
        &self,
        load: Load<'_>,
        key: &LoadKey,
        checks: &Arc<Checks>,
        records: u64,
        size: u64,
    ) -> Result<usize, BusinessError> {
        let firsts = (0..records.div_ceil(size)).map(|range| range * size + 1);
        let ranges = firsts.map(|first| {
            let last = first.saturating_add(size - 1).min(records);
            let (key, checks) = (key.clone(), Arc::clone(checks));
            self.fenced(load.fence, move |session| {
                Box::pin(async move {
                    let found = check_range(session, &key, &checks, first, last).await?;
                    Ok(nothing_written_for(session, found))
                })
            })
        });
        let found = stream::iter(ranges).buffer_unordered(self.writers_at_once());
        found.try_fold(0, async |sum, found| Ok(sum + found)).await
    }

    /// Rejects what refers to rejected records through this field, and what refers to that, however long the chain. Returns
    /// whether the field may refer to its own entity at all.
    async fn reject_descendants(
        &self,
        load: Load<'_>,
        key: &LoadKey,
        checks: &Arc<Checks>,
        index: usize,
    ) -> Result<bool, BusinessError> {
        let Some(sql) = checks.references[index].descendants.clone() else {
            return Ok(false);
        };
        loop {
            let (key, checks, sql) = (key.clone(), Arc::clone(checks), sql.clone());
            let found = self.fenced(load.fence, move |session| {
                Box::pin(async move {
                    let mut rejected = BTreeMap::new();
                    let check = &checks.references[index];
                    let values = key.with([Value::from(DESCENDANTS_MAX)].into_iter().chain(check.values.clone()));
                    for row in session.rows(sql, values).await? {
                        add(&mut rejected, &row, missing_parent(check, &row)?)?;
                    }
                    let found = reject(session, &key, rejected).await?;
                    Ok(nothing_written_for(session, found))
                })
            });
            if found.await? == 0 {
                return Ok(true);
            }
        }
    }

    async fn references(
        &self,
        load: Load<'_>,
        fields: &[String],
        parents: &[&Entity],
    ) -> Result<Vec<ReferenceCheck>, BusinessError> {
        let mut references = Vec::new();
        // Whatever a row that is to go refers to may be gone before it.
        let referring = fields.iter().filter(|_| load.mode != ImportMode::Delete);
        for name in referring {
            let Some(field) = load.entity.field(name) else { continue };
            let Some(reference) = &field.references else { continue };
            let wrong = |detail: String| {
                let entity = &load.entity.name;
                BusinessError::Definition(format!(
                    "entity `{entity}`: field `{name}` refers to `{}`: {detail}",
                    reference.entity
                ))
            };
            let own_entity = reference.entity == load.entity.name;
            let given = parents.iter().find(|parent| parent.name == reference.entity).copied();
            let parent = if own_entity { Some(load.entity) } else { given };
            let parent = parent.ok_or_else(|| wrong("there is no such entity".to_owned()))?;
            if parent.database != load.entity.database {
                return Err(wrong(format!("it lives in another database, `{}`", parent.database)));
            }
            let target = parent
                .field(&reference.field)
                .ok_or_else(|| wrong(format!("it has no field `{}`", reference.field)))?;
            let dialect = self.dialect();
            if dialect.staging_type(&target.kind) != dialect.staging_type(&field.kind) {
                return Err(wrong(format!(
                    "`{}` is {}, not {}",
                    target.name,
                    target.kind.name(),
                    field.kind.name()
                )));
            }
            self.ensure_entity(parent).await?;
            references.push(reference_check(dialect, load, field, parent, &target.name, own_entity));
        }
        Ok(references)
    }
}

/// A transaction that rejected none has written nothing.
pub(super) fn nothing_written_for(session: &mut Session, found: usize) -> usize {
    if found == 0 {
        session.discard();
    }
    found
}

/// Checks the good records of a range once, and returns how many it rejected.
pub(super) async fn check_range(
    session: &mut Session,
    key: &LoadKey,
    checks: &Checks,
    first: u64,
    last: u64,
) -> Result<usize, Fault> {
    let range = || key.with([first.into(), last.into()]);
    let mut rejected: BTreeMap<u64, Rejected> = BTreeMap::new();
    checks
        .repeats
        .judge_range(session, key, (first, last), &mut rejected)
        .await?;
    for check in &checks.references {
        let values = range().into_iter().chain(check.values.clone()).collect();
        for row in session.rows(check.sql.clone(), values).await? {
            add(&mut rejected, &row, missing_parent(check, &row)?)?;
        }
    }
    for rule in &checks.rules {
        for (row, error) in rule.failures(session, key, first, last).await? {
            add(&mut rejected, &row, error)?;
        }
    }
    reject(session, key, rejected).await
}

/// Keeps the rejects and takes their records out of what is promoted.
pub(super) async fn reject(
    session: &mut Session,
    key: &LoadKey,
    rejected: BTreeMap<u64, Rejected>,
) -> Result<usize, Fault> {
    if rejected.is_empty() {
        return Ok(0);
    }
    mark_rejected(session, key, rejected.keys().copied(), REJECTED).await?;
    let rejected: Vec<_> = rejected.into_values().collect();
    rejects::insert(session, key, &rejected).await?;
    Ok(rejected.len())
}

pub(super) fn add(rejected: &mut BTreeMap<u64, Rejected>, row: &DbRow, error: RecordError) -> Result<(), Fault> {
    let origin = row.opt_text(4)?;
    let record = rejected.entry(error.place.record).or_insert(Rejected {
        origin,
        by_target: false,
        errors: Vec::new(),
    });
    record.errors.push(error);
    Ok(())
}

/// Takes records out of what is promoted. `state` says why, and is never 0.
pub(super) async fn mark_rejected(
    session: &mut Session,
    key: &LoadKey,
    records: impl Iterator<Item = u64>,
    state: i64,
) -> Result<(), sqlx::Error> {
    let records: Vec<Value> = records.map(Value::from).collect();
    for records in records.chunks(500) {
        let list = values_list(session.dialect, 1, records.len());
        // The list comes first, because SQLite's plain placeholders count from the start.
        let dialect = session.dialect;
        let (message, entity) = (
            dialect.placeholder(records.len() + 1),
            dialect.placeholder(records.len() + 2),
        );
        let sql = format!(
            "update {} set tranship_state = {state} where tranship_record in {list} \
             and tranship_message = {message} and tranship_entity_no = {entity}",
            key.staging
        );
        session
            .execute(sql, records.iter().cloned().chain(key.with([])).collect())
            .await?;
    }
    Ok(())
}

/// The place in columns 0 to 3.
pub(super) fn place(row: &DbRow) -> Result<RecordPlace, sqlx::Error> {
    Ok(RecordPlace {
        record: row.count(0)?,
        line: row.count(1)?,
        byte_start: row.count(2)?,
        byte_end: row.count(3)?,
    })
}

/// As much of a staged value as a reject shows: a file may bring thousands of long ones.
pub(super) fn shown(dialect: Dialect, field: &Field) -> String {
    let value = dialect.canonical(&field.kind, &format!("s.{}", quote(&field.name)));
    format!("substr({value}, 1, {})", RecordError::VALUE_CHARS_MAX)
}

fn reference_check(
    dialect: Dialect,
    load: Load<'_>,
    field: &Field,
    parent: &Entity,
    parent_field: &str,
    own_entity: bool,
) -> ReferenceCheck {
    let (staging, table) = (quote(&load.entity.staging_table()), quote(&parent.table));
    let (child, parent_column) = (quote(&field.name), quote(parent_field));
    let shown = shown(dialect, field);
    let same_value = dialect.same_value(&field.kind, &format!("o.{parent_column}"), &format!("s.{child}"));
    // What the load is going to replace is no parent.
    let replaced = load.policy.truncate.as_ref().filter(|_| own_entity);
    let remains = |number: usize| replaced.map_or_else(String::new, |replaced| replaced.spares("p", number));
    let in_this_file = if own_entity {
        format!(
            " and not exists (select 1 from {staging} o where o.tranship_message = $1 and o.tranship_entity_no = $2 \
             and o.tranship_state = 0 and {same_value})"
        )
    } else {
        String::new()
    };
    ReferenceCheck {
        sql: format!(
            "select {PLACE}, {shown} from {staging} s where {GOOD_IN_RANGE} and s.{child} is not null \
             and not exists (select 1 from {table} p where p.{parent_column} = s.{child}{}){in_this_file}",
            remains(5)
        ),
        descendants: own_entity.then(|| descendants_sql(dialect, load.entity, field, parent_field, &remains(4))),
        values: replaced.map_or_else(Vec::new, Truncate::values),
        field: field.name.clone(),
        parent_label: parent.label.clone(),
        parent_field: parent_field.to_owned(),
    }
}

/// Good records whose only parent is rejected, and what hangs on them, in one statement: looked for level by level, a chain
/// would cost a look through the file for each of its links. Where several records share the value referred to (a field that
/// is no key), the next look through the file finds that none of them is left.
fn descendants_sql(dialect: Dialect, entity: &Entity, field: &Field, parent_field: &str, remains: &str) -> String {
    let (staging, table) = (quote(&entity.staging_table()), quote(&entity.table));
    let (child, parent) = (quote(&field.name), quote(parent_field));
    let shown = shown(dialect, field);
    let refers = dialect.same_value(&field.kind, &format!("c.{child}"), &format!("r.{parent}"));
    let held = dialect.same_value(&field.kind, &format!("o.{parent}"), &format!("c.{child}"));
    // SQLite takes cross joins in the order written: from the lost record to its children, never the file for each of them.
    let in_load = |alias: &str| format!("{alias}.tranship_message = $1 and {alias}.tranship_entity_no = $2");
    let (in_s, in_r, in_c, in_o) = (in_load("s"), in_load("r"), in_load("c"), in_load("o"));
    format!(
        "with recursive lost(record) as ( \
           select s.tranship_record from {staging} s where {in_s} and s.tranship_state <> 0 \
           union select c.tranship_record from lost cross join {staging} r cross join {staging} c \
             where {in_r} and r.tranship_record = lost.record and {in_c} and {refers} and c.tranship_state = 0 \
               and not exists (select 1 from {table} p where p.{parent} = c.{child}{remains}) \
               and not exists (select 1 from {staging} o where {in_o} and {held} and o.tranship_state = 0 \
                 and o.tranship_record <> lost.record)) \
         select {PLACE}, {shown} from lost cross join {staging} s \
           where {in_s} and s.tranship_record = lost.record and s.tranship_state = 0 limit $3"
    )
}

fn missing_parent(check: &ReferenceCheck, row: &DbRow) -> Result<RecordError, Fault> {
    let value = row.text(5)?;
    Ok(RecordError {
        place: place(row)?,
        column: None,
        field: Some(check.field.clone()),
        code: RecordCode::ReferenceMissing,
        reason: format!(
            "no record of {} has {} = {}",
            check.parent_label,
            check.parent_field,
            RecordError::clip(&value)
        ),
        value: Some(value),
    })
}
