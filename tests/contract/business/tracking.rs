//! Changes tracked by triggers (promise 7): whoever follows them knows the table, whatever happened to it in between.

mod held_back;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tranship::business::snapshot::Selection;
use tranship::business::tracking::Changes;
use tranship::business::{BusinessError, Database};
use tranship::domain::entity::{Entity, FieldType};
use tranship::domain::ids::JobId;
use tranship::domain::position::Position;

use super::fixture::*;
use crate::on_both_databases;
use crate::support::chance::Chance;
use crate::support::databases::TestDatabase;

on_both_databases!(
    every_kind_of_write_is_told,
    a_row_that_leaves_the_filter_or_the_company_is_told_as_gone,
    a_row_without_a_company_is_told_as_it_is,
    a_row_that_replace_takes_to_another_company_is_told_as_gone,
    a_row_whose_key_has_an_empty_field_is_told_as_it_is,
    rows_of_one_key_are_told_together,
    a_primary_key_alone_tells_what_is_there,
    changes_after_a_truncation_begin_with_everything,
    triggers_that_are_gone_are_noticed,
    a_restored_database_is_noticed,
    replace_tells_what_it_removed,
    replace_tells_rows_whose_key_has_an_empty_field,
    replace_by_an_index_that_compares_otherwise_is_told,
    a_key_is_told_as_its_row_has_it,
    a_column_may_be_called_as_the_number_of_a_row,
    other_triggers_are_made_anew,
    what_comes_later_is_refused_too,
    forgotten_changes_are_gone_and_others_are_not,
    what_triggers_do_not_see_is_refused,
    a_follower_of_random_writes_knows_the_table,
);

/// Somebody who exports, one position after the other, and keeps what was told.
struct Follower<'a> {
    database: &'a Database,
    entity: &'a Entity,
    filter: Option<&'a str>,
    companies: Vec<String>,
    job: JobId,
    position: Option<Position>,
    /// By key.
    known: BTreeMap<Cells, Cells>,
    /// Of the last export.
    told: u64,
    withheld: i64,
    is_full: bool,
}

impl<'a> Follower<'a> {
    fn new(database: &'a Database, entity: &'a Entity) -> Self {
        Self {
            database,
            entity,
            filter: None,
            companies: Vec::new(),
            job: JobId(uuid::Uuid::new_v4()),
            position: None,
            known: BTreeMap::new(),
            told: 0,
            withheld: 0,
            is_full: false,
        }
    }

    async fn export(&mut self) {
        self.database.track(self.entity).await.expect("tracked");
        let at_least = self.position.as_ref().map_or(0, |position| position.mark);
        let mark = self
            .database
            .raise_mark(self.job, self.entity, at_least)
            .await
            .expect("a mark");
        let mut snapshot = self.database.snapshot().await.expect("a snapshot");
        let horizon = snapshot
            .horizon(self.entity, self.position.as_ref())
            .await
            .expect("a horizon");
        let now = Position {
            history: horizon.history,
            at: horizon.at,
            mark: mark.new,
            selection: String::new(),
        };
        let mut changes = None;
        if let Some(then) = self
            .position
            .as_ref()
            .filter(|then| then.continues_to(&now, mark.known, horizon.oldest).is_ok())
        {
            let since = Changes {
                since: then.at,
                until: now.at,
            };
            let is_truncated = snapshot.is_truncated(self.entity, since).await.expect("an answer");
            changes = (!is_truncated).then_some(since);
        }
        let fields = field_names(self.entity);
        let selection = Selection {
            entity: self.entity,
            fields: &fields,
            filter: self.filter,
            order_by: &[],
            companies: &self.companies,
        };
        let (sender, mut batches) = mpsc::channel(1);
        let reading = async {
            match changes {
                Some(changes) => snapshot.read_changes(selection, changes, sender).await,
                None => snapshot.read(selection, sender).await,
            }
        };
        let mut rows = Vec::new();
        let collecting = async {
            while let Some(batch) = batches.recv().await {
                rows.extend(batch.iter().map(cells));
            }
        };
        let (told, ()) = tokio::join!(reading, collecting);
        self.told = told.expect("rows");
        self.is_full = changes.is_none();
        self.withheld = horizon.withheld;
        if self.is_full {
            self.known.clear();
        }
        for mut row in rows {
            let is_gone = !self.is_full && row.pop().expect("a last cell").as_deref() == Some("Yes");
            let key = self.key_of(&row);
            if is_gone {
                assert!(row.iter().zip(&fields).all(|(cell, name)| cell.is_none()
                    || self.entity.is_key(name)
                    || self.entity.company_field.as_ref() == Some(name)));
                self.known.remove(&key);
            } else {
                self.known.insert(key, row);
            }
        }
        self.position = Some(now);
    }

