//! Whose an id is, and what a submit that comes again does (PKG-11a, PKG-11h, PKG-13).

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{
    PROJECT, act, act_as, app, asked, errors, import, names, one_customer, refused, summary, upload, upload_as,
};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    an_id_can_be_polled_before_the_answer_is_read,
    a_submit_whose_client_is_gone_goes_on,
    the_same_again_is_answered_and_runs_nothing,
    an_id_that_is_used_for_something_else_is_refused,
    submits_of_one_id_at_once_make_one_run,
    an_id_belongs_to_nobody_else,
    what_is_no_id_is_refused_with_a_sentence,
);

async fn runs(app: &TestApp) -> usize {
    let rows = crate::support::databases::rows(&app.store.url, "select id from executions").await;
    rows.len()
}

/// Sends a submit on a connection of its own, of which nobody reads the answer.
async fn unread(app: &TestApp, parameters: &Value) -> tokio::net::TcpStream {
    let address = app.url.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let (body, token) = (parameters.to_string(), &app.token);
    let request = format!(
        "POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.ImportFromPackage HTTP/1.1\r\n\
         Host: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// Polls until the id is known; it never is anything but known or unknown.
async fn until_known(app: &TestApp, id: &str) -> String {
    let of = json!({ "executionId": id });
    for _ in 0..400 {
        let answer = act_as(app, &app.token, "GetExecutionSummaryStatus", &of).await;
        if answer.status == StatusCode::OK {
            return answer.body["value"].as_str().unwrap().to_owned();
        }
        let text = refused(answer, "GetExecutionSummaryStatus");
        assert!(text.contains("Execution details were not found"), "{text}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{id} never came up");
}

async fn an_id_can_be_polled_before_the_answer_is_read(backend: Backend) {
    let app = app(backend).await;
    let url = upload(&app, one_customer("AAAAA")).await;
    let socket = unread(&app, &asked(&url, PROJECT, "mine")).await;
    // The first byte of the answer is there, and nobody has read it: the id is known by then.
    socket.readable().await.unwrap();
    assert_eq!(summary(&app, "mine").await, "NotRun");
    app.run_until_idle().await;
    assert_eq!(summary(&app, "mine").await, "Succeeded");
}

async fn a_submit_whose_client_is_gone_goes_on(backend: Backend) {
    let app = app(backend).await;
    let url = upload(&app, one_customer("AAAAA")).await;
    let socket = unread(&app, &asked(&url, PROJECT, "stays")).await;
    // It leaves as soon as its package is being looked at, or has been.
    let permits = app.api.package_checks.available_permits();
    while app.api.package_checks.available_permits() == permits && runs(&app).await == 0 {
        tokio::task::yield_now().await;
    }
    drop(socket);
    assert_eq!(until_known(&app, "stays").await, "NotRun");
    app.run_until_idle().await;
    assert_eq!(names(&app).await, ["AAAAA"]);
}

async fn the_same_again_is_answered_and_runs_nothing(backend: Backend) {
    let app = app(backend).await;
    let url = upload(&app, one_customer("AAAAA")).await;
    let first = asked(&url, PROJECT, "mine");
    assert_eq!(act(&app, "ImportFromPackage", &first).await, json!("mine"));
    // Before it ran, with the URL escaped anew (PKG-8) and flags as words.
    let mut again = asked(&url.replace("sig=", "%73ig="), PROJECT, "mine");
    again["packageUrl"] = json!(
        again["packageUrl"]
            .as_str()
            .unwrap()
            .replace("package.zip", "p%61ckage.zip")
    );
    again["execute"] = json!("True");
    again["legalEntityId"] = json!("USMF");
    assert_eq!(act(&app, "ImportFromPackage", &again).await, json!("mine"));
    app.run_until_idle().await;
    assert_eq!(summary(&app, "mine").await, "Succeeded");
    // After its end, and after the blob is gone: the answer was lost.
    let deleted = app.request(reqwest::Method::DELETE, &url).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::ACCEPTED);
    assert_eq!(act(&app, "ImportFromPackage", &first).await, json!("mine"));
    app.run_until_idle().await;
    assert_eq!((runs(&app).await, app.messages().await), (1, 1));
}

async fn an_id_that_is_used_for_something_else_is_refused(backend: Backend) {
    let app = app(backend).await;
    let url = upload(&app, one_customer("AAAAA")).await;
    let first = asked(&url, PROJECT, "mine");
    act(&app, "ImportFromPackage", &first).await;
    let other = upload(&app, one_customer("BBBBB")).await;
    let changes = [
        ("packageUrl", json!(other)),
        ("definitionGroupId", json!("orders and customers")),
        ("execute", json!(false)),
        ("overwrite", json!(false)),
        ("legalEntityId", json!("gbsi")),
        ("failOnError", json!(true)),
    ];
    for ended in [false, true] {
        for (name, value) in &changes {
            let mut again = first.clone();
            again[*name] = value.clone();
            let answer = act_as(&app, &app.token, "ImportFromPackage", &again).await;
            let text = refused(answer, "ImportFromPackage");
            assert!(text.contains("mine was used before"), "{name}, {ended}: {text}");
        }
        let answer = act_as(&app, &app.token, "ImportFromPackageAsync", &first).await;
        assert!(refused(answer, "ImportFromPackageAsync").contains("mine was used before"));
        app.run_until_idle().await;
    }
    // The ids of other runs count, too.
    let message = app
        .import("Inbound customers", "Customers", "CustomerID,CompanyName\nAAAAA,One\n")
        .await;
    let taken = message["executions"][0]["id"].as_str().unwrap();
    let answer = act_as(&app, &app.token, "ImportFromPackage", &asked(&url, PROJECT, taken)).await;
    assert!(refused(answer, "ImportFromPackage").contains("was used before"));
    assert_eq!(runs(&app).await, 2);
}

async fn submits_of_one_id_at_once_make_one_run(backend: Backend) {
    let app = app(backend).await;
    let url = upload(&app, one_customer("AAAAA")).await;
    let first = asked(&url, PROJECT, "mine");
    let submits = (0..6).map(|_| act(&app, "ImportFromPackage", &first));
    let answers = futures_util::future::join_all(submits).await;
    assert!(answers.iter().all(|answer| answer == &json!("mine")), "{answers:?}");
    app.run_until_idle().await;
    assert_eq!((runs(&app).await, app.messages().await), (1, 1));
    // Of different imports one gets the id.
    let mut submits = Vec::new();
    for account in ["BBBBB", "CCCCC", "DDDDD"] {
        let url = upload(&app, one_customer(account)).await;
        submits.push(asked(&url, PROJECT, "whose"));
    }
    let answers = submits
        .iter()
        .map(|asked| act_as(&app, &app.token, "ImportFromPackage", asked));
    let answers = futures_util::future::join_all(answers).await;
    let taken = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(taken, 1, "{answers:?}");
    app.run_until_idle().await;
    assert_eq!(names(&app).await.len(), 2);
}

async fn an_id_belongs_to_nobody_else(backend: Backend) {
    let app = app(backend).await;
    let (shop, stranger) = (app.client("shop").await, app.client("stranger").await);
    import(&app, one_customer("AAAAA"), PROJECT, "testers")
        .await
        .expect(StatusCode::OK);
    let url = upload_as(&app, &shop, one_customer("BBBBB")).await;
    let answer = act_as(&app, &shop, "ImportFromPackage", &asked(&url, PROJECT, "testers")).await;
    let text = refused(answer, "ImportFromPackage");
    assert!(text.contains("was used before") && !text.contains("tester "), "{text}");
    app.run_until_idle().await;
    // Who may not see the project is told what he would be told of an id that is not there.
    for action in ["GetExecutionSummaryStatus", "GetExecutionErrors"] {
        let of = |id: &str| json!({ "executionId": id });
        let theirs = refused(act_as(&app, &stranger, action, &of("testers")).await, action);
        let nobodys = refused(act_as(&app, &stranger, action, &of("nobodys")).await, action);
        assert_eq!(theirs.replace("testers", "nobodys"), nobodys);
    }
    assert_eq!(errors(&app, "testers").await.len(), 0);
}

async fn what_is_no_id_is_refused_with_a_sentence(backend: Backend) {
    let app = app(backend).await;
    let url = upload(&app, one_customer("AAAAA")).await;
    let long = "x".repeat(101);
    for (name, value, want) in [
        ("executionId", long.as_str(), "longer than 100 characters"),
        ("executionId", "a\u{0}b", "control character"),
        ("definitionGroupId", "a\nb", "control character"),
        ("definitionGroupId", "", "needs definitionGroupId"),
        ("packageUrl", "", "needs packageUrl"),
        (
            "packageUrl",
            "https://elsewhere.example/dmf/packages/x",
            "is not this service",
        ),
        ("legalEntityId", "usmf1", "one to four letters or digits"),
        ("legalEntityId", "u'f", "one to four letters or digits"),
        ("execute", "perhaps", "true or false"),
        ("thresholdToRunInBatch", "many", "a whole number"),
    ] {
        let mut sent = asked(&url, PROJECT, "mine");
        sent[name] = json!(value);
        let text = refused(
            act_as(&app, &app.token, "ImportFromPackage", &sent).await,
            "ImportFromPackage",
        );
        assert!(text.contains(want), "{name}: {text}");
    }
    assert_eq!(app.messages().await, 0);
    let hundred = "é".repeat(100);
    assert_eq!(
        act(&app, "ImportFromDMTPackage", &asked(&url, PROJECT, &hundred)).await,
        json!(hundred)
    );
}
