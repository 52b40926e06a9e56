//! Commands that work on the store itself, where there is none, in the wrong folder for instance: they say so and make nothing.
//! Only `client add` makes one, for the first client may come before the first start.

use serde_json::Value;

use crate::site::{Site, is_empty};
use crate::support::databases::{TestDatabase, rows};

/// Every command that opens the store beside the service. `backup` and `doctor` open it in ways of their own.
const LINES: [&[&str]; 10] = [
    &["client", "list"],
    &["client", "role", "shop", "operator"],
    &["client", "rotate", "shop"],
    &["client", "revoke", "shop"],
    &["audit", "list"],
    &["audit", "verify"],
    &["console"],
    &["keys", "list"],
    &["keys", "rotate"],
    &[
        "erase",
        "--entity",
        "Customers",
        "--key",
        "customer_account=C-1",
        "--yes",
    ],
];

fn is_refused(site: &Site, place: &str) {
    for line in LINES {
        let output = site.command(&[line, &["--json"]].concat()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{line:?}: {output:?}");
        let failure: Value = serde_json::from_slice(&output.stderr).expect("JSON");
        let error = failure["error"].as_str().expect("a sentence");
        assert!(
            error.contains("there is no store at ") && error.contains(place),
            "{line:?}: {error}"
        );
        assert!(
            failure["cure"].as_str().expect("a cure").contains("--config"),
            "{line:?}"
        );
    }
}

#[tokio::test]
async fn no_command_makes_a_store_in_a_wrong_folder() {
    let site = Site::empty();
    is_refused(&site, "data/tranship.db");
    assert!(is_empty(&site.path("")), "something was made");
    // The first client makes it, and then they work.
    site.add_client("shop", "client");
    let listed: Value = serde_json::from_slice(&site.run(&["client", "list", "--json"]).stdout).expect("JSON");
    assert_eq!(listed["clients"][0]["name"], "shop", "{listed}");
}

#[tokio::test]
async fn no_command_makes_a_store_in_a_wrong_database() {
    let Some(store) = TestDatabase::postgres().await else {
        return;
    };
    let url = store.url.clone();
    let site = Site::on(store).await;
    is_refused(&site, "database `t_");
    let tables = rows(
        &url,
        "select table_name from information_schema.tables where table_schema = 'public'",
    )
    .await;
    assert!(tables.is_empty(), "{tables:?}");
    site.add_client("shop", "client");
    site.run(&["client", "list"]);
}
