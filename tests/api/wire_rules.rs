//! Rules of the wire contract that stand alone: small promises to clients that no journey of a message shows.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::relay;

crate::on_both_backends!(
    no_answer_is_a_redirect,
    compression_is_offered_in_vain,
    a_body_is_taken_whatever_it_says_it_is,
    a_token_is_asked_for_as_every_client_does,
    a_queue_hands_out_its_oldest_and_an_acknowledgement_is_for_one,
    a_file_is_fetched_by_every_form_of_its_location,
    every_import_job_reads_its_own_format,
    bodies_that_are_no_object_are_refused_where_clients_read_it,
);

/// The names of a message's status on the two surfaces that have names of their own.
const ACTIONS: &str = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.";

/// GEN-4: some clients take every 3xx for a failure.
async fn no_answer_is_a_redirect(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let job = app.job("Nightly sales orders");
    for path in [
        "/".to_owned(),
        "//".to_owned(),
        "/data".to_owned(),
        "/data/".to_owned(),
        "/api".to_owned(),
        "/api/connector".to_owned(),
        "/API/V1/JOBS".to_owned(),
        "/api/v1/jobs/".to_owned(),
        "/dmf".to_owned(),
        "/dmf/".to_owned(),
        "/namespaces/AXSF".to_owned(),
        format!("/en/api/connector/dequeue/{job}/"),
        format!("/api/connector/dequeue//{job}"),
    ] {
        for method in [Method::GET, Method::POST, Method::HEAD] {
            let answer = app.request(method.clone(), &path).bearer_auth(&app.token);
            let answer = answer.send().await.unwrap();
            assert!(
                !answer.status().is_redirection(),
                "GEN-4: {method} {path}: {}",
                answer.status()
            );
            assert!(!answer.headers().contains_key("location"), "GEN-4: {method} {path}");
        }
    }
}

/// GEN-10: plain answers are fine for a client that offers gzip and deflate, as long as they say so.
async fn compression_is_offered_in_vain(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let request = app.request(Method::GET, "/api/v1/jobs").bearer_auth(&app.token);
    let answer = request.header("Accept-Encoding", "gzip, deflate").send().await.unwrap();
    assert!(!answer.headers().contains_key("content-encoding"), "GEN-10");
    let jobs: Value = answer.json().await.unwrap();
    assert!(jobs["jobs"].is_array());
}

/// RI-4 and GEN-7: the content type of a payload or of an action says nothing.
async fn a_body_is_taken_whatever_it_says_it_is(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Documents", "")).await;
    let path = format!("/api/connector/enqueue/{}", app.job("Documents"));
    for content_type in [
        "",
        "application/zip",
        "application/octet-stream",
        "text/xml",
        "text/csv",
        "application/json",
        "nonsense",
    ] {
        let mut request = app.request(Method::POST, &path).bearer_auth(&app.token).body("x");
        if !content_type.is_empty() {
            request = request.header("Content-Type", content_type);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "RI-4: `{content_type}`");
        assert_eq!(
            answer.headers()["content-type"],
            "application/json; charset=utf-8",
            "RI-5"
        );
        let id: String = answer.json().await.unwrap();
        let mut asked = app.request(Method::POST, &format!("{ACTIONS}GetMessageStatus"));
        if !content_type.is_empty() {
            asked = asked.header("Content-Type", content_type);
        }
        // The id as one client sends it: with the quotes it came in (GEN-6), the name in another case, more than was asked for.
        let body = json!({ "MESSAGEID": format!("\"{{{}}}\"", id.to_uppercase()), "unknown": [1] });
        let answer = asked
            .bearer_auth(&app.token)
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["value"], "Enqueued", "GEN-7: `{content_type}`: {answer}");
    }
}

/// AUTH-2, AUTH-3, AUTH-7: whatever stands for the tenant, and the service named in every spelling.
async fn a_token_is_asked_for_as_every_client_does(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let secret = app.add_client("shop", "client").await;
    let base = app.url.as_str();
    let shouted = base.to_uppercase();
    for tenant in ["common", "contoso.example", "1f0e7b0a-2c1d-4b9e-8f00-0a1b2c3d4e5f"] {
        for (version, member, value) in [
            ("", "resource", base.to_owned()),
            ("", "resource", format!("{base}/")),
            ("", "resource", shouted.clone()),
            ("v2.0/", "scope", format!("{base}/.default")),
            ("v2.0/", "scope", format!("{base}//.default")),
            ("v2.0/", "scope", format!("{shouted}/.default")),
        ] {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", "shop"),
                ("client_secret", &secret),
                (member, &value),
            ];
            let path = format!("/{tenant}/oauth2/{version}token");
            let answer = app.request(Method::POST, &path).form(&form).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path} {member}={value}");
            let answer: Value = answer.json().await.unwrap();
            let token = answer["access_token"].as_str().unwrap();
            let jobs = app.request(Method::GET, "/api/v1/jobs").bearer_auth(token);
            let jobs = jobs.send().await.unwrap();
            assert_eq!(jobs.status(), StatusCode::OK, "AUTH-3: {path} {member}={value}");
        }
    }
}

