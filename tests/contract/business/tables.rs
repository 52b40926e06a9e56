//! Generated tables, and what differs between a definition and a table.

use std::path::Path;

use tranship::business::{BusinessError, DatabaseSettings, Databases};
use tranship::domain::entity::FieldType;

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    two_processes_may_make_the_tables_at_once,
    a_missing_table_that_may_not_be_made_is_a_definition_error,
    a_table_without_the_key_is_a_definition_error,
    differences_are_named_with_the_statement_that_mends_them,
    a_definition_that_grew_is_applied_and_loads,
    names_that_need_quotes_and_our_own_words_are_in_order,
    reserved_and_overlong_names_are_refused,
    opening_costs_nothing_before_the_first_use,
    tables_that_vanish_while_running_are_made_again,
);

async fn two_processes_may_make_the_tables_at_once(database: TestDatabase) {
    let (one, other, entity) = (open(&database), open(&database), orders());
    let (first, second) = tokio::join!(one.ensure_entity(&entity), other.ensure_entity(&entity));
    first.expect("the one");
    second.expect("the other");
    one.ensure_entity(&entity).await.expect("again");
    assert_eq!(one.diff_entity(&entity).await.expect("compared"), []);
}

async fn a_missing_table_that_may_not_be_made_is_a_definition_error(database: TestDatabase) {
    let (database, mut entity) = (open(&database), orders());
    entity.create_table = false;
    let refused = database.ensure_entity(&entity).await.expect_err("no table");
    assert!(
        matches!(&refused, BusinessError::Definition(d) if d.contains("no table `orders`")),
        "{refused}"
    );
    let found = database.diff_entity(&entity).await.expect("compared");
    assert!(
        !found[0].additive && found[0].sql.starts_with("create table \"orders\""),
        "{found:?}"
    );
    database.apply(&found).await.expect("nothing to do");
    database.ensure_entity(&entity).await.expect_err("still no table");
}

async fn a_table_without_the_key_is_a_definition_error(database: TestDatabase) {
    let test = database;
    let mut plain = Plain::open(&test).await;
    plain
        .run("create table orders (order_number bigint, customer text, freight numeric(18,2), id bigint primary key)")
        .await;
    plain
        .run("create unique index half on orders (order_number) where freight > 1")
        .await;
    let (database, mut entity) = (open(&test), orders());
    entity.create_table = false;
    let refused = database.ensure_entity(&entity).await.expect_err("no key");
    assert!(
        refused.to_string().contains("no unique key on (order_number)"),
        "{refused}"
    );
    let found = database.diff_entity(&entity).await.expect("compared");
    let key = found.iter().find(|d| d.what.contains("unique key")).expect("named");
    plain.run(&key.sql).await;
    database.ensure_entity(&entity).await.expect("the statement mends it");
}

async fn differences_are_named_with_the_statement_that_mends_them(database: TestDatabase) {
    let test = database;
    let mut plain = Plain::open(&test).await;
    plain
        .run("create table orders (order_number bigint primary key, customer varchar(5), freight real, warehouse text not null)")
        .await;
    let (database, mut entity) = (open(&test), orders());
    entity.create_table = false;
    entity.fields[1].max_length = Some(20);
    entity.fields.push(field("note", FieldType::String));
    let mut needed = field("needed", FieldType::Int);
    needed.required = true;
    entity.fields.push(needed);

    let found = database.diff_entity(&entity).await.expect("compared");
    let said: Vec<_> = found.iter().map(|d| (d.what.as_str(), d.additive)).collect();
    assert_eq!(said.len(), 5, "{found:#?}");
    assert!(said[0].0.contains("no column `note`") && said[0].1);
    assert!(said[1].0.contains("no column `needed`") && !said[1].1);
    let widened = !plain.is_sqlite();
    assert!(said[2].0.contains("`customer`") && said[2].0.contains("varchar(20)") && said[2].1 == widened);
    assert!(said[3].0.contains("`freight`") && !said[3].1);
    assert!(said[4].0.contains("`warehouse`") && said[4].0.contains("must not be null") && !said[4].1);

    database.apply(&found).await.expect("applied");
    let left = database.diff_entity(&entity).await.expect("compared");
    let rest: Vec<_> = found.into_iter().filter(|difference| !difference.additive).collect();
    assert_eq!(left, rest, "only what adds was done");
    if !plain.is_sqlite() {
        for difference in &left {
            plain.run(&difference.sql).await;
        }
        assert_eq!(database.diff_entity(&entity).await.expect("compared"), []);
    }
}

