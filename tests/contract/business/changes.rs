//! A definition that changes after its table is there: every kind of change is told, what only adds is applied, the SQL for
//! the rest mends it, and loads go on.

use tranship::business::Database;
use tranship::business::differences::Difference;
use tranship::domain::cell::Cell;
use tranship::domain::computed::{Computed, Fact, FieldDefault};
use tranship::domain::entity::{Entity, FieldType};

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    new_fields_are_columns_of_their_own_even_where_rows_are_there,
    a_longer_text_gets_room,
    a_narrower_field_needs_no_change,
    another_type_is_changed_by_hand,
    a_field_that_may_be_empty_now_or_is_gone_is_told,
    a_column_that_is_always_filled_may_refuse_nulls,
    a_key_that_grew_or_changed_is_told,
    a_missing_unique_index_is_made_in_own_tables_only,
    a_new_reference_rejects_what_has_no_parent,
);

async fn differences(database: &Database, entity: &Entity) -> Vec<Difference> {
    database.diff_entity(entity).await.expect("compared")
}

/// Orders with one row, made and loaded under the first definition.
async fn loaded(test: &TestDatabase) -> (Database, Entity, Plain) {
    let (database, entity) = (open(test), orders());
    load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await;
    let plain = Plain::open(test).await;
    (database, entity, plain)
}

/// Applies what only adds; nothing else may be left.
async fn apply_all(database: &Database, entity: &Entity) {
    let found = differences(database, entity).await;
    assert!(found.iter().all(|difference| difference.additive), "{found:#?}");
    database.apply(&found).await.expect("applied");
    assert_eq!(differences(database, entity).await, []);
}

/// Runs every statement that was printed; nothing may be left.
async fn mend(database: &Database, entity: &Entity, plain: &mut Plain) {
    for difference in differences(database, entity).await {
        assert!(!difference.additive, "{difference:?}");
        plain.run(&difference.sql).await;
    }
    assert_eq!(differences(database, entity).await, []);
}

async fn new_fields_are_columns_of_their_own_even_where_rows_are_there(test: TestDatabase) {
    let (database, mut entity, _) = loaded(&test).await;
    entity.fields.push(field("note", FieldType::String));
    let mut needed = field("needed", FieldType::Int);
    needed.required = true;
    entity.fields.push(needed);
    apply_all(&database, &entity).await;
    let mut cells = order(2, "B", "2.00");
    cells.extend([text("new"), Cell::Int(7)]);
    assert_eq!(outcome(load_rows(&database, &entity, vec![cells]).await), (1, 0, 0, 0));
    // In a table of others a required column is theirs to fill first.
    entity.create_table = false;
    "wanted".clone_into(&mut entity.fields.last_mut().expect("it").name);
    let found = differences(&database, &entity).await;
    assert!(found.len() == 1 && !found[0].additive, "{found:#?}");
}

async fn a_longer_text_gets_room(test: TestDatabase) {
    let (database, mut entity) = (open(&test), orders());
    entity.fields[1].max_length = Some(5);
    load_rows(&database, &entity, vec![order(1, "short", "1.00")]).await;
    let mut plain = Plain::open(&test).await;
    for longer in [Some(20), None] {
        entity.fields[1].max_length = longer;
        let found = differences(&database, &entity).await;
        assert!(found.len() == 1 && found[0].what.contains("`customer`"), "{found:#?}");
        if plain.is_sqlite() {
            assert!(!found[0].additive, "SQLite cannot change a column");
            plain.run(&found[0].sql).await;
            plain.run("alter table orders drop column customer_old").await;
        } else {
            apply_all(&database, &entity).await;
        }
        assert_eq!(differences(&database, &entity).await, []);
    }
    let long = load_rows(&database, &entity, vec![order(1, "not so short any more", "1.00")]).await;
    assert_eq!(outcome(long), (0, 1, 0, 0));
    let landed = read_all(&database, &entity).await;
    assert_eq!(
        landed,
        [row(&["1", "not so short any more", "1.00"])],
        "and the value went along"
    );
}

