//! Rows by their keys: fields that are empty, keys that several rows have or that the database takes for one.

use tranship::domain::entity::{Entity, FieldType};

use super::super::fixture::*;
use super::follower::Follower;
use crate::support::databases::TestDatabase;

crate::on_both_databases!(
    a_row_whose_key_has_an_empty_field_is_told_as_it_is,
    rows_of_one_key_are_told_together,
    a_primary_key_alone_tells_what_is_there,
    a_key_is_told_as_its_row_has_it,
    a_column_may_be_called_as_the_number_of_a_row,
);

/// `area` and `number` identify a parcel, `note` says something of it.
pub fn parcels() -> Entity {
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
        eprintln!("{columns}");
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
            follower.is_told(&mut plain, write, told, left).await;
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
        follower.is_told(&mut plain, write, told, left).await;
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
        follower.is_told(&mut plain, write, told, left).await;
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
