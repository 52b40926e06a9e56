//! The change table of a target, and the triggers that fill it.

use std::collections::HashMap;

use super::super::catalogue::{columns, keys};
use super::super::dialect::{Dialect, quote};
use super::super::session::{Fault, Session, Value};
use super::super::tables::quoted_list;
use crate::domain::entity::Entity;

/// How long making triggers waits for those who write: others would queue up behind it.
const LOCK_TIMEOUT: &str = "5s";

/// When the triggers fire, and how they call the rows.
const EVENTS_ON_POSTGRES: [(&str, &str); 4] = [
    ("insert", "referencing new table as tranship_new"),
    (
        "update",
        "referencing old table as tranship_old new table as tranship_new",
    ),
    ("delete", "referencing old table as tranship_old"),
    ("truncate", ""),
];
/// When they fire; the last two only where a row may take the place of another.
const EVENTS_ON_SQLITE: [&str; 5] = [
    "after insert",
    "after update",
    "after delete",
    "before insert",
    "before update",
];

/// What tracks the changes of one table.
#[derive(Debug, Clone)]
pub(super) struct Tracking {
    dialect: Dialect,
    /// As it is.
    pub(super) target: String,
    /// As it is.
    changes: String,
    key: Vec<String>,
    fields: Vec<String>,
}

impl Tracking {
    pub(super) fn of(dialect: Dialect, entity: &Entity) -> Self {
        Self {
            dialect,
            target: entity.table.clone(),
            changes: entity.change_table(),
            key: entity.key.clone(),
            fields: entity.tracked_fields(),
        }
    }

    /// Whether the change table is there, and all triggers are, do what they are to do, and fire always.
    pub(super) async fn is_there(&self, session: &mut Session) -> Result<bool, Fault> {
        if columns(session, &self.changes).await?.is_empty() {
            return Ok(false);
        }
        match self.dialect {
            Dialect::Postgres => self.is_on_postgres(session).await,
            Dialect::Sqlite => self.is_on_sqlite(session).await,
        }
    }

    async fn is_on_postgres(&self, session: &mut Session) -> Result<bool, Fault> {
        let sql = "select count(*) from pg_trigger g join pg_proc p on p.oid = g.tgfoid \
             where g.tgrelid = to_regclass($1) and g.tgenabled = 'A' and left(g.tgname, length($2)) = $2 \
               and g.tgqual is null and g.tgattr::text = '' and p.prosrc = $3";
        let Some(body) = self.body_on_postgres(session).await? else {
            return Ok(false);
        };
        let values = vec![
            Value::Text(quote(&self.target)),
            Value::Text(self.prefix()),
            Value::Text(body),
        ];
        let found = session.row(sql, values).await?.map(|row| row.count(0)).transpose()?;
        Ok(found == Some(EVENTS_ON_POSTGRES.len() as u64))
    }

    async fn is_on_sqlite(&self, session: &mut Session) -> Result<bool, Fault> {
        let sql = "select sql from sqlite_schema where type = 'trigger' and tbl_name = $1 collate nocase \
             and substr(name, 1, length($2)) = $2";
        let values = vec![Value::Text(self.target.clone()), Value::Text(self.prefix())];
        let found = session.rows(sql, values).await?;
        let mut found = found.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
        let mut wanted = self.triggers_on_sqlite(session).await?;
        found.sort_unstable();
        wanted.sort_unstable();
        Ok(found == wanted)
    }

    /// Makes the change table and the triggers anew.
    pub(super) async fn make(&self, session: &mut Session) -> Result<(), Fault> {
        match self.dialect {
            Dialect::Postgres => self.make_on_postgres(session).await?,
            Dialect::Sqlite => self.make_on_sqlite(session).await?,
        }
        let history = match self.dialect {
            Dialect::Postgres => "gen_random_uuid()::text",
            Dialect::Sqlite => "lower(hex(randomblob(16)))",
        };
        let sql = format!(
            "insert into tranship_change_histories (name, history, forgotten) values ($1, {history}, 0) \
             on conflict (name) do update set history = excluded.history, forgotten = excluded.forgotten"
        );
        session.execute(sql, vec![Value::Text(self.changes.clone())]).await?;
        Ok(())
    }

    /// What the names of its triggers begin with.
    fn prefix(&self) -> String {
        format!("{} ", self.changes)
    }

    fn name(&self, event: &str) -> String {
        quote(&format!("{}{event}", self.prefix()))
    }

