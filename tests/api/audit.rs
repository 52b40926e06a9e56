//! The audit log over HTTP: every act is told once, with who did it to what; nobody reads more than is for them.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tranship::domain::audit::{Action, Surface};
use tranship::storage::audit::AuditFilter;

use crate::app::{Backend, TestApp};
use crate::client::{relay, send, text};
use crate::destinations::{destinations, service};
use crate::support::databases::run;
use crate::webhooks::receiver::Receiver;

crate::on_both_backends!(
    every_act_is_told_and_none_is_told_that_did_not_happen,
    a_bulk_action_is_told_before_and_after,
    roles_read_what_is_for_them,
    entries_are_looked_for_and_read_page_by_page,
    what_was_changed_in_the_table_is_found,
    old_entries_stay_unless_the_settings_say_otherwise,
);

/// What is done elsewhere: in the console, on the command line, by the service.
const ELSEWHERE: [Action; 7] = [
    Action::ConsoleSignIn,
    Action::ConsoleLink,
    Action::AuditPrune,
    Action::KeysRotate,
    Action::Erase,
    Action::StoreBackup,
    Action::StoreRestore,
];
const CUSTOMERS: &str = "CustomerID,CompanyName\r\nAAAAA,One\r\nBBBBB,\r\n";

/// A service with something of every kind to act on.
async fn app(backend: Backend, receiver: &Receiver) -> TestApp {
    let export = destinations("refresh = \"incremental\"\n") + &service("erp", receiver, "");
    let url = receiver.url("/hook?key=k");
    let app = TestApp::with(backend, |setup| {
        crate::destinations::setup(setup, &export);
        relay(setup, "Documents", "in_order = true\nblock_on_dead_letter = true");
        crate::webhooks::job(setup, &format!("url = \"{url}\""));
        setup.set("queue.retention_days", "1");
    })
    .await;
    app.stock_up("insert into stock (item, quantity) values ('a', 1)").await;
    app
}

/// A client of this role, and its token.
pub async fn somebody(app: &TestApp, name: &str, role: &str) -> String {
    let secret = app.add_client(name, role).await;
    app.token_of(name, &secret).await
}

async fn get(app: &TestApp, token: &str, path: &str) -> Value {
    send(app.request(Method::GET, path), token).await.expect(StatusCode::OK)
}

/// The entries an admin reads, newest first.
pub async fn entries(app: &TestApp, token: &str) -> Vec<Value> {
    let body = get(app, token, "/api/v1/audit?limit=500").await;
    body["entries"].as_array().unwrap().clone()
}

async fn did(app: &TestApp, path: &str, body: Value) -> Value {
    let answer = app.post_json(path, &body).await;
    assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.body);
    answer.body
}

async fn refused(app: &TestApp, path: &str, body: Value) {
    let answer = app.post_json(path, &body).await;
    assert!(answer.status.is_client_error(), "{path}: {}", answer.body);
}

async fn act_on_jobs(app: &TestApp) {
    did(app, "/api/v1/definitions/reload", json!({})).await;
    let nightly = "/api/v1/jobs/Nightly%20sales%20orders";
    did(app, &format!("{nightly}/pause"), json!({ "note": "stocktaking" })).await;
    refused(app, &format!("{nightly}/pause"), json!({})).await;
    did(app, &format!("{nightly}/resume"), json!({})).await;
    refused(app, &format!("{nightly}/resume"), json!({})).await;
    let range = json!({ "from": "2026-01-02", "to": "2026-01-03", "note": "lost" });
    did(app, &format!("{nightly}/backfill"), range.clone()).await;
    did(app, &format!("{nightly}/backfill"), range).await;
    app.import("Inbound customers", "Customers", crate::app::sample("customers.csv"))
        .await;
    app.run_until_idle().await;

    let message = app.export().await;
    app.bring().await;
    let delivery = app.brought(&message, "erp").await;
    assert_eq!(app.bring_again(&delivery).await, StatusCode::ACCEPTED);
    app.bring().await;
    let stock = format!("/api/v1/jobs/{}", app.job("Stock out"));
    did(app, &format!("{stock}/rewind"), json!({ "full": true })).await;
    let run = app.body(&format!("{stock}/occurrences")).await;
    let execution = text(&run["occurrences"][0], "execution");
    let path = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.DeleteExecutionHistoryJob";
    app.run_until_idle().await;
    let told = app.get(&format!("/api/v1/messages/{message}")).await;
    assert_eq!(told.status(), StatusCode::OK);
    // Acknowledged, so that its execution may be deleted.
    for lease in app.lease("Stock%20out", json!({})).await {
        app.step(&lease, "ack", json!({})).await.expect(StatusCode::OK);
    }
    did(app, path, json!({ "executionId": execution })).await;
}

