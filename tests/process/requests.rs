//! GEN-9, GEN-11: what a client calls its request stands in the log, beside the id the answer carries.

use crate::on_both_databases;
use crate::site::Site;
use crate::support::databases::TestDatabase;

on_both_databases!(a_request_is_found_in_the_log_by_its_ids,);

async fn a_request_is_found_in_the_log_by_its_ids(store: TestDatabase) {
    let site = Site::on(store).await;
    let service = site.start("data").await;
    let asked = crate::wire::http()
        .get(format!("{}/en/api/connector/dequeue/%7Bx%7D", service.base))
        .header("x-ms-client-request-id", "nightly-0042")
        .header("x-ms-client-session-id", "s-7");
    let answer = asked.send().await.expect("an answer");
    let id = answer.headers()["ms-dyn-aid"].to_str().expect("a text").to_owned();
    let log = service.log();
    let line = log
        .lines()
        .find(|line| line.contains(&id))
        .unwrap_or_else(|| panic!("{id} in {log}"));
    for known in ["nightly-0042", "s-7", "\"status\":401"] {
        assert!(line.contains(known), "{known} in {line}");
    }
    assert!(service.stop().await.success());
}
