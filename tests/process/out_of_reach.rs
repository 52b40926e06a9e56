//! What people read when a database cannot be reached or does not fit: the cause, once, and soon.

use std::time::{Duration, Instant};

use sqlx::Connection as _;

use crate::readings;
use crate::service::Service;
use crate::site::Site;
use crate::support::databases::TestDatabase;

/// Nobody listens there.
const NOBODY: &str = "postgres://somebody:s3cret@127.0.0.1:1/tranship";
/// No answer of a pool comes as early.
const SOON: Duration = Duration::from_secs(10);

/// Runs a command that must fail soon, and returns what it said.
fn complaint(site: &Site, arguments: &[&str]) -> String {
    let began = Instant::now();
    let output = site.command(arguments).output().expect("the binary runs");
    assert!(began.elapsed() < SOON, "{arguments:?} took {:?}", began.elapsed());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?}: {said}");
    assert!(!said.contains("s3cret") && !said.contains("timed out"), "{said}");
    said
}

#[test]
fn a_store_that_nobody_serves_is_named_once_with_the_cause() {
    let mut site = Site::empty();
    site.set("TRANSHIP_STORE__URL", NOBODY);
    let said = complaint(&site, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.matches("refused").count(), 1, "{said}");
    assert!(said.contains("127.0.0.1:1"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_exist_is_reported_in_the_servers_words() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let mut site = Site::empty();
    site.set("TRANSHIP_STORE__URL", &format!("{}_not", database.url));
    let said = complaint(&site, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.matches("does not exist").count(), 1, "{said}");
    assert!(!said.contains("at line"), "{said}");
}

#[test]
fn check_says_why_a_business_database_does_not_answer() {
    let mut site = Site::empty();
    readings::define(&site);
    site.set("TRANSHIP_DATABASES__MAIN__URL", NOBODY);
    let said = complaint(&site, &["check"]);
    assert_eq!(said.matches("refused").count(), 1, "{said}");
    assert!(said.contains("`main`"), "{said}");
}

/// Waits until the service's log says all of it.
async fn log_with(service: &Service, words: &[&str]) -> String {
    let began = Instant::now();
    loop {
        let log = service.log();
        if words.iter().all(|word| log.contains(word)) {
            return log;
        }
        assert!(began.elapsed() < SOON, "{words:?} are not all in {log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_its_business_database_succeeds_and_warns() {
    let mut site = Site::empty();
    readings::define(&site);
    site.set("TRANSHIP_DATABASES__MAIN__URL", NOBODY);
    let service = site.start("data").await;
    let log = log_with(&service, &["WARN", "refused", "databases.main.url"]).await;
    assert!(!log.contains("s3cret"), "{log}");
    assert!(service.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_warns_of_each_table_that_does_not_fit() {
    let site = Site::empty();
    readings::define(&site);
    std::fs::create_dir_all(site.data_dir("data")).expect("the data folder");
    let url = format!("{}?mode=rwc", site.business_url());
    let mut business = sqlx::SqliteConnection::connect(&url).await.expect("it opens");
    sqlx::raw_sql("create table meter_readings (reading integer primary key, meter text, note text)")
        .execute(&mut business)
        .await
        .expect("the table is made");
    business.close().await.expect("it closes");
    let service = site.start("data").await;
    log_with(&service, &["WARN", "`consumption`", "tranship check --apply"]).await;
    assert!(service.stop().await.success());
}
