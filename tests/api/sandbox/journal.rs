//! What did my client send? And what was it answered?

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{add, ask, sandbox};
use crate::app::{Backend, TestApp};
use crate::client::send;

crate::on_both_backends!(
    the_journal_tells_what_was_sent_and_answered,
    also_what_got_nowhere,
    secrets_are_cut,
    large_bodies_pass_whole_and_are_kept_in_part,
    it_is_filtered_and_cleared,
    it_is_exported_as_har_1_2,
);

async fn listed(app: &TestApp, query: &str) -> Vec<Value> {
    let answer = ask(app, Method::GET, &format!("/journal?{query}"), None).await;
    answer.expect(StatusCode::OK)["requests"].as_array().unwrap().clone()
}

async fn shown(app: &TestApp, row: &Value) -> Value {
    let path = format!("/journal/{}", row["number"]);
    ask(app, Method::GET, &path, None).await.expect(StatusCode::OK)
}

fn header<'a>(half: &'a Value, name: &str) -> &'a str {
    let headers = half["headers"].as_array().unwrap().iter();
    let mut found = headers.filter(|header| header["name"] == name);
    found.next().unwrap_or_else(|| panic!("{name} in {half}"))["value"]
        .as_str()
        .unwrap()
}

async fn the_journal_tells_what_was_sent_and_answered(backend: Backend) {
    let app = sandbox(backend).await;
    let shop = app.client("shop").await;
    let path = format!("//en-US/api/connector/enqueue/{}?x=1", app.job("Letters"));
    let sent = app
        .request(Method::POST, &path)
        .header("x-mine", "Zoë")
        .body("dear archive");
    let answered = send(sent, &shop).await;
    let rows = listed(&app, "client=shop&path=*enqueue*").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    let split = path.split_once('?').unwrap();
    assert_eq!(
        (&row["path"], &row["query"]),
        (&json!(split.0), &json!(split.1)),
        "as it was sent"
    );
    assert_eq!((&row["method"], &row["status"]), (&json!("POST"), &json!(200)));
    assert_eq!(row["request_id"], answered.headers["ms-dyn-aid"].to_str().unwrap());
    assert_eq!((&row["bytes_received"], &row["faults"]), (&json!(12), &json!([])));
    assert_eq!(row["at"], "2026-01-05T08:00:00Z");
    assert!(row["milliseconds"].as_f64().unwrap() > 0.0);
    let whole = shown(&app, row).await;
    assert_eq!(header(&whole["request"], "x-mine"), "Zoë");
    assert_eq!(whole["request"]["body"]["text"], "dear archive");
    assert_eq!(whole["answer"]["body"]["text"], answered.body.to_string());
    assert!(header(&whole["answer"], "content-type").starts_with("application/json"));
}

async fn also_what_got_nowhere(backend: Backend) {
    let app = sandbox(backend).await;
    add(
        &app,
        json!({ "kind": "answer", "status": 500, "path": "/health/live", "name": "sick" }),
    )
    .await;
    app.request(Method::GET, "/no/such/route").send().await.unwrap();
    send(app.request(Method::GET, "/api/v1/jobs"), "not a token").await;
    app.request(Method::GET, "/health/live").send().await.unwrap();
    add(
        &app,
        json!({ "kind": "lose_answer", "path": "/api/v1/jobs", "name": "gone" }),
    )
    .await;
    assert!(
        app.request(Method::GET, "/api/v1/jobs")
            .bearer_auth(&app.token)
            .send()
            .await
            .is_err()
    );
    let statuses: Vec<Value> = listed(&app, "limit=4")
        .await
        .iter()
        .map(|row| row["status"].clone())
        .collect();
    assert_eq!(statuses, [Value::Null, json!(500), json!(401), json!(404)]);
    let rows = listed(&app, "limit=2").await;
    assert_eq!(
        (&rows[0]["faults"], &rows[0]["client"]),
        (&json!(["gone"]), &json!("tester"))
    );
    assert_eq!(rows[1]["faults"], json!(["sick"]));
    // The sandbox's own requests are not among them.
    assert!(listed(&app, "path=*sandbox*").await.is_empty());
}

