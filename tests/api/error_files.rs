//! Error files (PKG-15): what staging rejected, and the keys of what the target refused, behind links that need no token.

mod entities;
mod links;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp, sample};
use crate::client::send;
use crate::console::browser::leads_there;

crate::on_both_backends!(
    staging_errors_have_a_file_of_their_own,
    keys_the_target_refused_have_a_file_of_their_own,
    a_clean_message_has_neither_file,
    each_file_has_its_own_records_where_there_are_both,
    a_client_that_polls_learns_the_truth_at_each_step,
    an_export_has_no_error_files,
);

/// A table with a rule that the entity knows nothing of.
const PARCELS: &str = "create table parcels (company varchar(4) not null, number varchar(20) not null primary key, \
    weight bigint check (weight < 100))";
const PARCELS_ENTITY: &str = r#"
name = "Parcels"
label = "Parcels"
table = "parcels"
key = ["number"]
company_field = "company"
[[fields]]
name = "company"
max_length = 4
[[fields]]
name = "number"
max_length = 20
[[fields]]
name = "weight"
type = "int"
"#;

const PALLETS: &str = "create table pallets (code varchar(20) not null, place bigint not null, weight bigint check (weight < 100), \
    primary key (code, place))";
const PALLETS_ENTITY: &str = r#"
name = "Pallets"
label = "Pallets"
table = "pallets"
key = ["code", "place"]
[[fields]]
name = "code"
max_length = 20
[[fields]]
name = "place"
type = "int"
[[fields]]
name = "weight"
type = "int"
"#;

/// Pallets with parcels on them.
const COMPOSITE: &str = r#"
name = "Shipments"
label = "Shipments"
[[composite]]
entity = "Pallets"
element = "PALLET"
[[composite]]
entity = "Parcels"
element = "PARCEL"
parent = "Pallets"
"#;

fn job(number: u32, name: &str, import: &str, entities: &str) -> String {
    format!(
        "id = \"00000000-0000-4000-8000-00000000{number:04x}\"\nname = \"{name}\"\ndirection = \"import\"\nclients = \
         [\"tester\"]\n{import}\n{entities}\n"
    )
}

const MAPPED: &str = "[[import.entities]]\nentity = \"Parcels\"\nmap = { No = \"number\" }\n\
    [import.entities.values.number]\nseven = \"7\"";

fn set_up(setup: &mut Setup) {
    setup.before(PARCELS);
    setup.before(PALLETS);
    setup.file("entities/parcels.toml", PARCELS_ENTITY);
    setup.file("entities/pallets.toml", PALLETS_ENTITY);
    setup.file("entities/shipments.toml", COMPOSITE);
    for (number, format) in (0xe0..).zip(["csv", "json", "jsonl", "xml-element", "xlsx"]) {
        let import = format!("[import]\nformat = \"{format}\"");
        setup.file(
            &format!("jobs/parcels-{format}.toml"),
            &job(number, &format!("Parcels {format}"), &import, MAPPED),
        );
    }
    let pallets = "[[import.entities]]\nentity = \"Pallets\"";
    let import = "data_source = \"package\"\n[import]\nformat = \"csv\"";
    setup.file(
        "jobs/packages.toml",
        &job(
            0xf0,
            "Packages",
            import,
            &format!("{pallets}\n[[import.entities]]\nentity = \"Parcels\""),
        ),
    );
    let composite = "[[import.entities]]\nentity = \"Shipments\"";
    setup.file(
        "jobs/shipments.toml",
        &job(0xf1, "Shipments", "[import]\nformat = \"xml-element\"", composite),
    );
}

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, set_up).await
}

/// Loads parcels as CSV in company `usmf`; the message id.
async fn load(app: &TestApp, rows: &[&str]) -> String {
    let file = format!("No,Weight\r\n{}\r\n", rows.join("\r\n"));
    let id = app.put("Parcels csv", "entity=Parcels&company=usmf", &file).await;
    app.run_until_idle().await;
    id
}

const GENERATE: &str = "GenerateImportTargetErrorKeysFile";
const KEYS_URL: &str = "GetImportTargetErrorKeysFileUrl";
const STAGING_URL: &str = "GetImportStagingErrorFileUrl";

/// Answers of a package API action, `executionId` being the message's.
async fn act(app: &TestApp, action: &str, id: &str, entity: &str) -> (StatusCode, Value) {
    let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{action}");
    let answer = app
        .post(&path, json!({ "executionId": id, "entityName": entity }).to_string())
        .await;
    (answer.status(), answer.json().await.unwrap())
}

async fn value(app: &TestApp, action: &str, id: &str, entity: &str) -> Value {
    let (status, body) = act(app, action, id, entity).await;
    assert_eq!(status, StatusCode::OK, "{action}: {body}");
    body["value"].clone()
}

/// What the three actions say of an entity: whether there are keys, and the two links.
async fn offered(app: &TestApp, id: &str, entity: &str) -> (bool, String, String) {
    let link = |value: Value| value.as_str().unwrap().to_owned();
    (
        value(app, GENERATE, id, entity).await.as_bool().unwrap(),
        link(value(app, KEYS_URL, id, entity).await),
        link(value(app, STAGING_URL, id, entity).await),
    )
}

