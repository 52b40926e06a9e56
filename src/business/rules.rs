//! Business rules (DMF-8): the operator's own SQL conditions, asked of the staged records of a range at a time.
//!
//! A rule sees the record's fields by their names, alone or behind `record.`, typed as in the target. It is planned once before
//! the first record, so what fails later fails on data: the range is halved until the record at fault stands alone.

use super::control::LoadKey;
use super::dialect::{Dialect, FaultKind, quote};
use super::session::{DbRow, Fault, Session, Value, message_of};
use super::staging::{GOOD_IN_RANGE, Load};
use super::validate::{PLACE, place};
use super::{BusinessError, Database};
use crate::domain::entity::Entity;
use crate::domain::job::ImportMode;
use crate::domain::reject::{RecordCode, RecordError};
use crate::domain::rule::{Rule, Severity};

/// A rule, and the statement that asks it of a range of a load.
#[derive(Clone)]
pub(super) struct RuleCheck {
    rule: Rule,
    sql: String,
}

/// What a rule found in a range.
#[derive(Default)]
struct Found {
    /// What the statement returned of the records it could be asked of.
    rows: Vec<DbRow>,
    /// Places of those it failed on, and the database's words.
    broken: Vec<(DbRow, String)>,
}

impl Database {
    /// The rules a load rejects by, each planned.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] for one the database does not understand, in its words.
    pub(super) async fn rejecting_rules(&self, load: Load<'_>) -> Result<Vec<RuleCheck>, BusinessError> {
        self.rules_of(load, Severity::Reject).await
    }

    /// The rules that only warn.
    ///
    /// # Errors
    /// As [`Self::rejecting_rules`].
    pub(super) async fn warning_rules(&self, load: Load<'_>) -> Result<Vec<RuleCheck>, BusinessError> {
        self.rules_of(load, Severity::Warn).await
    }

    /// Counts, range by range, the good records that fail a rule which only warns. Safe to repeat.
    pub(super) async fn count_warnings(
        &self,
        load: Load<'_>,
        key: &LoadKey,
        records: u64,
        size: u64,
    ) -> Result<(), BusinessError> {
        let rules = self.warning_rules(load).await?;
        let mut first = 1;
        while first <= records && !rules.is_empty() {
            let last = first.saturating_add(size - 1).min(records);
            let (key, rules) = (key.clone(), rules.clone());
            self.fenced(load.fence, move |session| {
                Box::pin(async move {
                    let mut has_found = false;
                    for rule in &rules {
                        has_found |= rule.count(session, &key, first, last).await?;
                    }
                    if !has_found {
                        session.discard();
                    }
                    Ok(())
                })
            })
            .await?;
            first = last + 1;
        }
        Ok(())
    }

    /// The rules of which records of this load fail that only warn, and how many records each, in order of their names.
    pub async fn rule_warnings(&self, load: Load<'_>) -> Result<Vec<(String, u64)>, BusinessError> {
        let values = LoadKey::new(load).with([]);
        self.fenced_read(load.fence, move |session| {
            Box::pin(async move {
                let sql = "select rule, cast(sum(records) as bigint) from tranship_warnings \
                     where message = $1 and entity_no = $2 group by rule order by rule";
                let rows = session.rows(sql, values).await?;
                rows.iter().map(|row| Ok((row.text(0)?, row.count(1)?))).collect()
            })
        })
        .await
    }

    /// Asks the database to plan every rule of the entity, so that a broken one is not found by the first file. Needs no table
    /// but those the rules name. Returns what it says of those it refuses. A SQLite file that is not there yet refuses none.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn refused_rules(&self, entity: &Entity) -> Result<Vec<String>, BusinessError> {
        let mut refused = Vec::new();
        if self.inner.address.is_missing_file() {
            return Ok(refused);
        }
        for rule in &entity.rules {
            let sql = check_sql(self.dialect(), entity, rule, &no_records(self.dialect(), entity));
            match self.plan(entity, rule, sql, Vec::new()).await {
                Err(BusinessError::Definition(detail)) => refused.push(detail),
                other => other?,
            }
        }
        Ok(refused)
    }

    async fn rules_of(&self, load: Load<'_>, severity: Severity) -> Result<Vec<RuleCheck>, BusinessError> {
        let mut checks = Vec::new();
        // Of a row that is to go only the key is there to be judged.
        if !load.checks_rules || load.mode == ImportMode::Delete {
            return Ok(checks);
        }
        for rule in load.entity.rules.iter().filter(|rule| rule.severity == severity) {
            let staged = staged_records(self.dialect(), load.entity, rule);
            let sql = check_sql(self.dialect(), load.entity, rule, &staged);
            let values = LoadKey::new(load).with([Value::Int(1), Value::Int(1)]);
            self.plan(load.entity, rule, sql.clone(), values).await?;
            checks.push(RuleCheck {
                rule: rule.clone(),
                sql,
            });
        }
        Ok(checks)
    }

    async fn plan(&self, entity: &Entity, rule: &Rule, sql: String, values: Vec<Value>) -> Result<(), BusinessError> {
        let sql = format!("{} {sql}", self.dialect().explain());
        let planned = self.read(move |session| Box::pin(async move { Ok(session.rows(sql, values).await.map(drop)?) }));
        planned.await.map_err(|error| match error {
            BusinessError::Definition(detail) => {
                BusinessError::Definition(format!("rule `{}` of entity `{}`: {detail}", rule.name, entity.name))
            }
            other => other,
        })
    }
}