    /// The fields of a key come first in the entities here.
    fn key_of(&self, row: &[Option<String>]) -> Cells {
        row[..self.entity.key.len()].to_vec()
    }

    /// Exports until nothing is held back, and compares with the table.
    async fn catches_up(&mut self) {
        self.export().await;
        let (mut told, mut is_full) = (self.told, self.is_full);
        while self.withheld > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.export().await;
            told += self.told;
            is_full |= self.is_full;
        }
        (self.told, self.is_full) = (told, is_full);
        let fields = field_names(self.entity);
        let selection = Selection {
            entity: self.entity,
            fields: &fields,
            filter: self.filter,
            order_by: &[],
            companies: &self.companies,
        };
        let table: BTreeMap<_, _> = read(self.database, selection)
            .await
            .into_iter()
            .map(|row| (self.key_of(&row), row))
            .collect();
        assert_eq!(self.known, table);
    }
}

async fn make(test: &TestDatabase) -> (Database, Entity, Plain) {
    let (database, entity) = (open(test), orders());
    database.ensure_entity(&entity).await.expect("tables");
    (database, entity, Plain::open(test).await)
}

async fn every_kind_of_write_is_told(test: TestDatabase) {
    let (database, entity, mut plain) = make(&test).await;
    plain
        .run("insert into orders values (1, 'A', 1), (2, 'B', 2), (3, 'C', 3), (4, 'D', 4)")
        .await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    assert!(follower.is_full);
    follower.catches_up().await;
    assert!(!follower.is_full && follower.told == 0, "nothing happened");
    for (write, told) in [
        ("insert into orders values (5, 'E', 5)", 1),
        ("update orders set customer = 'X' where order_number in (1, 2)", 2),
        ("delete from orders where order_number = 3", 1),
        ("update orders set order_number = 40 where order_number = 4", 2),
        (
            "update orders set customer = 'Y' where order_number = 1; update orders set customer = 'Z' where order_number = 1",
            1,
        ),
        (
            "insert into orders values (6, 'F', 6); delete from orders where order_number = 6",
            1,
        ),
        (
            "delete from orders where order_number = 5; insert into orders values (5, 'again', 5)",
            1,
        ),
        (
            "insert into orders values (5, 'more', 5) on conflict (order_number) do update set customer = excluded.customer",
            1,
        ),
        (
            "insert into orders values (5, 'other', 5) on conflict (order_number) do nothing",
            0,
        ),
        ("begin; insert into orders values (7, 'G', 7); rollback", 0),
        ("update orders set customer = 'none' where order_number = 99", 0),
    ] {
        plain.run(write).await;
        follower.catches_up().await;
        assert!(!follower.is_full);
        assert_eq!(follower.told, told, "{write}");
    }
    // Our own loads are writes like others.
    load_rows(
        &database,
        &entity,
        vec![order(1, "loaded", "1.00"), order(8, "loaded", "8.00")],
    )
    .await;
    follower.catches_up().await;
    assert_eq!(follower.told, 2);
}

