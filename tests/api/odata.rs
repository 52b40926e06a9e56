//! The sets and metadata that clients of the package API read (PKG-0a, PKG-25 to PKG-28).

mod executions;
mod metadata;
mod options;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};
use crate::client::{Answered, send};

crate::on_both_backends!(
    projects_and_their_entities_are_read_in_every_form,
    a_client_sees_its_own_projects_alone,
    the_catalogue_of_entities_and_its_versions,
);

const GROUPS: &str = "/data/DataManagementDefinitionGroups";
const DETAILS: &str = "/data/DataManagementDefinitionGroupDetails";

fn define(setup: &mut Setup) {
    for (at, client) in [(1, "shop"), (2, "shop"), (3, "warehouse")] {
        let job = format!(
            "id = \"00000000-0000-4000-8000-00000000ee0{at}\"\nname = \"It's export {at}\"\ndirection = \"export\"\n\
             clients = [\"{client}\"]\n[export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Customers\"\n\
             refresh = \"incremental\"\n[[export.entities]]\nentity = \"Products\"\n"
        );
        setup.file(&format!("jobs/odata-{at}.toml"), &job);
    }
}

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, define).await
}

async fn get_as(app: &TestApp, token: &str, path: &str) -> Answered {
    send(app.request(reqwest::Method::GET, path), token).await
}

async fn get(app: &TestApp, path: &str) -> Value {
    get_as(app, &app.token, path).await.expect(StatusCode::OK)
}

/// A property of each row.
fn all<'a>(body: &'a Value, property: &str) -> Vec<&'a str> {
    let rows = body["value"].as_array().unwrap_or_else(|| panic!("{body}")).iter();
    rows.map(|row| row[property].as_str().unwrap_or_else(|| panic!("{row}")))
        .collect()
}

/// What a refusal says (ERR-1).
async fn refusal(app: &TestApp, path: &str, status: StatusCode) -> String {
    let body = get_as(app, &app.token, path).await.expect(status);
    body["error"]["innererror"]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{body}"))
        .to_owned()
}

/// PKG-25, PKG-26.
async fn projects_and_their_entities_are_read_in_every_form(backend: Backend) {
    let app = app(backend).await;
    let listed = get(&app, GROUPS).await;
    assert!(
        listed["@odata.context"]
            .as_str()
            .unwrap()
            .ends_with("/data/$metadata#DataManagementDefinitionGroups")
    );
    assert!(all(&listed, "Name").contains(&"It's export 1"));
    assert!(
        !all(&listed, "Name").contains(&"Relay documents"),
        "a relay job has no entities"
    );
    for path in [
        "('It''s%20export%201')",
        "(%27It%27%27s%20export%201%27)",
        "(Name='It''s%20export%201',OperationType=Microsoft.Dynamics.DataEntities.DMFOperationType'Export')",
        "(Name='it''s%20EXPORT%201')",
    ] {
        let group = get(&app, &format!("{GROUPS}{path}")).await;
        assert!(
            group["@odata.context"]
                .as_str()
                .unwrap()
                .ends_with("#DataManagementDefinitionGroups/$entity")
        );
        assert_eq!(
            (&group["Name"], &group["OperationType"]),
            (&json!("It's export 1"), &json!("Export"))
        );
        assert_eq!(
            (&group["GenerateDataPackage"], &group["ProjectCategory"]),
            (&json!("Yes"), &json!("Project"))
        );
    }
    let none = format!(
        "{GROUPS}(Name='It''s%20export%201',OperationType=Microsoft.Dynamics.DataEntities.DMFOperationType'Import')"
    );
    assert!(refusal(&app, &none, StatusCode::NOT_FOUND).await.contains("no row"));
    refusal(&app, &format!("{GROUPS}('none')"), StatusCode::NOT_FOUND).await;

    let details = get(&app, &format!("{GROUPS}('It''s%20export%201')/Details")).await;
    assert_eq!(all(&details, "EntityName"), ["Customers", "Products"]);
    assert_eq!(all(&details, "DefaultRefreshType"), ["IncrementalPush", "FullPush"]);
    let first = &details["value"][0];
    assert_eq!(
        (&first["SequenceInLevel"], &first["SourceFormat"]),
        (&json!(1), &json!("CSV"))
    );
    assert_eq!(
        (&first["InputFilePath"], &first["AutoGenerateMapping"]),
        (&json!("Customers.csv"), &json!("Yes"))
    );
    let filtered = format!("{DETAILS}?$filter=DefinitionGroupId eq 'It''s export 1' and EntityName eq 'Products'");
    assert_eq!(all(&get(&app, &filtered).await, "EntityName"), ["Products"]);
    let one = get(
        &app,
        &format!("{DETAILS}(DefinitionGroupId='It''s%20export%201',EntityName='Products')"),
    )
    .await;
    assert_eq!(one["EntityName"], "Products");
    let expanded = get(
        &app,
        &format!("{GROUPS}?$expand=Details&$filter=Name eq 'It''s export 2'&$select=Name"),
    )
    .await;
    assert_eq!(expanded["value"][0]["Details"].as_array().unwrap().len(), 2);
    assert!(expanded["value"][0].get("OperationType").is_none());
}

