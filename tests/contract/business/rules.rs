//! Business rules: the operator's SQL conditions, asked set-wise; what they fail on costs a record, not the file.

use tranship::business::BusinessError;
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Entity, FieldType};
use tranship::domain::job::ImportMode;
use tranship::domain::rule::{Rule, Severity};

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    a_record_that_fails_a_rule_is_rejected_and_null_passes,
    numbers_compare_as_numbers_and_dates_as_dates,
    a_rule_may_ask_other_tables,
    a_rule_that_fails_on_data_costs_that_record,
    a_rule_is_never_asked_of_records_that_are_not_meant,
    what_only_warns_is_counted_once_whatever_happens,
    a_parent_that_fails_a_rule_takes_its_children_along,
    a_rule_the_database_does_not_understand_is_named,
    rules_are_not_asked_where_they_are_off_or_rows_go,
);

fn rule(name: &str, check: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        check: check.to_owned(),
        message: "no good".to_owned(),
        field: None,
        severity: Severity::Reject,
    }
}

fn ruled(rules: Vec<Rule>) -> Entity {
    Entity { rules, ..orders() }
}

async fn a_record_that_fails_a_rule_is_rejected_and_null_passes(database: TestDatabase) {
    let positive = Rule {
        field: Some("freight".to_owned()),
        ..rule("positive freight", "freight > 0 -- free of charge is none")
    };
    let (database, entity) = (open(&database), ruled(vec![positive, rule("not B", "customer <> 'B'")]));
    let loading = Loading::begin(&database, &entity).await;
    let mut rows: Vec<_> = (1..=6).map(|n| order(n, "A", "1.00")).collect();
    rows[1] = order(2, "A", "0.00");
    rows[2] = vec![Cell::Int(3), Cell::Null, Cell::Null];
    rows[5] = order(6, "B", "-1.50");
    loading.stage(batch(1, rows)).await;
    assert_eq!(outcome(loading.finish().await), (4, 0, 0, 2));
    let freight = Some("freight".to_owned());
    assert_eq!(
        loading.reject_codes().await,
        [
            (2, "rule_failed", freight.clone()),
            (6, "rule_failed", freight),
            (6, "rule_failed", None)
        ]
    );
    let rejects = loading.rejects().await;
    assert_eq!(rejects[1].error.place, place(6));
    assert_eq!(rejects[1].error.value.as_deref(), Some("-1.50"));
    assert_eq!(rejects[1].error.reason, "rule `positive freight`: no good");
    assert_eq!(rejects[2].error.reason, "rule `not B`: no good");
    assert!(!rejects[0].by_target);
}

async fn numbers_compare_as_numbers_and_dates_as_dates(database: TestDatabase) {
    let database = open(&database);
    let mut all = entity(
        "All",
        "all_types",
        &["id"],
        vec![
            field("id", FieldType::Int),
            field(
                "amount",
                FieldType::Decimal {
                    precision: 10,
                    scale: Some(2),
                },
            ),
            field("day", FieldType::Date),
            field("paid", FieldType::Bool),
        ],
    );
    // As texts, 9.00 were more than 10.00.
    all.rules = vec![
        rule("small", "amount < 10"),
        rule("recent", "day >= '2026-01-05'"),
        rule("paid", "paid or record.amount = 0"),
    ];
    let loading = Loading::begin(&database, &all).await;
    let line = |id, amount: &str, day: &str, paid| vec![Cell::Int(id), text(amount), text(day), Cell::Bool(paid)];
    let rows = vec![
        line(1, "9.00", "2026-01-05", true),
        line(2, "10.00", "2026-01-05", true),
        line(3, "9.00", "2025-12-31", true),
        line(4, "9.00", "2026-01-05", false),
        line(5, "0.00", "2026-01-05", false),
    ];
    loading.stage(batch(1, rows)).await;
    loading.finish().await;
    let failed: Vec<_> = loading
        .rejects()
        .await
        .into_iter()
        .map(|r| (r.reject.record, r.error.reason))
        .collect();
    let no_good = |record, name: &str| (record, format!("rule `{name}`: no good"));
    assert_eq!(failed, [no_good(2, "small"), no_good(3, "recent"), no_good(4, "paid")]);
}

