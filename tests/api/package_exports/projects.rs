//! Projects made to be exported: by a package that says what they hold (PKG-23), or row by row (PKG-24).

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{PROJECT, act_as, app, package, reason, refusal, status, value};
use crate::app::{Backend, TestApp};
use crate::client::{Answered, send};
use crate::packing;

crate::on_both_backends!(
    a_template_brings_its_project_along_and_is_exported,
    a_project_is_rebuilt_only_where_that_is_said,
    what_no_project_can_be_made_of_is_refused,
    rows_of_a_project_are_written_and_it_is_exported,
    rows_that_cannot_be_written_say_why,
);

const GROUPS: &str = "/data/DataManagementDefinitionGroups";
const DETAILS: &str = "/data/DataManagementDefinitionGroupDetails";

/// A template package of entities: label, format, and more elements (FMT-6).
fn template(entities: &[(&str, &str, &str)]) -> Vec<u8> {
    let entity = |(label, format, more): &(&str, &str, &str)| {
        format!(
            "<DataManagementTemplatePackageEntityData><EntityName>{label}</EntityName><SourceFormat>{format}</SourceFormat>{more}\
             </DataManagementTemplatePackageEntityData>"
        )
    };
    let manifest = format!(
        "<DataManagementTemplatePackageManifest xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\">\
         <DefinitionGroupName>Any</DefinitionGroupName><PackageEntityList>{}</PackageEntityList>\
         </DataManagementTemplatePackageManifest>",
        entities.iter().map(entity).collect::<String>()
    );
    packing::package(&[
        ("Manifest.xml", manifest.as_str()),
        ("PackageHeader.xml", "<DataManagementPackageHeader/>"),
    ])
}

async fn upload(app: &TestApp, token: &str, bytes: Vec<u8>) -> String {
    let answer = act_as(app, token, "GetAzureWriteUrl", json!({ "uniqueFileName": "t.zip" })).await;
    let answer = answer.expect(StatusCode::OK);
    let told: Value = serde_json::from_str(answer["value"].as_str().unwrap()).unwrap();
    let url = told["BlobUrl"].as_str().unwrap().to_owned();
    let put = app
        .request(Method::PUT, &url)
        .header("x-ms-blob-type", "BlockBlob")
        .body(bytes);
    assert_eq!(put.send().await.unwrap().status(), StatusCode::CREATED);
    url
}

async fn from_package(app: &TestApp, token: &str, bytes: Vec<u8>, more: Value) -> Answered {
    let mut asked = json!({
        "packageUrl": upload(app, token, bytes).await, "definitionGroupId": "Brought along", "executionId": "",
        "execute": true, "overwrite": false, "legalEntityId": "",
    });
    for (name, value) in more.as_object().unwrap() {
        asked[name] = value.clone();
    }
    act_as(app, token, "ExportFromPackage", asked).await
}

const MAP: &str = "<EntityMapList><EntityMap><EntityField>ITEM</EntityField><XMLField>Artikel</XMLField></EntityMap>\
    <EntityMap><EntityField>QUANTITY</EntityField><XMLField>Menge</XMLField></EntityMap></EntityMapList>";

