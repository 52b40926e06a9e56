//! Prometheus's own library reads what `/metrics` tells, exemplars included: the trace of a message is found from a slow bucket.

use reqwest::StatusCode;

use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, http, json};
use crate::{python, run};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn its_library_reads_metrics_and_exemplars() {
    if python().is_none() {
        return;
    }
    let site = Site::on(TestDatabase::sqlite()).await;
    site.write(
        "entities/stock.toml",
        "name = \"Stock\"\ntable = \"stock\"\ncreate_table = true\nkey = [\"item\"]\n[[fields]]\nname = \"item\"\nmax_length = 10\n",
    );
    site.write(
        "jobs/stock.toml",
        "id = \"00000000-0000-4000-8000-0000000000bd\"\nname = \"Stock in\"\ndirection = \"import\"\nclients = [\"shop\"]\n\
         [import]\nformat = \"csv\"\n[[import.entities]]\nentity = \"Stock\"\n",
    );
    let client = site.add_client("shop", "client");
    let service = site.start("one").await;
    let caller = Caller::new(&service, &client).await;
    let sent = http()
        .post(format!("{}/api/v1/jobs/Stock%20in/messages", service.base))
        .bearer_auth(caller.token())
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .body("item\nnail\n")
        .send()
        .await
        .expect("an answer");
    let sent = json(sent, StatusCode::CREATED).await;
    caller.ended(sent["id"].as_str().expect("an id")).await;
    let found = run("read_metrics.py", &[&service.base, TRACE]).expect("there is a Python");
    let mut found: Vec<&str> = found.lines().collect();
    // Families come in no order.
    found.sort_unstable();
    assert_eq!(found, ["tranship_http_request_seconds", "tranship_work_seconds"]);
    assert!(service.stop().await.success());
}
