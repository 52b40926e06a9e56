//! Messages are found by the key of a record they carry, and by the code of records they rejected; bounded, whatever is asked for.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::Answered;

crate::on_both_backends!(
    a_message_is_found_by_a_record_it_carries,
    a_message_is_found_by_why_its_records_were_rejected,
    a_key_that_is_none_is_explained,
    a_look_into_many_payloads_goes_on_where_it_stopped,
);

const JOB: &str = "Inbound customers";

async fn import(app: &TestApp, file: &str) -> String {
    let id = app.enqueue(JOB, "Customers", file.to_owned()).await;
    app.run_until_idle().await;
    id
}

async fn listed(app: &TestApp, query: &str) -> Value {
    Answered::read(app.get(&format!("/api/v1/messages?{query}")).await)
        .await
        .expect(StatusCode::OK)
}

fn ids(page: &Value) -> Vec<&str> {
    let messages = page["messages"].as_array().unwrap().iter();
    messages.map(|message| message["id"].as_str().unwrap()).collect()
}

async fn a_message_is_found_by_a_record_it_carries(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let first = import(&app, "CustomerID,CompanyName\r\nAAAAA,One\r\nBBBBB,Two\r\n").await;
    let second = import(
        &app,
        "CustomerID,CompanyName\r\nBBBBB,Two\r\nCCCCC,\"Three, and more\"\r\n",
    )
    .await;
    // Rejected, and found all the same.
    let third = import(&app, "CustomerID,CompanyName\r\nAAAAA,\r\nDDDDD,Four\r\n").await;
    for (query, wanted) in [
        ("entity=Customers&key=BBBBB", vec![&second, &first]),
        ("entity=customers&key=AAAAA", vec![&third, &first]),
        ("job=Inbound%20customers&key=CCCCC", vec![&second]),
        ("entity=Customers&key=%22DDDDD%22", vec![&third]),
        ("entity=Customers&key=Three", vec![]),
        ("entity=Customers&key=customer_account%3DCCCCC", vec![&second]),
        ("entity=Customers&key=AAAAA&status=Processed", vec![&first]),
    ] {
        let page = listed(&app, query).await;
        assert_eq!(ids(&page), wanted, "{query}");
        assert_eq!(page["next"], json!(null), "{query}");
    }
    let unreadable = app.enqueue(JOB, "Customers", "CustomerID;CompanyName\r\n\"").await;
    app.run_until_idle().await;
    let page = listed(&app, "entity=Customers&key=CCCCC").await;
    assert_eq!(ids(&page), [&second]);
    assert_eq!(page["unclear"], json!(1), "nobody can say of {unreadable}");
    let bulk = json!({ "action": "retry", "dry_run": true, "filter": { "entity": "Customers", "key": "BBBBB" } });
    let counted = Answered::read(app.post("/api/v1/messages/bulk", bulk.to_string()).await).await;
    counted.expect(StatusCode::OK);
    // Empty, it would be in every name.
    let bulk = json!({ "action": "retry", "dry_run": true, "filter": { "file": "" } });
    let refused = Answered::read(app.post("/api/v1/messages/bulk", bulk.to_string()).await).await;
    assert_eq!(refused.expect(StatusCode::BAD_REQUEST)["code"], "invalid_filter");
}

async fn a_message_is_found_by_why_its_records_were_rejected(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    import(&app, "CustomerID,CompanyName\r\nAAAAA,One\r\n").await;
    let bad = import(&app, "CustomerID,CompanyName\r\nBBBBB,Two\r\n,Nobody\r\n").await;
    assert_eq!(ids(&listed(&app, "code=required_missing").await), [&bad]);
    assert_eq!(ids(&listed(&app, "code=reference_missing").await), Vec::<&str>::new());
}

async fn a_key_that_is_none_is_explained(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    for (query, code, words) in [
        ("key=AAAAA", "invalid_key", "which entity"),
        ("entity=Nothing&key=AAAAA", "entity_unknown", "Nothing"),
        ("entity=Customers&key=a,b", "invalid_key", "customer_account"),
        ("entity=Customers&key=", "invalid_key", "Write its key"),
        ("entity=Customers&key=,", "invalid_key", "customer_account"),
    ] {
        let answer = app.get(&format!("/api/v1/messages?{query}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{query}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
}

async fn a_look_into_many_payloads_goes_on_where_it_stopped(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let wanted = import(&app, "CustomerID,CompanyName\r\nAAAAA,One\r\n").await;
    for _ in 0..230 {
        app.enqueue(JOB, "Customers", "CustomerID,CompanyName\r\nBBBBB,Two\r\n")
            .await;
    }
    let page = listed(&app, "entity=Customers&key=AAAAA").await;
    assert_eq!(ids(&page), Vec::<&str>::new());
    let next = page["next"].as_str().expect("there is more").to_owned();
    let page = listed(&app, &format!("entity=Customers&key=AAAAA&before={next}")).await;
    assert_eq!(ids(&page), [&wanted]);
    assert_eq!(page["next"], json!(null));
}