async fn a_row_that_leaves_the_filter_or_the_company_is_told_as_gone(test: TestDatabase) {
    let (database, mut entity, mut plain) = make(&test).await;
    entity.company_field = Some("customer".to_owned());
    plain
        .run("insert into orders values (1, 'A', 1), (2, 'B', 1), (3, 'A', 0)")
        .await;
    let mut follower = Follower::new(&database, &entity);
    (follower.filter, follower.companies) = (Some("freight > 0 -- and so on"), names(&["A"]));
    follower.catches_up().await;
    assert_eq!(follower.known.len(), 1);
    plain.run("update orders set freight = 5 where order_number = 2").await;
    follower.catches_up().await;
    assert_eq!(
        follower.told, 0,
        "another company's rows are not told of, not even their keys"
    );
    for (write, left) in [
        ("update orders set freight = 2 where order_number = 3", 2),
        ("update orders set customer = 'B' where order_number = 3", 1),
        ("update orders set customer = 'A' where order_number = 2", 2),
        ("update orders set freight = 0 where order_number in (1, 2)", 0),
    ] {
        plain.run(write).await;
        follower.catches_up().await;
        assert_eq!((follower.is_full, follower.known.len()), (false, left), "{write}");
    }
}

async fn a_row_without_a_company_is_told_as_it_is(test: TestDatabase) {
    let (database, mut entity, mut plain) = make(&test).await;
    entity.company_field = Some("customer".to_owned());
    plain.run("insert into orders values (1, null, 1), (2, 'B', 1)").await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    for (write, left) in [
        ("update orders set freight = 5 where order_number = 1", 2),
        ("update orders set customer = 'B' where order_number = 1", 2),
        ("update orders set customer = null where order_number = 2", 2),
        ("insert into orders values (3, null, 1)", 3),
        ("delete from orders where customer is null", 1),
    ] {
        plain.run(write).await;
        follower.catches_up().await;
        assert_eq!((follower.is_full, follower.known.len()), (false, left), "{write}");
    }
}

async fn a_row_that_replace_takes_to_another_company_is_told_as_gone(test: TestDatabase) {
    let (database, mut entity, mut plain) = make(&test).await;
    if !plain.is_sqlite() {
        return;
    }
    entity.company_field = Some("customer".to_owned());
    plain
        .run("insert into orders values (1, 'A', 1), (2, 'A', 1), (3, null, 1)")
        .await;
    let mut follower = Follower::new(&database, &entity);
    follower.companies = names(&["A"]);
    follower.catches_up().await;
    for (write, left) in [
        ("replace into orders values (1, 'B', 2)", 1),
        ("replace into orders values (2, null, 2)", 0),
        ("replace into orders values (1, 'A', 3)", 1),
        ("replace into orders values (3, 'A', 3)", 2),
        (
            "update or replace orders set order_number = 3, customer = 'B' where order_number = 1",
            0,
        ),
    ] {
        plain.run(write).await;
        follower.catches_up().await;
        assert_eq!((follower.is_full, follower.known.len()), (false, left), "{write}");
    }
}

/// `area` and `number` identify a parcel, `note` says something of it.
fn parcels() -> Entity {
    let fields = vec![
        field("area", FieldType::String),
        field("number", FieldType::Int),
        field("note", FieldType::String),
    ];
    let mut entity = entity("Parcels", "parcels", &["area", "number"], fields);
    entity.create_table = false;
    entity
}