/// PKG-23, FMT-6.
async fn a_template_brings_its_project_along_and_is_exported(backend: Backend) {
    let app = app(backend).await;
    let both = || template(&[("Stock on hand", "CSV", MAP), ("Prices", "CSV", "")]);
    let answer = from_package(&app, &app.token, both(), json!({ "executionId": "first" })).await;
    assert_eq!(answer.expect(StatusCode::OK)["value"], "first");
    assert_eq!(status(&app, "first").await, "NotRun");
    app.run_until_idle().await;
    assert_eq!(status(&app, "first").await, "Succeeded");
    let files = package(&app, "first").await;
    assert_eq!(files["Stock on hand.csv"], "Artikel,Menge\r\na,1\r\nb,2\r\nc,3\r\n");
    assert_eq!(files["Prices.csv"], "ITEM,PRICE\r\na,1.25\r\n");
    // It stays, and is a project like any other.
    let again = json!({ "definitionGroupId": "brought ALONG", "entityList": "Prices", "executionId": "second" });
    value(&app, "ExportToPackageAsync", again).await;
    app.run_until_idle().await;
    assert_eq!(package(&app, "second").await.len(), 3);

    // The same submit again runs nothing twice; one that only makes the project has no execution.
    let url = upload(&app, &app.token, both()).await;
    let asked =
        json!({ "packageUrl": url, "definitionGroupId": "Brought along", "executionId": "third", "execute": true });
    for _ in 0..2 {
        assert_eq!(value(&app, "ExportFromPackage", asked.clone()).await, "third");
    }
    app.run_until_idle().await;
    let runs: Value = app
        .get("/api/v1/jobs/Brought%20along/occurrences")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(runs["occurrences"].as_array().unwrap().len(), 3);
    let made = from_package(
        &app,
        &app.token,
        both(),
        json!({ "definitionGroupId": "Only made", "execute": false }),
    )
    .await;
    assert_eq!(made.expect(StatusCode::OK)["value"], "");
    let listed = app.get(&format!("{GROUPS}('Only%20made')/Details")).await;
    assert_eq!(
        listed.json::<Value>().await.unwrap()["value"].as_array().unwrap().len(),
        2
    );
}

async fn a_project_is_rebuilt_only_where_that_is_said(backend: Backend) {
    let app = app(backend).await;
    let (one, other) = (
        || template(&[("Prices", "CSV", "")]),
        || template(&[("Stock", "XML-Element", "")]),
    );
    from_package(&app, &app.token, one(), json!({}))
        .await
        .expect(StatusCode::OK);
    app.run_until_idle().await;
    let told = reason(
        from_package(&app, &app.token, other(), json!({})).await,
        "ExportFromPackage",
    );
    assert!(told.contains("overwrite was not given"), "{told}");
    let rebuilt = json!({ "overwrite": true, "executionId": "rebuilt" });
    from_package(&app, &app.token, other(), rebuilt)
        .await
        .expect(StatusCode::OK);
    app.run_until_idle().await;
    assert!(package(&app, "rebuilt").await.contains_key("Stock on hand.xml"));
    // A job from a file stays as it is.
    let of_file = json!({ "definitionGroupId": PROJECT, "overwrite": true, "executionId": "file" });
    let told = reason(
        from_package(&app, &app.token, one(), of_file.clone()).await,
        "ExportFromPackage",
    );
    assert!(told.contains("is a job from a file"), "{told}");
    let same = template(&[("Stock on hand", "CSV", ""), ("Prices", "CSV", "")]);
    from_package(&app, &app.token, same, of_file)
        .await
        .expect(StatusCode::OK);
    app.run_until_idle().await;
    assert!(package(&app, "file").await["Prices.csv"].starts_with("ITEM,Unit price"));
}

async fn what_no_project_can_be_made_of_is_refused(backend: Backend) {
    let app = app(backend).await;
    let wrong =
        "<EntityMapList><EntityMap><EntityField>COLOUR</EntityField><XMLField>C</XMLField></EntityMap></EntityMapList>";
    for (bytes, more, says) in [
        (template(&[("Nothing", "CSV", "")]), json!({}), "`Nothing`"),
        (
            template(&[("Prices", "Punch cards", "")]),
            json!({}),
            "source format `Punch cards`",
        ),
        (
            template(&[("Prices", "CSV", ""), ("Stock", "TAB", "")]),
            json!({}),
            "one source format",
        ),
        (template(&[("Prices", "CSV", wrong)]), json!({}), "no field `COLOUR`"),
        (template(&[]), json!({}), "no entity"),
        (b"no zip".to_vec(), json!({}), "zip"),
        (
            template(&[("Prices", "CSV", "")]),
            json!({ "definitionGroupId": "" }),
            "needs definitionGroupId",
        ),
        (
            template(&[("Prices", "CSV", "")]),
            json!({ "definitionGroupId": "a/b" }),
            "the data project's name",
        ),
        (
            template(&[("Prices", "CSV", "")]),
            json!({ "definitionGroupId": "Inbound customers" }),
            "is no export",
        ),
        (
            template(&[("Prices", "CSV", "")]),
            json!({ "packageUrl": "https://elsewhere.example/dmf/a/b" }),
            "packageUrl",
        ),
    ] {
        let told = reason(from_package(&app, &app.token, bytes, more).await, "ExportFromPackage");
        assert!(told.contains(says), "{says}: {told}");
    }
    // Who may create no projects makes none.
    let shop = app.client("shop").await;
    let told = reason(
        from_package(&app, &shop, template(&[("Prices", "CSV", "")]), json!({})).await,
        "ExportFromPackage",
    );
    assert!(told.contains("--role integrator"), "{told}");
    refusal(&app, "ExportToPackage", json!({ "definitionGroupId": "Brought along" })).await;
}