async fn a_client_sees_its_own_projects_alone(backend: Backend) {
    let app = app(backend).await;
    let shop = app.client("shop").await;
    let listed = get_as(&app, &shop, GROUPS).await.expect(StatusCode::OK);
    assert_eq!(all(&listed, "Name"), ["It's export 1", "It's export 2"]);
    let details = get_as(&app, &shop, DETAILS).await.expect(StatusCode::OK);
    assert_eq!(details["value"].as_array().unwrap().len(), 4);
    let others = format!("{GROUPS}('It''s%20export%203')");
    get_as(&app, &shop, &others).await.expect(StatusCode::NOT_FOUND);
    let entities = get_as(&app, &shop, "/data/DataManagementEntities")
        .await
        .expect(StatusCode::OK);
    assert_eq!(all(&entities, "EntityName"), ["Customers", "Products"]);
    // A client of no job sees nothing, and is not turned away.
    let nobody = app.client("nobody").await;
    for path in [
        GROUPS,
        DETAILS,
        "/data/DataManagementEntities",
        "/data/DataManagementExecutionJobs",
    ] {
        let listed = get_as(&app, &nobody, path).await.expect(StatusCode::OK);
        assert_eq!(listed["value"], json!([]), "{path}");
    }
    // Without a token everybody is.
    let answer = app.request(reqwest::Method::GET, GROUPS).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

/// PKG-28.
async fn the_catalogue_of_entities_and_its_versions(backend: Backend) {
    let app = app(backend).await;
    let entities = get(
        &app,
        "/data/DataManagementEntities?$filter=EntityName eq 'sales order headers'",
    )
    .await;
    assert_eq!(all(&entities, "TargetEntity"), ["SalesOrderHeaders"]);
    for action in [
        "GetApplicationVersion",
        "GetApplicationBuildVersion",
        "GetPlatformBuildVersion",
    ] {
        let path = format!("/data/DataManagementEntities/Microsoft.Dynamics.DataEntities.{action}");
        let body: Value = app.post(&path, "").await.json().await.unwrap();
        assert_eq!(body["value"], env!("CARGO_PKG_VERSION"));
        assert!(
            body["@odata.context"]
                .as_str()
                .unwrap()
                .ends_with("$metadata#Edm.String")
        );
    }
    let path = "/data/SystemNotifications/Microsoft.Dynamics.DataEntities.GetInstalledModules";
    let body: Value = app.post(path, "{}").await.json().await.unwrap();
    assert!(body["value"][0].as_str().unwrap().contains("Tranship"), "{body}");
    let unknown = app
        .post(
            "/data/DataManagementEntities/Microsoft.Dynamics.DataEntities.Nothing",
            "",
        )
        .await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let not_get = app
        .get("/data/DataManagementEntities/Microsoft.Dynamics.DataEntities.GetApplicationVersion")
        .await;
    assert_eq!(not_get.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        app.post("/data/DataManagementEntities", "{}").await.status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(app.get("/data/NoSuchSet").await.status(), StatusCode::NOT_FOUND);
}