/// Follows a link as a client does: with no token.
async fn follow(app: &TestApp, link: &str) -> Response {
    app.request(Method::GET, link).send().await.unwrap()
}

async fn text(app: &TestApp, link: &str) -> String {
    let answer = follow(app, link).await;
    assert_eq!(answer.status(), StatusCode::OK, "{link}");
    answer.text().await.unwrap()
}

/// First line, and of each other the cells before the one that says why: its code follows them.
fn told(file: &str) -> Vec<String> {
    let lines = file.lines().enumerate();
    lines
        .map(|(at, line)| match line.split_once(": ") {
            Some((told, _)) if at > 0 => told.replace('"', ""),
            _ => line.to_owned(),
        })
        .collect()
}

async fn staging_errors_have_a_file_of_their_own(backend: Backend) {
    let app = app(backend).await;
    let id = load(&app, &["1,5", "2,heavy", "3,6"]).await;
    let (are_keys, keys, staging) = offered(&app, &id, "Parcels").await;
    assert_eq!((are_keys, keys.as_str()), (false, ""));
    let answer = follow(&app, &staging).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/csv; charset=utf-8");
    let named = format!("attachment; filename=\"staging-errors-{id}.csv\"");
    assert_eq!(header("content-disposition"), named);
    let file = answer.text().await.unwrap();
    let lines: Vec<&str> = file.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "_reject_id,_error,No,Weight"));
    assert!(lines[1].starts_with(&format!("{id}.0.2,")), "{file}");
    assert!(
        lines[1].contains("invalid_int: ") && lines[1].ends_with(",2,heavy"),
        "{file}"
    );
    // It is what the message's rejects are, which nobody need ask with a token.
    let rejects = app.get(&format!("/api/v1/messages/{id}/rejects")).await;
    assert_eq!(rejects.text().await.unwrap(), file);
    let none = app.get(&format!("/api/v1/messages/{id}/error-keys")).await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
}

async fn keys_the_target_refused_have_a_file_of_their_own(backend: Backend) {
    let app = app(backend).await;
    let id = load(&app, &["1,5", "seven,500", "\"8, \"\"eight\"\"\",900"]).await;
    let (status, body) = act(&app, GENERATE, &id, "parcels").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["value"], true, "a boolean, not a text");
    assert_eq!(
        body["@odata.context"],
        format!("{}/data/$metadata#Edm.Boolean", app.url)
    );
    let (_, keys, staging) = offered(&app, &id, "PARCELS").await;
    assert_eq!(staging, "");
    let file = text(&app, &keys).await;
    let lines: Vec<&str> = file.lines().collect();
    // As the file has them, not as they were read, and the company it does not have.
    assert_eq!(lines[0], "company,number,_error");
    assert!(lines[1].starts_with("usmf,seven,"), "{file}");
    assert!(lines[2].starts_with("usmf,\"8, \"\"eight\"\"\","), "{file}");
    assert!(
        lines[1..]
            .iter()
            .all(|line| line.contains("target_rejected: the target table refuses")),
        "{file}"
    );
    assert_eq!(lines.len(), 3);
    let native = app
        .get(&format!("/api/v1/messages/{id}/error-keys?entity=Parcels"))
        .await;
    assert_eq!(native.headers()["content-type"], "text/csv; charset=utf-8");
    assert_eq!(native.text().await.unwrap(), file);
}