async fn act_on_messages(app: &TestApp) {
    let buried = app.put("Documents", "", "one").await;
    let lease = app.lease_one("Documents").await;
    let refusal = json!({ "reason": "no such customer", "dead_letter": true });
    app.step(&lease, "reject", refusal).await.expect(StatusCode::OK);
    did(app, "/api/v1/jobs/Documents/groups/unblock", json!({ "key": "" })).await;
    refused(app, "/api/v1/jobs/Documents/groups/unblock", json!({ "key": "" })).await;
    let bulk = |dry_run: bool| json!({ "action": "retry", "filter": { "job": "Documents", "status": "DeadLettered" }, "dry_run": dry_run });
    did(app, "/api/v1/messages/bulk", bulk(true)).await;
    did(app, "/api/v1/messages/bulk", bulk(false)).await;
    let cancel = format!("/api/v1/messages/{buried}/cancel");
    did(app, &cancel, json!({})).await;
    refused(app, &cancel, json!({})).await;
    did(app, &format!("/api/v1/messages/{buried}/retry"), json!({})).await;
    did(app, &cancel, json!({})).await;

    let parent = app.import("Told customers", "Customers", CUSTOMERS).await;
    let resubmit = format!("/api/v1/messages/{}/resubmit", text(&parent, "id"));
    let answer = app.post(&resubmit, "CustomerID,CompanyName\r\nBBBBB,Two\r\n").await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    app.run_until_idle().await;
    app.webhooks.run_until_idle().await.unwrap();
    did(app, "/api/v1/jobs/Told%20customers/webhook/test", json!({})).await;
    let told = app.body("/api/v1/webhooks?state=delivered").await;
    let delivery = text(&told["deliveries"][0], "id");
    did(app, &format!("/api/v1/webhooks/{delivery}/replay"), json!({})).await;
    app.webhooks.run_until_idle().await.unwrap();
}

async fn act_on_projects(app: &TestApp) {
    did(
        app,
        "/data/DataManagementDefinitionGroups",
        json!({ "Name": "Ours", "OperationType": "Export" }),
    )
    .await;
    did(
        app,
        "/data/DataManagementDefinitionGroupDetails",
        json!({ "DefinitionGroupId": "Ours", "EntityName": "Customers", "SourceFormat": "CSV" }),
    )
    .await;
    let gone = app.request(Method::DELETE, "/data/DataManagementDefinitionGroups('Ours')");
    let gone = send(gone, &app.token).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
}

async fn act_on_clients(app: &TestApp, admin: &str) -> Vec<String> {
    let mut secrets = Vec::new();
    for (path, body) in [
        ("", json!({ "name": "shop", "role": "client" })),
        ("/shop/rotate", json!({})),
        ("/shop/role", json!({ "role": "operator" })),
        ("/shop/revoke", json!({})),
    ] {
        let request = app.request(Method::POST, &format!("/api/v1/clients{path}")).json(&body);
        let answer = send(request, admin).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        secrets.extend(answer.body["client_secret"].as_str().map(str::to_owned));
    }
    secrets
}

