//! Who gets in: tokens, per-job clients, and answers that leak nothing.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_wrong_token_is_401_a_right_one_on_the_wrong_job_403_and_an_unknown_activity_500,
    a_client_sees_only_what_lists_it,
    both_token_versions_answer_as_clients_parse_them,
    a_revoked_client_is_out_within_a_second,
    paths_are_taken_in_every_form_clients_send,
);

async fn a_wrong_token_is_401_a_right_one_on_the_wrong_job_403_and_an_unknown_activity_500(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let outsider = app.client("outsider").await;
    let job = app.job("Inbound customers");
    let known = [
        (Method::POST, format!("/api/connector/enqueue/{job}?entity=Customers")),
        (Method::GET, format!("/api/connector/dequeue/{job}")),
        (
            Method::GET,
            format!("/api/connector/download/{job}?correlation-id={job}"),
        ),
        (Method::POST, format!("/api/connector/ack/{job}")),
        (Method::GET, format!("/api/connector/jobstatus/{job}?jobId={job}")),
    ];
    for (method, path) in known {
        for authorization in ["", "Bearer", "Bearer nonsense", "Bearer a.b.c", "Basic dGVzdDp0ZXN0"] {
            let answer = app
                .request(method.clone(), &path)
                .header("Authorization", authorization)
                .send()
                .await
                .unwrap();
            assert_eq!(
                answer.status(),
                StatusCode::UNAUTHORIZED,
                "{method} {path} `{authorization}`"
            );
            let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
            assert!(challenge.starts_with("Bearer"), "{challenge}");
        }
        let answer = app
            .request(method.clone(), &path)
            .bearer_auth(&outsider)
            .body("x")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {path}");
    }
    let nobody = "00000000-0000-0000-0000-000000000000";
    let answer = app
        .request(Method::GET, &format!("/api/connector/dequeue/{nobody}"))
        .bearer_auth(&outsider)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "AUTH-13");
    let body: Value = answer.json().await.unwrap();
    assert!(body["Message"].as_str().unwrap().contains(nobody));
    assert_eq!(app.messages().await, 0);
}

async fn a_client_sees_only_what_lists_it(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "jobs/own.toml",
            "id = \"00000000-0000-4000-8000-0000000000cc\"\nname = \"Own\"\ndirection = \"relay\"\ndata_source = \"file\"\nclients = [\"partner\"]\n",
        );
    })
    .await;
    let partner = app.client("partner").await;
    let as_partner = |path: &str| app.request(Method::GET, path).bearer_auth(&partner).send();
    let jobs: Value = as_partner("/api/v1/jobs").await.unwrap().json().await.unwrap();
    let names: Vec<&str> = jobs["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| j["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Own"]);
    let id = app
        .enqueue("Inbound customers", "Customers", "CustomerID,CompanyName\r\nA,B\r\n")
        .await;
    for path in ["", "/errors", "/payload", "/rejects", "/history"] {
        let answer = as_partner(&format!("/api/v1/messages/{id}{path}")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let unknown = as_partner(&format!("/api/v1/messages/00000000-0000-4000-8000-000000000001{path}"))
            .await
            .unwrap();
        assert_eq!(
            unknown.status(),
            StatusCode::NOT_FOUND,
            "the same as one that does not exist"
        );
    }
    let listed: Value = as_partner("/api/v1/messages").await.unwrap().json().await.unwrap();
    assert!(listed["messages"].as_array().unwrap().is_empty());
    app.run_until_idle().await;
}

async fn both_token_versions_answer_as_clients_parse_them(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let secret = app.add_client("shop", "client").await;
    let ask = |path: &'static str, pairs: Vec<(&'static str, String)>| {
        let request = app.request(Method::POST, path).form(&pairs);
        async move { request.send().await.unwrap() }
    };
    let base = |secret: &str| {
        vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", "shop".to_owned()),
            ("client_secret", secret.to_owned()),
        ]
    };
    let with = |mut pairs: Vec<(&'static str, String)>, name, value: String| {
        pairs.push((name, value));
        pairs
    };
    let v1: Value = ask(
        "/contoso.example/oauth2/token",
        with(base(&secret), "resource", app.url.clone()),
    )
    .await
    .json()
    .await
    .unwrap();
    assert_eq!(v1["token_type"], "Bearer");
    for member in ["expires_in", "expires_on", "not_before"] {
        assert!(
            v1[member].as_str().is_some_and(|t| t.parse::<u64>().is_ok()),
            "{member} is a number in a string (AUTH-1): {v1}"
        );
    }
    let v2: Value = ask(
        "/common/oauth2/v2.0/token",
        with(base(&secret), "scope", format!("{}//.default", app.url)),
    )
    .await
    .json()
    .await
    .unwrap();
    assert!(v2["expires_in"].as_u64().is_some(), "{v2}");
    for token in [&v1, &v2] {
        let answer = app
            .request(Method::GET, "/api/v1/jobs")
            .bearer_auth(token["access_token"].as_str().unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let elsewhere: Value = ask(
        "/common/oauth2/v2.0/token",
        with(base(&secret), "scope", "https://other.example/.default".to_owned()),
    )
    .await
    .json()
    .await
    .unwrap();
    let foreign = elsewhere["access_token"].as_str().unwrap();
    let answer = app
        .request(Method::GET, "/api/v1/jobs")
        .bearer_auth(foreign)
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.status(),
        StatusCode::UNAUTHORIZED,
        "a token for another environment (AUTH-8)"
    );
    let wrong = ask(
        "/common/oauth2/v2.0/token",
        with(base("wrong"), "scope", app.url.clone()),
    )
    .await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let body: Value = wrong.json().await.unwrap();
    assert_eq!(body["error"], "invalid_client");
    assert_eq!(body["error_codes"][0], 7_000_215);
    let none = ask("/common/oauth2/v2.0/token", vec![]).await;
    assert_eq!(none.status(), StatusCode::BAD_REQUEST);
}

