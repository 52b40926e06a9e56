//! The two dialects' migrations describe one schema, and the runner refuses what it does not know.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use sqlx::Connection as _;
use tranship::domain::status::Status;
use tranship::storage::migrate::{Migration, POSTGRES, SQLITE, only_adds};

use crate::support::databases::run;

crate::on_both_databases!(
    a_store_of_a_newer_version_is_refused_once_something_was_taken_away,
    a_store_whose_migrations_were_changed_is_refused,
    a_value_no_version_wrote_is_reported_with_its_place,
);

#[test]
fn both_dialects_have_the_same_numbered_files_and_each_is_known() {
    let files = |folder: &str| -> Vec<String> {
        let path = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut names: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(files("sqlite"), files("postgres"));
    for known in [SQLITE, POSTGRES] {
        let names: Vec<String> = known.iter().map(|step| format!("{}.sql", step.name)).collect();
        assert_eq!(names, files("sqlite"));
        for (number, step) in (1..).zip(known) {
            assert!(
                step.number == number && step.name.starts_with(&format!("{number:04}_")),
                "{}",
                step.name
            );
        }
    }
}

/// The statuses each column takes that has any, by the last step that says so: of the queue, of outcomes and of history, told
/// apart by whether messages may wait or have ended there.
fn statuses_taken(steps: &[Migration]) -> BTreeMap<(bool, bool), Vec<&str>> {
    let mut taken = BTreeMap::new();
    for step in steps {
        for check in step.sql.split("CHECK (status IN (").skip(1) {
            let list = check.split_once("))").unwrap().0;
            let words: Vec<&str> = list.split(',').map(|word| word.trim().trim_matches('\'')).collect();
            taken.insert((words.contains(&"Enqueued"), words.contains(&"Acked")), words);
        }
    }
    taken
}

#[test]
fn status_columns_take_exactly_the_statuses_there_are() {
    let words = |wanted: fn(Status) -> bool| -> Vec<&str> {
        Status::ALL
            .into_iter()
            .filter(|s| wanted(*s))
            .map(Status::as_str)
            .collect()
    };
    let wanted = BTreeMap::from([
        ((true, false), words(|status| !status.is_final())),
        ((false, true), words(Status::is_final)),
        ((true, true), words(|_| true)),
    ]);
    for steps in [SQLITE, POSTGRES] {
        assert_eq!(statuses_taken(steps), wanted, "queue, outcomes and history");
    }
}

/// `table.column nullable` for every column and `table unique (columns) predicate` for every unique index.
type Shape = BTreeSet<String>;

async fn sqlite_shape(url: &str) -> Shape {
    let mut db = sqlx::SqliteConnection::connect(url).await.unwrap();
    let columns: Vec<(String, String, bool)> = sqlx::query_as(
        "select m.name, c.name, c.\"notnull\" = 0 from sqlite_master m, pragma_table_info(m.name) c \
         where m.type = 'table' and m.name not like 'sqlite_%'",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    let uniques: Vec<(String, String, bool)> = sqlx::query_as(
        "select m.name, (select group_concat(name, ',') from (select name from pragma_index_info(i.name) order by name)), \
         i.partial from sqlite_master m, pragma_index_list(m.name) i where m.type = 'table' and i.\"unique\"",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    // The key that is SQLite's own row number has no index of its own; of history's lines it is the whole key.
    let keys = [
        ("audit", "seq"),
        ("message_events", "message,seq"),
        ("project_changes", "only_row"),
        ("schema_migrations", "number"),
    ];
    let own = keys.map(|(table, column)| (table.to_owned(), column.to_owned(), false));
    shape(columns, uniques.into_iter().chain(own))
}

async fn postgres_shape(url: &str) -> Shape {
    let mut db = sqlx::PgConnection::connect(url).await.unwrap();
    let columns: Vec<(String, String, bool)> = sqlx::query_as(
        "select table_name::text, column_name::text, is_nullable = 'YES' from information_schema.columns \
         where table_schema = 'public' and table_name not like '%\\_default'",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    let uniques: Vec<(String, String, bool)> = sqlx::query_as(
        "select t.relname::text, (select string_agg(a.attname::text, ',' order by a.attname::text collate \"C\") \
         from pg_attribute a where a.attrelid = t.oid and a.attnum = any(i.indkey)), i.indpred is not null \
         from pg_index i join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace \
         where n.nspname = 'public' and i.indisunique and not t.relispartition",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    shape(columns, uniques)
}

fn shape(columns: Vec<(String, String, bool)>, uniques: impl IntoIterator<Item = (String, String, bool)>) -> Shape {
    let columns = columns
        .into_iter()
        .map(|(table, column, null)| format!("{table}.{column} null={null}"));
    let uniques = uniques
        .into_iter()
        .map(|(table, columns, partial)| format!("{table} unique ({columns}) partial={partial}"));
    columns.chain(uniques).collect()
}

#[tokio::test]
async fn both_dialects_make_the_same_tables_columns_and_unique_indexes() {
    let Some(postgres) = TestDatabase::postgres().await else {
        return;
    };
    let sqlite = TestDatabase::sqlite();
    let stores = (open(&sqlite).await, open(&postgres).await);
    let (a, b) = (sqlite_shape(&sqlite.url).await, postgres_shape(&postgres.url).await);
    let differences: Vec<&String> = a.symmetric_difference(&b).collect();
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(a.len() > 100, "{}", a.len());
    drop(stores);
}

#[tokio::test]
async fn what_the_server_does_with_a_commit_is_reported() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let mut db = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let (fsync, pages): (String, String) =
        sqlx::query_as("select current_setting('fsync'), current_setting('full_page_writes')")
            .fetch_one(&mut db)
            .await
            .unwrap();
    let mut weakened = Vec::new();
    if fsync == "off" {
        weakened.push("fsync = off".to_owned());
    }
    if pages == "off" {
        weakened.push("full_page_writes = off".to_owned());
    }
    // The role's own default is weaker; the store's connections say `on` for themselves.
    let name = database.url.rsplit('/').next().unwrap();
    run(
        &database.url,
        &format!("alter database {name} set synchronous_commit = off"),
    )
    .await;
    let store = open(&database).await;
    assert_eq!(store.durability().weakened_by, weakened);
    let class = if weakened.is_empty() {
        Durability::Full
    } else {
        Durability::Relaxed
    };
    assert_eq!(store.durability().class, class);
}

async fn close(store: Store) {
    store.close().await;
}

/// Steps that only add do not keep the version before out; one that takes away does, wherever it stands among them.
async fn a_store_of_a_newer_version_is_refused_once_something_was_taken_away(database: TestDatabase) {
    close(open(&database).await).await;
    let later = |number: i64, name: &str| {
        format!(
            "insert into schema_migrations (number, name, checksum, applied_at) values ({number}, '{name}', 'x', 0)"
        )
    };
    run(&database.url, &later(98, "0098_later")).await;
    let store = open(&database).await;
    assert_eq!(enqueue(&store, JobId::generate(), Direction::Import, 1).await.len(), 1);
    close(store).await;
    run(&database.url, &later(99, "0099_contract_leases")).await;
    run(&database.url, &later(100, "0100_later")).await;
    let Err(StoreError::Migration(text)) = Store::connect(&settings(&database)).await else {
        panic!("it opened")
    };
    assert!(text.contains("0099_contract_leases"), "{text}");
}

/// What the steps of the first release took away or filled in does not count: nobody has an older store.
const FIRST_RELEASE: i64 = 18;

#[test]
fn steps_that_do_not_say_so_take_nothing_away() {
    let taking = [
        "drop table",
        "drop column",
        " rename ",
        "set not null",
        "drop default",
        "add constraint",
        "delete from",
        "truncate",
        "create unique index",
    ];
    for step in SQLITE.iter().chain(POSTGRES).filter(|step| step.number > FIRST_RELEASE) {
        let lines = step.sql.lines().filter(|line| !line.trim_start().starts_with("--"));
        let sql = lines.collect::<Vec<_>>().join(" ").to_lowercase();
        for part in sql.split(';') {
            let is_new_table = part.trim_start().starts_with("create table");
            let adds_a_duty = part.contains("add column") && part.contains("not null") && !part.contains("default");
            let takes = taking.iter().find(|words| part.contains(**words) && !is_new_table);
            assert!(
                !only_adds(step.name) || (takes.is_none() && !adds_a_duty),
                "{} takes something away that the version before may use: `{}`. Name it {:04}_contract_…, a release later",
                step.name,
                part.trim(),
                step.number
            );
        }
    }
}

async fn a_store_whose_migrations_were_changed_is_refused(database: TestDatabase) {
    close(open(&database).await).await;
    run(
        &database.url,
        "update schema_migrations set checksum = 'x' where number = 2",
    )
    .await;
    let Err(StoreError::Migration(text)) = Store::connect(&settings(&database)).await else {
        panic!("it opened")
    };
    assert!(text.contains("0002_executions"), "{text}");
}

async fn a_value_no_version_wrote_is_reported_with_its_place(database: TestDatabase) {
    let store = open(&database).await;
    let id = enqueue(&store, JobId::generate(), Direction::Import, 1).await[0];
    run(&database.url, "update messages set bytes = -1").await;
    let Err(StoreError::Corrupt {
        table, column, id: row, ..
    }) = store.message(id).await
    else {
        panic!("it read")
    };
    assert_eq!((table, column, row), ("messages", "bytes", id.to_string()));
}