async fn a_narrower_field_needs_no_change(test: TestDatabase) {
    let (database, mut entity) = (open(&test), orders());
    entity.fields[1].max_length = Some(20);
    load_rows(&database, &entity, vec![order(1, "longer than five", "1.00")]).await;
    entity.fields[1].max_length = Some(5);
    entity.fields[2].kind = FieldType::Decimal {
        precision: 10,
        scale: Some(2),
    };
    assert_eq!(
        differences(&database, &entity).await,
        [],
        "what is there stays; imports ask for less"
    );
    load_rows(&database, &entity, vec![order(2, "short", "2.00")]).await;
    assert_eq!(read_all(&database, &entity).await.len(), 2);
}

async fn another_type_is_changed_by_hand(test: TestDatabase) {
    let (database, entity, mut plain) = loaded(&test).await;
    load_rows(&database, &entity, vec![order(1, "42", "1.00")]).await;
    let mut changed = entity.clone();
    changed.fields[1].kind = FieldType::Int;
    mend(&database, &changed, &mut plain).await;
    let cells = vec![Cell::Int(1), Cell::Int(42), text("1.00")];
    let same = load_rows(&database, &changed, vec![cells]).await;
    assert_eq!(outcome(same), (0, 0, 1, 0), "the value went along");
    let cells = vec![Cell::Int(2), Cell::Int(43), text("1.00")];
    load_rows(&database, &changed, vec![cells]).await;
    assert_eq!(read_all(&database, &changed).await.len(), 2);

    // Numbers to truth values have no way of their own on PostgreSQL.
    plain.run("update orders set customer = 1").await;
    changed.fields[1].kind = FieldType::Bool;
    if !plain.is_sqlite() {
        mend(&database, &changed, &mut plain).await;
    }
    let cells = vec![Cell::Int(3), Cell::Bool(true), text("1.00")];
    assert_eq!(outcome(load_rows(&database, &changed, vec![cells]).await), (1, 0, 0, 0));
}

async fn a_field_that_may_be_empty_now_or_is_gone_is_told(test: TestDatabase) {
    let (database, mut entity) = (open(&test), orders());
    entity.fields[1].required = true;
    load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await;
    let mut plain = Plain::open(&test).await;

    let mut gone = entity.clone();
    gone.fields.remove(1);
    let found = differences(&database, &gone).await;
    assert!(
        found.len() == 1 && found[0].what.contains("is no field: every new record is refused"),
        "{found:#?}"
    );
    assert!(!found[0].additive);

    entity.fields[1].required = false;
    let found = differences(&database, &entity).await;
    assert!(
        found.len() == 1 && found[0].what.contains("its field may be empty"),
        "{found:#?}"
    );
    let mut others = entity.clone();
    others.create_table = false;
    assert_eq!(
        differences(&database, &others).await,
        [],
        "in a table of others it is theirs to say"
    );
    if !plain.is_sqlite() {
        mend(&database, &entity, &mut plain).await;
        assert_eq!(
            differences(&database, &gone).await,
            [],
            "a column nobody fills may stay"
        );
        let cells = vec![Cell::Int(2), text("2.00")];
        assert_eq!(outcome(load_rows(&database, &gone, vec![cells]).await), (1, 0, 0, 0));
    }
}

async fn a_column_that_is_always_filled_may_refuse_nulls(test: TestDatabase) {
    let (database, mut entity) = (open(&test), orders());
    entity.fields[1].required = true;
    load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await;
    entity.fields[1].required = false;
    let computed = FieldDefault::Computed(Computed::of(Fact::Company));
    let constant = FieldDefault::Constant("nobody".to_owned());
    for (default, told) in [(computed, 1), (constant, 0)] {
        entity.fields[1].default = Some(default);
        let found = differences(&database, &entity).await;
        assert_eq!(found.len(), told, "{found:#?}");
    }
}

