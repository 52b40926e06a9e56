//! Everything as it was at the first start, and nothing of before works any more.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{add, ask, sandbox_with};
use crate::app::{Backend, TestApp, sample};
use crate::client::text;

crate::on_both_backends!(
    a_reset_empties_everything_but_clients_keys_and_what_others_made,
    leases_receipts_and_links_of_before_fail_afterwards,
    a_reset_stops_what_runs_and_waits_for_it,
    schedules_go_on_after_a_reset,
);

const CUSTOMERS: &str = "Inbound customers";

async fn reset(app: &TestApp) -> Value {
    ask(app, Method::POST, "/reset", None).await.expect(StatusCode::OK)
}

/// Payloads of all sizes go to the blob store; the table of suppliers is somebody else's.
async fn furnished(backend: Backend) -> TestApp {
    sandbox_with(backend, |setup| {
        setup.set("queue.inline_max_bytes", "0");
        setup.before(
            "create table suppliers (supplier_account varchar(20) not null primary key, company_name varchar(100), \
             contact_name varchar(60), contact_title varchar(60), address varchar(250), city varchar(60), region varchar(60), \
             postal_code varchar(20), country varchar(60), phone varchar(30), fax varchar(30), home_page varchar(255))",
        );
    })
    .await
}

fn blobs(app: &TestApp) -> usize {
    let mut folders = vec![app.folder.join("data/blobs")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.file_name().unwrap().to_string_lossy().starts_with('.')
                && path.file_name().unwrap() != "tranship-blobs"
            {
                found += 1;
            }
        }
    }
    found
}

async fn a_reset_empties_everything_but_clients_keys_and_what_others_made(backend: Backend) {
    let app = furnished(backend).await;
    let before = blobs(&app);
    app.import(CUSTOMERS, "Customers", sample("customers.csv")).await;
    app.import("Inbound suppliers", "Suppliers", sample("suppliers.csv"))
        .await;
    let customers = app.rows("select * from customers").await.len();
    let suppliers = app.rows("select * from suppliers").await.len();
    let letter = app.put("Letters", "external_id=e1", "a").await;
    app.post("/api/v1/jobs/Nightly%20sales%20orders/run", "").await;
    app.run_until_idle().await;
    add(&app, json!({ "kind": "fail_ack" })).await;
    assert!(blobs(&app) > before);

    let done = reset(&app).await;
    assert_eq!(done["removed"]["messages"], 3, "{done}");
    assert_eq!((&done["faults"], &done["seeded"]), (&json!(1), &json!([])));
    let table = |name: &str| {
        let tables = done["tables"].as_array().unwrap().iter();
        tables.clone().find(|table| table["table"] == name).unwrap().clone()
    };
    assert_eq!(
        (&table("customers")["state"], &table("customers")["rows"]),
        (&json!("emptied"), &json!(customers))
    );
    assert_eq!(
        (&table("suppliers")["state"], &table("suppliers")["rows"]),
        (&json!("left"), &json!(0))
    );
    assert_eq!(table("products")["state"], "missing");
    assert_eq!(app.rows("select * from customers").await.len(), 0);
    assert_eq!(app.rows("select * from suppliers").await.len(), suppliers);
    assert_eq!(blobs(&app), before);
    assert_eq!(app.messages().await, 0);
    let gone = app.get(&format!("/api/v1/messages/{letter}")).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert_eq!(ask(&app, Method::GET, "/faults", None).await.body["faults"], json!([]));
    let journal = ask(&app, Method::GET, "/journal?method=POST", None).await;
    assert_eq!(journal.body["requests"], json!([]));
    let runs = app.get("/api/v1/jobs/Nightly%20sales%20orders/occurrences").await;
    assert_eq!(runs.json::<Value>().await.unwrap()["occurrences"], json!([]));

    // And everything goes on: the same client, the same token, the same file.
    let message = app.import(CUSTOMERS, "Customers", sample("customers.csv")).await;
    assert_eq!(
        (&message["status"], &message["records"]["inserted"]),
        (&json!("Processed"), &json!(customers))
    );
    assert_ne!(app.put("Letters", "external_id=e1", "a").await, letter);
    assert_eq!(reset(&app).await["removed"]["messages"], 2);
    assert_eq!(reset(&app).await["removed"]["messages"], 0);
}

