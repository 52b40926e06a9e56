//! What pages say, and that all of them are sound: the crawl finds every page a link leads to.

use std::collections::{BTreeSet, VecDeque};

use reqwest::StatusCode;

use super::browser::{Browser, Seen};
use crate::app::{Backend, TestApp, sample};
use crate::destinations::{destinations, service};
use crate::webhooks::receiver::Receiver;

crate::on_both_backends!(
    every_page_is_sound_and_leads_on,
    the_overview_says_what_is_wrong,
    a_job_tells_its_next_ten_due_times,
    a_job_without_messages_says_what_to_do,
    a_message_tells_what_went_wrong_record_by_record,
    rejects_that_are_no_table_are_told_one_by_one,
    an_execution_has_a_page,
    what_is_not_there_has_a_page_too,
    whatever_is_in_a_file_is_text,
    colours_are_the_visitors_choice,
);

/// The policy in words of its own: what a page may do is written down twice.
const POLICY: [&str; 8] = [
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
];

#[track_caller]
fn is_hardened(seen: &Seen, path: &str) {
    let policy = seen.headers["content-security-policy"].to_str().unwrap();
    assert_eq!(policy.split("; ").collect::<Vec<_>>(), POLICY, "{path}");
    assert_eq!(seen.headers["x-frame-options"], "DENY", "{path}");
    assert_eq!(seen.headers["x-content-type-options"], "nosniff", "{path}");
    assert_eq!(seen.headers["referrer-policy"], "same-origin", "{path}");
    let kept = if path.contains("/assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    assert_eq!(seen.headers["cache-control"], kept, "{path}");
}

/// A service with something to see on every page.
async fn lively(backend: Backend, receiver: &Receiver) -> TestApp {
    let export = destinations("refresh = \"incremental\"\n") + &service("erp", receiver, "");
    let app = crate::destinations::app(backend, &export).await;
    app.import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    app.import("Inbound sales orders", "Sales order headers", bad_orders())
        .await;
    app.import("Inbound customers", "Customers", "not,a,customer\n1,2,3\n")
        .await;
    app.export().await;
    app.bring().await;
    let pause = format!("/api/v1/jobs/{}/pause", app.job("Nightly sales orders"));
    app.post_json(&pause, &serde_json::json!({ "note": "the auditors are here" }))
        .await;
    app
}

/// Orders with three mistakes in two of them.
fn bad_orders() -> String {
    let orders = String::from_utf8(sample("orders.csv")).unwrap();
    let mut lines: Vec<String> = orders.lines().take(12).map(str::to_owned).collect();
    lines[3] = lines[3].replacen(",HANAR,", ",ZZZZZ,", 1);
    lines[5] = lines[5].replacen("1996-07-09 00:00:00.000", "some day", 1);
    lines.join("\n")
}

async fn every_page_is_sound_and_leads_on(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = lively(backend, &receiver).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let (mut to_see, mut seen_paths) = (VecDeque::from(["/console".to_owned()]), BTreeSet::new());
    while let Some(path) = to_see.pop_front() {
        if !seen_paths.insert(path.clone()) {
            continue;
        }
        let seen = browser.get(&path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}");
        is_hardened(&seen, &path);
        let kind = seen.headers["content-type"].to_str().unwrap();
        if kind.starts_with("text/html") {
            seen.says("Tranship");
            to_see.extend(seen.links());
        } else if !path.contains("/assets/") {
            let named = seen.headers["content-disposition"].to_str().unwrap();
            assert!(named.starts_with("attachment"), "{path}: {named}");
        }
    }
    // So many pages there are at least: none was lost by a link that broke.
    for part in [
        "/assets/",
        "/jobs/",
        "/messages/",
        "/executions/",
        "/rejects",
        "/payload",
        "/preview",
        "/pause",
        "/resume",
        "/run",
        "/retry",
    ] {
        assert!(
            seen_paths.iter().any(|path| path.contains(part)),
            "{part} in {seen_paths:?}"
        );
    }
}

async fn the_overview_says_what_is_wrong(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = lively(backend, &receiver).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser.see("/console").await;
    page.says("Stock out export 1 0 just now");
    page.says("Nightly sales orders export 0 0 – ! paused");
    page.says("✕ PreProcessingError no_column_matches Inbound customers");
    page.says("! ProcessedWithErrors Inbound sales orders 11 2");
    page.says("Nightly sales orders in 17 h Tue 2026-01-06 02:00:00 CET ! paused");
    page.says("answers you ✓ idle");
    page.does_not_say("is late");
    page.says("GET /api/v1/jobs");
    page.says("tranship jobs list");

    // The schedule was evaluated, and then no more: what was due since has not begun.
    let resume = format!("/api/v1/jobs/{}/resume", app.job("Nightly sales orders"));
    app.post(&resume, "").await;
    app.scheduler.tick().await;
    app.clock.advance_seconds(24 * 3600);
    let browser = Browser::of(&app, "later", "operator").await;
    browser.see("/console").await.says("Nightly sales orders is late");
    app.clock.advance_seconds(8 * 86_400);
    let browser = Browser::of(&app, "much later", "operator").await;
    browser.see("/console").await.says("Nothing failed.");
}

async fn a_job_tells_its_next_ten_due_times(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "jobs/holidays.toml",
            "id = \"11111111-0249-459f-94f0-aad9c2c47b64\"\nname = \"Holidays\"\ndirection = \"export\"\n\
             data_source = \"file\"\nclients = [\"warehouse\"]\n[schedule]\ncron = \"30 2 * * *\"\ntime_zone = \"Europe/Berlin\"\n\
             except = [\"2026-01-07\"]\n[export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Customers\"\n",
        );
    })
    .await;
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser.see(&format!("/console/jobs/{}", app.job("Holidays"))).await;
    page.says("Wed 2026-01-07 02:30:00 CET in 41 h no the schedule excludes the day");
    page.says("Fri 2026-01-16 02:30:00 CET in 10 d yes");
    page.does_not_say("2026-01-17");
    page.says("The job has never run. The next run is due at 2026-01-06 01:30:00 UTC (in 17 h).");
    page.says("warehouse");
    page.says("tranship jobs next Holidays --limit 10");
    let by_name = browser.see("/console/jobs/holidays").await;
    assert_eq!(by_name.text(), page.text());
}