async fn secrets_are_cut(backend: Backend) {
    let app = sandbox(backend).await;
    let secret = app.add_client("shop", "client").await;
    let token = app.token_of("shop", &secret).await;
    let action = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl";
    let asked = app
        .request(Method::POST, action)
        .json(&json!({ "uniqueFileName": "x" }));
    let answer = send(asked, &token).await.expect(StatusCode::OK);
    let value: Value = serde_json::from_str(answer["value"].as_str().unwrap()).unwrap();
    let link = value["BlobUrl"].as_str().unwrap().to_owned();
    let put = app
        .request(Method::PUT, &link)
        .header("x-ms-blob-type", "BlockBlob")
        .body("x");
    put.send().await.unwrap();
    let signature = link.rsplit_once("sig=").unwrap().1.to_owned();
    let rows = listed(&app, "").await;
    let mut all = ask(&app, Method::GET, "/journal.har", None).await.body.to_string() + &json!(rows).to_string();
    for row in &rows {
        all += &shown(&app, row).await.to_string();
    }
    let decoded: String = url::form_urlencoded::parse(format!("s={signature}").as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect();
    for (what, hidden) in [
        ("a client's secret", secret.as_str()),
        ("a token", token.as_str()),
        ("the operator's token", app.token.as_str()),
        ("a signature", signature.as_str()),
        ("a signature, decoded", decoded.as_str()),
    ] {
        assert!(!all.contains(hidden), "{what} is in the journal");
    }
    let of_token = listed(&app, "path=*token&client=shop").await;
    let text = shown(&app, &of_token[0]).await["request"]["body"]["text"].to_string();
    assert!(text.contains("client_id=shop&client_secret=***"), "{text}");
}

async fn large_bodies_pass_whole_and_are_kept_in_part(backend: Backend) {
    let app = sandbox(backend).await;
    let body: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let id: String = {
        let path = format!("/api/connector/enqueue/{}", app.job("Letters"));
        app.post(&path, body.clone()).await.json().await.unwrap()
    };
    let fetched = app
        .get(&format!("/api/v1/messages/{id}/payload"))
        .await
        .bytes()
        .await
        .unwrap();
    assert_eq!(fetched, body, "what is noted passes unchanged");
    let rows = listed(&app, "limit=2").await;
    let (payload, enqueue) = (shown(&app, &rows[0]).await, shown(&app, &rows[1]).await);
    for half in [&enqueue["request"], &payload["answer"]] {
        let noted = &half["body"];
        assert_eq!((&noted["bytes"], &noted["truncated"]), (&json!(300_000), &json!(true)));
        let kept = noted["base64"].as_str().unwrap();
        assert_eq!(kept.len(), (64 * 1024_usize).div_ceil(3) * 4);
    }
}

async fn it_is_filtered_and_cleared(backend: Backend) {
    let app = sandbox(backend).await;
    app.get("/api/v1/jobs").await;
    app.clock.advance_seconds(10);
    app.get("/api/v1/jobs/nothing").await;
    assert_eq!(listed(&app, "status=404").await.len(), 1);
    assert_eq!(listed(&app, "status=4xx&method=get").await.len(), 1);
    assert_eq!(listed(&app, "since=2026-01-05T08:00:05Z").await.len(), 1);
    assert_eq!(listed(&app, "path=/api/v1/jobs*&client=Tester").await.len(), 2);
    assert_eq!(listed(&app, "limit=1").await.len(), 1);
    for (query, code) in [
        ("status=x", "invalid_status"),
        ("since=x", "invalid_time"),
        ("limit=0", "invalid_limit"),
    ] {
        let answer = ask(&app, Method::GET, &format!("/journal?{query}"), None).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::BAD_REQUEST, &json!(code))
        );
    }
    let cleared = ask(&app, Method::DELETE, "/journal", None).await.expect(StatusCode::OK);
    assert!(cleared["removed"].as_u64().unwrap() >= 2);
    assert!(listed(&app, "").await.is_empty());
    let gone = ask(&app, Method::GET, "/journal/1", None).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

/// The structure of HAR 1.2: which members each object must have, may have, and of which type.
fn assert_object(value: &Value, place: &str, must: &[(&str, &str)], may: &[(&str, &str)]) {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("{place} is an object: {value}"));
    let kind = |value: &Value| match value {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        _ => "other",
    };
    for (name, wanted) in must {
        let member = object.get(*name).unwrap_or_else(|| panic!("{place}.{name} is missing"));
        assert_eq!(kind(member), *wanted, "{place}.{name}");
    }
    for (name, member) in object.iter().filter(|(name, _)| !name.starts_with('_')) {
        let known = must.iter().chain(may).find(|(known, _)| known == name);
        let (_, wanted) = known.unwrap_or_else(|| panic!("{place}.{name} is no member of HAR 1.2"));
        assert_eq!(kind(member), *wanted, "{place}.{name}");
    }
}