    /// Statement triggers: a transaction pays once for each statement, not for each row. They fire always, on a replica's
    /// connection too, and as their owner, because who writes the table need not be allowed to write its changes.
    async fn make_on_postgres(&self, session: &mut Session) -> Result<(), Fault> {
        let (target, changes) = (quote(&self.target), quote(&self.changes));
        let fields = quoted_list(&self.fields);
        session
            .run(format!(
                "set local lock_timeout = '{LOCK_TIMEOUT}'; drop table if exists {changes}; \
                 drop function if exists {changes}() cascade; \
                 create table {changes} as select {fields} from {target} with no data; \
                 alter table {changes} add column tranship_xid xid8 not null default pg_current_xact_id(), \
                   add column tranship_truncated boolean not null default false; \
                 create index on {changes} (tranship_xid)"
            ))
            .await?;
        let body = self.body_on_postgres(session).await?.ok_or(sqlx::Error::RowNotFound)?;
        session
            .run(format!(
                "create function {changes}() returns trigger language plpgsql security definer \
                   set search_path = pg_catalog, pg_temp as $tranship${body}$tranship$"
            ))
            .await?;
        for (event, referencing) in EVENTS_ON_POSTGRES {
            let trigger = self.name(event);
            session
                .run(format!(
                    "drop trigger if exists {trigger} on {target}; \
                     create trigger {trigger} after {event} on {target} {referencing} \
                       for each statement execute function {changes}(); \
                     alter table {target} enable always trigger {trigger}"
                ))
                .await?;
        }
        Ok(())
    }

    /// What the function of the triggers does; nothing without the change table.
    async fn body_on_postgres(&self, session: &mut Session) -> Result<Option<String>, Fault> {
        let sql = "select quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c \
             join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)";
        let row = session.row(sql, vec![Value::Text(quote(&self.changes))]).await?;
        let Some(row) = row else { return Ok(None) };
        let changes = row.text(0)?;
        let fields = quoted_list(&self.fields);
        Ok(Some(format!(
            " begin \
               if tg_op = 'INSERT' then \
                 insert into {changes} ({fields}) select {fields} from tranship_new; \
               elsif tg_op = 'UPDATE' then \
                 insert into {changes} ({fields}) select {fields} from tranship_new union select {fields} from tranship_old; \
               elsif tg_op = 'DELETE' then \
                 insert into {changes} ({fields}) select {fields} from tranship_old; \
               else insert into {changes} (tranship_truncated) values (true); end if; \
               return null; end "
        )))
    }

    async fn make_on_sqlite(&self, session: &mut Session) -> Result<(), Fault> {
        let changes = quote(&self.changes);
        for event in EVENTS_ON_SQLITE {
            session
                .run(format!("drop trigger if exists {}", self.name(event)))
                .await?;
        }
        let triggers = self.triggers_on_sqlite(session).await?;
        session.run(format!("drop table if exists {changes}")).await?;
        session
            .run(format!(
                "create table {changes} (tranship_change integer primary key autoincrement, {})",
                quoted_list(&self.fields)
            ))
            .await?;
        for trigger in triggers {
            session.run(trigger).await?;
        }
        Ok(())
    }

    /// Row triggers, the only ones there are, as the catalogue keeps their statements. `REPLACE` removes rows without their delete
    /// triggers, so the rows it is about to remove are noted before: those that share another unique key with the new one.
    async fn triggers_on_sqlite(&self, session: &mut Session) -> Result<Vec<String>, Fault> {
        let (target, changes) = (quote(&self.target), quote(&self.changes));
        let fields = quoted_list(&self.fields);
        let of = |row: &str| {
            let values: Vec<_> = self
                .fields
                .iter()
                .map(|name| format!("{row}.{}", quote(name)))
                .collect();
            values.join(", ")
        };
        let note = |values: String| format!("insert into {changes} ({fields}) {values}");
        let (new, old) = (of("new"), of("old"));
        let mut bodies = vec![
            note(format!("values ({new})")),
            note(format!("select {new} union select {old}")),
            note(format!("values ({old})")),
        ];
        if let Some(replaced) = self.replaced(session).await? {
            let removed = note(format!("select {} from {target} r where {replaced}", of("r")));
            bodies.extend([removed.clone(), removed]);
        }
        let trigger = |(event, body): (&str, String)| {
            format!(
                "CREATE TRIGGER {} {event} on {target} begin {body}; end",
                self.name(event)
            )
        };
        Ok(EVENTS_ON_SQLITE.into_iter().zip(bodies).map(trigger).collect())
    }