async fn a_job_without_messages_says_what_to_do(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser
        .see(&format!("/console/jobs/{}", app.job("Inbound customers")))
        .await;
    page.says("tranship push FILE --job 'Inbound customers'");
    page.does_not_say("Run now");
    browser.see("/console").await.says("All queues are empty.");
}

async fn a_message_tells_what_went_wrong_record_by_record(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    app.import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let message = app
        .import("Inbound sales orders", "Sales order headers", bad_orders())
        .await;
    let id = message["id"].as_str().unwrap();
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser.see(&format!("/console/messages/{id}")).await;
    page.says("11 read = 9 applied + 2 rejected + 0 skipped");
    page.says("reference_missing customer_account 1 1");
    page.says("invalid_datetime order_date 1 1");
    page.says("· Enqueued just now ▸ PreProcessing just now after < 1 ms lease 1 ▸ Processing just now");
    for fault in ["<mark>ZZZZZ</mark>", "<mark>some day</mark>"] {
        assert_eq!(page.page.matches(fault).count(), 1, "{fault}");
    }
    assert_eq!(page.page.matches("<mark>").count(), 2);
    // The whole record stands there, not only what is wrong with it.
    page.says("Rua do Paço");
    page.says(&format!("tranship messages rejects {id} --out rejects.csv"));
    let rejects = browser.get(&format!("/console/messages/{id}/rejects")).await;
    assert_eq!(
        rejects.headers["content-disposition"],
        format!("attachment; filename=\"rejects-{id}.csv\"")
    );
    assert!(
        rejects.page.contains("ZZZZZ") && rejects.page.contains("_reject_id"),
        "{}",
        rejects.page
    );
    let payload = browser.get(&format!("/console/messages/{id}/payload")).await;
    assert_eq!(payload.page, bad_orders());
    assert_eq!(
        payload.headers["content-disposition"],
        format!("attachment; filename=\"payload-{id}\"")
    );

    let corrected = rejects.page.replace("ZZZZZ", "HANAR");
    let child = app.post(&format!("/api/v1/messages/{id}/resubmit"), corrected).await;
    let child: serde_json::Value = child.json().await.unwrap();
    app.run_until_idle().await;
    let child = child["id"].as_str().unwrap();
    let page = browser.see(&format!("/console/messages/{id}")).await;
    page.says(&format!("Corrected by {child}"));
    // Which of the two it was, and by which message.
    let (_, rejected) = page.page.split_once("id=\"rejected\"").expect("the rejected records");
    let (rejected, _) = rejected.split_once("</section>").expect("its end");
    let marks: Vec<&str> = rejected.split("<tr").filter(|row| row.contains("repaired")).collect();
    assert_eq!(marks.len(), 1, "{rejected}");
    assert!(
        marks[0].contains("ZZZZZ") && marks[0].contains(&format!("/console/messages/{child}")),
        "{rejected}"
    );
    let page = browser.see(&format!("/console/messages/{child}")).await;
    page.says(&format!("Corrects {id}"));
    assert_eq!(
        page.page.matches("<mark>some day</mark>").count(),
        1,
        "of a correction too: {}",
        page.text()
    );
}

async fn rejects_that_are_no_table_are_told_one_by_one(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        let text =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/inbound-customers.toml")).unwrap();
        let id = text.lines().find_map(|line| line.strip_prefix("id = \"")).unwrap()[..36].to_owned();
        let text = text.replace(&id, "22222222-0249-459f-94f0-aad9c2c47b64");
        let text = text
            .replace("Inbound customers", "Customers as JSON")
            .replace("format = \"csv\"", "format = \"json\"");
        setup.file("jobs/json.toml", &text);
    })
    .await;
    let long = "x".repeat(300);
    let body = format!("[{{\"CustomerID\":\"ALFKI\",\"CompanyName\":\"Alfred\",\"City\":\"{long}\"}}]");
    let message = app.import("Customers as JSON", "Customers", body).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser
        .see(&format!("/console/messages/{}", message["id"].as_str().unwrap()))
        .await;
    page.says("too_long");
    assert_eq!(page.page.matches("<mark>").count(), 1, "{}", page.text());
}