async fn a_clean_message_has_neither_file(backend: Backend) {
    let app = app(backend).await;
    let id = load(&app, &["1,5"]).await;
    assert_eq!(
        offered(&app, &id, "Parcels").await,
        (false, String::new(), String::new())
    );
    for path in ["rejects", "rejects?phase=staging", "error-keys"] {
        let answer = app.get(&format!("/api/v1/messages/{id}/{path}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

async fn each_file_has_its_own_records_where_there_are_both(backend: Backend) {
    let app = app(backend).await;
    let mut rows = vec!["1,5", "2,heavy", "3,500", "4,6", "5,light"];
    // More than a page of them.
    let many: Vec<String> = (0..1_200)
        .map(|n| format!("m{n},{}", if n % 2 == 0 { "1000" } else { "x" }))
        .collect();
    rows.extend(many.iter().map(String::as_str));
    let id = load(&app, &rows).await;
    let (are_keys, keys, staging) = offered(&app, &id, "Parcels").await;
    assert!(are_keys);
    let staged = told(&text(&app, &staging).await);
    assert_eq!(staged.len(), 1 + 602);
    assert_eq!(staged[1], format!("{id}.0.2,invalid_int"));
    assert_eq!(staged[2], format!("{id}.0.5,invalid_int"));
    let refused = told(&text(&app, &keys).await);
    assert_eq!(refused.len(), 1 + 601);
    assert_eq!(refused[1], "usmf,3,target_rejected");
    assert_eq!(refused[601], "usmf,m1198,target_rejected");
    // The native way to each of them.
    for (query, records) in [
        ("", 1203),
        ("?phase=staging", 602),
        ("?phase=Target&entity=parcels", 601),
    ] {
        let answer = app.get(&format!("/api/v1/messages/{id}/rejects{query}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{query}");
        assert_eq!(answer.text().await.unwrap().lines().count(), 1 + records, "{query}");
    }
    for (query, code) in [("phase=both", "invalid_phase"), ("entity=Crates", "entity_unknown")] {
        let path = format!("/api/v1/messages/{id}/rejects?{query}");
        let answer = send(app.request(Method::GET, &path), &app.token).await;
        assert_eq!(
            (answer.status, answer.text("code").as_str()),
            (StatusCode::BAD_REQUEST, code)
        );
    }
}

/// The way of a client that holds a message id and asks until it knows: an answer that is empty for ever would keep it for ever.
async fn a_client_that_polls_learns_the_truth_at_each_step(backend: Backend) {
    let app = app(backend).await;
    let id = app
        .put(
            "Parcels csv",
            "entity=Parcels&company=usmf",
            "No,Weight\r\n1,5\r\n2,500\r\n3,x\r\n",
        )
        .await;
    // "No errors" would be as wrong as "errors".
    let (status, body) = act(&app, GENERATE, &id, "Parcels").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    let inner = |body: &Value| body["error"]["innererror"]["message"].as_str().unwrap().to_owned();
    let lead_in =
        format!("Exception occurred while executing action {GENERATE} on Entity DataManagementDefinitionGroup: ");
    assert!(
        inner(&body).starts_with(&lead_in) && inner(&body).contains("not ended"),
        "{body}"
    );
    assert_eq!(value(&app, KEYS_URL, &id, "Parcels").await, "");
    app.run_until_idle().await;
    let message = app.message(&id).await;
    let execution = message["executions"][0]["id"].as_str().unwrap();
    for asked in [execution, id.as_str()] {
        assert_eq!(
            value(&app, "GetExecutionSummaryStatus", asked, "").await,
            "PartiallySucceeded"
        );
        assert_eq!(value(&app, GENERATE, asked, "Parcels").await, true);
        let link = value(&app, KEYS_URL, asked, "Parcels").await;
        assert_eq!(
            told(&text(&app, link.as_str().unwrap()).await)[1..],
            ["usmf,2,target_rejected"]
        );
        let link = value(&app, STAGING_URL, asked, "Parcels").await;
        assert!(text(&app, link.as_str().unwrap()).await.ends_with(",3,x\r\n"));
    }
    let entities = value(&app, "GetEntityExecutionSummaryStatusList", execution, "").await;
    let entity: Value = serde_json::from_str(entities[0].as_str().unwrap()).unwrap();
    assert_eq!(
        json!([
            entity["EntityName"],
            entity["StagingErrors"],
            entity["TargetInserted"],
            entity["TargetErrors"]
        ]),
        json!(["Parcels", 1, 1, 1])
    );
    let page = value(&app, "GetExecutionSummaryPageUrl", execution, "").await;
    let page = leads_there(&app, page.as_str().unwrap()).await;
    page.says(execution);
    page.says("Parcels");
    // Who may not see the message does not learn that it is there.
    let stranger = app.client("stranger").await;
    for action in [GENERATE, KEYS_URL, STAGING_URL] {
        for (token, asked, entity, cause) in [
            (&app.token, "no-such-id", "Parcels", "Execution details were not found"),
            (&stranger, execution, "Parcels", "Execution details were not found"),
            (&app.token, execution, "Crates", "has an entity `Crates`"),
        ] {
            let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{action}");
            let asked = app
                .request(Method::POST, &path)
                .json(&json!({ "EXECUTIONID": asked, "EntityName": entity }));
            let answer = send(asked, token).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{action} {cause}");
            assert!(inner(&answer.body).contains(cause), "{}", answer.body);
        }
    }
}

async fn an_export_has_no_error_files(backend: Backend) {
    let app = app(backend).await;
    let none = (false, String::new(), String::new());
    // The first run has nothing to queue, the second one has a message.
    for loads in [false, true] {
        if loads {
            app.import("Inbound customers", "Customers", sample("customers.csv"))
                .await;
            app.import("Inbound sales orders", "Sales order headers", sample("orders.csv"))
                .await;
        }
        app.post("/api/v1/jobs/Nightly%20sales%20orders/run", "").await;
        app.run_until_idle().await;
        let path = "/api/v1/jobs/Nightly%20sales%20orders/occurrences?limit=1";
        let listed: Value = app.get(path).await.json().await.unwrap();
        let occurrence = &listed["occurrences"][0];
        assert_eq!(occurrence["message"].is_string(), loads, "{listed:#}");
        let execution = occurrence["execution"].as_str().unwrap();
        assert_eq!(offered(&app, execution, "Sales order headers").await, none);
        if loads {
            let page = value(&app, "GetExecutionSummaryPageUrl", execution, "").await;
            leads_there(&app, page.as_str().unwrap()).await.says(execution);
        }
    }
}