async fn leases_receipts_and_links_of_before_fail_afterwards(backend: Backend) {
    let app = furnished(backend).await;
    app.put("Letters", "", "a").await;
    app.put("Letters", "", "b").await;
    let lease = app.lease("Letters", json!({})).await.remove(0);
    let dequeue = format!("/api/connector/dequeue/{}", app.job("Letters"));
    let delivery: Value = app.get(&dequeue).await.json().await.unwrap();
    let action = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl";
    let answer = app.post(action, json!({ "uniqueFileName": "x" }).to_string()).await;
    let value: Value = answer.json().await.unwrap();
    let link: Value = serde_json::from_str(value["value"].as_str().unwrap()).unwrap();
    let link = text(&link, "BlobUrl");
    let put = || {
        let request = app.request(Method::PUT, &link).header("x-ms-blob-type", "BlockBlob");
        request.body("x").send()
    };
    assert_eq!(put().await.unwrap().status(), StatusCode::CREATED);

    reset(&app).await;
    for action in ["ack", "extend", "release", "reject"] {
        let step = app.step(&lease, action, json!({})).await;
        assert_eq!(step.status, StatusCode::BAD_REQUEST, "{action}: {}", step.body);
    }
    let ack = format!("/api/connector/ack/{}", app.job("Letters"));
    let acked = app.post(&ack, delivery.to_string()).await;
    assert_eq!(acked.status(), StatusCode::INTERNAL_SERVER_ERROR, "RI-23");
    let fetched = app.get(delivery["DownloadLocation"].as_str().unwrap()).await;
    assert_eq!(fetched.status(), StatusCode::NOT_FOUND);
    let read = app.request(Method::GET, &link).send().await.unwrap();
    assert!(read.status().is_client_error(), "{}", read.status());
    let written = put().await.unwrap();
    assert!(written.status().is_client_error(), "{}", written.status());
    assert_eq!(app.get(&dequeue).await.status(), StatusCode::NO_CONTENT);
}

/// An import that a fault holds up for minutes is handed back at once, and nothing of it lands later.
async fn a_reset_stops_what_runs_and_waits_for_it(backend: Backend) {
    let app = furnished(backend).await;
    add(&app, json!({ "kind": "slow_import", "milliseconds": 300_000 })).await;
    let id = app.enqueue(CUSTOMERS, "Customers", sample("customers.csv")).await;
    let (worker, began) = (app.worker.clone(), std::time::Instant::now());
    let working = tokio::spawn(async move { worker.run_until_idle().await });
    while app.message(&id).await["status"] != "Processing" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let done = reset(&app).await;
    assert_eq!(done["removed"]["messages"], 1);
    working.await.unwrap().unwrap();
    assert!(began.elapsed() < std::time::Duration::from_mins(4));
    assert_eq!(app.rows("select * from customers").await.len(), 0);
    assert_eq!(app.messages().await, 0);
    let staged = app.rows("select entity from tranship_loads").await;
    assert!(staged.is_empty(), "{staged:?}");
}

async fn schedules_go_on_after_a_reset(backend: Backend) {
    let app = furnished(backend).await;
    app.scheduler.tick().await;
    let jumped = ask(&app, Method::POST, "/clock", Some(json!({ "advance_seconds": 7200 }))).await;
    jumped.expect(StatusCode::OK);
    assert_eq!(reset(&app).await["clock_ahead_seconds"], 7200);
    let clock = ask(&app, Method::GET, "/clock", None).await.expect(StatusCode::OK);
    assert_eq!(clock["ahead_seconds"], 0);
    app.scheduler.look_again().await;
    app.scheduler.tick().await;
    app.clock.advance_seconds(64_800);
    app.scheduler.tick().await;
    let runs = app.get("/api/v1/jobs/Nightly%20sales%20orders/occurrences").await;
    assert_eq!(
        runs.json::<Value>().await.unwrap()["occurrences"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