async fn a_revoked_client_is_out_within_a_second(backend: Backend) {
    let app = TestApp::with(backend, |setup| setup.set("server.token_seconds", "3599")).await;
    let token = app.client("leaver").await;
    let call = || app.request(Method::GET, "/api/v1/jobs").bearer_auth(&token).send();
    assert_eq!(call().await.unwrap().status(), StatusCode::OK);
    app.clock.advance_seconds(3500);
    assert_eq!(call().await.unwrap().status(), StatusCode::OK, "still within its hour");
    assert!(
        app.context
            .store
            .revoke_client("leaver", app.clock.now())
            .await
            .unwrap()
    );
    // Who called lately is believed for a second, for the store is not asked at every call.
    tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
    assert_eq!(call().await.unwrap().status(), StatusCode::FORBIDDEN, "AUTH-10");
    let operator = app.request(Method::GET, "/api/v1/jobs").bearer_auth(&app.token).send();
    assert_eq!(operator.await.unwrap().status(), StatusCode::OK);
    app.clock.advance_seconds(200);
    let expired = app.request(Method::GET, "/api/v1/jobs").bearer_auth(&app.token).send();
    assert_eq!(
        expired.await.unwrap().status(),
        StatusCode::UNAUTHORIZED,
        "tokens expire"
    );
}

async fn paths_are_taken_in_every_form_clients_send(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let job = app.job("Nightly sales orders").to_uppercase();
    for path in [
        format!("/API/Connector/Dequeue/{job}"),
        format!("//api/connector/dequeue/%7B{job}%7D"),
        format!("/en-us/api/connector/dequeue/{{{job}}}"),
        format!("/namespaces/AXSF/api/connector/dequeue/%22{job}%22/"),
    ] {
        assert_eq!(app.get(&path).await.status(), StatusCode::NO_CONTENT, "{path}");
    }
    assert_eq!(app.get("/").await.status(), StatusCode::OK, "GEN-3");
    let unknown = app.get("/api/nothing/here").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let body: Value = unknown.json().await.unwrap();
    assert!(
        body["Message"]
            .as_str()
            .unwrap()
            .starts_with("No HTTP resource was found"),
        "GEN-14"
    );
    // The address as it was sent, also where it is routed in another form.
    let shouted = app.get("/API//Connector/Nothing?x=1").await;
    let body: Value = shouted.json().await.unwrap();
    let sent = format!("{}/API//Connector/Nothing?x=1", app.url);
    assert!(body["Message"].as_str().unwrap().contains(&sent), "{body}");
    let deleted = app.request(Method::DELETE, "/api/v1/jobs").send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::METHOD_NOT_ALLOWED);
}