async fn an_execution_has_a_page(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = lively(backend, &receiver).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser.see(&format!("/console/jobs/{}", app.job("Stock out"))).await;
    let link = page
        .links()
        .into_iter()
        .find(|link| link.contains("/executions/"))
        .unwrap();
    let page = browser.see(&link).await;
    page.says("✓ done");
    page.says("Stock on hand 1");
    page.says("waited < 1 ms wrote < 1 ms stored < 1 ms queued < 1 ms");
    page.says("erp ✓ delivered 1");
    let link = page
        .links()
        .into_iter()
        .find(|link| link.contains("/messages/"))
        .unwrap();
    let page = browser.see(&link).await;
    page.says("Entity State Exported Stock on hand ✓ Finished 1");
    assert!(!page.text().contains("Inserted"), "an export has no target");
    let id = "00000000-0000-0000-0000-000000000000";
    for unknown in [id, "a%2Fb", "a%00b"] {
        let seen = browser.get(&format!("/console/executions/{unknown}")).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{unknown}");
    }
}

async fn what_is_not_there_has_a_page_too(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let browser = Browser::of(&app, "op", "operator").await;
    for path in [
        "/console/nothing",
        "/console/messages/nothing",
        "/console/messages/0192f1c4-0000-7000-8000-000000000000",
        "/console/jobs/nothing",
        "/console/assets/console-000000000000.css",
        "/console/assets/..%2F..%2Fmod.rs",
        "/console/messages?job=nothing",
    ] {
        let seen = browser.get(path).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{path}");
        is_hardened(&seen, path.replace("/assets/", "/").as_str());
        seen.says("status 404");
        seen.elements();
    }
    let seen = browser.get("/console/nothing/at/all").await;
    seen.says("There is no such page");
    seen.does_not_say("ended its time");
    assert!(seen.links().contains(&"/console/jobs".to_owned()), "{:?}", seen.links());
    for (path, code) in [
        ("/console/messages?status=lost", "invalid_status"),
        ("/console/messages?from=yesterday", "invalid_time"),
        ("/console/messages?before=x", "invalid_before"),
    ] {
        let seen = browser.get(path).await;
        assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{path}");
        seen.says(code);
    }
    let seen = browser.send("/console/jobs", &[], &[]).await;
    assert_eq!(seen.status, StatusCode::METHOD_NOT_ALLOWED);
    is_hardened(&seen, "/console/jobs");
    // Any case, as everywhere; and nothing of it for strangers.
    browser.see("/CONSOLE").await;
    let stranger = Browser::new(&app).get("/console/nothing").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    is_hardened(&stranger, "");
}

async fn whatever_is_in_a_file_is_text(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let markup = "\"'><script>alert(1)</script><b onclick=x>";
    let quoted = markup.replace('"', "\"\"");
    let file = format!(
        "CustomerID,CompanyName,City,<i>x\nALFKI,Alfred,\"{quoted}{}\",1\n",
        "x".repeat(300)
    );
    let path = format!(
        "/api/v1/jobs/{}/messages?entity=Customers&external_id={}",
        app.job("Inbound customers"),
        url::form_urlencoded::byte_serialize(markup.as_bytes()).collect::<String>()
    );
    let message: serde_json::Value = app.post(&path, file).await.json().await.unwrap();
    app.run_until_idle().await;
    let browser = Browser::of(&app, "op", "operator").await;
    let id = message["id"].as_str().unwrap();
    let pages = [
        format!("/console/messages/{id}"),
        "/console/messages".to_owned(),
        format!(
            "/console/messages?file={}",
            url::form_urlencoded::byte_serialize(markup.as_bytes()).collect::<String>()
        ),
        format!("/console/messages/{id}/cancel"),
        format!("/console/messages/{id}/preview"),
    ];
    for path in pages {
        // `see` refuses inline scripts and handlers, and elements that are not closed.
        let page = browser.see(&path).await;
        page.says("<script>alert(1)</script>");
    }
}

async fn colours_are_the_visitors_choice(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let chosen = async || {
        let page = browser.see("/console/jobs").await;
        page.elements()[0].get("data-theme").map(str::to_owned)
    };
    assert_eq!(chosen().await, None);
    for (theme, kept) in [
        ("dark", Some("dark")),
        ("light", Some("light")),
        ("pink", None),
        ("dark", Some("dark")),
        ("", None),
    ] {
        let token = browser.see("/console/jobs").await.form_token();
        let form = [("theme", theme), ("to", "/console/jobs"), ("form_token", &token)];
        assert_eq!(
            browser.send("/console/theme", &form, &[]).await.location(),
            "/console/jobs"
        );
        assert_eq!(chosen().await.as_deref(), kept, "{theme}");
    }
}