/// RI-13 and RI-25.
async fn a_queue_hands_out_its_oldest_and_an_acknowledgement_is_for_one(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Documents", "")).await;
    let job = app.job("Documents");
    for body in ["first", "second", "third"] {
        app.post(&format!("/api/connector/enqueue/{job}"), body).await;
    }
    let mut deliveries: Vec<Value> = Vec::new();
    for want in ["first", "second", "third"] {
        let delivery: Value = app
            .get(&format!("/api/connector/dequeue/{job}"))
            .await
            .json()
            .await
            .unwrap();
        let location = delivery["DownloadLocation"].as_str().unwrap();
        assert_eq!(app.get(location).await.text().await.unwrap(), want, "RI-13");
        deliveries.push(delivery);
    }
    let ack = format!("/api/connector/ack/{job}");
    let together = app.post(&ack, Value::from(deliveries.clone()).to_string()).await;
    assert_eq!(together.status(), StatusCode::BAD_REQUEST, "RI-25");
    let one = app.post(&ack, deliveries[1].to_string()).await;
    assert_eq!(one.status(), StatusCode::OK);
    assert_eq!(one.text().await.unwrap(), "", "RI-21");
    let listed: Value = app.get("/api/v1/messages?status=Acked").await.json().await.unwrap();
    assert_eq!(listed["messages"].as_array().unwrap().len(), 1, "RI-25: {listed}");
}

/// RI-15, RI-16, RI-18: braces or none, the query in any order and case, again and again, never with a redirect.
async fn a_file_is_fetched_by_every_form_of_its_location(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Documents", "")).await;
    let job = app.job("Documents");
    app.post(&format!("/api/connector/enqueue/{job}"), "bytes").await;
    let delivery: Value = app
        .get(&format!("/api/connector/dequeue/{job}"))
        .await
        .json()
        .await
        .unwrap();
    let location = delivery["DownloadLocation"].as_str().unwrap();
    let (_, query) = location.split_once('?').unwrap();
    let turned: Vec<&str> = query.split('&').rev().collect();
    for path in [
        location.to_owned(),
        format!("/api/connector/download/{job}?{query}"),
        format!("/API/Connector/Download/%7b{}%7d?{query}", job.to_uppercase()),
        format!("/api/connector/download/{job}?{}", turned.join("&")),
        format!(
            "/api/connector/download/{job}?{}",
            query.replace("correlation-id", "Correlation-Id")
        ),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(answer.status(), StatusCode::OK, "RI-16: {path}");
        assert_eq!(answer.headers()["content-type"], "application/octet-stream", "RI-16");
        assert_eq!(answer.text().await.unwrap(), "bytes", "RI-15: {path}");
    }
    let unsigned = app.request(Method::GET, location).send().await.unwrap();
    assert_eq!(
        unsigned.status(),
        StatusCode::UNAUTHORIZED,
        "AUTH-15: a download needs its bearer"
    );
    let listed: Value = app
        .get("/api/v1/messages?status=Downloaded")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(listed["messages"].as_array().unwrap().len(), 1, "RI-18: {listed}");
}

/// RI-0: the format of a file is its job's.
async fn every_import_job_reads_its_own_format(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "jobs/tabs.toml",
            "id = \"00000000-0000-4000-8000-0000000000dd\"\nname = \"Tabbed customers\"\ndirection = \"import\"\n\
             data_source = \"file\"\nclients = [\"tester\"]\n[import]\nformat = \"csv\"\ndelimiter = \"\\t\"\n\
             [[import.entities]]\nentity = \"customers\"\n\
             map = { CustomerID = \"customer_account\" }\n",
        );
    })
    .await;
    let commas = "CustomerID,CompanyName\r\nAAAAA,One\r\n";
    let tabs = "CustomerID\tCompanyName\r\nBBBBB,2\tTwo, Ltd\r\n";
    for (job, body, status) in [
        ("Inbound customers", commas, "Processed"),
        ("Tabbed customers", tabs, "Processed"),
        ("Tabbed customers", commas, "PreProcessingError"),
    ] {
        let message = app.import(job, "Customers", body).await;
        assert_eq!(message["status"], status, "RI-0: {job}: {message}");
    }
}

/// GEN-7 and ERR-1: JSON that is no object is refused, and says so where clients look.
async fn bodies_that_are_no_object_are_refused_where_clients_read_it(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    for body in ["[]", "\"x\"", "null", "5", "[{'messageId':'x'}]", "{", "nonsense"] {
        let answer = app.post(&format!("{ACTIONS}GetMessageStatus"), body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "GEN-7: {body}");
        let answer: Value = answer.json().await.unwrap();
        let text = answer["error"]["innererror"]["message"].as_str().unwrap();
        assert!(
            text.starts_with(
                "Exception occurred while executing action GetMessageStatus on Entity DataManagementDefinitionGroup: "
            ),
            "ERR-2: {text}"
        );
        assert_eq!(answer["error"]["message"], "An error has occurred.", "ERR-1");
    }
    for (name, value) in [
        ("messageId", json!(["x"])),
        ("messageId", json!({})),
        ("messageId", json!("a\u{0}b")),
    ] {
        let answer = app
            .post(
                &format!("{ACTIONS}GetMessageStatus"),
                json!({ name: value }).to_string(),
            )
            .await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{value}");
        let answer: Value = answer.json().await.unwrap();
        let text = answer["error"]["innererror"]["message"].as_str().unwrap();
        assert!(text.contains("messageId"), "the parameter is named: {text}");
    }
}