async fn every_act_is_told_and_none_is_told_that_did_not_happen(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app(backend, &receiver).await;
    let admin = somebody(&app, "boss", "admin").await;
    act_on_jobs(&app).await;
    act_on_messages(&app).await;
    act_on_projects(&app).await;
    let secrets = act_on_clients(&app, &admin).await;

    let entries = entries(&app, &admin).await;
    let told: BTreeSet<&str> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let all = Action::ALL.iter().filter(|action| !ELSEWHERE.contains(action));
    assert_eq!(told, all.map(|action| action.as_str()).collect());
    let count = |action: &str| entries.iter().filter(|entry| entry["action"] == action).count();
    for (action, times) in [
        // One run; one pause and one resume, of two that were asked for each; the second backfill found nothing to do.
        ("job.run", 1),
        ("job.pause", 1),
        ("job.resume", 1),
        ("job.backfill", 1),
        ("group.unblock", 1),
        // Before and after; a dry run is none.
        ("messages.bulk", 2),
        ("message.cancel", 2),
        ("message.retry", 1),
        ("message.resubmit", 1),
    ] {
        assert_eq!(count(action), times, "{action}");
    }
    for entry in &entries {
        let is_about_clients = text(entry, "action").starts_with("client.");
        assert_eq!(
            entry["actor"],
            if is_about_clients { "boss" } else { "tester" },
            "{entry}"
        );
        assert_eq!(entry["surface"], Surface::Api.as_str(), "{entry}");
        assert!(!text(entry, "target").is_empty(), "{entry}");
    }
    let of = |action: &str| entries.iter().find(|entry| entry["action"] == action).unwrap();
    assert_eq!(of("job.pause")["detail"]["note"], "stocktaking");
    assert_eq!(of("job.pause")["job"], "Nightly sales orders");
    assert_eq!(of("job.backfill")["detail"]["occurrences"], 2);
    assert_eq!(
        of("client.role")["detail"],
        json!({ "role": "operator", "before": "client" })
    );
    assert!(of("message.resubmit")["detail"]["message"].is_string());
    // Neither secrets nor values.
    let written = serde_json::to_string(&entries).unwrap();
    for secret in secrets.iter().map(String::as_str).chain(["argon2", "BBBBB", "key=k"]) {
        assert!(!written.contains(secret), "{secret}");
    }
    let verified = get(&app, &admin, "/api/v1/audit/verify").await;
    assert_eq!(
        (&verified["whole"], &verified["checked"]),
        (&json!(true), &json!(entries.len()))
    );
    assert_eq!(
        verified["head"]["hash"],
        entries.iter().max_by_key(|e| e["number"].as_i64()).unwrap()["hash"]
    );
}