fn assert_entry(entry: &Value) {
    let pairs = |list: &Value, place: &str| {
        for pair in list.as_array().unwrap() {
            assert_object(
                pair,
                place,
                &[("name", "string"), ("value", "string")],
                &[("comment", "string")],
            );
        }
    };
    let must = [
        ("startedDateTime", "string"),
        ("time", "number"),
        ("request", "object"),
        ("response", "object"),
        ("cache", "object"),
        ("timings", "object"),
    ];
    assert_object(entry, "entry", &must, &[("comment", "string")]);
    let started = entry["startedDateTime"].as_str().unwrap();
    chrono::DateTime::parse_from_rfc3339(started).unwrap();
    let common = [
        ("httpVersion", "string"),
        ("cookies", "array"),
        ("headers", "array"),
        ("headersSize", "number"),
        ("bodySize", "number"),
    ];
    let request = &entry["request"];
    let must = [
        &common[..],
        &[("method", "string"), ("url", "string"), ("queryString", "array")],
    ]
    .concat();
    assert_object(
        request,
        "request",
        &must,
        &[("postData", "object"), ("comment", "string")],
    );
    url::Url::parse(request["url"].as_str().unwrap()).unwrap();
    pairs(&request["headers"], "request.headers");
    pairs(&request["queryString"], "request.queryString");
    if let Some(data) = request.get("postData") {
        let may = [("params", "array"), ("comment", "string")];
        assert_object(data, "postData", &[("mimeType", "string"), ("text", "string")], &may);
        if let Some(params) = data.get("params") {
            pairs(params, "postData.params");
        }
    }
    let response = &entry["response"];
    let own = [
        ("status", "number"),
        ("statusText", "string"),
        ("redirectURL", "string"),
        ("content", "object"),
    ];
    assert_object(
        response,
        "response",
        &[&common[..], &own].concat(),
        &[("comment", "string")],
    );
    pairs(&response["headers"], "response.headers");
    let may = [("text", "string"), ("encoding", "string"), ("comment", "string")];
    assert_object(
        &response["content"],
        "content",
        &[("size", "number"), ("mimeType", "string")],
        &may,
    );
    let timings = &entry["timings"];
    let must = [("send", "number"), ("wait", "number"), ("receive", "number")];
    assert_object(timings, "timings", &must, &[]);
    let sum: f64 = must.iter().map(|(name, _)| timings[name].as_f64().unwrap()).sum();
    assert!(
        (sum - entry["time"].as_f64().unwrap()).abs() < 0.01,
        "the timings are the time: {entry}"
    );
}

async fn it_is_exported_as_har_1_2(backend: Backend) {
    let app = sandbox(backend).await;
    let shop = app.client("shop").await;
    send(app.enqueuing("Letters", "external_id=a%20b", "dear archive"), &shop).await;
    app.post(
        &format!("/api/connector/enqueue/{}", app.job("Letters")),
        vec![0xff; 100_000],
    )
    .await;
    app.request(Method::GET, "/no/such/route").send().await.unwrap();
    add(&app, json!({ "kind": "lose_answer", "path": "/api/v1/jobs" })).await;
    assert!(
        app.request(Method::GET, "/api/v1/jobs")
            .bearer_auth(&app.token)
            .send()
            .await
            .is_err()
    );
    let har = ask(&app, Method::GET, "/journal.har", None).await;
    let log = &har.body["log"];
    let must = [("version", "string"), ("creator", "object"), ("entries", "array")];
    assert_object(&har.body, "har", &[("log", "object")], &[]);
    assert_object(
        log,
        "log",
        &must,
        &[("browser", "object"), ("pages", "array"), ("comment", "string")],
    );
    assert_eq!(log["version"], "1.2");
    let creator = [("name", "string"), ("version", "string")];
    assert_object(&log["creator"], "creator", &creator, &[("comment", "string")]);
    let entries = log["entries"].as_array().unwrap();
    assert!(entries.len() >= 6, "{}", entries.len());
    entries.iter().for_each(assert_entry);
    let started: Vec<&str> = entries
        .iter()
        .map(|entry| entry["startedDateTime"].as_str().unwrap())
        .collect();
    assert!(started.is_sorted(), "oldest first");
    let with = |text: &str| entries.iter().find(|entry| entry.to_string().contains(text)).unwrap();
    let named = with("dear archive");
    assert_eq!(named["request"]["queryString"][0]["value"], "a b");
    assert_eq!(named["_client"], "shop");
    let url = named["request"]["url"].as_str().unwrap();
    assert!(
        url.starts_with(&app.url) && url.ends_with("?external_id=a%20b"),
        "{url}"
    );
    let form = with("client_secret")["request"]["postData"]["params"].to_string();
    assert!(form.contains("\"client_id\"") && form.contains("\"***\""), "{form}");
    let binary = entries
        .iter()
        .find(|entry| entry["request"]["bodySize"] == 100_000)
        .unwrap();
    assert_eq!(binary["request"]["postData"]["_encoding"], "base64");
    let filtered = ask(&app, Method::GET, "/journal.har?status=404", None).await;
    assert_eq!(filtered.body["log"]["entries"].as_array().unwrap().len(), 1);
}
