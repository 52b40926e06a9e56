//! Changes tracked by triggers (promise 7): whoever follows them knows the table, whatever happened to it in between.

mod follower;
mod held_back;
mod keys;
mod replace;
mod triggers;

use super::fixture::*;
use crate::support::chance::Chance;
use crate::support::databases::TestDatabase;
use follower::{Follower, make};

crate::on_both_databases!(
    every_kind_of_write_is_told,
    a_row_that_leaves_the_filter_or_the_company_is_told_as_gone,
    a_row_without_a_company_is_told_as_it_is,
    changes_after_a_truncation_begin_with_everything,
    a_restored_database_is_noticed,
    forgotten_changes_are_gone_and_others_are_not,
    a_follower_of_random_writes_knows_the_table,
);

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