async fn row(app: &TestApp, token: &str, method: Method, path: &str, row: Value) -> Answered {
    send(app.request(method, path).json(&row), token).await
}

/// PKG-24, OD-12.
async fn rows_of_a_project_are_written_and_it_is_exported(backend: Backend) {
    let app = app(backend).await;
    let secret = app.add_client("builder", "integrator").await;
    let builder = app.token_of("builder", &secret).await;
    let group = json!({ "@odata.type": "#x", "Name": "Built by rows", "Description": "Anything", "OperationType": "Export", "GenerateDataPackage": "Yes" });
    let created = row(&app, &builder, Method::POST, GROUPS, group).await;
    let location = created.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(created.expect(StatusCode::CREATED)["Name"], "Built by rows");
    assert_eq!(
        send(app.request(Method::GET, &location), &builder)
            .await
            .expect(StatusCode::OK)["OperationType"],
        "Export"
    );
    let told = reason(
        act_as(
            &app,
            &builder,
            "ExportToPackage",
            json!({ "definitionGroupId": "Built by rows" }),
        )
        .await,
        "ExportToPackage",
    );
    assert!(told.contains("no entities"), "{told}");

    // Without AutoGenerateMapping, which is made all the same.
    let detail = json!({ "DefinitionGroupId": "built by rows", "EntityName": "Stock on hand", "SourceFormat": "CSV", "DefaultRefreshType": "IncrementalPush" });
    let created = row(&app, &builder, Method::POST, DETAILS, detail).await;
    let location = created.headers["location"].to_str().unwrap().to_owned();
    let body = created.expect(StatusCode::CREATED);
    assert_eq!(
        (&body["SequenceInLevel"], &body["AutoGenerateMapping"]),
        (&json!(1), &json!("Yes"))
    );
    let prices = json!({ "DefinitionGroupId": "Built by rows", "EntityName": "prices" });
    row(&app, &builder, Method::POST, DETAILS, prices)
        .await
        .expect(StatusCode::CREATED);
    let asked = json!({ "definitionGroupId": "Built by rows", "executionId": "rows" });
    act_as(&app, &builder, "ExportToPackage", asked)
        .await
        .expect(StatusCode::OK);
    app.run_until_idle().await;
    let files = package(&app, "rows").await;
    assert_eq!(files["Stock on hand.csv"].lines().count(), 4);
    assert_eq!(files["Prices.csv"], "ITEM,PRICE\r\na,1.25\r\n");

    let change = row(
        &app,
        &builder,
        Method::PATCH,
        &location,
        json!({ "DefaultRefreshType": "FullPush" }),
    )
    .await;
    assert_eq!(change.status, StatusCode::NO_CONTENT, "{}", change.body);
    let shown = send(app.request(Method::GET, &location), &builder)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&shown["DefaultRefreshType"], &shown["SourceFormat"]),
        (&json!("FullPush"), &json!("CSV"))
    );
    let removed = row(&app, &builder, Method::DELETE, &location, json!({})).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let gone = send(app.request(Method::GET, &location), &builder).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let path = format!("{GROUPS}('Built%20by%20rows')");
    assert_eq!(
        row(&app, &builder, Method::DELETE, &path, json!({})).await.status,
        StatusCode::NO_CONTENT
    );
    row(&app, &builder, Method::DELETE, &path, json!({}))
        .await
        .expect(StatusCode::NOT_FOUND);
}

