//! Projects that packages bring along (PKG-11, PKG-11c): who may bring one, what it holds, and that it stays.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tranship::pipeline::projects::Projects;

use super::{
    CUSTOMERS, Listed, ORDERS, act, act_as, app, asked, import, names, one_customer, package, refused, summary, upload,
    upload_as,
};
use crate::app::{Backend, TestApp};
use crate::client::send;

crate::on_both_backends!(
    a_package_brings_its_project_along,
    ten_packages_at_once_bring_one_project,
    only_who_may_create_projects_does,
    a_project_takes_what_it_holds_or_is_rebuilt,
    a_project_takes_formats_that_are_known_and_entities_that_are_managed,
    a_composite_entity_is_not_overwritten,
    a_project_is_deleted_and_a_file_takes_its_name,
    another_process_learns_of_a_project,
);

async fn job(app: &TestApp, name: &str) -> Option<Value> {
    let answer = app.get(&format!("/api/v1/jobs/{name}")).await;
    (answer.status() == StatusCode::OK).then_some(answer.json().await.unwrap())
}

async fn a_package_brings_its_project_along(backend: Backend) {
    let app = app(backend).await;
    let answer = import(&app, one_customer("AAAAA"), "Brought along", "first").await;
    answer.expect(StatusCode::OK);
    assert_eq!(summary(&app, "first").await, "NotRun");
    app.run_until_idle().await;
    assert_eq!(summary(&app, "first").await, "Succeeded");
    assert_eq!(names(&app).await, ["AAAAA"]);
    let shown = job(&app, "brought along").await.unwrap();
    assert_eq!(
        (&shown["origin"], &shown["name"]),
        (&json!("project"), &json!("Brought along"))
    );
    assert_eq!(shown["entities"], json!(["Customers"]));
    assert_eq!(job(&app, "Inbound customers").await.unwrap()["origin"], "file");
    // Again by its name in any case, and nothing new comes of it.
    import(&app, one_customer("BBBBB"), "BROUGHT ALONG", "second")
        .await
        .expect(StatusCode::OK);
    app.run_until_idle().await;
    assert_eq!(names(&app).await, ["AAAAA", "BBBBB"]);
    // It is a job like any other one.
    let path = format!("/api/connector/enqueue/{}", shown["id"].as_str().unwrap());
    assert_eq!(app.post(&path, one_customer("CCCCC")).await.status(), StatusCode::OK);
    app.run_until_idle().await;
    assert_eq!(names(&app).await, ["AAAAA", "BBBBB", "CCCCC"]);
}