impl RuleCheck {
    /// The good records of a range that fail the rule: their rows begin with place and origin.
    pub(super) async fn failures(
        &self,
        session: &mut Session,
        key: &LoadKey,
        first: u64,
        last: u64,
    ) -> Result<Vec<(DbRow, RecordError)>, Fault> {
        let found = self.ask(session, key, first, last).await?;
        let Rule { name, message, .. } = &self.rule;
        let mut failures = Vec::with_capacity(found.rows.len() + found.broken.len());
        for row in found.rows {
            let value = row.opt_text(5)?;
            let error = self.error(&row, value, format!("rule `{name}`: {message}"))?;
            failures.push((row, error));
        }
        for (row, detail) in found.broken {
            let error = self.error(&row, None, format!("rule `{name}` cannot be checked: {detail}"))?;
            failures.push((row, error));
        }
        Ok(failures)
    }

    fn error(&self, row: &DbRow, value: Option<String>, reason: String) -> Result<RecordError, Fault> {
        Ok(RecordError {
            place: place(row)?,
            column: None,
            field: self.rule.field.clone(),
            code: RecordCode::RuleFailed,
            value,
            reason,
        })
    }

    /// Writes down how many good records of a range fail; `false` when there are none.
    pub(super) async fn count(
        &self,
        session: &mut Session,
        key: &LoadKey,
        first: u64,
        last: u64,
    ) -> Result<bool, Fault> {
        let found = self.ask(session, key, first, last).await?;
        let records = (found.rows.len() + found.broken.len()) as u64;
        if records == 0 {
            return Ok(false);
        }
        let sql = "insert into tranship_warnings (message, entity_no, rule, first_record, records) \
             values ($1, $2, $3, $4, $5) \
             on conflict (message, entity_no, rule, first_record) do update set records = excluded.records";
        let values = [Value::Text(self.rule.name.clone()), first.into(), records.into()];
        session.execute(sql, key.with(values)).await?;
        Ok(true)
    }

    /// Asks the rule of a range; where it fails, halves it until the records at fault stand alone.
    async fn ask(&self, session: &mut Session, key: &LoadKey, first: u64, last: u64) -> Result<Found, Fault> {
        let mut found = Found::default();
        let mut pieces = vec![(first, last)];
        while let Some((first, last)) = pieces.pop() {
            session.run("savepoint rule").await?;
            let asked = session
                .rows(self.sql.clone(), key.with([first.into(), last.into()]))
                .await;
            match asked {
                Ok(rows) => found.rows.extend(rows),
                // It was planned before: SQLite has no other word for a function that fails on its argument.
                Err(error) if session.dialect.kind(&error) != FaultKind::Other => {
                    session.run("rollback to savepoint rule").await?;
                    if first == last {
                        let row = standing(session, key, first).await?;
                        found.broken.push((row, message_of(&error)));
                    } else {
                        let middle = first + (last - first) / 2;
                        pieces.extend([(middle + 1, last), (first, middle)]);
                    }
                }
                Err(error) => return Err(error.into()),
            }
            session.run("release savepoint rule").await?;
        }
        Ok(found)
    }
}

/// Place and origin of one record.
async fn standing(session: &mut Session, key: &LoadKey, record: u64) -> Result<DbRow, Fault> {
    let sql = format!("select {PLACE} from {} s where {GOOD_IN_RANGE}", key.staging);
    let row = session.row(sql, key.with([record.into(), record.into()])).await?;
    Ok(row.ok_or(sqlx::Error::RowNotFound)?)
}

/// The records that fail a rule, among `records`. These are gathered first: a planner is free to ask the rule of any row it
/// meets, and it must not fail on one that is not meant.
fn check_sql(dialect: Dialect, entity: &Entity, rule: &Rule, records: &str) -> String {
    let fields: Vec<String> = entity
        .fields
        .iter()
        .map(|field| {
            let column = quote(&field.name);
            format!(
                "{} as {column}",
                dialect.comparable(&field.kind, &format!("s.{column}"))
            )
        })
        .collect();
    // The line break ends a comment the condition may end with.
    format!(
        "with record as materialized (select {PLACE}, s.tranship_shown, {} from ({records}) s) \
         select record.tranship_record, record.tranship_line, record.tranship_byte_start, record.tranship_byte_end, \
           record.tranship_origin, record.tranship_shown from record where not ({}\n)",
        fields.join(", "),
        rule.check
    )
}

/// The good records of a range, each with the value of the rule's field as a reject shows it.
fn staged_records(dialect: Dialect, entity: &Entity, rule: &Rule) -> String {
    let field = rule.field.as_ref().and_then(|name| entity.field(name));
    let shown = field.map_or_else(
        || "cast(null as text)".to_owned(),
        |field| super::validate::shown(dialect, field),
    );
    let staging = quote(&entity.staging_table());
    format!("select s.*, {shown} as tranship_shown from {staging} s where {GOOD_IN_RANGE}")
}

/// No record, with the columns a staged one has.
fn no_records(dialect: Dialect, entity: &Entity) -> String {
    let own = [
        "tranship_record",
        "tranship_line",
        "tranship_byte_start",
        "tranship_byte_end",
    ];
    let own = own.iter().map(|name| format!("cast(null as bigint) as {name}"));
    let texts = ["tranship_origin", "tranship_shown"];
    let texts = texts.iter().map(|name| format!("cast(null as text) as {name}"));
    let fields = entity.fields.iter().map(|field| {
        let kind = dialect.staging_type(&field.kind);
        format!("cast(null as {kind}) as {}", quote(&field.name))
    });
    let columns: Vec<String> = own.chain(texts).chain(fields).collect();
    format!("select {} where false", columns.join(", "))
}