async fn a_row_whose_key_has_an_empty_field_is_told_as_it_is(test: TestDatabase) {
    let database = open(&test);
    let mut plain = Plain::open(&test).await;
    let entity = parcels();
    for columns in [
        "area varchar(10), number bigint, note varchar(40), unique (area, number)",
        "area varchar(10), number bigint, note varchar(40) not null, unique (number, area)",
        "area varchar(10) not null, number bigint, note varchar(40), unique (area, number)",
        "area varchar(10) not null, number bigint, note varchar(40) primary key, unique (area, number)",
    ] {
        plain.run("drop table if exists parcels").await;
        plain.run(&format!("create table parcels ({columns})")).await;
        let mut follower = Follower::new(&database, &entity);
        follower.catches_up().await;
        let mut writes = vec![
            (
                "insert into parcels values ('A', 1, 'a'), ('A', null, 'b'), ('B', 1, 'c')",
                3,
                3,
            ),
            ("update parcels set note = 'd' where number is null", 1, 3),
            ("update parcels set number = null where area = 'B'", 2, 3),
            ("update parcels set number = 2 where area = 'B'", 2, 3),
            ("delete from parcels where area = 'A' and number is null", 1, 2),
            ("insert into parcels values ('A', null, 'e')", 1, 3),
        ];
        if !columns.starts_with("area varchar(10) not null") {
            writes.extend([
                ("insert into parcels values (null, 1, 'f'), (null, null, 'g')", 2, 5),
                (
                    "update parcels set note = 'h' where area is null and number is null",
                    1,
                    5,
                ),
                ("update parcels set number = 7 where area is null and number = 1", 2, 5),
                ("delete from parcels where area is null", 2, 3),
            ]);
        }
        for (write, told, left) in writes {
            plain.run(write).await;
            follower.catches_up().await;
            let found = (follower.is_full, follower.told, follower.known.len());
            assert_eq!(found, (false, told, left), "{columns}: {write}");
        }
    }
}

async fn rows_of_one_key_are_told_together(test: TestDatabase) {
    let database = open(&test);
    let mut plain = Plain::open(&test).await;
    let entity = parcels();
    plain
        .run("create table parcels (area varchar(10), number bigint, note varchar(40), unique (area, number))")
        .await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    for (write, told, left) in [
        ("insert into parcels values ('A', null, 'a'), ('A', null, 'b')", 2, 1),
        ("update parcels set note = 'c' where note = 'b'", 2, 1),
        ("delete from parcels where note = 'c'", 1, 1),
        ("delete from parcels", 1, 0),
    ] {
        plain.run(write).await;
        follower.catches_up().await;
        let found = (follower.is_full, follower.told, follower.known.len());
        assert_eq!(found, (false, told, left), "{write}");
    }
}

/// Where a row is there, no other column says so.
async fn a_primary_key_alone_tells_what_is_there(test: TestDatabase) {
    let database = open(&test);
    let mut plain = Plain::open(&test).await;
    let entity = parcels();
    let without = if plain.is_sqlite() { " without rowid" } else { "" };
    plain
        .run(&format!(
            "create table parcels (area varchar(10), number bigint, note varchar(40), primary key (area, number)){without}"
        ))
        .await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    for (write, told, left) in [
        ("insert into parcels values ('A', 1, null), ('A', 2, null)", 2, 2),
        ("update parcels set number = 3 where number = 1", 2, 2),
        ("delete from parcels where number = 2", 1, 1),
    ] {
        plain.run(write).await;
        follower.catches_up().await;
        let found = (follower.is_full, follower.told, follower.known.len());
        assert_eq!(found, (false, told, left), "{write}");
    }
}

async fn changes_after_a_truncation_begin_with_everything(test: TestDatabase) {
    let (database, entity, mut plain) = make(&test).await;
    plain.run("insert into orders values (1, 'A', 1), (2, 'B', 2)").await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    let truncate = if plain.is_sqlite() {
        "delete from orders"
    } else {
        "truncate orders"
    };
    plain.run(truncate).await;
    plain.run("insert into orders values (2, 'C', 3)").await;
    follower.catches_up().await;
    assert_eq!(follower.is_full, !plain.is_sqlite());
    plain.run("insert into orders values (3, 'D', 3)").await;
    follower.catches_up().await;
    assert_eq!((follower.is_full, follower.told), (false, 1));
}