async fn ten_packages_at_once_bring_one_project(backend: Backend) {
    let app = app(backend).await;
    let mut submits = Vec::new();
    for number in 0..10 {
        let url = upload(&app, one_customer(&format!("C{number}"))).await;
        submits.push(asked(&url, "Brought at once", &format!("run {number}")));
    }
    let answers = submits
        .iter()
        .map(|asked| act_as(&app, &app.token, "ImportFromPackage", asked));
    for answer in futures_util::future::join_all(answers).await {
        answer.expect(StatusCode::OK);
    }
    app.run_until_idle().await;
    assert_eq!(names(&app).await.len(), 10);
    let jobs: Value = app.get("/api/v1/jobs").await.json().await.unwrap();
    let brought = jobs["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|job| job["origin"] == "project");
    assert_eq!(brought.count(), 1);
}

async fn only_who_may_create_projects_does(backend: Backend) {
    let app = app(backend).await;
    let (shop, secret) = (app.client("shop").await, app.add_client("builder", "integrator").await);
    let builder = app.token_of("builder", &secret).await;
    let submit = async |token: &str, project: &str, id: &str| {
        let url = upload_as(&app, token, one_customer(id)).await;
        act_as(&app, token, "ImportFromPackage", &asked(&url, project, id)).await
    };
    let text = refused(submit(&shop, "Theirs", "A").await, "ImportFromPackage");
    assert!(
        text.contains("`Theirs`") && text.contains("--role integrator"),
        "{text}"
    );
    submit(&builder, "Theirs", "B").await.expect(StatusCode::OK);
    // To others it is as if it were not there.
    assert_eq!(refused(submit(&shop, "Theirs", "C").await, "ImportFromPackage"), text);
    let status = act_as(&app, &shop, "GetExecutionSummaryStatus", &json!({ "executionId": "B" })).await;
    assert!(refused(status, "GetExecutionSummaryStatus").contains("Execution details were not found"));
    // Its creator uses it, and an operator everything.
    submit(&builder, "Theirs", "D").await.expect(StatusCode::OK);
    submit(&app.token, "Theirs", "E").await.expect(StatusCode::OK);
    // Who may create projects uses no others for that.
    refused(submit(&builder, "Inbound customers", "F").await, "ImportFromPackage");
    for name in ["a/b", "x".repeat(81).as_str(), ".."] {
        let text = refused(submit(&builder, name, "G").await, "ImportFromPackage");
        assert!(text.contains("the data project's name"), "{text}");
    }
}

async fn a_project_takes_what_it_holds_or_is_rebuilt(backend: Backend) {
    let app = app(backend).await;
    let tabs = Listed("Customers", "Customers.csv", "TAB", "");
    let submit = async |bytes: Vec<u8>, overwrite: bool, id: &str| {
        let mut sent = asked(&upload(&app, bytes).await, "Changing", id);
        sent["overwrite"] = json!(overwrite);
        act_as(&app, &app.token, "ImportFromPackage", &sent).await
    };
    let both = || package(&[&CUSTOMERS, &ORDERS], &[]);
    submit(one_customer("A"), false, "1").await.expect(StatusCode::OK);
    submit(one_customer("B"), false, "2").await.expect(StatusCode::OK);
    for (at, other) in [both(), package(&[&tabs], &[])].into_iter().enumerate() {
        let text = refused(submit(other, false, &format!("no {at}")).await, "ImportFromPackage");
        assert!(
            text.contains("`Changing` exists already") && text.contains("overwrite was not given"),
            "{text}"
        );
    }
    submit(both(), true, "3").await.expect(StatusCode::OK);
    assert_eq!(
        job(&app, "Changing").await.unwrap()["entities"],
        json!(["Customers", "Sales order headers"])
    );
    // What waited before is loaded as it was asked for, whatever the project holds by now.
    submit(
        package(
            &[&ORDERS],
            &[(
                "Sales order headers.csv",
                "ORDER_NUMBER,CUSTOMER_ACCOUNT,ORDER_DATE\r\n1,A,2026-01-05\r\n",
            )],
        ),
        true,
        "4",
    )
    .await
    .expect(StatusCode::OK);
    assert_eq!(
        job(&app, "Changing").await.unwrap()["entities"],
        json!(["Sales order headers"])
    );
    app.run_until_idle().await;
    assert_eq!(names(&app).await, ["A", "B"]);
    assert_eq!(
        (summary(&app, "2").await, summary(&app, "4").await),
        ("Succeeded".to_owned(), "Succeeded".to_owned())
    );
    refused(submit(one_customer("C"), false, "5").await, "ImportFromPackage");
}

async fn a_project_takes_formats_that_are_known_and_entities_that_are_managed(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "entities/secrets.toml",
            "name = \"Secrets\"\ntable = \"secrets\"\ncreate_table = true\ndata_management = false\nkey = [\"code\"]\n[[fields]]\n\
             name = \"code\"\ntype = \"string\"\nmax_length = 10\n",
        );
    })
    .await;
    let fixed = Listed("Customers", "Customers.csv", "Our own", "");
    let secrets = Listed("Secrets", "Secrets.csv", "CSV", "");
    let nobody = Listed("Currencies", "Currencies.csv", "CSV", "");
    for (listed, wants) in [
        (&fixed, ["source format `Our own`", "FMT-8"]),
        (&secrets, ["`Secrets`", "data_management"]),
        (&nobody, ["`Currencies`", "unknown"]),
    ] {
        let answer = import(&app, package(&[listed], &[]), "New", "x").await;
        let text = refused(answer, "ImportFromPackage");
        assert!(wants.iter().all(|want| text.contains(want)), "{wants:?}: {text}");
    }
    assert!(
        job(&app, "New").await.is_none(),
        "a refused package brings nothing along"
    );
}