async fn a_key_that_grew_or_changed_is_told(test: TestDatabase) {
    let (database, mut entity, mut plain) = loaded(&test).await;
    entity.key = names(&["order_number", "customer"]);
    entity.fields[1].required = true;
    let found = differences(&database, &entity).await;
    let earlier = found.last().expect("told");
    assert!(
        earlier.what.contains("the primary key of `orders` is (order_number)"),
        "{found:#?}"
    );
    assert!(!earlier.additive);
    if plain.is_sqlite() {
        assert!(
            found.len() == 2 && found[0].additive,
            "what can be added is: {found:#?}"
        );
        database.apply(&found).await.expect("a second key");
        let left = differences(&database, &entity).await;
        assert_eq!(left, found[1..], "the first one needs another table");
        return;
    }
    mend(&database, &entity, &mut plain).await;
    let rows = vec![order(1, "A", "2.00"), order(1, "B", "3.00")];
    assert_eq!(outcome(load_rows(&database, &entity, rows).await), (1, 1, 0, 0));
}

async fn a_missing_unique_index_is_made_in_own_tables_only(test: TestDatabase) {
    let mut plain = Plain::open(&test).await;
    plain
        .run("create table orders (order_number bigint not null, customer text, freight text)")
        .await;
    plain
        .run("insert into orders values (1, 'A', '1.00'), (1, 'B', '2.00')")
        .await;
    if !plain.is_sqlite() {
        plain
            .run("alter table orders alter column freight type numeric(18,2) using freight::numeric")
            .await;
    }
    let (database, mut entity) = (open(&test), orders());
    entity.create_table = false;
    assert!(!differences(&database, &entity).await[0].additive);
    entity.create_table = true;
    let found = differences(&database, &entity).await;
    assert!(found.len() == 1 && found[0].additive, "{found:#?}");
    let refused = database.apply(&found).await.expect_err("two rows have one key");
    assert!(!refused.is_transient(), "{refused}");
    plain.run("delete from orders where customer = 'B'").await;
    apply_all(&database, &entity).await;
    assert_eq!(
        outcome(load_rows(&database, &entity, vec![order(1, "A", "1.00")]).await),
        (0, 0, 1, 0)
    );
}

async fn a_new_reference_rejects_what_has_no_parent(test: TestDatabase) {
    let (database, mut entity, _) = loaded(&test).await;
    let customers = entity_of_customers();
    load_rows(&database, &customers, vec![vec![text("A")]]).await;
    entity.fields[1] = referring_to(entity.fields[1].clone(), "Customers", "account");
    assert_eq!(
        differences(&database, &entity).await,
        [],
        "a reference is no matter of the table"
    );
    let mut loading = Loading::begin(&database, &entity).await;
    loading.parents = vec![&customers];
    loading
        .stage(batch(1, vec![order(2, "A", "1.00"), order(3, "Z", "1.00")]))
        .await;
    assert_eq!(outcome(loading.finish().await), (1, 0, 0, 1));

    // One to the entity itself wants an index in staging, which is new as well.
    let mut own = orders();
    own.fields[1] = referring_to(field("customer", FieldType::Int), "Orders", "order_number");
    "others".clone_into(&mut own.table);
    let mut before = own.clone();
    before.fields[1].references = None;
    let cells = |number, parent| vec![Cell::Int(number), parent, text("1.00")];
    load_rows(&database, &before, vec![cells(1, Cell::Null)]).await;
    let counts = load_rows(&database, &own, vec![cells(2, Cell::Int(1)), cells(3, Cell::Int(9))]).await;
    assert_eq!(outcome(counts), (1, 0, 0, 1));
}

fn entity_of_customers() -> Entity {
    entity(
        "Customers",
        "customers",
        &["account"],
        vec![field("account", FieldType::String)],
    )
}