async fn triggers_that_are_gone_are_noticed(test: TestDatabase) {
    let (database, entity, mut plain) = make(&test).await;
    plain.run("insert into orders values (1, 'A', 1)").await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    let recreate = "drop table orders; create table orders (order_number bigint primary key, customer varchar(40), freight decimal(18,2)); \
         insert into orders values (9, 'Z', 9)";
    let trigger = if plain.is_sqlite() { "after insert" } else { "insert" };
    let drop = format!(
        "drop trigger \"{} {trigger}\"{}; insert into orders values (10, 'Y', 10)",
        entity.change_table(),
        if plain.is_sqlite() { "" } else { " on orders" }
    );
    let mut harms = vec![
        recreate.to_owned(),
        drop,
        format!("drop table \"{}\"", entity.change_table()),
    ];
    if plain.is_sqlite() {
        // Without its table a trigger lets nobody write, and nobody does.
    } else {
        harms.push("alter table orders disable trigger all; insert into orders values (11, 'X', 11)".to_owned());
    }
    for harm in harms {
        plain.run(&harm).await;
        follower.catches_up().await;
        assert!(follower.is_full, "{harm}");
        // A connection of SQLite that dropped a table itself notices only so that it is there again.
        plain.number("select count(*) from orders").await;
        plain.run("update orders set freight = freight + 1").await;
        follower.catches_up().await;
        assert!(!follower.is_full, "after: {harm}");
    }
}

async fn a_restored_database_is_noticed(test: TestDatabase) {
    let (database, entity, mut plain) = make(&test).await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    plain.run("insert into orders values (1, 'A', 1)").await;
    follower.catches_up().await;
    // As a backup from before the last export has it.
    plain.run("update tranship_export_marks set mark = mark - 1").await;
    follower.catches_up().await;
    assert!(follower.is_full);
    follower.catches_up().await;
    assert!(!follower.is_full);
    // An attempt that came to nothing left a mark of its own.
    database.raise_mark(follower.job, &entity, 0).await.expect("a mark");
    follower.catches_up().await;
    assert!(!follower.is_full);
}

async fn forgotten_changes_are_gone_and_others_are_not(test: TestDatabase) {
    let (database, entity, mut plain) = make(&test).await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    plain.run("insert into orders values (1, 'A', 1), (2, 'B', 2)").await;
    follower.catches_up().await;
    let at = follower.position.as_ref().expect("a position").at;
    plain.run("insert into orders values (3, 'C', 3)").await;
    assert_eq!(database.forget_changes(&entity, at).await.expect("forgotten"), 2);
    assert_eq!(database.forget_changes(&entity, at).await.expect("forgotten"), 0);
    let mut late = Follower::new(&database, &entity);
    late.position = follower.position.clone();
    follower.catches_up().await;
    assert_eq!((follower.is_full, follower.told), (false, 1));
    // Somebody whose position is from before what is forgotten begins anew.
    let at = follower.position.as_ref().expect("a position").at;
    plain.run("insert into orders values (4, 'D', 4)").await;
    database.forget_changes(&entity, at).await.expect("forgotten");
    late.catches_up().await;
    assert!(late.is_full);
}

async fn what_triggers_do_not_see_is_refused(test: TestDatabase) {
    let database = open(&test);
    let mut plain = Plain::open(&test).await;
    let mut entity = orders();
    entity.create_table = false;
    let columns = "order_number bigint primary key, customer varchar(40), freight decimal(18,2)";
    let table = if plain.is_sqlite() {
        format!("create table orders ({columns}); create unique index one_each on orders (lower(customer))")
    } else {
        format!("create table orders ({columns}) partition by range (order_number)")
    };
    plain.run(&table).await;
    let refused = database.track(&entity).await;
    assert!(
        matches!(&refused, Err(BusinessError::Definition(why)) if why.starts_with("entity `Orders`")),
        "{refused:?}"
    );
}

/// How many writes; more by `TRANSHIP_TEST_LONG`.
const WRITES: (usize, usize) = (600, 100_000);

