//! Triggers that are gone or are not ours, and tables whose changes no trigger sees.

use tranship::business::BusinessError;

use super::super::fixture::*;
use super::follower::{Follower, make};
use crate::support::databases::TestDatabase;

crate::on_both_databases!(
    triggers_that_are_gone_are_noticed,
    other_triggers_are_made_anew,
    what_triggers_do_not_see_is_refused,
    what_comes_later_is_refused_too,
);

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