async fn a_definition_that_grew_is_applied_and_loads(database: TestDatabase) {
    let (database, mut entity) = (open(&database), orders());
    load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await;
    let mut note = field("note", FieldType::String);
    note.required = true;
    entity.fields.push(note);
    let refused = database
        .ensure_entity(&entity)
        .await
        .expect_err("the column is missing");
    assert!(refused.to_string().contains("`note`"), "{refused}");
    let found = database.diff_entity(&entity).await.expect("compared");
    assert!(found.len() == 1 && found[0].additive, "{found:?}");
    database.apply(&found).await.expect("applied");
    let mut cells = order(2, "B", "2.00");
    cells.push(text("new"));
    load_rows(&database, &entity, vec![cells]).await;
    let landed = read_all(&database, &entity).await;
    assert_eq!(
        landed,
        [row(&["1", "A", "1.00", "NULL"]), row(&["2", "B", "2.00", "new"])]
    );
}

async fn names_that_need_quotes_and_our_own_words_are_in_order(database: TestDatabase) {
    let database = open(&database);
    let fields = ["key", "select", "state", "record", "message", "line", "a b", "q\"uote"];
    let odd = entity(
        "Odd",
        "the \"order\" table",
        &["key"],
        fields.map(|name| field(name, FieldType::String)).into(),
    );
    let mut cells = fields.map(text).to_vec();
    load_rows(&database, &odd, vec![cells.clone()]).await;
    assert_eq!(read_all(&database, &odd).await, [row(&fields)]);
    cells[2] = text("changed");
    assert_eq!(outcome(load_rows(&database, &odd, vec![cells]).await), (0, 1, 0, 0));
}

async fn reserved_and_overlong_names_are_refused(database: TestDatabase) {
    let database = open(&database);
    let one = |table: &str, name: &str| entity("One", table, &[name], vec![field(name, FieldType::Int)]);
    let long = "t".repeat(205);
    for entity in [
        one("tranship_fence", "id"),
        one("ok", "tranship_state"),
        one(&long, "id"),
        one("", "id"),
    ] {
        let refused = database.ensure_entity(&entity).await;
        assert!(matches!(refused, Err(BusinessError::Definition(_))), "{refused:?}");
    }
}

async fn opening_costs_nothing_before_the_first_use(database: TestDatabase) {
    let test = database;
    let (database, entity) = (open(&test), orders());
    if let Some(file) = test.url.strip_prefix("sqlite://") {
        database.ping().await.expect("a file that is not there yet is in order");
        let found = database.diff_entity(&entity).await.expect("compared");
        assert!(found.len() == 1 && found[0].additive);
        let refused = database.snapshot().await.expect_err("nothing to read");
        assert!(matches!(refused, BusinessError::Definition(_)), "{refused}");
        assert!(!Path::new(file).exists());

        let roundabout = Path::new(file).parent().expect("a folder").join(".").join("test.db");
        assert!(database.is_same_file(&roundabout));
        assert!(!database.is_same_file(Path::new("/elsewhere/test.db")));
    }
    database.ensure_entity(&entity).await.expect("made");
    database.ping().await.expect("reachable");
}

#[test]
fn what_is_no_database_is_refused_without_showing_the_password() {
    for url in [
        "mysql://root:hunter2@host/db",
        "sqlite::memory:",
        "nonsense",
        "postgres://user:hunter2@host:port/db",
    ] {
        let settings = DatabaseSettings {
            url: url.to_owned(),
            max_connections: 1,
        };
        assert!(!format!("{settings:?}").contains("hunter2"));
        let refused = Databases::new(&[("main".to_owned(), settings)].into()).expect_err(url);
        assert!(matches!(refused, BusinessError::Settings(_)));
        assert!(refused.to_string().contains("databases.main.url") && !refused.to_string().contains("hunter2"));
    }
}

async fn tables_that_vanish_while_running_are_made_again(database: TestDatabase) {
    let (test, entity) = (database, orders());
    let database = open(&test);
    load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await;
    let mut plain = Plain::open(&test).await;
    let control =
        ["fence", "loads", "chunks", "rejects", "repairs", "tables", "stagings"].map(|name| format!("tranship_{name}"));
    let all: Vec<_> = control
        .into_iter()
        .chain(["orders".into(), entity.staging_table()])
        .collect();
    // The whole database, then staging alone.
    for gone in [all.as_slice(), &all[8..]] {
        let loading = Loading::begin(&database, &entity).await;
        for table in gone {
            plain.run(&format!("drop table {table}")).await;
        }
        let batch = batch(1, vec![order(1, "A", "1.00")]);
        let lost = database.stage(loading.load(), &loading.fields, &batch).await;
        assert!(
            matches!(lost, Err(BusinessError::Driver { .. })),
            "worth another attempt: {lost:?}"
        );
        load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await;
        assert_eq!(read_all(&database, &entity).await.len(), 1);
    }
}