async fn a_follower_of_random_writes_knows_the_table(test: TestDatabase) {
    let (database, entity, mut plain) = make(&test).await;
    let mut chance = Chance::announced("TRANSHIP_TEST_SEED");
    let long = crate::support::is_long();
    let wanted = if long { WRITES.1 } else { WRITES.0 };
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    // Several writers whose transactions overlap; SQLite takes one at a time.
    let mut writers = Vec::new();
    for _ in 0..if plain.is_sqlite() { 1 } else { 4 } {
        writers.push((Plain::open(&test).await, false));
    }
    for written in 0..wanted {
        let at = chance.below(writers.len());
        let others = writers.len();
        let (writer, is_open) = &mut writers[at];
        if !*is_open {
            writer.run("begin").await;
            *is_open = true;
        }
        // Each writer has keys of its own, so that none waits for another.
        let key = chance.below(40) * others + at;
        let value = chance.below(1000);
        let write = match chance.below(4) {
            0 => format!("delete from orders where order_number = {key}"),
            1 => format!("update orders set freight = {value} where order_number = {key}"),
            _ => format!(
                "insert into orders values ({key}, 'W{at}', {value}) on conflict (order_number) do update set freight = excluded.freight"
            ),
        };
        writer.run(&write).await;
        if chance.below(3) == 0 {
            writer
                .run(if chance.below(5) == 0 { "rollback" } else { "commit" })
                .await;
            *is_open = false;
        }
        if chance.below(if long { 200 } else { 12 }) == 0 && !(plain.is_sqlite() && writers[0].1) {
            follower.export().await;
            let at = follower.position.as_ref().expect("a position").at;
            if written % 3 == 0 {
                database.forget_changes(&entity, at).await.expect("forgotten");
            }
        }
    }
    for (writer, is_open) in &mut writers {
        if *is_open {
            writer.run("commit").await;
        }
    }
    follower.catches_up().await;
    assert!(!follower.is_full && follower.withheld == 0);
    plain.run("delete from orders").await;
    follower.catches_up().await;
    assert!(follower.known.is_empty());
}

async fn replace_tells_what_it_removed(test: TestDatabase) {
    let database = open(&test);
    let mut plain = Plain::open(&test).await;
    if !plain.is_sqlite() {
        return;
    }
    let mut entity = orders();
    entity.create_table = false;
    plain
        .run(
            "create table orders (order_number bigint primary key, customer varchar(40) unique, freight decimal(18,2))",
        )
        .await;
    plain
        .run("insert into orders values (1, 'A', 1), (2, 'B', 2), (3, 'C', 3)")
        .await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    plain.run("replace into orders values (9, 'A', 9)").await;
    follower.catches_up().await;
    assert_eq!((follower.is_full, follower.told), (false, 2));
    plain
        .run("update or replace orders set customer = 'B' where order_number = 3")
        .await;
    follower.catches_up().await;
    assert_eq!((follower.is_full, follower.told), (false, 2));
    plain.run("update orders set freight = 5 where order_number = 3").await;
    follower.catches_up().await;
    assert_eq!((follower.is_full, follower.told), (false, 1));
}

async fn replace_tells_rows_whose_key_has_an_empty_field(test: TestDatabase) {
    let database = open(&test);
    let mut plain = Plain::open(&test).await;
    if !plain.is_sqlite() {
        return;
    }
    let entity = parcels();
    plain
        .run("create table parcels (area varchar(10), number bigint, note varchar(40) unique, unique (area, number))")
        .await;
    plain
        .run("insert into parcels values ('A', null, 'a'), ('B', 1, 'b')")
        .await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    for (write, told, left) in [
        ("replace into parcels values ('A', 5, 'a')", 2, 2),
        ("replace into parcels values ('B', null, 'b')", 2, 2),
        ("update or replace parcels set note = 'a' where area = 'B'", 2, 1),
    ] {
        plain.run(write).await;
        follower.catches_up().await;
        let found = (follower.is_full, follower.told, follower.known.len());
        assert_eq!(found, (false, told, left), "{write}");
    }
}

