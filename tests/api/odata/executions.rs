//! Executions and the progress of their entities as sets (PKG-27).

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{all, app, get, get_as, refusal};
use crate::app::{Backend, TestApp, sample};

crate::on_both_backends!(
    the_progress_of_each_entity_is_read_by_job_id,
    executions_are_read_page_by_page,
);

const JOBS: &str = "/data/DataManagementExecutionJobs";
const DETAILS: &str = "/data/DataManagementExecutionJobDetails";

async fn export(app: &TestApp, project: &str, id: &str) {
    let path = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.ExportToPackage";
    let asked = json!({ "definitionGroupId": project, "executionId": id });
    app.post_json(path, &asked).await.expect(StatusCode::OK);
}

async fn the_progress_of_each_entity_is_read_by_job_id(backend: Backend) {
    let app = app(backend).await;
    let message = app
        .import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let id = message["executions"][0]["id"].as_str().unwrap().to_owned();
    let of = format!("$filter=JobId eq '{id}'");
    let jobs = get(&app, &format!("{JOBS}?{of}&$count=true")).await;
    assert_eq!(
        (all(&jobs, "Description"), &jobs["@odata.count"]),
        (vec!["Inbound customers"], &json!(1))
    );
    let details = get(&app, &format!("{DETAILS}?{of}")).await;
    let detail = &details["value"][0];
    let records = &message["records"];
    assert_eq!(
        (&detail["EntityName"], &detail["DefinitionGroupId"]),
        (&json!("Customers"), &json!("Inbound customers"))
    );
    assert_eq!(
        (&detail["StagingStatus"], &detail["TargetStatus"]),
        (&json!("Finished"), &json!("Finished"))
    );
    assert_eq!(
        (
            &detail["StagingRecordsCreatedCount"],
            &detail["TargetRecordsCreatedCount"]
        ),
        (&records["read"], &records["inserted"])
    );
    assert_eq!(detail["TargetEndDateTime"], "2026-01-05T08:00:00Z");
    let key = id.replace(' ', "%20");
    let one = get(&app, &format!("{JOBS}('{key}')?$expand=Details")).await;
    assert_eq!(one["Details"][0]["EntityName"], "Customers");
    let nested = get(&app, &format!("{JOBS}('{key}')/Details")).await;
    assert_eq!(nested["value"], details["value"]);
    let row = get(&app, &format!("{DETAILS}(JobId='{key}',EntityName='customers')")).await;
    assert_eq!(row["JobId"], id);
    refusal(&app, &format!("{JOBS}('none')"), StatusCode::NOT_FOUND).await;
    // Another client's execution is not there.
    let shop = app.client("shop").await;
    get_as(&app, &shop, &format!("{JOBS}('{key}')"))
        .await
        .expect(StatusCode::NOT_FOUND);
    assert_eq!(
        get_as(&app, &shop, &format!("{JOBS}?{of}"))
            .await
            .expect(StatusCode::OK)["value"],
        json!([])
    );
}

async fn executions_are_read_page_by_page(backend: Backend) {
    let app = app(backend).await;
    for at in 1..=7 {
        let project = if at % 3 == 0 { "It's export 3" } else { "It's export 1" };
        export(&app, project, &format!("run {at}")).await;
    }
    let shop = app.client("shop").await;
    let (mut path, mut ids) = (format!("{JOBS}?$top=4&$skip=1&$orderby=JobId"), Vec::new());
    loop {
        let request = app.request(Method::GET, &path).header("Prefer", "maxpagesize=2");
        let page: Value = request.bearer_auth(&shop).send().await.unwrap().json().await.unwrap();
        ids.extend(all(&page, "JobId").into_iter().map(str::to_owned));
        let Some(next) = page["@odata.nextLink"].as_str() else {
            break;
        };
        next.clone_into(&mut path);
    }
    assert_eq!(ids, ["run 2", "run 4", "run 5", "run 7"]);
    let of_project = get(&app, &format!("{JOBS}?$filter=Description eq 'It''s export 3'")).await;
    assert_eq!(all(&of_project, "JobId"), ["run 3", "run 6"]);
    for (option, says) in [
        ("$orderby=Description", "ordered by JobId"),
        ("$orderby=JobId desc", "ordered by JobId"),
        ("$count=true", "counted for one JobId"),
    ] {
        let told = refusal(&app, &format!("{JOBS}?{option}"), StatusCode::BAD_REQUEST).await;
        assert!(told.contains(says), "{told}");
    }
}
