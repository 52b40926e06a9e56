//! `tranship client` and `tranship audit` beside each other: what is done on the command line is told, and the log proves itself.

use std::process::Output;

use serde_json::Value;

use crate::site::Site;
use crate::support::databases::{TestDatabase, run};

#[tokio::test]
async fn what_is_done_on_the_command_line_is_told_on_sqlite() {
    what_is_done_on_the_command_line_is_told(TestDatabase::sqlite(), "drop trigger audit_is_not_changed").await;
}

#[tokio::test]
async fn what_is_done_on_the_command_line_is_told_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        what_is_done_on_the_command_line_is_told(store, "alter table audit disable trigger user").await;
    }
}

async fn what_is_done_on_the_command_line_is_told(store: TestDatabase, without_triggers: &str) {
    let url = store.url.clone();
    let site = Site::on(store).await;
    let shop = site.add_client("shop", "client");
    for line in [
        &["client", "role", "SHOP", "operator"][..],
        &["client", "rotate", "shop"],
        &["console", "--client", "shop", "--url", "http://127.0.0.1:1"],
        &["client", "revoke", "shop"],
    ] {
        assert!(site.run(line).status.success(), "{line:?}");
    }
    let failed = |line: &[&str]| -> Output {
        let output = site.command(line).output().expect("it runs");
        assert!(!output.status.success(), "{line:?}");
        output
    };
    failed(&["client", "role", "shop", "admin"]);

    let listed = json(&site.run(&["audit", "list", "--json"]));
    let entries = listed["entries"].as_array().expect("a list");
    let actions: Vec<&str> = entries
        .iter()
        .map(|entry| entry["action"].as_str().expect("a word"))
        .collect();
    assert_eq!(
        actions,
        [
            "client.revoke",
            "console.link",
            "client.rotate",
            "client.role",
            "client.add"
        ]
    );
    for entry in entries {
        assert!(
            entry["actor"].as_str().expect("text").starts_with("os user "),
            "{entry}"
        );
        assert_eq!(
            (&entry["surface"], &entry["target"]),
            (&"command_line".into(), &"shop".into())
        );
    }
    assert!(!listed.to_string().contains(&shop.secret));
    let some = site.run(&["audit", "list", "--action", "client.role", "--target", "shop"]);
    let some = String::from_utf8(some.stdout).expect("text");
    assert!(some.contains("client.role") && !some.contains("client.add"), "{some}");

    let verified = String::from_utf8(site.run(&["audit", "verify"]).stdout).expect("text");
    assert!(
        verified.contains("5 entries, 1 to 5: the chain is whole."),
        "{verified}"
    );
    let head = verified
        .lines()
        .find(|line| line.starts_with("5:"))
        .expect("number and hash")
        .to_owned();
    site.run(&["client", "add", "another"]);
    assert!(site.run(&["audit", "verify", "--head", &head]).status.success());
    let other = format!("5:{}", "0".repeat(64));
    let missing = failed(&["audit", "verify", "--head", &other]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("entry 5 is not the one that was written down"));

    run(&url, without_triggers).await;
    run(&url, "update audit set detail = '{\"role\":\"admin\"}' where seq = 1").await;
    let broken = failed(&["audit", "verify", "--json"]);
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(json(&broken)["fault"]["number"], 1);
    let said = String::from_utf8_lossy(&broken.stderr).into_owned();
    assert!(said.contains("entry 1 was changed: its hash is another one"), "{said}");
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn backup_and_restore_are_told_on_sqlite() {
    let restored = TestDatabase::sqlite();
    backup_and_restore_are_told(TestDatabase::sqlite(), restored).await;
}

#[tokio::test]
async fn backup_and_restore_are_told_on_postgres() {
    if let (Some(store), Some(restored)) = (TestDatabase::postgres().await, TestDatabase::postgres().await) {
        backup_and_restore_are_told(store, restored).await;
    }
}

/// A backup is told where it was taken, a restore where it was made: in the store that goes on.
async fn backup_and_restore_are_told(store: TestDatabase, restored: TestDatabase) {
    let mut site = Site::on(store).await;
    site.add_client("shop", "client");
    let folder = site.path("backup").display().to_string();
    site.run(&["backup", &folder]);
    assert_eq!(told(&site), ["store.backup", "client.add"]);

    site.set("TRANSHIP_STORE__URL", &restored.url);
    site.set(
        "TRANSHIP_BLOBS__URL",
        &format!("file://{}/others", site.path("").display()),
    );
    site.run(&["restore", &folder]);
    assert_eq!(told(&site), ["store.restore", "client.add"]);
    let entries = json(&site.run(&["audit", "list", "--action", "store.restore", "--json"]));
    assert_eq!(entries["entries"][0]["target"], folder, "{entries}");
    site.run(&["audit", "verify"]);
}

fn told(site: &Site) -> Vec<String> {
    let listed = json(&site.run(&["audit", "list", "--json"]));
    let entries = listed["entries"].as_array().expect("a list").iter();
    entries
        .map(|entry| entry["action"].as_str().expect("a word").to_owned())
        .collect()
}