async fn a_bulk_action_is_told_before_and_after(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Documents", "")).await;
    let admin = somebody(&app, "boss", "admin").await;
    did(
        &app,
        "/api/v1/messages/bulk",
        json!({ "action": "retry", "filter": { "job": "Documents", "code": "rejected" }, "limit": 7 }),
    )
    .await;
    let entries = entries(&app, &admin).await;
    let outcomes: Vec<&str> = entries.iter().map(|entry| entry["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["done", "asked"]);
    assert_eq!(entries[0]["detail"]["asked"], entries[1]["number"]);
    assert_eq!(entries[0]["detail"]["done"], 0);
    assert_eq!(entries[1]["target"], json!(app.job("Documents")));
    assert_eq!(entries[1]["detail"]["code"], "rejected");
    assert_eq!(entries[1]["detail"]["limit"], 7);
}

async fn roles_read_what_is_for_them(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let admin = somebody(&app, "boss", "admin").await;
    did(&app, "/api/v1/jobs/Nightly%20sales%20orders/pause", json!({})).await;
    act_on_clients(&app, &admin).await;
    for (role, actions) in [
        ("admin", Some(5)),
        ("operator", Some(1)),
        ("viewer", Some(1)),
        ("integrator", None),
        ("client", None),
    ] {
        let token = somebody(&app, &format!("a-{role}"), role).await;
        let answer = send(app.request(Method::GET, "/api/v1/audit"), &token).await;
        match actions {
            Some(count) => {
                let body = answer.expect(StatusCode::OK);
                assert_eq!(body["entries"].as_array().unwrap().len(), count, "{role}: {body}");
            }
            None => assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role}"),
        }
        let verify = send(app.request(Method::GET, "/api/v1/audit/verify"), &token).await;
        let may = if role == "admin" {
            StatusCode::OK
        } else {
            StatusCode::FORBIDDEN
        };
        assert_eq!(verify.status, may, "{role}");
    }
}

async fn entries_are_looked_for_and_read_page_by_page(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let admin = somebody(&app, "boss", "admin").await;
    let nightly = "/api/v1/jobs/Nightly%20sales%20orders";
    for _ in 0..3 {
        did(&app, &format!("{nightly}/pause"), json!({})).await;
        app.clock.advance_seconds(60);
        did(&app, &format!("{nightly}/resume"), json!({})).await;
    }
    did(&app, "/api/v1/jobs/Inbound%20customers/pause", json!({})).await;
    let numbers = async |query: &str| -> Vec<i64> {
        let body = get(&app, &admin, &format!("/api/v1/audit?{query}")).await;
        let entries = body["entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["number"].as_i64().unwrap()).collect()
    };
    assert_eq!(numbers("").await, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(numbers("action=job.resume").await, [6, 4, 2]);
    assert_eq!(
        numbers("target=Nightly%20sales%20orders&action=job.pause").await,
        [5, 3, 1]
    );
    assert_eq!(numbers("actor=nobody").await, [0; 0]);
    assert_eq!(numbers("actor=tester&from=2026-01-05T08:02:00Z").await, [7, 6, 5, 4]);
    assert_eq!(numbers("before=2026-01-05T08:01").await, [1]);
    let first = get(&app, &admin, "/api/v1/audit?limit=4").await;
    assert_eq!(first["next"], 4);
    assert_eq!(numbers("limit=4&before_entry=4").await, [3, 2, 1]);
    for (query, code) in [
        ("action=job.dance", "invalid_action"),
        ("from=yesterday", "invalid_time"),
        ("before_entry=x", "invalid_before"),
        ("limit=501", "invalid_limit"),
    ] {
        let answer = send(app.request(Method::GET, &format!("/api/v1/audit?{query}")), &admin).await;
        assert_eq!(answer.text("code"), code);
    }
}

async fn what_was_changed_in_the_table_is_found(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let admin = somebody(&app, "boss", "admin").await;
    act_on_clients(&app, &admin).await;
    let statements: &[&str] = match backend {
        Backend::Sqlite => &["drop trigger audit_is_not_changed"],
        Backend::Postgres => &["alter table audit disable trigger user"],
    };
    for statement in statements {
        run(&app.store.url, statement).await;
    }
    run(&app.store.url, "update audit set actor = 'tester' where seq = 3").await;
    let verified = get(&app, &admin, "/api/v1/audit/verify").await;
    assert_eq!((&verified["whole"], &verified["checked"]), (&json!(false), &json!(2)));
    assert_eq!(verified["fault"]["number"], 3);
    let after = get(&app, &admin, "/api/v1/audit/verify?after=3").await;
    assert_eq!((&after["whole"], &after["checked"]), (&json!(true), &json!(1)));
}

async fn old_entries_stay_unless_the_settings_say_otherwise(backend: Backend) {
    for (days, left) in [(None, 1), (Some("30"), 1), (Some("3"), 2)] {
        let app = TestApp::with(backend, |setup| {
            if let Some(days) = days {
                setup.set("audit.keep_days", days);
            }
        })
        .await;
        did(&app, "/api/v1/jobs/Inbound%20customers/pause", json!({})).await;
        app.clock.advance_seconds(10 * 86_400);
        did_again(&app).await;
        tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
        let entries = app
            .context
            .store
            .audit_entries(&AuditFilter::default(), 10)
            .await
            .unwrap();
        let actions: Vec<&str> = entries.iter().map(|entry| entry.link.action.as_str()).collect();
        if left == 2 {
            assert_eq!(actions, ["audit.prune", "job.resume"], "{days:?}");
        } else {
            assert_eq!(actions, ["job.resume", "job.pause"], "{days:?}");
        }
        let verified = app.context.store.verify_audit(None, 10).await.unwrap();
        assert_eq!((verified.checked, verified.fault), (2, None));
    }
}

/// An act of today; the token of before has ended.
async fn did_again(app: &TestApp) {
    let caller = app.context.store.client("tester").await.unwrap().unwrap();
    let entry = tranship::domain::audit::NewEntry::new(
        app.clock.now(),
        &caller.name,
        Surface::Api,
        Action::JobResume,
        &app.job("Inbound customers"),
    );
    let id = app.job("Inbound customers").parse().unwrap();
    let store = app.context.store.audited(entry);
    assert!(store.resume(id, "tester", None, app.clock.now()).await.unwrap());
}
