//! How a job says what lands together and what it replaces.

use super::{CUSTOMERS, INBOUND, ORDERS, load};
use crate::domain::job::Atomicity;

/// The inbound job with another `[import]` and `[[import.entities]]`.
fn job(import: &str, entity: &str) -> String {
    INBOUND.replace("atomicity = \"record\"\n", import).replace(
        "entity = \"sales order HEADERS\"\n",
        &format!("entity = \"sales order HEADERS\"\n{entity}"),
    )
}

fn errors(import: &str, entity: &str) -> Vec<String> {
    let job = job(import, entity);
    let files = [
        ("entities/customers.toml", CUSTOMERS),
        ("entities/orders.toml", ORDERS),
        ("jobs/inbound.toml", job.as_str()),
    ];
    load(&files).map_or_else(|errors| errors, |_| Vec::new())
}

#[test]
fn what_lands_together_and_what_it_replaces_is_read() {
    let job = job(
        "atomicity = \"document\"\n",
        "document_key = [\"company\", \"order_number\"]\ntruncate = true\ntruncate_on_empty = true\n",
    );
    let files = [
        ("entities/customers.toml", CUSTOMERS),
        ("entities/orders.toml", ORDERS),
        ("jobs/inbound.toml", job.as_str()),
    ];
    let set = load(&files).expect("a good set");
    let import = set.jobs[0].import.as_ref().expect("its section");
    assert_eq!(import.atomicity, Atomicity::Document);
    let entity = &import.entities[0];
    assert_eq!(entity.document_key, ["company", "order_number"]);
    assert!(entity.truncate && entity.truncate_on_empty);
}

#[test]
fn by_default_records_land_each_for_itself_and_replace_nothing() {
    let job = job("", "");
    let files = [
        ("entities/customers.toml", CUSTOMERS),
        ("entities/orders.toml", ORDERS),
        ("jobs/inbound.toml", job.as_str()),
    ];
    let set = load(&files).expect("a good set");
    let import = set.jobs[0].import.as_ref().expect("its section");
    let entity = &import.entities[0];
    assert_eq!(import.atomicity, Atomicity::Record);
    assert!(entity.document_key.is_empty() && !entity.truncate && !entity.truncate_on_empty);
}

#[test]
fn a_document_key_names_fields_that_every_record_has() {
    let document = "atomicity = \"document\"\n";
    assert_eq!(
        errors(document, ""),
        [
            "jobs/inbound.toml:13: `atomicity = \"document\"` needs a `document_key`: the fields whose values tell documents apart, \
             such as [\"order_number\"]"
        ]
    );
    assert_eq!(
        errors(document, "document_key = []\n"),
        ["jobs/inbound.toml:15: `document_key` is empty; name the fields whose values tell documents apart"]
    );
    assert_eq!(
        errors(
            document,
            "document_key = [\n  \"order_number\",\n  \"order_nmber\",\n  \"order_number\",\n  \"freight\"\n]\n"
        ),
        [
            "jobs/inbound.toml:17: document_key `order_nmber` is not a field of `SalesOrderHeaders`; did you mean `order_number`?",
            "jobs/inbound.toml:18: `order_number` is in `document_key` twice",
            "jobs/inbound.toml:19: `freight` is in `document_key`, so it must be `required` in `SalesOrderHeaders`: every record \
             belongs to a document",
        ]
    );
    assert_eq!(
        errors("atomicity = \"file\"\n", "document_key = [\"order_number\"]\n"),
        ["jobs/inbound.toml:15: `document_key` means nothing without `atomicity = \"document\"`"]
    );
}

#[test]
fn values_of_a_document_key_look_the_same_and_are_read() {
    let orders = ORDERS
        .replace("scale = 2\n", "required = true\n")
        .replace("max = 1000.50\n", "");
    let load = |entity: &str| {
        let job = job("atomicity = \"document\"\n", entity);
        let files = [
            ("entities/customers.toml", CUSTOMERS),
            ("entities/orders.toml", orders.as_str()),
            ("jobs/inbound.toml", job.as_str()),
        ];
        load(&files).map_or_else(|errors| errors, |_| Vec::new())
    };
    assert_eq!(
        load("document_key = [\"freight\"]\n"),
        [
            "jobs/inbound.toml:15: `freight` is in `document_key`: as a decimal it needs a `scale`, so that 1.0 and 1.00 are equal"
        ]
    );
    let orders = ORDERS.replace("name = \"order_date\"\n", "name = \"order_date\"\nrequired = true\n");
    let job = job(
        "atomicity = \"document\"\n",
        "mode = \"delete\"\ndocument_key = [\"order_date\"]\n",
    );
    let files = [
        ("entities/customers.toml", CUSTOMERS),
        ("entities/orders.toml", orders.as_str()),
        ("jobs/inbound.toml", job.as_str()),
    ];
    assert_eq!(
        super::load(&files).expect_err("a mistake"),
        [
            "jobs/inbound.toml:16: `order_date` is in `document_key`, but with `mode = \"delete\"` only key fields are read"
        ]
    );
}

#[test]
fn a_load_that_replaces_rows_brings_new_ones() {
    for mode in ["update", "delete"] {
        assert_eq!(
            errors("", &format!("mode = \"{mode}\"\ntruncate = true\n")),
            [
                "jobs/inbound.toml:15: `truncate` deletes the rows first, so there is nothing left for this `mode`; use `upsert` or \
                 `insert`"
            ]
        );
    }
    assert_eq!(errors("", "mode = \"insert\"\ntruncate = true\n"), [""; 0]);
    assert_eq!(
        errors("", "truncate_on_empty = true\n"),
        ["jobs/inbound.toml:14: `truncate_on_empty` means nothing without `truncate = true`"]
    );
}

#[test]
fn what_does_not_wait_in_staging_is_judged_by_itself() {
    let set = |import: &str| {
        let job = job(import, "").replace("max_errors = \"5%\"\n", "");
        let files = [
            ("entities/customers.toml", CUSTOMERS),
            ("entities/orders.toml", ORDERS),
            ("jobs/inbound.toml", job.as_str()),
        ];
        load(&files).map(|set| set.jobs[0].import.as_ref().expect("its section").skip_staging)
    };
    assert_eq!(set(""), Ok(false));
    assert_eq!(set("skip_staging = true\n"), Ok(true));
    assert_eq!(set("skip_staging = true\natomicity = \"record\"\n"), Ok(true));
    let file = "skip_staging = true\natomicity = \"file\"\n";
    assert_eq!(
        set(file).expect_err("a mistake"),
        [
            "jobs/inbound.toml:11: `atomicity = \"file\"` needs records to wait in staging for each other; leave it or `skip_staging` out"
        ]
    );
    let limit = "skip_staging = true\nmax_errors = \"10%\"\n";
    assert_eq!(
        set(limit).expect_err("a mistake"),
        [
            "jobs/inbound.toml:11: `max_errors` is judged over the whole file before its first record lands, which `skip_staging` does \
             not wait for; leave one of them out"
        ]
    );
}