    /// Which rows `r` a new one would take the place of and which it does not tell of itself: that with its own key tells the same, but
    /// for another company.
    async fn replaced(&self, session: &mut Session) -> Result<Option<String>, Fault> {
        let collations = collations(session, &self.target).await?;
        // As the index compares them, which need not be as the column does.
        let same = |key: &str, columns: &[String]| {
            let same = columns.iter().map(|column| {
                let of_index = collations.get(&(key.to_owned(), column.to_ascii_lowercase()));
                let collation = of_index.map_or_else(String::new, |name| format!(" collate {}", quote(name)));
                format!("r.{0} = new.{0}{collation}", quote(column))
            });
            same.collect::<Vec<_>>().join(" and ")
        };
        let keys = keys(session, &self.target).await?;
        let own_at = keys.iter().position(|key| key.is_on(self.dialect, &self.key));
        let own = same(own_at.map_or("", |at| &keys[at].name), &self.key);
        // One beside the other, so that each is found by its index.
        let mut replaced: Vec<_> = keys
            .iter()
            .enumerate()
            .filter(|(at, _)| Some(*at) != own_at)
            // An empty field leaves it open whether two keys are the same: then they are not.
            .map(|(_, key)| format!("{} and ({own}) is not true", same(&key.name, &key.columns)))
            .collect();
        // Where its index takes two keys for one and the columns do not, the one that goes is not the one that comes.
        let plainly = same("", &self.key);
        if own != plainly && !collations.values().all(|name| name.eq_ignore_ascii_case("binary")) {
            replaced.push(format!("{own} and not ({plainly})"));
        }
        for column in self.fields.iter().filter(|field| !self.key.contains(field)) {
            let (before, after) = (format!("r.{}", quote(column)), format!("new.{}", quote(column)));
            let same = self.dialect.same_or_both_missing(&before, &after);
            replaced.push(format!("{own} and not ({same})"));
        }
        Ok((!replaced.is_empty()).then(|| format!("({})", replaced.join(") or ("))))
    }
}

/// How unique indexes compare their columns, by index and column in lower case.
async fn collations(session: &mut Session, target: &str) -> Result<HashMap<(String, String), String>, Fault> {
    let sql = "select case l.origin when 'pk' then '(primary key)' else l.name end, lower(x.name), x.coll from pragma_index_list($1) l, pragma_index_xinfo(l.name) x \
         where l.\"unique\" and x.\"key\" and x.name is not null";
    let rows = session.rows(sql, vec![Value::Text(target.to_owned())]).await?;
    rows.iter()
        .map(|row| Ok(((row.text(0)?, row.text(1)?), row.text(2)?)))
        .collect()
}

/// Why triggers on this table would not see every change of its rows, if they would not.
pub(super) async fn untrackable(session: &mut Session, target: &str) -> Result<Option<&'static str>, Fault> {
    let (sql, name) = match session.dialect {
        Dialect::Postgres => (
            "select relkind::text, relispartition or relpersistence = 't' \
               or exists (select from pg_inherits where inhparent = c.oid) \
             from pg_class c where oid = to_regclass($1)",
            quote(target),
        ),
        Dialect::Sqlite => (
            "select type, sql like 'create virtual table%' from sqlite_schema where name = $1 collate nocase \
               and type in ('table', 'view')",
            target.to_owned(),
        ),
    };
    let Some(row) = session.row(sql, vec![Value::Text(name)]).await? else {
        return Ok(Some("there is no such table"));
    };
    let (kind, is_special) = (row.text(0)?, row.flag(1)?);
    let is_table = matches!(kind.as_str(), "r" | "table");
    if is_table && !is_special && session.dialect == Dialect::Sqlite && has_unnamed_key(session, target).await? {
        return Ok(Some(
            "it has a unique index with a condition or an expression, and triggers do not see which rows `REPLACE` removes for it",
        ));
    }
    Ok((!is_table || is_special).then_some(
        "changes are tracked of plain tables only, not of views, partitions or tables with any; use `method = \"column\"` or \"query\"",
    ))
}

async fn has_unnamed_key(session: &mut Session, target: &str) -> Result<bool, Fault> {
    let sql = "select count(*) from pragma_index_list($1) l where l.\"unique\" and (l.partial \
           or exists (select 1 from pragma_index_info(l.name) i where i.name is null))";
    let row = session.row(sql, vec![Value::Text(target.to_owned())]).await?;
    Ok(row.map(|row| row.count(0)).transpose()?.is_some_and(|found| found > 0))
}