async fn rows_that_cannot_be_written_say_why(backend: Backend) {
    let app = app(backend).await;
    let group = |name: &str| json!({ "Name": name, "OperationType": "Export" });
    row(&app, &app.token, Method::POST, GROUPS, group("Mine"))
        .await
        .expect(StatusCode::CREATED);
    let detail = |project: &str, entity: &str| json!({ "DefinitionGroupId": project, "EntityName": entity });
    row(&app, &app.token, Method::POST, DETAILS, detail("Mine", "Prices"))
        .await
        .expect(StatusCode::CREATED);
    let mut tabs = detail("Mine", "Stock");
    tabs["SourceFormat"] = json!("TAB");
    let of_file = format!("{GROUPS}('Stock%20export')");
    let prices = format!("{DETAILS}(DefinitionGroupId='Mine',EntityName='Prices')");
    for (method, path, body, says) in [
        (Method::POST, GROUPS, group("MINE"), "exists already"),
        (Method::POST, GROUPS, group(PROJECT), "exists already"),
        (Method::POST, GROUPS, group(""), "needs a `Name`"),
        (Method::POST, GROUPS, group("a\u{0}b"), "control character"),
        (
            Method::POST,
            GROUPS,
            json!({ "Name": "X", "Colour": "red" }),
            "no property `Colour`",
        ),
        (
            Method::POST,
            GROUPS,
            json!({ "Name": "X", "OperationType": "Sideways" }),
            "write Export or Import",
        ),
        (
            Method::POST,
            GROUPS,
            json!({ "Name": "X", "TruncateEntityData": "Yes" }),
            "cannot be `Yes`",
        ),
        (Method::POST, DETAILS, detail("Mine", "prices"), "already"),
        (Method::POST, DETAILS, detail("Mine", "Nothing"), "no entity `Nothing`"),
        (Method::POST, DETAILS, detail(PROJECT, "Prices"), "from a file"),
        (Method::POST, DETAILS, tabs, "one source format"),
        (
            Method::PATCH,
            prices.as_str(),
            json!({ "SourceFormat": "Punch cards" }),
            "source format `Punch cards`",
        ),
        (
            Method::PATCH,
            prices.as_str(),
            json!({ "SequenceInLevel": "first" }),
            "whole number",
        ),
        (
            Method::PATCH,
            prices.as_str(),
            json!({ "RunBusinessLogic": "No" }),
            "cannot be `No`",
        ),
        (Method::PATCH, of_file.as_str(), json!({}), "from a file"),
        (Method::DELETE, of_file.as_str(), json!({}), "from a file"),
    ] {
        let answer = row(&app, &app.token, method.clone(), path, body.clone())
            .await
            .expect(StatusCode::BAD_REQUEST);
        let told = answer["error"]["innererror"]["message"].as_str().unwrap();
        assert!(told.contains(says), "{method} {path} {body}: {told}");
    }
    row(&app, &app.token, Method::POST, DETAILS, detail("None", "Prices"))
        .await
        .expect(StatusCode::NOT_FOUND);
    // Only who may create projects writes them, and to others those of one are not there.
    let shop = app.client("shop").await;
    row(&app, &shop, Method::POST, GROUPS, group("Theirs"))
        .await
        .expect(StatusCode::FORBIDDEN);
    let secret = app.add_client("builder", "integrator").await;
    let builder = app.token_of("builder", &secret).await;
    row(&app, &builder, Method::PATCH, &prices, json!({}))
        .await
        .expect(StatusCode::NOT_FOUND);
    // Executions and entities are nobody's to write.
    for path in ["/data/DataManagementExecutionJobs", "/data/DataManagementEntities('x')"] {
        let answer = row(&app, &app.token, Method::DELETE, path, json!({})).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    // What a run waits for is not taken from it.
    value(
        &app,
        "ExportToPackage",
        json!({ "definitionGroupId": "Mine", "executionId": "waits" }),
    )
    .await;
    let path = format!("{GROUPS}('Mine')");
    row(&app, &app.token, Method::DELETE, &path, json!({}))
        .await
        .expect(StatusCode::BAD_REQUEST);
    app.run_until_idle().await;
    assert_eq!(status(&app, "waits").await, "Succeeded");
}