async fn a_composite_entity_is_not_overwritten(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "entities/order-documents.toml",
            "name = \"OrderDocuments\"\nlabel = \"Order documents\"\n[[composite]]\nentity = \"Sales order headers\"\nelement = \"HEADER\"\n\
             [[composite]]\nentity = \"Sales order lines\"\nelement = \"LINE\"\nparent = \"Sales order headers\"\n",
        );
    })
    .await;
    let listed = Listed("Order documents", "Orders.xml", "XML-Element", "");
    let submit = async |overwrite: bool, id: &str| {
        let mut sent = asked(
            &upload(&app, package(&[&listed], &[("Orders.xml", "<Document/>")])).await,
            "Documents",
            id,
        );
        sent["overwrite"] = json!(overwrite);
        act_as(&app, &app.token, "ImportFromPackage", &sent).await
    };
    let text = refused(submit(true, "1").await, "ImportFromPackage");
    assert!(
        text.contains("composite") && text.contains("overwrite must be false"),
        "{text}"
    );
    submit(false, "2").await.expect(StatusCode::OK);
    submit(false, "3").await.expect(StatusCode::OK);
    refused(submit(true, "4").await, "ImportFromPackage");
    app.run_until_idle().await;
    assert_eq!(
        (summary(&app, "2").await, summary(&app, "3").await),
        ("Succeeded".to_owned(), "Succeeded".to_owned())
    );
}

async fn delete(app: &TestApp, name: &str, token: &str) -> StatusCode {
    send(app.request(Method::DELETE, &format!("/api/v1/jobs/{name}")), token)
        .await
        .status
}

async fn a_project_is_deleted_and_a_file_takes_its_name(backend: Backend) {
    let app = app(backend).await;
    let shop = app.client("shop").await;
    import(&app, one_customer("A"), "Passing", "1")
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        delete(&app, "Passing", &app.token).await,
        StatusCode::CONFLICT,
        "a message waits"
    );
    app.run_until_idle().await;
    assert_eq!(delete(&app, "Passing", &shop).await, StatusCode::FORBIDDEN);
    assert_eq!(
        delete(&app, "Inbound customers", &app.token).await,
        StatusCode::CONFLICT
    );
    assert_eq!(delete(&app, "Nobody", &app.token).await, StatusCode::NOT_FOUND);
    assert_eq!(delete(&app, "Passing", &app.token).await, StatusCode::NO_CONTENT);
    assert!(job(&app, "Passing").await.is_none());
    // What became of its run is still told to who sees everything.
    assert_eq!(summary(&app, "1").await, "Succeeded");
    import(&app, one_customer("B"), "Passing", "2")
        .await
        .expect(StatusCode::OK);
    app.run_until_idle().await;
    // A file of that name comes up later: packages go to its job, and the project is still there by its id.
    let project = job(&app, "Passing").await.unwrap();
    let mut files = app.definitions.clone();
    let mut taken = files.find_job("Inbound customers").unwrap().clone();
    "passing".clone_into(&mut taken.name);
    files.jobs.push(taken.clone());
    app.api.projects.set_files(files).await;
    assert_eq!(job(&app, "Passing").await.unwrap()["id"], json!(taken.id));
    let by_id = job(&app, project["id"].as_str().unwrap()).await.unwrap();
    assert_eq!(
        (&by_id["origin"], by_id["name"] == "Passing"),
        (&json!("project"), false)
    );
    assert_eq!(
        delete(&app, project["id"].as_str().unwrap(), &app.token).await,
        StatusCode::NO_CONTENT
    );
}

/// A process that has read its projects before sees what another one changes, and does not claim what it has not seen.
async fn another_process_learns_of_a_project(backend: Backend) {
    let app = app(backend).await;
    let other = Projects::new(app.context.store.clone(), app.definitions.clone());
    other.refresh().await.unwrap();
    let watched = other.watch();
    act(
        &app,
        "ImportFromPackage",
        &asked(&upload(&app, one_customer("A")).await, "Elsewhere", "1"),
    )
    .await;
    assert!(watched.borrow().find_job("Elsewhere").is_none());
    assert!(other.refresh().await.unwrap().find_job("Elsewhere").is_some());
    assert!(watched.borrow().find_job("Elsewhere").is_some());
    app.run_until_idle().await;
    assert_eq!(delete(&app, "Elsewhere", &app.token).await, StatusCode::NO_CONTENT);
    assert!(other.refresh().await.unwrap().find_job("Elsewhere").is_none());
}