async fn a_rule_may_ask_other_tables(database: TestDatabase) {
    let test = database;
    let mut plain = Plain::open(&test).await;
    plain.run("create table blocked (customer text)").await;
    plain.run("insert into blocked values ('B')").await;
    let check = "not exists (select 1 from blocked b where b.customer = record.customer)";
    let (database, entity) = (open(&test), ruled(vec![rule("not blocked", check)]));
    let loading = Loading::begin(&database, &entity).await;
    loading
        .stage(batch(1, vec![order(1, "A", "1.00"), order(2, "B", "1.00")]))
        .await;
    assert_eq!(outcome(loading.finish().await), (1, 0, 0, 1));
    assert_eq!(loading.reject_codes().await, [(2, "rule_failed", None)]);
}

/// A condition that fails on customers who are no JSON.
fn failing(sqlite: bool) -> &'static str {
    if sqlite {
        "json_extract(customer, '$.a') = 1"
    } else {
        "(customer::jsonb ->> 'a')::int = 1"
    }
}

async fn a_rule_that_fails_on_data_costs_that_record(database: TestDatabase) {
    let sqlite = Plain::open(&database).await.is_sqlite();
    let (database, entity) = (open(&database), ruled(vec![rule("a is 1", failing(sqlite))]));
    let loading = Loading::begin(&database, &entity).await;
    let mut rows: Vec<_> = (1..=10).map(|n| order(n, r#"{"a": 1}"#, "1.00")).collect();
    rows[2] = order(3, "no JSON", "1.00");
    rows[6] = order(7, r#"{"a": 2}"#, "1.00");
    rows[9] = order(10, "{", "1.00");
    loading.stage(batch(1, rows)).await;
    assert_eq!(outcome(loading.finish().await), (7, 0, 0, 3));
    let rejects = loading.rejects().await;
    let records: Vec<_> = rejects.iter().map(|r| r.reject.record).collect();
    assert_eq!(records, [3, 7, 10]);
    for (at, begin) in [(0, "rule `a is 1` cannot be checked: "), (1, "rule `a is 1`: no good")] {
        assert!(rejects[at].error.reason.starts_with(begin), "{:?}", rejects[at]);
    }
}

async fn a_rule_is_never_asked_of_records_that_are_not_meant(database: TestDatabase) {
    let sqlite = Plain::open(&database).await.is_sqlite();
    let (database, entity) = (open(&database), ruled(vec![rule("a is 1", failing(sqlite))]));
    // Another message's records would make it fail.
    let other = Loading::begin(&database, &entity).await;
    other
        .stage(batch(1, (1..=4).map(|n| order(n, "no JSON", "1.00")).collect()))
        .await;
    let loading = Loading::begin(&database, &entity).await;
    loading
        .stage(batch(1, (11..=14).map(|n| order(n, r#"{"a": 1}"#, "1.00")).collect()))
        .await;
    assert_eq!(outcome(loading.finish().await), (4, 0, 0, 0));
}

async fn what_only_warns_is_counted_once_whatever_happens(database: TestDatabase) {
    let test = database;
    let sqlite = Plain::open(&test).await.is_sqlite();
    let warn = |name, check: &str| Rule {
        severity: Severity::Warn,
        ..rule(name, check)
    };
    let rules = vec![
        warn("cheap", "freight > 1"),
        warn("a is 1", failing(sqlite)),
        warn("never", "order_number > 0"),
        rule("not B", "customer <> 'B'"),
    ];
    let (database, entity) = (open(&test), ruled(rules));
    let mut loading = Loading::begin(&database, &entity).await;
    let mut rows: Vec<_> = (1..=10).map(|n| order(n, r#"{"a": 1}"#, "1.00")).collect();
    rows[0] = order(1, "B", "1.00");
    rows[1] = order(2, "no JSON", "5.00");
    loading.stage(batch(1, rows)).await;
    loading.finish_staging().await.expect("judged");
    loading.die_before_staging_is_complete(&test).await;
    loading.fence.epoch = 2;
    database.raise_fence(loading.fence).await.expect("raised");
    assert_eq!(outcome(loading.finish().await), (9, 0, 0, 1));
    let warnings = database.rule_warnings(loading.load()).await.expect("warnings");
    // The rejected one is not among those that landed all the same.
    assert_eq!(warnings, [("a is 1".to_owned(), 1), ("cheap".to_owned(), 8)]);
    database.forget_rejects(loading.fence).await.expect("forgotten");
    assert_eq!(database.rule_warnings(loading.load()).await.expect("warnings"), []);
}

async fn a_parent_that_fails_a_rule_takes_its_children_along(database: TestDatabase) {
    let database = open(&database);
    let manager = referring_to(field("manager", FieldType::Int), "People", "number");
    let mut people = entity(
        "People",
        "people",
        &["number"],
        vec![field("number", FieldType::Int), manager],
    );
    people.rules = vec![rule("below 100", "number < 100")];
    let loading = Loading::begin(&database, &people).await;
    let person = |number, manager: Option<i64>| vec![Cell::Int(number), manager.map_or(Cell::Null, Cell::Int)];
    let rows = vec![
        person(1, Some(2)),
        person(2, Some(100)),
        person(3, None),
        person(100, None),
    ];
    loading.stage(batch(1, rows)).await;
    assert_eq!(outcome(loading.finish().await), (1, 0, 0, 3));
    let codes: Vec<_> = loading
        .reject_codes()
        .await
        .into_iter()
        .map(|(record, code, _)| (record, code))
        .collect();
    assert_eq!(
        codes,
        [(1, "reference_missing"), (2, "reference_missing"), (4, "rule_failed")]
    );
}

async fn a_rule_the_database_does_not_understand_is_named(database: TestDatabase) {
    let broken = ["fright > 0", "freight >", "count(*) > 1", "nobody.freight > 0"];
    let rules = broken
        .iter()
        .map(|check| rule(check, check))
        .chain([rule("fine", "freight > 0")]);
    let (database, entity) = (open(&database), ruled(rules.collect()));
    database.ensure_entity(&entity).await.expect("tables");
    let refused = database.refused_rules(&entity).await.expect("asked");
    assert_eq!(refused.len(), broken.len(), "{refused:#?}");
    for (refused, check) in refused.iter().zip(broken) {
        assert!(
            refused.starts_with(&format!("rule `{check}` of entity `Orders`: ")),
            "{refused}"
        );
    }
    let loading = Loading::begin(&database, &entity).await;
    loading.stage(batch(1, vec![order(1, "A", "1.00")])).await;
    let stopped = loading.finish_staging().await.expect_err("before the first record");
    assert!(
        matches!(&stopped, BusinessError::Definition(detail) if detail.contains("rule `fright > 0`")),
        "{stopped}"
    );
}

async fn rules_are_not_asked_where_they_are_off_or_rows_go(database: TestDatabase) {
    let (database, entity) = (open(&database), ruled(vec![rule("positive", "freight > 0")]));
    let mut loading = Loading::begin(&database, &entity).await;
    loading.checks_rules = false;
    loading.stage(batch(1, vec![order(1, "A", "0.00")])).await;
    assert_eq!(outcome(loading.finish().await), (1, 0, 0, 0));
    let mut loading = Loading::begin_with(&database, &entity, names(&["order_number", "freight"])).await;
    loading.mode = ImportMode::Delete;
    loading.stage(batch(1, vec![vec![Cell::Int(1), text("0.00")]])).await;
    assert_eq!(loading.finish().await.counts.deleted, 1);
}