/// As an older version made them, or somebody else.
async fn other_triggers_are_made_anew(test: TestDatabase) {
    let (database, entity, mut plain) = make(&test).await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    let changes = entity.change_table();
    let others = if plain.is_sqlite() {
        vec![format!(
            "drop trigger \"{changes} after insert\"; \
             create trigger \"{changes} after insert\" after insert on orders begin select 1; end"
        )]
    } else {
        let nothing = "returns trigger language plpgsql as $$ begin return null; end $$";
        let trigger = format!("create or replace trigger \"{changes} insert\" after insert on orders");
        let always = format!("alter table orders enable always trigger \"{changes} insert\"");
        vec![
            format!("create or replace function \"{changes}\"() {nothing}"),
            format!(
                "create function nothing() {nothing}; \
                 {trigger} for each statement execute function nothing(); {always}"
            ),
            format!(
                "{trigger} referencing new table as tranship_new for each statement when (false) \
                   execute function \"{changes}\"(); {always}"
            ),
        ]
    };
    for (number, other) in others.iter().enumerate() {
        plain.run(other).await;
        plain
            .run(&format!("insert into orders values ({number}, 'A', 1)"))
            .await;
        follower.catches_up().await;
        assert!(follower.is_full, "{other}");
        plain
            .run(&format!("insert into orders values ({}, 'B', 2)", number + 10))
            .await;
        follower.catches_up().await;
        assert_eq!((follower.is_full, follower.told), (false, 1), "{other}");
    }
}

/// Tracked already, a table gets what triggers do not see through.
async fn what_comes_later_is_refused_too(test: TestDatabase) {
    let (database, entity, mut plain) = make(&test).await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    let (late, without) = if plain.is_sqlite() {
        (
            "create unique index one_each on orders (customer) where freight = 0",
            "drop index one_each",
        )
    } else {
        (
            "create table more_orders () inherits (orders)",
            "alter table more_orders no inherit orders; drop table more_orders",
        )
    };
    plain.run(late).await;
    let refused = database.track(&entity).await;
    assert!(
        matches!(&refused, Err(BusinessError::Definition(why)) if why.starts_with("entity `Orders`")),
        "{refused:?}"
    );
    plain.run(without).await;
    follower.catches_up().await;
}

async fn replace_by_an_index_that_compares_otherwise_is_told(test: TestDatabase) {
    let (database, mut plain) = (open(&test), Plain::open(&test).await);
    if !plain.is_sqlite() {
        return;
    }
    let entity = parcels();
    plain
        .run(
            "create table parcels (area varchar(10), number bigint, note varchar(40)); \
             create unique index keys on parcels (area collate nocase, number); \
             create unique index notes on parcels (note collate nocase)",
        )
        .await;
    plain
        .run("insert into parcels values ('A', 1, 'one'), ('A', 2, 'two')")
        .await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    for (write, told, left) in [
        ("replace into parcels values ('B', 1, 'ONE')", 2, 2),
        ("update or replace parcels set note = 'Two' where area = 'B'", 2, 1),
        ("replace into parcels values ('b', 1, 'three')", 2, 1),
    ] {
        plain.run(write).await;
        follower.catches_up().await;
        let found = (follower.is_full, follower.told, follower.known.len());
        assert_eq!(found, (false, told, left), "{write}");
    }
}

/// The database says which keys are one; the row says how it is written.
async fn a_key_is_told_as_its_row_has_it(test: TestDatabase) {
    let (database, mut plain) = (open(&test), Plain::open(&test).await);
    let entity = parcels();
    let kind = if plain.is_sqlite() {
        "varchar(10) collate nocase"
    } else {
        plain
            .run("create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
            .await;
        "varchar(10) collate any_case"
    };
    plain
        .run(&format!(
            "create table parcels (area {kind}, number bigint, note varchar(40), primary key (area, number))"
        ))
        .await;
    plain.run("insert into parcels values ('abc', 1, 'one')").await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    follower.known.clear();
    plain.run("update parcels set area = 'ABC'").await;
    follower.catches_up().await;
}

/// Where no column is never empty, the number of a row tells that it is there, and a column may have its usual name.
async fn a_column_may_be_called_as_the_number_of_a_row(test: TestDatabase) {
    let (database, mut plain) = (open(&test), Plain::open(&test).await);
    let entity = parcels();
    plain
        .run("create table parcels (area varchar(10), number bigint, note varchar(40), _rowid_ bigint, unique (area, number))")
        .await;
    let mut follower = Follower::new(&database, &entity);
    follower.catches_up().await;
    plain.run("insert into parcels values ('A', 1, 'one', null)").await;
    follower.catches_up().await;
    assert_eq!(follower.known.len(), 1);
}
