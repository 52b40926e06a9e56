//! What `REPLACE` of SQLite removes without a trigger of its own.

use super::super::fixture::*;
use super::follower::{Follower, make};
use super::keys::parcels;
use crate::support::databases::TestDatabase;

crate::on_both_databases!(
    a_row_that_replace_takes_to_another_company_is_told_as_gone,
    replace_tells_what_it_removed,
    replace_tells_rows_whose_key_has_an_empty_field,
    replace_by_an_index_that_compares_otherwise_is_told,
);

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
        follower.is_told(&mut plain, write, told, left).await;
    }
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
        follower.is_told(&mut plain, write, told, left).await;
    }
}
